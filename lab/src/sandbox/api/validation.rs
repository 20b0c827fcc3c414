//! What the provider and Meta check before they accept a template message.

use crate::sandbox::api::refusal::{Refusal, title};
use crate::sandbox::api::request::{Component, Parameter, SendRequest};
use crate::sandbox::template::ApprovedTemplate;

/// The most characters a rendered body may have.
pub const MAX_BODY: usize = 1_024;

/// Finds the template that a request names.
pub fn template<'t, T: AsRef<ApprovedTemplate>>(
    templates: &'t [T],
    name: &str,
    namespace: &str,
    language: &str,
) -> Result<&'t T, Refusal> {
    let fits = |template: &&T| {
        let options = &template.as_ref().options;
        options.name == name && options.language == language && options.namespace == namespace
    };
    let found = templates
        .iter()
        .find(fits)
        .ok_or_else(|| Refusal::content(132001, missing(name, language)))?;
    sendable(found.as_ref()).map(|()| found)
}

fn sendable(template: &ApprovedTemplate) -> Result<(), Refusal> {
    let options = &template.options;
    Err(match options.status.to_ascii_lowercase().as_str() {
        "approved" => return Ok(()),
        "paused" => Refusal::content(132015, title(132015)),
        "disabled" => Refusal::content(132016, title(132016)),
        // For senders it is not there before it is approved.
        _ => Refusal::content(132001, missing(&options.name, &options.language)),
    })
}

/// As Meta says it.
fn missing(name: &str, language: &str) -> String {
    format!("template name ({name}) does not exist in {language}")
}

/// The digits of the phone: 8 to 15, none before the first that is not zero.
pub fn phone(request: &SendRequest<'_>) -> Result<u64, Refusal> {
    let digits = match (&request.phone, &request.chat_id) {
        (Some(phone), None) => phone.0.as_ref(),
        (None, Some(chat)) => chat
            .strip_suffix("@c.us")
            .ok_or_else(|| Refusal::of(100).because("chatId must match ^[0-9]+@[cg]\\.us$"))?,
        _ => {
            return Err(Refusal::content(131008, "exactly one of phone and chatId is required"));
        }
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let long_enough = (8..=15).contains(&digits.len()) && !digits.starts_with('0');
    match digits.parse() {
        Ok(number) if plain && long_enough => Ok(number),
        _ => Err(Refusal::content(
            131009,
            "phone must be an international number: 8 to 15 digits, no plus, no spaces",
        )),
    }
}

/// Checks every component and gives back the parameters of the body.
pub fn parameters<'r, 'b>(
    template: &ApprovedTemplate,
    components: &'r [Component<'b>],
) -> Result<&'r [Parameter<'b>], Refusal> {
    let mut body: &[Parameter<'_>] = &[];
    let mut header = 0;
    let mut button = 0;
    for component in components {
        match component.kind.as_ref() {
            "body" | "BODY" => body = &component.parameters,
            "header" | "HEADER" => header += component.parameters.len(),
            "button" | "BUTTON" => button += component.parameters.len().max(1),
            other => {
                let details = format!("params: unknown component type \"{other}\"");
                return Err(Refusal::content(100, details));
            }
        }
        component.parameters.iter().try_for_each(|parameter| one(&component.kind, parameter))?;
    }
    same_number("header", header, template.header_variables)?;
    same_number("body", body.len(), template.variables)?;
    same_number("button", button, template.button_variables)?;
    short_enough(template, body).map(|()| body)
}

fn same_number(part: &str, found: usize, expected: usize) -> Result<(), Refusal> {
    if found == expected {
        return Ok(());
    }
    Err(Refusal::content(
        132000,
        format!(
            "{part}: number of localizable_params ({found}) does not match the expected number \
             of params ({expected})"
        ),
    ))
}

fn short_enough(template: &ApprovedTemplate, body: &[Parameter<'_>]) -> Result<(), Refusal> {
    let chars = template.chars(body);
    if chars <= MAX_BODY {
        return Ok(());
    }
    Err(Refusal::content(
        132005,
        format!("body: text of {chars} characters is longer than {MAX_BODY}"),
    ))
}

fn one(part: &str, parameter: &Parameter<'_>) -> Result<(), Refusal> {
    let text = parameter.as_ref();
    if parameter.kind != "text" {
        let details = format!("{part}: expected a parameter of type text");
        return Err(Refusal::content(132012, details));
    }
    if text.trim().is_empty() {
        let details = format!("{part}: Param text must be non-empty");
        return Err(Refusal::content(131008, details));
    }
    if breaks_the_line(text) {
        return Err(Refusal::content(
            132018,
            format!(
                "{part}: Param text: {text} cannot have new-line/tab characters or more than 4 \
                 consecutive spaces"
            ),
        ));
    }
    Ok(())
}

/// In one pass over the bytes: this runs for every parameter of every message.
fn breaks_the_line(text: &str) -> bool {
    let mut spaces = 0;
    text.bytes().any(|byte| {
        spaces = if byte == b' ' { spaces + 1 } else { 0 };
        spaces > 4 || matches!(byte, b'\n' | b'\r' | b'\t')
    })
}

/// The seconds a message may wait, by the category of its template.
pub fn ttl(template: &ApprovedTemplate, seconds: Option<i64>) -> Result<(), Refusal> {
    let Some(seconds) = seconds else {
        return Ok(());
    };
    let allowed = match template.options.category.as_str() {
        "AUTHENTICATION" => (30..=900).contains(&seconds) || seconds == -1,
        "MARKETING" => (43_200..=2_592_000).contains(&seconds),
        _ => (30..=43_200).contains(&seconds) || seconds == -1,
    };
    if allowed {
        return Ok(());
    }
    let details = format!("message_send_ttl_seconds: {seconds} is out of range");
    Err(Refusal::content(100, details))
}
