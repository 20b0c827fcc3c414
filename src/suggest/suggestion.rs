//! The text that `rowbell suggest` writes: a watch in TOML, with comments that say what to decide.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::value::column_kind::ColumnKind;
use crate::suggest::column_selection::ColumnSelection;
use crate::suggest::recipient_path::RecipientPath;
use crate::suggest::survey::{SurveyColumn, SurveyTable, singular, words};

/// Names of MiniJinja, and of what the words bring along.
const TAKEN: [&str; 24] = [
    "and",
    "block",
    "call",
    "do",
    "else",
    "elif",
    "extends",
    "filter",
    "for",
    "from",
    "if",
    "import",
    "in",
    "is",
    "macro",
    "not",
    "old",
    "operation",
    "or",
    "recipient",
    "row",
    "set",
    "with",
    "zone",
];

/// A table, the path to who is told, and the names of the configuration around it.
#[derive(Debug)]
pub struct Suggestion<'a> {
    pub table: &'a SurveyTable,
    pub tables: &'a BTreeMap<u32, SurveyTable>,
    pub path: &'a RecipientPath<'a>,
    /// Other paths to a phone.
    pub others: &'a [RecipientPath<'a>],
    pub channel: &'a str,
    pub template: &'a str,
}

/// What the watch would be called.
pub fn watch_name(table: &SurveyTable) -> String {
    let mut name = words(&table.name);
    if let Some(last) = name.last_mut() {
        *last = singular(last);
    }
    name.join("_")
}

impl Suggestion<'_> {
    /// The watch as it stands in a file.
    pub fn text(&self) -> String {
        let titled = |to: u32| self.tables.get(&to).and_then(SurveyTable::title);
        let selection =
            ColumnSelection::of(self.table, self.path, |link| titled(link.to).is_some());
        let name = key(&watch_name(self.table));
        let mut text = self.head(&name, &selection);
        text += &self.recipient();
        text += &self.deadline(&selection);
        text += &self.labels(&selection);
        text += &self.rules(&name, &selection);
        text
    }

    fn head(&self, name: &str, selection: &ColumnSelection<'_>) -> String {
        let table = &self.table.quoted;
        let mut text = format!(
            "# Suggested by `rowbell suggest` for {table}. Read it, and decide where it says so. Then\n\
             #   rowbell watch {name}     installs the trigger,\n\
             #   rowbell check     says what is still wrong,\n\
             #   rowbell preview {name} KEY --set COLUMN=VALUE     shows what a change would say.\n\n\
             [watch.{name}]\ntable    = {}\n",
            quoted(table)
        );
        if self.table.key.is_empty()
            && let Some(unique) = self.table.uniques.first()
        {
            text += &format!(
                "# There is no primary key; this unique index identifies a row.\nkey      = {}\n",
                list(unique.iter().map(String::as_str))
            );
        }
        let columns =
            selection.columns.iter().chain(selection.links.iter().map(|(column, _)| column));
        let watched = list(columns.map(|column| column.name.as_str()));
        let service = watch_name(self.table).replace('_', " ");
        let _ = write!(
            text,
            "channel  = {}\ntemplate = {}\n\
             # Decide: how customers call this thing; one text for each of their languages.\n\
             service  = {{ en = {} }}\n\
             # Decide: a change of these is told, a change of others is not.\n",
            quoted(self.channel),
            quoted(self.template),
            quoted(&service),
        );
        if !selection.left_out.is_empty() {
            let names: Vec<&str> = selection.left_out.iter().map(|c| c.name.as_str()).collect();
            text += &wrapped(&format!("Not among them: {}.", names.join(", ")));
        }
        text + &format!(
            "columns  = {watched}\n# on       = [\"insert\", \"update\", \"delete\"]   # Decide: default is update only\n"
        )
    }

    /// The query, and what was assumed in it.
    fn recipient(&self) -> String {
        let steps = &self.path.steps;
        let mut text = String::from("\n# Who is told.");
        match steps.last() {
            None => text += " Phone and name stand in the table itself.\n",
            Some(step) if steps.iter().all(|step| step.is_declared) => {
                text += &format!(" The foreign keys lead to {}.\n", step.table.quoted);
            }
            Some(step) => {
                text += &format!(
                    " Decide: there is no foreign key, but names lead to {}.\n",
                    step.table.quoted
                );
            }
        }
        for other in self.others.iter().take(3) {
            let by = other.first_columns().join(", ");
            text += &wrapped(&format!("A phone stands in {} too (by {by}).", other.person.quoted));
        }
        let consent = self.nearest(|table, alias| table.consent(alias));
        if consent.is_none() {
            text += &wrapped(
                "Decide: WhatsApp asks for the customer's agreement. No column seems to hold it; add one as \
                 \"opted_in\" (true: yes; false and null: no). As it is, everybody is written to.",
            );
        }
        let column = |alias: &str, column: Option<&SurveyColumn>, name: &str| {
            let column = column?;
            let sql = format!("{alias}.{}", column.quoted);
            Some(if column.name == name { sql } else { format!("{sql} as {name}") })
        };
        let phone = self.person_alias();
        let phone = column(phone, self.path.person.phone().map(|(column, _)| column), "phone");
        let name = self.nearest(|table, alias| column(alias, table.name_column(), "name"));
        let parts = [
            name.or_else(|| Some("null as name".to_owned())),
            phone,
            self.nearest(|table, alias| column(alias, table.locale(), "locale")),
            self.nearest(|table, alias| column(alias, table.zone(), "time_zone")),
            consent.map(|sql| format!("{sql} as opted_in")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        text + &format!("recipient = \"\"\"\n  select {}{}\"\"\"\n", parts.join(", "), self.joins())
    }

    fn joins(&self) -> String {
        let steps = &self.path.steps;
        let column = |table: &SurveyTable, name: &str| {
            table.column(name).map_or_else(|| name.to_owned(), |column| column.quoted.clone())
        };
        let mut text = String::new();
        let mut place = String::new();
        for (index, step) in steps.iter().enumerate() {
            let alias = self.alias(index);
            let (before, from) = match index.checked_sub(1).and_then(|at| steps.get(at)) {
                None => ("changed".to_owned(), self.table),
                Some(before) => (self.alias(index - 1), before.table),
            };
            let on: Vec<String> = step
                .on
                .iter()
                .map(|(a, b)| {
                    format!("{alias}.{} = {before}.{}", column(step.table, b), column(from, a))
                })
                .collect();
            let on = on.join(" and ");
            if index == 0 {
                text += &format!("\n    from {} as {alias}", step.table.quoted);
                place = format!("\n   where {on}");
            } else {
                text += &format!("\n    join {} as {alias} on {on}", step.table.quoted);
            }
        }
        text + &place
    }

    fn alias(&self, index: usize) -> String {
        if index + 1 == self.path.steps.len() { "p".to_owned() } else { format!("t{}", index + 1) }
    }

    fn person_alias(&self) -> &'static str {
        if self.path.steps.is_empty() { "changed" } else { "p" }
    }

    /// The first answer on the path back from the person to the row.
    fn nearest(&self, ask: impl Fn(&SurveyTable, &str) -> Option<String>) -> Option<String> {
        let steps = self.path.steps.iter().enumerate().rev();
        let mut answers = steps.map(|(index, step)| ask(step.table, &self.alias(index)));
        answers.find_map(|answer| answer).or_else(|| ask(self.table, "changed"))
    }

    fn deadline(&self, selection: &ColumnSelection<'_>) -> String {
        let Some(column) = selection.deadline() else {
            return "\n# Decide: after which moment is a message too late? Such as \"due_at\".\n# expires_at = \"\"\n".to_owned();
        };
        let sql = &column.quoted;
        let (sql, why) = match column.kind() {
            ColumnKind::Range(_) => (format!("upper({sql})"), "it is over then"),
            ColumnKind::Date => (format!("{sql} + 1"), "the day is over then"),
            ColumnKind::Timestamp if self.holds_utc() => (
                format!("{sql} at time zone 'UTC'"),
                "it is over then; its column seems to hold UTC",
            ),
            ColumnKind::Timestamp => (
                format!("{sql} at time zone 'UTC'"),
                "it is over then. Decide: the column says no time zone; write the one that it means",
            ),
            _ => (sql.clone(), "it is over then"),
        };
        format!("# A message that comes later is not sent: {why}.\nexpires_at = {}\n", quoted(&sql))
    }

    /// Programs that write camelCase, or `timestamp(3)` and `timestamp(6)`, keep UTC in it.
    fn holds_utc(&self) -> bool {
        self.table.columns.iter().any(|column| {
            let is_wall = column.kind() == ColumnKind::Timestamp;
            let is_camel = column.name.chars().any(char::is_uppercase);
            is_wall && (is_camel || column.type_name.contains('('))
        })
    }

    fn labels(&self, selection: &ColumnSelection<'_>) -> String {
        let mut text = String::from(
            "\n# How columns and values are called, in each language of your customers: en, es = \"…\".\n",
        );
        let columns =
            selection.columns.iter().chain(selection.links.iter().map(|(column, _)| column));
        for column in columns {
            let label = quoted(&label(column));
            let _ = writeln!(text, "label.{} = {{ en = {label} }}", key(&column.name));
        }
        for column in &selection.columns {
            if matches!(column.kind(), ColumnKind::Number { .. }) && column.is_code() {
                text += &wrapped(&format!("Decide: what the numbers of {} mean.", column.name));
            }
            if column.is_code() {
                for value in &column.values {
                    let (name, value, said) =
                        (key(&column.name), key(value), words(value).join(" "));
                    let said = if said.is_empty() { value.clone() } else { said };
                    let _ = writeln!(text, "value.{name}.{value} = {{ en = {} }}", quoted(&said));
                }
            }
            if let Some(currency) = self.currency(column) {
                let _ =
                    writeln!(text, "column.{}.currency = {}", key(&column.name), quoted(&currency));
            }
        }
        for (column, link) in &selection.links {
            let Some(to) = self.tables.get(&link.to) else { continue };
            let (Some(title), Some(id)) = (to.title(), link.to_columns.first()) else { continue };
            let id = to.column(id).map_or(id.as_str(), |id| &id.quoted);
            let sql = format!(
                "select t.{} as label from {} as t where t.{id} = wanted.{}",
                title.quoted, to.quoted, column.quoted
            );
            let _ = writeln!(text, "lookup.{}.sql = {}", key(&column.name), quoted(&sql));
        }
        text
    }

    fn currency(&self, column: &SurveyColumn) -> Option<String> {
        let is_amount = matches!(column.kind(), ColumnKind::Number { .. }) && !column.is_code();
        let is_money = ["price", "amount", "total", "fee", "cost", "balance"]
            .iter()
            .any(|word| words(&column.name).iter().any(|w| w == word));
        let named =
            self.table.columns.iter().find(|c| words(&c.name).iter().any(|w| w == "currency"));
        named.filter(|_| is_amount && is_money).map(|currency| currency.name.clone())
    }

    fn rules(&self, name: &str, selection: &ColumnSelection<'_>) -> String {
        let mut text = String::new();
        for column in &selection.columns {
            let cancelled =
                column.values.iter().find(|value| words(value).concat().starts_with("cancel"));
            if let Some(value) = cancelled {
                let _ = write!(
                    text,
                    "\n# A thing that is off needs no word about the rest.\n[[watch.{name}.say]]\norder   = -1\n\
                     when    = [{}]\nbecomes = {{ {} = {} }}\ncovers  = [\"*\"]\ntext.en = \"It has been cancelled.\"\n",
                    quoted(&column.name),
                    key(&column.name),
                    quoted(value)
                );
            }
        }
        let mut told: Vec<&str> = Vec::new();
        for (start, end) in &selection.windows {
            told.extend([start.name.as_str(), end.name.as_str()]);
            let (from, to) = (self.moment(start), self.moment(end));
            let said = format!("New time: {{{{ {from} | window({to}) }}}}.");
            let when = list([start.name.as_str(), end.name.as_str()].into_iter());
            let _ = write!(
                text,
                "\n[[watch.{name}.say]]\nwhen    = {when}\ntext.en = {}\n",
                quoted(&said)
            );
        }
        for column in
            selection.columns.iter().filter(|column| !told.contains(&column.name.as_str()))
        {
            let filter = match column.kind() {
                ColumnKind::TimestampTz | ColumnKind::Timestamp => "datetime",
                ColumnKind::Date => "date",
                ColumnKind::Range(_) => "window",
                _ => continue,
            };
            let said = format!("{}: {{{{ {} | {filter} }}}}.", label(column), self.moment(column));
            let when = quoted(&column.name);
            let _ = write!(
                text,
                "\n[[watch.{name}.say]]\nwhen    = [{when}]\ntext.en = {}\n",
                quoted(&said)
            );
        }
        text += "\n# What no rule speaks of is told as \"Label: old → new.\"\n";
        text
    }

    /// A moment for a filter; what holds UTC without saying so is told that it does.
    fn moment(&self, column: &SurveyColumn) -> String {
        let variable = variable(&column.name);
        match column.kind() == ColumnKind::Timestamp && self.holds_utc() {
            true => format!("{variable} | utc"),
            false => variable,
        }
    }
}

/// "Window start" of `window_start`, "Doctor" of `doctorId`.
fn label(column: &SurveyColumn) -> String {
    let mut name = words(&column.name);
    let is_tail = |word: &String| matches!(word.as_str(), "id" | "at" | "code");
    if name.len() > 1 && name.last().is_some_and(is_tail) {
        name.pop();
    }
    let text = name.join(" ");
    let mut bodies = text.chars();
    bodies.next().map_or(String::new(), |first| first.to_uppercase().chain(bodies).collect())
}

/// How a template names a column.
fn variable(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
    if is_word && starts_well && !TAKEN.contains(&name) {
        return name.to_owned();
    }
    format!("row[{name:?}]")
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", names.map(quoted).collect::<Vec<_>>().join(", "))
}

/// A text as TOML writes it.
pub fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A key as TOML writes it.
pub fn key(name: &str) -> String {
    toml_edit::Key::new(name).to_string()
}

/// Lines of a comment.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() > 110 {
            lines += &format!("{line}\n");
            line = String::from("#");
        }
        line += &format!(" {word}");
    }
    lines + &line + "\n"
}
