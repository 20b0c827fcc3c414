//! Texts that run from right to left next to texts that run from left to right: a value of the other
//! direction is set apart by isolates, so that it does not reorder the words around it.

use icu::properties::CodePointMapData;
use icu::properties::props::BidiClass;

/// FIRST STRONG ISOLATE: what follows has the direction of its own first letter.
pub const ISOLATE: &str = "\u{2068}";
/// POP DIRECTIONAL ISOLATE.
pub const POP: &str = "\u{2069}";

/// The value, set apart if it has letters of the other direction than the text around it. Signs of
/// its own that would change the direction of what follows are left out.
pub fn isolated(value: &str, is_right_to_left: bool) -> Option<String> {
    let needed = match is_right_to_left {
        // Digits with signs between them would be turned around as groups.
        true => value.chars().any(|c| runs(c) == Some(false)) || has_groups_of_digits(value),
        false => !value.is_ascii() && value.chars().any(|c| runs(c) == Some(true)),
    };
    let is_control = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if needed {
        let value: String = value.chars().filter(|c| !is_control(*c)).collect();
        return Some(format!("{ISOLATE}{value}{POP}"));
    }
    value.contains(is_control).then(|| value.chars().filter(|c| !is_control(*c)).collect())
}

/// Whether a letter runs from right to left; None for signs and digits.
fn runs(c: char) -> Option<bool> {
    if c.is_ascii() {
        return c.is_ascii_alphabetic().then_some(false);
    }
    match CodePointMapData::<BidiClass>::new().get(c) {
        BidiClass::LeftToRight => Some(false),
        BidiClass::RightToLeft | BidiClass::ArabicLetter => Some(true),
        _ => None,
    }
}

fn has_groups_of_digits(value: &str) -> bool {
    value.contains(|c: char| c.is_ascii_digit()) && value.contains(['-', '/', '+', '#', '('])
}

/// How many isolates are still open at the end of a text.
pub fn open_isolates(text: &str) -> usize {
    text.chars().fold(0, |open: usize, c| match c {
        '\u{2068}' => open + 1,
        '\u{2069}' => open.saturating_sub(1),
        _ => open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_other_direction_is_set_apart() {
        assert_eq!(
            isolated("12 Main Street", true).as_deref(),
            Some("\u{2068}12 Main Street\u{2069}")
        );
        assert_eq!(isolated("شارع النيل", true), None);
        assert_eq!(isolated("12-34", true).as_deref(), Some("\u{2068}12-34\u{2069}"));
        assert_eq!(isolated("12", true), None);
        assert_eq!(isolated("محمد", false).as_deref(), Some("\u{2068}محمد\u{2069}"));
        assert_eq!(isolated("Müller", false), None);
    }

    #[test]
    fn a_value_cannot_turn_around_what_follows_it() {
        assert_eq!(isolated("evil\u{202e}txt", false).as_deref(), Some("eviltxt"));
    }
}
