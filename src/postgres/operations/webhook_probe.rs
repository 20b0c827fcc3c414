//! What `rowbell webhook test` asks the database.

use tokio_postgres::{Client, Error};

use crate::domain::recipient::phone_forms::{forms, key};

/// What forbids a test message to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objections {
    pub is_opted_out: bool,
    /// A request to that phone is without answer: evidence about the two could be confused.
    pub is_unconfirmed: bool,
}

pub async fn objections(client: &Client, phone: &str) -> Result<Objections, Error> {
    let query = include_str!("../../../sql/queries/webhook_probe/webhook_probe_may.sql");
    let row = client.query_one(query, &[&forms(phone), &key(phone)]).await?;
    Ok(Objections {
        is_opted_out: row.try_get("is_opted_out")?,
        is_unconfirmed: row.try_get("is_unconfirmed")?,
    })
}

/// Whether the webhook stored a receipt for this id.
pub async fn is_stored(client: &Client, id: &str) -> Result<bool, Error> {
    let query = include_str!("../../../sql/queries/webhook_probe/webhook_probe_find.sql");
    client.query_one(query, &[&id]).await?.try_get("is_stored")
}

/// Takes away what a test left.
pub async fn forget(client: &Client, id: &str) -> Result<(), Error> {
    client
        .execute(
            include_str!("../../../sql/queries/webhook_probe/webhook_probe_forget.sql"),
            &[&id],
        )
        .await
        .map(drop)
}
