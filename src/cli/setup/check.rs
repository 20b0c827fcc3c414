//! `rowbell check`: the whole configuration, and with a database in reach every watch against its
//! table, and every template against what the provider lists. Changes nothing.

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::cli::error::CliError;
use crate::config::check::check_secrets;
use crate::config::load::{self, Secrets};
use crate::config::units::counted;
use crate::error_chain::chain;
use crate::finding::{Finding, Mend};
use crate::operations::check::report::CheckReport;
use crate::operations::{check as app_check, check_webhook, templates};
use crate::postgres::connection::pool;

/// What is not looked at without the database, and without the provider.
const TABLES: &str = "tables, recipient queries and triggers in the database";
const TEMPLATES: &str = "templates at the provider";

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Ask neither the database nor the provider.
    #[arg(long)]
    offline: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &CheckArgs, path: &Path) -> Result<(), CliError> {
    let (config, places) = load::load_with_places(path, Secrets::Needed)?;
    let (mut report, mut no_database) = (CheckReport::default(), None);
    report.findings = app_check::offline(&config);
    if !report.findings.is_empty() && !args.json {
        report.place(&places);
        return Err(CliError::Settings(report.problems()));
    }
    report.findings.extend(check_secrets::weak_secret(&config));
    report.findings.extend(check_secrets::unusable_keys(&config));
    if args.offline {
        report.unseen = [TABLES, TEMPLATES].map(str::to_owned).to_vec();
    } else {
        let pool = pool::connect(&config.database)?;
        match pool::get(&pool).await {
            Ok(mut client) => report.add(app_check::online(&mut client, &config).await),
            Err(error) if error.is_refusal() => report.push(Finding::new("", chain(&error))),
            Err(error) => {
                report.unseen.push(TABLES.to_owned());
                no_database = Some(error);
            }
        }
        report.add(templates::compare(&config).await);
        report.findings.extend(check_webhook::warnings(&config).await);
    }
    if let Some(only_to) = config.only_to() {
        let what = format!(
            "ONLY TO: messages leave for {} of installation.only_to; everybody else is skipped",
            counted(only_to.len(), "recipient", "recipients")
        );
        report.push(Finding::warning("", what));
    }
    report.place(&places);
    let (problems, warnings) = (report.problems(), report.warnings());
    let CheckReport { findings, unseen } = report;
    if args.json {
        let is_good = problems.is_empty();
        println!("{:#}", json!({"is_good": is_good, "findings": findings, "unseen": unseen}));
        return if is_good { Ok(()) } else { Err(CliError::FAILED) };
    }
    for warning in &warnings {
        println!("warning: {warning}");
    }
    let statements = findings.iter().flat_map(|found| &found.mend);
    let statements = statements.filter_map(|mend| match mend {
        Mend::Sql(statement) => Some(format!("{statement};")),
        Mend::Rowbell(_) | Mend::Shell(_) => None,
    });
    statements.for_each(|statement| println!("{statement}"));
    for problem in &problems {
        eprintln!("rowbell: {problem}");
    }
    if !problems.is_empty() {
        return Err(CliError::FAILED);
    }
    println!(
        "the {} good: {}, {}, {}{}{}",
        if unseen.is_empty() { "configuration is" } else { "settings are" },
        counted(config.watch.len(), "watch", "watches"),
        counted(config.channel.len(), "channel", "channels"),
        counted(config.template.len(), "template", "templates"),
        match warnings.len() {
            0 => String::new(),
            number => format!("; {} above", counted(number, "warning", "warnings")),
        },
        match unseen.is_empty() {
            true => String::new(),
            false => format!("; not looked at: {}", unseen.join(", ")),
        }
    );
    no_database.map_or(Ok(()), |error| Err(error.into()))
}
