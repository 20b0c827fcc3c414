//! Layers of configuration, and every mistake in them at once.
//!
//! First the embedded default, then the file, then `watch.d/*.toml` beside it in the order of their
//! names, then `ROWBELL__SECTION__KEY` variables. What a later layer says replaces what an earlier
//! one said, key by key.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Value};
use secrecy::SecretString;

use crate::config::reading::{not_toml, origin, read_all, without_echoes};
use crate::config::{Config, check};

/// The documented default, and the first layer.
pub const DEFAULT: &str = include_str!("default.toml");

/// Where the configuration is unless something else is said.
pub const DEFAULT_PATH: &str = "/etc/rowbell/rowbell.toml";

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// File, and line where it is known; the name of the variable for one from the environment.
    pub origin: Option<String>,
    /// `watch.home_delivery.colums`; empty where a file is no TOML at all.
    pub key: String,
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "there is no configuration file {0}; `rowbell init` writes a first one, --config names another"
    )]
    NoFile(String),
    #[error("the configuration {0} is not a file; --config names another")]
    NotAFile(String),
    #[error("the configuration cannot be read: {0}")]
    Unreadable(String),
    #[error("the configuration has {}:\n{}", counted(.0.len(), "mistake", "mistakes"), lines(.0))]
    Mistakes(Vec<Mistake>),
}

/// A number with its noun.
pub fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn lines(mistakes: &[Mistake]) -> String {
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
pub(crate) fn tree(path: &Path) -> Result<(Value, Config), LoadError> {
    if !path.is_file() {
        let shown = path.display().to_string();
        return Err(if path.exists() { LoadError::NotAFile } else { LoadError::NoFile }(shown));
    }
    let files: Vec<PathBuf> = std::iter::once(path.to_owned()).chain(fragments(path)).collect();
    let broken: Vec<Mistake> = files.iter().filter_map(|file| not_toml(file)).collect();
    if !broken.is_empty() {
        return Err(LoadError::Mistakes(broken));
    }
    let mut builder =
        config::Config::builder().add_source(File::from_str(DEFAULT, FileFormat::Toml));
    for file in files {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    let environment = Environment::with_prefix("ROWBELL")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true);
    let built = builder
        .add_source(environment)
        .build()
        .map_err(|error| LoadError::Unreadable(error.to_string()))?;
    let tree = built.cache.clone();
    Ok((tree, finish(built)?))
}

/// Reads the configuration from a text, as tests and the demo do.
pub fn from_text(text: &str) -> Result<Config, LoadError> {
    let built = config::Config::builder()
        .add_source(File::from_str(DEFAULT, FileFormat::Toml))
        .add_source(File::from_str(text, FileFormat::Toml))
        .build()
        .map_err(|error| LoadError::Unreadable(error.to_string()))?;
    finish(built)
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

fn finish(built: config::Config) -> Result<Config, LoadError> {
    let tree = built.cache;
    let (parsed, mistakes) = read_all::<Config>(tree.clone(), &defaults()?);
    let mut mistakes = without_echoes(mistakes);
    if let Some(config) = &parsed {
        mistakes.extend(check::mistakes(config));
    }
    for mistake in &mut mistakes {
        mistake.origin = origin(&tree, &mistake.key);
    }
    mistakes.sort_by_cached_key(|mistake| {
        let place = mistake.origin.clone().unwrap_or_default();
        let (file, line) = place.rsplit_once(':').unwrap_or((&place, ""));
        (file.to_owned(), line.parse::<usize>().unwrap_or(0), mistake.key.clone())
    });
    match parsed {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(LoadError::Mistakes(mistakes)),
    }
}

/// The first layer alone.
fn defaults() -> Result<Value, LoadError> {
    config::Config::builder()
        .add_source(File::from_str(DEFAULT, FileFormat::Toml))
        .build()
        .map(|built| built.cache)
        .map_err(|error| LoadError::Unreadable(error.to_string()))
}

/// "; did you mean …?", or the list of what there is.
pub fn nearest(wanted: &str, known: &[&str]) -> String {
    // Of two that are as near, the one that shares more letters: "colums" is rather columns than column.
    let unlike = |name: &str| 1.0 - strsim::jaro(name, wanted);
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, wanted), *name))
        .min_by(|a, b| a.0.cmp(&b.0).then(unlike(a.1).total_cmp(&unlike(b.1))))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2));
    match near {
        Some((_, name)) => format!("; did you mean \"{name}\"?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are {}", known.join(", ")),
    }
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
