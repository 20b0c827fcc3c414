//! A mail server as it might be: holds the conversation of RFC 5321, with replies as a story says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server says or does when it hears a word: `MAIL`, `RCPT`, `DATA`, or `.` for the end of the text.
#[derive(Clone)]
pub enum Do {
    Say(&'static str),
    /// Says nothing and hangs up.
    HangUp,
}

/// One mail that was taken.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: String,
    pub text: String,
    pub was_secured: bool,
}

impl Letter {
    /// A header, as it is written.
    pub fn header(&self, name: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    /// The text below the headers.
    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1.trim_end()
    }
}

#[derive(Default)]
struct Book {
    letters: Vec<Letter>,
    next: HashMap<&'static str, Vec<Do>>,
    connections: usize,
}

#[derive(Clone)]
pub struct MailServer {
    pub port: u16,
    book: Arc<Mutex<Book>>,
}

impl MailServer {
    /// With TLS, it offers STARTTLS.
    pub async fn start(tls: Option<TlsAcceptor>) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let book = Arc::new(Mutex::new(Book::default()));
        let workload = MailServer { port, book: book.clone() };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                book.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, tls.clone(), book.clone()));
            }
        });
        workload
    }

    /// What it does the next times it hears this word.
    pub fn on(&self, word: &'static str, what: impl IntoIterator<Item = Do>) {
        self.book.lock().unwrap().next.insert(word, what.into_iter().collect());
    }

    /// It does as usual again.
    pub fn forget(&self) {
        self.book.lock().unwrap().next.clear();
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.book.lock().unwrap().letters.clone()
    }

    pub fn connections(&self) -> usize {
        self.book.lock().unwrap().connections
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    tls: Option<TlsAcceptor>,
    book: Arc<Mutex<Book>>,
) -> Option<()> {
    let (stream, wants_tls) = converse(BufReader::new(stream), tls.is_some(), true, &book).await?;
    if wants_tls {
        let secured = tls?.accept(stream.into_inner()).await.ok()?;
        converse(BufReader::new(secured), false, false, &book).await?;
    }
    None
}

/// One conversation; ends with the wish to go on under TLS, or with None.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    offers_tls: bool,
    is_first: bool,
    book: &Arc<Mutex<Book>>,
) -> Option<(BufReader<S>, bool)> {
    if is_first {
        say(&mut stream, "220 post.example ESMTP").await?;
    }
    let was_secured = !is_first;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let word = line.split([' ', '\r']).next().unwrap().to_ascii_uppercase();
        let scripted = next(book, &word);
        let usual = match word.as_str() {
            "EHLO" if offers_tls => "250-post.example\r\n250 STARTTLS",
            "EHLO" => "250-post.example\r\n250 AUTH PLAIN LOGIN",
            "STARTTLS" => "220 go ahead",
            "AUTH" => "235 welcome",
            "RCPT" => {
                to = line.trim().to_owned();
                "250 fine"
            }
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        answer(&mut stream, scripted, usual).await?;
        match word.as_str() {
            "STARTTLS" => return Some((stream, true)),
            "DATA" => {
                let text = text(&mut stream).await?;
                let scripted = next(book, ".");
                let is_taken = !matches!(&scripted, Some(Do::Say(said)) if !said.starts_with('2'));
                if is_taken {
                    let letter = Letter { to: to.clone(), text, was_secured };
                    book.lock().unwrap().letters.push(letter);
                }
                answer(&mut stream, scripted, "250 taken").await?;
            }
            _ => {}
        }
    }
}

fn next(book: &Arc<Mutex<Book>>, word: &str) -> Option<Do> {
    let mut book = book.lock().unwrap();
    let waiting = book.next.get_mut(word)?;
    (!waiting.is_empty()).then(|| waiting.remove(0))
}

async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    scripted: Option<Do>,
    usual: &str,
) -> Option<()> {
    match scripted {
        None => say(stream, usual).await,
        Some(Do::Say(said)) => {
            say(stream, said).await?;
            // A refusal of DATA is followed by no text.
            Some(())
        }
        Some(Do::HangUp) => None,
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, text: &str) -> Option<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

async fn text<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(text);
        }
        text += &line;
    }
}
