//! What people write around the digits of a phone, and what is no phone at all: letters, a second number.

/// Why a text is not a phone. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPhone {
    #[error("the phone is empty")]
    Empty,
    #[error("the phone has no country code, and recipient.region is not set")]
    NoCountryCode,
    #[error("the phone has a country code, but no + in front of it")]
    NoPlus,
    #[error("recipient.region is not a region such as \"US\"")]
    BadRegion,
    #[error("the phone is not one number: it has letters, a second number, or other marks in it")]
    NotOneNumber,
    #[error("the phone is a decimal number, as of a spreadsheet; give it as text, without .0")]
    Decimal,
    #[error(
        "the phone is a number of recipient.region, and another one if its first digits are the country code"
    )]
    Ambiguous,
    #[error("the phone is not a number of its country")]
    Invalid,
}

/// A phone as its digits, and what the text says about them.
#[derive(Debug, PartialEq, Eq)]
pub struct WrittenPhone {
    pub digits: String,
    /// The text says that the digits begin with a country code.
    pub has_plus: bool,
    /// How many digits stand before each mark behind which another number may begin.
    pub breaks: Vec<usize>,
}

/// Schemes of links, as contact cards and web pages hold them.
const SCHEMES: [&str; 4] = ["tel:", "whatsapp:", "callto:", "sms:"];

/// Words before an extension, which WhatsApp does not know. Longer ones first.
const EXTENSIONS: [&str; 9] =
    ["extension", "interno", "anexo", "extn", "доб", "ext", "int", "x", "#"];
const LONGEST_EXTENSION: usize = 7;

/// The zeros of scripts in which phones are written (Unicode `Nd`); nine digits follow each.
const ZEROS: [u32; 36] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

/// Reads one phone. Anything but digits and the marks between them makes it none: keypads have letters too,
/// and what follows a comma may be somebody else.
pub fn read(raw: &str) -> Result<WrittenPhone, BadPhone> {
    let text: String = raw.chars().filter_map(plain).collect();
    let text = without_scheme(text.trim());
    let text = without_extension(text).trim_end_matches(['.', ',', ';', ':', ' ', '-']);
    if text.is_empty() {
        return Err(BadPhone::Empty);
    }
    if is_decimal(text) {
        return Err(BadPhone::Decimal);
    }
    let mut written = WrittenPhone { digits: String::new(), has_plus: false, breaks: Vec::new() };
    for (at, mark) in text.char_indices() {
        match mark {
            '0'..='9' => written.digits.push(mark),
            '+' if written.digits.is_empty() && !written.has_plus => written.has_plus = true,
            '/' | '(' => written.breaks.push(written.digits.len()),
            '-' if text[..at].ends_with(' ') => written.breaks.push(written.digits.len()),
            ' ' | '-' | '.' | ')' => {}
            _ => return Err(BadPhone::NotOneNumber),
        }
    }
    if let Some(rest) = written.digits.strip_prefix("00").map(str::to_owned) {
        written.breaks.iter_mut().for_each(|at| *at = at.saturating_sub(2));
        written.digits = rest;
        written.has_plus = true;
    }
    if written.digits.is_empty() { Err(BadPhone::NotOneNumber) } else { Ok(written) }
}

/// Whether a text is a whole number as a spreadsheet writes it: its zeros would become digits of somebody else's phone.
fn is_decimal(text: &str) -> bool {
    let Some((whole, fraction)) = text.split_once('.') else { return false };
    let whole = whole.trim_start_matches('+');
    whole.len() > LONGEST_EXTENSION
        && whole.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(fraction, "0" | "00")
}

/// A character in the form that keyboards have; None: it is invisible.
fn plain(c: char) -> Option<char> {
    Some(match c {
        // Marks of direction, zero-width spaces, soft hyphens: copied along from contact cards.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe0e}'
        | '\u{fe0f}'
        | '\u{feff}' => return None,
        '\u{ff0b}' | '\u{fe62}' => '+',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '(' | '[' | '\u{ff08}' | '\u{ff3b}' => '(',
        ')' | ']' | '\u{ff09}' | '\u{ff3d}' => ')',
        '/' | '\u{ff0f}' => '/',
        '\u{ff0e}' | '\u{b7}' | '\u{2022}' | '\u{2219}' => '.',
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => '\n',
        c if c.is_whitespace() => ' ',
        c => digit(c).unwrap_or(c),
    })
}

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

fn without_scheme(text: &str) -> &str {
    let begins = |scheme: &&&str| {
        text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    };
    let Some(scheme) = SCHEMES.iter().find(begins) else {
        return text;
    };
    // `tel:+1-202-555-0143;ext=12`, as RFC 3966 has it.
    let number = text[scheme.len()..].trim_start_matches('/');
    number.split_once(";ext=").map_or(number, |(number, _)| number)
}

fn without_extension(text: &str) -> &str {
    let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let length = text.len() - before.len();
    if length == 0 || length > LONGEST_EXTENSION {
        return text;
    }
    let before = before.trim_end_matches([' ', '.', ':']);
    let word = before.trim_end_matches(|c: char| c.is_alphabetic() || c == '#');
    let found = before[word.len()..].to_lowercase();
    if EXTENSIONS.contains(&found.as_str()) { word } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(raw: &str) -> Result<(String, bool), BadPhone> {
        read(raw).map(|written| (written.digits, written.has_plus))
    }

    #[test]
    fn what_stands_around_the_digits_does_not_count() {
        for raw in [
            "+1 202-555-0143",
            "(+1) 202.555.0143",
            "tel:+1-202-555-0143",
            "TEL://+1-202-555-0143;ext=9",
            "whatsapp:+12025550143",
            "\u{202a}+1 202-555-0143\u{202c}",
            "\u{feff}+1 (202) 555\u{2011}0143",
            "\u{a0}\u{200e}\u{ff0b}1 202 555 0143\u{2069}\r\n",
            "+١٢٠٢٥٥٥٠١٤٣",
            "+१२०२५५५०१४३",
            "+１ ２０２ ５５５ ０１４３",
            "0012025550143",
            "+ 1 202 555 0143 x12",
            "+1 202 555 0143, ext. 12",
            "+1 202 555 0143;",
        ] {
            assert_eq!(read_of(raw), Ok(("12025550143".to_owned(), true)), "{raw:?}");
        }
        assert_eq!(read_of("202 555 0143 доб. 7"), Ok(("2025550143".to_owned(), false)));
    }

    #[test]
    fn letters_and_second_numbers_make_it_none() {
        for raw in [
            "+43 664 1234567 Jo",
            "+1 800 FLOWERS",
            "+49 30 901820 oder 901821",
            "+12025550143, +12025550144",
            "+1 202 555 0143 +1 202 555 0144",
            "+12025550143\n+12025550144",
            "+1 202 555 0143 & 44",
            "+1 202 555 0143¹",
            "unknown",
            "+",
        ] {
            assert_eq!(read_of(raw), Err(BadPhone::NotOneNumber), "{raw:?}");
        }
        for raw in ["436641234567.0", "+436641234567.00", "436641234567.0 "] {
            assert_eq!(read_of(raw), Err(BadPhone::Decimal), "{raw:?}");
        }
        for raw in ["", "  ", "\u{200e}", "tel:"] {
            assert_eq!(read_of(raw), Err(BadPhone::Empty), "{raw:?}");
        }
    }
}
