//! Texts in several languages.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One text for everybody, or one for each language tag (`en`, `pt-BR`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum LocalText {
    Same(String),
    ByLanguage(BTreeMap<String, String>),
}

impl LocalText {
    /// The text for `locale`: its own tag, then ever shorter ones (`pt-BR` → `pt`), then `default`,
    /// then `fallback`'s. None when nothing fits.
    pub fn for_locale(&self, locale: &str, fallback: &str) -> Option<&str> {
        match self {
            LocalText::Same(text) => Some(text),
            LocalText::ByLanguage(texts) => lookup(texts, locale)
                .or_else(|| texts.get("default").map(String::as_str))
                .or_else(|| lookup(texts, fallback)),
        }
    }

    /// The texts with their language tags; `default` stands for a text without one.
    pub fn each(&self) -> Vec<(&str, &str)> {
        match self {
            LocalText::Same(text) => vec![("default", text)],
            LocalText::ByLanguage(texts) => {
                texts.iter().map(|(tag, text)| (tag.as_str(), text.as_str())).collect()
            }
        }
    }
}

fn lookup<'a>(texts: &'a BTreeMap<String, String>, locale: &str) -> Option<&'a str> {
    let mut tag = locale;
    loop {
        if let Some(text) = texts.get(tag) {
            return Some(text);
        }
        tag = &tag[..tag.rfind(['-', '_'])?];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regional_locale_falls_back_to_its_language_and_then_to_the_default() {
        let texts: BTreeMap<_, _> = [("default", "hello"), ("es", "hola"), ("pt-BR", "oi")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        let text = LocalText::ByLanguage(texts);
        assert_eq!(text.for_locale("es-MX", "en"), Some("hola"));
        assert_eq!(text.for_locale("pt-BR", "en"), Some("oi"));
        assert_eq!(text.for_locale("pt-PT", "en"), Some("hello"));
    }
}
