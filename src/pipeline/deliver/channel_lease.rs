//! channel_lease: decides which daemon sends on which channel.
//!
//! Any number of daemons may run on one database, and each channel is sent by one of them: the one that
//! holds its row of rowbell.channel, for `LEASE`, renewed by one statement for all channels. So the limiter of
//! one process is the whole memory of a channel. Takes channels that nobody holds, or whose holder is gone: its
//! lease has run out, or none of its sessions is connected any more (each holds a shared advisory lock for its
//! instance). Before it sends anything, it reads what was sent lately.
//!
//! What compose and claim write is fenced: they lock the row for the time of their transaction, and lease
//! nothing when it is not theirs; deliver checks the lease once more before each request. A daemon that wakes up
//! late finds its lease gone and gives back what it had leased.
//!
//! If the process dies here, another daemon takes its channels at its next look, within seconds. A stop
//! gives them up at once, after the last answer is stored. Not promised: that two daemons share the
//! channels evenly.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Client;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::backoff::Backoff;
use crate::pipeline::context::channel_sender::{ChannelSender, HeldLease};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, loggable, sleep};
use crate::postgres::queries;
use crate::postgres::queries::channel_lease::LeasedChannel;
use crate::provider::limiter::SentBefore;

/// How long the right to send holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4);

/// How often a daemon looks whether channels of others are free; more often soon after its start, when
/// the sessions of one that was killed may still be on their way out.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// What is sent within a second is counted; and for slower rates, within the time of one message.
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Holds channels.
pub struct ChannelLease {
    context: Arc<Context>,
    looks: Backoff,
    /// The log said that others hold channels.
    is_waiting: bool,
}

impl ChannelLease {
    pub fn new(context: Arc<Context>) -> ChannelLease {
        ChannelLease { context, looks: Backoff::new(FIRST_LOOK, LONGEST_LOOK), is_waiting: false }
    }
}

impl Stage for ChannelLease {
    const NAME: &'static str = "channel_lease";

    /// Renews what this daemon holds, and takes what is free.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let channels: Vec<&str> = self.context.channel_senders.keys().map(String::as_str).collect();
        if channels.is_empty() {
            return Ok(Progress::Idle);
        }
        let now = self.context.clock.now();
        let until = now + LEASE;
        let mut client = self.context.pool.get().await?;
        let taken = queries::channel_lease::channel_lease_take(
            &client,
            &channels,
            &self.context.instance,
            now,
            until,
        )
        .await?;
        let mut progress = Progress::Idle;
        let context = self.context.clone();
        for channel_sender in context.channel_senders.values() {
            let taken = taken.iter().find(|taken| taken.channel == channel_sender.channel);
            let known = channel_sender.held_lease();
            match taken {
                Some(LeasedChannel { epoch, .. })
                    if known.is_some_and(|known| known.epoch == *epoch) =>
                {
                    channel_sender.hold(HeldLease { epoch: *epoch, until });
                }
                Some(taken) => {
                    progress = Progress::Worked;
                    // Nothing may leave until the limiter knows what the last holder sent.
                    channel_sender.drop_lease();
                    let past = past(&mut client, &context, channel_sender, taken.learned).await?;
                    channel_sender.limiter.remember(past);
                    channel_sender.hold(HeldLease { epoch: taken.epoch, until });
                    channel_sender.ring();
                    tracing::info!(
                        channel = channel_sender.channel,
                        epoch = taken.epoch,
                        "sends on the channel"
                    );
                }
                None => self.wait_for(channel_sender),
            }
        }
        Ok(progress)
    }

    async fn rest(&mut self, _last: Progress, stop: &CancellationToken) {
        let mut senders = self.context.channel_senders.values();
        let holds_all = senders.all(|channel_sender| channel_sender.is_leased());
        sleep(if holds_all { RENEW } else { self.looks.fail() }, stop).await;
    }

    async fn end(&mut self) {
        if let Err(error) = self.give_up().await {
            tracing::warn!(
                error = loggable(&error),
                "could not give up the channels; others wait until the lease ends"
            );
        }
    }
}

impl ChannelLease {
    fn wait_for(&mut self, channel_sender: &ChannelSender) {
        if channel_sender.drop_lease() {
            tracing::warn!(
                channel = channel_sender.channel,
                "another daemon sends on the channel now"
            );
        } else if !self.is_waiting {
            tracing::info!(
                channel = channel_sender.channel,
                "another daemon sends on the channel; ready to take over"
            );
            self.is_waiting = true;
        }
    }

    /// Lets others send at once.
    pub async fn give_up(&self) -> Result<(), StageError> {
        let client = self.context.pool.get().await?;
        queries::channel_lease::channel_lease_give(
            &client,
            &self.context.instance,
            self.context.clock.now(),
        )
        .await?;
        for channel_sender in self.context.channel_senders.values() {
            channel_sender.drop_lease();
        }
        Ok(())
    }
}

/// What was sent on a channel until now, whoever sent it.
async fn past(
    client: &mut Client,
    context: &Context,
    channel_sender: &ChannelSender,
    learned: Option<(f64, Timestamp)>,
) -> Result<SentBefore, StageError> {
    let now = context.clock.now();
    let channel = channel_sender.channel.as_str();
    let rate =
        context.config.channel.get(channel).map_or(1.0, |channel| channel.rate.as_per_second());
    // A message may leave as late as its lease ends.
    let lease = context.config.delivery.lease;
    let tx = client.transaction().await?;
    queries::channel_lease::channel_lease_look(&tx).await?;
    let back = SECOND.max(Duration::from_secs_f64((1.0 / rate).clamp(0.0, 1e9)));
    let left = queries::channel_lease::channel_lease_left(&tx, channel, now, back, lease).await?;
    let pairs = match channel_sender.limiter.recipient_memory() {
        Some(memory) => {
            let every = context.config.channel.get(channel).map_or(SECOND, |c| c.limits.pair_every);
            queries::channel_lease::channel_lease_recipient_limits(
                &tx, channel, now, memory, lease, every,
            )
            .await?
        }
        None => Vec::new(),
    };
    let recipients = match channel_sender.limiter.counts_recipients() {
        true => {
            queries::channel_lease::channel_lease_recipients(&tx, channel, now, DAY, lease).await?
        }
        false => Vec::new(),
    };
    tx.commit().await?;
    Ok(SentBefore { left, pairs, recipients, learned })
}
