//! `rowbell outgoing`: endpoints of the application to which outcomes are posted; how they stand, and what they are told
//! again.

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::Timestamp;

use crate::cli::confirm::agreed;
use crate::cli::connection::connect;
use crate::cli::control::retry::time_of;
use crate::cli::error::CliError;
use crate::cli::text::{age, count, table};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::limit::endpoint_circuit::DeliveryResult;
use crate::finding::hint;
use crate::postgres::outcome::outgoing_deliveries::{self, EndpointStatus, Redelivery};
use crate::provider::outgoing_webhook::endpoint::Endpoint;
use crate::provider::outgoing_webhook::event;

#[derive(Debug, Subcommand)]
pub enum OutgoingCommand {
    /// Show the endpoints, and what each has not taken yet; changes nothing.
    List {
        /// One JSON list instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Post a signed event that tells nothing (rowbell.test) to an endpoint, and show what it answers.
    Test {
        /// The endpoint, as in the configuration.
        endpoint: String,
    },
    /// Let an endpoint that rests, or answered 410, be told at once what waits for it.
    Resume {
        /// The endpoint, as in the configuration.
        endpoint: String,
    },
    /// Tell an endpoint again what it was told, or what was given up, after showing how much.
    Redeliver(RedeliverArgs),
}

#[derive(Debug, Args)]
pub struct RedeliverArgs {
    /// The endpoint, as in the configuration.
    endpoint: String,
    /// Outcomes stored since then: a time such as 2026-06-24T09:00Z, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME", required_unless_present_any = ["message", "given_up"])]
    since: Option<String>,
    /// Outcomes of this message.
    #[arg(long, value_name = "MESSAGE_ID")]
    message: Option<i64>,
    /// Only what was given up.
    #[arg(long)]
    given_up: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl OutgoingCommand {
    /// Whether it posts.
    pub fn needs_secrets(&self) -> bool {
        matches!(self, OutgoingCommand::Test { .. })
    }
}

pub async fn run(command: &OutgoingCommand, config: &Config) -> Result<(), CliError> {
    match command {
        OutgoingCommand::List { json } => list(*json, config).await,
        OutgoingCommand::Test { endpoint } => test(endpoint, config).await,
        OutgoingCommand::Resume { endpoint } => resume(endpoint, config).await,
        OutgoingCommand::Redeliver(args) => redeliver(args, config).await,
    }
}

async fn list(json: bool, config: &Config) -> Result<(), CliError> {
    let client = connect(config).await?;
    let endpoints = outgoing_deliveries::endpoints(&client).await.map_err(anyhow::Error::from)?;
    if json {
        println!("{:#}", serde_json::to_value(&endpoints).map_err(anyhow::Error::from)?);
        return Ok(());
    }
    if endpoints.is_empty() {
        println!("there is no endpoint; [outgoing_webhook.…] of the configuration makes one");
        return Ok(());
    }
    println!("{}", table_of(&endpoints, Clock::system().now()));
    for endpoint in &endpoints {
        if let Some(why) = &endpoint.last_error {
            println!("\n{}: the last attempt that failed: {why}", endpoint.endpoint);
        }
    }
    Ok(())
}

/// How the endpoints stand.
pub fn table_of(endpoints: &[EndpointStatus], now: Timestamp) -> Table {
    let mut table = table(&["ENDPOINT", "STATE", "WAIT", "OLDEST", "GIVEN UP", "LAST TAKEN"]);
    let ago =
        |at: Option<Timestamp>| at.map_or("–".to_owned(), |at| format!("{} ago", age(at, now)));
    for endpoint in endpoints {
        table.add_row([
            endpoint.endpoint.clone(),
            endpoint.state().to_owned(),
            endpoint.pending.to_string(),
            ago(endpoint.oldest_stored_at),
            endpoint.given_up.to_string(),
            ago(endpoint.last_delivered_at),
        ]);
    }
    table
}

/// The endpoint of the configuration that is meant.
fn known<'a>(
    name: &str,
    config: &'a Config,
) -> Result<&'a crate::config::OutgoingWebhook, CliError> {
    let names: Vec<&str> = config.outgoing_webhook.keys().map(String::as_str).collect();
    let found = config.outgoing_webhook.get(name);
    Ok(found
        .ok_or_else(|| anyhow::anyhow!("there is no endpoint \"{name}\"{}", hint(name, &names)))?)
}

async fn test(name: &str, config: &Config) -> Result<(), CliError> {
    let endpoint = Endpoint::new(known(name, config)?).map_err(anyhow::Error::from)?;
    let now = Clock::system().now();
    let id = format!("msg_test_{:032x}", rand::random::<u128>());
    let answer = endpoint.post(&id, now.as_second(), event::test_body(now)).await;
    match (answer.result, answer.status) {
        (DeliveryResult::Taken, status) => {
            println!("endpoint {name} took the event: HTTP {}", status.unwrap_or_default());
            Ok(())
        }
        (DeliveryResult::Gone, _) => {
            Err(anyhow::anyhow!("endpoint {name}: HTTP 410: it wants to be told nothing").into())
        }
        (DeliveryResult::Failed { why, .. }, _) => {
            Err(anyhow::anyhow!("endpoint {name}: {why}").into())
        }
    }
}

async fn resume(name: &str, config: &Config) -> Result<(), CliError> {
    let client = connect(config).await?;
    let now = Clock::system().now();
    let is_there =
        outgoing_deliveries::resume(&client, name, now).await.map_err(anyhow::Error::from)?;
    if !is_there {
        known(name, config)?;
        return Err(anyhow::anyhow!("no daemon has run with endpoint {name} yet").into());
    }
    println!("endpoint {name} is told what waits for it; a running daemon begins within 10 s");
    Ok(())
}

async fn redeliver(args: &RedeliverArgs, config: &Config) -> Result<(), CliError> {
    let name = &args.endpoint;
    known(name, config)?;
    let now = Clock::system().now();
    let since = args.since.as_ref().map(|since| time_of("--since", since, now)).transpose()?;
    let again = Redelivery {
        endpoint: name,
        since,
        message_id: args.message,
        only_given_up: args.given_up,
    };
    let client = connect(config).await?;
    let found =
        outgoing_deliveries::find_again(&client, again).await.map_err(anyhow::Error::from)?;
    if found.is_empty() {
        println!("there is nothing that endpoint {name} was told, or that was given up");
        return Ok(());
    }
    println!(
        "endpoint {name} is told {} again, under the same ids",
        count(found.len() as i64, "outcome")
    );
    if !agreed(args.yes, "Tell it again?")? {
        return Err(CliError::FAILED);
    }
    outgoing_deliveries::again(&client, &found, now).await.map_err(anyhow::Error::from)?;
    println!("a running daemon begins within 10 s");
    Ok(())
}
