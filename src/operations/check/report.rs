//! What a check found: what is wrong, what is worth a look, and what could not be looked at.

use crate::config::load::Places;
use crate::finding::{Finding, Severity};

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Each names its setting, and says what to do.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unseen: Vec<String>,
}

impl CheckReport {
    pub fn add(&mut self, more: CheckReport) {
        self.findings.extend(more.findings);
        self.unseen.extend(more.unseen);
    }

    /// Says where the settings stand that are at fault.
    pub fn place(&mut self, places: &Places) {
        for finding in self.findings.iter_mut().filter(|finding| !finding.key.is_empty()) {
            finding.place = finding.place.take().or_else(|| places.of(&finding.key));
        }
    }

    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Something about a setting of a watch that is wrong.
    pub fn problem(&mut self, watch: &str, setting: &str, what: impl std::fmt::Display) {
        self.push(Finding::new(of_watch(watch, setting), what.to_string()));
    }

    /// The same, of something that may be meant.
    pub fn warning(&mut self, watch: &str, setting: &str, what: impl std::fmt::Display) {
        self.push(Finding::warning(of_watch(watch, setting), what.to_string()));
    }

    /// Something would not work: as sentences, each once.
    pub fn problems(&self) -> Vec<String> {
        self.of(Severity::Error)
    }

    /// It works, and may not be what is meant: as sentences, each once.
    pub fn warnings(&self) -> Vec<String> {
        self.of(Severity::Warning)
    }

    fn of(&self, severity: Severity) -> Vec<String> {
        let mut said = Vec::new();
        for finding in self.findings.iter().filter(|finding| finding.severity == severity) {
            let sentence = finding.to_string();
            if !said.contains(&sentence) {
                said.push(sentence);
            }
        }
        said
    }
}

/// The whole name of a setting of a watch.
fn of_watch(watch: &str, setting: &str) -> String {
    match setting {
        "" => format!("watch.{watch}"),
        setting => format!("watch.{watch}.{setting}"),
    }
}
