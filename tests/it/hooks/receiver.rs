//! An endpoint of the application's own, which knows nothing of rowbell but its secret.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use crate::harness::{CONFIG, SHOP, World};

pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    Status(u16),
    /// A status, and for how many seconds it wants to be left alone.
    RetryAfter(u16, u64),
    Hangs,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub event: Value,
    pub body: String,
    pub is_signed: bool,
    /// Whether it said that it took it.
    pub is_taken: bool,
}

impl Received {
    /// The message, and what is told of it.
    pub fn what(&self) -> (i64, String) {
        let data = &self.event["data"];
        (data["message"].as_i64().unwrap(), data["state"].as_str().unwrap().to_owned())
    }
}

/// The endpoint.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    /// How it answers next; then it takes everything.
    replies: Arc<Mutex<VecDeque<Reply>>>,
    /// How it answers for ever, if that was said.
    always: Arc<Mutex<Option<Reply>>>,
    /// The share of requests that it answers in some bad way.
    chaos: Arc<Mutex<f64>>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver {
            url: format!("http://{}/rowbell", listener.local_addr().unwrap()),
            received: Arc::default(),
            replies: Arc::default(),
            always: Arc::default(),
            chaos: Arc::default(),
        };
        let router = Router::new().route("/rowbell", post(taken)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    pub fn answers(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    pub fn always(&self, reply: impl Into<Option<Reply>>) {
        *self.always.lock().unwrap() = reply.into();
    }

    pub fn chaos(&self, share: f64) {
        *self.chaos.lock().unwrap() = share;
    }

    pub fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// What it has taken: message and state.
    pub fn told(&self) -> Vec<String> {
        let all = self.all();
        let told = all.iter().filter(|received| received.is_taken).map(Received::what);
        told.map(|(message, state)| format!("{message} {state}")).collect()
    }

    fn next(&self) -> Reply {
        if let Some(reply) = self.replies.lock().unwrap().pop_front() {
            return reply;
        }
        if let Some(reply) = *self.always.lock().unwrap() {
            return reply;
        }
        if rand::random::<f64>() < *self.chaos.lock().unwrap() {
            let bad = [
                Reply::Status(500),
                Reply::Status(404),
                Reply::Status(302),
                Reply::RetryAfter(429, 1),
                Reply::RetryAfter(503, 1),
                Reply::Hangs,
            ];
            return bad[rand::random_range(0..bad.len())];
        }
        Reply::Status(204)
    }
}

async fn taken(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let library = standardwebhooks::Webhook::new(SECRET).unwrap();
    let signature = library.sign(&id, timestamp.parse().unwrap(), body.as_bytes()).unwrap();
    let reply = receiver.next();
    let is_taken = matches!(reply, Reply::Status(status) if status < 300);
    let is_signed = header("webhook-signature").split(' ').any(|one| one == signature);
    let event = serde_json::from_str(&body).unwrap();
    receiver.received.lock().unwrap().push(Received { id, event, body, is_signed, is_taken });
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::RetryAfter(status, seconds) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("retry-after", seconds.to_string())]).into_response()
        }
        Reply::Hangs => std::future::pending().await,
    }
}

/// A shop whose outcomes are posted to a receiver: more of its schema, settings of the endpoint, and lines of its watch.
pub async fn posting_shop(receiver: &Receiver, more: &str, settings: &str, watch: &str) -> World {
    let mut world = World::made(&format!("{SHOP} {more}"), |url, folder, provider| {
        let secret = folder.join("crm.secret");
        std::fs::write(&secret, SECRET).unwrap();
        let endpoint = format!(
            "[outgoing_webhook.crm]\nurl = \"{}\"\nsecret_file = \"{}\"\n{settings}\n",
            receiver.url,
            secret.display()
        );
        format!("{CONFIG}{watch}")
            .replace("{settings}", &endpoint)
            .replace("{database}", url)
            .replace("{folder}", &folder.display().to_string())
            .replace("{provider}", provider)
            .replace("{watch}", "")
    })
    .await;
    world.settle().await;
    world
}
