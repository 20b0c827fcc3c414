//! `rowbell settle`: a person says what became of messages whose request got no answer.

use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::acting::acting;
use crate::cli::confirm::agreed;
use crate::cli::control::retry::{cut, time_of};
use crate::cli::error::CliError;
use crate::cli::text::{age, count, length, moment};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::message::state::{Failure, State, apply};
use crate::domain::message::unconfirmed::Settlement;
use crate::operations::settle::{PersonsWord, settle};
use crate::postgres::connection::pool;
use crate::postgres::operations::retry::{RetrySelection, count_all, find};
use crate::postgres::operations::unconfirmed::{UnconfirmedMessage, look};
use crate::postgres::schema::migrate;

/// Messages shown one by one.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub struct SettleArgs {
    /// Messages by their ids; without any, those opened since --since.
    #[arg(value_name = "MESSAGE_ID", conflicts_with_all = ["watch", "since"])]
    ids: Vec<i64>,
    /// They reached their recipients: they count as delivered, and what they said as told.
    #[arg(long, group = "settlement")]
    arrived: bool,
    /// They did not: they end as failed, or go on to the next channel of their watch.
    #[arg(long, group = "settlement")]
    give_up: bool,
    /// Send them again; whoever has one already reads it twice.
    #[arg(long, group = "settlement")]
    send_again: bool,
    /// How you know, as a text that stands at the message.
    #[arg(long, value_name = "TEXT", requires = "settlement")]
    reason: Option<String>,
    /// Only messages of this watch.
    #[arg(long)]
    watch: Option<String>,
    /// Messages opened since then: a time such as 2026-06-24T09:00Z, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
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

impl SettleArgs {
    fn settlement(&self) -> Option<Settlement> {
        let wanted = [
            (self.arrived, Settlement::Arrived),
            (self.give_up, Settlement::GiveUp),
            (self.send_again, Settlement::SendAgain),
        ];
        wanted.into_iter().find(|(is_wanted, _)| *is_wanted).map(|(_, settlement)| settlement)
    }
}

pub async fn run(args: &SettleArgs, config: Config) -> Result<(), CliError> {
    let clock = Clock::system();
    let now = clock.now();
    let meant = meant(args, &config, now)?;
    let pool = pool::connect(&config.database)?;
    let client = pool::get(&pool).await?;
    migrate::check_version(&client).await.map_err(anyhow::Error::from)?;
    let ids = find(&client, &meant).await.map_err(anyhow::Error::from)?;
    let found = look(&client, &ids).await.map_err(anyhow::Error::from)?;
    let settlement = args.settlement();
    if !args.json {
        let all = count_all(&client, &meant).await.map_err(anyhow::Error::from)?;
        print!("{}{}", preview(&found, &ids, settlement, &config, now), cut(ids.len(), all));
    }
    let open: Vec<i64> = unconfirmed(&found).map(|message| message.message_id).collect();
    let mut settled = Vec::new();
    if let Some(settlement) = settlement
        && !open.is_empty()
        && (args.yes || !args.json)
        && agreed(args.yes, &format!("\n{}", question(settlement, open.len())))?
    {
        let who = acting(&client).await?;
        // The pool may have only this one.
        drop(client);
        let word = PersonsWord { settlement, who, reason: args.reason.clone() };
        settled = settle(&pool, Arc::new(config), clock, &open, &word)
            .await
            .map_err(anyhow::Error::from)?;
        if !args.json {
            print!("{}", done(&settled, open.len()));
        }
    }
    if args.json {
        println!("{}", as_json(&found, settlement, &settled));
    }
    Ok(())
}

fn meant(
    args: &SettleArgs,
    config: &Config,
    now: Timestamp,
) -> Result<RetrySelection, anyhow::Error> {
    if !args.ids.is_empty() {
        return Ok(RetrySelection::Ids(args.ids.clone()));
    }
    if let Some(watch) = &args.watch {
        crate::cli::inspect::explain::find(config, watch)?;
    }
    Ok(RetrySelection::Filter {
        watch: args.watch.clone(),
        reasons: vec![State::Unconfirmed.into_str().to_owned()],
        since: time_of("--since", &args.since, now)?,
        limit: args.limit,
    })
}

fn unconfirmed(found: &[UnconfirmedMessage]) -> impl Iterator<Item = &UnconfirmedMessage> {
    found.iter().filter(|message| message.state == State::Unconfirmed)
}

fn question(settlement: Settlement, messages: usize) -> String {
    let messages = count(i64::try_from(messages).unwrap_or(i64::MAX), "message");
    match settlement {
        Settlement::Arrived => format!("Count {messages} as delivered?"),
        Settlement::GiveUp => format!("Give {messages} up?"),
        Settlement::SendAgain => format!("Send {messages} again?"),
    }
}

/// What would be done, for people.
pub fn preview(
    found: &[UnconfirmedMessage],
    ids: &[i64],
    settlement: Option<Settlement>,
    config: &Config,
    now: Timestamp,
) -> String {
    let open: Vec<&UnconfirmedMessage> = unconfirmed(found).collect();
    let number = count(open.len() as i64, "message");
    let mut text = match open.len() {
        0 => "No message is unconfirmed.\n".to_owned(),
        1 => format!("{number} is unconfirmed: the provider may have it.\n"),
        _ => format!("{number} are unconfirmed: the provider may have them.\n"),
    };
    open.iter().take(SHOWN).for_each(|message| text += &line(message, now));
    if open.len() > SHOWN {
        text += &format!("  … and {} more\n", open.len() - SHOWN);
    }
    for message in found.iter().filter(|message| message.state != State::Unconfirmed) {
        let state = message.state.into_str();
        text +=
            &format!("  message {} is {state}: there is nothing to settle\n", message.message_id);
    }
    let is_there = |id: &i64| found.iter().any(|message| message.message_id == *id);
    for id in ids.iter().filter(|id| !is_there(id)) {
        text += &format!("  there is no message {id}\n");
    }
    match (settlement, open.is_empty()) {
        (_, true) => text,
        (Some(settlement), false) => text + "\n" + &consequence(settlement, &open, config),
        (None, false) => text + WAYS,
    }
}

const WAYS: &str = "
rowbell explain shows what each said and to whom. Look at the phone, at the provider's desk, or ask the recipient; then
  rowbell settle MESSAGE_ID --arrived     it is there: it counts as delivered
  rowbell settle MESSAGE_ID --give-up     it is not, and is not sent again
  rowbell settle MESSAGE_ID --send-again  it is not, or twice is better than never
";

fn line(message: &UnconfirmedMessage, now: Timestamp) -> String {
    let UnconfirmedMessage { message_id, watch, entity_key, channel, .. } = message;
    let sent = message.started_at.map_or(String::new(), |at| {
        format!(", attempted {} UTC ({} ago)", moment(at), age(at, now))
    });
    let why = message.error_text.as_ref().map_or(String::new(), |why| format!(": {why}"));
    let awaited = match message.decide_at {
        Some(at) => format!(
            "evidence is still awaited; the policy of its watch decides at {} UTC ({})",
            moment(at),
            if at > now {
                format!("in {}", length(at.duration_since(now)))
            } else {
                "now".to_owned()
            }
        ),
        None => "no evidence came in time: nothing happens until a person settles it".to_owned(),
    };
    format!(
        "  message {message_id}, {watch} {entity_key} on channel {channel}{sent}{why}\n    {awaited}\n"
    )
}

/// What becomes of the messages.
fn consequence(settlement: Settlement, open: &[&UnconfirmedMessage], config: &Config) -> String {
    let mut text = match settlement {
        Settlement::Arrived => {
            "They would count as delivered: what they said counts as told, and the next change of a row is compared with it.\n"
        }
        Settlement::GiveUp => "They would end as failed: nobody was told, so the next change of a row tells these too.\n",
        Settlement::SendAgain => {
            "They would be sent again, put into words from their rows as they are then. Whoever has one already reads it twice.\n"
        }
    }
    .to_owned();
    if settlement == Settlement::GiveUp {
        let fails = State::Failed(Failure::Exhausted);
        let goes_on = open.iter().filter(|message| {
            let watch = config.watch.get(&message.watch);
            watch.is_some_and(|watch| watch.may_fall_back(&message.channel, fails))
        });
        match goes_on.count() {
            0 => {}
            some => {
                text += &format!(
                    "{} would go on to the next channel of its watch.\n",
                    count(some as i64, "message")
                );
            }
        }
    }
    text
}

fn done(settled: &[(i64, State)], wanted: usize) -> String {
    let mut text = String::new();
    let mut states: Vec<&'static str> = settled.iter().map(|(_, state)| state.into_str()).collect();
    states.sort_unstable();
    for same in states.chunk_by(|a, b| a == b) {
        let number = count(same.len() as i64, "message");
        let (are, more) = match same[0] {
            "scheduled" => ("", " will be sent again; a running daemon begins at once"),
            "skipped" => ("", " ended: a newer message of the same row tells it"),
            state if same.len() == 1 => (" is ", state),
            state => (" are ", state),
        };
        text += &format!("{number}{are}{more}\n");
    }
    match wanted - settled.len() {
        0 => text,
        1 => text + "1 message was settled by evidence meanwhile\n",
        some => text + &format!("{some} messages were settled by evidence meanwhile\n"),
    }
}

fn as_json(
    found: &[UnconfirmedMessage],
    settlement: Option<Settlement>,
    settled: &[(i64, State)],
) -> String {
    let messages: Vec<_> = found
        .iter()
        .map(|message| {
            let id = message.message_id;
            let now = settled.iter().find(|(settled, _)| *settled == id).map(|(_, state)| *state);
            let would = settlement.and_then(|s| apply(message.state, s.event()).ok());
            let would = would.filter(|_| message.state == State::Unconfirmed);
            json!({
                "message_id": id,
                "watch": message.watch,
                "entity_key": message.entity_key,
                "channel": message.channel,
                "state": now.unwrap_or(message.state).into_str(),
                "would_be": would.map(|state| state.into_str()),
                "attempted_at": message.started_at,
                "decide_at": message.decide_at,
                "is_settled": now.is_some(),
            })
        })
        .collect();
    json!({
        "settlement": settlement.map(|settlement| settlement.into_str()),
        "settled": settled.len(),
        "messages": messages,
    })
    .to_string()
}
