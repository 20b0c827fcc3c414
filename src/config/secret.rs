//! Secrets are read from files.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// Why a secret cannot be read. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("could not read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is empty")]
    Empty { path: String },
}

/// The file that a secret is in: a relative path is looked for among the credentials of systemd
/// first.
pub fn secret_path(path: &Path) -> PathBuf {
    if let (true, Some(folder)) = (path.is_relative(), std::env::var_os("CREDENTIALS_DIRECTORY")) {
        let credential = Path::new(&folder).join(path);
        if credential.exists() {
            return credential;
        }
    }
    path.to_owned()
}

/// The same for a file that a configuration names: a path that is no credential is relative to its folder.
pub fn path_in(folder: &Path, path: &Path) -> PathBuf {
    let found = secret_path(path);
    if found.is_relative() { folder.join(found) } else { found }
}

/// Reads a secret; white space around it does not count.
pub fn secret(path: &Path) -> Result<SecretString, SecretError> {
    let path = secret_path(path);
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .map_err(|source| SecretError::Read { path: shown.clone(), source })?;
    match text.trim() {
        "" => Err(SecretError::Empty { path: shown }),
        secret => Ok(SecretString::from(secret.to_owned())),
    }
}
