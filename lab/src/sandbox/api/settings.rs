//! `GET` and `POST` of `/webhook` and `/settings`.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::sandbox::api::read_methods::Caller;
use crate::sandbox::api::reply::Reply;
use crate::sandbox::options::Settings;
use crate::sandbox::state::state::{Shared, SimulatedChannel};

/// The most webhook URLs of one channel.
const MAX_URLS: usize = 5;

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/{channel}/webhook", get(webhook).post(set_webhook))
        .route("/{channel}/settings", get(settings).post(set_settings))
}

async fn webhook(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    let channel = &state.channels[caller.channel];
    let statuses: Vec<Value> = channel
        .webhook_settings
        .iter()
        .map(|hook| {
            let status = if hook.disabled { "disabled" } else { "active" };
            json!({ "url": hook.url, "status": status })
        })
        .collect();
    Json(json!({ "webhookUrl": webhook_url(channel), "webhookStatuses": statuses }))
}

/// A string, with commas between several URLs: the one form that 1MSG's own SDK reads.
fn webhook_url(channel: &SimulatedChannel) -> Value {
    match channel.webhook_settings.as_slice() {
        [] => "".into(),
        [one] => one.url.as_str().into(),
        several => {
            several.iter().map(|hook| hook.url.as_str()).collect::<Vec<_>>().join(",").into()
        }
    }
}

async fn set_webhook(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
) -> Result<Json<Value>, Reply> {
    let urls = urls(&caller.body["webhookUrl"])?;
    if urls.is_empty() {
        return Err(Reply::error(400, "webhookUrl is required"));
    }
    let message = urls.join(",");
    shared.update(|state| state.channels[caller.channel].set_webhook_settings(urls));
    Ok(Json(json!({ "set": true, "message": message })))
}

/// Reads a string, a list of strings or strings with commas between them.
fn urls(value: &Value) -> Result<Vec<String>, Reply> {
    let texts: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let texts = texts.into_iter().map(str::trim).filter(|url| !url.is_empty());
    let urls: Vec<String> = texts.map(str::to_owned).collect();
    let http = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if !urls.iter().all(http) {
        return Err(Reply::error(400, "webhookUrl must start with http:// or https://"));
    }
    if urls.len() > MAX_URLS {
        return Err(Reply::error(400, "webhookUrl holds at most 5 addresses"));
    }
    Ok(urls)
}

async fn settings(State(shared): State<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    Json(Value::Object(shown(&state.channels[caller.channel])))
}

fn shown(channel: &SimulatedChannel) -> Map<String, Value> {
    let settings = &channel.options.settings;
    let mut shown = Map::new();
    shown.insert("webhookUrl".into(), webhook_url(channel));
    shown.insert("guaranteedHooks".into(), settings.guaranteed_hooks.into());
    shown.insert("ackNotificationsOn".into(), settings.ack_notifications_on.into());
    shown.insert("rawHooks".into(), settings.raw_hooks.into());
    shown
}

/// Changes what is given and shows what changed under `update`.
async fn set_settings(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
) -> Result<Json<Value>, Reply> {
    let given = caller.body.get("webhookUrl").map(urls).transpose()?;
    let mut update = Map::new();
    let shown = shared.update(|state| {
        let channel = &mut state.channels[caller.channel];
        if let Some(urls) = given {
            channel.set_webhook_settings(urls);
            update.insert("webhookUrl".into(), webhook_url(channel));
        }
        for (name, switch) in switches(&mut channel.options.settings) {
            if let Some(on) = caller.body[name].as_bool() {
                *switch = on;
                update.insert(name.into(), on.into());
            }
        }
        shown(channel)
    });
    let mut answer = shown;
    answer.insert("update".into(), Value::Object(update));
    Ok(Json(Value::Object(answer)))
}

fn switches(settings: &mut Settings) -> [(&'static str, &mut bool); 3] {
    [
        ("guaranteedHooks", &mut settings.guaranteed_hooks),
        ("ackNotificationsOn", &mut settings.ack_notifications_on),
        ("rawHooks", &mut settings.raw_hooks),
    ]
}
