//! What the stages share of one installation: connections, clock, settings, watches, channel senders.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::domain::message::disposition::RetryRules;
use crate::domain::recipient::quiet_hours::QuietHours;
use crate::domain::value::column::Columns;
use crate::domain::value::row::Row;
use crate::finding::Finding;
use crate::pipeline::context::channel_sender::ChannelSender;
use crate::pipeline::context::circuit_tallies::CircuitTallies;
use crate::pipeline::context::counters::Counters;
use crate::pipeline::context::database_clock::DatabaseClock;
use crate::pipeline::context::pulse::Pulses;
use crate::pipeline::context::receipt_sources::ReceiptSources;
use crate::pipeline::context::route::{Routes, UnusableWatch};
use crate::pipeline::context::stage::StageError;
use crate::pipeline::context::unconfirmed_attempts::UnconfirmedAttempts;
use crate::pipeline::context::watch_faults::WatchFaults;
use crate::postgres::capture::install::{self, CaptureError, WatchedTable};
use crate::postgres::capture::label_query;
use crate::postgres::capture::proof::{self, SqlFault, WatchPart};
use crate::postgres::capture::row_query;
use crate::postgres::connection::identity;
use crate::postgres::connection::pool::{Instance, Pool};
use crate::postgres::connection::session::Rings;
use crate::postgres::queries::claim::Lease;
use crate::postgres::queries::settle::Ask;

/// How long a watch that cannot be used is left alone before it is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// One installation, as the stages see it.
pub struct Context {
    pub pool: Pool,
    pub clock: Clock,
    pub config: Arc<Config>,
    /// Name of this process in leases: new at every start, so that nobody inherits a lease.
    pub instance: String,
    /// What is heard on the channel of the doorbell.
    pub rings: Arc<Rings>,
    pub channel_senders: BTreeMap<String, Arc<ChannelSender>>,
    pub circuits: CircuitTallies,
    pub receipt_sources: ReceiptSources,
    asked_channels: Vec<String>,
    /// Channels of which nothing is heard after they accepted a message.
    pub silent_channels: Vec<String>,
    pub unconfirmed: UnconfirmedAttempts,
    pub counts: Counters,
    pub database_clock: DatabaseClock,
    /// Which stages move.
    pub pulses: Pulses,
    /// Identifier of the server, if it may be read.
    system_identifier: OnceLock<Option<String>>,
    /// Whether the log said that the database is a copy.
    is_copy: AtomicBool,
    /// What of the watches cannot be used now.
    pub faults: WatchFaults,
    watchings: RwLock<HashMap<String, Looked>>,
}

/// A watch that is ready for use: its table looked up, its words compiled.
pub struct CompiledWatch {
    pub name: String,
    pub config: config::Watch,
    pub table: WatchedTable,
    pub columns: Columns,
    pub routes: Routes,
    pub quiet_hours: Option<QuietHours>,
    /// The label queries, by column; see `postgres/capture/label_query.rs`.
    pub lookups: BTreeMap<String, String>,
    /// The query that reads rows, recipients and what was told; see `postgres/capture/row_query.rs`.
    pub read_sql: String,
    /// The query that asks whom the recipient query names for rows as they were.
    pub named_sql: String,
    /// The columns with which whoever is told may change.
    recipient_columns: Vec<String>,
}

#[derive(Clone)]
enum Looked {
    Ready(Arc<CompiledWatch>),
    /// Why it cannot be used, and when to look again.
    Broken(String, Timestamp),
}

impl Context {
    pub fn new(
        pool: Pool,
        clock: Clock,
        config: Arc<Config>,
        channel_senders: BTreeMap<String, Arc<ChannelSender>>,
        instance: Instance,
    ) -> Context {
        Context {
            circuits: CircuitTallies::new(config.circuit.clone()),
            receipt_sources: ReceiptSources::default(),
            unconfirmed: UnconfirmedAttempts::default(),
            counts: Counters::new(&config),
            database_clock: DatabaseClock::default(),
            pulses: Pulses::new(clock.clone()),
            faults: WatchFaults::new(config.watch.keys().map(String::as_str)),
            pool,
            asked_channels: asked_channels(&config),
            silent_channels: silent_channels(&config),
            clock,
            config,
            instance: instance.to_string(),
            rings: Arc::new(Rings::new()),
            channel_senders,
            system_identifier: OnceLock::new(),
            is_copy: AtomicBool::new(false),
            watchings: RwLock::default(),
        }
    }

    /// When to ask for the end of what is sent now.
    pub fn ask(&self, now: Timestamp) -> Ask<'_> {
        Ask { at: now + self.config.polling.first_after, of: &self.asked_channels }
    }

    /// The lease that messages get which leave now. If a dry run dies, nothing has left.
    pub fn lease(&self, now: Timestamp, is_dry_run: bool) -> Lease<'_> {
        let expires_at = now + self.config.delivery.lease;
        Lease { now, instance: &self.instance, expires_at, is_dry_run }
    }

    /// How often and how far apart attempts are made here.
    pub fn retry_rules(&self) -> RetryRules {
        let delivery = &self.config.delivery;
        RetryRules {
            max_attempts: delivery.max_attempts,
            base: delivery.retry_base,
            cap: delivery.retry_cap,
        }
    }

    /// Whether the provider of a channel shows the messages that it has.
    pub fn shows_messages(&self, channel: &str) -> bool {
        self.config.channel.get(channel).is_some_and(is_onemsg)
    }

    /// Identifier of the server, once `copy_guard::begin` has asked for it.
    pub fn system_identifier(&self) -> Option<&str> {
        self.system_identifier.get()?.as_deref()
    }

    pub fn set_system_identifier(&self, identifier: Option<String>) {
        // Set once: a running server keeps its identifier.
        let _ = self.system_identifier.set(identifier);
    }

    /// Notes whether the database is a copy; returns what was noted before.
    pub fn note_copy(&self, is_copy: bool) -> bool {
        self.is_copy.swap(is_copy, Ordering::Relaxed)
    }

    /// Whether the database is a copy: then nothing leaves but what a person sends by hand.
    pub async fn is_copy_now(&self) -> Result<bool, StageError> {
        let client = self.pool.get().await?;
        let environment = &self.config.installation.environment;
        Ok(identity::is_copy(&client, environment, self.system_identifier()).await?)
    }

    /// Names of the configured watches.
    pub fn watch_names(&self) -> Vec<&str> {
        self.config.watch.keys().map(String::as_str).collect()
    }

    /// Whether messages of any watch may go on to another channel.
    pub fn has_fallbacks(&self) -> bool {
        self.config.watch.values().any(|watch| !watch.fallback.is_empty())
    }

    /// Whether this process sends on any channel.
    pub fn sends(&self) -> bool {
        self.channel_senders.values().any(|channel_sender| channel_sender.is_leased())
    }

    /// Whether this process sends on the channel now.
    pub fn holds_lease(&self, channel: &str) -> bool {
        self.channel_senders.get(channel).is_some_and(|channel_sender| channel_sender.is_leased())
    }

    /// Whether the right to send on a channel is still the one that this process has.
    pub fn knows_epoch(&self, channel: &str, epoch: i64) -> bool {
        let held_lease = self
            .channel_senders
            .get(channel)
            .and_then(|channel_sender| channel_sender.held_lease());
        held_lease.is_some_and(|held_lease| held_lease.epoch == epoch)
    }

    /// A receipt of the channel came in.
    pub fn heard(&self, channel: &str) {
        if let Some(channel_sender) = self.channel_senders.get(channel) {
            channel_sender.note_heard();
        }
    }

    pub fn channel_sender_of(&self, watch: &config::Watch) -> Option<&Arc<ChannelSender>> {
        self.channel_senders.get(&watch.channel)
    }

    /// The watch, ready for use; or why it cannot be used now.
    ///
    /// A watch that cannot be used (its table is missing, a column was dropped) keeps its changes:
    /// it is looked at again now and then.
    pub async fn compiled(
        &self,
        name: &str,
    ) -> Result<Result<Arc<CompiledWatch>, String>, StageError> {
        let now = self.clock.steady();
        match self.known(name) {
            Some(Looked::Ready(compiled)) => {
                if self.faults.try_again(name, now) {
                    self.prove(&compiled).await?;
                }
                return Ok(Ok(compiled));
            }
            Some(Looked::Broken(why, until)) if now < until => return Ok(Err(why)),
            _ => {}
        }
        let looked = {
            let client = self.pool.get().await?;
            CompiledWatch::look_up(&client, &self.config, name).await
        };
        let looked = match looked {
            Ok(compiled) => match self.prove(&compiled).await? {
                None => Ok(Arc::new(compiled)),
                Some(why) => Err(why),
            },
            Err(UnusableWatch::Unasked(error)) => return Err(error.into()),
            Err(unusable) => Err(unusable.to_string()),
        };
        let entry = match &looked {
            Ok(compiled) => Looked::Ready(compiled.clone()),
            Err(why) => self.broken(name, why.clone()),
        };
        self.remember(name, entry);
        Ok(looked)
    }

    /// Runs the SQL of a watch over no row. Notes label queries that cannot be run; says why the watch cannot be used.
    async fn prove(&self, compiled: &CompiledWatch) -> Result<Option<String>, StageError> {
        let client = self.pool.get().await?;
        let mut broken = Vec::new();
        for fault in compiled.faults(&client).await? {
            match fault.part {
                WatchPart::Whole => broken.push(fault.of_watch(&compiled.name).to_string()),
                part => self.failed(&compiled.name, part, &fault.why),
            }
        }
        Ok((!broken.is_empty()).then(|| broken.join("; ")))
    }

    /// The watch as its table is now: a table of another name, or another table of its name, may have taken its place.
    pub async fn looked_up_again(
        &self,
        name: &str,
    ) -> Result<Result<Arc<CompiledWatch>, String>, StageError> {
        self.watchings.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
        self.compiled(name).await
    }

    /// A query over the watch's table failed: look the table up again before the next use.
    pub fn broke(&self, name: &str, why: String) {
        let entry = self.broken(name, why);
        self.remember(name, entry);
    }

    /// A part of a watch failed: it is left alone for a while.
    pub fn failed(&self, name: &str, part: WatchPart, why: &str) {
        self.faults.failed(name, part, why, self.clock.steady() + LOOK_AGAIN_AFTER);
    }

    fn broken(&self, name: &str, why: String) -> Looked {
        self.failed(name, WatchPart::Whole, &why);
        Looked::Broken(why, self.clock.steady() + LOOK_AGAIN_AFTER)
    }

    fn known(&self, name: &str) -> Option<Looked> {
        let watchings = self.watchings.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        watchings.get(name).cloned()
    }

    fn remember(&self, name: &str, entry: Looked) {
        self.watchings
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(name.to_owned(), entry);
    }
}

/// Channels whose provider can be asked what became of a message.
fn asked_channels(config: &Config) -> Vec<String> {
    let asked =
        config.channel.iter().filter(|(_, channel)| config.polling.enabled && is_onemsg(channel));
    asked.map(|(name, _)| name.clone()).collect()
}

fn is_onemsg(channel: &config::Channel) -> bool {
    matches!(channel.kind, config::ChannelKind::OneMsg(_))
}

impl CompiledWatch {
    /// Looks the table up and compiles the words.
    pub async fn look_up(
        client: &tokio_postgres::Client,
        config: &Config,
        name: &str,
    ) -> Result<CompiledWatch, UnusableWatch> {
        let unusable =
            |key: String, what: String| UnusableWatch::Settings(vec![Finding::new(key, what)]);
        let watch = config
            .watch
            .get(name)
            .ok_or_else(|| unusable(String::new(), "it is not in the configuration".to_owned()))?;
        let template = config.template.get(&watch.template).ok_or_else(|| {
            let what = format!("there is no template \"{}\"", watch.template);
            unusable(format!("watch.{name}.template"), what)
        })?;
        let table =
            install::describe(client, name, watch, template).await.map_err(
                |error| match error {
                    CaptureError::Query(error) => UnusableWatch::Unasked(error),
                    error => UnusableWatch::Settings(vec![error.finding()]),
                },
            )?;
        let routes = Routes::compile(config, name, watch, &table.captured)?;
        Ok(CompiledWatch {
            name: name.to_owned(),
            columns: table.columns_of(watch),
            lookups: label_query::queries(&table, watch),
            quiet_hours: config.quiet_hours_of(name),
            config: watch.clone(),
            read_sql: row_query::read_sql(&table, watch),
            named_sql: row_query::named_sql(&table, watch),
            recipient_columns: table.recipient_columns(watch),
            table,
            routes,
        })
    }

    /// What of its SQL cannot be run. An error: the database did not answer.
    pub async fn faults(
        &self,
        client: &tokio_postgres::Client,
    ) -> Result<Vec<SqlFault>, tokio_postgres::Error> {
        proof::faults(client, &self.table, &self.config).await
    }

    /// What the recipient query asks of a row.
    pub fn recipient_columns_of(&self, row: &Row) -> Row {
        let columns = self.recipient_columns.iter();
        columns
            .filter_map(|column| Some((column.into(), row.get(column.as_str())?.clone())))
            .collect()
    }

    /// Whether the recipient query names the same people for two rows, as far as it depends on them.
    pub fn names_the_same(&self, one: &Row, other: &Row) -> bool {
        let mut columns = self.recipient_columns.iter();
        columns.all(|column| one.get(column.as_str()) == other.get(column.as_str()))
    }
}

/// Channels of which nothing is heard after they accepted a message.
pub fn silent_channels(config: &Config) -> Vec<String> {
    let silent = config.channel.iter().filter(|(_, channel)| !channel.tells_delivery());
    silent.map(|(name, _)| name.clone()).collect()
}
