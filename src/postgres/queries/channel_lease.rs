//! The queries of who sends on a channel, and of what was sent on it.

use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::domain::limit::channel_spread::{ChannelHolder, LiveDaemon};
use crate::domain::recipient::phone_forms;
use crate::postgres::connection::statement::{FromRow, FromRows, named, statements};

/// A channel that this daemon may send on.
#[derive(Clone, Debug)]
pub struct LeasedChannel {
    pub channel: String,
    pub epoch: i64,
    /// The rate that was learned, and when.
    pub learned: Option<(f64, Timestamp)>,
}

/// Renews and takes channels; returns those that this daemon may send on.
pub async fn channel_lease_take(
    client: &deadpool_postgres::Client,
    channels: &[&str],
    instance: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<LeasedChannel>, Error> {
    let rows =
        named!(client, "channel_lease/channel_lease_take", &[&instance, &channels, &now, &until])?;
    let taken = rows.iter().map(|row| {
        let rate: Option<f64> = row.try_get("learned_rate")?;
        Ok(LeasedChannel {
            channel: row.try_get("channel")?,
            epoch: row.try_get("epoch")?,
            learned: rate.zip(row.try_get("learned_at")?),
        })
    });
    taken.collect()
}

impl FromRow for LiveDaemon {
    fn from_row(row: &Row) -> Result<LiveDaemon, Error> {
        Ok(LiveDaemon {
            instance: row.try_get("instance")?,
            name: row.try_get("name")?,
            channels: row.try_get("channels")?,
        })
    }
}

impl FromRow for ChannelHolder {
    fn from_row(row: &Row) -> Result<ChannelHolder, Error> {
        Ok(ChannelHolder {
            channel: row.try_get("channel")?,
            held_by: row.try_get("leased_by")?,
            given_to: row.try_get("given_to")?,
        })
    }
}

/// The daemons that live, and the time of the database.
#[derive(Clone, Debug)]
pub struct Presence {
    pub daemons: Vec<LiveDaemon>,
    pub told_at: Option<Timestamp>,
}

/// This daemon lives; reads who else does.
pub async fn daemon_present(
    client: &deadpool_postgres::Client,
    me: &LiveDaemon,
    now: Timestamp,
    alive_until: Timestamp,
) -> Result<Presence, Error> {
    let params: [&(dyn ToSql + Sync); 5] =
        [&me.instance, &me.name, &me.channels, &now, &alive_until];
    let rows = named!(client, "channel_lease/daemon_present", &params)?;
    let told_at = rows.first().map(|row| row.try_get("told_at")).transpose()?;
    Ok(Presence { daemons: FromRows::from_rows(&rows)?, told_at })
}

statements! {
    /// Who sends on channels.
    channel_lease_holders(client: &deadpool_postgres::Client, channels: &[&str])
        -> Vec<ChannelHolder> = "channel_lease/channel_lease_holders";

    /// Lets another daemon send on a channel.
    channel_lease_hand(
        client: &deadpool_postgres::Client, channel: &str, instance: &str, now: Timestamp,
    ) -> () = "channel_lease/channel_lease_hand";

    /// The clock was set back: what was put off is due as much earlier.
    due_times_set_back(
        client: &deadpool_postgres::Client, channels: &[&str], now: Timestamp, seconds: f64,
    ) -> () = "channel_lease/due_times_set_back";

    /// Ends the leases of this daemon.
    channel_lease_give(client: &deadpool_postgres::Client, instance: &str, now: Timestamp)
        -> () = "channel_lease/channel_lease_give";

    /// Remembers a rate that was learned, if this daemon still holds the lease.
    channel_lease_learn(
        tx: &Transaction<'_>, channel: &str, instance: &str, rate: f64, at: Timestamp,
    ) -> () = "channel_lease/channel_lease_learn";
}

/// Before the questions about what was sent: their index is a summary of pages, which our sessions do
/// not read otherwise.
pub async fn channel_lease_look(tx: &Transaction<'_>) -> Result<(), Error> {
    tx.batch_execute("set local enable_bitmapscan = on").await
}

/// How many messages left within `back`, by about the moment.
pub async fn channel_lease_left(
    tx: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    back: Duration,
    lease: Duration,
) -> Result<Vec<(Timestamp, usize)>, Error> {
    let since = now - back;
    let rows = named!(
        tx,
        "channel_lease/channel_lease_left",
        &[&channel, &since, &now, &(since - lease)]
    )?;
    let left = rows.iter().map(|row| {
        let count: i64 = row.try_get("messages")?;
        Ok((row.try_get("left_at")?, usize::try_from(count).unwrap_or(usize::MAX)))
    });
    left.collect()
}

/// Phones with what they still have to pay back.
pub async fn channel_lease_recipient_limits(
    tx: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    back: Duration,
    lease: Duration,
    every: Duration,
) -> Result<Vec<(String, Timestamp)>, Error> {
    let (since, every) = (now - back * 2 - lease, every.as_secs_f64());
    let back = back.as_secs_f64();
    let rows = named!(
        tx,
        "channel_lease/channel_lease_recipient_limits",
        &[&channel, &now, &since, &every, &back]
    )?;
    FromRows::from_rows(&rows)
}

/// How long a phone counts.
const BUDGET_DAY: Duration = Duration::from_secs(86_400);

/// Takes places in a budget for phones in the order in which they are to be written to: those that have to wait, and
/// until when. A message leaves at the latest when its lease ends.
pub async fn budget_take(
    tx: &Transaction<'_>,
    budget: &str,
    phones: &[&str],
    now: Timestamp,
    lease: Duration,
    most: u32,
) -> Result<Vec<(String, Timestamp)>, Error> {
    let window = BUDGET_DAY + lease;
    named!(tx, "budget/budget_lock", &[&budget, &(now - window)])?;
    let (most, seconds) = (i64::from(most), window.as_secs_f64());
    let rows = named!(tx, "budget/budget_take", &[&budget, &phones, &now, &most, &seconds])?;
    FromRows::from_rows(&rows)
}

/// Notes phones that a channel of a budget has written to.
pub async fn budget_seed(
    tx: &Transaction<'_>,
    budget: &str,
    written: &[(String, Timestamp)],
) -> Result<(), Error> {
    let phones: Vec<String> = written.iter().map(|(phone, _)| phone_forms::key(phone)).collect();
    let at: Vec<Timestamp> = written.iter().map(|(_, at)| *at).collect();
    named!(tx, "budget/budget_seed", &[&budget, &phones, &at]).map(drop)
}

/// Phones that were written to within `back`.
pub async fn channel_lease_recipients(
    tx: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    back: Duration,
    lease: Duration,
) -> Result<Vec<(String, Timestamp)>, Error> {
    let since = now - back;
    let rows = named!(
        tx,
        "channel_lease/channel_lease_recipients",
        &[&channel, &since, &now, &(since - lease)]
    )?;
    FromRows::from_rows(&rows)
}
