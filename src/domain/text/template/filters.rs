//! What templates can do with values: `{{ window_start | date }}`.

use minijinja::value::{Rest, Value as Jinja, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use crate::domain::locale::locale::{NOTHING, RecipientLocale};
use crate::domain::text::phrases::Phrase;
use crate::domain::text::template::column_value::{column_of, is_nothing, operand, raw_text};
use crate::domain::text::template::current_reader::read;
use crate::domain::text::template::template_source::OPERAND;
use crate::domain::value::moment::FormatError;
use crate::domain::value::range;
use crate::finding::nearest;

type Shown = Result<Jinja, Error>;

fn failed(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

/// What the reader makes of it. It needs no isolates any more.
fn shown(show: impl FnOnce(&RecipientLocale) -> Result<String, FormatError>) -> Shown {
    read(show).map(Jinja::from_safe_string).map_err(failed)
}

fn nothing() -> Shown {
    Ok(Jinja::from_safe_string(NOTHING.to_owned()))
}

/// Shows a value; what is not there is a dash.
fn of(
    value: &Jinja,
    show: impl FnOnce(&RecipientLocale, &str) -> Result<String, FormatError>,
) -> Shown {
    match raw_text(value) {
        Some(text) => shown(|reader| show(reader, &text)),
        None => nothing(),
    }
}

/// The text of a moment; one that never comes is not there.
fn moment_text(value: &Jinja) -> Option<String> {
    raw_text(value).filter(|text| !matches!(text.as_str(), "infinity" | "-infinity"))
}

/// Shows a moment, a date or a time.
fn of_moment(
    value: &Jinja,
    show: impl FnOnce(&RecipientLocale, &str) -> Result<String, FormatError>,
) -> Shown {
    match moment_text(value) {
        Some(text) => shown(|reader| show(reader, &text)),
        None => nothing(),
    }
}

/// What templates use most; MiniJinja has more of its own.
const NAMES: [&str; 21] = [
    "date",
    "time",
    "datetime",
    "weekday",
    "day",
    "number",
    "money",
    "window",
    "start",
    "end",
    "list",
    "label",
    "utc",
    "upper",
    "lower",
    "title",
    "capitalize",
    "default",
    "replace",
    "trim",
    "join",
];

/// What is said of a filter that there is not.
pub fn unknown(name: &str) -> String {
    match nearest(name, NAMES) {
        Some(known) => format!("there is no filter \"{name}\"; did you mean \"{known}\"?"),
        None => format!("there is no filter \"{name}\"; there are {}", NAMES.join(", ")),
    }
}

/// Puts the filters into an environment.
pub fn add(environment: &mut Environment<'static>) {
    environment.add_filter("date", |value: Jinja, style: Option<String>| {
        of_moment(&value, |reader, text| match style.as_deref() {
            None => reader.date(text),
            Some("full") => reader.whole_date(text),
            Some(_) => Err(FormatError::Argument("date or date(\"full\")")),
        })
    });
    environment.add_filter("time", |value: Jinja, unit: Option<String>| {
        of_moment(&value, |reader, text| match unit.as_deref() {
            None | Some("minute") => reader.time(text, false),
            Some("second") => reader.time(text, true),
            Some(_) => Err(FormatError::Argument("time or time(\"second\")")),
        })
    });
    environment.add_filter("datetime", |value: Jinja| of_moment(&value, RecipientLocale::moment));
    environment.add_filter("weekday", |value: Jinja| of_moment(&value, RecipientLocale::weekday));
    environment.add_filter("day", |value: Jinja| of_moment(&value, RecipientLocale::day));
    environment.add_filter("number", |value: Jinja, digits: Option<u8>| {
        of(&value, |reader, text| reader.number(text, digits))
    });
    environment.add_filter("money", |value: Jinja, currency: String| {
        of(&value, |reader, text| reader.amount(text, &currency))
    });
    environment.add_filter("window", window);
    environment.add_filter("start", |value: Jinja| bound(&value, true));
    environment.add_filter("end", |value: Jinja| bound(&value, false));
    environment.add_filter("list", list);
    environment.add_filter("label", label);
    environment.add_filter("utc", utc);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter(OPERAND, |value: &Jinja| operand(value));
    environment.set_formatter(|output, state, value| {
        // What is not there is an error before; only `'s' if number != 1` without its else comes here, and means nothing.
        if value.is_undefined() {
            return Ok(());
        }
        let written = written(value).map_err(failed)?;
        minijinja::escape_formatter(output, state, &Jinja::from_safe_string(written))
    });
}

/// A value as people write it. Values of a row know that by themselves; see column_value.
fn written(value: &Jinja) -> Result<String, String> {
    match (value.kind(), value.as_str()) {
        (_, Some(text)) if value.is_safe() => Ok(text.to_owned()),
        // Values from the database are set apart where their direction differs.
        (_, Some(text)) => read(|reader| Ok(reader.isolated(text))),
        (ValueKind::None | ValueKind::Undefined, _) => Ok(NOTHING.to_owned()),
        (ValueKind::Bool, _) => read(|reader| Ok(yes_or_no(reader, value.is_true()))),
        (ValueKind::Number, _) => match value.to_string() {
            fraction if fraction.contains('.') => {
                let number = fraction.strip_suffix(".0").unwrap_or(&fraction);
                read(|reader| reader.number(number, None))
            }
            whole => Ok(whole),
        },
        (ValueKind::Seq | ValueKind::Iterable, _) if column_of(value).is_none() => {
            let items = value.try_iter().map_err(|error| error.to_string())?;
            let items: Vec<String> = items.map(|item| written(&item)).collect::<Result<_, _>>()?;
            read(|reader| reader.formats.list(&items))
        }
        (ValueKind::Map, _) if column_of(value).is_none() => {
            let mut members = Vec::new();
            for key in value.try_iter().map_err(|error| error.to_string())? {
                let member = value.get_item(&key).map_err(|error| error.to_string())?;
                members.push(format!("{key}: {}", written(&member)?));
            }
            read(|reader| reader.formats.list(&members))
        }
        _ => Ok(value.to_string()),
    }
}

fn yes_or_no(reader: &RecipientLocale, is_true: bool) -> String {
    reader.phrase(if is_true { Phrase::Yes } else { Phrase::No }, &[])
}

/// `{{ driver | default("not known yet") }}`, also where the column is null or empty.
fn default(value: &Jinja, arguments: Rest<Jinja>) -> Jinja {
    let other = arguments.first().cloned().unwrap_or_else(|| Jinja::from(""));
    let is_strict = arguments.get(1).is_some_and(Jinja::is_true);
    if is_nothing(value) || (is_strict && !value.is_true()) { other } else { value.clone() }
}

/// A time without a zone that is meant as UTC.
fn utc(value: &Jinja) -> Shown {
    let Some(text) = moment_text(value) else { return Ok(Jinja::from(())) };
    Ok(Jinja::from(text + "Z"))
}

/// `{{ window_start | window(window_end) }}`, or a range by itself.
fn window(from: &Jinja, to: Option<Jinja>) -> Shown {
    match to {
        Some(to) => {
            let (from, to) = (moment_text(from), moment_text(&to));
            shown(|reader| reader.window(from.as_deref(), to.as_deref()))
        }
        None => of(from, RecipientLocale::range),
    }
}

/// A bound of a range, for other filters.
fn bound(value: &Jinja, is_start: bool) -> Shown {
    let Some(text) = raw_text(value) else {
        return Ok(Jinja::from(()));
    };
    let Some(bounds) = range::parse(&text) else {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("expected a range, found \"{text}\""),
        ));
    };
    let bound = bounds.and_then(|bounds| if is_start { bounds.from } else { bounds.to });
    Ok(bound.map_or(Jinja::from(()), Jinja::from))
}

fn list(value: &Jinja) -> Shown {
    if is_nothing(value) {
        return nothing();
    }
    let items = value.try_iter()?.filter(|item| !is_nothing(item));
    let items: Vec<String> =
        items.map(|item| written(&item)).collect::<Result<_, _>>().map_err(failed)?;
    shown(|reader| reader.formats.list(&items))
}

/// The name of a code; of a truth without one: yes or no.
fn label(value: &Jinja, column: Option<String>) -> Shown {
    let column = column.as_deref().or_else(|| column_of(value));
    of(value, |reader, text| {
        let plain = || match operand(value).kind() {
            ValueKind::Bool => yes_or_no(reader, value.is_true()),
            // A key means nothing to people.
            _ if reader.is_nameless(column, text) => NOTHING.to_owned(),
            _ => reader.isolated(text),
        };
        Ok(reader.label(column, text).unwrap_or_else(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_filter_names_the_nearest() {
        assert_eq!(unknown("dat"), "there is no filter \"dat\"; did you mean \"date\"?");
        assert!(
            unknown("kilometres")
                .starts_with("there is no filter \"kilometres\"; there are date, time")
        );
    }
}
