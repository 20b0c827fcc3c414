//! What `migrate` would do to tables that are there: which it would lock, how, and how many rows they have. It is read from
//! the SQL of the migrations; nothing is tried, so nobody waits for it.

use regex::Regex;
use tokio_postgres::{Client, Error};

/// A migration that is missing.
#[derive(Debug, PartialEq, Eq)]
pub struct PlannedMigration {
    pub name: &'static str,
    pub locks: Vec<PlannedLock>,
}

/// A lock on a table that is there; new tables are nobody's yet.
#[derive(Debug, PartialEq, Eq)]
pub struct PlannedLock {
    pub table: String,
    pub mode: LockMode,
    /// By the statistics, or counted where there are none.
    pub rows: i64,
}

/// As strong as the order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
pub enum LockMode {
    #[strum(to_string = "SHARE (others read)")]
    Share,
    #[strum(to_string = "SHARE ROW EXCLUSIVE (others read)")]
    ShareRowExclusive,
    #[strum(to_string = "ACCESS EXCLUSIVE (others wait)")]
    AccessExclusive,
}

/// Statements that lock the table whose name they end with.
const LOCKING: [(LockMode, &str); 5] = [
    (LockMode::AccessExclusive, "(?:alter|drop) (?:table|view) (?:if exists )?(?:only )?"),
    (LockMode::AccessExclusive, "create or replace view "),
    (LockMode::Share, "create (?:unique )?index [a-z0-9_ ]* on (?:only )?"),
    (LockMode::ShareRowExclusive, "create (?:or replace )?(?:constraint )?trigger [^;]* on "),
    (LockMode::ShareRowExclusive, " references "),
];

/// The locks of these migrations, in their order.
pub async fn plan(
    client: &Client,
    migrations: &[(&'static str, &'static str)],
) -> Result<Vec<PlannedMigration>, Error> {
    let mut planned = Vec::new();
    for (name, sql) in migrations {
        let mut locks: Vec<PlannedLock> = Vec::new();
        for (table, mode) in locked(sql) {
            if let Some(known) = locks.iter_mut().find(|lock| lock.table == table) {
                known.mode = known.mode.max(mode);
            } else if let Some(rows) = rows(client, &table).await? {
                locks.push(PlannedLock { table, mode, rows });
            }
        }
        planned.push(PlannedMigration { name, locks });
    }
    Ok(planned)
}

/// None: there is no such table.
async fn rows(client: &Client, table: &str) -> Result<Option<i64>, Error> {
    let query = "select c.reltuples::bigint, c.relkind in ('r', 'p')
                   from pg_catalog.pg_class as c where c.oid = to_regclass($1)";
    let Some(row) = client.query_opt(query, &[&table]).await? else { return Ok(None) };
    let (estimate, is_table): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
    if !is_table || estimate > 0 {
        return Ok(Some(estimate.max(0)));
    }
    // Its name stands in our own SQL.
    let counted = client.query_one(&format!("select count(*) from {table}"), &[]).await?;
    Ok(Some(counted.try_get(0)?))
}

fn locked(sql: &str) -> Vec<(String, LockMode)> {
    let words = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    // The bodies of functions lock nothing when they are made.
    let code = words(&code.split("$$").step_by(2).collect::<Vec<_>>().join(" "));
    let mut found = Vec::new();
    for (mode, statement) in LOCKING {
        // A pattern of ours that does not compile finds nothing; the test below would notice.
        let Ok(pattern) = Regex::new(&format!("{statement}(rowbell(?:_report)?\\.[a-z0-9_]+)"))
        else {
            continue;
        };
        found.extend(pattern.captures_iter(&code).map(|found| (found[1].to_owned(), mode)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_locks_a_table_is_found_and_what_only_names_it_is_not() {
        let sql = "-- alter table rowbell.no\n alter table only rowbell.a add x int;\ncreate unique index i\n on rowbell.b (x);
            create function rowbell.f() returns trigger as $$ begin alter table rowbell.no add y int; end $$;
            create trigger t after insert on rowbell.c for each row execute function rowbell.f();
            create table rowbell.new (x int references rowbell.d, y text);
            create or replace view rowbell_report.v as select * from rowbell.no; drop table if exists rowbell.e;";
        let found: Vec<String> =
            locked(sql).into_iter().map(|(table, mode)| format!("{table} {mode:?}")).collect();
        assert_eq!(
            found,
            [
                "rowbell.a AccessExclusive",
                "rowbell.e AccessExclusive",
                "rowbell_report.v AccessExclusive",
                "rowbell.b Share",
                "rowbell.c ShareRowExclusive",
                "rowbell.d ShareRowExclusive",
            ]
        );
    }
}
