//! What is wrong with the server and the connection to it.

use std::path::Path;

use crate::config::Config;
use crate::config::server_address::server_address::{ServerAddress, ServerProof};
use crate::finding::{Finding, Severity};
use crate::postgres::inspection::doctor::ServerFacts;

/// The first minor of each release in which `LISTEN` works again after an old listener kept the log of transactions:
/// before them it may fail with "could not access status of transaction".
const LISTEN_WORKS: [(i32, i32); 6] = [(13, 23), (14, 20), (15, 15), (16, 11), (17, 7), (18, 1)];

/// The oldest release that we know to work.
const OLDEST: i32 = 13;

const GIB: u64 = 1 << 30;

pub fn findings(facts: &ServerFacts, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(version(facts.version));
    if facts.encoding != "UTF8" {
        let what =
            format!("is in {}, which cannot hold every name; rowbell needs UTF8", facts.encoding);
        found.push(Finding::new("database", what));
    }
    found.extend(secured(facts, is_proven(config)));
    if let Some(folder) = facts.data_folder.as_deref().filter(|_| facts.is_here) {
        found.extend(disk(folder));
    }
    found
}

fn version(number: i32) -> Option<Finding> {
    let (major, minor) = (number / 10_000, number % 10_000);
    if major < OLDEST {
        let what = format!("is PostgreSQL {major}; rowbell works with {OLDEST} and later");
        return Some(Finding::new("server", what));
    }
    let (_, good) = LISTEN_WORKS.into_iter().find(|(release, _)| *release == major)?;
    (minor < good).then(|| {
        let what = format!(
            "is PostgreSQL {major}.{minor}, in which LISTEN may fail (could not access status of transaction) until the \
             server is restarted; {major}.{good} has it mended"
        );
        Finding::warning("server", what)
            .shell(format!("apt-get install --only-upgrade postgresql-{major}"))
    })
}

/// Whether the server has to prove who it is.
fn is_proven(config: &Config) -> bool {
    let address = ServerAddress::of(&config.database.url);
    config.database.ca_file.is_some()
        || address.is_ok_and(|address| address.proof != ServerProof::None)
}

fn secured(facts: &ServerFacts, is_verified: bool) -> Option<Finding> {
    match (facts.is_here, facts.is_secured, is_verified) {
        (true, ..) | (false, true, true) => None,
        (false, false, _) => Some(Finding::warning(
            "database.url",
            "the connection is not encrypted, and what it carries can be read on the way; add sslmode=require, and \
             database.ca_file, with which the server has to prove who it is",
        )),
        (false, true, false) => Some(Finding::note(
            "database.ca_file",
            "is not set: the connection is encrypted, and nobody proves that it leads to the right server",
        )),
    }
}

/// Room where the server keeps its data; None where nobody may look.
fn disk(folder: &str) -> Option<Finding> {
    let room = rustix::fs::statvfs(Path::new(folder)).ok()?;
    low(folder, room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize)
}

fn low(folder: &str, free: u64, all: u64) -> Option<Finding> {
    let severity = match (free < GIB / 2, free < 5 * GIB && free < all / 10) {
        (true, _) => Severity::Error,
        (false, true) => Severity::Warning,
        (false, false) => return None,
    };
    let what = format!(
        "has {} MB left on the disk of {folder}; once it is full, every write of the business fails",
        free >> 20
    );
    let found = Finding { severity, ..Finding::new("disk", what) };
    Some(found.shell(format!("du -xh --max-depth=2 {folder} | sort -h | tail")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(found: Option<Finding>) -> String {
        found.map_or_else(String::new, |found| found.severity.into_str().to_owned())
    }

    #[test]
    fn minors_in_which_listen_fails_are_named() {
        for (number, severity) in [
            (120_020, "error"),
            (130_022, "warning"),
            (130_023, ""),
            (150_014, "warning"),
            (150_018, ""),
            (180_000, "warning"),
            (180_001, ""),
            (190_000, ""),
        ] {
            assert_eq!(told(version(number)), severity, "{number}");
        }
    }

    #[test]
    fn a_disk_that_fills_is_said_before_it_is_full() {
        for (free, all, severity) in [
            (400 << 20, 20 * GIB, "error"),
            (GIB, 20 * GIB, "warning"),
            (GIB, 5 * GIB, ""),
            (6 * GIB, 1_000 * GIB, ""),
            (300 << 20, GIB, "error"),
        ] {
            assert_eq!(told(low("/var/lib/postgresql", free, all)), severity, "{free} of {all}");
        }
    }

    #[test]
    fn what_goes_over_a_network_is_encrypted_and_proven() {
        let facts = |is_here, is_secured| ServerFacts {
            version: 180_004,
            encoding: "UTF8".to_owned(),
            is_secured,
            data_folder: None,
            is_here,
        };
        for (is_here, is_secured, is_verified, severity) in [
            (true, false, false, ""),
            (false, false, false, "warning"),
            (false, true, false, "note"),
            (false, true, true, ""),
        ] {
            assert_eq!(told(secured(&facts(is_here, is_secured), is_verified)), severity);
        }
    }
}
