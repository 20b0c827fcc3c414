//! The listening session: one connection that LISTENs, proves itself alive, and is renewed when it
//! is lost.
//!
//! Proof is a ring to ourselves over the same session, at the beginning and at every heartbeat. A
//! connection that answers queries but does not hear its own ring sits behind a pooler that swallows
//! LISTEN: then the daemon polls, says so once, and tries again later.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::config::Database;
use crate::domain::limit::backoff::{Backoff, spread};
use crate::domain::notice;
use crate::error_chain::chain;
use crate::postgres::connection::dial::Dialled;
use crate::postgres::connection::pool::{self, DatabaseError};

/// The channel that the trigger notifies.
pub const CHANNEL: &str = "rowbell";
const LISTEN: &str = "listen rowbell";

/// What the ring of a person says.
pub const BY_A_PERSON: &str = "look";

/// How long our own ring may take to come back.
const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long polling lasts before LISTEN is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The waits between two tries to connect.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(12_800);

/// What is heard on the channel.
pub struct Rings {
    /// A writer has committed, or a person has let something go.
    pub by_writers: Notify,
    /// Another daemon has become the keeper of the bell, or has left; see `doorbell.rs`.
    pub by_daemons: Notify,
    /// Channels are to be spread anew.
    pub by_channels: Notify,
    /// By what others know that this daemon rang.
    pub word: String,
}

/// What the ring says after which daemons look anew which channels are theirs.
const CHANNELS: &str = "channels";

/// A daemon has come or gives up a channel, or a person has moved one: others need not wait for their next look.
pub async fn ring_for_channels(client: &Client) -> Result<(), tokio_postgres::Error> {
    let words = [(&CHANNEL as _, Type::TEXT), (&CHANNELS as _, Type::TEXT)];
    client.query_typed("select pg_notify($1, $2)", &words).await?;
    Ok(())
}

/// How the word of a daemon begins.
const DAEMON: &str = "daemon ";

impl Default for Rings {
    fn default() -> Rings {
        Rings::new()
    }
}

impl Rings {
    pub fn new() -> Rings {
        let word = format!("{DAEMON}{:016x}", rand::random::<u64>());
        Rings {
            by_writers: Notify::new(),
            by_daemons: Notify::new(),
            by_channels: Notify::new(),
            word,
        }
    }

    /// Passes on what was heard; returns what is none of a writer, a person, or another daemon.
    fn pass_on(&self, payload: String) -> Option<String> {
        match payload.as_str() {
            "" | BY_A_PERSON => self.by_writers.notify_one(),
            CHANNELS => self.by_channels.notify_one(),
            word if word == self.word => {}
            word if word.starts_with(DAEMON) => self.by_daemons.notify_one(),
            _ => return Some(payload),
        }
        None
    }
}

/// Whether the daemon hears rings.
#[derive(Clone)]
pub enum Hearing {
    Connecting,
    Listening(Arc<Client>),
    PollOnly,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the listening connection failed")]
    Connection(#[from] tokio_postgres::Error),
    #[error("the listening connection was closed")]
    Closed,
    #[error("the listening connection did not answer within 5 seconds")]
    Silent,
    #[error("LISTEN is accepted but nothing is heard")]
    Deaf,
}

/// Keeps a session alive for as long as somebody looks at the result.
pub fn supervise(
    database: Database,
    heartbeat: Duration,
    rings: Arc<Rings>,
) -> watch::Receiver<Hearing> {
    let (hearing, seen) = watch::channel(Hearing::Connecting);
    is_listening(false);
    drop(reconnects());
    tokio::spawn(async move {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while !hearing.is_closed() {
            let listened = tokio::select! {
                ended = listen(&database, heartbeat, &rings, &hearing) => ended,
                () = hearing.closed() => return,
            };
            let wait = lost(&listened, &mut backoff, &hearing);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = hearing.closed() => return,
            }
        }
    });
    seen
}

fn reconnects() -> metrics::Counter {
    metrics::counter!("rowbell_listener_reconnects_total")
}

fn is_listening(is: bool) {
    metrics::gauge!("rowbell_listening").set(f64::from(u8::from(is)));
}

/// Says once what happened, and how long to wait before the next try. The daemon polls meanwhile.
fn lost(
    ended: &Result<(), SessionError>,
    backoff: &mut Backoff,
    hearing: &watch::Sender<Hearing>,
) -> Duration {
    let Err(error) = ended else {
        return Duration::ZERO;
    };
    is_listening(false);
    if matches!(error, SessionError::Deaf) {
        if !matches!(hearing.send_replace(Hearing::PollOnly), Hearing::PollOnly) {
            tracing::warn!(target: notice::LISTENS_IN_VAIN,
                "LISTEN is accepted but nothing is heard, as behind some poolers: polling instead; \
                 give database.url a direct connection to be woken at once"
            );
        }
        return TRY_AGAIN_AFTER;
    }
    if matches!(&*hearing.borrow(), Hearing::Listening(_)) {
        backoff.succeed();
        reconnects().increment(1);
        hearing.send_replace(Hearing::Connecting);
    }
    if !backoff.has_failed() {
        tracing::warn!(error = %chain(error), "the doorbell cannot be heard; connecting again");
    }
    spread(backoff.fail(), rand::random())
}

/// Opens a session like that of a daemon, and proves once that it hears its own ring.
pub async fn prove_once(database: &Database) -> Result<(), SessionError> {
    let Dialled { client, notifications, task: _task, .. } =
        pool::dial(database)?.connect().await?;
    let mut heard = notifications;
    client.batch_execute(LISTEN).await?;
    prove(&client, &mut heard).await
}

/// One session, from connecting to its end, which is always an error.
async fn listen(
    database: &Database,
    heartbeat: Duration,
    rings: &Rings,
    hearing: &watch::Sender<Hearing>,
) -> Result<(), SessionError> {
    let dial = pool::dial(database)?;
    let Dialled { client, mut notifications, task, .. } = dial.connect().await?;
    let (echo_tx, mut echo_rx) = mpsc::unbounded_channel();
    let sort = async {
        while let Some(payload) = notifications.recv().await {
            if let Some(proof) = rings.pass_on(payload) {
                let _ = echo_tx.send(proof);
            }
        }
        match task.await {
            Ok(Err(error)) => Err(error.into()),
            _ => Err(SessionError::Closed),
        }
    };
    let client = Arc::new(client);
    let talk = async {
        let begin = client.batch_execute(LISTEN);
        tokio::time::timeout(ECHO_TIMEOUT, begin).await.map_err(|_| SessionError::Silent)??;
        let mut said = false;
        loop {
            prove(&client, &mut echo_rx).await?;
            if !said {
                said = true;
                tracing::info!("listening");
                hearing.send_replace(Hearing::Listening(client.clone()));
                is_listening(true);
            }
            tokio::time::sleep(heartbeat).await;
        }
    };
    tokio::select! {
        ended = sort => ended,
        ended = talk => ended,
    }
}

/// Rings, and waits for the ring to come back.
async fn prove(
    client: &Client,
    echo: &mut mpsc::UnboundedReceiver<String>,
) -> Result<(), SessionError> {
    let word = format!("{:016x}", rand::random::<u64>());
    let ring = async {
        let heard = "select pg_notify($1, $2), $1 in (select pg_listening_channels())";
        let words = [(&CHANNEL as _, Type::TEXT), (&word as _, Type::TEXT)];
        let rows = client.query_typed(heard, &words).await?;
        rows.first().map_or(Ok(false), |row| row.try_get::<_, bool>(1))
    };
    match tokio::time::timeout(ECHO_TIMEOUT, ring).await {
        Err(_) => return Err(SessionError::Silent),
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => return Err(SessionError::Deaf),
        Ok(Err(error)) => return Err(error.into()),
    }
    let heard = async {
        while let Some(heard) = echo.recv().await {
            if heard == word {
                return Ok(());
            }
        }
        Err(SessionError::Closed)
    };
    tokio::time::timeout(ECHO_TIMEOUT, heard).await.unwrap_or(Err(SessionError::Deaf))
}
