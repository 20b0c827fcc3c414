//! GET /readyz: whether the daemon does its work, judged by what moves and not by what is connected. A connection that
//! swallows bytes is connected, a stage that hangs is alive.
//!
//! Ready is: the database answers; the doorbell is heard, or polling has taken its place; no stage hangs or fails;
//! changes that wait are taken; some daemon sends on each channel, and errors have not stopped it; what was sent is heard
//! of. Each says what is not so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::ChannelKind;
use crate::pipeline::context::context::Context;
use crate::postgres::connection::listener::Listening;
use crate::postgres::connection::session::Hearing;
use crate::postgres::operations::figures::{FirstChange, ServedChannel};

/// A change that has waited so long should have been taken, or others before it.
const CHANGE_WAITS: SignedDuration = SignedDuration::from_secs(60);

/// Within this time some change must have been taken, if one waits.
const CLAIMS_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// A stage that could do no step for so long, or whose step lasts longer than that, is not at work.
const STAGE_FAILS: Duration = Duration::from_secs(10);
const STAGE_HANGS: Duration = Duration::from_secs(120);

/// So many messages, the first of them so long ago, and not one receipt: they do not come through. Polling asks within
/// its own time, which comes on top.
const UNHEARD: usize = 5;
const UNHEARD_FOR: SignedDuration = SignedDuration::from_mins(15);

/// What `/readyz` asks for itself.
pub struct Readiness {
    context: Arc<Context>,
    listening: Listening,
    /// The first change that waited at the last look, and when it was first seen as that.
    first_change: Mutex<Option<(i64, Timestamp)>>,
}

/// One thing that has to be so, and why it is not.
#[derive(Debug, PartialEq)]
pub struct ReadyCheck {
    pub of: String,
    pub fault: Option<String>,
}

/// What the database knows; None: it did not answer.
pub type Known = Option<(Option<FirstChange>, Vec<ServedChannel>)>;

impl Readiness {
    pub fn new(context: Arc<Context>, listening: Listening) -> Readiness {
        Readiness { context, listening, first_change: Mutex::default() }
    }

    /// Everything that has to be so.
    pub fn checks(&self, known: Known) -> Vec<ReadyCheck> {
        let mut checks = vec![
            check(
                "database",
                known.is_none().then(|| "it did not answer within 3 seconds".to_owned()),
            ),
            check("listener", self.listener()),
            check("stages", self.stages()),
        ];
        if let Some((first, channels)) = known {
            checks.push(check("claims", self.claims(first)));
            for channel in channels {
                let fault = not_sending(&channel).or_else(|| self.mute(&channel.channel));
                checks.push(check(&format!("channel {}", channel.channel), fault));
                if self.has_receipts(&channel.channel) {
                    checks.push(check(
                        &format!("receipts {}", channel.channel),
                        self.receipts(&channel),
                    ));
                }
            }
        }
        checks
    }

    fn listener(&self) -> Option<String> {
        match self.listening.hearing() {
            Hearing::Listening(_) | Hearing::PollOnly => None,
            Hearing::Connecting => {
                Some("the connection that listens is being made anew".to_owned())
            }
        }
    }

    fn stages(&self) -> Option<String> {
        let pulses = &self.context.pulses;
        let hanging = pulses.hanging(STAGE_HANGS).join(", ");
        let mut faults = Vec::new();
        if !hanging.is_empty() {
            faults.push(format!("{hanging} has not come to the end of a step for two minutes"));
        }
        // What keeps several from their work is mostly one thing.
        let mut by_cause = BTreeMap::<String, Vec<String>>::new();
        for (stage, why) in pulses.failing(STAGE_FAILS) {
            by_cause.entry(why).or_default().push(stage);
        }
        let failing = by_cause.into_iter();
        faults.extend(
            failing.map(|(why, stages)| format!("{} cannot work: {why}", stages.join(", "))),
        );
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    /// A change waits, and none is taken: neither by this daemon nor, as far as can be seen, by another one.
    fn claims(&self, first: Option<FirstChange>) -> Option<String> {
        let (now, steady) = (self.context.clock.now(), self.context.clock.steady());
        let mut seen = self.first_change.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = first else {
            *seen = None;
            return None;
        };
        let moved_at = match *seen {
            // Another one was the first before, so some were taken.
            Some((before, _)) if before != first.change_id => Some(steady),
            Some((_, since)) => Some(since),
            None => None,
        };
        *seen = Some((first.change_id, moved_at.unwrap_or(steady)));
        let waits = now.duration_since(first.changed_at);
        let claimed_at = self.context.counts.claimed_at().max(moved_at);
        let is_moving = claimed_at.is_some_and(|at| steady.duration_since(at) < CLAIMS_WITHIN);
        (waits > CHANGE_WAITS && !is_moving).then(|| {
            format!(
                "a change of watch {} has waited for {} s, and none was taken meanwhile",
                first.watch,
                waits.as_secs()
            )
        })
    }

    /// What this daemon asks has no answer.
    fn mute(&self, channel: &str) -> Option<String> {
        let count = self.context.channel_senders.get(channel)?.mute()?;
        Some(format!("the last {count} requests to the provider had no answer"))
    }

    fn has_receipts(&self, channel: &str) -> bool {
        let kind = self.context.config.channel.get(channel).map(|channel| &channel.kind);
        let is_dry = self.context.config.is_dry_run(channel);
        matches!(kind, Some(ChannelKind::OneMsg(_))) && !is_dry
    }

    fn receipts(&self, channel: &ServedChannel) -> Option<String> {
        let config = &self.context.config;
        let by_webhook = !config.webhook.listen.is_empty();
        if !by_webhook && !config.polling.enabled {
            return None;
        }
        let posts = by_webhook && !channel.is_unregistered;
        let answers = config.polling.enabled && !channel.is_not_answered;
        if !posts && !answers {
            return Some(
                "the provider neither posts to our webhook nor answers questions".to_owned(),
            );
        }
        let (count, since) = self.context.channel_senders.get(&channel.channel)?.unheard()?;
        // Another daemon may have heard.
        let is_heard = channel.heard_at.is_some_and(|at| at > since);
        let patience = UNHEARD_FOR.checked_add(self.polls_after())?;
        let is_late = self.context.clock.now().duration_since(since) > patience;
        (count >= UNHEARD && is_late && !is_heard)
            .then(|| format!("{count} messages were accepted, and nothing was heard since"))
    }

    fn polls_after(&self) -> SignedDuration {
        let after = self.context.config.polling.first_after;
        SignedDuration::try_from(after).unwrap_or(SignedDuration::ZERO)
    }
}

/// Nobody has the right to send on the channel, or errors have stopped it.
fn not_sending(channel: &ServedChannel) -> Option<String> {
    match &channel.stopped_by {
        _ if !channel.is_owned => Some("no daemon sends on it".to_owned()),
        Some(why) => Some(format!("errors have stopped it: {why}")),
        None => None,
    }
}

fn check(of: &str, fault: Option<String>) -> ReadyCheck {
    ReadyCheck { of: of.to_owned(), fault }
}

/// As Kubernetes writes its own: a line for each, those that are not so first to the eye.
pub fn as_text(checks: &[ReadyCheck]) -> String {
    let mut text = String::new();
    for ReadyCheck { of, fault } in checks {
        // Writing to a text does not fail.
        let _ = match fault {
            None => writeln!(text, "[+] {of} ok"),
            Some(fault) => writeln!(text, "[-] {of}: {fault}"),
        };
    }
    let is_ready = checks.iter().all(|check| check.fault.is_none());
    text + if is_ready { "ready\n" } else { "not ready\n" }
}
