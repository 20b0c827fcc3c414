//! What becomes of candidates: the rows as they are now, gates, words, and what else keeps a message from
//! leaving. Asked by claim and compose in the transaction that leases what may leave.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::domain::message::attempt::TemplateMessage;
use crate::domain::message::state::Skip;
use crate::domain::text::labels::ByColumn;
use crate::domain::value::row::Row;
use crate::pipeline::context::channel_sender::Outgoing;
use crate::pipeline::context::context::{Site, Watching};
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::baseline::{baseline_of, doubted};
use crate::pipeline::gate::blockers::{Stops, hold_back};
use crate::pipeline::gate::gates::{Candidate, Case, Decision, Passed, skipped_as_opted_out};
use crate::pipeline::gate::limits;
use crate::pipeline::settle::unconfirmed;
use crate::postgres::capture::label_query;
use crate::postgres::capture::row_query::{self, Present, Wanted};
use crate::postgres::queries::{self, Words};

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

/// Candidates whose rows are read by one query. While words are found for some, the database reads the next.
const PART: usize = 128;

/// What becomes of a candidate, before it is known who opted out.
struct Judged {
    decision: Decision,
    /// Of those past the gates whom a channel may write to only if they have not opted out.
    phone: Option<String>,
}

/// What becomes of each candidate, in order. Asks the database once for each part of the candidates, once more
/// for each label query, once where some have nothing to tell, and once for all, except for entities that were muted.
pub async fn decide(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    stops: &Stops,
    candidates: &[Candidate],
) -> Result<Vec<Decision>, StageError> {
    let parts = candidates.chunks(PART).map(|part| judge(tx, site, watching, part));
    let mut judged = Vec::with_capacity(candidates.len());
    for part in in_order(join_all(parts).await)? {
        judged.extend(part);
    }
    skip_opted_out(tx, &mut judged).await?;
    let mut decisions: Vec<Decision> = judged.into_iter().map(|judged| judged.decision).collect();
    unconfirmed::wait_for(tx, site, candidates, &mut decisions).await?;
    hold_back(tx, site, stops, candidates, &mut decisions).await?;
    limits::hold_back(site, candidates, &mut decisions);
    Ok(decisions)
}

/// All parts; or the error of the one that failed, not of those that came after it in the same transaction.
fn in_order<T>(parts: Vec<Result<T, StageError>>) -> Result<Vec<T>, StageError> {
    let mut done = Vec::with_capacity(parts.len());
    let mut failed: Option<StageError> = None;
    for part in parts {
        match part {
            Ok(part) => done.push(part),
            Err(error) if failed.as_ref().is_none_or(StageError::came_after) => {
                failed = Some(error)
            }
            Err(_) => {}
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Gates and words of some candidates.
async fn judge(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    candidates: &[Candidate],
) -> Result<Vec<Judged>, StageError> {
    let mut presents = read(tx, site, watching, candidates).await?;
    let baselines = baselines(tx, site, watching, candidates, &presents).await?;
    let now = site.clock.now();
    let mut cases: Vec<Case<'_>> = candidates
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
    let mut passed: Vec<Result<Passed, Decision>> = cases.iter().map(Case::gates).collect();
    let doubted = doubted(tx, watching, candidates, &silent(&passed)).await?;
    for (place, row) in &doubted {
        if is_silent(&passed[*place]) {
            cases[*place].baseline = row.as_ref();
            passed[*place] = cases[*place].gates();
        }
    }
    let names = names(tx, watching, &cases, &passed).await?;
    let judged = cases.iter().zip(passed).map(|(case, passed)| match passed {
        Ok(passed) => Judged {
            phone: case.heeded_phone(&passed.recipient).map(str::to_owned),
            decision: match case.not_quiet(&passed.recipient) {
                Ok(()) => case.words(passed, &names),
                Err(decision) => decision,
            },
        },
        Err(decision) => Judged { decision, phone: None },
    });
    let mut judged: Vec<Judged> = judged.collect();
    // What leaves is kept as the row that was told.
    for (judged, present) in judged.iter_mut().zip(&mut presents) {
        if let Decision::Send(words) = &mut judged.decision {
            words.told_row = present.row.take();
        }
    }
    Ok(judged)
}

/// Whoever opted out is not written to, whatever else was decided about the message.
async fn skip_opted_out(tx: &Transaction<'_>, judged: &mut [Judged]) -> Result<(), StageError> {
    let phones: Vec<&str> = judged.iter().filter_map(|judged| judged.phone.as_deref()).collect();
    if phones.is_empty() {
        return Ok(());
    }
    let opted_out: HashSet<String> =
        queries::compose_opt_out(tx, &phones).await?.into_iter().collect();
    for judged in judged {
        if judged.phone.as_ref().is_some_and(|phone| opted_out.contains(phone)) {
            judged.decision = skipped_as_opted_out();
        }
    }
    Ok(())
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
    let found = label_query::find(tx, &watching.lookups, rows).await;
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
    row_query::read(tx, watching.sql_for(&site.config, channel), &watching.table, &wanted)
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

/// The places of those whose row is as it was told.
fn silent(passed: &[Result<Passed, Decision>]) -> Vec<usize> {
    let places = passed.iter().enumerate().filter(|(_, passed)| is_silent(passed));
    places.map(|(place, _)| place).collect()
}

fn is_silent(passed: &Result<Passed, Decision>) -> bool {
    matches!(passed, Err(Decision::Skip(Skip::NoNetChange, _)))
}
