//! The forms in which one phone may stand.
//!
//! In some countries WhatsApp drops or adds a digit that people do not: a person who writes STOP from
//! `584125…` is the one whose row says `5804125…`. Others have made their numbers longer, and WhatsApp keeps
//! the account of the shorter one. Who opts out in one form has opted out in all.

/// How one country's phones come: with `between` after the country code, or without it.
struct Rule {
    country: &'static str,
    /// Digits after the country code that both forms share before the difference.
    shared: usize,
    between: &'static str,
    /// Digits after the difference.
    rest: usize,
    /// The second of these digits is one of these; empty: any.
    second: &'static str,
}

/// The table to keep up: one row for each country that changes its numbers, or that WhatsApp writes in its own way.
#[rustfmt::skip]
const RULES: [Rule; 8] = [
    // Mexico: a mobile had a 1 after the country code until 2019.
    Rule { country: "52", shared: 0, between: "1", rest: 10, second: "" },
    // Argentina: abroad a mobile has a 9 after the country code.
    Rule { country: "54", shared: 0, between: "9", rest: 10, second: "" },
    // Brazil: the ninth digit of mobiles, after the two of the area (2012 to 2016).
    Rule { country: "55", shared: 2, between: "9", rest: 8, second: "" },
    // Venezuela: the 0 that is dialled at home.
    Rule { country: "58", shared: 0, between: "0", rest: 10, second: "" },
    // Côte d'Ivoire, January 2021: mobiles got the digits of their network in front.
    Rule { country: "225", shared: 0, between: "01", rest: 8, second: "0123" },
    Rule { country: "225", shared: 0, between: "05", rest: 8, second: "456" },
    Rule { country: "225", shared: 0, between: "07", rest: 8, second: "789" },
    // Benin, November 2024: all numbers got 01 in front.
    Rule { country: "229", shared: 0, between: "01", rest: 8, second: "" },
];

/// The phone itself, and the other forms in which it may stand. International digits only.
pub fn forms(phone: &str) -> Vec<String> {
    let mut forms = vec![phone.to_owned()];
    forms.extend(RULES.iter().find_map(|rule| rule.other(phone)));
    forms
}

/// The one form in which phones are compared: the shortest, which lacks the digit that others drop.
pub fn key(phone: &str) -> String {
    let shorter = RULES.iter().find_map(|rule| rule.other(phone));
    shorter.filter(|other| other.len() < phone.len()).unwrap_or_else(|| phone.to_owned())
}

impl Rule {
    fn other(&self, phone: &str) -> Option<String> {
        let national = phone.strip_prefix(self.country)?;
        if !national.is_ascii() || national.len() < self.shared {
            return None;
        }
        let (shared, tail) = national.split_at(self.shared);
        let country = self.country;
        if self.is_rest(tail) {
            return Some(format!("{country}{shared}{}{tail}", self.between));
        }
        let rest = tail.strip_prefix(self.between).filter(|rest| self.is_rest(rest))?;
        Some(format!("{country}{shared}{rest}"))
    }

    fn is_rest(&self, digits: &str) -> bool {
        let second = digits.chars().nth(1);
        digits.len() == self.rest
            && (self.second.is_empty() || second.is_some_and(|digit| self.second.contains(digit)))
    }
}

#[cfg(test)]
mod tests {
    use super::{forms, key};

    #[test]
    fn each_form_leads_to_the_other() {
        for (one, other) in [
            ("525512345678", "5215512345678"),
            ("541123456789", "5491123456789"),
            ("551187654321", "5511987654321"),
            ("584125408861", "5804125408861"),
            ("22507123456", "2250707123456"),
            ("22997123456", "2290197123456"),
        ] {
            assert_eq!(forms(one), [one, other]);
            assert_eq!(forms(other), [other, one]);
            assert_eq!((key(one), key(other)), (one.to_owned(), one.to_owned()));
        }
    }

    #[test]
    fn elsewhere_a_phone_has_one_form() {
        for phone in ["12025550143", "34612345678", "5", "", "52123"] {
            assert_eq!(forms(phone), [phone]);
            assert_eq!(key(phone), phone);
        }
        assert_ne!(key("551187654321"), key("551287654321"), "another area of Brazil");
    }
}
