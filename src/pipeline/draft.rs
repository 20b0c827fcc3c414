//! How a net change becomes the row of a message.

use jiff::Timestamp;

use super::gates::{Candidate, Decision};
use crate::config;
use crate::domain::change::NetChange;
use crate::domain::message::State;
use crate::postgres::queries::NewMessage;

/// When a message leaves: a quiet period after its last change, but at most `max_wait` after its
/// first.
pub fn leaves_at(watch: &config::Watch, first: Timestamp, last: Timestamp) -> Timestamp {
    (last + watch.quiet_period).min(first + watch.max_wait.max(watch.quiet_period))
}

/// A message that waits for its quiet period, or for a permit.
pub fn waiting(watch: &config::Watch, net: NetChange) -> NewMessage {
    NewMessage {
        due_at: leaves_at(watch, net.first_changed_at, net.last_changed_at),
        state: State::Waiting,
        reason_text: None,
        channel: watch.channel.clone(),
        words: None,
        watch: net.watch,
        entity_key: net.entity_key,
        operation: net.operation,
        change_count: net.change_count,
        first_changed_at: net.first_changed_at,
        last_changed_at: net.last_changed_at,
        old_row: net.old_row,
        new_row: net.new_row,
    }
}

/// The net change as the gates want it.
pub fn candidate(watch: &config::Watch, net: &NetChange) -> Candidate {
    Candidate {
        message_id: None,
        channel: watch.channel.clone(),
        fallback_of: None,
        attempt_count: 0,
        entity_key: net.entity_key.clone(),
        operation: net.operation,
        old_row: net.old_row.clone(),
        new_row: net.new_row.clone(),
    }
}

/// A message for which the gates have decided.
pub fn decided(watch: &config::Watch, net: NetChange, decision: Decision) -> NewMessage {
    let state = decision.state();
    let (reason_text, due_at, words) = decision.into_parts();
    let message = waiting(watch, net);
    NewMessage { state, reason_text, words, due_at: due_at.unwrap_or(message.due_at), ..message }
}
