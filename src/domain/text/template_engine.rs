//! The engine behind the words: MiniJinja templates over the columns of a row.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value as Jinja, context};
use serde_json::Value;

use crate::domain::locale::locale::RecipientLocale;
use crate::domain::text::filters;
use crate::domain::text::labels::ByColumn;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::phrases::PhraseSettings;
use crate::domain::text::render_context::{RenderContext, Unwritable};
use crate::domain::text::rules::SayRule;
use crate::domain::value::moment::FormatError;
use crate::finding::{Finding, nearest};

/// Names in templates that are not columns.
const RESERVED: [&str; 7] = ["recipient", "service", "summary", "old", "row", "zone", "operation"];

/// What a phrasing is made of.
#[derive(Clone, Copy, Debug)]
pub struct PhrasingSource<'a> {
    pub service: Option<&'a LocalizedText>,
    pub say: &'a [SayRule],
    pub label: &'a BTreeMap<String, LocalizedText>,
    pub value: &'a ByColumn,
    pub phrase: &'a BTreeMap<String, PhraseSettings>,
    pub body: &'a [String],
    /// The approved text of the template, with `{{1}}` ….
    pub text: Option<&'a LocalizedText>,
    /// Language codes of the template at the provider.
    pub language: &'a LocalizedText,
    pub default_locale: &'a str,
    /// Columns that templates may name; None: they are not known yet, so any name passes.
    pub columns: Option<&'a [String]>,
}

/// A change with the one who reads of it.
pub struct TemplateContext<'a> {
    pub render_context: &'a RenderContext<'a>,
    pub reader: Rc<RecipientLocale>,
}

/// Compiled templates, each with the variables that it uses.
pub struct Engine {
    environment: Environment<'static>,
    used: HashMap<String, Vec<String>>,
}

impl Engine {
    /// Compiles every template of the source; finds everything that is wrong, by its key below the watch or
    /// template: `say[0].text.es`, `body[2]`.
    pub fn compile(source: &PhrasingSource<'_>) -> Result<Engine, Vec<Finding>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        filters::add(&mut environment);
        let mut engine = Engine { environment, used: HashMap::new() };
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
        columns: Option<&[String]>,
        problems: &mut Vec<Finding>,
    ) {
        let added = self.environment.add_template_owned(name.clone(), text.to_owned());
        let template = match added.and_then(|()| self.environment.get_template(&name)) {
            Ok(template) => template,
            Err(error) => {
                problems.push(Finding::new(name, error_text(&error)));
                return;
            }
        };
        let mut used: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        used.sort_unstable();
        for variable in &used {
            let is_known = |columns: &[String]| {
                RESERVED.contains(&variable.as_str()) || columns.contains(variable)
            };
            if let Some(columns) = columns.filter(|columns| !is_known(columns)) {
                let why = unknown_variable(variable, columns);
                problems.push(Finding::new(&name, why));
            }
        }
        for filter in filters::named(text).into_iter().filter(|filter| !self.has_filter(filter)) {
            let why = filters::unknown(filter);
            problems.push(Finding::new(&name, why));
        }
        self.used.insert(name, used);
    }

    fn has_filter(&self, name: &str) -> bool {
        let known = self.environment.render_str("{{ name is filter }}", context! { name });
        known.is_ok_and(|known| known == "True")
    }

    /// Renders one template for a change; `more` are variables beside the columns.
    pub fn render(
        &self,
        name: &str,
        template_context: &TemplateContext<'_>,
        more: &[(&str, Jinja)],
    ) -> Result<String, Unwritable> {
        let unwritable = |why: String| Unwritable::Template { place: name.to_owned(), why };
        let mut context: BTreeMap<&str, Jinja> = BTreeMap::new();
        for variable in self.used.get(name).into_iter().flatten() {
            let value =
                variable_of(variable, template_context).map_err(|e| unwritable(e.to_string()))?;
            context.insert(variable, value);
        }
        for (name, value) in more {
            context.insert(name, value.clone());
        }
        let render = || self.environment.get_template(name).and_then(|t| t.render(context));
        filters::reading(&template_context.reader, render)
            .map_err(|error| unwritable(error_text(&error)))
    }

    /// Whether a template uses a variable.
    pub fn uses(&self, name: &str, variable: &str) -> bool {
        self.used.get(name).is_some_and(|used| used.iter().any(|name| name == variable))
    }
}

fn variable_of(
    variable: &str,
    template_context: &TemplateContext<'_>,
) -> Result<Jinja, FormatError> {
    let render_context = template_context.render_context;
    Ok(match variable {
        "recipient" => Jinja::from_pairs([("name", Jinja::from(render_context.name))]),
        "row" => Jinja::from(Serde(render_context.row)),
        "old" => render_context.old.map_or(Jinja::from(()), |old| Jinja::from(Serde(old))),
        "zone" => Jinja::from_safe_string(template_context.reader.zone_if_other()?),
        "operation" => Jinja::from(render_context.operation.into_str()),
        column => render_context.row.get(column).map_or(Jinja::from(()), jinja_of),
    })
}

fn jinja_of(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(yes) => Jinja::from(*yes),
        Value::String(text) => Jinja::from(text.as_str()),
        other => Jinja::from(Serde(other)),
    }
}

fn unknown_variable(variable: &str, columns: &[String]) -> String {
    let names = columns.iter().map(String::as_str).chain(RESERVED);
    match nearest(variable, names) {
        Some(name) => format!("there is no \"{variable}\"; did you mean \"{name}\"?"),
        None => format!(
            "there is no \"{variable}\"; templates know recipient.name, service, summary, old, row, zone, operation and the columns {}",
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
pub fn tag_for(text: &LocalizedText, locale: &str, fallback: &str) -> Option<String> {
    let chosen = text.for_locale(locale, fallback)?;
    text.each().into_iter().find(|(_, t)| std::ptr::eq(*t, chosen)).map(|(tag, _)| tag.to_owned())
}
