//! The few words that rowbell says by itself, in the languages that it carries. Everything else
//! (months, "tomorrow", "and", amounts) is CLDR's. The texts stand in built_in_phrases.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::text::built_in_phrases::{CARRIED, Phrases, SIGNS};
use crate::domain::text::localized_text::chain;

/// `[phrase.TAG]`: phrases for a language that rowbell does not carry, or instead of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhraseSettings {
    pub changed: Option<String>,
    pub set: Option<String>,
    pub cancelled: Option<String>,
    pub created: Option<String>,
    pub yes: Option<String>,
    pub no: Option<String>,
    pub window: Option<String>,
    pub days: Option<String>,
    pub moments: Option<String>,
    pub from: Option<String>,
    pub until: Option<String>,
}

/// Which phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phrase {
    Changed,
    Set,
    Cancelled,
    Created,
    Yes,
    No,
    Window,
    Days,
    Moments,
    From,
    Until,
    Space,
}

/// Phrases of all languages: the site's own before those that rowbell carries.
#[derive(Clone, Debug, Default)]
pub struct PhraseBook(pub BTreeMap<String, PhraseSettings>);

impl PhraseBook {
    /// A phrase in the language of `locale`. Sentences that the language lacks are said in the
    /// default locale's, then in English.
    pub fn phrase(&self, locale: &str, default_locale: &str, which: Phrase) -> Cow<'_, str> {
        if let Some(said) = self.in_language(locale, which) {
            return said;
        }
        if matches!(which, Phrase::Cancelled | Phrase::Created) {
            let other = self.in_language(default_locale, which);
            return other.or_else(|| self.in_language("en", which)).unwrap_or_default();
        }
        which.of(&SIGNS).into()
    }

    /// None: neither the site nor rowbell has it in this language.
    pub fn in_language(&self, locale: &str, which: Phrase) -> Option<Cow<'_, str>> {
        chain(locale).iter().find_map(|tag| {
            let own = self.0.get(tag).and_then(|settings| which.set_in(settings));
            let carried = || CARRIED.iter().find(|(carried, _)| carried == tag);
            own.map(Cow::Borrowed).or_else(|| carried().map(|(_, all)| which.of(all).into()))
        })
    }
}

impl Phrase {
    fn of(self, phrases: &Phrases) -> &'static str {
        match self {
            Phrase::Changed => phrases.changed,
            Phrase::Set => phrases.set,
            Phrase::Cancelled => phrases.cancelled,
            Phrase::Created => phrases.created,
            Phrase::Yes => phrases.yes,
            Phrase::No => phrases.no,
            Phrase::Window => phrases.window,
            Phrase::Days => phrases.days,
            Phrase::Moments => phrases.moments,
            Phrase::From => phrases.from,
            Phrase::Until => phrases.until,
            Phrase::Space => phrases.space,
        }
    }

    fn set_in(self, settings: &PhraseSettings) -> Option<&str> {
        let set = match self {
            Phrase::Changed => &settings.changed,
            Phrase::Set => &settings.set,
            Phrase::Cancelled => &settings.cancelled,
            Phrase::Created => &settings.created,
            Phrase::Yes => &settings.yes,
            Phrase::No => &settings.no,
            Phrase::Window => &settings.window,
            Phrase::Days => &settings.days,
            Phrase::Moments => &settings.moments,
            Phrase::From => &settings.from,
            Phrase::Until => &settings.until,
            Phrase::Space => return None,
        };
        set.as_deref()
    }
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
        for (tag, phrases) in CARRIED {
            let needs: [(&str, &[&str]); 7] = [
                (phrases.changed, &["{label}", "{old}", "{new}"]),
                (phrases.set, &["{label}", "{new}"]),
                (phrases.window, &["{date}", "{start}", "{end}"]),
                (phrases.days, &["{start}", "{end}"]),
                (phrases.moments, &["{start}", "{end}"]),
                (phrases.from, &["{start}"]),
                (phrases.until, &["{end}"]),
            ];
            for (phrase, names) in needs {
                assert!(names.iter().all(|name| phrase.contains(name)), "{tag}: {phrase}");
                assert_eq!(phrase.matches('{').count(), names.len(), "{tag}: {phrase}");
            }
            assert!(!phrases.cancelled.is_empty() && !phrases.created.is_empty(), "{tag}");
        }
    }

    #[test]
    fn a_site_adds_a_language_and_changes_another() {
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
