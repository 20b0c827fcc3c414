//! How a sentence without a rule shows a value: by the kind of its column.

use serde_json::Value;

use crate::domain::locale::locale::{NOTHING, RecipientLocale};
use crate::domain::text::labels::text_of;
use crate::domain::text::phrases::Phrase;
use crate::domain::text::whatsapp_limits::is_blank;
use crate::domain::value::column::{Column, Precision, TimeUnit, normal};
use crate::domain::value::column_kind::ColumnKind;
use crate::domain::value::moment::FormatError;
use crate::domain::value::range;
use crate::domain::value::row::Row;

/// Whether a text shows nothing: it is empty, or a moment that never comes.
pub fn shows_nothing(text: &str, column: &Column) -> bool {
    let is_moment =
        matches!(column.kind, ColumnKind::TimestampTz | ColumnKind::Timestamp | ColumnKind::Date);
    is_blank(text) || normal(text, column).is_none() || (is_moment && text.ends_with("infinity"))
}

impl RecipientLocale {
    /// A value of a column. Values that their kind does not explain are shown as they are; `row`
    /// has the currency of an amount.
    pub fn show(
        &self,
        name: &str,
        column: &Column,
        value: &Value,
        row: Option<&Row>,
    ) -> Result<String, FormatError> {
        let Some(text) = text_of(value) else {
            return Ok(NOTHING.to_owned());
        };
        if value.is_string() && shows_nothing(&text, column) {
            return Ok(NOTHING.to_owned());
        }
        if let Some(label) = self.label(Some(name), &text) {
            return Ok(label);
        }
        if self.labels.are_keys(name) {
            return Ok(NOTHING.to_owned());
        }
        match self.typed(name, column, value, &text, row) {
            Err(
                FormatError::NotAMoment(_) | FormatError::NotANumber(_) | FormatError::Currency(_),
            ) => Ok(self.isolated(&text)),
            shown => shown,
        }
    }

    fn typed(
        &self,
        name: &str,
        column: &Column,
        value: &Value,
        text: &str,
        row: Option<&Row>,
    ) -> Result<String, FormatError> {
        match (&column.kind, value) {
            (kind, Value::Array(items)) => self.items(name, column, kind, items, row),
            (_, Value::Object(fields)) if fields.is_empty() => Ok(NOTHING.to_owned()),
            (_, Value::Object(fields)) => {
                let shown: Result<Vec<String>, FormatError> = fields
                    .iter()
                    .map(|(key, value)| {
                        Ok(format!("{key}: {}", self.show(name, column, value, row)?))
                    })
                    .collect();
                self.formats.list(&shown?)
            }
            (_, Value::Bool(yes)) => {
                Ok(self.phrase(if *yes { Phrase::Yes } else { Phrase::No }, &[]))
            }
            (ColumnKind::TimestampTz | ColumnKind::Timestamp, _) => match column.time_unit() {
                TimeUnit::Day => self.date(text),
                TimeUnit::Second => Ok(format!("{}, {}", self.date(text)?, self.time(text, true)?)),
                TimeUnit::Minute | TimeUnit::Hour => self.moment(text),
            },
            (ColumnKind::Date, _) => self.date(text),
            (ColumnKind::Time, _) => self.time(text, column.time_unit() == TimeUnit::Second),
            (
                ColumnKind::Number { .. } | ColumnKind::Money | ColumnKind::Json,
                Value::Number(_),
            )
            | (ColumnKind::Number { .. } | ColumnKind::Money, _) => {
                self.quantity(column, text, row)
            }
            (ColumnKind::Range(inner), _) => self.span(inner, column, text),
            (ColumnKind::MultiRange(inner), _) => {
                let ranges = range::split(text).unwrap_or_default().into_iter();
                let shown: Result<Vec<String>, FormatError> =
                    ranges.map(|range| self.span(inner, column, range)).collect();
                self.formats.list(&shown?)
            }
            _ => Ok(self.isolated(text.trim())),
        }
    }

    fn items(
        &self,
        name: &str,
        column: &Column,
        kind: &ColumnKind,
        items: &[Value],
        row: Option<&Row>,
    ) -> Result<String, FormatError> {
        if items.is_empty() {
            return Ok(NOTHING.to_owned());
        }
        let kind = match kind {
            ColumnKind::List(element) => (**element).clone(),
            other => other.clone(),
        };
        let element = Column { kind, rules: column.rules.clone() };
        let shown: Result<Vec<String>, FormatError> =
            items.iter().map(|item| self.show(name, &element, item, row)).collect();
        self.formats.list(&shown?)
    }

    fn quantity(
        &self,
        column: &Column,
        text: &str,
        row: Option<&Row>,
    ) -> Result<String, FormatError> {
        if let Some(currency) = column.currency(row) {
            return self.amount(text, currency);
        }
        let digits = match (column.rules.precision, &column.kind) {
            (Some(Precision::Digits(digits)), _) => Some(digits),
            (_, ColumnKind::Number { scale }) => *scale,
            // Only PostgreSQL knows the sign that it wrote.
            (_, ColumnKind::Money) => return Ok(self.isolated(text)),
            _ => None,
        };
        self.number(text, digits)
    }

    fn span(&self, inner: &ColumnKind, column: &Column, text: &str) -> Result<String, FormatError> {
        if inner.has_time() || *inner == ColumnKind::Date {
            return self.range(text);
        }
        let Some(Some(bounds)) = range::parse(text) else {
            return Ok(NOTHING.to_owned());
        };
        let whole = *inner == ColumnKind::Number { scale: Some(0) };
        let number = |text: &str| self.number(text, column.digits());
        // The last whole number of [1,4) is 3.
        let last = |text: &str| match text.parse::<i64>() {
            Ok(end) if whole && !bounds.has_to => number(&(end - 1).to_string()),
            _ => number(text),
        };
        Ok(match (&bounds.from, &bounds.to) {
            (Some(from), Some(to)) => format!("{}–{}", number(from)?, last(to)?),
            (Some(from), None) => format!("≥ {}", number(from)?),
            (None, Some(to)) => format!("≤ {}", last(to)?),
            (None, None) => NOTHING.to_owned(),
        })
    }
}
