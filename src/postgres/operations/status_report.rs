//! How the whole installation stands, as `rowbell status` shows it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use strum::IntoStaticStr;
use tokio_postgres::{Client, Error};

use crate::config::{ChannelKind, Config, Watch};
use crate::domain::limit::adaptive_rate::Learned;
use crate::domain::message::receipt::{ReceiptSourceKind, ReceiptSourceState};
use crate::domain::message::state::State;
use crate::postgres::capture::{install, proof};
use crate::postgres::connection::statement::{FromRows, row, text};
use crate::postgres::connection::word::{state, word};
use crate::postgres::missed::gap;
use crate::postgres::operations::blockers::{self, ActiveBlocker};
use crate::postgres::operations::channel_moves::{self, RunningDaemon};
use crate::postgres::outcome::outgoing_deliveries::{self, EndpointStatus};
use crate::postgres::schema::migrate;

/// Outcomes are counted over so many hours.
pub const OUTCOME_HOURS: i64 = 24;

/// How everything stands at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub taken_at: Timestamp,
    /// How far the clock of the host that asks is ahead of the database's; set by whoever has asked.
    pub clock_ahead_seconds: f64,
    pub schema_version: Option<i32>,
    pub doorbell: DoorbellState,
    /// How full the server's queue of notifications is, 0 to 1. Once it is full, transactions that ring fail.
    pub notification_queue_usage: f64,
    pub daemon: DaemonStatus,
    /// The daemons that run.
    pub daemons: Vec<RunningDaemon>,
    /// How many recipients installation.only_to names; None: everybody is written to.
    pub only_to: Option<usize>,
    pub watches: Vec<WatchStatus>,
    pub channels: Vec<ChannelStatus>,
    /// Messages opened within the last `OUTCOME_HOURS`.
    pub outcomes: Vec<OutcomeCount>,
    /// Of those of the last hour.
    pub muted: MutedShare,
    /// Why the latest messages that were tried in vain are tried again, most frequent first.
    pub retry_reasons: Vec<RetryReason>,
    /// What keeps messages from leaving.
    pub blockers: Vec<ActiveBlocker>,
    /// Endpoints of the application.
    pub endpoints: Vec<EndpointStatus>,
}

/// How many of the latest messages were muted: a setting that stays in a session mutes all that follows in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MutedShare {
    pub messages: i64,
    pub muted: i64,
    /// The reason that was given most often, and by whom.
    pub most_often: Option<String>,
}

row! {
    /// Why messages are tried again.
    #[derive(Clone, Debug, Serialize)]
    pub struct RetryReason {
        pub messages: i64,
        pub why: String,
    }
}

/// Whether writers have to ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorbellState {
    Parked,
    Awake,
}

/// Other sessions under our application name: a daemon has at least its listening one.
#[derive(Clone, Debug, Serialize)]
pub struct DaemonStatus {
    pub sessions: i64,
    /// None also when the server does not let us see it.
    pub connected_since: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
pub struct WatchStatus {
    pub watch: String,
    pub table: Option<String>,
    pub trigger: Trigger,
    /// What is wrong with the trigger and what to do, as a sentence.
    pub problem: Option<String>,
    /// Changes not folded yet.
    pub changes: i64,
    /// Of them, those whose row the trigger could not read.
    pub unreadable: i64,
    pub oldest_changed_at: Option<Timestamp>,
    /// SQL of the watch that cannot be run, as sentences that begin with the name of the setting.
    pub faults: Vec<String>,
    /// Messages that wait because the daemon could not use the watch, and why.
    pub waiting: i64,
    pub waits_because: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Trigger {
    Installed,
    Missing,
    /// It is there, but not as the configuration asks for.
    Drift,
    /// The watch does not fit its table: the problem begins with the name of the setting.
    Unusable,
    /// Changes are there, but no such watch in the configuration.
    #[strum(serialize = "not configured")]
    NotConfigured,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ChannelStatus {
    pub channel: String,
    pub is_configured: bool,
    /// Its messages are recorded instead of sent.
    pub is_dry_run: bool,
    pub open: i64,
    pub held: i64,
    pub leased: i64,
    pub unconfirmed: i64,
    /// When the first of the open messages may leave that no stop holds back.
    pub oldest_due_at: Option<Timestamp>,
    /// Of the open ones, those that are due and wait for the rate, those that are due and wait until channel or
    /// watch goes on, and those that wait for another limit.
    pub waits_for_rate: i64,
    pub waits_for_blocker: i64,
    pub waits_for_recipient_limit: i64,
    pub waits_for_recipients: i64,
    /// Messages a second that it may send, and that it sends because the provider asked to slow down.
    pub rate: Option<f64>,
    pub learned_rate: Option<f64>,
    /// The daemon instance that sends on it.
    pub leased_by: Option<String>,
    /// Whether its provider tells what becomes of messages.
    pub has_receipts: bool,
    /// Who tells of them.
    pub webhook: ReceiptSource,
    pub polling: ReceiptSource,
    /// Whether the provider posts to our webhook, as it says itself.
    pub registration: ReceiptSource,
    /// What was posted last that was not understood.
    pub unread: ReceiptSource,
}

/// One way in which receipts reach us.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReceiptSource {
    /// Whether the configuration asks for it.
    pub is_on: bool,
    /// None: it has told nothing yet.
    pub state: Option<ReceiptSourceState>,
    pub since: Option<Timestamp>,
    pub last_worked_at: Option<Timestamp>,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct OutcomeCount {
    #[serde(flatten)]
    pub state: State,
    pub messages: i64,
    /// Of them, those that were tried and still have to leave.
    pub retrying: i64,
}

/// Looks at everything once. Not one moment in the sense of a transaction: a look, not an audit.
pub async fn status(client: &Client, config: &Config, now: Timestamp) -> Result<Status, Error> {
    let context = client.query_one(text!("status/status_installation"), &[]).await?;
    Ok(Status {
        taken_at: now,
        clock_ahead_seconds: 0.0,
        schema_version: migrate::version(client).await?,
        doorbell: if context.try_get("is_parked")? {
            DoorbellState::Parked
        } else {
            DoorbellState::Awake
        },
        notification_queue_usage: context.try_get("notification_queue_usage")?,
        only_to: config.only_to().map(|list| list.len()),
        daemon: DaemonStatus {
            sessions: context.try_get("sessions")?,
            connected_since: context.try_get("connected_since")?,
        },
        daemons: channel_moves::daemons(client, now).await?,
        watches: watches(client, config).await?,
        channels: channels(client, config, now).await?,
        outcomes: outcomes(client, now).await?,
        muted: muted(client, now).await?,
        retry_reasons: FromRows::from_rows(
            &client.query(text!("status/status_retries"), &[]).await?,
        )?,
        blockers: blockers::read(client, config).await?,
        endpoints: outgoing_deliveries::endpoints(client).await?,
    })
}

async fn watches(client: &Client, config: &Config) -> Result<Vec<WatchStatus>, Error> {
    let mut watches = BTreeMap::new();
    for (name, watch) in &config.watch {
        watches.insert(name.clone(), trigger(client, config, name, watch).await?);
    }
    for found in install::triggers(client).await? {
        let forgotten = watch_status(&found.watch, Some(found.table), Trigger::NotConfigured, None);
        watches.entry(found.watch).or_insert(forgotten);
    }
    for row in client.query(text!("status/status_changes"), &[]).await? {
        let name: String = row.try_get("watch")?;
        let entry = watches
            .entry(name.clone())
            .or_insert_with(|| watch_status(&name, None, Trigger::NotConfigured, None));
        entry.changes = row.try_get("changes")?;
        entry.unreadable = row.try_get("unreadable")?;
        entry.oldest_changed_at = row.try_get("oldest_changed_at")?;
    }
    for gap in gap::open(client).await? {
        let Some(entry) = watches.get_mut(&gap.watch) else { continue };
        entry.faults.push(gap.sentence());
    }
    for row in client.query(text!("status/status_watch_waits"), &[]).await? {
        let Some(entry) = watches.get_mut(row.try_get::<_, &str>("watch")?) else { continue };
        entry.waiting = row.try_get("messages")?;
        entry.waits_because = row.try_get("why")?;
    }
    Ok(watches.into_values().collect())
}

async fn trigger(
    client: &Client,
    config: &Config,
    name: &str,
    watch: &Watch,
) -> Result<WatchStatus, Error> {
    let Some(template) = config.template.get(&watch.template) else {
        let problem = format!("watch.{name}.template: there is no template \"{}\"", watch.template);
        return Ok(watch_status(name, None, Trigger::Unusable, Some(problem)));
    };
    let table = match install::describe(client, name, watch, template).await {
        Ok(table) => table,
        Err(install::CaptureError::Query(error)) => return Err(error),
        Err(error) => {
            return Ok(watch_status(name, None, Trigger::Unusable, Some(error.to_string())));
        }
    };
    let drift = install::drift(client, &table, watch).await?;
    let problems: Vec<String> = drift.into_iter().map(|found| found.what).collect();
    let trigger = match problems.is_empty() {
        true => Trigger::Installed,
        false if install::is_installed(client, &table).await? => Trigger::Drift,
        false => Trigger::Missing,
    };
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    let faults = proof::faults(client, &table, watch).await?;
    let faults = faults.iter().map(|fault| fault.of_watch(name).to_string()).collect();
    Ok(WatchStatus { faults, ..watch_status(name, Some(table.table), trigger, problem) })
}

fn watch_status(
    watch: &str,
    table: Option<String>,
    trigger: Trigger,
    problem: Option<String>,
) -> WatchStatus {
    WatchStatus {
        watch: watch.to_owned(),
        table,
        trigger,
        problem,
        changes: 0,
        unreadable: 0,
        oldest_changed_at: None,
        faults: Vec::new(),
        waiting: 0,
        waits_because: None,
    }
}

fn has_receipts(config: &Config, channel: &str) -> bool {
    let kind = config.channel.get(channel).map(|channel| &channel.kind);
    matches!(kind, Some(ChannelKind::OneMsg(_)))
}

/// A channel that never had anything to do.
fn idle(config: &Config, name: &str) -> ChannelStatus {
    let has_receipts = has_receipts(config, name);
    let source = |is_on| ReceiptSource { is_on: has_receipts && is_on, ..ReceiptSource::default() };
    let is_listening = !config.webhook.listen.is_empty();
    ChannelStatus {
        channel: name.to_owned(),
        is_configured: config.channel.contains_key(name),
        is_dry_run: config.is_dry_run(name),
        has_receipts,
        rate: config.channel.get(name).map(|channel| channel.rate.as_per_second()),
        webhook: source(is_listening),
        registration: source(is_listening),
        unread: source(is_listening),
        polling: source(config.polling.enabled),
        ..ChannelStatus::default()
    }
}

async fn channels(
    client: &Client,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<ChannelStatus>, Error> {
    let mut channels: BTreeMap<String, ChannelStatus> =
        config.channel.keys().map(|name| (name.clone(), idle(config, name))).collect();
    let query = text!("status/status_channels");
    let (watches, of): (Vec<&str>, Vec<&str>) = config.channels_of_watches();
    for row in client.query(query, &[&now, &watches, &of]).await? {
        let name: String = row.try_get("channel")?;
        let status = ChannelStatus {
            open: row.try_get("open")?,
            held: row.try_get("held")?,
            leased: row.try_get("leased")?,
            unconfirmed: row.try_get("unconfirmed")?,
            oldest_due_at: row.try_get("oldest_due_at")?,
            waits_for_rate: row.try_get("waits_for_rate")?,
            waits_for_blocker: row.try_get("waits_for_blocker")?,
            waits_for_recipient_limit: row.try_get("waits_for_recipient_limit")?,
            waits_for_recipients: row.try_get("waits_for_recipients")?,
            ..idle(config, &name)
        };
        channels.insert(name, status);
    }
    leases(client, &mut channels, now).await?;
    receipt_sources(client, &mut channels).await?;
    Ok(channels.into_values().collect())
}

async fn leases(
    client: &Client,
    channels: &mut BTreeMap<String, ChannelStatus>,
    now: Timestamp,
) -> Result<(), Error> {
    let query = text!("status/status_leases");
    for row in client.query(query, &[&now]).await? {
        let name: String = row.try_get("channel")?;
        let Some(channel) = channels.get_mut(&name) else { continue };
        channel.leased_by = row.try_get("leased_by")?;
        let learned = Option::zip(row.try_get("learned_rate")?, row.try_get("learned_at")?);
        let grown = Option::zip(learned, channel.rate).map(|((rate, at), configured)| {
            let nanos = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(0);
            Learned { rate, at: nanos(at) }.grown(configured, nanos(now))
        });
        channel.learned_rate = grown.filter(|rate| Some(*rate) < channel.rate);
    }
    Ok(())
}

async fn receipt_sources(
    client: &Client,
    channels: &mut BTreeMap<String, ChannelStatus>,
) -> Result<(), Error> {
    for row in client.query(text!("receive/receipt_source_read"), &[]).await? {
        let name: String = row.try_get("channel")?;
        // What came in for no channel of ours belongs to none.
        let Some(channel) = channels.get_mut(&name) else { continue };
        let receipt_source = match word(&row, "kind")? {
            ReceiptSourceKind::Polling => &mut channel.polling,
            ReceiptSourceKind::Destination => &mut channel.registration,
            ReceiptSourceKind::Webhook => &mut channel.webhook,
            ReceiptSourceKind::Unread => &mut channel.unread,
        };
        receipt_source.state = Some(word(&row, "state")?);
        receipt_source.since = row.try_get("since")?;
        receipt_source.last_worked_at = row.try_get("last_worked_at")?;
        receipt_source.detail = row.try_get("detail")?;
    }
    Ok(())
}

/// What the webhook has told of one channel.
pub async fn webhook_source(
    client: &Client,
    config: &Config,
    channel: &str,
) -> Result<ReceiptSource, Error> {
    let mut found = BTreeMap::from([(channel.to_owned(), idle(config, channel))]);
    receipt_sources(client, &mut found).await?;
    Ok(found.remove(channel).map(|found| found.webhook).unwrap_or_default())
}

/// Messages that are looked at for how many were muted.
const LATEST: i64 = 1_000;

async fn muted(client: &Client, now: Timestamp) -> Result<MutedShare, Error> {
    let since = now - SignedDuration::from_hours(1);
    let row = client.query_one(text!("status/status_muted"), &[&since, &LATEST]).await?;
    Ok(MutedShare {
        messages: row.try_get("messages")?,
        muted: row.try_get("muted")?,
        most_often: row.try_get("most_often")?,
    })
}

async fn outcomes(client: &Client, now: Timestamp) -> Result<Vec<OutcomeCount>, Error> {
    let since = now - SignedDuration::from_hours(OUTCOME_HOURS);
    let query = text!("status/status_outcomes");
    let rows = client.query(query, &[&since]).await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in &rows {
        // One that is of a newer release is left out.
        let Some(state) = state(row)? else { continue };
        let (messages, retrying) = (row.try_get("messages")?, row.try_get("retrying")?);
        outcomes.push(OutcomeCount { state, messages, retrying });
    }
    Ok(outcomes)
}
