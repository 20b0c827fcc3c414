//! Texts in several languages.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use icu::locale::DataLocale;
use icu::locale::fallback::LocaleFallbacker;
use serde::Deserialize;

use crate::domain::locale::formats::locale_of;

/// One text for everybody, or one for each language tag (`en`, `pt-BR`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a text, or a table with one for each language")]
pub enum LocalizedText {
    Same(String),
    ByLanguage(BTreeMap<String, String>),
}

impl LocalizedText {
    /// The text for `locale`: its own tag, then those that CLDR falls back to (`pt-BR` → `pt`,
    /// `zh-TW` → `zh-Hant`), then `default`, then `fallback`'s. None when nothing fits.
    pub fn for_locale(&self, locale: &str, fallback: &str) -> Option<&str> {
        match self {
            LocalizedText::Same(text) => Some(text),
            LocalizedText::ByLanguage(texts) => lookup(texts, locale)
                .or_else(|| texts.get("default").map(String::as_str))
                .or_else(|| lookup(texts, fallback)),
        }
    }

    /// The text for `locale` itself, if it is there: not the one that stands in where it is missing.
    pub fn in_language(&self, locale: &str) -> Option<&str> {
        match self {
            LocalizedText::Same(text) => Some(text),
            LocalizedText::ByLanguage(texts) => lookup(texts, locale),
        }
    }

    /// The texts with their language tags; `default` stands for a text without one.
    pub fn each(&self) -> Vec<(&str, &str)> {
        match self {
            LocalizedText::Same(text) => vec![("default", text)],
            LocalizedText::ByLanguage(texts) => {
                texts.iter().map(|(tag, text)| (tag.as_str(), text.as_str())).collect()
            }
        }
    }
}

fn lookup<'a>(texts: &'a BTreeMap<String, String>, locale: &str) -> Option<&'a str> {
    if let Some(text) = texts.get(locale) {
        return Some(text);
    }
    chain(locale).iter().find_map(|tag| texts.get(tag)).map(String::as_str)
}

thread_local! {
    static CHAINS: RefCell<HashMap<String, Rc<Vec<String>>>> = RefCell::default();
}

/// How many locales are remembered; rows decide what they hold, so there is a limit.
const REMEMBERED: usize = 1_000;

/// The tag of a locale in its usual form, then ever more general ones: `es-MX`, `es-419`, `es`.
pub fn chain(locale: &str) -> Rc<Vec<String>> {
    if let Some(known) = CHAINS.with_borrow(|chains| chains.get(locale).cloned()) {
        return known;
    }
    let made = Rc::new(make_chain(locale));
    CHAINS.with_borrow_mut(|chains| {
        if chains.len() >= REMEMBERED {
            chains.clear();
        }
        chains.insert(locale.to_owned(), made.clone());
    });
    made
}

fn make_chain(locale: &str) -> Vec<String> {
    let Ok(parsed) = locale_of(locale) else {
        return vec![locale.to_owned()];
    };
    let fallbacker = LocaleFallbacker::new();
    let mut steps =
        fallbacker.for_config(Default::default()).fallback_for(DataLocale::from(&parsed));
    let mut tags = Vec::new();
    while !steps.get().is_unknown() {
        tags.push(steps.get().to_string());
        steps.step();
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regional_locale_falls_back_to_its_language_and_then_to_the_default() {
        let texts: BTreeMap<_, _> = [("default", "hello"), ("es", "hola"), ("pt-BR", "oi")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        let text = LocalizedText::ByLanguage(texts);
        assert_eq!(text.for_locale("es-MX", "en"), Some("hola"));
        assert_eq!(text.for_locale("pt-BR", "en"), Some("oi"));
        assert_eq!(text.for_locale("pt-PT", "en"), Some("hello"));
    }

    #[test]
    fn rows_write_locales_in_their_own_ways() {
        let texts: BTreeMap<_, _> = [("es-419", "ustedes"), ("zh", "简"), ("zh-Hant", "繁")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        let text = LocalizedText::ByLanguage(texts);
        assert_eq!(text.for_locale("es_MX", "en"), Some("ustedes"));
        assert_eq!(text.for_locale("ZH_tw", "en"), Some("繁"));
        assert_eq!(text.for_locale("zh-CN", "en"), Some("简"));
        assert_eq!(text.for_locale("es-ES", "en"), None);
        assert_eq!(text.for_locale("es_MX.UTF-8", "en"), Some("ustedes"));
        assert_eq!(text.for_locale("zh-TW,zh;q=0.9,en", "en"), Some("繁"));
    }

    #[test]
    fn languages_are_known_by_their_old_names_too() {
        let tags = ["he", "id", "es", "fil", "nb", "no", "de"];
        let texts: BTreeMap<_, _> = tags.map(|tag| (tag.into(), tag.to_owned())).into();
        let text = LocalizedText::ByLanguage(texts);
        for (locale, expected) in [
            ("iw", "he"),
            ("iw_IL", "he"),
            ("in", "id"),
            ("in-ID", "id"),
            ("spa", "es"),
            ("tl", "fil"),
            ("nb", "nb"),
            ("nb-NO", "nb"),
            ("no", "no"),
            ("de_DE@euro", "de"),
        ] {
            assert_eq!(text.in_language(locale), Some(expected), "{locale}");
        }
        assert_eq!(text.for_locale("not a locale", "en"), None);
    }
}
