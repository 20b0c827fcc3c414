//! Layers of configuration, and every mistake in them at once.
//!
//! First the embedded default, then the file, then `watch.d/*.toml` beside it in the order of their
//! names, then `ROWBELL__SECTION__KEY` variables. What a later layer says replaces what an earlier
//! one said, key by key.

use std::fmt;
use std::path::{Path, PathBuf};

use config::{ConfigError, Environment, File, FileFormat, Value, ValueKind};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::{Config, check};

/// The documented default, and the first layer.
pub const DEFAULT: &str = include_str!("default.toml");

/// Where the configuration is unless something else is said.
pub const DEFAULT_PATH: &str = "/etc/rowbell/rowbell.toml";

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// File, and line where it is known; the name of the variable for one from the environment.
    pub origin: Option<String>,
    /// `watch.home_delivery.colums`
    pub key: String,
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}: {}", self.key, self.what)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no configuration file {0}; write one, or name another with --config")]
    NoFile(String),
    #[error("the configuration cannot be read: {0}")]
    Unreadable(String),
    #[error("the configuration has {} mistake(s):\n{}", .0.len(), lines(.0))]
    Mistakes(Vec<Mistake>),
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes
        .iter()
        .map(|mistake| format!("  {mistake}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Why a secret cannot be read. Never holds it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("could not read {path}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} is empty")]
    Empty { path: String },
}

/// Reads the configuration from a file and the environment.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    if !path.exists() {
        return Err(LoadError::NoFile(path.display().to_string()));
    }
    let mut builder = config::Config::builder()
        .add_source(File::from_str(DEFAULT, FileFormat::Toml))
        .add_source(File::from(path).format(FileFormat::Toml));
    for fragment in fragments(path) {
        builder = builder.add_source(File::from(fragment).format(FileFormat::Toml));
    }
    let environment = Environment::with_prefix("ROWBELL")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true);
    let built = builder
        .add_source(environment)
        .build()
        .map_err(|error| LoadError::Unreadable(error.to_string()))?;
    finish(built)
}

/// The settings in force as TOML, passwords in URLs blanked.
pub fn show(path: &Path) -> Result<String, LoadError> {
    let config = load(path)?;
    Ok(format!("{config:#?}\n"))
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
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

fn finish(built: config::Config) -> Result<Config, LoadError> {
    let (parsed, mut mistakes) = read_all::<Config>(built.cache);
    if let Some(config) = &parsed {
        mistakes.extend(check::mistakes(config));
    }
    match parsed {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(LoadError::Mistakes(mistakes)),
    }
}

/// Deserializes; on a mistake takes the key at fault out and tries again, so that all mistakes are
/// found at once. The value is there when what is left is complete.
fn read_all<T: DeserializeOwned>(mut tree: Value) -> (Option<T>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(tree.clone()) {
            Ok(parsed) => return (Some(parsed), mistakes),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let inner = error.into_inner();
        let (key, what) = describe(&path, &inner);
        let origin = origin(&tree, &key);
        mistakes.push(Mistake {
            origin,
            key: key.clone(),
            what,
        });
        if mistakes.len() >= 50 || !remove(&mut tree, &key) {
            return (None, mistakes);
        }
    }
}

/// Key and words of an error of serde, with the nearest known key.
fn describe(path: &str, error: &ConfigError) -> (String, String) {
    let text = match error {
        ConfigError::At { error, .. } => error.to_string(),
        other => other.to_string(),
    };
    let path = if path == "." { "" } else { path };
    let join = |field: &str| {
        if path.is_empty() {
            field.to_owned()
        } else {
            format!("{path}.{field}")
        }
    };
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let field = rest.split('`').next().unwrap_or_default();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        // serde_path_to_error already names the field in some cases.
        let key = if path.ends_with(field) {
            path.to_owned()
        } else {
            join(field)
        };
        return (
            key,
            format!("there is no such setting{}", nearest(field, &known)),
        );
    }
    if let Some(rest) = text
        .strip_prefix("missing field `")
        .or_else(|| text.strip_prefix("missing configuration field \""))
    {
        let field = rest.split(['`', '"']).next().unwrap_or_default();
        let field = field.rsplit('.').next().unwrap_or(field);
        return (
            join(field),
            "is missing, and there is no default for it".to_owned(),
        );
    }
    (
        path.to_owned(),
        text.split(" for key ").next().unwrap_or(&text).to_owned(),
    )
}

/// "; did you mean …?", or the list of what there is.
pub fn nearest(wanted: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, wanted), *name))
        .min()
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2));
    match near {
        Some((_, name)) => format!("; did you mean \"{name}\"?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are {}", known.join(", ")),
    }
}

fn walk<'a>(tree: &'a Value, key: &str) -> Option<&'a Value> {
    let mut here = tree;
    for part in parts(key) {
        here = match &here.kind {
            ValueKind::Table(table) => table.get(part)?,
            ValueKind::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(here)
}

/// `a.b[0].c` as a, b, 0, c.
fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.split(['.', '[', ']']).filter(|part| !part.is_empty())
}

fn origin(tree: &Value, key: &str) -> Option<String> {
    let value = walk(tree, key)?;
    let file = value.origin()?.to_owned();
    let line = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| line_of(&text, key));
    Some(line.map_or(file.clone(), |line| format!("{file}:{line}")))
}

/// The line on which a key stands.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document: toml_edit::Document<&str> = toml_edit::Document::parse(text).ok()?;
    let mut item = document.as_item();
    let mut at = None;
    for part in parts(key) {
        if let Some(index) = part.parse::<usize>().ok().filter(|_| !item.is_table_like()) {
            let of_tables = item
                .as_array_of_tables()
                .and_then(|tables| tables.get(index));
            if let Some(table) = of_tables {
                at = table.span().or(at);
                let rest = key.rsplit(']').next()?.trim_start_matches('.');
                let (found, _) = table.get_key_value(rest)?;
                at = found.span().or(at);
                break;
            }
            return at.map(|span: std::ops::Range<usize>| line_at(text, span.start));
        }
        let (found, value) = item.as_table_like()?.get_key_value(part)?;
        at = found.span().or(at);
        item = value;
    }
    at.map(|span| line_at(text, span.start))
}

fn line_at(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

fn remove(tree: &mut Value, key: &str) -> bool {
    let parts: Vec<&str> = parts(key).collect();
    let Some((last, above)) = parts.split_last() else {
        return false;
    };
    let mut here = tree;
    for part in above {
        let next = match &mut here.kind {
            ValueKind::Table(table) => table.get_mut(*part),
            ValueKind::Array(items) => part.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return false,
        }
    }
    match &mut here.kind {
        ValueKind::Table(table) => table.remove(*last).is_some(),
        ValueKind::Array(items) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// The file that a secret is in: a relative path is looked for among the credentials of systemd
/// first.
pub fn secret_path(path: &Path) -> PathBuf {
    if let (true, Some(folder)) = (
        path.is_relative(),
        std::env::var_os("CREDENTIALS_DIRECTORY"),
    ) {
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
    let text = std::fs::read_to_string(&path).map_err(|source| SecretError::Read {
        path: shown.clone(),
        source,
    })?;
    match text.trim() {
        "" => Err(SecretError::Empty { path: shown }),
        secret => Ok(SecretString::from(secret.to_owned())),
    }
}
