//! Layers of configuration, and every mistake in them at once.
//!
//! First the embedded default, then the file, then `watch.d/*.toml` beside it in the order of their
//! names, then `ROWBELL__SECTION__KEY` variables. What a later layer says replaces what an earlier
//! one said, key by key.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::config::reading::read_all;
use crate::config::tree::{self, Setting, Table, Value};
use crate::config::{Config, channel, check, watch};
use crate::finding::Finding;

/// The documented default, and the first layer.
pub const DEFAULT: &str = include_str!("default.toml");

/// Where the configuration is unless something else is said.
pub const DEFAULT_PATH: &str = "/etc/rowbell/rowbell.toml";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "there is no configuration file {0}; `rowbell init` writes a first one, --config names another"
    )]
    NoFile(String),
    #[error("the configuration {0} is not a file; --config names another")]
    NotAFile(String),
    #[error("the configuration has {}:\n{}", counted(.0.len(), "mistake", "mistakes"), lines(.0))]
    Mistakes(Vec<Finding>),
}

/// A number with its noun.
pub fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn lines(mistakes: &[Finding]) -> String {
    mistakes.iter().map(|mistake| format!("  {mistake}")).collect::<Vec<_>>().join("\n")
}

/// Why a secret cannot be read. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("could not read {path}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is empty")]
    Empty { path: String },
}

/// Reads the configuration from a file and the environment.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    tree(path).map(|(_, config)| config)
}

/// The same, together with what stands where.
pub(crate) fn tree(path: &Path) -> Result<(Setting, Config), LoadError> {
    if !path.is_file() {
        let shown = path.display().to_string();
        return Err(if path.exists() { LoadError::NotAFile } else { LoadError::NoFile }(shown));
    }
    let files = std::iter::once(path.to_owned()).chain(fragments(path));
    let layers = files.map(|file| tree::file(&file)).chain(std::iter::once(tree::environment()));
    let mut written = Setting::from(Value::Table(Table::new()));
    let mut broken = Vec::new();
    for layer in layers {
        match layer {
            Ok(layer) => written.overlay(layer),
            Err(mistake) => broken.push(mistake),
        }
    }
    if broken.is_empty() { finish(written) } else { Err(LoadError::Mistakes(broken)) }
}

/// Reads the configuration from a text, as tests and the demo do.
pub fn from_text(text: &str) -> Result<Config, LoadError> {
    finish(parsed(text)?).map(|(_, config)| config)
}

fn parsed(text: &str) -> Result<Setting, LoadError> {
    tree::parse(text, None).map_err(|mistake| LoadError::Mistakes(vec![mistake]))
}

/// The fragments beside a configuration file, in the order of their names.
pub fn fragments(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(folder.join("watch.d")) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

fn finish(written: Setting) -> Result<(Setting, Config), LoadError> {
    let defaults = defaults(&written)?;
    let mut tree = defaults.clone();
    tree.overlay(written);
    let (config, mut mistakes) = read_all::<Config>(tree.clone(), &defaults);
    if let Some(config) = &config {
        mistakes.extend(check::mistakes(config));
    }
    for mistake in &mut mistakes {
        mistake.place = tree.place_of(&mistake.key).cloned();
    }
    mistakes.sort();
    match config {
        Some(config) if mistakes.is_empty() => Ok((tree, config)),
        _ => Err(LoadError::Mistakes(mistakes)),
    }
}

/// The first layer, with what the channels and watches that there are leave to their defaults.
fn defaults(written: &Setting) -> Result<Setting, LoadError> {
    let of_providers = parsed(channel::DEFAULTS)?;
    let of_watches = parsed(watch::DEFAULTS)?;
    let named = |section: &str| written.get(section).and_then(Setting::table).into_iter().flatten();
    let channels = named("channel").filter_map(|(name, channel)| {
        Some((name.clone(), channel::defaults_of(channel, of_providers.table()?)?))
    });
    let watches = named("watch").map(|(name, _)| (name.clone(), of_watches.clone()));
    let mut defaults = parsed(DEFAULT)?;
    defaults.overlay(
        Value::Table(Table::from([
            ("channel".to_owned(), Value::Table(channels.collect()).into()),
            ("watch".to_owned(), Value::Table(watches.collect()).into()),
        ]))
        .into(),
    );
    Ok(defaults)
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
