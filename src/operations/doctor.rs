//! What `rowbell doctor` looks at: the whole site, from the connection to the clock of the provider. What `check`
//! finds it finds too; it adds what only a running server, a provider and real rows can tell. Changes nothing.

pub mod connection;
pub mod endpoints;
pub mod measure;
pub mod provider;
pub mod recipients;
pub mod server;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::check::check_secrets;
use crate::error_chain::chain;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::operations::{check, check_webhook, templates};
use crate::postgres::capture::install;
use crate::postgres::connection::pool::{self, Client};
use crate::postgres::inspection::doctor::{self, Limits};
use crate::postgres::schema::{migrate, roles};

/// Looks at everything. The connection is handed back for what the caller wants to add; None: there is none.
pub async fn examine(
    config: &Config,
    clock: &Clock,
    limits: &Limits,
) -> (CheckReport, Option<Client>) {
    let mut report = CheckReport::default();
    report.findings.extend(check::offline(config));
    report.findings.extend(check_secrets::weak_secret(config));
    report.findings.extend(check_secrets::unusable_keys(config));
    report.findings.extend(check_secrets::open_secrets(config));
    connection::hosts(config, &mut report).await;
    let client = match connected(config).await {
        Ok(mut client) => {
            database(&mut client, config, limits, &mut report).await;
            Some(client)
        }
        Err(finding) => {
            // Each host was tried, and why it does not take us stands there already.
            if report.findings.iter().all(|found| found.key != finding.key) {
                report.push(finding);
            }
            report.unseen.push("the database and everything in it".to_owned());
            None
        }
    };
    report.add(templates::compare(config).await);
    report.findings.extend(check_webhook::warnings(config).await);
    endpoints::look(config, &mut report).await;
    provider::look(config, clock, client.is_some(), &mut report).await;
    (report, client)
}

async fn connected(config: &Config) -> Result<Client, Finding> {
    let connected = async { pool::get(&pool::connect(&config.database)?).await };
    connected.await.map_err(|error| Finding::new(connection::KEY, chain(&error)))
}

async fn database(client: &mut Client, config: &Config, limits: &Limits, report: &mut CheckReport) {
    connection::hearing(config, report).await;
    match doctor::server(client).await {
        Ok(facts) => report.findings.extend(server::findings(&facts, config)),
        Err(error) => unasked(report, "the server", &error),
    }
    report.add(check::online(client, config).await);
    if migrate::check_version(client).await.is_err() {
        return;
    }
    let sessions = i32::try_from(config.database.pool_size).unwrap_or(i32::MAX).saturating_add(1);
    for statement in roles::missing(client).await.unwrap_or_default() {
        let what =
            format!("a role of rowbell is missing, and what it may do with it ({statement})");
        report.push(Finding::warning("roles", what).rowbell("migrate"));
    }
    let watched = watched(client, config).await;
    let (found, unanswered) = doctor::findings(client, &watched, sessions, limits).await;
    report.findings.extend(found);
    unanswered.iter().for_each(|(about, error)| unasked(report, about, error));
    recipients::look(client, config, limits, report).await;
}

/// The watched tables that are there.
async fn watched(client: &Client, config: &Config) -> Vec<u32> {
    let mut found = Vec::new();
    for (name, watch) in &config.watch {
        let Some(template) = config.template.get(&watch.template) else { continue };
        if let Ok(table) = install::describe(client, name, watch, template).await {
            found.extend(table.parts.iter().map(|part| part.oid));
        }
    }
    found
}

fn unasked(report: &mut CheckReport, about: &str, error: &(dyn std::error::Error + 'static)) {
    report.unseen.push(format!("{about} ({})", chain(error)));
}
