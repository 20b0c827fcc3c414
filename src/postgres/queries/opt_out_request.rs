//! The queries of what customers write.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

/// What one phone wishes, and since when.
#[derive(Clone)]
pub struct PhoneOptRequest {
    pub phone: String,
    pub is_stop: bool,
    pub requested_at: Timestamp,
}

/// Takes wishes, each phone once; gives how many newly stop and how many newly start.
pub async fn opt_out_request_take(
    tx: &Transaction<'_>,
    requests: &[PhoneOptRequest],
) -> Result<(i64, i64), Error> {
    let phones: Vec<&str> = requests.iter().map(|request| request.phone.as_str()).collect();
    let blockers: Vec<bool> = requests.iter().map(|request| request.is_stop).collect();
    let times: Vec<Timestamp> = requests.iter().map(|request| request.requested_at).collect();
    let rows = named!(tx, "receive/opt_out_request_take", &[&phones, &blockers, &times])?;
    Ok((rows[0].try_get("stopped")?, rows[0].try_get("started")?))
}
