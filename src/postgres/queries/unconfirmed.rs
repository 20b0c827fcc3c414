//! The queries of seek: requests whose answer is not known, and evidence about them.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::message::receipt::Receipt;
use crate::domain::message::unconfirmed::LookupMethod;

/// An attempt that the provider may have taken.
#[derive(Clone)]
pub struct UnconfirmedAttempt {
    pub message_id: i64,
    pub number: i16,
    pub phone: String,
    pub phone_key: String,
    pub started_at: Timestamp,
    pub decide_at: Timestamp,
    pub asked_count: u32,
    pub parameters: Vec<String>,
    pub watch: String,
    /// The policy of the watch has decided that a person looks.
    pub is_late: bool,
    /// The message is still unconfirmed, and by this attempt.
    pub is_open: bool,
}

fn parameters(row: &SqlRow) -> Result<Vec<String>, Error> {
    let parameters: Option<Json<Vec<String>>> = row.try_get("parameters")?;
    Ok(parameters.map(|Json(texts)| texts).unwrap_or_default())
}

pub async fn unconfirmed_open(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    phone_key: &str,
    decide_at: Timestamp,
    look_at: Timestamp,
) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[&message_id, &attempt, &phone_key, &decide_at, &look_at];
    named!(tx, "reconcile/unconfirmed_open", params)?;
    Ok(())
}

/// Takes unconfirmed attempts that are to be looked into, until `lease_until`.
pub async fn unconfirmed_take(
    client: &Client,
    channel: &str,
    now: Timestamp,
    limit: i64,
    lease_until: Timestamp,
) -> Result<Vec<UnconfirmedAttempt>, Error> {
    let rows =
        named!(client, "reconcile/unconfirmed_take", &[&channel, &now, &limit, &lease_until])?;
    rows.iter()
        .map(|row| {
            Ok(UnconfirmedAttempt {
                message_id: row.try_get("message_id")?,
                number: row.try_get("number")?,
                phone: row.try_get("phone")?,
                phone_key: row.try_get("phone_key")?,
                started_at: row.try_get("started_at")?,
                decide_at: row.try_get("decide_at")?,
                asked_count: row.try_get::<_, i32>("asked_count")?.unsigned_abs(),
                parameters: parameters(row)?,
                watch: row.try_get("watch")?,
                is_late: row.try_get("is_late")?,
                is_open: row.try_get("is_open")?,
            })
        })
        .collect()
}

/// What else may have gone to the phone of an unconfirmed attempt: the parameters of each.
pub async fn unconfirmed_rivals(
    client: &Client,
    channel: &str,
    unconfirmed_attempt: &UnconfirmedAttempt,
) -> Result<Vec<Vec<String>>, Error> {
    let UnconfirmedAttempt { message_id, phone, phone_key, started_at, decide_at, .. } =
        unconfirmed_attempt;
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, phone_key, message_id, started_at, phone, decide_at];
    named!(client, "reconcile/unconfirmed_rivals", params)?.iter().map(parameters).collect()
}

/// Ids that receipts named for the phone of an unconfirmed attempt in its time, and that no attempt knows.
pub async fn unmatched_find(
    client: &Client,
    channel: &str,
    unconfirmed_attempt: &UnconfirmedAttempt,
    from: Timestamp,
) -> Result<Vec<String>, Error> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, &unconfirmed_attempt.phone_key, &from, &unconfirmed_attempt.decide_at];
    named!(client, "unmatched_receipt/unmatched_find", params)?
        .iter()
        .map(|row| row.try_get(0))
        .collect()
}

/// The same for what came after the policy had decided; true: the time of it is not known.
pub async fn unmatched_find_late(
    client: &Client,
    channel: &str,
    unconfirmed_attempt: &UnconfirmedAttempt,
    from: Timestamp,
    limit: i64,
) -> Result<Vec<(String, bool)>, Error> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, &unconfirmed_attempt.phone_key, &from, &unconfirmed_attempt.decide_at, &limit];
    let rows = named!(client, "unmatched_receipt/unmatched_find_late", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Which of these ids belong to an attempt.
pub async fn unconfirmed_known(client: &Client, ids: &[&str]) -> Result<Vec<String>, Error> {
    named!(client, "reconcile/unconfirmed_known", &[&ids])?
        .iter()
        .map(|row| row.try_get(0))
        .collect()
}

pub async fn unconfirmed_adopt(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    provider_message_id: &str,
) -> Result<(), Error> {
    named!(tx, "reconcile/unconfirmed_adopt", &[&message_id, &attempt, &provider_message_id])?;
    Ok(())
}

/// A step of seeking evidence.
#[derive(Clone, Copy, Debug)]
pub struct LookupStep<'a> {
    pub way: LookupMethod,
    pub found: &'a str,
    pub provider_message_id: Option<&'a str>,
}

pub async fn lookup_note(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    step: LookupStep<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let LookupStep { way, found, provider_message_id } = step;
    let params: &[&(dyn ToSql + Sync)] =
        &[&message_id, &attempt, &way.into_str(), &found, &provider_message_id, &now];
    named!(tx, "reconcile/lookup_note", params)?;
    Ok(())
}

pub async fn unconfirmed_wait(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    next_at: Timestamp,
) -> Result<(), Error> {
    named!(tx, "reconcile/unconfirmed_wait", &[&message_id, &attempt, &next_at])?;
    Ok(())
}

/// Nobody asks for evidence any more; it is looked at again at `next_at`.
pub async fn unconfirmed_rest(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    next_at: Timestamp,
) -> Result<(), Error> {
    named!(tx, "reconcile/unconfirmed_rest", &[&message_id, &attempt, &next_at])?;
    Ok(())
}

pub async fn unconfirmed_close(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
) -> Result<(), Error> {
    named!(tx, "reconcile/unconfirmed_close", &[&message_id, &attempt])?;
    Ok(())
}

/// A phone to which a request is unconfirmed.
#[derive(Clone)]
pub struct UnconfirmedPhone {
    pub message_id: i64,
    pub channel: String,
    pub phone: String,
    pub template: String,
}

/// Phones to which requests are unconfirmed.
pub async fn unconfirmed_phones(
    tx: &Transaction<'_>,
    now: Timestamp,
) -> Result<Vec<UnconfirmedPhone>, Error> {
    let rows = named!(tx, "reconcile/unconfirmed_phones", &[&now])?;
    let unconfirmed_rows = |row: &SqlRow| {
        Ok(UnconfirmedPhone {
            message_id: row.try_get("message_id")?,
            channel: row.try_get("channel")?,
            phone: row.try_get("phone")?,
            template: row.try_get("template")?,
        })
    };
    rows.iter().map(unconfirmed_rows).collect()
}

/// Whether there is any unconfirmed attempt for which evidence is sought.
pub async fn unconfirmed_any(client: &Client) -> Result<bool, Error> {
    let rows = named!(client, "reconcile/unconfirmed_any", &[])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// Notes ids that no attempt knows, with the phones that they name; `phone_key` gives the form in which
/// phones are compared.
pub async fn unmatched_note(
    tx: &Transaction<'_>,
    channel: &str,
    unmatched: &[&Receipt],
    phone_key: impl Fn(&str) -> String,
    now: Timestamp,
) -> Result<(), Error> {
    let named: Vec<(&str, String, Option<Timestamp>)> = unmatched
        .iter()
        .map(|r| {
            let key = r.phone.as_deref().map(&phone_key).unwrap_or_default();
            (r.provider_message_id.as_str(), key, r.occurred_at)
        })
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = named.iter().map(|(id, ..)| *id).collect();
    let phones: Vec<&str> = named.iter().map(|(_, phone, _)| phone.as_str()).collect();
    let times: Vec<Option<Timestamp>> = named.iter().map(|(.., at)| *at).collect();
    named!(tx, "unmatched_receipt/unmatched_note", &[&channel, &ids, &phones, &times, &now])?;
    Ok(())
}

/// Ids that were named since this moment and belong to an attempt by now.
pub async fn unmatched_known(tx: &Transaction<'_>, since: Timestamp) -> Result<Vec<String>, Error> {
    named!(tx, "unmatched_receipt/unmatched_known", &[&since])?
        .iter()
        .map(|row| row.try_get(0))
        .collect()
}

/// These ids are unmatched receipts no more.
pub async fn unmatched_drop(tx: &Transaction<'_>, ids: &[&str]) -> Result<(), Error> {
    named!(tx, "unmatched_receipt/unmatched_drop", &[&ids])?;
    Ok(())
}

/// Forgets ids that were named before this moment.
pub async fn unmatched_forget(client: &Client, before: Timestamp) -> Result<(), Error> {
    named!(client, "unmatched_receipt/unmatched_forget", &[&before])?;
    Ok(())
}
