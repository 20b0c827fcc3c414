//! Several messages of one recipient in one text: their summaries one after the other, the same one once, as many as
//! WhatsApp has room for, and how many more there are.

use icu::decimal::input::Decimal;

use crate::domain::locale::formats::formats;
use crate::domain::text::phrases::{Phrase, fill};
use crate::domain::text::render_context::BODY_LIMIT;
use crate::domain::text::summary::{Phrasing, Wording};

/// The text of several messages.
#[derive(Clone, Debug, PartialEq)]
pub struct DigestWording {
    pub wording: Wording,
    /// How many of the messages it says, from the first on. Of the others it says how many they are.
    pub said: usize,
}

impl Phrasing {
    /// One text for messages in one language, all variables but the summary those of the first. None: not even the first
    /// has room beside the phrase for the others, or no variable writes the summary as it is.
    pub fn digest(&self, wordings: &[&Wording], locale: &str) -> Option<DigestWording> {
        let first = wordings.first()?;
        let (_, locale) = self.language_for(locale).ok()?;
        let places: Vec<usize> = self.writes_summary().collect();
        let is_plain = |place: &usize| {
            first.parameters.get(*place).is_some_and(|text| text.contains(&first.summary))
        };
        if first.uncut.is_some() || places.is_empty() || !places.iter().all(is_plain) {
            return None;
        }
        let text = |said: usize| self.joined_summaries(wordings, said, &locale);
        let fits = |said: usize| {
            let summary = text(said);
            let mut parameters = first.parameters.clone();
            for place in &places {
                let parameter = parameters.get_mut(*place)?;
                *parameter = parameter.replacen(&first.summary, &summary, 1);
            }
            (self.length(&parameters, &locale) <= BODY_LIMIT).then_some((parameters, summary))
        };
        // A text with one more is longer, except that the last one takes the place of the phrase.
        let all = wordings.len();
        let (said, (parameters, summary)) = match fits(all) {
            Some(fitted) => (all, fitted),
            None => (1..all).map_while(|said| Some((said, fits(said)?))).last()?,
        };
        let rendered_text = self.rendered_text(&parameters, &locale);
        let wording = Wording {
            rendered_text,
            was_cut: said < all,
            uncut: (said < all).then(|| text(all)),
            parameters,
            summary,
            ..(*first).clone()
        };
        Some(DigestWording { wording, said })
    }

    fn joined_summaries(&self, wordings: &[&Wording], said: usize, locale: &str) -> String {
        let mut texts: Vec<String> = Vec::with_capacity(said + 1);
        for wording in wordings.iter().take(said) {
            if !texts.contains(&wording.summary) {
                texts.push(wording.summary.clone());
            }
        }
        if said < wordings.len() {
            let count = (wordings.len() - said) as u64;
            let formats = formats(locale).ok();
            let count = formats
                .and_then(|formats| formats.number(&Decimal::from(count)).ok())
                .unwrap_or_else(|| count.to_string());
            texts.push(fill(&self.phrase(locale, Phrase::More), &[("count", &count)]));
        }
        texts.join(&self.phrase(locale, Phrase::Space))
    }
}
