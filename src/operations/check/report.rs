//! What a check found: what is wrong, and what is worth a look.

/// What a check found, as sentences that name the setting and what to do.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Something would not work.
    pub problems: Vec<String>,
    /// It works, and may not be what is meant.
    pub warnings: Vec<String>,
    /// What could not be looked at.
    pub unseen: Vec<String>,
}

impl CheckReport {
    pub fn add(&mut self, more: CheckReport) {
        self.problems.extend(more.problems);
        self.warnings.extend(more.warnings);
        self.unseen.extend(more.unseen);
    }

    /// Something about a setting of a watch that is wrong.
    pub fn problem(&mut self, watch: &str, setting: &str, what: impl std::fmt::Display) {
        self.problems.push(of_setting(watch, setting, what));
    }

    /// The same, of something that may be meant.
    pub fn warning(&mut self, watch: &str, setting: &str, what: impl std::fmt::Display) {
        self.warnings.push(of_setting(watch, setting, what));
    }
}

fn of_setting(watch: &str, setting: &str, what: impl std::fmt::Display) -> String {
    match setting {
        "" => format!("watch.{watch}: {what}"),
        setting => format!("watch.{watch}.{setting}: {what}"),
    }
}
