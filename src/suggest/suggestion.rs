//! The text that `rowbell suggest` writes: a watch in TOML, with comments that say what to decide.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::value::column_kind::ColumnKind;
use crate::suggest::column_selection::ColumnSelection;
use crate::suggest::recipient_path::RecipientPath;
use crate::suggest::survey::{SurveyColumn, SurveyTable, person_rank, singular, words};

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

/// The first phone of a person that is there.
fn first_filled(alias: &str, phones: &[&SurveyColumn]) -> String {
    let phones = phones.iter().map(|phone| match phone.is_text() {
        true => format!("nullif({alias}.{}, '')", phone.quoted),
        false => format!("{alias}.{}::text", phone.quoted),
    });
    format!("coalesce({}) as phone", phones.collect::<Vec<_>>().join(", "))
}

/// What customers may call it: `order_order` is an order.
fn service_name(table: &SurveyTable) -> String {
    let name = watch_name(table);
    let mut words: Vec<&str> = name.split('_').collect();
    if words.len() > 1 && words[1].starts_with(words[0]) {
        words.remove(0);
    }
    words.join(" ")
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

    /// Whether no column of a unique index may be null: a null is never equal to another.
    fn identifies(&self, unique: &[String]) -> bool {
        let column = |name: &String| self.table.column(name);
        unique.iter().all(|name| column(name).is_some_and(|column| !column.is_nullable))
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
            && let Some(unique) = self.table.uniques.iter().find(|unique| self.identifies(unique))
        {
            text += &format!(
                "# There is no primary key; this unique index identifies a row.\nkey      = {}\n",
                list(unique.iter().map(String::as_str))
            );
        }
        let columns =
            selection.columns.iter().chain(selection.links.iter().map(|(column, _)| column));
        let watched = list(columns.map(|column| column.name.as_str()));
        let service = service_name(self.table);
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
        text += &self.points_back();
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
        let person = self.path.person;
        let alias = self.person_alias();
        let contact = person.contact().filter(|_| person.phone().is_none());
        let phone = person.phone().map(|(column, _)| column).or(contact.map(|(value, _)| value));
        let own = person.own_phones();
        let phone = match phone {
            Some(_) if own.len() > 1 => Some(first_filled(alias, &own)),
            Some(phone) => column(alias, Some(phone), "phone"),
            None => {
                text += &wrapped(
                    "Decide: no phone was found, but a mail address; it needs a channel with provider = \"smtp\".",
                );
                column(alias, person.email(), "email")
            }
        };
        let name = self.nearest(|table, alias| column(alias, table.name_column(), "name"));
        let name = name.or_else(|| self.name_beside());
        if name.is_none() {
            text += &wrapped(
                "Decide: no name was found, and WhatsApp refuses empty variables; everybody is called \"customer\".",
            );
        }
        if self.nearest(|table, _| table.zone().map(|_| String::new())).is_none() {
            text += &wrapped(
                "Decide: the time zone of your customers, if [recipient] does not name it: time_zone = \"America/New_York\".",
            );
        }
        let parts = [
            name.or_else(|| Some("'customer' as name".to_owned())),
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
        let mut conditions: Vec<String> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let alias = self.alias(index);
            conditions.extend(step.table.soft_delete().map(|gone| gone.is_there(&alias)));
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
        let person = self.path.person;
        let alias = self.person_alias();
        let contact = person.contact().filter(|_| person.phone().is_none());
        let mut order = String::new();
        if let Some((value, kind)) = contact {
            let kinds = kind.phone_kinds();
            let known = match kinds.is_empty() {
                true => "'mobile', 'phone'".to_owned(),
                false => {
                    let quoted = kinds.iter().map(|kind| format!("'{}'", kind.replace('\'', "''")));
                    quoted.collect::<Vec<_>>().join(", ")
                }
            };
            conditions.push(format!("{alias}.{} in ({known})", kind.quoted));
            // One of several phones of a person, and the same one each time.
            let by = person.key.iter().filter_map(|key| person.column(key)).map(|key| &key.quoted);
            let by: Vec<String> =
                by.chain([&value.quoted]).map(|by| format!("{alias}.{by}")).collect();
            let first = match kinds.len() > 1 {
                true => format!("array_position(array[{known}], {alias}.{}::text), ", kind.quoted),
                false => String::new(),
            };
            order = format!("\n   order by {first}{} limit 1", by.join(", "));
        }
        if steps.is_empty() {
            return String::new();
        }
        let conditions = conditions.iter().map(|condition| format!("\n     and {condition}"));
        text + &place + &conditions.collect::<String>() + &order
    }

    /// What is to be known of people who are found over rows that point to the watched one.
    fn points_back(&self) -> String {
        let mut text = String::new();
        let back = self.path.steps.iter().filter(|step| step.points_back);
        for step in back {
            let table = &step.table.quoted;
            let is_first =
                self.path.steps.first().is_some_and(|first| first.table.oid == step.table.oid);
            if step.may_be_many && step.table.contact().is_none() {
                text += &wrapped(&format!(
                    "Decide: several rows of {table} may belong to one of these, and each of them is a recipient."
                ));
            }
            if is_first {
                text += &wrapped(&format!(
                    "Deletes are told only if the row is deleted before those of {table}: afterwards nobody is found."
                ));
            }
        }
        text
    }

    /// The name of a person who stands beside the path: one foreign key away from one of its tables.
    fn name_beside(&self) -> Option<String> {
        let beside = |table: &SurveyTable, alias: &str| {
            let mut links: Vec<_> =
                table.links.iter().filter(|link| link.columns.len() == 1).collect();
            links.sort_by_key(|link| person_rank(&link.columns[0]));
            links.into_iter().find_map(|link| {
                let to = self.tables.get(&link.to)?;
                let is_person = person_rank(&link.columns[0]).min(person_rank(&to.name)) < 50;
                let name = to.name_column().filter(|_| is_person)?;
                let (own, id) =
                    (table.column(&link.columns[0])?, to.column(link.to_columns.first()?)?);
                Some(format!(
                    "(select n.{} from {} as n where n.{} = {alias}.{}) as name",
                    name.quoted, to.quoted, id.quoted, own.quoted
                ))
            })
        };
        self.nearest(beside)
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
            ColumnKind::Range(inner) if *inner == ColumnKind::Date => {
                (format!("upper({sql}) - 1"), "its last day is over then")
            }
            ColumnKind::Range(_) => (format!("upper({sql})"), "it is over then"),
            ColumnKind::Date => (sql.clone(), "the day is over then, by the recipient's clock"),
            ColumnKind::Timestamp if self.holds_utc() => (
                format!("{sql} at time zone 'UTC'"),
                "it is over then; its column seems to hold UTC",
            ),
            ColumnKind::Timestamp => (
                sql.clone(),
                "it is over then, by the recipient's clock. Decide: the column says no time zone; where it means UTC, \
                 write at time zone 'UTC' behind it",
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
        for column in selection.columns.iter().filter(|column| column.is_soft_delete()) {
            let variable = variable(&column.name);
            let _ = write!(
                text,
                "\n# A row that is only marked as deleted is gone for the customer.\n[[watch.{name}.say]]\norder   = -2\n\
                 when    = [{}]\ncovers  = [\"*\"]\ntext.en = {}\n",
                quoted(&column.name),
                quoted(&format!(
                    "{{% if {variable} %}}It has been cancelled.{{% else %}}It is on again.{{% endif %}}"
                ))
            );
        }
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
        for column in selection
            .columns
            .iter()
            .filter(|column| !told.contains(&column.name.as_str()) && !column.is_soft_delete())
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
