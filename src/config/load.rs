//! Layers of configuration, and every mistake in them at once.
//!
//! First the embedded default, then the file, then `watch.d/*.toml` beside it in the order of their
//! names, then `ROWBELL__SECTION__KEY` variables. What a later layer says replaces what an earlier
//! one said, key by key.

use std::path::{Path, PathBuf};

use crate::config::check::{check, check_secrets};
use crate::config::layers::reading::read_all;
use crate::config::layers::sources::{self, Sources};
use crate::config::layers::tree::{self, Table, Value};
use crate::config::secret::path_in;
use crate::config::units::counted;
use crate::config::{Config, channel, watch};
use crate::finding::{Finding, Place};

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

fn lines(mistakes: &[Finding]) -> String {
    mistakes.iter().map(|mistake| format!("  {mistake}")).collect::<Vec<_>>().join("\n")
}

/// Whether the secrets that the settings name must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Needed,
    NotNeeded,
}

/// Reads the configuration from a file and the environment.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    tree(path, Secrets::Needed).map(|(.., config)| config)
}

/// The same for who sends nothing: the secrets may be out of reach.
pub fn load_without_secrets(path: &Path) -> Result<Config, LoadError> {
    tree(path, Secrets::NotNeeded).map(|(.., config)| config)
}

/// Where settings stand.
pub struct Places(Sources);

impl Places {
    /// Where a setting is made, or what is nearest to it; None: in no file.
    pub fn of(&self, key: &str) -> Option<Place> {
        self.0.nearest_place(key)
    }
}

/// The same, together with where the settings stand.
pub fn load_with_places(path: &Path, secrets: Secrets) -> Result<(Config, Places), LoadError> {
    tree(path, secrets).map(|(sources, _, config)| (config, Places(sources)))
}

/// The same, together with its settings and what they were read from.
pub(crate) fn tree(path: &Path, secrets: Secrets) -> Result<(Sources, Value, Config), LoadError> {
    if !path.is_file() {
        let shown = path.display().to_string();
        return Err(if path.exists() { LoadError::NotAFile } else { LoadError::NoFile }(shown));
    }
    let mut sources = Sources::default();
    let files = std::iter::once(path.to_owned()).chain(fragments(path));
    let mut unread: Vec<Finding> = files.filter_map(|file| sources.add_file(&file).err()).collect();
    unread.extend(sources.add_variables().err());
    match sources.read() {
        Ok(written) if unread.is_empty() => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let (tree, config) = finish(&sources, written, folder, secrets)?;
            Ok((sources, tree, config))
        }
        Ok(_) => Err(LoadError::Mistakes(unread)),
        Err(broken) => Err(LoadError::Mistakes([unread, broken].concat())),
    }
}

/// Reads the configuration from a text, as tests and the demo do.
pub fn from_text(text: &str) -> Result<Config, LoadError> {
    let sources = Sources::of_text(text);
    let written = sources.read().map_err(LoadError::Mistakes)?;
    finish(&sources, written, Path::new(""), Secrets::Needed).map(|(_, config)| config)
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

fn finish(
    sources: &Sources,
    written: Value,
    folder: &Path,
    secrets: Secrets,
) -> Result<(Value, Config), LoadError> {
    let defaults = defaults(&written).map_err(LoadError::Mistakes)?;
    let tree = sources::overlay(defaults.clone(), written).map_err(LoadError::Mistakes)?;
    let (mut config, mut mistakes) =
        read_all::<Config>(tree.clone(), &defaults, channel::provider_with);
    if let Some(config) = &mut config {
        for watch in config.watch.values_mut() {
            watch.on_full = config.capture.on_full;
        }
        for file in config.files_mut() {
            *file = path_in(folder, file);
        }
        config.database.notes_outcomes = config.notes_outcomes();
        mistakes.extend(check::mistakes(config));
        if secrets == Secrets::Needed {
            mistakes.extend(check::missing_secrets(config));
            mistakes.extend(check_secrets::open_secrets(config));
            let file = sources.nearest_place("database.url").map(|url| PathBuf::from(url.source));
            mistakes.extend(file.and_then(|file| check_secrets::open_password(config, &file)));
        }
    }
    for mistake in &mut mistakes {
        mistake.place = sources.nearest_place(&mistake.key);
    }
    mistakes.sort();
    match config {
        Some(config) if mistakes.is_empty() => Ok((tree, config)),
        _ => Err(LoadError::Mistakes(mistakes)),
    }
}

/// The first layer, with what the channels and watches that there are leave to their defaults.
fn defaults(written: &Value) -> Result<Value, Vec<Finding>> {
    let of_providers = sources::parse(channel::DEFAULTS)?;
    let of_watches = Value::from(sources::parse(watch::DEFAULTS)?);
    let named = |section: &str| {
        let section = tree::table(written).and_then(|written| written.get(section));
        section.and_then(tree::table).into_iter().flatten()
    };
    let channels: Table = named("channel")
        .filter_map(|(name, channel)| {
            Some((name.clone(), channel::defaults_of(channel, &of_providers)?))
        })
        .collect();
    let watches: Table =
        named("watch").map(|(name, _)| (name.clone(), of_watches.clone())).collect();
    let sections = [("channel", channels), ("watch", watches)];
    let sections: Table =
        sections.map(|(name, table)| (name.to_owned(), Value::from(table))).into();
    sources::overlay(Value::from(sources::parse(DEFAULT)?), Value::from(sections))
}
