//! Why a command failed, and with which exit code it ends.

use crate::app::AppError;
use crate::config::load::LoadError;
use crate::postgres::connection::pool::DatabaseError;
use crate::telemetry::TelemetryError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Settings that are wrong beyond what `config` sees.
    #[error("{}", .0.join("\nrowbell: "))]
    Settings(Vec<String>),
    /// What is wrong was said already.
    #[error("")]
    Said,
    /// The same, of what works and may not be meant.
    #[error("")]
    Warned,
    /// How it stands was said already, and this is what a monitoring system reads.
    #[error("")]
    Verdict(u8),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl CliError {
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Config(_) | CliError::Settings(_) | CliError::Telemetry(_) => 78,
            CliError::App(AppError::Pool(_)) | CliError::Database(_) => 69,
            CliError::App(error) if error.is_configuration() => 78,
            CliError::Warned => 3,
            CliError::Verdict(code) => *code,
            CliError::Said | CliError::App(_) | CliError::Other(_) => 1,
        }
    }
}
