//! Moves one message by one event, and writes its state, its queue entry and what follows from them together.
//! Besides it only two batches move messages after their lease: plain acceptances in settle, receipts in evidence.

use deadpool_postgres::Transaction;

use crate::domain::message::state::{Event, Skip, State, apply};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::settle::{fallback_schedule, unconfirmed};
use crate::postgres::queries;
use crate::postgres::queries::settle::{MessageSnapshot, TransitionDetails};

/// Moves one locked message by one event. An event that cannot happen any more changes nothing: its
/// evidence is stored all the same.
pub async fn transition(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
    snapshot: &MessageSnapshot,
    event: Event,
    details: TransitionDetails<'_>,
) -> Result<State, StageError> {
    let Ok(mut state) = apply(snapshot.state, event) else {
        tracing::debug!(message.id = message_id, state = ?snapshot.state, ?event, "evidence came too late to matter");
        return Ok(snapshot.state);
    };
    // The same evidence again, as when a delivery is repeated.
    if state == snapshot.state
        && details.provider_message_id.is_none()
        && state != State::Unconfirmed
    {
        return Ok(state);
    }
    // A newer message of the entity tells it instead: there must never be two open ones. If claim opens one in this
    // very moment, the unique index of the queue fails this transaction, and the next try finds it.
    if state == State::Scheduled
        && queries::settle::settle_sibling(tx, snapshot, message_id).await?.is_some()
    {
        state = State::Skipped(Skip::Superseded);
    }
    let now = context.clock.now();
    match state {
        State::Scheduled => {
            queries::settle::settle_split(tx, message_id).await?;
            queries::settle::settle_queue(tx, message_id, "open", details.due_at).await?;
            if let Some(channel_sender) = context.channel_senders.get(&snapshot.channel) {
                channel_sender.put_off(details.due_at);
            }
        }
        State::Unconfirmed => {
            let decide_at = now + context.config.delivery.unconfirmed_after;
            queries::settle::settle_queue(tx, message_id, "unconfirmed", decide_at).await?;
            unconfirmed::open(tx, context, message_id, snapshot, decide_at).await?;
        }
        _ => queries::settle::settle_leave_queue(tx, message_id).await?,
    }
    queries::settle::settle_move(tx, message_id, state, &details, now).await?;
    // What no request was made for stands in no entry of an attempt.
    if snapshot.attempt_count > 0 {
        queries::settle::told_settle(tx, &[message_id], &context.silent_channels).await?;
    }
    if state.is_untold() {
        queries::settle::told_assume(tx, &[message_id]).await?;
    }
    if state != snapshot.state {
        context.counts.became(&snapshot.watch, &snapshot.channel, state);
    }
    if state == State::Sent && snapshot.state != State::Sent {
        queries::poll::poll_enroll(tx, message_id, &snapshot.channel, now, context.ask(now))
            .await?;
    }
    fallback_schedule::settled(tx, context, message_id, snapshot, state).await?;
    Ok(state)
}
