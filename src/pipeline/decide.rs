//! What becomes of candidates: the rows as they are now, gates, words, and what else keeps a message from
//! leaving. Asked by claim and compose in the transaction that leases what may leave.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use super::baseline::baseline_of;
use super::doubts;
use super::gates::{Candidate, Case, Decision, Passed};
use super::lane::Outgoing;
use super::limits;
use super::site::{Site, Watching};
use super::stage::StageError;
use super::stops::{Stops, hold_back};
use crate::domain::attempt::TemplateMessage;
use crate::domain::labels::ByColumn;
use crate::domain::row::Row;
use crate::postgres::lookups;
use crate::postgres::queries::{self, Words};
use crate::postgres::rows::{self, Present, Wanted};

/// A leased message on its way to deliver.
pub fn outgoing(
    message_id: i64,
    watch: String,
    attempt: i16,
    words: Words,
    lease_expires_at: Timestamp,
) -> Outgoing {
    Outgoing {
        message_id,
        watch,
        attempt,
        lease_expires_at,
        undelivered_after: words.undelivered_after,
        message: TemplateMessage {
            phone: words.recipient.phone().unwrap_or_default().to_owned(),
            email: words.recipient.email().unwrap_or_default().to_owned(),
            name: words.recipient.name,
            locale: words.recipient.locale,
            template: words.template,
            namespace: words.namespace,
            language: words.wording.language,
            parameters: words.wording.parameters,
            summary: words.wording.summary,
            bubble: words.wording.bubble,
            time_to_live: words.time_to_live,
        },
    }
}

/// What becomes of each candidate, in order. Asks the database three times at most, and once for each
/// label query, whatever the number of candidates, except for entities that were muted.
pub async fn decide(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    stops: &Stops,
    candidates: &[Candidate],
) -> Result<Vec<Decision>, StageError> {
    let presents = read(tx, site, watching, candidates).await?;
    let baselines = baselines(tx, site, watching, candidates, &presents).await?;
    let now = site.clock.now();
    let cases: Vec<Case<'_>> = candidates
        .iter()
        .zip(&presents)
        .zip(&baselines)
        .map(|((candidate, present), baseline)| Case {
            watching,
            route: watching.routes.over(&candidate.channel),
            defaults: &site.config.recipient,
            candidate,
            present,
            baseline: baseline.as_deref(),
            now,
        })
        .collect();
    let passed: Vec<Result<Passed, Decision>> = cases.iter().map(Case::gates).collect();
    let names = names(tx, watching, &cases, &passed).await?;
    let phones: Vec<&str> =
        passed.iter().flatten().filter_map(|passed| passed.recipient.phone()).collect();
    let opted_out: HashSet<String> = if phones.is_empty() {
        HashSet::new()
    } else {
        queries::compose_opt_out(tx, &phones).await?.into_iter().collect()
    };
    let decisions = cases.iter().zip(passed).map(|(case, passed)| match passed {
        Ok(passed) => match case.last_gates(&passed, &opted_out) {
            Ok(()) => case.words(passed, &names),
            Err(decision) => decision,
        },
        Err(decision) => decision,
    });
    let mut decisions: Vec<Decision> = decisions.collect();
    keep_rows(&mut decisions, presents);
    doubts::wait_for(tx, site, candidates, &mut decisions).await?;
    hold_back(tx, site, stops, candidates, &mut decisions).await?;
    limits::hold_back(site, candidates, &mut decisions);
    Ok(decisions)
}

/// What leaves is kept as the row that was told.
fn keep_rows(decisions: &mut [Decision], presents: Vec<Present>) {
    for (decision, present) in decisions.iter_mut().zip(presents) {
        if let Decision::Send(words) = decision {
            words.told_row = present.row;
        }
    }
}

/// The names of the rows that the foreign keys of those past the gates point to, now and as told.
async fn names(
    tx: &Transaction<'_>,
    watching: &Watching,
    cases: &[Case<'_>],
    passed: &[Result<Passed, Decision>],
) -> Result<Arc<ByColumn>, StageError> {
    if watching.lookups.is_empty() {
        return Ok(Arc::default());
    }
    let cases = cases.iter().zip(passed).filter(|(_, passed)| passed.is_ok());
    let rows = cases.flat_map(|(case, _)| case.rows());
    let found = lookups::find(tx, &watching.lookups, rows).await;
    found.map(Arc::new).map_err(|source| StageError::Read { watch: watching.name.clone(), source })
}

async fn read(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    candidates: &[Candidate],
) -> Result<Vec<Present>, StageError> {
    let captured: Vec<Cow<'_, Row>> =
        candidates.iter().map(|candidate| candidate.known(&watching.table.key)).collect();
    let wanted: Vec<Wanted<'_>> = candidates
        .iter()
        .zip(&captured)
        .map(|(candidate, captured)| Wanted {
            message_id: candidate.message_id,
            entity_key: &candidate.entity_key,
            fallback_of: candidate.fallback_of,
            captured,
        })
        .collect();
    // All of them go by the same channel.
    let channel = candidates.first().map_or("", |candidate| candidate.channel.as_str());
    rows::read(tx, watching.sql_for(&site.config, channel), &watching.table, &wanted)
        .await
        .map_err(|source| StageError::Read { watch: watching.name.clone(), source })
}

/// What each recipient was last told: the last message that left, overlaid with what was muted
/// since; without one, the row before the first change that we know of.
async fn baselines<'a>(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    candidates: &'a [Candidate],
    presents: &'a [Present],
) -> Result<Vec<Option<Cow<'a, Row>>>, StageError> {
    let mut baselines = Vec::with_capacity(candidates.len());
    for (candidate, present) in candidates.iter().zip(presents) {
        baselines.push(baseline_of(tx, &site.config, watching, candidate, &present.told).await?);
    }
    Ok(baselines)
}
