//! The few words that rowbell says by itself, in the languages that it carries. Everything else
//! (months, "tomorrow", "and", amounts) is CLDR's. The texts are in built_in_phrases.toml.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use strum::IntoStaticStr;
use toml_edit::{Document, Item};

use crate::domain::text::localized_text::chain;

const BUILT_IN: &str = include_str!("built_in_phrases.toml");

/// None would be a text that is no TOML; a test holds that it is.
static PHRASES: LazyLock<Option<Document<&str>>> = LazyLock::new(|| Document::parse(BUILT_IN).ok());

/// `[phrase.TAG]`: phrases for a language that rowbell does not have, or instead of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhraseSettings {
    pub changed: Option<String>,
    pub set: Option<String>,
    pub cancelled: Option<String>,
    pub created: Option<String>,
    pub withdrawn: Option<String>,
    pub yes: Option<String>,
    pub no: Option<String>,
    pub window: Option<String>,
    pub days: Option<String>,
    pub moments: Option<String>,
    pub from: Option<String>,
    pub until: Option<String>,
    pub more: Option<String>,
}

/// Which phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Phrase {
    Changed,
    Set,
    Cancelled,
    Created,
    Withdrawn,
    Yes,
    No,
    Window,
    Days,
    Moments,
    From,
    Until,
    More,
    Space,
}

/// Phrases of all languages: those of the configuration before the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct PhraseBook(pub BTreeMap<String, PhraseSettings>);

impl PhraseBook {
    /// A phrase in the language of `locale`. Sentences that the language lacks are said in the
    /// default locale's, then in English.
    pub fn phrase(&self, locale: &str, default_locale: &str, which: Phrase) -> Cow<'_, str> {
        if let Some(said) = self.in_language(locale, which) {
            return said;
        }
        if matches!(which, Phrase::Cancelled | Phrase::Created | Phrase::Withdrawn) {
            let other = self.in_language(default_locale, which);
            return other.or_else(|| self.in_language("en", which)).unwrap_or_default();
        }
        which.sign().into()
    }

    /// None: neither the configuration nor rowbell has it in this language.
    pub fn in_language(&self, locale: &str, which: Phrase) -> Option<Cow<'_, str>> {
        chain(locale).iter().find_map(|tag| {
            let own = self.0.get(tag).and_then(|settings| which.set_in(settings));
            own.or_else(|| which.built_in(tag)).map(Cow::Borrowed)
        })
    }
}

impl Phrase {
    /// What rowbell says in a language; None: it does not know the language.
    fn built_in(self, tag: &str) -> Option<&'static str> {
        let language = section("languages")?.get(tag)?;
        let own = language.get(self.into_str()).and_then(Item::as_str);
        Some(own.unwrap_or_else(|| self.sign()))
    }

    fn sign(self) -> &'static str {
        let sign = section("signs").and_then(|signs| signs.get(self.into_str()));
        sign.and_then(Item::as_str).unwrap_or_default()
    }

    fn set_in(self, settings: &PhraseSettings) -> Option<&str> {
        let set = match self {
            Phrase::Changed => &settings.changed,
            Phrase::Set => &settings.set,
            Phrase::Cancelled => &settings.cancelled,
            Phrase::Created => &settings.created,
            Phrase::Withdrawn => &settings.withdrawn,
            Phrase::Yes => &settings.yes,
            Phrase::No => &settings.no,
            Phrase::Window => &settings.window,
            Phrase::Days => &settings.days,
            Phrase::Moments => &settings.moments,
            Phrase::From => &settings.from,
            Phrase::Until => &settings.until,
            Phrase::More => &settings.more,
            Phrase::Space => return None,
        };
        set.as_deref()
    }
}

fn section(name: &str) -> Option<&'static Item> {
    PHRASES.as_ref()?.as_table().get(name)
}

/// The phrase with its places filled in.
pub fn fill(phrase: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(phrase.len() + 32);
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_names_what_it_needs() {
        let languages = section("languages").and_then(Item::as_table_like);
        let tags: Vec<&str> = languages.iter().flat_map(|l| l.iter()).map(|(tag, _)| tag).collect();
        assert_eq!(tags.len(), 15);
        for tag in tags {
            let said = |phrase: Phrase| phrase.built_in(tag).unwrap_or_default();
            let needs: [(Phrase, &[&str]); 8] = [
                (Phrase::Changed, &["{label}", "{old}", "{new}"]),
                (Phrase::Set, &["{label}", "{new}"]),
                (Phrase::Window, &["{date}", "{start}", "{end}"]),
                (Phrase::Days, &["{start}", "{end}"]),
                (Phrase::Moments, &["{start}", "{end}"]),
                (Phrase::From, &["{start}"]),
                (Phrase::Until, &["{end}"]),
                (Phrase::More, &["{count}"]),
            ];
            for (phrase, names) in needs {
                let phrase = said(phrase);
                assert!(names.iter().all(|name| phrase.contains(name)), "{tag}: {phrase}");
                assert_eq!(phrase.matches('{').count(), names.len(), "{tag}: {phrase}");
            }
            for sentence in [Phrase::Cancelled, Phrase::Created, Phrase::Withdrawn].map(said) {
                assert!(!sentence.is_empty(), "{tag}");
            }
        }
    }

    #[test]
    fn the_configuration_adds_a_language_and_changes_another() {
        let own = PhraseSettings { cancelled: Some("Inställt.".into()), ..Default::default() };
        let book = PhraseBook([("sv".to_owned(), own)].into());
        assert_eq!(book.phrase("sv-SE", "en", Phrase::Cancelled), "Inställt.");
        assert_eq!(book.phrase("sv-SE", "en", Phrase::Yes), "✓");
        assert_eq!(book.phrase("da", "es", Phrase::Cancelled), "Se ha cancelado.");
        assert_eq!(book.phrase("zh-TW", "en", Phrase::Created), "已登記。");
    }

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        let values = [("old", "{new}"), ("new", "b")];
        assert_eq!(fill("{old} → {new}.", &values), "{new} → b.");
    }
}
