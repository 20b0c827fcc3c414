//! The doorbell, from the daemon's side: when to look for changes.
//!
//! A NOTIFY at every commit would make all writers queue behind one lock of the whole cluster. So
//! the trigger rings only while the bell says `parked`; see `sql/migrations/02_capture.sql`.
//!
//! Few changes: the bell stays parked, every commit rings, and the daemon sleeps in between. A ring
//! wakes faster than any poll, and at low rates the lock is free.
//!
//! Many changes (`BUSY_SCANS` scans that found something within `linger`): the bell is set to
//! `awake`. Writers no longer ring, and the daemon looks every `awake_poll`, until the rush is over.
//!
//! Back to sleep. A writer that read `awake` may still be about to commit, and nobody will ring for
//! it. So: (a) set `parked`; (b) take a barrier, the id of a transaction begun after that; (c) scan at
//! short intervals until every transaction with a smaller id has ended: a writer had its id before
//! it read the bell, so each one that can have read `awake` is among them; (d) scan once more; sleep.
//! The barrier must be a fresh id: the `xmax` of a snapshot is one past the highest *completed* id
//! and may lie below a running writer's.
//!
//! Several daemons share the bell. Whoever is busy sets `awake` and is the one that looks; if it dies
//! there, the others find out at their next safety poll, which parks the bell again. That bounds
//! the delay by `safety_poll`. A daemon that dies alone leaves its changes to the next start, which
//! scans first, whatever the bell says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::config;
use crate::domain::limit::backoff::Backoff;
use crate::postgres::connection::session::{self, Hearing};

/// Scans with a find within `linger` that make a rush.
const BUSY_SCANS: usize = 12;

/// At most so many of them, and the rush is over.
const CALM_SCANS: usize = 4;

/// The longest wait between two scans while an old transaction keeps the bell from sleeping.
const PARKING_WAIT_MAX: Duration = Duration::from_millis(250);

/// The longest wait between two polls while LISTEN does not work.
const POLL_ONLY_WAIT_MAX: Duration = Duration::from_millis(100);

/// Why it is time to scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A writer rang.
    Ring,
    /// Awake, or on the way to sleep: the next look is due.
    Poll,
    /// Asleep for `safety_poll`: a look just in case.
    Safety,
    /// The listening session is new: what it did not hear must be looked for.
    Reconnected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Awake,
    Parking { barrier: i64, waits: Backoff },
    Parked,
}

/// Tells the claim when to look.
pub struct Bell {
    settings: config::DoorbellSettings,
    hearing: watch::Receiver<Hearing>,
    rings: Arc<Notify>,
    mode: Mode,
    /// When scans found something, within the last `linger`.
    finds: VecDeque<Instant>,
    poll_only: Backoff,
}

/// Waits for the bell to hear.
pub struct Listening(watch::Receiver<Hearing>);

impl Listening {
    /// Returns once LISTEN works, or polling has taken its place.
    pub async fn wait(&mut self) {
        // The sender lives as long as the session task; without it there is nothing to wait for.
        let _ = self.0.wait_for(|hearing| !matches!(hearing, Hearing::Connecting)).await;
    }
}

impl Bell {
    /// Begins to listen, on a connection of its own that is renewed whenever it is lost.
    pub fn connect(database: &config::Database, settings: &config::DoorbellSettings) -> Bell {
        let rings = Arc::new(Notify::new());
        let hearing = session::supervise(database.clone(), settings.heartbeat, rings.clone());
        Bell {
            settings: settings.clone(),
            hearing,
            rings,
            mode: Mode::Awake,
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

    /// Nobody looked for a while: another daemon may have set the bell.
    pub fn look_anew(&mut self) {
        self.mode = Mode::Awake;
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

    /// The last scan found nothing: returns when it is time for the next.
    pub async fn idle(&mut self) -> Woken {
        self.forget_old_finds(Instant::now());
        if self.hearing.has_changed().unwrap_or(false) {
            self.hearing.mark_unchanged();
            self.mode = Mode::Awake;
            return Woken::Reconnected;
        }
        let client = match &*self.hearing.borrow() {
            Hearing::Listening(client) => Some(client.clone()),
            Hearing::Connecting | Hearing::PollOnly => None,
        };
        let Some(client) = client else {
            return self.poll_only().await;
        };
        match self.step(&client).await {
            Ok(woken) => woken,
            // The session task notices by itself that the connection is gone, and renews it.
            Err(_) => self.poll_only().await,
        }
    }

    async fn step(&mut self, client: &Client) -> Result<Woken, tokio_postgres::Error> {
        match self.mode {
            Mode::Awake if self.finds.len() > CALM_SCANS => {
                tokio::time::sleep(self.settings.awake_poll).await;
                Ok(Woken::Poll)
            }
            Mode::Awake => {
                set_parked(client, true).await?;
                let barrier = barrier(client).await?;
                let waits = Backoff::new(Duration::from_millis(1), PARKING_WAIT_MAX);
                self.mode = Mode::Parking { barrier, waits };
                Ok(Woken::Poll)
            }
            Mode::Parking { barrier, .. } if has_passed(client, barrier).await? => {
                self.mode = Mode::Parked;
                Ok(Woken::Poll)
            }
            Mode::Parking { barrier, mut waits } => {
                let wait = waits.fail();
                self.mode = Mode::Parking { barrier, waits };
                tokio::select! {
                    () = self.rings.notified() => Ok(Woken::Ring),
                    () = tokio::time::sleep(wait) => Ok(Woken::Poll),
                }
            }
            Mode::Parked if self.finds.len() >= BUSY_SCANS => {
                set_parked(client, false).await?;
                self.mode = Mode::Awake;
                Ok(Woken::Poll)
            }
            Mode::Parked => Ok(self.sleep().await),
        }
    }

    async fn sleep(&mut self) -> Woken {
        tokio::select! {
            () = self.rings.notified() => Woken::Ring,
            changed = self.hearing.changed() => {
                if changed.is_err() {
                    // No session task any more: only polling is left.
                    tokio::time::sleep(POLL_ONLY_WAIT_MAX).await;
                }
                self.mode = Mode::Awake;
                Woken::Reconnected
            }
            () = tokio::time::sleep(self.settings.safety_poll) => {
                // Another daemon may have set the bell to awake and died: park it again.
                self.mode = Mode::Awake;
                Woken::Safety
            }
        }
    }

    async fn poll_only(&mut self) -> Woken {
        tokio::time::sleep(self.poll_only.fail()).await;
        Woken::Poll
    }

    /// On the way out: writers need not ring for a daemon that is not there. Best effort.
    pub async fn awake(&mut self) {
        let client = match &*self.hearing.borrow() {
            Hearing::Listening(client) => client.clone(),
            Hearing::Connecting | Hearing::PollOnly => return,
        };
        if let Err(error) = set_parked(&client, false).await {
            tracing::warn!(%error, "could not quiet the doorbell; writers ring until the next start");
        }
    }
}

async fn set_parked(client: &Client, parked: bool) -> Result<(), tokio_postgres::Error> {
    let value: i64 = if parked { 2 } else { 1 };
    client.query_typed("select setval('rowbell.doorbell', $1)", &[(&value, Type::INT8)]).await?;
    Ok(())
}

/// A transaction id that is larger than that of every writer that can have read the bell before it
/// was parked.
async fn barrier(client: &Client) -> Result<i64, tokio_postgres::Error> {
    let rows = client.query_typed("select pg_current_xact_id()::text::bigint", &[]).await?;
    // There is one. Without it nothing would ever have passed.
    rows.first().map_or(Ok(i64::MAX), |row| row.try_get(0))
}

/// Whether all transactions before the barrier have ended.
async fn has_passed(client: &Client, barrier: i64) -> Result<bool, tokio_postgres::Error> {
    let query = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1";
    let rows = client.query_typed(query, &[(&barrier, Type::INT8)]).await?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}
