//! Builds everything from the configuration, spawns the stages, and shuts them down in order.
//!
//! The only place that spawns tasks. `App::run` holds the order of the shutdown, and why.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::outgoing::{Outgoing, Settled};
use crate::http::listeners::{self, ListenError, Listeners, webhook_secret};
pub use crate::http::sockets::Sockets;
use crate::page::server::{PageServer, PageStartError};
use crate::pipeline::claim::claim::{Claim, ClaimOnBell};
use crate::pipeline::compose::compose::Compose;
use crate::pipeline::context::channel_sender::ChannelSender;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::pulse::Pulse;
use crate::pipeline::context::stage::{Stage, StageError};
use crate::pipeline::deliver::channel_lease::ChannelLease;
use crate::pipeline::deliver::deliver::Deliver;
use crate::pipeline::follow_up::alert::Alert;
use crate::pipeline::follow_up::day_count::DayCount;
use crate::pipeline::follow_up::fallback::Fallback;
use crate::pipeline::follow_up::outcome_hooks::OutcomeHooks;
use crate::pipeline::follow_up::outgoing_webhook::OutgoingWebhookSender;
use crate::pipeline::follow_up::retention::Retention;
use crate::pipeline::follow_up::sweep::Sweep;
use crate::pipeline::gate::copy_guard;
use crate::pipeline::receive::poll::Poll;
use crate::pipeline::receive::webhook_registration::WebhookRegistration;
use crate::pipeline::reconcile::reconcile::Reconcile;
use crate::pipeline::settle::settle::Settle;
use crate::postgres::connection::identity;
use crate::postgres::connection::listener::{Bell, Listening};
use crate::postgres::connection::pool::{self, Instance};
use crate::postgres::connection::session::Hearing;
use crate::postgres::schema::migrate;
use crate::provider::client::ProviderClient;
use crate::provider::client_error::ClientError;
use crate::provider::limiter::Limiter;
use crate::provider::outgoing_webhook::endpoint::Endpoint;

/// Messages that one channel sender may have leased at once, for each request in flight: enough that the
/// next batch is ready when this one is out.
const SLOTS_PER_REQUEST: usize = 16;

/// How long giving up the channels may take.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that is lost and made anew at once is not worth a word.
const CUT_OFF_AFTER: Duration = Duration::from_secs(2);

/// Why the daemon cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("could not prepare the database connections")]
    Pool(#[from] pool::DatabaseError),
    #[error("the schema is not ready")]
    Schema(#[from] migrate::MigrateError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Page(#[from] PageStartError),
    #[error("could not prepare channel.{channel}")]
    Channel { channel: String, source: ClientError },
    #[error("could not prepare outgoing_webhook.{endpoint}")]
    Endpoint { endpoint: String, source: ClientError },
    #[error("could not read of which environment the database is, or what was sent lately")]
    Installation(#[from] StageError),
    #[error("could not start the runtime that sends")]
    Runtime(#[source] std::io::Error),
    #[error("a stage ended unexpectedly")]
    Stage(#[source] tokio::task::JoinError),
}

impl AppError {
    /// Whether a restart cannot help, because a setting is wrong.
    pub fn is_configuration(&self) -> bool {
        match self {
            AppError::Listen(ListenError::WebhookSecret(_) | ListenError::WebhookWithoutSecret)
            | AppError::Channel { .. }
            | AppError::Endpoint { .. } => true,
            AppError::Page(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// A daemon that is ready to run.
pub struct App {
    stages: Stages,
    bell: Bell,
    listeners: Listeners,
    page: Option<PageServer>,
}

/// Whether a daemon that runs does its work.
#[derive(Clone)]
pub struct Health {
    context: Arc<Context>,
    listening: Listening,
}

impl Health {
    /// Stages whose step lasts longer than this.
    pub fn hanging(&self, longer_than: Duration) -> Vec<String> {
        self.context.pulses.hanging(longer_than)
    }

    /// Whether the database cannot be reached.
    pub fn is_cut_off(&self) -> bool {
        self.context.pulses.are_cut_off(CUT_OFF_AFTER)
    }

    /// Whether changes are looked for by polling, because rings are not heard.
    pub fn polls(&self) -> bool {
        matches!(self.listening.hearing(), Hearing::PollOnly)
    }
}

/// The stages of one installation, connected to each other.
pub struct Stages {
    pub context: Arc<Context>,
    pub channel_lease: ChannelLease,
    pub claim: Claim,
    /// One for each channel sender.
    pub composes: Vec<Compose>,
    /// One for each channel sender.
    pub delivers: Vec<Deliver>,
    pub settle: Settle,
    pub sweep: Sweep,
    pub retention: Retention,
    pub day_count: DayCount,
    pub outcome_hooks: OutcomeHooks,
    /// One for each endpoint of the application.
    pub outgoing_webhooks: Vec<OutgoingWebhookSender>,
    pub fallback: Fallback,
    /// None: nobody is told what needs a person.
    pub alert: Option<Alert>,
    /// One for each channel sender; none where polling is off.
    pub polls: Vec<Poll>,
    /// One for each channel whose provider shows its messages.
    pub reconciles: Vec<Reconcile>,
    /// One for each channel whose provider posts to our webhook, if there is one.
    pub registrations: Vec<WebhookRegistration>,
}

impl Stages {
    /// Checks the schema, reads the secrets of the channels, connects the stages.
    pub async fn build(config: Arc<Config>, clock: Clock) -> Result<Stages, AppError> {
        let instance = Instance::new();
        let pool = pool::connect_as(&config.database, instance)?;
        let client = pool::get(&pool).await?;
        migrate::check_version(&client).await?;
        drop(client);
        let (settle_tx, settle_rx) = mpsc::unbounded_channel();
        let (channel_senders, inboxes) = channel_senders(&config, &clock);
        let delivers = delivers(&config, &clock, &channel_senders, inboxes, &settle_tx)?;
        let context = Arc::new(Context::new(pool, clock, config, channel_senders, instance));
        follow_database_clock(&context).await?;
        copy_guard::begin(&context).await?;
        let mut channel_lease = ChannelLease::new(context.clone());
        channel_lease.step().await?;
        let (polls, reconciles) = (polls(&context, &delivers), reconciles(&context, &delivers));
        let registrations = registrations(&context, &delivers)?;
        let alert = alert(&context, &delivers);
        let channel_senders = context.channel_senders.values();
        Ok(Stages {
            channel_lease,
            claim: Claim::new(context.clone()),
            composes: channel_senders
                .map(|channel_sender| Compose::new(context.clone(), channel_sender.clone()))
                .collect(),
            delivers,
            settle: Settle::new(context.clone(), settle_rx),
            sweep: Sweep::new(context.clone()),
            retention: Retention::new(context.clone()),
            day_count: DayCount::new(context.clone()),
            outcome_hooks: OutcomeHooks::new(context.clone()),
            outgoing_webhooks: outgoing_webhooks(&context)?,
            fallback: Fallback::new(context.clone()),
            alert,
            polls,
            reconciles,
            registrations,
            context,
        })
    }
}

/// Before anything is decided by the time.
async fn follow_database_clock(context: &Context) -> Result<(), StageError> {
    let client = context.pool.get().await?;
    let asked_at = context.clock.steady();
    let told = identity::server_time(&client).await?;
    context.database_clock.follow(&context.clock, asked_at, told);
    Ok(())
}

impl App {
    /// Connects, checks the schema, reads the secrets, binds the listeners. Sends nothing yet.
    pub async fn build(
        config: Config,
        clock: Clock,
        sockets: &mut Sockets,
    ) -> Result<App, AppError> {
        let config = Arc::new(config);
        listeners::keep_counts(&config);
        let stages = Stages::build(config.clone(), clock).await?;
        let bell = Bell::connect(&config.database, &config.doorbell, stages.context.rings.clone());
        let listeners = Listeners::bind(&stages.context, bell.listening(), sockets)?;
        let page = PageServer::bind(&stages.context, sockets)?;
        Ok(App { stages, bell, listeners, page })
    }

    /// Whether it works, for those that ask while it runs.
    pub fn health(&self) -> Health {
        Health { context: self.stages.context.clone(), listening: self.bell.listening() }
    }

    /// Runs until `stop`, then finishes what is in flight. `ready` is called once the stages run
    /// and the doorbell listens.
    pub async fn run(
        self,
        stop: CancellationToken,
        ready: impl FnOnce() + Send + 'static,
    ) -> Result<(), AppError> {
        let intake = stop.child_token();
        let deliver_stop = CancellationToken::new();
        // The thread that sends cannot be aborted from outside: it is stopped even if this task is aborted.
        let _end_of_sending = deliver_stop.clone().drop_guard();
        let (give_up, keep) = (CancellationToken::new(), CancellationToken::new());
        let stages = self.stages;
        let (mut listening, mut takers) = (self.bell.listening(), JoinSet::new());
        let claim = ClaimOnBell::new(stages.claim, self.bell);
        let context = stages.context.clone();
        takers.spawn(run_stage(&context, claim, &intake));
        for compose in stages.composes {
            takers.spawn(run_stage(&context, compose, &intake));
        }
        takers.spawn(run_stage(&context, stages.sweep, &intake));
        takers.spawn(run_stage(&context, stages.retention, &intake));
        takers.spawn(run_stage(&context, stages.day_count, &intake));
        takers.spawn(run_stage(&context, stages.outcome_hooks, &intake));
        for outgoing_webhook in stages.outgoing_webhooks {
            takers.spawn(run_stage(&context, outgoing_webhook, &intake));
        }
        if let Some(alert) = stages.alert {
            takers.spawn(run_stage(&context, alert, &intake));
        }
        if stages.context.has_fallbacks() {
            takers.spawn(run_stage(&context, stages.fallback, &intake));
        }
        for poll in stages.polls {
            takers.spawn(run_stage(&context, poll, &intake));
        }
        for reconcile in stages.reconciles {
            takers.spawn(run_stage(&context, reconcile, &intake));
        }
        for registration in stages.registrations {
            takers.spawn(run_stage(&context, registration, &intake));
        }
        self.listeners.open(&mut takers, &intake);
        if let Some(page) = self.page {
            takers.spawn(page.run(intake.clone()));
        }
        // Not on `intake`: it goes on while what takes in work comes to its end.
        let mut senders = send_apart(stages.delivers, &deliver_stop, context.pulses.of("deliver"))?;
        // Ends by itself when no sender is left, so that no answer is lost; `give_up` ends it without its answers.
        let mut writers = JoinSet::new();
        writers.spawn(stages.settle.run(give_up.clone()));
        // The leases are renewed until the last answer is written.
        let mut leases = JoinSet::new();
        leases.spawn(run_stage(&context, stages.channel_lease, &keep));
        // Ready means that a change is noticed at once, not only that the stages run.
        tokio::select! {
            () = listening.wait() => ready(),
            () = stop.cancelled() => {}
        }
        let ended = first_end([&mut takers, &mut senders, &mut writers, &mut leases], &stop).await;
        intake.cancel();
        let in_order = async {
            // First what takes in work: nothing is leased after it. Then deliver: it waits for the requests in
            // flight, and gives back what was not posted. Then settle: it writes the answers of those requests.
            let taken = join_all(&mut takers).await;
            deliver_stop.cancel();
            let sent = join_all(&mut senders).await;
            let written = join_all(&mut writers).await;
            taken.and(sent).and(written)
        };
        let finished = tokio::select! {
            finished = in_order => finished,
            () = tokio::time::sleep(stages.context.config.delivery.shutdown_timeout) => {
                tracing::warn!("shutdown took longer than delivery.shutdown_timeout; leases will tell of the rest");
                give_up.cancel();
                Ok(())
            }
        };
        // Last the leases: another daemon must not send before it can read what this one has sent.
        give_up_channels(&keep, &mut leases).await;
        ended.and(finished)
    }
}

/// Lets other daemons send, as far as that is quick: without it the leases end, or our sessions do.
async fn give_up_channels(keep: &CancellationToken, leases: &mut JoinSet<()>) {
    keep.cancel();
    let _ = tokio::time::timeout(GIVE_UP_TIMEOUT, join_all(leases)).await;
}

fn run_stage<S: Stage + 'static>(
    context: &Context,
    stage: S,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + Send + use<S> {
    stage.run(stop.clone(), context.pulses.of(S::NAME))
}

/// Tells by one of the channels, beside its sender.
fn alert(context: &Arc<Context>, delivers: &[Deliver]) -> Option<Alert> {
    let by = &context.config.alert.channel;
    let deliver = delivers.iter().find(|deliver| deliver.channel_sender.channel == *by)?;
    Some(Alert::new(context.clone(), deliver.client.clone()))
}

/// One for each endpoint of the application.
fn outgoing_webhooks(context: &Arc<Context>) -> Result<Vec<OutgoingWebhookSender>, AppError> {
    let settings = context.config.outgoing_webhook.iter();
    let senders = settings.map(|(name, settings)| {
        let endpoint = Endpoint::new(settings)
            .map_err(|source| AppError::Endpoint { endpoint: name.clone(), source })?;
        Ok(OutgoingWebhookSender::new(context.clone(), name, settings, endpoint))
    });
    senders.collect()
}

/// One for each channel whose provider can be asked.
fn polls(context: &Arc<Context>, delivers: &[Deliver]) -> Vec<Poll> {
    let poll = |deliver: &Deliver| match &deliver.client {
        ProviderClient::OneMsg(client) if context.config.polling.enabled => {
            Some(Poll::new(context.clone(), &deliver.channel_sender.channel, client.clone()))
        }
        _ => None,
    };
    delivers.iter().filter_map(poll).collect()
}

/// One for each channel whose provider shows its messages.
fn reconciles(context: &Arc<Context>, delivers: &[Deliver]) -> Vec<Reconcile> {
    let reconcile = |deliver: &Deliver| match &deliver.client {
        ProviderClient::OneMsg(client) => {
            Some(Reconcile::new(context.clone(), &deliver.channel_sender.channel, client.clone()))
        }
        _ => None,
    };
    delivers.iter().filter_map(reconcile).collect()
}

/// One for each channel whose provider posts to our webhook; none where there is no webhook.
fn registrations(
    context: &Arc<Context>,
    delivers: &[Deliver],
) -> Result<Vec<WebhookRegistration>, AppError> {
    let Some(secret) = webhook_secret(&context.config)? else {
        return Ok(Vec::new());
    };
    let registration = |deliver: &Deliver| match &deliver.client {
        ProviderClient::OneMsg(client) => {
            let channel = &deliver.channel_sender.channel;
            Some(WebhookRegistration::new(context.clone(), channel, client.clone(), secret.clone()))
        }
        _ => None,
    };
    Ok(delivers.iter().filter_map(registration).collect())
}

/// All channels send on a thread of their own: three hundred requests on their way must not stand
/// between the other stages and the answers of the database.
fn send_apart(
    delivers: Vec<Deliver>,
    stop: &CancellationToken,
    pulse: Arc<Pulse>,
) -> Result<JoinSet<()>, AppError> {
    let mut senders = JoinSet::new();
    if delivers.is_empty() {
        return Ok(senders);
    }
    let runtime = runtime().map_err(AppError::Runtime)?;
    let all: Vec<_> = delivers.into_iter().map(|deliver| deliver.run(stop.clone())).collect();
    senders.spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = futures_util::future::join_all(all) => pulse.end(),
                () = keep_beating(&pulse) => {}
            }
        });
    });
    Ok(senders)
}

/// As long as the thread does something else now and then. Its stages wait for answers, each with a timeout.
async fn keep_beating(pulse: &Pulse) {
    loop {
        pulse.begin();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What a thread of the daemon runs on. It looks for answers after every few pieces of work: with
/// hundreds of requests in flight the default (61) lets the database wait for milliseconds.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().event_interval(8).enable_all().build()
}

type Inboxes = BTreeMap<String, mpsc::UnboundedReceiver<Outgoing>>;

fn channel_senders(
    config: &Config,
    clock: &Clock,
) -> (BTreeMap<String, Arc<ChannelSender>>, Inboxes) {
    let mut channel_senders = BTreeMap::new();
    let mut inboxes = BTreeMap::new();
    for (name, channel) in &config.channel {
        let limiter = Limiter::new(channel.rate, channel.limits, clock.clone());
        let slots = channel.concurrency.saturating_mul(SLOTS_PER_REQUEST);
        let (channel_sender, inbox) = ChannelSender::new(name, limiter, slots, clock.clone());
        channel_senders.insert(name.clone(), Arc::new(channel_sender));
        inboxes.insert(name.clone(), inbox);
    }
    (channel_senders, inboxes)
}

fn delivers(
    config: &Config,
    clock: &Clock,
    channel_senders: &BTreeMap<String, Arc<ChannelSender>>,
    mut inboxes: Inboxes,
    settle: &mpsc::UnboundedSender<Settled>,
) -> Result<Vec<Deliver>, AppError> {
    let mut delivers = Vec::new();
    for (name, channel) in &config.channel {
        let (Some(channel_sender), Some(inbox)) = (channel_senders.get(name), inboxes.remove(name))
        else {
            continue;
        };
        let client = ProviderClient::new(channel, config)
            .map_err(|source| AppError::Channel { channel: name.clone(), source })?;
        delivers.push(Deliver {
            channel_sender: channel_sender.clone(),
            inbox,
            next: None,
            client,
            clock: clock.clone(),
            is_dry_run: config.is_dry_run(name),
            concurrency: channel.concurrency,
            timeout: channel.timeout + channel.connect_timeout,
            settle: settle.clone(),
        });
    }
    Ok(delivers)
}

/// Waits for the order to stop, or for the first stage that ends by itself: that is a defect, and
/// the daemon ends rather than limp.
async fn first_end(
    stages: [&mut JoinSet<()>; 4],
    stop: &CancellationToken,
) -> Result<(), AppError> {
    let mut ends: FuturesUnordered<_> = stages
        .into_iter()
        .filter(|stages| !stages.is_empty())
        .map(|stages| async { stages.join_next().await })
        .collect();
    let ended = tokio::select! {
        () = stop.cancelled() => None,
        ended = ends.next() => ended.flatten(),
    };
    ended.unwrap_or(Ok(())).map_err(AppError::Stage)
}

async fn join_all(stages: &mut JoinSet<()>) -> Result<(), AppError> {
    while let Some(ended) = stages.join_next().await {
        ended.map_err(AppError::Stage)?;
    }
    Ok(())
}
