//! The control endpoints under `/sandbox/`: what happened, and what is to happen next. They are
//! not part of the provider's API.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sandbox::api::refusal::RefusalForm;
use crate::sandbox::api::reply::Reply;
use crate::sandbox::options::{ChannelOptions, LimitOptions, ReceiptOptions};
use crate::sandbox::state::faults::FaultRule;
use crate::sandbox::state::limits::Limits;
use crate::sandbox::state::outcome::Outcome;
use crate::sandbox::state::state::{
    Foreign, Inbound, Item, SandboxCounts, SandboxState, Shared, SimulatedChannel,
};
use crate::sandbox::state::store::{Duplicate, SeenMessage, Stage};
use crate::sandbox::template::{ApprovedTemplate, TemplateOptions};

type Answer = Result<Json<Value>, Reply>;

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sandbox/counts", get(counts))
        .route("/sandbox/messages", get(messages))
        .route("/sandbox/duplicates", get(duplicates))
        .route("/sandbox/arrivals", get(arrivals))
        .route("/sandbox/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/sandbox/templates", post(set_template))
        .route("/sandbox/inbound", post(inbound))
        .route("/sandbox/outcomes", post(set_outcome))
        .route("/sandbox/receipts", post(set_receipts))
        .route("/sandbox/receipt", post(receipt))
        .route("/sandbox/refusals", post(set_refusals))
        .route("/sandbox/channels", post(set_channel))
}

/// Which channel a control request is about; the first one if it does not say.
#[derive(Deserialize)]
struct Which {
    channel: Option<String>,
}

impl Which {
    fn position(&self, state: &SandboxState) -> Result<usize, Reply> {
        state.which(self.channel.as_deref())
    }
}

impl SandboxState {
    pub fn which(&self, channel: Option<&str>) -> Result<usize, Reply> {
        match channel {
            None if !self.channels.is_empty() => Ok(0),
            None => Err(Reply::unknown_channel("")),
            Some(id) => self.position(id).ok_or_else(|| Reply::unknown_channel(id)),
        }
    }
}

fn done() -> Answer {
    Ok(Json(json!({ "done": true })))
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<SandboxCounts> {
    Json(shared.lock().counts())
}

#[derive(Deserialize)]
struct Seen {
    phone: Option<String>,
}

async fn messages(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Seen>,
) -> Result<Json<Vec<SeenMessage>>, Reply> {
    let phone = query.phone.as_deref().map(digits).transpose()?;
    Ok(Json(shared.lock().seen(phone)))
}

fn digits(phone: &str) -> Result<u64, Reply> {
    let bad = || Reply::error(400, "phone must be digits only");
    phone.parse().map_err(|_| bad())
}

async fn duplicates(State(shared): State<Arc<Shared>>) -> Json<Vec<Duplicate>> {
    Json(shared.lock().store.duplicates())
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: usize,
}

/// Sixteen bytes for each message, little-endian: nanoseconds since 1970, then the phone.
async fn arrivals(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<From>,
) -> impl IntoResponse {
    let state = shared.lock();
    let arrivals = state.store.arrivals();
    let wanted = arrivals.get(query.from..).unwrap_or_default();
    let bytes: Vec<u8> = wanted
        .iter()
        .flat_map(|one| [one.at_ns.to_le_bytes(), one.phone.to_le_bytes()])
        .flatten()
        .collect();
    ([(CONTENT_TYPE, "application/octet-stream")], bytes)
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<FaultRule>> {
    Json(shared.lock().faults.rules.clone())
}

/// One rule, or a list of them.
async fn add_faults(
    State(shared): State<Arc<Shared>>,
    Json(rules): Json<Value>,
) -> Result<Json<Vec<FaultRule>>, (StatusCode, String)> {
    let rules = match rules {
        Value::Array(rules) => rules,
        rule => vec![rule],
    };
    let rules: Result<Vec<FaultRule>, _> = rules.into_iter().map(serde_json::from_value).collect();
    let rules = rules.map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))?;
    let mut state = shared.lock();
    state.faults.rules.extend(rules);
    Ok(Json(state.faults.rules.clone()))
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Answer {
    shared.lock().faults.rules.clear();
    done()
}

async fn set_template(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
    Json(template): Json<TemplateOptions>,
) -> Answer {
    let mut state = shared.lock();
    let channel = which.position(&state)?;
    state.channels[channel].set_template(ApprovedTemplate::new(template));
    done()
}

/// A message from a customer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InboundBody {
    phone: String,
    text: String,
    #[serde(default = "chat", rename = "type")]
    kind: String,
}

fn chat() -> String {
    "chat".into()
}

async fn inbound(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
    Json(body): Json<InboundBody>,
) -> Answer {
    let phone = digits(&body.phone)?;
    shared.update(|state| {
        let channel = which.position(state)?;
        let id = state.hear(channel, phone, &body.text, &body.kind);
        Ok(Json(json!({ "id": id })))
    })
}

impl SandboxState {
    /// Lets a customer write to a channel; gives the id of the message.
    pub fn hear(&mut self, channel: usize, phone: u64, text: &str, kind: &str) -> String {
        let position = u64::MAX / 2 + self.channels[channel].inbound.len() as u64;
        let inbound = Arc::new(Inbound {
            id: self.store.ids.id(position ^ phone),
            phone,
            text: text.to_owned(),
            kind: kind.to_owned(),
            at_ns: self.now(),
        });
        let id = inbound.id.clone();
        self.channels[channel].remember(Arc::clone(&inbound));
        self.tell(channel, Item::Inbound(inbound));
        id
    }

    /// Posts a status with any id at once; those of our messages also enter their history.
    pub fn post_receipt(&mut self, channel: usize, id: &str, phone: u64, stage: Stage) {
        let at_ns = self.now();
        self.counts.receipts += 1;
        let ours = self.store.ids.number(id);
        let ours = ours.filter(|number| self.store.arrival(*number).is_some());
        let item = match ours {
            Some(number) => {
                self.store.happened(number, stage, at_ns);
                Item::Status(number, stage, at_ns)
            }
            None => Item::Foreign(Arc::new(Foreign { id: id.to_owned(), phone, stage, at_ns })),
        };
        self.tell(channel, item);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeBody {
    phone: String,
    outcome: Outcome,
}

async fn set_outcome(State(shared): State<Arc<Shared>>, Json(body): Json<OutcomeBody>) -> Answer {
    let phone = digits(&body.phone)?;
    shared.lock().outcomes.insert(phone, body.outcome);
    done()
}

/// Replaces all the options; those that are not given take their defaults.
async fn set_receipts(
    State(shared): State<Arc<Shared>>,
    Json(options): Json<ReceiptOptions>,
) -> Answer {
    shared.lock().receipts = options;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiptBody {
    id: String,
    /// `sent`, `delivered`, `read` or `failed`.
    status: String,
    /// Meta's code of a failure; 131026 if it is missing.
    code: Option<i32>,
    /// For an id that nobody sent.
    phone: Option<String>,
}

async fn receipt(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
    Json(body): Json<ReceiptBody>,
) -> Answer {
    let unknown = || Reply::error(400, "status must be sent, delivered, read or failed");
    let stage = stage(&body.status, body.code).ok_or_else(unknown)?;
    let phone = body.phone.as_deref().map(digits).transpose()?;
    shared.update(|state| {
        let channel = which.position(state)?;
        state.post_receipt(channel, &body.id, phone.unwrap_or(19_075_550_199), stage);
        done()
    })
}

/// Reads a status word; a failure without a code is 131026.
pub fn stage(word: &str, code: Option<i32>) -> Option<Stage> {
    match word {
        "sent" => Some(Stage::Sent),
        "delivered" => Some(Stage::Delivered),
        "read" => Some(Stage::Read),
        "failed" => Some(Stage::Failed(code.unwrap_or(131026))),
        _ => None,
    }
}

#[derive(Deserialize)]
struct RefusalsBody {
    form: RefusalForm,
}

async fn set_refusals(State(shared): State<Arc<Shared>>, Json(body): Json<RefusalsBody>) -> Answer {
    shared.lock().refusals = body.form;
    done()
}

/// What can change in a channel that exists; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelChange {
    #[serde(rename = "id")]
    _id: String,
    token: Option<String>,
    status: Option<String>,
    blocked: Option<bool>,
    /// 0 takes the code back.
    refuse_code: Option<i32>,
    history: Option<bool>,
    limits: Option<LimitOptions>,
}

/// Changes a channel, or adds one.
async fn set_channel(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Answer {
    let mut state = shared.lock();
    let wrong = |error: serde_json::Error| Reply::error(400, &error.to_string());
    let known = body["id"].as_str().and_then(|id| state.position(id));
    match known {
        Some(position) => {
            let change = serde_json::from_value(body).map_err(wrong)?;
            state.channels[position].change(change);
        }
        None => {
            let options: ChannelOptions = serde_json::from_value(body).map_err(wrong)?;
            state.channels.push(SimulatedChannel::new(options));
        }
    }
    done()
}

impl SimulatedChannel {
    fn change(&mut self, change: ChannelChange) {
        let options = &mut self.options;
        options.token = change.token.unwrap_or(std::mem::take(&mut options.token));
        options.status = change.status.unwrap_or(std::mem::take(&mut options.status));
        options.blocked = change.blocked.unwrap_or(options.blocked);
        options.history = change.history.unwrap_or(options.history);
        if let Some(code) = change.refuse_code {
            options.refuse_code = Some(code).filter(|code| *code != 0);
        }
        if let Some(limits) = change.limits {
            self.limits = Limits::new(limits);
        }
    }
}
