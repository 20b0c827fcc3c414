//! The provider's list of messages (`GET /messages`): whether it has a message whose answer was lost.

use std::ops::RangeBounds;

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::message::receipt::Receipt;
use crate::domain::message::unconfirmed::SeenMessage;
use crate::domain::recipient::phone_forms::key as phone_key;
use crate::provider::onemsg::webhook_payload::{bounded_id, echo};

/// What the list says of one phone.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageList {
    /// The channel keeps no history: the list says nothing.
    Off,
    /// Messages that left by the API, with the receipt that each of them is.
    Kept(Vec<(SeenMessage, Receipt)>),
}

/// Reads the messages to `phone` of some time. Others, and those of customers, are passed over.
pub fn message_list(answer: &Value, phone: &str, time: impl RangeBounds<Timestamp>) -> MessageList {
    let rows = answer.get("messages").and_then(Value::as_array);
    let has_notice = answer.get("notice").and_then(Value::as_str).is_some_and(|n| !n.is_empty());
    let rows = rows.map_or(&[] as &[Value], Vec::as_slice);
    if has_notice && rows.is_empty() {
        return MessageList::Off;
    }
    let key = phone_key(phone);
    let kept = rows.iter().filter_map(|row| {
        let receipt = echo(row)?;
        let is_to_phone = receipt.phone.as_deref().is_none_or(|to| phone_key(to) == key);
        let is_in_time = receipt.occurred_at.is_some_and(|at| time.contains(&at));
        let text = row.get("body").and_then(Value::as_str).map(str::to_owned);
        let id = bounded_id(&receipt.provider_message_id);
        (is_to_phone && is_in_time).then_some((SeenMessage { id, text }, receipt))
    });
    MessageList::Kept(kept.collect())
}
