//! What the provider posts to us, in every form that was seen or documented: `ack`, `hooks`,
//! `messages`, and Meta's own `entry`, alone or together. What is not known is passed over.

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::message::receipt::{Receipt, ReceiptStatus};
use crate::provider::onemsg::error_payload;

/// Items read from one delivery; Meta sends up to about a thousand.
const MAX_ITEMS: usize = 10_000;

/// Characters of an item that are kept as evidence.
const MAX_RAW: usize = 2_000;

/// How the ids begin that `rowbell webhook test` posts: they are stored like any other, and are nobody's.
pub const TEST_ID: &str = "rowbell-test-";

/// Receipts older than this, or in the future by more than a day, have no believable time.
const OLDEST: i64 = 1_420_070_400;

/// A delivery that is not ours to understand.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("expected a JSON object")]
    NotJson,
}

/// What one delivery says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// The provider's id of the channel.
    pub instance_id: Option<String>,
    pub receipts: Vec<Receipt>,
    pub messages: Vec<InboundMessage>,
}

impl Delivered {
    /// Posted by `rowbell webhook test`, not by the provider.
    pub fn is_test(&self) -> bool {
        let mut receipts = self.receipts.iter();
        self.messages.is_empty() && receipts.all(|r| r.provider_message_id.starts_with(TEST_ID))
    }
}

/// A message in either direction.
#[derive(Clone, PartialEq)]
pub struct InboundMessage {
    pub id: String,
    /// Digits of the other side.
    pub phone: String,
    pub is_from_us: bool,
    pub body: String,
    pub at: Option<Timestamp>,
}

impl std::fmt::Debug for InboundMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InboundMessage({}, from us: {})", self.id, self.is_from_us)
    }
}

/// Reads one delivery. Unknown keys, types and malformed items are passed over; nothing in it can
/// make this fail but a body that is not a JSON object.
pub fn parse(body: &[u8]) -> Result<Delivered, ParseError> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(ParseError::NotJson);
    };
    let mut delivered =
        Delivered { instance_id: text(body.get("instanceId")), ..Delivered::default() };
    for key in ["ack", "hooks"] {
        delivered.receipts.extend(items(body.get(key)).filter_map(receipt));
    }
    delivered.receipts.extend(items(body.get("messages")).filter_map(echo));
    delivered.messages.extend(items(body.get("messages")).filter_map(message));
    for change in items(body.get("entry")).flat_map(|entry| items(entry.get("changes"))) {
        let value = change.get("value");
        let of = |key| items(value.and_then(|value| value.get(key)));
        delivered.receipts.extend(of("statuses").filter_map(receipt));
        delivered.messages.extend(of("messages").filter_map(meta_message));
    }
    delivered.receipts.truncate(MAX_ITEMS);
    delivered.messages.truncate(MAX_ITEMS);
    Ok(delivered)
}

/// The receipts in an answer of `hookInfo` about the message `id`, which it need not repeat.
pub fn receipts(webhook_settings: &Value, id: &str) -> Vec<Receipt> {
    let about = |item: &Value| {
        let mut item = item.clone();
        if let Some(fields) = item.as_object_mut() {
            fields.entry("id").or_insert_with(|| id.into());
        }
        receipt(&item)
    };
    items(webhook_settings.get("hooks")).filter_map(about).take(MAX_ITEMS).collect()
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn receipt(item: &Value) -> Option<Receipt> {
    let provider_message_id = bounded_id(&text(item.get("id"))?);
    let status = ReceiptStatus::from_wire(&text(item.get("status"))?);
    let error = error_payload::in_receipt(item);
    let failed = status == ReceiptStatus::Failed;
    Some(Receipt {
        provider_message_id,
        status,
        phone: ["recipient_id", "chatId", "phone"].iter().find_map(|key| phone(item.get(*key))),
        error_code: error.code.filter(|_| failed),
        error_title: error.title.filter(|_| failed).map(|text| bounded(&text, 500)),
        error_text: error.text.filter(|_| failed).map(|text| bounded(&text, 500)),
        occurred_at: moment(item.get("timestamp")),
        raw: bounded(&item.to_string(), MAX_RAW),
    })
}

/// Our own message, shown to us as an outgoing one: the provider has it. What a person wrote in the
/// provider's app (`self` is 0) is not ours. Its words are not kept.
pub fn echo(item: &Value) -> Option<Receipt> {
    let is_ours = item.get("self").is_none_or(|own| is_yes(Some(own)));
    if !is_yes(item.get("fromMe")) || !is_ours {
        return None;
    }
    let kept = ["id", "fromMe", "self", "time", "type"];
    let kept: serde_json::Map<String, Value> =
        kept.iter().filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone()))).collect();
    Some(Receipt {
        provider_message_id: bounded_id(&text(item.get("id"))?),
        status: ReceiptStatus::Sent,
        phone: phone(item.get("chatId")),
        occurred_at: moment(item.get("time")),
        raw: bounded(&Value::Object(kept).to_string(), MAX_RAW),
        ..Receipt::default()
    })
}

/// 1MSG writes yes as `true` or as 1.
fn is_yes(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true)) || value == Some(&Value::from(1))
}

/// The digits before `@c.us`; groups and the like are nobody's phone.
fn phone(value: Option<&Value>) -> Option<String> {
    let text = text(value)?;
    let (digits, rest) = text.split_once('@').unwrap_or((&text, "c.us"));
    let digits = digits.trim_start_matches('+');
    let is_phone = (8..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit());
    (is_phone && rest == "c.us").then(|| digits.to_owned())
}

fn message(item: &Value) -> Option<InboundMessage> {
    let chat = text(item.get("chatId")).or_else(|| text(item.get("author"))).unwrap_or_default();
    let interactive = item.get("interactive").and_then(|i| i.get("button_reply"));
    Some(InboundMessage {
        id: text(item.get("id"))?,
        phone: chat.chars().take_while(char::is_ascii_digit).collect(),
        is_from_us: is_yes(item.get("fromMe")),
        body: text(item.get("body"))
            .or_else(|| text(interactive.and_then(|reply| reply.get("title"))))
            .unwrap_or_default(),
        at: moment(item.get("time")),
    })
}

fn meta_message(item: &Value) -> Option<InboundMessage> {
    let body = item.get("text").and_then(|text| text.get("body"));
    let button = item.get("button").and_then(|button| button.get("text"));
    Some(InboundMessage {
        id: text(item.get("id"))?,
        phone: text(item.get("from")).unwrap_or_default(),
        is_from_us: false,
        body: text(body).or_else(|| text(button)).unwrap_or_default(),
        at: moment(item.get("timestamp")),
    })
}

/// Unix seconds as text or number. The far past is no time at all.
fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let seconds: i64 = text(value)?.parse().ok()?;
    (seconds >= OLDEST).then(|| Timestamp::from_second(seconds).ok())?
}

/// The text cut to so many characters, without NUL, which PostgreSQL cannot store: an answer that
/// could not be stored would be asked for again for ever.
pub fn bounded(text: &str, characters: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(characters).collect()
}

/// Characters of a provider's id that are kept; real ones have 20 to 80.
const MAX_ID: usize = 255;

/// An id as it is stored: the same rule for answers and receipts, so that they find each other.
pub fn bounded_id(id: &str) -> String {
    bounded(id, MAX_ID)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn statuses(body: &str) -> Vec<(String, ReceiptStatus)> {
        let delivered = parse(body.as_bytes()).unwrap();
        delivered.receipts.into_iter().map(|r| (r.provider_message_id, r.status)).collect()
    }

    #[test]
    fn acks_hooks_and_metas_own_form_are_receipts() {
        let delivered = ("wamid.A".to_owned(), ReceiptStatus::Delivered);
        for body in [
            r#"{"instanceId":"VID1","ack":[{"id":"wamid.A","chatId":"584125408861@c.us","status":"delivered"}]}"#,
            r#"{"hooks":[{"id":"wamid.A","type":"message","status":"delivered","timestamp":"1654864094"}]}"#,
            r#"{"object":"x","entry":[{"changes":[{"field":"messages","value":{"statuses":[{"id":"wamid.A","status":"delivered","timestamp":1654864094}]}}]}]}"#,
        ] {
            assert_eq!(statuses(body), std::slice::from_ref(&delivered), "{body}");
        }
    }

    #[test]
    fn several_keys_in_one_body_are_all_read() {
        let body = r#"{"ack":[{"id":"a","status":"sent"},{"id":"b","status":"viewed"}],
            "messages":[{"id":"c","body":"STOP","fromMe":false,"chatId":"12025550143@c.us","time":1654864094}],
            "hooks":[{"id":"a","status":"undelivered","error":"User's number is part of an experiment"}],
            "calls":[{"what":"ever"}]}"#;
        let delivered = parse(body.as_bytes()).unwrap();
        let said: Vec<_> = delivered.receipts.iter().map(|r| (r.status, r.error_code)).collect();
        assert_eq!(
            said,
            [
                (ReceiptStatus::Sent, None),
                (ReceiptStatus::Read, None),
                (ReceiptStatus::Failed, Some(130_472)),
            ]
        );
        assert_eq!(delivered.messages[0].phone, "12025550143");
        assert!(!delivered.messages[0].is_from_us);
    }

    #[test]
    fn a_failure_carries_metas_code_and_details() {
        let body = r#"{"hooks":[{"id":"a","status":"failed","errors":[{"code":131026,"title":"Message undeliverable","error_data":{"details":"not on WhatsApp"}}]}]}"#;
        let receipt = &parse(body.as_bytes()).unwrap().receipts[0];
        assert_eq!(receipt.error_code, Some(131_026));
        assert_eq!(receipt.error_text.as_deref(), Some("not on WhatsApp"));
    }

    #[test]
    fn absurd_times_are_unknown_times() {
        for time in ["\"soon\"", "12", "-5", "99999999999999999", "null"] {
            let body = format!(r#"{{"ack":[{{"id":"a","status":"sent","timestamp":{time}}}]}}"#);
            assert_eq!(parse(body.as_bytes()).unwrap().receipts[0].occurred_at, None, "{time}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(bytes in proptest::collection::vec(0_u8..=255, 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_item_makes_it_panic(id in ".*", status in ".*", time in ".*") {
            let body = serde_json::json!({
                "ack": [{"id": id, "status": status, "timestamp": time, "errors": [time]}, id, null, [status]],
                "entry": [{"changes": [{"value": {"statuses": [{"id": [], "status": {}}]}}]}],
            });
            parse(body.to_string().as_bytes()).unwrap();
        }
    }
}
