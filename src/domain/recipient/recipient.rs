//! Who is told: name, phone, mail address, locale, time zone.

use std::borrow::Cow;
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

/// A mail address. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// Why a text is not a mail address. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEmail {
    #[error("the mail address is empty")]
    Empty,
    #[error("the mail address is not valid")]
    Invalid,
}

impl Email {
    /// Reads an address such as `maria@example.com`.
    pub fn parse(raw: &str) -> Result<Email, BadEmail> {
        let raw = raw.trim();
        if raw.is_empty() {
            return Err(BadEmail::Empty);
        }
        // A bare address: no display name, no host in brackets.
        let options = email_address::Options::default()
            .without_display_text()
            .without_domain_literal()
            .with_required_tld();
        email_address::EmailAddress::parse_with_options(raw, options)
            .map(|address| Email(address.as_str().to_owned()))
            .map_err(|_| BadEmail::Invalid)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// Who is told about an entity.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    pub name: String,
    /// There is a phone or an address; the channel decides which it needs.
    pub phone: Option<Phone>,
    pub email: Option<Email>,
    pub locale: String,
    pub time_zone: String,
    /// Who said so; see `ChosenZone::story`.
    pub time_zone_source: Cow<'static, str>,
}

impl Recipient {
    /// International digits without plus sign.
    pub fn phone(&self) -> Option<&str> {
        self.phone.as_ref().map(Phone::as_str)
    }

    pub fn email(&self) -> Option<&str> {
        self.email.as_ref().map(Email::as_str)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({}, {})", self.locale, self.time_zone)
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
    fn neither_phone_nor_name_is_printed() {
        let phone = Phone::parse("+12025550143", None);
        assert_eq!(format!("{phone:?}"), "Ok(Phone(…))");
        let email = Email::parse("maria@example.com");
        assert_eq!(format!("{email:?}"), "Ok(Email(…))");
    }

    #[test]
    fn mail_addresses_are_bare() {
        let parsed = |raw| Email::parse(raw).map(|email| email.as_str().to_owned());
        assert_eq!(
            parsed(" maria.gómez+shop@example.co.uk ").as_deref(),
            Ok("maria.gómez+shop@example.co.uk")
        );
        assert_eq!(parsed(""), Err(BadEmail::Empty));
        for wrong in [
            "maria",
            "maria@",
            "maria@localhost",
            "Maria <m@example.com>",
            "a@b.c\r\nBcc: x@y.z",
            "a b@c.de",
        ] {
            assert_eq!(parsed(wrong), Err(BadEmail::Invalid), "{wrong}");
        }
    }
}
