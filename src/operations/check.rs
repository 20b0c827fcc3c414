//! What `rowbell check` looks at beyond the settings themselves: the words, and every watch against
//! its table, with a sample row put into words.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Clock;
use crate::config::{Config, RecipientAddress};
use crate::domain::text::summary::Phrasing;
use crate::domain::value::row::Row;
use crate::error_chain::chain;
use crate::finding::hint;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::route;
use crate::postgres::capture::{install, proof, table};
use crate::postgres::schema::migrate;
use crate::provider::client::ProviderClient;
use crate::provider::client_error::ClientError;

use crate::operations::preview::preview;

/// Templates that do not compile. Columns are not known yet, so unknown names pass.
pub fn offline(config: &Config) -> Vec<String> {
    let mut problems: Vec<String> = config
        .channel
        .iter()
        .filter_map(|(name, channel)| {
            // Whether secrets can be read is a question of who asks.
            let error = ProviderClient::new(channel, config).err()?;
            let is_setting =
                matches!(error, ClientError::MessageBody(_) | ClientError::Setting { .. });
            is_setting.then(|| format!("channel.{name}.{error}"))
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
        let named =
            found.into_iter().map(|problem| route::in_words(&problem, name, &watch.template));
        // A mistake in a template is one mistake, however many watches use it.
        let new = named.filter(|problem| !problems.contains(problem)).collect::<Vec<_>>();
        problems.extend(new);
    }
    problems
}

/// Every watch against its table: columns, query, words of a sample row, trigger.
pub async fn online(client: &mut deadpool_postgres::Client, config: &Config) -> Vec<String> {
    if let Err(error) = migrate::check_version(client).await {
        return vec![chain(&error)];
    }
    let mut problems = Vec::new();
    for name in config.watch.keys() {
        match CompiledWatch::look_up(client, config, name).await {
            Err(why) => problems.push(why),
            Ok(compiled) => problems.extend(watch_problems(client, config, &compiled).await),
        }
    }
    problems
}

async fn watch_problems(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    compiled: &CompiledWatch,
) -> Vec<String> {
    let name = &compiled.name;
    let mut problems = match install::drift(client, &compiled.table, &compiled.config).await {
        Ok(drift) => drift.into_iter().map(|what| format!("watch.{name}: {what}")).collect(),
        Err(error) => vec![format!("watch.{name}: {}", chain(&error))],
    };
    problems.extend(unused_names(compiled));
    match table::codes(client, &compiled.table).await {
        Ok(codes) => problems.extend(unused_values(compiled, &codes)),
        Err(error) => problems.push(format!("watch.{name}: {}", chain(&error))),
    }
    match compiled.faults(client).await {
        Ok(faults) if faults.is_empty() => {}
        Ok(faults) => {
            problems.extend(faults.iter().map(|fault| fault.of_watch(name)));
            return problems;
        }
        Err(error) => {
            problems.push(format!("watch.{name}: {}", chain(&error)));
            return problems;
        }
    }
    match missing_address(client, compiled).await {
        Ok(None) => {}
        Ok(Some(problem)) => problems.push(format!("watch.{name}.recipient: {problem}")),
        Err(error) => problems.push(format!("watch.{name}.recipient: {}", chain(&error))),
    }
    match sample_key(client, compiled).await {
        Err(error) => {
            problems
                .push(format!("watch.{name}: a sample row could not be read: {}", chain(&error)));
        }
        Ok(None) => {}
        Ok(Some(key)) => {
            if let Err(error) =
                preview(client, config, &Clock::system(), name, &key, &Row::new()).await
            {
                let why = chain(&error);
                problems
                    .push(format!("watch.{name}: a sample row could not be put into words: {why}"));
            }
        }
    }
    problems
}

/// Names of columns and values that name nothing: they would be passed over in silence.
fn unused_names(compiled: &CompiledWatch) -> Vec<String> {
    let (name, table, settings) = (&compiled.name, &compiled.table, &compiled.config);
    let labels = settings.label.keys().map(|column| ("label", column));
    let values = settings.value.keys().map(|column| ("value", column));
    labels
        .chain(values)
        .filter(|(_, column)| table.column(table.base_of(column)).is_none())
        .map(|(setting, column)| {
            let hint = hint(column, &table.column_names());
            format!("watch.{name}.{setting}.{column}: {} has no such column{hint}", table.table)
        })
        .collect()
}

/// Values that an enum column never has: their names and rules would be passed over in silence.
fn unused_values(compiled: &CompiledWatch, codes: &BTreeMap<String, Vec<String>>) -> Vec<String> {
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
            problems.push(format!("watch.{name}.{setting}: the column is never \"{value}\"{hint}"));
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

/// The key of some row.
async fn sample_key(
    client: &deadpool_postgres::Client,
    compiled: &CompiledWatch,
) -> Result<Option<String>, tokio_postgres::Error> {
    use crate::domain::value::change::entity_key;
    use tokio_postgres::types::Json;
    let query = format!("select to_jsonb(t) from {} as t limit 1", compiled.table.table);
    let row = client.query_opt(&query, &[]).await?;
    let row: Option<Json<Row>> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(row.and_then(|Json(row)| entity_key(&row, &compiled.table.key)))
}
