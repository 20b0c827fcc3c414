//! Whom a message tells: the recipients that the query names for the row as it is, those before them who are told that
//! it is no longer theirs, and what each of them knows.
//!
//! Who knows a row is never guessed: a baseline is what stands in the ledger for that recipient, or a row for which
//! the recipient query names them. Nobody is told a value that the row had for somebody else.

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

use compact_str::CompactString;
use deadpool_postgres::Transaction;
use serde_json::Value;

use crate::config::{Config, Handover, UnconfirmedPolicy};
use crate::domain::message::message::Message;
use crate::domain::recipient::email::Email;
use crate::domain::recipient::last_told::{CountsAsTold, RowBefore, Told};
use crate::domain::recipient::phone::Phone;
use crate::domain::recipient::phone_text::BadPhone;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::StageError;
use crate::postgres::capture::row_query::{self, PresentRow};

/// A name for a recipient that a record can hold, in bytes.
const LONGEST_KEY: usize = 500;

/// One person whom a message may tell, and what they know.
#[derive(Clone, Debug)]
pub struct RecipientCase<'a> {
    pub key: String,
    /// What the recipient query gave.
    pub recipient: Cow<'a, Row>,
    /// Their phone, once it was read: by it they go where they have no key.
    phone: OnceLock<ReadPhone>,
    /// The row went over to somebody else.
    pub is_withdrawn: bool,
    /// The row is theirs now and they have never heard of it, but the watch tells handovers to nobody.
    pub is_silenced: bool,
    pub baseline: Option<Cow<'a, Row>>,
    /// What they may have read since although nobody knows.
    pub possible: Vec<Option<&'a Row>>,
    /// The last entry of the ledger that counts.
    pub last: Option<&'a Told>,
}

/// Everybody whom one message concerns.
#[derive(Debug, Default)]
pub struct People<'a> {
    pub cases: Vec<RecipientCase<'a>>,
    /// Open messages of single recipients that tell it instead.
    pub joined: Vec<i64>,
    /// The message may have told somebody whom it does not concern any more: what comes back about it is theirs.
    pub is_spent: bool,
}

/// A message with what the database says about its entity.
pub struct Concern<'a> {
    pub compiled: &'a CompiledWatch,
    pub region: &'a str,
    pub message: &'a Message,
    pub present: &'a PresentRow,
    /// The row as it is; one that is gone as it was captured last.
    pub current: &'a Row,
    pub is_dry_run: bool,
}

/// Rows as they were, with the recipients that the query names for them.
pub type NamedRows<'a> = Vec<(&'a Row, Vec<Row>)>;

/// What the phone of a recipient was read as.
type ReadPhone = Result<Phone, BadPhone>;

/// A recipient with their key.
#[derive(Clone)]
struct Keyed<'a> {
    key: String,
    recipient: Cow<'a, Row>,
    phone: OnceLock<ReadPhone>,
}

/// The row of an entity of which nothing was captured but its key.
static NO_ROW: LazyLock<Row> = LazyLock::new(Row::default);

impl<'a> RecipientCase<'a> {
    /// The case of a message that concerns nobody.
    pub fn nobody(row_before: Option<&'a Row>) -> RecipientCase<'a> {
        RecipientCase::invented(&NO_ROW, row_before)
    }

    /// The case of somebody of whom nothing stands in the ledger, and who knows a row.
    pub fn invented(recipient: &'a Row, known: Option<&'a Row>) -> RecipientCase<'a> {
        RecipientCase {
            key: String::new(),
            recipient: Cow::Borrowed(recipient),
            phone: OnceLock::new(),
            is_withdrawn: false,
            is_silenced: false,
            baseline: known.map(Cow::Borrowed),
            possible: Vec::new(),
            last: None,
        }
    }

    /// Their phone, read once.
    pub fn phone(&self, region: &str) -> Result<Phone, BadPhone> {
        self.phone.get_or_init(|| Phone::of(&self.recipient, region)).clone()
    }
}

/// Everybody whom some messages concern. Asks the database only where recipients may have changed.
pub async fn people<'a>(
    tx: &Transaction<'_>,
    compiled: &CompiledWatch,
    concerns: &[Concern<'a>],
) -> Result<Vec<People<'a>>, StageError> {
    let asked: Vec<Vec<&'a Row>> = concerns.iter().map(Concern::rows_to_ask).collect();
    let rows: Vec<&Row> = asked.iter().flatten().copied().collect();
    let mut answers = Vec::new().into_iter();
    if !rows.is_empty() {
        let read = |source| StageError::Read { watch: compiled.name.clone(), source };
        let named = row_query::named(tx, &compiled.named_sql, &rows).await;
        answers = named.map_err(read)?.into_iter();
    }
    let mut people = Vec::with_capacity(concerns.len());
    for (concern, rows) in concerns.iter().zip(asked) {
        let named: NamedRows<'a> =
            rows.into_iter().map(|row| (row, answers.next().unwrap_or_default())).collect();
        people.push(concern.people(&named));
    }
    Ok(people)
}

impl<'a> Concern<'a> {
    pub fn new(
        config: &'a Config,
        compiled: &'a CompiledWatch,
        message: &'a Message,
        present: &'a PresentRow,
    ) -> Concern<'a> {
        let current = present.row.as_ref().or(message.new_row.as_ref());
        Concern {
            compiled,
            region: &config.recipient.region,
            message,
            present,
            current: current.or(message.old_row.as_ref()).unwrap_or(&NO_ROW),
            is_dry_run: config.is_dry_run(&message.channel),
        }
    }

    /// What counts as told here.
    fn counts(&self) -> CountsAsTold {
        let only_arrived = self.message.fallback_of.is_some();
        CountsAsTold {
            // Where an unconfirmed message is sent again in the end, the next one tells everything once more.
            unconfirmed: self.compiled.config.unconfirmed != UnconfirmedPolicy::Resend,
            only_arrived,
            dry_runs: self.is_dry_run && !only_arrived,
        }
    }

    /// The rows as they were for which the recipient query has to be asked: whoever is told may differ.
    pub fn rows_to_ask(&self) -> Vec<&'a Row> {
        let mut rows: Vec<&Row> = Vec::new();
        let known = self.present.ledger.recipients();
        let known = known.iter().flat_map(|key| self.known_rows(key));
        for row in self.row_before().into_iter().chain(known) {
            let is_asked = |asked: &&Row| self.compiled.names_the_same(asked, row);
            if !self.compiled.names_the_same(self.current, row) && !rows.iter().any(is_asked) {
                rows.push(row);
            }
        }
        rows
    }

    /// The row before all that was not told: known to those whom the query names for it, where they know no other.
    pub fn row_before(&self) -> Option<&'a Row> {
        self.present.ledger.assumed(self.before_message())
    }

    fn before_message(&self) -> RowBefore<'a> {
        RowBefore { at: self.message.first_changed_at, row: self.message.old_row.as_ref() }
    }

    /// The rows that a recipient knows, or may know.
    fn known_rows(&self, key: &str) -> Vec<&'a Row> {
        let ledger = &self.present.ledger;
        let told = match ledger.last(key, self.counts()) {
            Some(last) => [vec![last], ledger.possible(key, self.counts())].concat(),
            None => ledger.all(key),
        };
        told.into_iter().filter_map(|told| told.row.as_ref()).collect()
    }

    /// Everybody whom the message concerns. `named` answers `rows_to_ask`.
    ///
    /// A message of one recipient whom the query does not name any more, as when a phone was corrected, is for all.
    pub fn people(&self, named: &NamedRows<'a>) -> People<'a> {
        let mut people = People::default();
        let mut cases = self.cases(named);
        if let Some(own) = &self.message.recipient_key {
            let is_own = |case: &RecipientCase<'_>| &case.key == own;
            match cases.iter().any(is_own) {
                true if !self.message.is_for_all => cases.retain(is_own),
                true => {}
                false => people.is_spent = self.may_have_told(own),
            }
            // Of somebody whom it does not concern any more: one that is for all tells the others.
            let for_all = self.present.open.iter().find(|(open, _)| open.is_none());
            if let Some((_, message_id)) = for_all.filter(|_| !cases.iter().any(is_own)) {
                people.joined.push(*message_id);
                return people;
            }
        }
        for case in cases {
            match self.present.open.iter().find(|(open, _)| open.as_ref() == Some(&case.key)) {
                Some((_, message_id)) => people.joined.push(*message_id),
                None => people.cases.push(case),
            }
        }
        people
    }

    /// Whether a request for the message may have told something to a recipient.
    fn may_have_told(&self, key: &str) -> bool {
        let all = self.present.ledger.all(key);
        all.iter().any(|told| Some(told.message_id) == self.message.message_id)
    }

    /// The recipients of the row, then those who are told that it is no longer theirs.
    fn cases(&self, named: &NamedRows<'a>) -> Vec<RecipientCase<'a>> {
        let present = self.keyed(&self.present.recipients);
        let mut cases: Vec<RecipientCase<'_>> =
            present.iter().map(|keyed| self.case(keyed.clone(), named)).collect();
        // A query that names nobody any more may leave the row out for other reasons.
        if self.compiled.config.handover != Handover::Both || present.is_empty() {
            return cases;
        }
        for keyed in self.before(named) {
            if present.iter().any(|present| present.key == keyed.key) {
                continue;
            }
            let case = self.case(keyed, named);
            // Who does not know of the row is not told that it is no longer theirs.
            if case.baseline.is_some() || case.possible.iter().any(Option::is_some) {
                cases.push(RecipientCase { is_withdrawn: true, is_silenced: false, ..case });
            }
        }
        cases
    }

    fn case(&self, keyed: Keyed<'a>, named: &NamedRows<'a>) -> RecipientCase<'a> {
        let Keyed { key, recipient, phone } = keyed;
        let ledger = &self.present.ledger;
        let last = ledger.last(&key, self.counts());
        let assumed = || {
            let row = ledger.assumed_by(&key, self.counts(), self.before_message())?;
            self.names(row, named)?.iter().any(|named| named.key == key).then_some(row)
        };
        let row = match last {
            Some(told) => told.row.as_ref(),
            None => assumed(),
        };
        let possible = ledger.possible(&key, self.counts());
        let is_new = row.is_none() && last.is_none() && possible.is_empty();
        RecipientCase {
            key,
            recipient,
            phone,
            is_withdrawn: false,
            // New to them because it went over, not because it came into being.
            is_silenced: is_new
                && self.compiled.config.handover == Handover::None
                && self.row_before().is_some(),
            baseline: row.map(|row| self.completed(row)),
            possible: possible.iter().map(|told| told.row.as_ref()).collect(),
            last,
        }
    }

    /// A column that was not watched yet when the recipient was last told was not null then: its first
    /// known value is the one before this change, if the row was theirs; else it is passed over.
    fn completed(&self, row: &'a Row) -> Cow<'a, Row> {
        let Some(captured) = &self.message.old_row else { return Cow::Borrowed(row) };
        let source = match self.compiled.names_the_same(row, captured) {
            true => captured,
            false => self.current,
        };
        let missing = source.iter().filter(|(column, _)| !row.contains_key(column.as_str()));
        let missing: Vec<(CompactString, Value)> =
            missing.map(|(column, value)| (column.clone(), value.clone())).collect();
        match missing.is_empty() {
            true => Cow::Borrowed(row),
            false => Cow::Owned(row.clone().into_iter().chain(missing).collect()),
        }
    }

    /// Those who know of the row, or are assumed to, as far as the query still names them for it.
    fn before(&self, named: &NamedRows<'a>) -> Vec<Keyed<'a>> {
        let mut before: Vec<Keyed<'_>> = Vec::new();
        let ledger = &self.present.ledger;
        let rows = |key| self.known_rows(key).into_iter().map(move |row| (Some(key), row));
        let known = ledger.recipients().into_iter().flat_map(rows);
        let assumed = self.row_before().into_iter().map(|row| (None, row));
        for (key, row) in known.chain(assumed) {
            for named in self.names(row, named).unwrap_or_default() {
                let is_meant = match key {
                    Some(key) => named.key == key,
                    // Who was told something stands in the ledger.
                    None => ledger.all(&named.key).is_empty(),
                };
                if is_meant && !before.iter().any(|before| before.key == named.key) {
                    before.push(named);
                }
            }
        }
        before
    }

    /// Whom the query names for a row as it was. None: it was not asked.
    fn names(&self, row: &Row, named: &NamedRows<'a>) -> Option<Vec<Keyed<'a>>> {
        if self.compiled.names_the_same(self.current, row) {
            return Some(self.keyed(&self.present.recipients));
        }
        let answer = named.iter().find(|(asked, _)| self.compiled.names_the_same(asked, row));
        let owned = |keyed: Keyed<'_>| Keyed {
            recipient: Cow::Owned(keyed.recipient.into_owned()),
            key: keyed.key,
            phone: keyed.phone,
        };
        answer
            .map(|(_, recipients)| keyed(recipients, self.region).into_iter().map(owned).collect())
    }

    fn keyed(&self, recipients: &'a [Row]) -> Vec<Keyed<'a>> {
        keyed(recipients, self.region)
    }
}

/// Each recipient once, with their key.
fn keyed<'r>(recipients: &'r [Row], region: &str) -> Vec<Keyed<'r>> {
    let mut keyed: Vec<Keyed<'_>> = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let phone = OnceLock::new();
        let key = key_by(recipient, || phone.get_or_init(|| Phone::of(recipient, region)));
        if !keyed.iter().any(|known| known.key == key) {
            keyed.push(Keyed { key, recipient: Cow::Borrowed(recipient), phone });
        }
    }
    keyed
}

/// The name under which a recipient is known: the column recipient_key, or else the phone, or else the mail address.
/// Whoever has none of them is nobody that could be told anything.
pub fn key_of(recipient: &Row, region: &str) -> String {
    let phone = OnceLock::new();
    key_by(recipient, || phone.get_or_init(|| Phone::of(recipient, region)))
}

fn key_by<'p>(recipient: &Row, read_phone: impl FnOnce() -> &'p ReadPhone) -> String {
    let text = |column: &str| match recipient.get(column) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let mut key = text("recipient_key");
    if key.is_empty() {
        let phone = text("phone");
        key = match (read_phone(), Email::parse(&text("email"))) {
            (Ok(parsed), _) => parsed.as_str().to_owned(),
            (Err(_), Ok(parsed)) => parsed.as_str().to_lowercase(),
            _ if !phone.is_empty() => phone,
            _ => "nobody".to_owned(),
        };
    }
    match key.len() > LONGEST_KEY {
        // Longer names cannot be kept in an index: a digest of them can.
        true => format!("{:032x}", digest(&key)),
        false => key,
    }
}

/// FNV-1a, 128 bits: the same in every release.
fn digest(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::row;

    #[test]
    fn a_phone_is_read_for_the_key_and_not_again_at_the_gate() {
        let row = |json: Value| row::of_json(json).unwrap_or_default();
        let rows = [
            row(serde_json::json!({"phone": "+1 202-555-0143"})),
            row(serde_json::json!({"phone": "+1 202-555-0143", "recipient_key": "c7"})),
        ];
        let keyed = keyed(&rows, "");
        let keys: Vec<&str> = keyed.iter().map(|keyed| keyed.key.as_str()).collect();
        assert_eq!(keys, ["12025550143", "c7"]);
        let read: Vec<bool> = keyed.iter().map(|keyed| keyed.phone.get().is_some()).collect();
        assert_eq!(read, [true, false], "with a key it is read at the gate, and only there");
    }
}
