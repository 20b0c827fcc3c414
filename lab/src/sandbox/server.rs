//! Starting, asking and stopping a sandbox.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::oneshot;

use crate::sandbox::api::refusal::RefusalForm;
use crate::sandbox::api::reply::Reply;
use crate::sandbox::api::router::ApiServer;
use crate::sandbox::api::{control, read_methods, settings};
use crate::sandbox::options::{ReceiptOptions, SandboxOptions};
use crate::sandbox::state::faults::FaultRule;
use crate::sandbox::state::outcome::Outcome;
use crate::sandbox::state::state::{SandboxCounts, SandboxState, Shared};
use crate::sandbox::state::store::{Arrival, Duplicate, SeenMessage};
use crate::sandbox::template::{ApprovedTemplate, TemplateOptions};
use crate::sandbox::webhook_sender::{WebhookSender, keep_schedule};

/// A running sandbox on a thread of its own. Dropping it stops the server and frees the port.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was waited for did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("what was expected of the sandbox did not happen within {deadline:?}; so far: {counts:?}")]
pub struct NotYet {
    pub deadline: Duration,
    pub counts: SandboxCounts,
}

impl Sandbox {
    /// Listens and serves. Needs no runtime of the caller.
    ///
    /// # Errors
    /// The address cannot be listened on, or the system gives no thread or runtime.
    pub fn start(options: SandboxOptions) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(SandboxState::new(options)));
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || run(state, listener, stopped, &ready))?;
        started.recv().map_err(io::Error::other)??;
        Ok(Sandbox { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// The base address, such as `http://127.0.0.1:41234`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the fault rules; an empty list ends all faults.
    pub fn set_faults(&self, rules: Vec<FaultRule>) {
        self.shared.lock().faults.rules = rules;
    }

    /// Replaces how receipts come from now on; those already planned stay.
    pub fn set_receipts(&self, options: ReceiptOptions) {
        self.shared.lock().receipts = options;
    }

    /// Changes how faults of a message's content are told.
    pub fn set_refusals(&self, form: RefusalForm) {
        self.shared.lock().refusals = form;
    }

    /// Fixes what becomes of messages to a phone, given as digits.
    pub fn set_outcome(&self, phone: &str, outcome: Outcome) {
        if let Ok(phone) = phone.parse() {
            self.shared.lock().outcomes.insert(phone, outcome);
        }
    }

    /// Adds a template to a channel, or replaces the one with its name and language. An unknown
    /// channel changes nothing.
    pub fn set_template(&self, channel: &str, template: TemplateOptions) {
        let mut state = self.shared.lock();
        if let Some(position) = state.position(channel) {
            state.channels[position].set_template(ApprovedTemplate::new(template));
        }
    }

    /// Replaces the token of a channel, as if it had been revoked.
    pub fn set_token(&self, channel: &str, token: &str) {
        let mut state = self.shared.lock();
        if let Some(position) = state.position(channel) {
            state.channels[position].options.token = token.to_owned();
        }
    }

    /// Whether a channel shows its messages in `GET /messages`.
    pub fn set_history(&self, channel: &str, history: bool) {
        let mut state = self.shared.lock();
        if let Some(position) = state.position(channel) {
            state.channels[position].options.history = history;
        }
    }

    /// Replaces the webhook URLs of a channel.
    pub fn set_webhook(&self, channel: &str, urls: &[String]) {
        self.shared.update(|state| {
            if let Some(position) = state.position(channel) {
                state.channels[position].set_webhook_settings(urls.to_vec());
            }
        });
    }

    /// Lets a customer write to a channel. An unknown channel or a bad phone changes nothing.
    pub fn inbound(&self, channel: &str, phone: &str, text: &str) {
        self.shared.update(|state| {
            if let (Some(position), Ok(phone)) = (state.position(channel), phone.parse()) {
                state.hear(position, phone, text, "chat");
            }
        });
    }

    /// Posts a status now: `sent`, `delivered`, `read` or `failed` (with Meta's code), for an id
    /// of this sandbox or any other. An unknown channel or status changes nothing.
    pub fn post_receipt(&self, channel: &str, id: &str, status: &str, code: Option<i32>) {
        self.shared.update(|state| {
            let stage = control::stage(status, code);
            if let (Some(position), Some(stage)) = (state.position(channel), stage) {
                state.post_receipt(position, id, 19_075_550_199, stage);
            }
        });
    }

    /// The messages that a phone (digits) was sent, oldest first, as far as they are kept.
    pub fn seen(&self, phone: &str) -> Vec<SeenMessage> {
        let Ok(phone) = phone.parse() else {
            return Vec::new();
        };
        self.shared.lock().seen(Some(phone))
    }

    /// All messages that are kept, oldest first.
    pub fn all_seen(&self) -> Vec<SeenMessage> {
        self.shared.lock().seen(None)
    }

    /// How many messages were accepted.
    pub fn count(&self) -> u64 {
        self.shared.lock().store.count()
    }

    pub fn counts(&self) -> SandboxCounts {
        self.shared.lock().counts()
    }

    /// Every text that one phone got more than once, over all messages ever accepted.
    pub fn duplicates(&self) -> Vec<Duplicate> {
        self.shared.lock().store.duplicates()
    }

    /// When each message arrived, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.lock().store.arrivals().to_vec()
    }

    /// Waits until at least `count` messages were accepted.
    ///
    /// # Errors
    /// `NotYet` when that has not happened within `deadline`.
    pub async fn wait_for(&self, count: u64, deadline: Duration) -> Result<SandboxCounts, NotYet> {
        self.wait_until(deadline, |counts| counts.accepted >= count).await
    }

    /// Waits until the counts are as expected.
    ///
    /// # Errors
    /// `NotYet` when that has not happened within `deadline`.
    pub async fn wait_until(
        &self,
        deadline: Duration,
        reached: impl Fn(&SandboxCounts) -> bool,
    ) -> Result<SandboxCounts, NotYet> {
        let wait = async {
            loop {
                let mut changed = std::pin::pin!(self.shared.changed.notified());
                changed.as_mut().enable();
                let counts = self.counts();
                if reached(&counts) {
                    return counts;
                }
                changed.await;
            }
        };
        tokio::time::timeout(deadline, wait)
            .await
            .map_err(|_| NotYet { deadline, counts: self.counts() })
    }

    /// Stops the server and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has stopped as well.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn signal(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails when the thread has ended already.
            let _ = stop.send(());
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    shared: Arc<Shared>,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
    ready: &mpsc::Sender<io::Result<()>>,
) {
    // The receiver waits until it gets one answer.
    let report = |answer| drop(ready.send(answer));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(Err(error)),
    };
    runtime.block_on(async {
        match open(shared, listener) {
            Ok((server, listener)) => {
                report(Ok(()));
                tokio::select! {
                    () = accept(&server, &listener) => {}
                    _ = stopped => {}
                }
            }
            Err(error) => report(Err(error)),
        }
    });
    runtime.shutdown_background();
}

fn open(
    shared: Arc<Shared>,
    listener: TcpListener,
) -> io::Result<(Arc<ApiServer>, tokio::net::TcpListener)> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let webhook_sender =
        Arc::new(WebhookSender::new(Arc::clone(&shared)).map_err(io::Error::other)?);
    tokio::spawn(keep_schedule(Arc::clone(&shared)));
    tokio::spawn(Arc::clone(&webhook_sender).run());
    let router = router().with_state(Arc::clone(&shared));
    let server = ApiServer { shared, webhook_sender, router: TowerToHyperService::new(router) };
    Ok((Arc::new(server), listener))
}

fn router() -> Router<Arc<Shared>> {
    let unknown = async |uri: axum::http::Uri| Reply::unknown_method(uri.path());
    Router::new()
        .merge(read_methods::routes())
        .merge(settings::routes())
        .merge(control::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
}

async fn accept(server: &Arc<ApiServer>, listener: &tokio::net::TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, as a rule: give the others time to close.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it, answers would wait for the client's acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        let server = Arc::clone(server);
        tokio::spawn(async move {
            let service = service_fn(|request| server.answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // It fails when the client goes away or a fault drops the connection.
            let _ = connection.await;
        });
    }
}
