//! What customers read, in fourteen languages, held to the letter. `INSTA_UPDATE=always cargo test
//! --test golden` writes the tables anew; read them before committing.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rowbell::config::{Config, load};
use rowbell::domain::locale::formats::formats;
use rowbell::domain::text::render_context::RenderContext;
use rowbell::domain::text::summary::{Phrasing, Wording};
use rowbell::domain::text::template::template_engine::PhrasingSource;
use rowbell::domain::value::change::Operation;
use rowbell::domain::value::column::{Columns, columns};
use rowbell::domain::value::diff::{ColumnKind, diff};
use rowbell::domain::value::row::{self, Row};
use rowbell_lab::demo::scratch::Scratch;
use serde_json::{Value, json};

const LANGUAGES: [&str; 14] =
    ["en", "es", "fr", "de", "pt-BR", "it", "nl", "pl", "ru", "ar", "hi", "id", "ja", "zh"];

/// Behind UTC, ahead of it, half an hour off, and on the next day; the first is the service's.
const ZONES: [&str; 4] = ["America/New_York", "Europe/Madrid", "Asia/Kolkata", "Pacific/Auckland"];

/// The shop, and how to tell its customers something.
struct Shop {
    config: Config,
    phrasing: Phrasing,
    columns: Columns,
    service_zone: Option<&'static str>,
}

impl Shop {
    fn new() -> Shop {
        let secrets = Scratch::new("golden").unwrap();
        std::fs::write(secrets.path().join("1msg.token"), "a-token").unwrap();
        let folder = secrets.path().display().to_string();
        let text = include_str!("golden/shop.toml").replace("FOLDER", &folder);
        let config = load::from_text(&text).unwrap();
        let (watch, template) =
            (&config.watch["home_delivery"], &config.template["service_change"]);
        let types = [
            ("window_start", "timestamp with time zone"),
            ("window_end", "timestamp with time zone"),
            ("day", "date"),
            ("ready", "boolean"),
            ("fee", "numeric(10,2)"),
            ("fee_currency", "text"),
            ("extras", "text[]"),
            ("address", "text"),
        ];
        let kinds: BTreeMap<String, ColumnKind> =
            types.iter().map(|(name, kind)| ((*name).to_owned(), ColumnKind::of(kind))).collect();
        let names: Vec<String> = kinds.keys().cloned().collect();
        let phrasing = Phrasing::compile(&PhrasingSource {
            service: watch.service.as_ref(),
            say: &watch.say,
            label: &watch.label,
            value: &watch.value,
            phrase: &config.phrase,
            body: &template.body,
            text: template.text.as_ref(),
            language: &template.language,
            default_locale: "en",
            columns: Some(&names),
        })
        .map_err(|problems| format!("{problems:?}"))
        .unwrap();
        let columns = columns(kinds, &watch.columns, &watch.column);
        Shop { columns, phrasing, config, service_zone: None }
    }

    /// What Maria reads when `old` becomes `new`.
    fn tell(&self, locale: &str, zone: &str, old: &Value, new: &Value) -> Wording {
        let (old, new) = (row::of_json(old.clone()), row::of_json(new.clone()));
        let (old, new): (Option<&Row>, Option<&Row>) = (old.as_ref(), new.as_ref());
        let names = &self.config.watch["home_delivery"].columns;
        let time_zone = TimeZone::get(zone).unwrap();
        let operation = match (old, new) {
            (None, _) => Operation::Insert,
            (_, None) => Operation::Delete,
            _ => Operation::Update,
        };
        let occasion = RenderContext {
            operation,
            changes: &diff(old, new, names, &self.columns, &time_zone),
            old,
            row: new.or(old).unwrap(),
            columns: &self.columns,
            names: &Arc::default(),
            name: "Maria",
            locale,
            time_zone: zone,
            service_zone: self.service_zone,
            is_zone_unchosen: false,
            now: "2026-06-24T12:00Z".parse().unwrap(),
        };
        self.phrasing.word(&occasion).unwrap()
    }

    fn summary(&self, locale: &str, zone: &str, old: &Value, new: &Value) -> String {
        self.tell(locale, zone, old, new).summary
    }
}

fn window(start: &str, end: &str) -> Value {
    json!({"window_start": start, "window_end": end})
}

/// Compares a table with the one in tests/golden.
fn held(name: &str, table: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, table));
}

#[test]
fn the_seed_case_in_every_language_and_zone() {
    let shop = Shop::new();
    let old = window("2026-06-24T14:00:00+00:00", "2026-06-24T16:00:00+00:00");
    let new = window("2026-06-25T14:00:00+00:00", "2026-06-25T16:00:00+00:00");
    let mut table = String::new();
    for locale in LANGUAGES {
        for zone in ZONES {
            let rendered_text = shop.tell(locale, zone, &old, &new).rendered_text.unwrap();
            writeln!(table, "{locale:5} {zone:16} {rendered_text}").unwrap();
        }
    }
    assert!(table.starts_with(
        "en    America/New_York Hello, Maria! The status of your home delivery has been updated. New window: \
         June 25 from 10:00 AM to 12:00 PM. If you need help — we are here.\n"
    ));
    held("seed", &table);
}

#[test]
fn a_reader_elsewhere_is_told_whose_clock_is_meant() {
    let shop = Shop { service_zone: Some("America/New_York"), ..Shop::new() };
    let old = window("2026-06-24T14:00:00+00:00", "2026-06-24T16:00:00+00:00");
    let new = window("2026-06-25T14:00:00+00:00", "2026-06-25T16:00:00+00:00");
    let mut table = String::new();
    for locale in LANGUAGES {
        for zone in ZONES {
            writeln!(table, "{locale:5} {zone:16} {}", shop.summary(locale, zone, &old, &new))
                .unwrap();
        }
    }
    held("zones", &table);
}

#[test]
fn windows_that_are_not_plain() {
    let shop = Shop::new();
    let old = window("2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+00:00");
    // Zone; start and end in UTC.
    let windows = [
        ("across days", "America/New_York", "2026-06-26T03:00Z", "2026-06-26T05:00Z"),
        ("until midnight", "America/New_York", "2026-06-26T02:00Z", "2026-06-26T04:00Z"),
        ("from midnight", "America/New_York", "2026-06-25T04:00Z", "2026-06-25T06:00Z"),
        ("noon", "America/New_York", "2026-06-25T16:00Z", "2026-06-25T16:30Z"),
        ("another year", "America/New_York", "2027-01-01T04:30Z", "2027-01-01T05:30Z"),
        ("clocks go forward", "America/New_York", "2026-03-08T06:30Z", "2026-03-08T07:30Z"),
        ("clocks go back", "America/New_York", "2026-11-01T05:30Z", "2026-11-01T06:30Z"),
        ("clocks go back", "Europe/Madrid", "2026-10-25T00:30Z", "2026-10-25T01:30Z"),
    ];
    let mut table = String::new();
    for locale in LANGUAGES {
        for (what, zone, start, end) in windows {
            let told = shop.summary(locale, zone, &old, &window(start, end));
            writeln!(table, "{locale:5} {what:17} {told}").unwrap();
        }
    }
    held("windows", &table);
}

#[test]
fn what_rowbell_says_by_itself() {
    let shop = Shop::new();
    let old = json!({"day": "2026-06-25", "ready": true, "fee": 10, "fee_currency": "EUR",
                     "extras": ["A", "B"], "address": "12 Main Street"});
    let new = json!({"day": "2026-06-26", "ready": false, "fee": 1234.5, "fee_currency": "EUR",
                     "extras": ["A", "B", "C"], "address": "شارع النيل 7"});
    let mut table = String::new();
    for locale in LANGUAGES.iter().chain(&["ar-EG", "es-MX", "en-GB", "zh-TW", "sv"]) {
        let zone = "Europe/Madrid";
        let told = shop.summary(locale, zone, &old, &new);
        writeln!(table, "{locale:5} changed   {told}").unwrap();
        let told = shop.summary(locale, zone, &json!({"address": null}), &json!({"address": "x"}));
        writeln!(table, "{locale:5} set       {told}").unwrap();
        let told = shop.summary(locale, zone, &old, &Value::Null);
        writeln!(table, "{locale:5} cancelled {told}").unwrap();
        let told = shop.summary(locale, zone, &Value::Null, &json!({"address": null}));
        writeln!(table, "{locale:5} created   {told}").unwrap();
    }
    // Isolates cannot be seen: written as ‹ and ›.
    held("own_words", &table.replace('\u{2068}', "‹").replace('\u{2069}', "›"));
}

#[test]
fn dates_numbers_and_days_by_locale() {
    let mut table = String::new();
    let date = |text: &str| text.parse().unwrap();
    for locale in LANGUAGES.iter().chain(&["ar-EG", "es-MX", "en-GB", "pt-PT", "zh-TW", "sv"]) {
        let formats = formats(locale).unwrap();
        let day = |away| formats.days_away(away).unwrap().unwrap_or_else(|| "-".to_owned());
        let cells = [
            formats.whole_date(date("2026-06-05"), 2026).unwrap(),
            formats.whole_date(date("2027-06-05"), 2026).unwrap(),
            formats.moment("2026-06-05T00:05".parse().unwrap(), 2026).unwrap(),
            formats.time("18:30".parse().unwrap()).unwrap(),
            formats.time_with_seconds("06:05:09".parse().unwrap()).unwrap(),
            [day(-1), day(0), day(1), day(2)].join(", "),
            formats.number(&"-1234567.89".parse().unwrap()).unwrap(),
            formats.amount(&"-1234.5".parse().unwrap(), "USD").unwrap(),
            formats.amount(&"1234.5".parse().unwrap(), "JPY").unwrap(),
        ];
        writeln!(table, "{locale:5} {}", cells.join(" | ")).unwrap();
    }
    held("formats", &table);
}
