//! owner: which daemon sends on which channel.
//!
//! Any number of daemons may run on one database, and each channel is sent by one of them: the one that
//! holds its row of rowbell.channel, for `LEASE`, renewed by one statement for all channels. So what the
//! limiter remembers is all there is to remember. Takes channels that nobody owns, or whose owner is gone:
//! its lease has run out, or none of its sessions is connected any more (each holds a shared advisory
//! lock for its instance). Before it sends anything, it reads what was sent lately.
//!
//! What compose and claim write is fenced: they hold the row for the time of their transaction, and lease
//! nothing when it is not theirs; deliver looks once more before each request. A daemon that wakes up
//! late finds its right gone and gives back what it had leased.
//!
//! If the process dies here, another daemon owns its channels at its next look, within seconds. A stop
//! gives them up at once, after the last answer is stored. Not promised: that two daemons share the
//! channels evenly.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::pipeline::context::channel_sender::{Lane, Owned};
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::{Patience, Progress, StageError, loggable, rest};
use crate::pipeline::gate::limits;
use crate::postgres::queries::{self, Ours};

/// How long the right to send holds without being renewed.
pub const LEASE: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4);

/// How often a daemon looks whether channels of others are free; more often soon after its start, when
/// the sessions of one that was killed may still be on their way out.
const LOOK: Duration = Duration::from_secs(2);
const FIRST_LOOK: Duration = Duration::from_millis(50);

/// Owns channels.
pub struct Owner {
    site: Arc<Site>,
    look: Duration,
    /// It was said that others own channels.
    is_waiting: bool,
}

impl Owner {
    pub fn new(site: Arc<Site>) -> Owner {
        Owner { site, look: FIRST_LOOK, is_waiting: false }
    }

    /// Takes and renews channels until told to stop; then gives them up.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut patience = Patience::new("owner");
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(_) => {
                    patience.succeeded();
                    rest(&stop, self.pause()).await;
                }
                Err(error) => rest(&stop, patience.failed(&error)).await,
            }
        }
        if let Err(error) = self.give_up().await {
            tracing::warn!(
                error = loggable(&error),
                "could not give up the channels; others wait until the lease ends"
            );
        }
    }

    fn pause(&mut self) -> Duration {
        if self.site.lanes.values().all(|lane| lane.is_owned()) {
            return RENEW;
        }
        self.look = (self.look * 2).min(LOOK);
        self.look
    }

    /// Renews what this daemon owns, and takes what is free.
    pub async fn step(&mut self) -> Result<Progress, StageError> {
        let channels: Vec<&str> = self.site.lanes.keys().map(String::as_str).collect();
        if channels.is_empty() {
            return Ok(Progress::Idle);
        }
        let now = self.site.clock.now();
        let until = now + LEASE;
        let mut client = self.site.pool.get().await?;
        let taken =
            queries::owner_take(&client, &channels, &self.site.instance, now, until).await?;
        let mut progress = Progress::Idle;
        let site = self.site.clone();
        for lane in site.lanes.values() {
            let taken = taken.iter().find(|taken| taken.channel == lane.channel);
            let known = lane.owned();
            match taken {
                Some(Ours { epoch, .. }) if known.is_some_and(|known| known.epoch == *epoch) => {
                    lane.own(Owned { epoch: *epoch, until });
                }
                Some(taken) => {
                    progress = Progress::Worked;
                    lane.disown();
                    let past = limits::past(&mut client, &site, lane, taken.learned).await?;
                    lane.limiter.remember(past);
                    lane.own(Owned { epoch: taken.epoch, until });
                    lane.ring();
                    tracing::info!(
                        channel = lane.channel,
                        epoch = taken.epoch,
                        "sends on the channel"
                    );
                }
                None => self.wait_for(lane),
            }
        }
        Ok(progress)
    }

    fn wait_for(&mut self, lane: &Lane) {
        if lane.disown() {
            tracing::warn!(channel = lane.channel, "another daemon sends on the channel now");
        } else if !self.is_waiting {
            tracing::info!(
                channel = lane.channel,
                "another daemon sends on the channel; ready to take over"
            );
            self.is_waiting = true;
        }
    }

    /// Lets others send at once.
    pub async fn give_up(&self) -> Result<(), StageError> {
        let client = self.site.pool.get().await?;
        queries::owner_give(&client, &self.site.instance, self.site.clock.now()).await?;
        for lane in self.site.lanes.values() {
            lane.disown();
        }
        Ok(())
    }
}
