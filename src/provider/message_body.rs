//! Templates of channels that send texts: the body of an HTTP request, subject and body of a mail.
//!
//! Their variables: `text` (the template's text as the customer reads it, or else the summary), `summary`,
//! `parameters`, `language`, `template`, `recipient.name`, `recipient.phone` (digits with country code, no
//! plus sign), `recipient.email`, `recipient.locale`, and `attempt_id`, which is another one for every
//! attempt: for gateways that take an idempotency key.

use minijinja::value::Value as Jinja;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, context};

use crate::domain::message::outgoing::TemplateMessage;
use crate::domain::text::localized_text::LocalizedText;

/// A mistake in a template, on one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct MessageBodyError {
    /// Setting of the channel: `body`, `subject.es`.
    pub place: String,
    pub why: String,
}

/// How values are written into a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    Plain,
    /// As part of a JSON text between quotes: `"text": "{{ text }}"`.
    Json,
}

/// The templates of one channel, compiled.
pub struct MessageBodies {
    environment: Environment<'static>,
    texts: Vec<(&'static str, LocalizedText)>,
    /// Language where neither the recipient's nor `default` is there.
    fallback: String,
}

impl MessageBodies {
    /// Compiles the texts and tries each on an invented message.
    pub fn compile(
        texts: Vec<(&'static str, LocalizedText)>,
        writing: BodyFormat,
        fallback: &str,
    ) -> Result<MessageBodies, MessageBodyError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        if writing == BodyFormat::Json {
            environment.set_auto_escape_callback(|_| AutoEscape::Custom("json".into()));
            environment.set_formatter(within_json);
        }
        let mut bodies =
            MessageBodies { environment, texts: Vec::new(), fallback: fallback.to_owned() };
        for (setting, text) in &texts {
            for (tag, template) in text.each() {
                let place = place(setting, tag);
                let added =
                    bodies.environment.add_template_owned(place.clone(), template.to_owned());
                added.map_err(|error| wrong(&place, &error))?;
                bodies.render_named(&place, &sample(), "production-1-1")?;
            }
        }
        bodies.texts = texts;
        Ok(bodies)
    }

    /// The text of a setting for a message.
    pub fn render(
        &self,
        setting: &str,
        message: &TemplateMessage,
        attempt_id: &str,
    ) -> Result<String, MessageBodyError> {
        let missing = || MessageBodyError {
            place: setting.to_owned(),
            why: format!("has no text for locale \"{}\" and no default", message.locale),
        };
        let (_, text) = self.texts.iter().find(|(name, _)| *name == setting).ok_or_else(missing)?;
        let chosen = text.for_locale(&message.locale, &self.fallback).ok_or_else(missing)?;
        let tag = text.each().into_iter().find(|(_, each)| std::ptr::eq(*each, chosen));
        let name = place(setting, tag.map_or("default", |(tag, _)| tag));
        self.render_named(&name, message, attempt_id)
    }

    fn render_named(
        &self,
        name: &str,
        message: &TemplateMessage,
        attempt_id: &str,
    ) -> Result<String, MessageBodyError> {
        let variables = context! {
            text => message.text(),
            summary => &message.summary,
            parameters => &message.parameters,
            language => &message.language,
            template => &message.template,
            recipient => context! {
                name => &message.name,
                phone => &message.phone,
                email => &message.email,
                locale => &message.locale,
            },
            attempt_id,
        };
        let rendered = self.environment.get_template(name).and_then(|t| t.render(variables));
        rendered.map_err(|error| wrong(name, &error))
    }
}

/// Escapes what stands between the quotes of a JSON text; numbers and results of `tojson` stay.
fn within_json(
    out: &mut minijinja::Output<'_>,
    _: &mut minijinja::State<'_, '_>,
    value: &Jinja,
) -> Result<(), minijinja::Error> {
    let text = value.to_string();
    if value.is_safe() || value.as_str().is_none() {
        return Ok(out.write_str(&text)?);
    }
    let quoted = serde_json::Value::String(text).to_string();
    Ok(out.write_str(&quoted[1..quoted.len() - 1])?)
}

fn place(setting: &str, tag: &str) -> String {
    if tag == "default" { setting.to_owned() } else { format!("{setting}.{tag}") }
}

/// What templates can name.
const KNOWN: &str = "; templates know text, summary, parameters, language, template, attempt_id, recipient.name, \
                     recipient.phone, recipient.email and recipient.locale";

fn wrong(place: &str, error: &minijinja::Error) -> MessageBodyError {
    let mut what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if error.kind() == ErrorKind::UndefinedError {
        what += KNOWN;
    }
    let why = error
        .line()
        .filter(|line| *line > 1)
        .map_or(what.clone(), |line| format!("{what} (line {line})"));
    MessageBodyError { place: place.to_owned(), why }
}

/// What templates are tried on: every character that can break a format.
pub fn sample() -> TemplateMessage {
    TemplateMessage {
        phone: "12025550143".to_owned(),
        email: "maria@example.com".to_owned(),
        name: "Maria \"Mia\"".to_owned(),
        locale: "en".to_owned(),
        template: "service_change".to_owned(),
        language: "en".to_owned(),
        parameters: vec!["Maria \"Mia\"".to_owned(), "home delivery".to_owned()],
        summary: "New window: \\ 10:00 \"sharp\".".to_owned(),
        ..TemplateMessage::default()
    }
}
