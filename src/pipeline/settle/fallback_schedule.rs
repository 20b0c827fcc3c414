//! Schedules the next channel of a watch for a message that did not reach its recipient, and withdraws it when the
//! message arrived after all. The fallback stage opens it.

use deadpool_postgres::Transaction;

use crate::domain::message::fallback::FallbackCause;
use crate::domain::message::state::{Skip, State};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;
use crate::postgres::queries::settle::MessageSnapshot;

/// After a message went to `state`.
pub async fn settled(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
    snapshot: &MessageSnapshot,
    state: State,
) -> Result<(), StageError> {
    let Some(watch) = context.config.watch.get(&snapshot.watch) else {
        return Ok(());
    };
    let now = context.clock.now();
    if watch.may_fall_back(&snapshot.channel, state) {
        queries::fallback::fallback_await(tx, &[message_id], FallbackCause::Failed, now).await?;
    } else if let (State::Sent | State::Unconfirmed, Some(after)) =
        (state, watch.undelivered_after(&snapshot.channel))
    {
        queries::fallback::fallback_await(
            tx,
            &[message_id],
            FallbackCause::Undelivered,
            now + after,
        )
        .await?;
    }
    Ok(())
}

/// After receipts moved messages: what stands in for those that arrived is not needed.
pub async fn received(
    tx: &Transaction<'_>,
    context: &Context,
    moved: &[(i64, State, String)],
) -> Result<(), StageError> {
    let has_fallback = |watch: &str| {
        context.config.watch.get(watch).is_some_and(|watch| !watch.fallback.is_empty())
    };
    let arrived: Vec<i64> = moved
        .iter()
        .filter(|(_, state, watch)| {
            matches!(state, State::Delivered | State::Read) && has_fallback(watch)
        })
        .map(|(id, ..)| *id)
        .collect();
    if !arrived.is_empty() {
        for (watch, channel) in
            queries::fallback::fallback_withdraw(tx, &arrived, context.clock.now()).await?
        {
            context.counts.became(&watch, &channel, State::Skipped(Skip::NotNeeded));
        }
    }
    Ok(())
}
