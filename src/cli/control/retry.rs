//! `rowbell retry`: sends again what did not leave, or may not have.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use strum::VariantArray as _;

use crate::cli::acting::acting;
use crate::cli::confirm::ask;
use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::text::count;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::units;
use crate::domain::message::state::{Failure, Skip, State};
use crate::domain::person_act::PersonActKind;
use crate::finding::hint;
use crate::postgres::operations::person_acts::{self, PersonAct};
use crate::postgres::operations::retry::{
    RetryCandidate, RetrySelection, count_all, look, put_back,
};

/// Messages shown as examples.
const EXAMPLES: usize = 5;

#[derive(Debug, Args)]
pub struct RetryArgs {
    /// Messages by their ids; or else give --since.
    #[arg(value_name = "MESSAGE_ID", conflicts_with_all = ["watch", "reason", "since", "limit"], required_unless_present = "since")]
    ids: Vec<i64>,
    /// Only messages of this watch.
    #[arg(long, requires = "since")]
    watch: Option<String>,
    /// Only messages that failed or were skipped for this reason, such as undeliverable, or are unconfirmed;
    /// may be given several times.
    #[arg(long, requires = "since")]
    reason: Vec<String>,
    /// Messages opened since then: a time such as 2026-06-24T09:00Z, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many, the latest.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &RetryArgs, config: &Config) -> Result<(), CliError> {
    let now = Clock::system().now();
    let meant = meant(args, config, now)?;
    let client = connect(config).await?;
    let candidates = look(&client, config, &meant).await.map_err(anyhow::Error::from)?;
    let all = count_all(&client, &meant).await.map_err(anyhow::Error::from)?;
    if !args.json {
        print!(
            "{}{}",
            preview(&candidates, &missing(&meant, &candidates)),
            cut(candidates.len(), all)
        );
    }
    let ids = to_send(&candidates);
    let question = format!("\nSend {} again?", count(ids.len() as i64, "message"));
    let goes_on =
        !ids.is_empty() && (args.yes || (!args.json && ask(&question)?.unwrap_or_default()));
    let sent = match goes_on {
        true => put_back(&client, &ids, WHY, now).await.map_err(anyhow::Error::from)?,
        false => Vec::new(),
    };
    if !sent.is_empty() {
        let who = acting(&client).await?;
        let act = PersonAct { who: &who, kind: PersonActKind::Retried, reason: None };
        let noted = person_acts::record_messages(&**client, act, &sent, now).await;
        noted.map_err(anyhow::Error::from)?;
    }
    match (args.json, goes_on) {
        (true, _) => {
            let missing = missing(&meant, &candidates);
            println!("{}", as_json(&candidates, &missing, &sent, all));
        }
        (false, true) => println!(
            "\n{} will be sent again; a running daemon begins within 15 s.",
            count(sent.len() as i64, "message")
        ),
        (false, false) if !ids.is_empty() => println!("\nNothing was done; --yes sends them."),
        (false, false) => {}
    }
    Ok(())
}

/// That a limit has left some out.
pub fn cut(shown: usize, all: usize) -> String {
    match all > shown {
        true => format!(
            "\nThese are the latest {shown} of {all}; --limit takes more, or run it again for the rest.\n"
        ),
        false => String::new(),
    }
}

/// What stands at a message that waits for being sent again.
pub const WHY: &str = "a person wants it sent again";

fn meant(
    args: &RetryArgs,
    config: &Config,
    now: Timestamp,
) -> Result<RetrySelection, anyhow::Error> {
    let Some(since) = &args.since else {
        return Ok(RetrySelection::Ids(args.ids.clone()));
    };
    if let Some(watch) = &args.watch {
        crate::cli::inspect::explain::find(config, watch)?;
    }
    let known: Vec<&str> = Failure::VARIANTS
        .iter()
        .map(|reason| reason.into_str())
        .chain(Skip::VARIANTS.iter().map(|reason| reason.into_str()))
        .chain(["unconfirmed"])
        .collect();
    for reason in &args.reason {
        if !known.contains(&reason.as_str()) {
            anyhow::bail!("there is no reason \"{reason}\"{}", hint(reason, &known));
        }
    }
    Ok(RetrySelection::Filter {
        watch: args.watch.clone(),
        reasons: args.reason.clone(),
        since: time_of("--since", since, now)?,
        limit: args.limit,
    })
}

/// A time, or how long ago.
pub fn time_of(argument: &str, text: &str, now: Timestamp) -> Result<Timestamp, anyhow::Error> {
    if let Ok(ago) = units::duration_of(text) {
        return Ok(now - ago);
    }
    text.parse().map_err(|_| {
        anyhow::anyhow!("{argument}: expected a time such as 2026-06-24T09:00Z, or how long ago, such as 2h, found \"{text}\"")
    })
}

/// Ids that no message has.
pub fn missing(meant: &RetrySelection, candidates: &[RetryCandidate]) -> Vec<i64> {
    let RetrySelection::Ids(ids) = meant else {
        return Vec::new();
    };
    let is_there = |id: &i64| candidates.iter().any(|candidate| candidate.message_id == *id);
    ids.iter().filter(|id| !is_there(id)).copied().collect()
}

/// The messages that nothing speaks against.
pub fn to_send(candidates: &[RetryCandidate]) -> Vec<i64> {
    candidates.iter().filter(|c| c.refusal.is_none()).map(|c| c.message_id).collect()
}

/// What would be done, for people. Says nothing of who is told what.
pub fn preview(candidates: &[RetryCandidate], missing: &[i64]) -> String {
    let (good, bad): (Vec<&RetryCandidate>, Vec<&RetryCandidate>) =
        candidates.iter().partition(|candidate| candidate.refusal.is_none());
    let mut text = format!("{} would be sent again", count(good.len() as i64, "message"));
    text += if good.is_empty() { ".\n" } else { ":\n" };
    for (kind, number) in counted(good.iter().map(|candidate| kind(candidate))) {
        text += &format!("  {number:>6}  {kind}\n");
    }
    if !good.is_empty() {
        text += "\nSuch as:\n";
        for candidate in good.iter().take(EXAMPLES) {
            let why =
                candidate.reason_text.as_ref().map_or(String::new(), |why| format!(": {why}"));
            text += &format!(
                "  message {}, {} {}{why}\n",
                candidate.message_id, candidate.watch, candidate.entity_key
            );
        }
        text += "\nEach is made from its row as it is now, passes all gates again (consent, expiry, nothing new to tell),\nand goes out as a new attempt.\n";
        if good.iter().any(|candidate| candidate.state == State::Unconfirmed) {
            text += "Whoever has an unconfirmed one already reads it twice.\n";
        }
    }
    if !bad.is_empty() || !missing.is_empty() {
        text += "\nNot sent again:\n";
        for (why, number) in counted(bad.iter().filter_map(|c| c.refusal.clone())) {
            text += &format!("  {number:>6}  {why}\n");
        }
        for id in missing {
            text += &format!("          there is no message {id}\n");
        }
    }
    text
}

fn kind(candidate: &RetryCandidate) -> String {
    let state = candidate.state;
    let reason = state.reason().map_or(String::new(), |reason| format!(" {reason}"));
    format!("{}, {}{reason}", candidate.watch, state.into_str())
}

fn counted(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

fn as_json(candidates: &[RetryCandidate], missing: &[i64], sent: &[i64], all: usize) -> String {
    let messages: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            json!({
                "message_id": candidate.message_id,
                "watch": candidate.watch,
                "entity_key": candidate.entity_key,
                "state": candidate.state.into_str(),
                "reason": candidate.state.reason(),
                "refusal": candidate.refusal,
                "is_sent_again": sent.contains(&candidate.message_id),
            })
        })
        .collect();
    let would = to_send(candidates).len();
    json!({ "would_be_sent_again": would, "sent_again": sent.len(), "matching": all, "missing": missing, "messages": messages })
        .to_string()
}
