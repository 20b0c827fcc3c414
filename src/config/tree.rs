//! Layers of settings as one tree, in which every setting knows where it was made.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use toml_edit::{Document, Item, TableLike};

use crate::finding::{Finding, Place};

/// What variables that are settings begin with, in any case; `__` stands between the parts of a key.
const PREFIX: &str = "rowbell__";

pub type Table = BTreeMap<String, Setting>;

/// A setting, and where it was made; None: it is as by default.
#[derive(Clone, Debug)]
pub struct Setting {
    pub value: Value,
    pub place: Option<Place>,
}

#[derive(Clone, Debug)]
pub enum Value {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Setting>),
    Table(Table),
}

/// One step from a setting to one in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathSegment {
    Key(String),
    Index(usize),
}

/// `a.b[0].c`
pub fn key_of(path: &[PathSegment]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            PathSegment::Key(name) if text.is_empty() => text.push_str(name),
            PathSegment::Key(name) => text.extend([".", name]),
            PathSegment::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

impl From<Value> for Setting {
    fn from(value: Value) -> Setting {
        Setting { value, place: None }
    }
}

impl Setting {
    /// What a later layer says replaces what an earlier one said, key by key.
    pub fn overlay(&mut self, later: Setting) {
        match (&mut self.value, later.value) {
            (Value::Table(mine), Value::Table(theirs)) => {
                for (name, setting) in theirs {
                    match mine.entry(name) {
                        Entry::Occupied(mut known) => known.get_mut().overlay(setting),
                        Entry::Vacant(new) => _ = new.insert(setting),
                    }
                }
                self.place = later.place.or(self.place.take());
            }
            (mine, theirs) => {
                *mine = theirs;
                self.place = later.place;
            }
        }
    }

    pub fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.table()?.get(name)
    }

    pub fn at(&self, path: &[PathSegment]) -> Option<&Setting> {
        path.iter().try_fold(self, |here, step| match (&here.value, step) {
            (Value::Table(table), PathSegment::Key(name)) => table.get(name),
            (Value::List(items), PathSegment::Index(index)) => items.get(*index),
            _ => None,
        })
    }

    fn at_mut(&mut self, path: &[PathSegment]) -> Option<&mut Setting> {
        path.iter().try_fold(self, |here, step| match (&mut here.value, step) {
            (Value::Table(table), PathSegment::Key(name)) => table.get_mut(name),
            (Value::List(items), PathSegment::Index(index)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// Puts a setting in its place, or takes it away; false: it has no place.
    pub fn set(&mut self, path: &[PathSegment], setting: Option<Setting>) -> bool {
        let Some((last, above)) = path.split_last() else { return false };
        match (self.at_mut(above).map(|above| &mut above.value), last, setting) {
            (Some(Value::Table(table)), PathSegment::Key(name), Some(setting)) => {
                table.insert(name.clone(), setting);
                true
            }
            (Some(Value::Table(table)), PathSegment::Key(name), None) => {
                table.remove(name).is_some()
            }
            (Some(Value::List(items)), PathSegment::Index(index), _) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        }
    }

    /// Where a setting stands, by its key as `key_of` writes it. What is missing is missing where its
    /// section stands.
    pub fn place_of(&self, key: &str) -> Option<&Place> {
        let below = match &self.value {
            // A name may hold a dot: of two that fit, the longer is meant.
            Value::Table(table) => table.iter().rev().find_map(|(name, setting)| {
                let rest = key.strip_prefix(name.as_str())?;
                let is_whole = rest.is_empty() || rest.starts_with(['.', '[']);
                is_whole.then(|| (setting, rest.strip_prefix('.').unwrap_or(rest)))
            }),
            Value::List(items) => key.strip_prefix('[').and_then(|key| {
                let (index, rest) = key.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((item, rest.strip_prefix('.').unwrap_or(rest)))
            }),
            _ => None,
        };
        below.and_then(|(setting, rest)| setting.place_of(rest)).or(self.place.as_ref())
    }
}

/// The settings of a file.
pub fn file(path: &Path) -> Result<Setting, Finding> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Finding {
        place: Some(Place { source: name.clone(), line: None }),
        key: String::new(),
        what: match error.kind() {
            std::io::ErrorKind::InvalidData => "this is not TOML: not UTF-8 text".to_owned(),
            _ => format!("cannot be read: {error}"),
        },
    })?;
    parse(&text, Some(&name))
}

/// The settings of a text, with the file that it is from; without one they are defaults.
pub fn parse(text: &str, file: Option<&str>) -> Result<Setting, Finding> {
    let source = Source {
        file,
        line_ends: text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at)
            .collect(),
    };
    match Document::parse(text) {
        Ok(document) => Ok(source.table(document.as_table(), None)),
        Err(error) => Err(Finding {
            place: source.place(Some(error.span().unwrap_or_default())),
            key: String::new(),
            what: format!("this is not TOML: {}", error.message().replace('\n', "; ")),
        }),
    }
}

/// The file that is read.
struct Source<'a> {
    file: Option<&'a str>,
    line_ends: Vec<usize>,
}

impl Source<'_> {
    fn place(&self, span: Option<std::ops::Range<usize>>) -> Option<Place> {
        let line = |at: usize| self.line_ends.partition_point(|end| *end < at) + 1;
        Some(Place { source: self.file?.to_owned(), line: span.map(|span| line(span.start)) })
    }

    fn table(&self, table: &dyn TableLike, place: Option<Place>) -> Setting {
        let settings = table.iter().filter_map(|(name, item)| {
            let place = self.place(table.key(name).and_then(toml_edit::Key::span));
            Some((name.to_owned(), self.item(item, place)?))
        });
        Setting { value: Value::Table(settings.collect()), place }
    }

    fn item(&self, item: &Item, place: Option<Place>) -> Option<Setting> {
        Some(match item {
            Item::None => return None,
            Item::Value(value) => self.value(value, place),
            Item::Table(table) => self.table(table, place),
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| self.table(table, self.place(table.span())));
                Setting { value: Value::List(items.collect()), place }
            }
        })
    }

    fn value(&self, value: &toml_edit::Value, place: Option<Place>) -> Setting {
        let value = match value {
            toml_edit::Value::Boolean(is_on) => Value::Bool(*is_on.value()),
            toml_edit::Value::Integer(number) => Value::Integer(*number.value()),
            toml_edit::Value::Float(number) => Value::Float(*number.value()),
            toml_edit::Value::String(text) => Value::Text(text.value().clone()),
            toml_edit::Value::Datetime(moment) => Value::Text(moment.value().to_string()),
            toml_edit::Value::Array(items) => Value::List(
                items.iter().map(|item| self.value(item, self.place(item.span()))).collect(),
            ),
            toml_edit::Value::InlineTable(table) => return self.table(table, place),
        };
        Setting { value, place }
    }
}

/// The settings that variables make.
pub fn environment() -> Result<Setting, Finding> {
    let mut layer = Setting::from(Value::Table(Table::new()));
    for (name, text) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let lower = name.to_ascii_lowercase();
        let Some(key) = lower.strip_prefix(PREFIX) else { continue };
        let place = Some(Place { source: name.to_owned(), line: None });
        let Ok(text) = text.into_string() else {
            let what = "expected UTF-8 text".to_owned();
            return Err(Finding { place, key: key.replace("__", "."), what });
        };
        let setting = Setting { value: value_of(text), place: place.clone() };
        layer.overlay(key.rsplit("__").fold(setting, |setting, part| Setting {
            value: Value::Table(Table::from([(part.to_owned(), setting)])),
            place: place.clone(),
        }));
    }
    Ok(layer)
}

/// A number or a truth where the text is exactly how one is written.
fn value_of(text: String) -> Value {
    if let Ok(is_on) = text.parse() {
        return Value::Bool(is_on);
    }
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::Integer(number),
        _ => match text.parse::<f64>() {
            Ok(number) if number.to_string() == text => Value::Float(number),
            _ => Value::Text(text),
        },
    }
}
