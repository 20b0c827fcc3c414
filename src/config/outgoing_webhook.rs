//! Endpoints of the application to which outcomes are posted.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use strum::VariantArray as _;

use crate::domain::outcome::{OutcomeState, PersonalField};

/// `[outgoing_webhook.X]`: one endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutgoingWebhook {
    pub url: String,
    /// File with the key that signs: `whsec_` and base64.
    pub secret_file: PathBuf,
    /// File with the key before it, which signs as well while the endpoint goes over to the new one.
    pub previous_secret_file: Option<PathBuf>,
    /// What is told.
    #[serde(default = "all")]
    pub states: Vec<OutcomeState>,
    /// Of which watches; empty: of all.
    #[serde(default)]
    pub watches: Vec<String>,
    /// What of a person is told besides.
    #[serde(default)]
    pub include: Vec<PersonalField>,
    /// One request with its answer.
    #[serde(default = "fifteen_seconds")]
    pub timeout: Duration,
    /// Requests at once.
    #[serde(default = "eight")]
    pub concurrency: usize,
    /// How long after an outcome it is tried to deliver it.
    #[serde(default = "a_week")]
    pub give_up_after: Duration,
}

impl OutgoingWebhook {
    /// The files of its keys, the one that counts first.
    pub fn secret_files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let previous = self.previous_secret_file.iter().map(|file| ("previous_secret_file", file));
        std::iter::once(("secret_file", &self.secret_file)).chain(previous)
    }

    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        std::iter::once(&mut self.secret_file).chain(&mut self.previous_secret_file)
    }
}

fn all() -> Vec<OutcomeState> {
    OutcomeState::VARIANTS.to_vec()
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

fn eight() -> usize {
    8
}

fn a_week() -> Duration {
    Duration::from_secs(7 * 86_400)
}
