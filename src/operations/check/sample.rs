//! What `rowbell check` finds in the latest rows of a watched table: who would be told of them, whether it would be too
//! late, and whether they can be put into words.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::Json;

use crate::config::Config;
use crate::config::units::counted;
use crate::domain::locale::formats::formats;
use crate::domain::message::decision::Decision;
use crate::domain::message::state::Skip;
use crate::domain::recipient::recipient::Recipient;
use crate::domain::text::labels::{FoundNames, text_of};
use crate::domain::value::change::{Operation, entity_key};
use crate::domain::value::moment;
use crate::domain::value::row::Row;
use crate::error_chain::chain;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::operations::preview::previewed;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::gate::gates::{GateInput, PreparedMessage};
use crate::pipeline::gate::label_lookup::{self, LookupFailure};
use crate::pipeline::gate::recipients::{Concern, RecipientCase};
use crate::postgres::capture::quoting::{literal, quote};
use crate::postgres::capture::row_query::{self, PresentRow, RowRequest};

/// How many rows are looked at.
const ROWS: usize = 100;

/// Some rows of a table, with the names that they need.
#[derive(Default)]
pub struct SampleRows {
    pub rows: Vec<PresentRow>,
    pub names: Arc<FoundNames>,
}

/// Reads the latest rows as the daemon would, and says what cannot be read.
pub async fn read(
    client: &mut deadpool_postgres::Client,
    compiled: &CompiledWatch,
    report: &mut CheckReport,
) -> SampleRows {
    let name = &compiled.name;
    match try_read(client, compiled).await {
        Ok((sample, failures)) => {
            for LookupFailure { column, source } in failures {
                report.problem(name, &format!("lookup.{column}.sql"), chain(&source));
            }
            sample
        }
        Err(error) => {
            let why = chain(&error);
            report.problem(name, "", format!("a sample row could not be read: {why}"));
            SampleRows::default()
        }
    }
}

async fn try_read(
    client: &mut deadpool_postgres::Client,
    compiled: &CompiledWatch,
) -> Result<(SampleRows, Vec<LookupFailure>), tokio_postgres::Error> {
    let table = &compiled.table;
    let tx = client.build_transaction().read_only(true).start().await?;
    let keys: Vec<Row> = tx
        .query(&latest(compiled), &[])
        .await?
        .iter()
        .map(|row| row.try_get::<_, Json<Row>>(0).map(|Json(key)| key))
        .collect::<Result<_, _>>()?;
    let named: Vec<(String, Row)> =
        keys.into_iter().filter_map(|key| Some((entity_key(&key, &table.key)?, key))).collect();
    let wanted: Vec<RowRequest<'_>> = named
        .iter()
        .map(|(entity_key, captured)| RowRequest {
            message_id: None,
            entity_key,
            is_fallback: false,
            captured,
        })
        .collect();
    let rows = row_query::read(&tx, &compiled.read_sql, table, &wanted).await?;
    let of_rows = rows.iter().filter_map(|present| present.row.as_ref());
    let answer = label_lookup::look_up(&tx, compiled, BTreeSet::new(), of_rows, true).await;
    let answer = answer.map_err(|failure| failure.source)?;
    Ok((SampleRows { rows, names: Arc::new(answer.found) }, answer.failures))
}

/// The keys of the latest rows, as far as the primary key tells which they are.
fn latest(compiled: &CompiledWatch) -> String {
    let table = &compiled.table;
    let key = table.key.iter().map(|column| format!("{}, t.{}", literal(column), quote(column)));
    let order: Vec<String> =
        table.key.iter().map(|column| format!("t.{} desc", quote(column))).collect();
    let order = match compiled.config.key.is_empty() {
        true => format!("order by {}", order.join(", ")),
        // No index is known to give these in order.
        false => String::new(),
    };
    format!(
        "select jsonb_build_object({}) from {} as t {order} limit {ROWS}",
        key.collect::<Vec<_>>().join(", "),
        table.table
    )
}

/// What becomes of the rows if they were told now.
#[derive(Default)]
struct Tally {
    rows: usize,
    stale: usize,
    no_recipient: usize,
    too_many: usize,
    /// Why, and the address with most of it hidden.
    bad_phone: Vec<(String, String)>,
    bad_email: Vec<(String, String)>,
    unknown_zone: Vec<String>,
    unknown_locale: Vec<String>,
    nameless: usize,
    /// Their consent is on record, and it is no yes.
    without_consent: usize,
    unwritable: Vec<String>,
}

/// What the rows say of the watch; of their words only where the rules are good, which else would be blamed twice.
pub fn findings(
    config: &Config,
    compiled: &CompiledWatch,
    sample: &SampleRows,
    now: Timestamp,
    are_rules_good: bool,
    report: &mut CheckReport,
) {
    let mut tally = Tally::default();
    for present in &sample.rows {
        let Some(row) = &present.row else { continue };
        let message = previewed(compiled, "", (None, row.clone()), now);
        tally.rows += 1;
        let concern = Concern::new(config, compiled, &message, present);
        tally.too_many += usize::from(present.recipients.len() > compiled.config.max_recipients);
        let Some(recipient) = present.recipients.first() else {
            tally.no_recipient += 1;
            continue;
        };
        let case = RecipientCase::invented(recipient, None);
        tally.add(&GateInput::of(config, &concern, &case, now), sample);
    }
    if !are_rules_good {
        tally.unwritable.clear();
    }
    tally.report(config, compiled, report);
}

impl Tally {
    fn add(&mut self, input: &GateInput<'_>, sample: &SampleRows) {
        self.stale += usize::from(input.expires_at().is_some_and(|at| at <= input.now));
        match input.recipient() {
            Ok(recipient) => self.word(input, recipient, sample),
            Err(Decision::Skip(Skip::BadPhone, why)) => {
                self.bad_phone.extend(why.map(|why| (why, masked(input, "phone"))));
            }
            Err(Decision::Skip(Skip::BadEmail, why)) => {
                self.bad_email.extend(why.map(|why| (why, masked(input, "email"))));
            }
            Err(Decision::Skip(Skip::OptedOut, _)) => self.without_consent += 1,
            Err(_) => {}
        }
        let named = |column: &str| input.case.recipient.get(column).and_then(Value::as_str);
        let zone =
            named("time_zone").filter(|zone| !zone.is_empty() && moment::zone(zone).is_err());
        self.unknown_zone.extend(zone.map(str::to_owned));
        let locale =
            named("locale").filter(|locale| !locale.is_empty() && formats(locale).is_err());
        self.unknown_locale.extend(locale.map(str::to_owned));
    }

    fn word(&mut self, input: &GateInput<'_>, recipient: Recipient, sample: &SampleRows) {
        if recipient.name.is_empty() && names_recipient(input.compiled) {
            self.nameless += 1;
            return;
        }
        let changes = input.changes();
        let operation = Operation::Insert;
        let prepared = PreparedMessage { recipient, operation, changes };
        if let Decision::Fail(_, why) = input.words(prepared, &sample.names) {
            self.unwritable.push(why);
        }
    }

    fn report(self, config: &Config, compiled: &CompiledWatch, report: &mut CheckReport) {
        let name = &compiled.name;
        let of = counted(self.rows, "row", "rows");
        if let Some(why) = self.unwritable.first() {
            report.problem(name, "", format!("a sample row could not be put into words: {why}"));
        }
        if self.nameless > 0 {
            let what = format!(
                "of the last {of} {} no name, which the body of the template writes, and WhatsApp refuses empty \
                 variables: give another, such as coalesce(full_name, 'customer') as name",
                of_all(self.nameless, self.rows, "has", "have")
            );
            match self.nameless == self.rows {
                true => report.problem(name, "recipient", what),
                false => report.warning(name, "recipient", what),
            }
        }
        if let (Some(expression), true) = (&compiled.config.expires_at, self.stale * 2 > self.rows)
        {
            let stale = of_all(self.stale, self.rows, "would", "would");
            report.warning(
                name,
                "expires_at",
                format!(
                    "of the last {of} {stale} be stale, because \"{expression}\" is over: nobody is told of them; name \
                     the moment after which a message is too late"
                ),
            );
        }
        let many = |count: usize| count > 0 && count * 2 >= self.rows;
        if many(self.no_recipient) {
            let none = of_all(self.no_recipient, self.rows, "has", "have");
            report.warning(name, "recipient", format!("of the last {of} {none} no recipient"));
        }
        let region = match config.recipient.region.as_str() {
            "" => "; [recipient] region names the country of phones without a country code",
            _ => "",
        };
        for (bad, hint) in [(&self.bad_phone, region), (&self.bad_email, "")] {
            if let Some((why, example)) = bad.first() {
                let have = of_all(bad.len(), self.rows, "cannot", "cannot");
                let what =
                    format!("of the last {of} {have} be told: {why}{hint}; one is {example}");
                report.push(some(name, "recipient", what, many(bad.len())));
            }
        }
        if self.without_consent > 0 {
            let what = format!(
                "of the last {of} {} an opted_in that is not true, and nobody is told of them",
                of_all(self.without_consent, self.rows, "has", "have")
            );
            let is_all = self.without_consent == self.rows;
            report.push(some(name, "recipient", what, is_all));
        }
        if self.too_many > 0 {
            let what = format!(
                "of the last {of} {} more than max_recipients = {}, which is taken for a mistake, and nobody is told",
                of_all(self.too_many, self.rows, "gives", "give"),
                compiled.config.max_recipients
            );
            report.problem(name, "recipient", what);
        }
        let unknown = [
            ("time_zone", &self.unknown_zone, "a time zone such as \"Europe/Berlin\""),
            ("locale", &self.unknown_locale, "a locale such as \"es-MX\""),
        ];
        for (column, values, expected) in unknown {
            if let Some(first) = values.first() {
                let have = of_all(values.len(), self.rows, "has", "have");
                let what = format!(
                    "of the last {of} {have} a {column} that is not known, such as \"{first}\": expected {expected}; it \
                     counts as if there were none"
                );
                report.push(some(name, "recipient", what, many(values.len())));
            }
        }
    }
}

/// What is so for many rows may be a mistake in the watch; for a few, in the rows.
fn some(watch: &str, setting: &str, what: String, is_many: bool) -> Finding {
    let key = format!("watch.{watch}.{setting}");
    if is_many { Finding::warning(key, what) } else { Finding::note(key, what) }
}

/// An address of a recipient, of which the end is enough to find it by.
fn masked(input: &GateInput<'_>, column: &str) -> String {
    let address = input.case.recipient.get(column).and_then(text_of).unwrap_or_default();
    let length = address.chars().count();
    let end: String = address.chars().skip(length.saturating_sub(2)).collect();
    match length {
        0 => "empty".to_owned(),
        1..=4 => format!("{length} characters long"),
        _ => format!("\"…{end}\", {length} characters long"),
    }
}

/// "all have", "1 has", "7 have".
fn of_all(count: usize, all: usize, one: &str, several: &str) -> String {
    match count {
        _ if count == all => format!("all {several}"),
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// Whether the body writes the name of the recipient, and cannot do without.
fn names_recipient(compiled: &CompiledWatch) -> bool {
    compiled.routes.own.phrasing.writes_name()
}
