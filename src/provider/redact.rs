//! Phones and mail addresses do not stand in what is kept about errors.

/// Runs of seven digits and more keep their last two.
pub fn redact_phones(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if digits.len() >= 7 {
            redacted.push('…');
            redacted.push_str(&digits[digits.len() - 2..]);
        } else {
            redacted.push_str(&digits);
        }
        digits.clear();
        redacted.push(character);
    }
    redacted.pop();
    redacted
}

/// Whatever has an @ in it and letters around it keeps the @ only.
pub fn redact_emails(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(c);
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_part) {
        redacted.push_str(&rest[..begin]);
        let word = &rest[begin..];
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        let is_address = word.trim_matches('@').contains('@');
        redacted.push_str(if is_address { "…@…" } else { word });
        rest = after;
    }
    redacted.push_str(rest);
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_redacted() {
        assert_eq!(redact_phones("to 12020721369@c.us, code 131026"), "to …69@c.us, code 131026");
        assert_eq!(redact_phones("1234567"), "…67");
    }

    #[test]
    fn mail_addresses_are_redacted() {
        let said = "550 5.1.1 <maria.gómez+x@example.com>: no such user at a@b.de (see @help)";
        assert_eq!(redact_emails(said), "550 5.1.1 <…@…>: no such user at …@… (see @help)");
        assert_eq!(redact_emails("nothing here"), "nothing here");
    }
}
