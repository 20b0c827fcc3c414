//! Who keeps a change of tables from its lock. We wait for a few seconds only, since everybody else waits behind us;
//! then a person has to know whom to speak to.

use std::fmt;

use tokio_postgres::Client;

use crate::postgres::connection::statement::text;

/// A change of tables waits for each lock this long.
pub const LOCK_TIMEOUT: &str = "set local lock_timeout = '3s'";

/// A session that holds locks.
#[derive(Debug, PartialEq, Eq)]
struct BlockingSession {
    process: i32,
    application: String,
    role: String,
    /// When its transaction and its last statement began; None: not ours to see.
    since: Option<String>,
    query_since: Option<String>,
}

/// Those that hold the locks, the longest transaction first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BlockingSessions(Vec<BlockingSession>);

impl BlockingSessions {
    /// On these tables; None: on those of rowbell.
    pub async fn on(client: &Client, tables: Option<&[u32]>) -> BlockingSessions {
        // Whoever cannot be asked who it is hears that much.
        let rows = client.query(text!("connection/blocking_sessions"), &[&tables]).await;
        let sessions = rows.unwrap_or_default().into_iter().map(|row| BlockingSession {
            process: row.get("pid"),
            application: row.get("application"),
            role: row.get("role"),
            since: row.get("since"),
            query_since: row.get("query_since"),
        });
        BlockingSessions(sessions.collect())
    }
}

impl fmt::Display for BlockingSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lock was held for more than 3 seconds by ")?;
        let Some(first) = self.0.first() else {
            return f.write_str(
                "a session that has ended since, or by a prepared transaction (select * from pg_prepared_xacts); \
                 try again",
            );
        };
        for (place, session) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(", and by ")?;
            }
            let BlockingSession { process, application, role, .. } = session;
            write!(f, "process {process} (application \"{application}\", role {role}")?;
            match (&session.since, &session.query_since) {
                (Some(since), Some(query)) => {
                    write!(f, ", in a transaction since {since}, its last query since {query})")?;
                }
                _ => f.write_str("; since when, only a member of pg_read_all_stats may see)")?,
            }
        }
        write!(
            f,
            "; let it end, or end it with `select pg_terminate_backend({})`, and try again",
            first.process
        )
    }
}
