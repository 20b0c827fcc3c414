//! The wire between the daemon and PostgreSQL, as it might be: the session that listens goes dead without a
//! word, or a pooler swallows the rings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the wire does to those that use it.
#[derive(Default)]
struct Mood {
    /// Listening sessions of an earlier number are dead, and nobody is told.
    silenced: AtomicUsize,
    /// The same for all sessions.
    cut: AtomicUsize,
    swallows_rings: AtomicBool,
    /// So many new connections are taken, and nobody says a word on them.
    mute: AtomicUsize,
}

/// One connection over the wire.
#[derive(Default)]
struct Line {
    listens: AtomicBool,
    /// How often sessions had been silenced, and all of them cut, when it was made.
    since: (usize, usize),
}

/// Runs until it is dropped with its runtime.
#[derive(Clone)]
pub struct Wire {
    port: u16,
    mood: Arc<Mood>,
}

impl Wire {
    /// A wire to the server at this port.
    pub async fn to(server: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire { port: listener.local_addr().unwrap().port(), mood: Arc::default() };
        let mood = wire.mood.clone();
        tokio::spawn(async move {
            let mut muted = Vec::new();
            while let Ok((ours, _)) = listener.accept().await {
                let is_mute = |left: usize| left.checked_sub(1);
                if mood.mute.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_mute).is_ok() {
                    muted.push(ours);
                    continue;
                }
                let Ok(theirs) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let since =
                    (mood.silenced.load(Ordering::Relaxed), mood.cut.load(Ordering::Relaxed));
                let line = Arc::new(Line { since, ..Line::default() });
                let (from_us, to_us) = ours.into_split();
                let (from_them, to_them) = theirs.into_split();
                tokio::spawn(ask(from_us, to_them, line.clone(), mood.clone()));
                tokio::spawn(answer(from_them, to_us, line, mood.clone()));
            }
        });
        wire
    }

    /// The URL of a database, over the wire.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Whoever listens now hears nothing any more, and is not told. New connections are sound.
    pub fn silence_listeners(&self) {
        self.mood.silenced.fetch_add(1, Ordering::Relaxed);
    }

    /// Whoever is connected is cut off, and nobody is told: bytes go nowhere. New connections are sound.
    pub fn cut_all(&self) {
        self.mood.cut.fetch_add(1, Ordering::Relaxed);
    }

    /// The next connections are taken, and nothing is ever said on them.
    pub fn mute_next(&self, connections: usize) {
        self.mood.mute.store(connections, Ordering::Relaxed);
    }

    /// How many of them are still to come.
    pub fn still_mute(&self) -> usize {
        self.mood.mute.load(Ordering::Relaxed)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Rings get lost, everything else arrives: as behind a pooler that lends out sessions.
    pub fn swallow_rings(&self) {
        self.mood.swallows_rings.store(true, Ordering::Relaxed);
    }
}

impl Line {
    fn is_dead(&self, mood: &Mood) -> bool {
        let (silenced, cut) = self.since;
        cut < mood.cut.load(Ordering::Relaxed)
            || self.listens.load(Ordering::Relaxed)
                && silenced < mood.silenced.load(Ordering::Relaxed)
    }
}

/// What we say to the server.
async fn ask(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: Arc<Line>,
    mood: Arc<Mood>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let said = &bytes[..length];
        if said.windows(7).any(|word| word == b"listen ") {
            line.listens.store(true, Ordering::Relaxed);
        }
        if !line.is_dead(&mood) && to.write_all(said).await.is_err() {
            return;
        }
    }
}

/// What it answers: messages of a letter, a length and so many bytes.
async fn answer(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: Arc<Line>,
    mood: Arc<Mood>,
) {
    let mut head = [0; 5];
    while from.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut message = head.to_vec();
        message.resize(length + 1, 0);
        if from.read_exact(&mut message[5..]).await.is_err() {
            return;
        }
        let is_swallowed = head[0] == b'A' && mood.swallows_rings.load(Ordering::Relaxed);
        if !is_swallowed && !line.is_dead(&mood) && to.write_all(&message).await.is_err() {
            return;
        }
    }
}
