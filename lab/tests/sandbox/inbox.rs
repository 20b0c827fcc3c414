//! The other end of the provider's webhook: a small server that keeps what is posted to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::provider::onemsg::webhook_payload::{self, InboundMessage};
use tokio::sync::Notify;

use super::desk::DEADLINE;

#[derive(Default)]
struct Shared {
    bodies: Mutex<Vec<Bytes>>,
    /// What the next POSTs are answered; 200 when there is nothing here.
    answers: Mutex<VecDeque<u16>>,
    came: Notify,
}

/// A webhook that acknowledges, unless it is told not to.
pub struct Inbox {
    shared: Arc<Shared>,
    pub url: String,
}

impl Inbox {
    pub async fn open() -> Inbox {
        Inbox::answering(&[]).await
    }

    /// Gives these statuses first.
    pub async fn answering(answers: &[u16]) -> Inbox {
        let shared = Arc::new(Shared::default());
        shared.answers.lock().unwrap().extend(answers);
        let app = Router::new().route("/hook/secret", post(take)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/secret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Inbox { shared, url }
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.shared.bodies.lock().unwrap().clone()
    }

    /// Every receipt so far, in the order of arrival, repeated POSTs included.
    pub fn receipts(&self) -> Vec<Receipt> {
        let parsed = self.bodies().into_iter().map(|body| webhook_payload::parse(&body).unwrap());
        parsed.flat_map(|delivered| delivered.receipts).collect()
    }

    pub fn messages(&self) -> Vec<InboundMessage> {
        let parsed = self.bodies().into_iter().map(|body| webhook_payload::parse(&body).unwrap());
        parsed.flat_map(|delivered| delivered.messages).collect()
    }

    /// Waits until so many receipts have come.
    pub async fn wait_for(&self, count: usize) -> Vec<Receipt> {
        self.wait_until(|inbox| inbox.receipts().len() >= count).await;
        self.receipts()
    }

    pub async fn wait_until(&self, is_true: impl Fn(&Inbox) -> bool) {
        let wait = async {
            loop {
                let mut came = std::pin::pin!(self.shared.came.notified());
                came.as_mut().enable();
                if is_true(self) {
                    return;
                }
                came.await;
            }
        };
        let ended = tokio::time::timeout(DEADLINE, wait).await;
        assert!(ended.is_ok(), "what was expected did not come; so far: {:?}", self.bodies());
    }
}

async fn take(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    shared.bodies.lock().unwrap().push(body);
    let status = shared.answers.lock().unwrap().pop_front().unwrap_or(200);
    shared.came.notify_waiters();
    StatusCode::from_u16(status).unwrap()
}

/// The words of receipts, in their order.
pub fn words(receipts: &[Receipt]) -> Vec<ReceiptStatus> {
    receipts.iter().map(|receipt| receipt.status).collect()
}
