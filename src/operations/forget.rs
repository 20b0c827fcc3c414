//! Forgetting a person: what names a phone loses its personal data and keeps its facts.
//!
//! A message that names nobody (it was skipped, or is not put into words yet) may concern the person
//! all the same: it does if another message of its entity names the phone, or if the recipient query
//! gives the phone now.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use serde::Serialize;

use crate::clock::Clock;
use crate::config::Config;

use crate::domain::recipient::phone::Phone;
use crate::domain::recipient::phone_forms::{forms, key as phone_key};
use crate::domain::value::row::Row;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::StageError;
use crate::postgres::capture::row_query::{self, RowRequest};
use crate::postgres::connection::pool::Client;
use crate::postgres::outcome::replies;
use crate::postgres::queries;
use crate::postgres::queries::forget::Concerned;

/// Messages looked at by one statement, and rows read by one recipient query.
const SCAN: i64 = 5_000;
const READ: usize = 300;
/// Messages changed by one transaction.
const CHUNK: usize = 500;

type Entity = (String, String);

/// What concerns a phone.
#[derive(Debug, Default, Serialize)]
pub struct ForgetReport {
    /// Messages that are redacted.
    pub messages: usize,
    /// Of them, those that still had to leave.
    pub open: i64,
    /// Messages that are leaving right now; they can only be redacted once they have left.
    pub sending: i64,
    /// Changes that no message tells of yet; they are removed.
    pub changes: usize,
    /// Receipts with the phone in their texts.
    pub receipts: i64,
    pub is_opted_out: bool,
    /// Watches whose recipient query could not be asked, and why.
    pub not_asked: Vec<String>,
    #[serde(skip)]
    ids: Vec<i64>,
    #[serde(skip)]
    change_ids: Vec<i64>,
}

/// Looks for everything that concerns a phone; changes nothing.
pub async fn find(
    client: &mut Client,
    config: &Config,
    phone: &str,
) -> Result<ForgetReport, StageError> {
    let forms = forms(phone);
    let tx = client.build_transaction().read_only(true).start().await?;
    let mut theirs: BTreeSet<i64> = BTreeSet::new();
    let mut entities: BTreeSet<Entity> = BTreeSet::new();
    let mut nameless: BTreeMap<Entity, Row> = BTreeMap::new();
    let mut above = 0;
    while let Some(to) = queries::forget::forget_range(&tx, above, SCAN).await? {
        for found in queries::forget::forget_find(&tx, above, to, &forms).await? {
            note(found, &mut theirs, &mut entities, &mut nameless);
        }
        above = to;
    }
    let changes = queries::forget::forget_changes(&tx).await?;
    for change in &changes {
        if let Some(captured) = &change.captured {
            nameless.insert((change.watch.clone(), change.entity_key.clone()), captured.clone());
        }
    }
    let mut found = ForgetReport::default();
    let asked = ask(&tx, config, &nameless, &entities, &forms, &mut found.not_asked).await?;
    entities.extend(asked);
    let (watches, keys): (Vec<&str>, Vec<&str>) =
        entities.iter().map(|(watch, key)| (watch.as_str(), key.as_str())).unzip();
    theirs.extend(queries::forget::forget_entities(&tx, &watches, &keys).await?);
    found.ids = theirs.into_iter().collect();
    (found.open, found.sending) = queries::forget::forget_open(&tx, &found.ids).await?;
    found.messages = found.ids.len() - usize::try_from(found.sending).unwrap_or(0);
    let is_theirs =
        |change: &&Concerned| entities.contains(&(change.watch.clone(), change.entity_key.clone()));
    found.change_ids = changes.iter().filter(is_theirs).map(|change| change.id).collect();
    found.changes = found.change_ids.len();
    found.receipts = queries::forget::forget_count_receipts(&tx, &forms).await?;
    found.is_opted_out = !queries::compose::compose_opt_out(&tx, &[phone], None).await?.is_empty();
    Ok(found)
}

fn note(
    found: Concerned,
    theirs: &mut BTreeSet<i64>,
    entities: &mut BTreeSet<Entity>,
    nameless: &mut BTreeMap<Entity, Row>,
) {
    let entity = (found.watch, found.entity_key);
    if found.is_theirs {
        theirs.insert(found.id);
        entities.insert(entity);
    } else if let Some(captured) = found.captured {
        nameless.insert(entity, captured);
    }
}

/// Of the entities that name nobody, those whose recipient has the phone now.
async fn ask(
    tx: &Transaction<'_>,
    config: &Config,
    nameless: &BTreeMap<Entity, Row>,
    known: &BTreeSet<Entity>,
    forms: &[String],
    not_asked: &mut Vec<String>,
) -> Result<Vec<Entity>, StageError> {
    let mut by_watch: BTreeMap<&str, Vec<RowRequest<'_>>> = BTreeMap::new();
    for (entity, captured) in nameless.iter().filter(|(entity, _)| !known.contains(*entity)) {
        let wanted =
            RowRequest { message_id: None, entity_key: &entity.1, is_fallback: false, captured };
        by_watch.entry(&entity.0).or_default().push(wanted);
    }
    let mut theirs = Vec::new();
    for (watch, wanted) in by_watch {
        let compiled = match CompiledWatch::look_up(tx.client(), config, watch).await {
            Ok(compiled) => compiled,
            Err(why) => {
                not_asked.push(format!("{watch}: {why}"));
                continue;
            }
        };
        for chunk in wanted.chunks(READ) {
            tx.batch_execute("savepoint ask").await?;
            let read = row_query::read(tx, &compiled.read_sql, &compiled.table, chunk).await;
            let Ok(presents) = read else {
                tx.batch_execute("rollback to savepoint ask").await?;
                not_asked.push(format!("{watch}: its recipient query failed"));
                break;
            };
            for (wanted, present) in chunk.iter().zip(presents) {
                if present.recipients.iter().any(|found| has_phone(found, config, forms)) {
                    theirs.push((watch.to_owned(), wanted.entity_key.to_owned()));
                }
            }
        }
    }
    Ok(theirs)
}

fn has_phone(recipient: &Row, config: &Config, forms: &[String]) -> bool {
    Phone::of(recipient, &config.recipient.region)
        .is_ok_and(|phone| forms.iter().any(|form| form == phone.as_str()))
}

/// Ends what is open, then removes the personal data, in small transactions.
pub async fn forget(
    client: &mut Client,
    clock: &Clock,
    phone: &str,
    found: &ForgetReport,
) -> Result<(), StageError> {
    let now = clock.now();
    for chunk in found.change_ids.chunks(CHUNK) {
        let tx = client.transaction().await?;
        queries::forget::forget_drop_changes(&tx, chunk).await?;
        tx.commit().await?;
    }
    for chunk in found.ids.chunks(CHUNK) {
        let tx = client.transaction().await?;
        queries::forget::forget_end(&tx, chunk, now).await?;
        queries::retention::redact_messages(&tx, chunk, now).await?;
        tx.commit().await?;
    }
    let tx = client.transaction().await?;
    let forms = forms(phone);
    queries::forget::forget_unmatched(&tx, &phone_key(phone)).await?;
    queries::forget::forget_opt_out_requests(&tx, &forms).await?;
    replies::forget_replies(&tx, &forms).await?;
    tx.commit().await?;
    let mut above = 0;
    loop {
        let tx = client.transaction().await?;
        let batch = queries::forget::forget_receipts(&tx, above, &forms, SCAN).await?;
        tx.commit().await?;
        let Some(last) = batch.last_id else { return Ok(()) };
        above = last;
    }
}
