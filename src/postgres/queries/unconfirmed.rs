//! The queries of seek: requests whose answer is not known, and evidence about them.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::message::receipt::Receipt;
use crate::domain::message::unconfirmed::LookupWay;

/// An attempt that the provider may have taken.
#[derive(Clone)]
pub struct Doubt {
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

pub async fn doubt_open(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    phone_key: &str,
    decide_at: Timestamp,
    look_at: Timestamp,
) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[&message_id, &attempt, &phone_key, &decide_at, &look_at];
    named!(tx, "reconcile/doubt_open", params)?;
    Ok(())
}

/// Takes doubts that are to be looked into, until `lease_until`.
pub async fn doubt_take(
    client: &Client,
    channel: &str,
    now: Timestamp,
    limit: i64,
    lease_until: Timestamp,
) -> Result<Vec<Doubt>, Error> {
    let rows = named!(client, "reconcile/doubt_take", &[&channel, &now, &limit, &lease_until])?;
    rows.iter()
        .map(|row| {
            Ok(Doubt {
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

/// What else may have gone to the phone of a doubt: the parameters of each.
pub async fn doubt_rivals(
    client: &Client,
    channel: &str,
    doubt: &Doubt,
) -> Result<Vec<Vec<String>>, Error> {
    let Doubt { message_id, phone, phone_key, started_at, decide_at, .. } = doubt;
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, phone_key, message_id, started_at, phone, decide_at];
    named!(client, "reconcile/doubt_rivals", params)?.iter().map(parameters).collect()
}

/// Ids that receipts named for the phone of a doubt in its time, and that no attempt knows.
pub async fn doubt_strays(
    client: &Client,
    channel: &str,
    doubt: &Doubt,
    from: Timestamp,
) -> Result<Vec<String>, Error> {
    let params: &[&(dyn ToSql + Sync)] = &[&channel, &doubt.phone_key, &from, &doubt.decide_at];
    named!(client, "unmatched_receipt/doubt_strays", params)?
        .iter()
        .map(|row| row.try_get(0))
        .collect()
}

/// The same for what came after the policy had decided; true: the time of it is not known.
pub async fn doubt_late_strays(
    client: &Client,
    channel: &str,
    doubt: &Doubt,
    from: Timestamp,
    limit: i64,
) -> Result<Vec<(String, bool)>, Error> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, &doubt.phone_key, &from, &doubt.decide_at, &limit];
    let rows = named!(client, "unmatched_receipt/doubt_late_strays", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Which of these ids belong to an attempt.
pub async fn doubt_known(client: &Client, ids: &[&str]) -> Result<Vec<String>, Error> {
    named!(client, "reconcile/doubt_known", &[&ids])?.iter().map(|row| row.try_get(0)).collect()
}

pub async fn doubt_adopt(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    provider_message_id: &str,
) -> Result<(), Error> {
    named!(tx, "reconcile/doubt_adopt", &[&message_id, &attempt, &provider_message_id])?;
    Ok(())
}

/// A step of seeking evidence.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub way: LookupWay,
    pub found: &'a str,
    pub provider_message_id: Option<&'a str>,
}

pub async fn doubt_note(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    step: Step<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Step { way, found, provider_message_id } = step;
    let params: &[&(dyn ToSql + Sync)] =
        &[&message_id, &attempt, &way.into_str(), &found, &provider_message_id, &now];
    named!(tx, "reconcile/doubt_note", params)?;
    Ok(())
}

pub async fn doubt_wait(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    next_at: Timestamp,
) -> Result<(), Error> {
    named!(tx, "reconcile/doubt_wait", &[&message_id, &attempt, &next_at])?;
    Ok(())
}

/// Nobody asks for evidence any more; it is looked at again at `next_at`.
pub async fn doubt_rest(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    next_at: Timestamp,
) -> Result<(), Error> {
    named!(tx, "reconcile/doubt_rest", &[&message_id, &attempt, &next_at])?;
    Ok(())
}

pub async fn doubt_close(tx: &Transaction<'_>, message_id: i64, attempt: i16) -> Result<(), Error> {
    named!(tx, "reconcile/doubt_close", &[&message_id, &attempt])?;
    Ok(())
}

/// A phone to which a request is in doubt.
#[derive(Clone)]
pub struct DoubtedPhone {
    pub message_id: i64,
    pub channel: String,
    pub phone: String,
    pub template: String,
}

/// Phones to which requests are in doubt.
pub async fn doubt_phones(
    tx: &Transaction<'_>,
    now: Timestamp,
) -> Result<Vec<DoubtedPhone>, Error> {
    let rows = named!(tx, "reconcile/doubt_phones", &[&now])?;
    let doubted = |row: &SqlRow| {
        Ok(DoubtedPhone {
            message_id: row.try_get("message_id")?,
            channel: row.try_get("channel")?,
            phone: row.try_get("phone")?,
            template: row.try_get("template")?,
        })
    };
    rows.iter().map(doubted).collect()
}

/// Whether there is any doubt for which evidence is sought.
pub async fn doubt_any(client: &Client) -> Result<bool, Error> {
    let rows = named!(client, "reconcile/doubt_any", &[])?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// Notes ids that no attempt knows, with the phones that they name; `phone_key` gives the form in which
/// phones are compared.
pub async fn stray_note(
    tx: &Transaction<'_>,
    channel: &str,
    strays: &[&Receipt],
    phone_key: impl Fn(&str) -> String,
    now: Timestamp,
) -> Result<(), Error> {
    let named: Vec<(&str, String, Option<Timestamp>)> = strays
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
    named!(tx, "unmatched_receipt/stray_note", &[&channel, &ids, &phones, &times, &now])?;
    Ok(())
}

/// Ids that were named since this moment and belong to an attempt by now.
pub async fn stray_known(tx: &Transaction<'_>, since: Timestamp) -> Result<Vec<String>, Error> {
    named!(tx, "unmatched_receipt/stray_known", &[&since])?
        .iter()
        .map(|row| row.try_get(0))
        .collect()
}

/// These ids are strays no more.
pub async fn stray_drop(tx: &Transaction<'_>, ids: &[&str]) -> Result<(), Error> {
    named!(tx, "unmatched_receipt/stray_drop", &[&ids])?;
    Ok(())
}

/// Forgets ids that were named before this moment.
pub async fn stray_forget(client: &Client, before: Timestamp) -> Result<(), Error> {
    named!(client, "unmatched_receipt/stray_forget", &[&before])?;
    Ok(())
}
