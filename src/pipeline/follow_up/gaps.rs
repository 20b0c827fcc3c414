//! Notices gaps: times in which a watch captured nothing, because its trigger was missing or disabled, and changes that
//! were dropped for want of room. Both are kept until somebody has caught up (`rowbell catch-up`).
//!
//! Looks once a minute: what is off and on again in between is not seen. With several daemons each of them looks, and
//! writes nothing that stands there already.

use crate::config::OnFull;
use crate::domain::notice;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::capture::install;
use crate::postgres::missed::gap;

/// Looks whether every watch captures, and notes what has changed since.
pub async fn note(context: &Context) -> Result<(), StageError> {
    let triggers = {
        let client = context.pool.get().await?;
        install::triggers(&client).await?
    };
    let (mut silent, mut capturing) = (Vec::new(), Vec::new());
    for name in context.config.watch.keys() {
        // What cannot be looked at now is said by those who need it.
        let Ok(Ok(compiled)) = context.compiled(name).await else { continue };
        match install::captures(&triggers, &compiled.table) {
            true => capturing.push(name.as_str()),
            false => silent.push(name.as_str()),
        }
    }
    let dropping: Vec<&str> = match context.config.capture.on_full {
        OnFull::Fail => Vec::new(),
        OnFull::Drop => context.config.watch.keys().map(String::as_str).collect(),
    };
    let now = context.clock.now();
    let mut client = context.pool.get().await?;
    let tx = client.transaction().await?;
    let began = gap::note(&tx, &silent, &capturing, now).await?;
    let dropped = match dropping.is_empty() {
        true => Vec::new(),
        false => gap::dropped(&tx, &dropping, now).await?,
    };
    tx.commit().await?;
    for watch in began {
        tracing::error!(target: notice::TRIGGER_MISSING,
            watch,
            "its trigger is missing or disabled, so nothing is captured; see `rowbell status`"
        );
    }
    if !dropped.is_empty() {
        tracing::error!(target: notice::CHANGES_DROPPED,
            "changes were dropped because there was no room for them; see `rowbell catch-up`"
        );
    }
    Ok(())
}
