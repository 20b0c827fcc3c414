//! Makes a message of a net change.

use jiff::Timestamp;

use crate::config::{self, Config};
use crate::domain::message::message::Message;
use crate::domain::message::state::{Failure, Skip, State};
use crate::domain::notice;
use crate::domain::value::change::{NetChange, Operation};
use crate::postgres::queries::claim::{FoldedIn, OpenMessage};
use crate::postgres::queries::claimed_batch::Taken;

/// When a message leaves: a quiet period after its last change, but at most `max_wait` after its
/// first. A change of the future was captured before a clock was set back.
pub fn leaves_at(
    watch: &config::Watch,
    first: Timestamp,
    last: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let (first, last) = (first.min(now), last.min(now));
    (last + watch.quiet_period).min(first + watch.max_wait.max(watch.quiet_period))
}

/// A message that waits for its quiet period, or for a permit.
pub fn waiting(watch: &config::Watch, net: NetChange, now: Timestamp) -> Message {
    let due_at = leaves_at(watch, net.first_changed_at, net.last_changed_at, now);
    Message { due_at, ..Message::new(net, &watch.channel) }
}

/// Later changes of an open message.
pub fn folded_in(
    config: &Config,
    message: OpenMessage,
    net: NetChange,
    now: Timestamp,
) -> Option<FoldedIn> {
    let watch = config.watch.get(&net.watch)?;
    let due_at = leaves_at(watch, message.first_changed_at, net.last_changed_at, now);
    // A wait after an attempt in vain goes on. What a gate had put off, tried before or not, is decided anew:
    // the change may be urgent, where what was to be told before was not.
    let due_at = if message.waits_after_attempt() { due_at.max(message.due_at) } else { due_at };
    let operation = Operation::between(message.old_row.as_ref(), net.new_row.as_ref());
    let hold_id = net.hold_id();
    Some(FoldedIn {
        message_id: message.message_id,
        operation,
        new_row: net.new_row,
        change_count: net.change_count,
        last_changed_at: net.last_changed_at,
        due_at,
        changed_by: net.changed_by,
        hold_id,
    })
}

/// A message that waits for a person.
pub fn held(watch: &config::Watch, net: NetChange, now: Timestamp) -> Message {
    Message { state: State::Held, ..waiting(watch, net, now) }
}

/// A muted change counts as told from now on.
pub fn muted(config: &Config, net: NetChange, reason: String, now: Timestamp) -> Option<Message> {
    let watch = config.watch.get(&net.watch)?;
    let state = State::Skipped(Skip::Muted);
    Some(Message { state, reason_text: Some(reason), ..waiting(watch, net, now) })
}

/// A message that a person ended before it was opened.
pub fn discarded(watch: &config::Watch, net: NetChange, text: String, now: Timestamp) -> Message {
    let state = State::Skipped(Skip::Discarded);
    Message { state, reason_text: Some(text), ..waiting(watch, net, now) }
}

/// A row that the trigger could not read: on record as failed, for a person to look at.
pub fn unreadable(config: &Config, taken: Taken) -> Option<Message> {
    let Taken::Unreadable { watch, entity_key, operation, changed_at, error } = taken else {
        return None;
    };
    // The error may quote the row.
    tracing::error!(target: notice::ROW_NOT_CAPTURED, watch, "a changed row could not be captured; rowbell_report.failures says why");
    let channel = &config.watch.get(&watch)?.channel;
    let net = NetChange {
        watch,
        entity_key,
        operation,
        old_row: None,
        new_row: None,
        change_count: 1,
        first_changed_at: changed_at,
        last_changed_at: changed_at,
        changed_by: Vec::new(),
        set_aside: None,
    };
    let reason_text = Some(format!("the row could not be captured: {error}"));
    let state = State::Failed(Failure::Unwritable);
    Some(Message { state, reason_text, ..Message::new(net, channel) })
}
