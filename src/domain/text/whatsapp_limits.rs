//! The rules of WhatsApp for a variable: one line, no runs of spaces, and the room that a body has.

use std::collections::BTreeSet;

use icu::normalizer::ComposingNormalizerBorrowed;
use icu::segmenter::GraphemeClusterSegmenter;

use crate::domain::locale::bidi;

/// As WhatsApp wants a variable: one line, no runs of spaces, nothing around it. Signs that cannot be
/// seen and would break the line or the direction of what follows are left out.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.extend(word.chars().filter(|c| !c.is_control()));
    }
    cleaned.trim().to_owned()
}

/// Signs that take no room.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Whether there is nothing to see in a text.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c.is_control() || is_unseen(c))
}

/// A text as the eye takes it: two that are equal here look the same on a phone, whatever signs they are made of.
pub fn as_seen(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(&clean(&seen)).into_owned()
}

/// A sentence whose last value ends with a full stop (`a.m.`) needs no second one.
pub fn tidy(sentence: &str) -> String {
    let sentence = sentence.trim();
    match sentence.strip_suffix("..") {
        Some(rest) if !rest.ends_with('.') => format!("{rest}."),
        _ => sentence.to_owned(),
    }
}

/// Text put before the full stop at the end of a sentence.
pub fn before_the_end(sentence: &str, more: &str) -> String {
    let ends = ['.', '。', '।', '!', '?', '！', '？'];
    match sentence.char_indices().next_back() {
        // The point of "a.m." belongs to it.
        Some((at, last)) if ends.contains(&last) && !is_abbreviation(&sentence[..at]) => {
            format!("{} {more}{last}", &sentence[..at])
        }
        _ => format!("{sentence} {more}."),
    }
}

/// `(Spanien, Ortszeit)`: brackets inside of brackets are hard to read.
pub fn in_brackets(text: &str) -> String {
    format!("({})", text.replace(" (", ", ").replace([')', '('], ""))
}

/// Whether the text before a point is one letter after another point, such as `a.m`.
fn is_abbreviation(text: &str) -> bool {
    let mut from_end = text.chars().rev();
    from_end.next().is_some_and(char::is_alphabetic) && from_end.next() == Some('.')
}

/// The text cut at a word so that it has at most `room` characters with its ellipsis. None when
/// there is no room for a single word. Where words are not set apart by spaces, it is cut between
/// signs; never inside of one.
pub fn cut(text: &str, room: usize) -> Option<String> {
    let mut room = room.checked_sub(1)?;
    loop {
        let kept = cut_to(text, room)?;
        let open = bidi::open_isolates(kept);
        let length = kept.chars().count();
        if length + open <= room {
            return Some(format!("{kept}{}…", bidi::POP.repeat(open)));
        }
        room = room.min(length).checked_sub(1)?;
    }
}

fn cut_to(text: &str, room: usize) -> Option<&str> {
    let end = text.char_indices().nth(room).map_or(text.len(), |(at, _)| at);
    let whole_word = text[end..].chars().next().is_none_or(char::is_whitespace);
    let end = if whole_word { end } else { between_words(text, end) };
    let kept = text[..end].trim_end_matches([' ', ',', ';', ':', '→', '←', '—', '、', '，', '：']);
    (!kept.is_empty()).then_some(kept)
}

/// The last space before `end`, or, where that would lose half the text, the last sign.
fn between_words(text: &str, end: usize) -> usize {
    if let Some(space) = text[..end].rfind(' ').filter(|at| *at > 0 && *at * 2 >= end) {
        return space;
    }
    let signs = GraphemeClusterSegmenter::new().segment_str(text);
    let sign = signs.take_while(|at| *at <= end).last().unwrap_or(0);
    match text[..end].rfind(' ') {
        // A single long word is cut; a word after others goes as a whole.
        Some(space) if space > 0 && text[space..end].is_ascii() => space,
        _ => sign,
    }
}

/// The template's text with its variables filled in.
pub fn fill(text: &str, parameters: &[String]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, after) = rest.split_at(start);
        filled.push_str(before);
        let Some(end) = after.find("}}") else { break };
        let number: Option<usize> = after[2..end].trim().parse().ok();
        if let Some(parameter) = number.and_then(|n| parameters.get(n.checked_sub(1)?)) {
            filled.push_str(parameter);
        }
        rest = &after[end + 2..];
    }
    filled.push_str(rest);
    filled
}

/// How many different variables a template's text has.
pub fn variable_count(text: &str) -> usize {
    let mut numbers = BTreeSet::new();
    for piece in text.split("{{").skip(1) {
        if let Some(number) = piece.split("}}").next().and_then(|n| n.trim().parse::<usize>().ok())
        {
            numbers.insert(number);
        }
    }
    numbers.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_one_line() {
        assert_eq!(clean(" a\n\tb     c\u{2028}d\u{0} "), "a b c d");
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (a, b) in [
            ("a  b", "a b"),
            ("a\u{a0}b\n", "a b"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{200b}a\u{feff}", "a"),
            ("\u{2068}a\u{2069}", "a"),
        ] {
            assert_eq!(as_seen(a), as_seen(b));
        }
        for (a, b) in [("a b", "ab"), ("a", "A"), ("❤\u{fe0f}", "❤"), ("1", "١")] {
            assert_ne!(as_seen(a), as_seen(b));
        }
    }

    #[test]
    fn a_text_is_cut_at_a_word() {
        assert_eq!(cut("one two three", 9).as_deref(), Some("one two…"));
        assert_eq!(cut("one two three", 8).as_deref(), Some("one two…"));
        assert_eq!(cut("one, two", 5).as_deref(), Some("one…"));
        assert_eq!(cut("abcdefgh", 4).as_deref(), Some("abc…"));
        assert_eq!(cut("abc", 1), None);
        assert_eq!(cut("abc", 0), None);
    }

    #[test]
    fn a_sign_is_never_cut_in_two() {
        assert_eq!(cut("新しい時間は十時です", 6).as_deref(), Some("新しい時間…"));
        // A family is one sign of seven characters.
        assert_eq!(cut("ab👨‍👩‍👧‍👦cd", 6).as_deref(), Some("ab…"));
        assert_eq!(cut("नमस्ते", 4).as_deref(), Some("नम…"));
    }

    #[test]
    fn what_was_set_apart_is_closed_before_the_ellipsis() {
        let text = "عنوان: \u{2068}12 Main Street\u{2069} هنا";
        let cut = cut(text, 17).unwrap_or_default();
        assert_eq!(cut, "عنوان: \u{2068}12 Main\u{2069}…");
        assert!(cut.chars().count() <= 17);
    }

    #[test]
    fn a_sentence_ends_with_one_full_stop() {
        assert_eq!(tidy("a las 10:00 a.m.."), "a las 10:00 a.m.");
        assert_eq!(tidy("and so on..."), "and so on...");
        assert_eq!(before_the_end("At 10:00.", "(x)"), "At 10:00 (x).");
        assert_eq!(before_the_end("A las 10:00 a.m.", "(x)"), "A las 10:00 a.m. (x).");
        assert_eq!(before_the_end("10:00 到。", "(x)"), "10:00 到 (x)。");
        assert_eq!(in_brackets("Spanien (Ortszeit)"), "(Spanien, Ortszeit)");
    }
}
