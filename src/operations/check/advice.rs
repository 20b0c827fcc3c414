//! What works and may not be what a site means: customers who read names of columns, another language or hours of
//! nobody's clock, who were never asked, or who are told twice.

use std::collections::BTreeSet;

use tokio_postgres::types::{Kind, Type};

use crate::config::{Config, Consent, Watch};
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::phrases::{Phrase, PhraseBook};
use crate::domain::text::rules::SayRule;
use crate::domain::value::change::Operation;
use crate::domain::value::column_kind::ColumnKind;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::pipeline::context::context::CompiledWatch;
use crate::postgres::capture::quoting::quote;
use crate::postgres::capture::trigger::trigger_name;
use crate::postgres::capture::{key, proof, surroundings};

/// How many things are named before the rest is counted.
const NAMED: usize = 8;

/// What may be meant otherwise in one watch.
pub async fn of_watch(
    client: &tokio_postgres::Client,
    config: &Config,
    compiled: &CompiledWatch,
    report: &mut CheckReport,
) -> Result<(), tokio_postgres::Error> {
    let name = &compiled.name;
    let given = proof::recipient_types(client, &compiled.table, &compiled.config).await?;
    let gives = |column: &str| given.iter().any(|(given, _)| given == column);
    identity(client, compiled, report).await?;
    unseen(client, compiled, report).await?;
    unsettled(compiled, report);
    let consent = given.iter().find(|(given, _)| given == "opted_in").map(|(_, consent)| consent);
    let is_asked = !compiled.routes.own.ignores_opt_out;
    if let Some(consent) = consent.filter(|consent| is_asked && !may_say_yes(consent)) {
        report.problem(
            name,
            "recipient",
            format!(
                "opted_in is of type {consent}, and only true of type boolean means yes: nobody would be told; give what \
                 yes means, such as c.opted_in in ('Y', 'yes') as opted_in"
            ),
        );
    }
    unlabelled(compiled, report);
    languages(config, compiled, report);
    if !gives("opted_in") && compiled.config.consent == Consent::Needed {
        report.warning(
            name,
            "recipient",
            "nothing says who agreed to be written to, so everybody is; WhatsApp asks for the customer's agreement: give \
             it as opted_in (true: yes; false and null: no), or write consent = \"not_needed\" where it is on record \
             elsewhere",
        );
    }
    if !gives("time_zone") && is_zone_unknown(config, &compiled.config) && tells_hours(compiled) {
        report.warning(
            name,
            "time_zone",
            "nobody says by which clock customers live, so hours are told in UTC, with its name; write time_zone here or \
             in [recipient], or give it as a column of the recipient query",
        );
    }
    if compiled.config.on.contains(&Operation::Delete) {
        for child in proof::children_read(client, &compiled.table, &compiled.config).await? {
            report.warning(
                name,
                "on",
                format!(
                    "who is told of a deleted row is found over {child}, whose rows point to it: programs delete those \
                     first, and then nobody is found; find the recipient by a column of the row itself"
                ),
            );
        }
    }
    Ok(())
}

/// Whether a value of the type can be the yes of a consent.
fn may_say_yes(consent: &Type) -> bool {
    match consent.kind() {
        Kind::Domain(base) => may_say_yes(base),
        _ => [Type::BOOL, Type::JSON, Type::JSONB].contains(consent),
    }
}

/// Changes for which PostgreSQL fires no trigger.
async fn unseen(
    client: &tokio_postgres::Client,
    compiled: &CompiledWatch,
    report: &mut CheckReport,
) -> Result<(), tokio_postgres::Error> {
    let (name, table) = (&compiled.name, &compiled.table.table);
    if surroundings::is_unlogged(client, &compiled.table).await? {
        report.push(
            Finding::warning(
                format!("watch.{name}.table"),
                format!(
                    "{table} is unlogged: a crash of the server empties it, and no trigger fires for that; make it a \
                     logged table, or run `rowbell catch-up {name}` after a crash"
                ),
            )
            .sql(format!("alter table {table} set logged")),
        );
    }
    for replica in surroundings::unfired_replicas(client, &compiled.table).await? {
        let trigger = quote(&trigger_name(name));
        report.push(
            Finding::new(
                format!("watch.{name}.table"),
                format!("{replica} gets its rows by logical replication, for which its trigger does not fire"),
            )
            .sql(format!("alter table {replica} enable always trigger {trigger}")),
        );
    }
    if compiled.config.on.contains(&Operation::Delete) {
        report.push(Finding::note(
            format!("watch.{name}.on"),
            format!(
                "no trigger fires for rows that go with truncate, or with a partition that is dropped or detached: who \
                 knows of them is told by `rowbell catch-up {name}`"
            ),
        ));
    }
    Ok(())
}

/// Columns whose values look changed where a session with other settings writes them, or the same where they are not.
fn unsettled(compiled: &CompiledWatch, report: &mut CheckReport) {
    let is_with_offset =
        |name: &&String| compiled.table.column(name).is_some_and(|c| c.is_time_with_offset());
    for column in compiled.config.columns.iter().filter(is_with_offset) {
        report.warning(
            &compiled.name,
            "columns",
            format!(
                "{column} is told without its offset, so that a change of the offset alone is not told; watch a \
                 timestamptz instead, or a time and the name of its zone"
            ),
        );
    }
    for (column, setting) in &compiled.table.unsettled {
        let instead = match setting.as_str() {
            "lc_monetary" => format!("make it numeric, with column.{column}.currency"),
            _ => "watch a column of type text instead".to_owned(),
        };
        report.warning(
            &compiled.name,
            "columns",
            format!(
                "each session writes {column} as its own {setting} says: where writers differ in it, a value may be told \
                 as changed that is the same; {instead}"
            ),
        );
    }
}

/// What may make of two rows one, or of a row that moved one that is gone.
async fn identity(
    client: &tokio_postgres::Client,
    compiled: &CompiledWatch,
    report: &mut CheckReport,
) -> Result<(), tokio_postgres::Error> {
    let (name, table) = (&compiled.name, &compiled.table);
    if !compiled.config.key.is_empty() && !key::is_unique(client, table).await? {
        report.warning(
            name,
            "key",
            format!(
                "nothing keeps two rows of {} from having the same {}, and of such rows nothing can be told; add a unique \
                 index, or name other columns",
                table.table,
                listed(&table.key.iter().map(String::as_str).collect::<Vec<_>>())
            ),
        );
    }
    if compiled.config.ring.is_none() && surroundings::may_be_prepared(client).await? {
        report.warning(
            name,
            "ring",
            format!(
                "the server allows prepared transactions, in which PostgreSQL refuses NOTIFY: so changes do not wake \
                 rowbell, and are found by doorbell.safety_poll; write ring = true where no program prepares \
                 transactions that change {}, or ring = false",
                table.table
            ),
        );
    }
    let Some(root) = surroundings::root(client, table).await? else { return Ok(()) };
    let tells = |operation| compiled.config.on.contains(&operation);
    let part = format!("{} is a partition of {root}, and its triggers see a row that", table.table);
    match (tells(Operation::Delete), tells(Operation::Update)) {
        (true, _) => report.problem(
            name,
            "table",
            format!(
                "{part} moves to another partition go: it would be told as cancelled; watch {root}"
            ),
        ),
        (false, true) => report.warning(
            name,
            "table",
            format!("{part} moves to another partition go: that is not told; watch {root}"),
        ),
        (false, false) => {}
    }
    Ok(())
}

/// Watches of one table that tell the same people the same columns.
pub fn twins(watches: &[CompiledWatch], report: &mut CheckReport) {
    for (place, one) in watches.iter().enumerate() {
        for other in &watches[place + 1..] {
            let same: Vec<&str> = one
                .config
                .columns
                .iter()
                .filter(|c| other.config.columns.contains(c))
                .map(String::as_str)
                .collect();
            let is_same = one.table.oid == other.table.oid
                && squeezed(&one.config.recipient) == squeezed(&other.config.recipient)
                && one.config.on.iter().any(|operation| other.config.on.contains(operation));
            if is_same && !same.is_empty() {
                report.warning(
                    &one.name,
                    "columns",
                    format!(
                        "watch {} tells the same recipients of {} too: they read a change of it twice",
                        other.name,
                        listed(&same)
                    ),
                );
            }
        }
    }
}

fn squeezed(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn listed(names: &[&str]) -> String {
    match names.len().checked_sub(NAMED).filter(|more| *more > 0) {
        None => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

/// Columns that customers read by their names in the database.
fn unlabelled(compiled: &CompiledWatch, report: &mut CheckReport) {
    let watch = &compiled.config;
    let is_covered = |column: &str| watch.say.iter().any(|rule| always_covers(rule, column));
    let raw: Vec<&str> = watch
        .columns
        .iter()
        .map(String::as_str)
        .filter(|column| !watch.label.contains_key(*column) && !is_covered(column))
        .collect();
    if let Some(first) = raw.first() {
        report.warning(
            &compiled.name,
            "label",
            format!(
                "customers read these columns by their names in the database: {}; write label.{first}.en and so on, or a \
                 rule that speaks of them",
                listed(&raw)
            ),
        );
    }
}

/// Whether a rule speaks of every change of a column.
fn always_covers(rule: &SayRule, column: &str) -> bool {
    let is_free = rule.when_all.is_empty()
        && rule.becomes.is_empty()
        && rule.was.is_empty()
        && rule.operation.is_none();
    is_free && (rule.when.is_empty() || rule.when.iter().any(|name| name == column))
}

/// Texts that a language of the template lacks.
fn languages(config: &Config, compiled: &CompiledWatch, report: &mut CheckReport) {
    let routes = std::iter::once(&compiled.routes.own).chain(&compiled.routes.fallbacks);
    let mut told = BTreeSet::new();
    for route in routes {
        for (tag, code) in route.template.language.each() {
            let locale = if tag == "default" { code } else { tag };
            let mut lacking = lacking(config, &compiled.config, locale);
            let text = route.template.text.as_ref();
            if text.is_some_and(|text| lacks(text, locale)) {
                lacking.push(format!("template.{}.text", route.key));
            }
            if lacking.is_empty() || !told.insert(locale) {
                continue;
            }
            let named: Vec<&str> = lacking.iter().map(String::as_str).collect();
            report.warning(
                &compiled.name,
                "",
                format!(
                    "the template is there in \"{code}\", but these texts are not in {locale}, so that its readers get them in \
                     another language: {}",
                    listed(&named)
                ),
            );
        }
    }
}

fn lacking(config: &Config, watch: &Watch, locale: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut look = |key: String, text: &LocalizedText| {
        if lacks(text, locale) {
            found.push(key);
        }
    };
    if let Some(service) = &watch.service {
        look("service".to_owned(), service);
    }
    for (place, rule) in watch.say.iter().enumerate().filter(|(_, rule)| !rule.silent) {
        rule.text.iter().for_each(|text| look(format!("say[{place}].text"), text));
    }
    for (column, text) in &watch.label {
        look(format!("label.{column}"), text);
    }
    for (column, names) in &watch.value {
        for (value, text) in names {
            look(format!("value.{column}.{value}"), text);
        }
    }
    let book = PhraseBook(config.phrase.clone());
    if book.in_language(locale, Phrase::Created).is_none() {
        found.push(format!("phrase.{locale}"));
    }
    found
}

fn lacks(text: &LocalizedText, locale: &str) -> bool {
    // A text for everybody is meant for everybody.
    let has_default = text.each().iter().any(|(tag, _)| *tag == "default");
    !has_default && text.in_language(locale).is_none()
}

fn is_zone_unknown(config: &Config, watch: &Watch) -> bool {
    config.recipient.time_zone.is_empty()
        && watch.time_zone.is_none()
        && watch.row_time_zone.is_none()
}

/// Whether messages tell hours that stand on different walls in different zones.
fn tells_hours(compiled: &CompiledWatch) -> bool {
    let is_instant = |kind: &ColumnKind| match kind {
        ColumnKind::List(inner) | ColumnKind::Range(inner) | ColumnKind::MultiRange(inner) => {
            **inner == ColumnKind::TimestampTz
        }
        kind => *kind == ColumnKind::TimestampTz,
    };
    let watched = &compiled.config.columns;
    watched.iter().any(|name| compiled.columns.get(name).is_some_and(|c| is_instant(&c.kind)))
}
