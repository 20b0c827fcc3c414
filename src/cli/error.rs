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
    /// What there is to say was said already; the exit code.
    #[error("")]
    Said(u8),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl CliError {
    /// Something is wrong, and was said already.
    pub const FAILED: CliError = CliError::Said(1);

    /// What works may not be meant, and that was said already.
    pub const WARNED: CliError = CliError::Said(3);

    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Config(_) | CliError::Settings(_) | CliError::Telemetry(_) => 78,
            CliError::App(AppError::Pool(_)) | CliError::Database(_) => 69,
            CliError::App(error) if error.is_configuration() => 78,
            CliError::Said(code) => *code,
            CliError::App(_) | CliError::Other(_) => 1,
        }
    }
}
