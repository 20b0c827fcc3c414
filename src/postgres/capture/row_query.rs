//! Reads the rows of a watch as they are now, with their recipients and what was last told: one
//! round trip for a whole batch.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql};

use crate::config::{UnconfirmedPolicy, Watch};
use crate::domain::value::row::Row;
use crate::postgres::capture::quoting::{
    MAX_ARGUMENTS, field, jsonb_array, literal, quote, subquery,
};
use crate::postgres::capture::table::{TableColumn, WatchedTable};

/// What the database says about one entity at the moment of composing.
#[derive(Clone, Debug)]
pub struct PresentRow {
    /// The row as it is now; None when it is gone.
    pub row: Option<Row>,
    /// What the recipient query gave.
    pub recipient: Option<Row>,
    pub expires_at: Option<AskedMoment>,
    /// The moment that a message is about, for quiet hours.
    pub about: Option<AskedMoment>,
    /// The time zone that the row itself names.
    pub time_zone: Option<String>,
    pub told: LastTold,
    /// An earlier message of the entity is being sent.
    pub is_in_flight: bool,
    /// What this one stands in for arrived after all, and was the last that was told.
    pub has_arrived: bool,
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

/// What the recipient was last told about the entity.
#[derive(Clone, Debug)]
pub enum LastTold {
    /// Nothing yet, or nothing that was kept; the row before the first change that we know of since
    /// then, if we know of one.
    Never { first_old_row: Option<Option<Row>> },
    /// This row; None: that it is gone.
    Last(Option<Row>),
    /// The latest that counts as told is a muted change: the baseline must be put together.
    Muted,
}

/// One entity to read.
#[derive(Clone, Copy, Debug)]
pub struct RowRequest<'a> {
    /// The message that is being composed, if it has a row yet.
    pub message_id: Option<i64>,
    pub entity_key: &'a str,
    /// The message that it stands in for: then only what is known to have arrived counts as told.
    pub fallback_of: Option<i64>,
    /// The row as captured last: gives the key, and stands in for a row that is gone. At least the key.
    pub captured: &'a Row,
}

/// What counts as told beside what was delivered.
#[derive(Clone, Copy, Debug)]
pub struct BaselineScope<'a> {
    /// Channels of which nothing is heard after they accepted a message.
    pub silent: &'a [String],
    /// Messages of a dry run: for what is only recorded itself. Its recipients know nothing of them, so they are
    /// never the baseline of a message that is sent.
    pub dry_runs: bool,
}

/// The query for one watch. Table, key and columns are quoted names; recipient, expires_at and
/// the like are SQL of the configuration.
pub fn read_sql(table: &WatchedTable, watch: &Watch, selection: BaselineScope<'_>) -> String {
    let present = format!("left join {} as present on {}", table.table, on_key(table, "present"));
    sql_over(table, watch, selection, &present)
}

/// The same query as if the columns in `$6` (a JSON object) had other values.
pub fn preview_sql(table: &WatchedTable, watch: &Watch, selection: BaselineScope<'_>) -> String {
    let present = format!(
        "left join lateral (
       select invented.* from {} as stored
        cross join lateral jsonb_populate_record(stored, $6::jsonb) as invented
        where {}
  ) as present on true",
        table.table,
        on_key(table, "stored")
    );
    sql_over(table, watch, selection, &present)
}

fn sql_over(
    table: &WatchedTable,
    watch: &Watch,
    selection: BaselineScope<'_>,
    join_present: &str,
) -> String {
    let recipient = subquery(&watch.recipient);
    let asked = asked(watch);
    let first_key = quote(table.key.first().map_or("", String::as_str));
    format!(
        "-- compose_read: the rows of one watch as they are now, their recipients, what was last told.
select case when present.{first_key} is not null then {values} end as row,
       recipient.row as recipient,
       asked.expires_at,
       asked.expires_at_wall,
       asked.about,
       asked.about_wall,
       asked.time_zone,
       told.message_id as told_id,
       told.is_muted,
       told.is_redacted,
       told.new_row as told_row,
       coalesce(told.first_id = item.fallback_of, false) as has_arrived,
       first.message_id as first_id,
       first.old_row as first_old_row,
       other.is_there is not null and exists (
           select from rowbell.message as m
            where m.watch = $4 and m.entity_key = item.entity_key
              and m.state = 'sending' and m.message_id <> coalesce(item.message_id, 0)
       ) as is_in_flight
  from unnest($1::bigint[], $2::text[], $3::jsonb[], $5::bigint[])
       with ordinality as item (message_id, entity_key, captured, fallback_of, ordinal)
  {join_present}
  {told}
 cross join lateral (
       select {present} where present.{first_key} is not null
       union all
       -- A row that came and went while its last message waited: only what was known before tells of it.
       select gone.* from {gone}
        where present.{first_key} is null
  ) as changed
  left join lateral (
       select row_to_json(r) as row from (
{recipient}
       ) as r limit 1
  ) as recipient on true
  {asked}
 order by item.ordinal",
        values = values_of(table),
        present = present_columns(table),
        gone = gone(table, "coalesce(told.new_row, first.old_row, '{}') || item.captured"),
        told = told(watch, selection),
    )
}

/// A row of the table's columns from JSON that may have only some of them. A domain may forbid the nulls of the others:
/// so where there are domains, the columns have the types below them.
fn gone(table: &WatchedTable, json: &str) -> String {
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

fn present_columns(table: &WatchedTable) -> String {
    if !table.columns.iter().any(TableColumn::is_domain) {
        return "present.*".to_owned();
    }
    let columns: Vec<String> =
        table.columns.iter().map(|column| field("present", &column.name)).collect();
    columns.join(", ")
}

/// Joins that give whether the entity has other messages at all (most have none, and then nothing more is
/// looked for), what was last told, and the row before the first change since then or ever. What was
/// redacted is old news: it counts as told, but nobody knows what it was.
fn told(watch: &Watch, selection: BaselineScope<'_>) -> String {
    format!(
        "left join lateral (
       select true as is_there
         from rowbell.message as m
        where m.watch = $4 and m.entity_key = item.entity_key
          and m.message_id <> coalesce(item.message_id, 0)
        limit 1
  ) as other on true
  left join lateral (
       select m.message_id, m.new_row, m.reason = 'muted' as is_muted,
              m.redacted_at is not null as is_redacted,
              coalesce(m.fallback_of, m.message_id) as first_id
         from rowbell.message as m
        where other.is_there
          and m.watch = $4 and m.entity_key = item.entity_key
          and (m.state in ('delivered', 'read')
               or (m.state in ({states}) and (item.fallback_of is null or {last_heard}))
               or (m.state = 'skipped' and {skipped}))
        order by m.message_id desc
        limit 1
  ) as told on true
  left join lateral (
       select m.message_id, m.old_row
         from rowbell.message as m
        where other.is_there and (told.message_id is null or told.is_redacted)
          and m.watch = $4 and m.entity_key = item.entity_key
          and m.redacted_at is null and m.message_id > coalesce(told.message_id, 0)
        order by m.message_id
        limit 1
  ) as first on true",
        states = told_states(watch),
        last_heard = last_heard(selection.silent),
        skipped = match selection.dry_runs {
            true => "(m.reason = 'muted' or (m.reason = 'dry_run' and item.fallback_of is null))",
            false => "m.reason = 'muted'",
        },
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

/// Whether an unconfirmed message counts as told. Where such a message is sent again in the
/// end, it does not: the next message of its entity tells everything once more, and takes its place.
pub fn counts_unconfirmed(watch: &Watch) -> bool {
    watch.unconfirmed != UnconfirmedPolicy::Resend
}

fn told_states(watch: &Watch) -> &'static str {
    match counts_unconfirmed(watch) {
        true => "'sent', 'unconfirmed'",
        false => "'sent'",
    }
}

/// Of a message that was accepted: nothing more is ever heard of it.
fn last_heard(silent: &[String]) -> String {
    let channels: Vec<String> = silent.iter().map(|channel| literal(channel)).collect();
    match channels.is_empty() {
        true => "false".to_owned(),
        false => format!("(m.state = 'sent' and m.channel in ({}))", channels.join(", ")),
    }
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

fn on_key(table: &WatchedTable, alias: &str) -> String {
    let conditions: Vec<String> = table
        .key
        .iter()
        .map(|column| {
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
    let firsts: Vec<Option<i64>> = wanted.iter().map(|w| w.fallback_of).collect();
    let rows = client.query(&statement, &[&ids, &keys, &captured, &table.watch, &firsts]).await?;
    rows.iter().map(|row| present(row, &table.captured)).collect()
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
    let firsts = vec![wanted.fallback_of];
    let parameters: &[&(dyn ToSql + Sync)] =
        &[&ids, &keys, &captured, &table.watch, &firsts, &Json(invented)];
    let rows = client.query(sql, parameters).await?;
    rows.first().map(|row| present(row, &table.captured)).transpose()
}

fn present(
    row: &tokio_postgres::Row,
    columns: &[String],
) -> Result<PresentRow, tokio_postgres::Error> {
    // What was redacted is old news: the row before the next change stands for it.
    let is_redacted: Option<bool> = row.try_get("is_redacted")?;
    let told_id: Option<i64> = row.try_get("told_id")?;
    let told_id = told_id.filter(|_| is_redacted != Some(true));
    let first_id: Option<i64> = row.try_get("first_id")?;
    let told = match (told_id, row.try_get::<_, Option<bool>>("is_muted")?) {
        (Some(_), Some(true)) => LastTold::Muted,
        (Some(_), _) => LastTold::Last(object(row, "told_row")?),
        (None, _) => LastTold::Never {
            first_old_row: match first_id {
                Some(_) => Some(object(row, "first_old_row")?),
                None => None,
            },
        },
    };
    Ok(PresentRow {
        row: values(row, "row")?.map(|values| columns.iter().cloned().zip(values).collect()),
        recipient: object(row, "recipient")?,
        expires_at: asked_moment(row, "expires_at", "expires_at_wall")?,
        about: asked_moment(row, "about", "about_wall")?,
        time_zone: row.try_get("time_zone")?,
        told,
        is_in_flight: row.try_get("is_in_flight")?,
        has_arrived: row.try_get("has_arrived")?,
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

fn values(
    row: &tokio_postgres::Row,
    column: &str,
) -> Result<Option<Vec<Value>>, tokio_postgres::Error> {
    let values: Option<Json<Vec<Value>>> = row.try_get(column)?;
    Ok(values.map(|Json(values)| values))
}

/// A JSON object; anything else, and null, is None.
pub fn object(
    row: &tokio_postgres::Row,
    column: &str,
) -> Result<Option<Row>, tokio_postgres::Error> {
    let value: Option<Json<Value>> = row.try_get(column)?;
    Ok(match value {
        Some(Json(Value::Object(object))) => Some(object),
        _ => None,
    })
}
