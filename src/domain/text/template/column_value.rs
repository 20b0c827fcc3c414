//! Values of a row in a template. Text and whole numbers are MiniJinja's own; everything else keeps its column, so
//! that it is written as people write it wherever a template makes text of it: printed, joined by `~`, or in a
//! filter such as `upper`. What operators compare is the value itself; see template_source.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Jinja};
use serde_json::Value;

use crate::domain::locale::locale::NOTHING;
use crate::domain::text::labels::text_of;
use crate::domain::text::plain_value::shows_nothing;
use crate::domain::text::template::current_reader::{note_fault, read};
use crate::domain::text::whatsapp_limits::is_blank;
use crate::domain::value::column::{self, Column, Columns};
use crate::domain::value::column_kind::ColumnKind;
use crate::domain::value::row::Row;

/// A value that is neither text nor a whole number.
#[derive(Debug)]
pub struct ColumnValue {
    name: String,
    column: Column,
    /// None: there is nothing at this path into a JSON column.
    value: Option<Value>,
}

/// A value of a column, as a template gets it.
pub fn in_template(name: &str, column: &Column, value: Option<&Value>) -> Jinja {
    match value {
        Some(Value::String(text)) if is_text(&column.kind) && !is_blank(text) => {
            match column.kind {
                ColumnKind::Padded => Jinja::from(text.trim_end_matches(' ')),
                _ => Jinja::from(text.as_str()),
            }
        }
        Some(Value::Number(number)) if number.to_string().parse::<i128>().is_ok() => {
            number_of(number)
        }
        _ => Jinja::from_object(ColumnValue {
            name: name.to_owned(),
            column: column.clone(),
            value: value.cloned(),
        }),
    }
}

/// Kinds whose texts are read as they are written. A time or a range is not.
fn is_text(kind: &ColumnKind) -> bool {
    match kind {
        ColumnKind::TimestampTz
        | ColumnKind::Timestamp
        | ColumnKind::Date
        | ColumnKind::Time
        | ColumnKind::Number { .. }
        | ColumnKind::Range(_)
        | ColumnKind::MultiRange(_) => false,
        ColumnKind::List(inner) => is_text(inner),
        _ => true,
    }
}

fn number_of(number: &serde_json::Number) -> Jinja {
    let text = number.to_string();
    match text.parse::<i128>() {
        Ok(whole) => Jinja::from(whole),
        Err(_) => text.parse::<f64>().map_or_else(|_| Jinja::from(text), Jinja::from),
    }
}

impl ColumnValue {
    fn is_nothing(&self) -> bool {
        match &self.value {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => shows_nothing(text, &self.column),
            _ => false,
        }
    }

    /// One of a list, or a member of an object.
    fn inner(&self, name: String, value: Option<&Value>) -> Jinja {
        let kind = match &self.column.kind {
            ColumnKind::List(element) => (**element).clone(),
            other => other.clone(),
        };
        in_template(&name, &Column { kind, rules: self.column.rules.clone() }, value)
    }
}

impl Object for ColumnValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match &self.value {
            Some(Value::Object(_)) => ObjectRepr::Map,
            // Nothing is a list of nothing.
            None | Some(Value::Array(_) | Value::Null) => ObjectRepr::Seq,
            _ => ObjectRepr::Plain,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        match &self.value {
            None | Some(Value::Null) => Some(self.inner(self.name.clone(), None)),
            Some(Value::Array(items)) => {
                let item = items.get(key.as_usize()?)?;
                Some(self.inner(self.name.clone(), Some(item)))
            }
            Some(Value::Object(members)) => {
                let member = key.as_str()?;
                Some(self.inner(format!("{}.{member}", self.name), members.get(member)))
            }
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.value {
            Some(Value::Array(items)) => Enumerator::Seq(items.len()),
            Some(Value::Object(members)) => {
                Enumerator::Values(members.keys().map(|key| Jinja::from(key.as_str())).collect())
            }
            None | Some(Value::Null) => Enumerator::Empty,
            _ => Enumerator::NonEnumerable,
        }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        match &self.value {
            Some(Value::Bool(yes)) => *yes,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            _ => !self.is_nothing(),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(value) = &self.value else { return f.write_str(NOTHING) };
        // Which currency is meant, a template says by itself.
        let mut column = self.column.clone();
        column.rules.currency = None;
        match read(|reader| reader.show(&self.name, &column, value, None)) {
            Ok(text) => f.write_str(&text),
            Err(why) => {
                note_fault(why);
                f.write_str(NOTHING)
            }
        }
    }
}

/// A whole row in a template: its columns can be named. It cannot be printed, nor run through: it holds what only
/// the recipient query needs.
#[derive(Debug)]
pub struct NamedRow {
    /// `row` or `old`.
    pub variable: &'static str,
    /// None: there was no row yet.
    pub row: Option<Row>,
    pub columns: Columns,
}

impl Object for NamedRow {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let name = key.as_str()?;
        let base = column::base(name);
        let is_known = |row: &Row| row.contains_key(name) || row.contains_key(base);
        let is_there = self.row.as_ref().is_some_and(is_known);
        let is_column = self.columns.contains_key(name) || self.columns.contains_key(base);
        let value = is_there.then(|| column::value(self.row.as_ref(), name));
        (is_there || is_column).then(|| of_columns(name, &self.columns, value))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.row.is_some()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        note_fault(whole_row(self.variable));
        f.write_str(NOTHING)
    }
}

/// What is said of a template that would print a whole row.
pub fn whole_row(variable: &str) -> String {
    format!("{variable} is a whole row; name the column that is meant, such as {variable}.status")
}

/// A value by its name among the columns of a watch.
pub fn of_columns(name: &str, columns: &Columns, value: Option<&Value>) -> Jinja {
    match columns.get(name) {
        Some(column) => in_template(name, column, value),
        None => in_template(name, &Column::from(ColumnKind::Json), value),
    }
}

/// Who reads: by itself, the name.
#[derive(Debug)]
pub struct NamedRecipient(pub String);

impl Object for NamedRecipient {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        (key.as_str() == Some("name")).then(|| Jinja::from(self.0.as_str()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether there is nothing to be shown.
pub fn is_nothing(value: &Jinja) -> bool {
    match value.downcast_object_ref::<ColumnValue>() {
        Some(value) => value.is_nothing(),
        None => value.is_undefined() || value.is_none(),
    }
}

/// The column that a value comes from, as far as it knows.
pub fn column_of(value: &Jinja) -> Option<&str> {
    value.downcast_object_ref::<ColumnValue>().map(|value| value.name.as_str())
}

/// A value as PostgreSQL wrote it; None where there is nothing.
pub fn raw_text(value: &Jinja) -> Option<String> {
    if is_nothing(value) {
        return None;
    }
    let text = match value.downcast_object_ref::<ColumnValue>() {
        Some(value) => value.value.as_ref().and_then(text_of)?,
        // MiniJinja writes True and False; PostgreSQL, and so the configuration, true and false.
        None if value.kind() == minijinja::value::ValueKind::Bool => value.is_true().to_string(),
        None => value.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// What operators and tests see of a value: MiniJinja's own truths, numbers, texts and lists.
pub fn operand(value: &Jinja) -> Jinja {
    if let Some(row) = value.downcast_object_ref::<NamedRow>() {
        return if row.row.is_some() { value.clone() } else { Jinja::from(()) };
    }
    match value.downcast_object_ref::<ColumnValue>() {
        Some(value) => value.value.as_ref().map_or(Jinja::UNDEFINED, plain),
        None => value.clone(),
    }
}

fn plain(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(yes) => Jinja::from(*yes),
        Value::Number(number) => number_of(number),
        Value::String(text) => Jinja::from(text.as_str()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            Jinja::from_pairs(members.iter().map(|(name, value)| (name.as_str(), plain(value))))
        }
    }
}
