//! The queries of reconcile: requests whose answer is not known, and evidence about them.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::message::receipt::Receipt;
use crate::domain::message::unconfirmed::LookupMethod;
use crate::postgres::connection::statement::{FromRows, array, named, row, statements};

row! {
    /// An attempt that the provider may have taken.
    #[derive(Clone)]
    pub struct UnconfirmedAttempt {
        pub message_id: i64,
        pub number: i16,
        pub phone: String,
        pub phone_key: String,
        pub started_at: Timestamp,
        pub decide_at: Timestamp,
        pub asked_count: u32 = count,
        pub parameters: Vec<String> = parameters,
        pub watch: String,
        /// The policy of the watch has decided that a person looks.
        pub is_late: bool,
        /// The message is still unconfirmed, and by this attempt.
        pub is_open: bool,
    }

    /// A phone to which a request is unconfirmed.
    #[derive(Clone)]
    pub struct UnconfirmedPhone {
        pub message_id: i64,
        pub channel: String,
        pub phone: String,
        pub template: String,
    }
}

fn count(row: &SqlRow, column: &str) -> Result<u32, Error> {
    row.try_get(column).map(i32::unsigned_abs)
}

fn parameters(row: &SqlRow, column: &str) -> Result<Vec<String>, Error> {
    let parameters: Option<Json<Vec<String>>> = row.try_get(column)?;
    Ok(parameters.map(|Json(texts)| texts).unwrap_or_default())
}

statements! {
    /// Begins to look for evidence about an attempt.
    unconfirmed_open(
        tx: &Transaction<'_>, message_id: i64, attempt: i16, phone_key: &str, decide_at: Timestamp,
        look_at: Timestamp,
    ) -> () = "reconcile/unconfirmed_open";

    /// Takes unconfirmed attempts that are to be looked up, until `lease_until`.
    unconfirmed_take(
        client: &Client, channel: &str, now: Timestamp, limit: i64, lease_until: Timestamp,
    ) -> Vec<UnconfirmedAttempt> = "reconcile/unconfirmed_take";

    /// Which of these ids belong to an attempt.
    unconfirmed_known(client: &Client, ids: &[&str])
        -> Vec<String> = "reconcile/unconfirmed_known";

    unconfirmed_adopt(
        tx: &Transaction<'_>, message_id: i64, attempt: i16, provider_message_id: &str,
    ) -> () = "reconcile/unconfirmed_adopt";

    unconfirmed_wait(
        tx: &Transaction<'_>, message_id: i64, attempt: i16, next_at: Timestamp,
    ) -> () = "reconcile/unconfirmed_wait";

    /// Nobody asks for evidence any more; it is looked up again at `next_at`.
    unconfirmed_rest(
        tx: &Transaction<'_>, message_id: i64, attempt: i16, next_at: Timestamp,
    ) -> () = "reconcile/unconfirmed_rest";

    unconfirmed_close(tx: &Transaction<'_>, message_id: i64, attempt: i16)
        -> () = "reconcile/unconfirmed_close";

    /// Phones to which requests are unconfirmed.
    unconfirmed_phones(tx: &Transaction<'_>, now: Timestamp)
        -> Vec<UnconfirmedPhone> = "reconcile/unconfirmed_phones";

    /// Ids that were named since this moment and belong to an attempt by now.
    unmatched_known(tx: &Transaction<'_>, since: Timestamp)
        -> Vec<String> = "unmatched_receipt/unmatched_known";

    /// These ids are unmatched receipts no more.
    unmatched_drop(tx: &Transaction<'_>, ids: &[&str])
        -> () = "unmatched_receipt/unmatched_drop";

    /// Forgets ids that were named before this moment.
    unmatched_forget(client: &Client, before: Timestamp)
        -> () = "unmatched_receipt/unmatched_forget";
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
    named!(client, "reconcile/unconfirmed_rivals", params)?
        .iter()
        .map(|row| parameters(row, "parameters"))
        .collect()
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
    FromRows::from_rows(&named!(client, "unmatched_receipt/unmatched_find", params)?)
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
    FromRows::from_rows(&named!(client, "unmatched_receipt/unmatched_find_late", params)?)
}

/// A lookup of evidence.
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
    named!(tx, "reconcile/lookup_note", params).map(drop)
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
    if unmatched.is_empty() {
        return Ok(());
    }
    let ids = array(unmatched, |r| r.provider_message_id.as_str());
    let phones = array(unmatched, |r| r.phone.as_deref().map(&phone_key).unwrap_or_default());
    let times = array(unmatched, |r| r.occurred_at);
    named!(tx, "unmatched_receipt/unmatched_note", &[&channel, &ids, &phones, &times, &now])
        .map(drop)
}
