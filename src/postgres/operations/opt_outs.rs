//! Phones that must not be written to, as `rowbell opt-out` changes and lists them.

use jiff::Timestamp;
use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray};
use tokio_postgres::types::ToSql;
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
        /// The watch that it is about; empty: all of them.
        pub scope: String,
        pub since: Timestamp,
        pub reason: Option<String>,
        pub source: OptOutSource = word,
        /// From where it came.
        pub origin: Option<String>,
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

/// Of what many opt-outs are: who said so, from where it came, and the watch that they are about; empty: all.
#[derive(Clone, Copy, Debug)]
pub struct OptOutGround<'a> {
    pub source: OptOutSource,
    pub origin: Option<&'a str>,
    pub scope: &'a str,
}

/// Adds phones in one statement; gives how many are new.
pub async fn add(
    client: &impl GenericClient,
    requests: &[OptOutEntry],
    ground: OptOutGround<'_>,
    now: Timestamp,
) -> Result<usize, Error> {
    let OptOutGround { source, origin, scope } = ground;
    let phones = array(requests, |request| request.phone.as_str());
    let reasons = array(requests, |request| request.reason.as_deref());
    let query = text!("operations/opt_out_add");
    let params: &[&(dyn ToSql + Sync)] =
        &[&phones, &reasons, &source.into_str(), &now, &scope, &origin];
    Ok(client.query(query, params).await?.len())
}

/// Removes a phone in every form in which it may stand, on behalf of an operator; says whether it was there, and the
/// watches that it is still not told of.
pub async fn remove(
    client: &mut Client,
    phone: &str,
    scope: &str,
) -> Result<(bool, Vec<String>), Error> {
    let tx = client.transaction().await?;
    tx.batch_execute("set local rowbell.opt_in_source = 'operator'").await?;
    let row = tx.query_one(text!("operations/opt_out_remove"), &[&forms(phone), &scope]).await?;
    let found = (row.try_get::<_, i64>("removed")? > 0, row.try_get("others")?);
    tx.commit().await?;
    Ok(found)
}

/// What a phone, in any of these forms, must not be told of.
pub async fn of(client: &Client, forms: &[String]) -> Result<Vec<OptOut>, Error> {
    FromRows::from_rows(&client.query(text!("operations/opt_out_of"), &[&forms]).await?)
}

/// The next page of opt-outs after a phone and scope.
pub async fn page(client: &Client, phone: &str, scope: &str) -> Result<Vec<OptOut>, Error> {
    let query = text!("operations/opt_out_list");
    FromRows::from_rows(&client.query(query, &[&phone, &scope, &PAGE]).await?)
}
