//! The SQL of the triggers.
//!
//! Nothing of ours may depend on a column of the user's table, so that no ALTER TABLE is refused and
//! no later write fails because of us. The trigger has no column list and no condition. Its function
//! is made for its watch and names the columns: that costs the writer half of what looking them up
//! costs, and PostgreSQL keeps no record of what a function's body names. Where a name does not fit
//! any more, the error is caught and the change is recorded by name, through jsonb; a column that is
//! gone is null there. The trigger carries the same names as arguments, where the daemon compares
//! them with the configuration.
//!
//! The function runs with its owner's rights and has no search path of its own, because setting one
//! costs as much as comparing the columns: every function, operator and type in it is qualified. Where the text of a
//! value depends on a setting of the writer's session, the function has that setting of its own, the same as the
//! sessions of the daemon: two writers never write one value, or one key, in two ways.
//!
//! Where a change may be dropped rather than fail the statement (`capture.on_full`), what is written is guarded too: a
//! subtransaction for each change. Where not, nothing of it stands in the function.

use crate::config::{OnFull, Watch};
use crate::domain::value::change::Operation;
use crate::postgres::capture::key::key_expression;
use crate::postgres::capture::quoting::{field, jsonb_array, literal, quote};
use crate::postgres::capture::table::{TablePart, WatchedTable};
use crate::postgres::connection::session_settings::FORMS;

/// Bytes that a PostgreSQL name may have.
const MAX_NAME: usize = 63;

/// Name of the trigger of a watch.
pub fn trigger_name(watch: &str) -> String {
    fitting("rowbell_capture_", watch)
}

/// Quoted name of the function of a watch.
pub fn function_name(watch: &str) -> String {
    format!("rowbell.{}", quote(&fitting("capture_", watch)))
}

/// A name that PostgreSQL does not cut. Of a longer one, a hash stands for the end, so that no two watches share a
/// name.
fn fitting(prefix: &str, watch: &str) -> String {
    let mut name = format!("{prefix}{watch}");
    if name.len() <= MAX_NAME {
        return name;
    }
    let end = format!("_{:016x}", fnv_1a(watch.bytes()));
    while name.len() + end.len() > MAX_NAME {
        name.pop();
    }
    name + &end
}

/// Names the values that the function will write, and the table that they are of.
pub fn layout_sql(table: &WatchedTable) -> String {
    format!(
        "insert into rowbell.layout (layout_id, watch, columns, captured_from)\n\
         values ({id}, {watch}, {columns}, {table})\non conflict (layout_id) do nothing;",
        id = layout_id(table),
        watch = literal(&table.watch),
        columns = text_array(&table.captured),
        table = literal(&table.table),
    )
}

/// Of watch, table and columns, so that a function that is made anew does not need another layout.
fn layout_id(table: &WatchedTable) -> i64 {
    let names = std::iter::once(&table.watch).chain(&table.captured);
    let bytes = names.flat_map(|name| name.bytes().chain([0]));
    fnv_1a(bytes.chain(table.oid.to_be_bytes())).cast_signed()
}

/// A hash that is the same in every release.
fn fnv_1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Makes the trigger on the table, or on one that inherits from it.
pub fn trigger_sql(table: &WatchedTable, watch: &Watch, part: &TablePart) -> String {
    let name = quote(&trigger_name(&table.watch));
    let events = table.fires_for(watch);
    let events: Vec<&str> = events.iter().map(|operation| operation.into_str()).collect();
    format!(
        "drop trigger if exists {name} on {table};\n\
         create trigger {name}\n    after {events} on {table}\n    for each row execute function {function}({arguments});",
        table = part.table,
        events = events.join(" or "),
        function = function_name(&table.watch),
        arguments =
            arguments(table, watch).iter().map(|a| literal(a)).collect::<Vec<_>>().join(", "),
    )
}

/// What the trigger carries: watch, key, watched and stored columns (JSON arrays), and when it may ring.
pub fn arguments(table: &WatchedTable, watch: &Watch) -> Vec<String> {
    let list = |names: &[String]| serde_json::to_string(names).unwrap_or_default();
    vec![
        table.watch.clone(),
        list(&table.key),
        list(&table.watched(watch)),
        list(&table.captured),
        match watch.ring {
            Some(true) => "ring",
            Some(false) => "silent",
            None => "ring unless prepared",
        }
        .to_owned(),
    ]
}

pub fn function_sql(table: &WatchedTable, watch: &Watch) -> String {
    let body = body(table, watch, &table.fires_for(watch));
    format!(
        "create or replace function {name}() returns trigger\n\
         language plpgsql security definer{settings}\n\
         as {body};\n\
         comment on function {name}() is {comment};",
        name = function_name(&table.watch),
        settings = settings(table),
        body = dollar_quoted(&body),
        comment = literal(&format!(
            "Records changes of {} for watch {}. Made by \"rowbell watch\"; removed by \"rowbell unwatch\".",
            table.table, table.watch
        )),
    )
}

/// The settings of the function: those on which the text of a stored value depends, because each costs the writer.
fn settings(table: &WatchedTable) -> String {
    let needed = FORMS.iter().filter(|(name, _)| table.settings.contains(*name));
    needed.map(|(name, value)| format!("\n    set {name} = {}", literal(value))).collect()
}

/// The same as the catalog keeps them, in order.
pub fn function_settings(table: &WatchedTable) -> Vec<String> {
    let needed = FORMS.iter().filter(|(name, _)| table.settings.contains(*name));
    let mut settings: Vec<String> =
        needed.map(|(name, value)| format!("{}={value}", name.to_lowercase())).collect();
    settings.sort();
    settings
}

/// What the function does.
fn body(table: &WatchedTable, watch: &Watch, operations: &[Operation]) -> String {
    let bases: Vec<String> =
        table.watched(watch).iter().map(|name| table.base_of(name).to_owned()).collect();
    format!(
        "declare
    entity_key  pg_catalog.text;
    captured    pg_catalog.jsonb;
    was         pg_catalog.jsonb;
    is_now      pg_catalog.jsonb;
    failure     pg_catalog.text;
begin
    -- Only reading the row is guarded: whatever it holds, and whatever became of its table, must not
    -- fail the business's own statement. Nothing is written in here, so the guard costs no
    -- transaction id.
    begin
{read}    exception when others then
        captured := null;
        begin
            was := rowbell.whole_row(old);
            is_now := rowbell.whole_row(new);
        exception when others then
            failure := pg_catalog.concat(sqlstate, ': ', sqlerrm);
        end;
    end;

{guard}    if captured is not null then
        insert into rowbell.change (watch, entity_key, operation, layout_id, captured)
        values (
            {watch},
            entity_key,
            {operation},
            {layout},
            captured
        );
    elsif failure is null then
        -- The table is not any more what it was when this function was made.
        perform rowbell.capture_by_name(
            {watch}, {layout}, {key}, {watched}, {columns}, {lower_operation}, was, is_now
        );
    else
        insert into rowbell.change (watch, layout_id, operation, capture_error)
        values ({watch}, {layout}, {any_operation}, failure);
    end if;
{ring}{unless_full}    return null;
end",
        operation = operation_expression(operations),
        any_operation = operation_expression(&[]),
        lower_operation = OPERATION,
        read = for_each_operation(operations, &|operation| read(table, watch, operation)),
        watch = literal(&table.watch),
        layout = layout_id(table),
        key = text_array(&table.key),
        watched = text_array(&bases),
        columns = text_array(&table.captured),
        ring = ring(watch.ring),
        guard = if watch.on_full == OnFull::Drop { "    begin\n" } else { "" },
        unless_full = if watch.on_full == OnFull::Drop { UNLESS_FULL } else { "" },
    )
}

/// What fired the trigger, by its name. In Turkish the lower case of `INSERT` is another word.
const OPERATION: &str = "pg_catalog.lower(tg_op collate pg_catalog.\"C\")";

fn operation_expression(operations: &[Operation]) -> String {
    match operations {
        [only] => literal(only.into_str()),
        _ => format!("{OPERATION}::rowbell.change_operation"),
    }
}

/// Statements by operation; without a question where the trigger fires for one operation only.
fn for_each_operation(
    operations: &[Operation],
    statements: &dyn Fn(Operation) -> String,
) -> String {
    if let [only] = operations {
        return statements(*only);
    }
    let mut sql = String::new();
    for (i, operation) in operations.iter().enumerate() {
        let word = if i == 0 { "if" } else { "elsif" };
        let name = operation.into_str().to_uppercase();
        sql += &format!(
            "        {word} tg_op operator(pg_catalog.=) '{name}' then\n{}",
            statements(*operation)
        );
    }
    sql + "        end if;\n"
}

/// Takes key and values, unless an update changed nothing that is watched.
///
/// An insert that the watch does not tell matters only where the row may come from another partition, which it has left
/// in the same transaction before.
fn read(table: &WatchedTable, watch: &Watch, operation: Operation) -> String {
    let only_moves =
        |operation| table.fires_for(watch).contains(&operation) && !watch.on.contains(&operation);
    let (filter, key, rows): (String, &str, &[&str]) = match operation {
        Operation::Insert if only_moves(Operation::Insert) => {
            (UNLESS_MOVING.into(), "new", &["new"])
        }
        Operation::Insert => (String::new(), "new", &["new"]),
        Operation::Update => (unless_changed(table, watch), "old", &["old", "new"]),
        Operation::Delete if only_moves(Operation::Insert) => (MAY_MOVE.into(), "old", &["old"]),
        // The last is never captured: it is what a recipient is told.
        Operation::Delete | Operation::Withdrawn => (String::new(), "old", &["old"]),
    };
    format!(
        "{filter}        entity_key := {key};\n        captured := {captured};\n",
        key = key_expression(table, key),
        captured = values(table, rows),
    )
}

const MAY_MOVE: &str = "        perform pg_catalog.set_config('rowbell.moving', 'yes', true);\n";
const UNLESS_MOVING: &str =
    "        if coalesce(pg_catalog.current_setting('rowbell.moving', true), '') operator(pg_catalog.<>) 'yes' then
            return null;
        end if;\n";

/// Leaves when nothing changed that is watched. Where `=` tells a change it is asked, which costs half. Other
/// values are compared as images, byte by byte: that takes no operator, which a type may lack, and no
/// collation, which may call two texts the same. What is another image of an equal value is found out by the
/// daemon. If a null stands where there could be none when the function was made, the change is recorded.
fn unless_changed(table: &WatchedTable, watch: &Watch) -> String {
    let watched = table.watched(watch);
    let watched = watched.iter().filter(|column| !table.key.contains(column));
    let (comparable, others): (Vec<&String>, Vec<&String>) = table
        .key
        .iter()
        .chain(watched)
        .partition(|name| table.column(name).is_some_and(|column| column.is_comparable));
    let image = |from: &str| {
        let values: Vec<String> =
            others.iter().map(|column| watched_value(table, column, from)).collect();
        format!("row({})", values.join(", "))
    };
    let mut same: Vec<String> = comparable
        .iter()
        .map(|name| format!("{} operator(pg_catalog.=) {}", field("old", name), field("new", name)))
        .collect();
    if !others.is_empty() {
        same.push(format!("pg_catalog.record_image_eq({}, {})", image("old"), image("new")));
    }
    format!(
        "        if {} then\n            return null;\n        end if;\n",
        same.join("\n           and ")
    )
}

/// The value of a watched column, or at a watched path into a JSON column.
fn watched_value(table: &WatchedTable, name: &str, from: &str) -> String {
    let base = table.base_of(name);
    if base == name {
        return field(from, name);
    }
    let path: Vec<String> = name.split('.').skip(1).map(str::to_owned).collect();
    format!(
        "pg_catalog.to_jsonb({}) operator(pg_catalog.#>) {}",
        field(from, base),
        text_array(&path)
    )
}

/// The values of the columns of the rows, one after the other, as a JSON array.
fn values(table: &WatchedTable, rows: &[&str]) -> String {
    let fields: Vec<String> = rows
        .iter()
        .flat_map(|row| table.captured.iter().map(|column| table.stored(row, column)))
        .collect();
    jsonb_array(&fields)
}

/// Looked at for every change: that is cheaper than remembering for the rest of the transaction what
/// it said. PostgreSQL keeps only the first of several equal notifications of a transaction, and refuses to prepare a
/// transaction that has any: nobody knows here whether this one will be.
fn ring(setting: Option<bool>) -> String {
    let condition = match setting {
        Some(false) => return String::new(),
        Some(true) => "",
        None => {
            "\n           where pg_catalog.current_setting('max_prepared_transactions') operator(pg_catalog.=) '0'"
        }
    };
    format!(
        "
    if pg_catalog.pg_sequence_last_value('rowbell.doorbell') operator(pg_catalog.=) 2 then
        perform pg_catalog.pg_notify('rowbell', ''){condition};
    end if;
"
    )
}

/// Counted where that needs no room.
const UNLESS_FULL: &str = "    exception when insufficient_resources then
        perform pg_catalog.nextval('rowbell.dropped');
    end;
";

fn text_array(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    format!("array[{}]::pg_catalog.text[]", texts.join(", "))
}

/// The text between dollar quotes that do not occur in it.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "rowbell".to_owned();
    while text.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!("${tag}$\n{text}\n${tag}$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::capture::quoting::MAX_ARGUMENTS;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_wide_row_is_put_together_from_pieces() {
        let table = WatchedTable {
            watch: "wide".to_owned(),
            table: "wide".to_owned(),
            oid: 1,
            key: Vec::new(),
            columns: Vec::new(),
            captured: (0..130).map(|n| format!("column {n}")).collect(),
            settings: BTreeSet::new(),
            unsettled: BTreeMap::new(),
            bytewise: BTreeSet::new(),
            paths: BTreeSet::new(),
            partitioned_by: Vec::new(),
            parts: Vec::new(),
        };
        let sql = values(&table, &["old", "new"]);
        let pieces: Vec<&str> = sql.split(" operator(pg_catalog.||) ").collect();
        assert_eq!(pieces.len(), 3);
        for piece in &pieces {
            let arguments = piece.matches(".\"column ").count();
            assert!((1..=MAX_ARGUMENTS).contains(&arguments), "{arguments} arguments");
        }
        assert!(pieces[1].contains("old.\"column 129\", new.\"column 0\""));
    }
}
