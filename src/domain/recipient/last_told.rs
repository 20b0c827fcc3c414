//! The ledger of what people know: the rows that the recipients of an entity were told, or may have been told.
//!
//! Nothing is worked out again from the history of messages: what stands here is what a message is compared with.

use jiff::Timestamp;
use serde::Deserialize;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::value::row::Row;

/// How sure it is that a recipient knows a row. The words are those of `rowbell.told_status`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ToldStatus {
    /// Known to those whom the recipient query names for the row.
    Assumed,
    /// A dry run recorded it.
    Rehearsed,
    /// A rule of the watch says nothing about it.
    Silenced,
    /// The request is being made.
    Sending,
    /// A request without an answer may have told it; another one was made, or none any more.
    Possible,
    /// A request without an answer may have told it.
    Unconfirmed,
    /// The provider accepted it.
    Accepted,
    /// It reached the device, or nothing more is ever heard of it.
    Arrived,
}

/// One row that one recipient was told, or may have been told: a row of `rowbell.last_told`, as an array.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    /// Empty: those whom the recipient query names for the row.
    pub recipient_key: String,
    pub status: ToldStatus,
    pub told_at: Timestamp,
    pub message_id: i64,
    /// The first message of its chain of fallbacks.
    pub first_message_id: i64,
    /// None: that it is gone, or no longer theirs.
    pub row: Option<Row>,
    /// Of what nobody knows whether it was told: the row before, and since when it was another.
    pub row_before: Option<Row>,
    pub changed_at: Option<Timestamp>,
}

/// A row before changes that were to be told, and when the first of them was made.
#[derive(Clone, Copy, Debug)]
pub struct RowBefore<'a> {
    pub at: Timestamp,
    /// None: it was not there.
    pub row: Option<&'a Row>,
}

/// What counts as told, besides what has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountsAsTold {
    /// What is unconfirmed: it is not sent again in the end.
    pub unconfirmed: bool,
    /// Only what has arrived: for a message that stands in for another.
    pub only_arrived: bool,
    /// What a dry run recorded: for another one. Its recipients know nothing of it.
    pub dry_runs: bool,
}

/// Entries of one recipient that are kept beside the one that arrived last, at least.
const KEPT: usize = 8;

/// Entries of one recipient that do not count any more, before they are removed.
const OBSOLETE: usize = 4;

/// All that is known of one entity, in the order in which it was told.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Vec<Told>);

impl Ledger {
    pub fn new(mut entries: Vec<Told>) -> Ledger {
        entries.sort_by_key(|told| (told.told_at, told.message_id));
        Ledger(entries)
    }

    fn of<'a>(&'a self, key: &str) -> impl DoubleEndedIterator<Item = &'a Told> + Clone {
        self.0.iter().filter(move |told| told.recipient_key == key)
    }

    /// All that one recipient was told, or may have been.
    pub fn all(&self, key: &str) -> Vec<&Told> {
        self.of(key).collect()
    }

    /// The recipients who were told something, or may have been.
    pub fn recipients(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for told in self.0.iter().filter(|told| told.status != ToldStatus::Assumed) {
            if !keys.contains(&told.recipient_key.as_str()) {
                keys.push(&told.recipient_key);
            }
        }
        keys
    }

    /// Whether another message to the recipient is being sent.
    pub fn is_being_told(&self, key: &str, message_id: Option<i64>) -> bool {
        self.of(key)
            .any(|told| told.status == ToldStatus::Sending && Some(told.message_id) != message_id)
    }

    /// What the recipient knows for certain: the latest that counts.
    pub fn last(&self, key: &str, counts: CountsAsTold) -> Option<&Told> {
        self.of(key).rev().find(|told| counts.certain(told.status))
    }

    /// What the recipient may have read since then although nobody knows.
    pub fn possible(&self, key: &str, counts: CountsAsTold) -> Vec<&Told> {
        let since = self.last(key, counts).map(|told| (told.told_at, told.message_id));
        let is_later =
            |told: &&Told| since.is_none_or(|since| (told.told_at, told.message_id) > since);
        self.of(key).filter(is_later).filter(|told| told.status.is_possible()).collect()
    }

    /// The row before everything that was to be told and was not; of several, the earliest. `message` is the row before
    /// the changes that are to be told now, and when the first of them was made.
    pub fn assumed<'a>(&'a self, message: RowBefore<'a>) -> Option<&'a Row> {
        self.left().filter(|left| left.at <= message.at).unwrap_or(message).row
    }

    /// The same for one recipient: before what they were told perhaps, too.
    pub fn assumed_by<'a>(
        &'a self,
        key: &str,
        counts: CountsAsTold,
        message: RowBefore<'a>,
    ) -> Option<&'a Row> {
        let first = self.of(key).find(|told| counts.doubtful(told.status));
        let first = first.and_then(|told| {
            Some(RowBefore { at: told.changed_at?, row: told.row_before.as_ref() })
        });
        let all = first.into_iter().chain(self.left()).chain([message]);
        all.min_by_key(|before| before.at)?.row
    }

    fn left(&self) -> Option<RowBefore<'_>> {
        let left = self.0.iter().find(|told| told.status == ToldStatus::Assumed)?;
        Some(RowBefore { at: left.told_at, row: left.row.as_ref() })
    }

    /// The moment before which nothing that the recipient was told counts any more; None: there is little of it.
    pub fn obsolete_before(&self, key: &str) -> Option<Timestamp> {
        let arrived = self.of(key).rposition_of(|told| told.status == ToldStatus::Arrived);
        let count = self.of(key).count();
        let place = arrived.unwrap_or(0).max(count.saturating_sub(KEPT + OBSOLETE));
        (place >= OBSOLETE).then(|| self.of(key).nth(place).map(|told| told.told_at))?
    }
}

/// `Iterator::rposition` without a known length.
trait RpositionOf<T>: Iterator<Item = T> + Sized {
    fn rposition_of(self, is: impl Fn(&T) -> bool) -> Option<usize> {
        let places = self.enumerate().filter(|(_, item)| is(item)).map(|(place, _)| place);
        places.last()
    }
}

impl<T, I: Iterator<Item = T>> RpositionOf<T> for I {}

impl ToldStatus {
    /// Perhaps it was told.
    fn is_possible(self) -> bool {
        matches!(self, ToldStatus::Possible | ToldStatus::Unconfirmed | ToldStatus::Accepted)
    }
}

impl CountsAsTold {
    /// Perhaps it was told, and perhaps not.
    fn doubtful(self, status: ToldStatus) -> bool {
        match status {
            ToldStatus::Possible | ToldStatus::Unconfirmed => true,
            ToldStatus::Accepted => self.only_arrived,
            _ => false,
        }
    }

    fn certain(self, status: ToldStatus) -> bool {
        match status {
            ToldStatus::Arrived => true,
            ToldStatus::Accepted | ToldStatus::Silenced => !self.only_arrived,
            ToldStatus::Unconfirmed => self.unconfirmed && !self.only_arrived,
            ToldStatus::Rehearsed => self.dry_runs && !self.only_arrived,
            ToldStatus::Assumed | ToldStatus::Sending | ToldStatus::Possible => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::row;
    use serde_json::json;

    fn told(key: &str, status: ToldStatus, second: i64, value: i64) -> Told {
        Told {
            recipient_key: key.to_owned(),
            status,
            told_at: Timestamp::from_second(second).unwrap_or_default(),
            message_id: second,
            first_message_id: second,
            row: row::of_json(json!({ "a": value })),
            row_before: row::of_json(json!({ "a": second - 1 })),
            changed_at: Timestamp::from_second(second - 1).ok(),
        }
    }

    fn value(row: Option<&Row>) -> Option<i64> {
        row?.get("a")?.as_i64()
    }

    fn knows(ledger: &Ledger, counts: CountsAsTold) -> Option<i64> {
        value(ledger.last("ana", counts)?.row.as_ref())
    }

    #[test]
    fn the_latest_that_counts_is_known_and_what_came_after_it_may_have_been_read() {
        use ToldStatus as S;
        let ledger = Ledger::new(vec![
            told("ana", S::Unconfirmed, 4, 4),
            told("ana", S::Arrived, 1, 1),
            told("ben", S::Arrived, 9, 9),
            told("ana", S::Accepted, 2, 2),
            told("ana", S::Possible, 3, 3),
        ]);
        let plain = CountsAsTold::default();
        assert_eq!(knows(&ledger, plain), Some(2));
        assert_eq!(knows(&ledger, CountsAsTold { unconfirmed: true, ..plain }), Some(4));
        assert_eq!(knows(&ledger, CountsAsTold { only_arrived: true, ..plain }), Some(1));
        let possible = ledger.possible("ana", plain);
        let possible: Vec<_> = possible.iter().map(|told| value(told.row.as_ref())).collect();
        assert_eq!(possible, [Some(3), Some(4)]);
        assert_eq!(ledger.recipients(), ["ana", "ben"].map(|key| key));
    }

    #[test]
    fn a_dry_run_counts_for_another_one_only() {
        let ledger = Ledger::new(vec![told("ana", ToldStatus::Rehearsed, 1, 1)]);
        assert_eq!(knows(&ledger, CountsAsTold::default()), None);
        assert_eq!(knows(&ledger, CountsAsTold { dry_runs: true, ..Default::default() }), Some(1));
    }

    #[test]
    fn where_nothing_is_certain_the_earliest_row_before_is_what_was_known() {
        let now = row::of_json(json!({ "a": 7 }));
        let message = |at| RowBefore {
            at: Timestamp::from_second(at).unwrap_or_default(),
            row: now.as_ref(),
        };
        let ledger = Ledger::new(vec![told("ana", ToldStatus::Possible, 4, 4)]);
        let by = |key, at| value(ledger.assumed_by(key, CountsAsTold::default(), message(at)));
        assert_eq!((by("ana", 9), by("ben", 9), by("ana", 2)), (Some(3), Some(7), Some(7)));
        let ledger = Ledger::new(vec![told("", ToldStatus::Assumed, 5, 5)]);
        assert_eq!(value(ledger.assumed(message(9))), Some(5));
        assert_eq!(value(ledger.assumed(message(1))), Some(7), "it was left by a later message");
    }

    #[test]
    fn what_was_told_before_something_arrived_goes_when_there_is_enough_of_it() {
        let entries = |count| (1..=count).map(|at| told("ana", ToldStatus::Arrived, at, at));
        let before = |count| Ledger::new(entries(count).collect()).obsolete_before("ana");
        assert_eq!(before(4), None);
        assert_eq!(before(5).map(|at| at.as_second()), Some(5));
        let accepted = (1..=20).map(|at| told("ana", ToldStatus::Accepted, at, at));
        let before = Ledger::new(accepted.collect()).obsolete_before("ana");
        assert_eq!(before.map(|at| at.as_second()), Some(9), "no receipts ever come");
    }

    #[test]
    fn entries_are_read_as_the_database_gives_them() {
        let json =
            r#"["ana", "arrived", "2026-06-25T10:00:00.5+00:00", 7, 6, {"a": 1}, null, null]"#;
        let told: Result<Told, _> = serde_json::from_str(json);
        assert!(told.is_ok_and(|told| told.first_message_id == 6 && told.row_before.is_none()));
    }
}
