//! Who types a command, for the record of what people decided.

use std::env;

use tokio_postgres::Client;

use crate::cli::error::CliError;
use crate::clock::Clock;
use crate::domain::person_act::{PersonActKind, PersonActWay};
use crate::postgres::operations::person_acts::{self, ActSubject, ActingPerson, PersonAct};

/// The user of the database, and that of the operating system as they say they are: the one before sudo.
pub async fn acting(client: &Client) -> Result<ActingPerson, CliError> {
    let row = client.query_one("select session_user::text", &[]).await;
    let by = row.and_then(|row| row.try_get(0)).map_err(anyhow::Error::from)?;
    let named = |name: &str| env::var(name).ok().filter(|user| !user.is_empty());
    let os_user = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(named);
    Ok(ActingPerson { by, os_user, way: PersonActWay::Command })
}

/// Notes what a command did with something that is neither a hold nor a message.
pub async fn note(
    client: &Client,
    kind: PersonActKind,
    subject: ActSubject<'_>,
    (messages, reason): (i64, Option<&str>),
) -> Result<(), CliError> {
    let who = acting(client).await?;
    let act = PersonAct { who: &who, kind, reason };
    let noted = person_acts::record(client, act, subject, messages, Clock::system().now()).await;
    noted.map_err(anyhow::Error::from).map_err(CliError::from)
}
