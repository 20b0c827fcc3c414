//! `rowbell forget <phone>`: removes the personal data of one person and keeps the facts.

use clap::Args;

use crate::cli::acting::note;
use crate::cli::connection::connect;
use crate::cli::control::opt_out::number;
use crate::cli::error::CliError;
use crate::cli::text::{count, masked};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::person_act::PersonActKind;
use crate::operations::forget::{ForgetReport, find, forget};
use crate::postgres::operations::person_acts::ActSubject;

#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The phone, with its country code unless recipient.region is set.
    phone: String,
    /// Do it; without this it is only shown what would be done.
    #[arg(long)]
    yes: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &ForgetArgs, config: &Config) -> Result<(), CliError> {
    let phone = number(&args.phone, config)?;
    let mut client = connect(config).await?;
    let found = find(&mut client, config, &phone).await.map_err(anyhow::Error::from)?;
    if args.yes {
        forget(&mut client, &Clock::system(), &phone, &found).await.map_err(anyhow::Error::from)?;
        let messages = i64::try_from(found.messages).unwrap_or(i64::MAX);
        note(&client, PersonActKind::Forgotten, ActSubject::Database, (messages, None)).await?;
    }
    if args.json {
        let mut said = serde_json::to_value(&found).map_err(anyhow::Error::from)?;
        said["done"] = args.yes.into();
        println!("{said}");
    } else {
        print!("{}", as_text(&found, &masked(&phone), args.yes));
    }
    Ok(())
}

fn as_text(found: &ForgetReport, phone: &str, is_done: bool) -> String {
    let messages = i64::try_from(found.messages).unwrap_or(i64::MAX);
    let changes = i64::try_from(found.changes).unwrap_or(i64::MAX);
    let verb = if is_done { "lost" } else { "would lose" };
    let mut text = format!(
        "{phone}: {} {verb} rows, recipient, words, and the texts of attempts and receipts; what happened \
         and when stays\n",
        count(messages, "message")
    );
    let would = if is_done { "" } else { "would be " };
    if found.open > 0 {
        let open = count(found.open, "message");
        text += &format!("  {would}discarded: {open} of them that still had to leave\n");
    }
    if found.changes > 0 {
        let changes = count(changes, "change");
        text += &format!(
            "  {would}removed: {changes} that no message tells of yet
"
        );
    }
    if found.receipts > 0 {
        let receipts = count(found.receipts, "receipt");
        text += &format!(
            "  {would}blanked: {receipts} with the phone in the text
"
        );
    }
    if found.sending > 0 {
        text += &format!("  {} leaving right now: run this again in a minute\n", found.sending);
    }
    for watch in &found.not_asked {
        text += &format!("  not asked whose the nameless messages are: watch {watch}\n");
    }
    text += match found.is_opted_out {
        true => {
            "  the phone stays in the list of those who opted out, so that it is not written to; `rowbell opt-out remove` takes it out\n"
        }
        false => {
            "  while your tables name this phone, later changes are told to it; `rowbell opt-out add` ends that\n"
        }
    };
    text += "  out of reach: your own tables, backups, logs of the provider, and the customer's phone\n";
    if !is_done {
        text += "nothing was changed; --yes does it\n";
    }
    text
}
