//! What of the status needs a person so much that somebody is told.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::alert::{AlertCause, AlertKind};
use crate::domain::message::receipt::ReceiptSourceState;
use crate::domain::text::short_text::{age, count};
use crate::postgres::operations::blockers::{ActiveBlocker, BlockerKind, BlockerSubject};
use crate::postgres::operations::status_report::{ChannelStatus, Status};
use crate::postgres::outcome::outgoing_deliveries::EndpointStatus;

/// In the order of the status.
pub fn causes(status: &Status, about: &[AlertKind], late_after: Duration) -> Vec<AlertCause> {
    let late_after = SignedDuration::try_from(late_after).unwrap_or(SignedDuration::MAX);
    let mut found: Vec<AlertCause> = status.blockers.iter().filter_map(stopped).collect();
    for channel in status.channels.iter().filter(|channel| channel.is_configured) {
        let is_stopped = status.blockers.iter().any(|blocker| is_of(blocker, &channel.channel));
        // What stands still is late, of course.
        if !is_stopped {
            found.extend(late(channel, status.taken_at, late_after));
        }
        found.extend(unheard(channel));
    }
    found.extend(status.endpoints.iter().filter_map(untold));
    found.retain(|cause| about.contains(&cause.kind));
    found
}

fn stopped(blocker: &ActiveBlocker) -> Option<AlertCause> {
    let subject = blocker.what.to_string();
    let because = blocker.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let (kind, what) = match (&blocker.kind, &blocker.what) {
        (BlockerKind::Hold, _) => {
            let messages = count(blocker.messages.unwrap_or(0), "message");
            (
                AlertKind::StormHeld,
                format!("{messages} of {subject} wait for a person{because}; see rowbell held"),
            )
        }
        (BlockerKind::Circuit, BlockerSubject::Template(_)) => {
            (AlertKind::TemplateRejected, format!("errors have stopped {subject}{because}"))
        }
        (BlockerKind::Circuit, _) => {
            (AlertKind::ChannelStopped, format!("errors have stopped {subject}{because}"))
        }
        _ => return None,
    };
    Some(AlertCause { kind, subject, what })
}

fn is_of(blocker: &ActiveBlocker, channel: &str) -> bool {
    matches!(blocker.kind, BlockerKind::Circuit | BlockerKind::Paused | BlockerKind::Copy)
        && match &blocker.what {
            BlockerSubject::Channel(name) => name == channel,
            BlockerSubject::Database(_) => true,
            _ => false,
        }
}

fn late(channel: &ChannelStatus, now: Timestamp, after: SignedDuration) -> Option<AlertCause> {
    let at = channel.oldest_due_at.filter(|at| now.duration_since(*at) > after)?;
    let name = &channel.channel;
    Some(AlertCause {
        kind: AlertKind::QueueLate,
        subject: format!("channel {name}"),
        what: format!(
            "messages on channel {name} are late, the first by {}; see rowbell status",
            age(at, now)
        ),
    })
}

/// Neither the webhook nor polling tells what becomes of messages.
fn unheard(channel: &ChannelStatus) -> Option<AlertCause> {
    use ReceiptSourceState::{Failing, Missing};
    let is_bad = |state| matches!(state, Some(Missing | Failing));
    let ChannelStatus { webhook, registration, polling, .. } = channel;
    let is_outdated = webhook.last_worked_at > registration.since;
    let posts = webhook.is_on && (is_outdated || !is_bad(registration.state));
    let answers = polling.is_on && !is_bad(polling.state);
    let name = &channel.channel;
    (channel.has_receipts && !posts && !answers).then(|| AlertCause {
        kind: AlertKind::NoReceipts,
        subject: format!("channel {name}"),
        what: format!(
            "nothing tells what becomes of messages on channel {name}; see rowbell status"
        ),
    })
}

fn untold(endpoint: &EndpointStatus) -> Option<AlertCause> {
    let name = &endpoint.endpoint;
    let is_stopped = endpoint.gone_at.is_some() || endpoint.opened_at.is_some();
    let why = endpoint.last_error.as_ref().map_or(String::new(), |why| format!(": {why}"));
    (endpoint.is_configured && is_stopped).then(|| AlertCause {
        kind: AlertKind::EndpointStopped,
        subject: format!("endpoint {name}"),
        what: format!("endpoint {name} does not take outcomes{why}; see rowbell outgoing list"),
    })
}
