//! The bodies that webhooks and `hookInfo` carry, in each of the known forms.

use serde_json::{Value, json};

use crate::sandbox::api::refusal;
use crate::sandbox::api::send::wa_id;
use crate::sandbox::options::{Form, Words};
use crate::sandbox::state::state::{Inbound, Item, SandboxState, SimulatedChannel};
use crate::sandbox::state::store::Stage;

/// One status, whatever message it belongs to.
struct Status {
    id: String,
    phone: u64,
    stage: Stage,
    at_ns: i64,
}

/// The body of one POST with these items.
pub fn webhook(state: &SandboxState, channel: &SimulatedChannel, items: &[Item]) -> Value {
    let form = match channel.options.settings.raw_hooks {
        true => Form::Raw,
        false => state.receipts.form,
    };
    let statuses = items.iter().filter_map(|item| status(state, item));
    let instance = &channel.options.id;
    let mut body = match form {
        Form::Raw => return raw(state, channel, items),
        Form::Ack => {
            let acks: Vec<Value> = statuses.map(|one| ack(&one, state.receipts.words)).collect();
            part(instance, "ack", acks)
        }
        Form::Hooks => part(instance, "hooks", statuses.map(|one| hook(&one)).collect()),
    };
    let messages: Vec<Value> = items.iter().filter_map(|item| message(state, item)).collect();
    if !messages.is_empty() {
        body["messages"] = Value::Array(messages);
    }
    body
}

fn part(instance: &str, key: &str, items: Vec<Value>) -> Value {
    let mut body = json!({ "instanceId": instance });
    if !items.is_empty() {
        body[key] = Value::Array(items);
    }
    body
}

fn status(state: &SandboxState, item: &Item) -> Option<Status> {
    match item {
        Item::Status(number, stage, at_ns) => Some(Status {
            id: state.store.ids.id(*number),
            phone: state.store.arrival(*number)?.phone,
            stage: *stage,
            at_ns: *at_ns,
        }),
        Item::Foreign(foreign) => Some(Status {
            id: foreign.id.clone(),
            phone: foreign.phone,
            stage: foreign.stage,
            at_ns: foreign.at_ns,
        }),
        Item::Echo(_) | Item::Inbound(_) => None,
    }
}

/// An `ack` says the least: no time, and of a failure only a text.
fn ack(status: &Status, words: Words) -> Value {
    let phone = wa_id(status.phone).to_string();
    let word = match (words, status.stage) {
        (Words::Older, Stage::Read) => "viewed",
        (Words::Older, Stage::Failed(_)) => "undelivered",
        (_, stage) => stage.word(),
    };
    let mut ack = json!({
        "id": status.id,
        "chatId": format!("{phone}@c.us"),
        "phone": phone,
        "status": word,
        "category": "utility",
    });
    if let Some(code) = status.stage.code() {
        ack["error"] = refusal::title(code).into();
    }
    ack
}

/// The form of `hooks[]` and of Meta's `statuses[]`.
fn hook(status: &Status) -> Value {
    let mut hook = json!({
        "id": status.id,
        "type": "message",
        "status": status.stage.word(),
        "timestamp": seconds(status.at_ns).to_string(),
        "recipient_id": wa_id(status.phone).to_string(),
    });
    if let Some(code) = status.stage.code() {
        let title = refusal::title(code);
        hook["errors"] = json!([{
            "code": code,
            "title": title,
            "message": title,
            "error_data": { "details": title },
        }]);
    } else if status.stage == Stage::Sent {
        hook["conversation"] = json!({
            "id": "5a4d1c7c8b1e4f0d9b8a7c6d5e4f3a2b",
            "expiration_timestamp": (seconds(status.at_ns) + 86_400).to_string(),
            "origin": { "type": "utility" },
        });
        hook["pricing"] = json!({
            "billable": true,
            "pricing_model": "PMP",
            "category": "utility",
        });
    }
    hook
}

/// The answer of `hookInfo`: one element for each status, in the order of their times.
pub fn history(state: &SandboxState, number: u64) -> Vec<Value> {
    let statuses = state.store.kept(number).map(|kept| &kept.statuses);
    let items = statuses.into_iter().flatten();
    items
        .filter_map(|(stage, at_ns)| status(state, &Item::Status(number, *stage, *at_ns)))
        .map(|status| hook(&status))
        .collect()
}

fn raw(state: &SandboxState, channel: &SimulatedChannel, items: &[Item]) -> Value {
    let statuses: Vec<Value> = items
        .iter()
        .filter_map(|item| status(state, item))
        .map(|status| {
            let mut hook = hook(&status);
            hook.as_object_mut().map(|fields| fields.remove("type"));
            hook
        })
        .collect();
    let messages: Vec<Value> = items.iter().filter_map(raw_inbound).collect();
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "19075550100", "phone_number_id": channel.options.id },
    });
    if !statuses.is_empty() {
        value["statuses"] = Value::Array(statuses);
    }
    if !messages.is_empty() {
        value["messages"] = Value::Array(messages);
    }
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": "102290129340398", "changes": [{ "field": "messages", "value": value }] }],
    })
}

fn raw_inbound(item: &Item) -> Option<Value> {
    let Item::Inbound(inbound) = item else {
        return None;
    };
    let mut message = json!({
        "from": inbound.phone.to_string(),
        "id": inbound.id,
        "timestamp": seconds(inbound.at_ns).to_string(),
    });
    let (kind, content) = match inbound.kind.as_str() {
        "button" => ("button", json!({ "payload": inbound.text, "text": inbound.text })),
        "interactive" => ("interactive", button_reply(&inbound.text)),
        _ => ("text", json!({ "body": inbound.text })),
    };
    message["type"] = kind.into();
    message[kind] = content;
    Some(message)
}

fn button_reply(text: &str) -> Value {
    json!({ "type": "button_reply", "button_reply": { "id": text, "title": text } })
}

fn message(state: &SandboxState, item: &Item) -> Option<Value> {
    match item {
        Item::Echo(number) => outgoing(state, *number),
        Item::Inbound(message) => Some(incoming(message, None)),
        Item::Status(..) | Item::Foreign(_) => None,
    }
}

/// One of our messages as `GET /messages` and the echo show it; nothing once it is forgotten.
pub fn outgoing(state: &SandboxState, number: u64) -> Option<Value> {
    let arrival = state.store.arrival(number)?;
    let kept = state.store.kept(number)?;
    let id = state.store.ids.id(number);
    let from_me = (true, 1, kept.text());
    Some(row(&id, (arrival.phone, arrival.at_ns), from_me, "chat", number))
}

/// A customer's message in the same form.
pub fn incoming(message: &Inbound, number: Option<u64>) -> Value {
    let from_them = (false, 0, message.text.clone());
    let number = number.unwrap_or_default();
    let whom = (message.phone, message.at_ns);
    let mut row = row(&message.id, whom, from_them, &message.kind, number);
    if message.kind == "interactive" {
        row["interactive"] = button_reply(&message.text);
    }
    row
}

fn row(
    id: &str,
    (phone, at_ns): (u64, i64),
    (from_me, own, body): (bool, u8, String),
    kind: &str,
    number: u64,
) -> Value {
    let chat = format!("{}@c.us", wa_id(phone));
    let author = if from_me { "19075550100@c.us" } else { &chat };
    json!({
        "id": id,
        "body": body,
        "fromMe": from_me,
        "self": own,
        "isForwarded": 0,
        "author": author,
        "time": seconds(at_ns),
        "chatId": chat,
        "messageNumber": number,
        "type": kind,
        "senderName": author.trim_end_matches("@c.us"),
        "caption": null,
        "quotedMsgId": null,
        "metadata": null,
        "chatName": chat.trim_end_matches("@c.us"),
    })
}

pub fn seconds(at_ns: i64) -> i64 {
    at_ns.div_euclid(1_000_000_000)
}
