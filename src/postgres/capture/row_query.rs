//! Reads the rows of a watch as they are now, with their recipients and what those know of them: one
//! round trip for a whole batch.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql};

use crate::config::Watch;
use crate::domain::recipient::last_told::{Ledger, Told};
use crate::domain::value::row::{self, Row};
use crate::postgres::capture::quoting::{
    MAX_ARGUMENTS, field, jsonb_array, literal, quote, subquery,
};
use crate::postgres::capture::table::{TableColumn, WatchedTable};

/// What the database says about one entity at the moment of composing.
#[derive(Clone, Debug)]
pub struct PresentRow {
    /// The row as it is now; None when it is gone.
    pub row: Option<Row>,
    /// The table has more rows with this key.
    pub is_one_of_several: bool,
    /// What the recipient query gave, one more than `max_recipients` at most.
    pub recipients: Vec<Row>,
    pub expires_at: Option<AskedMoment>,
    /// The moment that a message is about, for quiet hours.
    pub about: Option<AskedMoment>,
    /// The time zone that the row itself names.
    pub time_zone: Option<String>,
    pub ledger: Ledger,
    /// Open messages about the entity, each with the recipient whose own it is; None: it is for all.
    pub open: Vec<(Option<String>, i64)>,
    /// A muted change of the entity is not claimed yet: the row holds what does not stand in the ledger.
    pub has_muted_change: bool,
}

/// A moment that an expression of the watch gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedMoment {
    Instant(Timestamp),
    /// Date and time on a wall: the zone is the one in which the message tells it. A date is the end of that day.
    Wall(DateTime),
}

impl AskedMoment {
    /// The instant, by the clock of a zone.
    pub fn in_zone(self, zone: &TimeZone) -> Timestamp {
        match self {
            AskedMoment::Instant(instant) => instant,
            // Only a wall time at the very end of time has no instant.
            AskedMoment::Wall(wall) => zone.to_timestamp(wall).unwrap_or(Timestamp::MAX),
        }
    }
}

/// One entity to read.
#[derive(Clone, Copy, Debug)]
pub struct RowRequest<'a> {
    /// The message that is being composed, if it has a row yet.
    pub message_id: Option<i64>,
    pub entity_key: &'a str,
    /// It stands in for another message: what may not have arrived is doubtful.
    pub is_fallback: bool,
    /// The row as captured last: gives the key, and stands in for a row that is gone. At least the key.
    pub captured: &'a Row,
}

/// The query for one watch. Table, key and columns are quoted names; recipient, expires_at and
/// the like are SQL of the configuration.
pub fn read_sql(table: &WatchedTable, watch: &Watch) -> String {
    let present = format!("left join {} as present on {}", table.table, on_key(table, "present"));
    sql_over(table, watch, &present)
}

/// The same query as if the columns in `$6` (a JSON object) had other values.
pub fn preview_sql(table: &WatchedTable, watch: &Watch) -> String {
    let present = format!(
        "left join lateral (
       select invented.* from {} as stored
        cross join lateral jsonb_populate_record(stored.*, $6::jsonb) as invented
        where {}
  ) as present on true",
        table.table,
        on_key(table, "stored")
    );
    sql_over(table, watch, &present)
}

fn sql_over(table: &WatchedTable, watch: &Watch, join_present: &str) -> String {
    let asked = asked(watch);
    // Of a composite value "is not null" asks whether each field has one.
    let first_key = quote(table.key.first().map_or("", String::as_str));
    format!(
        "-- compose_read: the rows of one watch as they are now, their recipients, what those know.
select item.ordinal,
       case when present.{first_key} is distinct from null then {values} end as row,
       recipient.rows as recipients,
       asked.expires_at,
       asked.expires_at_wall,
       asked.about,
       asked.about_wall,
       asked.time_zone,
       ledger.entries as ledger,
       (select json_agg(json_build_array(q.recipient_key, q.message_id))
          from rowbell.queue as q
         where q.watch = $4 and q.entity_key = item.entity_key and q.state in ('open', 'held')
           and q.message_id is distinct from item.message_id) as open,
       -- By the index on the keys of muted changes: the primary key would walk through all that a bulk edit left there.
       (select true
          from rowbell.change as c
         where c.entity_key = item.entity_key and c.watch || '' = $4 and c.mute_reason is not null
         limit 1) is not null as has_muted_change
  from unnest($1::bigint[], $2::text[], $3::jsonb[], $5::boolean[])
       with ordinality as item (message_id, entity_key, captured, is_fallback, ordinal)
  {join_present}
  left join lateral (
       select json_agg(json_build_array(
                  t.recipient_key, t.status, t.told_at, t.message_id, t.first_message_id, t.row,
                  before.old_row, before.first_changed_at
              )) as entries
         from rowbell.last_told as t
         left join rowbell.message as before
           on before.message_id = t.message_id
          and (t.status in ('possible', 'unconfirmed') or (t.status = 'accepted' and item.is_fallback))
        where t.watch = $4 and t.entity_key = item.entity_key
  ) as ledger on true
 cross join lateral (
       select {present} where present.{first_key} is distinct from null
       union all
       -- A row that came and went while its last message waited: only what was known before tells of it.
       select gone.* from {gone}
        where present.{first_key} is not distinct from null
  ) as changed
  {recipients}
  {asked}
 order by item.ordinal",
        values = values_of(table),
        present = present_columns(table),
        gone = gone(table, &format!("coalesce({LAST_KNOWN}, '{{}}') || item.captured")),
        recipients = recipients(watch),
    )
}

/// The latest row of the entity that anybody knows.
const LAST_KNOWN: &str = "(select t.row from rowbell.last_told as t
                    where t.watch = $4 and t.entity_key = item.entity_key and t.row is not null
                    order by t.told_at desc limit 1)";

/// A row of the table's columns from JSON that may have only some of them. A domain may forbid the nulls of the others:
/// so where there are domains, the columns have the types below them.
pub fn gone(table: &WatchedTable, json: &str) -> String {
    if !table.columns.iter().any(TableColumn::is_domain) {
        return format!("jsonb_populate_record(null::{}, {json}) as gone", table.table);
    }
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{} {}", quote(&column.name), column.bare_type))
        .collect();
    format!("jsonb_to_record({json}) as gone ({})", columns.join(", "))
}

/// The columns of a row that is there, as they stand beside those of one that is gone.
pub fn present_columns(table: &WatchedTable) -> String {
    if !table.columns.iter().any(TableColumn::is_domain) {
        return "present.*".to_owned();
    }
    let columns: Vec<String> =
        table.columns.iter().map(|column| field("present", &column.name)).collect();
    columns.join(", ")
}

/// The query that asks whom the recipient query names for rows as they were; `$1` holds the rows.
pub fn named_sql(table: &WatchedTable, watch: &Watch) -> String {
    format!(
        "-- compose_named: whom the recipient query names for rows as they were.
select recipient.rows as recipients
  from unnest($1::jsonb[]) with ordinality as item (captured, ordinal)
 cross join lateral (select gone.* from {gone}) as changed
  {recipients}
 order by item.ordinal",
        gone = gone(table, "item.captured"),
        recipients = recipients(watch),
    )
}

/// Join that gives the recipients of a row. A mistake in the query must not give thousands.
fn recipients(watch: &Watch) -> String {
    format!(
        "left join lateral (
       select json_agg(row_to_json(named.*)) as rows from (
              -- Names without a table are those of the row, and of nothing else around.
              select named.* from (select changed.*) as changed cross join lateral (
{}
              ) as named limit {}
       ) as named
  ) as recipient on true",
        subquery(&watch.recipient),
        watch.max_recipients + 1,
    )
}

/// Join that gives what the watch asks of the row by SQL of its own. A moment is an instant or, where its type
/// knows no zone, a time on a wall. Those that lie outside of what can be written, such as infinity, become the
/// last or the first that can be.
fn asked(watch: &Watch) -> String {
    let expressions = [&watch.expires_at, &watch.quiet_hours.of, &watch.row_time_zone];
    if expressions.iter().all(|expression| expression.is_none()) {
        return "cross join (
       select null::timestamptz as expires_at, null::timestamp as expires_at_wall,
              null::timestamptz as about, null::timestamp as about_wall, null::text as time_zone
  ) as asked"
            .to_owned();
    }
    // With an unknown null beside it, a domain is its base type.
    let of = |expression: &Option<String>| match expression {
        Some(expression) => format!("coalesce((\n{expression}\n), null)"),
        None => "null::timestamptz".to_owned(),
    };
    let time_zone = watch.row_time_zone.as_deref().unwrap_or("null");
    format!(
        "left join lateral (
       select {}, {}, said.time_zone
         from (select changed.*) as changed
        cross join lateral (
              select {} as expires_at, {} as about, (\n{time_zone}\n)::text as time_zone
        ) as said
  ) as asked on true",
        moment("expires_at"),
        moment("about"),
        of(&watch.expires_at),
        of(&watch.quiet_hours.of),
    )
}

/// Two columns of one moment: the instant, or the time on a wall.
fn moment(name: &str) -> String {
    format!(
        "case when pg_typeof(said.{name}) not in ('timestamp'::regtype, 'date'::regtype)
                 and said.{name} is not null
            then least(greatest(said.{name}::text::timestamptz, '0001-01-01Z'), '9999-01-01Z') end as {name},
       case when said.{name} is null then null
            when pg_typeof(said.{name}) = 'timestamp'::regtype
            then least(greatest(said.{name}::text::timestamp, '0001-01-01'), '9999-01-01')
            when pg_typeof(said.{name}) = 'date'::regtype
            then least(greatest(said.{name}::text::date + interval '1 day', '0001-01-01'), '9999-01-01')
             end as {name}_wall"
    )
}

/// The values of the captured columns as a JSON array: names and the binary form of jsonb would cost the
/// server twice as much. What may hold JSON of its own goes through jsonb all the same, so that a value
/// that cannot be stored later is an error of this row here.
fn values_of(table: &WatchedTable) -> String {
    let columns: Vec<String> =
        table.captured.iter().map(|column| table.stored("present", column)).collect();
    let is_plain =
        |c: &&TableColumn| !table.captured.contains(&c.name) || is_plain_type(&c.base_type);
    if columns.len() <= MAX_ARGUMENTS && table.columns.iter().all(|c| is_plain(&c)) {
        return format!("json_build_array({})", columns.join(", "));
    }
    jsonb_array(&columns)
}

/// Types of PostgreSQL whose values are one JSON text, number or boolean.
fn is_plain_type(base_type: &str) -> bool {
    let name = base_type.split('(').next().unwrap_or_default().trim_end();
    matches!(
        name,
        "smallint"
            | "integer"
            | "bigint"
            | "numeric"
            | "real"
            | "double precision"
            | "boolean"
            | "text"
            | "character varying"
            | "uuid"
            | "date"
            | "enum"
    ) || name.starts_with("timestamp")
        || name.starts_with("time")
}

/// The condition that a row of the table has the key in `item.captured`.
pub fn on_key(table: &WatchedTable, alias: &str) -> String {
    let conditions: Vec<String> = table
        .key
        .iter()
        .map(|column| {
            if table.bytewise.contains(column) {
                // What its bytes are written as is not read as the same value by every version.
                let stored = table.stored(alias, column);
                return format!("{stored} #>> '{{}}' = item.captured ->> {}", literal(column));
            }
            let type_name = table
                .columns
                .iter()
                .find(|c| &c.name == column)
                .map_or("text", |c| c.type_name.as_str());
            format!(
                "{alias}.{} = (item.captured ->> {})::{type_name}",
                quote(column),
                literal(column)
            )
        })
        .collect();
    conditions.join(" and ")
}

/// Reads a batch; the answers stand in the order of `wanted`.
pub async fn read(
    client: &deadpool_postgres::Transaction<'_>,
    sql: &str,
    table: &WatchedTable,
    wanted: &[RowRequest<'_>],
) -> Result<Vec<PresentRow>, tokio_postgres::Error> {
    let ids: Vec<Option<i64>> = wanted.iter().map(|w| w.message_id).collect();
    let keys: Vec<&str> = wanted.iter().map(|w| w.entity_key).collect();
    let captured: Vec<Json<&Row>> = wanted.iter().map(|w| Json(w.captured)).collect();
    let statement = client.prepare_cached(sql).await?;
    let fallbacks: Vec<bool> = wanted.iter().map(|w| w.is_fallback).collect();
    let rows =
        client.query(&statement, &[&ids, &keys, &captured, &table.watch, &fallbacks]).await?;
    let mut read: Vec<PresentRow> = Vec::with_capacity(wanted.len());
    let mut last = 0_i64;
    for row in &rows {
        let ordinal = row.try_get("ordinal")?;
        match read.last_mut().filter(|_| ordinal == last) {
            Some(first) => first.is_one_of_several = true,
            None => read.push(present(row, &table.captured)?),
        }
        last = ordinal;
    }
    Ok(read)
}

/// Reads one entity as if the columns of `invented` had these values.
pub async fn preview(
    client: &deadpool_postgres::Transaction<'_>,
    sql: &str,
    table: &WatchedTable,
    wanted: RowRequest<'_>,
    invented: &Row,
) -> Result<Option<PresentRow>, tokio_postgres::Error> {
    let ids = vec![wanted.message_id];
    let keys = vec![wanted.entity_key];
    let captured = vec![Json(wanted.captured)];
    let fallbacks = vec![wanted.is_fallback];
    let parameters: &[&(dyn ToSql + Sync)] =
        &[&ids, &keys, &captured, &table.watch, &fallbacks, &Json(invented)];
    let rows = client.query(sql, parameters).await?;
    rows.first().map(|row| present(row, &table.captured)).transpose()
}

/// Whom the recipient query names for each of some rows as they were.
pub async fn named(
    client: &deadpool_postgres::Transaction<'_>,
    sql: &str,
    rows: &[&Row],
) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    let rows: Vec<Json<&Row>> = rows.iter().map(|row| Json(*row)).collect();
    let statement = client.prepare_cached(sql).await?;
    let found = client.query(&statement, &[&rows]).await?;
    found.iter().map(|row| list(row, "recipients")).collect()
}

fn present(
    row: &tokio_postgres::Row,
    columns: &[String],
) -> Result<PresentRow, tokio_postgres::Error> {
    Ok(PresentRow {
        row: list_of(row, "row")?.map(|values: Vec<Value>| row::of(columns, values)),
        is_one_of_several: false,
        recipients: list(row, "recipients")?,
        expires_at: asked_moment(row, "expires_at", "expires_at_wall")?,
        about: asked_moment(row, "about", "about_wall")?,
        time_zone: row.try_get("time_zone")?,
        ledger: Ledger::new(list::<Told>(row, "ledger")?),
        open: list(row, "open")?,
        has_muted_change: row.try_get("has_muted_change")?,
    })
}

fn asked_moment(
    row: &tokio_postgres::Row,
    instant: &str,
    wall: &str,
) -> Result<Option<AskedMoment>, tokio_postgres::Error> {
    let instant: Option<Timestamp> = row.try_get(instant)?;
    let wall: Option<DateTime> = row.try_get(wall)?;
    Ok(instant.map(AskedMoment::Instant).or(wall.map(AskedMoment::Wall)))
}

/// A JSON array; null is None.
fn list_of<T: DeserializeOwned>(
    row: &tokio_postgres::Row,
    column: &str,
) -> Result<Option<Vec<T>>, tokio_postgres::Error> {
    let list: Option<Json<Vec<T>>> = row.try_get(column)?;
    Ok(list.map(|Json(list)| list))
}

/// A JSON array; null is empty.
fn list<T: DeserializeOwned>(
    row: &tokio_postgres::Row,
    column: &str,
) -> Result<Vec<T>, tokio_postgres::Error> {
    list_of(row, column).map(Option::unwrap_or_default)
}

/// A JSON object; anything else, and null, is None.
pub fn object(
    found: &tokio_postgres::Row,
    column: &str,
) -> Result<Option<Row>, tokio_postgres::Error> {
    let value: Option<Json<Value>> = found.try_get(column)?;
    Ok(value.and_then(|Json(value)| row::of_json(value)))
}
