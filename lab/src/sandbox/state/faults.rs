//! Faults on request: the next N requests, or a share of them, go wrong in a chosen way.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::sandbox::api::refusal::{Refusal, RefusalForm};
use crate::sandbox::api::reply::{Manner, Reply};
use crate::sandbox::state::chance::happens;

/// What goes wrong. Where a fault has `accepted`, it says whether the message was taken before
/// the answer was lost; it is true unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The answer is right but slow. Comes on top of other faults.
    Latency {
        ms: u64,
        /// Up to this much more, drawn evenly.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// 429, not accepted.
    TooManyRequests {
        /// Whole seconds for `Retry-After`; without it the header is missing.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// A clean refusal with a status such as 500 or 503, not accepted.
    Refused { status: u16 },
    /// The message is taken, and the answer is a gateway's 502 or 504 in HTML.
    Lost { status: u16 },
    /// No answer until the client goes away.
    Hang {
        #[serde(default = "yes")]
        accepted: bool,
    },
    /// The connection closes without an answer.
    Drop {
        #[serde(default = "yes")]
        accepted: bool,
    },
    /// 200 with bytes that are not JSON.
    Garbage {
        #[serde(default = "yes")]
        accepted: bool,
    },
    /// The first half of the right answer, then the connection closes.
    HalfBody {
        #[serde(default = "yes")]
        accepted: bool,
    },
    /// The right answer, a few bytes at a time.
    SlowBytes { ms: u64 },
    /// Refused with a code of Meta's and the status that belongs to it.
    Code { code: i32 },
    /// 200 with `{"sent": false, "message": …}`, not accepted.
    InBand { message: String },
    /// This status with this body to the letter, not accepted: a page of somebody on the way, an error in another form.
    Answer { status: u16, body: String },
    /// The message is taken, and the answer is a job: no `sent`, no `id`.
    Queued,
    /// The message is taken, and its `sent` is posted before the answer leaves.
    EarlyReceipt,
}

fn yes() -> bool {
    true
}

impl Fault {
    /// Whether the request is still carried out.
    pub fn accepts(&self) -> bool {
        match self {
            Fault::TooManyRequests { .. }
            | Fault::Refused { .. }
            | Fault::Code { .. }
            | Fault::Answer { .. }
            | Fault::InBand { .. } => false,
            Fault::Hang { accepted }
            | Fault::Drop { accepted }
            | Fault::Garbage { accepted }
            | Fault::HalfBody { accepted } => *accepted,
            _ => true,
        }
    }

    /// What becomes of the right answer.
    pub fn spoil(&self, right: Reply) -> Reply {
        match self {
            Fault::Latency { .. } | Fault::EarlyReceipt => right,
            Fault::TooManyRequests { retry_after } => {
                Reply { retry_after: *retry_after, ..Reply::error(429, "Too many requests") }
            }
            Fault::Refused { status } => Reply::error(*status, "Internal server error"),
            Fault::Lost { status } => Reply::html(
                *status,
                format!("<html><head><title>{status}</title></head><body>nginx</body></html>"),
            ),
            Fault::Hang { .. } => right.with_manner(Manner::Hang),
            Fault::Drop { .. } => right.with_manner(Manner::Drop),
            Fault::Garbage { .. } => Reply::json(200, &b"\x00\xff{\"sent\":tr\xfe"[..]),
            Fault::HalfBody { .. } => right.with_manner(Manner::Half),
            Fault::SlowBytes { ms } => right.with_manner(Manner::Slow(Duration::from_millis(*ms))),
            Fault::Code { code } => Refusal::of(*code).reply(RefusalForm::Meta),
            Fault::InBand { message } => {
                Reply::json(200, json!({ "sent": false, "message": message }).to_string())
            }
            Fault::Answer { status, body } if body.starts_with('{') => {
                Reply::json(*status, body.clone())
            }
            Fault::Answer { status, body } => Reply::html(*status, body.clone()),
            Fault::Queued => queued(),
        }
    }
}

/// The answer for a message that waits in the provider's own queue.
pub fn queued() -> Reply {
    let body = json!({ "jobId": "5f1d2c", "message": "Message has been queued" });
    Reply::json(200, body.to_string())
}

/// When a fault strikes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FaultRule {
    #[serde(flatten)]
    pub fault: Fault,
    /// Strikes this many requests, then no more; without a limit until the rule is removed.
    #[serde(default)]
    pub next: Option<u32>,
    /// Strikes each request with this probability, 0 to 1; without it every request.
    #[serde(default)]
    pub share: Option<f64>,
    /// The method it strikes, such as `hookInfo`, or `*` for all.
    #[serde(default = "send_template")]
    pub method: String,
    /// Strikes only sends to this phone.
    #[serde(default)]
    pub phone: Option<String>,
}

fn send_template() -> String {
    "sendTemplate".into()
}

impl FaultRule {
    /// Strikes every `sendTemplate` until the rule is removed.
    pub fn always(fault: Fault) -> FaultRule {
        FaultRule { fault, next: None, share: None, method: send_template(), phone: None }
    }

    /// Strikes the next `count` requests.
    pub fn next(count: u32, fault: Fault) -> FaultRule {
        FaultRule { next: Some(count), ..FaultRule::always(fault) }
    }

    /// Strikes each request with probability `share`, 0 to 1.
    pub fn share(share: f64, fault: Fault) -> FaultRule {
        FaultRule { share: Some(share), ..FaultRule::always(fault) }
    }

    /// The same rule for sends to one phone, given as digits.
    pub fn for_phone(self, phone: &str) -> FaultRule {
        FaultRule { phone: Some(phone.to_owned()), ..self }
    }

    /// The same rule for another method, or `*` for all.
    pub fn on(self, method: &str) -> FaultRule {
        FaultRule { method: method.to_owned(), ..self }
    }

    fn strikes(&mut self, method: &str, phone: Option<u64>, rng: &mut StdRng) -> bool {
        let meant = (self.method == "*" || self.method == method)
            && (self.phone.is_none() || self.phone == phone.map(|phone| phone.to_string()))
            && self.next != Some(0)
            && self.share.is_none_or(|share| happens(share, rng));
        if let (true, Some(next)) = (meant, self.next.as_mut()) {
            *next -= 1;
        }
        meant
    }
}

/// The rules in force.
#[derive(Default)]
pub struct Faults {
    pub rules: Vec<FaultRule>,
}

/// What happens to one request.
#[derive(Default)]
pub struct Struck {
    pub delay: Duration,
    pub fault: Option<Fault>,
}

impl Faults {
    /// Asks the rules in order; the first that strikes wins, and latency comes on top.
    pub fn strike(&mut self, method: &str, phone: Option<u64>, rng: &mut StdRng) -> Struck {
        let mut struck = Struck::default();
        for rule in &mut self.rules {
            let latency = matches!(rule.fault, Fault::Latency { .. });
            if (!latency && struck.fault.is_some()) || !rule.strikes(method, phone, rng) {
                continue;
            }
            match &rule.fault {
                Fault::Latency { ms, jitter_ms } => {
                    let jitter = rng.random_range(0..=*jitter_ms);
                    struck.delay += Duration::from_millis(ms + jitter);
                }
                fault => struck.fault = Some(fault.clone()),
            }
        }
        struck
    }
}

impl Struck {
    /// Carries out a request under this fate.
    pub fn run(self, carry_out: impl FnOnce() -> Reply) -> Reply {
        let reply = match &self.fault {
            None => carry_out(),
            Some(fault) if fault.accepts() => fault.spoil(carry_out()),
            Some(fault) => fault.spoil(Reply::json(200, "{}")),
        };
        Reply { delay: reply.delay + self.delay, ..reply }
    }
}
