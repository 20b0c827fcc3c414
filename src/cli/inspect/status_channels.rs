//! How the channels stand: what waits on them, and which receipt sources tell what became of their messages.

use comfy_table::Table;
use jiff::{SignedDuration, Timestamp};

use crate::cli::text::{LATE, age, are, length, table};
use crate::domain::message::receipt::ReceiptSourceState;
use crate::postgres::operations::status_report::{ChannelStatus, ReceiptSource, Status};

/// The daemons that run, and the channels on which each sends.
pub fn daemons(status: &Status) -> Table {
    let mut table = table(&["DAEMON", "RUNS FOR", "SENDS ON"]);
    for daemon in &status.daemons {
        let sends = |channel: &&ChannelStatus| channel.leased_by.as_ref() == Some(&daemon.instance);
        let channels: Vec<&str> =
            status.channels.iter().filter(sends).map(|channel| channel.channel.as_str()).collect();
        table.add_row([
            daemon.name.clone(),
            age(daemon.started_at, status.taken_at),
            if channels.is_empty() { "–".to_owned() } else { channels.join(", ") },
        ]);
    }
    table
}

/// The name of a daemon; of one that is gone, the beginning of its instance.
fn sender(status: &Status, instance: &str) -> String {
    let daemon = status.daemons.iter().find(|daemon| daemon.instance == instance);
    daemon.map_or_else(|| instance.chars().take(8).collect(), |daemon| daemon.name.clone())
}

/// What waits on each channel, and who tells of its receipts.
pub fn table_of(status: &Status) -> Table {
    let mut table = table(&[
        "CHANNEL",
        "OPEN",
        "HELD",
        "LEASED",
        "UNCONFIRMED",
        "NEXT DUE",
        "WAITS FOR",
        "RATE",
        "SENT BY",
        "WEBHOOK",
        "POLLING",
    ]);
    for channel in &status.channels {
        table.add_row([
            channel.channel.clone(),
            channel.open.to_string(),
            channel.held.to_string(),
            channel.leased.to_string(),
            channel.unconfirmed.to_string(),
            channel.oldest_due_at.map_or("–".to_owned(), |at| due(at, status.taken_at)),
            waits(channel),
            rate(channel),
            channel.leased_by.as_ref().map_or("–".to_owned(), |by| sender(status, by)),
            webhook(channel, status.taken_at),
            told(&channel.polling, status.taken_at),
        ]);
    }
    table
}

/// How many wait for which limit, or for what stands still to go on.
fn waits(channel: &ChannelStatus) -> String {
    let limits = [
        ("rate", channel.waits_for_rate),
        ("blocker", channel.waits_for_blocker),
        ("recipient limit", channel.waits_for_recipient_limit),
        ("recipients", channel.waits_for_recipients),
    ];
    let waiting: Vec<String> = limits
        .into_iter()
        .filter(|(_, messages)| *messages > 0)
        .map(|(limit, messages)| {
            format!("{limit} {messages}{}", estimate(limit, messages, channel))
        })
        .collect();
    if waiting.is_empty() { "–".to_owned() } else { waiting.join(", ") }
}

/// How long the rate needs for so many, where that is more than a minute.
fn estimate(limit: &str, messages: i64, channel: &ChannelStatus) -> String {
    let rate = channel.learned_rate.or(channel.rate).filter(|rate| *rate > 0.0);
    let seconds = rate.map_or(0.0, |rate| messages as f64 / rate);
    match limit == "rate" && seconds >= 60.0 {
        true => format!(" (about {})", length(SignedDuration::from_secs(seconds as i64))),
        false => String::new(),
    }
}

/// Messages a second, as the provider bears them now.
fn rate(channel: &ChannelStatus) -> String {
    channel
        .learned_rate
        .or(channel.rate)
        .map_or("–".to_owned(), |rate| format!("{}/s", short(rate)))
}

fn short(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

fn due(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", length(at.duration_since(now)))
    } else {
        format!("{} ago", age(at, now))
    }
}

/// The state of one receipt source in a few words.
fn told(receipt_source: &ReceiptSource, now: Timestamp) -> String {
    let since =
        receipt_source.since.map_or_else(String::new, |at| format!(" for {}", age(at, now)));
    match (receipt_source.is_on, receipt_source.state) {
        (false, _) => "off".to_owned(),
        (true, None) => "not heard yet".to_owned(),
        (true, Some(ReceiptSourceState::Missing)) => format!("missing{since}"),
        (true, Some(ReceiptSourceState::Failing)) => format!("failing{since}"),
        (true, Some(ReceiptSourceState::Works)) => receipt_source
            .last_worked_at
            .map_or("works".to_owned(), |at| format!("heard {} ago", age(at, now))),
    }
}

/// The state of the webhook: what the provider says of it, where that is bad, before what it told.
fn webhook(channel: &ChannelStatus, now: Timestamp) -> String {
    let ChannelStatus { webhook, registration, .. } = channel;
    let since = registration.since.map_or_else(String::new, |at| format!(" for {}", age(at, now)));
    // What came in later than it was found to be bad proves it good.
    let is_outdated = webhook.last_worked_at > registration.since;
    match (registration.is_on, registration.state) {
        (true, Some(ReceiptSourceState::Missing)) if !is_outdated => {
            format!("not registered{since}")
        }
        (true, Some(ReceiptSourceState::Failing)) if !is_outdated => format!("failing{since}"),
        _ => told(webhook, now),
    }
}

/// What a person should do about what the provider says of our webhook.
fn destination_needs(channel: &ChannelStatus, now: Timestamp, needs: &mut Vec<String>) {
    let ChannelStatus { channel: name, registration, .. } = channel;
    let since = registration.since.map_or_else(String::new, |at| format!(" for {}", age(at, now)));
    match (registration.is_on, registration.state) {
        (true, Some(ReceiptSourceState::Missing)) => needs.push(format!(
            "channel {name}: the provider posts nothing to our webhook{since}: rowbell webhook register <url>"
        )),
        (true, Some(ReceiptSourceState::Failing)) => needs.push(format!(
            "channel {name}: {}{since}; see rowbell webhook test",
            registration.detail.as_deref().unwrap_or("the webhook fails")
        )),
        _ => {}
    }
}

/// What was not understood longer ago than this is over.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// What a person should do about the receipt sources of a channel.
fn receipt_source_needs(channel: &ChannelStatus, now: Timestamp, needs: &mut Vec<String>) {
    let ChannelStatus { channel: name, webhook, polling, .. } = channel;
    if !channel.has_receipts {
        return;
    }
    destination_needs(channel, now, needs);
    let unread = &channel.unread;
    if let Some(at) = unread.since.filter(|at| now.duration_since(*at) < RECENT) {
        needs.push(format!(
            "channel {name}: what was posted to the webhook {} ago was not understood ({}): receipts and opt-outs in \
             it are lost; compare what the provider posts with docs/CONFIGURATION.md",
            age(at, now),
            unread.detail.as_deref().unwrap_or("no detail known")
        ));
    }
    let can_be_asked = polling.is_on && polling.state != Some(ReceiptSourceState::Missing);
    if !webhook.is_on && !can_be_asked {
        needs.push(format!(
            "channel {name}: nothing tells what becomes of its messages: there is no webhook, and the provider \
             {}; set webhook.listen",
            if polling.is_on { "cannot be asked (hookInfo: 404)" } else { "is not asked (polling.enabled)" }
        ));
    }
    if polling.state == Some(ReceiptSourceState::Failing) && polling.is_on {
        needs.push(format!(
            "channel {name}: the provider could not be asked for receipts{}: {}",
            polling.since.map_or_else(String::new, |at| format!(" for {}", age(at, now))),
            polling.detail.as_deref().unwrap_or("no reason known")
        ));
    }
}

/// What a person should do about a channel, as sentences.
pub fn needs(channel: &ChannelStatus, now: Timestamp, needs: &mut Vec<String>) {
    let name = &channel.channel;
    if !channel.is_configured && channel.open + channel.held > 0 {
        needs.push(format!("channel {name} is not in the configuration, but messages wait for it"));
    } else if let Some(at) = channel.oldest_due_at.filter(|at| now.duration_since(*at) > LATE) {
        needs.push(format!(
            "channel {name}: a message has been due for {}; is the daemon running, or is the channel's rate too low?",
            age(at, now)
        ));
    }
    if channel.is_dry_run {
        needs.push(format!(
            "channel {name}: DRY RUN: its messages are recorded and not sent (installation.dry_run, or dry_run of the channel)"
        ));
    }
    if let (Some(learned), Some(rate)) = (channel.learned_rate, channel.rate) {
        needs.push(format!(
            "channel {name}: the provider asked to slow down: it sends {}/s instead of {}/s, which grows back \
             within minutes; if this comes again and again, lower channel.{name}.rate",
            short(learned),
            short(rate)
        ));
    }
    if channel.waits_for_recipients > 0 {
        needs.push(format!(
            "channel {name}: {} put off to the next day by channel.{name}.daily_recipients",
            are(channel.waits_for_recipients)
        ));
    }
    receipt_source_needs(channel, now, needs);
    if channel.held > 0 {
        needs.push(format!("channel {name}: {} held until a person decides", are(channel.held)));
    }
    if channel.unconfirmed > 0 {
        needs.push(format!(
            "channel {name}: {} unconfirmed: whether the provider took it is not known, evidence is awaited",
            are(channel.unconfirmed)
        ));
    }
}
