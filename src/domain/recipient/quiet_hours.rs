//! Quiet hours: times of the recipient's day at which nothing leaves, and when they end.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::domain::recipient::time_of_day::{DAY, Window};

/// More windows in a row than any week has.
const MOST_IN_A_ROW: usize = 64;

/// When nothing leaves, and what leaves all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuietHours {
    pub windows: Vec<Window>,
    /// What is about something no further away than this is urgent.
    pub unless_within: Option<Duration>,
}

/// How long a message waits for the end of quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietWait {
    /// When quiet hours end.
    pub opening: Timestamp,
    /// When it leaves: then, or earlier because it has become urgent.
    pub until: Timestamp,
}

impl QuietHours {
    /// How long a message about the moment `about` has to wait; None: it may leave now.
    pub fn wait(
        &self,
        now: Timestamp,
        about: Option<Timestamp>,
        zone: &TimeZone,
    ) -> Option<QuietWait> {
        let opening = self.opening(now, zone)?;
        let urgent = self.unless_within.zip(about).and_then(|(within, about)| {
            let is_past = about.checked_add(within).is_ok_and(|last| last < now);
            let from = about.checked_sub(within).unwrap_or(Timestamp::MIN);
            (!is_past).then_some(from)
        });
        match urgent {
            Some(from) if from <= now => None,
            Some(from) => Some(QuietWait { opening, until: from.min(opening) }),
            None => Some(QuietWait { opening, until: opening }),
        }
    }

    /// When quiet hours end that are now; None: there are none now.
    pub fn opening(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = now;
        for _ in 0..MOST_IN_A_ROW {
            match self.end_of_window(at, zone) {
                Some(end) => at = end,
                None => break,
            }
        }
        (at > now).then_some(at)
    }

    /// The end of the windows that are open at a moment, the last of them.
    fn end_of_window(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = zone.to_datetime(at).date();
        // One that began yesterday may go on. The day before and the day after are looked at because a
        // clock may be set over midnight.
        let days = (-2..=1).filter_map(|days: i64| today.checked_add(days.days()).ok());
        let stretches = days.flat_map(|day| self.windows.iter().map(move |w| (day, w)));
        let open = stretches.filter_map(|(day, window)| {
            let (start, end) = window.on(day, zone)?;
            (start <= at && at < end).then_some(end)
        });
        open.max()
    }

    /// Whether the windows together cover the whole week, so that nothing could ever leave.
    pub fn never_end(&self) -> bool {
        let day = usize::from(DAY);
        let mut is_quiet = vec![false; day * 7];
        for window in &self.windows {
            for first in (0..7).filter(|day| window.days[*day]) {
                let start = first * day + usize::from(window.from);
                for minute in start..start + window.minutes() {
                    is_quiet[minute % (day * 7)] = true;
                }
            }
        }
        is_quiet.iter().all(|quiet| *quiet)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn hours(windows: &[&str]) -> QuietHours {
        let windows = windows.iter().map(|text| text.parse().unwrap()).collect();
        QuietHours { windows, unless_within: None }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// Zone, window, now, and when it opens; an empty text: it is not quiet now.
    const TABLE: [(&str, &str, &str, &str); 33] = [
        // An ordinary night, from both sides of midnight, and its edges.
        ("Europe/Berlin", "21:00-08:00", "2026-06-24T20:59:59+02:00", ""),
        ("Europe/Berlin", "21:00-08:00", "2026-06-24T21:00:00+02:00", "2026-06-25T08:00:00+02:00"),
        ("Europe/Berlin", "21:00-08:00", "2026-06-25T03:00:00+02:00", "2026-06-25T08:00:00+02:00"),
        ("Europe/Berlin", "21:00-08:00", "2026-06-25T08:00:00+02:00", ""),
        ("Asia/Kolkata", "13:00-14:30", "2026-06-24T13:10:00+05:30", "2026-06-24T14:30:00+05:30"),
        // The change is within the night: one hour less, one hour more.
        ("Europe/Berlin", "21:00-08:00", "2026-03-28T21:30:00+01:00", "2026-03-29T08:00:00+02:00"),
        ("Europe/Berlin", "21:00-08:00", "2026-10-24T21:30:00+02:00", "2026-10-25T08:00:00+01:00"),
        // The opening does not exist: it opens when the clock jumps over it.
        ("Europe/Berlin", "21:00-02:30", "2026-03-29T01:59:00+01:00", "2026-03-29T03:00:00+02:00"),
        (
            "America/New_York",
            "22:00-02:00",
            "2026-03-08T01:00:00-05:00",
            "2026-03-08T03:00:00-04:00",
        ),
        (
            "Australia/Lord_Howe",
            "22:00-02:15",
            "2026-10-04T01:00:00+10:30",
            "2026-10-04T02:30:00+11:00",
        ),
        // The opening exists twice: the second one counts, whatever the clock says before.
        ("Europe/Berlin", "21:00-02:30", "2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+01:00"),
        ("Europe/Berlin", "21:00-02:30", "2026-10-25T02:45:00+02:00", "2026-10-25T02:30:00+01:00"),
        (
            "America/New_York",
            "22:00-01:30",
            "2026-11-01T01:10:00-05:00",
            "2026-11-01T01:30:00-05:00",
        ),
        (
            "Australia/Lord_Howe",
            "22:00-01:45",
            "2026-04-05T01:40:00+11:00",
            "2026-04-05T01:45:00+10:30",
        ),
        // The beginning does not exist, or exists twice: the first one counts.
        ("Europe/Berlin", "02:30-08:00", "2026-03-29T01:59:59+01:00", ""),
        ("Europe/Berlin", "02:30-08:00", "2026-03-29T03:00:00+02:00", "2026-03-29T08:00:00+02:00"),
        ("Europe/Berlin", "02:30-08:00", "2026-10-25T02:29:00+02:00", ""),
        ("Europe/Berlin", "02:30-08:00", "2026-10-25T02:10:00+01:00", "2026-10-25T08:00:00+01:00"),
        // Both lie within the hour that is left out: that day there is no such window.
        ("Europe/Berlin", "02:10-02:50", "2026-03-29T03:00:00+02:00", ""),
        // Clocks that are set at midnight, forward and back.
        ("Africa/Cairo", "21:00-24:00", "2026-04-23T22:00:00+02:00", "2026-04-24T01:00:00+03:00"),
        ("Africa/Cairo", "00:00-08:00", "2026-04-24T01:00:00+03:00", "2026-04-24T08:00:00+03:00"),
        ("Africa/Cairo", "21:00-08:00", "2026-10-29T23:30:00+03:00", "2026-10-30T08:00:00+02:00"),
        ("Africa/Cairo", "23:30-08:00", "2026-10-29T23:10:00+02:00", "2026-10-30T08:00:00+02:00"),
        ("Africa/Cairo", "12:00-23:30", "2026-10-29T23:40:00+03:00", "2026-10-29T23:30:00+02:00"),
        (
            "America/Santiago",
            "22:00-24:00",
            "2026-09-05T23:00:00-04:00",
            "2026-09-06T01:00:00-03:00",
        ),
        (
            "America/Santiago",
            "22:00-07:00",
            "2026-04-04T23:30:00-03:00",
            "2026-04-05T07:00:00-04:00",
        ),
        ("America/Havana", "22:00-00:30", "2026-11-01T00:40:00-04:00", "2026-11-01T00:30:00-05:00"),
        ("Asia/Beirut", "20:00-24:00", "2026-10-24T23:30:00+03:00", "2026-10-25T00:00:00+02:00"),
        // A day that a country left out.
        ("Pacific/Apia", "21:00-08:00", "2011-12-29T22:00:00-10:00", "2011-12-31T08:00:00+14:00"),
        // Days of the week: the day is the one on which the window begins.
        ("UTC", "fri 21:00-08:00", "2026-06-27T07:00:00Z", "2026-06-27T08:00:00Z"),
        ("UTC", "fri 21:00-08:00", "2026-06-28T07:00:00Z", ""),
        ("UTC", "sat,sun 00:00-24:00", "2026-06-27T10:00:00Z", "2026-06-29T00:00:00Z"),
        ("UTC", "fri-mon 09:00-10:00", "2026-06-29T09:30:00Z", "2026-06-29T10:00:00Z"),
    ];

    #[test]
    fn quiet_hours_end_when_the_recipients_clock_says_so() {
        for (name, window, now, opens) in TABLE {
            let found = hours(&[window]).opening(at(now), &zone(name));
            let expected = (!opens.is_empty()).then(|| at(opens));
            assert_eq!(found, expected, "{name} {window} {now}");
        }
    }

    #[test]
    fn windows_that_touch_are_one() {
        let week = hours(&["mon-fri 19:00-08:00", "sat 14:00-24:00", "sun 00:00-24:00"]);
        let madrid = zone("Europe/Madrid");
        let opens = |now| week.opening(at(now), &madrid).map(|at| at.to_string());
        // Saturday after lunch, the whole of Sunday, and then Monday morning is free only from 00:00.
        let monday = Some("2026-06-28T22:00:00Z".to_owned());
        assert_eq!(opens("2026-06-27T15:00:00+02:00"), monday);
        assert_eq!(opens("2026-06-27T10:00:00+02:00"), None);
        assert!(!week.never_end());
        assert!(hours(&["00:00-24:00"]).never_end());
        assert!(hours(&["20:00-08:00", "08:00-20:00"]).never_end());
        assert!(
            hours(&[
                "sun 12:00-12:30",
                "sun 12:30-24:00",
                "mon-sun 00:00-12:00",
                "mon-sat 12:00-24:00"
            ])
            .never_end()
        );
    }

    #[test]
    fn what_is_about_something_soon_is_urgent() {
        let night = QuietHours {
            unless_within: Some(Duration::from_secs(12 * 3_600)),
            ..hours(&["21:00-08:00"])
        };
        let now = at("2026-06-24T22:00:00Z");
        let opening = at("2026-06-25T08:00:00Z");
        let wait = |about: &str| night.wait(now, Some(at(about)), &TimeZone::UTC);
        let until = |at| Some(QuietWait { opening, until: at });
        assert_eq!(wait("2026-06-25T09:00:00Z"), None, "eleven hours are soon");
        assert_eq!(wait("2026-06-24T20:00:00Z"), None, "it has just begun");
        assert_eq!(wait("2026-06-24T09:00:00Z"), until(opening), "it is long over");
        assert_eq!(wait("2026-06-26T09:00:00Z"), until(opening));
        // It becomes urgent during the night: then it leaves.
        assert_eq!(wait("2026-06-25T13:00:00Z"), until(at("2026-06-25T01:00:00Z")));
        assert_eq!(night.wait(now, None, &TimeZone::UTC), until(opening));
        assert_eq!(night.wait(opening, None, &TimeZone::UTC), None);
    }

    const ZONES: [&str; 10] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Africa/Cairo",
        "Asia/Beirut",
        "America/Santiago",
        "America/Havana",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Chatham",
    ];

    /// Whether the clock on the wall shows a time of the window.
    fn clock_is_in(window: &Window, at: Timestamp, zone: &TimeZone) -> bool {
        let time = zone.to_datetime(at).time();
        let minute =
            u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
        match window.from < window.to {
            true => (window.from..window.to).contains(&minute),
            false => minute >= window.from || minute < window.to,
        }
    }

    proptest! {
        /// The opening is the first moment that is not quiet, and at most an hour later than in a week
        /// without a change of the clock; nobody who looks at the clock is disturbed in quiet hours.
        #[test]
        fn an_opening_is_never_quiet_and_nothing_before_it_is_not(
            name in prop::sample::select(&ZONES[..]),
            from in 0..DAY,
            length in 60..=DAY - 120,
            second in 0_i64..365 * 86_400,
        ) {
            let zone = zone(name);
            let window = Window { days: [true; 7], from, to: (from + length) % DAY };
            let quiet = QuietHours { windows: vec![window], unless_within: None };
            let now = at("2026-01-01T00:00:00Z") + SignedDuration::from_secs(second);
            let Some(opening) = quiet.opening(now, &zone) else {
                prop_assert!(!clock_is_in(&window, now, &zone));
                return Ok(());
            };
            prop_assert!(now < opening && opening <= now + SignedDuration::from_hours(25));
            prop_assert_eq!(quiet.opening(opening, &zone), None);
            prop_assert!(!clock_is_in(&window, opening, &zone));
            let just_before = opening - SignedDuration::from_secs(1);
            prop_assert_eq!(quiet.opening(just_before.max(now), &zone), Some(opening));
            let mut between = now;
            while between < opening {
                prop_assert_eq!(quiet.opening(between, &zone), Some(opening));
                between += SignedDuration::from_mins(7);
            }
        }
    }
}
