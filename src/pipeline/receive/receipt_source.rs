//! What can tell of a channel's receipts, and when it did last: the webhook, and the provider when it
//! is asked; and whether the provider posts to the webhook, as it says itself. Persisted, so that
//! `status` can say which of them a channel has.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::message::receipt::{ReceiptSourceKind, ReceiptSourceState};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;

/// How often it is written down that a receipt source was heard.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// What this process wrote down last.
#[derive(Debug, Default)]
pub struct ReceiptSources(Mutex<HashMap<(String, ReceiptSourceKind), Timestamp>>);

impl ReceiptSources {
    /// Whether it is time to write it down again.
    fn is_due(&self, channel: &str, kind: ReceiptSourceKind, now: Timestamp) -> bool {
        // Times are right at every line; a panic elsewhere does not spoil them.
        let mut written = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (channel.to_owned(), kind);
        let is_due = written.get(&key).is_none_or(|at| *at + WRITE_EVERY <= now);
        if is_due {
            written.insert(key, now);
        }
        is_due
    }

    fn forget(&self, channel: &str, kind: ReceiptSourceKind) {
        let mut written = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        written.remove(&(channel.to_owned(), kind));
    }
}

/// A receipt source told something.
pub async fn heard(
    client: &deadpool_postgres::Client,
    context: &Context,
    channel: &str,
    kind: ReceiptSourceKind,
) -> Result<(), StageError> {
    let now = context.clock.now();
    if context.receipt_sources.is_due(channel, kind, now) {
        let written = queries::receipt_source_write(
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
    queries::receipt_source_write(client, channel, kind, state, why, now).await?;
    Ok(())
}
