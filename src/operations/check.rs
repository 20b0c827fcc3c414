//! What `rowbell check` looks at beyond the settings themselves: the words, and every watch against
//! its table, with rows that it has and could have put into words.

pub mod advice;
pub mod outcome_rehearsal;
pub mod rehearsal;
pub mod report;
pub mod sample;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Clock;
use crate::config::{Config, RecipientAddress};
use crate::domain::text::summary::Phrasing;
use crate::error_chain::chain;
use crate::finding::{Finding, hint};
use crate::operations::check::rehearsal::ColumnFacts;
use crate::operations::check::report::CheckReport;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::route;
use crate::postgres::capture::proof::{self, WatchPart};
use crate::postgres::capture::{install, table};
use crate::postgres::schema::migrate::{self, MigrateError};
use crate::postgres::schema::roles::{self, Reader};
use crate::provider::client::ProviderClient;
use crate::provider::client_error::ClientError;

/// Templates that do not compile. Columns are not known yet, so unknown names pass.
pub fn offline(config: &Config) -> Vec<Finding> {
    let mut problems: Vec<Finding> = config
        .channel
        .iter()
        .filter_map(|(name, channel)| {
            // Whether secrets can be read is a question of who asks.
            let error = ProviderClient::new(channel, config).err()?;
            let is_setting =
                matches!(error, ClientError::MessageBody(_) | ClientError::Setting { .. });
            is_setting.then(|| setting_of(name, &error))
        })
        .collect();
    for (name, watch) in &config.watch {
        let Some(template) = config.template.get(&watch.template) else {
            continue;
        };
        let source = route::source(config, watch, template, None);
        let Err(found) = Phrasing::compile(&source) else {
            continue;
        };
        let named = found.into_iter().map(|problem| route::named(problem, name, &watch.template));
        // A mistake in a template is one mistake, however many watches use it.
        let new = named.filter(|problem| !problems.contains(problem)).collect::<Vec<_>>();
        problems.extend(new);
    }
    problems
}

/// The mistake in a setting of a channel.
fn setting_of(channel: &str, error: &ClientError) -> Finding {
    let (setting, why) = match error {
        ClientError::Setting { setting, why } => (setting.as_str(), why.clone()),
        ClientError::MessageBody(wrong) => (wrong.place.as_str(), wrong.why.clone()),
        other => ("", chain(other)),
    };
    Finding::new(setting, why).below(&format!("channel.{channel}"))
}

/// Triggers of watches that are not in the configuration any more.
async fn forgotten(client: &deadpool_postgres::Client, config: &Config) -> Vec<Finding> {
    let triggers = match install::triggers(client).await {
        Ok(triggers) => triggers,
        Err(error) => return vec![Finding::new("", chain(&error))],
    };
    let forgotten = triggers.into_iter().filter(|found| !config.watch.contains_key(&found.watch));
    forgotten
        .map(|found| {
            let what = format!(
                "watch {name} is not in the configuration, but its trigger on {} records changes that nobody takes; \
                 remove it: rowbell unwatch {name}",
                found.table,
                name = found.watch
            );
            Finding::new("", what).rowbell(format!("unwatch {}", found.watch))
        })
        .collect()
}

/// Every watch against its table: columns, SQL, trigger, and the words with rows that it has and could have.
pub async fn online(client: &mut deadpool_postgres::Client, config: &Config) -> CheckReport {
    let mut report = CheckReport::default();
    match migrate::check_version(client).await {
        Ok(()) => {}
        Err(error @ MigrateError::Missing) => {
            let what = format!(
                "{error}, then `rowbell watch`; until then only the SQL of the watches is tried"
            );
            report.push(Finding::warning("", what).rowbell("migrate").rowbell("watch"));
            return tables_only(client, config, report).await;
        }
        Err(error) => {
            let found = Finding::new("", chain(&error));
            report.push(match error {
                // Its rights are given by migrate.
                MigrateError::NoRight { .. } if roles::is_daemon(client).await => {
                    found.rowbell("migrate")
                }
                MigrateError::NoRight { role: Some(role) } => {
                    found.sql(format!("grant rowbell_daemon to {role}"))
                }
                MigrateError::Older { .. } => found.rowbell("migrate"),
                _ => found,
            });
            return report;
        }
    }
    report.findings.extend(forgotten(client, config).await);
    let mut watches = Vec::new();
    for name in config.watch.keys() {
        match CompiledWatch::look_up(client, config, name).await {
            Err(unusable) => report.findings.extend(unusable.findings()),
            Ok(compiled) => {
                if let Err(error) = watch(client, config, &compiled, &mut report).await {
                    report.problem(name, "", chain(&error));
                }
                watches.push(compiled);
            }
        }
    }
    advice::twins(&watches, &mut report);
    report.findings.extend(missing_grants(client, config).await);
    report
}

/// What can be said of watches before rowbell is installed: whether their tables and their SQL are good.
async fn tables_only(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    mut report: CheckReport,
) -> CheckReport {
    for name in config.watch.keys() {
        let compiled = match CompiledWatch::look_up(client, config, name).await {
            Ok(compiled) => compiled,
            Err(unusable) => {
                report.findings.extend(unusable.findings());
                continue;
            }
        };
        report.findings.extend(unused_names(&compiled));
        match compiled.faults(client).await {
            Ok(faults) => report.findings.extend(faults.iter().map(|fault| fault.of_watch(name))),
            Err(error) => report.problem(name, "", chain(&error)),
        }
    }
    report
}

/// The rights that the daemon still needs for all watches, as one block of statements.
async fn missing_grants(
    client: &mut deadpool_postgres::Client,
    config: &Config,
) -> Option<Finding> {
    let mut queries = Vec::new();
    for (name, watch) in &config.watch {
        let Some(template) = config.template.get(&watch.template) else { continue };
        // What is wrong with the table is said elsewhere.
        if let Ok(table) = install::describe(client, name, watch, template).await {
            queries.extend(proof::statements(&table, watch));
        }
    }
    let grants = roles::missing_grants(client, &queries, Reader::Me).await.unwrap_or_default();
    let found = Finding::warning("", roles::REQUEST);
    (!grants.is_empty()).then(|| grants.iter().fold(found, |found, grant| found.sql(grant)))
}

async fn watch(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    compiled: &CompiledWatch,
    report: &mut CheckReport,
) -> Result<(), tokio_postgres::Error> {
    let name = &compiled.name;
    for drift in install::drift(client, &compiled.table, &compiled.config).await? {
        report.push(drift.below(&format!("watch.{name}")));
    }
    report.findings.extend(unused_names(compiled));
    let facts = ColumnFacts {
        codes: table::codes(client, &compiled.table).await?,
        nullable: table::nullable(client, &compiled.table).await?,
    };
    report.findings.extend(unused_values(compiled, &facts.codes));
    let faults = compiled.faults(client).await?;
    report.findings.extend(faults.iter().map(|fault| fault.of_watch(name)));
    if faults.iter().any(|fault| fault.part == WatchPart::Whole) {
        return Ok(());
    }
    if let Some(missing) = missing_address(client, compiled).await? {
        report.problem(name, "recipient", missing);
    }
    advice::of_watch(client, config, compiled, report).await?;
    outcome_rehearsal::findings(client, config, compiled, report).await;
    let sample = sample::read(client, compiled, report).await;
    // What is wrong with a rule is found there with its cause; the words of a row show the rest.
    let now = Clock::system().now();
    let before = report.problems().len();
    rehearsal::findings(config, compiled, &sample, &facts, now, report);
    let are_rules_good = report.problems().len() == before;
    sample::findings(config, compiled, &sample, now, are_rules_good, report);
    Ok(())
}

/// Names of columns and values that name nothing: they would be passed over in silence.
fn unused_names(compiled: &CompiledWatch) -> Vec<Finding> {
    let (name, table, settings) = (&compiled.name, &compiled.table, &compiled.config);
    let labels = settings.label.keys().map(|column| ("label", column));
    let values = settings.value.keys().map(|column| ("value", column));
    labels
        .chain(values)
        .filter(|(_, column)| table.column(table.base_of(column)).is_none())
        .map(|(setting, column)| {
            let hint = hint(column, &table.column_names());
            let what = format!("{} has no such column{hint}", table.table);
            Finding::new(format!("watch.{name}.{setting}.{column}"), what)
        })
        .collect()
}

/// Values that an enum column never has: their names and rules would be passed over in silence.
fn unused_values(compiled: &CompiledWatch, codes: &BTreeMap<String, Vec<String>>) -> Vec<Finding> {
    let (name, settings) = (&compiled.name, &compiled.config);
    let mut problems = Vec::new();
    for (column, labels) in codes {
        let names = settings.value.get(column).into_iter().flat_map(BTreeMap::keys);
        let mut named: Vec<(String, &str)> =
            names.map(|value| (format!("value.{column}"), value.as_str())).collect();
        for (place, rule) in settings.say.iter().enumerate() {
            for (side, wanted) in [("becomes", &rule.becomes), ("was", &rule.was)] {
                let texts = wanted.get(column).map(texts_of).unwrap_or_default();
                let setting = format!("say[{place}].{side}.{column}");
                named.extend(texts.into_iter().map(|value| (setting.clone(), value)));
            }
        }
        let known: Vec<&str> = labels.iter().map(String::as_str).collect();
        for (setting, value) in named.into_iter().filter(|(_, value)| !known.contains(value)) {
            let hint = hint(value, &known);
            let what = format!("the column is never \"{value}\"{hint}");
            problems.push(Finding::new(format!("watch.{name}.{setting}"), what));
        }
    }
    problems
}

/// The texts that a condition names: one, or those of a list.
fn texts_of(wanted: &Value) -> Vec<&str> {
    match wanted {
        Value::String(text) => vec![text],
        Value::Array(any) => any.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A column that a channel of the watch needs and the recipient query does not give.
async fn missing_address(
    client: &deadpool_postgres::Client,
    compiled: &CompiledWatch,
) -> Result<Option<String>, tokio_postgres::Error> {
    let given = proof::recipient_columns(client, &compiled.table, &compiled.config).await?;
    let routes = std::iter::once(&compiled.routes.own).chain(&compiled.routes.fallbacks);
    let mut needed = routes.filter_map(|route| match route.address {
        RecipientAddress::Phone => Some((&route.channel, "phone")),
        RecipientAddress::Email => Some((&route.channel, "email")),
        RecipientAddress::Any => None,
    });
    let missing = needed.find(|(_, column)| !given.iter().any(|given| given == column));
    Ok(missing.map(|(channel, column)| {
        let given = given.join(", ");
        format!("expected a column {column}, which channel {channel} writes to, found {given}")
    }))
}
