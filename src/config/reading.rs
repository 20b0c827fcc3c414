//! From a tree of values to typed settings, and back to the place in a file where a value stands.

use std::collections::BTreeMap;
use std::path::Path;

use config::{ConfigError, Value, ValueKind};
use serde::de::DeserializeOwned;

use crate::config::load::{Mistake, nearest};

/// What is said of a setting that must be there.
const MISSING: &str = "is missing, and there is no default for it";

/// What the crate `config` calls the layer of variables.
const ENVIRONMENT: &str = "the environment";

/// Deserializes; on a mistake mends the tree and tries again, so that all mistakes are found at
/// once. The value is there when nothing had to be made up.
pub fn read_all<T: DeserializeOwned>(
    mut tree: Value,
    defaults: &Value,
) -> (Option<T>, Vec<Mistake>) {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut tries: BTreeMap<String, u8> = BTreeMap::new();
    let mut is_whole = true;
    while tries.len() < 50 {
        let error = match serde_path_to_error::deserialize::<_, T>(tree.clone()) {
            Ok(parsed) => return (is_whole.then_some(parsed), mistakes),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let inner = error.into_inner();
        let (key, what) = describe(&path, &inner);
        let tried = tries.entry(key.clone()).or_insert(0);
        *tried += 1;
        is_whole &= walk(&tree, &key).is_some();
        if !mend(&mut tree, &key, defaults, *tried) {
            return (None, mistakes);
        }
        if *tried == 1 {
            mistakes.push(Mistake { origin: None, key, what });
        }
    }
    (None, mistakes)
}

/// Takes a mistake out of the tree, so that the next one shows: the default comes in its place, or
/// nothing; where something must be there, an empty text or list; and if that does not help, the
/// whole section goes. False: there is nothing more to try.
fn mend(tree: &mut Value, key: &str, defaults: &Value, tried: u8) -> bool {
    let is_there = walk(tree, key).is_some();
    match (is_there, tried, walk(defaults, key)) {
        (true, 1, Some(default)) => insert(tree, key, default.clone()),
        (true, 1, None) => remove(tree, key),
        (false, 1 | 2, _) => insert(tree, key, Value::new(None, "")),
        (true, 2 | 3, _) => insert(tree, key, Value::new(None, Vec::<Value>::new())),
        _ => key.rsplit_once('.').is_some_and(|(above, _)| remove(tree, above)),
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
        if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
    };
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let field = rest.split('`').next().unwrap_or_default();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        // serde_path_to_error already names the field in some cases.
        let key = if path.ends_with(field) { path.to_owned() } else { join(field) };
        return (key, format!("there is no such setting{}", nearest(field, &known)));
    }
    if let Some(rest) = text
        .strip_prefix("missing field `")
        .or_else(|| text.strip_prefix("missing configuration field \""))
    {
        let field = rest.split(['`', '"']).next().unwrap_or_default();
        let field = field.rsplit('.').next().unwrap_or(field);
        return (join(field), MISSING.to_owned());
    }
    if let Some(setting) = text.strip_prefix("setting `").and_then(|rest| rest.split('`').next()) {
        return (join(setting), text.replacen(&format!("setting `{setting}` "), "", 1));
    }
    let what = text.split(" for key ").next().unwrap_or(&text);
    (
        path.to_owned(),
        of_choices(what).or_else(|| of_types(what)).unwrap_or_else(|| what.to_owned()),
    )
}

/// The words of settings with a choice: the crate `config` does not tell which there are.
const CHOICES: [(&str, &str); 8] = [
    ("LogFormat", "auto, text, json or journald"),
    ("ProviderKind", "1msg, http or smtp"),
    ("HttpMethod", "POST, PUT or PATCH"),
    ("SmtpTls", "tls, starttls or none"),
    ("AuthPlace", "header or query"),
    ("UnconfirmedPolicy", "hold, resend or give_up"),
    ("Category", "utility, authentication or marketing"),
    ("Operation", "insert, update or delete"),
];

/// What was expected comes first, in the words of TOML.
fn of_types(error: &str) -> Option<String> {
    let (found, expected) = error.strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        structure if structure.starts_with("struct ") => "a table",
        other => other,
    };
    let found = match found {
        "sequence" => "a list",
        "map" => "a table",
        other => other.strip_prefix("string ").unwrap_or(other),
    };
    Some(format!("expected {expected}, found {found}"))
}

fn of_choices(error: &str) -> Option<String> {
    let (name, found) =
        error.strip_prefix("enum ")?.split_once(" does not have variant constructor ")?;
    let (_, choices) = CHOICES.iter().find(|(known, _)| *known == name)?;
    Some(format!("expected {choices}, found \"{found}\""))
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

/// File and line of a setting, or its variable; None for one that is as by default. What is missing
/// is missing where its section stands.
pub fn origin(tree: &Value, key: &str) -> Option<String> {
    let Some(value) = walk(tree, key) else {
        return origin(tree, key.rsplit_once('.')?.0);
    };
    let file = layer(value)?;
    if file == ENVIRONMENT {
        return Some(format!("ROWBELL__{}", key.replace('.', "__").to_ascii_uppercase()));
    }
    let line = std::fs::read_to_string(file).ok().and_then(|text| line_of(&text, key));
    // Relative to where we are; up and down again reads worse than the whole path.
    let file = match std::fs::canonicalize(file) {
        Ok(whole) if file.starts_with("..") => whole.display().to_string(),
        _ => file.to_owned(),
    };
    Some(line.map_or(file.clone(), |line| format!("{file}:{line}")))
}

/// The layer that a setting comes from; tables have that of a setting in them.
fn layer(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Table(settings) => {
            let mut names: Vec<&String> = settings.keys().collect();
            names.sort();
            names.into_iter().find_map(|name| layer(settings.get(name)?))
        }
        _ => value.origin(),
    }
}

/// A file that cannot be read, or is no TOML at all, with the place where it ceases to be.
pub fn not_toml(path: &Path) -> Option<Mistake> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let what = match error.kind() {
                std::io::ErrorKind::InvalidData => "this is not TOML: not UTF-8 text".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            let origin = Some(path.display().to_string());
            return Some(Mistake { origin, key: String::new(), what });
        }
    };
    let error = toml_edit::Document::parse(text.as_str()).err()?;
    let line = error.span().map_or(1, |span| line_at(&text, span.start));
    let what = format!("this is not TOML: {}", error.message().replace('\n', "; "));
    Some(Mistake { origin: Some(format!("{}:{line}", path.display())), key: String::new(), what })
}

/// A setting that is missing because its name was misspelt is one mistake, not two.
pub fn without_echoes(mistakes: Vec<Mistake>) -> Vec<Mistake> {
    let misspelt: Vec<String> = mistakes
        .iter()
        .filter_map(|mistake| {
            let meant = mistake.what.split("; did you mean \"").nth(1)?.strip_suffix("\"?")?;
            let above = mistake.key.rsplit_once('.').map_or("", |(above, _)| above);
            Some(format!("{above}.{meant}").trim_start_matches('.').to_owned())
        })
        .collect();
    let is_echo = |mistake: &Mistake| mistake.what == MISSING && misspelt.contains(&mistake.key);
    mistakes.into_iter().filter(|mistake| !is_echo(mistake)).collect()
}

/// The line on which a key stands.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let document: toml_edit::Document<&str> = toml_edit::Document::parse(text).ok()?;
    let mut item = document.as_item();
    let mut at = None;
    for part in parts(key) {
        if let Some(index) = part.parse::<usize>().ok().filter(|_| !item.is_table_like()) {
            let of_tables = item.as_array_of_tables().and_then(|tables| tables.get(index));
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
    let Some((above, last)) = walk_mut(tree, key) else {
        return false;
    };
    match &mut above.kind {
        ValueKind::Table(table) => table.remove(last).is_some(),
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

fn insert(tree: &mut Value, key: &str, value: Value) -> bool {
    match walk_mut(tree, key) {
        Some((Value { kind: ValueKind::Table(table), .. }, last)) => {
            table.insert(last.to_owned(), value);
            true
        }
        _ => remove(tree, key),
    }
}

/// The table or list that holds a setting, and the last part of its key.
fn walk_mut<'a, 'k>(tree: &'a mut Value, key: &'k str) -> Option<(&'a mut Value, &'k str)> {
    let parts: Vec<&str> = parts(key).collect();
    let (last, above) = parts.split_last()?;
    let mut here = tree;
    for part in above {
        here = match &mut here.kind {
            ValueKind::Table(table) => table.get_mut(*part)?,
            ValueKind::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some((here, last))
}
