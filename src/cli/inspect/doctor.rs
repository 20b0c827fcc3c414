//! `rowbell doctor`: everything that is wrong with a site, how bad it is, and what mends it. Changes nothing.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::inspect::status;
use crate::cli::text::{count, terminal_width, wrapped};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::load::{self, Secrets};
use crate::error_chain::chain;
use crate::finding::{Finding, Mend, Severity};
use crate::operations::check::report::CheckReport;
use crate::operations::doctor::{self, measure};
use crate::postgres::connection::identity;
use crate::postgres::connection::pool::Client;
use crate::postgres::inspection::doctor::Limits;
use crate::postgres::operations::status_report;
use crate::postgres::schema::migrate;

/// Where the texts begin.
const INDENT: usize = 9;

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Measure too what the triggers cost a writer, on a copy of some rows that goes at once.
    #[arg(long)]
    measure: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &DoctorArgs, path: &Path) -> Result<(), CliError> {
    let (config, places) = load::load_with_places(path, Secrets::NotNeeded)?;
    let config = &config;
    let clock = Clock::system();
    let (mut report, client) = doctor::examine(config, &clock, &Limits::default()).await;
    let mut measured = Vec::new();
    if let Some(mut client) = client {
        add_status(&client, config, &clock, &mut report).await;
        if args.measure {
            measured = measure::measured(&mut client, config, &mut report).await;
        }
    }
    report.place(&places);
    let report = sorted(report);
    match args.json {
        true => println!("{:#}", as_json(&report, &measured)),
        false => print!("{}", as_text(&report, &measured, path, terminal_width())),
    }
    match report.findings.iter().map(|found| found.severity).max() {
        Some(Severity::Error) => Err(CliError::FAILED),
        Some(Severity::Warning) => Err(CliError::WARNED),
        Some(Severity::Note) | None => Ok(()),
    }
}

/// All that is found on a site whose database can be reached.
pub async fn examined(config: &Config, limits: &Limits) -> CheckReport {
    let clock = Clock::system();
    let (mut report, client) = doctor::examine(config, &clock, limits).await;
    if let Some(client) = client {
        add_status(&client, config, &clock, &mut report).await;
    }
    sorted(report)
}

/// What `status` would say, as far as it is not said yet.
async fn add_status(client: &Client, config: &Config, clock: &Clock, report: &mut CheckReport) {
    if migrate::check_version(client).await.is_err() {
        return;
    }
    let asked_at = clock.steady();
    let seen = async {
        let told = identity::server_time(client).await?;
        clock.follow(asked_at, told);
        let mut status = status_report::status(client, config, clock.now()).await?;
        status.clock_ahead_seconds = clock.host().duration_since(clock.now()).as_secs_f64();
        Ok::<_, tokio_postgres::Error>(status)
    };
    match seen.await {
        Ok(status) => {
            for found in status::findings(&status) {
                let is_known = |known: &Finding| !known.mend.is_empty() && known.mend == found.mend;
                if !report.findings.iter().any(is_known) {
                    report.push(found);
                }
            }
        }
        Err(error) => {
            report.unseen.push(format!("what `rowbell status` shows ({})", chain(&error)))
        }
    }
}

/// The worst first; each once.
fn sorted(mut report: CheckReport) -> CheckReport {
    report.findings.sort_by_key(|found| std::cmp::Reverse(found.severity));
    let mut said = Vec::new();
    report.findings.retain(|found| {
        let is_new = !said.contains(found);
        said.push(found.clone());
        is_new
    });
    report
}

fn as_json(report: &CheckReport, measured: &[String]) -> serde_json::Value {
    json!({
        "is_good": report.findings.is_empty(),
        "findings": report.findings,
        "unseen": report.unseen,
        "measured": measured,
    })
}

/// The findings with what mends them, as it is typed; then how many there are.
pub fn as_text(
    report: &CheckReport,
    measured: &[String],
    path: &Path,
    width: Option<usize>,
) -> String {
    let mut text = String::new();
    for found in &report.findings {
        let severity: &str = found.severity.into_str();
        let line = format!("{severity:<INDENT$}{found}");
        let line = width.map_or(line.clone(), |width| wrapped(&line, width, INDENT));
        let _ = writeln!(text, "{line}");
        for mend in &found.mend {
            let _ = writeln!(text, "{:INDENT$}{}", "", typed(mend, path));
        }
    }
    if !report.findings.is_empty() {
        text.push('\n');
    }
    for line in measured {
        let _ = writeln!(text, "{line}");
    }
    text += &summary(&report.findings);
    if !report.unseen.is_empty() {
        let _ = write!(text, "; not looked at: {}", report.unseen.join(", "));
    }
    text + "\n"
}

/// A command as it is typed: at the prompt of psql, or of a shell.
fn typed(mend: &Mend, path: &Path) -> String {
    match mend {
        Mend::Sql(statement) => format!("psql> {};", statement.trim_end_matches(';')),
        Mend::Shell(line) => format!("$ {line}"),
        Mend::Rowbell(arguments) if path == Path::new(load::DEFAULT_PATH) => {
            format!("$ rowbell {arguments}")
        }
        Mend::Rowbell(arguments) => format!("$ rowbell --config {} {arguments}", path.display()),
    }
}

fn summary(findings: &[Finding]) -> String {
    let of = |severity| findings.iter().filter(|found| found.severity == severity).count() as i64;
    let counted = [
        (of(Severity::Error), "error"),
        (of(Severity::Warning), "warning"),
        (of(Severity::Note), "note"),
    ];
    let said: Vec<String> = counted
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, one)| count(*number, one))
        .collect();
    match said.is_empty() {
        true => "nothing found".to_owned(),
        false => said.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_with_what_mends_them_and_the_worst_comes_first() {
        let mut report = CheckReport::default();
        report.push(
            Finding::note("watch orders", "watch orders is paused").rowbell("resume watch orders"),
        );
        report.push(
            Finding::warning("channel.main.token_file", "every user of this machine can read it")
                .shell("chmod o= /etc/rowbell/1msg.token"),
        );
        report.push(
            Finding::new("watch.orders", "its trigger on public.orders is disabled")
                .sql("alter table public.orders enable trigger rowbell_capture_orders"),
        );
        report.unseen.push("templates of channel main at the provider".to_owned());
        let report = sorted(report);
        insta::assert_snapshot!(as_text(&report, &[], Path::new("/etc/rowbell/rowbell.toml"), None), @r"
        error    watch.orders: its trigger on public.orders is disabled
                 psql> alter table public.orders enable trigger rowbell_capture_orders;
        warning  channel.main.token_file: every user of this machine can read it
                 $ chmod o= /etc/rowbell/1msg.token
        note     watch orders: watch orders is paused
                 $ rowbell resume watch orders

        1 error, 1 warning, 1 note; not looked at: templates of channel main at the provider
        ");
        let elsewhere = as_text(&report, &[], Path::new("shop.toml"), None);
        assert!(
            elsewhere.contains("$ rowbell --config shop.toml resume watch orders"),
            "{elsewhere}"
        );
        let nothing = as_text(&CheckReport::default(), &[], Path::new("shop.toml"), None);
        assert_eq!(nothing, "nothing found\n");
    }
}
