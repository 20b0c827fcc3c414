//! `rowbell opt-out`: phones that must not be written to.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::connection::connect;
use crate::cli::control::opt_out_file::read_opt_out_requests;
use crate::cli::error::CliError;
use crate::cli::text::masked;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::recipient::phone::Phone;
use crate::postgres::operations::opt_outs::{self, OptOut, OptOutEntry, OptOutSource};

#[derive(Debug, Args)]
pub struct OptOutArgs {
    #[command(subcommand)]
    command: OptOutCommand,
}

#[derive(Debug, Subcommand)]
enum OptOutCommand {
    /// Write to a phone no more.
    Add {
        /// The phone, with its country code unless recipient.region is set.
        phone: String,
        /// Why, in words.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Write to a phone again.
    Remove {
        /// The phone, in any form.
        phone: String,
    },
    /// Show the phones that are not written to.
    List {
        /// Show whole phones instead of their last digits.
        #[arg(long)]
        phones: bool,
        /// One JSON object a line instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Add the phones of a file: all of them or, if a line is wrong, none.
    Import {
        /// One phone a line, and perhaps a comma and why; `-` reads the standard input.
        file: PathBuf,
        /// Why, for lines that do not say.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

pub async fn run(args: &OptOutArgs, config: &Config) -> Result<(), CliError> {
    match &args.command {
        OptOutCommand::Add { phone, reason } => {
            let phone = number(phone, config)?;
            let request = OptOutEntry { phone, reason: reason.clone() };
            let client = connect(config).await?;
            let now = Clock::system().now();
            let added = opt_outs::add(
                &**client,
                std::slice::from_ref(&request),
                OptOutSource::Operator,
                now,
            )
            .await
            .map_err(anyhow::Error::from)?;
            let phone = masked(&request.phone);
            match added {
                0 => println!("{phone} had opted out before; it keeps the reason of then"),
                _ => println!("{phone} is not written to any more"),
            }
            Ok(())
        }
        OptOutCommand::Remove { phone } => remove(&number(phone, config)?, config).await,
        OptOutCommand::List { phones, json } => list(config, *phones, *json).await,
        OptOutCommand::Import { file, reason } => import(config, file, reason.as_deref()).await,
    }
}

/// The phone as it is kept. The error does not repeat it.
pub fn number(raw: &str, config: &Config) -> Result<String, CliError> {
    let region = &config.recipient.region;
    let region = (!region.is_empty()).then_some(region.as_str());
    let phone = Phone::parse(raw, region).map_err(|bad| {
        anyhow::anyhow!("{bad}; write it with its country code, such as +1 202 555 0143")
    })?;
    Ok(phone.as_str().to_owned())
}

async fn remove(phone: &str, config: &Config) -> Result<(), CliError> {
    let client = connect(config).await?;
    match opt_outs::remove(&client, phone).await.map_err(anyhow::Error::from)? {
        true => println!("{} may be written to again", masked(phone)),
        false => println!("{} had not opted out", masked(phone)),
    }
    Ok(())
}

async fn list(config: &Config, whole: bool, as_json: bool) -> Result<(), CliError> {
    let client = connect(config).await?;
    let mut above = String::new();
    let mut count = 0;
    loop {
        let page = opt_outs::page(&client, &above).await.map_err(anyhow::Error::from)?;
        let Some(last) = page.last() else { break };
        above.clone_from(&last.phone);
        count += page.len();
        page.iter().for_each(|opt_out| println!("{}", line(opt_out, whole, as_json)));
    }
    if count == 0 && !as_json {
        println!("nobody has opted out");
    }
    Ok(())
}

fn line(opt_out: &OptOut, whole: bool, as_json: bool) -> String {
    let phone = if whole { opt_out.phone.clone() } else { masked(&opt_out.phone) };
    let OptOut { since, reason, source, .. } = opt_out;
    if as_json {
        let line = json!({"phone": phone, "since": since, "reason": reason, "source": source});
        return line.to_string();
    }
    let since = crate::cli::text::moment(*since);
    let source = source.into_str();
    let line = format!("{phone:<15}  {since}  {source:<8}  {}", reason.as_deref().unwrap_or(""));
    line.trim_end().to_owned()
}

async fn import(config: &Config, file: &Path, reason: Option<&str>) -> Result<(), CliError> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(file),
    };
    let text = text.map_err(|error| {
        anyhow::anyhow!("could not read {}: {error}; expected UTF-8 text", file.display())
    })?;
    let region = &config.recipient.region;
    let region = (!region.is_empty()).then_some(region.as_str());
    let requests = read_opt_out_requests(&text, region, reason).map_err(|wrong| {
        let count = wrong.len();
        let shown: Vec<String> = wrong.into_iter().take(20).collect();
        let more = if count > shown.len() { "\n  …" } else { "" };
        anyhow::anyhow!(
            "nothing was imported; {count} of the lines {} wrong:\n  {}{more}",
            if count == 1 { "is" } else { "are" },
            shown.join("\n  ")
        )
    })?;
    let mut client = connect(config).await?;
    let tx = client.transaction().await.map_err(anyhow::Error::from)?;
    let now = Clock::system().now();
    let mut added = 0;
    for batch in requests.chunks(5_000) {
        added += opt_outs::add(&*tx, batch, OptOutSource::Import, now)
            .await
            .map_err(anyhow::Error::from)?;
    }
    tx.commit().await.map_err(anyhow::Error::from)?;
    println!(
        "{} read: {added} are not written to any more, {} had opted out before or stand there twice",
        crate::config::load::counted(requests.len(), "phone", "phones"),
        requests.len() - added
    );
    Ok(())
}
