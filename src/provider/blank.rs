//! Phones do not stand in what is kept about errors.

/// Runs of seven digits and more keep their last two.
pub fn blank_phones(text: &str) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        if digits.len() >= 7 {
            blanked.push('…');
            blanked.push_str(&digits[digits.len() - 2..]);
        } else {
            blanked.push_str(&digits);
        }
        digits.clear();
        blanked.push(character);
    }
    blanked.pop();
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_blanked() {
        assert_eq!(blank_phones("to 12020721369@c.us, code 131026"), "to …69@c.us, code 131026");
        assert_eq!(blank_phones("1234567"), "…67");
    }
}
