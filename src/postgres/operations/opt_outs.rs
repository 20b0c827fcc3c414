//! Phones that must not be written to, as `rowbell opt-out` changes and lists them.

use jiff::Timestamp;
use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray};
use tokio_postgres::{Client, Error, GenericClient};

use crate::domain::recipient::phone_forms::forms;
use crate::postgres::connection::statement::{FromRows, array, row, text};
use crate::postgres::connection::word::word;

/// Phones that one statement of `each` reads.
const PAGE: i64 = 1_000;

row! {
    /// One phone that must not be written to.
    #[derive(Clone)]
    pub struct OptOut {
        /// International digits.
        pub phone: String,
        pub since: Timestamp,
        pub reason: Option<String>,
        pub source: OptOutSource = word,
    }
}

/// Who said so. The words are those of `rowbell.opt_out_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum OptOutSource {
    /// The customer wrote it to us.
    Inbound,
    Operator,
    Import,
    /// WhatsApp refused a message because of it.
    Provider,
}

/// A phone, and why.
#[derive(Clone)]
pub struct OptOutEntry {
    pub phone: String,
    pub reason: Option<String>,
}

/// Adds phones in one statement; gives how many are new.
pub async fn add(
    client: &impl GenericClient,
    requests: &[OptOutEntry],
    source: OptOutSource,
    now: Timestamp,
) -> Result<usize, Error> {
    let phones = array(requests, |request| request.phone.as_str());
    let reasons = array(requests, |request| request.reason.as_deref());
    let query = text!("operations/opt_out_add");
    let added = client.query(query, &[&phones, &reasons, &source.into_str(), &now]).await?;
    Ok(added.len())
}

/// Removes a phone in every form in which it may stand; says whether it was there.
pub async fn remove(client: &Client, phone: &str) -> Result<bool, Error> {
    let query = text!("operations/opt_out_remove");
    Ok(!client.query(query, &[&forms(phone)]).await?.is_empty())
}

/// The next page of phones after `above`.
pub async fn page(client: &Client, above: &str) -> Result<Vec<OptOut>, Error> {
    let query = text!("operations/opt_out_list");
    FromRows::from_rows(&client.query(query, &[&above, &PAGE]).await?)
}
