//! What became of a message at the gates: it goes to one recipient of its entity, and the others get one of their own.

use std::collections::HashSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::Skip;
use crate::domain::text::labels::FoundNames;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::{GateInput, PreparedMessage, in_order};
use crate::postgres::queries;

/// What becomes of a message for one recipient, before it is known who opted out.
pub struct CaseOutcome {
    key: String,
    decision: Decision,
    /// Of those past the gates whom a channel may write to only if they have not opted out.
    phone: Option<String>,
    /// The row is not theirs any more.
    is_withdrawn: bool,
}

impl CaseOutcome {
    pub fn of(
        input: &GateInput<'_>,
        passed: Result<PreparedMessage, Decision>,
        names: &Arc<FoundNames>,
    ) -> CaseOutcome {
        let (decision, phone) = match passed {
            Err(decision) => (decision, None),
            Ok(passed) => {
                let phone = input.heeded_phone(&passed.recipient).map(str::to_owned);
                match input.not_quiet(&passed.recipient) {
                    Ok(()) => (input.words(passed, names), phone),
                    Err(decision) => (decision, phone),
                }
            }
        };
        let key = input.case.key.clone();
        CaseOutcome { key, decision, phone, is_withdrawn: input.case.is_withdrawn }
    }

    /// Whether it is worth a message of its own: it says something, or why something is not said.
    fn is_news(&self) -> bool {
        !matches!(self.decision, Decision::Skip(Skip::NoNetChange, _))
    }

    /// Whether the recipient knows the row from now on.
    fn is_told(&self) -> bool {
        matches!(self.decision, Decision::Send(_) | Decision::Skip(Skip::Silenced, _))
    }
}

/// A message with what was decided about it.
pub struct Outcome {
    pub message: Message,
    pub decision: Decision,
    /// The phone that must not have opted out.
    pub phone: Option<String>,
}

impl Outcome {
    /// A message that does not come to single recipients.
    pub fn whole(message: Message, decision: Decision) -> Outcome {
        Outcome { message, decision, phone: None }
    }

    /// The message for the first recipient, and a new one for each of the others. Where nobody is told anything, it
    /// stands for all of them. One that was tried before stays with its recipient: what is learned late about its
    /// attempts is theirs.
    pub fn each(
        mut message: Message,
        row: Option<Row>,
        mut cases: Vec<CaseOutcome>,
        is_spent: bool,
    ) -> Vec<Outcome> {
        debug_assert!(!cases.is_empty());
        let is_tried = message.attempt_count > 0;
        let own = cases
            .iter()
            .position(|case| is_tried && Some(&case.key) == message.recipient_key.as_ref());
        let own = own.map(|place| cases.remove(place));
        if own.is_some() || is_spent || cases.iter().any(CaseOutcome::is_news) {
            cases.retain(CaseOutcome::is_news);
        } else {
            cases.truncate(1);
        }
        let mut cases = own.into_iter().chain(cases);
        let first = if is_spent { None } else { cases.next() };
        let others: Vec<CaseOutcome> = cases.collect();
        // Of one recipient it takes in later changes of the entity, which may concern others.
        message.is_for_all &= others.is_empty();
        let new = Message { message_id: None, attempt_count: 0, ..message.clone() };
        let mut outcomes = Vec::with_capacity(others.len() + 1);
        // The message itself first.
        outcomes.push(match first {
            Some(case) => Outcome::one(message, row.clone(), case),
            None => {
                let text =
                    "the row is not theirs any more; new messages tell the others".to_owned();
                Outcome::whole(message, Decision::Skip(Skip::Superseded, Some(text)))
            }
        });
        outcomes
            .extend(others.into_iter().map(|case| Outcome::one(new.clone(), row.clone(), case)));
        outcomes
    }

    fn one(mut message: Message, row: Option<Row>, case: CaseOutcome) -> Outcome {
        message.told_row = case.is_told().then(|| row.filter(|_| !case.is_withdrawn));
        message.recipient_key = Some(case.key);
        Outcome { message, decision: case.decision, phone: case.phone }
    }
}

/// Lets as many leave as may now; the others wait in turn. Of a dry run only those that have a row already are
/// recorded: their lease says so.
pub fn in_turn(context: &Context, outcomes: &mut [Outcome], limit: usize) {
    let mut room = limit;
    let mut told: HashSet<(String, Option<String>)> = HashSet::new();
    for outcome in outcomes {
        if !matches!(outcome.decision, Decision::Send(_)) {
            continue;
        }
        // Two messages of one entity may come to the same recipient, as when both were for somebody else.
        let message = &outcome.message;
        if !told.insert((message.entity_key.clone(), message.recipient_key.clone())) {
            outcome.decision = in_order(context.clock.now());
            outcome.message.told_row = None;
            continue;
        }
        let is_new = outcome.message.message_id.is_none();
        if room == 0 || (is_new && context.config.is_dry_run(&outcome.message.channel)) {
            outcome.decision = Decision::InTurn;
            outcome.message.told_row = None;
        } else {
            room -= 1;
        }
    }
}

/// Notes what was known before the messages that told nobody anything, after they were written.
pub async fn assume(tx: &Transaction<'_>, messages: &[Message]) -> Result<(), StageError> {
    let untold: Vec<i64> = messages
        .iter()
        .filter(|message| message.state.is_untold())
        .filter_map(|message| message.message_id)
        .collect();
    if !untold.is_empty() {
        queries::settle::told_assume(tx, &untold).await?;
    }
    Ok(())
}
