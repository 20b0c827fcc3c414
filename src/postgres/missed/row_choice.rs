//! SQL that chooses which rows of a watched table a person catches up with.

use crate::postgres::capture::key::key_expression;
use crate::postgres::capture::quoting::{quote, subquery};
use crate::postgres::capture::row_query::{gone, on_key, present_columns};
use crate::postgres::capture::table::WatchedTable;

/// The query for rows that meet a condition of a person's, about `changed`: the places of those that do, of the rows in
/// `$1`. One that is gone is judged as it was told last.
pub fn condition_sql(table: &WatchedTable, condition: &str) -> String {
    let first_key = quote(table.key.first().map_or("", String::as_str));
    format!(
        "select item.place from unnest($1::jsonb[]) with ordinality as item (captured, place)
  left join {table} as present on {on_key}
 where exists (
       select from (
              select {present} where present.{first_key} is distinct from null
              union all
              select gone.* from {gone} where present.{first_key} is not distinct from null
       ) as changed
        where (\n{condition}\n)
 )",
        table = table.table,
        present = present_columns(table),
        on_key = on_key(table, "present"),
        gone = gone(table, "item.captured"),
        condition = subquery(condition),
    )
}

/// The query for the keys of rows of which rowbell has never heard: nobody was told of them, no change of them waits, and
/// no message tells of them, or the last one that the row is gone. `$1` is the watch.
pub fn untold_sql(table: &WatchedTable, condition: Option<&str>) -> String {
    let key = key_expression(table, "stored");
    let met = condition.map_or(String::new(), |condition| {
        let condition = subquery(condition);
        format!(
            "\n   and exists (select from (select stored.*) as changed where (\n{condition}\n))"
        )
    });
    let unheard = ["last_told", "change"].map(|heard| {
        format!("not exists (select from rowbell.{heard} as h where h.watch = $1 and h.entity_key = {key})")
    });
    let unheard = format!(
        "{}
   and coalesce((select m.new_row is null and m.redacted_at is null and m.operation <> 'withdrawn'
                   from rowbell.message as m
                  where m.watch = $1 and m.entity_key = {key}
                  order by m.message_id desc
                  limit 1), true)
   and not exists (select from rowbell.queue as q where q.watch = $1 and q.entity_key = {key})",
        unheard.join("\n   and ")
    );
    format!("select {key} as entity_key from {} as stored\n where {unheard}{met}", table.table)
}
