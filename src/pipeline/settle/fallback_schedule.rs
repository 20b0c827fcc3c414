//! What did not reach its recipient may have to go on to the next channel of its watch: written down here,
//! by whoever ends a message, for the fallback stage to look at.

use deadpool_postgres::Transaction;

use crate::domain::message::fallback::FallbackCause;
use crate::domain::message::state::{Skip, State};
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries::{self, NewMessage, Standing};

/// After a message went to `state`.
pub async fn settled(
    tx: &Transaction<'_>,
    site: &Site,
    message_id: i64,
    standing: &Standing,
    state: State,
) -> Result<(), StageError> {
    let Some(watch) = site.config.watch.get(&standing.watch) else {
        return Ok(());
    };
    let now = site.clock.now();
    if watch.leads_on(&standing.channel, state) {
        queries::fallback_await(tx, &[message_id], FallbackCause::Failed, now).await?;
    } else if let (State::Sent | State::Unconfirmed, Some(after)) =
        (state, watch.undelivered_after(&standing.channel))
    {
        queries::fallback_await(tx, &[message_id], FallbackCause::Undelivered, now + after).await?;
    }
    Ok(())
}

/// After messages were opened that leave in the same moment, or do not.
pub async fn opened(
    tx: &Transaction<'_>,
    site: &Site,
    messages: &[NewMessage],
    ids: &[i64],
) -> Result<(), StageError> {
    let leads_on = |message: &NewMessage| {
        let watch = site.config.watch.get(&message.watch);
        watch.is_some_and(|watch| watch.leads_on(&message.channel, message.state))
    };
    let on: Vec<i64> =
        messages.iter().zip(ids).filter(|(m, _)| leads_on(m)).map(|(_, id)| *id).collect();
    queries::fallback_await(tx, &on, FallbackCause::Skipped, site.clock.now()).await?;
    Ok(())
}

/// After receipts moved messages: what stands in for those that arrived is not needed.
pub async fn received(
    tx: &Transaction<'_>,
    site: &Site,
    moved: &[(i64, State, String)],
) -> Result<(), StageError> {
    let has_fallback =
        |watch: &str| site.config.watch.get(watch).is_some_and(|watch| !watch.fallback.is_empty());
    let arrived: Vec<i64> = moved
        .iter()
        .filter(|(_, state, watch)| {
            matches!(state, State::Delivered | State::Read) && has_fallback(watch)
        })
        .map(|(id, ..)| *id)
        .collect();
    if !arrived.is_empty() {
        for (watch, channel) in queries::fallback_withdraw(tx, &arrived, site.clock.now()).await? {
            site.counts.became(&watch, &channel, State::Skipped(Skip::NotNeeded));
        }
    }
    Ok(())
}
