//! Dates, times and numbers as the recipient writes them: CLDR data through ICU4X, time zones
//! through jiff. No month name in this project is made by hand.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr as _;

use icu::calendar::Gregorian;
use icu::datetime::input::{Date, Time};
use icu::datetime::{FixedCalendarDateTimeFormatter, NoCalendarFormatter, fieldsets};
use icu::decimal::DecimalFormatter;
use icu::decimal::input::Decimal;
use icu::locale::Locale;
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
    #[error("locale \"{0}\" has no data")]
    NoData(String),
}

/// The formatters of one locale. Making them costs a thousand times more than using them.
pub struct LocaleFormats {
    tag: String,
    day: FixedCalendarDateTimeFormatter<Gregorian, fieldsets::MD>,
    day_of_year: FixedCalendarDateTimeFormatter<Gregorian, fieldsets::YMD>,
    time: NoCalendarFormatter<fieldsets::T>,
    number: DecimalFormatter,
}

thread_local! {
    static FORMATS: RefCell<HashMap<String, Rc<LocaleFormats>>> = RefCell::default();
    static ZONES: RefCell<HashMap<String, TimeZone>> = RefCell::default();
}

/// How many locales and zones are remembered; rows decide what they hold, so there is a limit.
const REMEMBERED: usize = 1_000;

/// The formatters of a locale such as `es-MX` or `es_MX`.
pub fn formats(tag: &str) -> Result<Rc<LocaleFormats>, FormatError> {
    if let Some(known) = FORMATS.with_borrow(|formats| formats.get(tag).cloned()) {
        return Ok(known);
    }
    let formats = Rc::new(LocaleFormats::new(tag)?);
    FORMATS.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(tag.to_owned(), formats.clone());
    });
    Ok(formats)
}

/// The rules of a time zone such as `Europe/Berlin`.
pub fn zone(name: &str) -> Result<TimeZone, FormatError> {
    if let Some(known) = ZONES.with_borrow(|zones| zones.get(name).cloned()) {
        return Ok(known);
    }
    let zone = TimeZone::get(name).map_err(|_| FormatError::Zone(name.to_owned()))?;
    ZONES.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name.to_owned(), zone.clone());
    });
    Ok(zone)
}

impl LocaleFormats {
    fn new(tag: &str) -> Result<LocaleFormats, FormatError> {
        let locale = Locale::from_str(&tag.replace('_', "-"))
            .map_err(|_| FormatError::Locale(tag.to_owned()))?;
        let no_data = |_| FormatError::NoData(tag.to_owned());
        Ok(LocaleFormats {
            tag: tag.to_owned(),
            day: FixedCalendarDateTimeFormatter::try_new((&locale).into(), fieldsets::MD::long())
                .map_err(no_data)?,
            day_of_year: FixedCalendarDateTimeFormatter::try_new(
                (&locale).into(),
                fieldsets::YMD::long(),
            )
            .map_err(no_data)?,
            time: NoCalendarFormatter::try_new((&locale).into(), fieldsets::T::hm())
                .map_err(no_data)?,
            number: DecimalFormatter::try_new((&locale).into(), Default::default())
                .map_err(|_| FormatError::NoData(tag.to_owned()))?,
        })
    }

    /// "June 25"; with the year when it is not `this_year`.
    pub fn date(&self, date: civil::Date, this_year: i16) -> Result<String, FormatError> {
        let (year, month, day) = (
            date.year(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        );
        let given = Date::try_new_gregorian(year.into(), month, day)
            .map_err(|_| FormatError::NotAMoment(date.to_string()))?;
        Ok(if year == this_year {
            self.day.format(&given).to_string()
        } else {
            self.day_of_year.format(&given).to_string()
        })
    }

    /// "10:00 AM" or "10:00", as the locale has it.
    pub fn time(&self, time: civil::Time) -> Result<String, FormatError> {
        let (hour, minute) = (time.hour().unsigned_abs(), time.minute().unsigned_abs());
        let given = Time::try_new(hour, minute, 0, 0)
            .map_err(|_| FormatError::NotAMoment(time.to_string()))?;
        // CLDR puts a narrow no-break space before AM and PM, which many phones cannot show.
        Ok(self
            .time
            .format(&given)
            .to_string()
            .replace('\u{202f}', " "))
    }

    /// "1,234.5" or "1.234,5", as the locale has it.
    pub fn number(&self, text: &str) -> Result<String, FormatError> {
        let decimal =
            Decimal::from_str(text).map_err(|_| FormatError::NotANumber(text.to_owned()))?;
        Ok(self.number.format(&decimal).to_string())
    }

    /// The locale that these are of.
    pub fn tag(&self) -> &str {
        &self.tag
    }
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
        text.parse()
            .map(Moment::Time)
            .map_err(|_| FormatError::NotAMoment(text.to_owned()))
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

    fn show(tag: &str, zone_name: &str, text: &str) -> (String, String) {
        let formats = formats(tag).unwrap();
        let wall = Moment::parse(text)
            .unwrap()
            .on_the_wall(&zone(zone_name).unwrap());
        (
            wall.0
                .map(|date| formats.date(date, 2026).unwrap())
                .unwrap_or_default(),
            wall.1
                .map(|time| formats.time(time).unwrap())
                .unwrap_or_default(),
        )
    }

    #[test]
    fn dates_and_times_follow_locale_and_zone() {
        let at = "2026-06-25T14:00:00+00:00";
        let said = |tag, zone| show(tag, zone, at);
        let pair = |date: &str, time: &str| (date.to_owned(), time.to_owned());
        assert_eq!(said("en", "America/New_York"), pair("June 25", "10:00 AM"));
        assert_eq!(
            said("en-US", "America/New_York"),
            pair("June 25", "10:00 AM")
        );
        assert_eq!(said("en-GB", "Europe/London"), pair("25 June", "15:00"));
        assert_eq!(said("de-DE", "Europe/Berlin"), pair("25. Juni", "16:00"));
        assert_eq!(
            said("es_MX", "America/Mexico_City"),
            pair("25 de junio", "08:00 a.m.")
        );
        assert_eq!(said("en", "Pacific/Auckland"), pair("June 26", "2:00 AM"));
    }

    #[test]
    fn the_year_is_said_when_it_is_another_one() {
        assert_eq!(show("en", "UTC", "2027-01-02").0, "January 2, 2027");
        assert_eq!(show("en", "UTC", "2026-01-02").0, "January 2");
    }

    #[test]
    fn what_is_not_a_moment_is_said_so() {
        assert_eq!(
            Moment::parse("soon"),
            Err(FormatError::NotAMoment("soon".into()))
        );
        assert_eq!(
            zone("Mars/Olympus").err(),
            Some(FormatError::Zone("Mars/Olympus".into()))
        );
        assert!(formats("!").is_err());
    }

    #[test]
    fn numbers_follow_the_locale() {
        assert_eq!(
            formats("de").unwrap().number("1234.50").unwrap(),
            "1.234,50"
        );
        assert_eq!(
            formats("en").unwrap().number("-1234.5").unwrap(),
            "-1,234.5"
        );
    }
}
