//! What a claim takes: changes, with the names of their columns put back; and what it leaves for later, because a large
//! transaction made it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::error::Error as StdError;

use compact_str::CompactString;
use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantArray};
use tokio_postgres::types::{FromSql, Json, ToSql, Type};
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::value::change::{CapturedTable, Change, Operation, SetAside, bounded_key};
use crate::domain::value::row::Row;
use crate::error_chain::chain;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{array, named, statements};
use crate::postgres::connection::word::{maybe, word};
use crate::postgres::queries::claim::CLAIM_LOCK;

/// A change as taken, or what was left of it when the trigger could not read the row.
#[derive(Clone, Debug)]
pub enum Taken {
    Whole(Box<Change>),
    Unreadable {
        watch: String,
        entity_key: String,
        operation: Operation,
        changed_at: Timestamp,
        error: String,
    },
}

impl Taken {
    /// The same as something that cannot be told, and why.
    pub fn unreadable_for(self, why: &str) -> Taken {
        match self {
            Taken::Whole(change) => Taken::Unreadable {
                watch: change.watch,
                entity_key: change.entity_key,
                operation: change.operation,
                changed_at: change.changed_at,
                error: why.to_owned(),
            },
            unreadable @ Taken::Unreadable { .. } => unreadable,
        }
    }
}

/// Changes in order of capture, and the transaction that took them.
#[derive(Default)]
pub struct ClaimedBatch {
    pub changes: Vec<Taken>,
    pub count: usize,
    pub claimed_by: i64,
    /// The last change of each watch, without large transactions.
    pub reached: HashMap<String, i64>,
    /// Watches of which nothing is left above their bounds, but what was set aside.
    pub exhausted: Vec<String>,
    /// The last change of each large transaction, by its id as text.
    pub parts: HashMap<String, i64>,
    /// The transactions of the changes that come next, a few of them.
    pub next_transactions: Vec<i64>,
}

/// What becomes of changes that were set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LargeDecision {
    Leaves,
    Discarded,
    Told,
}

/// What a layout says of the changes that name it.
#[derive(Debug, serde::Deserialize)]
struct Layout {
    columns: Vec<CompactString>,
    /// The table that the changes are of, if it is still there.
    table_oid: Option<u32>,
    table: Option<String>,
}

/// Layouts by their ids as text.
type Layouts = HashMap<String, Layout>;

/// A row before and after.
type Rows = (Option<Row>, Option<Row>);

pub async fn claim_take(
    tx: &Transaction<'_>,
    watches: &[&str],
    above: &[i64],
    limit: usize,
) -> Result<ClaimedBatch, Error> {
    let limit = limit as i64;
    let rows = named!(tx, "claim/claim_take", &[&watches, &above, &limit, &CLAIM_LOCK])?;
    let Some(last) = rows.last() else {
        return Ok(ClaimedBatch::default());
    };
    let places = |column: &str| -> Result<HashMap<String, i64>, Error> {
        let places: Option<Json<HashMap<String, i64>>> = last.try_get(column)?;
        Ok(places.map(|Json(places)| places).unwrap_or_default())
    };
    let next: Option<Vec<i64>> = last.try_get("next_transactions")?;
    let exhausted: Option<Vec<String>> = last.try_get("exhausted")?;
    Ok(ClaimedBatch {
        changes: all(&rows)?,
        count: rows.len(),
        claimed_by: last.try_get("claimed_by")?,
        reached: places("reached")?,
        exhausted: exhausted.unwrap_or_default(),
        parts: places("parts")?,
        next_transactions: next.unwrap_or_default(),
    })
}

fn all(rows: &[SqlRow]) -> Result<Vec<Taken>, Error> {
    let layouts: Option<Json<Layouts>> = match rows.last() {
        Some(last) => last.try_get("layouts")?,
        None => None,
    };
    let layouts = layouts.map(|Json(layouts)| layouts).unwrap_or_default();
    rows.iter().map(|row| taken(row, &layouts)).collect()
}

/// What large transactions changed before these changes of the same entities.
pub async fn large_take(tx: &Transaction<'_>, later: &[&Change]) -> Result<Vec<Taken>, Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &array(later, |change| change.watch.as_str()),
        &array(later, |change| change.entity_key.as_str()),
        &array(later, |change| change.change_id),
    ];
    all(&named!(tx, "storm/large_take", params)?)
}

/// Transaction, watch and entity of what these transactions changed beyond a change of each watch.
pub async fn storm_ahead(
    tx: &Transaction<'_>,
    beyond: &HashMap<String, i64>,
    transactions: &BTreeSet<i64>,
    most: usize,
    no_deletes: &[&str],
) -> Result<Vec<(i64, String, String)>, Error> {
    let (watches, above): (Vec<&str>, Vec<i64>) =
        beyond.iter().map(|(watch, change_id)| (watch.as_str(), *change_id)).unzip();
    let ids: Vec<String> = transactions.iter().map(i64::to_string).collect();
    let params: &[&(dyn ToSql + Sync)] = &[&watches, &above, &ids, &(most as i64), &no_deletes];
    let rows = named!(tx, "storm/storm_ahead", params)?;
    let entity = |row: &SqlRow| row.try_get::<_, AnyText>(2).map(|key| key.readable);
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, entity(row)?))).collect()
}

statements! {
    /// Sets what a transaction changed of a watch aside: the large transaction, and whether it is a storm.
    large_set_aside(tx: &Transaction<'_>, watch: &str, transaction: &str, above: i64, no_deletes: bool, limit: i64)
        -> Option<(i64, bool)> = "storm/large_set_aside";

    /// Lets a hold have a large transaction: the messages that wait and that it is about.
    large_hold(tx: &Transaction<'_>, large_transaction_id: i64, hold_id: i64)
        -> Vec<i64> = "storm/large_hold";

    /// Large transactions go on after what was taken of them.
    large_advance(tx: &Transaction<'_>, large_transactions: &[i64], change_ids: &[i64], is_full: bool)
        -> () = "storm/large_advance";
}

/// The id of this transaction, which gets one by that.
pub async fn own_transaction(tx: &Transaction<'_>) -> Result<i64, Error> {
    tx.query_one("select pg_current_xact_id()::text::bigint", &[]).await?.try_get(0)
}

/// A text of a writer's, whatever its bytes are: what PostgreSQL takes for text need not be text in UTF-8.
struct AnyText {
    /// With a sign for what cannot be read.
    readable: String,
    is_text: bool,
}

impl<'a> FromSql<'a> for AnyText {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<AnyText, Box<dyn StdError + Sync + Send>> {
        let readable = String::from_utf8_lossy(raw);
        let is_text = matches!(readable, Cow::Borrowed(_));
        Ok(AnyText { readable: readable.into_owned(), is_text })
    }

    fn accepts(sql_type: &Type) -> bool {
        <&str as FromSql>::accepts(sql_type)
    }
}

fn any_text(row: &SqlRow, column: &str) -> Result<Option<String>, Error> {
    Ok(row.try_get::<_, Option<AnyText>>(column)?.map(|text| text.readable))
}

fn taken(row: &SqlRow, layouts: &Layouts) -> Result<Taken, Error> {
    let watch: String = row.try_get("watch")?;
    let operation = word(row, "operation")?;
    let changed_at: Timestamp = row.try_get("changed_at")?;
    let entity_key: Option<AnyText> = row.try_get("entity_key")?;
    let is_key_readable = entity_key.as_ref().is_none_or(|key| key.is_text);
    let entity_key = entity_key.map(|key| bounded_key(key.readable));
    let error = any_text(row, "capture_error")?;
    let layout: Option<i64> = row.try_get("layout_id")?;
    let layout = layout.and_then(|id| layouts.get(&id.to_string()));
    let rows = match error {
        None if !is_key_readable => {
            Err("the key of the row holds bytes that are no text".to_owned())
        }
        None => captured(row, operation, layout)?,
        Some(error) => Err(error),
    };
    Ok(match (entity_key, rows) {
        (Some(entity_key), Ok((old_row, new_row))) => Taken::Whole(Box::new(Change {
            change_id: row.try_get("change_id")?,
            watch,
            entity_key,
            operation,
            old_row,
            new_row,
            changed_at,
            changed_by: any_text(row, "changed_by")?.unwrap_or_default(),
            mute_reason: mute_reason(row)?,
            transaction_id: row.try_get("transaction_id")?,
            set_aside: set_aside(row)?,
            table: layout.and_then(|layout| {
                let (oid, name) = (layout.table_oid?, layout.table.clone()?);
                Some(Box::new(CapturedTable { oid, name }))
            }),
        })),
        (key, rows) => Taken::Unreadable {
            watch,
            entity_key: key.unwrap_or_default(),
            operation,
            changed_at,
            error: rows.err().unwrap_or_else(|| "the key of the row is null".to_owned()),
        },
    })
}

/// What becomes of a change that was set aside.
fn set_aside(row: &SqlRow) -> Result<Option<SetAside>, Error> {
    if !row.try_get::<_, bool>("is_large")? {
        return Ok(None);
    }
    let hold_id: Option<i64> = row.try_get("hold_id")?;
    Ok(Some(match (maybe(row, "decision")?, hold_id) {
        (None, Some(hold_id)) => SetAside::Waits(hold_id),
        (Some(LargeDecision::Discarded), _) => SetAside::Discarded(
            row.try_get::<_, Option<String>>("decision_text")?.unwrap_or_default(),
        ),
        _ => SetAside::Leaves,
    }))
}

/// A change counts as told where its transaction said so, or a person since.
fn mute_reason(row: &SqlRow) -> Result<Option<String>, Error> {
    let muted = any_text(row, "mute_reason")?;
    let told = maybe(row, "decision")? == Some(LargeDecision::Told);
    Ok(match (muted, told) {
        (None, true) => row.try_get("decision_text")?,
        (muted, _) => muted,
    })
}

/// The rows of a change, or why they cannot be told. What the database can hold and we cannot (numbers of
/// 400 digits, JSON 200 levels deep) must not keep the other changes from being taken.
fn captured(
    row: &SqlRow,
    operation: Operation,
    layout: Option<&Layout>,
) -> Result<Result<Rows, String>, Error> {
    let values: Result<Option<Json<Vec<Value>>>, Error> = row.try_get("captured");
    let values = match values {
        Ok(Some(Json(values))) => values,
        Ok(None) => {
            let rows = object(row, "old_row").and_then(|old| Ok((old, object(row, "new_row")?)));
            return Ok(rows.map_err(|error| chain(&error)));
        }
        Err(error) => return Ok(Err(chain(&error))),
    };
    Ok(match layout {
        Some(layout) => named_values(&layout.columns, values, operation),
        None => Err("rowbell.layout has no layout for it; run `rowbell watch`".to_owned()),
    })
}

/// Puts the names of a layout back on the values of a change.
fn named_values(
    columns: &[CompactString],
    values: Vec<Value>,
    operation: Operation,
) -> Result<Rows, String> {
    let rows = if operation == Operation::Update { 2 } else { 1 };
    if values.len() != rows * columns.len() {
        return Err(format!("{} values for {} columns", values.len(), columns.len()));
    }
    let mut values = values.into_iter();
    let mut row = || columns.iter().cloned().zip(values.by_ref()).collect::<Row>();
    Ok(match operation {
        Operation::Insert => (None, Some(row())),
        Operation::Update => (Some(row()), Some(row())),
        // The last is never captured: it is what a recipient is told.
        Operation::Delete | Operation::Withdrawn => (Some(row()), None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::row;
    use serde_json::json;

    fn named(operation: Operation, values: Value) -> Result<Rows, String> {
        let columns = ["id".into(), "status".into()];
        named_values(&columns, values.as_array().cloned().unwrap_or_default(), operation)
    }

    #[test]
    fn an_update_has_both_rows_and_the_others_have_theirs() {
        let (planned, packed) =
            (json!({"id": 1, "status": "planned"}), json!({"id": 1, "status": "packed"}));
        let row = |value: &Value| row::of_json(value.clone());
        let values = json!([1, "planned", 1, "packed"]);
        assert_eq!(named(Operation::Update, values), Ok((row(&planned), row(&packed))));
        assert_eq!(named(Operation::Insert, json!([1, "packed"])), Ok((None, row(&packed))));
        assert_eq!(named(Operation::Delete, json!([1, "planned"])), Ok((row(&planned), None)));
    }

    #[test]
    fn values_that_do_not_fit_their_columns_are_no_row() {
        let fits = named(Operation::Update, json!([1, "planned"]));
        assert_eq!(fits, Err("2 values for 2 columns".to_owned()));
    }
}
