//! A watch as its configuration says it.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use crate::config::Watch;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::rules::SayRule;
use crate::domain::text::short_text::length;

/// What is watched, who is told, and when.
pub fn facts(watch: &Watch) -> Markup {
    let on: Vec<&str> = watch.on.iter().map(|operation| operation.into_str()).collect();
    let time = |time: std::time::Duration| {
        jiff::SignedDuration::try_from(time).map_or("–".to_owned(), length)
    };
    html! {
        dl.facts {
            dt { "Table" } dd { code { (watch.table) } }
            dt { "Columns" } dd { (watch.columns.join(", ")) }
            dt { "On" } dd { (on.join(", ")) }
            dt { "Channel" }
            dd {
                (watch.channel)
                @for step in &watch.fallback { ", then " (step.channel) }
            }
            dt { "Template" } dd { (watch.template) }
            dt { "Quiet period" } dd { (time(watch.quiet_period)) " after the last change" }
            @if watch.digest.is_some() { dt { "Digest" } dd { "one message for what is due for one recipient" } }
            @if let Some(expires_at) = &watch.expires_at { dt { "Too late from" } dd { code { (expires_at) } } }
        }
        h2 { "Who is told" }
        pre tabindex="0" { code { (watch.recipient.trim()) } }
    }
}

/// What is said, rule by rule.
pub fn rules(watch: &Watch) -> Markup {
    html! {
        @if watch.say.is_empty() {
            p { "There are no rules: each change is told as “Label: old → new.”" }
        } @else {
            ol { @for rule in &watch.say { li { (one(rule)) } } }
            p.hint { "What no rule speaks of is told as “Label: old → new.”" }
        }
    }
}

fn one(rule: &SayRule) -> Markup {
    html! {
        p { (conditions(rule)) }
        @if rule.silent { p { "Nothing is said." } }
        @if let Some(text) = &rule.text { (texts(text)) }
    }
}

fn conditions(rule: &SayRule) -> String {
    let mut parts = Vec::new();
    if !rule.when.is_empty() {
        parts.push(format!("any of {} changed", rule.when.join(", ")));
    }
    if !rule.when_all.is_empty() {
        parts.push(format!("all of {} changed", rule.when_all.join(", ")));
    }
    parts.extend(rule.operation.map(|operation| format!("it is a {}", operation.into_str())));
    parts.extend(values("was", &rule.was));
    parts.extend(values("becomes", &rule.becomes));
    if parts.is_empty() {
        "Whatever changed:".to_owned()
    } else {
        format!("If {}:", parts.join(", "))
    }
}

fn values<'a>(
    verb: &'a str,
    values: &'a BTreeMap<String, Value>,
) -> impl Iterator<Item = String> + 'a {
    values.iter().map(move |(column, value)| format!("{column} {verb} {value}"))
}

fn texts(text: &LocalizedText) -> Markup {
    html! {
        dl.facts {
            @for (language, text) in text.each() {
                dt { (language) }
                dd lang=[(language != "default").then_some(language)] { code { (text) } }
            }
        }
    }
}
