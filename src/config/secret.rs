//! Secrets are read from files.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

/// Why a secret cannot be read. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("could not read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is empty")]
    Empty { path: String },
    #[error(
        "{path} is too easy to guess, or no part of a URL: expected at least {LEAST} letters, digits, - or _, and \
         {DIFFERENT} different ones; make one with `openssl rand -hex 16`"
    )]
    Weak { path: String },
    #[error(
        "{path} holds no key that signs: expected whsec_ and the base64 of 24 to 64 random bytes; make one with \
         `echo whsec_$(openssl rand -base64 32)`"
    )]
    NoKey { path: String },
}

/// How a key that signs begins, and how many bytes it has: see https://www.standardwebhooks.com.
const KEY_PREFIX: &str = "whsec_";
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Characters of a secret in a URL, and different ones among them: whoever guesses it can post receipts and opt-outs.
const LEAST: usize = 8;
const DIFFERENT: usize = 5;

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

/// Whether every user of this machine can read the file.
pub fn is_open_to_all(path: &Path) -> bool {
    let may = |path: &Path, bit: u32| {
        path.metadata().is_ok_and(|known| known.permissions().mode() & bit != 0)
    };
    let Ok(path) = secret_path(path).canonicalize() else {
        return false;
    };
    may(&path, 0o004) && path.ancestors().skip(1).all(|folder| may(folder, 0o001))
}

/// Reads the secret of the webhook, the end of its path.
pub fn webhook_secret(path: &Path) -> Result<SecretString, SecretError> {
    let secret = secret(path)?;
    let text = secret.expose_secret();
    let different: HashSet<char> = text.chars().collect();
    let is_part = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c));
    if text.len() < LEAST || different.len() < DIFFERENT || !is_part {
        return Err(SecretError::Weak { path: secret_path(path).display().to_string() });
    }
    Ok(secret)
}

/// Reads a token of the page. Whoever guesses it can log in, so it is as strong as the secret of the webhook.
pub fn page_token(path: &Path) -> Result<SecretString, SecretError> {
    webhook_secret(path)
}

/// Reads a key that signs outgoing webhooks. Its prefix may be left out.
pub fn signing_key(path: &Path) -> Result<SecretSlice<u8>, SecretError> {
    let secret = secret(path)?;
    let text = secret.expose_secret();
    let key = BASE64_STANDARD.decode(text.strip_prefix(KEY_PREFIX).unwrap_or(text)).ok();
    let key = key.filter(|key| KEY_LENGTHS.contains(&key.len()));
    key.map(SecretSlice::from)
        .ok_or_else(|| SecretError::NoKey { path: secret_path(path).display().to_string() })
}

/// The file of a secret that a configuration names: a path that is no credential is relative to its folder.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let file = std::env::temp_dir().join(format!("rowbell-key-{}", std::process::id()));
        for wrong in ["whsec_", "whsec_short", "sandbox-token", "whsec_AAAAAAAA"] {
            write(&file, wrong).unwrap();
            let why = signing_key(&file).err().unwrap().to_string();
            assert!(
                why.contains("openssl rand") && (wrong == "whsec_" || !why.contains(wrong)),
                "{why}"
            );
        }
        for key in ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n"]
        {
            write(&file, key).unwrap();
            assert!(signing_key(&file).is_ok());
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused_and_one_that_all_can_read_is_known() {
        let folder = std::env::temp_dir().join(format!("rowbell-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("secret");
        for weak in
            ["abc", "aaaaaaaaaaaa", "12121212", "with a space", "a/b/c/d/e/f/g", "pass?word1"]
        {
            write(&file, weak).unwrap();
            let why = webhook_secret(&file).err().unwrap().to_string();
            assert!(why.contains("openssl rand -hex 16") && !why.contains(weak), "{why}");
        }
        write(&file, "3f1c88e0a4\n").unwrap();
        assert!(webhook_secret(&file).is_ok());
        for (mode, is_open) in [(0o644, true), (0o640, false), (0o400, false)] {
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_all(&file), is_open, "{mode:o}");
        }
        set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
        assert!(!is_open_to_all(&file), "nobody else gets as far as the file");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
