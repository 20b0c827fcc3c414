//! A stretch of the day, on some days of the week, between two readings of a clock on the wall.
//!
//! Where the clock is set forward, a reading that does not exist stands for the moment at which the clock jumps
//! over it. Where it is set back, a window begins at the first of two equal readings and ends at the second:
//! whenever the clock shows a time of the window, it is open.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// One stretch of the day: `21:00-08:00`, `sat,sun 14:00-24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whether it begins on that day, Monday first.
    pub days: [bool; 7],
    /// Minutes after midnight. An end that is not after the beginning is one of the next day.
    pub from: u16,
    pub to: u16,
}

impl Window {
    /// How long it is.
    pub fn minutes(self) -> usize {
        let length =
            if self.to > self.from { self.to - self.from } else { self.to + DAY - self.from };
        usize::from(length)
    }

    /// Beginning and end of the window that begins on a day.
    pub fn on(self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let number = usize::from(day.weekday().to_monday_zero_offset().unsigned_abs());
        if !self.days[number] {
            return None;
        }
        let last_day = if self.to > self.from { day } else { day.tomorrow().ok()? };
        let start = moment(zone, day, self.from, Twice::First)?;
        let end = moment(zone, last_day, self.to, Twice::Last)?;
        Some((start, end))
    }
}

/// Which of two equal readings of the clock is meant.
#[derive(Clone, Copy)]
enum Twice {
    First,
    Last,
}

/// When the clock shows so many minutes after midnight.
fn moment(zone: &TimeZone, day: Date, minutes: u16, twice: Twice) -> Option<Timestamp> {
    let wall = day.at(0, 0, 0, 0).checked_add(i64::from(minutes).minutes()).ok()?;
    let offset = match (zone.to_ambiguous_timestamp(wall).offset(), twice) {
        (AmbiguousOffset::Unambiguous { offset }, _) => offset,
        (AmbiguousOffset::Fold { before, .. }, Twice::First) => before,
        (AmbiguousOffset::Fold { after, .. }, Twice::Last) => after,
        (AmbiguousOffset::Gap { after, .. }, _) => {
            // By the new offset it is a moment before the clock is set: the next transition is the jump.
            let before_it = after.to_timestamp(wall).ok()?;
            return zone.following(before_it).next().map(|jump| jump.timestamp());
        }
    };
    offset.to_timestamp(wall).ok()
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Window, String> {
        parse(text).ok_or_else(|| {
            format!(
                "expected a time of the day such as \"21:00-08:00\", \"sat 14:00-24:00\" or \"mon-fri 19:00-07:30\", found \"{text}\""
            )
        })
    }
}

fn parse(text: &str) -> Option<Window> {
    let (days, times) = match text.trim().rsplit_once(char::is_whitespace) {
        Some((days, times)) => (days_of(days)?, times),
        None => ([true; 7], text.trim()),
    };
    let (from, to) = times.split_once('-')?;
    let (from, to) = (minutes_of(from)?, minutes_of(to)?);
    (from != to && from < DAY && to <= DAY).then_some(Window { days, from, to })
}

/// `sat,sun`, `mon-fri`, `fri-mon`.
fn days_of(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    let day_of = |name: &str| {
        let name = name.trim().to_lowercase();
        WEEKDAYS.iter().position(|day| *day == name)
    };
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_of(first)?, day_of(last)?);
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|step| days[(first + step) % 7] = true);
    }
    Some(days)
}

/// Minutes after midnight of `08:00` or `24:00`.
fn minutes_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || !digits(minutes) || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_of_the_day_is_said_so() {
        for text in [
            "",
            "21:00",
            "21-08",
            "24:00-08:00",
            "08:00-08:00",
            "25:00-08:00",
            "21:00-24:01",
            "21:60-08:00",
            "someday 21:00-08:00",
            "mon, 21:00-08:00",
            "+9:00-10:00",
            "9:0-10:00",
        ] {
            let error = text.parse::<Window>().err().unwrap_or_default();
            assert!(error.starts_with("expected a time of the day such as"), "{text}: {error}");
        }
        assert_eq!("Mon-Fri 9:00-10:00".parse::<Window>().map(|w| w.days), {
            Ok([true, true, true, true, true, false, false])
        });
    }
}
