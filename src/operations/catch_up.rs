//! Catches up after a gap: what was never captured, because a trigger was off, a backup was restored or a disk was
//! full, can still be told, for the ledger knows what people believe.
//!
//! Compares it with the table as it is now, recipient by recipient, by the gates of the daemon: whoever knows the row
//! already is told nothing. What differs is written down as changes of one transaction, which waits for a person as a
//! storm does. Of a row of which rowbell has never heard (nobody was told of it, and no message tells of it) it can
//! only say that it is there, not since when: where the watch tells inserts, its people are told of it as new.
//!
//! Not known: a row that came and went within the gap, what a row held in between, and whether a row of which nobody
//! was ever told is new or was there before the watch; a condition tells them apart.

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::message::Message;
use crate::domain::value::change::Operation;
use crate::domain::value::row::Row;
use crate::operations::preview::{PreviewError, key_row, previewed};
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::GateInput;
use crate::pipeline::gate::recipients::{self, Concern, People};
use crate::postgres::capture::row_query::{self, RowRequest};
use crate::postgres::missed::catch_up::{self, KnownEntity, Missed, UntoldRows};
use crate::postgres::missed::{gap, row_choice};

/// Entities that are compared at once.
const PAGE: i32 = 500;

/// Which rows are compared.
#[derive(Clone, Debug, Default)]
pub struct CatchUpScope {
    /// Only those of which somebody was told since then. When the others came nobody knows.
    pub since: Option<Timestamp>,
    /// Only those that meet this condition, in SQL, about `changed`.
    pub condition: Option<String>,
}

/// What was missed, and how many rows were compared.
#[derive(Clone, Debug, Default)]
pub struct CatchUp {
    pub missed: Vec<Missed>,
    pub compared: usize,
    /// How many of those missed are rows of which nobody was ever told.
    pub untold: usize,
    /// Rows of which nobody was ever told were not looked for, although the watch tells inserts.
    pub leaves_untold: bool,
}

/// Compares what people were told of a watch with its table as it is now. Changes nothing.
pub async fn look(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    clock: &Clock,
    watch: &str,
    scope: &CatchUpScope,
) -> Result<CatchUp, PreviewError> {
    let compiled = CompiledWatch::look_up(client, config, watch)
        .await
        .map_err(|why| PreviewError::Watch { watch: watch.to_owned(), why: why.to_string() })?;
    let tx = client.build_transaction().read_only(true).start().await.map_err(StageError::from)?;
    let mut looking =
        CatchingUp { config, compiled: &compiled, now: clock.now(), found: CatchUp::default() };
    looking.told(&tx, scope).await?;
    if compiled.config.on.contains(&Operation::Insert) {
        match scope.since {
            Some(_) => looking.found.leaves_untold = true,
            None => looking.untold(&tx, scope).await?,
        }
    }
    Ok(looking.found)
}

/// A comparison under way.
struct CatchingUp<'a> {
    config: &'a Config,
    compiled: &'a CompiledWatch,
    now: Timestamp,
    found: CatchUp,
}

impl CatchingUp<'_> {
    /// Compares the rows of which somebody was told.
    async fn told(
        &mut self,
        tx: &deadpool_postgres::Transaction<'_>,
        scope: &CatchUpScope,
    ) -> Result<(), PreviewError> {
        let (watch, table) = (&self.compiled.name, &self.compiled.table);
        let condition = scope.condition.as_ref().map(|sql| row_choice::condition_sql(table, sql));
        let mut above = String::new();
        loop {
            let known = catch_up::known(tx, watch, &above, scope.since, i64::from(PAGE)).await;
            let known = known.map_err(StageError::from)?;
            let Some(last) = known.last() else { return Ok(()) };
            above.clone_from(&last.entity_key);
            let mut page = self.page(known)?;
            if let Some(condition) = &condition {
                let rows: Vec<&Row> =
                    page.iter().map(|(known, key)| known.row.as_ref().unwrap_or(key)).collect();
                let met = catch_up::met(tx, condition, &rows).await.map_err(StageError::from)?;
                let mut place = 0;
                page.retain(|_| {
                    place += 1;
                    met.contains(&place)
                });
            }
            self.compare(tx, &page).await?;
        }
    }

    /// Compares the rows of which rowbell has never heard: what their people know of them is nothing.
    async fn untold(
        &mut self,
        tx: &deadpool_postgres::Transaction<'_>,
        scope: &CatchUpScope,
    ) -> Result<(), PreviewError> {
        let sql = row_choice::untold_sql(&self.compiled.table, scope.condition.as_deref());
        let rows = UntoldRows::open(tx, &sql, &self.compiled.name).await;
        let rows = rows.map_err(StageError::from)?;
        loop {
            let keys = rows.next(tx, PAGE).await.map_err(StageError::from)?;
            if keys.is_empty() {
                return Ok(());
            }
            let unknown = |entity_key| KnownEntity { entity_key, row: None };
            let page = self.page(keys.into_iter().map(unknown).collect())?;
            self.found.untold += self.compare(tx, &page).await?;
        }
    }

    /// Each entity with the key columns of its row.
    fn page(&self, known: Vec<KnownEntity>) -> Result<Vec<(KnownEntity, Row)>, PreviewError> {
        let key = |known: &KnownEntity| key_row(self.compiled, &known.entity_key);
        known.into_iter().map(|known| key(&known).map(|key| (known, key))).collect()
    }

    /// Compares a page; how many of its rows somebody would be told of.
    async fn compare(
        &mut self,
        tx: &deadpool_postgres::Transaction<'_>,
        page: &[(KnownEntity, Row)],
    ) -> Result<usize, StageError> {
        let missed = compare(tx, self.config, self.compiled, page, self.now).await?;
        let count = missed.len();
        self.found.compared += page.len();
        self.found.missed.extend(missed);
        Ok(count)
    }
}

/// Which of these entities somebody would be told of.
async fn compare(
    tx: &deadpool_postgres::Transaction<'_>,
    config: &Config,
    compiled: &CompiledWatch,
    page: &[(KnownEntity, Row)],
    now: Timestamp,
) -> Result<Vec<Missed>, StageError> {
    let read = |source| StageError::Read { watch: compiled.name.clone(), source };
    let captured: Vec<&Row> =
        page.iter().map(|(known, key)| known.row.as_ref().unwrap_or(key)).collect();
    let wanted: Vec<RowRequest<'_>> = page
        .iter()
        .zip(&captured)
        .map(|((known, _), captured)| RowRequest {
            message_id: None,
            entity_key: &known.entity_key,
            is_fallback: false,
            captured,
        })
        .collect();
    let presents =
        row_query::read(tx, &compiled.read_sql, &compiled.table, &wanted).await.map_err(read)?;
    let messages: Vec<Message> = page
        .iter()
        .zip(&presents)
        .map(|((known, key), present)| {
            let new_row = present.row.clone().unwrap_or_else(|| key.clone());
            let rows = (known.row.clone(), new_row);
            let message = previewed(compiled, &known.entity_key, rows, now);
            Message { new_row: present.row.clone(), ..message }
        })
        .collect();
    let concern = |(message, present)| Concern::new(config, compiled, message, present);
    let concerns: Vec<Concern<'_>> = messages.iter().zip(&presents).map(concern).collect();
    let people = recipients::people(tx, compiled, &concerns).await?;
    let all = page.iter().zip(&presents).zip(concerns.iter().zip(&people));
    let missed = all.filter(|(_, (concern, people))| is_news(config, concern, people, now));
    let missed = missed.map(|((page, present), _)| Missed {
        entity_key: page.0.entity_key.clone(),
        old_row: page.0.row.clone(),
        new_row: present.row.clone(),
    });
    Ok(missed.filter(|missed| missed.old_row.is_some() || missed.new_row.is_some()).collect())
}

/// Whether somebody would be told something.
fn is_news(config: &Config, concern: &Concern<'_>, people: &People<'_>, now: Timestamp) -> bool {
    people.cases.iter().any(|case| GateInput::of(config, concern, case, now).pass().is_ok())
}

impl CatchUpScope {
    /// Whether everything is compared.
    pub fn is_whole(&self) -> bool {
        self.since.is_none() && self.condition.is_none()
    }
}

/// Somebody has caught up with the gaps of a watch.
pub async fn done(
    client: &deadpool_postgres::Client,
    watch: &str,
    now: Timestamp,
) -> Result<(), StageError> {
    Ok(gap::close(client, watch, now).await?)
}

/// Writes down what was missed, in a hold; its id.
pub async fn hold(
    client: &mut deadpool_postgres::Client,
    watch: &str,
    found: &CatchUp,
    now: Timestamp,
) -> Result<i64, StageError> {
    let tx = client.transaction().await?;
    let reason = "catch-up: what people were last told differs from the table";
    let hold_id = catch_up::hold(&tx, watch, reason, &found.missed, now).await?;
    tx.commit().await?;
    Ok(hold_id)
}
