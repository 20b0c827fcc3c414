//! What became of a message at the gates: it goes to one recipient of its entity, and the others get one of their own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deadpool_postgres::Transaction;

use crate::domain::message::attempt::AttemptId;
use crate::domain::message::decision::Decision;
use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::state::Skip;
use crate::domain::text::digest::DigestWording;
use crate::domain::text::labels::FoundNames;
use crate::domain::text::summary::{Phrasing, Wording};
use crate::domain::value::row::Row;
use crate::pipeline::context::context::{CompiledWatch, Context};
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

/// Messages that one request says: the place of the one that it is made for, and the others with their words.
pub struct DigestGroup {
    carrier: usize,
    carried: Vec<(usize, Box<MessageWords>)>,
}

impl DigestGroup {
    /// What was decided about the one that the request is made for holds for the others too.
    pub fn follow(self, messages: &[Message], decisions: &mut [Decision]) {
        let (Some(carrier), Some(decided)) =
            (messages.get(self.carrier), decisions.get(self.carrier).cloned())
        else {
            return;
        };
        let number = carrier.attempt_count.saturating_add(1);
        let attempt = carrier.message_id.map(|message_id| AttemptId { message_id, number });
        for (place, mut words) in self.carried {
            let Some(decision) = decisions.get_mut(place) else { continue };
            *decision = match decided {
                Decision::Send(_) => {
                    words.carried_by = attempt;
                    Decision::Send(words)
                }
                ref other => other.clone(),
            };
        }
    }

    /// Puts all of them into one text. Those that it only counts are not told: what their recipient knows of them stays.
    /// None: they cannot be joined, and the others wait in turn.
    fn word(&mut self, phrasing: &Phrasing, outcomes: &mut [Outcome]) -> Option<()> {
        let Decision::Send(first) = &outcomes.get(self.carrier)?.decision else { return None };
        let wordings: Vec<&Wording> = std::iter::once(&first.wording)
            .chain(self.carried.iter().map(|(_, words)| &words.wording))
            .collect();
        let DigestWording { wording, said } =
            phrasing.digest(&wordings, &first.recipient.locale)?;
        for (nth, (place, words)) in self.carried.iter_mut().enumerate() {
            words.wording.parameters.clone_from(&wording.parameters);
            words.wording.rendered_text.clone_from(&wording.rendered_text);
            if nth + 1 >= said {
                outcomes.get_mut(*place)?.message.told_row = None;
            }
        }
        if let Decision::Send(first) = &mut outcomes.get_mut(self.carrier)?.decision {
            first.wording = wording;
        }
        Some(())
    }
}

/// Two messages of one entity may come to the same recipient, as when both were for somebody else: one of them tells it,
/// and there must never be two open ones.
pub fn each_once(outcomes: &mut Vec<Outcome>) {
    let mut places: Vec<usize> = (0..outcomes.len()).collect();
    // One that has a row before one that has none, the earliest first.
    places.sort_by_key(|place| {
        let id = outcomes.get(*place).and_then(|outcome| outcome.message.message_id);
        (id.is_none(), id)
    });
    let mut told: HashSet<(String, String)> = HashSet::new();
    let mut needless: HashSet<usize> = HashSet::new();
    for place in places {
        let Some(outcome) = outcomes.get_mut(place) else { continue };
        let Some(recipient_key) = &outcome.message.recipient_key else { continue };
        let is_over = matches!(outcome.decision, Decision::Skip(..) | Decision::Fail(..));
        if is_over || told.insert((outcome.message.entity_key.clone(), recipient_key.clone())) {
            continue;
        }
        if outcome.message.message_id.is_none() {
            needless.insert(place);
        } else {
            let text = "another message of the row tells its recipient".to_owned();
            outcome.decision = Decision::Skip(Skip::Superseded, Some(text));
            outcome.message.told_row = None;
        }
    }
    let mut place = 0..;
    outcomes.retain(|_| place.next().is_none_or(|place| !needless.contains(&place)));
}

/// Lets as many leave as may now; the others wait in turn. Of a dry run or a digest only those that have a row already
/// leave: the lease of one says that it is recorded, and others say which request they are part of.
pub fn in_turn(
    context: &Context,
    compiled: &CompiledWatch,
    outcomes: &mut [Outcome],
    limit: usize,
) -> Vec<DigestGroup> {
    let mut room = limit;
    let is_digest = compiled.config.digest.is_some();
    let mut digests: Vec<DigestGroup> = Vec::new();
    let mut carriers: HashMap<DigestKey, usize> = HashMap::new();
    // The one with the smallest id carries the others, and they are locked in this order wherever they are settled.
    let mut places: Vec<usize> = (0..outcomes.len()).collect();
    if is_digest {
        places.sort_by_key(|place| outcomes.get(*place).and_then(|o| o.message.message_id));
    }
    for place in places {
        let Some(outcome) = outcomes.get_mut(place) else { continue };
        let Decision::Send(words) = &outcome.decision else { continue };
        let message = &outcome.message;
        let key = is_digest.then(|| DigestKey::of(message, words));
        let is_new = message.message_id.is_none();
        if is_new && (is_digest || context.config.is_dry_run(&message.channel)) {
            wait_in_turn(outcome);
        } else if let Some(digest) = key.as_ref().and_then(|key| carriers.get(key)) {
            if let Decision::Send(words) =
                std::mem::replace(&mut outcome.decision, Decision::InTurn)
                && let Some(digest) = digests.get_mut(*digest)
            {
                digest.carried.push((place, words));
            }
        } else if room == 0 {
            wait_in_turn(outcome);
        } else {
            room -= 1;
            if let Some(key) = key {
                carriers.insert(key, digests.len());
                digests.push(DigestGroup { carrier: place, carried: Vec::new() });
            }
        }
    }
    digests.retain_mut(|digest| {
        let is_joined = !digest.carried.is_empty() && {
            let channel = outcomes.get(digest.carrier).map(|carrier| &carrier.message.channel);
            let route = channel.map(|channel| compiled.routes.over(channel));
            route.and_then(|route| digest.word(&route.phrasing, outcomes)).is_some()
        };
        if !is_joined {
            let carried = digest.carried.iter().map(|(place, _)| *place);
            carried.for_each(|place| {
                outcomes.get_mut(place).into_iter().for_each(wait_in_turn);
            });
        }
        is_joined
    });
    digests
}

fn wait_in_turn(outcome: &mut Outcome) {
    outcome.decision = Decision::InTurn;
    outcome.message.told_row = None;
}

/// Whose messages one request can say: one recipient, in one language of one template.
#[derive(PartialEq, Eq, Hash)]
struct DigestKey {
    recipient_key: Option<String>,
    phone: Option<String>,
    email: Option<String>,
    locale: String,
    time_zone: String,
}

impl DigestKey {
    fn of(message: &Message, words: &MessageWords) -> DigestKey {
        let recipient = &words.recipient;
        DigestKey {
            // Two people may share a phone; each is spoken to by name.
            recipient_key: message.recipient_key.clone(),
            phone: recipient.phone().map(str::to_owned),
            email: recipient.email().map(str::to_owned),
            locale: recipient.locale.clone(),
            time_zone: recipient.time_zone.clone(),
        }
    }
}

/// Notes what was known before the messages that told nobody anything, after they were written.
pub async fn assume(tx: &Transaction<'_>, messages: &[Message]) -> Result<(), StageError> {
    let is_only_counted = |m: &Message| m.words.is_some() && m.told_row.is_none();
    let untold: Vec<i64> = messages
        .iter()
        .filter(|message| message.state.is_untold() || is_only_counted(message))
        .filter_map(|message| message.message_id)
        .collect();
    if !untold.is_empty() {
        queries::settle::told_assume(tx, &untold).await?;
    }
    Ok(())
}
