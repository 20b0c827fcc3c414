//! The queries of settle, receive and sweep.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::message::attempt::{Answer, AttemptResult};
use crate::domain::message::evidence::Evidence;
use crate::domain::message::outgoing::Settled;
use crate::domain::message::receipt::{EvidenceSource, Receipt};
use crate::domain::message::state::{State, WaitsFor};
use crate::postgres::connection::statement::{array, named, row, statements};
use crate::postgres::connection::word::{maybe, state, word};

/// When the provider is asked for the end of messages that are sent now, and on which channels.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub at: Timestamp,
    pub of: &'a [String],
}

/// Stores acceptances with the ids that the provider gave; returns the messages that moved, and whether receipts outran the answer.
pub async fn settle_accepted(
    client: &deadpool_postgres::Client,
    accepted: &[(&Settled, &str)],
    now: Timestamp,
    ask: Ask<'_>,
    silent_channels: &[String],
) -> Result<Vec<(i64, bool)>, Error> {
    let mut tries = Vec::with_capacity(accepted.len());
    for (settled, id) in accepted {
        let status = http_status(&settled.answer);
        // When they go on to the next channel unless they are delivered.
        let undelivered = settled.outgoing.undelivered_after.map(|after| now + after);
        tries
            .extend(settled.outgoing.attempts().map(|attempt| (attempt, *id, status, undelivered)));
    }
    let own: HashSet<i64> = accepted.iter().map(|(s, _)| s.outgoing.message_id).collect();
    let ids = array(&tries, |(attempt, ..)| attempt.message_id);
    let numbers = array(&tries, |(attempt, ..)| attempt.number);
    let provider_ids = array(&tries, |(_, id, ..)| *id);
    let statuses = array(&tries, |(_, _, status, _)| *status);
    let undelivered = array(&tries, |(.., undelivered)| *undelivered);
    let are_carried = array(&tries, |(attempt, ..)| !own.contains(&attempt.message_id));
    let params: &[&(dyn ToSql + Sync)] = &[
        &ids,
        &numbers,
        &provider_ids,
        &statuses,
        &now,
        &undelivered,
        &ask.at,
        &ask.of,
        &silent_channels,
        &are_carried,
    ];
    let rows = named!(client, "settle/settle_accepted", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

fn http_status(answer: &Answer) -> Option<i16> {
    answer.http_status.and_then(|status| i16::try_from(status).ok())
}

/// Where a message stands, locked.
#[derive(Clone, Debug)]
pub struct MessageSnapshot {
    pub state: State,
    pub attempt_count: i16,
    pub watch: String,
    pub entity_key: String,
    pub recipient_key: Option<String>,
    pub channel: String,
    /// Template and language at the provider, once it is put into words.
    pub template: Option<(String, String)>,
    /// As it was written to, once it is put into words.
    pub phone: Option<String>,
    pub waits_for: Option<WaitsFor>,
}

/// Locks a message. None when there is no such message, or its state is of a newer release.
pub async fn settle_lock(
    tx: &Transaction<'_>,
    message_id: i64,
) -> Result<Option<MessageSnapshot>, Error> {
    let rows = named!(tx, "settle/settle_lock", &[&message_id])?;
    rows.first().map_or(Ok(None), snapshot)
}

/// None when the state is of a newer release.
fn snapshot(row: &SqlRow) -> Result<Option<MessageSnapshot>, Error> {
    let Some(state) = state(row)? else {
        return Ok(None);
    };
    Ok(Some(MessageSnapshot {
        state,
        attempt_count: row.try_get("attempt_count")?,
        watch: row.try_get("watch")?,
        entity_key: row.try_get("entity_key")?,
        recipient_key: row.try_get("recipient_key")?,
        channel: row.try_get("channel")?,
        template: Option::zip(row.try_get("template")?, row.try_get("language")?),
        phone: row.try_get("recipient_phone")?,
        waits_for: maybe(row, "waits_for")?,
    }))
}

pub async fn settle_attempt(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), Error> {
    let result = answer.result.into_str();
    let class = match &answer.result {
        AttemptResult::Refused { class, .. } => Some(class.into_str()),
        _ => None,
    };
    let params: &[&(dyn ToSql + Sync)] = &[
        &message_id,
        &attempt,
        &result,
        &http_status(answer),
        &class,
        &answer.error_code,
        &answer.error_text,
        &answer.provider_message_id(),
        &answer.response,
        &now,
    ];
    named!(tx, "settle/settle_attempt", params).map(drop)
}

/// What goes with a move of a message.
pub struct TransitionDetails<'a> {
    pub reason_text: Option<String>,
    /// When the message is due again, if it is to be tried again.
    pub due_at: Timestamp,
    pub provider_message_id: Option<&'a str>,
    /// When it happened, by the evidence.
    pub happened_at: Timestamp,
}

pub async fn settle_move(
    tx: &Transaction<'_>,
    message_id: i64,
    state: State,
    details: &TransitionDetails<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let due_at = (state == State::Scheduled).then_some(details.due_at);
    let params: &[&(dyn ToSql + Sync)] = &[
        &message_id,
        &state.into_str(),
        &state.reason(),
        &details.reason_text,
        &due_at,
        &details.provider_message_id,
        &details.happened_at,
        &now,
    ];
    named!(tx, "settle/settle_move", params).map(drop)
}

/// A later message of the same entity that says what this one would say.
pub async fn settle_sibling(
    tx: &Transaction<'_>,
    snapshot: &MessageSnapshot,
    message_id: i64,
) -> Result<Option<i64>, Error> {
    let rows = named!(
        tx,
        "settle/settle_sibling",
        &[&snapshot.watch, &snapshot.entity_key, &snapshot.recipient_key, &message_id]
    )?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// A message that an id of the provider belongs to, locked.
#[derive(Clone, Debug)]
pub struct KnownMessage {
    pub message_id: i64,
    /// The attempt that the id was given to, and when it began.
    pub attempt: i16,
    pub started_at: Timestamp,
    pub provider_message_id: String,
    /// The request of another message said it: what is learned of channel and limits is learned there.
    pub is_carried: bool,
    pub snapshot: MessageSnapshot,
    pub reason_text: Option<String>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
}

/// The messages of these ids, in the order of messages and attempts.
pub async fn settle_known(
    tx: &Transaction<'_>,
    provider_ids: &[&str],
) -> Result<Vec<KnownMessage>, Error> {
    let mut known = Vec::new();
    for row in named!(tx, "settle/settle_known", &[&provider_ids])? {
        let Some(snapshot) = snapshot(&row)? else {
            continue;
        };
        known.push(KnownMessage {
            message_id: row.try_get("message_id")?,
            attempt: row.try_get("number")?,
            started_at: row.try_get("started_at")?,
            provider_message_id: row.try_get("provider_message_id")?,
            is_carried: row.try_get("is_carried")?,
            snapshot,
            reason_text: row.try_get("reason_text")?,
            sent_at: row.try_get("sent_at")?,
            delivered_at: row.try_get("delivered_at")?,
            read_at: row.try_get("read_at")?,
        });
    }
    Ok(known)
}

/// All that is known of these messages, in no order.
pub async fn settle_receipts(
    tx: &Transaction<'_>,
    known: &[KnownMessage],
) -> Result<Vec<Evidence>, Error> {
    let ids = array(known, |k| k.provider_message_id.as_str());
    let channels = array(known, |k| k.snapshot.channel.as_str());
    let rows = named!(tx, "settle/settle_receipts", &[&ids, &channels])?;
    rows.iter()
        .map(|row| {
            Ok(Evidence {
                status: word(row, "status")?,
                error_code: row.try_get("error_code")?,
                error_title: row.try_get("error_title")?,
                error_text: row.try_get("error_text")?,
                happened_at: row.try_get("happened_at")?,
                provider_message_id: row.try_get("provider_message_id")?,
            })
        })
        .collect()
}

/// Where evidence takes a message.
#[derive(Clone, Debug)]
pub struct Moved {
    pub message_id: i64,
    pub state: State,
    pub reason_text: Option<String>,
    pub provider_message_id: String,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
}

/// Moves messages to where evidence takes them.
pub async fn settle_evidence(
    tx: &Transaction<'_>,
    moved: &[Moved],
    now: Timestamp,
    ask: Ask<'_>,
) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let params: &[&(dyn ToSql + Sync)] = &[
        &array(moved, |m| m.message_id),
        &array(moved, |m| m.state.into_str()),
        &array(moved, |m| m.state.reason()),
        &array(moved, |m| m.reason_text.as_deref()),
        &array(moved, |m| m.provider_message_id.as_str()),
        &array(moved, |m| m.sent_at),
        &array(moved, |m| m.delivered_at),
        &array(moved, |m| m.read_at),
        &now,
        &ask.at,
        &ask.of,
    ];
    named!(tx, "settle/settle_evidence", params).map(drop)
}

/// Keeps evidence as it came, unless it is known; returns the ids of which something is new.
pub async fn receive_store(
    tx: &Transaction<'_>,
    channel: &str,
    receipts: &[Receipt],
    source: EvidenceSource,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &vec![channel; receipts.len()],
        &array(receipts, |r| r.provider_message_id.as_str()),
        &array(receipts, |r| r.status.into_str()),
        &array(receipts, |r| r.error_code),
        &array(receipts, |r| r.error_title.as_deref()),
        &array(receipts, |r| r.error_text.as_deref()),
        &array(receipts, |r| r.occurred_at),
        &array(receipts, |r| r.phone.as_deref()),
        &array(receipts, |r| r.raw.as_str()),
        &now,
        &source.into_str(),
        &array(receipts, |r| r.pricing.category.as_deref()),
        &array(receipts, |r| r.pricing.model.as_deref()),
        &array(receipts, |r| r.pricing.is_billable),
    ];
    let rows = named!(tx, "receive/receive_store", params)?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

row! {
    /// A lease that ran out.
    #[derive(Clone, Copy, Debug)]
    pub struct LostLease {
        pub message_id: i64,
        pub attempt: i16,
        /// It was to be recorded instead of posted.
        pub is_dry_run: bool,
        /// The request of another message was to say it.
        pub is_carried: bool,
    }
}

statements! {
    /// Notes what was known before messages that told nobody anything.
    told_assume(tx: &Transaction<'_>, message_ids: &[i64])
        -> () = "ledger/told_assume";

    /// Brings the ledger in line with what is known of the attempts of messages.
    told_settle(tx: &Transaction<'_>, message_ids: &[i64], silent_channels: &[String])
        -> () = "ledger/told_settle";

    /// The messages that the request of an attempt said besides its own, each with the number of its attempt.
    digest_carried(tx: &Transaction<'_>, message_id: i64, number: i16)
        -> Vec<(i64, i16)> = "digest/digest_carried";

    /// All messages that the last request about a message said, in the order in which they are locked.
    digest_request(tx: &Transaction<'_>, message_id: i64)
        -> Vec<i64> = "digest/digest_request";

    settle_queue(tx: &Transaction<'_>, message_id: i64, state: &str, due_at: Timestamp)
        -> () = "settle/settle_queue";

    /// A message whose row went over to somebody else meanwhile is for its recipient only.
    settle_split(tx: &Transaction<'_>, message_id: i64)
        -> () = "settle/settle_split";

    /// How many attempts of each message reached nobody, where there are some.
    settle_unsent(tx: &Transaction<'_>, messages: &[i64])
        -> Vec<(i64, i64)> = "settle/settle_unsent";

    settle_leave_queue(tx: &Transaction<'_>, message_id: i64)
        -> () = "settle/settle_leave_queue";

    /// Messages whose lease ran out.
    sweep_leases(tx: &Transaction<'_>, now: Timestamp, limit: i64)
        -> Vec<LostLease> = "follow_up/sweep_leases";

    /// Messages unconfirmed for too long, with their watch.
    sweep_unconfirmed(tx: &Transaction<'_>, now: Timestamp, limit: i64)
        -> Vec<(i64, String)> = "follow_up/sweep_unconfirmed";
}
