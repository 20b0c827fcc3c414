//! An HTTP gateway as it might be: takes what is posted, answers as a story says.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use rowbell_lab::demo::scratch::Scratch;
use serde_json::Value;
use tokio::net::TcpListener;

/// What the gateway says to one request.
#[derive(Clone)]
pub enum Say {
    Answer(u16, &'static str),
    /// 429, and how long to wait.
    SlowDown(&'static str),
    /// Nothing, for ever.
    Hang,
}

/// One request as it came.
#[derive(Clone)]
pub struct Asked {
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

#[derive(Default)]
struct Book {
    asked: Vec<Asked>,
    next: VecDeque<Say>,
}

/// Runs until it is dropped with its runtime.
#[derive(Clone)]
pub struct Gateway {
    pub url: String,
    book: Arc<Mutex<Book>>,
    folder: Arc<Scratch>,
}

impl Gateway {
    pub async fn start() -> Gateway {
        let book = Arc::new(Mutex::new(Book::default()));
        let router = Router::new().route("/messages", any(take)).with_state(book.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/messages", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = Arc::new(Scratch::new("test").unwrap());
        let gateway = Gateway { url, book, folder };
        std::fs::write(gateway.secret(), "Bearer hush-hush\n").unwrap();
        gateway
    }

    /// The file with the value of the header `Authorization`.
    pub fn secret(&self) -> PathBuf {
        self.folder.path().join("authorization")
    }

    /// What it says to the next requests; to all others, that it took them.
    pub fn say(&self, answers: impl IntoIterator<Item = Say>) {
        self.book.lock().unwrap().next = answers.into_iter().collect();
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.book.lock().unwrap().asked.clone()
    }
}

async fn take(State(book): State<Arc<Mutex<Book>>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (say, number) = {
        let mut book = book.lock().unwrap();
        book.asked.push(Asked { headers, body });
        (book.next.pop_front(), book.asked.len())
    };
    match say {
        None => {
            let body = format!(r#"{{"status": "queued", "messages": [{{"id": "sms-{number}"}}]}}"#);
            (StatusCode::CREATED, body).into_response()
        }
        Some(Say::Answer(status, body)) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Some(Say::SlowDown(after)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", after)], "").into_response()
        }
        Some(Say::Hang) => std::future::pending().await,
    }
}
