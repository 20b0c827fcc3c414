//! What a customer's own message says about further messages: nothing, "stop", or "start again".
//!
//! Only a message that consists of such a word counts: "please stop by at ten" is no opt-out.

use std::collections::{BTreeMap, HashSet};

use unicode_normalization::UnicodeNormalization as _;

/// Longer messages say something else. In characters.
const LONGEST: usize = 60;

/// What a customer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptRequest {
    Stop,
    Start,
}

/// The words that opt out and in, of all languages together: a customer may write in another
/// language than the one that we write to them in.
#[derive(Clone, Debug, Default)]
pub struct OptOutKeywords {
    stop: HashSet<String>,
    start: HashSet<String>,
}

impl OptOutKeywords {
    /// From lists by language.
    pub fn new(
        opt_out: &BTreeMap<String, Vec<String>>,
        opt_in: &BTreeMap<String, Vec<String>>,
    ) -> OptOutKeywords {
        let all = |lists: &BTreeMap<String, Vec<String>>| {
            lists.values().flatten().map(|word| folded(word)).collect()
        };
        OptOutKeywords { stop: all(opt_out), start: all(opt_in) }
    }

    /// What a message says.
    pub fn read(&self, message: &str) -> Option<OptRequest> {
        if message.chars().take(LONGEST + 1).count() > LONGEST {
            return None;
        }
        let message = folded(message);
        if self.stop.contains(&message) {
            Some(OptRequest::Stop)
        } else if self.start.contains(&message) {
            Some(OptRequest::Start)
        } else {
            None
        }
    }
}

/// Without case, accents, punctuation, emoji, white space that says nothing, and words that are said again at once.
pub fn folded(text: &str) -> String {
    let is_accent = |c: char| matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}');
    let bare: String = text
        .nfkd()
        .filter(|c| !is_accent(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    let mut words: Vec<&str> = bare.split_whitespace().collect();
    words.dedup();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> OptOutKeywords {
        let lists = |language: &str, words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            BTreeMap::from([(language.to_owned(), words)])
        };
        OptOutKeywords::new(&lists("es", &["stop", "no más mensajes"]), &lists("en", &["start"]))
    }

    #[test]
    fn a_word_counts_however_it_is_written() {
        for text in [
            "STOP",
            " Stop! ",
            "stop.",
            "«stop»",
            "NO MAS  MENSAJES",
            "No más mensajes 🙏",
            "STOP STOP!!",
            "ＳＴＯＰ",
            "*stop*",
            "\u{200e}STOP\u{200e}",
        ] {
            assert_eq!(words().read(text), Some(OptRequest::Stop), "{text}");
        }
        assert_eq!(words().read("Start"), Some(OptRequest::Start));
    }

    #[test]
    fn a_word_within_a_sentence_does_not_count() {
        for text in ["please stop by at ten", "", "!", "stopp", "don't stop", &"stop ".repeat(40)] {
            assert_eq!(words().read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in ".*") {
            proptest::prop_assert_eq!(folded(&folded(&text)), folded(&text));
        }
    }
}
