//! What the triggers cost on this server.

use std::time::Duration;

use crate::config::Config;
use crate::error_chain::chain;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::postgres::capture::install;
use crate::postgres::connection::pool::Client;
use crate::postgres::inspection::measure::{self, TriggerCost};

/// A row that takes so much longer to write is worth a word.
const MUCH: Duration = Duration::from_micros(200);

/// Measures each watch; a sentence for each, and a finding where it is much.
pub async fn measured(
    client: &mut Client,
    config: &Config,
    report: &mut CheckReport,
) -> Vec<String> {
    let mut said = Vec::new();
    for (name, watch) in &config.watch {
        let Some(template) = config.template.get(&watch.template) else { continue };
        let Ok(table) = install::describe(client, name, watch, template).await else { continue };
        match measure::measure(client, &table, watch).await {
            Ok(Some(cost)) => {
                said.push(format!("watch {name}: {}", in_words(&cost)));
                if cost.recorded.saturating_sub(cost.without) > MUCH {
                    let what = format!("its trigger is slow on this server: {}", in_words(&cost));
                    report.push(Finding::warning(format!("watch.{name}"), what));
                }
            }
            Ok(None) => {
                said.push(format!("watch {name}: {} has no row to measure with", table.table))
            }
            Err(error) => report
                .unseen
                .push(format!("what the trigger of watch {name} costs ({})", chain(&error))),
        }
    }
    said
}

fn in_words(cost: &TriggerCost) -> String {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let TriggerCost { rows, without, unchanged, recorded } = *cost;
    format!(
        "an update of one row takes {:.1} µs without the trigger, {:.1} µs with it, {:.1} µs where a change is recorded \
         (over {rows} rows)",
        micros(without),
        micros(unchanged),
        micros(recorded)
    )
}
