//! destination: whether the provider still posts to our webhook.
//!
//! Takes the provider's own word, asked for at the start and every `webhook.look_every`. Leaves in
//! `rowbell.receipt_source` whether it posts to us, has given us up after failures, or never knew us; one log
//! line and one metric for each change, and nothing while there is none: the database is not asked.
//! What was given up is revived by writing the provider's list back as it was read. That call replaces
//! the list as a whole, so it is made only if the list was understood to the last word and two looks
//! agree, never from a copy of the database, and less and less often while it does not last.
//!
//! If the process dies here, the next one looks again: nothing is half done, as the list is written by
//! one call. Not promised: that what somebody else adds to the list in the moment between our look and
//! our call survives it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::message::receipt::{WitnessKind, WitnessState};
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::{Patience, Progress, StageError, rest};
use crate::pipeline::gate::blockers::Stops;
use crate::pipeline::receive::receipt_source;
use crate::provider::onemsg::client::{AskError, Client};
use crate::provider::onemsg::webhook_settings::{self, Hooks, MAX_URLS};

/// How long to wait after a revival before the next one; doubles, and starts anew when one has lasted.
const FIRST_PAUSE: Duration = Duration::from_secs(5 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Why a copy of the database does not revive an address.
const COPY: &str = "this database is a copy, which changes nothing at the provider";

/// How the provider stands to our webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It posts to us.
    Posts,
    /// Our address is not in its list.
    Unregistered,
    /// It has given us up after failures, and this is why that was not mended.
    GivenUp(String),
    /// It posts to us, but tells nothing of deliveries.
    NoAcks,
}

impl Standing {
    /// State and detail as `rowbell.receipt_source` keeps them.
    fn written(&self) -> (WitnessState, Option<String>) {
        match self {
            Standing::Posts => (WitnessState::Works, None),
            Standing::Unregistered => (
                WitnessState::Missing,
                Some("no address of the provider's list is ours".to_owned()),
            ),
            Standing::GivenUp(why) => (
                WitnessState::Failing,
                Some(format!("the provider has given up our address after failures; {why}")),
            ),
            Standing::NoAcks => (
                WitnessState::Failing,
                Some("the provider posts to us, but tells nothing of deliveries".to_owned()),
            ),
        }
    }
}

/// Looks after one channel.
pub struct Destination {
    site: Arc<Site>,
    channel: String,
    client: Client,
    secret: String,
    known: Option<Standing>,
    look_at: Timestamp,
    /// Not to be revived again before this moment.
    revive_at: Timestamp,
    pause: Duration,
    has_failed_to_ask: bool,
}

impl Destination {
    pub fn new(site: Arc<Site>, channel: &str, client: Client, secret: String) -> Destination {
        let now = site.clock.now();
        Destination {
            channel: channel.to_owned(),
            client,
            secret,
            known: None,
            look_at: now,
            revive_at: now,
            pause: FIRST_PAUSE,
            has_failed_to_ask: false,
            site,
        }
    }

    /// Looks until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut patience = Patience::new("destination");
        while !stop.is_cancelled() {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step() => step,
            };
            match step {
                Ok(_) => {
                    patience.succeeded();
                    let left = self.look_at.duration_since(self.site.clock.now());
                    rest(&stop, Duration::try_from(left).unwrap_or_default()).await;
                }
                Err(error) => rest(&stop, patience.failed(&error)).await,
            }
        }
    }

    /// Looks, if it is time to, and mends what can be mended.
    pub async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.site.clock.now();
        if now < self.look_at {
            return Ok(Progress::Idle);
        }
        match self.look().await {
            Ok((mut standing, hooks)) => {
                self.has_failed_to_ask = false;
                let is_given_up = matches!(standing, Standing::GivenUp(_));
                let is_copy = is_given_up && self.is_copy().await?;
                if is_copy {
                    standing = Standing::GivenUp(COPY.to_owned());
                }
                if is_given_up && !is_copy && self.may_revive(&hooks, now).is_ok() {
                    self.note(standing).await?;
                    let mended = self.revive(&hooks, now).await;
                    self.note(mended).await?;
                } else {
                    if !is_given_up && self.revive_at + self.pause < now {
                        self.pause = FIRST_PAUSE;
                    }
                    self.note(standing).await?;
                }
            }
            // What stands in the way of this stands in the way of sending too, and is told of there.
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed_to_ask, true) {
                    tracing::info!(channel = self.channel, %error, "whether the provider posts to our webhook could not be asked");
                }
            }
        }
        // Set last: what could not be written down is looked at again.
        let spread = 0.9 + rand::random::<f64>() / 5.0;
        self.look_at = now + self.site.config.webhook.look_every.mul_f64(spread);
        Ok(Progress::Worked)
    }

    /// A copy of the database mends nothing for the original.
    async fn is_copy(&self) -> Result<bool, StageError> {
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        Ok(Stops::read(&tx, &self.site, &[]).await?.is_clone)
    }

    async fn look(&self) -> Result<(Standing, Hooks), AskError> {
        let hooks = self.client.hooks().await?;
        let standing = match hooks.standing(&self.secret) {
            webhook_settings::Standing::Unregistered => Standing::Unregistered,
            webhook_settings::Standing::GivenUp(_) => {
                let why = self.may_revive(&hooks, self.site.clock.now());
                Standing::GivenUp(why.err().unwrap_or("it is being revived").to_owned())
            }
            webhook_settings::Standing::NoAcks(_) => Standing::NoAcks,
            webhook_settings::Standing::Posts(_) => Standing::Posts,
        };
        Ok((standing, hooks))
    }

    /// Whether the list may be written back, or why not.
    fn may_revive(&self, hooks: &Hooks, now: Timestamp) -> Result<(), &'static str> {
        if hooks.is_partly_unread {
            return Err(
                "its list has something that is not understood, so it is not written back: revive our \
                        address at the provider",
            );
        }
        if hooks.urls.len() > MAX_URLS {
            return Err("its list is longer than it takes: revive our address at the provider");
        }
        if now < self.revive_at {
            return Err(
                "it was revived a short while ago, which did not last: see `rowbell webhook test`",
            );
        }
        Ok(())
    }

    /// Writes the list back as it was read.
    async fn revive(&mut self, hooks: &Hooks, now: Timestamp) -> Standing {
        self.revive_at = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        match self.write_back(hooks).await {
            Ok(standing) => standing,
            Err(error) => Standing::GivenUp(format!("it could not be revived: {error}")),
        }
    }

    async fn write_back(&self, hooks: &Hooks) -> Result<Standing, AskError> {
        let (standing, again) = self.look().await?;
        if again != *hooks {
            return Ok(match standing {
                Standing::GivenUp(_) => {
                    Standing::GivenUp("its list is changing just now".to_owned())
                }
                standing => standing,
            });
        }
        self.client.set_hooks(&hooks.urls).await?;
        let (standing, after) = self.look().await?;
        let lost: Vec<&String> =
            hooks.urls.iter().filter(|url| !after.urls.contains(url)).collect();
        if !lost.is_empty() {
            tracing::error!(
                channel = self.channel,
                addresses = lost.len(),
                "the provider left out addresses that its list had before our webhook was revived; see `rowbell webhook show`"
            );
        }
        Ok(standing)
    }

    /// Writes down and tells what is new.
    async fn note(&mut self, standing: Standing) -> Result<(), StageError> {
        if self.known.as_ref() == Some(&standing) {
            return Ok(());
        }
        let (state, detail) = standing.written();
        let client = self.site.pool.get().await?;
        receipt_source::is_known(
            &client,
            &self.site,
            &self.channel,
            WitnessKind::Destination,
            state,
            detail.as_deref(),
        )
        .await?;
        let is_same_kind = self.known.as_ref().is_some_and(|known| {
            std::mem::discriminant(known) == std::mem::discriminant(&standing)
        });
        if !is_same_kind {
            self.tell(&standing, state);
        }
        self.known = Some(standing);
        Ok(())
    }

    fn tell(&self, standing: &Standing, state: WitnessState) {
        let channel = &self.channel;
        match standing {
            Standing::Posts if self.known.is_none() => return,
            Standing::Posts => tracing::info!(channel, "the provider posts to our webhook again"),
            Standing::Unregistered => tracing::warn!(
                channel,
                "the provider posts nothing to our webhook: `rowbell webhook register <url>` lets it"
            ),
            Standing::GivenUp(why) => {
                tracing::warn!(
                    channel,
                    why,
                    "the provider has given up our webhook after failures"
                );
            }
            Standing::NoAcks => tracing::warn!(
                channel,
                "the provider posts to our webhook, but tells nothing of deliveries: `rowbell webhook register <url>` \
                 switches that on"
            ),
        }
        metrics::counter!("rowbell_destination_changes_total", "channel" => channel.clone(), "state" => state.into_str())
            .increment(1);
    }
}
