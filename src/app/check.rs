//! What `rowbell check` looks at beyond the settings themselves: the words, and every watch against
//! its table, with a sample row put into words.

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::row::Row;
use crate::domain::summary::Phrasing;
use crate::pipeline::route;
use crate::pipeline::site::Watching;
use crate::postgres::{capture, migrate};
use crate::provider::client::{Client, ClientError};

use super::preview::preview;

/// Templates that do not compile. Columns are not known yet, so unknown names pass.
pub fn offline(config: &Config) -> Vec<String> {
    let mut problems: Vec<String> = config
        .channel
        .iter()
        .filter_map(|(name, channel)| {
            // Whether secrets can be read is a question of who asks.
            let error = Client::new(channel, config).err()?;
            let is_setting = matches!(error, ClientError::Letter(_) | ClientError::Setting { .. });
            is_setting.then(|| format!("channel.{name}.{error}"))
        })
        .collect();
    for (name, watch) in &config.watch {
        let Some(template) = config.template.get(&watch.template) else {
            continue;
        };
        let source = route::source(config, watch, template, &[]);
        let Err(found) = Phrasing::compile(&source) else {
            continue;
        };
        let syntax = found.into_iter().filter(|problem| !problem.why.starts_with("there is no \""));
        problems.extend(syntax.map(|problem| {
            let place = &problem.place;
            let owner = if place.starts_with("body") {
                format!("template.{}", watch.template)
            } else {
                format!("watch.{name}")
            };
            format!("{owner}.{place}: {}", problem.why)
        }));
    }
    problems
}

/// Every watch against its table: columns, query, words of a sample row, trigger.
pub async fn online(client: &mut deadpool_postgres::Client, config: &Config) -> Vec<String> {
    if let Err(error) = migrate::check_version(client).await {
        return vec![error.to_string()];
    }
    let mut problems = Vec::new();
    for name in config.watch.keys() {
        match Watching::look_up(client, config, name).await {
            Err(why) => problems.push(why),
            Ok(watching) => problems.extend(watch_problems(client, config, &watching).await),
        }
    }
    problems
}

async fn watch_problems(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    watching: &Watching,
) -> Vec<String> {
    let name = &watching.name;
    let mut problems = match capture::drift(client, &watching.table, &watching.config).await {
        Ok(drift) => drift.into_iter().map(|what| format!("watch.{name}: {what}")).collect(),
        Err(error) => vec![format!("watch.{name}: {error}")],
    };
    match sample_key(client, watching).await {
        Err(error) => {
            problems.push(format!("watch.{name}: a sample row could not be read: {error}"))
        }
        Ok(None) => {}
        Ok(Some(key)) => {
            if let Err(error) =
                preview(client, config, &Clock::system(), name, &key, &Row::new()).await
            {
                let error = anyhow::Error::from(error);
                problems.push(format!(
                    "watch.{name}: a sample row could not be put into words: {error:#}"
                ));
            }
        }
    }
    problems
}

/// The key of some row.
async fn sample_key(
    client: &deadpool_postgres::Client,
    watching: &Watching,
) -> Result<Option<String>, tokio_postgres::Error> {
    use crate::domain::change::entity_key;
    use tokio_postgres::types::Json;
    let query = format!("select to_jsonb(t) from {} as t limit 1", watching.table.table);
    let row = client.query_opt(&query, &[]).await?;
    let row: Option<Json<Row>> = row.map(|row| row.try_get(0)).transpose()?;
    Ok(row.and_then(|Json(row)| entity_key(&row, &watching.table.key)))
}
