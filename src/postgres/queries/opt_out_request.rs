//! The queries of what customers write.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

/// What one phone wishes, and since when.
#[derive(Clone)]
pub struct PhoneWish {
    pub phone: String,
    pub is_stop: bool,
    pub wished_at: Timestamp,
}

/// Takes wishes, each phone once; gives how many newly stop and how many newly start.
pub async fn inbound_take(tx: &Transaction<'_>, wishes: &[PhoneWish]) -> Result<(i64, i64), Error> {
    let phones: Vec<&str> = wishes.iter().map(|wish| wish.phone.as_str()).collect();
    let stops: Vec<bool> = wishes.iter().map(|wish| wish.is_stop).collect();
    let times: Vec<Timestamp> = wishes.iter().map(|wish| wish.wished_at).collect();
    let rows = named!(tx, "receive/inbound_take", &[&phones, &stops, &times])?;
    Ok((rows[0].try_get("stopped")?, rows[0].try_get("started")?))
}
