//! Who reads a message: language, zone and present, and how values look to them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::domain::locale::bidi;
use crate::domain::locale::formats::{LocaleFormats, formats};
use crate::domain::text::labels::Labels;
use crate::domain::text::phrases::{Phrase, PhraseBook, fill};
use crate::domain::value::comparison::decimal;
use crate::domain::value::moment::{self, FormatError, Moment};
use crate::domain::value::range::{self, Bounds};
use crate::domain::value::row::Row;

/// What is shown for a value that is not there.
pub const NOTHING: &str = "—";

/// Whose clock was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// None, or everybody's clock is the same then.
    Nothing,
    /// The recipient's, which differs from the service's, or which nobody chose.
    Recipients,
    /// The service's, because the value is a time without zone; the recipient's differs.
    Services,
}

/// A reader, and the row that they read about.
pub struct RecipientLocale {
    pub locale: String,
    pub default_locale: String,
    pub zone_name: String,
    pub now: Timestamp,
    pub labels: Labels,
    /// The row now and as it was last told; only where values have names.
    pub rows: [Option<Row>; 2],
    pub formats: Rc<LocaleFormats>,
    zone: TimeZone,
    /// The zone that the service lives in, where the watch names one.
    service: Option<(String, TimeZone)>,
    /// Nobody chose the reader's zone: whoever reads an hour has to know whose it is.
    is_zone_unchosen: bool,
    book: Arc<PhraseBook>,
    shown: Cell<Shown>,
}

/// Who reads, and in which words.
pub struct LocaleSettings<'a> {
    pub locale: &'a str,
    pub default_locale: &'a str,
    pub zone: &'a str,
    pub service_zone: Option<&'a str>,
    pub is_zone_unchosen: bool,
    pub now: Timestamp,
    pub labels: Labels,
    pub rows: [Option<&'a Row>; 2],
    pub book: Arc<PhraseBook>,
}

impl RecipientLocale {
    pub fn new(reading: LocaleSettings<'_>) -> Result<RecipientLocale, FormatError> {
        let service = match reading.service_zone {
            Some(name) => Some((name.to_owned(), moment::zone(name)?)),
            None => None,
        };
        Ok(RecipientLocale {
            locale: reading.locale.to_owned(),
            default_locale: reading.default_locale.to_owned(),
            zone_name: reading.zone.to_owned(),
            now: reading.now,
            rows: match reading.labels.is_empty() {
                true => [None, None],
                false => reading.rows.map(|row| row.cloned()),
            },
            labels: reading.labels,
            formats: formats(reading.locale)?,
            zone: moment::zone(reading.zone)?,
            service,
            is_zone_unchosen: reading.is_zone_unchosen,
            book: reading.book,
            shown: Cell::new(Shown::Nothing),
        })
    }

    pub fn phrase(&self, which: Phrase, values: &[(&str, &str)]) -> String {
        fill(&self.book.phrase(&self.locale, &self.default_locale, which), values)
    }

    /// A value in the middle of a text, set apart where its direction differs.
    pub fn isolated(&self, text: &str) -> String {
        bidi::isolated(text, self.formats.is_right_to_left()).unwrap_or_else(|| text.to_owned())
    }

    /// Whose clock was shown since the last question.
    pub fn take_shown(&self) -> Shown {
        self.shown.replace(Shown::Nothing)
    }

    /// The name of the zone whose clock was shown.
    pub fn zone_of(&self, shown: Shown) -> Result<String, FormatError> {
        match (shown, &self.service) {
            (Shown::Services, Some((name, _))) => self.formats.zone_name(name),
            _ => self.formats.zone_name(&self.zone_name),
        }
    }

    /// The name of the reader's zone where its clock differs from the service's now, else "".
    pub fn zone_if_other(&self) -> Result<String, FormatError> {
        let differs =
            |service: &TimeZone| service.to_offset(self.now) != self.zone.to_offset(self.now);
        match &self.service {
            Some((_, service)) if differs(service) => self.zone_of(Shown::Recipients),
            _ if self.is_zone_unchosen => self.zone_of(Shown::Recipients),
            _ => Ok(String::new()),
        }
    }

    pub fn date(&self, text: &str) -> Result<String, FormatError> {
        self.formats.date(self.day_of(text)?, self.this_year())
    }

    /// With the day of the week.
    pub fn whole_date(&self, text: &str) -> Result<String, FormatError> {
        self.formats.whole_date(self.day_of(text)?, self.this_year())
    }

    pub fn weekday(&self, text: &str) -> Result<String, FormatError> {
        self.formats.weekday(self.day_of(text)?)
    }

    /// "tomorrow"; the date where there is no word for the day.
    pub fn day(&self, text: &str) -> Result<String, FormatError> {
        let day = self.day_of(text)?;
        let away = self.today().until(day).map_or(i32::MAX, |span| span.get_days());
        match self.formats.days_away(away)? {
            Some(word) => Ok(word),
            None => self.formats.date(day, self.this_year()),
        }
    }

    pub fn time(&self, text: &str, with_seconds: bool) -> Result<String, FormatError> {
        let moment = self.noted(Moment::parse(text)?);
        let (_, time) = moment.on_the_wall(&self.zone);
        let time = time.ok_or_else(|| FormatError::NotAMoment(text.to_owned()))?;
        self.clock(moment, time, with_seconds)
    }

    /// Date and time.
    pub fn moment(&self, text: &str) -> Result<String, FormatError> {
        let moment = self.noted(Moment::parse(text)?);
        match moment.on_the_wall(&self.zone) {
            (Some(date), Some(time)) => {
                let said = self.formats.moment(date.to_datetime(time), self.this_year())?;
                Ok(said + &self.bodies(moment)?)
            }
            (Some(date), None) => self.formats.date(date, self.this_year()),
            (None, Some(time)) => self.clock(moment, time, false),
            (None, None) => Err(FormatError::NotAMoment(text.to_owned())),
        }
    }

    /// "June 25 from 10:00 AM to 12:00 PM", or from one day to another. None is open.
    pub fn window(&self, from: Option<&str>, to: Option<&str>) -> Result<String, FormatError> {
        let (from, to) = match (from, to) {
            (None, None) => return Ok(NOTHING.to_owned()),
            (Some(from), None) => {
                return Ok(self.phrase(Phrase::From, &[("start", &self.moment(from)?)]));
            }
            (None, Some(to)) => {
                return Ok(self.phrase(Phrase::Until, &[("end", &self.moment(to)?)]));
            }
            (Some(from), Some(to)) => (from, to),
        };
        let (first, last) = (Moment::parse(from)?, Moment::parse(to)?);
        match (first.on_the_wall(&self.zone), last.on_the_wall(&self.zone)) {
            ((Some(day), Some(_)), (Some(end), Some(until))) if is_one_day(day, end, until) => {
                let date = self.formats.date(day, self.this_year())?;
                let (start, end) = (self.time(from, false)?, self.time(to, false)?);
                let values = [("date", &*date), ("start", &start), ("end", &end)];
                Ok(self.phrase(Phrase::Window, &values))
            }
            ((Some(day), None), (Some(end), None)) if day == end => self.date(from),
            ((Some(_), None), (Some(_), None)) => self.between(Phrase::Days, from, to),
            _ => self.between(Phrase::Moments, from, to),
        }
    }

    fn between(&self, phrase: Phrase, from: &str, to: &str) -> Result<String, FormatError> {
        let (start, end) = (self.moment(from)?, self.moment(to)?);
        Ok(self.phrase(phrase, &[("start", &start), ("end", &end)]))
    }

    /// The bounds of a range of dates or moments in words.
    pub fn range(&self, text: &str) -> Result<String, FormatError> {
        let Bounds { from, to, has_from, has_to } = match range::parse(text) {
            None => return Err(FormatError::NotAMoment(text.to_owned())),
            Some(None) => return Ok(NOTHING.to_owned()),
            Some(Some(bounds)) => bounds,
        };
        let finite = |bound: Option<String>| bound.filter(|text| !text.ends_with("infinity"));
        let (from, to) = (finite(from), finite(to));
        // Days are told with the last one included.
        let from = from.map(|day| if has_from { day } else { moved(&day, 1) });
        let to = to.map(|day| if has_to { day } else { moved(&day, -1) });
        self.window(from.as_deref(), to.as_deref())
    }

    /// A number as it is; rounded to so many digits after the point, and filled up with zeros.
    pub fn number(&self, text: &str, digits: Option<u8>) -> Result<String, FormatError> {
        let bad = || FormatError::NotANumber(text.to_owned());
        let mut number = decimal(text).ok_or_else(bad)?;
        if let Some(digits) = digits {
            let last = -i16::from(digits);
            number.round(last);
            number.absolute.trim_end();
            number.absolute.pad_end(last);
        }
        self.formats.number(&number)
    }

    pub fn amount(&self, text: &str, currency: &str) -> Result<String, FormatError> {
        let amount = decimal(text).or_else(|| decimal(&range::plain_amount(text)?));
        let amount = amount.ok_or_else(|| FormatError::NotANumber(text.to_owned()))?;
        self.formats.amount(&amount, currency)
    }

    /// The name of a value; None where it has none.
    pub fn label(&self, column: Option<&str>, value: &str) -> Option<String> {
        let column = column.or_else(|| self.labels.column_of(value, &self.rows))?;
        let name = self.labels.of(column, value, &self.locale, &self.default_locale);
        name.map(|name| self.isolated(name))
    }

    /// Whether a value is a key whose name could not be looked up.
    pub fn is_nameless(&self, column: Option<&str>, value: &str) -> bool {
        self.labels.is_nameless(column, value, &self.rows)
    }

    fn this_year(&self) -> i16 {
        self.today().year()
    }

    fn today(&self) -> civil::Date {
        self.zone.to_datetime(self.now).date()
    }

    fn day_of(&self, text: &str) -> Result<civil::Date, FormatError> {
        let (date, _) = Moment::parse(text)?.on_the_wall(&self.zone);
        date.ok_or_else(|| FormatError::NotAMoment(text.to_owned()))
    }

    fn clock(
        &self,
        moment: Moment,
        time: civil::Time,
        with_seconds: bool,
    ) -> Result<String, FormatError> {
        let said = match with_seconds {
            true => self.formats.time_with_seconds(time)?,
            false => self.formats.time(time)?,
        };
        Ok(said + &self.bodies(moment)?)
    }

    /// Half past one comes twice in the night when clocks are set back: then the letters of the zone
    /// tell which one is meant.
    fn bodies(&self, moment: Moment) -> Result<String, FormatError> {
        let Moment::Instant(instant) = moment else {
            return Ok(String::new());
        };
        let wall = self.zone.to_datetime(instant);
        if !self.zone.to_ambiguous_timestamp(wall).is_ambiguous() {
            return Ok(String::new());
        }
        let offset = self.zone.to_offset(instant);
        Ok(format!(" {}", self.formats.zone_abbreviation(&self.zone_name, instant, offset)?))
    }

    /// Notes whose clock the reader is about to see.
    fn noted(&self, moment: Moment) -> Moment {
        if self.is_zone_unchosen && matches!(moment, Moment::Instant(_)) {
            self.shown.set(Shown::Recipients);
            return moment;
        }
        let Some((_, service)) = &self.service else {
            return moment;
        };
        let (instant, shown) = match moment {
            Moment::Instant(instant) => (Some(instant), Shown::Recipients),
            Moment::Civil(wall) => (service.to_timestamp(wall).ok(), Shown::Services),
            Moment::Time(_) => (Some(self.now), Shown::Services),
            Moment::Date(_) => (None, Shown::Nothing),
        };
        let differs = |instant| service.to_offset(instant) != self.zone.to_offset(instant);
        if instant.is_some_and(differs) {
            self.shown.set(shown);
        }
        moment
    }
}

/// A window that ends at midnight ends on its day, in the eyes of people.
fn is_one_day(day: civil::Date, end: civil::Date, until: civil::Time) -> bool {
    day == end || (until == civil::Time::midnight() && day.tomorrow().is_ok_and(|next| next == end))
}

/// A date moved by days; anything else as it is.
fn moved(text: &str, days: i32) -> String {
    let date = text.parse::<civil::Date>().ok().filter(|_| !text.contains([' ', 'T']));
    let moved = date.and_then(|date| date.checked_add(jiff::Span::new().days(days)).ok());
    moved.map_or_else(|| text.to_owned(), |date| date.to_string())
}
