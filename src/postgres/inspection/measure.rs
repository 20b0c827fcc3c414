//! What the trigger of a watch costs a writer on this server: measured on a copy of some rows that only our session
//! sees, and of which nothing stays.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error, Transaction};

use crate::config::Watch;
use crate::postgres::capture::quoting::quote;
use crate::postgres::capture::table::WatchedTable;
use crate::postgres::capture::trigger::function_name;

/// Rows that are copied at most.
const ROWS: u32 = 2_000;

/// How often each statement is run; the middle of the times counts.
const RUNS: usize = 5;

/// What an update of one row takes.
#[derive(Clone, Copy, Debug)]
pub struct TriggerCost {
    pub rows: u32,
    pub without: Duration,
    /// With the trigger, where nothing that is watched changes.
    pub unchanged: Duration,
    /// With the trigger, where a change is recorded.
    pub recorded: Duration,
}

/// Measures. None: the table has no row, or no watched column beside its key.
pub async fn measure(
    client: &mut Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Option<TriggerCost>, Error> {
    let bases = watch.columns.iter().map(|name| table.base_of(name));
    let Some(column) = bases.into_iter().find(|base| !table.key.iter().any(|key| key == base))
    else {
        return Ok(None);
    };
    let column = quote(column);
    let tx = client.transaction().await?;
    tx.batch_execute(&format!(
        "create temporary table rowbell_measured (like {});
         alter table rowbell_measured alter {column} drop not null;
         insert into rowbell_measured select * from {} where {column} is not null limit {ROWS};
         analyze rowbell_measured",
        table.table, table.table
    ))
    .await?;
    let rows: i64 = tx.query_one("select count(*) from rowbell_measured", &[]).await?.try_get(0)?;
    let Ok(rows @ 1..) = u32::try_from(rows) else { return Ok(None) };
    let same = format!("update rowbell_measured set {column} = {column}");
    let without = middle(&tx, &same).await?;
    tx.batch_execute(&format!(
        "create trigger rowbell_measured after update on rowbell_measured for each row execute function {}()",
        function_name(&table.watch)
    ))
    .await?;
    let unchanged = middle(&tx, &same).await?;
    let recorded = middle(&tx, &format!("update rowbell_measured set {column} = null")).await?;
    tx.rollback().await?;
    Ok(Some(TriggerCost {
        rows,
        without: without / rows,
        unchanged: unchanged / rows,
        recorded: recorded / rows,
    }))
}

/// The middle of some runs, of each of which nothing stays.
async fn middle(tx: &Transaction<'_>, statement: &str) -> Result<Duration, Error> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        tx.batch_execute("savepoint measured").await?;
        let began = Instant::now();
        tx.batch_execute(statement).await?;
        times.push(began.elapsed());
        tx.batch_execute("rollback to savepoint measured").await?;
    }
    times.sort();
    Ok(times[RUNS / 2])
}
