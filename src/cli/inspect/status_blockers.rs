//! What stands still, as sentences that say since when, why, and what to do.

use jiff::Timestamp;

use crate::cli::text::{age, count, length, moment};
use crate::finding::Finding;
use crate::postgres::operations::blockers::{
    ActiveBlocker, BlockerKind, BlockerState, BlockerSubject,
};

/// One sentence for each, for the part of the status that needs attention.
pub fn needs(blockers: &[ActiveBlocker], now: Timestamp) -> Vec<String> {
    blockers.iter().map(|stop| need(stop, now)).collect()
}

/// The same as findings: with the command that lets messages leave again.
pub fn findings(blockers: &[ActiveBlocker], now: Timestamp) -> Vec<Finding> {
    blockers.iter().map(|stop| finding(stop, now)).collect()
}

fn finding(stop: &ActiveBlocker, now: Timestamp) -> Finding {
    let (key, what) = (stop.what.to_string(), need(stop, now));
    match stop.kind {
        BlockerKind::Copy => Finding::new("database", what).rowbell("adopt"),
        BlockerKind::Paused => {
            let way = format!("resume {}", stop.what);
            Finding::note(key, what).rowbell(way)
        }
        BlockerKind::Circuit => {
            let way = format!("resume {}", resumed_with(&stop.what));
            Finding::new(key, what).rowbell(way)
        }
        BlockerKind::Hold => Finding::warning(key, what).rowbell("held"),
        BlockerKind::Fallback => Finding::warning(key, what),
    }
}

/// What one of them is about, since when, why, and what to do.
pub fn need(stop: &ActiveBlocker, now: Timestamp) -> String {
    let because = stop.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    let since = format!("since {} UTC ({})", moment(stop.since), age(stop.since, now));
    let what = &stop.what;
    match stop.kind {
        BlockerKind::Copy => format!(
            "this database is a copy and sends nothing; it was installed for another one{because}; \
             if it is meant to send, rowbell adopt"
        ),
        BlockerKind::Paused => {
            format!("{what} is paused {since}{because}; to go on: rowbell resume {what}")
        }
        BlockerKind::Circuit => format!(
            "{what} is stopped by errors {since}{because}; {}; to try at once: rowbell resume {}",
            next_try(stop, now),
            resumed_with(what)
        ),
        BlockerKind::Hold => format!(
            "{what}, {since}: {} wait for a person{because}; see rowbell held, then rowbell approve or discard",
            count(stop.messages.unwrap_or(0), "message")
        ),
        BlockerKind::Fallback => format!(
            "{} of {what} did not reach their recipients and cannot go on to the next channel yet, the oldest {since}{because}",
            count(stop.messages.unwrap_or(0), "message")
        ),
    }
}

/// A template starts again with its channel.
fn resumed_with(what: &BlockerSubject) -> BlockerSubject {
    match what {
        BlockerSubject::Template(key) => BlockerSubject::Channel(key.channel.clone()),
        what => what.clone(),
    }
}

fn next_try(stop: &ActiveBlocker, now: Timestamp) -> String {
    match stop.next_try_at {
        _ if stop.state == BlockerState::Probing => "one message is being tried".to_owned(),
        Some(at) if at > now => {
            format!("one message is tried in {}", length(at.duration_since(now)))
        }
        _ => "one message is tried as soon as one is due".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::BlockerState as State;
    use super::*;
    use crate::domain::limit::circuit::CircuitKey;

    fn at(text: &str) -> Timestamp {
        format!("2026-06-24T{text}Z").parse().unwrap()
    }

    #[test]
    fn each_says_since_when_and_why_and_what_to_do() {
        let stop = |kind, what, state, reason: Option<&str>| ActiveBlocker {
            kind,
            what,
            state,
            reason: reason.map(str::to_owned),
            since: at("10:00:00"),
            next_try_at: (kind == BlockerKind::Circuit).then(|| at("11:04:00")),
            messages: (kind == BlockerKind::Hold).then_some(99_990),
        };
        let main = || BlockerSubject::Channel("main".to_owned());
        let blockers = [
            stop(
                BlockerKind::Copy,
                BlockerSubject::Database("production".to_owned()),
                State::Copy,
                Some("environment production, database 16385"),
            ),
            stop(BlockerKind::Paused, main(), State::Paused, Some("the token is renewed")),
            stop(
                BlockerKind::Paused,
                BlockerSubject::Watch("orders".to_owned()),
                State::Paused,
                None,
            ),
            stop(BlockerKind::Circuit, main(), State::Open, Some("190: Access token has expired")),
            stop(
                BlockerKind::Circuit,
                BlockerSubject::Template(CircuitKey::template("main", "news", "es")),
                State::Probing,
                Some("132015: paused"),
            ),
            stop(
                BlockerKind::Hold,
                BlockerSubject::Hold { hold_id: 7, watch: "orders".to_owned() },
                State::Held,
                Some("one transaction changed 100000 rows"),
            ),
        ];
        insta::assert_snapshot!(needs(&blockers, at("11:00:00")).join("\n"), @r"
        this database is a copy and sends nothing; it was installed for another one: environment production, database 16385; if it is meant to send, rowbell adopt
        channel main is paused since 2026-06-24 10:00:00 UTC (1 h): the token is renewed; to go on: rowbell resume channel main
        watch orders is paused since 2026-06-24 10:00:00 UTC (1 h); to go on: rowbell resume watch orders
        channel main is stopped by errors since 2026-06-24 10:00:00 UTC (1 h): 190: Access token has expired; one message is tried in 4 min; to try at once: rowbell resume channel main
        template news (es) on channel main is stopped by errors since 2026-06-24 10:00:00 UTC (1 h): 132015: paused; one message is being tried; to try at once: rowbell resume channel main
        hold 7 of watch orders, since 2026-06-24 10:00:00 UTC (1 h): 99990 messages wait for a person: one transaction changed 100000 rows; see rowbell held, then rowbell approve or discard
        ");
    }
}
