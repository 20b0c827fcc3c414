//! Why the client of a channel cannot be made, and the secrets that it is made of.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::config::secret::{self, SecretError};
use crate::provider::message_body::MessageBodyError;
use crate::provider::onemsg::client::OneMsgClientError;
use crate::provider::transport::TransportError;

/// Why a channel cannot be used at all. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{setting}")]
    Secret { setting: String, source: SecretError },
    #[error(transparent)]
    OneMsg(#[from] OneMsgClientError),
    #[error(transparent)]
    MessageBody(#[from] MessageBodyError),
    #[error("{setting}: {why}")]
    Setting { setting: String, why: String },
    #[error("{setting}: could not read \"{}\"", path.display())]
    File { setting: String, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A secret of the channel.
pub fn secret(setting: &str, path: &Path) -> Result<SecretString, ClientError> {
    secret::secret(path)
        .map_err(|source| ClientError::Secret { setting: setting.to_owned(), source })
}
