//! The settings in force as TOML: each with the place it was set at, unless that is the default, and
//! without passwords.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item};

use crate::config::Config;
use crate::config::layers::sources::Sources;
use crate::config::layers::tree::{self, Table, Value, ValueKind};
use crate::config::load::{self, LoadError};
use crate::config::server_address::server_address::holds_password;

/// Deeper tables are written on one line.
const MAX_SECTION_DEPTH: usize = 2;

/// Parts of names of parameters whose values are secrets.
const SECRET_KEYS: [&str; 5] = ["password", "token", "key", "secret", "auth"];

/// What stands in the place of a password.
const HIDDEN: &str = "***";

/// The settings that hold with this configuration file, as TOML.
///
/// # Errors
/// Those of `load::load`: only settings that could be run with are shown.
pub fn show(path: &Path) -> Result<String, LoadError> {
    let (sources, tree, config) = load::tree(path, load::Secrets::NotNeeded)?;
    let mut document = DocumentMut::new();
    if let Some(settings) = tree::table(&tree) {
        *document.as_table_mut() = section(settings, "", 1, &sources);
    }
    hide_password(&mut document, &config);
    Ok(document.to_string())
}

/// A table's settings in the order of their names; the writer puts plain ones before tables.
fn section(settings: &Table, key: &str, depth: usize, sources: &Sources) -> toml_edit::Table {
    let items = tree::sorted(settings).into_iter().map(|(name, setting)| {
        (name.as_str(), item(setting, &tree::below(key, name), depth, sources))
    });
    let mut table = toml_edit::Table::from_iter(items);
    // A section that only holds sections needs no line of its own.
    table.set_implicit(true);
    table
}

fn item(setting: &Value, key: &str, depth: usize, sources: &Sources) -> Item {
    match &setting.kind {
        ValueKind::Table(settings) if depth <= MAX_SECTION_DEPTH => {
            Item::Table(section(settings, key, depth + 1, sources))
        }
        ValueKind::Array(items) if items.iter().any(|item| tree::table(item).is_some()) => {
            let tables = items.iter().enumerate().filter_map(|(index, item)| {
                let key = format!("{key}[{index}]");
                Some(section(tree::table(item)?, &key, MAX_SECTION_DEPTH + 1, sources))
            });
            Item::ArrayOfTables(tables.collect::<ArrayOfTables>())
        }
        _ => {
            let mut plain = plain(setting);
            if let Some(place) = sources.place(key) {
                plain.decor_mut().set_suffix(format!(" # {place}"));
            }
            Item::Value(plain)
        }
    }
}

fn plain(setting: &Value) -> toml_edit::Value {
    match &setting.kind {
        ValueKind::Boolean(is_on) => (*is_on).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::Array(items) => items.iter().map(plain).collect::<Array>().into(),
        ValueKind::Table(settings) => {
            let settings = tree::sorted(settings).into_iter();
            settings.map(|(name, setting)| (name, plain(setting))).collect::<InlineTable>().into()
        }
        text => without_user(&text.to_string()).into(),
    }
}

/// Hides the password in a URL: between the colon and the @, and in its query.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    if scheme.contains(char::is_whitespace) {
        return text.to_owned();
    }
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let mut shown = match address.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            format!("{scheme}://{}:{HIDDEN}@{host}", user.split(':').next().unwrap_or_default())
        }
        _ => format!("{scheme}://{address}"),
    };
    if let Some(query) = query {
        let pairs: Vec<String> = query.split('&').map(without_secret).collect();
        shown = format!("{shown}?{}", pairs.join("&"));
    }
    shown
}

fn without_secret(pair: &str) -> String {
    match pair.split_once('=') {
        Some((key, _))
            if SECRET_KEYS.iter().any(|part| key.to_ascii_lowercase().contains(part)) =>
        {
            format!("{key}={HIDDEN}")
        }
        _ => pair.to_owned(),
    }
}

/// `database.url` may also be in the form `host=… password=…`, and a password may hold any
/// character: whatever still holds it is not shown at all.
fn hide_password(document: &mut DocumentMut, config: &Config) {
    let has_password = holds_password(&config.database.url);
    let Some(url) = document.get_mut("database").and_then(|database| database.get_mut("url"))
    else {
        return;
    };
    let is_blanked = url.as_str().is_some_and(|shown| {
        shown.contains("://") && [":***@", "password=***"].iter().any(|part| shown.contains(part))
    });
    if has_password && !is_blanked {
        *url = toml_edit::value("*** (not shown: there is a password in it)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_a_url_can_have_them() {
        for (url, shown) in [
            ("postgresql://rowbell@/crm?host=/run/postgresql", None),
            ("https://api.1msg.io", None),
            ("postgresql://rowbell:p@ss:w/rd@db/crm", Some("postgresql://rowbell:***@db/crm")),
            (
                "postgresql://db/crm?user=rowbell&password=secret",
                Some("postgresql://db/crm?user=rowbell&password=***"),
            ),
            ("https://api.example/?token=secret", Some("https://api.example/?token=***")),
            ("https://sms.example/?apiKey=x&to=1", Some("https://sms.example/?apiKey=***&to=1")),
            ("see https://example.com/a:b@c for more", None),
        ] {
            assert_eq!(without_user(url), shown.unwrap_or(url));
        }
    }
}
