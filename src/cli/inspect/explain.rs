//! `rowbell explain <watch> <key>`: what happened to an entity, and why.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::inspect::status_blockers::need;
use crate::cli::text::{count, length, masked, masked_key, moment};
use crate::clock::Clock;
use crate::config::{Config, Watch};
use crate::domain::message::attempt::AttemptResultKind;
use crate::domain::message::state::State;
use crate::domain::value::column::Columns;
use crate::finding::hint;
use crate::postgres::capture::{install, key, proof};
use crate::postgres::operations::blockers::{self, ActiveBlocker, BlockerKind, BlockerSubject};
use crate::postgres::operations::entity_history::{
    AttemptHistory, CapturedChange, DeliveryHistory, EntityHistory, Field, FieldOrder,
    LookupHistory, MessageHistory, ReceiptHistory, WordsHistory, story,
};

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The watch.
    watch: String,
    /// Primary key of the row; parts of a composite key with commas between them.
    key: String,
    /// How many of its latest messages to tell of.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    last: u16,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &ExplainArgs, config: &Config) -> Result<(), CliError> {
    let name = find(config, &args.watch)?;
    let client = connect(config).await?;
    let told =
        tell(&client, config, name, &args.key, args.last).await.map_err(anyhow::Error::from)?;
    if args.json {
        let shown = as_json(&told, Clock::system().now()).map_err(anyhow::Error::from)?;
        println!("{shown:#}");
    } else {
        print!("{}", as_text(&told, config, Clock::system().now()));
    }
    Ok(())
}

/// The watch of that name; the error names the nearest one.
pub fn find<'a>(config: &'a Config, name: &str) -> Result<&'a str, anyhow::Error> {
    let known: Vec<&str> = config.watch.keys().map(String::as_str).collect();
    let found = config.watch.get_key_value(name);
    found
        .map(|(name, _)| name.as_str())
        .ok_or_else(|| anyhow::anyhow!("there is no watch \"{name}\"{}", hint(name, &known)))
}

/// A story with its phones masked, and the table that it is about.
pub struct Explanation {
    pub story: EntityHistory,
    pub seen: TableSeen,
    /// What stands still now, of this and of others.
    blockers: Vec<ActiveBlocker>,
}

/// Reads the story of an entity with its last messages.
pub async fn tell(
    client: &tokio_postgres::Client,
    config: &Config,
    watch: &str,
    key: &str,
    last: u16,
) -> Result<Explanation, tokio_postgres::Error> {
    let seen = look(client, config, watch, key).await?;
    let selection = FieldOrder { names: &seen.columns, columns: &seen.meanings };
    let mut story = story(client, watch, &seen.entity_key, &selection, last).await?;
    for message in &mut story.messages {
        message.recipient_key = message.recipient_key.as_deref().map(masked_key);
        if let Some(words) = &mut message.words {
            words.recipient_phone = words.recipient_phone.as_deref().map(masked);
        }
    }
    Ok(Explanation { story, seen, blockers: blockers::read(client, config).await? })
}

/// What is known of the watched table now. The story is told without it too, when it is gone.
#[derive(Default)]
pub struct TableSeen {
    table: String,
    /// The key as it is written down.
    entity_key: String,
    key: Vec<String>,
    columns: Vec<String>,
    /// How they are compared.
    meanings: Columns,
    /// What is wrong with table or trigger, as sentences.
    problems: Vec<String>,
    /// SQL of the watch that cannot be run, as sentences.
    faults: Vec<String>,
}

async fn look(
    client: &tokio_postgres::Client,
    config: &Config,
    name: &str,
    asked: &str,
) -> Result<TableSeen, tokio_postgres::Error> {
    let Some(watch) = config.watch.get(name) else {
        return Ok(TableSeen { entity_key: asked.to_owned(), ..TableSeen::default() });
    };
    let gone = |problem: String| TableSeen {
        table: watch.table.clone(),
        entity_key: asked.to_owned(),
        key: watch.key.clone(),
        columns: watch.columns.clone(),
        meanings: Columns::new(),
        problems: vec![problem],
        faults: Vec::new(),
    };
    let Some(template) = config.template.get(&watch.template) else {
        return Ok(gone(format!("there is no template \"{}\"", watch.template)));
    };
    let table = match install::describe(client, name, watch, template).await {
        Ok(table) => table,
        Err(install::CaptureError::Query(error)) => return Err(error),
        Err(error) => return Ok(gone(error.to_string())),
    };
    let drift = install::drift(client, &table, watch).await?;
    let problems = drift.into_iter().map(|found| found.what).collect();
    // What is no value of the key's type is no row either; of it the story says what to check.
    let entity_key = key::as_captured(client, &table, asked).await.ok().flatten();
    let entity_key = entity_key.unwrap_or_else(|| asked.to_owned());
    let faults = proof::faults(client, &table, watch).await?;
    let faults = faults.iter().map(|fault| fault.of_watch(name).to_string()).collect();
    // A row may get another key; that is told like any other field.
    let keys = table.key.iter().filter(|column| !watch.columns.contains(column));
    let columns = keys.chain(&watch.columns).cloned().collect();
    let meanings = table.columns_of(watch);
    Ok(TableSeen {
        meanings,
        columns,
        problems,
        faults,
        entity_key,
        table: table.table,
        key: table.key,
    })
}

/// What to check when nothing is known of an entity.
fn nothing(told: &Explanation, watch: &Watch) -> String {
    let Explanation { story, seen, .. } = told;
    let mut text = format!(
        "{} {} has no story: none of its changes was captured.\n\nCheck:\n",
        story.watch, story.entity_key
    );
    text += &format!(
        "- the key: {} is known by {}{}; does the row exist? `rowbell preview {} {}`\n",
        seen.table,
        seen.key.join(","),
        if seen.key.len() > 1 { ", parts joined by commas" } else { "" },
        story.watch,
        story.entity_key
    );
    let trigger = match seen.problems.is_empty() {
        true => "is as configured; it records what was changed since it was installed".to_owned(),
        false => seen.problems.join("; "),
    };
    text += &format!("- the trigger: {trigger}\n");
    seen.faults.iter().for_each(|fault| text += &format!("- {fault}\n"));
    let on: Vec<&str> = watch.on.iter().map(|operation| operation.into_str()).collect();
    text += &format!(
        "- the change: this watch records {}, and updates only where one of these columns differs: {}\n",
        on.join(", "),
        watch.columns.join(", ")
    );
    text
}

/// The story with what the text says beside it: what keeps its messages, and what is wrong with table and watch.
pub fn as_json(told: &Explanation, now: Timestamp) -> Result<Value, serde_json::Error> {
    let (story, seen) = (&told.story, &told.seen);
    let mut blockers = Vec::new();
    for stop in &told.blockers {
        let kept = story.messages.iter().filter(|message| keeps(stop, message, &story.watch, now));
        let kept: Vec<_> = kept.map(|message| message.message_id).collect();
        if !kept.is_empty() {
            let mut blocker = serde_json::to_value(stop)?;
            blocker["keeps"] = json!(kept);
            blockers.push(blocker);
        }
    }
    let mut shown = serde_json::to_value(story)?;
    shown["blockers"] = Value::Array(blockers);
    shown["checks"] = json!({
        "table": seen.table, "key": seen.key, "problems": seen.problems, "faults": seen.faults,
    });
    Ok(shown)
}

/// The story in time order, message by message; or, where there is none, what to check.
pub fn as_text(told: &Explanation, config: &Config, now: Timestamp) -> String {
    let story = &told.story;
    if let ([], [], Some(watch)) =
        (&story.messages[..], &story.changes[..], config.watch.get(&story.watch))
    {
        return nothing(told, watch);
    }
    let mut text = format!("{} {}, times in UTC\n", story.watch, story.entity_key);
    if story.has_earlier {
        text += "\nEarlier messages are left out; --last shows more.\n";
    }
    for message in &story.messages {
        let whom = message.recipient_key.as_ref().map(|key| format!(" for {key}"));
        let (id, whom) = (message.message_id, whom.unwrap_or_default());
        text += &format!("\nMessage {id}{whom}: {}\n", message.state.into_str());
        let mut events = events_of(message);
        // Clocks of server, daemon and provider differ; what happened at one moment stays in order.
        events.sort_by_key(|event| event.0);
        events.iter().for_each(|(at, what)| text += &line(&moment(*at), what));
        let kept = told.blockers.iter().filter(|stop| keeps(stop, message, &story.watch, now));
        let kept: Vec<String> = kept.map(|stop| line("now", &need(stop, now))).collect();
        let to_come = still_to_come(message, now, kept.is_empty());
        text += &to_come.map_or_else(String::new, |what| line("now", &what));
        text += &kept.concat();
        text += &may_go_on(message, now).map_or_else(String::new, |what| line("now", &what));
    }
    if !story.changes.is_empty() {
        text += "\nNot folded into a message yet\n";
        for change in &story.changes {
            text += &line(&moment(change.changed_at), &captured(change));
        }
    }
    if !told.seen.faults.is_empty() {
        text += "\nCannot be used now\n";
        told.seen.faults.iter().for_each(|fault| text += &format!("  {fault}\n"));
    }
    text
}

/// A time and what happened then; further lines of it stand below, indented.
fn line(at: &str, what: &str) -> String {
    let mut lines = what.lines();
    let mut text = format!("  {at:<19}  {}\n", lines.next().unwrap_or_default());
    lines.for_each(|more| text += &format!("  {:<19}    {more}\n", ""));
    text
}

type Event = (Timestamp, String);

fn events_of(message: &MessageHistory) -> Vec<Event> {
    let mut events = match message.fallback_of {
        None => vec![(message.first_changed_at, opened(message))],
        Some(first) => vec![(
            message.created_at,
            format!("fallback on channel {}: stands in for message {first}", message.channel),
        )],
    };
    let last = message.attempts.last();
    if let Some(words) = &message.words {
        // Put into words anew for each attempt; the latest words are kept.
        let at = last.map_or(message.created_at, |attempt| attempt.started_at);
        events.push((at, wording(words)));
    }
    for attempt in &message.attempts {
        events.push((attempt.started_at, begun(attempt, &message.channel)));
        events.extend(attempt.finished_at.map(|at| (at, ended(attempt))));
    }
    events.extend(message.receipts.iter().map(|receipt| (receipt.happened_at, evidence(receipt))));
    events.extend(message.lookups.iter().map(|lookup| (lookup.asked_at, looked_up(lookup))));
    let replies = message.replies.iter();
    // Its words are shown on the page, and in rowbell_report.replies.
    events.extend(
        replies.map(|reply| (reply.replied_at, format!("the customer answered ({})", reply.kind))),
    );
    events
        .extend(message.deliveries.iter().map(|delivery| (delivery.happened_at, posted(delivery))));
    if let Some(at) = message.finished_at {
        events.push((at, format!("{}{}", message.state.into_str(), why(message))));
    }
    events
}

fn opened(message: &MessageHistory) -> String {
    let changes = i64::from(message.change_count);
    let by = match &message.changed_by[..] {
        [] => String::new(),
        by => format!(" by {}", by.join(", ")),
    };
    let operation = message.operation.into_str();
    let folded = match changes {
        1 => format!("{operation}{by}"),
        _ => format!(
            "{operation}{by}: {} folded into one, the last {} after the first",
            count(changes, "change"),
            length(message.last_changed_at.duration_since(message.first_changed_at))
        ),
    };
    folded + &listed(&message.fields)
}

fn captured(change: &CapturedChange) -> String {
    let mut text = format!("{} by {}", change.operation.into_str(), change.changed_by);
    if let Some(reason) = &change.mute_reason {
        text += &format!(", muted: {reason}");
    }
    if let Some(error) = &change.capture_error {
        text += &format!(", the row could not be read: {error}");
    }
    text + &listed(&change.fields)
}

/// One line for each field, or a word that none differs.
fn listed(fields: &[Field]) -> String {
    let width = fields.iter().map(|field| field.column.chars().count()).max().unwrap_or(0);
    let lines = fields.iter().map(|field| {
        format!("\n{:width$}  {} → {}", field.column, plain(&field.old), plain(&field.new))
    });
    if fields.is_empty() {
        "\nno watched column differs in the end".to_owned()
    } else {
        lines.collect()
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "—".to_owned(),
        // One value, one line.
        Value::String(text) => text.replace(['\n', '\r'], " "),
        other => other.to_string(),
    }
}

fn wording(words: &WordsHistory) -> String {
    let known = |part: &Option<String>| part.clone().unwrap_or_else(|| "—".to_owned());
    let source = words.time_zone_source.as_ref().map(|source| format!(" by {source}"));
    format!(
        "put into words for {}, {} ({}, {}{}), template {} in {}\n{}",
        known(&words.recipient_name),
        known(&words.recipient_phone),
        known(&words.recipient_locale),
        known(&words.recipient_time_zone),
        source.unwrap_or_default(),
        known(&words.template),
        known(&words.language),
        known(&words.summary),
    )
}

fn begun(attempt: &AttemptHistory, channel: &str) -> String {
    let request =
        attempt.carried_by.map(|carrier| format!(", in the request of message {carrier}"));
    format!("attempt {} on channel {channel} begun{}", attempt.number, request.unwrap_or_default())
}

fn ended(attempt: &AttemptHistory) -> String {
    let result = match attempt.result {
        Some(AttemptResultKind::DryRun) => "DRY RUN",
        Some(result) => result.into_str(),
        None => "",
    };
    let mut parts = vec![result.to_owned()];
    parts.extend(attempt.http_status.map(|status| format!("HTTP {status}")));
    parts.extend(attempt.error_code.map(|code| format!("error {code}")));
    parts.extend(attempt.error_class.map(|class| format!("class {}", class.into_str())));
    parts.extend(attempt.provider_message_id.as_ref().map(|id| format!("id {id}")));
    let text = attempt.error_text.as_ref().map_or(String::new(), |text| format!("\n{text}"));
    format!("attempt {}: {}{text}", attempt.number, parts.join(", "))
}

fn evidence(receipt: &ReceiptHistory) -> String {
    let mut parts =
        vec![format!("{} (by {})", receipt.status.into_str(), receipt.source.into_str())];
    parts.extend(receipt.error_code.map(|code| format!("error {code}")));
    parts.extend(receipt.error_text.clone());
    format!("receipt: {}", parts.join(", "))
}

fn looked_up(lookup: &LookupHistory) -> String {
    let id = lookup.provider_message_id.as_ref().map_or(String::new(), |id| format!(", id {id}"));
    format!("attempt {} unconfirmed: {}{id}", lookup.attempt, lookup.found)
}

fn posted(delivery: &DeliveryHistory) -> String {
    let DeliveryHistory { endpoint, outcome, state, last_error, .. } = delivery;
    let why = last_error.as_ref().map_or(String::new(), |why| format!(", {why}"));
    format!("endpoint {endpoint}, told of {outcome}: {}{why}", state.replace('_', " "))
}

fn why(message: &MessageHistory) -> String {
    let parts: Vec<&str> =
        message.state.reason().into_iter().chain(message.reason_text.as_deref()).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// When it is decided whether the message goes on to the next channel.
fn may_go_on(message: &MessageHistory, now: Timestamp) -> Option<String> {
    let at = message.fallback_due_at?;
    let wait = message.fallback_waits_for;
    let why = wait.map_or(String::new(), |wait| format!(": {}", wait.in_words()));
    Some(match at > now {
        true => format!(
            "goes on to the next channel unless it arrives by {} (in {}){why}",
            moment(at),
            length(at.duration_since(now))
        ),
        false => format!("about to go on to the next channel{why}"),
    })
}

/// Whether a message that is due does not leave because of this.
fn keeps(stop: &ActiveBlocker, message: &MessageHistory, watch: &str, now: Timestamp) -> bool {
    let is_due = message.due_at.is_some_and(|at| at <= now);
    let is_open = matches!(message.state, State::Waiting | State::Scheduled);
    is_open
        && is_due
        && match stop.kind {
            BlockerKind::Copy => true,
            BlockerKind::Paused | BlockerKind::Circuit => match &stop.what {
                BlockerSubject::Channel(name) => *name == message.channel,
                BlockerSubject::Watch(name) => name == watch,
                _ => false,
            },
            BlockerKind::Hold | BlockerKind::Fallback => false,
        }
}

/// What the message waits for, if it waits.
fn still_to_come(message: &MessageHistory, now: Timestamp, is_free: bool) -> Option<String> {
    let due = message.due_at.map(|at| match at > now {
        true => format!("{} (in {})", moment(at), length(at.duration_since(now))),
        false => format!("{} ({} ago)", moment(at), length(now.duration_since(at))),
    });
    let is_late = message.due_at.is_some_and(|at| at <= now);
    let why = match why(message) {
        none if none.is_empty() && is_late && is_free => {
            format!(": waits for its turn on channel {}", message.channel)
        }
        why => why,
    };
    match (message.state, due) {
        (State::Waiting, Some(due)) => Some(format!("due {due}; later changes fold into it{why}")),
        (State::Scheduled, Some(due)) => Some(format!("due {due}{why}")),
        (State::Held, _) => Some(format!("waits for a person{why}")),
        (State::Sending, _) => Some("an attempt is under way".to_owned()),
        (State::Unconfirmed, Some(due)) => Some(format!(
            "the provider may have it; without evidence its watch's policy decides, {due}"
        )),
        (State::Unconfirmed, None) => Some(format!(
            "the provider may have it; no evidence came in time, a person has to look: rowbell settle {}",
            message.message_id
        )),
        _ => None,
    }
}
