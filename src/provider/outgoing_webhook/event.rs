//! What an endpoint is told, as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::outcome::PersonalField;
use crate::domain::outcome_event::OutcomeEvent;

/// The body of the request.
pub fn body(event: &OutcomeEvent, include: &[PersonalField]) -> String {
    let mut data = json!({
        "watch": event.watch,
        "key": event.entity_key,
        "message": event.message_id,
        "state": event.outcome,
        "reason": event.reason,
        "operation": event.operation,
        "channel": event.channel,
        "fallback_of": event.fallback_of,
        "sent_at": event.sent_at,
        "delivered_at": event.delivered_at,
        "read_at": event.read_at,
        "finished_at": event.finished_at,
    });
    if let Some(kind) = &event.reply_kind {
        data["reply_kind"] = kind.as_str().into();
        data["replied_at"] = json!(event.replied_at);
        if include.contains(&PersonalField::ReplyText) {
            data["reply_payload"] = json!(event.person.reply_payload);
        }
    }
    let is_told =
        |field: &&PersonalField| event.reply_kind.is_some() || **field != PersonalField::ReplyText;
    for field in include.iter().filter(is_told) {
        data[field.into_str()] = event.person.get(*field).map_or(Value::Null, Value::from);
    }
    wrapped(&format!("message.{}", event.outcome), event.stored_at, &data)
}

/// An event that tells nothing, to try an endpoint.
pub fn test_body(now: Timestamp) -> String {
    wrapped("rowbell.test", now, &json!({}))
}

fn wrapped(kind: &str, timestamp: Timestamp, data: &Value) -> String {
    json!({ "type": kind, "timestamp": timestamp, "data": data }).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::outcome_event::PersonalFacts;

    fn event() -> OutcomeEvent {
        OutcomeEvent {
            outcome: "delivered".to_owned(),
            stored_at: "2026-06-24T09:10:42.5Z".parse().unwrap(),
            watch: "home_delivery".to_owned(),
            message_id: 17,
            entity_key: Some("1".to_owned()),
            channel: Some("main".to_owned()),
            operation: Some("update".to_owned()),
            sent_at: "2026-06-24T09:10:40Z".parse().ok(),
            delivered_at: "2026-06-24T09:10:42Z".parse().ok(),
            person: PersonalFacts {
                recipient_phone: Some("12025550143".to_owned()),
                recipient_name: Some("Maria".to_owned()),
                provider_message_id: Some("wamid.HBgL".to_owned()),
                summary: Some("New window".to_owned()),
                recipient_key: Some("12025550143".to_owned()),
                ..PersonalFacts::default()
            },
            ..OutcomeEvent::default()
        }
    }

    #[test]
    fn an_event_names_what_happened_and_nobody() {
        insta::assert_snapshot!(body(&event(), &[]), @r#"{"type":"message.delivered","timestamp":"2026-06-24T09:10:42.5Z","data":{"watch":"home_delivery","key":"1","message":17,"state":"delivered","reason":null,"operation":"update","channel":"main","fallback_of":null,"sent_at":"2026-06-24T09:10:40Z","delivered_at":"2026-06-24T09:10:42Z","read_at":null,"finished_at":null}}"#);
    }

    #[test]
    fn what_is_told_of_a_person_is_what_was_asked_for() {
        let told = body(&event(), &[PersonalField::RecipientPhone]);
        assert!(told.contains(r#""recipient_phone":"12025550143""#), "{told}");
        for untold in ["Maria", "wamid", "New window", "recipient_key"] {
            assert!(!told.contains(untold), "{told}");
        }
    }
}
