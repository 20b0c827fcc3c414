//! `rowbell opt-out`: phones that must not be written to.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::acting::acting;
use crate::cli::connection::connect;
use crate::cli::control::opt_out_file::read_opt_out_requests;
use crate::cli::error::CliError;
use crate::cli::inspect::explain;
use crate::cli::text::masked;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::recipient::phone::Phone;
use crate::postgres::operations::opt_outs::{
    self, OptOut, OptOutEntry, OptOutGround, OptOutSource,
};

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
        /// About this watch only.
        #[arg(long)]
        watch: Option<String>,
    },
    /// Write to a phone again.
    Remove {
        /// The phone, in any form.
        phone: String,
        /// About this watch, which it was excepted from.
        #[arg(long)]
        watch: Option<String>,
    },
    /// Show the phones that are not written to.
    List {
        /// Show whole phones instead of their last digits.
        #[arg(long)]
        phones: bool,
        /// One JSON array instead of a table.
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
        /// About this watch only.
        #[arg(long)]
        watch: Option<String>,
    },
}

pub async fn run(args: &OptOutArgs, config: &Config) -> Result<(), CliError> {
    match &args.command {
        OptOutCommand::Add { phone, reason, watch } => {
            let phone = number(phone, config)?;
            let scope = scope(watch.as_deref(), config)?;
            let request = OptOutEntry { phone, reason: reason.clone() };
            let client = connect(config).await?;
            let now = Clock::system().now();
            let typed_by = acting(&client).await?.os_user;
            let origin = typed_by.map(|user| format!("command of {user}"));
            let origin = origin.as_deref();
            let ground = OptOutGround { source: OptOutSource::Operator, origin, scope };
            let added = opt_outs::add(&**client, std::slice::from_ref(&request), ground, now)
                .await
                .map_err(anyhow::Error::from)?;
            let phone = masked(&request.phone);
            match (added, about(scope)) {
                (0, _) => println!("{phone} had opted out before; it keeps the reason of then"),
                (_, about) => println!("{phone} is not written to{about} any more"),
            }
            Ok(())
        }
        OptOutCommand::Remove { phone, watch } => {
            remove(&number(phone, config)?, watch.as_deref().unwrap_or_default(), config).await
        }
        OptOutCommand::List { phones, json } => list(config, *phones, *json).await,
        OptOutCommand::Import { file, reason, watch } => {
            let scope = scope(watch.as_deref(), config)?;
            import(config, file, reason.as_deref(), scope).await
        }
    }
}

/// The watch that is meant; empty: all of them.
fn scope<'a>(watch: Option<&'a str>, config: &'a Config) -> Result<&'a str, anyhow::Error> {
    watch.map_or(Ok(""), |watch| explain::find(config, watch))
}

fn about(scope: &str) -> String {
    if scope.is_empty() { String::new() } else { format!(" about {scope}") }
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

async fn remove(phone: &str, scope: &str, config: &Config) -> Result<(), CliError> {
    let mut client = connect(config).await?;
    let (was_there, others) =
        opt_outs::remove(&mut client, phone, scope).await.map_err(anyhow::Error::from)?;
    match was_there {
        true => println!("{} may be written to{} again", masked(phone), about(scope)),
        false => println!("{} had not opted out{}", masked(phone), about(scope)),
    }
    for other in others {
        match other.as_str() {
            "" => println!("it has opted out of everything: rowbell opt-out remove PHONE"),
            watch => println!(
                "it is still not written to about {watch}: rowbell opt-out remove PHONE --watch {watch}"
            ),
        }
    }
    Ok(())
}

async fn list(config: &Config, whole: bool, as_json: bool) -> Result<(), CliError> {
    let client = connect(config).await?;
    let (mut phone, mut scope) = (String::new(), String::new());
    let mut count = 0;
    loop {
        let page = opt_outs::page(&client, &phone, &scope).await.map_err(anyhow::Error::from)?;
        let Some(last) = page.last() else { break };
        (phone, scope) = (last.phone.clone(), last.scope.clone());
        for opt_out in &page {
            // One array, written as it is read.
            let before = match (as_json, count) {
                (false, _) => "",
                (true, 0) => "[",
                (true, _) => ",\n ",
            };
            let after = if as_json { "" } else { "\n" };
            print!("{before}{}{after}", line(opt_out, whole, as_json));
            count += 1;
        }
    }
    match (as_json, count) {
        (true, 0) => println!("[]"),
        (true, _) => println!("]"),
        (false, 0) => println!("nobody has opted out"),
        (false, _) => {}
    }
    Ok(())
}

fn line(opt_out: &OptOut, whole: bool, as_json: bool) -> String {
    let phone = if whole { opt_out.phone.clone() } else { masked(&opt_out.phone) };
    let OptOut { since, reason, source, origin, scope, .. } = opt_out;
    let watch = Some(scope).filter(|scope| !scope.is_empty());
    if as_json {
        return json!({
            "phone": phone, "watch": watch, "since": since, "reason": reason, "source": source, "origin": origin,
        })
        .to_string();
    }
    let since = crate::cli::text::moment(*since);
    let source = source.into_str();
    let why = [watch.map(|watch| format!("about {watch}")), origin.clone(), reason.clone()];
    let why: Vec<String> = why.into_iter().flatten().collect();
    let line = format!("{phone:<15}  {since}  {source:<8}  {}", why.join(", "));
    line.trim_end().to_owned()
}

async fn import(
    config: &Config,
    file: &Path,
    reason: Option<&str>,
    scope: &str,
) -> Result<(), CliError> {
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
    let origin = match file.file_name() {
        Some(_) if file == Path::new("-") => Some("standard input".to_owned()),
        name => name.map(|name| format!("file {}", name.display())),
    };
    let ground = OptOutGround { source: OptOutSource::Import, origin: origin.as_deref(), scope };
    let mut added = 0;
    for batch in requests.chunks(5_000) {
        added += opt_outs::add(&*tx, batch, ground, now).await.map_err(anyhow::Error::from)?;
    }
    tx.commit().await.map_err(anyhow::Error::from)?;
    println!(
        "{} read: {added} are not written to any more, {} had opted out before or stand there twice",
        crate::config::units::counted(requests.len(), "phone", "phones"),
        requests.len() - added
    );
    Ok(())
}
