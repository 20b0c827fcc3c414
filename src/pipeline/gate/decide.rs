//! Decides what becomes of messages: reads their rows as they are now, finds whom they concern, passes the gates, makes
//! the words, and checks what else keeps a message from leaving. Claim and compose call it in the transaction that leases.
//!
//! A message is opened for all recipients of its entity. Here it becomes that of one of them, and each of the others
//! gets one of their own.

use std::borrow::Cow;
use std::collections::HashSet;

use deadpool_postgres::Transaction;
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::config::Config;
use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::Skip;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::blockers::{Blockers, hold_back};
use crate::pipeline::gate::gates::{GateInput, PreparedMessage, skipped_as_opted_out};
use crate::pipeline::gate::outcome::{CaseOutcome, Outcome, each_once, in_turn};
use crate::pipeline::gate::recipients::{self, Concern, People, RecipientCase};
use crate::pipeline::gate::{label_lookup, limits, same_phone};
use crate::postgres::capture::proof::WatchPart;
use crate::postgres::capture::row_query::{self, PresentRow, RowRequest};
use crate::postgres::queries;

/// Messages whose rows are read by one query. While words are found for some, the database reads the next.
const PART: usize = 128;

/// What becomes of the messages, and of those that further recipients of their entities get. At most `limit` of them
/// leave now; the others wait in turn.
///
/// Asks the database once for each part of the messages, once more for each label query, once where recipients may
/// have changed, and once for all.
pub async fn decide(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    blockers: &Blockers,
    messages: Vec<Message>,
    limit: usize,
) -> Result<Vec<Message>, StageError> {
    let is_alone = messages.len() == 1;
    let mut messages = messages;
    let mut parts = Vec::with_capacity(messages.len() / PART + 1);
    while !messages.is_empty() {
        let rest = messages.split_off(messages.len().min(PART));
        parts.push(std::mem::replace(&mut messages, rest));
    }
    let parts = parts.into_iter().map(|part| pass_gates(tx, context, compiled, part, is_alone));
    let mut outcomes = Vec::new();
    for part in in_order(join_all(parts).await)? {
        outcomes.extend(part);
    }
    skip_opted_out(tx, &compiled.name, &mut outcomes).await?;
    each_once(&mut outcomes);
    let digests = in_turn(context, compiled, &mut outcomes, limit);
    let (messages, mut decisions): (Vec<Message>, Vec<Decision>) =
        outcomes.into_iter().map(|outcome| (outcome.message, outcome.decision)).unzip();
    same_phone::hold_back(tx, context, &messages, &mut decisions).await?;
    hold_back(tx, context, blockers, &messages, &mut decisions).await?;
    limits::hold_back(tx, context, &messages, &mut decisions).await?;
    digests.into_iter().for_each(|digest| digest.follow(&messages, &mut decisions));
    let decided = messages.into_iter().zip(decisions).map(|(mut message, decision)| {
        decision.apply_to(&mut message);
        message
    });
    Ok(decided.collect())
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

/// Gates and words of some messages.
async fn pass_gates(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    messages: Vec<Message>,
    is_alone: bool,
) -> Result<Vec<Outcome>, StageError> {
    let presents = read(tx, context, compiled, &messages).await?;
    let concern = |(message, present)| Concern::new(&context.config, compiled, message, present);
    let concerns: Vec<Concern<'_>> = messages.iter().zip(&presents).map(concern).collect();
    let people = recipients::people(tx, compiled, &concerns).await?;
    let now = context.clock.now();
    let cases = gate_cases(tx, context, compiled, (&concerns, &people), is_alone).await?;
    let whole: Vec<Option<Decision>> = concerns
        .iter()
        .zip(&people)
        .map(|(concern, people)| for_all(&context.config, concern, people, now))
        .collect();
    join(tx, &messages, &people, &whole, now).await?;
    prune(tx, compiled, &messages, &people, &presents).await?;
    let is_spent: Vec<bool> = people.iter().map(|people| people.is_spent).collect();
    drop((people, concerns));
    let all = messages.into_iter().zip(presents).zip(cases.into_iter().zip(whole)).zip(is_spent);
    let outcomes = all.flat_map(|(((message, present), (cases, whole)), is_spent)| match whole {
        // It has no row yet, and needs none.
        Some(Decision::Skip(Skip::Superseded, _)) if message.message_id.is_none() => Vec::new(),
        Some(decision) => vec![Outcome::whole(message, decision)],
        None => Outcome::each(message, present.row, cases, is_spent),
    });
    Ok(outcomes.collect())
}

/// Gates and words of each recipient of some messages.
async fn gate_cases(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    (concerns, people): (&[Concern<'_>], &[People<'_>]),
    is_alone: bool,
) -> Result<Vec<Vec<CaseOutcome>>, StageError> {
    let now = context.clock.now();
    let mut inputs: Vec<(usize, GateInput<'_>)> = Vec::with_capacity(concerns.len());
    for (place, (concern, people)) in concerns.iter().zip(people).enumerate() {
        let input = |case| (place, GateInput::of(&context.config, concern, case, now));
        inputs.extend(people.cases.iter().map(input));
    }
    let passed: Vec<Result<PreparedMessage, Decision>> =
        inputs.iter_mut().map(|(_, input)| input.pass()).collect();
    let past = inputs.iter().zip(&passed).filter(|(_, passed)| passed.is_ok());
    let rows = past.flat_map(|((_, input), _)| input.rows());
    let names = label_lookup::names(tx, context, compiled, rows, is_alone).await?;
    let mut cases: Vec<Vec<CaseOutcome>> = concerns.iter().map(|_| Vec::new()).collect();
    for ((place, input), passed) in inputs.iter().zip(passed) {
        cases[*place].push(CaseOutcome::of(input, passed, &names));
    }
    Ok(cases)
}

/// The keys of those whom messages concern.
pub async fn recipient_keys(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    messages: &[Message],
) -> Result<Vec<Vec<String>>, StageError> {
    let presents = read(tx, context, compiled, messages).await?;
    let concern = |(message, present)| Concern::new(&context.config, compiled, message, present);
    let concerns: Vec<Concern<'_>> = messages.iter().zip(&presents).map(concern).collect();
    let people = recipients::people(tx, compiled, &concerns).await?;
    let keys = |people: &People<'_>| people.cases.iter().map(|case| case.key.clone()).collect();
    Ok(people.iter().map(keys).collect())
}

/// What becomes of a message that does not come to single recipients; None: it does.
fn for_all(
    config: &Config,
    concern: &Concern<'_>,
    people: &People<'_>,
    now: Timestamp,
) -> Option<Decision> {
    let nobody = RecipientCase::nobody(concern.row_before());
    let input = GateInput::of(config, concern, &nobody, now);
    let without_cases = || match people.joined.is_empty() {
        true => input.nobody(),
        false => {
            let text = "open messages of its recipients tell it".to_owned();
            Decision::Skip(Skip::Superseded, Some(text))
        }
    };
    input.for_all().or_else(|| people.cases.is_empty().then(without_cases))
}

/// Open messages of single recipients tell what a message for all of them was to tell.
async fn join(
    tx: &Transaction<'_>,
    messages: &[Message],
    people: &[People<'_>],
    whole: &[Option<Decision>],
    now: Timestamp,
) -> Result<(), StageError> {
    // One that is put off, or fails, for all of them joins nothing now.
    let each = messages.iter().zip(people).zip(whole);
    let each =
        each.filter(|(_, whole)| matches!(whole, None | Some(Decision::Skip(Skip::Superseded, _))));
    let joined = each.flat_map(|((message, people), _)| {
        people.joined.iter().map(move |message_id| (*message_id, message))
    });
    let joined: Vec<(i64, &Message)> = joined.collect();
    if !joined.is_empty() {
        queries::compose::compose_join(tx, &joined, now).await?;
    }
    Ok(())
}

/// Removes what does not count any more of what recipients were told.
async fn prune(
    tx: &Transaction<'_>,
    compiled: &CompiledWatch,
    messages: &[Message],
    people: &[People<'_>],
    presents: &[PresentRow],
) -> Result<(), StageError> {
    let all = messages.iter().zip(people).zip(presents);
    let obsolete = all.flat_map(|((message, people), present)| {
        people.cases.iter().filter_map(move |case| {
            let before = present.ledger.obsolete_before(&case.key)?;
            Some((message.entity_key.as_str(), case.key.as_str(), before))
        })
    });
    let obsolete: Vec<(&str, &str, Timestamp)> = obsolete.collect();
    if !obsolete.is_empty() {
        queries::compose::told_prune(tx, &compiled.name, &obsolete).await?;
    }
    Ok(())
}

/// Whoever opted out is not written to, whatever else was decided about the message.
async fn skip_opted_out(
    tx: &Transaction<'_>,
    watch: &str,
    outcomes: &mut [Outcome],
) -> Result<(), StageError> {
    let phones: Vec<&str> =
        outcomes.iter().filter_map(|outcome| outcome.phone.as_deref()).collect();
    if phones.is_empty() {
        return Ok(());
    }
    let opted_out: HashSet<String> =
        queries::compose::compose_opt_out(tx, &phones, Some(watch)).await?.into_iter().collect();
    for outcome in outcomes {
        if outcome.phone.as_ref().is_some_and(|phone| opted_out.contains(phone)) {
            outcome.decision = skipped_as_opted_out();
            outcome.message.told_row = None;
        }
    }
    Ok(())
}

async fn read(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    messages: &[Message],
) -> Result<Vec<PresentRow>, StageError> {
    let captured: Vec<Cow<'_, Row>> =
        messages.iter().map(|message| message.captured(&compiled.table.key)).collect();
    let wanted: Vec<RowRequest<'_>> = messages
        .iter()
        .zip(&captured)
        .map(|(message, captured)| RowRequest {
            message_id: message.message_id,
            entity_key: &message.entity_key,
            is_fallback: message.fallback_of.is_some(),
            captured,
        })
        .collect();
    let read = row_query::read(tx, &compiled.read_sql, &compiled.table, &wanted).await;
    let read = read.map_err(|source| StageError::Read { watch: compiled.name.clone(), source })?;
    context.faults.works(&compiled.name, &WatchPart::Whole);
    Ok(read)
}
