//! What people were told, row by row, and what they were not told, written down as changes that wait for a person.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Portal};

use crate::domain::value::change::{Operation, bounded_key};
use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{FromRows, array, row, text};

row! {
    /// An entity of which somebody was told.
    #[derive(Clone, Debug)]
    pub struct KnownEntity {
        pub entity_key: String,
        /// The row that was told last; None: nobody was told of any.
        pub row: Option<Row> = object,
    }
}

/// What nobody was told of an entity.
#[derive(Clone, Debug)]
pub struct Missed {
    pub entity_key: String,
    /// The row that was told last; None: nobody was told of any.
    pub old_row: Option<Row>,
    /// None: it is gone.
    pub new_row: Option<Row>,
}

/// The next entities of a watch, in order of their keys.
pub async fn known(
    tx: &Transaction<'_>,
    watch: &str,
    above: &str,
    since: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<KnownEntity>, Error> {
    let rows =
        tx.query(text!("catch_up/catch_up_known"), &[&watch, &above, &since, &limit]).await?;
    FromRows::from_rows(&rows)
}

/// Which of these rows meet a condition, by their place.
pub async fn met(
    tx: &Transaction<'_>,
    condition_sql: &str,
    rows: &[&Row],
) -> Result<Vec<i64>, Error> {
    let rows: Vec<Json<&Row>> = rows.iter().map(|row| Json(*row)).collect();
    FromRows::from_rows(&tx.query(condition_sql, &[&rows]).await?)
}

/// Rows of a table of which nobody was ever told, read bit by bit.
pub struct UntoldRows(Portal);

impl UntoldRows {
    pub async fn open(
        tx: &Transaction<'_>,
        untold_sql: &str,
        watch: &str,
    ) -> Result<UntoldRows, Error> {
        let statement = tx.prepare(untold_sql).await?;
        Ok(UntoldRows(tx.bind(&statement, &[&watch]).await?))
    }

    /// The keys of the next rows; empty: there are no more.
    pub async fn next(&self, tx: &Transaction<'_>, limit: i32) -> Result<Vec<String>, Error> {
        let keys: Vec<String> = FromRows::from_rows(&tx.query_portal(&self.0, limit).await?)?;
        Ok(keys.into_iter().map(bounded_key).collect())
    }
}

/// Writes down what was missed, in a hold; its id.
pub async fn hold(
    tx: &Transaction<'_>,
    watch: &str,
    reason: &str,
    missed: &[Missed],
    now: Timestamp,
) -> Result<i64, Error> {
    let entities = missed.len() as i64;
    let params: &[&(dyn ToSql + Sync)] = &[&watch, &reason, &now, &entities];
    let hold_id: i64 = tx.query_one(text!("catch_up/catch_up_hold"), params).await?.try_get(0)?;
    let above = "select last_value from rowbell.change_change_id_seq";
    let above: i64 = tx.query_one(above, &[]).await?.try_get(0)?;
    let statement = tx.prepare(text!("catch_up/catch_up_change")).await?;
    for chunk in missed.chunks(1_000) {
        let between = |m: &Missed| Operation::between(m.old_row.as_ref(), m.new_row.as_ref());
        let params: &[&(dyn ToSql + Sync)] = &[
            &watch,
            &array(chunk, |m| m.entity_key.as_str()),
            &array(chunk, |m| between(m).into_str()),
            &array(chunk, |m| m.old_row.as_ref().map(Json)),
            &array(chunk, |m| m.new_row.as_ref().map(Json)),
        ];
        tx.execute(&statement, params).await?;
    }
    // The first id may be the last one that was given out, where none was.
    tx.execute(text!("catch_up/catch_up_large"), &[&watch, &hold_id, &(above - 1)]).await?;
    Ok(hold_id)
}
