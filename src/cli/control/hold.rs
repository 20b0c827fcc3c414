//! `rowbell held`, `rowbell approve` and `rowbell discard`: a person decides about a storm.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::acting::acting;
use crate::cli::confirm::agreed;
use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::inspect::explain;
use crate::cli::text::{age, count, moment};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::state::Skip;
use crate::domain::person_act::PersonActKind;
use crate::domain::value::row::Row;
use crate::operations::preview::{Preview, preview};
use crate::postgres::connection::pool::Client;
use crate::postgres::operations::holds::{self, Hold, HoldSelection};
use crate::postgres::operations::person_acts::{self, ActingPerson, PersonAct};

#[derive(Debug, Args)]
pub struct HeldArgs {
    /// Only messages of this watch.
    #[arg(long)]
    watch: Option<String>,
    /// One JSON array instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub struct DiscardArgs {
    #[command(flatten)]
    which: Which,
    /// They count as told: the next change of a row is compared with what they would have said.
    #[arg(long)]
    as_told: bool,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
struct Which {
    /// The hold, as `rowbell held` shows it; may be left out where there is only one.
    hold: Option<i64>,
    /// Only holds of this watch.
    #[arg(long)]
    watch: Option<String>,
    /// So many messages, the oldest; all of them without it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Do it without a question.
    #[arg(long)]
    yes: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Shows what waits, with the words of the first few messages.
pub async fn held(args: &HeldArgs, config: &Config) -> Result<(), CliError> {
    let mut client = connect(config).await?;
    let wanted = HoldSelection { hold_id: None, watch: args.watch.clone() };
    let found = holds::list(&client, &wanted).await.map_err(anyhow::Error::from)?;
    if args.json {
        let shown = serde_json::to_string_pretty(&found).map_err(anyhow::Error::from)?;
        println!("{shown}");
        return Ok(());
    }
    if found.is_empty() {
        known(config, args.watch.as_deref())?;
        println!("no message waits for a person");
    }
    for hold in &found {
        print!("{}{}", headline(hold), examples(&mut client, config, hold).await);
        println!(
            "  rowbell approve {} lets them leave, rowbell discard {} ends them",
            hold.hold_id, hold.hold_id
        );
    }
    Ok(())
}

/// Lets messages leave.
pub async fn approve(args: &ApproveArgs, config: &Config) -> Result<(), CliError> {
    let mut client = connect(config).await?;
    let which = &args.which;
    let hold = chosen(&client, config, which).await?;
    let messages = which.limit.map_or(hold.messages, |limit| limit.min(hold.messages));
    if !which.json {
        print!("{}{}", headline(&hold), examples(&mut client, config, &hold).await);
        println!(
            "  {} of {} will leave, put into words from the rows as they are then",
            messages, hold.messages
        );
    }
    if !agreed(which.yes, &format!("Let {} leave?", count(messages, "message")))? {
        return Ok(());
    }
    let now = Clock::system().now();
    let done =
        holds::approve(&mut client, &hold, messages, now).await.map_err(anyhow::Error::from)?;
    let who = acting(&client).await?;
    let act = PersonAct { who: &who, kind: PersonActKind::Approved, reason: None };
    note(&client, act, &hold, done, now).await?;
    said(which, &hold, "approved", done);
    Ok(())
}

/// Ends messages without sending them.
pub async fn discard(args: &DiscardArgs, config: &Config) -> Result<(), CliError> {
    let mut client = connect(config).await?;
    let which = &args.which;
    let hold = chosen(&client, config, which).await?;
    let messages = which.limit.map_or(hold.messages, |limit| limit.min(hold.messages));
    let reason = if args.as_told { Skip::Muted } else { Skip::Discarded };
    if !which.json {
        print!("{}{}", headline(&hold), examples(&mut client, config, &hold).await);
        println!(
            "  {messages} of {} will end as skipped, {}; {}",
            hold.messages,
            reason.into_str(),
            afterwards(args)
        );
    }
    if !agreed(which.yes, &format!("Discard {}?", count(messages, "message")))? {
        return Ok(());
    }
    let now = Clock::system().now();
    let who = acting(&client).await?;
    let text = by_whom(&who, args.reason.as_deref());
    let done = holds::discard(&mut client, &hold, messages, reason, &text, now)
        .await
        .map_err(anyhow::Error::from)?;
    let reason = args.reason.as_deref();
    let act = PersonAct { who: &who, kind: PersonActKind::Discarded, reason };
    note(&client, act, &hold, done, now).await?;
    said(which, &hold, "discarded", done);
    Ok(())
}

fn afterwards(args: &DiscardArgs) -> &'static str {
    if args.as_told {
        "they count as told, and the next change of a row is compared with them"
    } else {
        "nobody was told, so the next change of a row tells these too"
    }
}

fn by_whom(who: &ActingPerson, reason: Option<&str>) -> String {
    let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
    format!("discarded by {}{why}", who.by)
}

async fn note(
    client: &Client,
    act: PersonAct<'_>,
    hold: &Hold,
    messages: i64,
    now: Timestamp,
) -> Result<(), CliError> {
    let about = (hold.watch.as_str(), hold.hold_id);
    let noted = person_acts::record_hold(&***client, act, about, messages, now).await;
    Ok(noted.map_err(anyhow::Error::from)?)
}

fn said(which: &Which, hold: &Hold, word: &str, done: i64) {
    let left = hold.messages - done;
    if which.json {
        println!(
            "{}",
            json!({"hold": hold.hold_id, "watch": hold.watch, word: done, "held": left})
        );
    } else {
        println!("{word} {}; {left} of hold {} still wait", count(done, "message"), hold.hold_id);
    }
}

/// That nothing waits is no answer about a watch whose name was misspelt. What waits may be of a watch that
/// is not in the configuration any more, so this is asked last.
fn known(config: &Config, watch: Option<&str>) -> Result<(), CliError> {
    watch.map_or(Ok(()), |name| explain::find(config, name).map(|_| ()).map_err(CliError::from))
}

/// The one hold that is meant.
async fn chosen(client: &Client, config: &Config, which: &Which) -> Result<Hold, CliError> {
    let wanted = HoldSelection { hold_id: which.hold, watch: which.watch.clone() };
    let mut found = holds::list(client, &wanted).await.map_err(anyhow::Error::from)?;
    match found.len() {
        0 => {
            known(config, which.watch.as_deref())?;
            Err(anyhow::anyhow!("no message waits for a person; see rowbell status").into())
        }
        1 => Ok(found.remove(0)),
        _ => {
            let each = found.iter().map(headline).collect::<String>();
            Err(anyhow::anyhow!("there are several holds; name one:\n{each}").into())
        }
    }
}

fn headline(hold: &Hold) -> String {
    let now = Clock::system().now();
    format!(
        "hold {} of watch {}, since {} UTC ({}): {} {} for a person: {}\n",
        hold.hold_id,
        hold.watch,
        moment(hold.began_at),
        age(hold.began_at, now),
        count(hold.messages, "message"),
        if hold.messages == 1 { "waits" } else { "wait" },
        hold.reason
    )
}

pub fn would_say(shown: &Preview) -> String {
    match &shown.words {
        Some(words) => format!("would say: {}", words.wording.summary),
        None => format!("would not leave now: {}", shown.why()),
    }
}

/// What the first messages would say now.
async fn examples(client: &mut Client, config: &Config, hold: &Hold) -> String {
    let mut text = String::new();
    for key in &hold.examples {
        let shown =
            preview(client, config, &Clock::system(), &hold.watch, key, &Row::default()).await;
        let said = match shown {
            Ok(shown) => shown.iter().map(would_say).collect::<Vec<_>>().join("; "),
            Err(error) => format!("cannot be shown: {error}"),
        };
        text += &format!("  {key}: {said}\n");
    }
    text
}
