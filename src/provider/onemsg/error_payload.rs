//! The errors of 1MSG and Meta, in every form in which they are passed on: in answers to requests and in receipts.
//!
//! A code stands in an error object (what is called `error`, or is one of `errors`), wherever that is; at the top of
//! an answer only a code of WhatsApp's own is one, because others write the HTTP status there.

use serde_json::{Map, Value};

use crate::provider::error_table::{class_of, code_of_title};

/// Codes below this may as well be an HTTP status.
const ABOVE_STATUSES: i32 = 1_000;

/// An error, as far as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorPayload {
    pub code: Option<i32>,
    pub subcode: Option<i32>,
    pub title: Option<String>,
    /// The words that say most.
    pub text: Option<String>,
}

/// The error in an answer with this HTTP status. None: the answer says nothing of one.
pub fn in_answer(answer: &Value, status: u16) -> Option<ErrorPayload> {
    let top = answer.as_object()?;
    let mut error = read(top);
    error.code = error.code.filter(|code| *code != i32::from(status));
    for key in ["message", "description"] {
        error.text = error.text.or_else(|| text(top.get(key)));
    }
    let at_top = ["code", "error_code"].iter().find_map(|key| number(top.get(*key)));
    let own = at_top.filter(|code| *code >= ABOVE_STATUSES && class_of(*code, None).is_some());
    error.code = error.code.or(own).or_else(|| error.text.as_deref().and_then(code_of_title));
    let is_refusal = top.get("sent") == Some(&Value::Bool(false));
    (is_refusal || error != ErrorPayload::default()).then_some(error)
}

/// The error that a receipt names.
pub fn in_receipt(item: &Value) -> ErrorPayload {
    item.as_object().map(read).unwrap_or_default()
}

fn read(fields: &Map<String, Value>) -> ErrorPayload {
    let mut objects = Vec::new();
    error_objects(fields, &mut objects);
    let first = |keys: &[&str]| {
        let mut each = objects.iter().flat_map(|object| keys.iter().map(|key| object.get(*key)));
        each.find_map(text)
    };
    let details = objects.iter().filter_map(|object| object.get("error_data"));
    let details = details.filter_map(|data| text(data.get("details"))).next();
    let (title, message) = (first(&["title"]), first(&["error_user_msg", "message"]));
    // 1MSG writes some errors as a text alone.
    let alone = text(fields.get("error"));
    let codes =
        || objects.iter().filter_map(|o| number(o.get("code")).or(number(o.get("error_code"))));
    let titled = || {
        [&title, &message, &alone, &details].into_iter().flatten().find_map(|t| code_of_title(t))
    };
    ErrorPayload {
        code: codes()
            .find(|code| class_of(*code, None).is_some())
            .or_else(titled)
            .or_else(|| codes().next()),
        subcode: objects.iter().find_map(|object| number(object.get("error_subcode"))),
        text: details.or(message).or_else(|| title.clone()).or(alone),
        title,
    }
}

/// The objects that are called an error, the outermost first.
fn error_objects<'a>(fields: &'a Map<String, Value>, found: &mut Vec<&'a Map<String, Value>>) {
    for (key, value) in fields {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        for item in items.iter().filter_map(Value::as_object) {
            if matches!(key.as_str(), "error" | "errors") {
                found.push(item);
            }
            error_objects(item, found);
        }
    }
}

fn number(value: Option<&Value>) -> Option<i32> {
    match value? {
        Value::Number(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code_of(answer: &Value) -> Option<i32> {
        in_answer(answer, 400).and_then(|error| error.code)
    }

    /// pywa, n8n and others each search another place; a number anywhere else is no code.
    #[test]
    fn a_code_is_read_where_a_code_is_meant() {
        for answer in [
            json!({"error": {"code": 132_001, "message": "x"}}),
            json!({"error": {"code": "132001"}}),
            json!({"sent": false, "message": {"error": {"error_code": 132_001}}}),
            json!({"errors": [{"code": 132_001, "title": "x"}]}),
            json!({"code": 132_001, "message": "x"}),
            json!({"message": "(#132001) Template name does not exist"}),
            json!({"error": "Template name does not exist in the translation"}),
            json!({"error": {"code": 400, "message": "x", "error": {"code": 132_001}}}),
        ] {
            assert_eq!(code_of(&answer), Some(132_001), "{answer}");
        }
        for answer in [
            json!({"code": 200, "message": "Forbidden"}),
            json!({"sent": false, "code": 0, "message": "no"}),
            json!({"message": "Bad parameter", "details": {"code": 3}}),
            json!({"error": {"code": 400, "message": "Bad Request"}}),
            json!({"message": "payment_reminder: rate limit of order 131026"}),
            json!({"message": "no", "error_data": {"code": 190}}),
        ] {
            assert_eq!(code_of(&answer), None, "{answer}");
        }
    }

    #[test]
    fn an_error_of_a_receipt_is_a_text_or_an_object() {
        let text = json!({"id": "a", "status": "failed", "error": "Message undeliverable"});
        let read = in_receipt(&text);
        assert_eq!(
            (read.code, read.text.as_deref()),
            (Some(131_026), Some("Message undeliverable"))
        );
        let object = json!({"error": {"code": 131_049, "title": "Not delivered", "error_data": {"details": "for health"}}});
        let read = in_receipt(&object);
        assert_eq!((read.code, read.title.as_deref()), (Some(131_049), Some("Not delivered")));
        assert_eq!(read.text.as_deref(), Some("for health"));
        assert_eq!(in_receipt(&json!({"error": 7})), ErrorPayload::default());
    }

    #[test]
    fn an_answer_that_says_nothing_has_no_error() {
        assert_eq!(in_answer(&json!({}), 200), None);
        assert_eq!(in_answer(&json!("sorry"), 500), None);
        assert!(in_answer(&json!({"sent": false}), 200).is_some());
    }
}
