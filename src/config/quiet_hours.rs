//! `[quiet_hours]` and `[watch.X.quiet_hours]`: when nothing leaves, by the recipient's clock.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::Config;
use crate::domain::recipient::quiet_hours::QuietHours;
use crate::domain::recipient::time_of_day::Window;

/// What holds for watches that do not say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHoursDefaults {
    #[serde(deserialize_with = "windows")]
    pub times: Vec<Window>,
    pub unless_within: Option<Duration>,
}

/// What a watch says of it: times alone, or a table.
#[derive(Clone, Debug, Default)]
pub struct WatchQuietHours {
    pub times: Option<Vec<Window>>,
    pub unless_within: Option<Duration>,
    /// SQL expression over the row: the moment that a message is about; `expires_at` when absent.
    pub of: Option<String>,
}

impl Config {
    /// The quiet hours of a watch; None: it has none.
    pub fn quiet_hours_of(&self, watch: &str) -> Option<QuietHours> {
        let own = &self.watch.get(watch)?.quiet_hours;
        let windows = own.times.as_ref().unwrap_or(&self.quiet_hours.times);
        let unless_within = own.unless_within.or(self.quiet_hours.unless_within);
        (!windows.is_empty()).then(|| QuietHours {
            windows: windows.clone(),
            unless_within: unless_within.filter(|within| !within.is_zero()),
        })
    }
}

impl<'de> Deserialize<'de> for WatchQuietHours {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<WatchQuietHours, D::Error> {
        from.deserialize_any(TimesOrTable)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, deserialize_with = "some_windows")]
    times: Option<Vec<Window>>,
    unless_within: Option<Duration>,
    of: Option<String>,
}

struct TimesOrTable;

impl<'de> Visitor<'de> for TimesOrTable {
    type Value = WatchQuietHours;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("times such as \"21:00-08:00\", or a table")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<WatchQuietHours, E> {
        let times = Some(Times.visit_str(text)?);
        Ok(WatchQuietHours { times, ..WatchQuietHours::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, texts: A) -> Result<WatchQuietHours, A::Error> {
        let times = Some(Times.visit_seq(texts)?);
        Ok(WatchQuietHours { times, ..WatchQuietHours::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<WatchQuietHours, A::Error> {
        let Table { times, unless_within, of } =
            Table::deserialize(MapAccessDeserializer::new(table))?;
        Ok(WatchQuietHours { times, unless_within, of })
    }
}

fn windows<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Window>, D::Error> {
    from.deserialize_any(Times)
}

fn some_windows<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Window>>, D::Error> {
    windows(from).map(Some)
}

/// One text, or a list of them.
struct Times;

impl<'de> Visitor<'de> for Times {
    type Value = Vec<Window>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("times such as \"21:00-08:00\", or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<Window>, E> {
        text.parse().map(|window| vec![window]).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Vec<Window>, A::Error> {
        let mut windows = Vec::new();
        while let Some(text) = texts.next_element::<String>()? {
            windows.push(text.parse().map_err(A::Error::custom)?);
        }
        Ok(windows)
    }
}
