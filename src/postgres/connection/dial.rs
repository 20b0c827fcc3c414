//! Connects to one of the hosts of `database.url`. Each gets its part of `database.connect_timeout`, whatever it does
//! with it: one that takes the connection and never says a word must not keep us from the next.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

use crate::config::server_address::password_file::Passwords;
use crate::postgres::connection::answer_deadline::{AnswerDeadline, NoAnswer, ServerProcess};
use crate::postgres::connection::session_settings;
use crate::postgres::connection::socket::Socket;
use crate::postgres::connection::tls::DeadlineTls;

/// How long a question and its answer may be on the way.
const ON_THE_WAY: Duration = Duration::from_secs(3);

/// How often a session that we left is looked for, and how long a pooler has to take it back.
const LOOKS_FOR_A_MARK: usize = 8;
const TO_BE_LEFT: Duration = Duration::from_millis(5);

/// Why a host could not be used. Travels inside the library's error.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("{host}: {source}")]
    Unreachable { host: String, source: io::Error },
    #[error("{host} did not answer within {:.1} s", .time.as_secs_f64())]
    Silent { host: String, time: Duration },
    #[error("{host} is a standby")]
    Standby { host: String },
    #[error("a pooler lends us another server session for each transaction")]
    SharedSession,
    #[error("a pooler hands sessions on as they were left, with what we had set")]
    SessionNotReset,
}

impl DialError {
    /// As an error of the library: that of a connection which fails with this at its first word.
    pub async fn into_library(self) -> Error {
        match Config::new().user("rowbell").connect_raw(Socket::unusable(self), NoTls).await {
            Err(error) => error,
            // Not reached: such a stream takes no word.
            Ok(_) => Error::__private_api_timeout(),
        }
    }

    /// The host that it is about.
    fn host(&self) -> String {
        match self {
            DialError::Unreachable { host, .. }
            | DialError::Silent { host, .. }
            | DialError::Standby { host } => host.clone(),
            DialError::SharedSession | DialError::SessionNotReset => String::new(),
        }
    }

    /// What an error of the library carries.
    pub fn of(error: &Error) -> Option<&DialError> {
        carried(error)
    }
}

/// The error of ours that an error of the library carries.
fn carried<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

/// How to connect.
#[derive(Clone)]
pub struct Dial {
    pub settings: Config,
    pub tls: MakeRustlsConnect,
    /// Passwords by host, where the settings have none.
    pub passwords: Option<Arc<Passwords>>,
    /// For all hosts together.
    pub timeout: Duration,
    /// How long the server works on one statement at most.
    pub statement_timeout: Duration,
}

/// A connection that is served by a task of its own.
pub struct Dialled {
    pub client: Client,
    pub process: ServerProcess,
    /// What is heard without having asked.
    pub notifications: mpsc::UnboundedReceiver<String>,
    /// Moves the bytes; ends with the connection, and ends it when it is dropped.
    pub task: AbortOnDropHandle<Result<(), Error>>,
}

impl Dial {
    /// A connection to the first host that takes us.
    pub async fn connect(&self) -> Result<Dialled, Error> {
        let end = Instant::now() + self.timeout;
        let addresses = match timeout(self.timeout, self.addresses()).await {
            Ok(addresses) => addresses?,
            Err(_) => return Err(self.silent("the name server", self.timeout).await),
        };
        let mut failed = None;
        let mut others = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            let time = end.saturating_duration_since(Instant::now()) / others;
            others -= 1;
            match timeout(time, self.session_at(&address)).await {
                Ok(Ok(dialled)) => return Ok(dialled),
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(self.silent(&address.to_string(), time).await),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Err(self.silent("database.url without a host", Duration::ZERO).await),
        }
    }

    /// Every address of every host, and why it does not take us. A standby is none of a failure: it may be the primary
    /// tomorrow.
    pub async fn try_each(&self) -> Vec<(String, Option<Error>)> {
        let (addresses, failed) = self.all_addresses().await;
        let mut tried = Vec::new();
        for name in failed {
            let host = name.host();
            tried.push((host, Some(name.into_library().await)));
        }
        let time = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        for address in addresses {
            let name = address.to_string();
            let error = match timeout(time, self.session_at(&address)).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => match DialError::of(&error) {
                    Some(DialError::Standby { .. }) => None,
                    _ => Some(error),
                },
                Err(_) => Some(self.silent(&name, time).await),
            };
            tried.push((name, error));
        }
        tried
    }

    /// How long an answer may take: as long as the server may work on it, and a little for the way.
    fn answer(&self) -> Duration {
        self.statement_timeout + ON_THE_WAY
    }

    async fn silent(&self, host: &str, time: Duration) -> Error {
        DialError::Silent { host: host.to_owned(), time }.into_library().await
    }

    /// All addresses of all hosts, in the order in which they are tried.
    async fn addresses(&self) -> Result<Vec<Address>, Error> {
        let (addresses, mut failed) = self.all_addresses().await;
        match failed.pop() {
            Some(failed) if addresses.is_empty() => Err(failed.into_library().await),
            _ => Ok(addresses),
        }
    }

    /// The same, and the hosts whose names lead nowhere.
    async fn all_addresses(&self) -> (Vec<Address>, Vec<DialError>) {
        let (hosts, ips) = (self.settings.get_hosts(), self.settings.get_hostaddrs());
        let ports = self.settings.get_ports();
        let is_random = self.settings.get_load_balance_hosts() == LoadBalanceHosts::Random;
        let mut order: Vec<usize> = (0..hosts.len().max(ips.len())).collect();
        if is_random {
            order.shuffle(&mut rand::rng());
        }
        let (mut addresses, mut failed) = (Vec::new(), Vec::new());
        for i in order {
            let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
            let name = match hosts.get(i) {
                Some(Host::Tcp(name)) => name.clone(),
                Some(Host::Unix(folder)) => {
                    addresses.push(Address::Unix(folder.join(format!(".s.PGSQL.{port}"))));
                    continue;
                }
                None => String::new(),
            };
            let found = match ips.get(i) {
                Some(ip) => Ok(vec![SocketAddr::from((*ip, port))]),
                None => tokio::net::lookup_host((name.as_str(), port)).await.map(Iterator::collect),
            };
            match found {
                Ok(mut found) => {
                    if is_random {
                        found.shuffle(&mut rand::rng());
                    }
                    let all = found.into_iter();
                    addresses.extend(all.map(|at| Address::Tcp { name: name.clone(), at }));
                }
                Err(source) => failed.push(DialError::Unreachable { host: name, source }),
            }
        }
        (addresses, failed)
    }

    async fn connect_to(&self, address: &Address) -> Result<Dialled, Error> {
        let stream = match address.open().await {
            Ok(stream) => stream,
            Err(source) => {
                let host = address.to_string();
                return Err(DialError::Unreachable { host, source }.into_library().await);
            }
        };
        let process = ServerProcess::default();
        let stream = AnswerDeadline::new(stream, self.answer(), process.clone());
        let name = match address {
            Address::Tcp { name, .. } => name,
            Address::Unix(_) => "",
        };
        let tls = DeadlineTls::new(&self.tls, name);
        let (client, connection) = self.settings_for(address).connect_raw(stream, tls).await?;
        let (heard, notifications) = mpsc::unbounded_channel();
        let task = AbortOnDropHandle::new(tokio::spawn(serve(connection, heard)));
        Ok(Dialled { client, process, notifications, task })
    }

    /// The settings with the password for this host.
    fn settings_for(&self, address: &Address) -> Cow<'_, Config> {
        let user = self.settings.get_user().unwrap_or_default();
        let database = self.settings.get_dbname().unwrap_or(user);
        let found = self.passwords.as_ref().and_then(|known| match address {
            Address::Tcp { name, at } => {
                let ip = at.ip().to_string();
                let host = if name.is_empty() { ip.as_str() } else { name.as_str() };
                known.find(&[host], at.port(), database, user)
            }
            Address::Unix(socket) => {
                let folder = socket.parent().and_then(Path::to_str).unwrap_or_default();
                let port = socket.extension().and_then(|port| port.to_str()?.parse().ok());
                known.find(&[folder, "localhost"], port.unwrap_or_default(), database, user)
            }
        });
        match found {
            Some(password) => {
                let mut settings = self.settings.clone();
                settings.password(password.expose_secret());
                Cow::Owned(settings)
            }
            None => Cow::Borrowed(&self.settings),
        }
    }

    /// A session of our own, with our settings.
    fn session_at<'a>(&'a self, address: &'a Address) -> Dialling<'a> {
        Box::pin(self.open_session_at(address))
    }

    async fn open_session_at(&self, address: &Address) -> Result<Dialled, Error> {
        let dialled = self.connect_to(address).await?;
        self.is_as_wanted(&dialled, address).await?;
        if !session_settings::is_direct(&dialled.client, dialled.process.id()).await? {
            let other = self.connect_to(address).await?;
            if session_settings::is_shared(&dialled.client, &other.client).await? {
                return Err(DialError::SharedSession.into_library().await);
            }
            if session_settings::is_marked(&dialled.client).await?
                || self.is_handed_on(other, address).await?
            {
                return Err(DialError::SessionNotReset.into_library().await);
            }
            // Whoever of us meets it again knows that it was not reset.
            session_settings::mark(&dialled.client).await?;
        }
        session_settings::apply(&dialled.client, &self.settings, self.statement_timeout).await?;
        Ok(dialled)
    }

    /// Whether whoever comes after us gets what we have set. A pooler mostly gives the session that was left last, or
    /// else the one that was left first; where there are more of them than we look at, a later connection finds out.
    async fn is_handed_on(&self, left: Dialled, address: &Address) -> Result<bool, Error> {
        let (mut left, mut seen) = (left, Vec::new());
        for _ in 0..LOOKS_FOR_A_MARK {
            session_settings::mark(&left.client).await?;
            seen.push(session_settings::server_process(&left.client).await?);
            drop(left);
            tokio::time::sleep(TO_BE_LEFT).await;
            left = self.connect_to(address).await?;
            if session_settings::is_marked(&left.client).await? {
                return Ok(true);
            }
            if seen.contains(&session_settings::server_process(&left.client).await?) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// `target_session_attrs` of the URL: a standby can only be read.
    async fn is_as_wanted(&self, dialled: &Dialled, address: &Address) -> Result<(), Error> {
        let wants_standby = match self.settings.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => false,
            TargetSessionAttrs::ReadOnly => true,
            _ => return Ok(()),
        };
        let rows = dialled.client.query_typed("select pg_catalog.pg_is_in_recovery()", &[]).await?;
        let is_standby = rows.first().map_or(Ok(false), |row| row.try_get::<_, bool>(0))?;
        if is_standby == wants_standby {
            return Ok(());
        }
        Err(DialError::Standby { host: address.to_string() }.into_library().await)
    }
}

type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Dialled, Error>> + Send + 'a>>;

/// Moves bytes until the connection ends.
async fn serve<S, T>(
    mut connection: Connection<S, T>,
    heard: mpsc::UnboundedSender<String>,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(ring))) => {
                // Whoever does not listen does not look.
                let _ = heard.send(ring.payload().to_owned());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error),
            None => return Ok(()),
        }
    }
}

/// Whether a connection ended because an answer did not come.
pub fn no_answer(error: &Error) -> Option<NoAnswer> {
    carried(error).copied()
}

/// Where one server may be.
enum Address {
    Tcp { name: String, at: SocketAddr },
    Unix(std::path::PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { name, at } if name.is_empty() || *name == at.ip().to_string() => {
                at.fmt(f)
            }
            Address::Tcp { name, at } => write!(f, "{name} ({at})"),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Address {
    async fn open(&self) -> io::Result<Socket> {
        match self {
            Address::Unix(path) => Socket::unix(path).await,
            Address::Tcp { at, .. } => Socket::tcp(*at).await,
        }
    }
}
