//! Stores where a channel's receipts come from (the webhook, the polled provider), when they came last, and
//! whether the source works, so that `status` can show it.

use crate::domain::message::receipt::{ReceiptSourceKind, ReceiptSourceState};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;

/// A receipt came from this source.
pub async fn heard(
    client: &deadpool_postgres::Client,
    context: &Context,
    channel: &str,
    kind: ReceiptSourceKind,
) -> Result<(), StageError> {
    let now = context.clock.now();
    if context.receipt_sources.is_due(channel, kind, now) {
        let written = queries::poll::receipt_source_write(
            client,
            channel,
            kind,
            ReceiptSourceState::Works,
            None,
            now,
        )
        .await;
        written.inspect_err(|_| context.receipt_sources.forget(channel, kind))?;
    }
    Ok(())
}

/// A receipt source cannot tell: `missing` or `failing`, and why.
pub async fn is_silent(
    client: &deadpool_postgres::Client,
    context: &Context,
    channel: &str,
    kind: ReceiptSourceKind,
    state: ReceiptSourceState,
    why: &str,
) -> Result<(), StageError> {
    context.receipt_sources.forget(channel, kind);
    is_known(client, context, channel, kind, state, Some(why)).await
}

/// How a receipt source stands: `works`, `missing` or `failing`, and why.
pub async fn is_known(
    client: &deadpool_postgres::Client,
    context: &Context,
    channel: &str,
    kind: ReceiptSourceKind,
    state: ReceiptSourceState,
    why: Option<&str>,
) -> Result<(), StageError> {
    let now = context.clock.now();
    queries::poll::receipt_source_write(client, channel, kind, state, why, now).await?;
    Ok(())
}
