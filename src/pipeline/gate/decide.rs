//! Decides what becomes of messages: reads their rows as they are now, passes the gates, makes the words, and
//! checks what else keeps a message from leaving. Claim and compose call it in the transaction that leases.

use std::borrow::Cow;
use std::collections::HashSet;

use deadpool_postgres::Transaction;
use futures_util::future::join_all;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::Skip;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::baseline::{baseline_of, unconfirmed_rows};
use crate::pipeline::gate::blockers::{Blockers, hold_back};
use crate::pipeline::gate::gates::{GateInput, PreparedMessage, skipped_as_opted_out};
use crate::pipeline::gate::{label_lookup, limits, same_phone};
use crate::postgres::capture::proof::WatchPart;
use crate::postgres::capture::row_query::{self, PresentRow, RowRequest};
use crate::postgres::queries;

/// Messages whose rows are read by one query. While words are found for some, the database reads the next.
const PART: usize = 128;

/// What becomes of a message, before it is known who opted out.
struct GatedMessage {
    decision: Decision,
    /// Of those past the gates whom a channel may write to only if they have not opted out.
    phone: Option<String>,
}

/// What becomes of each message, in order. Asks the database once for each part of the messages, once more
/// for each label query, once where some have nothing to tell, and once for all, except for entities that were muted.
pub async fn decide(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    blockers: &Blockers,
    messages: &[Message],
) -> Result<Vec<Decision>, StageError> {
    let is_alone = messages.len() == 1;
    let parts = messages.chunks(PART);
    let parts = parts.map(|part| pass_gates(tx, context, compiled, part, is_alone));
    let mut gated = Vec::with_capacity(messages.len());
    for part in in_order(join_all(parts).await)? {
        gated.extend(part);
    }
    skip_opted_out(tx, &compiled.name, &mut gated).await?;
    let mut decisions: Vec<Decision> = gated.into_iter().map(|gated| gated.decision).collect();
    same_phone::hold_back(tx, context, messages, &mut decisions).await?;
    hold_back(tx, context, blockers, messages, &mut decisions).await?;
    limits::hold_back(context, messages, &mut decisions);
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

/// Gates and words of some messages.
async fn pass_gates(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    messages: &[Message],
    is_alone: bool,
) -> Result<Vec<GatedMessage>, StageError> {
    let mut presents = read(tx, context, compiled, messages).await?;
    let baselines = baselines(tx, context, compiled, messages, &presents).await?;
    let now = context.clock.now();
    let mut inputs: Vec<GateInput<'_>> = messages
        .iter()
        .zip(&presents)
        .zip(&baselines)
        .map(|((message, present), baseline)| GateInput {
            compiled,
            route: compiled.routes.over(&message.channel),
            defaults: &context.config.recipient,
            message,
            present,
            baseline: baseline.as_deref(),
            now,
        })
        .collect();
    let mut passed: Vec<Result<PreparedMessage, Decision>> =
        inputs.iter().map(GateInput::gates).collect();
    let unconfirmed_rows = unconfirmed_rows(tx, compiled, messages, &silent(&passed)).await?;
    for (place, row) in &unconfirmed_rows {
        if is_silent(&passed[*place]) {
            inputs[*place].baseline = row.as_ref();
            passed[*place] = inputs[*place].gates();
        }
    }
    let past = inputs.iter().zip(&passed).filter(|(_, passed)| passed.is_ok());
    let rows = past.flat_map(|(input, _)| input.rows());
    let names = label_lookup::names(tx, context, compiled, rows, is_alone).await?;
    let gated = inputs.iter().zip(passed).map(|(input, passed)| match passed {
        Ok(passed) => GatedMessage {
            phone: input.heeded_phone(&passed.recipient).map(str::to_owned),
            decision: match input.not_quiet(&passed.recipient) {
                Ok(()) => input.words(passed, &names),
                Err(decision) => decision,
            },
        },
        Err(decision) => GatedMessage { decision, phone: None },
    });
    let mut gated: Vec<GatedMessage> = gated.collect();
    // What leaves is kept as the row that was told.
    for (gated, present) in gated.iter_mut().zip(&mut presents) {
        if let Decision::Send(words) = &mut gated.decision {
            words.told_row = present.row.take();
        }
    }
    Ok(gated)
}

/// Whoever opted out is not written to, whatever else was decided about the message.
async fn skip_opted_out(
    tx: &Transaction<'_>,
    watch: &str,
    gated: &mut [GatedMessage],
) -> Result<(), StageError> {
    let phones: Vec<&str> = gated.iter().filter_map(|gated| gated.phone.as_deref()).collect();
    if phones.is_empty() {
        return Ok(());
    }
    let opted_out: HashSet<String> =
        queries::compose::compose_opt_out(tx, &phones, Some(watch)).await?.into_iter().collect();
    for gated in gated {
        if gated.phone.as_ref().is_some_and(|phone| opted_out.contains(phone)) {
            gated.decision = skipped_as_opted_out();
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
            fallback_of: message.fallback_of,
            captured,
        })
        .collect();
    // All of them go by the same channel.
    let channel = messages.first().map_or("", |message| message.channel.as_str());
    let sql = compiled.sql_for(&context.config, channel);
    let read = row_query::read(tx, sql, &compiled.table, &wanted).await;
    let read = read.map_err(|source| StageError::Read { watch: compiled.name.clone(), source })?;
    context.faults.works(&compiled.name, &WatchPart::Whole);
    Ok(read)
}

/// What each recipient was last told: the last message that left, overlaid with what was muted
/// since; without one, the row before the first change that we know of.
async fn baselines<'a>(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    messages: &'a [Message],
    presents: &'a [PresentRow],
) -> Result<Vec<Option<Cow<'a, Row>>>, StageError> {
    let mut baselines = Vec::with_capacity(messages.len());
    for (message, present) in messages.iter().zip(presents) {
        baselines.push(baseline_of(tx, &context.config, compiled, message, &present.told).await?);
    }
    Ok(baselines)
}

/// The places of those whose row is as it was told.
fn silent(passed: &[Result<PreparedMessage, Decision>]) -> Vec<usize> {
    let places = passed.iter().enumerate().filter(|(_, passed)| is_silent(passed));
    places.map(|(place, _)| place).collect()
}

fn is_silent(passed: &Result<PreparedMessage, Decision>) -> bool {
    matches!(passed, Err(Decision::Skip(Skip::NoNetChange, _)))
}
