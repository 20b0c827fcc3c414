//! `sendTemplate`: from the bytes of a request to the answer. This is the hot path of benchmarks:
//! one lock, no copy that is not kept, no waiting.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;
use tokio::time::Instant;

use crate::sandbox::api::refusal::Refusal;
use crate::sandbox::api::reply::Reply;
use crate::sandbox::api::request::{BadBody, Parameter, SendRequest};
use crate::sandbox::api::validation;
use crate::sandbox::state::chance::happens;
use crate::sandbox::state::faults::{self, Fault};
use crate::sandbox::state::outcome::{self, Outcome};
use crate::sandbox::state::schedule::Due;
use crate::sandbox::state::state::{Foreign, Item, SandboxState, Shared};
use crate::sandbox::state::store::Stage;
use crate::sandbox::template::ApprovedTemplate;

/// Where the request says it belongs, beside its body.
pub struct Address<'a> {
    pub channel: &'a str,
    /// From the query.
    pub query_token: Option<Cow<'a, str>>,
    /// From the header `Authorization`.
    pub bearer: Option<&'a str>,
}

/// Answers one request and rings the bells that it makes necessary.
pub fn send(shared: &Shared, address: &Address<'_>, body: &[u8]) -> Reply {
    let parsed = SendRequest::parse(body);
    let (reply, earlier, told) = {
        let mut state = shared.lock();
        let before = (state.schedule.next(), state.counts.items_pending);
        let reply = state.receive(address, parsed);
        let earlier = state.schedule.next() != before.0;
        (reply, earlier, state.counts.items_pending != before.1)
    };
    // A bell wakes a task, which costs as much as the rest: ring only where something is new.
    if earlier {
        shared.schedule_bell.notify_one();
    }
    if told {
        shared.webhook_bell.notify_one();
    }
    shared.changed.notify_waiters();
    reply
}

impl SandboxState {
    fn receive(
        &mut self,
        address: &Address<'_>,
        parsed: Result<SendRequest<'_>, BadBody>,
    ) -> Reply {
        let accepted = self.store.count();
        let reply = self.received(address, parsed).unwrap_or_else(|refused| refused);
        if self.store.count() == accepted {
            self.counts.refused += 1;
        }
        reply
    }

    fn received(
        &mut self,
        address: &Address<'_>,
        parsed: Result<SendRequest<'_>, BadBody>,
    ) -> Result<Reply, Reply> {
        let in_body = parsed.as_ref().ok().and_then(|body| body.token.as_deref());
        // A stale token in the query or the body beats a right one in the header.
        let token = address.query_token.as_deref().or(in_body).or(address.bearer);
        let channel = self.enter(address.channel, token)?;
        let request = parsed.map_err(bad_body)?;
        if self.faults.rules.is_empty() {
            return Ok(self.take(channel, &request, false));
        }
        let phone = validation::phone(&request).ok();
        let struck = self.faults.strike("sendTemplate", phone, &mut self.rng);
        self.counts.faults += u64::from(struck.fault.is_some() || struck.delay > Duration::ZERO);
        let early = struck.fault == Some(Fault::EarlyReceipt);
        Ok(struck.run(|| self.take(channel, &request, early)))
    }

    fn take(&mut self, channel: usize, request: &SendRequest<'_>, early: bool) -> Reply {
        let form = self.refusals;
        match self.accept(channel, request, early) {
            Ok(reply) => reply,
            Err(Refused::Content(refusal)) => refusal.reply(form),
            Err(Refused::Answer(reply)) => reply,
        }
    }

    fn accept(
        &mut self,
        position: usize,
        request: &SendRequest<'_>,
        early: bool,
    ) -> Result<Reply, Refused> {
        let channel = &mut self.channels[position];
        if channel.options.status != "connected" {
            return Err(Refusal::of(133010).into());
        }
        if let Some(code) = channel.options.refuse_code {
            return Err(Refusal::of(code).into());
        }
        let (template, parameters) = checked(&channel.templates, request)?;
        let template = Arc::clone(template);
        let phone = validation::phone(request)?;
        let outcome = self.outcome(phone);
        let now = self.now();
        let limits = &mut self.channels[position].limits;
        refused_by(outcome)?;
        limits.admit(phone, now).map_err(|code| Refused::Content(Refusal::of(code)))?;
        let number = self.record((position, phone, now), &template, parameters, request.ttl);
        let early = self.schedule(number, position, outcome, early, request.ttl);
        Ok(match outcome {
            Outcome::Queued => faults::queued(),
            _ => Reply {
                early: early.then_some(number),
                ..accepted(&self.store.ids.id(number), wa_id(phone))
            },
        })
    }

    fn record(
        &mut self,
        (channel, phone, now): (usize, u64, i64),
        template: &Arc<ApprovedTemplate>,
        parameters: &[Parameter<'_>],
        time_to_live: Option<i64>,
    ) -> u64 {
        // There are never 65,536 channels.
        let channel = u16::try_from(channel).unwrap_or(u16::MAX);
        self.store.accept((channel, phone, now), template, parameters, time_to_live)
    }

    /// Plans the receipts of a message and says whether its `sent` has to come first.
    fn schedule(
        &mut self,
        number: u64,
        channel: usize,
        outcome: Outcome,
        early: bool,
        time_to_live: Option<i64>,
    ) -> bool {
        if self.receipts.echo {
            self.tell(channel, Item::Echo(number));
        }
        if happens(self.receipts.foreign_share, &mut self.rng) {
            self.tell_foreign(channel, number);
        }
        let early = early || happens(self.receipts.early_share, &mut self.rng);
        let start = Instant::now();
        for (delay, stage) in outcome::plan(outcome, &self.receipts, time_to_live, &mut self.rng) {
            if early && stage == Stage::Sent {
                continue;
            }
            let twice = happens(self.receipts.twice_share, &mut self.rng);
            let at = start + Duration::from_millis(delay);
            self.schedule.add(Due { at, number, stage, twice });
        }
        early
    }

    fn tell_foreign(&mut self, channel: usize, number: u64) {
        let foreign = Foreign {
            // Numbers from the other end are never reached.
            id: self.store.ids.id(u64::MAX - number),
            phone: 19_075_550_199,
            stage: Stage::Delivered,
            at_ns: self.now(),
        };
        self.tell(channel, Item::Foreign(Arc::new(foreign)));
    }
}

/// Why a message was not taken: a fault in it, told in the form the sandbox is set to, or an
/// answer that has its own form.
enum Refused {
    Content(Refusal),
    Answer(Reply),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused::Content(refusal)
    }
}

type Checked<'t, 'r, 'b> = (&'t Arc<ApprovedTemplate>, &'r [Parameter<'b>]);

fn checked<'t, 'r, 'b>(
    templates: &'t [Arc<ApprovedTemplate>],
    request: &'r SendRequest<'b>,
) -> Result<Checked<'t, 'r, 'b>, Refused> {
    let language = request.language.as_ref();
    let code = language.and_then(|language| language.code.as_deref());
    let (Some(name), Some(code)) = (request.template.as_deref(), code) else {
        let body = json!({ "message": "template is not defined" }).to_string();
        return Err(Refused::Answer(Reply::json(400, body)));
    };
    let policy = language.and_then(|language| language.policy.as_deref());
    if policy != Some("deterministic") {
        return Err(Refusal::content(100, "language: policy must be deterministic").into());
    }
    let Some(namespace) = request.namespace.as_deref() else {
        return Err(Refusal::content(131008, "namespace is required").into());
    };
    let template = validation::template(templates, name, namespace, code)?;
    validation::ttl(template, request.ttl)?;
    let components = request.params.as_deref().unwrap_or_default();
    Ok((template, validation::parameters(template, components)?))
}

fn refused_by(outcome: Outcome) -> Result<(), Refused> {
    match outcome {
        Outcome::NotOnWhatsapp => {
            let error = json!({ "message": "Recipient is not a valid WhatsApp user" });
            let body = json!({ "sent": false, "error": error }).to_string();
            Err(Refused::Answer(Reply::json(200, body)))
        }
        Outcome::PairLimited => Err(Refusal::of(131056).into()),
        _ => Ok(()),
    }
}

fn bad_body(bad: BadBody) -> Reply {
    match bad {
        BadBody::NotJson => Reply::error(400, "Request body is not valid JSON"),
        BadBody::WrongShape(why) => {
            Refusal::content(100, why).reply(crate::sandbox::RefusalForm::Meta)
        }
    }
}

fn accepted(id: &str, wa_id: u64) -> Reply {
    let phone = wa_id.to_string();
    let mut body = String::with_capacity(160);
    for part in [
        r#"{"sent":true,"id":""#,
        id,
        r#"","message":"Sent to "#,
        &phone,
        r#"@c.us","description":"Message has been sent to the provider"}"#,
    ] {
        body.push_str(part);
    }
    Reply::json(200, Bytes::from(body))
}

/// The number under which WhatsApp knows a phone. It drops the zero that Venezuelan numbers are
/// often written with, so receipts name another phone than the request did.
pub fn wa_id(phone: u64) -> u64 {
    let text = phone.to_string();
    let short = text.strip_prefix("580").map(|rest| format!("58{rest}"));
    short.and_then(|short| short.parse().ok()).unwrap_or(phone)
}
