//! Whether the database can be reached at all: over each of its hosts, and for the doorbell.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::config::Config;
use crate::error_chain::chain;
use crate::finding::{Finding, Severity};
use crate::operations::check::report::CheckReport;
use crate::postgres::connection::dial::DialError;
use crate::postgres::connection::session::SessionError;
use crate::postgres::connection::{pool, session};

pub const KEY: &str = "database.url";

/// Tries every host of the URL. Where one of several works, the others are for the day on which it does not.
pub async fn hosts(config: &Config, report: &mut CheckReport) {
    let dial = match pool::dial(&config.database) {
        Ok(dial) => dial,
        Err(error) => return report.push(Finding::new(KEY, chain(&error))),
    };
    let tried = dial.try_each().await;
    let has_one = tried.iter().any(|(_, error)| error.is_none());
    for (host, error) in &tried {
        let Some(error) = error else { continue };
        let severity = if has_one { Severity::Warning } else { Severity::Error };
        let what = format!("{host} does not take us: {}", chain(error));
        report.push(mended(Finding { severity, ..Finding::new(KEY, what) }, error));
    }
}

/// With what helps against an error of connecting.
fn mended(finding: Finding, error: &Error) -> Finding {
    if let Some(DialError::SharedSession) = DialError::of(error) {
        let what = "; write pool_mode = session for this database in pgbouncer.ini, or a direct connection in database.url";
        return Finding { what: finding.what + what, ..finding };
    }
    if let Some(DialError::SessionNotReset) = DialError::of(error) {
        let what = "; take server_reset_query out of pgbouncer.ini (DISCARD ALL is its default), or write a direct connection into database.url";
        return Finding { what: finding.what + what, ..finding };
    }
    match error.code() {
        Some(&SqlState::TOO_MANY_CONNECTIONS) => finding
            .sql("select pid, usename, application_name, state, state_change from pg_stat_activity order by state_change"),
        None if matches!(DialError::of(error), Some(DialError::Unreachable { .. })) => {
            finding.shell("pg_lsclusters")
        }
        _ => finding,
    }
}

/// Whether a session hears a ring of its own, as the daemon's has to.
pub async fn hearing(config: &Config, report: &mut CheckReport) {
    if let Err(error) = session::prove_once(&config.database).await {
        let way = match error {
            SessionError::Deaf => "; give database.url a direct connection to the server",
            _ => "",
        };
        let what = format!(
            "no ring is heard, so that the daemon looks by itself instead of being woken: {}{way}",
            chain(&error)
        );
        report.push(Finding::warning("doorbell", what));
    }
}
