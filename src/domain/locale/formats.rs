//! How one locale writes dates, times, numbers, amounts and lists: CLDR data through ICU4X. No
//! month name in this project is made by hand.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr as _;

use icu::calendar::Gregorian;
use icu::datetime::fieldsets::{self, zone};
use icu::datetime::input::{Date, DateTime, Time};
use icu::datetime::{FixedCalendarDateTimeFormatter, NoCalendarFormatter};
use icu::decimal::DecimalFormatter;
use icu::decimal::input::Decimal;
use icu::experimental::dimension::currency::formatter::CurrencyFormatter;
use icu::experimental::relativetime::options::{Numeric, RelativeTimeFormatterOptions};
use icu::experimental::relativetime::{RelativeTimeFormatter, RelativeTimeFormatterPreferences};
use icu::list::ListFormatter;
use icu::list::options::ListFormatterOptions;
use icu::locale::preferences::extensions::unicode::keywords::CurrencyType;
use icu::locale::{Locale, LocaleCanonicalizer, LocaleDirectionality};
use icu::time::TimeZone;
use icu::time::zone::{UtcOffset, ZoneNameTimestamp};
use jiff::{Timestamp, civil};

use crate::domain::value::moment::FormatError;

type Dates<F> = FixedCalendarDateTimeFormatter<Gregorian, F>;

/// The formatters of one locale. Making them costs a thousand times more than using them, so each
/// is made when it is first asked for.
pub struct LocaleFormats {
    tag: String,
    locale: Locale,
    is_right_to_left: bool,
    day: Dates<fieldsets::MD>,
    day_of_year: OnceCell<Dates<fieldsets::YMD>>,
    weekday: OnceCell<Dates<fieldsets::E>>,
    whole_day: OnceCell<Dates<fieldsets::MDE>>,
    whole_day_of_year: OnceCell<Dates<fieldsets::YMDE>>,
    moment: OnceCell<Dates<fieldsets::MDT>>,
    moment_of_year: OnceCell<Dates<fieldsets::YMDT>>,
    time: NoCalendarFormatter<fieldsets::T>,
    time_with_seconds: OnceCell<NoCalendarFormatter<fieldsets::T>>,
    zone_name: OnceCell<NoCalendarFormatter<zone::Location>>,
    zone_abbreviation: OnceCell<NoCalendarFormatter<zone::SpecificShort>>,
    number: OnceCell<DecimalFormatter>,
    list: OnceCell<ListFormatter>,
    days_away: OnceCell<[RelativeTimeFormatter; 2]>,
    amounts: RefCell<HashMap<CurrencyType, Rc<CurrencyFormatter<DecimalFormatter>>>>,
}

thread_local! {
    static FORMATS: RefCell<HashMap<String, Rc<LocaleFormats>>> = RefCell::default();
}

/// How many locales and currencies are remembered; rows decide what they hold, so there is a limit.
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

/// The locale of a tag such as `es-MX` or `es_MX`, of a locale of Unix (`es_MX.UTF-8`), or of the first that a browser
/// asks for (`es-MX,es;q=0.9`). Old names of languages are taken for the new ones: `iw` for `he`, `spa` for `es`.
pub fn locale_of(tag: &str) -> Result<Locale, FormatError> {
    let name = tag.trim().split([',', ';', '.', '@']).next().unwrap_or_default().trim_end();
    let locale = Locale::from_str(&name.replace('_', "-"));
    let mut locale = locale.map_err(|_| FormatError::Locale(tag.to_owned()))?;
    LocaleCanonicalizer::new_extended().canonicalize(&mut locale);
    Ok(locale)
}

/// The formatter in its place, made now if this is its first use.
fn made<T>(
    place: &OnceCell<T>,
    make: impl FnOnce() -> Result<T, FormatError>,
) -> Result<&T, FormatError> {
    match place.get() {
        Some(formatter) => Ok(formatter),
        None => {
            let formatter = make()?;
            Ok(place.get_or_init(|| formatter))
        }
    }
}

impl LocaleFormats {
    fn new(tag: &str) -> Result<LocaleFormats, FormatError> {
        let locale = locale_of(tag)?;
        let no_data = || FormatError::NoData(tag.to_owned());
        Ok(LocaleFormats {
            tag: tag.to_owned(),
            is_right_to_left: LocaleDirectionality::new_extended().is_right_to_left(&locale.id),
            day: Dates::try_new((&locale).into(), fieldsets::MD::long()).map_err(|_| no_data())?,
            time: NoCalendarFormatter::try_new((&locale).into(), fieldsets::T::hm())
                .map_err(|_| no_data())?,
            locale,
            day_of_year: OnceCell::new(),
            weekday: OnceCell::new(),
            whole_day: OnceCell::new(),
            whole_day_of_year: OnceCell::new(),
            moment: OnceCell::new(),
            moment_of_year: OnceCell::new(),
            time_with_seconds: OnceCell::new(),
            zone_name: OnceCell::new(),
            zone_abbreviation: OnceCell::new(),
            number: OnceCell::new(),
            list: OnceCell::new(),
            days_away: OnceCell::new(),
            amounts: RefCell::default(),
        })
    }

    fn no_data<E>(&self) -> impl Fn(E) -> FormatError + '_ {
        |_| FormatError::NoData(self.tag.clone())
    }

    /// "June 25"; with the year when it is not `this_year`.
    pub fn date(&self, date: civil::Date, this_year: i16) -> Result<String, FormatError> {
        let given = gregorian(date)?;
        if date.year() == this_year {
            return Ok(plain(&self.day.format(&given).to_string()));
        }
        let long = made(&self.day_of_year, || {
            Dates::try_new((&self.locale).into(), fieldsets::YMD::long()).map_err(self.no_data())
        })?;
        Ok(plain(&long.format(&given).to_string()))
    }

    /// "Thursday, June 25"; with the year when it is not `this_year`.
    pub fn whole_date(&self, date: civil::Date, this_year: i16) -> Result<String, FormatError> {
        let given = gregorian(date)?;
        if date.year() == this_year {
            let day = made(&self.whole_day, || {
                Dates::try_new((&self.locale).into(), fieldsets::MDE::long())
                    .map_err(self.no_data())
            })?;
            return Ok(plain(&day.format(&given).to_string()));
        }
        let day = made(&self.whole_day_of_year, || {
            Dates::try_new((&self.locale).into(), fieldsets::YMDE::long()).map_err(self.no_data())
        })?;
        Ok(plain(&day.format(&given).to_string()))
    }

    /// "Thursday".
    pub fn weekday(&self, date: civil::Date) -> Result<String, FormatError> {
        let day = made(&self.weekday, || {
            Dates::try_new((&self.locale).into(), fieldsets::E::long()).map_err(self.no_data())
        })?;
        Ok(day.format(&gregorian(date)?).to_string())
    }

    /// "10:00 AM" or "10:00", as the locale has it.
    pub fn time(&self, time: civil::Time) -> Result<String, FormatError> {
        Ok(plain(&self.time.format(&clock(time)?).to_string()))
    }

    /// "10:00:30 AM".
    pub fn time_with_seconds(&self, time: civil::Time) -> Result<String, FormatError> {
        let seconds = made(&self.time_with_seconds, || {
            let fields = fieldsets::T::hms();
            NoCalendarFormatter::try_new((&self.locale).into(), fields).map_err(self.no_data())
        })?;
        Ok(plain(&seconds.format(&clock(time)?).to_string()))
    }

    /// "June 25 at 10:00 AM"; with the year when it is not `this_year`.
    pub fn moment(&self, wall: civil::DateTime, this_year: i16) -> Result<String, FormatError> {
        let given = DateTime { date: gregorian(wall.date())?, time: clock(wall.time())? };
        if wall.year() == this_year {
            let moment = made(&self.moment, || {
                let fields = fieldsets::MD::long().with_time_hm();
                Dates::try_new((&self.locale).into(), fields).map_err(self.no_data())
            })?;
            return Ok(plain(&moment.format(&given).to_string()));
        }
        let moment = made(&self.moment_of_year, || {
            let fields = fieldsets::YMD::long().with_time_hm();
            Dates::try_new((&self.locale).into(), fields).map_err(self.no_data())
        })?;
        Ok(plain(&moment.format(&given).to_string()))
    }

    /// "tomorrow" for 1; None where the locale has no word for a day so far away, or where the word
    /// may also mean another day (Hindi says the same for yesterday and tomorrow).
    pub fn days_away(&self, days: i32) -> Result<Option<String>, FormatError> {
        if !(-2..=2).contains(&days) {
            return Ok(None);
        }
        let [words, numbers] = made(&self.days_away, || {
            let with = |numeric| {
                let preferences = RelativeTimeFormatterPreferences::from(&self.locale);
                let options = RelativeTimeFormatterOptions::default().with_numeric(numeric);
                RelativeTimeFormatter::try_new_long_day(preferences, options)
                    .map_err(self.no_data())
            };
            Ok([with(Numeric::Auto)?, with(Numeric::Always)?])
        })?;
        let word = |days: i32| words.format(days.into()).to_string();
        let said = word(days);
        let is_word = said != numbers.format(days.into()).to_string();
        let is_clear = days == 0 || said != word(-days);
        Ok((is_word && is_clear).then_some(said))
    }

    /// "New York Time".
    pub fn zone_name(&self, zone: &str) -> Result<String, FormatError> {
        // CLDR calls it GMT+00:00, and people do not.
        if matches!(zone, "UTC" | "Etc/UTC" | "UCT" | "Etc/UCT" | "Zulu" | "Universal") {
            return Ok("UTC".to_owned());
        }
        let names = made(&self.zone_name, || {
            NoCalendarFormatter::try_new((&self.locale).into(), zone::Location)
                .map_err(self.no_data())
        })?;
        let zone = TimeZone::from_iana_id(zone).without_offset();
        Ok(plain(&names.format(&zone).to_string()))
    }

    /// "EDT", or "GMT-4" where people do not know the letters.
    pub fn zone_abbreviation(
        &self,
        zone: &str,
        instant: Timestamp,
        offset: jiff::tz::Offset,
    ) -> Result<String, FormatError> {
        let names = made(&self.zone_abbreviation, || {
            NoCalendarFormatter::try_new((&self.locale).into(), zone::SpecificShort)
                .map_err(self.no_data())
        })?;
        let zone = TimeZone::from_iana_id(zone)
            .with_offset(UtcOffset::try_from_seconds(offset.seconds()).ok())
            .with_zone_name_timestamp(ZoneNameTimestamp::from_epoch_seconds(instant.as_second()));
        Ok(plain(&names.format(&zone).to_string()))
    }

    /// "1,234.5" or "1.234,5", as the locale has it.
    pub fn number(&self, number: &Decimal) -> Result<String, FormatError> {
        let numbers = made(&self.number, || {
            DecimalFormatter::try_new((&self.locale).into(), Default::default())
                .map_err(self.no_data())
        })?;
        Ok(plain(&numbers.format(number).to_string()))
    }

    /// "$1,234.50" or "1.234,50 €"; rounded as the currency is.
    pub fn amount(&self, number: &Decimal, currency: &str) -> Result<String, FormatError> {
        let bad = || FormatError::Currency(currency.to_owned());
        let code = CurrencyType::try_from_str(&currency.to_lowercase()).map_err(|_| bad())?;
        let known = self.amounts.borrow().get(&code).cloned();
        let formatter = match known {
            Some(known) => known,
            None => {
                let made = CurrencyFormatter::try_new_symbol(
                    (&self.locale).into(),
                    code,
                    Default::default(),
                );
                let made = Rc::new(made.map_err(|_| bad())?);
                let mut amounts = self.amounts.borrow_mut();
                if amounts.len() >= REMEMBERED {
                    amounts.clear();
                }
                amounts.insert(code, made.clone());
                made
            }
        };
        Ok(plain(&formatter.format_fixed_decimal(number).to_string()))
    }

    /// "A, B, and C".
    pub fn list(&self, items: &[String]) -> Result<String, FormatError> {
        let lists = made(&self.list, || {
            let options = ListFormatterOptions::default();
            ListFormatter::try_new_and((&self.locale).into(), options).map_err(self.no_data())
        })?;
        Ok(lists.format(items.iter()).to_string())
    }

    /// The locale that these are of.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    pub fn is_right_to_left(&self) -> bool {
        self.is_right_to_left
    }
}

/// CLDR puts narrow no-break spaces before AM and between thousands, which many phones cannot show.
fn plain(text: &str) -> String {
    text.replace(['\u{202f}', '\u{a0}'], " ")
}

fn gregorian(date: civil::Date) -> Result<Date<Gregorian>, FormatError> {
    let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
    Date::try_new_gregorian(date.year().into(), month, day)
        .map_err(|_| FormatError::NotAMoment(date.to_string()))
}

fn clock(time: civil::Time) -> Result<Time, FormatError> {
    let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(i8::unsigned_abs);
    Time::try_new(hour, minute, second, 0).map_err(|_| FormatError::NotAMoment(time.to_string()))
}
