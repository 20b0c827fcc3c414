//! Phones: what people write becomes international digits.

use std::fmt;
use std::str::FromStr as _;

use crate::domain::recipient::phone_forms::forms;

/// A phone with its country code, checked against the numbering plan of its country. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// Why a text is not a phone. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPhone {
    #[error("the phone is empty")]
    Empty,
    #[error("the phone has no country code, and recipient.region is not set")]
    NoCountryCode,
    #[error("recipient.region is not a region such as \"US\"")]
    BadRegion,
    #[error("the phone is not a number of its country")]
    Invalid,
}

impl Phone {
    /// Reads a phone as people write it. Without a country code (`+` or `00`) it belongs to
    /// `region`, such as `US`. WhatsApp would put the sender's country code in front of such a
    /// number and perhaps write to a stranger; so it is refused where no region is set.
    pub fn parse(raw: &str, region: Option<&str>) -> Result<Phone, BadPhone> {
        let raw = raw.trim();
        if raw.is_empty() {
            return Err(BadPhone::Empty);
        }
        let international = raw.strip_prefix("00").map(|rest| format!("+{rest}"));
        let text = international.as_deref().unwrap_or(raw);
        let region = match (text.starts_with('+'), region) {
            (true, _) => None,
            (false, Some(region)) => {
                Some(phonenumber::country::Id::from_str(region).map_err(|_| BadPhone::BadRegion)?)
            }
            (false, None) => return Err(BadPhone::NoCountryCode),
        };
        let number = valid(region, text).or_else(|| other_form(text)).ok_or(BadPhone::Invalid)?;
        let digits = number.format().mode(phonenumber::Mode::E164).to_string();
        Ok(Phone(digits.trim_start_matches('+').to_owned()))
    }

    /// International digits without plus sign.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn valid(region: Option<phonenumber::country::Id>, text: &str) -> Option<phonenumber::PhoneNumber> {
    phonenumber::parse(region, text).ok().filter(phonenumber::is_valid)
}

/// What WhatsApp writes (`+52 1 55…`) is no number to its country, though its other form is.
fn other_form(text: &str) -> Option<phonenumber::PhoneNumber> {
    let digits: String = text.strip_prefix('+')?.chars().filter(char::is_ascii_digit).collect();
    forms(&digits).iter().skip(1).find_map(|form| valid(None, &format!("+{form}")))
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(raw: &str, region: Option<&str>) -> Result<String, BadPhone> {
        Phone::parse(raw, region).map(|phone| phone.as_str().to_owned())
    }

    #[test]
    fn phones_come_as_people_write_them() {
        assert_eq!(digits("+1 202-555-0143", None).as_deref(), Ok("12025550143"));
        assert_eq!(digits("(202) 555-0143", Some("US")).as_deref(), Ok("12025550143"));
        assert_eq!(digits("0049 30 901820", None).as_deref(), Ok("4930901820"));
        assert_eq!(digits("030 901820", Some("DE")).as_deref(), Ok("4930901820"));
        assert_eq!(digits("+52 1 55 1234 5678", None).as_deref(), Ok("525512345678"));
    }

    #[test]
    fn a_phone_that_could_reach_a_stranger_is_refused() {
        assert_eq!(digits("2025550143", None), Err(BadPhone::NoCountryCode));
        assert_eq!(digits("+1 202", None), Err(BadPhone::Invalid));
        assert_eq!(digits("+999 123456789", None), Err(BadPhone::Invalid));
        assert_eq!(digits("", Some("US")), Err(BadPhone::Empty));
        assert_eq!(digits("not a phone", Some("US")), Err(BadPhone::Invalid));
        assert_eq!(digits("2025550143", Some("Atlantis")), Err(BadPhone::BadRegion));
    }

    #[test]
    fn a_phone_is_not_printed() {
        let phone = Phone::parse("+12025550143", None);
        assert_eq!(format!("{phone:?}"), "Ok(Phone(…))");
    }
}
