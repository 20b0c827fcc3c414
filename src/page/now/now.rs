//! What waits and why, and how channels, daemons and watches stand.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream;
use maud::{Markup, html};
use tokio::sync::OwnedSemaphorePermit;

use crate::domain::message::state::State as MessageState;
use crate::domain::text::short_text::{LATE, count, length};
use crate::page::answer::{PageError, shown};
use crate::page::layout::{View, framed};
use crate::page::now::endpoints::{endpoints, is_stopped};
use crate::page::now::snapshot::{FRESH, Snapshot};
use crate::page::now::strip::strip;
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::page::times::Times;
use crate::pipeline::context::stage::StageError;
use crate::postgres::operations::blockers::{ActiveBlocker, BlockerKind, BlockerState};
use crate::postgres::operations::status_report::{
    ChannelStatus, DoorbellState, ReceiptSource, Status, WatchStatus,
};
use crate::postgres::outcome::outgoing_deliveries::EndpointStatus;

pub async fn view(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
) -> Result<Html<String>, PageError> {
    let snapshot = snapshot(&page).await?;
    let main = html! {
        h1 { "Now" }
        div data-live="/now/live" { (inner(&page, &snapshot)) }
    };
    Ok(shown(framed(&page, &visitor, View::Now, "Now", &main)))
}

/// The same, again and again, for a browser that runs our script.
pub async fn live(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let permit = page.live.clone().try_acquire_owned().map_err(|_| PageError::Busy)?;
    let news = News { page, visitor, is_first: true, _permit: permit };
    let events = stream::unfold(news, |news| async {
        let (text, news) = news.next().await?;
        Some((Ok::<_, Infallible>(Event::default().data(text)), news))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

/// What keeps one browser up to date.
struct News {
    page: Arc<PageState>,
    visitor: Visitor,
    is_first: bool,
    _permit: OwnedSemaphorePermit,
}

impl News {
    /// The next state of the view; None: the daemon stops, the login is over, or the database is away: the browser
    /// asks again by itself.
    async fn next(mut self) -> Option<(String, News)> {
        if !std::mem::take(&mut self.is_first) {
            tokio::select! {
                () = self.page.stop.cancelled() => return None,
                () = tokio::time::sleep(FRESH) => {}
            }
        }
        if self.visitor.is_expired(self.page.context.clock.now()) {
            return None;
        }
        let snapshot = snapshot(&self.page).await.ok()?;
        let text = inner(&self.page, &snapshot).into_string();
        Some((text, self))
    }
}

async fn snapshot(page: &PageState) -> Result<Arc<Snapshot>, StageError> {
    // Whoever comes while it is read waits for it, rather than ask a second time.
    let mut latest = page.latest.lock().await;
    let now = page.context.clock.now();
    if let Some(fresh) = latest.fresh(now) {
        return Ok(fresh);
    }
    let client = page.database().await?;
    let snapshot = Arc::new(Snapshot::read(&client, page.config(), now).await?);
    latest.keep(snapshot.clone());
    Ok(snapshot)
}

fn inner(page: &PageState, snapshot: &Snapshot) -> Markup {
    let (status, times) = (&snapshot.status, Times::of(page));
    html! {
        (tiles(status, &times))
        section aria-labelledby="needs" {
            h2 #needs { "What needs a person" }
            (needs(status, &times))
        }
        section aria-labelledby="hour" {
            h2 #hour { "The last hour" }
            (strip(&snapshot.last_hour, &times))
        }
        section aria-labelledby="channels" {
            h2 #channels { "Channels" }
            div.wide tabindex="0" role="group" aria-labelledby="channels" { (channels(snapshot, &times)) }
        }
        @if !status.endpoints.is_empty() {
            section aria-labelledby="endpoints" {
                h2 #endpoints { "Endpoints of the application" }
                div.wide tabindex="0" role="group" aria-labelledby="endpoints" { (endpoints(&status.endpoints, &times)) }
            }
        }
        section aria-labelledby="watches" {
            h2 #watches { "Watches" }
            div.wide tabindex="0" role="group" aria-labelledby="watches" { (watches(status, &times)) }
        }
        section aria-labelledby="daemons" {
            h2 #daemons { "Daemons" }
            (daemons(status, &times))
        }
        p.hint { "As of " (times.at(status.taken_at)) "." }
    }
}

fn tiles(status: &Status, times: &Times) -> Markup {
    let sum = |of: fn(&ChannelStatus) -> i64| status.channels.iter().map(of).sum::<i64>();
    let changes = status.watches.iter().map(|watch| watch.changes).sum::<i64>();
    let oldest = status.channels.iter().filter_map(|channel| channel.oldest_due_at).min();
    let tile = |name: &str, number: i64| {
        html! { div { dt { (name) } dd { (times.number(number)) } } }
    };
    html! {
        dl.tiles {
            (tile("Changes not folded yet", changes))
            (tile("Messages that wait", sum(|channel| channel.open)))
            (tile("On their way", sum(|channel| channel.leased)))
            (tile("Held for a person", sum(|channel| channel.held)))
            (tile("Unconfirmed", unconfirmed(status)))
            div {
                dt { "Due for" }
                dd {
                    @match oldest.filter(|at| *at <= times.now) {
                        Some(at) => (length(times.now.duration_since(at))),
                        None => "–",
                    }
                }
            }
        }
    }
}

/// Messages of the last day whose request got no answer, those included that wait for a person.
fn unconfirmed(status: &Status) -> i64 {
    let outcomes = status.outcomes.iter();
    outcomes
        .filter(|outcome| outcome.state == MessageState::Unconfirmed)
        .map(|outcome| outcome.messages)
        .sum()
}

/// What stands still, in words, and what else a person should look at.
fn needs(status: &Status, times: &Times) -> Markup {
    let late: Vec<&ChannelStatus> =
        status.channels.iter().filter(|channel| is_late(channel, times)).collect();
    let troubled: Vec<&WatchStatus> =
        status.watches.iter().filter(|watch| is_troubled(watch)).collect();
    let blockers = &status.blockers;
    let (nobody, doubts) = (status.daemons.is_empty(), unconfirmed(status));
    let stopped: Vec<&EndpointStatus> =
        status.endpoints.iter().filter(|endpoint| is_stopped(endpoint)).collect();
    html! {
        @if blockers.is_empty() && late.is_empty() && troubled.is_empty() && stopped.is_empty() && doubts == 0 && !nobody {
            p.good { "Nothing." }
        } @else {
            ul.needs {
                @if nobody { li.bad { "No daemon runs: nothing is sent." } }
                @for blocker in blockers { li { (in_words(blocker, times)) } }
                @if doubts > 0 {
                    li.warn { "The requests of " a href="/holds" { (count(doubts, "message")) } " got no answer: did they arrive?" }
                }
                @for channel in late {
                    li.warn {
                        "Messages on channel " strong { (channel.channel) } " are late; the oldest has been due for "
                        @if let Some(at) = channel.oldest_due_at { (times.since(at)) } "."
                    }
                }
                @for endpoint in stopped {
                    li.bad { "Endpoint " strong { (endpoint.endpoint) } " of the application does not take outcomes." }
                }
                @for watch in troubled {
                    li.bad {
                        "Watch " strong { (watch.watch) } ": "
                        (watch.problem.iter().chain(&watch.faults).cloned().collect::<Vec<_>>().join("; "))
                    }
                }
            }
        }
    }
}

fn is_late(channel: &ChannelStatus, times: &Times) -> bool {
    channel.oldest_due_at.is_some_and(|at| times.now.duration_since(at) > LATE)
}

fn is_troubled(watch: &WatchStatus) -> bool {
    watch.problem.is_some() || !watch.faults.is_empty()
}

fn in_words(blocker: &ActiveBlocker, times: &Times) -> Markup {
    let messages = count(blocker.messages.unwrap_or(0), "message");
    let what = blocker.what.to_string();
    let sentence = match blocker.kind {
        BlockerKind::Copy => "This database is a copy of another one, and sends nothing".to_owned(),
        BlockerKind::Paused => format!("A person has paused {what}"),
        BlockerKind::Circuit => format!("Errors have stopped {what}"),
        BlockerKind::Hold => format!("{messages} of {what} wait for a person"),
        BlockerKind::Fallback => {
            format!("{messages} of {what} cannot go on to the next channel yet")
        }
    };
    html! {
        strong { (sentence) }
        ", since " (times.at(blocker.since))
        @if let Some(reason) = &blocker.reason { ": " (reason) }
        "."
        @if blocker.kind == BlockerKind::Hold { " " a href="/holds" { "Decide" } }
        @if blocker.state == BlockerState::Probing { " One message is being tried." }
        @else if let Some(at) = blocker.next_try_at { " The next message is tried " (times.at(at)) "." }
    }
}

fn channels(snapshot: &Snapshot, times: &Times) -> Markup {
    let status = &snapshot.status;
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Channel" }
                    th scope="col" { "State" }
                    th scope="col" { "Rate used of allowed" }
                    th.number scope="col" { "Wait" }
                    th scope="col" { "For what" }
                    th.number scope="col" { "Held" }
                    th.number scope="col" { "Unconfirmed" }
                    th scope="col" { "Who tells what arrived" }
                    th scope="col" { "Sent by" }
                }
            }
            tbody {
                @for channel in &status.channels {
                    tr {
                        th scope="row" { (channel.channel) }
                        td { (state(channel, status)) }
                        td { (rate(channel, snapshot)) }
                        td.number { (times.number(channel.open)) }
                        td { (waits(channel, times)) }
                        td.number { (times.number(channel.held)) }
                        td.number { (times.number(channel.unconfirmed)) }
                        td { (sources(channel, times)) }
                        td { (sender(channel, status)) }
                    }
                }
            }
        }
    }
}

fn state(channel: &ChannelStatus, status: &Status) -> Markup {
    let name = format!("channel {}", channel.channel);
    let stops = |kind| {
        status
            .blockers
            .iter()
            .any(|blocker| blocker.kind == kind && blocker.what.to_string() == name)
    };
    let (class, word) = match channel {
        _ if stops(BlockerKind::Circuit) => ("bad", "stopped by errors"),
        _ if stops(BlockerKind::Paused) => ("warn", "paused"),
        ChannelStatus { is_configured: false, .. } => ("warn", "not configured"),
        ChannelStatus { is_dry_run: true, .. } => ("warn", "dry run"),
        _ => ("good", "open"),
    };
    html! { span class={ "state " (class) } { (word) } }
}

fn rate(channel: &ChannelStatus, snapshot: &Snapshot) -> Markup {
    let used = snapshot.attempts.get(&channel.channel).copied().unwrap_or(0) as f64 / 60.0;
    let allowed = channel.learned_rate.or(channel.rate);
    html! {
        (format!("{used:.1}"))
        @if let Some(allowed) = allowed { " of " (format!("{allowed:.1}")) } " a second"
        @if let (Some(learned), Some(rate)) = (channel.learned_rate, channel.rate) {
            " " span.ago { (format!("(the provider asked to slow down: {learned:.1} instead of {rate:.1})")) }
        }
    }
}

fn waits(channel: &ChannelStatus, times: &Times) -> Markup {
    let whys = [
        (channel.waits_for_rate, "the rate"),
        (channel.waits_for_blocker, "a stop"),
        (channel.waits_for_recipient_limit, "the limit of a recipient"),
        (channel.waits_for_recipients, "the limit of recipients a day"),
    ];
    let whys: Vec<String> = whys
        .into_iter()
        .filter(|(messages, _)| *messages > 0)
        .map(|(messages, why)| format!("{} for {why}", times.number(messages)))
        .collect();
    html! { @if whys.is_empty() { "–" } @else { (whys.join(", ")) } }
}

fn sources(channel: &ChannelStatus, times: &Times) -> Markup {
    let source = |name: &str, source: &ReceiptSource| {
        html! {
            @if source.is_on {
                div {
                    (name) ": "
                    @match source.state { None => "nothing yet", Some(state) => (state.into_str()) }
                    @if let Some(at) = source.last_worked_at { ", last " (times.at(at)) }
                }
            }
        }
    };
    html! {
        @if !channel.has_receipts { "nobody" }
        (source("webhook", &channel.webhook))
        (source("polling", &channel.polling))
        (source("registration", &channel.registration))
    }
}

/// The name of the daemon that sends on a channel.
fn sender(channel: &ChannelStatus, status: &Status) -> Markup {
    let instance = channel.leased_by.as_deref();
    let daemon = status.daemons.iter().find(|daemon| Some(daemon.instance.as_str()) == instance);
    html! {
        @match (instance, daemon) {
            (None, _) => span.warn { "nobody" },
            (_, Some(daemon)) => (daemon.name),
            (Some(instance), None) => (instance),
        }
    }
}

fn watches(status: &Status, times: &Times) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Watch" }
                    th scope="col" { "Table" }
                    th scope="col" { "Trigger" }
                    th.number scope="col" { "Changes not folded" }
                    th scope="col" { "Oldest" }
                    th.number scope="col" { "Wait for the watch" }
                }
            }
            tbody {
                @for watch in &status.watches {
                    tr {
                        th scope="row" { (watch.watch) }
                        td { (watch.table.as_deref().unwrap_or("–")) }
                        td { (watch.trigger.into_str()) }
                        td.number { (times.number(watch.changes)) }
                        td { @match watch.oldest_changed_at { Some(at) => (times.since(at)), None => "–" } }
                        td.number { (times.number(watch.waiting)) }
                    }
                }
            }
        }
    }
}

fn daemons(status: &Status, times: &Times) -> Markup {
    let bell = match status.doorbell {
        DoorbellState::Parked => "parked: writers ring",
        DoorbellState::Awake => "awake: writers need not ring",
    };
    html! {
        dl.facts {
            dt { "Doorbell" } dd { (bell) }
            @for daemon in &status.daemons {
                dt { (daemon.name) }
                dd {
                    "runs since " (times.at(daemon.started_at)) ", can send on "
                    (daemon.channels.join(", "))
                }
            }
        }
    }
}
