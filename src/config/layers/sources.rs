//! What the settings are read from: texts of TOML and variables. The crate config lays them over each
//! other; it keeps neither lines nor the names of variables, so a setting's place is looked up in the
//! sources when somebody asks for it.

use std::ops::Range;
use std::path::Path;

use ::config::{ConfigError, Environment, File, FileFormat};
use toml_edit::{Document, Item, Key, TomlError};

use crate::config::layers::tree::{Table, Value, ValueKind};
use crate::finding::{Finding, Place};

/// What variables that are settings begin with, in any case; `__` stands between the parts of a key.
const PREFIX: &str = "ROWBELL";
const SEPARATOR: &str = "__";

/// The sources in the order in which a later one replaces what an earlier one says.
#[derive(Default)]
pub struct Sources {
    texts: Vec<Text>,
    variables: Vec<(String, String)>,
}

struct Text {
    /// A text that is not from a file has none.
    file: Option<String>,
    toml: String,
}

impl Sources {
    pub fn of_text(toml: &str) -> Sources {
        Sources { texts: vec![Text { file: None, toml: toml.to_owned() }], variables: Vec::new() }
    }

    pub fn add_file(&mut self, path: &Path) -> Result<(), Finding> {
        let file = path.display().to_string();
        let toml = std::fs::read_to_string(path).map_err(|error| {
            let what = match error.kind() {
                std::io::ErrorKind::InvalidData => "this is not TOML: not UTF-8 text".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Finding {
                place: Some(Place { source: file.clone(), line: None }),
                ..Finding::new("", what)
            }
        })?;
        self.texts.push(Text { file: Some(file), toml });
        Ok(())
    }

    /// The crate would show the value of a variable that is no UTF-8, and there may be a password in it.
    pub fn add_variables(&mut self) -> Result<(), Finding> {
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            let Some(key) = key_of_variable(&name) else { continue };
            let value = value.into_string().map_err(|_| Finding {
                place: Some(Place { source: name.clone(), line: None }),
                ..Finding::new(key, "expected UTF-8 text")
            })?;
            self.variables.push((name, value));
        }
        Ok(())
    }

    /// What the sources say together.
    pub fn read(&self) -> Result<Value, Vec<Finding>> {
        let mut layers = ::config::Config::builder();
        for text in &self.texts {
            layers = layers.add_source(File::from_str(&text.toml, FileFormat::Toml));
        }
        let variables = Environment::with_prefix(PREFIX)
            .separator(SEPARATOR)
            .source(Some(self.variables.iter().cloned().collect()));
        let built = layers.add_source(variables).build();
        built.map(|built| built.cache).map_err(|error| self.mistakes(&error))
    }

    /// The mistakes of every text that is no TOML; the crate reports the first only, without its line.
    fn mistakes(&self, error: &ConfigError) -> Vec<Finding> {
        let broken = self.texts.iter().filter_map(|text| {
            let error = text.parse().err()?;
            let what = format!("this is not TOML: {}", error.message().replace('\n', "; "));
            let place = text.place(error.span().unwrap_or_default());
            Some(Finding { place, ..Finding::new("", what) })
        });
        match broken.collect::<Vec<_>>() {
            none if none.is_empty() => vec![Finding::new("", error.to_string())],
            broken => broken,
        }
    }

    /// Where a setting is made, by its key as `tree::key_of` writes it; None: it is as by default. What
    /// is missing is missing where its section is.
    pub fn nearest_place(&self, key: &str) -> Option<Place> {
        self.deepest(key).1
    }

    /// The same for a setting that is there; None: it is as by default.
    pub fn place(&self, key: &str) -> Option<Place> {
        Some(self.deepest(key)).filter(|(left, _)| *left == 0)?.1
    }

    /// The place that is nearest to a key, with how much of the key is left there.
    fn deepest(&self, key: &str) -> (usize, Option<Place>) {
        let variables = self.variables.iter().filter_map(|(name, _)| {
            let left = key.len() - shared(key, &key_of_variable(name)?)?;
            Some((left, Some(Place { source: name.clone(), line: None })))
        });
        let texts = self.texts.iter().rev().filter_map(|text| {
            let document = text.parse().ok()?;
            let (left, span) = span_of(document.as_item(), None, key);
            Some((left, span.and_then(|span| text.place(span))))
        });
        // Of two that are as near, the first: the later source.
        let nearest = variables.chain(texts).min_by_key(|(left, _)| *left);
        nearest.unwrap_or((key.len(), None))
    }
}

impl Text {
    fn parse(&self) -> Result<Document<&str>, TomlError> {
        Document::parse(self.toml.as_str())
    }

    fn place(&self, span: Range<usize>) -> Option<Place> {
        let before = self.toml.as_bytes().iter().take(span.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Some(Place { source: self.file.clone()?, line: Some(line) })
    }
}

fn key_of_variable(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let key = name.strip_prefix(&PREFIX.to_lowercase())?.strip_prefix(SEPARATOR)?;
    Some(key.replace(SEPARATOR, "."))
}

/// How much of a key leads to what a variable makes: it makes its setting and every section above.
fn shared(key: &str, made: &str) -> Option<usize> {
    let ends = key.match_indices(['.', '[']).map(|(end, _)| end).chain([key.len()]);
    ends.filter(|end| {
        let rest = made.strip_prefix(&key[..*end]);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
    .max()
}

/// The span of the deepest setting that leads to a key, with how much of the key is left there.
fn span_of(item: &Item, here: Option<Range<usize>>, key: &str) -> (usize, Option<Range<usize>>) {
    let below = match item.as_table_like() {
        // A name may hold a dot: of two that fit, the longer is meant.
        Some(table) => table
            .iter()
            .filter_map(|(name, item)| {
                let rest = key.strip_prefix(name)?;
                let is_whole = rest.is_empty() || rest.starts_with(['.', '[']);
                is_whole.then(|| (item, table.key(name).and_then(Key::span), rest))
            })
            .min_by_key(|(.., rest)| rest.len()),
        None => key.strip_prefix('[').and_then(|key| {
            let (index, rest) = key.split_once(']')?;
            let item = item.get(index.parse::<usize>().ok()?)?;
            Some((item, item.span(), rest))
        }),
    };
    match below {
        Some((item, span, rest)) => {
            span_of(item, span.or(here), rest.strip_prefix('.').unwrap_or(rest))
        }
        None => (key.len(), here),
    }
}

/// Settings of a text of ours.
pub fn parse(toml: &str) -> Result<Table, Vec<Finding>> {
    Ok(match Sources::of_text(toml).read()?.kind {
        ValueKind::Table(table) => table,
        _ => Table::new(),
    })
}

/// One tree over another.
pub fn overlay(below: Value, above: Value) -> Result<Value, Vec<Finding>> {
    let layer = |tree: Value| {
        let mut layer = ::config::Config::default();
        layer.cache = tree;
        layer
    };
    let layers = ::config::Config::builder().add_source(layer(below)).add_source(layer(above));
    layers.build().map(|built| built.cache).map_err(|e| vec![Finding::new("", e.to_string())])
}
