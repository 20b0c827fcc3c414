//! Opens an unconfirmed attempt when the answer to a request is lost, and notes the receipts that no attempt
//! knows: reconcile looks for what belongs together.

use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::message::receipt::Receipt;
use crate::domain::recipient::phone_forms::key as phone_key;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;
use crate::postgres::queries::settle::MessageSnapshot;

/// When evidence is looked for first: an answer that was only late is there by then.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How often it is looked whether a person has settled what the policy of the watch keeps for them.
pub const LATE_LOOK_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// The provider may have the last attempt of a message.
pub async fn open(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
    snapshot: &MessageSnapshot,
    decide_at: Timestamp,
) -> Result<(), StageError> {
    let Some(phone) = snapshot.phone.as_ref().filter(|_| context.shows_messages(&snapshot.channel))
    else {
        return Ok(());
    };
    context.unconfirmed.there_may_be(true);
    let (key, look_at) = (phone_key(phone), context.clock.now() + FIRST_LOOK);
    queries::unconfirmed::unconfirmed_open(
        tx,
        message_id,
        snapshot.attempt_count,
        &key,
        decide_at,
        look_at,
    )
    .await?;
    Ok(())
}

/// Ids that no attempt knows may be those of requests whose answer was lost, or will be.
pub async fn note_unmatched(
    tx: &Transaction<'_>,
    context: &Context,
    channel: &str,
    mut unmatched: Vec<&Receipt>,
) -> Result<(), StageError> {
    // One order for all, so that two deliveries never wait for each other.
    unmatched.sort_by(|a, b| a.provider_message_id.cmp(&b.provider_message_id));
    if !unmatched.is_empty() {
        queries::unconfirmed::unmatched_note(
            tx,
            channel,
            &unmatched,
            phone_key,
            context.clock.now(),
        )
        .await?;
        context.unconfirmed.noted_unmatched();
    }
    Ok(())
}
