//! The methods of the API that read: templates, delivery, messages, status, profile, contacts.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::Method;
use axum::routing::{get, post};
use axum::{Json, RequestExt, Router};
use serde_json::{Value, json};

use crate::sandbox::api::payloads;
use crate::sandbox::api::reply::Reply;
use crate::sandbox::api::request::{form_to_json, query_pairs};
use crate::sandbox::api::router::{bearer, is_form};
use crate::sandbox::api::send::wa_id;
use crate::sandbox::state::outcome::Outcome;
use crate::sandbox::state::state::{SandboxState, Shared};

const MAX_BODY: usize = 1_048_576;
/// How many rows `GET /messages` gives without a `limit`.
const DEFAULT_LIMIT: usize = 100;

/// The reading methods.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{channel}/templates", get(templates))
        .route("/{channel}/hookInfo", get(hook_info))
        .route("/{channel}/messages", get(messages))
        .route("/{channel}/status", get(status))
        .route("/{channel}/me", get(me))
        .route("/{channel}/contacts", post(contacts))
        .route("/{channel}/checkPhone", get(check_phone))
}

/// Who calls and with what: the token has been checked.
pub struct Caller {
    pub channel: usize,
    pub query: HashMap<String, String>,
    /// The body of a POST; null otherwise.
    pub body: Value,
}

impl FromRequest<Arc<Shared>> for Caller {
    type Rejection = Reply;

    async fn from_request(mut request: Request, shared: &Arc<Shared>) -> Result<Caller, Reply> {
        let Path(path) = request
            .extract_parts::<Path<HashMap<String, String>>>()
            .await
            .map_err(|_| Reply::unknown_channel(""))?;
        let id = path.get("channel").map_or("", String::as_str);
        let (parts, body) = request.into_parts();
        let query: HashMap<_, _> =
            query_pairs(parts.uri.query().unwrap_or_default()).into_iter().collect();
        let body = to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| Reply::error(413, "Request body is too large"))?;
        let parsed = match is_form(&parts.headers) {
            true => serde_json::from_slice(&form_to_json(&body)),
            false => serde_json::from_slice::<Value>(&body),
        };
        let in_body = parsed.as_ref().ok().and_then(|body| body["token"].as_str());
        let in_query = query.get("token").map(String::as_str);
        let token = in_query.or(in_body).or(bearer(&parts.headers));
        let channel = shared.lock().enter(id, token)?;
        let not_json = || Reply::error(400, "Request body is not valid JSON");
        let body = match parts.method == Method::POST {
            true => parsed.map_err(|_| not_json())?,
            false => Value::Null,
        };
        Ok(Caller { channel, query, body })
    }
}

impl Caller {
    fn number(&self, name: &str) -> Option<i64> {
        self.query.get(name)?.parse().ok()
    }

    fn says(&self, name: &str) -> bool {
        let word = self.query.get(name).map(String::as_str);
        matches!(word, Some("true" | "1"))
    }
}

async fn templates(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    let templates = &state.channels[caller.channel].templates;
    let whole = |name| usize::try_from(caller.number(name)?).ok();
    let rows: Vec<Value> = templates
        .iter()
        .skip(whole("offset").unwrap_or(0))
        .take(whole("limit").unwrap_or(usize::MAX))
        .map(|template| template.listed())
        .collect();
    Json(json!({ "total": templates.len(), "templates": rows }))
}

async fn hook_info(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
) -> Result<Json<Value>, Reply> {
    let Some(id) = caller.query.get("messageId") else {
        return Err(Reply::error(400, "messageId is required"));
    };
    let state = shared.lock();
    let ours = |number: &u64| {
        let arrival = state.store.arrival(*number);
        arrival.is_some_and(|arrival| usize::from(arrival.channel) == caller.channel)
    };
    let number = state.store.ids.number(id).filter(ours);
    let webhook_settings = number.map_or_else(Vec::new, |number| payloads::history(&state, number));
    Ok(Json(json!({ "hooks": webhook_settings })))
}

async fn messages(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    if !state.channels[caller.channel].options.history {
        let notice = "Message history is disabled for this channel";
        return Json(json!({ "messages": [], "notice": notice }));
    }
    let mut rows = rows(&state, &caller);
    rows.sort_by_key(|(at_ns, _)| *at_ns);
    if caller.says("last") {
        rows.reverse();
    }
    let limit = match caller.number("limit") {
        Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(DEFAULT_LIMIT),
        None => DEFAULT_LIMIT,
    };
    let rows: Vec<Value> = rows.into_iter().take(limit).map(|(_, row)| row).collect();
    Json(json!({ "messages": rows }))
}

/// Every row that fits the query, with its time, in no order.
fn rows(state: &SandboxState, caller: &Caller) -> Vec<(i64, Value)> {
    let chat = caller.query.get("chatId");
    let fits = |phone: u64, at_ns: i64| {
        let seconds = payloads::seconds(at_ns);
        chat.is_none_or(|chat| chat.trim_end_matches("@c.us") == wa_id(phone).to_string())
            && caller.number("min_time").is_none_or(|least| seconds >= least)
            && caller.number("max_time").is_none_or(|most| seconds <= most)
    };
    let outgoing = state
        .store
        .all_kept()
        .filter(|(_, arrival, _)| usize::from(arrival.channel) == caller.channel)
        .filter(|(_, arrival, _)| fits(arrival.phone, arrival.at_ns))
        .filter_map(|(number, arrival, _)| {
            Some((arrival.at_ns, payloads::outgoing(state, number)?))
        });
    let incoming = (0..)
        .zip(&state.channels[caller.channel].inbound)
        .filter(|(_, message)| fits(message.phone, message.at_ns))
        .map(|(number, message)| (message.at_ns, payloads::incoming(message, Some(number))));
    let numbered = |row: &Value| {
        let number = row["messageNumber"].as_i64().unwrap_or_default();
        let first = caller.number("firstMessageNumber");
        let last = caller.number("lastMessageNumber");
        let id = caller.query.get("msgId");
        first.is_none_or(|first| number >= first)
            && last.is_none_or(|last| number > last || caller.says("last"))
            && id.is_none_or(|id| row["id"] == id.as_str())
    };
    outgoing.chain(incoming).filter(|(_, row)| numbered(row)).collect()
}

async fn status(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    let status = &state.channels[caller.channel].options.status;
    let account = match status.as_str() {
        "connected" => "authenticated",
        other => other,
    };
    Json(json!({
        "status": status,
        "accountStatus": account,
        "isCloud": true,
        "mm_lite_available": false,
    }))
}

async fn me(_: Caller) -> Json<Value> {
    Json(json!({
        "about": "A number in the sandbox",
        "address": "",
        "description": "",
        "email": "",
        "phone": "19075550100",
        // In the words of 1MSG, which are not Meta's.
        "vertical": "Other",
        "photo": "",
        "websites": [],
    }))
}

async fn contacts(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    let inputs = caller.body["contacts"].as_array();
    let contacts: Vec<Value> = inputs
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|input| contact(&state, input))
        .collect();
    Json(json!({ "contacts": contacts }))
}

fn contact(state: &SandboxState, input: &str) -> Value {
    let digits = input.trim_start_matches('+').parse();
    match digits {
        Ok(phone) if reachable(state, phone) => {
            json!({ "input": input, "status": "valid", "wa_id": wa_id(phone).to_string() })
        }
        _ => json!({ "input": input, "status": "invalid" }),
    }
}

async fn check_phone(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let phone = caller.query.get("phone").and_then(|phone| phone.parse().ok());
    let state = shared.lock();
    let exists = phone.is_some_and(|phone| reachable(&state, phone));
    Json(json!({ "result": if exists { "exists" } else { "not exists" } }))
}

fn reachable(state: &SandboxState, phone: u64) -> bool {
    let outcome = state.outcome(phone);
    outcome != Outcome::NotOnWhatsapp && outcome != Outcome::Undeliverable
}
