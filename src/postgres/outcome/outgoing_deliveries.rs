//! Outcomes that are posted to endpoints of the application, and how the endpoints stand.

use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Error, Row};

use crate::domain::limit::endpoint_circuit::{EndpointCircuit, EndpointRest};
use crate::domain::outcome::OutcomeState;
use crate::domain::outcome_event::{OutcomeEvent, PersonalFacts};
use crate::postgres::connection::statement::{FromRows, array, named, row, text};

/// What an endpoint wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct WantedEndpoint<'a> {
    pub endpoint: &'a str,
    pub outcomes: &'a [OutcomeState],
    /// Empty: of all watches.
    pub watches: &'a [String],
}

/// Writes what the endpoints of the configuration want to be told.
pub async fn write_wanted(client: &Client, wanted: &[WantedEndpoint<'_>]) -> Result<(), Error> {
    let endpoints = array(wanted, |wanted| wanted.endpoint);
    let outcomes = array(wanted, |wanted| {
        wanted.outcomes.iter().map(|outcome| outcome.into_str()).collect::<Vec<_>>().join(",")
    });
    let watches = array(wanted, |wanted| wanted.watches.join(","));
    let query = text!("outgoing_webhook/endpoints_wanted");
    client.execute(query, &[&endpoints, &outcomes, &watches]).await?;
    Ok(())
}

/// Locks an endpoint, and reads its circuit; None: there is none of this name.
pub async fn lock(tx: &Transaction<'_>, endpoint: &str) -> Result<Option<EndpointCircuit>, Error> {
    let rows = named!(tx, "outgoing_webhook/endpoint_lock", &[&endpoint])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let failed: i32 = row.try_get("failed_in_a_row")?;
    let opened = Option::zip(row.try_get("opened_at")?, row.try_get("next_try_at")?);
    let pause: Option<f64> = row.try_get("pause_seconds")?;
    let pause = Duration::try_from_secs_f64(pause.unwrap_or(0.0)).unwrap_or_default();
    Ok(Some(EndpointCircuit {
        failed_in_a_row: u32::try_from(failed).unwrap_or(0),
        rest: opened.map(|(since, next_try_at)| EndpointRest { since, next_try_at, pause }),
        is_gone: row.try_get("is_gone")?,
    }))
}

/// How an endpoint answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointNews<'a> {
    pub has_taken: bool,
    pub last_error: Option<&'a str>,
}

pub async fn write(
    tx: &Transaction<'_>,
    endpoint: &str,
    circuit: EndpointCircuit,
    news: EndpointNews<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let failed = i32::try_from(circuit.failed_in_a_row).unwrap_or(i32::MAX);
    let (since, next) =
        (circuit.rest.map(|rest| rest.since), circuit.rest.map(|rest| rest.next_try_at));
    let pause = circuit.rest.map(|rest| rest.pause.as_secs_f64());
    let (is_gone, EndpointNews { has_taken, last_error }) = (circuit.is_gone, news);
    named!(
        tx,
        "outgoing_webhook/endpoint_write",
        &[&endpoint, &failed, &since, &next, &pause, &is_gone, &now, &has_taken, &last_error]
    )?;
    Ok(())
}

/// When the next delivery to an endpoint may be tried; None: there is none.
pub async fn next(client: &Client, endpoint: &str) -> Result<Option<Timestamp>, Error> {
    let query = text!("outgoing_webhook/delivery_next");
    let row = client.query_opt(query, &[&endpoint]).await?;
    Ok(row.map(|row| row.try_get("next_at")).transpose()?.flatten())
}

row! {
    /// A delivery on its way, with what the endpoint may be told.
    pub struct TakenDelivery {
        pub delivery_id: i64,
        pub webhook_id: String,
        pub tried_since: Timestamp,
        pub attempt_count: i32,
        pub event: OutcomeEvent = event,
    }

    /// How an endpoint stands.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    pub struct EndpointStatus {
        pub endpoint: String,
        pub is_configured: bool,
        pub gone_at: Option<Timestamp>,
        pub opened_at: Option<Timestamp>,
        pub next_try_at: Option<Timestamp>,
        pub failed_in_a_row: i32,
        pub last_delivered_at: Option<Timestamp>,
        pub last_failed_at: Option<Timestamp>,
        pub last_error: Option<String>,
        /// Deliveries that it has not taken yet.
        pub pending: i64,
        pub oldest_stored_at: Option<Timestamp>,
        pub given_up: i64,
    }
}

impl std::fmt::Debug for TakenDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TakenDelivery({} of message {})", self.delivery_id, self.event.message_id)
    }
}

/// What the endpoint may be told, from the other columns.
fn event(row: &Row, _: &str) -> Result<OutcomeEvent, Error> {
    Ok(OutcomeEvent {
        outcome: row.try_get("outcome")?,
        stored_at: row.try_get("stored_at")?,
        watch: row.try_get("watch")?,
        message_id: row.try_get("message_id")?,
        entity_key: row.try_get("entity_key")?,
        reason: row.try_get("reason")?,
        channel: row.try_get("channel")?,
        operation: row.try_get("operation")?,
        fallback_of: row.try_get("fallback_of")?,
        sent_at: row.try_get("sent_at")?,
        delivered_at: row.try_get("delivered_at")?,
        read_at: row.try_get("read_at")?,
        finished_at: row.try_get("finished_at")?,
        reply_kind: row.try_get("reply_kind")?,
        replied_at: row.try_get("replied_at")?,
        person: PersonalFacts {
            recipient_key: row.try_get("recipient_key")?,
            recipient_name: row.try_get("recipient_name")?,
            recipient_phone: row.try_get("recipient_phone")?,
            provider_message_id: row.try_get("provider_message_id")?,
            summary: row.try_get("summary")?,
            reply_text: row.try_get("reply")?,
            reply_payload: row.try_get("reply_payload")?,
        },
    })
}

impl EndpointStatus {
    /// In a word.
    pub fn state(&self) -> &'static str {
        match self {
            EndpointStatus { is_configured: false, .. } => "not configured",
            EndpointStatus { gone_at: Some(_), .. } => "gone",
            EndpointStatus { opened_at: Some(_), .. } => "resting",
            _ => "open",
        }
    }
}

/// Which deliveries are taken.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryBatch {
    pub now: Timestamp,
    /// Until then nobody else tries them.
    pub lease_until: Timestamp,
    pub limit: i64,
    /// Only one is tried, to see whether the endpoint works again.
    pub is_probe: bool,
}

pub async fn take(
    tx: &Transaction<'_>,
    endpoint: &str,
    batch: DeliveryBatch,
) -> Result<Vec<TakenDelivery>, Error> {
    let DeliveryBatch { now, lease_until, limit, is_probe } = batch;
    let rows = named!(
        tx,
        "outgoing_webhook/delivery_take",
        &[&endpoint, &now, &lease_until, &limit, &is_probe]
    )?;
    FromRows::from_rows(&rows)
}

/// What became of an attempt, and when the next one is due; None: there is none.
#[derive(Clone, Debug)]
pub struct DeliveryEnd {
    pub delivery_id: i64,
    pub attempt: i32,
    /// A word of rowbell.delivery_state.
    pub state: &'static str,
    pub due_at: Option<Timestamp>,
    pub http_status: Option<u16>,
    pub error: Option<String>,
}

pub async fn end(tx: &Transaction<'_>, ends: &[DeliveryEnd], now: Timestamp) -> Result<(), Error> {
    let ids = array(ends, |end| end.delivery_id);
    let attempts = array(ends, |end| end.attempt);
    let states = array(ends, |end| end.state);
    let due_ats = array(ends, |end| end.due_at);
    let statuses = array(ends, |end| end.http_status.and_then(|status| i16::try_from(status).ok()));
    let errors = array(ends, |end| end.error.as_deref());
    named!(
        tx,
        "outgoing_webhook/delivery_end",
        &[&ids, &attempts, &states, &due_ats, &statuses, &errors, &now]
    )?;
    Ok(())
}

/// How the endpoints stand.
pub async fn endpoints(client: &Client) -> Result<Vec<EndpointStatus>, Error> {
    FromRows::from_rows(&client.query(text!("outgoing_webhook/endpoint_list"), &[]).await?)
}

/// Lets everything that is due be posted at once; false: there is no such endpoint.
pub async fn resume(client: &Client, endpoint: &str, now: Timestamp) -> Result<bool, Error> {
    let query = text!("outgoing_webhook/endpoint_resume");
    Ok(client.execute(query, &[&endpoint, &now]).await? > 0)
}

/// What an endpoint is told again.
#[derive(Clone, Copy, Debug)]
pub struct Redelivery<'a> {
    pub endpoint: &'a str,
    pub since: Option<Timestamp>,
    pub message_id: Option<i64>,
    pub only_given_up: bool,
}

/// The deliveries that are meant.
pub async fn find_again(client: &Client, again: Redelivery<'_>) -> Result<Vec<i64>, Error> {
    let Redelivery { endpoint, since, message_id, only_given_up } = again;
    let query = text!("outgoing_webhook/delivery_find");
    let rows = client.query(query, &[&endpoint, &since, &message_id, &only_given_up]).await?;
    FromRows::from_rows(&rows)
}

/// Lets deliveries that have ended be made again; gives how many.
pub async fn again(client: &Client, delivery_ids: &[i64], now: Timestamp) -> Result<u64, Error> {
    client.execute(text!("outgoing_webhook/delivery_again"), &[&delivery_ids, &now]).await
}
