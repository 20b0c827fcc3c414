//! `[capture]`: what triggers do.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureSettings {
    pub on_full: OnFull,
}

/// What becomes of a change of the business where there is no room to write it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// Its statement fails.
    #[default]
    Fail,
    /// Its statement goes through, and nobody is told.
    Drop,
}
