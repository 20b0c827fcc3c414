//! Lets receipts happen when they are due and posts them to the webhooks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::sandbox::api::payloads;
use crate::sandbox::state::state::{Item, SandboxState, Shared};
use crate::sandbox::state::store::Stage;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Posts webhooks: several at once, each again until it is acknowledged.
pub struct WebhookSender {
    shared: Arc<Shared>,
    client: reqwest::Client,
    permits: Arc<Semaphore>,
}

/// One body for the webhooks of one channel.
struct Parcel {
    channel: usize,
    urls: Vec<String>,
    body: Bytes,
    items: u64,
}

impl WebhookSender {
    pub fn new(shared: Arc<Shared>) -> reqwest::Result<WebhookSender> {
        // It fails when the process has chosen a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A receiver on a developer's machine has a certificate of its own making.
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let parallel = shared.lock().receipts.parallel.max(1);
        Ok(WebhookSender { shared, client, permits: Arc::new(Semaphore::new(parallel)) })
    }

    /// Runs until the runtime ends. What waits stays in the outbox while all places are taken, so
    /// a receiver that is down costs a few bytes for each receipt, not a task.
    pub async fn run(self: Arc<WebhookSender>) {
        while let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
            let parcel = self.next().await;
            let webhook_sender = Arc::clone(&self);
            tokio::spawn(async move { webhook_sender.deliver(parcel, Some(permit)).await });
        }
    }

    async fn next(&self) -> Parcel {
        loop {
            if let Some(parcel) = self.shared.lock().next_parcel() {
                return parcel;
            }
            self.shared.webhook_bell.notified().await;
        }
    }

    /// Posts the `sent` of a message now and returns when the webhook has answered.
    pub async fn post_early(&self, number: u64) {
        let parcel = self.shared.lock().early_parcel(number);
        if let Some(parcel) = parcel {
            self.deliver(parcel, None).await;
        }
    }

    /// Holds its place until every URL has acknowledged or was given up.
    async fn deliver(&self, parcel: Parcel, _place: Option<OwnedSemaphorePermit>) {
        let mut tries = JoinSet::new();
        for url in parcel.urls {
            let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
            let body = parcel.body.clone();
            tries.spawn(async move { post(&shared, &client, parcel.channel, &url, body).await });
        }
        let acknowledged = tries.join_all().await.into_iter().all(|one| one);
        self.shared.update(|state| {
            state.counts.items_pending -= parcel.items;
            if acknowledged {
                state.counts.items_acknowledged += parcel.items;
            }
        });
    }
}

/// Posts to one URL until it acknowledges; says whether it did.
async fn post(
    shared: &Shared,
    client: &reqwest::Client,
    channel: usize,
    url: &str,
    body: Bytes,
) -> bool {
    let mut tries = 0;
    loop {
        let (timeout, only_200) = {
            let mut state = shared.lock();
            state.counts.posts += 1;
            (state.receipts.timeout(), state.receipts.only_200)
        };
        let request = client.post(url).header(CONTENT_TYPE, "application/json").timeout(timeout);
        let acknowledged = match request.body(body.clone()).send().await {
            Ok(answer) => {
                let status = answer.status();
                // Read to the end, so that the connection can be used again.
                let whole = answer.bytes().await.is_ok();
                whole && (status == 200 || (status.is_success() && !only_200))
            }
            Err(_) => false,
        };
        tries += 1;
        let pause = shared.update(|state| state.tried(channel, url, acknowledged, tries));
        match pause {
            Some(pause) => sleep(pause).await,
            None => return acknowledged,
        }
    }
}

impl SandboxState {
    /// Records a try and gives the pause before the next, if there is to be one.
    fn tried(&mut self, channel: usize, url: &str, ok: bool, tries: u32) -> Option<Duration> {
        let options = &self.receipts;
        let channel = &mut self.channels[channel];
        let hook = channel.webhook_settings.iter_mut().find(|hook| hook.url == url);
        if ok {
            hook.into_iter().for_each(|hook| hook.failures = 0);
            return None;
        }
        self.counts.posts_failed += 1;
        let wanted = hook.is_some_and(|hook| {
            hook.failures += 1;
            hook.disabled = options.disable_after.is_some_and(|most| hook.failures >= most);
            !hook.disabled
        });
        let most = match channel.options.settings.guaranteed_hooks {
            true => options.attempts,
            false => 1,
        };
        if !wanted || tries >= most {
            self.counts.posts_given_up += 1;
            return None;
        }
        let pause = Duration::from_millis(options.retry_ms);
        let longest = LONGEST_PAUSE.max(pause);
        Some(pause.saturating_mul(1 << (tries - 1).min(16)).min(longest))
    }

    /// Takes a batch from the first outbox that has something, in turn.
    fn next_parcel(&mut self) -> Option<Parcel> {
        let most = self.receipts.batch.max(1);
        let channel = (0..self.channels.len())
            .filter(|position| !self.channels[*position].outbox.is_empty())
            .min_by_key(|position| self.channels[*position].parcels)?;
        let outbox = &mut self.channels[channel].outbox;
        let items: Vec<Item> = outbox.drain(..most.min(outbox.len())).collect();
        self.channels[channel].parcels += 1;
        Some(self.parcel(channel, &items))
    }

    fn early_parcel(&mut self, number: u64) -> Option<Parcel> {
        let now = self.now();
        let channel = usize::from(self.store.arrival(number)?.channel);
        self.store.happened(number, Stage::Sent, now);
        self.counts.receipts += 1;
        if !self.channels[channel].options.settings.ack_notifications_on {
            return None;
        }
        self.counts.items_pending += 1;
        Some(self.parcel(channel, &[Item::Status(number, Stage::Sent, now)]))
    }

    fn parcel(&self, position: usize, items: &[Item]) -> Parcel {
        let channel = &self.channels[position];
        let live = channel.webhook_settings.iter().filter(|hook| !hook.disabled);
        Parcel {
            channel: position,
            urls: live.map(|hook| hook.url.clone()).collect(),
            body: payloads::webhook(self, channel, items).to_string().into(),
            items: items.len() as u64,
        }
    }
}

/// Lets receipts happen at their time, until the runtime ends.
pub async fn keep_schedule(shared: Arc<Shared>) {
    loop {
        let next = {
            let mut state = shared.lock();
            state.happen(Instant::now());
            state.schedule.next()
        };
        shared.webhook_bell.notify_one();
        shared.changed.notify_waiters();
        let bell = shared.schedule_bell.notified();
        match next {
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = bell => {}
            },
            None => bell.await,
        }
    }
}
