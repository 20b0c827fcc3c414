//! The SQL of the triggers.
//!
//! Nothing of ours may depend on a column of the user's table, so that no ALTER TABLE is refused and
//! no later write fails because of us. The trigger has no column list and no condition; its
//! function turns the row into jsonb and picks values out of that by name. A column that is gone is
//! null there. The function is made for its watch, because picking by literal names is several
//! times faster than looking them up in a list, and its trigger carries the same names as
//! arguments, where the daemon compares them with the configuration.

use super::rows::{literal, quote};
use super::table::WatchedTable;
use crate::config::Watch;
use crate::domain::change::Operation;

/// Bytes that a PostgreSQL name may have.
const MAX_NAME: usize = 63;

/// jsonb_build_object takes at most 100 arguments.
const PAIRS_PER_OBJECT: usize = 50;

/// Name of the trigger of a watch, cut at a character.
pub fn trigger_name(watch: &str) -> String {
    let mut name = format!("rowbell_capture_{watch}");
    while name.len() > MAX_NAME {
        name.pop();
    }
    name
}

/// Quoted name of the function of a watch.
pub fn function_name(watch: &str) -> String {
    let mut name = format!("capture_{watch}");
    while name.len() > MAX_NAME {
        name.pop();
    }
    format!("rowbell.{}", quote(&name))
}

/// What `watch` runs, and what `watch --print` shows: the function, then the trigger.
pub fn statements(table: &WatchedTable, watch: &Watch) -> Vec<String> {
    vec![function_sql(table, watch), trigger_sql(table, watch)]
}

pub fn trigger_sql(table: &WatchedTable, watch: &Watch) -> String {
    let name = quote(&trigger_name(&table.watch));
    let events: Vec<&str> = watch.on.iter().map(|operation| operation.as_str()).collect();
    format!(
        "drop trigger if exists {name} on {table};\n\
         create trigger {name}\n    after {events} on {table}\n    for each row execute function {function}({arguments});",
        table = table.table,
        events = events.join(" or "),
        function = function_name(&table.watch),
        arguments =
            arguments(table, watch).iter().map(|a| literal(a)).collect::<Vec<_>>().join(", "),
    )
}

/// What the trigger carries: watch, key, watched and stored columns (JSON arrays), and whether it
/// may ring.
pub fn arguments(table: &WatchedTable, watch: &Watch) -> Vec<String> {
    let list = |names: &[String]| serde_json::to_string(names).unwrap_or_default();
    vec![
        table.watch.clone(),
        list(&table.key),
        list(&table.watched(watch)),
        list(&table.captured),
        if watch.ring { "ring" } else { "silent" }.to_owned(),
    ]
}

pub fn function_sql(table: &WatchedTable, watch: &Watch) -> String {
    let mut operations = watch.on.clone();
    operations.sort_by_key(|operation| *operation as u8);
    operations.dedup();
    let body = format!(
        "declare
    was      jsonb;
    is_now   jsonb;
    failure  text;
begin
    -- Only the conversion is guarded: a row that cannot be read must not fail the business's own
    -- statement. Nothing is written in here, so the guard costs no transaction id.
    begin
{convert}    exception when others then
        failure := sqlstate || ': ' || sqlerrm;
    end;

    if failure is not null then
        insert into rowbell.change (watch, operation, capture_error)
        values ({watch}, lower(tg_op)::rowbell.change_operation, failure);
    else
{record}    end if;
{ring}    return null;
end",
        convert = for_each_operation(&operations, &|operation| match operation {
            Operation::Insert => "is_now := to_jsonb(new);".to_owned(),
            Operation::Update => "was := to_jsonb(old); is_now := to_jsonb(new);".to_owned(),
            Operation::Delete => "was := to_jsonb(old);".to_owned(),
        }),
        record = for_each_operation(&operations, &|operation| record(table, watch, operation)),
        watch = literal(&table.watch),
        ring = if watch.ring { RING } else { "" },
    );
    format!(
        "create or replace function {name}() returns trigger\n\
         language plpgsql security definer set search_path = pg_catalog, pg_temp\n\
         as {body};\n\
         comment on function {name}() is {comment};",
        name = function_name(&table.watch),
        body = dollar_quoted(&body),
        comment = literal(&format!(
            "Records changes of {} for watch {}. Made by \"rowbell watch\"; removed by \"rowbell unwatch\".",
            table.table, table.watch
        )),
    )
}

/// Statements by operation; without a question where the trigger fires for one operation only.
fn for_each_operation(
    operations: &[Operation],
    statements: &dyn Fn(Operation) -> String,
) -> String {
    if let [only] = operations {
        return format!("        {}\n", statements(*only));
    }
    let mut sql = String::new();
    for (i, operation) in operations.iter().enumerate() {
        let word = if i == 0 { "if" } else { "elsif" };
        let name = operation.as_str().to_uppercase();
        sql += &format!(
            "        {word} tg_op = '{name}' then\n            {}\n",
            statements(*operation)
        );
    }
    sql + "        end if;\n"
}

/// Writes the change down, unless an update changed nothing that is watched.
fn record(table: &WatchedTable, watch: &Watch, operation: Operation) -> String {
    let (filter, key, old, new) = match operation {
        Operation::Insert => ("", "is_now", false, true),
        Operation::Update => ("yes", "was", true, true),
        Operation::Delete => ("", "was", true, false),
    };
    let filter = match filter.is_empty() {
        true => String::new(),
        false => {
            format!(
                "if {} then\n            return null;\n        end if;\n        ",
                nothing_changed(table, watch)
            )
        }
    };
    let object = |is_there: bool, from: &str| match is_there {
        true => object(&table.captured, from),
        false => "null".to_owned(),
    };
    format!(
        "{filter}insert into rowbell.change (watch, entity_key, operation, old_row, new_row, mute_reason)
        values (
            {watch},
            {key},
            '{operation}',
            {old},
            {new},
            nullif(current_setting('rowbell.mute', true), '')
        );",
        watch = literal(&table.watch),
        key = key_expression(table, key),
        operation = operation.as_str(),
        old = object(old, "was"),
        new = object(new, "is_now"),
    )
}

/// The bell is looked at once in a transaction: what it said stays right for the rest of it. A
/// writer that read `awake` had its transaction id before the daemon parked, and the daemon waits
/// for all those. A savepoint that is rolled back takes setting and ring away together.
const RING: &str = "
    if current_setting('rowbell.rung', true) is distinct from 'y' then
        perform set_config('rowbell.rung', 'y', true);
        if (select last_value from rowbell.doorbell) = 2 then
            perform pg_notify('rowbell', '');
        end if;
    end if;
";

fn nothing_changed(table: &WatchedTable, watch: &Watch) -> String {
    let watched_columns = table.watched(watch);
    let watched_columns = watched_columns.iter().filter(|c| !table.key.contains(c));
    let columns = table.key.iter().chain(watched_columns);
    let same: Vec<String> = columns
        .map(|column| {
            let (was, is_now) = (watched(table, column, "was"), watched(table, column, "is_now"));
            format!("{was} is not distinct from {is_now}")
        })
        .collect();
    same.join("\n           and ")
}

/// The value of a watched column, or at a watched path into a JSON column.
fn watched(table: &WatchedTable, name: &str, from: &str) -> String {
    if table.base_of(name) == name {
        return format!("({from} -> {})", literal(name));
    }
    let parts: Vec<String> = name.split('.').map(literal).collect();
    format!("({from} #> array[{}])", parts.join(", "))
}

fn key_expression(table: &WatchedTable, from: &str) -> String {
    let part = |column: &String| {
        let name = literal(column);
        format!("({from} ->> {name})")
    };
    match table.key.as_slice() {
        [only] => part(only),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|column| {
                    format!(
                        "replace(replace({}, E'\\\\', E'\\\\\\\\'), ',', E'\\\\,')",
                        part(column)
                    )
                })
                .collect();
            format!("concat_ws(',', {})", parts.join(", "))
        }
    }
}

fn object(columns: &[String], from: &str) -> String {
    let pieces: Vec<String> = columns
        .chunks(PAIRS_PER_OBJECT)
        .map(|chunk| {
            let pairs: Vec<String> = chunk
                .iter()
                .map(|column| {
                    let name = literal(column);
                    format!("{name}, {from} -> {name}")
                })
                .collect();
            format!("jsonb_build_object({})", pairs.join(", "))
        })
        .collect();
    pieces.join(" || ")
}

/// The text between dollar quotes that do not occur in it.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "rowbell".to_owned();
    while text.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!("${tag}$\n{text}\n${tag}$")
}
