//! What a person should do about the endpoints of the application.

use jiff::{SignedDuration, Timestamp};

use crate::cli::text::{age, count, moment};
use crate::postgres::outcome::outgoing_deliveries::EndpointStatus;

/// What has waited longer is worth a word.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// One sentence for each that needs a person.
pub fn needs(endpoints: &[EndpointStatus], now: Timestamp) -> Vec<String> {
    endpoints.iter().filter_map(|endpoint| need(endpoint, now)).collect()
}

fn need(endpoint: &EndpointStatus, now: Timestamp) -> Option<String> {
    let name = &endpoint.endpoint;
    let waiting = format!("{} for it", wait(endpoint.pending));
    let why = endpoint.last_error.as_ref().map_or(String::new(), |why| format!(" ({why})"));
    if !endpoint.is_configured {
        return Some(format!("endpoint {name} is not in the configuration, but {waiting}"));
    }
    if let Some(at) = endpoint.gone_at {
        return Some(format!(
            "endpoint {name} answered 410 (Gone) {} ago and is told nothing since; {waiting}: rowbell outgoing resume {name}, \
             or remove outgoing_webhook.{name}",
            age(at, now)
        ));
    }
    if let Some(since) = endpoint.opened_at {
        return Some(format!(
            "endpoint {name} has not taken outcomes since {} UTC ({}){why}; {waiting}; one is tried now and then, or at once: \
             rowbell outgoing resume {name}",
            moment(since),
            age(since, now)
        ));
    }
    endpoint.oldest_stored_at.filter(|at| now.duration_since(*at) > LATE).map(|at| {
        format!(
            "endpoint {name}: {waiting}, the oldest for {}{why}; see rowbell outgoing list",
            age(at, now)
        )
    })
}

fn wait(outcomes: i64) -> String {
    format!("{} {}", count(outcomes, "outcome"), if outcomes == 1 { "waits" } else { "wait" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-06-24T{text}Z").parse().unwrap()
    }

    fn endpoint(name: &str) -> EndpointStatus {
        EndpointStatus {
            endpoint: name.to_owned(),
            is_configured: true,
            gone_at: None,
            opened_at: None,
            next_try_at: None,
            failed_in_a_row: 0,
            last_delivered_at: Some(at("10:59:00")),
            last_failed_at: None,
            last_error: None,
            pending: 2,
            oldest_stored_at: Some(at("10:59:58")),
            given_up: 0,
        }
    }

    #[test]
    fn each_says_what_is_wrong_and_what_to_do() {
        let why = || Some("HTTP 500: it failed".to_owned());
        let endpoints = [
            endpoint("works"),
            EndpointStatus {
                pending: 1,
                oldest_stored_at: Some(at("10:00:00")),
                last_error: why(),
                ..endpoint("late")
            },
            EndpointStatus {
                opened_at: Some(at("10:30:00")),
                last_error: why(),
                ..endpoint("down")
            },
            EndpointStatus { gone_at: Some(at("09:00:00")), ..endpoint("gone") },
            EndpointStatus { is_configured: false, ..endpoint("old") },
        ];
        insta::assert_snapshot!(needs(&endpoints, at("11:00:00")).join("\n"), @r"
        endpoint late: 1 outcome waits for it, the oldest for 1 h (HTTP 500: it failed); see rowbell outgoing list
        endpoint down has not taken outcomes since 2026-06-24 10:30:00 UTC (30 min) (HTTP 500: it failed); 2 outcomes wait for it; one is tried now and then, or at once: rowbell outgoing resume down
        endpoint gone answered 410 (Gone) 2 h ago and is told nothing since; 2 outcomes wait for it: rowbell outgoing resume gone, or remove outgoing_webhook.gone
        endpoint old is not in the configuration, but 2 outcomes wait for it
        ");
    }
}
