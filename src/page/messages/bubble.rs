//! A message as its recipient reads it.

use maud::{Markup, html};
use serde_json::Value;

use crate::domain::text::whatsapp_limits::fill;
use crate::page::mask::Mask;
use crate::page::state::PageState;
use crate::postgres::operations::entity_history::WordsHistory;

/// The whole text, where the configuration has the text of its template; else its changing part.
pub fn bubble(page: &PageState, words: &WordsHistory, mask: &Mask) -> Markup {
    let language = words.language.as_deref();
    match whole(page, words) {
        Some(text) => shown(&text, language, mask),
        None => html! {
            (shown(words.summary.as_deref().unwrap_or_default(), language, mask))
            p.hint { "The configuration has no text of this template, so this is its changing part." }
        },
    }
}

/// A text in a bubble, in its language.
pub fn shown(text: &str, language: Option<&str>, mask: &Mask) -> Markup {
    let language = language.map(|language| language.replace('_', "-"));
    html! { blockquote.bubble lang=[language] dir="auto" { (mask.text(text)) } }
}

fn whole(page: &PageState, words: &WordsHistory) -> Option<String> {
    let name = words.template.as_deref()?;
    let mut templates = page.config().template.iter();
    let (_, template) = templates.find(|(key, template)| template.name == name || *key == name)?;
    let locale = words.recipient_locale.as_deref().unwrap_or_default();
    let text = template.text.as_ref()?.for_locale(locale, &page.config().recipient.locale)?;
    let parameters: Vec<String> = words.parameters.as_array()?.iter().map(plain).collect();
    (!parameters.is_empty()).then(|| fill(text, &parameters))
}

/// A value as people read it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "—".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
