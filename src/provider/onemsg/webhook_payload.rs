//! What the provider posts to us, in every form that was seen or documented: `ack`, `hooks`, `statuses` and
//! `messages`, alone or together, as lists or one by one, at the root of the body, in Meta's own `entry`, or in a list of
//! such bodies. What is about something else is passed over; what is not understood is counted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::domain::message::receipt::{Pricing, Receipt, ReceiptStatus};
use crate::domain::reply::{Reply, ReplyKind};
use crate::provider::onemsg::error_payload;

/// Items read from one delivery; Meta sends up to about a thousand.
const MAX_ITEMS: usize = 10_000;

/// Fields that are named of what was not understood, and the longest name.
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 40;

/// Characters of an item that are kept as evidence.
const MAX_RAW: usize = 2_000;

/// How the ids begin that `rowbell webhook test` posts: they are stored like any other, and are nobody's.
pub const TEST_ID: &str = "rowbell-test-";

/// Receipts older than this, or in the future by more than a day, have no believable time.
const OLDEST: i64 = 1_420_070_400;
/// A larger number of seconds lies in the year 5138: these are milliseconds.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// A delivery that is not ours to understand.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("expected a JSON object, or a list of them")]
    NotJson,
}

/// What one delivery says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// The provider's id of the channel.
    pub instance_id: Option<String>,
    pub receipts: Vec<Receipt>,
    pub messages: Vec<InboundMessage>,
    /// What was not understood: receipts and words of customers may be lost in it.
    pub unread: Unread,
}

/// What of a delivery was not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    pub items: usize,
    /// Names of the fields in which they stand, without anything of anybody.
    pub fields: BTreeSet<String>,
}

impl Delivered {
    /// Posted by `rowbell webhook test`, not by the provider.
    pub fn is_test(&self) -> bool {
        let mut receipts = self.receipts.iter();
        let is_whole = self.messages.is_empty() && self.unread.items == 0;
        is_whole && receipts.all(|r| r.provider_message_id.starts_with(TEST_ID))
    }
}

/// A message in either direction.
#[derive(Clone, PartialEq)]
pub struct InboundMessage {
    pub id: String,
    /// Digits of the other side; empty where it has none, as a group.
    pub phone: String,
    pub is_from_us: bool,
    /// All that it says: its words, and what stands on a button or in a list that was tapped.
    pub texts: Vec<String>,
    pub at: Option<Timestamp>,
    /// The message that it quotes; empty: none.
    pub context_id: String,
    pub kind: ReplyKind,
    /// What a button carries beside what stands on it.
    pub payload: Option<String>,
}

/// Characters of an answer that are kept. WhatsApp takes 4096.
const MAX_REPLY: usize = 4_096;

impl InboundMessage {
    /// What a customer answers to a message; None: it is none of theirs, or quotes nothing.
    pub fn reply(&self) -> Option<Reply> {
        let is_reply = !self.is_from_us && !self.phone.is_empty() && !self.context_id.is_empty();
        let is_kept = self.kind != ReplyKind::Other;
        is_reply.then(|| Reply {
            id: match self.id.is_empty() {
                false => bounded_id(&self.id),
                true => format!("{} {:?}", self.context_id, self.at),
            },
            context_id: bounded_id(&self.context_id),
            kind: self.kind,
            phone: self.phone.clone(),
            body: self.texts.first().filter(|_| is_kept).map(|text| bounded(text, MAX_REPLY)),
            payload: self.payload.as_ref().map(|text| bounded(text, MAX_REPLY)),
            written_at: self.at,
        })
    }
}

impl std::fmt::Debug for InboundMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InboundMessage({}, from us: {})", self.id, self.is_from_us)
    }
}

/// Reads one delivery. Unknown keys, types and malformed items are passed over; nothing in it can
/// make this fail but a body that is neither a JSON object nor a list of them.
pub fn parse(body: &[u8]) -> Result<Delivered, ParseError> {
    // Some programs begin every text with the mark of its encoding.
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let body: Value = serde_json::from_slice(body).map_err(|_| ParseError::NotJson)?;
    if !body.is_object() && !body.is_array() {
        return Err(ParseError::NotJson);
    }
    let mut delivered = Delivered::default();
    for body in items(Some(&body)) {
        delivered.read(body);
    }
    delivered.receipts.truncate(MAX_ITEMS);
    delivered.messages.truncate(MAX_ITEMS);
    Ok(delivered)
}

impl Delivered {
    /// Reads one body.
    fn read(&mut self, body: &Value) {
        let Some(fields) = body.as_object() else {
            return self.unread.add(["a list"]);
        };
        self.instance_id = self.instance_id.take().or_else(|| text(fields.get("instanceId")));
        let mut is_known = self.read_events(fields);
        let entries = items(fields.get("entry")).filter_map(Value::as_object);
        let changes = entries.flat_map(|entry| items(entry.get("changes")));
        for change in changes.chain(fields.get("value").map(|_| body)).filter_map(Value::as_object)
        {
            // Templates, accounts and the like have fields of their own.
            let is_else = text(change.get("field")).is_some_and(|field| field != "messages");
            let value = change.get("value").and_then(Value::as_object);
            is_known |= value.is_some_and(|value| self.read_events(value)) || is_else;
        }
        let is_else = ["calls", "errors"].iter().any(|key| fields.contains_key(*key))
            || text(fields.get("type")).is_some_and(|kind| kind == "calls");
        if !is_known && !is_else {
            self.unread.add(fields.keys().map(String::as_str));
        }
    }

    /// Reads receipts and messages. False: there is no such field.
    fn read_events(&mut self, fields: &Map<String, Value>) -> bool {
        let mut is_known = false;
        for key in ["ack", "hooks", "statuses"] {
            is_known |= fields.contains_key(key);
            for item in items(fields.get(key)) {
                let receipt = receipt(item);
                // A word that we do not know may be what `delivered` is called somewhere.
                let is_read = |receipt: &Receipt| {
                    receipt.status != ReceiptStatus::Other
                        || receipt.provider_message_id.starts_with(TEST_ID)
                        || text(item.get("status")).is_some_and(|word| says_nothing(&word))
                };
                match &receipt {
                    Some(receipt) if is_read(receipt) => {}
                    Some(_) => self.unread.add([format!("{key} status").as_str()]),
                    None => self.unread.add([key]),
                }
                self.receipts.extend(receipt);
            }
        }
        is_known |= fields.contains_key("messages");
        for item in items(fields.get("messages")) {
            match message(item) {
                Some(message)
                    if message.is_from_us || !message.phone.is_empty() || is_of_many(item) =>
                {
                    self.messages.push(message);
                }
                _ => self.unread.add(["messages"]),
            }
            self.receipts.extend(echo(item));
        }
        is_known
    }
}

impl Unread {
    fn add<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) {
        self.items += 1;
        let is_name = |field: &&str| {
            field.len() <= MAX_FIELD
                && field.chars().all(|c| c.is_ascii_alphabetic() || " _-".contains(c))
        };
        for field in fields.into_iter().filter(is_name) {
            if self.fields.len() < MAX_FIELDS {
                self.fields.insert(field.to_owned());
            }
        }
    }
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

/// The items of a list; anything else but null is one item.
fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let value = value.filter(|value| !value.is_null());
    value.into_iter().flat_map(|value| match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    })
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
        pricing: pricing(item),
        raw: bounded(&item.to_string(), MAX_RAW),
    })
}

/// What it costs stands in `pricing`; an `ack` has the category beside its status.
fn pricing(item: &Value) -> Pricing {
    let object = item.get("pricing");
    let field = |key| object.and_then(|pricing| pricing.get(key));
    let word = |value: Option<&Value>| {
        let is_word = |word: &String| {
            word.len() <= MAX_FIELD
                && word.chars().all(|c| c.is_ascii_alphabetic() || "_-".contains(c))
        };
        text(value).filter(is_word)
    };
    Pricing {
        category: word(field("category").or(item.get("category"))).map(|c| c.to_lowercase()),
        model: word(field("pricing_model")).map(|model| model.to_uppercase()),
        is_billable: field("billable").and_then(Value::as_bool),
    }
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
    (is_phone && matches!(rest, "c.us" | "s.whatsapp.net")).then(|| digits.to_owned())
}

/// A message in a group or to a list of people.
fn is_of_many(item: &Value) -> bool {
    text(item.get("chatId"))
        .is_some_and(|chat| chat.ends_with("@g.us") || chat.ends_with("@broadcast"))
}

/// A message in 1MSG's form or Meta's. In a group the author speaks, not the group.
fn message(item: &Value) -> Option<InboundMessage> {
    item.as_object()?;
    let at = |path: &[&str]| path.iter().try_fold(item, |value, key| value.get(*key));
    let said = [
        &["body"][..],
        &["text"],
        &["text", "body"],
        &["button", "text"],
        &["button", "payload"],
        &["interactive", "button_reply", "title"],
        &["interactive", "button_reply", "id"],
        &["interactive", "list_reply", "title"],
        &["interactive", "list_reply", "id"],
    ];
    let first = |paths: &[&[&str]]| paths.iter().find_map(|path| text(at(path)));
    let payload = first(&[
        &["button", "payload"],
        &["interactive", "button_reply", "id"],
        &["interactive", "list_reply", "id"],
    ]);
    let is_button =
        ["button", "interactive"].iter().any(|key| item.get(*key).is_some_and(Value::is_object));
    let reaction = item.get("reaction").and_then(|reaction| text(reaction.get("emoji")));
    let is_words =
        text(item.get("type")).is_none_or(|kind| matches!(kind.as_str(), "chat" | "text"));
    let mut texts: Vec<String> = said.iter().filter_map(|path| text(at(path))).collect();
    let kind = match (is_button, &reaction) {
        (true, _) => ReplyKind::Button,
        (false, Some(_)) => ReplyKind::Reaction,
        // A picture's body is its address.
        (false, None) if is_words && !texts.is_empty() => ReplyKind::Text,
        (false, None) => ReplyKind::Other,
    };
    if is_button {
        // What stands on it, before what it carries.
        let shown = first(&[
            &["button", "text"],
            &["interactive", "button_reply", "title"],
            &["interactive", "list_reply", "title"],
        ]);
        texts.splice(0..0, shown);
    }
    texts.extend(reaction);
    let context = [
        &["context", "id"][..],
        &["context", "message_id"],
        &["quotedMsgId"],
        &["reaction", "message_id"],
    ];
    Some(InboundMessage {
        context_id: first(&context).unwrap_or_default(),
        kind,
        payload,
        id: text(item.get("id")).unwrap_or_default(),
        phone: ["chatId", "author", "from"]
            .iter()
            .find_map(|key| phone(item.get(*key)))
            .unwrap_or_default(),
        is_from_us: is_yes(item.get("fromMe")),
        texts,
        at: moment(item.get("time")).or_else(|| moment(item.get("timestamp"))),
    })
}

/// Status words that say nothing about delivery.
fn says_nothing(word: &str) -> bool {
    const WORDS: [&str; 9] = [
        "pending",
        "queued",
        "enqueued",
        "accepted",
        "submitted",
        "sending",
        "processing",
        "deleted",
        "warning",
    ];
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Unix seconds or milliseconds, as text or number, or a moment in words. The far past is no time at all.
fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let text = text(value)?;
    let at = match text.split('.').next()?.parse::<i64>() {
        Ok(number) if number >= FIRST_MILLISECONDS => Timestamp::from_millisecond(number).ok()?,
        Ok(number) => Timestamp::from_second(number).ok()?,
        Err(_) => text.parse().ok()?,
    };
    (at.as_second() >= OLDEST).then_some(at)
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
    fn a_moment_is_read_in_whatever_unit_it_is_written() {
        let at = |timestamp: &str| {
            let body =
                format!(r#"{{"ack":[{{"id":"a","status":"read","timestamp":{timestamp}}}]}}"#);
            parse(format!("\u{feff}{body}").as_bytes()).unwrap().receipts[0].occurred_at
        };
        let expected = Some(Timestamp::from_second(1_893_456_000).unwrap());
        for timestamp in [
            "1893456000",
            "\"1893456000\"",
            "1893456000000",
            "1893456000.5",
            "\"2030-01-01T00:00:00Z\"",
        ] {
            assert_eq!(at(timestamp), expected, "{timestamp}");
        }
        for timestamp in ["0", "-5", "null", "\"soon\"", "{}", "99999999999999999999"] {
            assert_eq!(at(timestamp), None, "{timestamp}");
        }
    }

    #[test]
    fn a_status_that_is_not_known_is_kept_and_said() {
        let unread = |status: &str| {
            let body = format!(r#"{{"ack":[{{"id":"a","status":{status}}}]}}"#);
            let delivered = parse(body.as_bytes()).unwrap();
            assert_eq!(delivered.receipts.len(), 1, "{status}");
            delivered.unread.fields.into_iter().next().unwrap_or_default()
        };
        for status in ["\"sent\"", "\"DELIVERED\"", "\"deleted\"", "\"Warning\"", "\"pending\""] {
            assert_eq!(unread(status), "", "{status}");
        }
        for status in ["3", "\"2\"", "\"zugestellt\"", "\"received\""] {
            assert_eq!(unread(status), "ack status", "{status}");
        }
        let test = format!(r#"{{"ack":[{{"id":"{TEST_ID}1","status":"test"}}]}}"#);
        assert!(
            parse(test.as_bytes()).unwrap().is_test(),
            "our own test is no news of the provider"
        );
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

    /// 100eyes #2032: `statuses` and `messages` at the root, which others post; and a list of bodies, or one item alone.
    #[test]
    fn the_same_is_read_wherever_it_stands() {
        let status = r#"{"id":"wamid.A","status":"delivered","recipient_id":"12025550143"}"#;
        let stop = r#"{"from":"+12025550143","id":"x","type":"text","text":{"body":"STOP"}}"#;
        for body in [
            format!(r#"{{"statuses":[{status}],"messages":[{stop}]}}"#),
            format!(r#"[{{"statuses":[{status}]}},{{"contacts":[],"messages":[{stop}]}}]"#),
            format!(r#"{{"hooks":{status},"messages":{stop}}}"#),
            format!(
                r#"{{"entry":{{"changes":{{"value":{{"statuses":{status},"messages":[{stop}]}}}}}}}}"#
            ),
            format!(
                r#"{{"field":"messages","value":{{"statuses":[{status}],"messages":[{stop}]}}}}"#
            ),
        ] {
            let delivered = parse(body.as_bytes()).unwrap();
            assert_eq!(delivered.receipts.len(), 1, "{body}");
            assert_eq!(delivered.receipts[0].status, ReceiptStatus::Delivered, "{body}");
            let said = &delivered.messages[0];
            assert_eq!(
                (said.phone.as_str(), &said.texts[..]),
                ("12025550143", &["STOP".to_owned()][..])
            );
            assert_eq!(delivered.unread, Unread::default(), "{body}");
        }
    }

    #[test]
    fn what_is_not_understood_is_counted_and_what_is_about_something_else_is_not() {
        for body in [
            r#"{"instanceId":"a","ack":[]}"#,
            r#"{"type":"calls","calls":[{"id":"x"}]}"#,
            r#"{"entry":[{"changes":[{"field":"message_template_status_update","value":{"event":"PAUSED"}}]}]}"#,
        ] {
            assert_eq!(
                parse(body.as_bytes()).unwrap(),
                Delivered {
                    instance_id: parse(body.as_bytes()).unwrap().instance_id,
                    ..Delivered::default()
                },
                "{body}"
            );
        }
        let unread = |body: &str| {
            let unread = parse(body.as_bytes()).unwrap().unread;
            (unread.items, unread.fields.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(unread(r#"{"events":[{"id":"x"}],"12025550143":1}"#), (1, "events".to_owned()));
        assert_eq!(unread(r#"{"ack":[{"id":"x"},{"status":"sent"},7]}"#), (3, "ack".to_owned()));
        assert_eq!(unread(r#"[1,{"messages":["STOP"]}]"#), (2, "a list messages".to_owned()));
        assert!(parse(b"7").is_err() && parse(b"<html>").is_err());
    }

    /// chatwoot and others take the group for its last writer.
    #[test]
    fn in_a_group_its_author_speaks() {
        let of = |body: &str| parse(body.as_bytes()).unwrap().messages.remove(0).phone;
        let group = r#"{"messages":[{"id":"m","body":"STOP","fromMe":false,"author":"12025550143@c.us","chatId":"12025550144-1600000000@g.us"}]}"#;
        assert_eq!(of(group), "12025550143");
        assert_eq!(
            of(r#"{"messages":[{"id":"m","body":"STOP","chatId":"120363025550144@g.us"}]}"#),
            ""
        );
        assert_eq!(
            of(
                r#"{"messages":[{"id":"m","body":"STOP","chatId":"12025550143@c.us","author":"999"}]}"#
            ),
            "12025550143"
        );
    }

    #[test]
    fn a_failure_carries_metas_code_and_details() {
        let body = r#"{"hooks":[{"id":"a","status":"failed","errors":[{"code":131026,"title":"Message undeliverable","error_data":{"details":"not on WhatsApp"}}]}]}"#;
        let receipt = &parse(body.as_bytes()).unwrap().receipts[0];
        assert_eq!(receipt.error_code, Some(131_026));
        assert_eq!(receipt.error_text.as_deref(), Some("not on WhatsApp"));
    }

    #[test]
    fn what_a_message_costs_is_read_where_it_stands() {
        let of = |body: &str| parse(body.as_bytes()).unwrap().receipts.remove(0).pricing;
        let pricing = |category: &str, model: Option<&str>, is_billable| Pricing {
            category: Some(category.to_owned()),
            model: model.map(str::to_owned),
            is_billable,
        };
        assert_eq!(
            of(
                r#"{"hooks":[{"id":"a","status":"sent","pricing":{"billable":true,"pricing_model":"PMP","category":"utility"}}]}"#
            ),
            pricing("utility", Some("PMP"), Some(true))
        );
        assert_eq!(
            of(r#"{"ack":[{"id":"a","status":"delivered","category":"MARKETING"}]}"#),
            pricing("marketing", None, None)
        );
        for odd in [
            r#""category":7"#,
            r#""pricing":"free""#,
            r#""category":"12025550143""#,
            r#""pricing":{"category":"Maria Lopez"}"#,
        ] {
            let body = format!(r#"{{"ack":[{{"id":"a","status":"sent",{odd}}}]}}"#);
            assert_eq!(of(&body), Pricing::default(), "{odd}");
        }
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
