//! Secrets are read from files.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
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
    #[error("{0}")]
    Exposed(Exposure),
}

/// A file of a secret that somebody else than the daemon can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} can read \"{path}\" (mode {mode:04o}); expected a file that only its owner and a group of the daemon's own can \
     read: {}",
    .reader, self.mend()
)]
pub struct Exposure {
    pub path: String,
    pub mode: u32,
    pub reader: Stranger,
}

/// Who is meant to read no secret, and can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    #[error("every user of this machine")]
    Everybody,
    #[error("the group {0}, which the daemon is not in,")]
    Group(u32),
}

impl Exposure {
    /// What a shell runs to end it.
    pub fn mend(&self) -> String {
        let who = match self.reader {
            Stranger::Everybody => "o=",
            Stranger::Group(_) => "g=",
        };
        format!("chmod {who} {}", self.path)
    }
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

/// Who else can read the file of a secret: everybody, or a group that is none of ours. What systemd hands over is for
/// the daemon alone. What root gives to a group is meant so; and root itself, who checks a configuration by hand, does
/// not know which groups the daemon is in.
pub fn exposure(path: &Path) -> Option<Exposure> {
    let shown = secret_path(path);
    let path = shown.canonicalize().ok()?;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let credentials = credentials.and_then(|folder| Path::new(&folder).canonicalize().ok());
    if credentials.is_some_and(|folder| path.starts_with(folder)) {
        return None;
    }
    let file = path.metadata().ok().filter(Metadata::is_file)?;
    let folders: Vec<Metadata> =
        path.ancestors().skip(1).filter_map(|folder| folder.metadata().ok()).collect();
    let may_enter = |folder: &Metadata, group: Option<u32>| {
        folder.mode() & 0o001 != 0 || group == Some(folder.gid()) && folder.mode() & 0o010 != 0
    };
    let reach = |group| folders.iter().all(|folder| may_enter(folder, group));
    let reader = if file.mode() & 0o004 != 0 && reach(None) {
        Stranger::Everybody
    } else if file.mode() & 0o040 != 0 && is_strange_group(&file) && reach(Some(file.gid())) {
        Stranger::Group(file.gid())
    } else {
        return None;
    };
    let path = shown.display().to_string();
    Some(Exposure { path, mode: file.mode() & 0o7777, reader })
}

fn is_strange_group(file: &Metadata) -> bool {
    use rustix::process::{getegid, geteuid, getgroups};
    let is_ours = || {
        let others = getgroups().unwrap_or_default();
        others.iter().chain([&getegid()]).any(|group| group.as_raw() == file.gid())
    };
    file.uid() != 0 && !geteuid().is_root() && !is_ours()
}

/// Refuses a secret that others know.
pub fn refuse_exposed(path: &Path) -> Result<(), SecretError> {
    exposure(path).map_or(Ok(()), |exposure| Err(SecretError::Exposed(exposure)))
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
    refuse_exposed(path)?;
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
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let file = std::env::temp_dir().join(format!("rowbell-key-{}", std::process::id()));
        write(&file, "").unwrap();
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
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
    fn a_secret_that_can_be_guessed_or_that_all_can_read_is_refused() {
        let folder = std::env::temp_dir().join(format!("rowbell-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("secret");
        write(&file, "").unwrap();
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
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
            let found = exposure(&file);
            assert_eq!(found.is_some(), is_open, "{mode:o}");
            assert_eq!(secret(&file).is_err(), is_open, "{mode:o}");
            if let Some(found) = found {
                let file = file.display();
                assert_eq!(
                    found.to_string(),
                    format!(
                        "every user of this machine can read \"{file}\" (mode 0644); expected a file that only its \
                         owner and a group of the daemon's own can read: chmod o= {file}"
                    )
                );
            }
        }
        set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
        assert_eq!(exposure(&file), None, "nobody else gets as far as the file");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
