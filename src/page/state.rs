//! What all views of the page share.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Client;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Database};
use crate::page::figures::read_figures::ReadFigures;
use crate::page::login_guard::LoginGuard;
use crate::page::now::snapshot::LatestSnapshot;
use crate::page::session::SessionKeys;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::connection::pool::{self, DatabaseError, Pool};

/// Sessions of the page at the database. They are its own, so that whoever looks never waits for those who send, and
/// those who send never for whoever looks.
const CONNECTIONS: usize = 2;

/// How long the database may work on one question of the page.
const STATEMENT: Duration = Duration::from_secs(10);

/// Browsers that are kept up to date at once. More of them see the page as it was when it was loaded.
const LIVE_AT_ONCE: usize = 24;

/// The page of one daemon.
pub struct PageState {
    pub context: Arc<Context>,
    pub keys: SessionKeys,
    pub logins: LoginGuard,
    pub latest: Mutex<LatestSnapshot>,
    pub figures: Mutex<Option<Arc<ReadFigures>>>,
    pub live: Arc<Semaphore>,
    /// Ends what is kept up to date.
    pub stop: CancellationToken,
    pool: Pool,
}

impl PageState {
    pub fn new(context: Arc<Context>, keys: SessionKeys) -> Result<PageState, DatabaseError> {
        let database = &context.config.database;
        let database = Database {
            pool_size: CONNECTIONS,
            statement_timeout: database.statement_timeout.min(STATEMENT),
            ..database.clone()
        };
        Ok(PageState {
            pool: pool::connect(&database)?,
            context,
            keys,
            logins: LoginGuard::default(),
            latest: Mutex::default(),
            figures: Mutex::default(),
            live: Arc::new(Semaphore::new(LIVE_AT_ONCE)),
            stop: CancellationToken::new(),
        })
    }

    pub fn config(&self) -> &Config {
        &self.context.config
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    pub async fn database(&self) -> Result<Client, StageError> {
        Ok(self.pool.get().await?)
    }
}
