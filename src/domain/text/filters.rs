//! What templates can do with values: `{{ window_start | date }}`.

use std::cell::RefCell;
use std::rc::Rc;

use minijinja::value::{Value as Jinja, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use crate::domain::locale::locale::{NOTHING, RecipientLocale};
use crate::domain::text::phrases::Phrase;
use crate::domain::value::moment::FormatError;
use crate::domain::value::range;
use crate::finding::nearest;

thread_local! {
    /// Filters see only what may go to other threads; the formatters of a locale may not. So the
    /// reader waits here while a template is rendered.
    static READER: RefCell<Option<Rc<RecipientLocale>>> = const { RefCell::new(None) };
}

/// Renders something for a reader.
pub fn reading<T>(reader: &Rc<RecipientLocale>, render: impl FnOnce() -> T) -> T {
    READER.set(Some(reader.clone()));
    let rendered = render();
    READER.set(None);
    rendered
}

type Shown = Result<Jinja, Error>;

/// What the reader makes of it. It needs no isolates any more.
fn read(show: impl FnOnce(&RecipientLocale) -> Result<String, FormatError>) -> Shown {
    let failed = |why: String| Error::new(ErrorKind::InvalidOperation, why);
    let reader = READER.with_borrow(Clone::clone);
    let reader = reader.ok_or_else(|| failed("nobody reads this".to_owned()))?;
    show(&reader).map(Jinja::from_safe_string).map_err(|error| failed(error.to_string()))
}

/// A value that is there, as text.
fn text(value: &Jinja) -> Option<String> {
    let text = match value.kind() {
        ValueKind::None | ValueKind::Undefined => return None,
        // MiniJinja writes True and False; PostgreSQL, and so the configuration, true and false.
        ValueKind::Bool => value.is_true().to_string(),
        _ => value.to_string(),
    };
    (!text.is_empty() && !text.ends_with("infinity")).then_some(text)
}

/// Shows a value; what is not there is a dash.
fn of(
    value: &Jinja,
    show: impl FnOnce(&RecipientLocale, &str) -> Result<String, FormatError>,
) -> Shown {
    match text(value) {
        Some(text) => read(|reader| show(reader, &text)),
        None => Ok(Jinja::from_safe_string(NOTHING.to_owned())),
    }
}

/// What templates use most; MiniJinja has more of its own.
const NAMES: [&str; 20] = [
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
    "upper",
    "lower",
    "title",
    "capitalize",
    "default",
    "replace",
    "trim",
    "join",
];

/// The filters that a template names. MiniJinja looks for them only when it renders, and a message that
/// cannot be rendered is lost.
pub fn named(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    // What is raw is text.
    if template.contains("raw %}") {
        return names;
    }
    let (mut rest, mut quote, mut is_code) = (template, None, false);
    while let Some(c) = rest.chars().next() {
        let two = rest.get(..2).unwrap_or_default();
        match (c, quote) {
            (_, Some(open)) => quote = (c != open).then_some(open),
            ('{', None) if two == "{#" => rest = rest.find("#}").map_or("", |end| &rest[end..]),
            ('{', None) if matches!(two, "{{" | "{%") => is_code = true,
            ('}' | '%', None) if matches!(two, "}}" | "%}") => is_code = false,
            ('"' | '\'', None) if is_code => quote = Some(c),
            ('|', None) if is_code => {
                let after = rest[1..].trim_start();
                let is_name = |c: char| c.is_alphanumeric() || c == '_';
                names.push(&after[..after.find(|c| !is_name(c)).unwrap_or(after.len())]);
            }
            _ => {}
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    names
}

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
        of(&value, |reader, text| match style.as_deref() {
            None => reader.date(text),
            Some("full") => reader.whole_date(text),
            Some(_) => Err(FormatError::Argument("date or date(\"full\")")),
        })
    });
    environment.add_filter("time", |value: Jinja, unit: Option<String>| {
        of(&value, |reader, text| match unit.as_deref() {
            None | Some("minute") => reader.time(text, false),
            Some("second") => reader.time(text, true),
            Some(_) => Err(FormatError::Argument("time or time(\"second\")")),
        })
    });
    environment.add_filter("datetime", |value: Jinja| of(&value, RecipientLocale::moment));
    environment.add_filter("weekday", |value: Jinja| of(&value, RecipientLocale::weekday));
    environment.add_filter("day", |value: Jinja| of(&value, RecipientLocale::day));
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
    environment.set_formatter(|output, state, value| {
        // Values from the database are set apart where their direction differs.
        if let (Some(text), false) = (value.as_str(), value.is_safe()) {
            let shown = read(|reader| Ok(reader.isolated(text)))?;
            return minijinja::escape_formatter(output, state, &shown);
        }
        minijinja::escape_formatter(output, state, value)
    });
}

/// `{{ window_start | window(window_end) }}`, or a range by itself.
fn window(from: Jinja, to: Option<Jinja>) -> Shown {
    match to {
        Some(to) => {
            let (from, to) = (text(&from), text(&to));
            read(|reader| reader.window(from.as_deref(), to.as_deref()))
        }
        None => of(&from, RecipientLocale::range),
    }
}

/// A bound of a range, for other filters.
fn bound(value: &Jinja, is_start: bool) -> Shown {
    let Some(text) = text(value) else {
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

fn list(value: Jinja) -> Shown {
    if value.is_none() {
        return Ok(Jinja::from_safe_string(NOTHING.to_owned()));
    }
    let items: Vec<Jinja> = value.try_iter()?.collect();
    read(|reader| {
        let shown: Vec<String> =
            items.iter().filter_map(text).map(|t| reader.isolated(&t)).collect();
        reader.formats.list(&shown)
    })
}

/// The name of a code; of a truth without one: yes or no.
fn label(value: Jinja, column: Option<String>) -> Shown {
    let is_true = value.is_true();
    of(&value, |reader, text| {
        let label = reader.label(column.as_deref(), text);
        let plain = || match value.kind() {
            ValueKind::Bool => reader.phrase(if is_true { Phrase::Yes } else { Phrase::No }, &[]),
            _ => reader.isolated(text),
        };
        Ok(label.unwrap_or_else(plain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_found_where_they_are_applied_and_nowhere_else() {
        assert_eq!(
            named("{{ a | date }} or {{ b|time(\"second\") | upper}}"),
            ["date", "time", "upper"]
        );
        assert_eq!(named("{% if a | list %}x | y{% endif %}"), ["list"]);
        assert_eq!(named("a | b {{ '|' ~ \"x | y\" }} {# | z #} {{ é | trim }}"), ["trim"]);
        assert_eq!(named("{% raw %}{{ a | b }}{% endraw %}"), [""; 0]);
        assert_eq!(named("{{ a |"), [""]);
    }

    #[test]
    fn an_unknown_filter_names_the_nearest() {
        assert_eq!(unknown("dat"), "there is no filter \"dat\"; did you mean \"date\"?");
        assert!(
            unknown("kilometres")
                .starts_with("there is no filter \"kilometres\"; there are date, time")
        );
    }
}
