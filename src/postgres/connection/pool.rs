//! Connections: what the URL says, with our timeouts, our name, and TLS where the server has it.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, PoolBuilder, PoolError, QueueMode, RecyclingMethod,
    Runtime,
};
use tokio_postgres::config::SslMode;

use crate::config::Database;
use crate::postgres::connection::tls::{self, TlsError};

pub use deadpool_postgres::{Client, Pool};

/// Why the database cannot be used. Never holds the password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("database.url is not a PostgreSQL URL such as postgresql://rowbell@host/database")]
    Url(#[source] tokio_postgres::Error),
    #[error("could not read database.password_file = \"{path}\"")]
    PasswordFile { path: String, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("could not build the connection pool")]
    Build(#[from] deadpool_postgres::BuildError),
    #[error("could not connect to the database of database.url: {hint}")]
    Connect { hint: &'static str, source: PoolError },
}

impl DatabaseError {
    /// Whether a server is there and does not want us: user, password or database are wrong, or a right is missing.
    pub fn is_refusal(&self) -> bool {
        let DatabaseError::Connect { source: PoolError::Backend(error), .. } = self else {
            return false;
        };
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

fn builder(database: &Database) -> Result<PoolBuilder, DatabaseError> {
    let manager = Manager::from_config(
        settings(database)?,
        tls::connector(database)?,
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    Ok(Pool::builder(manager)
        .max_size(database.pool_size)
        // The connection used last knows the statements already.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(database.connect_timeout + Duration::from_secs(25)))
        .create_timeout(Some(database.connect_timeout))
        .runtime(Runtime::Tokio1))
}

/// A connection; an error says what a person can do about it.
pub async fn get(pool: &Pool) -> Result<Client, DatabaseError> {
    pool.get().await.map_err(|source| DatabaseError::Connect { hint: hint(&source), source })
}

fn hint(error: &PoolError) -> &'static str {
    let PoolError::Backend(error) = error else {
        return "no connection came in time; is the server up, and database.connect_timeout long enough?";
    };
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

/// Our tables are empty at one moment and hold a million rows at the next, and a plan is kept for the
/// life of a connection: a scan that was right for ten rows would stay. So our sessions go by index,
/// in the order of the index. `jit` would be switched on by the costs that this pretends.
const PLANS: &str = "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off \
                     -c enable_mergejoin=off -c jit=off";

/// The URL with everything that we add to it.
pub fn settings(database: &Database) -> Result<tokio_postgres::Config, DatabaseError> {
    let mut settings: tokio_postgres::Config = database.url.parse().map_err(DatabaseError::Url)?;
    if let Some(path) = &database.password_file {
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
    let timeout = database.statement_timeout.as_millis();
    let ours = format!("-c statement_timeout={timeout} {PLANS}");
    let options = settings.get_options().map_or(ours.clone(), |own| format!("{ours} {own}"));
    settings.options(options);
    settings.connect_timeout(database.connect_timeout);
    settings.keepalives_idle(Duration::from_secs(30));
    settings.keepalives_interval(Duration::from_secs(10));
    settings.keepalives_retries(3);
    settings.tcp_user_timeout(Duration::from_secs(60));
    Ok(settings)
}
