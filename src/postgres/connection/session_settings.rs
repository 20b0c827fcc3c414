//! What a session of ours is set to, whatever the role, the database and the server say: everything that decides
//! whether our statements work and what they mean.
//!
//! It is set once the connection is there, because poolers do not let `options` through. It needs a session of our
//! own: where a pooler lends us another one for each transaction, our settings would reach the sessions of others, and
//! theirs us.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, Row};

use crate::postgres::connection::statement::text;

/// Our tables are empty at one moment and hold a million rows at the next, and a plan is kept for the
/// life of a connection: a scan that was right for ten rows would stay. So our sessions go by index,
/// in the order of the index. `jit` would be switched on by the costs that this pretends. A plan is made once: what it
/// could learn from parameters is nothing, and making it anew costs up to 9 µs a message.
const PLANS: [(&str, &str); 12] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_indexscan", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_nestloop", "on"),
    ("enable_sort", "on"),
    ("enable_hashagg", "on"),
    ("enable_material", "on"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// How transactions behave, and when they end.
const TRANSACTIONS: [(&str, &str); 7] = [
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
];

/// What values look like as text, and how texts are read. The triggers write values in the same forms.
pub const FORMS: [(&str, &str); 12] = [
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("xmlbinary", "base64"),
    ("xmloption", "content"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("standard_conforming_strings", "on"),
    ("quote_all_identifiers", "off"),
    ("client_min_messages", "warning"),
];

/// What may be read. A row that is hidden is an error: it must not look as if it were gone.
const READING: [(&str, &str); 2] =
    [("row_security", "off"), ("restrict_nonsystem_relation_kind", "")];

/// Whether we speak with the server process that we were promised: a pooler makes up a number.
pub async fn is_direct(client: &Client, promised_process: i32) -> Result<bool, Error> {
    Ok(server_process(client).await? == promised_process)
}

/// How often two connections are compared.
const LOOKS: usize = 4;

/// Whether two connections that go through a pooler share server sessions: one of them finds itself in another one, or
/// in that of the other. With sessions of their own neither can happen.
pub async fn is_shared(one: &Client, other: &Client) -> Result<bool, Error> {
    let first = server_process(one).await?;
    for _ in 0..LOOKS {
        if server_process(other).await? == first || server_process(one).await? != first {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What we leave in a session that a pooler lends us. It is gone when the session is reset.
const MARK: &str = "used by rowbell";

/// Leaves a mark in a session.
pub async fn mark(client: &Client) -> Result<(), Error> {
    let sql = "select pg_catalog.set_config('rowbell.mark', $1, false)";
    ask(client, sql, &[(&MARK as _, Type::TEXT)]).await.map(drop)
}

/// Whether we were here before, and nobody has reset the session since.
pub async fn is_marked(client: &Client) -> Result<bool, Error> {
    let read = "select pg_catalog.current_setting('rowbell.mark', true)";
    let rows = ask(client, read, &[]).await?;
    let found: Option<String> = rows.first().map_or(Ok(None), |row| row.try_get(0))?;
    Ok(found.as_deref() == Some(MARK))
}

/// The server process that answers, which may be another one than we were told.
pub async fn server_process(client: &Client) -> Result<i32, Error> {
    let rows = ask(client, "select pg_catalog.pg_backend_pid()", &[]).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

/// Asks before anything is set.
async fn ask(
    client: &Client,
    sql: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, Error> {
    let mut tries = TRIES;
    loop {
        match client.query_typed(sql, parameters).await {
            Err(error) if may_try_again(&error, &mut tries) => {}
            answered => return answered,
        }
    }
}

/// How often a statement is tried that takes less than a millisecond on a calm machine.
const TRIES: usize = 100;

/// The role's own statement_timeout still holds at first, and it may be tiny.
fn may_try_again(error: &Error, tries: &mut usize) -> bool {
    *tries = tries.saturating_sub(1);
    *tries > 0 && error.code() == Some(&SqlState::QUERY_CANCELED)
}

async fn limit_statements(client: &Client, time: Duration) -> Result<(), Error> {
    let limit = format!("set statement_timeout = {}", time.as_millis());
    let mut tries = TRIES;
    loop {
        match client.batch_execute(&limit).await {
            Err(error) if may_try_again(&error, &mut tries) => {}
            done => return done,
        }
    }
}

/// Sets everything. What `options` of the URL say about reading rows holds: see `database.url` of the settings.
pub async fn apply(
    client: &Client,
    url: &Config,
    statement_timeout: Duration,
) -> Result<(), Error> {
    let options = url.get_options().unwrap_or_default();
    limit_statements(client, statement_timeout).await?;
    let all = PLANS.into_iter().chain(TRANSACTIONS).chain(FORMS).chain(READING);
    let all = all.filter(|(name, _)| !(*name == "row_security" && options.contains(name)));
    let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (names, values): (Vec<String>, Vec<String>) = all.unzip();
    let parameters = [(&names as _, Type::TEXT_ARRAY), (&values as _, Type::TEXT_ARRAY)];
    client.query_typed(text!("connection/session_settings"), &parameters).await?;
    Ok(())
}
