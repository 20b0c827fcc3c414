//! What a sandbox is made of: channels, templates, how receipts behave. All of it can also be
//! sent to the control endpoints as JSON.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sandbox::api::refusal::RefusalForm;
use crate::sandbox::state::faults::FaultRule;
use crate::sandbox::template::TemplateOptions;
use rowbell::clock::Clock;

/// Everything a sandbox starts with. The default listens on a free port of the loopback address
/// and serves one channel, `ODI371267300`, with the template `service_change` in two languages.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Makes every random choice (faults, delays, shares) repeatable. Message ids differ anyway.
    pub seed: u64,
    /// Stamps arrivals and receipts and drives the limits. Delays run on real time.
    pub clock: Clock,
    pub channels: Vec<ChannelOptions>,
    pub receipts: ReceiptOptions,
    pub refusals: RefusalForm,
    pub faults: Vec<FaultRule>,
    /// How many of the latest messages are kept with their text and history. Of older ones only
    /// arrival, phone and a hash of the text remain: 24 bytes each.
    pub keep: usize,
}

impl Default for SandboxOptions {
    fn default() -> SandboxOptions {
        SandboxOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            clock: Clock::system(),
            channels: vec![ChannelOptions::default()],
            receipts: ReceiptOptions::default(),
            refusals: RefusalForm::default(),
            faults: Vec::new(),
            keep: usize::MAX,
        }
    }
}

/// One WhatsApp number at the simulated provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelOptions {
    pub id: String,
    pub token: String,
    pub templates: Vec<TemplateOptions>,
    pub limits: LimitOptions,
    pub settings: Settings,
    /// What `GET /status` says; sends are refused unless it is `connected`.
    pub status: String,
    /// A blocked subscription: every call is answered 403 in plain text.
    pub blocked: bool,
    /// Refuses every send with this Meta code, for example 131042 for a payment problem.
    pub refuse_code: Option<i32>,
    /// Whether `GET /messages` has anything to show; without it the answer is a notice.
    pub history: bool,
}

impl Default for ChannelOptions {
    fn default() -> ChannelOptions {
        ChannelOptions {
            id: "ODI371267300".into(),
            token: "sandbox-token".into(),
            templates: TemplateOptions::service_change(),
            limits: LimitOptions::default(),
            settings: Settings::default(),
            status: "connected".into(),
            blocked: false,
            refuse_code: None,
            history: true,
        }
    }
}

/// The settings of a channel as `GET /settings` shows them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// At most five; every webhook goes to each of them.
    pub webhook_urls: Vec<String>,
    /// Without it no receipt is posted. The real default is off; here it is on.
    pub ack_notifications_on: bool,
    /// Repeats a webhook until it is acknowledged, up to `ReceiptOptions::attempts` times.
    pub guaranteed_hooks: bool,
    /// Posts Meta's own form whatever `ReceiptOptions::form` says.
    pub raw_hooks: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            webhook_urls: Vec::new(),
            ack_notifications_on: true,
            guaranteed_hooks: true,
            raw_hooks: false,
        }
    }
}

/// The limits of a number. All are off by default.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOptions {
    /// Messages a second with a burst of one second's worth; more is refused with 130429.
    pub per_second: Option<u32>,
    /// Messages to one phone that may come at once (Meta: 45), then one each 6 s; more is refused
    /// with 131056.
    pub pair_burst: Option<u32>,
    /// Different phones in a rolling 24 hours; more is refused with 131048. Meta documents no
    /// code for this limit: the number is our choice.
    pub recipients_per_day: Option<u32>,
}

/// Which body carries a receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `ack[]`: what channels send today.
    #[default]
    Ack,
    /// `hooks[]`, as the product page has it.
    Hooks,
    /// Meta's `entry[]`.
    Raw,
}

/// Which words an `ack` uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    /// `read` and `failed`.
    #[default]
    Current,
    /// `viewed` and `undelivered`.
    Older,
}

/// A delay drawn evenly between two bounds, in milliseconds. In JSON a number, or two in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Delay {
    pub min_ms: u64,
    pub max_ms: u64,
}

impl Delay {
    /// Always `ms` milliseconds.
    pub const fn of(ms: u64) -> Delay {
        Delay::between(ms, ms)
    }

    pub const fn between(min_ms: u64, max_ms: u64) -> Delay {
        Delay { min_ms, max_ms }
    }
}

impl TryFrom<Value> for Delay {
    type Error = &'static str;

    /// `500`, or `[100, 900]`.
    fn try_from(wire: Value) -> Result<Delay, &'static str> {
        let times = match wire {
            Value::Array(times) => times,
            time => vec![time],
        };
        let times: Option<Vec<u64>> = times.iter().map(Value::as_u64).collect();
        match times.as_deref() {
            Some(&[ms]) => Ok(Delay::of(ms)),
            Some(&[min, max]) => Ok(Delay::between(min, max.max(min))),
            _ => Err("expected milliseconds, or a list of the least and the most"),
        }
    }
}

/// How receipts come. A share is a probability between 0 and 1; a missing delay means that the
/// receipt never comes. Delays count from the moment the message was accepted.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptOptions {
    pub form: Form,
    pub words: Words,
    /// Also posts our own message back as `messages[]` with `fromMe: true`.
    pub echo: bool,
    pub sent: Option<Delay>,
    pub delivered: Option<Delay>,
    pub read: Option<Delay>,
    pub read_share: f64,
    /// Messages that end as `failed` (131026) instead of `delivered`.
    pub failed_share: f64,
    /// Messages that are never reported `delivered` but are reported `read`.
    pub skip_delivered_share: f64,
    /// Messages whose receipts come in the reverse order.
    pub reversed_share: f64,
    /// Receipts that are posted twice.
    pub twice_share: f64,
    /// Messages whose `sent` is posted before the request is answered.
    pub early_share: f64,
    /// Messages whose receipts all come later by `late`.
    pub late_share: f64,
    pub late: Delay,
    /// Receipts for an id that nobody sent, posted along with a true one.
    pub foreign_share: f64,
    /// The most receipts in one POST; those that are due together share one.
    pub batch: usize,
    /// The most POSTs under way at once, fixed at the start.
    pub parallel: usize,
    /// Tries for one POST where `guaranteed_hooks` is on; otherwise there is one.
    pub attempts: u32,
    /// The pause after the first failed try; it doubles, up to a minute.
    pub retry_ms: u64,
    pub timeout_ms: u64,
    /// Whether only HTTP 200 acknowledges a webhook, instead of any 2xx.
    pub only_200: bool,
    /// Failed tries in a row after which a URL is no longer served until it is set again.
    pub disable_after: Option<u32>,
}

impl Default for ReceiptOptions {
    fn default() -> ReceiptOptions {
        ReceiptOptions {
            form: Form::Ack,
            words: Words::Current,
            echo: false,
            sent: Some(Delay::between(300, 800)),
            delivered: Some(Delay::between(1_000, 3_000)),
            read: Some(Delay::between(5_000, 60_000)),
            read_share: 0.6,
            failed_share: 0.0,
            skip_delivered_share: 0.0,
            reversed_share: 0.0,
            twice_share: 0.0,
            early_share: 0.0,
            late_share: 0.0,
            late: Delay::of(0),
            foreign_share: 0.0,
            batch: 100,
            parallel: 8,
            attempts: 20,
            retry_ms: 1_000,
            timeout_ms: 10_000,
            only_200: false,
            disable_after: None,
        }
    }
}

impl ReceiptOptions {
    /// No receipt ever comes by itself.
    pub fn none() -> ReceiptOptions {
        ReceiptOptions { sent: None, delivered: None, read: None, ..ReceiptOptions::default() }
    }

    /// `sent` and `delivered` follow at once and failed webhooks are repeated soon: for tests.
    pub fn at_once() -> ReceiptOptions {
        ReceiptOptions {
            sent: Some(Delay::of(0)),
            delivered: Some(Delay::of(1)),
            read: None,
            retry_ms: 20,
            ..ReceiptOptions::default()
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
