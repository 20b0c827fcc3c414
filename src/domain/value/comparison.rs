//! What a value means, so that two of them can be compared: an instant whatever the offset it is
//! written with, a number whatever its zeros, a range by its bounds. What is told to the minute is
//! compared to the minute.

use std::str::FromStr as _;

use icu::decimal::input::Decimal;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::domain::value::column::{Column, TimeUnit, normal};
use crate::domain::value::column_kind::ColumnKind;
use crate::domain::value::range::{self, Bounds};

/// A value as people understand it. Equal means: nothing to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum ComparableValue {
    Nothing,
    Instant(Timestamp),
    /// An instant before Christ or after the year 9999, as databases write "for ever": seconds since 1970.
    FarInstant(i64),
    /// An instant that is told to the hour: the hour and its offset, because one hour comes twice
    /// when clocks are set back.
    Hour(DateTime, Offset),
    Wall(DateTime),
    Day(Date),
    TimeOfDay(Time, Option<String>),
    /// Months, days and microseconds, as PostgreSQL compares them: in microseconds.
    Interval(i128),
    Number(Decimal),
    Bool(bool),
    Text(String),
    List(Vec<ComparableValue>),
    Object(Vec<(String, ComparableValue)>),
    Range(Box<ComparableValue>, Box<ComparableValue>),
    /// An amount with its currency.
    Amount(Box<ComparableValue>, String),
}

/// What a value of a column means to somebody in `zone`.
pub fn comparable(column: &Column, value: &Value, zone: &TimeZone) -> ComparableValue {
    let kind = &column.kind;
    match value {
        Value::Null => ComparableValue::Nothing,
        Value::String(text) => match normal(text, column) {
            Some(text) => typed(kind, &text, column, zone)
                .unwrap_or_else(|| ComparableValue::Text(text.into_owned())),
            None => ComparableValue::Nothing,
        },
        Value::Number(number) => number_of(&number.to_string(), column)
            .map_or_else(|| ComparableValue::Text(number.to_string()), ComparableValue::Number),
        Value::Bool(yes) => ComparableValue::Bool(*yes),
        Value::Array(items) => {
            let element = element(kind, column);
            ComparableValue::List(
                items.iter().map(|item| comparable(&element, item, zone)).collect(),
            )
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.clone(), comparable(column, value, zone)))
                .collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            ComparableValue::Object(fields)
        }
    }
}

/// A column of the elements of a list; the elements of JSON are JSON.
fn element(kind: &ColumnKind, column: &Column) -> Column {
    let kind = match kind {
        ColumnKind::List(element) => (**element).clone(),
        other => other.clone(),
    };
    Column { kind, rules: column.rules.clone() }
}

/// None: the text is not what the kind says, and is compared as it is written.
fn typed(
    kind: &ColumnKind,
    text: &str,
    column: &Column,
    zone: &TimeZone,
) -> Option<ComparableValue> {
    let unit = column.time_unit();
    match kind {
        ColumnKind::TimestampTz => match instant(text) {
            Some(instant) => Some(instant_to(unit, instant, zone)),
            None => far_instant(text).map(|second| match Timestamp::from_second(second) {
                Ok(instant) => instant_to(unit, instant, zone),
                Err(_) => ComparableValue::FarInstant(second),
            }),
        },
        ColumnKind::Timestamp => Some(wall_to(unit, wall(text)?)),
        ColumnKind::Date => text.parse().ok().map(ComparableValue::Day),
        ColumnKind::Time => time_of_day(unit, text),
        ColumnKind::Interval => {
            crate::domain::value::interval::microseconds(text).map(ComparableValue::Interval)
        }
        ColumnKind::Number { .. } => number_of(text, column).map(ComparableValue::Number),
        ColumnKind::Money => {
            number_of(&range::plain_amount(text)?, column).map(ComparableValue::Number)
        }
        ColumnKind::Range(inner) => ranged(inner, text, column, zone),
        ColumnKind::MultiRange(inner) => {
            let ranges = range::split(text)?.into_iter();
            ranges
                .map(|text| ranged(inner, text, column, zone))
                .collect::<Option<_>>()
                .map(ComparableValue::List)
        }
        _ => None,
    }
}

/// The instant that PostgreSQL wrote: with a T (`to_jsonb`) or a space (bounds of ranges), with an
/// offset of hours or more.
pub fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// `10000-01-01T00:59:59+01:00`, `0044-03-15T12:00:00+00:53:28 BC`. The calendar repeats itself every 400 years.
fn far_instant(text: &str) -> Option<i64> {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let (text, is_before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = text.split_once(['T', ' '])?;
    let (time, offset) = time.split_at(time.rfind(['+', '-'])?);
    let mut parts = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let year = if is_before_christ { 1 - year } else { year };
    let like = i16::try_from(2000 + year.rem_euclid(400)).ok()?;
    let like = Date::new(like, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let days = like.since(Date::constant(1970, 1, 1)).ok()?.get_days();
    let days = i64::from(days) + (year.div_euclid(400) - 5) * DAYS_OF_400_YEARS;
    let seconds = |text: &str| {
        let mut units = [3_600, 60, 1].into_iter();
        text.split(':')
            .try_fold(0, |sum, part| Some(sum + part.parse::<i64>().ok()? * units.next()?))
    };
    let of_day = seconds(time.split('.').next()?)?;
    let ahead = seconds(offset.get(1..)?)?;
    let ahead = if offset.starts_with('-') { -ahead } else { ahead };
    Some(days * 86_400 + of_day - ahead)
}

/// The wall time that PostgreSQL wrote.
pub fn wall(text: &str) -> Option<DateTime> {
    text.parse().ok()
}

fn instant_to(unit: TimeUnit, instant: Timestamp, zone: &TimeZone) -> ComparableValue {
    let step = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Minute => 60,
        TimeUnit::Hour | TimeUnit::Day => {
            let there = zone.to_datetime(instant);
            return match unit {
                TimeUnit::Day => ComparableValue::Day(there.date()),
                _ => ComparableValue::Hour(cut(unit, there), zone.to_offset(instant)),
            };
        }
    };
    let seconds = instant.as_second().div_euclid(step) * step;
    ComparableValue::Instant(Timestamp::from_second(seconds).unwrap_or(instant))
}

fn wall_to(unit: TimeUnit, wall: DateTime) -> ComparableValue {
    match unit {
        TimeUnit::Day => ComparableValue::Day(wall.date()),
        _ => ComparableValue::Wall(cut(unit, wall)),
    }
}

fn cut(unit: TimeUnit, wall: DateTime) -> DateTime {
    wall.date().to_datetime(cut_time(unit, wall.time()))
}

fn cut_time(unit: TimeUnit, time: Time) -> Time {
    let (minute, second) = match unit {
        TimeUnit::Second => (time.minute(), time.second()),
        TimeUnit::Minute => (time.minute(), 0),
        TimeUnit::Hour | TimeUnit::Day => (0, 0),
    };
    Time::new(time.hour(), minute, second, 0).unwrap_or(time)
}

/// A time with an offset (`10:00:00+02`) keeps it.
fn time_of_day(unit: TimeUnit, text: &str) -> Option<ComparableValue> {
    let (time, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(text[at..].to_owned())),
        None => (text, None),
    };
    Some(ComparableValue::TimeOfDay(cut_time(unit, time.parse().ok()?), offset))
}

/// A number as JSON and PostgreSQL write it, `1e+20` included.
pub fn decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str(&text.trim().replace("e+", "e")).ok()
}

/// A number without the zeros that mean nothing, rounded as it is shown.
fn number_of(text: &str, column: &Column) -> Option<Decimal> {
    let mut number = decimal(text)?;
    if let Some(digits) = column.digits() {
        number.round(-i16::from(digits));
    }
    Some(plain(number))
}

/// A number without the zeros that mean nothing.
pub fn plain_number(text: &str) -> Option<Decimal> {
    decimal(text).map(plain)
}

fn plain(mut number: Decimal) -> Decimal {
    number.absolute.trim_start();
    number.absolute.trim_end();
    if number.absolute.is_zero() {
        number = Decimal::from(0);
    }
    number
}

/// Dates and whole numbers have one way to write a range: with the first value and without the last.
/// For others it does not matter to people whether the last moment belongs to it.
fn ranged(
    inner: &ColumnKind,
    text: &str,
    column: &Column,
    zone: &TimeZone,
) -> Option<ComparableValue> {
    let Bounds { from, to, has_from, has_to } = match range::parse(text)? {
        None => return Some(ComparableValue::Text("empty".to_owned())),
        Some(bounds) => bounds,
    };
    let bound = |text: Option<String>| match text {
        None => Some(ComparableValue::Nothing),
        Some(text) if text.ends_with("infinity") => Some(ComparableValue::Nothing),
        Some(text) => typed(inner, &text, column, zone),
    };
    let (mut from, mut to) = (bound(from)?, bound(to)?);
    if let ComparableValue::Day(day) = from
        && *inner == ColumnKind::Date
        && !has_from
    {
        from = ComparableValue::Day(day.checked_add(1.day()).ok()?);
    }
    if let ComparableValue::Day(day) = to
        && *inner == ColumnKind::Date
        && has_to
    {
        to = ComparableValue::Day(day.checked_add(1.day()).ok()?);
    }
    Some(ComparableValue::Range(Box::new(from), Box::new(to)))
}
