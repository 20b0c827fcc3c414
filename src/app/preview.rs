//! What a row, or an invented change to it, would send: the same gates and words as the daemon's,
//! in a transaction that may only read.

use std::borrow::Cow;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::change::{self, Operation};
use crate::domain::diff::FieldChange;
use crate::domain::message::State;
use crate::domain::row::Row;
use crate::pipeline::baseline::baseline_of;
use crate::pipeline::gates::{Candidate, Case, Decision};
use crate::pipeline::site::Watching;
use crate::pipeline::stage::StageError;
use crate::postgres::lookups;
use crate::postgres::queries::{self, Words};
use crate::postgres::rows::{self, Wanted};

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    #[error("watch {watch} cannot be used: {why}")]
    Watch { watch: String, why: String },
    #[error("\"{key}\" has {found} parts, but the key of {table} has {expected}: {columns}")]
    KeyParts { key: String, found: usize, table: String, expected: usize, columns: String },
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
    pub words: Option<Box<Words>>,
}

impl Preview {
    /// Why it would not leave now: the reason, and the particulars.
    pub fn why(&self) -> String {
        let reason = self.state.reason().unwrap_or(self.state.as_str());
        match &self.reason_text {
            Some(text) => format!("{reason} ({text})"),
            None => reason.to_owned(),
        }
    }
}

/// Previews the entity `key` of a watch as if `invented` columns had other values.
pub async fn preview(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    clock: &Clock,
    watch: &str,
    key: &str,
    invented: &Row,
) -> Result<Preview, PreviewError> {
    let watching = Watching::look_up(client, config, watch)
        .await
        .map_err(|why| PreviewError::Watch { watch: watch.to_owned(), why })?;
    let captured = key_row(&watching, key)?;
    let tx = client.build_transaction().read_only(true).start().await.map_err(StageError::from)?;
    let sql = rows::preview_sql(&watching.table, &watching.config, &watching.silent_channels);
    let wanted =
        Wanted { message_id: None, entity_key: key, captured: &captured, fallback_of: None };
    let read = |source| StageError::Read { watch: watch.to_owned(), source };
    let stored =
        rows::preview(&tx, &sql, &watching.table, wanted, &Row::new()).await.map_err(read)?;
    let present =
        rows::preview(&tx, &sql, &watching.table, wanted, invented).await.map_err(read)?;
    let (Some(stored), Some(present)) = (stored, present) else {
        return Err(no_row(&watching, key));
    };
    let candidate = Candidate {
        message_id: None,
        channel: watching.config.channel.clone(),
        fallback_of: None,
        attempt_count: 0,
        entity_key: key.to_owned(),
        operation: Operation::Update,
        old_row: stored.row,
        new_row: Some(captured),
    };
    let old = baseline_of(&tx, &watching, &candidate, &present.told).await?;
    if present.row.is_none() && old.is_none() {
        return Err(no_row(&watching, key));
    }
    let case = Case {
        watching: &watching,
        route: &watching.routes.own,
        defaults: &config.recipient,
        candidate: &candidate,
        present: &present,
        baseline: old.as_deref(),
        now: clock.now(),
    };
    let (changes, decision) = decide(&tx, &case).await?;
    let state = decision.state();
    let (reason_text, _, words) = decision.into_parts();
    let old = old.map(Cow::into_owned);
    Ok(Preview { new: present.row.clone(), old, changes, state, reason_text, words })
}

async fn decide(
    tx: &deadpool_postgres::Transaction<'_>,
    case: &Case<'_>,
) -> Result<(Vec<FieldChange>, Decision), StageError> {
    match case.gates() {
        Err(decision) => Ok((case.changes(), decision)),
        Ok(passed) => {
            let phone: Vec<&str> = passed.recipient.phone().into_iter().collect();
            let opted_out = queries::compose_opt_out(tx, &phone).await?.into_iter().collect();
            let watching = case.watching;
            let names = lookups::find(tx, &watching.lookups, case.rows()).await;
            let names = names
                .map_err(|source| StageError::Read { watch: watching.name.clone(), source })?;
            Ok((passed.changes.clone(), case.words(passed, &opted_out, &Arc::new(names))))
        }
    }
}

fn no_row(watching: &Watching, key: &str) -> PreviewError {
    PreviewError::NoRow { key: key.to_owned(), table: watching.table.table.clone() }
}

/// The key columns with the values that the text names; see `rowbell.change.entity_key`.
fn key_row(watching: &Watching, key: &str) -> Result<Row, PreviewError> {
    let columns = &watching.table.key;
    change::key_row(key, columns).map_err(|found| PreviewError::KeyParts {
        key: key.to_owned(),
        found,
        table: watching.table.table.clone(),
        expected: columns.len(),
        columns: columns.join(", "),
    })
}
