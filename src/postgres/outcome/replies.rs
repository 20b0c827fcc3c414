//! The queries of what customers answer.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::domain::reply::Reply;
use crate::postgres::connection::statement::{FromRows, array, named, statements};

/// Stores replies that came in on a channel; gives how many are new.
pub async fn reply_take(
    tx: &Transaction<'_>,
    channel: &str,
    replies: &[Reply],
    now: Timestamp,
) -> Result<usize, Error> {
    let ids = array(replies, |reply| reply.id.as_str());
    let contexts = array(replies, |reply| reply.context_id.as_str());
    let kinds = array(replies, |reply| reply.kind.into_str());
    let phones = array(replies, |reply| reply.phone.as_str());
    let bodies = array(replies, |reply| reply.body.as_deref());
    let payloads = array(replies, |reply| reply.payload.as_deref());
    let times = array(replies, |reply| reply.written_at);
    let rows = named!(
        tx,
        "reply/reply_take",
        &[&ids, &contexts, &kinds, &phones, &bodies, &payloads, &times, &channel, &now]
    )?;
    FromRows::from_rows(&rows)
}

statements! {
    /// Joins replies to messages that have learned their ids since; gives how many.
    reply_join(tx: &Transaction<'_>)
        -> usize = "reply/reply_join";

    /// Removes replies to nothing of ours.
    reply_drop(tx: &Transaction<'_>, before: Timestamp)
        -> usize = "reply/reply_drop";

    /// Removes the words of old replies.
    reply_redact(tx: &Transaction<'_>, before: Timestamp, count: i64)
        -> usize = "reply/reply_redact";

    forget_replies(tx: &Transaction<'_>, forms: &[String])
        -> usize = "forget/forget_replies";
}
