//! Puts off a message while an earlier one to the same phone is unconfirmed: in what the provider shows, nobody
//! could tell which is which.

use std::time::Duration;

use deadpool_postgres::Transaction;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::WaitsFor;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;

/// How long a message waits for an earlier one to the same phone before it asks again.
const WAIT: Duration = Duration::from_secs(10);

/// Puts off what would be sent to a phone to which the same template is unconfirmed.
pub async fn hold_back(
    tx: &Transaction<'_>,
    context: &Context,
    messages: &[Message],
    decisions: &mut [Decision],
) -> Result<(), StageError> {
    if !context.unconfirmed.there_may_be_some() {
        return Ok(());
    }
    let now = context.clock.now();
    let phones = queries::unconfirmed::unconfirmed_phones(tx, now).await?;
    for (message, decision) in messages.iter().zip(decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let is_unconfirmed = phones.iter().any(|phone| {
            Some(phone.message_id) != message.message_id
                && phone.channel == message.channel
                && Some(phone.phone.as_str()) == words.recipient.phone()
                && phone.template == words.template
        });
        if is_unconfirmed {
            let why = "an earlier message to the same phone is unconfirmed, and evidence is sought";
            *decision = Decision::defer(now + WAIT, WaitsFor::UnconfirmedAttempt, why);
        }
    }
    Ok(())
}
