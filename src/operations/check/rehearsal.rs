//! Tries every rule of a watch, in every language, with rows that the table could hold: with usual values, with nothing,
//! with the least and the most, and with each code.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::text::labels::text_of;
use crate::domain::text::render_context::RenderContext;
use crate::domain::text::rules::SayRule;
use crate::domain::value::change::Operation;
use crate::domain::value::column_kind::ColumnKind;
use crate::domain::value::row::Row;
use crate::finding::{Finding, Severity};
use crate::operations::check::report::CheckReport;
use crate::operations::check::sample::SampleRows;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::route::{self, Route};

/// Codes of a column that are tried, at most.
const MOST_CODES: usize = 20;

/// What the columns of a table can hold.
pub struct ColumnFacts {
    /// Columns that may be null.
    pub nullable: Vec<String>,
    /// The labels of enums.
    pub codes: BTreeMap<String, Vec<String>>,
}

/// Which values a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Usual,
    Nothing,
    Least,
    Most,
}

/// The rows that are tried.
struct Rehearsal<'a> {
    config: &'a Config,
    compiled: &'a CompiledWatch,
    sample: &'a SampleRows,
    codes: BTreeMap<String, Vec<String>>,
    nullable: &'a [String],
    now: Timestamp,
}

/// Adds what is wrong with the rules and the bodies of a watch.
pub fn findings(
    config: &Config,
    compiled: &CompiledWatch,
    sample: &SampleRows,
    facts: &ColumnFacts,
    now: Timestamp,
    report: &mut CheckReport,
) {
    let codes = codes(compiled, facts);
    let nullable = &facts.nullable;
    let rehearsal = Rehearsal { config, compiled, sample, codes, nullable, now };
    let routes = std::iter::once(&compiled.routes.own).chain(&compiled.routes.fallbacks);
    for route in routes {
        for finding in rehearsal.bodies(route) {
            rehearsal.add(report, route::named(finding, &compiled.name, &route.key));
        }
        if compiled.config.digest.is_some() && route.phrasing.writes_summary().next().is_none() {
            let what = format!(
                "joins the summaries of several rows, and no variable of the body of template.{} writes {{{{ summary }}}}: \
                 write it there, or leave digest out",
                route.key
            );
            report.problem(&compiled.name, "digest", what);
        }
    }
    // The rules are the same on every route.
    for place in 0..compiled.config.say.len() {
        for finding in rehearsal.rule(place) {
            rehearsal.add(report, route::named(finding, &compiled.name, ""));
        }
    }
}

/// The values that the columns have as codes: labels of enums, and those that the watch names.
fn codes(compiled: &CompiledWatch, facts: &ColumnFacts) -> BTreeMap<String, Vec<String>> {
    let mut codes = facts.codes.clone();
    let mut add = |column: &String, value: String| {
        let known = codes.entry(column.clone()).or_default();
        if !known.contains(&value) && known.len() < MOST_CODES {
            known.push(value);
        }
    };
    for (column, names) in &compiled.config.value {
        names.keys().for_each(|value| add(column, value.clone()));
    }
    for rule in &compiled.config.say {
        for (column, wanted) in rule.becomes.iter().chain(&rule.was) {
            let wanted = wanted.as_array().map_or_else(|| vec![wanted.clone()], Clone::clone);
            wanted.iter().filter_map(text_of).for_each(|value| add(column, value));
        }
    }
    codes
}

impl Rehearsal<'_> {
    /// Without a row of the table nobody knows what a text or a JSON column holds.
    fn add(&self, report: &mut CheckReport, finding: Finding) {
        let severity = match self.sample.rows.iter().any(|present| present.row.is_some()) {
            true => Severity::Error,
            false => Severity::Warning,
        };
        report.push(Finding { severity, ..finding });
    }

    fn bodies(&self, route: &Route) -> Vec<Finding> {
        let nobody = SayRule::default();
        let try_with = |row: &Row, old: &Row| {
            let context = self.context(&nobody, row, Some(old));
            route.phrasing.rehearse_body(&context)
        };
        self.tried(&nobody, try_with)
    }

    fn rule(&self, place: usize) -> Vec<Finding> {
        let rule = &self.compiled.config.say[place];
        let phrasing = &self.compiled.routes.own.phrasing;
        let try_with = |row: &Row, old: &Row| {
            let old = (rule.operation != Some(Operation::Insert)).then_some(old);
            phrasing.rehearse_rule(place, &self.context(rule, row, old))
        };
        self.tried(rule, try_with)
    }

    fn context<'b>(
        &'b self,
        rule: &SayRule,
        row: &'b Row,
        old: Option<&'b Row>,
    ) -> RenderContext<'b> {
        RenderContext {
            operation: rule.operation.unwrap_or(Operation::Update),
            changes: &[],
            old,
            row,
            columns: &self.compiled.columns,
            names: &self.sample.names,
            name: "Ana",
            locale: &self.config.recipient.locale,
            time_zone: "UTC",
            service_zone: self.compiled.config.time_zone.as_deref(),
            is_zone_unchosen: false,
            now: self.now,
        }
    }

    /// The first thing that is wrong with each template, and with which values.
    fn tried(&self, rule: &SayRule, try_with: impl Fn(&Row, &Row) -> Vec<Finding>) -> Vec<Finding> {
        let usual = self.row(rule, Extent::Usual);
        let before = before(rule, usual.clone());
        let mut found: Vec<Finding> = Vec::new();
        let mut note = |findings: Vec<Finding>, with: &dyn Fn(&Finding) -> String| {
            for mut finding in findings {
                if !found.iter().any(|known| known.key == finding.key) {
                    finding.what = format!("{}{}", finding.what, with(&finding));
                    found.push(finding);
                }
            }
        };
        note(try_with(&usual, &before), &|_| String::new());
        for extent in [Extent::Nothing, Extent::Least, Extent::Most] {
            let row = self.row(rule, extent);
            note(try_with(&row, &before), &|wrong| {
                let one = self.culprit(&usual, &row, |row| try_with(row, &before), wrong);
                one.unwrap_or_else(|| extent.in_words().to_owned())
            });
            let row_before = self::before(rule, row);
            note(try_with(&usual, &row_before), &|wrong| {
                let one = self.culprit(&before, &row_before, |old| try_with(&usual, old), wrong);
                one.map_or_else(|| extent.in_words().to_owned(), |one| format!("{one} before"))
            });
        }
        for (column, code) in self.codes.iter().flat_map(|(c, all)| all.iter().map(move |v| (c, v)))
        {
            if rule.becomes.contains_key(column) {
                continue;
            }
            let mut row = usual.clone();
            row.insert(column.into(), Value::String(code.clone()));
            note(try_with(&row, &before), &|_| format!(" (where {column} is \"{code}\")"));
        }
        found
    }

    /// The one column whose value alone makes the template fail.
    fn culprit(
        &self,
        usual: &Row,
        tried: &Row,
        try_with: impl Fn(&Row) -> Vec<Finding>,
        wrong: &Finding,
    ) -> Option<String> {
        tried.iter().filter(|(column, value)| usual.get(*column) != Some(*value)).find_map(
            |(column, value)| {
                let mut row = usual.clone();
                row.insert(column.clone(), value.clone());
                let fails = try_with(&row).iter().any(|finding| finding.key == wrong.key);
                let value = if value.is_null() { "nothing".to_owned() } else { value.to_string() };
                fails.then(|| format!(" (where {column} is {value})"))
            },
        )
    }

    /// A row with such values, as far as the rule lets it speak of them.
    fn row(&self, rule: &SayRule, extent: Extent) -> Row {
        let mut row: Row = self
            .compiled
            .table
            .captured
            .iter()
            .map(|column| (column.into(), self.value(column, extent)))
            .collect();
        for (column, wanted) in &rule.becomes {
            set(&mut row, column, wanted);
        }
        row
    }

    fn value(&self, name: &str, extent: Extent) -> Value {
        let kinds = &self.compiled.columns;
        let kind = kinds.get(name).map_or(&ColumnKind::Other, |column| &column.kind);
        let is_key = self.compiled.table.key.iter().any(|key| key == name);
        let usual = || self.usual(name, kind);
        match extent {
            Extent::Nothing if self.nullable.iter().any(|column| column == name) => Value::Null,
            Extent::Usual | Extent::Nothing => usual(),
            _ if is_key || self.codes.contains_key(name) => usual(),
            extent => extreme(kind, extent).unwrap_or_else(usual),
        }
    }

    fn usual(&self, name: &str, kind: &ColumnKind) -> Value {
        let rows = self.sample.rows.iter().filter_map(|present| present.row.as_ref());
        let held = rows.filter_map(|row| row.get(name)).find(|value| !value.is_null());
        let code = || Some(Value::String(self.codes.get(name)?.first()?.clone()));
        held.cloned().or_else(code).unwrap_or_else(|| typical(kind))
    }
}

/// The row before: as the rule wants it to have been.
fn before(rule: &SayRule, mut row: Row) -> Row {
    for (column, wanted) in &rule.was {
        set(&mut row, column, wanted);
    }
    row
}

fn set(row: &mut Row, column: &str, wanted: &Value) {
    let one = wanted.as_array().and_then(|any| any.first()).unwrap_or(wanted);
    row.insert(column.into(), one.clone());
}

impl Extent {
    fn in_words(self) -> &'static str {
        match self {
            Extent::Usual => "",
            Extent::Nothing => " (where its columns hold nothing)",
            Extent::Least => " (where its columns hold the least that they can)",
            Extent::Most => " (where its columns hold the most that they can)",
        }
    }
}

fn typical(kind: &ColumnKind) -> Value {
    match kind {
        ColumnKind::TimestampTz => json!("2030-06-25T10:00:00+00:00"),
        ColumnKind::Timestamp => json!("2030-06-25T10:00:00"),
        ColumnKind::Date => json!("2030-06-25"),
        ColumnKind::Time => json!("10:00:00"),
        ColumnKind::Interval => json!("01:30:00"),
        ColumnKind::Number { scale: Some(0) } => json!(12),
        ColumnKind::Number { .. } => json!(12.5),
        ColumnKind::Money => json!("$12.50"),
        ColumnKind::Bool => json!(true),
        ColumnKind::Json => json!({}),
        ColumnKind::List(inner) => json!([typical(inner)]),
        ColumnKind::Range(inner) => range_of(inner).into(),
        ColumnKind::MultiRange(inner) => format!("{{{}}}", range_of(inner)).into(),
        ColumnKind::Text | ColumnKind::Caseless | ColumnKind::Padded | ColumnKind::Other => {
            json!("text")
        }
    }
}

fn range_of(bound: &ColumnKind) -> String {
    match bound {
        ColumnKind::TimestampTz => "[\"2030-06-25 10:00:00+00\",\"2030-06-25 12:00:00+00\")",
        ColumnKind::Timestamp => "[\"2030-06-25 10:00:00\",\"2030-06-25 12:00:00\")",
        ColumnKind::Date => "[2030-06-25,2030-06-28)",
        _ => "[1,4)",
    }
    .to_owned()
}

/// The least or the most that a column of this kind can hold; None: its kind does not say.
fn extreme(kind: &ColumnKind, extent: Extent) -> Option<Value> {
    let (least, most) = match kind {
        ColumnKind::TimestampTz | ColumnKind::Timestamp | ColumnKind::Date => {
            (json!("-infinity"), json!("infinity"))
        }
        ColumnKind::Time => (json!("00:00:00"), json!("23:59:59.999999")),
        ColumnKind::Interval => (json!("00:00:00"), json!("99999 days 23:59:59")),
        ColumnKind::Number { scale: Some(0) } => (json!(0), json!(32_767)),
        ColumnKind::Number { .. } => (json!(0), json!(999_999_999.99)),
        ColumnKind::Bool => (json!(false), json!(true)),
        ColumnKind::List(inner) => (json!([]), json!(vec![typical(inner); 30])),
        ColumnKind::Range(_) => (json!("empty"), json!("(,)")),
        ColumnKind::MultiRange(_) => (json!("{}"), json!("{(,)}")),
        // How long a text is, no rule cares.
        ColumnKind::Text | ColumnKind::Caseless | ColumnKind::Padded => (json!(""), Value::Null),
        ColumnKind::Money | ColumnKind::Json | ColumnKind::Other => return None,
    };
    let value = if extent == Extent::Least { least } else { most };
    (!value.is_null()).then_some(value)
}
