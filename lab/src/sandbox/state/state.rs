//! The state of the simulated provider, behind one lock that is never held across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::sandbox::api::refusal::RefusalForm;
use crate::sandbox::api::reply::Reply;
use crate::sandbox::options::{ChannelOptions, ReceiptOptions, SandboxOptions};
use crate::sandbox::state::faults::Faults;
use crate::sandbox::state::ids::Ids;
use crate::sandbox::state::limits::Limits;
use crate::sandbox::state::outcome::Outcome;
use crate::sandbox::state::schedule::{Due, Schedule};
use crate::sandbox::state::store::{MessageStore, SeenMessage, Stage};
use crate::sandbox::template::ApprovedTemplate;
use rowbell::clock::Clock;

/// How many inbound messages a channel remembers for `GET /messages`.
const MAX_INBOUND: usize = 1_000;

/// What has happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SandboxCounts {
    /// Messages taken, whatever became of the answer.
    pub accepted: u64,
    /// `sendTemplate` requests that were not taken, faults included.
    pub refused: u64,
    /// Requests that a fault struck.
    pub faults: u64,
    /// Receipts that happened, posted or not.
    pub receipts: u64,
    /// Receipts that are still to happen.
    pub receipts_pending: u64,
    /// Items (receipts, echoes, inbound messages) that a webhook has acknowledged.
    pub items_acknowledged: u64,
    /// Items that happened and that a webhook has not acknowledged yet.
    pub items_pending: u64,
    /// Tries to post a webhook.
    pub posts: u64,
    /// Tries that were not acknowledged.
    pub posts_failed: u64,
    /// POSTs that were given up after their last try.
    pub posts_given_up: u64,
}

/// One thing to tell a webhook.
#[derive(Clone, Debug)]
pub enum Item {
    /// A status of one of our messages, at a time in nanoseconds.
    Status(u64, Stage, i64),
    /// Our message, as an outgoing one.
    Echo(u64),
    /// A customer's message.
    Inbound(Arc<Inbound>),
    /// A status with any id: what nobody sent, or what a test asks for.
    Foreign(Arc<Foreign>),
}

/// A message from a customer.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub id: String,
    pub phone: u64,
    pub text: String,
    /// `chat`, `button` or `interactive`.
    pub kind: String,
    pub at_ns: i64,
}

/// A status that belongs to no message of the store.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub id: String,
    pub phone: u64,
    pub stage: Stage,
    pub at_ns: i64,
}

/// One of at most five webhook URLs.
#[derive(Clone, Debug)]
pub struct WebhookUrl {
    pub url: String,
    /// Failed tries in a row.
    pub failures: u32,
    pub disabled: bool,
}

/// A WhatsApp number and what belongs to it.
pub struct SimulatedChannel {
    pub options: ChannelOptions,
    pub templates: Vec<Arc<ApprovedTemplate>>,
    pub limits: Limits,
    pub webhook_settings: Vec<WebhookUrl>,
    pub outbox: VecDeque<Item>,
    pub inbound: VecDeque<Arc<Inbound>>,
    /// How many POSTs were taken from the outbox, so that channels take turns.
    pub parcels: u64,
}

impl SimulatedChannel {
    pub fn new(mut options: ChannelOptions) -> SimulatedChannel {
        let templates = std::mem::take(&mut options.templates);
        let mut channel = SimulatedChannel {
            limits: Limits::new(options.limits),
            templates: Vec::new(),
            webhook_settings: Vec::new(),
            outbox: VecDeque::new(),
            inbound: VecDeque::new(),
            parcels: 0,
            options,
        };
        channel.set_webhook_settings(channel.options.settings.webhook_urls.clone());
        templates
            .into_iter()
            .for_each(|template| channel.set_template(ApprovedTemplate::new(template)));
        channel
    }

    /// Replaces the whole list and revives what was disabled, as the provider does.
    pub fn set_webhook_settings(&mut self, urls: Vec<String>) {
        let hook = |url| WebhookUrl { url, failures: 0, disabled: false };
        self.webhook_settings = urls.into_iter().map(hook).collect();
    }

    /// Adds a template or takes the place of the one with its name and language.
    pub fn set_template(&mut self, template: ApprovedTemplate) {
        let same = |known: &Arc<ApprovedTemplate>| {
            known.options.name == template.options.name
                && known.options.language == template.options.language
        };
        self.templates.retain(|known| !same(known));
        self.templates.push(Arc::new(template));
    }

    pub fn remember(&mut self, inbound: Arc<Inbound>) {
        if self.inbound.len() >= MAX_INBOUND {
            self.inbound.pop_front();
        }
        self.inbound.push_back(inbound);
    }

    fn listens(&self) -> bool {
        self.webhook_settings.iter().any(|hook| !hook.disabled)
    }
}

/// Everything, behind the lock.
pub struct SandboxState {
    pub clock: Clock,
    pub rng: StdRng,
    pub channels: Vec<SimulatedChannel>,
    pub store: MessageStore,
    pub faults: Faults,
    pub schedule: Schedule,
    pub outcomes: HashMap<u64, Outcome>,
    pub receipts: ReceiptOptions,
    pub refusals: RefusalForm,
    pub counts: SandboxCounts,
}

impl SandboxState {
    pub fn new(options: SandboxOptions) -> SandboxState {
        // The time makes ids differ between two sandboxes that share a seed.
        let key = nanoseconds(&Clock::system()) as u64 ^ options.seed.rotate_left(32);
        SandboxState {
            rng: StdRng::seed_from_u64(options.seed),
            channels: options.channels.into_iter().map(SimulatedChannel::new).collect(),
            store: MessageStore::new(Ids::new(key), options.keep),
            faults: Faults { rules: options.faults },
            schedule: Schedule::default(),
            outcomes: HashMap::new(),
            receipts: options.receipts,
            refusals: options.refusals,
            counts: SandboxCounts::default(),
            clock: options.clock,
        }
    }

    /// Nanoseconds since 1970.
    pub fn now(&self) -> i64 {
        nanoseconds(&self.clock)
    }

    /// Finds the channel and checks the token; the answer of a refusal otherwise.
    pub fn enter(&self, channel: &str, token: Option<&str>) -> Result<usize, Reply> {
        let channel = channel.strip_prefix("instance").unwrap_or(channel);
        let Some(position) = self.position(channel) else {
            return Err(Reply::unknown_channel(channel));
        };
        let options = &self.channels[position].options;
        let token = token.unwrap_or_default();
        if token != options.token {
            return Err(Reply::wrong_token(token, channel));
        }
        match options.blocked {
            true => Err(Reply::blocked()),
            false => Ok(position),
        }
    }

    pub fn position(&self, channel: &str) -> Option<usize> {
        let mut ids = self.channels.iter();
        ids.position(|known| known.options.id == channel)
    }

    pub fn outcome(&self, phone: u64) -> Outcome {
        match self.outcomes.get(&phone) {
            Some(outcome) => *outcome,
            None => Outcome::reserved(phone),
        }
    }

    /// Hands everything that has come due to the webhooks.
    pub fn happen(&mut self, now: Instant) {
        let stamp = self.now();
        while let Some(due) = self.schedule.take(now) {
            self.happened(due, stamp);
        }
    }

    fn happened(&mut self, due: Due, stamp: i64) {
        self.counts.receipts += 1;
        self.store.happened(due.number, due.stage, stamp);
        let Some(arrival) = self.store.arrival(due.number) else {
            return;
        };
        let item = Item::Status(due.number, due.stage, stamp);
        if due.twice {
            self.tell(usize::from(arrival.channel), item.clone());
        }
        self.tell(usize::from(arrival.channel), item);
    }

    /// Puts an item in the outbox of a channel that wants to hear it.
    pub fn tell(&mut self, channel: usize, item: Item) {
        let channel = &mut self.channels[channel];
        let receipt = matches!(item, Item::Status(..) | Item::Foreign(_));
        if channel.listens() && (channel.options.settings.ack_notifications_on || !receipt) {
            channel.outbox.push_back(item);
            self.counts.items_pending += 1;
        }
    }

    pub fn counts(&self) -> SandboxCounts {
        SandboxCounts {
            accepted: self.store.count(),
            receipts_pending: self.schedule.len(),
            ..self.counts
        }
    }

    /// What is kept of the messages to one phone, or of all, oldest first.
    pub fn seen(&self, phone: Option<u64>) -> Vec<SeenMessage> {
        self.store
            .all_kept()
            .filter(|(_, arrival, _)| phone.is_none_or(|phone| phone == arrival.phone))
            .map(|(number, arrival, kept)| {
                let channel = &self.channels[usize::from(arrival.channel)].options.id;
                self.store.seen(number, arrival, kept, channel)
            })
            .collect()
    }
}

fn nanoseconds(clock: &Clock) -> i64 {
    // Nanoseconds fit until the year 2262.
    i64::try_from(clock.now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// The state, and the bells that tell its parts to look again.
pub struct Shared {
    state: Mutex<SandboxState>,
    /// Rings whenever a number in `SandboxCounts` may have changed.
    pub changed: Notify,
    /// Rings when something falls due earlier than the schedule's task expects.
    pub schedule_bell: Notify,
    /// Rings when an outbox is no longer empty.
    pub webhook_bell: Notify,
}

impl Shared {
    pub fn new(state: SandboxState) -> Shared {
        Shared {
            state: Mutex::new(state),
            changed: Notify::new(),
            schedule_bell: Notify::new(),
            webhook_bell: Notify::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, SandboxState> {
        // What a panicking test left behind is still worth reading.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes the webhook sender and those who wait.
    pub fn update<T>(&self, change: impl FnOnce(&mut SandboxState) -> T) -> T {
        let result = change(&mut self.lock());
        self.webhook_bell.notify_one();
        self.schedule_bell.notify_one();
        self.changed.notify_waiters();
        result
    }
}
