//! Phones: what people write becomes international digits.

use std::fmt;

use serde_json::Value;

use crate::domain::recipient::numbering_plan::{self, Reading, international};
use crate::domain::recipient::phone_forms::forms;
use crate::domain::recipient::phone_text::{self, BadPhone};
use crate::domain::value::row::Row;

/// A phone with its country code, checked against the numbering plan of its country. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// A shorter number before a slash is the code of an area: `030/901820`.
const SHORTEST_FIRST_NUMBER: usize = 8;

impl Phone {
    /// Reads a phone as people write it. Without a country code (`+` or `00`) it belongs to
    /// `region`, such as `US`. WhatsApp would put the sender's country code in front of such a
    /// number and perhaps write to a stranger; so it is refused where no region is set.
    pub fn parse(raw: &str, region: Option<&str>) -> Result<Phone, BadPhone> {
        let written = phone_text::read(raw)?;
        if region.is_some_and(|region| !numbering_plan::is_region(region)) {
            return Err(BadPhone::BadRegion);
        }
        let read = |digits: &str| match (written.has_plus, region) {
            (true, _) => with_plus(digits),
            (false, Some(region)) => without_plus(digits, region),
            (false, None) if international(digits).is_some() => Err(BadPhone::NoPlus),
            (false, None) => Err(BadPhone::NoCountryCode),
        };
        let number = read(&written.digits)?;
        let is_whole = |at: &usize| {
            let first = read(&written.digits[..*at]);
            first.is_ok_and(|first| first.len() >= SHORTEST_FIRST_NUMBER)
        };
        if written.breaks.iter().any(is_whole) {
            return Err(BadPhone::NotOneNumber);
        }
        Ok(Phone(number))
    }

    /// The phone of a recipient as the recipient query gave it. No region: `""`.
    pub fn of(recipient: &Row, region: &str) -> Result<Phone, BadPhone> {
        let raw = match recipient.get("phone") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => whole(&number.to_string()),
            _ => String::new(),
        };
        Phone::parse(&raw, (!region.is_empty()).then_some(region))
    }

    /// International digits without plus sign.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country as two letters, such as `US`; none where the number is of no country.
    pub fn country(&self) -> Option<String> {
        numbering_plan::region_of(&self.0)
    }
}

/// A number of PostgreSQL without the zeros behind its point.
fn whole(number: &str) -> String {
    let whole = number.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
    whole.map_or(number, |(whole, _)| whole).to_owned()
}

/// What WhatsApp writes (`+52 1 55…`), or was a number before its country changed its numbers, is none, though
/// its other form is.
fn with_plus(digits: &str) -> Result<String, BadPhone> {
    let other = || forms(digits).iter().skip(1).find_map(|form| international(form));
    international(digits).or_else(other).ok_or(BadPhone::Invalid)
}

fn without_plus(digits: &str, region: &str) -> Result<String, BadPhone> {
    match numbering_plan::in_region(digits, region) {
        Reading::Number(number) => Ok(number),
        Reading::Ambiguous => Err(BadPhone::Ambiguous),
        Reading::None if international(digits).is_some() => Err(BadPhone::NoPlus),
        Reading::None => Err(BadPhone::Invalid),
    }
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
        for (raw, region, number) in [
            ("+1 202-555-0143", None, "12025550143"),
            ("(202) 555-0143", Some("US"), "12025550143"),
            ("0049 30 901820", None, "4930901820"),
            ("0049 30 901820", Some("JP"), "4930901820"),
            ("011 49 30 901820", Some("US"), "4930901820"),
            ("030 901820", Some("DE"), "4930901820"),
            ("030/901820", Some("DE"), "4930901820"),
            ("+44 (0)20 7946 0018", Some("US"), "442079460018"),
            ("+52 1 55 1234 5678", None, "525512345678"),
            ("+229 97 12 34 56", None, "2290197123456"),
            ("8 800 555-35-35", Some("RU"), "78005553535"),
            ("+7 845 212-34-56", None, "78452123456"),
            ("88 123 45 67", Some("UZ"), "998881234567"),
            ("011 15-2345-6789", Some("AR"), "5491123456789"),
        ] {
            assert_eq!(digits(raw, region).as_deref(), Ok(number), "{raw} {region:?}");
        }
    }

    #[test]
    fn local_numbers_may_begin_like_their_country_code() {
        for (raw, region, number) in [
            ("9123456789", "IN", "919123456789"),
            ("91234 56780", "IN", "919123456780"),
            ("919876543210", "IN", "919876543210"),
            ("(55) 99123-4567", "BR", "5555991234567"),
            ("471 23 456", "NO", "4747123456"),
            ("45 12 34 56", "DK", "4545123456"),
            ("391 231 2312", "IT", "393912312312"),
            ("701 123 4567", "KZ", "77011234567"),
            ("6512 3456", "SG", "6565123456"),
            ("9651 2345", "KW", "96596512345"),
            ("4917612345678", "DE", "4917612345678"),
            ("12025550143", "US", "12025550143"),
        ] {
            assert_eq!(digits(raw, Some(region)).as_deref(), Ok(number), "{raw} {region}");
        }
    }

    #[test]
    fn a_phone_that_could_reach_a_stranger_is_refused() {
        for (raw, region, bad) in [
            ("2025550143", None, BadPhone::NoCountryCode),
            ("79161234567", None, BadPhone::NoPlus),
            ("79161234567", Some("US"), BadPhone::NoPlus),
            ("+1 202", None, BadPhone::Invalid),
            // Without its area it is nobody's number, though at home in Guam, Jersey or Nauru it is one.
            ("+1 555 0100", None, BadPhone::Invalid),
            ("+1 871 5467", None, BadPhone::Invalid),
            ("+44 712345", None, BadPhone::Invalid),
            ("1 555 0100", Some("US"), BadPhone::Invalid),
            ("+999 123456789", None, BadPhone::Invalid),
            ("", Some("US"), BadPhone::Empty),
            ("not a phone", Some("US"), BadPhone::NotOneNumber),
            ("2025550143", Some("Atlantis"), BadPhone::BadRegion),
            ("5540041234", Some("BR"), BadPhone::Ambiguous),
            ("+43 664 1234567 Jo", None, BadPhone::NotOneNumber),
            ("+49 30 901820/21", None, BadPhone::NotOneNumber),
            ("+43 664 1234567 / 89", None, BadPhone::NotOneNumber),
            ("+43 664 1234567 (2)", None, BadPhone::NotOneNumber),
            ("+49 30 901820 - 21", None, BadPhone::NotOneNumber),
            ("+49 30 901820 oder 901821", None, BadPhone::NotOneNumber),
            ("0664 123456 od 7", Some("AT"), BadPhone::NotOneNumber),
            ("01 5137700 ab 9", Some("AT"), BadPhone::NotOneNumber),
        ] {
            assert_eq!(digits(raw, region), Err(bad), "{raw} {region:?}");
        }
    }

    #[test]
    fn every_example_of_the_metadata_is_read_with_what_people_write_around_it() {
        for (metadata, national) in numbering_plan::examples() {
            let code = metadata.country_code();
            let number = format!("{code}{national}");
            let (begin, end) = national.split_at(national.len() / 2);
            for raw in [
                format!("+{number}"),
                format!("00{number}"),
                format!("\u{202a}+{code} {begin}\u{2011}{end}\u{202c}"),
                format!("(+{code}) {begin}-{end}"),
                format!("tel:+{code}-{national}"),
                format!("\u{ff0b}{code}\u{a0}{begin}.{end}\r\n"),
            ] {
                for region in [None, Some("US"), Some("DE"), Some("RU")] {
                    assert_eq!(digits(&raw, region).as_deref(), Ok(number.as_str()), "{raw:?}");
                }
            }
        }
    }

    #[test]
    fn a_phone_in_a_column_of_numbers_has_no_digits_behind_the_point() {
        for number in ["436641234567", "436641234567.0", "436641234567.00"] {
            let phone: Value = serde_json::from_str(number).unwrap_or_default();
            let recipient = [("phone".into(), phone)].into_iter().collect();
            let read = Phone::of(&recipient, "AT").map(|phone| phone.as_str().to_owned());
            assert_eq!(read.as_deref(), Ok("436641234567"), "{number}");
        }
    }

    #[test]
    fn a_phone_is_not_printed() {
        let phone = Phone::parse("+12025550143", None);
        assert_eq!(format!("{phone:?}"), "Ok(Phone(…))");
    }
}
