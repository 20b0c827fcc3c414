//! What the simulated provider accepted: the answer to "what has this customer seen?".

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::sandbox::api::refusal;
use crate::sandbox::state::ids::Ids;
use crate::sandbox::template::ApprovedTemplate;

/// What remains of every accepted message, however many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Nanoseconds since 1970, when the request had been read.
    pub at_ns: i64,
    /// The digits of the phone.
    pub phone: u64,
    /// A hash of template and parameters: equal texts have equal hashes.
    pub text_hash: u32,
    /// The position of the channel, in the order in which channels were added.
    pub channel: u16,
}

/// What happened to a message after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Sent,
    Delivered,
    Read,
    /// With Meta's code.
    Failed(i32),
}

impl Stage {
    pub fn word(self) -> &'static str {
        match self {
            Stage::Sent => "sent",
            Stage::Delivered => "delivered",
            Stage::Read => "read",
            Stage::Failed(_) => "failed",
        }
    }

    pub fn code(self) -> Option<i32> {
        match self {
            Stage::Failed(code) => Some(code),
            _ => None,
        }
    }
}

/// One message as the customer's phone would show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeenMessage {
    /// The provider's id.
    pub id: String,
    pub channel: String,
    /// Digits only.
    pub phone: String,
    pub template: String,
    pub language: String,
    pub parameters: Vec<String>,
    /// The rendered body.
    pub text: String,
    /// For how many seconds it may be kept for a phone that is off, as the request said.
    pub time_to_live: Option<i64>,
    pub received_at: Timestamp,
    /// In the order in which they happened.
    pub statuses: Vec<SeenStatus>,
}

/// One status of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeenStatus {
    /// `sent`, `delivered`, `read` or `failed`.
    pub status: &'static str,
    pub at: Timestamp,
    /// Meta's code and text of a failure.
    pub code: Option<i32>,
    pub error: Option<&'static str>,
}

/// The same text accepted more than once for the same phone and channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    pub phone: String,
    /// How often it was accepted; at least 2.
    pub times: u32,
}

/// A message that is still known in full.
pub struct Kept {
    pub template: Arc<ApprovedTemplate>,
    /// One a line: no parameter can hold a line break.
    parameters: Box<str>,
    time_to_live: Option<i64>,
    pub statuses: Vec<(Stage, i64)>,
}

impl Kept {
    pub fn parameters(&self) -> Vec<&str> {
        match self.template.variables {
            0 => Vec::new(),
            _ => self.parameters.split('\n').collect(),
        }
    }

    pub fn text(&self) -> String {
        self.template.render(&self.parameters())
    }
}

/// All accepted messages; a message's number is its position.
pub struct MessageStore {
    pub ids: Ids,
    arrivals: Vec<Arrival>,
    kept: VecDeque<Kept>,
    keep: usize,
}

impl MessageStore {
    pub fn new(ids: Ids, keep: usize) -> MessageStore {
        MessageStore { ids, arrivals: Vec::new(), kept: VecDeque::new(), keep }
    }

    /// Records a message and gives its number.
    pub fn accept<T: AsRef<str>>(
        &mut self,
        (channel, phone, at_ns): (u16, u64, i64),
        template: &Arc<ApprovedTemplate>,
        parameters: &[T],
        time_to_live: Option<i64>,
    ) -> u64 {
        let joined = join(parameters);
        let number = self.arrivals.len() as u64;
        self.arrivals.push(Arrival { at_ns, phone, text_hash: hash(template, &joined), channel });
        if self.keep > 0 {
            if self.kept.len() >= self.keep {
                self.kept.pop_front();
            }
            self.kept.push_back(Kept {
                template: Arc::clone(template),
                parameters: joined.into_boxed_str(),
                time_to_live,
                statuses: Vec::new(),
            });
        }
        number
    }

    pub fn count(&self) -> u64 {
        self.arrivals.len() as u64
    }

    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    pub fn arrival(&self, number: u64) -> Option<Arrival> {
        self.arrivals.get(usize::try_from(number).ok()?).copied()
    }

    pub fn kept(&self, number: u64) -> Option<&Kept> {
        self.kept.get(self.position(number)?)
    }

    pub fn happened(&mut self, number: u64, stage: Stage, at_ns: i64) {
        let position = self.position(number);
        if let Some(kept) = position.and_then(|position| self.kept.get_mut(position)) {
            kept.statuses.push((stage, at_ns));
        }
    }

    fn position(&self, number: u64) -> Option<usize> {
        let forgotten = self.arrivals.len() - self.kept.len();
        usize::try_from(number).ok()?.checked_sub(forgotten)
    }

    /// The numbers and contents that are still known, oldest first.
    pub fn all_kept(&self) -> impl Iterator<Item = (u64, Arrival, &Kept)> {
        let forgotten = self.arrivals.len() - self.kept.len();
        let numbered = (forgotten as u64..).zip(&self.arrivals[forgotten..]);
        numbered.zip(&self.kept).map(|((number, arrival), kept)| (number, *arrival, kept))
    }

    pub fn seen(&self, number: u64, arrival: Arrival, kept: &Kept, channel: &str) -> SeenMessage {
        let options = &kept.template.options;
        SeenMessage {
            id: self.ids.id(number),
            channel: channel.to_owned(),
            phone: arrival.phone.to_string(),
            template: options.name.clone(),
            language: options.language.clone(),
            parameters: kept.parameters().into_iter().map(str::to_owned).collect(),
            text: kept.text(),
            time_to_live: kept.time_to_live,
            received_at: timestamp(arrival.at_ns),
            statuses: kept.statuses.iter().map(seen_status).collect(),
        }
    }

    /// Every text that one phone got more than once.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let mut times: HashMap<(u16, u64, u32), u32> = HashMap::new();
        for arrival in &self.arrivals {
            let key = (arrival.channel, arrival.phone, arrival.text_hash);
            *times.entry(key).or_default() += 1;
        }
        let mut duplicates: Vec<Duplicate> = times
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|((_, phone, _), times)| Duplicate { phone: phone.to_string(), times })
            .collect();
        duplicates.sort_by(|a, b| (&a.phone, a.times).cmp(&(&b.phone, b.times)));
        duplicates
    }
}

fn seen_status((stage, at_ns): &(Stage, i64)) -> SeenStatus {
    SeenStatus {
        status: stage.word(),
        at: timestamp(*at_ns),
        code: stage.code(),
        error: stage.code().map(refusal::title),
    }
}

pub fn timestamp(at_ns: i64) -> Timestamp {
    // Every i64 of nanoseconds lies between the years 1677 and 2262.
    Timestamp::from_nanosecond(i128::from(at_ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn join<T: AsRef<str>>(parameters: &[T]) -> String {
    let length = parameters.iter().map(|text| text.as_ref().len() + 1).sum();
    let mut joined = String::with_capacity(length);
    for (position, text) in parameters.iter().enumerate() {
        if position > 0 {
            joined.push('\n');
        }
        joined.push_str(text.as_ref());
    }
    joined
}

fn hash(template: &ApprovedTemplate, joined: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (&template.options.name, &template.options.language, joined).hash(&mut hasher);
    // The upper half is as good as the lower, and 32 bits are plenty within one phone.
    (hasher.finish() >> 32) as u32
}
