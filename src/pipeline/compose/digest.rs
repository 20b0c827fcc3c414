//! Joins what is due for one recipient of a watch into one request.
//!
//! Takes, besides the messages that are due, those of the same recipients that are due within the quiet period: their
//! own quiet period ends with that of the first. Each stays a message of its own, with its attempt and its entry in the
//! ledger; one of them carries the others, and whatever becomes of the request becomes of all. Not promised: that
//! everything is said where WhatsApp's room ends; what is only counted is not taken as told.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;

use crate::domain::message::attempt::AttemptId;
use crate::domain::message::message::Message;
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::decide::recipient_keys;
use crate::postgres::queries;

/// How many messages are looked at besides those that are due.
const MOST: i64 = 500;

/// The due messages, and those that are soon due for the same recipients.
pub async fn gather(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    channel: &str,
    mut due: Vec<Message>,
) -> Result<Vec<Message>, StageError> {
    let now = context.clock.now();
    let until = now + compiled.config.quiet_period;
    let watch = (channel, compiled.name.as_str());
    let soon = queries::compose::compose_soon(tx, watch, (now, until), &due, MOST).await?;
    if soon.is_empty() {
        return Ok(due);
    }
    let keys = recipient_keys(tx, context, compiled, &due).await?;
    let told: HashSet<String> = keys.into_iter().flatten().collect();
    let keys = recipient_keys(tx, context, compiled, &soon).await?;
    let joins = |keys: &[String]| keys.iter().any(|key| told.contains(key));
    due.extend(soon.into_iter().zip(keys).filter(|(_, keys)| joins(keys)).map(|(soon, _)| soon));
    Ok(due)
}

/// The attempts that the request of each message says besides its own.
pub fn carried(messages: &[Message], attempts: &HashMap<i64, i16>) -> HashMap<i64, Vec<AttemptId>> {
    let mut carried: HashMap<i64, Vec<AttemptId>> = HashMap::new();
    for message in messages {
        let carrier = message.words.as_ref().and_then(|words| words.carried_by);
        let (Some(carrier), Some(message_id)) = (carrier, message.message_id) else { continue };
        if let Some(number) = attempts.get(&message_id) {
            let attempt = AttemptId { message_id, number: *number };
            carried.entry(carrier.message_id).or_default().push(attempt);
        }
    }
    carried
}
