//! What customers answer to our messages: kept, joined to the message that it quotes, and told to the application. Nothing is
//! answered to it, and what quotes no message of ours is not kept.

use deadpool_postgres::Transaction;

use crate::domain::reply::Reply;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::outcome::replies;
use crate::provider::onemsg::webhook_payload::InboundMessage;

/// Stores the replies among these messages.
pub async fn take_replies(
    tx: &Transaction<'_>,
    context: &Context,
    channel: &str,
    messages: &[InboundMessage],
) -> Result<(), StageError> {
    if !context.config.inbound.replies {
        return Ok(());
    }
    let found: Vec<Reply> = messages.iter().filter_map(InboundMessage::reply).collect();
    if found.is_empty() {
        return Ok(());
    }
    let new = replies::reply_take(tx, channel, &found, context.clock.now()).await?;
    let new = u64::try_from(new).unwrap_or(0);
    metrics::counter!("rowbell_replies_total").increment(new);
    Ok(())
}
