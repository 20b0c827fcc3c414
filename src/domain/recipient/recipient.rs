//! The person who gets a message: name, phone, mail address, locale, time zone.

use std::borrow::Cow;
use std::fmt;

use crate::domain::recipient::email::Email;
use crate::domain::recipient::phone::Phone;

/// The person who gets the messages about an entity.
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

    /// Where the phone is of, such as `US`: the price of a message may depend on it.
    pub fn country(&self) -> Option<String> {
        self.phone.as_ref().and_then(Phone::country)
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
