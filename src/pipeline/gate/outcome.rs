//! What became of a message at the gates: it goes to one recipient of its entity, and the others get one of their own.

use std::sync::Arc;

use deadpool_postgres::Transaction;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::Skip;
use crate::domain::text::labels::FoundNames;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::{GateInput, PreparedMessage};
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
    /// stands for all of them.
    pub fn each(message: Message, row: Option<Row>, mut cases: Vec<CaseOutcome>) -> Vec<Outcome> {
        debug_assert!(!cases.is_empty());
        if cases.iter().any(CaseOutcome::is_news) {
            cases.retain(CaseOutcome::is_news);
        } else {
            cases.truncate(1);
        }
        // Of one recipient it takes in later changes of the entity, which may concern others.
        let mut message = message;
        message.is_for_all &= cases.len() == 1;
        let mut others = cases.split_off(cases.len().min(1));
        let mut outcomes = Vec::with_capacity(others.len() + 1);
        for case in others.drain(..) {
            let own = Message { message_id: None, ..message.clone() };
            outcomes.push(Outcome::one(own, row.clone(), case));
        }
        let first = cases.pop().map(|case| Outcome::one(message, row, case));
        outcomes.extend(first);
        // The message itself first.
        outcomes.rotate_right(1);
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
    for outcome in outcomes {
        if !matches!(outcome.decision, Decision::Send(_)) {
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
