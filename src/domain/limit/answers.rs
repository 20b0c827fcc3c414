//! The answers of a provider in their row: whether it answers at all, and how many lines of the log they are worth. With
//! a provider that is away for a night, a line for each attempt would be thousands a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// So many requests in a row without an answer, the first so long ago, and the last not longer ago than that: the
/// provider takes requests and does not answer.
const MUTE: usize = 5;
const MUTE_FOR: Duration = Duration::from_secs(10);
const STILL: Duration = Duration::from_secs(60);

/// So many lines of one kind within this time; the others are counted.
const LINES: usize = 10;
const LINES_WITHIN: Duration = Duration::from_secs(60);

/// What is known of the answers on one channel.
#[derive(Debug, Default)]
pub struct AnswerRow {
    unanswered: Option<Unanswered>,
    said: BTreeMap<&'static str, Said>,
}

/// Requests in a row that had no answer.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    count: usize,
    since: Timestamp,
    last: Timestamp,
}

/// Lines of one kind.
#[derive(Clone, Copy, Debug)]
struct Said {
    since: Timestamp,
    lines: usize,
    left_out: usize,
}

impl AnswerRow {
    /// An answer came, whatever it said.
    pub fn answered(&mut self) {
        self.unanswered = None;
    }

    /// None came.
    pub fn unanswered(&mut self, now: Timestamp) {
        let known = self.unanswered.get_or_insert(Unanswered { count: 0, since: now, last: now });
        known.count += 1;
        known.last = now;
    }

    /// How many requests in a row had no answer, where that is no accident and goes on.
    pub fn mute(&self, now: Timestamp) -> Option<usize> {
        let row = self.unanswered?;
        let is_mute = row.count >= MUTE && row.since + MUTE_FOR <= now && now <= row.last + STILL;
        is_mute.then_some(row.count)
    }

    /// Whether an answer of this kind is worth a line; then, how many before it were not.
    pub fn line(&mut self, kind: &'static str, now: Timestamp) -> Option<usize> {
        let said = self.said.entry(kind).or_insert(Said { since: now, lines: 0, left_out: 0 });
        if said.since + LINES_WITHIN <= now {
            (said.since, said.lines) = (now, 0);
        }
        if said.lines == LINES {
            said.left_out += 1;
            return None;
        }
        said.lines += 1;
        Some(std::mem::take(&mut said.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    #[test]
    fn a_provider_is_mute_after_some_requests_in_a_row_and_as_long_as_it_goes_on() {
        let mut row = AnswerRow::default();
        for second in 0..4 {
            row.unanswered(at(second * 5));
        }
        assert_eq!(row.mute(at(20)), None, "four may be an accident");
        row.unanswered(at(20));
        assert_eq!(row.mute(at(20)), Some(5));
        assert_eq!(row.mute(at(81)), None, "nothing was asked for a minute");
        row.answered();
        for _ in 0..9 {
            row.unanswered(at(100));
        }
        assert_eq!(row.mute(at(100)), None, "all at once may be one lost connection");
    }

    /// An hour with 80 attempts a second that all fail in one way was 288,000 lines.
    #[test]
    fn an_hour_of_failures_is_some_hundred_lines_and_all_are_counted() {
        let mut row = AnswerRow::default();
        let (mut lines, mut left_out) = (0, 0);
        for second in 0..3_600 {
            for _ in 0..80 {
                if let Some(before) = row.line("retry", at(second)) {
                    (lines, left_out) = (lines + 1, left_out + before);
                }
            }
        }
        assert_eq!(lines, 600);
        assert_eq!(
            left_out + lines + 4_790,
            288_000,
            "those of the last minute are told by the next"
        );
        assert_eq!(row.line("unknown", at(0)), Some(0), "another kind has lines of its own");
    }
}
