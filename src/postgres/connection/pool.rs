//! Connections: what the URL says, with our timeouts, our name, and TLS where the server has it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Connect, Hook, HookError, Manager, ManagerConfig, PoolBuilder, PoolError, QueueMode,
    RecyclingMethod, Runtime,
};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;

use crate::config::Database;
use crate::config::secret::{self, SecretError};
use crate::config::server_address::password_file::{PasswordFileError, Passwords};
use crate::config::server_address::server_address::{AddressError, ServerAddress};
use crate::error_chain::chain;
use crate::postgres::connection::dial::{self, Dial, DialError, Dialled};
use crate::postgres::connection::tls::{self, TlsError};

pub use deadpool_postgres::{Client, Pool};

/// Why the database cannot be used. Never holds the password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("database.url is not a PostgreSQL URL such as postgresql://rowbell@host/database")]
    Url(#[source] tokio_postgres::Error),
    #[error("could not read database.password_file = \"{path}\"")]
    PasswordFile { path: String, source: std::io::Error },
    #[error("database.url")]
    Address(#[from] AddressError),
    #[error("passwords of the database")]
    Passwords(#[from] PasswordFileError),
    #[error("database.password_file")]
    Exposed(#[source] SecretError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("could not build the connection pool")]
    Build(#[from] deadpool_postgres::BuildError),
    #[error("could not connect to the database of database.url: {hint}")]
    Connect { hint: &'static str, source: PoolError },
}

impl DatabaseError {
    /// Whether a server is there and does not want us, or we do not want it: user, password or database are wrong, a
    /// right is missing, or sessions are not our own.
    pub fn is_refusal(&self) -> bool {
        let DatabaseError::Connect { source: PoolError::Backend(error), .. } = self else {
            return false;
        };
        if let Some(
            DialError::SharedSession | DialError::SessionNotReset | DialError::Standby { .. },
        ) = DialError::of(error)
        {
            return true;
        }
        let code = error.code().map_or("", tokio_postgres::error::SqlState::code);
        ["28", "3D", "42"].iter().any(|class| code.starts_with(class))
    }
}

/// A running daemon, as leases and other daemons know it: new at every start, so that nobody inherits
/// what it had.
#[derive(Clone, Copy, Debug)]
pub struct Instance(u64);

/// The first key of the advisory locks that show which instances are connected.
const PRESENT: i32 = 0x726f_7762;

/// How long a transaction of a daemon may stand still. One that is frozen must not keep what it has locked.
const IDLE_IN_TRANSACTION: &str = "15s";

impl Instance {
    pub fn new() -> Instance {
        Instance(rand::random())
    }

    /// The second key: the first eight digits.
    fn key(self) -> i32 {
        ((self.0 >> 32) as u32).cast_signed()
    }
}

impl Default for Instance {
    fn default() -> Instance {
        Instance::new()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A pool of a daemon. As long as one of its sessions is connected, others see that it is there.
pub fn connect_as(database: &Database, instance: Instance) -> Result<Pool, DatabaseError> {
    let present = format!(
        "select pg_advisory_lock_shared({PRESENT}, {}); set idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION}'",
        instance.key()
    );
    let hook = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        let present = present.clone();
        Box::pin(async move { client.batch_execute(&present).await.map_err(HookError::Backend) })
    });
    Ok(builder(database)?.post_create(hook).build()?)
}

/// A pool over the database of the configuration. Connects only when a connection is asked for.
pub fn connect(database: &Database) -> Result<Pool, DatabaseError> {
    Ok(builder(database)?.build()?)
}

/// What a session says whose outcomes are noted for the application; see sql/migrations/09_outcome_hook.sql.
const NOTES_OUTCOMES: &str = "set rowbell.outcomes = 'on'";

fn builder(database: &Database) -> Result<PoolBuilder, DatabaseError> {
    let dial = dial(database)?;
    let settings = dial.settings.clone();
    let lost = Arc::new(Lost::default());
    let connector = Connector { dial, lost: lost.clone() };
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let trust = Hook::sync_fn(move |_, metrics: &deadpool_postgres::Metrics| {
        match lost.is_trusted(metrics.created) {
            true => Ok(()),
            false => Err(HookError::message("another connection of that time was lost")),
        }
    });
    let notes_outcomes = database.notes_outcomes;
    let noted = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
        Box::pin(async move {
            if notes_outcomes {
                client.batch_execute(NOTES_OUTCOMES).await.map_err(HookError::Backend)?;
            }
            Ok(())
        })
    });
    Ok(Pool::builder(Manager::from_connect(settings, connector, recycling))
        .max_size(database.pool_size)
        // The connection used last knows the statements already.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(database.connect_timeout + Duration::from_secs(25)))
        // The hosts have shared the time of connecting; this is for what comes after it.
        .create_timeout(Some(database.connect_timeout + Duration::from_secs(1)))
        .pre_recycle(trust)
        .post_create(noted)
        .runtime(Runtime::Tokio1))
}

/// Makes the connections of a pool.
struct Connector {
    dial: Dial,
    lost: Arc<Lost>,
}

type Connecting<'a> = Pin<
    Box<
        dyn Future<Output = Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>>
            + Send
            + 'a,
    >,
>;

impl Connect for Connector {
    fn connect(&self, _: &tokio_postgres::Config) -> Connecting<'_> {
        Box::pin(async {
            let Dialled { client, task, .. } = self.dial.connect().await?;
            let lost = self.lost.clone();
            let ended = async move {
                match task.await {
                    Ok(Err(error)) if dial::no_answer(&error).is_some() => lost.add(&error),
                    Ok(Err(error)) => {
                        tracing::debug!(error = %chain(&error), "a database connection ended");
                    }
                    _ => {}
                }
            };
            Ok((client, tokio::spawn(ended)))
        })
    }
}

/// When a connection was last given up for want of an answer. Those that are as old are not used again: what has cut
/// one off has mostly cut off all, and each would cost its user the whole wait.
#[derive(Debug, Default)]
struct Lost(Mutex<Option<Instant>>);

/// Losses that follow each other within this time are told once.
const SAME_LOSS: Duration = Duration::from_secs(60);

impl Lost {
    fn add(&self, error: &tokio_postgres::Error) {
        let now = Instant::now();
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        if before.is_none_or(|before| now.duration_since(before) > SAME_LOSS) {
            tracing::warn!(
                error = %chain(error),
                "a database connection was lost without a word; connecting again"
            );
        }
    }

    fn is_trusted(&self, created: Instant) -> bool {
        let lost = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_none_or(|lost| created > lost)
    }
}

/// A connection; an error says what a person can do about it.
pub async fn get(pool: &Pool) -> Result<Client, DatabaseError> {
    pool.get().await.map_err(|source| DatabaseError::Connect { hint: hint(&source), source })
}

const IN_NO_TIME: &str =
    "no connection came in time; is the server up, and database.connect_timeout long enough?";

fn hint(error: &PoolError) -> &'static str {
    let (PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) = error
    else {
        return IN_NO_TIME;
    };
    match DialError::of(error) {
        Some(DialError::Silent { .. }) => return IN_NO_TIME,
        Some(DialError::SharedSession) => {
            return "rowbell needs sessions of its own; give database.url a direct connection, or set pool_mode = session";
        }
        Some(DialError::SessionNotReset) => {
            return "others would get what rowbell sets; give database.url a direct connection, or leave server_reset_query of PgBouncer at DISCARD ALL";
        }
        Some(DialError::Standby { .. }) => {
            return "target_session_attrs in database.url asks for another kind of server";
        }
        Some(DialError::Unreachable { .. }) | None => {}
    }
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("28P01" | "28000") => {
            "check user and password (database.url, database.password_file, pg_hba.conf)"
        }
        Some("3D000") => "that database does not exist; check its name in database.url",
        Some("53300") => {
            "the server has no connection left; raise max_connections or lower database.pool_size"
        }
        Some("57P03") => "the server is starting or stopping; try again",
        Some(_) => "the server refused",
        // The library tells its kinds of errors apart in words only.
        None if error.to_string().contains("TLS") => {
            "check sslmode in database.url, and database.ca_file"
        }
        None => "is the server running, and do host and port in database.url fit?",
    }
}

/// How to connect to the database of the configuration.
pub fn dial(database: &Database) -> Result<Dial, DatabaseError> {
    let address = ServerAddress::of(&database.url)?;
    let settings = settings(database, &address)?;
    let passwords = match settings.get_password() {
        Some(_) => None,
        None => passwords(&address)?.map(Arc::new),
    };
    Ok(Dial {
        settings,
        tls: tls::connector(database, &address)?,
        passwords,
        timeout: database.connect_timeout,
        statement_timeout: database.statement_timeout,
    })
}

/// The file of passwords that was named, else the user's own. As for libpq, one that is not named counts only if nobody
/// else can reach it.
fn passwords(address: &ServerAddress) -> Result<Option<Passwords>, DatabaseError> {
    match Passwords::read(address.passfile.as_deref()) {
        Err(error @ PasswordFileError::Exposed { .. }) if address.passfile.is_none() => {
            tracing::warn!(error = %chain(&error), "the file of passwords is passed over");
            Ok(None)
        }
        read => Ok(read?),
    }
}

/// The URL with what the configuration adds to it.
fn settings(
    database: &Database,
    address: &ServerAddress,
) -> Result<tokio_postgres::Config, DatabaseError> {
    let mut settings: tokio_postgres::Config = address.text.parse().map_err(DatabaseError::Url)?;
    if let Some(path) = &database.password_file {
        secret::refuse_exposed(path).map_err(DatabaseError::Exposed)?;
        let password = std::fs::read_to_string(path).map_err(|source| {
            DatabaseError::PasswordFile { path: path.display().to_string(), source }
        })?;
        settings.password(password.trim_end_matches(['\r', '\n']));
    }
    if database.ca_file.is_some() {
        // Without this a server that offers no TLS would be spoken to in the clear.
        settings.ssl_mode(SslMode::Require);
    }
    if settings.get_application_name().is_none() {
        settings.application_name("rowbell");
    }
    Ok(settings)
}
