//! What is wrong between us and the provider: its clock, and the way on which its receipts come in.

use jiff::SignedDuration;

use crate::clock::Clock;
use crate::config::Config;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::operations::webhook_probe::{ProbeOutcome, WebhookTest};
use crate::provider::client::ProviderClient;

/// Clocks may differ by so much: the head of an answer tells whole seconds, and the answer was on the way.
const CLOCK_MAY_DIFFER: SignedDuration = SignedDuration::from_secs(5);

pub async fn look(config: &Config, clock: &Clock, has_database: bool, report: &mut CheckReport) {
    for (name, channel) in &config.channel {
        // A token that cannot be read is told of with the templates.
        let Ok(ProviderClient::OneMsg(client)) = ProviderClient::new(channel, config) else {
            continue;
        };
        if let Ok(Some(theirs)) = client.clock().await {
            report.findings.extend(clocks(name, clock.host().duration_since(theirs)));
        }
        if config.webhook.listen.is_empty() || !has_database {
            continue;
        }
        let now = clock.now();
        let timeout = std::time::Duration::ZERO;
        let test =
            WebhookTest { config, name, channel, client: &client, message: None, timeout, now };
        // Where the provider posts to is compared by itself; that nothing has come yet is no fault.
        let steps = test.run().await.steps.into_iter();
        let failed = steps.filter(|step| {
            step.result == ProbeOutcome::Failed && matches!(step.step, "daemon" | "address")
        });
        for step in failed {
            let todo = step.todo.map_or_else(String::new, |todo| format!("; {todo}"));
            let what = format!("{}{todo}", step.found);
            report.push(Finding::new(format!("webhook of channel {name}"), what));
        }
    }
}

fn clocks(channel: &str, ahead: SignedDuration) -> Option<Finding> {
    let word = if ahead.is_positive() { "ahead of" } else { "behind" };
    (ahead.abs() > CLOCK_MAY_DIFFER).then(|| {
        let what = format!(
            "the clock of this host is {} s {word} that of the provider of channel {channel}: receipts seem to come before \
             or long after their messages",
            ahead.abs().as_secs()
        );
        Finding::warning("clock", what).shell("timedatectl set-ntp true")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_said() {
        let told = |seconds| clocks("main", SignedDuration::from_secs(seconds));
        assert_eq!(told(4), None);
        assert!(told(60).is_some_and(|found| found.what.contains("60 s ahead of")));
        assert!(told(-7).is_some_and(|found| found.what.contains("7 s behind")));
    }
}
