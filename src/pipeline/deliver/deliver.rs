//! deliver: sends leased messages.
//!
//! Takes messages that compose leased and recorded an attempt for; takes a permit of the channel's rate for
//! each and posts it once, with bounded concurrency over one pooled client; leaves the answers to settle.
//! Looks at the lease once more before the request: a message whose lease could run out while it is being sent
//! is given back, and so is one whose channel belongs to another daemon by now.
//!
//! If the process dies before, during or after a request, the lease runs out and the message is
//! unconfirmed. Not promised: that a message is posted in the order of leasing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::message::attempt::Answer;
use crate::domain::message::outgoing::{Outgoing, Settled, TemplateMessage};
use crate::pipeline::context::channel_sender::ChannelSender;
use crate::pipeline::context::stage::Progress;
use crate::provider::client::ProviderClient;

/// Sends what enters one channel sender.
pub struct Deliver {
    pub channel_sender: Arc<ChannelSender>,
    pub inbox: mpsc::UnboundedReceiver<Outgoing>,
    /// Taken from the inbox, and has no permit yet.
    pub next: Option<Outgoing>,
    pub client: ProviderClient,
    pub clock: Clock,
    /// Nothing is posted: what would be is recorded.
    pub is_dry_run: bool,
    /// Requests in flight at once.
    pub concurrency: usize,
    /// The longest that one request can take.
    pub timeout: Duration,
    pub settle: mpsc::UnboundedSender<Settled>,
}

impl Deliver {
    /// Sends until told to stop; then gives back what was not posted and waits for what was.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut flying = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(settled) = flying.next(), if !flying.is_empty() => self.pass_on(settled),
                next = self.next(), if flying.len() < self.concurrency => {
                    let Some(outgoing) = next else { break };
                    flying.push(self.send(outgoing));
                }
            }
        }
        while let Some(outgoing) = self.leased() {
            self.channel_sender.limiter.withdraw(1);
            let why = "the daemon was stopped before the request";
            self.pass_on(withdrawn(outgoing, why));
        }
        while let Some(settled) = flying.next().await {
            self.pass_on(settled);
        }
    }

    /// The next message, once it may leave. Loses nothing when it is given up and called again.
    async fn next(&mut self) -> Option<Outgoing> {
        if self.next.is_none() {
            self.next = Some(self.inbox.recv().await?);
        }
        while let Err(wait) = self.channel_sender.limiter.take_permit() {
            tokio::time::sleep(wait).await;
        }
        self.next.take()
    }

    /// A message that is in the channel sender now.
    fn leased(&mut self) -> Option<Outgoing> {
        self.next.take().or_else(|| self.inbox.try_recv().ok())
    }

    /// Sends what is in the channel sender and may leave now, all at once, and waits for the answers.
    pub async fn step(&mut self) -> Progress {
        let mut flying = FuturesUnordered::new();
        while let Some(outgoing) = self.leased() {
            if self.channel_sender.limiter.take_permit().is_err() {
                self.next = Some(outgoing);
                break;
            }
            flying.push(self.send(outgoing));
        }
        let mut progress = Progress::Idle;
        while let Some(settled) = flying.next().await {
            progress = Progress::Worked;
            self.pass_on(settled);
        }
        progress
    }

    /// A lease must last beyond this moment for a request to begin now.
    fn deadline(&self) -> jiff::Timestamp {
        self.clock.now() + self.timeout
    }

    /// The answer to one message, whatever it is. Does not borrow the stage: many fly at once.
    fn send(&self, outgoing: Outgoing) -> impl Future<Output = Settled> + use<> {
        let (client, channel_sender) = (self.client.clone(), self.channel_sender.clone());
        let (deadline, is_dry_run) = (self.deadline(), self.is_dry_run);
        async move {
            if let Some(why) = kept_back(&channel_sender, &outgoing, deadline) {
                channel_sender.limiter.give_back_permit();
                return withdrawn(outgoing, why);
            }
            let id = outgoing.id();
            let answer = match is_dry_run {
                true => client.rehearse(id, &outgoing.message),
                false => {
                    let began = Instant::now();
                    let answer = client.send(id, &outgoing.message).await;
                    channel_sender.counts.request_seconds.record(began.elapsed());
                    answer
                }
            };
            Settled { outgoing, answer }
        }
    }

    fn pass_on(&self, settled: Settled) {
        // Settle outlives deliver; if it is gone all the same, the lease tells of the message.
        let _ = self.settle.send(settled);
    }
}

/// Why a leased message must not leave any more.
fn kept_back(
    channel_sender: &ChannelSender,
    outgoing: &Outgoing,
    deadline: jiff::Timestamp,
) -> Option<&'static str> {
    if !channel_sender.is_leased() {
        return Some("another daemon sends on the channel now");
    }
    if outgoing.lease_expires_at < deadline {
        return Some("the lease would have run out during the request");
    }
    let TemplateMessage { template, language, .. } = &outgoing.message;
    channel_sender
        .is_blocked(template, language)
        .then_some("its channel or template was stopped before the request")
}

/// It certainly did not leave.
fn withdrawn(outgoing: Outgoing, why: &str) -> Settled {
    Settled { outgoing, answer: Answer::nothing_sent(why.to_owned()) }
}
