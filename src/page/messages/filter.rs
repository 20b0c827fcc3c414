//! What somebody looks for, as an address or a form says it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use strum::VariantArray as _;

use crate::domain::message::state::{Failure, Skip};
use crate::domain::value::moment;
use crate::page::answer::PageError;
use crate::page::layout::zone;
use crate::page::state::PageState;
use crate::postgres::page::found_messages::MessageFilter;

/// The states of a message, in the order of its life.
pub const STATES: [&str; 10] = [
    "waiting",
    "scheduled",
    "held",
    "sending",
    "unconfirmed",
    "sent",
    "delivered",
    "read",
    "failed",
    "skipped",
];

/// Why a message failed or was skipped.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    let failures = Failure::VARIANTS.iter().map(|failure| failure.into_str());
    failures.chain(Skip::VARIANTS.iter().map(|skip| skip.into_str()))
}

/// The filter as the fields of its form. A phone is never one of them: addresses are logged by proxies.
#[derive(Clone, Debug, Default)]
pub struct Wanted(pub BTreeMap<String, String>);

impl Wanted {
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    pub fn filter(&self, page: &PageState) -> Result<MessageFilter, PageError> {
        Ok(MessageFilter {
            watch: self.some("watch"),
            entity_key: self.some("key"),
            state: self.one_of("state", STATES.into_iter())?,
            reason: self.one_of("reason", reasons())?,
            phones: None,
            opened: self.day(page)?,
            before: self.get("before").parse().ok(),
        })
    }

    fn one_of(
        &self,
        name: &str,
        mut known: impl Iterator<Item = &'static str>,
    ) -> Result<Option<String>, PageError> {
        let Some(word) = self.some(name) else { return Ok(None) };
        match known.any(|known| known == word) {
            true => Ok(Some(word)),
            false => Err(PageError::Refused(format!("There is no {name} “{word}”."))),
        }
    }

    /// The day by the clock of the site.
    fn day(&self, page: &PageState) -> Result<Option<(Timestamp, Timestamp)>, PageError> {
        let Some(day) = self.some("day") else { return Ok(None) };
        let wrong = || PageError::Refused(format!("“{day}” is no day such as 2026-06-24."));
        let zone = moment::zone(zone(page)).map_err(|_| wrong())?;
        let day: Date = day.parse().map_err(|_| wrong())?;
        let next = day.checked_add(1.day()).map_err(|_| wrong())?;
        let begin = |day: Date| day.to_zoned(zone.clone()).map(|at| at.timestamp());
        let (from, to) = (begin(day).map_err(|_| wrong())?, begin(next).map_err(|_| wrong())?);
        Ok(Some((from, to)))
    }

    /// The query of an address with one field changed.
    pub fn query_with(&self, name: &str, value: &str) -> String {
        let mut fields = self.0.clone();
        fields.insert(name.to_owned(), value.to_owned());
        let filled = fields.iter().filter(|(_, value)| !value.trim().is_empty());
        let pairs = filled.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// A text as it stands in an address.
pub fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
