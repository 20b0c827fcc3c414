//! Endpoints of the application, and what they have not taken yet.

use maud::{Markup, html};

use crate::page::times::Times;
use crate::postgres::outcome::outgoing_deliveries::EndpointStatus;

/// How each stands.
pub fn endpoints(all: &[EndpointStatus], times: &Times) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Endpoint" }
                    th scope="col" { "State" }
                    th.number scope="col" { "Wait" }
                    th scope="col" { "Oldest" }
                    th.number scope="col" { "Given up" }
                    th scope="col" { "Last taken" }
                    th scope="col" { "Why not" }
                }
            }
            tbody {
                @for endpoint in all {
                    tr {
                        th scope="row" { (endpoint.endpoint) }
                        td { span class={ "state " (class(endpoint)) } { (endpoint.state()) } }
                        td.number { (times.number(endpoint.pending)) }
                        td { @match endpoint.oldest_stored_at { Some(at) => (times.since(at)), None => "–" } }
                        td.number { (times.number(endpoint.given_up)) }
                        td { @match endpoint.last_delivered_at { Some(at) => (times.at(at)), None => "–" } }
                        td { @if is_stopped(endpoint) { (endpoint.last_error.as_deref().unwrap_or("–")) } @else { "–" } }
                    }
                }
            }
        }
    }
}

/// Whether it takes nothing, or next to nothing.
pub fn is_stopped(endpoint: &EndpointStatus) -> bool {
    endpoint.gone_at.is_some() || endpoint.opened_at.is_some()
}

fn class(endpoint: &EndpointStatus) -> &'static str {
    match endpoint {
        EndpointStatus { is_configured: false, .. } => "warn",
        stopped if is_stopped(stopped) => "bad",
        _ => "good",
    }
}
