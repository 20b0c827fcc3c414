//! The templates that 1MSG lists, in whatever form it lists them.

use std::collections::BTreeSet;

use serde_json::Value;

/// One template in one language, as the provider has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedTemplate {
    pub name: String,
    pub language: String,
    /// Some rows lack it; then it is that of the others, if they agree.
    pub namespace: Option<String>,
    /// In lower case: approved, pending, rejected, paused, disabled …
    pub status: String,
    /// Why it was rejected, if the provider says so.
    pub rejected_reason: Option<String>,
    /// In lower case: utility, authentication, marketing.
    pub category: Option<String>,
    pub body: Option<String>,
    /// What a request would have to hold beside the variables of the body, numbered from one.
    pub unfilled: Vec<UnfilledPart>,
}

/// A part of a template that needs something with each message, and that rowbell does not fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnfilledPart {
    /// A variable in the header, or in the address of a button.
    Variable(&'static str),
    /// Variables of the body that have names instead of numbers.
    NamedVariables(Vec<String>),
    /// Numbers that are missing among the variables of the body.
    Gap(Vec<usize>),
    /// A header that is no text: image, video, document, location.
    Header(String),
    /// A button that needs a value: copy_code, otp, mpm …
    Button(String),
    /// A part that is made of other messages: carousel, limited_time_offer.
    Part(String),
}

impl ListedTemplate {
    /// How many variables the body has.
    pub fn variables(&self) -> usize {
        self.body.as_deref().map_or(0, |body| variables(body).len())
    }
}

/// Reads the answer of `GET /templates`; None: it lists none at all.
pub fn read(answer: &Value) -> Option<Vec<ListedTemplate>> {
    let rows = answer.get("templates").or_else(|| answer.get("waba_templates"))?.as_array()?;
    let mut listed: Vec<ListedTemplate> = rows.iter().filter_map(one).collect();
    let namespaces: BTreeSet<String> =
        listed.iter().filter_map(|template| template.namespace.clone()).collect();
    if namespaces.len() == 1 {
        for template in &mut listed {
            template.namespace = namespaces.first().cloned();
        }
    }
    Some(listed)
}

/// How many there are in all, as the answer says.
pub fn total(answer: &Value) -> Option<u64> {
    answer.get("total").and_then(Value::as_u64)
}

fn one(row: &Value) -> Option<ListedTemplate> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let language = match row.get("language")? {
        Value::String(code) => code.clone(),
        object => object.get("code")?.as_str()?.to_owned(),
    };
    let namespace = ["namespace", "message_template_namespace", "messageTemplateNamespace"];
    // An array, or the same as a text.
    let components = match row.get("components") {
        Some(Value::String(json)) => serde_json::from_str(json).unwrap_or(Value::Null),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    let components: &[Value] = components.as_array().map_or(&[], Vec::as_slice);
    let of = |kind: &str| {
        components.iter().find(|component| {
            component
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|t| t.eq_ignore_ascii_case(kind))
        })
    };
    let body = of("BODY").and_then(|body| body.get("text")).and_then(Value::as_str);
    Some(ListedTemplate {
        name: text("name")?.to_owned(),
        language,
        namespace: namespace.iter().find_map(|key| text(key)).map(str::to_owned),
        status: text("status").unwrap_or_default().to_lowercase(),
        rejected_reason: text("rejected_reason")
            .filter(|reason| !reason.eq_ignore_ascii_case("none"))
            .map(str::to_owned),
        category: text("category").map(str::to_lowercase),
        body: body.map(str::to_owned),
        unfilled: unfilled(components, body.unwrap_or_default()),
    })
}

/// The parts that a request would have to fill beside the body's numbered variables.
fn unfilled(components: &[Value], body: &str) -> Vec<UnfilledPart> {
    let mut found = Vec::new();
    for component in components {
        let word = |key: &str| {
            component.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase()
        };
        match (word("type").as_str(), word("format").as_str()) {
            ("header", "" | "text") => {
                let has = has_variables(component.get("text"));
                found.extend(has.then_some(UnfilledPart::Variable("header")));
            }
            ("header", format) => found.push(UnfilledPart::Header(format.to_owned())),
            ("buttons", _) => {
                let buttons = component.get("buttons").and_then(Value::as_array);
                buttons
                    .into_iter()
                    .flatten()
                    .for_each(|button| found.extend(unfilled_button(button)));
            }
            ("body" | "footer", _) => {}
            (part, _) => found.push(UnfilledPart::Part(part.to_owned())),
        }
    }
    let names = variables(body);
    let numbers: BTreeSet<usize> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if numbers.len() < names.len() {
        let named = names.iter().filter(|name| name.parse::<usize>().is_err());
        found.push(UnfilledPart::NamedVariables(named.map(|name| (*name).to_owned()).collect()));
    }
    let last = numbers.last().copied().unwrap_or_default();
    let missing: Vec<usize> =
        (1..=last).filter(|number| !numbers.contains(number)).take(10).collect();
    found.extend((!missing.is_empty()).then_some(UnfilledPart::Gap(missing)));
    // Several buttons of a kind are one thing to say.
    found.dedup();
    found
}

fn unfilled_button(button: &Value) -> Option<UnfilledPart> {
    let kind = button.get("type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    match kind.as_str() {
        "url" | "" => has_variables(button.get("url")).then_some(UnfilledPart::Variable("button")),
        // They are whole as they were approved; the parameters that some of them may have are optional.
        "quick_reply"
        | "phone_number"
        | "flow"
        | "catalog"
        | "voice_call"
        | "call_permission_request" => None,
        _ => Some(UnfilledPart::Button(kind)),
    }
}

fn has_variables(text: Option<&Value>) -> bool {
    text.and_then(Value::as_str).is_some_and(|text| !variables(text).is_empty())
}

/// The names between double braces: `{{1}}`, `{{2}}` …
fn variables(text: &str) -> BTreeSet<&str> {
    let after_open = text.split("{{").skip(1);
    after_open.filter_map(|rest| Some(rest.split_once("}}")?.0.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_forms_are_read() {
        let parts = r#"[{"type": "BODY", "text": "{{1}} and {{2}} and {{1}}"}]"#;
        let answer = json!({"total": 4, "templates": [
            {"name": "a", "namespace": "n", "language": "en", "status": "APPROVED", "components": parts},
            {"name": "a", "language": {"code": "es", "policy": "deterministic"}, "status": "approved",
             "rejected_reason": "NONE", "components": [{"type": "body", "text": "{{1}}"}]},
            {"name": "b", "message_template_namespace": "n", "language": "en", "status": "Rejected",
             "rejected_reason": "PROMOTIONAL", "components": [
                {"type": "HEADER", "format": "TEXT", "text": "Hi {{1}}"}, {"type": "BODY", "text": "none"},
                {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://x.example/{{1}}"}]}]},
            {"name": "c", "language": "en", "components": "not json"},
            {"name": "d", "language": "en", "parameter_format": "NAMED", "components": [
                {"type": "HEADER", "format": "IMAGE", "example": {}},
                {"type": "BODY", "text": "Hello {{customer_name}}, {{2}} and {{ 4 }}"},
                {"type": "footer", "text": "Bye"},
                {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "example": "X"}, {"type": "QUICK_REPLY", "text": "Stop"},
                    {"type": "PHONE_NUMBER", "phone_number": "+1"}]},
                {"type": "CAROUSEL", "cards": []}]},
            {"name": "e", "language": "en", "components": [{"type": "HEADER", "format": "text", "text": "Hi"},
                {"type": "HEADER", "format": "location"}, {"type": "BODY", "text": "{{1}}{{2}}"}]},
            {"status": "approved"}, 7
        ]});
        let listed = read(&answer).unwrap_or_default();
        let said: Vec<String> = listed
            .iter()
            .map(|l| {
                format!(
                    "{} {} {:?} {} {:?} {} {:?}",
                    l.name,
                    l.language,
                    l.namespace,
                    l.status,
                    l.rejected_reason,
                    l.variables(),
                    l.unfilled
                )
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        a en Some("n") approved None 2 []
        a es Some("n") approved None 1 []
        b en Some("n") rejected Some("PROMOTIONAL") 0 [Variable("header"), Variable("button")]
        c en Some("n")  None 0 []
        d en Some("n")  None 3 [Header("image"), Button("copy_code"), Part("carousel"), NamedVariables(["customer_name"]), Gap([1, 3])]
        e en Some("n")  None 2 [Header("location")]
        "#);
        assert_eq!(read(&json!({"error": "no"})), None);
    }
}
