//! The settings in force as TOML: each with the place it was set at, unless that is the default, and
//! without passwords.

use std::path::Path;
use std::time::Duration;

use config::{Value, ValueKind};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table};

use crate::config::gateway::Code;
use crate::config::load::{self, LoadError};
use crate::config::reading::origin;
use crate::config::units::Rate;
use crate::config::{AuthPlace, Channel, ChannelKind, Config, Http, UnconfirmedPolicy, Watch};
use crate::domain::value::change::Operation;

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
    let (tree, config) = load::tree(path)?;
    let mut document = DocumentMut::new();
    let place = Place { tree: &tree, key: String::new(), depth: 0 };
    fill(document.as_table_mut(), &tree, &place);
    for (name, channel) in &config.channel {
        complete(&mut document, "channel", name, of_channel(channel));
    }
    for (name, watch) in &config.watch {
        complete(&mut document, "watch", name, of_watch(watch));
    }
    hide_password(&mut document, &config);
    Ok(document.to_string())
}

/// Where in the tree a table stands.
struct Place<'a> {
    tree: &'a Value,
    key: String,
    depth: usize,
}

impl Place<'_> {
    fn below(&self, name: &str) -> Place<'_> {
        let key = match self.key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        };
        Place { tree: self.tree, key, depth: self.depth + 1 }
    }
}

/// Writes a table's settings in the order of their names, plain ones before tables.
fn fill(table: &mut Table, value: &Value, place: &Place<'_>) {
    let ValueKind::Table(settings) = &value.kind else { return };
    let mut names: Vec<&String> = settings.keys().collect();
    names.sort();
    for name in names {
        let Some(setting) = settings.get(name) else { continue };
        if let Some(item) = item(setting, &place.below(name)) {
            table.insert(name, item);
        }
    }
}

fn item(value: &Value, place: &Place<'_>) -> Option<Item> {
    match &value.kind {
        ValueKind::Table(_) if place.depth <= MAX_SECTION_DEPTH => {
            let mut table = Table::new();
            fill(&mut table, value, place);
            // A section that only holds sections needs no line of its own.
            table.set_implicit(true);
            Some(Item::Table(table))
        }
        ValueKind::Array(items) if items.iter().any(is_table) => {
            let mut tables = ArrayOfTables::new();
            for (i, one) in items.iter().enumerate() {
                let mut table = Table::new();
                let key = format!("{}[{i}]", place.key);
                fill(&mut table, one, &Place { tree: place.tree, key, depth: MAX_SECTION_DEPTH });
                tables.push(table);
            }
            Some(Item::ArrayOfTables(tables))
        }
        _ => {
            let mut plain = plain(value)?;
            if let Some(place) = origin(place.tree, &place.key) {
                plain.decor_mut().set_suffix(format!(" # {place}"));
            }
            Some(Item::Value(plain))
        }
    }
}

fn is_table(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Table(_))
}

fn plain(value: &Value) -> Option<toml_edit::Value> {
    Some(match &value.kind {
        ValueKind::Nil => return None,
        ValueKind::Boolean(is_on) => (*is_on).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => without_user(text).into(),
        ValueKind::Array(items) => items.iter().filter_map(plain).collect::<Array>().into(),
        ValueKind::Table(settings) => {
            let mut settings: Vec<_> = settings.iter().collect();
            settings.sort_by_key(|(name, _)| *name);
            let settings = settings.into_iter().filter_map(|(name, one)| Some((name, plain(one)?)));
            settings.collect::<InlineTable>().into()
        }
        // No setting is that large.
        other => other.to_string().into(),
    })
}

/// Adds what a channel or a watch leaves to its defaults.
fn complete(
    document: &mut DocumentMut,
    section: &str,
    name: &str,
    defaults: Vec<(&str, toml_edit::Value)>,
) {
    let table = document.get_mut(section).and_then(|named| named.get_mut(name));
    let Some(table) = table.and_then(Item::as_table_mut) else { return };
    for (key, value) in defaults {
        table.entry(key).or_insert(Item::Value(value));
    }
    // Plain settings must stand before tables, which the writer sees to; in the order of names.
    table.sort_values();
}

fn of_channel(channel: &Channel) -> Vec<(&'static str, toml_edit::Value)> {
    let mut settings = vec![
        ("concurrency", i64::try_from(channel.concurrency).unwrap_or(i64::MAX).into()),
        ("connect_timeout", duration(channel.connect_timeout).into()),
        ("rate", rate(channel.rate).into()),
        ("timeout", duration(channel.timeout).into()),
    ];
    match &channel.kind {
        ChannelKind::OneMsg(one_msg) => {
            let auth = match one_msg.auth {
                AuthPlace::Header => "header",
                AuthPlace::Query => "query",
            };
            settings.push(("auth", auth.into()));
            settings.push(("base_url", one_msg.base_url.as_str().into()));
            let limits = channel.limits;
            settings.push(("daily_recipients", i64::from(limits.daily_recipients).into()));
            settings.push(("pair_burst", i64::from(limits.pair_burst).into()));
            settings.push(("pair_every", duration(limits.pair_every).into()));
        }
        ChannelKind::Http(http) => settings.extend(of_gateway(http)),
        ChannelKind::Smtp(smtp) => {
            settings.push(("port", i64::from(smtp.port).into()));
            settings.push(("tls", smtp.tls.as_str().into()));
        }
    }
    settings
}

fn of_gateway(http: &Http) -> Vec<(&'static str, toml_edit::Value)> {
    let answers = &http.answers;
    let codes = |codes: &[Code]| codes.iter().map(|code| code.0.as_str()).collect::<Array>().into();
    let statuses = answers.accepted_status.to_string();
    vec![
        ("accepted_status", statuses.split(", ").collect::<Array>().into()),
        ("channel_on", codes(&answers.channel_on)),
        ("method", http.method.as_str().into()),
        ("recipient_on", codes(&answers.recipient_on)),
        ("retry_on", codes(&answers.retry_on)),
        ("slow_on", codes(&answers.slow_on)),
    ]
}

fn of_watch(watch: &Watch) -> Vec<(&'static str, toml_edit::Value)> {
    let unconfirmed = match watch.unconfirmed {
        UnconfirmedPolicy::Hold => "hold",
        UnconfirmedPolicy::Resend => "resend",
        UnconfirmedPolicy::GiveUp => "give_up",
    };
    vec![
        ("context", watch.context.iter().collect::<Array>().into()),
        ("key", watch.key.iter().collect::<Array>().into()),
        ("max_wait", duration(watch.max_wait).into()),
        ("on", watch.on.iter().map(|on| Operation::as_str(*on)).collect::<Array>().into()),
        ("quiet_period", duration(watch.quiet_period).into()),
        ("ring", watch.ring.into()),
        ("share", i64::from(watch.share).into()),
        ("unconfirmed", unconfirmed.into()),
    ]
}

/// In the largest unit that leaves no rest.
fn duration(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let whole = units.into_iter().find(|(_, length)| ms > 0 && ms.is_multiple_of(*length));
    match whole {
        Some((unit, length)) => format!("{}{unit}", ms / length),
        None => format!("{ms}ms"),
    }
}

/// In the smallest unit in which it is a whole number.
fn rate(rate: Rate) -> String {
    let per_second = rate.as_per_second();
    let whole = [("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)].into_iter().find(
        |(_, length)| {
            let messages = per_second * length;
            messages >= 0.5 && (messages - messages.round()).abs() < 1e-6
        },
    );
    match whole {
        Some((unit, length)) => format!("{}/{unit}", (per_second * length).round()),
        None => format!("{per_second}/s"),
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
    let parsed: Result<tokio_postgres::Config, _> = config.database.url.parse();
    let has_password = parsed.is_ok_and(|parsed| parsed.get_password().is_some());
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

    #[test]
    fn durations_are_written_as_a_person_would() {
        let written = [0, 250, 1_500, 20_000, 300_000, 43_200_000, 86_400_000]
            .map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(written, ["0ms", "250ms", "1500ms", "20s", "5m", "12h", "1d"]);
    }
}
