//! The queries of what customers write.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::postgres::connection::statement::{array, named};

/// What one phone requests, and since when.
#[derive(Clone)]
pub struct PhoneOptRequest {
    pub phone: String,
    pub is_stop: bool,
    pub requested_at: Timestamp,
}

/// Writes requests that came from there, each phone once; gives how many newly opt out and how many newly opt in.
pub async fn opt_out_request_take(
    tx: &Transaction<'_>,
    requests: &[PhoneOptRequest],
    origin: &str,
) -> Result<(i64, i64), Error> {
    let phones = array(requests, |request| request.phone.as_str());
    let opt_outs = array(requests, |request| request.is_stop);
    let times = array(requests, |request| request.requested_at);
    let rows = named!(tx, "receive/opt_out_request_take", &[&phones, &opt_outs, &times, &origin])?;
    Ok((rows[0].try_get("opted_out")?, rows[0].try_get("opted_in")?))
}
