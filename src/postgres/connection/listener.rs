//! The doorbell, from the daemon's side: when to look for changes.
//!
//! A NOTIFY at every commit would make all writers queue behind one lock of the whole cluster. So
//! the trigger rings only while the bell says `parked`; see `sql/migrations/02_capture.sql`.
//!
//! Few changes: the bell stays parked, every commit rings, and the daemon sleeps in between. A ring
//! wakes faster than any poll, and at low rates the lock is free.
//!
//! Many changes (`BUSY_SCANS` scans that found something within `linger`): the bell is set to
//! `awake`. Writers no longer ring, and one daemon looks every `awake_poll`, until the rush is over.
//!
//! How it goes back to sleep, and how several daemons share the bell: see `doorbell.rs`, which says what is done
//! next. Here each step is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::config;
use crate::domain::limit::backoff::Backoff;
use crate::postgres::connection::doorbell::{BellAnswer, BellStep, Traffic};
use crate::postgres::connection::session::{self, CHANNEL, Hearing, Rings};

/// Scans with a find within `linger` that make a rush.
const BUSY_SCANS: usize = 12;

/// At most so many of them, and the rush is over.
const CALM_SCANS: usize = 4;

/// The longest wait between two scans while an old transaction keeps the bell from sleeping.
const PARKING_WAIT_MAX: Duration = Duration::from_millis(250);

/// How often a daemon looks, and asks for the bell, while another one is the keeper.
const STAND_BY: Duration = Duration::from_secs(1);

/// The longest wait between two polls while LISTEN does not work.
const POLL_ONLY_WAIT_MAX: Duration = Duration::from_millis(100);

/// The first key of the advisory locks of the doorbell.
pub const BELL_LOCKS: i32 = 0x726f_7763;
/// Held by the one daemon that looks for those that do not ring.
pub const KEEPER: i32 = 1;
/// Shared by all daemons that the bell wakes.
pub const LISTENERS: i32 = 2;

/// Tells the claim when to look.
pub struct Bell {
    settings: config::DoorbellSettings,
    hearing: watch::Receiver<Hearing>,
    rings: Arc<Rings>,
    step: BellStep,
    drain_waits: Backoff,
    /// When scans found something, within the last `linger`.
    finds: VecDeque<Instant>,
    poll_only: Backoff,
}

/// Waits for the bell to hear, and says whether it does.
#[derive(Clone)]
pub struct Listening(watch::Receiver<Hearing>);

impl Listening {
    /// Whether the daemon hears rings now.
    pub fn hearing(&self) -> Hearing {
        self.0.borrow().clone()
    }

    /// Returns once LISTEN works, or polling has taken its place.
    pub async fn wait(&mut self) {
        // The sender lives as long as the session task; without it there is nothing to wait for.
        let _ = self.0.wait_for(|hearing| !matches!(hearing, Hearing::Connecting)).await;
    }
}

impl Bell {
    /// Begins to listen, on a connection of its own that is renewed whenever it is lost.
    pub fn connect(
        database: &config::Database,
        settings: &config::DoorbellSettings,
        rings: Arc<Rings>,
    ) -> Bell {
        let hearing = session::supervise(database.clone(), settings.heartbeat, rings.clone());
        Bell {
            settings: settings.clone(),
            hearing,
            rings,
            step: BellStep::Away,
            drain_waits: drain_waits(),
            finds: VecDeque::new(),
            poll_only: Backoff::new(
                settings.awake_poll,
                POLL_ONLY_WAIT_MAX.max(settings.awake_poll),
            ),
        }
    }

    /// For those that wait until the daemon can hear.
    pub fn listening(&self) -> Listening {
        Listening(self.hearing.clone())
    }

    /// The last scan found something.
    pub fn worked(&mut self) {
        let now = Instant::now();
        self.finds.push_back(now);
        self.forget_old_finds(now);
        self.poll_only.succeed();
    }

    fn forget_old_finds(&mut self, now: Instant) {
        while self.finds.front().is_some_and(|at| now.duration_since(*at) > self.settings.linger) {
            self.finds.pop_front();
        }
    }

    fn traffic(&mut self) -> Traffic {
        self.forget_old_finds(Instant::now());
        match self.finds.len() {
            BUSY_SCANS.. => Traffic::Rush,
            0..=CALM_SCANS => Traffic::Calm,
            _ => Traffic::Steady,
        }
    }

    /// The last scan found nothing: returns when it is time for the next, and whether a writer rang.
    pub async fn idle(&mut self) -> bool {
        if self.hearing.has_changed().unwrap_or(false) {
            self.hearing.mark_unchanged();
            // What a new session did not hear must be looked for.
            self.step = BellStep::Away;
            return false;
        }
        let client = match &*self.hearing.borrow() {
            Hearing::Listening(client) => Some(client.clone()),
            Hearing::Connecting | Hearing::PollOnly => None,
        };
        let Some(client) = client else {
            return self.poll_only().await;
        };
        self.step = self.step.in_traffic(self.traffic());
        match self.act(&client).await {
            Ok(answer) => {
                self.step = self.step.next(answer);
                answer == BellAnswer::Rung
            }
            // The session task notices by itself that the connection is gone, and renews it.
            Err(_) => self.poll_only().await,
        }
    }

    /// Does the step that is next.
    async fn act(&mut self, client: &Client) -> Result<BellAnswer, Error> {
        match self.step {
            BellStep::Away => {
                ask(client, &format!("pg_advisory_lock_shared({BELL_LOCKS}, {LISTENERS})")).await?;
            }
            BellStep::KeepParked | BellStep::KeepAwake => {
                let keep = format!("pg_try_advisory_lock({BELL_LOCKS}, {KEEPER})");
                return is_done(client, &keep).await;
            }
            BellStep::Park | BellStep::LeaveParked => {
                ask(client, "setval('rowbell.doorbell', 2)").await?;
            }
            BellStep::SetAwake => ask(client, "setval('rowbell.doorbell', 1)").await?,
            BellStep::TakeBarrier => {
                self.drain_waits = drain_waits();
                return Ok(BellAnswer::Barrier(barrier(client).await?));
            }
            BellStep::Drain { barrier } => return self.drain(client, barrier).await,
            BellStep::Release => {
                ask(client, &format!("pg_advisory_unlock({BELL_LOCKS}, {KEEPER})")).await?;
            }
            BellStep::Announce | BellStep::LeaveWord => {
                let tell = "select pg_notify($1, $2)";
                let words = [(&CHANNEL as _, Type::TEXT), (&self.rings.word as _, Type::TEXT)];
                client.query_typed(tell, &words).await?;
            }
            BellStep::LeaveLocks => ask(client, "pg_advisory_unlock_all()").await?,
            BellStep::LeaveAwake => {
                ask(client, &format!(
                    "case when pg_try_advisory_xact_lock({BELL_LOCKS}, {LISTENERS}) then setval('rowbell.doorbell', 1) end"
                ))
                .await?;
            }
            BellStep::Poll => tokio::time::sleep(self.settings.awake_poll).await,
            BellStep::StandBy => return Ok(self.wait(STAND_BY).await),
            BellStep::Sleep => return Ok(self.wait(self.settings.safety_poll).await),
        }
        Ok(BellAnswer::Done)
    }

    async fn drain(&mut self, client: &Client, barrier: i64) -> Result<BellAnswer, Error> {
        let passed = format!("pg_snapshot_xmin(pg_current_snapshot())::text::bigint > {barrier}");
        if is_done(client, &passed).await? == BellAnswer::Done {
            return Ok(BellAnswer::Done);
        }
        let wait = self.drain_waits.fail();
        tokio::select! {
            () = self.rings.by_writers.notified() => Ok(BellAnswer::Rung),
            () = tokio::time::sleep(wait) => Ok(BellAnswer::NotYet),
        }
    }

    async fn wait(&mut self, longest: Duration) -> BellAnswer {
        tokio::select! {
            () = self.rings.by_writers.notified() => BellAnswer::Rung,
            () = self.rings.by_daemons.notified() => BellAnswer::Told,
            changed = self.hearing.changed() => {
                if changed.is_err() {
                    // No session task any more: only polling is left.
                    tokio::time::sleep(POLL_ONLY_WAIT_MAX).await;
                }
                self.hearing.mark_changed();
                BellAnswer::Over
            }
            () = tokio::time::sleep(longest) => BellAnswer::Over,
        }
    }

    async fn poll_only(&mut self) -> bool {
        tokio::time::sleep(self.poll_only.fail()).await;
        false
    }

    /// This daemon looks for changes no more, for now or for ever: others must not count on it, and writers need not
    /// ring for nobody. Best effort: without it others find out within a second.
    pub async fn leave(&mut self) {
        let client = match &*self.hearing.borrow() {
            Hearing::Listening(client) => Some(client.clone()),
            Hearing::Connecting | Hearing::PollOnly => None,
        };
        self.step = self.step.leaving();
        while let Some(client) = client.as_ref().filter(|_| self.step != BellStep::Away) {
            match self.act(client).await {
                Ok(answer) => self.step = self.step.next(answer),
                Err(error) => {
                    tracing::warn!(%error, "could not leave the doorbell to others; they find out by themselves");
                    break;
                }
            }
        }
        self.step = BellStep::Away;
    }
}

fn drain_waits() -> Backoff {
    Backoff::new(Duration::from_millis(1), PARKING_WAIT_MAX)
}

async fn ask(client: &Client, expression: &str) -> Result<(), Error> {
    client.query_typed(&format!("select {expression}"), &[]).await?;
    Ok(())
}

async fn is_done(client: &Client, condition: &str) -> Result<BellAnswer, Error> {
    let rows = client.query_typed(&format!("select {condition}"), &[]).await?;
    let is_true = rows.first().map_or(Ok(false), |row| row.try_get(0))?;
    Ok(if is_true { BellAnswer::Done } else { BellAnswer::NotYet })
}

/// A transaction id that is larger than that of every writer that can have read the bell before it
/// was parked.
async fn barrier(client: &Client) -> Result<i64, Error> {
    let rows = client.query_typed("select pg_current_xact_id()::text::bigint", &[]).await?;
    // There is one. Without it nothing would ever have passed.
    rows.first().map_or(Ok(i64::MAX), |row| row.try_get(0))
}
