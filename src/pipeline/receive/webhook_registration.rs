//! webhook_registration: asks whether the provider still posts to our webhook, and mends it if not.
//!
//! Asks the provider at the start and every `webhook.look_every`. Writes to
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

use crate::domain::limit::backoff::Backoff;
use crate::domain::message::receipt::{ReceiptSourceKind, ReceiptSourceState};
use crate::domain::notice;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::pipeline::receive::receipt_source;
use crate::postgres::queries;
use crate::postgres::queries::blockers::Blocker;
use crate::provider::onemsg::client::{AskError, OneMsgClient};
use crate::provider::onemsg::webhook_settings::{self, MAX_URLS, WebhookSettings};

/// How long to wait after a revival before the next one; doubles, and starts anew when one has lasted.
const FIRST_PAUSE: Duration = Duration::from_secs(5 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Why a copy of the database does not revive an address.
const COPY: &str = "this database is a copy, which changes nothing at the provider";

/// How the provider stands to our webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// It posts to us.
    Posts,
    /// Our address is not in its list.
    Unregistered,
    /// It has given us up after failures, and this is why that was not mended.
    GivenUp(String),
    /// It posts to us, but tells nothing of deliveries.
    NoAcks,
}

impl RegistrationState {
    /// State and detail as `rowbell.receipt_source` keeps them.
    fn written(&self) -> (ReceiptSourceState, Option<String>) {
        match self {
            RegistrationState::Posts => (ReceiptSourceState::Works, None),
            RegistrationState::Unregistered => (
                ReceiptSourceState::Missing,
                Some("no address of the provider's list is ours".to_owned()),
            ),
            RegistrationState::GivenUp(why) => (
                ReceiptSourceState::Failing,
                Some(format!("the provider has given up our address after failures; {why}")),
            ),
            RegistrationState::NoAcks => (
                ReceiptSourceState::Failing,
                Some("the provider posts to us, but tells nothing of deliveries".to_owned()),
            ),
        }
    }
}

/// Looks after one channel.
pub struct WebhookRegistration {
    context: Arc<Context>,
    channel: String,
    client: OneMsgClient,
    secret: String,
    known: Option<RegistrationState>,
    look_at: Timestamp,
    /// Not to be revived again before this moment.
    revive_at: Timestamp,
    revivals: Backoff,
    has_failed_to_ask: bool,
}

impl WebhookRegistration {
    pub fn new(
        context: Arc<Context>,
        channel: &str,
        client: OneMsgClient,
        secret: String,
    ) -> WebhookRegistration {
        let now = context.clock.now();
        WebhookRegistration {
            channel: channel.to_owned(),
            client,
            secret,
            known: None,
            look_at: now,
            revive_at: now,
            revivals: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            has_failed_to_ask: false,
            context,
        }
    }
}

impl Stage for WebhookRegistration {
    const NAME: &'static str = "webhook_registration";
    const ENDS_MIDWAY: bool = true;

    /// Looks, if it is time to, and mends what can be mended.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.context.clock.now();
        if now < self.look_at {
            return Ok(Progress::Idle);
        }
        match self.look().await {
            Ok((mut snapshot, webhook_settings)) => {
                self.has_failed_to_ask = false;
                let is_given_up = matches!(snapshot, RegistrationState::GivenUp(_));
                let is_copy = is_given_up && self.is_copy().await?;
                if is_copy {
                    snapshot = RegistrationState::GivenUp(COPY.to_owned());
                }
                if is_given_up && !is_copy && self.may_revive(&webhook_settings, now).is_ok() {
                    self.note(snapshot).await?;
                    let mended = self.revive(&webhook_settings, now).await;
                    self.note(mended).await?;
                } else {
                    if !is_given_up && self.revive_at + self.revivals.next() < now {
                        self.revivals.succeed();
                    }
                    self.note(snapshot).await?;
                }
            }
            // What keeps us from asking keeps us from sending too, and is logged there.
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed_to_ask, true) {
                    tracing::info!(channel = self.channel, %error, "whether the provider posts to our webhook could not be asked");
                }
            }
        }
        // Set last: what could not be written down is looked at again.
        let spread = 0.9 + rand::random::<f64>() / 5.0;
        self.look_at = now + self.context.config.webhook.look_every.mul_f64(spread);
        Ok(Progress::Worked)
    }

    async fn rest(&mut self, _last: Progress, stop: &CancellationToken) {
        let left = self.look_at.duration_since(self.context.clock.now());
        sleep(Duration::try_from(left).unwrap_or_default(), stop).await;
    }
}

impl WebhookRegistration {
    /// A copy of the database mends nothing for the original.
    async fn is_copy(&self) -> Result<bool, StageError> {
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let (now, server) = (self.context.clock.now(), self.context.system_identifier());
        let environment = &self.context.config.installation.environment;
        let instance = &self.context.instance;
        let found =
            queries::blockers::blockers_read(&tx, &[], environment, server, now, instance).await?;
        Ok(found.iter().any(|blocker| matches!(blocker, Blocker::Copy(_))))
    }

    async fn look(&self) -> Result<(RegistrationState, WebhookSettings), AskError> {
        let webhook_settings = self.client.webhook_settings().await?;
        let snapshot = match webhook_settings.snapshot(&self.secret) {
            webhook_settings::WebhookStatus::Unregistered => RegistrationState::Unregistered,
            webhook_settings::WebhookStatus::GivenUp(_) => {
                let why = self.may_revive(&webhook_settings, self.context.clock.now());
                RegistrationState::GivenUp(why.err().unwrap_or("it is being revived").to_owned())
            }
            webhook_settings::WebhookStatus::NoAcks(_) => RegistrationState::NoAcks,
            webhook_settings::WebhookStatus::Posts(_) => RegistrationState::Posts,
        };
        Ok((snapshot, webhook_settings))
    }

    /// Whether the list may be written back, or why not.
    fn may_revive(
        &self,
        webhook_settings: &WebhookSettings,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if webhook_settings.is_partly_unread {
            return Err(
                "its list has something that is not understood, so it is not written back: revive our \
                        address at the provider",
            );
        }
        if webhook_settings.urls.len() > MAX_URLS {
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
    async fn revive(
        &mut self,
        webhook_settings: &WebhookSettings,
        now: Timestamp,
    ) -> RegistrationState {
        self.revive_at = now + self.revivals.fail();
        match self.write_back(webhook_settings).await {
            Ok(snapshot) => snapshot,
            Err(error) => RegistrationState::GivenUp(format!("it could not be revived: {error}")),
        }
    }

    async fn write_back(
        &self,
        webhook_settings: &WebhookSettings,
    ) -> Result<RegistrationState, AskError> {
        let (snapshot, again) = self.look().await?;
        if again != *webhook_settings {
            return Ok(match snapshot {
                RegistrationState::GivenUp(_) => {
                    RegistrationState::GivenUp("its list is changing just now".to_owned())
                }
                snapshot => snapshot,
            });
        }
        self.client.set_webhook_settings(&webhook_settings.urls).await?;
        let (snapshot, after) = self.look().await?;
        let lost: Vec<&String> =
            webhook_settings.urls.iter().filter(|url| !after.urls.contains(url)).collect();
        if !lost.is_empty() {
            tracing::error!(target: notice::WEBHOOK_LOST_ADDRESSES,
                channel = self.channel,
                addresses = lost.len(),
                "the provider left out addresses that its list had before our webhook was revived; see `rowbell webhook show`"
            );
        }
        Ok(snapshot)
    }

    /// Writes down and tells what is new.
    async fn note(&mut self, snapshot: RegistrationState) -> Result<(), StageError> {
        if self.known.as_ref() == Some(&snapshot) {
            return Ok(());
        }
        let (state, detail) = snapshot.written();
        let client = self.context.pool.get().await?;
        receipt_source::is_known(
            &client,
            &self.context,
            &self.channel,
            ReceiptSourceKind::Destination,
            state,
            detail.as_deref(),
        )
        .await?;
        let is_same_kind = self.known.as_ref().is_some_and(|known| {
            std::mem::discriminant(known) == std::mem::discriminant(&snapshot)
        });
        if !is_same_kind {
            self.tell(&snapshot, state);
        }
        self.known = Some(snapshot);
        Ok(())
    }

    fn tell(&self, snapshot: &RegistrationState, state: ReceiptSourceState) {
        let channel = &self.channel;
        match snapshot {
            RegistrationState::Posts if self.known.is_none() => return,
            RegistrationState::Posts => {
                tracing::info!(channel, "the provider posts to our webhook again")
            }
            RegistrationState::Unregistered => tracing::warn!(target: notice::WEBHOOK_SILENT,
                channel,
                "the provider posts nothing to our webhook: `rowbell webhook register <url>` lets it"
            ),
            RegistrationState::GivenUp(why) => {
                tracing::warn!(target: notice::WEBHOOK_SILENT,
                    channel,
                    why,
                    "the provider has given up our webhook after failures"
                );
            }
            RegistrationState::NoAcks => tracing::warn!(target: notice::WEBHOOK_SILENT,
                channel,
                "the provider posts to our webhook, but tells nothing of deliveries: `rowbell webhook register <url>` \
                 switches that on"
            ),
        }
        metrics::counter!("rowbell_webhook_registration_changes_total", "channel" => channel.clone(), "state" => state.into_str())
            .increment(1);
    }
}
