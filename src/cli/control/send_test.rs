//! `rowbell send-test <watch> <key> --to <own phone>`: the words of a watch, on the operator's own phone.

use clap::Args;
use serde_json::json;

use crate::cli::confirm::agreed;
use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::inspect::explain;
use crate::cli::inspect::preview::{column_value, invented, words_as_text};
use crate::cli::text::masked;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::attempt::AttemptResult;
use crate::domain::recipient::email::Email;
use crate::domain::recipient::phone::Phone;
use crate::operations::send_test::{TestAddress, prepare, send};

#[derive(Debug, Args)]
pub struct SendTestArgs {
    /// The watch.
    watch: String,
    /// Primary key of the row; parts of a composite key with commas between them.
    key: String,
    /// Your own phone; or mail address, for a channel that sends mail.
    #[arg(long, value_name = "PHONE")]
    to: String,
    /// As if the column had changed to this value; `null` is null. Without it, all of the row is told.
    #[arg(long = "set", value_name = "COLUMN=VALUE", value_parser = column_value)]
    set: Vec<(String, String)>,
    /// Send without a question.
    #[arg(long)]
    yes: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &SendTestArgs, config: &Config) -> Result<(), CliError> {
    let watch = explain::find(config, &args.watch)?;
    let to = address(&args.to, config)?;
    let mut client = connect(config).await?;
    let clock = Clock::system();
    let of = (watch, args.key.as_str());
    let test = prepare(&mut client, config, &clock, of, &invented(&args.set), &to)
        .await
        .map_err(anyhow::Error::from)?;
    if !args.json {
        print!("{}", words_as_text(&test.words));
    }
    let shown = match &to {
        TestAddress::Phone(phone) => masked(phone.as_str()),
        TestAddress::Email(_) => "your mail address".to_owned(),
    };
    let question = format!(
        "\nSend this on channel {} to {shown} now? It costs what such a message costs.",
        test.channel
    );
    if !agreed(args.yes, &question)? {
        return Ok(());
    }
    let answer = send(&client, config, &clock, test).await.map_err(anyhow::Error::from)?;
    if args.json {
        let id = answer.provider_message_id();
        let shown = json!({
            "result": answer.result.into_str(), "provider_message_id": id,
            "http_status": answer.http_status, "error_code": answer.error_code, "error_text": answer.error_text,
        });
        println!("{shown}");
    }
    match &answer.result {
        AttemptResult::Accepted { provider_message_id } => {
            if !args.json {
                println!(
                    "\nthe provider accepted it, id {provider_message_id}; nothing of it is recorded, and nobody counts as told"
                );
            }
            Ok(())
        }
        other => {
            if args.json {
                return Err(CliError::FAILED);
            }
            let status =
                answer.http_status.map_or(String::new(), |status| format!(", HTTP {status}"));
            let code = answer.error_code.map_or(String::new(), |code| format!(", error {code}"));
            let why = answer.error_text.as_deref().map_or(String::new(), |why| format!(": {why}"));
            Err(anyhow::anyhow!(
                "the provider did not accept it ({}{status}{code}){why}",
                other.into_str()
            )
            .into())
        }
    }
}

/// What it says is not repeated: it is a phone.
fn address(to: &str, config: &Config) -> Result<TestAddress, anyhow::Error> {
    if to.contains('@') {
        return Email::parse(to)
            .map(TestAddress::Email)
            .map_err(|bad| anyhow::anyhow!("--to: {bad}"));
    }
    let region = Some(config.recipient.region.as_str()).filter(|region| !region.is_empty());
    Phone::parse(to, region).map(TestAddress::Phone).map_err(|bad| anyhow::anyhow!("--to: {bad}"))
}
