//! Schedules the next channel of a watch for messages that the gates ended. The fallback stage opens it; it is
//! scheduled in the transaction that ends the message.

use deadpool_postgres::Transaction;

use crate::domain::message::fallback::FallbackCause;
use crate::domain::message::message::Message;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;

/// After these messages were written.
pub async fn schedule(
    tx: &Transaction<'_>,
    context: &Context,
    messages: &[Message],
) -> Result<(), StageError> {
    let may_fall_back = |message: &&Message| {
        let watch = context.config.watch.get(&message.watch);
        watch.is_some_and(|watch| watch.may_fall_back(&message.channel, message.state))
    };
    let ended: Vec<i64> =
        messages.iter().filter(may_fall_back).filter_map(|message| message.message_id).collect();
    queries::fallback::fallback_await(tx, &ended, FallbackCause::Skipped, context.clock.now())
        .await?;
    Ok(())
}
