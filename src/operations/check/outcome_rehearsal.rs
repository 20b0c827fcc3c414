//! Hooks of the application: whether they run, and whether they change what their own watch tells.

use deadpool_postgres::Client;

use crate::config::Config;
use crate::domain::outcome::numbered;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::pipeline::context::context::CompiledWatch;
use crate::postgres::outcome::outcome_calls::{reason, rehearse};

/// Runs each hook for a row of the table, and undoes it.
pub async fn findings(
    client: &mut Client,
    config: &Config,
    compiled: &CompiledWatch,
    report: &mut CheckReport,
) {
    let name = &compiled.name;
    for (i, hook) in compiled.config.outcome.iter().enumerate() {
        let Ok(sql) = numbered(&hook.sql) else { continue };
        let at = format!("watch.{name}.outcome[{i}].sql");
        let hook = (&sql, hook.role.as_deref());
        match rehearse(client, name, &compiled.table, hook, config.outcome.timeout).await {
            Err(error) => report.push(Finding::new(at, format!("cannot be run: {}", reason(&error)))),
            Ok(0) => {}
            Ok(_) => report.push(Finding::warning(
                at,
                "changes a column that its own watch tells: nobody is told what a hook changes, and no hook is called for it",
            )),
        }
    }
}
