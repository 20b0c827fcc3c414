//! Moments and time zones: what a value of a date or time column is, and what the clock on the wall
//! shows then. How a locale writes it: see formats.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

/// Why a value cannot be written as a date, a time or a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("\"{0}\" is not a locale such as \"es-MX\"")]
    Locale(String),
    #[error("\"{0}\" is not a time zone such as \"America/Mexico_City\"")]
    Zone(String),
    #[error("expected a date or a moment, found \"{0}\"")]
    NotAMoment(String),
    #[error("expected a number, found \"{0}\"")]
    NotANumber(String),
    #[error("expected a currency such as \"EUR\", found \"{0}\"")]
    Currency(String),
    #[error("expected {0}")]
    Argument(&'static str),
    #[error("locale \"{0}\" has no data")]
    NoData(String),
}

/// The rules of a time zone such as `Europe/Berlin`. jiff remembers them, and looks every few minutes whether the
/// system has got newer ones.
pub fn zone(name: &str) -> Result<TimeZone, FormatError> {
    TimeZone::get(name).map_err(|_| FormatError::Zone(name.to_owned()))
}

/// A value of a date or time column, as `to_jsonb` writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    Instant(Timestamp),
    Civil(civil::DateTime),
    Date(civil::Date),
    Time(civil::Time),
}

impl Moment {
    /// Tells the forms apart by what is written: with offset, date and time, date, or time.
    pub fn parse(text: &str) -> Result<Moment, FormatError> {
        if let Ok(instant) = text.parse() {
            return Ok(Moment::Instant(instant));
        }
        let has_date_and_time = text.contains(['T', ' ']) && text.contains('-');
        if let (true, Ok(civil)) = (has_date_and_time, text.parse()) {
            return Ok(Moment::Civil(civil));
        }
        if let Ok(date) = text.parse() {
            return Ok(Moment::Date(date));
        }
        // The end of a day is the midnight that ends it.
        let time = match text.strip_prefix("24:00") {
            Some(rest) => format!("00:00{rest}").parse(),
            None => text.parse(),
        };
        time.map(Moment::Time).map_err(|_| FormatError::NotAMoment(text.to_owned()))
    }

    /// Date and time on the wall in `zone`; a part that the value does not have is None.
    pub fn on_the_wall(self, zone: &TimeZone) -> (Option<civil::Date>, Option<civil::Time>) {
        match self {
            Moment::Instant(instant) => {
                let wall = zone.to_datetime(instant);
                (Some(wall.date()), Some(wall.time()))
            }
            Moment::Civil(wall) => (Some(wall.date()), Some(wall.time())),
            Moment::Date(date) => (Some(date), None),
            Moment::Time(time) => (None, Some(time)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::locale::formats::formats;

    fn show(tag: &str, zone_name: &str, text: &str) -> (String, String) {
        let formats = formats(tag).unwrap();
        let wall = Moment::parse(text).unwrap().on_the_wall(&zone(zone_name).unwrap());
        (
            wall.0.map(|date| formats.date(date, 2026).unwrap()).unwrap_or_default(),
            wall.1.map(|time| formats.time(time).unwrap()).unwrap_or_default(),
        )
    }

    #[test]
    fn dates_and_times_follow_locale_and_zone() {
        let at = "2026-06-25T14:00:00+00:00";
        let said = |tag, zone| show(tag, zone, at);
        let pair = |date: &str, time: &str| (date.to_owned(), time.to_owned());
        assert_eq!(said("en", "America/New_York"), pair("June 25", "10:00 AM"));
        assert_eq!(said("en-US", "America/New_York"), pair("June 25", "10:00 AM"));
        assert_eq!(said("en-GB", "Europe/London"), pair("25 June", "15:00"));
        assert_eq!(said("de-DE", "Europe/Berlin"), pair("25. Juni", "16:00"));
        assert_eq!(said("es_MX", "America/Mexico_City"), pair("25 de junio", "08:00 a.m."));
        assert_eq!(said("en", "Pacific/Auckland"), pair("June 26", "2:00 AM"));
    }

    #[test]
    fn the_year_is_said_when_it_is_another_one() {
        assert_eq!(show("en", "UTC", "2027-01-02").0, "January 2, 2027");
        assert_eq!(show("en", "UTC", "2026-01-02").0, "January 2");
    }

    #[test]
    fn what_is_not_a_moment_is_said_so() {
        assert_eq!(Moment::parse("soon"), Err(FormatError::NotAMoment("soon".into())));
        assert_eq!(zone("Mars/Olympus").err(), Some(FormatError::Zone("Mars/Olympus".into())));
        assert!(formats("!").is_err());
    }

    fn number(tag: &str, text: &str) -> String {
        formats(tag).unwrap().number(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn numbers_follow_the_locale() {
        assert_eq!(number("de", "1234.50"), "1.234,50");
        assert_eq!(number("en", "-1234.5"), "-1,234.5");
    }
}
