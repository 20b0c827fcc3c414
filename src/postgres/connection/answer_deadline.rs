//! A stream to PostgreSQL on which no question waits for ever.
//!
//! Timeouts of the server end what the server knows of. A question that never arrives, or whose answer is lost on
//! the way, is known to nobody but us: a frozen proxy, a firewall that has forgotten the connection. So the stream
//! counts questions and answers as they pass. When nothing has come for `wait` while an answer is due, reading
//! fails, the connection ends, and with it everything that waited on it. No caller has to think of it.
//!
//! It reads only the heads of messages: a kind of one byte and a length.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The server did not answer in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the database did not answer within {0:?}; the connection is dropped")]
pub struct NoAnswer(pub Duration);

/// The id of the server process as the connection was told it; 0: not yet.
#[derive(Clone, Debug, Default)]
pub struct ServerProcess(Arc<AtomicI32>);

impl ServerProcess {
    pub fn id(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that fails when an answer is missing.
pub struct AnswerDeadline<S> {
    stream: S,
    wait: Duration,
    process: ServerProcess,
    asked: Messages,
    heard: Messages,
    /// Questions without an answer.
    open: usize,
    /// When the answer is due; None: nothing is.
    due: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl<S> AnswerDeadline<S> {
    /// Around a stream on which nothing was said yet.
    pub fn new(stream: S, wait: Duration, process: ServerProcess) -> AnswerDeadline<S> {
        AnswerDeadline {
            stream,
            wait,
            process,
            asked: Messages { is_bare: true, ..Messages::default() },
            heard: Messages::default(),
            open: 0,
            due: None,
            alarm: Box::pin(tokio::time::sleep(wait)),
        }
    }

    /// The stream alone, to secure it.
    pub fn into_parts(self) -> (S, Duration, ServerProcess) {
        (self.stream, self.wait, self.process)
    }

    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn asked(&mut self, bytes: &[u8]) {
        let (open, heard) = (&mut self.open, &mut self.heard);
        self.asked.pass(bytes, |head, is_bare| match head[0] {
            // A request for encryption is answered by one byte, which is no message.
            0 if head.len() == 9 && head[5..] == ENCRYPTION => {
                heard.skip += 1;
                *is_bare = true;
            }
            0 | b'Q' | b'S' => *open += 1,
            _ => {}
        });
        if self.due.is_none() && self.is_waiting() {
            self.due = Some(Instant::now() + self.wait);
        }
    }

    fn heard(&mut self, bytes: &[u8]) {
        let (open, process) = (&mut self.open, &self.process);
        self.heard.pass(bytes, |head, _| match head {
            [b'Z', ..] => *open = open.saturating_sub(1),
            [b'K', _, _, _, _, a, b, c, d, ..] => {
                process.0.store(i32::from_be_bytes([*a, *b, *c, *d]), Ordering::Relaxed);
            }
            _ => {}
        });
        self.due = self.is_waiting().then(|| Instant::now() + self.wait);
    }

    fn is_waiting(&self) -> bool {
        self.open > 0 || self.asked.is_midway()
    }

    /// Ready once the answer is overdue. The alarm is set anew only when it rings, not for each question.
    fn overdue(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(due) = self.due else { return Poll::Pending };
        while Instant::now() < due {
            if self.alarm.is_elapsed() || self.alarm.deadline() > due {
                self.alarm.as_mut().reset(due);
            }
            ready!(self.alarm.as_mut().poll(cx));
        }
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, NoAnswer(self.wait)))
    }
}

/// What follows the length in a request for TLS.
const ENCRYPTION: [u8; 4] = 80_877_103_i32.to_be_bytes();

impl<S: AsyncRead + Unpin> AsyncRead for AnswerDeadline<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buf) else {
            return this.overdue(cx).map(Err);
        };
        let bytes = &buf.filled()[before..];
        if !bytes.is_empty() {
            this.heard(bytes);
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AnswerDeadline<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) => {
                this.asked(&buf[..written]);
                // Nobody may look before the alarm: it has to know whom to wake.
                let _ = this.overdue(cx);
                Poll::Ready(Ok(written))
            }
            Poll::Pending => {
                this.due.get_or_insert_with(|| Instant::now() + this.wait);
                this.overdue(cx).map(Err)
            }
            failed => failed,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Finds the messages in bytes that come in pieces of any size.
#[derive(Debug, Default)]
struct Messages {
    /// Kind, length, and the first bytes of the message that is passing.
    head: Vec<u8>,
    /// How much of it is still to come once its length is known.
    left: usize,
    /// The next message has no kind: the first ones of a connection, which get a 0 for one.
    is_bare: bool,
    /// Bytes that belong to no message.
    skip: usize,
}

/// A kind, a length, a number.
const HEAD: usize = 9;
const LENGTH: usize = 4;

impl Messages {
    /// Calls `each` with the head of each message that ends in these bytes.
    fn pass(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], &mut bool)) {
        while let Some(first) = bytes.first() {
            if self.head.is_empty() {
                if self.skip > 0 {
                    self.skip -= 1;
                    bytes = &bytes[1..];
                    continue;
                }
                self.head.push(if self.is_bare { 0 } else { *first });
                bytes = &bytes[usize::from(!self.is_bare)..];
            } else if self.head.len() <= LENGTH {
                self.head.push(*first);
                bytes = &bytes[1..];
                if self.head.len() == 1 + LENGTH {
                    let length = [self.head[1], self.head[2], self.head[3], self.head[4]];
                    self.left = (u32::from_be_bytes(length) as usize).saturating_sub(LENGTH);
                }
            } else {
                let piece = &bytes[..self.left.min(bytes.len())];
                let wanted = HEAD.saturating_sub(self.head.len()).min(piece.len());
                self.head.extend_from_slice(&piece[..wanted]);
                self.left -= piece.len();
                bytes = &bytes[piece.len()..];
            }
            if self.head.len() > LENGTH && self.left == 0 {
                self.is_bare = false;
                each(&self.head, &mut self.is_bare);
                self.head.clear();
            }
        }
    }

    fn is_midway(&self) -> bool {
        !self.head.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    const WAIT: Duration = Duration::from_millis(400);
    const TICK: Duration = Duration::from_millis(2);

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    fn startup() -> Vec<u8> {
        message(0, b"\0\x03\0\0user\0rowbell\0\0")[1..].to_vec()
    }

    fn stream() -> (AnswerDeadline<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(1 << 16);
        (AnswerDeadline::new(ours, WAIT, ServerProcess::default()), theirs)
    }

    /// Through the startup, with or without a refusal of TLS.
    async fn started(asks_for_tls: bool) -> (AnswerDeadline<DuplexStream>, DuplexStream) {
        let (mut ours, mut theirs) = stream();
        if asks_for_tls {
            ours.write_all(&message(0, &ENCRYPTION)[1..]).await.unwrap();
            theirs.write_all(b"N").await.unwrap();
            ours.read_exact(&mut [0]).await.unwrap();
        }
        ours.write_all(&startup()).await.unwrap();
        let said =
            [message(b'R', &[0; 4]), message(b'K', &[0, 0, 1, 2, 9, 9, 9, 9]), message(b'Z', b"I")];
        theirs.write_all(&said.concat()).await.unwrap();
        ours.read_exact(&mut vec![0; said.concat().len()]).await.unwrap();
        assert_eq!(ours.process.id(), 258);
        (ours, theirs)
    }

    #[tokio::test]
    async fn a_question_without_an_answer_fails_and_silence_without_a_question_does_not() {
        for asks_for_tls in [false, true] {
            let (mut ours, mut theirs) = started(asks_for_tls).await;
            let idle = tokio::time::timeout(WAIT * 2, ours.read_u8()).await;
            assert!(idle.is_err(), "nothing is asked");
            ours.write_all(&message(b'Q', b"select 1\0")).await.unwrap();
            tokio::time::sleep(WAIT / 2).await;
            let row = message(b'D', b"1");
            theirs.write_all(&row).await.unwrap();
            ours.read_exact(&mut vec![0; row.len()]).await.unwrap();
            let began = Instant::now();
            let error = ours.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(began.elapsed() >= WAIT - TICK, "counted from the last word");
        }
    }

    /// Whoever takes the connection next and asks another question does not extend the wait.
    #[tokio::test]
    async fn more_questions_do_not_extend_the_wait() {
        let (mut ours, _theirs) = started(false).await;
        let began = Instant::now();
        ours.write_all(&message(b'Q', b"commit\0")).await.unwrap();
        tokio::time::sleep(WAIT / 2).await;
        ours.write_all(&message(b'Q', b"rollback\0")).await.unwrap();
        assert!(ours.read_u8().await.is_err());
        assert!(began.elapsed() < WAIT * 3 / 2);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_a_question_too() {
        let (ours, _theirs) = duplex(16);
        let mut ours = AnswerDeadline::new(ours, WAIT, ServerProcess::default());
        let error = ours.write_all(&startup()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        /// However the bytes are cut, each message is seen once, at its end.
        #[test]
        fn messages_are_found_in_pieces_of_any_size(
            bodies in proptest::collection::vec((b'A'..b'z', proptest::collection::vec(any::<u8>(), 0..30)), 1..20),
            cut in 1..40_usize,
        ) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|(kind, body)| message(*kind, body)).collect();
            let (mut messages, mut seen) = (Messages::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                messages.pass(piece, |head, _| seen.push(head.to_vec()));
            }
            let heads: Vec<Vec<u8>> = bodies
                .iter()
                .map(|(kind, body)| message(*kind, body).into_iter().take(HEAD).collect())
                .collect();
            prop_assert_eq!(seen, heads);
            prop_assert!(!messages.is_midway());
        }
    }
}
