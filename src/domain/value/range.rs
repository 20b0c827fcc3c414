//! Ranges and amounts as PostgreSQL writes them.

/// The bounds of a range; None is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub from: Option<String>,
    pub to: Option<String>,
    /// Whether the bound itself belongs to the range.
    pub has_from: bool,
    pub has_to: bool,
}

/// Reads `["2026-06-25 10:00:00+00","2026-06-25 12:00:00+00")`. Some(None): the empty range.
pub fn parse(text: &str) -> Option<Option<Bounds>> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("empty") {
        return Some(None);
    }
    let has_from = match text.chars().next()? {
        '[' => true,
        '(' => false,
        _ => return None,
    };
    let has_to = match text.chars().last()? {
        ']' => true,
        ')' => false,
        _ => return None,
    };
    let (from, rest) = bound(text.get(1..text.len() - 1)?)?;
    let (to, rest) = bound(rest.strip_prefix(',')?)?;
    rest.is_empty().then_some(Some(Bounds { from, to, has_from, has_to }))
}

/// One bound and what comes after it. In quotes a backslash or a second quote makes the next
/// character part of the value.
fn bound(text: &str) -> Option<(Option<String>, &str)> {
    let mut value = String::new();
    let (mut quoted, mut written) = (false, false);
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '"' if quoted && characters.peek().is_some_and(|(_, next)| *next == '"') => {
                characters.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => return Some((written.then_some(value), &text[at..])),
            other => value.push(other),
        }
        written = true;
    }
    (!quoted).then(|| (written.then_some(value), ""))
}

/// The ranges of a multirange, `{[a,b),[c,d)}`, as they are written.
pub fn split(text: &str) -> Option<Vec<&str>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut ranges = Vec::new();
    let (mut quoted, mut escaped, mut start) = (false, false, None);
    for (at, character) in inner.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => start = Some(at),
            ']' | ')' if !quoted => ranges.push(&inner[start.take()?..=at]),
            _ => {}
        }
    }
    start.is_none().then_some(ranges)
}

/// The number in an amount of type `money`, whatever the locale of the session that wrote it:
/// `$1,234.50`, `1.234,50 €`, `(3.00)`. A last group of three digits is taken for thousands.
pub fn plain_amount(text: &str) -> Option<String> {
    let negative = text.contains('-') || (text.contains('(') && text.contains(')'));
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let first = text.find(|c: char| c.is_ascii_digit())?;
    let last = text.rfind(|c: char| c.is_ascii_digit())?;
    let number = &text[first..=last];
    let point = number.rfind(['.', ',']).filter(|at| number.len() - at - 1 != 3);
    let amount = match point {
        Some(at) => format!("{}.{}", digits(&number[..at]), digits(&number[at..])),
        None => digits(number),
    };
    Some(if negative { format!("-{amount}") } else { amount })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> (Option<String>, Option<String>) {
        let bounds = parse(text).unwrap().unwrap();
        (bounds.from, bounds.to)
    }

    #[test]
    fn bounds_come_with_quotes_and_without() {
        let pair = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
        assert_eq!(bounds("[2026-06-25,2026-06-28)"), pair("2026-06-25", "2026-06-28"));
        assert_eq!(
            bounds(r#"["2026-06-25 10:00:00+00","2026-06-25 12:00:00+00")"#),
            pair("2026-06-25 10:00:00+00", "2026-06-25 12:00:00+00")
        );
        assert_eq!(bounds(r#"["a ""b"" \"c, d","e)")"#), pair(r#"a "b" "c, d"#, "e)"));
        assert_eq!(bounds("(,5]"), (None, Some("5".to_owned())));
        assert_eq!(bounds(r#"["",)"#), (Some(String::new()), None));
        assert_eq!(parse("empty"), Some(None));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("[1,2,3)"), None);
    }

    #[test]
    fn a_multirange_is_several_ranges() {
        assert_eq!(split("{[1,3),[5,8)}").unwrap(), ["[1,3)", "[5,8)"]);
        assert_eq!(split(r#"{["a]",b)}"#).unwrap(), [r#"["a]",b)"#]);
        assert_eq!(split("{}").unwrap(), Vec::<&str>::new());
        assert_eq!(split("[1,3)"), None);
    }

    #[test]
    fn amounts_are_read_whatever_the_locale_of_their_session() {
        let amounts = [
            ("$1,234.50", "1234.50"),
            ("1.234,50 €", "1234.50"),
            ("-$3.00", "-3.00"),
            ("($3.00)", "-3.00"),
            ("¥1,234", "1234"),
            ("1 234 567,8 zł", "1234567.8"),
        ];
        for (text, amount) in amounts {
            assert_eq!(plain_amount(text).as_deref(), Some(amount), "{text}");
        }
        assert_eq!(plain_amount("free"), None);
    }
}
