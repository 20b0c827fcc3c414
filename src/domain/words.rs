//! The engine behind the words: MiniJinja templates with filters for dates, times, numbers and
//! labels, and the rules of WhatsApp for a variable.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value as Jinja};
use serde_json::Value;

use super::dates::{self, FormatError, Moment};
use super::diff::Kind;
use super::summary::{Occasion, PhrasingSource, Unwritable};
use super::text::LocalText;

/// What is shown for a value that is not there.
const NOTHING: &str = "—";

/// Names in templates that are not columns.
const RESERVED: [&str; 5] = ["recipient", "service", "summary", "old", "row"];

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct WordsProblem {
    /// Key below the watch or template: `say[0].text.es`, `body[2]`.
    pub place: String,
    pub why: String,
}

/// An occasion with the locale that it is written in.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    pub occasion: &'a Occasion<'a>,
    pub locale: &'a str,
    pub default_locale: &'a str,
}

/// Compiled templates, each with the variables that it uses.
pub struct Engine {
    environment: Environment<'static>,
    used: HashMap<String, Vec<String>>,
    labels: Labels,
}

impl Engine {
    /// Compiles every template of the source; reports every problem.
    pub fn compile(source: &PhrasingSource<'_>) -> Result<Engine, Vec<WordsProblem>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let labels = Labels(source.value.clone());
        add_filters(&mut environment, &labels);
        let mut engine = Engine { environment, used: HashMap::new(), labels };
        let mut problems = Vec::new();
        for (i, rule) in source.say.iter().enumerate() {
            let Some(text) = &rule.text else { continue };
            for (tag, template) in text.each() {
                engine.add(say_name(i, tag), template, source.columns, &mut problems);
            }
        }
        for (i, template) in source.body.iter().enumerate() {
            engine.add(body_name(i), template, source.columns, &mut problems);
        }
        if problems.is_empty() { Ok(engine) } else { Err(problems) }
    }

    fn add(
        &mut self,
        name: String,
        text: &str,
        columns: &[String],
        problems: &mut Vec<WordsProblem>,
    ) {
        let added = self.environment.add_template_owned(name.clone(), text.to_owned());
        let template = match added.and_then(|()| self.environment.get_template(&name)) {
            Ok(template) => template,
            Err(error) => {
                problems.push(WordsProblem { place: name, why: error_text(&error) });
                return;
            }
        };
        let mut used: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        used.sort_unstable();
        for variable in &used {
            let known = RESERVED.contains(&variable.as_str()) || columns.contains(variable);
            if !known {
                let why = unknown_variable(variable, columns);
                problems.push(WordsProblem { place: name.clone(), why });
            }
        }
        self.used.insert(name, used);
    }

    /// Renders one template for a scene; `more` are variables beside the columns.
    pub fn render(
        &self,
        name: &str,
        scene: &Scene<'_>,
        more: Option<&[(&str, Jinja)]>,
    ) -> Result<String, Unwritable> {
        let mut context: BTreeMap<&str, Jinja> = BTreeMap::new();
        for variable in self.used.get(name).into_iter().flatten() {
            context.insert(variable, variable_of(variable, scene));
        }
        for (name, value) in more.into_iter().flatten() {
            context.insert(name, value.clone());
        }
        context.insert("@locale", Jinja::from(scene.locale));
        context.insert("@zone", Jinja::from(scene.occasion.time_zone));
        context.insert("@now", Jinja::from(scene.occasion.now.as_second()));
        let unwritable = |error: minijinja::Error| Unwritable::Template {
            place: name.to_owned(),
            why: error_text(&error),
        };
        self.environment.get_template(name).and_then(|t| t.render(context)).map_err(unwritable)
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

fn variable_of(variable: &str, scene: &Scene<'_>) -> Jinja {
    let occasion = scene.occasion;
    match variable {
        "recipient" => Jinja::from_pairs([("name", Jinja::from(occasion.name))]),
        "row" => Jinja::from(Serde(occasion.row)),
        "old" => occasion.old.map_or(Jinja::from(()), |old| Jinja::from(Serde(old))),
        column => occasion.row.get(column).map_or(Jinja::from(()), jinja_of),
    }
}

fn jinja_of(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(yes) => Jinja::from(*yes),
        Value::String(text) => Jinja::from(text.as_str()),
        other => Jinja::from(Serde(other)),
    }
}

/// Names of values, by column and value.
#[derive(Clone, Default)]
pub struct Labels(BTreeMap<String, BTreeMap<String, LocalText>>);

impl Labels {
    fn of(&self, column: Option<&str>, value: &str, locale: &str) -> Option<&str> {
        match column {
            Some(column) => self.0.get(column)?.get(value)?.for_locale(locale, "en"),
            None => self.0.values().find_map(|names| names.get(value)?.for_locale(locale, "en")),
        }
    }

    /// A value as a sentence without a rule shows it.
    pub fn show(
        &self,
        column: &str,
        kind: &Kind,
        value: &Value,
        scene: &Scene<'_>,
    ) -> Result<String, FormatError> {
        let text = match value {
            Value::Null => return Ok(NOTHING.to_owned()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if let Some(label) = self.of(Some(column), &text, scene.locale) {
            return Ok(label.to_owned());
        }
        let wall =
            Wall { locale: scene.locale, zone: scene.occasion.time_zone, now: scene.occasion.now };
        match kind {
            Kind::TimestampTz | Kind::Timestamp => wall.datetime(&text),
            Kind::Date => wall.date(&text),
            Kind::Time => wall.time(&text),
            Kind::Number { .. } => dates::formats(scene.locale)?.number(&text),
            _ => Ok(text),
        }
    }
}

/// Where and when a text is read.
struct Wall<'a> {
    locale: &'a str,
    zone: &'a str,
    now: jiff::Timestamp,
}

impl Wall<'_> {
    fn this_year(&self) -> Result<i16, FormatError> {
        Ok(dates::zone(self.zone)?.to_datetime(self.now).date().year())
    }

    fn date(&self, text: &str) -> Result<String, FormatError> {
        let (date, _) = Moment::parse(text)?.on_the_wall(&dates::zone(self.zone)?);
        let date = date.ok_or_else(|| FormatError::NotAMoment(text.to_owned()))?;
        dates::formats(self.locale)?.date(date, self.this_year()?)
    }

    fn time(&self, text: &str) -> Result<String, FormatError> {
        let (_, time) = Moment::parse(text)?.on_the_wall(&dates::zone(self.zone)?);
        let time = time.ok_or_else(|| FormatError::NotAMoment(text.to_owned()))?;
        dates::formats(self.locale)?.time(time)
    }

    fn datetime(&self, text: &str) -> Result<String, FormatError> {
        Ok(format!("{}, {}", self.date(text)?, self.time(text)?))
    }
}

fn add_filters(environment: &mut Environment<'static>, labels: &Labels) {
    environment.add_filter("date", |state: &State<'_, '_>, value: Jinja| {
        on_the_wall(state, &value, |wall, text| wall.date(text))
    });
    environment.add_filter("time", |state: &State<'_, '_>, value: Jinja| {
        on_the_wall(state, &value, |wall, text| wall.time(text))
    });
    environment.add_filter("datetime", |state: &State<'_, '_>, value: Jinja| {
        on_the_wall(state, &value, |wall, text| wall.datetime(text))
    });
    environment.add_filter("number", |state: &State<'_, '_>, value: Jinja| {
        on_the_wall(state, &value, |wall, text| dates::formats(wall.locale)?.number(text))
    });
    let labels = labels.clone();
    environment.add_filter(
        "label",
        move |state: &State<'_, '_>, value: Jinja, column: Option<String>| {
            // MiniJinja writes True and False; PostgreSQL, and so the configuration, true and false.
            let text =
                bool::try_from(value.clone()).map_or(value.to_string(), |yes| yes.to_string());
            let locale = state.lookup("@locale").map(|v| v.to_string()).unwrap_or_default();
            labels.of(column.as_deref(), &text, &locale).map_or(text.clone(), str::to_owned)
        },
    );
}

fn on_the_wall(
    state: &State<'_, '_>,
    value: &Jinja,
    show: impl Fn(&Wall<'_>, &str) -> Result<String, FormatError>,
) -> Result<String, minijinja::Error> {
    if value.is_none() {
        return Ok(NOTHING.to_owned());
    }
    let locale = state.lookup("@locale").unwrap_or_default();
    let zone = state.lookup("@zone").unwrap_or_default();
    let seconds = state.lookup("@now").and_then(|now| i64::try_from(now).ok()).unwrap_or_default();
    let wall = Wall {
        locale: locale.as_str().unwrap_or_default(),
        zone: zone.as_str().unwrap_or_default(),
        now: jiff::Timestamp::from_second(seconds).unwrap_or_default(),
    };
    let text = value.to_string();
    show(&wall, &text)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

fn unknown_variable(variable: &str, columns: &[String]) -> String {
    let names = columns.iter().map(String::as_str).chain(RESERVED);
    let nearest = names
        .map(|name| (strsim::damerau_levenshtein(name, variable), name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    match nearest {
        Some((_, name)) => format!("there is no \"{variable}\"; did you mean \"{name}\"?"),
        None => format!(
            "there is no \"{variable}\"; templates know recipient.name, service, summary, old, row and the columns {}",
            columns.join(", ")
        ),
    }
}

/// The message of MiniJinja with its line, on one line.
fn error_text(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) if line > 1 => format!("{what} (line {line})"),
        _ => what,
    }
}

/// Name of the template of a say rule in one language.
pub fn say_name(rule: usize, tag: &str) -> String {
    if tag == "default" { format!("say[{rule}].text") } else { format!("say[{rule}].text.{tag}") }
}

/// Name of the template of a body variable.
pub fn body_name(variable: usize) -> String {
    format!("body[{variable}]")
}

/// The tag of the text that `LocalText::for_locale` would choose.
pub fn tag_for(text: &LocalText, locale: &str, fallback: &str) -> Option<String> {
    let chosen = text.for_locale(locale, fallback)?;
    text.each().into_iter().find(|(_, t)| std::ptr::eq(*t, chosen)).map(|(tag, _)| tag.to_owned())
}

/// What is said about a row that is gone when no rule says it.
pub fn phrase_cancelled(_locale: &str) -> &'static str {
    "It has been cancelled."
}

/// As WhatsApp wants a variable: one line, no runs of spaces, nothing around it.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.push_str(word);
    }
    cleaned
}

/// The text cut at a word so that it has at most `room` characters with its ellipsis. None when
/// there is no room for a single word.
pub fn cut(text: &str, room: usize) -> Option<String> {
    let kept: String = text.chars().take(room.checked_sub(1)?).collect();
    let end = kept.rfind(' ').unwrap_or(kept.len());
    let kept = kept[..end].trim_end_matches([' ', ',', ';', ':', '→', '—']);
    (!kept.is_empty()).then(|| format!("{kept}…"))
}

/// The template's text with its variables filled in.
pub fn fill(text: &str, parameters: &[String]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, after) = rest.split_at(start);
        filled.push_str(before);
        let Some(end) = after.find("}}") else { break };
        let number: Option<usize> = after[2..end].trim().parse().ok();
        if let Some(parameter) = number.and_then(|n| parameters.get(n.checked_sub(1)?)) {
            filled.push_str(parameter);
        }
        rest = &after[end + 2..];
    }
    filled.push_str(rest);
    filled
}

/// How many different variables a template's text has.
pub fn variable_count(text: &str) -> usize {
    let mut numbers = BTreeSet::new();
    for piece in text.split("{{").skip(1) {
        if let Some(number) = piece.split("}}").next().and_then(|n| n.trim().parse::<usize>().ok())
        {
            numbers.insert(number);
        }
    }
    numbers.len()
}
