//! What people decided, and whose name and phone they asked to see.

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::domain::person_act::PersonActKind;
use crate::postgres::connection::statement::{FromRows, row, text};
use crate::postgres::connection::word::word;

/// What a person does.
#[derive(Clone, Copy, Debug)]
pub struct PersonAct<'a> {
    pub by: &'a str,
    pub kind: PersonActKind,
    pub watch: &'a str,
    pub about: PersonActSubject,
    pub messages: i64,
    pub reason: Option<&'a str>,
}

#[derive(Clone, Copy, Debug)]
pub enum PersonActSubject {
    Hold(i64),
    Message(i64),
}

/// Notes it.
pub async fn record(client: &Client, act: PersonAct<'_>, now: Timestamp) -> Result<(), Error> {
    let (hold_id, message_id) = match act.about {
        PersonActSubject::Hold(id) => (Some(id), None),
        PersonActSubject::Message(id) => (None, Some(id)),
    };
    let query = text!("page/person_act_write");
    let kind = act.kind.into_str();
    client
        .execute(
            query,
            &[&act.by, &kind, &act.watch, &hold_id, &message_id, &act.messages, &act.reason, &now],
        )
        .await?;
    Ok(())
}

row! {
    /// What a person did.
    #[derive(Clone, Debug)]
    pub struct RecordedAct {
        pub acted_at: Timestamp,
        pub decided_by: String,
        pub kind: PersonActKind = word,
        pub watch: String,
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
    let rows = client.query(text!("page/person_act_list"), &[&message_id, &limit]).await?;
    FromRows::from_rows(&rows)
}
