//! A person says what became of messages whose request got no answer: the same transitions as evidence makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_postgres::Transaction;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::state::State;
use crate::domain::message::unconfirmed::{LookupMethod, Settlement};
use crate::domain::person_act::PersonActKind;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::settle::fallback_schedule;
use crate::pipeline::settle::transition::transition;
use crate::postgres::connection::pool::{Instance, Pool};
use crate::postgres::operations::holds::ring;
use crate::postgres::operations::person_acts::{self, ActingPerson, PersonAct};
use crate::postgres::operations::unconfirmed::unconfirmed_confirm;
use crate::postgres::queries;
use crate::postgres::queries::settle::TransitionDetails;
use crate::postgres::queries::unconfirmed::LookupStep;

/// What a person says, and who.
#[derive(Clone, Debug)]
pub struct PersonsWord {
    pub settlement: Settlement,
    pub who: ActingPerson,
    /// How the person knows.
    pub reason: Option<String>,
}

impl PersonsWord {
    /// As `explain` and the reports tell it.
    fn in_words(&self) -> String {
        let why = self.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
        match self.settlement {
            Settlement::Arrived => format!("{} says that it arrived{why}", self.who.by),
            Settlement::GiveUp => format!("given up by {}{why}", self.who.by),
            Settlement::SendAgain => format!("{} wants it sent again{why}", self.who.by),
        }
    }
}

/// Settles messages, each request in a transaction of its own; returns where each message stands now. One that evidence has settled
/// meanwhile stays as it is.
pub async fn settle(
    pool: &Pool,
    config: Arc<Config>,
    clock: Clock,
    message_ids: &[i64],
    word: &PersonsWord,
) -> Result<Vec<(i64, State)>, StageError> {
    let context = Context::new(pool.clone(), clock, config, BTreeMap::new(), Instance::new());
    let mut settled = Vec::with_capacity(message_ids.len());
    for id in message_ids {
        settled.extend(settle_request(&context, *id, word).await?);
    }
    ring(&**pool.get().await?).await?;
    Ok(settled)
}

/// Settles what one request said: a message, or the messages of a digest.
async fn settle_request(
    context: &Context,
    message_id: i64,
    word: &PersonsWord,
) -> Result<Vec<(i64, State)>, StageError> {
    let mut client = context.pool.get().await?;
    let tx = client.transaction().await?;
    let mut settled = Vec::new();
    for said in queries::settle::digest_request(&tx, message_id).await? {
        if let Some(state) = settle_one(&tx, context, said, word).await? {
            settled.push((said, state));
        }
    }
    tx.commit().await?;
    Ok(settled)
}

/// None: it is not unconfirmed any more.
async fn settle_one(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
    word: &PersonsWord,
) -> Result<Option<State>, StageError> {
    let now = context.clock.now();
    let Some(snapshot) = queries::settle::settle_lock(tx, message_id).await? else {
        return Ok(None);
    };
    if snapshot.state != State::Unconfirmed {
        return Ok(None);
    }
    let text = word.in_words();
    if word.settlement == Settlement::Arrived {
        unconfirmed_confirm(tx, message_id, &word.who.by, now).await?;
    }
    let step = LookupStep { way: LookupMethod::Person, found: &text, provider_message_id: None };
    let attempt = snapshot.attempt_count;
    queries::unconfirmed::lookup_note(tx, message_id, attempt, step, now).await?;
    queries::unconfirmed::unconfirmed_close(tx, message_id, attempt).await?;
    let details = TransitionDetails {
        reason_text: Some(text.clone()),
        due_at: now,
        provider_message_id: None,
        happened_at: now,
    };
    let event = word.settlement.event();
    let state = transition(tx, context, message_id, &snapshot, event, details).await?;
    fallback_schedule::received(tx, context, &[(message_id, state, snapshot.watch)]).await?;
    let kind = PersonActKind::from(word.settlement);
    let act = PersonAct { who: &word.who, kind, reason: word.reason.as_deref() };
    person_acts::record_messages(&**tx, act, &[message_id], now).await?;
    Ok(Some(state))
}
