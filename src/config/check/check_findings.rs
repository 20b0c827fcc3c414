//! What the checks of settings find, and the rules that they have in common.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::config::Watch;
use crate::domain::locale::formats::formats;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::value::moment;
use crate::finding::{Finding, hint};

#[derive(Default)]
pub struct CheckFindings(pub Vec<Finding>);

impl CheckFindings {
    pub fn unless(&mut self, fits: bool, key: impl Into<String>, what: impl Into<String>) {
        if !fits {
            self.0.push(Finding::new(key, what));
        }
    }

    pub fn locale(&mut self, key: &str, locale: &str) {
        let what = format!("expected a locale such as \"es-MX\", found \"{locale}\"");
        self.unless(formats(locale).is_ok(), key, what);
    }

    pub fn zone(&mut self, key: &str, zone: &str) {
        let what = format!("expected a time zone such as \"Europe/Berlin\", found \"{zone}\"");
        self.unless(moment::zone(zone).is_ok(), key, what);
    }

    pub fn listen(&mut self, key: &str, listen: &str, example: &str) {
        let what = format!("expected an address such as \"{example}\", found \"{listen}\"");
        let is_path = listen.strip_prefix("unix:").is_some_and(|path| path.starts_with('/'));
        self.unless(is_path || listen.parse::<std::net::SocketAddr>().is_ok(), key, what);
    }

    pub fn url(&mut self, key: String, url: &str, example: &str) {
        let is_url = url.starts_with("https://") || url.starts_with("http://");
        let what = format!("expected a URL such as \"{example}\", found \"{url}\"");
        self.unless(is_url, key, what);
    }

    pub fn file(&mut self, key: impl Into<String>, file: &Path) {
        let Err(error) = std::fs::metadata(file) else { return };
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file \"{}\"", file.display()),
            _ => format!("\"{}\" cannot be seen: {error}", file.display()),
        };
        self.unless(false, key, what);
    }

    pub fn within<N>(&mut self, key: impl Into<String>, number: N, bounds: RangeInclusive<N>)
    where
        N: PartialOrd + std::fmt::Display,
    {
        let (least, most) = (bounds.start(), bounds.end());
        let what = format!("expected {least} to {most}, found {number}");
        self.unless(bounds.contains(&number), key, what);
    }

    pub fn not_zero(&mut self, key: impl Into<String>, time: Duration) {
        self.unless(!time.is_zero(), key, "expected more than nothing, such as \"20s\"");
    }

    /// A name of one of the sections of a kind.
    pub fn known<T>(&mut self, key: String, kind: &str, name: &str, all: &BTreeMap<String, T>) {
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let what = format!("there is no {kind} \"{name}\"{}", hint(name, &names));
        self.unless(all.contains_key(name), key, what);
    }

    /// A column that is among those of the watch.
    pub fn column(&mut self, key: &str, at: String, watch: &Watch, column: &str) {
        let names: Vec<&str> = watch.columns.iter().map(String::as_str).collect();
        let hint = hint(column, &names);
        let what = format!("\"{column}\" is not among {key}.columns{hint}");
        self.unless(names.contains(&column), at, what);
    }

    pub fn languages(&mut self, key: &str, text: &LocalizedText) {
        for (tag, _) in text.each() {
            if tag != "default" {
                self.locale(&format!("{key}.{tag}"), tag);
            }
        }
    }
}
