//! The engine behind the words: MiniJinja templates over the columns of a row.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use minijinja::{Environment, UndefinedBehavior, Value as Jinja, context};

use crate::domain::locale::locale::RecipientLocale;
use crate::domain::text::labels::ByColumn;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::phrases::PhraseSettings;
use crate::domain::text::render_context::{RenderContext, Unwritable};
use crate::domain::text::rules::SayRule;
use crate::domain::text::template::column_value::{NamedRecipient, NamedRow, of_columns};
use crate::domain::text::template::current_reader::reading;
use crate::domain::text::template::filters;
use crate::domain::text::template::template_source::{named_filters, use_of, with_operands};
use crate::domain::value::column;
use crate::domain::value::moment::FormatError;
use crate::domain::value::row::Row;
use crate::finding::{Finding, hint, nearest};

/// Names in templates that are not columns. In a rule a column of that name comes first.
const RESERVED: [&str; 7] = ["recipient", "service", "summary", "old", "row", "zone", "operation"];
/// Those that have members.
const WITH_MEMBERS: [&str; 3] = ["recipient", "row", "old"];

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
    used: HashMap<String, Vec<Variable>>,
    /// Templates that are one variable and nothing else, as most variables of a body are.
    bare: HashMap<String, String>,
}

/// A variable of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Variable {
    name: String,
    /// Whether it is the column of that name, although the name is reserved.
    is_column: bool,
}

impl Engine {
    /// Compiles every template of the source; finds everything that is wrong, by its key below the watch or
    /// template: `say[0].text.es`, `body[2]`.
    pub fn compile(source: &PhrasingSource<'_>) -> Result<Engine, Vec<Finding>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        filters::add(&mut environment);
        let mut engine = Engine { environment, used: HashMap::new(), bare: HashMap::new() };
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
        let added = self.environment.add_template_owned(name.clone(), with_operands(text));
        let template = match added.and_then(|()| self.environment.get_template(&name)) {
            Ok(template) => template,
            Err(error) => {
                problems.push(Finding::new(name, error_text(&error)));
                return;
            }
        };
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.sort_unstable();
        for filter in named_filters(text).into_iter().filter(|filter| !self.has_filter(filter)) {
            problems.push(Finding::new(&name, filters::unknown(filter)));
        }
        if let Some(columns) = columns {
            let wrong = names.iter().flat_map(|variable| wrong_use(text, variable, columns));
            problems.extend(wrong.map(|what| Finding::new(&name, what)));
        }
        let is_column = |name: &String| is_column(text, name, columns.unwrap_or_default());
        let used = names.into_iter().map(|name| Variable { is_column: is_column(&name), name });
        self.used.insert(name.clone(), used.collect());
        if let Some(variable) = bare_variable(text) {
            self.bare.insert(name, variable.to_owned());
        }
    }

    fn has_filter(&self, name: &str) -> bool {
        let asked = self.environment.compile_expression("name is filter");
        asked.and_then(|asked| asked.eval(context! { name })).is_ok_and(|known| known.is_true())
    }

    /// Renders one template for a change; `more` are variables beside the columns.
    pub fn render(
        &self,
        name: &str,
        template_context: &TemplateContext<'_>,
        more: &[(&str, Jinja)],
    ) -> Result<String, Unwritable> {
        // A text that only stands there needs no engine.
        let is_bare = |given: &&(&str, Jinja)| self.bare.get(name).is_some_and(|b| b == given.0);
        if let Some(text) = more.iter().find(is_bare).and_then(|(_, value)| value.as_str()) {
            return Ok(text.to_owned());
        }
        let unwritable = |why: String| Unwritable::Template { place: name.to_owned(), why };
        let mut context: BTreeMap<&str, Jinja> = BTreeMap::new();
        for variable in self.used.get(name).into_iter().flatten() {
            let value =
                value_of(variable, template_context).map_err(|e| unwritable(e.to_string()))?;
            context.insert(&variable.name, value);
        }
        for (name, value) in more {
            context.insert(name, value.clone());
        }
        let render = || self.environment.get_template(name).and_then(|t| t.render(context));
        let (rendered, fault) = reading(&template_context.reader, render);
        match (rendered, fault) {
            (Ok(text), None) => Ok(text),
            (Ok(_), Some(fault)) => Err(unwritable(fault)),
            (Err(error), _) => Err(unwritable(error_text(&error))),
        }
    }

    /// Whether a template is a reserved name and nothing else: `{{ recipient.name }}`.
    pub fn is_only(&self, name: &str, reserved: &str) -> bool {
        let source = self.environment.get_template(name);
        let is_bare = source.is_ok_and(|template| {
            let text = template.source().trim();
            text.starts_with("{{") && text.ends_with("}}") && !text.contains(['|', '~', '%'])
        });
        is_bare
            && self.used.get(name).is_some_and(|used| used.len() == 1)
            && self.uses(name, reserved)
    }

    /// Whether a template uses one of the reserved names as what it is reserved for.
    pub fn uses(&self, name: &str, reserved: &str) -> bool {
        let mut used = self.used.get(name).into_iter().flatten();
        used.any(|variable| variable.name == reserved && !variable.is_column)
    }
}

fn value_of(
    variable: &Variable,
    template_context: &TemplateContext<'_>,
) -> Result<Jinja, FormatError> {
    let render_context = template_context.render_context;
    let columns = render_context.columns;
    let named_row = |variable, row: Option<&Row>| {
        Jinja::from_object(NamedRow { variable, row: row.cloned(), columns: columns.clone() })
    };
    let name = variable.name.as_str();
    let value = column::value(Some(render_context.row), name);
    if variable.is_column {
        return Ok(of_columns(name, columns, Some(value)));
    }
    Ok(match name {
        "recipient" => Jinja::from_object(NamedRecipient(render_context.name.to_owned())),
        "row" => named_row("row", Some(render_context.row)),
        "old" => named_row("old", render_context.old),
        "zone" => Jinja::from_safe_string(template_context.reader.zone_if_other()?),
        "operation" => Jinja::from(render_context.operation.into_str()),
        _ => of_columns(name, columns, Some(value)),
    })
}

/// The variable that a template is, if it is nothing else: `{{ summary }}`.
fn bare_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(name)
}

/// Whether a reserved name means the column of that name: where there is one, and its members are not asked for.
fn is_column(text: &str, name: &str, columns: &[String]) -> bool {
    columns.iter().any(|column| column == name)
        && RESERVED.contains(&name)
        && !(WITH_MEMBERS.contains(&name) && use_of(text, name).has_members)
}

/// What is wrong with the use of a variable.
fn wrong_use(text: &str, variable: &str, columns: &[String]) -> Vec<String> {
    let is_column = |name: &str| columns.iter().any(|column| column == name);
    if !WITH_MEMBERS.contains(&variable) {
        let is_known = RESERVED.contains(&variable) || is_column(variable);
        return (!is_known).then(|| unknown_variable(variable, columns)).into_iter().collect();
    }
    let used = use_of(text, variable);
    let mut wrong = Vec::new();
    if is_column(variable) && used.is_bare && used.has_members {
        wrong.push(format!(
            "there is a column \"{variable}\" too; write row.{variable} where the column is meant"
        ));
    }
    for member in used.members {
        let is_known = match variable {
            "recipient" => member == "name",
            _ => is_column(member) || is_column(column::base(member)),
        };
        if !is_known && variable == "recipient" {
            wrong.push(format!("there is no recipient.{member}; there is recipient.name"));
        } else if !is_known {
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            wrong.push(format!("there is no {variable}.{member}{}", hint(member, &names)));
        }
    }
    wrong
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::locale::locale::LocaleSettings;
    use crate::domain::text::labels::Labels;
    use crate::domain::value::change::Operation;
    use crate::domain::value::column::{Column, Columns};
    use crate::domain::value::column_kind::ColumnKind;
    use crate::domain::value::row;

    /// A parcel whose columns are called as templates call other things, and have every kind of value.
    fn columns() -> Columns {
        let types = [
            ("driver", "text"),
            ("note", "text"),
            ("code", "character(10)"),
            ("fragile", "boolean"),
            ("fee", "numeric(10,2)"),
            ("weight", "double precision"),
            ("pieces", "integer"),
            ("at", "timestamp with time zone"),
            ("wall", "timestamp without time zone"),
            ("day", "date"),
            ("days", "daterange"),
            ("tags", "text[]"),
            ("flags", "boolean[]"),
            ("meta", "jsonb"),
            ("secret", "text"),
            ("status", "text"),
        ];
        types.iter().map(|(name, kind)| ((*name).to_owned(), ColumnKind::of(kind).into())).collect()
    }

    fn parcel() -> Value {
        json!({
            "driver": "Dan", "note": "", "code": "shipped   ", "fragile": true, "fee": 1234.5, "weight": 0.5,
            "pieces": 1200, "at": "2026-06-25T10:00:00+00:00", "wall": "2026-06-25T10:00:00", "day": "2026-06-25",
            "days": "[2026-06-25,2026-06-28)", "tags": ["bread", "milk"], "flags": [true, false],
            "meta": {"door": null, "floor": 2, "lift": true, "price": 2.5, "in": ["a", null]},
            "secret": "VIP, pays late", "status": "late"
        })
    }

    /// What a template says about a row, in a language; or why it cannot.
    fn said_of(
        template: &str,
        locale: &str,
        columns: &Columns,
        row: &Value,
        old: Option<&Value>,
    ) -> Result<String, String> {
        let names: Vec<String> = columns.keys().cloned().collect();
        let rule =
            SayRule { text: Some(LocalizedText::Same(template.to_owned())), ..Default::default() };
        let none = LocalizedText::Same(String::new());
        let source = PhrasingSource {
            service: None,
            say: &[rule],
            label: &BTreeMap::new(),
            value: &BTreeMap::new(),
            phrase: &BTreeMap::new(),
            body: &[],
            text: None,
            language: &none,
            default_locale: "en",
            columns: Some(&names),
        };
        let engine = Engine::compile(&source)
            .map_err(|found| found.iter().map(|f| f.what.clone()).collect::<Vec<_>>().join("; "))?;
        let row = row::of_json(row.clone()).unwrap();
        let old = old.and_then(|old| row::of_json(old.clone()));
        let render_context = RenderContext {
            operation: Operation::Update,
            changes: &[],
            old: old.as_ref(),
            row: &row,
            columns,
            names: &Arc::default(),
            name: "Ana",
            locale,
            time_zone: "UTC",
            service_zone: None,
            is_zone_unchosen: false,
            now: "2026-06-24T12:00Z".parse().unwrap(),
        };
        let reader = RecipientLocale::new(LocaleSettings {
            locale,
            default_locale: "en",
            zone: "UTC",
            service_zone: None,
            is_zone_unchosen: false,
            now: render_context.now,
            labels: Labels::default(),
            rows: [None, None],
            book: Arc::default(),
        });
        let template_context =
            TemplateContext { render_context: &render_context, reader: Rc::new(reader.unwrap()) };
        engine.render(&say_name(0, "default"), &template_context, &[]).map_err(|e| e.to_string())
    }

    fn said(template: &str) -> String {
        said_of(template, "en", &columns(), &parcel(), None).unwrap()
    }

    /// commcare-hq PR 18021: "Your driver is None."
    #[test]
    fn what_is_no_text_is_written_as_people_write_it_wherever_text_is_made_of_it() {
        let mut gone = parcel();
        for value in gone.as_object_mut().unwrap().values_mut() {
            *value = Value::Null;
        }
        let nothing =
            |template: &str| said_of(template, "en", &columns(), &gone, Some(&gone)).unwrap();
        for column in columns().keys() {
            for template in [
                "{{ X }}",
                "{{ old.X }}",
                "{{ row.X }}",
                "{{ 'a' ~ X }}",
                "{{ X ~ 'a' }}",
                "{{ X | upper }}",
                "{{ X | default('a') }}",
                "{{ X | list }}",
                "{{ X | label }}",
                "{% if X %}b{% else %}a{% endif %}",
                "{% if X is none %}a{% endif %}",
                "{% if X == none %}a{% endif %}",
                "{% for x in X %}{{ x }}{% endfor %}a",
                "{{ X if X else 'a' }}",
            ] {
                let text = nothing(&template.replace('X', column));
                assert!(
                    ["—", "a—", "—a", "a"].contains(&text.as_str()),
                    "{template} {column}: {text}"
                );
            }
        }
        for (template, expected) in [
            ("{{ fragile }} {{ not fragile }} {{ fragile ~ '' }}", "yes no yes"),
            ("{{ fragile | upper }} {{ fragile | label }}", "YES yes"),
            ("{% if fragile == true and fragile is true %}x{% endif %}", "x"),
            ("{{ note }}{{ note | default('none') }}", "—none"),
            (
                "{{ tags }}; {{ tags | join(', ') }}; {{ tags | upper }}",
                "bread and milk; bread, milk; BREAD AND MILK",
            ),
            (
                "{{ 'In it: ' ~ tags }}; {{ tags[0] }}; {{ tags | length }}",
                "In it: bread and milk; bread; 2",
            ),
            ("{{ flags }}; {{ flags | list }}; {{ flags[1] }}", "yes and no; yes and no; no"),
            ("{% for x in flags %}{{ x }} {% endfor %}", "yes no "),
            ("{{ meta }}", "door: —, floor: 2, lift: yes, price: 2.5, and in: a and —"),
            (
                "{{ meta.door }} {{ meta.gate }} {{ meta.gate.code }} {{ row.meta.lift }}",
                "— — — yes",
            ),
            ("{{ meta.gate | default('no gate') }}", "no gate"),
            ("{% if meta.gate is defined %}x{% else %}y{% endif %}", "y"),
            (
                "{{ fee }} {{ fee * 2 }} {{ fee | round }} {{ pieces + 1 }} {{ pieces }}",
                "1,234.50 2,469 1,234 1201 1200",
            ),
            ("{% if fee > 1000 and weight < 1 and pieces == 1200 %}x{% endif %}", "x"),
            ("{{ [fragile, none, 'a'] }} {{ none }}", "yes, —, and a —"),
            (
                "{{ at }}; {{ day }}; {{ days }}",
                "June 25 at 10:00 AM; June 25; from June 25 to June 27",
            ),
            (
                "{{ at | date }} {{ wall | utc | time }} {{ days | start | date }}",
                "June 25 10:00 AM June 25",
            ),
            ("{% if day == '2026-06-25' and at < '2026-07' %}x{% endif %}", "x"),
            (
                "{{ code }}.{% if code == 'shipped' %}x{% endif %}{% if code in ['shipped'] %}y{% endif %}",
                "shipped.xy",
            ),
            ("{% if 'milk' in tags and 'lift' in meta and 'gate' not in meta %}x{% endif %}", "x"),
            ("{{ recipient }}, {{ recipient.name }}", "Ana, Ana"),
            ("{% if old %}x{% else %}y{% endif %}{{ old.driver }}{{ old is none }}", "y—yes"),
        ] {
            assert_eq!(said(template), expected, "{template}");
        }
        let german = |template: &str| said_of(template, "de", &columns(), &parcel(), None).unwrap();
        assert_eq!(german("{{ fragile }}, {{ fee }}, {{ at }}"), "ja, 1.234,50, 25. Juni um 10:00");
    }

    /// A text that only looks like a moment that never comes.
    #[test]
    fn villa_infinity_is_a_name() {
        let row = json!({"driver": "villa infinity", "at": "infinity"});
        let said = said_of(
            "{{ driver }}, {{ driver | label }}, {{ at | date }}",
            "en",
            &columns(),
            &row,
            None,
        );
        assert_eq!(said.unwrap(), "villa infinity, villa infinity, —");
    }

    /// statamic/cms #2242: names of columns that mean something else.
    #[test]
    fn in_a_rule_a_column_comes_before_a_reserved_name() {
        let mut columns = columns();
        let mut row = parcel();
        for name in RESERVED {
            columns.insert(name.to_owned(), Column::from(ColumnKind::Text));
            row[name] = json!(format!("my {name}"));
        }
        let said = |template: &str| said_of(template, "en", &columns, &row, Some(&row));
        for name in RESERVED {
            for template in
                ["{{ X }}", "{{ X | trim }}", "{{ row.X }}", "{{ row['X'] }}", "{{ old.X }}"]
            {
                assert_eq!(
                    said(&template.replace('X', name)).unwrap(),
                    format!("my {name}"),
                    "{template}"
                );
            }
            let compared = format!("{{% if {name} == 'my {name}' %}}x{{% endif %}}");
            assert_eq!(said(&compared).unwrap(), "x");
        }
        assert_eq!(
            said("{{ recipient.name }} {{ row.driver }} {{ old.driver }}").unwrap(),
            "Ana Dan Dan"
        );
        assert_eq!(
            said("{{ row }} {{ row.driver }}").unwrap_err(),
            "there is a column \"row\" too; write row.row where the column is meant"
        );
    }

    #[test]
    fn no_template_prints_a_whole_row() {
        for template in [
            "{{ row }}",
            "{{ old }}",
            "{{ row ~ '' }}",
            "{{ row | upper }}",
            "{{ [row] }}",
            "{{ {'a': row} }}",
            "{% set x = row %}{{ x }}",
            "{{ row | tojson }}",
            "{{ row | list }}",
            "{{ row | items }}",
            "{% for x in row %}{{ x }}{% endfor %}",
            "{{ row | string }}",
            "{{ row | pprint }}",
            "{{ row | dictsort }}",
            "{{ row | join }}",
            "{{ row.values() }}",
            "{{ debug() }}",
            "{{ row | urlencode }}",
            "{{ dict(row) }}",
            "{{ '%s' | format(row) }}",
            "{{ row if row else '' }}",
        ] {
            match said_of(template, "en", &columns(), &parcel(), Some(&parcel())) {
                Ok(text) => assert!(!text.contains("VIP"), "{template}: {text}"),
                Err(why) => assert!(!why.contains("VIP"), "{template}: {why}"),
            }
        }
        let printed = said_of("{{ row }}", "en", &columns(), &parcel(), None).unwrap_err();
        assert_eq!(
            printed,
            "say[0].text: row is a whole row; name the column that is meant, such as row.status"
        );
    }

    #[test]
    fn a_member_that_is_no_column_names_the_nearest() {
        let wrong =
            |template: &str| said_of(template, "en", &columns(), &parcel(), None).unwrap_err();
        assert_eq!(wrong("{{ row.drivr }}"), "there is no row.drivr; did you mean \"driver\"?");
        assert_eq!(
            wrong("{{ old['statis'] }}"),
            "there is no old.statis; did you mean \"status\"?"
        );
        assert_eq!(
            wrong("{{ recipient.phone }}"),
            "there is no recipient.phone; there is recipient.name"
        );
    }
}
