//! What `rowbell webhook test` asks the database.

use tokio_postgres::{Client, Error};

use crate::domain::recipient::phone_forms::{forms, key};
use crate::postgres::connection::statement::{FromRow, row, text};

row! {
    /// What forbids a test message to a phone.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Objections {
        pub is_opted_out: bool,
        /// A request to that phone is without answer: evidence about the two could be confused.
        pub is_unconfirmed: bool,
    }
}

pub async fn objections(client: &Client, phone: &str) -> Result<Objections, Error> {
    let query = text!("webhook_probe/webhook_probe_may");
    let row = client.query_one(query, &[&forms(phone), &key(phone)]).await?;
    Objections::from_row(&row)
}

/// Whether the webhook stored a receipt for this id.
pub async fn is_stored(client: &Client, id: &str) -> Result<bool, Error> {
    let query = text!("webhook_probe/webhook_probe_find");
    client.query_one(query, &[&id]).await?.try_get("is_stored")
}

/// Takes away what a test left.
pub async fn forget(client: &Client, id: &str) -> Result<(), Error> {
    client.execute(text!("webhook_probe/webhook_probe_forget"), &[&id]).await.map(drop)
}
