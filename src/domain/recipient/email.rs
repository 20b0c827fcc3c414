//! Mail addresses.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_is_not_printed() {
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
