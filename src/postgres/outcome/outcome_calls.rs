//! Outcomes that the application has still to be told.

use std::time::Duration;

use bytes::BytesMut;
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error};

use crate::domain::outcome::{NumberedSql, OutcomeParameter, OutcomeState};
use crate::postgres::capture::install::WatchedTable;
use crate::postgres::capture::quoting::quote;
use crate::postgres::connection::statement::{FromRows, array, named, row, text};

/// The place of what is no hook but a notification.
pub const NOTIFICATION: i16 = -1;

/// The channel of notifications.
const CHANNEL: &str = "rowbell_outcome";

/// What stands in `rowbell.mute` while a hook runs.
const MUTE: &str = "an outcome hook";

/// Outcomes of which one transaction notifies, and bytes of one notification: PostgreSQL takes 7999.
const NOTIFIED_AT_ONCE: i64 = 1_000;
const LONGEST_PAYLOAD: usize = 7_900;

/// Characters of an error that are kept.
const LONGEST_ERROR: usize = 500;

/// An outcome that a hook wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct WantedOutcome<'a> {
    pub watch: &'a str,
    pub place: i16,
    pub state: OutcomeState,
}

/// Writes which outcomes of these watches are wanted.
pub async fn write_wanted(
    client: &Client,
    watches: &[&str],
    wanted: &[WantedOutcome<'_>],
) -> Result<(), Error> {
    let hook_watches = array(wanted, |wanted| wanted.watch);
    let places = array(wanted, |wanted| wanted.place);
    let states = array(wanted, |wanted| wanted.state.into_str());
    client
        .execute(text!("outcome/outcome_wanted"), &[&watches, &hook_watches, &places, &states])
        .await?;
    Ok(())
}

row! {
    /// An outcome, and what a hook may be told of it.
    #[derive(Clone)]
    pub struct OutcomeCall {
        pub call_id: i64,
        pub message_id: i64,
        pub watch: String,
        pub place: i16,
        pub state: String,
        pub attempt_count: i32,
        pub entity_key: String,
        pub recipient_key: Option<String>,
        pub reason: Option<String>,
        pub channel: String,
        pub operation: String,
        pub provider_message_id: Option<String>,
        pub sent_at: Option<String>,
        pub delivered_at: Option<String>,
        pub read_at: Option<String>,
        pub finished_at: Option<String>,
        pub reply: Option<String>,
        pub reply_kind: Option<String>,
        pub reply_payload: Option<String>,
        pub replied_at: Option<String>,
    }
}

impl OutcomeCall {
    /// How often its hook has failed.
    pub fn failures(&self) -> u32 {
        self.attempt_count.try_into().unwrap_or(0)
    }

    fn value(&self, parameter: OutcomeParameter) -> AsText {
        let some = |text: &str| Some(text.to_owned());
        AsText(match parameter {
            OutcomeParameter::Key => some(&self.entity_key),
            OutcomeParameter::Message => Some(self.message_id.to_string()),
            OutcomeParameter::Watch => some(&self.watch),
            OutcomeParameter::State => some(&self.state),
            OutcomeParameter::Reason => self.reason.clone(),
            OutcomeParameter::Operation => some(&self.operation),
            OutcomeParameter::Channel => some(&self.channel),
            OutcomeParameter::RecipientKey => self.recipient_key.clone(),
            OutcomeParameter::ProviderMessageId => self.provider_message_id.clone(),
            OutcomeParameter::SentAt => self.sent_at.clone(),
            OutcomeParameter::DeliveredAt => self.delivered_at.clone(),
            OutcomeParameter::ReadAt => self.read_at.clone(),
            OutcomeParameter::FinishedAt => self.finished_at.clone(),
            OutcomeParameter::Reply => self.reply.clone(),
            OutcomeParameter::ReplyKind => self.reply_kind.clone(),
            OutcomeParameter::ReplyPayload => self.reply_payload.clone(),
            OutcomeParameter::RepliedAt => self.replied_at.clone(),
        })
    }
}

/// A value as text, which the server reads as whatever type the statement has in its place.
#[derive(Debug)]
struct AsText(Option<String>);

impl ToSql for AsText {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Locks the outcome that is due first.
pub async fn take(
    tx: &Transaction<'_>,
    now: Timestamp,
    watches: &[&str],
) -> Result<Option<OutcomeCall>, Error> {
    let rows = named!(tx, "outcome/outcome_take", &[&now, &watches])?;
    FromRows::from_rows(&rows)
}

/// Runs a hook, so that what it did is undone if it fails. What it changes is muted.
pub async fn run(
    tx: &mut Transaction<'_>,
    call: &OutcomeCall,
    sql: &NumberedSql,
    role: Option<&str>,
    timeout: Duration,
) -> Result<(), Error> {
    let inner = tx.transaction().await?;
    let role = role.map_or_else(String::new, |role| format!("; set local role {}", quote(role)));
    let time = timeout.as_millis();
    // Whoever waits for a lock for deadlock_timeout looks for a deadlock, and is its victim. That must not be the
    // application: a hook gives way before.
    let settings = format!(
        "set local statement_timeout = {time}; \
         select set_config('lock_timeout', least({time}, (extract(epoch from \
         current_setting('deadlock_timeout')::interval) * 500)::bigint)::text, true); \
         set local rowbell.mute = '{MUTE}'{role}"
    );
    inner.batch_execute(&settings).await?;
    let values: Vec<AsText> =
        sql.parameters.iter().map(|parameter| call.value(*parameter)).collect();
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    let statement = inner.prepare(&sql.sql).await?;
    inner.execute(&statement, &values).await?;
    inner
        .batch_execute(
            "reset role; set local statement_timeout = default; set local rowbell.mute = ''",
        )
        .await?;
    inner.commit().await
}

/// Runs a hook for a row that is there, and undoes it; how many changes of its own watch it makes.
pub async fn rehearse(
    client: &mut deadpool_postgres::Client,
    watch: &str,
    table: &WatchedTable,
    hook: (&NumberedSql, Option<&str>),
    timeout: Duration,
) -> Result<i64, Error> {
    let mut tx = client.transaction().await?;
    let keys = array(&table.key, |key| format!("{}::text", quote(key)));
    let key = format!("select concat_ws(',', {}) from {} limit 1", keys.join(", "), table.table);
    let key: Option<String> =
        tx.query_opt(&key, &[]).await?.map(|row| row.try_get(0)).transpose()?;
    let at = || Some("2026-06-24 10:00Z".to_owned());
    let call = OutcomeCall {
        call_id: 0,
        message_id: 0,
        watch: watch.to_owned(),
        place: 0,
        state: OutcomeState::Sent.into_str().to_owned(),
        attempt_count: 0,
        entity_key: key.unwrap_or_else(|| "0".to_owned()),
        recipient_key: None,
        reason: None,
        channel: String::new(),
        operation: "update".to_owned(),
        provider_message_id: None,
        sent_at: at(),
        delivered_at: None,
        read_at: None,
        finished_at: at(),
        reply: None,
        reply_kind: None,
        reply_payload: None,
        replied_at: None,
    };
    run(&mut tx, &call, hook.0, hook.1, timeout).await?;
    let own = tx.query_one(text!("outcome/outcome_own_changes"), &[&watch]).await?;
    tx.rollback().await?;
    own.try_get("changes")
}

/// Which outcome is due first, and when: its time and its place.
pub async fn next(client: &Client, watches: &[&str]) -> Result<Option<(Timestamp, i16)>, Error> {
    let row = client.query_opt(text!("outcome/outcome_next"), &[&watches]).await?;
    row.map(|row| Ok((row.try_get("due_at")?, row.try_get("place")?))).transpose()
}

row! {
    /// An outcome, as whoever listens is notified of it.
    #[derive(Clone, Debug)]
    pub struct NotifiedOutcome {
        pub message_id: i64,
        pub watch: String,
        pub state: String,
        pub entity_key: String,
    }
}

/// Tells whoever listens of the outcomes that are due, many by one notification; gives how many it were.
pub async fn notify(
    tx: &Transaction<'_>,
    now: Timestamp,
    watches: &[&str],
) -> Result<usize, Error> {
    let rows = named!(tx, "outcome/outcome_notify", &[&now, &watches, &NOTIFIED_AT_ONCE])?;
    let outcomes: Vec<NotifiedOutcome> = FromRows::from_rows(&rows)?;
    let payloads = payloads(&outcomes);
    if !payloads.is_empty() {
        let notify = "select pg_notify($1, payload) from unnest($2::text[]) as payload";
        tx.execute(notify, &[&CHANNEL, &payloads]).await?;
    }
    Ok(outcomes.len())
}

/// Lists of outcomes in JSON, each no longer than PostgreSQL takes. A key that is longer by itself is left out.
fn payloads(outcomes: &[NotifiedOutcome]) -> Vec<String> {
    let one = |outcome: &NotifiedOutcome, key: Option<&str>| {
        let (watch, message, state) = (&outcome.watch, outcome.message_id, &outcome.state);
        serde_json::json!({ "watch": watch, "key": key, "message": message, "state": state })
            .to_string()
    };
    let mut lists: Vec<String> = Vec::new();
    for outcome in outcomes {
        let mut item = one(outcome, Some(&outcome.entity_key));
        if item.len() > LONGEST_PAYLOAD - 2 {
            item = one(outcome, None);
        }
        match lists.last_mut() {
            Some(list) if list.len() + 1 + item.len() < LONGEST_PAYLOAD => {
                list.push(',');
                list.push_str(&item);
            }
            _ => lists.push(format!("[{item}")),
        }
    }
    lists.into_iter().map(|list| list + "]").collect()
}

pub async fn done(tx: &Transaction<'_>, call_id: i64) -> Result<(), Error> {
    named!(tx, "outcome/outcome_done", &[&call_id])?;
    Ok(())
}

pub async fn later(
    tx: &Transaction<'_>,
    call_id: i64,
    due_at: Timestamp,
    last_error: &str,
) -> Result<(), Error> {
    named!(tx, "outcome/outcome_later", &[&call_id, &due_at, &last_error])?;
    Ok(())
}

/// What the database said.
pub fn reason(error: &Error) -> String {
    let text = error.as_db_error().map_or_else(
        || error.to_string(),
        |said| format!("{} (SQLSTATE {})", said.message(), said.code().code()),
    );
    text.chars().take(LONGEST_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(message_id: i64, entity_key: String) -> NotifiedOutcome {
        let (watch, state) = ("home_delivery".to_owned(), "sent".to_owned());
        NotifiedOutcome { message_id, watch, state, entity_key }
    }

    #[test]
    fn one_notification_tells_of_as_many_outcomes_as_fit_and_each_is_json() {
        assert!(payloads(&[]).is_empty());
        let outcomes: Vec<_> = (0..1_000).map(|i| outcome(i, format!("kéy \"{i}\""))).collect();
        let lists = payloads(&outcomes);
        assert!(
            lists.iter().all(|list| list.len() <= 7_999) && lists.len() < 20,
            "{}",
            lists.len()
        );
        let told: Vec<serde_json::Value> = lists
            .iter()
            .flat_map(|list| {
                serde_json::from_str::<Vec<serde_json::Value>>(list).unwrap_or_default()
            })
            .collect();
        assert_eq!(told.len(), 1_000);
        assert_eq!(told[999]["key"], "kéy \"999\"");
        assert_eq!(told[999]["message"], 999);
    }

    /// A key may be a text of any length.
    #[test]
    fn a_key_that_fits_into_no_notification_is_left_out() {
        let lists = payloads(&[outcome(1, "1".to_owned()), outcome(2, "ü".repeat(9_000))]);
        assert_eq!(lists.len(), 1, "{lists:?}");
        assert!(
            lists[0]
                .ends_with(r#"{"watch":"home_delivery","key":null,"message":2,"state":"sent"}]"#)
        );
    }
}
