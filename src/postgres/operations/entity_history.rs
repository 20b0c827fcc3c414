//! The story of one entity, as `rowbell explain` tells it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Error, Row as SqlRow};

use crate::domain::message::attempt::{AttemptResultKind, ErrorClass};
use crate::domain::message::fallback::FallbackWait;
use crate::domain::message::receipt::{EvidenceSource, ReceiptStatus};
use crate::domain::message::state::State;
use crate::domain::message::unconfirmed::LookupMethod;
use crate::domain::value::change::Operation;
use crate::domain::value::column::Columns;
use crate::domain::value::diff::diff;
use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{FromRow, row, text};
use crate::postgres::connection::word::{maybe, state, word};

/// Everything that the database knows about an entity. Phones are whole in here: who shows them
/// masks them.
#[derive(Clone, Debug, Serialize)]
pub struct EntityHistory {
    pub watch: String,
    pub entity_key: String,
    /// Whether there are messages before the first one here.
    pub has_earlier: bool,
    /// In the order in which they were opened.
    pub messages: Vec<MessageHistory>,
    /// Changes that no message tells of yet, in order of capture.
    pub changes: Vec<CapturedChange>,
}

/// One field from what to what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    pub column: String,
    pub old: Value,
    pub new: Value,
}

#[derive(Clone, Debug, Serialize)]
pub struct CapturedChange {
    pub operation: Operation,
    pub fields: Vec<Field>,
    pub changed_at: Timestamp,
    pub changed_by: String,
    pub mute_reason: Option<String>,
    pub capture_error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MessageHistory {
    pub message_id: i64,
    #[serde(flatten)]
    pub state: State,
    pub reason_text: Option<String>,
    /// Who is told, or would have been; None: not known yet, or nobody.
    pub recipient_key: Option<String>,
    pub operation: Operation,
    pub change_count: i32,
    /// Who made the changes, each once.
    pub changed_by: Vec<String>,
    /// From the row before the first change to the row as told, or as it is after the last change.
    pub fields: Vec<Field>,
    pub first_changed_at: Timestamp,
    pub last_changed_at: Timestamp,
    pub created_at: Timestamp,
    pub channel: String,
    /// The message that it stands in for.
    pub fallback_of: Option<i64>,
    /// When it is decided whether it goes on to the next channel.
    pub fallback_due_at: Option<Timestamp>,
    /// Why that was put off.
    pub fallback_waits_for: Option<FallbackWait>,
    pub words: Option<WordsHistory>,
    /// When it may leave; of an unconfirmed one, when its watch's policy decides.
    pub due_at: Option<Timestamp>,
    pub provider_message_id: Option<String>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub attempts: Vec<AttemptHistory>,
    /// In order of arrival.
    pub receipts: Vec<ReceiptHistory>,
    /// What was done to find out whether the provider has it.
    pub lookups: Vec<LookupHistory>,
    /// What the customer answered.
    pub replies: Vec<ReplyHistory>,
    /// What endpoints of the application were told of it.
    pub deliveries: Vec<DeliveryHistory>,
}

row! {
    /// Who was told in which words, as of the latest attempt.
    #[derive(Clone, Debug, Serialize)]
    pub struct WordsHistory {
        pub template: Option<String>,
        pub language: Option<String>,
        pub recipient_name: Option<String>,
        pub recipient_phone: Option<String>,
        pub recipient_locale: Option<String>,
        pub recipient_time_zone: Option<String>,
        /// Who said so.
        pub time_zone_source: Option<String>,
        pub summary: Option<String>,
        pub parameters: Value = json,
    }
}

fn json(row: &SqlRow, column: &str) -> Result<Value, Error> {
    row.try_get(column).map(|Json(value)| value)
}

row! {
    #[derive(Clone, Debug, Serialize)]
    pub struct AttemptHistory {
        pub number: i16,
        /// None while the request is under way.
        pub result: Option<AttemptResultKind> = maybe,
        pub started_at: Timestamp,
        pub finished_at: Option<Timestamp>,
        pub http_status: Option<i16>,
        pub error_class: Option<ErrorClass> = maybe,
        pub error_code: Option<i32>,
        pub error_text: Option<String>,
        pub provider_message_id: Option<String>,
        /// Of a digest: the message whose request said it.
        pub carried_by: Option<i64>,
    }

    #[derive(Clone, Debug, Serialize)]
    pub struct ReceiptHistory {
        pub status: ReceiptStatus = word,
        pub source: EvidenceSource = word,
        pub error_code: Option<i32>,
        pub error_text: Option<String>,
        pub happened_at: Timestamp,
    }

    /// Its words are a person's: who shows them masks them.
    #[derive(Clone, Debug, Serialize)]
    pub struct ReplyHistory {
        pub kind: String,
        pub body: Option<String>,
        pub payload: Option<String>,
        pub replied_at: Timestamp,
    }

    #[derive(Clone, Debug, Serialize)]
    pub struct DeliveryHistory {
        pub endpoint: String,
        pub outcome: String,
        pub state: String,
        pub attempt_count: i32,
        pub last_error: Option<String>,
        pub happened_at: Timestamp,
    }

    #[derive(Clone, Debug, Serialize)]
    pub struct LookupHistory {
        pub attempt: i16 = number,
        pub asked_at: Timestamp,
        pub method: LookupMethod = word,
        pub found: String,
        pub provider_message_id: Option<String>,
    }
}

/// The number of the attempt.
fn number(row: &SqlRow, _: &str) -> Result<i16, Error> {
    row.try_get("number")
}
/// How the fields of a watch are compared and in which order they are told.
pub struct FieldOrder<'a> {
    pub names: &'a [String],
    pub columns: &'a Columns,
}

/// Reads the story of an entity with its last `limit` messages.
pub async fn story(
    client: &Client,
    watch: &str,
    entity_key: &str,
    selection: &FieldOrder<'_>,
    limit: u16,
) -> Result<EntityHistory, Error> {
    // One more than asked for, to know whether there are more.
    let many = i64::from(limit) + 1;
    let mut messages = messages(client, (watch, entity_key, None), selection, many).await?;
    let has_earlier = messages.len() > usize::from(limit);
    if has_earlier {
        messages.remove(0);
    }
    attach_all(client, &mut messages).await?;
    let query = text!("explain/explain_changes");
    let changes = client.query(query, &[&watch, &entity_key]).await?;
    Ok(EntityHistory {
        watch: watch.to_owned(),
        entity_key: entity_key.to_owned(),
        has_earlier,
        messages,
        changes: changes.iter().map(|row| change(row, selection)).collect::<Result<_, _>>()?,
    })
}

/// Reads one message of an entity; None: there is none of this id.
pub async fn one_message(
    client: &Client,
    (watch, entity_key): (&str, &str),
    message_id: i64,
    selection: &FieldOrder<'_>,
) -> Result<Option<MessageHistory>, Error> {
    let mut found = messages(client, (watch, entity_key, Some(message_id)), selection, 1).await?;
    attach_all(client, &mut found).await?;
    Ok(found.pop())
}

/// In the order in which they were opened, without what belongs to each.
async fn messages(
    client: &Client,
    (watch, entity_key, message_id): (&str, &str, Option<i64>),
    selection: &FieldOrder<'_>,
    many: i64,
) -> Result<Vec<MessageHistory>, Error> {
    let query = text!("explain/explain_messages");
    let rows = client.query(query, &[&watch, &entity_key, &many, &message_id]).await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        messages.extend(message(row, selection)?);
    }
    Ok(messages)
}

async fn attach_all(client: &Client, messages: &mut [MessageHistory]) -> Result<(), Error> {
    let query = text!("explain/explain_attempts");
    attach(client, query, messages, |message| &mut message.attempts).await?;
    let query = text!("explain/explain_receipts");
    attach(client, query, messages, |message| &mut message.receipts).await?;
    let query = text!("explain/explain_lookups");
    attach(client, query, messages, |message| &mut message.lookups).await?;
    let query = text!("explain/explain_replies");
    attach(client, query, messages, |message| &mut message.replies).await?;
    let query = text!("explain/explain_deliveries");
    attach(client, query, messages, |message| &mut message.deliveries).await
}

fn fields(old: Option<&Row>, new: Option<&Row>, selection: &FieldOrder<'_>) -> Vec<Field> {
    diff(old, new, selection.names, selection.columns, &jiff::tz::TimeZone::UTC)
        .into_iter()
        .map(|field| Field { column: field.column, old: field.old, new: field.new })
        .collect()
}

fn change(row: &SqlRow, selection: &FieldOrder<'_>) -> Result<CapturedChange, Error> {
    let (old, new) = (object(row, "old_row")?, object(row, "new_row")?);
    Ok(CapturedChange {
        operation: word(row, "operation")?,
        fields: fields(old.as_ref(), new.as_ref(), selection),
        changed_at: row.try_get("changed_at")?,
        changed_by: row.try_get("changed_by")?,
        mute_reason: row.try_get("mute_reason")?,
        capture_error: row.try_get("capture_error")?,
    })
}

/// None when its state is of a newer release.
fn message(row: &SqlRow, selection: &FieldOrder<'_>) -> Result<Option<MessageHistory>, Error> {
    let Some(state) = state(row)? else {
        return Ok(None);
    };
    let (old, new) = (object(row, "old_row")?, object(row, "new_row")?);
    Ok(Some(MessageHistory {
        message_id: row.try_get("message_id")?,
        state,
        reason_text: row.try_get("reason_text")?,
        recipient_key: row.try_get("recipient_key")?,
        operation: word(row, "operation")?,
        change_count: row.try_get("change_count")?,
        changed_by: row.try_get("changed_by")?,
        fields: fields(old.as_ref(), new.as_ref(), selection),
        first_changed_at: row.try_get("first_changed_at")?,
        last_changed_at: row.try_get("last_changed_at")?,
        created_at: row.try_get("created_at")?,
        channel: row.try_get("channel")?,
        fallback_of: row.try_get("fallback_of")?,
        fallback_due_at: row.try_get("fallback_due_at")?,
        fallback_waits_for: maybe(row, "fallback_waits_for")?,
        words: match row.try_get::<_, Option<Json<Value>>>("parameters")? {
            None => None,
            Some(_) => Some(WordsHistory::from_row(row)?),
        },
        due_at: row.try_get("due_at")?,
        provider_message_id: row.try_get("provider_message_id")?,
        sent_at: row.try_get("sent_at")?,
        delivered_at: row.try_get("delivered_at")?,
        read_at: row.try_get("read_at")?,
        finished_at: row.try_get("finished_at")?,
        attempts: Vec::new(),
        receipts: Vec::new(),
        lookups: Vec::new(),
        replies: Vec::new(),
        deliveries: Vec::new(),
    }))
}

/// Reads what belongs to each message, and puts it into its list.
async fn attach<T: FromRow>(
    client: &Client,
    query: &str,
    messages: &mut [MessageHistory],
    list: fn(&mut MessageHistory) -> &mut Vec<T>,
) -> Result<(), Error> {
    let ids: Vec<i64> = messages.iter().map(|message| message.message_id).collect();
    for row in client.query(query, &[&ids]).await? {
        let id: i64 = row.try_get("message_id")?;
        if let Some(message) = messages.iter_mut().find(|message| message.message_id == id) {
            list(message).push(T::from_row(&row)?);
        }
    }
    Ok(())
}
