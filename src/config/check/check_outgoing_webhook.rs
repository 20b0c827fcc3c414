//! Whether an endpoint can be posted to as its settings say.

use std::time::Duration;

use reqwest::Url;

use crate::config::check::check_findings::CheckFindings;
use crate::config::{Config, OutgoingWebhook};

const EXAMPLE: &str = "https://crm.example/rowbell";

pub fn check_outgoing_webhook(
    key: &str,
    endpoint: &OutgoingWebhook,
    config: &Config,
    found: &mut CheckFindings,
) {
    check_url(key, endpoint, found);
    found.unless(
        !endpoint.states.is_empty(),
        format!("{key}.states"),
        "expected at least one state; leave it out for all",
    );
    for watch in &endpoint.watches {
        found.known(format!("{key}.watches"), "watch", watch, &config.watch);
    }
    let seconds = Duration::from_secs(1)..=Duration::from_secs(30);
    found.unless(
        seconds.contains(&endpoint.timeout),
        format!("{key}.timeout"),
        format!("expected \"1s\" to \"30s\", found {:?}", endpoint.timeout),
    );
    found.within(format!("{key}.concurrency"), endpoint.concurrency, 1..=64);
    let minute = Duration::from_secs(60);
    found.unless(
        endpoint.give_up_after >= minute,
        format!("{key}.give_up_after"),
        "expected at least \"1m\"",
    );
}

/// The URL itself is not repeated: there may be a secret in it.
fn check_url(key: &str, endpoint: &OutgoingWebhook, found: &mut CheckFindings) {
    let at = format!("{key}.url");
    let url = Url::parse(&endpoint.url)
        .ok()
        .filter(|url| url.has_host() && matches!(url.scheme(), "https" | "http"));
    let Some(url) = url else {
        return found.unless(false, at, format!("expected a URL such as \"{EXAMPLE}\""));
    };
    found.unless(
        url.username().is_empty() && url.password().is_none(),
        at.clone(),
        "holds a user or password; whoever gets the request knows it by its signature (secret_file)",
    );
    found.unless(
        endpoint.include.is_empty() || url.scheme() == "https" || is_here(&url),
        at,
        "what is told of a person (include) leaves this machine only by https",
    );
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
