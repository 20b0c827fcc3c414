//! The queries of claim, and of the storms that it finds.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;
use tokio_postgres::types::{Json, ToSql};

use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::state::{Wait, WaitsFor};
use crate::domain::value::change::{Operation, Rename};
use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{FromRow, array, named, row, statements};
use crate::postgres::connection::word::{maybe, word};

/// Taken for the time of one claim, so that two daemons never fold the same entity at once.
pub const CLAIM_LOCK: i64 = 0x726f_7762_656c_6c01;

/// Whether there is anything to claim of watches, each above its bound.
pub async fn claim_any(
    client: &deadpool_postgres::Client,
    watches: &[&str],
    above: &[i64],
) -> Result<bool, Error> {
    named!(client, "claim/claim_any", &[&watches, &above])?[0].try_get(0)
}

/// The server process of the daemon that claims now.
pub async fn claim_holder(client: &deadpool_postgres::Client) -> Result<Option<i32>, Error> {
    let rows = named!(client, "connection/lock_holder", &[&CLAIM_LOCK])?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

row! {
    /// What a claim needs to know before it has a transaction id of its own.
    #[derive(Clone, Debug)]
    pub struct ClaimBound {
        pub is_mine: bool,
        pub given_out: i64,
        pub oldest_running: i64,
        /// Watches of which changes are set aside with a large transaction, and the last of those changes.
        pub apart: Vec<String>,
        pub apart_until: i64,
    }
}

pub async fn claim_bound(tx: &Transaction<'_>) -> Result<ClaimBound, Error> {
    ClaimBound::from_row(&named!(tx, "claim/claim_bound", &[&CLAIM_LOCK])?[0])
}

row! {
    /// An open message that later changes fold into.
    #[derive(Clone, Debug)]
    pub struct OpenMessage {
        pub message_id: i64,
        pub watch: String,
        pub entity_key: String,
        /// None: it is for all recipients.
        pub recipient_key: Option<String>,
        pub operation: Operation = word,
        pub old_row: Option<Row> = object,
        pub first_changed_at: Timestamp,
        /// Attempts that were made in vain.
        pub attempt_count: i16,
        pub due_at: Timestamp,
        pub waits_for: Option<WaitsFor> = maybe,
    }
}

impl OpenMessage {
    /// An attempt was in vain, and it waits for the next one.
    pub fn waits_after_attempt(&self) -> bool {
        self.attempt_count > 0 && !self.waits_for.is_some_and(WaitsFor::is_gate)
    }
}

statements! {
    claim_open(tx: &Transaction<'_>, watches: &[&str], keys: &[&str])
        -> Vec<OpenMessage> = "claim/claim_open";

    /// Messages that are for their recipients only from now on.
    claim_split(tx: &Transaction<'_>, messages: &[i64])
        -> Vec<i64> = "claim/claim_split";
}

/// Later changes of an open message.
#[derive(Clone, Debug)]
pub struct FoldedIn {
    pub message_id: i64,
    pub operation: Operation,
    pub new_row: Option<Row>,
    pub change_count: i32,
    pub last_changed_at: Timestamp,
    pub due_at: Timestamp,
    pub changed_by: Vec<String>,
    pub hold_id: Option<i64>,
}

pub async fn claim_fold(
    tx: &Transaction<'_>,
    folded: &[FoldedIn],
    now: Timestamp,
) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &array(folded, |f| f.message_id),
        &array(folded, |f| f.operation.into_str()),
        &array(folded, |f| f.new_row.as_ref().map(Json)),
        &array(folded, |f| f.change_count),
        &array(folded, |f| f.last_changed_at),
        &array(folded, |f| f.due_at),
        &now,
        &array(folded, |f| actors(&f.changed_by)),
    ];
    named!(tx, "claim/claim_fold", params).map(drop)
}

/// Lets messages follow rows that were given other keys, all at once.
pub async fn claim_rename(
    tx: &Transaction<'_>,
    renames: &[Rename],
    now: Timestamp,
) -> Result<(), Error> {
    let watches = array(renames, |rename| rename.watch.as_str());
    let old_keys = array(renames, |rename| rename.from.as_str());
    let new_keys = array(renames, |rename| rename.to.as_str());
    named!(tx, "claim/claim_rename_out", &[&watches, &old_keys])?;
    named!(tx, "claim/claim_rename", &[&watches, &old_keys, &new_keys, &now]).map(drop)
}

/// Names as one text: see the statements.
pub(super) fn actors(names: &[String]) -> String {
    let plain: Vec<String> = names.iter().map(|name| name.replace('\u{1f}', " ")).collect();
    plain.join("\u{1f}")
}

/// What a muted change makes known of an entity.
#[derive(Clone, Debug)]
pub struct MutedChange {
    pub watch: String,
    pub entity_key: String,
    /// The columns that it changed; None: the row is gone.
    pub changed: Option<Row>,
    pub new_row: Option<Row>,
    /// The row came into being.
    pub is_new: bool,
    /// A column of the recipient query changed.
    pub is_handover: bool,
    /// What the recipient query asks of the row before.
    pub recipient_columns: Option<Row>,
    pub old_row: Option<Row>,
    /// Whom the recipient query names for the row before and after; None: it cannot be asked.
    pub named: Option<NamedBoth>,
}

/// Keys of recipients.
#[derive(Clone, Debug, Default)]
pub struct NamedBoth {
    pub before: Vec<String>,
    pub after: Vec<String>,
}

pub async fn claim_mute(tx: &Transaction<'_>, muted: &[MutedChange]) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &array(muted, |m| m.watch.as_str()),
        &array(muted, |m| m.entity_key.as_str()),
        &array(muted, |m| m.changed.as_ref().map(Json)),
        &array(muted, |m| m.new_row.as_ref().map(Json)),
        &array(muted, |m| m.is_new),
        &array(muted, |m| m.is_handover),
        &array(muted, |m| m.recipient_columns.as_ref().map(Json)),
        &array(muted, |m| m.named.as_ref().map(|named| Json(&named.before))),
        &array(muted, |m| m.named.as_ref().map(|named| Json(&named.after))),
    ];
    named!(tx, "claim/claim_mute", params).map(drop)
}

/// The lease that messages in state sending get.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    pub now: Timestamp,
    pub instance: &'a str,
    pub expires_at: Timestamp,
    /// They are recorded instead of sent.
    pub is_dry_run: bool,
}

/// Columns of what several messages wait for, as the arrays that a query takes.
pub(super) struct WaitColumns<'a> {
    pub(super) cause: Vec<Option<&'a str>>,
    pub(super) template: Vec<Option<&'a str>>,
    pub(super) language: Vec<Option<&'a str>>,
}

impl<'a> WaitColumns<'a> {
    pub(super) fn of(waits: impl Iterator<Item = Option<&'a Wait>> + Clone) -> WaitColumns<'a> {
        let templates = waits.clone().map(|wait| wait.and_then(|wait| wait.template.as_ref()));
        WaitColumns {
            cause: waits.map(|wait| wait.map(|wait| wait.cause.into_str())).collect(),
            template: templates.clone().map(|key| key.map(|(name, _)| name.as_str())).collect(),
            language: templates.map(|key| key.map(|(_, tag)| tag.as_str())).collect(),
        }
    }
}

/// Columns of the words of several messages, as the arrays that a query takes.
pub(super) struct WordColumns<'a> {
    pub(super) template: Vec<Option<&'a str>>,
    pub(super) language: Vec<Option<&'a str>>,
    pub(super) name: Vec<Option<&'a str>>,
    pub(super) phone: Vec<Option<&'a str>>,
    pub(super) country: Vec<Option<String>>,
    pub(super) in_quiet_hours: Vec<Option<bool>>,
    pub(super) locale: Vec<Option<&'a str>>,
    pub(super) time_zone: Vec<Option<&'a str>>,
    pub(super) time_zone_source: Vec<Option<&'a str>>,
    pub(super) summary: Vec<Option<&'a str>>,
    pub(super) parameters: Vec<Option<Json<&'a Vec<String>>>>,
}

impl<'a> WordColumns<'a> {
    pub(super) fn of(
        words: impl Iterator<Item = Option<&'a MessageWords>> + Clone,
    ) -> WordColumns<'a> {
        fn each<'a, T>(
            words: impl Iterator<Item = Option<&'a MessageWords>>,
            column: impl Fn(&'a MessageWords) -> T,
        ) -> Vec<Option<T>> {
            words.map(|w| w.map(&column)).collect()
        }
        WordColumns {
            template: each(words.clone(), |w| w.template.as_str()),
            language: each(words.clone(), |w| w.wording.language.as_str()),
            name: each(words.clone(), |w| w.recipient.name.as_str()),
            phone: words.clone().map(|w| w.and_then(|w| w.recipient.phone())).collect(),
            country: words.clone().map(|w| w.and_then(|w| w.recipient.country())).collect(),
            in_quiet_hours: each(words.clone(), |w| w.in_quiet_hours),
            locale: each(words.clone(), |w| w.recipient.locale.as_str()),
            time_zone: each(words.clone(), |w| w.recipient.time_zone.as_str()),
            time_zone_source: each(words.clone(), |w| w.recipient.time_zone_source.as_ref()),
            summary: each(words.clone(), |w| w.wording.summary.as_str()),
            parameters: each(words, |w| Json(&w.wording.parameters)),
        }
    }
}

/// Opens messages, which get their ids by that.
pub async fn claim_write(
    tx: &Transaction<'_>,
    messages: &mut [Message],
    lease: Lease<'_>,
) -> Result<(), Error> {
    let col = |f: fn(&Message) -> &str| messages.iter().map(f).collect::<Vec<&str>>();
    let watch = col(|m| &m.watch);
    let key = col(|m| &m.entity_key);
    let state = col(|m| m.state.into_str());
    let operation = col(|m| m.operation.into_str());
    let channel = col(|m| &m.channel);
    let reason: Vec<Option<&str>> = messages.iter().map(|m| m.state.reason()).collect();
    let reason_text: Vec<Option<&str>> =
        messages.iter().map(|m| m.reason_text.as_deref()).collect();
    let count: Vec<i32> = messages.iter().map(|m| m.change_count).collect();
    let first: Vec<Timestamp> = messages.iter().map(|m| m.first_changed_at).collect();
    let last: Vec<Timestamp> = messages.iter().map(|m| m.last_changed_at).collect();
    let due: Vec<Timestamp> = messages.iter().map(|m| m.due_at).collect();
    let old: Vec<Option<Json<&Row>>> =
        messages.iter().map(|m| m.old_row.as_ref().map(Json)).collect();
    let new: Vec<Option<Json<&Row>>> = messages.iter().map(new_row).collect();
    let wait = WaitColumns::of(messages.iter().map(|m| m.wait.as_ref()));
    let w = WordColumns::of(messages.iter().map(|m| m.words.as_deref()));
    let params: &[&(dyn ToSql + Sync)] = &[
        &watch,
        &key,
        &state,
        &reason,
        &reason_text,
        &operation,
        &count,
        &first,
        &last,
        &old,
        &new,
        &channel,
        &w.template,
        &w.language,
        &w.name,
        &w.phone,
        &w.locale,
        &w.time_zone,
        &w.summary,
        &w.parameters,
        &due,
        &lease.now,
        &lease.instance,
        &lease.expires_at,
        &w.time_zone_source,
        &wait.cause,
        &wait.template,
        &wait.language,
        &array(messages, |m| m.recipient_key.as_deref()),
        &array(messages, |m| actors(&m.changed_by)),
        &array(messages, |m| m.is_for_all),
        &array(messages, |m| m.was_set_aside),
        &w.country,
        &w.in_quiet_hours,
    ];
    let rows = named!(tx, "claim/claim_write", params)?;
    for (message, row) in messages.iter_mut().zip(&rows) {
        message.message_id = row.try_get(0)?;
    }
    Ok(())
}

/// The row as it is told; of a message that tells nobody anything now, as it was captured.
fn new_row(message: &Message) -> Option<Json<&Row>> {
    message.told_row.as_ref().unwrap_or(&message.new_row).as_ref().map(Json)
}

/// Opens a hold; its id.
pub async fn storm_open(
    tx: &Transaction<'_>,
    watch: &str,
    transaction: Option<i64>,
    reason: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let rows = named!(tx, "storm/storm_open", &[&watch, &transaction, &reason, &now])?;
    rows[0].try_get(0)
}

/// Messages and the holds that they join.
pub async fn storm_join(
    tx: &Transaction<'_>,
    joining: &[(i64, i64)],
    now: Timestamp,
) -> Result<(), Error> {
    let (messages, holds): (Vec<i64>, Vec<i64>) = joining.iter().copied().unzip();
    named!(tx, "storm/storm_join", &[&messages, &holds, &now]).map(drop)
}

row! {
    /// An entity of which a message was opened lately.
    #[derive(Debug)]
    pub struct RecentEntity {
        pub watch: String,
        pub entity_key: String,
        pub first_changed_at: Timestamp,
    }
}

statements! {
    /// Messages of a watch that wait to leave for the first time and tell of changes made since then.
    storm_gather(tx: &Transaction<'_>, watch: &str, since: Timestamp)
        -> Vec<i64> = "storm/storm_gather";

    /// Entities of the messages that were opened lately, oldest first.
    storm_recent(tx: &Transaction<'_>, after: Option<i64>, since: Timestamp, at_most: i64, watches: &[&str])
        -> Vec<RecentEntity> = "storm/storm_recent";
}
