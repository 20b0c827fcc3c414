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
//! The channels are spread evenly over the daemons that live (`domain/limit/channel_spread.rs`); a person may give one
//! to a daemon. Whoever has a channel that is another one's leases nothing more for it, waits a moment for what is in
//! flight, ends its lease, and rings: the other one takes it at once, and reads what was sent lately as always.
//!
//! If the process dies here, others take its channels at their next look, within seconds. A stop gives them up at
//! once, after the last answer is stored. Not promised: that nothing is in flight when a channel changes hands. What
//! is counts as sent now, and keeps its attempt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Client;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::domain::limit::backoff::Backoff;
use crate::domain::limit::channel_spread::{LiveDaemon, spread};
use crate::pipeline::context::channel_sender::{ChannelSender, HeldLease};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, loggable, sleep};
use crate::postgres::connection::session::ring_for_channels;
use crate::postgres::queries;
use crate::postgres::queries::channel_lease::{LeasedChannel, Presence};
use crate::provider::limiter::SentBefore;

/// How long the right to send holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4);

/// How often a daemon looks whether channels of others are free; more often soon after its start, when
/// the sessions of one that was killed may still be on their way out.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// How long a channel that is to change hands waits for what is in flight, and how often it is looked at meanwhile.
const HAND_OVER: Duration = Duration::from_secs(2);
const HAND_OVER_LOOK: Duration = Duration::from_millis(10);

/// What is sent within a second is counted; and for slower rates, within the time of one message.
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Holds channels.
pub struct ChannelLease {
    context: Arc<Context>,
    looks: Backoff,
    me: LiveDaemon,
    /// Others know of this daemon.
    is_known: bool,
    /// The log said that others hold channels.
    is_waiting: bool,
    /// Channels that are to change hands, and when they do so at the latest.
    leaving: BTreeMap<String, Timestamp>,
}

impl ChannelLease {
    pub fn new(context: Arc<Context>) -> ChannelLease {
        let me = LiveDaemon {
            instance: context.instance.clone(),
            name: daemon_name(),
            channels: context.channel_senders.keys().cloned().collect(),
        };
        ChannelLease {
            context,
            looks: Backoff::new(FIRST_LOOK, LONGEST_LOOK),
            me,
            is_known: false,
            is_waiting: false,
            leaving: BTreeMap::new(),
        }
    }
}

impl Stage for ChannelLease {
    const NAME: &'static str = "channel_lease";

    /// Renews what this daemon holds, takes what is free and its own, and hands over what is another one's.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let context = self.context.clone();
        let channels: Vec<&str> = context.channel_senders.keys().map(String::as_str).collect();
        if channels.is_empty() {
            return Ok(Progress::Idle);
        }
        let now = context.clock.now();
        let until = now + LEASE;
        let mut client = context.pool.get().await?;
        let own = self.own_channels(&client, &channels, now, until).await?;
        let kept: Vec<&str> = channels
            .iter()
            .copied()
            .filter(|c| own.contains(c) || context.holds_lease(c))
            .collect();
        let taken = queries::channel_lease::channel_lease_take(
            &client,
            &kept,
            &context.instance,
            now,
            until,
        )
        .await?;
        let mut progress = Progress::Idle;
        for channel_sender in context.channel_senders.values() {
            let channel = channel_sender.channel.as_str();
            match taken.iter().find(|taken| taken.channel == channel) {
                Some(taken) if self.hold(&mut client, channel_sender, taken, until).await? => {
                    progress = Progress::Worked;
                }
                Some(_) => {}
                None => self.wait_for(channel_sender),
            }
            match own.contains(&channel) || !channel_sender.is_leased() {
                true => self.keep(channel_sender),
                false => self.hand_over(&client, channel_sender, now).await?,
            }
        }
        Ok(progress)
    }

    async fn rest(&mut self, _last: Progress, stop: &CancellationToken) {
        let mut senders = self.context.channel_senders.values();
        let holds_all = senders.all(|channel_sender| channel_sender.is_leased());
        let time = match (self.leaving.is_empty(), holds_all) {
            (false, _) => HAND_OVER_LOOK,
            (true, true) => RENEW,
            (true, false) => self.looks.fail(),
        };
        tokio::select! {
            () = sleep(time, stop) => {}
            () = self.context.rings.by_channels.notified() => {}
        }
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
    /// The channels on which this daemon is to send.
    async fn own_channels<'a>(
        &mut self,
        client: &Client,
        channels: &[&'a str],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<&'a str>, StageError> {
        let clock = &self.context.clock;
        let asked_at = clock.steady();
        let Presence { daemons, told_at } =
            queries::channel_lease::daemon_present(client, &self.me, now, until).await?;
        let database_clock = &self.context.database_clock;
        if let Some(by) = told_at.and_then(|at| database_clock.follow(clock, asked_at, at)) {
            self.set_back(client, by).await?;
        }
        if !self.is_known {
            self.is_known = true;
            if daemons.len() > 1 {
                ring_for_channels(client).await?;
            }
        }
        let mut all: Vec<&str> =
            daemons.iter().flat_map(|daemon| &daemon.channels).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        let holders = queries::channel_lease::channel_lease_holders(client, &all).await?;
        let plan = spread(&daemons, &holders);
        let instance = self.me.instance.as_str();
        Ok(channels.iter().copied().filter(|c| plan.get(c) == Some(&instance)).collect())
    }

    /// The clock of the database was set back: what was put off by its old time is due as much earlier.
    pub async fn set_back(&self, client: &Client, by: SignedDuration) -> Result<(), StageError> {
        let senders = self.context.channel_senders.values();
        let held: Vec<&ChannelSender> =
            senders.map(Arc::as_ref).filter(|channel_sender| channel_sender.is_leased()).collect();
        let channels: Vec<&str> = held.iter().map(|sender| sender.channel.as_str()).collect();
        let (now, seconds) = (self.context.clock.now(), by.as_secs_f64());
        tracing::warn!(
            seconds = format!("{seconds:.1}"),
            "the clock of the database was set back; what waits is due as much earlier"
        );
        queries::channel_lease::due_times_set_back(client, &channels, now, seconds).await?;
        held.iter().for_each(|channel_sender| channel_sender.ring());
        Ok(())
    }

    /// This daemon sends on the channel. Returns whether that is news.
    async fn hold(
        &mut self,
        client: &mut Client,
        channel_sender: &ChannelSender,
        taken: &LeasedChannel,
        until: Timestamp,
    ) -> Result<bool, StageError> {
        let held_lease = HeldLease { epoch: taken.epoch, until };
        if channel_sender.held_lease().is_some_and(|known| known.epoch == taken.epoch) {
            channel_sender.hold(held_lease);
            return Ok(false);
        }
        // Nothing may leave until the limiter knows what the last holder sent.
        channel_sender.drop_lease();
        let past = past(client, &self.context, channel_sender, taken.learned).await?;
        channel_sender.limiter.remember(past);
        channel_sender.hold(held_lease);
        channel_sender.ring();
        tracing::info!(
            channel = channel_sender.channel,
            epoch = taken.epoch,
            "sends on the channel"
        );
        Ok(true)
    }

    /// The channel stays, whatever it seemed before.
    fn keep(&mut self, channel_sender: &ChannelSender) {
        if self.leaving.remove(&channel_sender.channel).is_some() {
            channel_sender.set_leaving(false);
            channel_sender.ring();
        }
    }

    /// Leases nothing more; lets another daemon send once nothing is in flight, or it takes too long.
    async fn hand_over(
        &mut self,
        client: &Client,
        channel_sender: &ChannelSender,
        now: Timestamp,
    ) -> Result<(), StageError> {
        let channel = &channel_sender.channel;
        channel_sender.set_leaving(true);
        let latest = *self.leaving.entry(channel.clone()).or_insert(now + HAND_OVER);
        if channel_sender.in_flight() > 0 && now < latest {
            return Ok(());
        }
        channel_sender.drop_lease();
        let instance = &self.context.instance;
        queries::channel_lease::channel_lease_hand(client, channel, instance, now).await?;
        self.keep(channel_sender);
        tracing::info!(
            channel,
            "another daemon sends on the channel from now on: it was handed over"
        );
        ring_for_channels(client).await?;
        Ok(())
    }

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
        ring_for_channels(&client).await?;
        Ok(())
    }
}

/// Host and process id: by which a person tells daemons apart.
fn daemon_name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}/{}", std::process::id())
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
    let budget = context.config.budget_of(channel);
    let counts = channel_sender.limiter.counts_recipients();
    let mut recipients = match counts || budget.is_some() {
        true => {
            queries::channel_lease::channel_lease_recipients(&tx, channel, now, DAY, lease).await?
        }
        false => Vec::new(),
    };
    if let Some((name, _)) = budget {
        queries::channel_lease::budget_seed(&tx, name, &recipients).await?;
    }
    if !counts {
        recipients.clear();
    }
    tx.commit().await?;
    Ok(SentBefore { left, pairs, recipients, learned })
}
