//! What people decided, with a command or on the page, and whose name and phone they asked to see.

use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, GenericClient};

use crate::domain::person_act::{PersonActKind, PersonActWay};
use crate::postgres::connection::statement::{FromRows, row, text};
use crate::postgres::connection::word::word;

/// Who acts, and how.
#[derive(Clone, Debug)]
pub struct ActingPerson {
    /// The name of a login of the page, or the user of the database.
    pub by: String,
    /// The user of the operating system; None: it is not known.
    pub os_user: Option<String>,
    pub way: PersonActWay,
}

/// What a person does.
#[derive(Clone, Copy, Debug)]
pub struct PersonAct<'a> {
    pub who: &'a ActingPerson,
    pub kind: PersonActKind,
    pub reason: Option<&'a str>,
}

/// Notes what was done with so many messages of a hold.
pub async fn record_hold(
    client: &impl GenericClient,
    act: PersonAct<'_>,
    (watch, hold_id): (&str, i64),
    messages: i64,
    now: Timestamp,
) -> Result<(), Error> {
    let PersonAct { who, kind, reason } = act;
    let (way, kind) = (who.way.into_str(), kind.into_str());
    let params: &[&(dyn ToSql + Sync)] =
        &[&who.by, &who.os_user, &way, &kind, &watch, &hold_id, &messages, &reason, &now];
    client.execute(text!("person_act/person_act_hold"), params).await.map(drop)
}

/// Notes what was done with messages, each for itself.
pub async fn record_messages(
    client: &impl GenericClient,
    act: PersonAct<'_>,
    message_ids: &[i64],
    now: Timestamp,
) -> Result<(), Error> {
    let PersonAct { who, kind, reason } = act;
    let (way, kind) = (who.way.into_str(), kind.into_str());
    let params: &[&(dyn ToSql + Sync)] =
        &[&who.by, &who.os_user, &way, &kind, &message_ids, &reason, &now];
    client.execute(text!("person_act/person_act_messages"), params).await.map(drop)
}

/// What a person decides about that is neither a hold nor a message.
#[derive(Clone, Copy, Debug)]
pub enum ActSubject<'a> {
    Watch(&'a str),
    Channel(&'a str),
    /// This database, or the data of somebody in it.
    Database,
}

/// Notes what was done with one of them, and how many messages it changed.
pub async fn record(
    client: &impl GenericClient,
    act: PersonAct<'_>,
    subject: ActSubject<'_>,
    messages: i64,
    now: Timestamp,
) -> Result<(), Error> {
    let PersonAct { who, kind, reason } = act;
    let (watch, channel) = match subject {
        ActSubject::Watch(watch) => (Some(watch), None),
        ActSubject::Channel(channel) => (None, Some(channel)),
        ActSubject::Database => (None, None),
    };
    let (way, kind) = (who.way.into_str(), kind.into_str());
    let params: &[&(dyn ToSql + Sync)] =
        &[&who.by, &who.os_user, &way, &kind, &watch, &channel, &messages, &reason, &now];
    client.execute(text!("person_act/person_act_other"), params).await.map(drop)
}

row! {
    /// What a person did.
    #[derive(Clone, Debug)]
    pub struct RecordedAct {
        pub acted_at: Timestamp,
        pub decided_by: String,
        pub os_user: Option<String>,
        pub way: PersonActWay = word,
        pub kind: PersonActKind = word,
        pub watch: Option<String>,
        pub channel: Option<String>,
        pub hold_id: Option<i64>,
        pub message_id: Option<i64>,
        pub messages: i64,
        pub reason: Option<String>,
    }
}

/// The latest so many; of one message, or of all.
pub async fn list(
    client: &Client,
    message_id: Option<i64>,
    limit: i64,
) -> Result<Vec<RecordedAct>, Error> {
    let rows = client.query(text!("person_act/person_act_list"), &[&message_id, &limit]).await?;
    FromRows::from_rows(&rows)
}
