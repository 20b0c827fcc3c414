//! The difference in words, and the words in the template: which rule speaks, in which language,
//! within the limits that WhatsApp sets.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use minijinja::Value as Jinja;
use serde::Deserialize;
use serde_json::Value;

use super::change::Operation;
use super::column::Columns;
use super::diff::{FieldChange, Kind};
use super::row::Row;
use super::text::LocalText;
use super::words::{self, Engine, Scene, WordsProblem};

/// Characters that the body of a template message may have (WhatsApp).
pub const BODY_LIMIT: usize = 1_024;

/// Characters kept free for the fixed text of a template whose text is not configured.
const UNKNOWN_FIXED_TEXT: usize = 300;

/// One `[[watch.….say]]`: which changes it speaks of, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SayRule {
    /// Fires when any of these columns changed; speaks for all of them. Empty: any change.
    #[serde(default)]
    pub when: Vec<String>,
    /// Fires only for this operation.
    pub operation: Option<Operation>,
    /// Fires only when these columns now have these values, and had others before.
    #[serde(default)]
    pub becomes: BTreeMap<String, Value>,
    /// MiniJinja template.
    pub text: Option<LocalText>,
}

/// What a phrasing is made of.
#[derive(Clone, Copy, Debug)]
pub struct PhrasingSource<'a> {
    pub service: Option<&'a LocalText>,
    pub say: &'a [SayRule],
    pub label: &'a BTreeMap<String, LocalText>,
    pub value: &'a BTreeMap<String, BTreeMap<String, LocalText>>,
    pub body: &'a [String],
    /// The approved text of the template, with `{{1}}` ….
    pub text: Option<&'a LocalText>,
    /// Language codes of the template at the provider.
    pub language: &'a LocalText,
    pub default_locale: &'a str,
    /// Columns that templates may name.
    pub columns: &'a [String],
}

/// The words of one watch, compiled.
pub struct Phrasing {
    engine: Engine,
    service: Option<LocalText>,
    say: Vec<SayRule>,
    label: BTreeMap<String, LocalText>,
    body_count: usize,
    text: Option<LocalText>,
    language: LocalText,
    default_locale: String,
}

/// What is to be said, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    pub operation: Operation,
    pub changes: &'a [FieldChange],
    /// What the recipient was last told.
    pub old: Option<&'a Row>,
    /// The row now; for a delete, as it was last told.
    pub row: &'a Row,
    pub columns: &'a Columns,
    pub name: &'a str,
    pub locale: &'a str,
    pub time_zone: &'a str,
    pub now: Timestamp,
}

/// A message in its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Wording {
    /// Body variables in order.
    pub parameters: Vec<String>,
    pub summary: String,
    /// Language code of the template at the provider.
    pub language: String,
    /// The whole text as the customer reads it, where the template's text is configured.
    pub bubble: Option<String>,
    /// Whether the summary had to be cut.
    pub was_cut: bool,
}

/// Why a message cannot be put into words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("{place}: {why}")]
    Template { place: String, why: String },
    #[error("{0} is empty, and WhatsApp refuses empty variables")]
    Empty(String),
    #[error("the template has no language for locale \"{0}\" and no default")]
    Language(String),
    #[error("the body would have {0} characters without the summary; {BODY_LIMIT} are allowed")]
    TooLong(usize),
}

impl Phrasing {
    /// Compiles all templates. Reports every problem at once.
    pub fn compile(source: &PhrasingSource<'_>) -> Result<Phrasing, Vec<WordsProblem>> {
        let engine = Engine::compile(source)?;
        Ok(Phrasing {
            engine,
            service: source.service.cloned(),
            say: source.say.to_vec(),
            label: source.label.clone(),
            body_count: source.body.len(),
            text: source.text.cloned(),
            language: source.language.clone(),
            default_locale: source.default_locale.to_owned(),
        })
    }

    /// Puts an occasion into words.
    pub fn word(&self, occasion: &Occasion<'_>) -> Result<Wording, Unwritable> {
        let (language, locale) = self.language_for(occasion.locale)?;
        let scene = Scene { occasion, locale: &locale, default_locale: &self.default_locale };
        let full = words::clean(&self.summary(&scene)?);
        let mut summary = full.clone();
        let mut parameters = self.parameters(&scene, &summary)?;
        let total = self.length(&parameters, &locale);
        if total > BODY_LIMIT {
            let room = full.chars().count().saturating_sub(total - BODY_LIMIT);
            summary =
                words::cut(&full, room).ok_or(Unwritable::TooLong(total - full.chars().count()))?;
            parameters = self.parameters(&scene, &summary)?;
        }
        let bubble = self.bubble(&parameters, &locale);
        Ok(Wording { bubble, was_cut: summary != full, parameters, summary, language })
    }

    /// The template's language code, and the locale that words, dates and numbers are written in:
    /// the recipient's own where the template speaks its language, the template's otherwise.
    fn language_for(&self, locale: &str) -> Result<(String, String), Unwritable> {
        let code = self
            .language
            .for_locale(locale, &self.default_locale)
            .ok_or_else(|| Unwritable::Language(locale.to_owned()))?;
        let speaks = primary(code).eq_ignore_ascii_case(primary(locale));
        let known = speaks && super::dates::formats(locale).is_ok();
        Ok((code.to_owned(), if known { locale } else { code }.to_owned()))
    }

    fn summary(&self, scene: &Scene<'_>) -> Result<String, Unwritable> {
        let mut said = Vec::new();
        let mut covered = BTreeSet::new();
        for (i, rule) in self.say.iter().enumerate() {
            let is_new =
                rule.when.is_empty() || rule.when.iter().any(|c| !covered.contains(c.as_str()));
            let (Some(text), true) = (&rule.text, is_new && fires(rule, scene.occasion)) else {
                continue;
            };
            if let Some(tag) = words::tag_for(text, scene.locale, &self.default_locale) {
                said.push(self.engine.render(&words::say_name(i, &tag), scene, None)?);
            }
            covered.extend(rule.when.iter().map(String::as_str));
            covered.extend(rule.becomes.keys().map(String::as_str));
            if rule.when.is_empty() && rule.becomes.is_empty() {
                covered.extend(scene.occasion.changes.iter().map(|change| change.column.as_str()));
            }
        }
        if scene.occasion.operation == Operation::Delete && said.is_empty() {
            return Ok(words::phrase_cancelled(scene.locale).to_owned());
        }
        for change in scene.occasion.changes {
            if !covered.contains(change.column.as_str())
                && scene.occasion.operation != Operation::Delete
            {
                said.push(self.plain(change, scene)?);
            }
        }
        Ok(said.join(" "))
    }

    /// "Label: old → new.", or "Label: new." where there was nothing before.
    fn plain(&self, change: &FieldChange, scene: &Scene<'_>) -> Result<String, Unwritable> {
        let label = self
            .label
            .get(&change.column)
            .and_then(|label| label.for_locale(scene.locale, &self.default_locale))
            .map_or_else(|| change.column.replace('_', " "), str::to_owned);
        let column = scene.occasion.columns.get(&change.column);
        let kind = column.map_or(&Kind::Other, |column| &column.kind);
        let show = |value: &Value| {
            self.engine.labels().show(&change.column, kind, value, scene).map_err(|error| {
                Unwritable::Template { place: change.column.clone(), why: error.to_string() }
            })
        };
        let new = show(&change.new)?;
        if scene.occasion.operation == Operation::Insert || change.old.is_null() {
            return Ok(format!("{label}: {new}."));
        }
        Ok(format!("{label}: {} → {new}.", show(&change.old)?))
    }

    fn parameters(&self, scene: &Scene<'_>, summary: &str) -> Result<Vec<String>, Unwritable> {
        let service = self
            .service
            .as_ref()
            .and_then(|service| service.for_locale(scene.locale, &self.default_locale))
            .unwrap_or_default();
        let more = [("service", Jinja::from(service)), ("summary", Jinja::from(summary))];
        let mut parameters = Vec::with_capacity(self.body_count);
        for i in 0..self.body_count {
            let text =
                words::clean(&self.engine.render(&words::body_name(i), scene, Some(&more))?);
            if text.is_empty() {
                return Err(Unwritable::Empty(format!("variable {{{{{}}}}}", i + 1)));
            }
            parameters.push(text);
        }
        Ok(parameters)
    }

    /// Characters of the whole body.
    fn length(&self, parameters: &[String], locale: &str) -> usize {
        match self.bubble(parameters, locale) {
            Some(bubble) => bubble.chars().count(),
            None => {
                parameters.iter().map(|p| p.chars().count()).sum::<usize>() + UNKNOWN_FIXED_TEXT
            }
        }
    }

    fn bubble(&self, parameters: &[String], locale: &str) -> Option<String> {
        let text = self.text.as_ref()?.for_locale(locale, &self.default_locale)?;
        Some(words::fill(text, parameters))
    }
}

/// The language of a tag: `pt` of `pt-BR`.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

fn fires(rule: &SayRule, occasion: &Occasion<'_>) -> bool {
    let changed = |column: &String| occasion.changes.iter().any(|change| &change.column == column);
    let operation_fits = rule.operation.is_none_or(|operation| operation == occasion.operation);
    let became = rule.becomes.iter().all(|(column, value)| {
        occasion.changes.iter().any(|change| {
            &change.column == column
                && (&change.new == value || text_of(&change.new) == text_of(value))
        })
    });
    let when_fits = rule.when.is_empty()
        || rule.when.iter().any(changed)
        || (occasion.operation == Operation::Delete && rule.operation.is_some());
    operation_fits && became && when_fits
}

/// So that `becomes = { status = "3" }` fits the number 3 and the text.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
