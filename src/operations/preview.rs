//! What a row, or an invented change to it, would send to each of its recipients: the same gates and words as the
//! daemon's, in a transaction that may only read.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::decision::Decision;
use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::state::State;
use crate::domain::value::change::{self, NetChange, Operation};
use crate::domain::value::diff::FieldChange;
use crate::domain::value::row::Row;
use crate::finding::hint;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::{StageError, chain};
use crate::pipeline::gate::gates::{GateInput, skipped_as_opted_out};
use crate::pipeline::gate::label_lookup::{self, LookupFailure};
use crate::pipeline::gate::recipients::{self, Concern, RecipientCase};
use crate::postgres::capture::key;
use crate::postgres::capture::row_query::{self, RowRequest};
use crate::postgres::queries;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    #[error("watch {watch} cannot be used: {why}")]
    Watch { watch: String, why: String },
    #[error("\"{key}\" has {found} parts, but the key of {table} has {expected}: {columns}")]
    KeyParts { key: String, found: usize, table: String, expected: usize, columns: String },
    #[error("--set: {table} has no column \"{column}\"{hint}")]
    Column { column: String, table: String, hint: String },
    #[error("--set: a row of {table} cannot be so")]
    Invented { table: String, source: tokio_postgres::Error },
    #[error("there is no row {key} in {table}, and no message tells of it")]
    NoRow { key: String, table: String },
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// What would be sent.
#[derive(Debug)]
pub struct Preview {
    /// What the recipient was last told; the row itself when nothing was told yet.
    pub old: Option<Row>,
    pub new: Option<Row>,
    pub changes: Vec<FieldChange>,
    pub state: State,
    /// Why it would not leave.
    pub reason_text: Option<String>,
    pub words: Option<Box<MessageWords>>,
    /// Quiet hours: when it would leave, and why not now.
    pub waits: Option<(Timestamp, String)>,
    /// Label queries that failed: their columns are told without names.
    pub nameless: Vec<String>,
}

impl Preview {
    /// Why it would not leave now: the reason, and the particulars.
    pub fn why(&self) -> String {
        let reason = self.state.reason().unwrap_or(self.state.into_str());
        match &self.reason_text {
            Some(text) => format!("{reason} ({text})"),
            None => reason.to_owned(),
        }
    }
}

/// Previews the entity `key` of a watch as if `invented` columns had other values: what each recipient would be sent.
pub async fn preview(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    clock: &Clock,
    watch: &str,
    key: &str,
    invented: &Row,
) -> Result<Vec<Preview>, PreviewError> {
    let compiled = CompiledWatch::look_up(client, config, watch)
        .await
        .map_err(|why| PreviewError::Watch { watch: watch.to_owned(), why: why.to_string() })?;
    let captured = key_row(&compiled, key)?;
    known_columns(&compiled, invented)?;
    let read = |source| StageError::Read { watch: watch.to_owned(), source };
    let written = key::as_captured(client, &compiled.table, key).await.map_err(read)?;
    let key = written.as_deref().unwrap_or(key);
    let tx = client.build_transaction().read_only(true).start().await.map_err(StageError::from)?;
    let sql = row_query::preview_sql(&compiled.table, &compiled.config);
    let wanted =
        RowRequest { message_id: None, entity_key: key, is_fallback: false, captured: &captured };
    let stored = row_query::preview(&tx, &sql, &compiled.table, wanted, &Row::default())
        .await
        .map_err(read)?;
    // The row as it is could be read: what fails now is what was invented.
    let present = row_query::preview(&tx, &sql, &compiled.table, wanted, invented).await;
    let present = present.map_err(|source| match source.code() {
        Some(_) => PreviewError::Invented { table: compiled.table.table.clone(), source },
        None => read(source).into(),
    })?;
    let (Some(stored), Some(mut present)) = (stored, present) else {
        return Err(no_row(&compiled, key));
    };
    let now = clock.now();
    // What waits already is told with it, each recipient's in one message.
    present.open.clear();
    let open = queries::compose::compose_open(&tx, watch, key).await.map_err(StageError::from)?;
    let message = previewed(&compiled, key, (open.unwrap_or(stored.row), captured), now);
    let concern = Concern::new(config, &compiled, &message, &present);
    let people = recipients::people(&tx, &compiled, std::slice::from_ref(&concern)).await?;
    let cases = people.first().map_or(&[][..], |people| &people.cases);
    if present.row.is_none() && cases.iter().all(|case| case.baseline.is_none()) {
        return Err(no_row(&compiled, key));
    }
    let nobody = RecipientCase::nobody(concern.row_before());
    let whole = GateInput::of(config, &concern, &nobody, now);
    if let Some(decision) = whole.for_all() {
        return Ok(vec![shown(&whole, Decided::end(whole.changes(), decision))]);
    }
    if cases.is_empty() {
        return Ok(vec![shown(&whole, Decided::end(whole.changes(), whole.nobody()))]);
    }
    let mut previews = Vec::with_capacity(cases.len());
    for case in cases {
        let mut input = GateInput::of(config, &concern, case, now);
        let decided = decide(&tx, &mut input).await?;
        previews.push(shown(&input, decided));
    }
    Ok(previews)
}

fn shown(input: &GateInput<'_>, decided: Decided) -> Preview {
    let Decided { changes, decision, waits, nameless } = decided;
    let mut message = input.message.clone();
    decision.apply_to(&mut message);
    let Message { state, reason_text, words, .. } = message;
    let (old, new) = (input.baseline.cloned(), input.row().cloned());
    Preview { old, new, changes, state, reason_text, words, waits, nameless }
}

/// The message that would tell the row now.
pub(crate) fn previewed(
    compiled: &CompiledWatch,
    key: &str,
    (old_row, captured): (Option<Row>, Row),
    now: Timestamp,
) -> Message {
    let net = NetChange {
        watch: compiled.name.clone(),
        entity_key: key.to_owned(),
        operation: Operation::Update,
        old_row,
        new_row: Some(captured),
        change_count: 1,
        first_changed_at: now,
        last_changed_at: now,
        changed_by: Vec::new(),
        set_aside: None,
    };
    Message::new(net, &compiled.config.channel)
}

/// What changed, what becomes of it, and how long it would wait all the same: its words are shown as they
/// would be now.
struct Decided {
    changes: Vec<FieldChange>,
    decision: Decision,
    waits: Option<(Timestamp, String)>,
    nameless: Vec<String>,
}

impl Decided {
    fn end(changes: Vec<FieldChange>, decision: Decision) -> Decided {
        Decided { changes, decision, waits: None, nameless: Vec::new() }
    }
}

async fn decide(
    tx: &deadpool_postgres::Transaction<'_>,
    case: &mut GateInput<'_>,
) -> Result<Decided, StageError> {
    let ends = |changes, decision| Ok(Decided::end(changes, decision));
    let passed = match case.pass() {
        Err(decision) => return ends(case.changes(), decision),
        Ok(passed) => passed,
    };
    let changes = passed.changes.clone();
    let phone: Vec<&str> = case.heeded_phone(&passed.recipient).into_iter().collect();
    let watch = Some(case.compiled.name.as_str());
    if !queries::compose::compose_opt_out(tx, &phone, watch).await?.is_empty() {
        return ends(changes, skipped_as_opted_out());
    }
    let waits = match case.not_quiet(&passed.recipient) {
        Ok(()) => None,
        Err(Decision::Defer(deferral)) => Some((deferral.due_at, deferral.why)),
        Err(decision) => return ends(changes, decision),
    };
    let compiled = case.compiled;
    let answer = label_lookup::look_up(tx, compiled, BTreeSet::new(), case.rows(), true).await;
    let answer = answer.map_err(|LookupFailure { column, source }| StageError::Lookup {
        watch: compiled.name.clone(),
        column,
        source,
    })?;
    let said = |failure: &LookupFailure| {
        let why = chain(&failure.source);
        format!("lookup.{} cannot be used; the column is told without names: {why}", failure.column)
    };
    let nameless = answer.failures.iter().map(said).collect();
    let decision = case.words(passed, &Arc::new(answer.found));
    Ok(Decided { changes, decision, waits, nameless })
}

/// What is invented of a column that is not there would be passed over in silence.
pub(crate) fn known_columns(compiled: &CompiledWatch, invented: &Row) -> Result<(), PreviewError> {
    let table = &compiled.table;
    match invented.keys().find(|column| table.column(column).is_none()) {
        None => Ok(()),
        Some(column) => Err(PreviewError::Column {
            column: column.to_string(),
            table: table.table.clone(),
            hint: hint(column, &table.column_names()),
        }),
    }
}

pub(crate) fn no_row(compiled: &CompiledWatch, key: &str) -> PreviewError {
    PreviewError::NoRow { key: key.to_owned(), table: compiled.table.table.clone() }
}

/// The key columns with the values that the text names; see `rowbell.change.entity_key`.
pub(crate) fn key_row(compiled: &CompiledWatch, key: &str) -> Result<Row, PreviewError> {
    let columns = &compiled.table.key;
    change::key_row(key, columns).map_err(|found| PreviewError::KeyParts {
        key: key.to_owned(),
        found,
        table: compiled.table.table.clone(),
        expected: columns.len(),
        columns: columns.join(", "),
    })
}
