//! Whether anything answers where outcomes are to be posted. Nothing is posted.

use crate::config::Config;
use crate::error_chain::chain;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::provider::client_error::ClientError;
use crate::provider::outgoing_webhook::endpoint::Endpoint;

pub async fn look(config: &Config, report: &mut CheckReport) {
    for (name, settings) in &config.outgoing_webhook {
        let key = format!("outgoing_webhook.{name}");
        match Endpoint::new(settings) {
            Ok(endpoint) => {
                if let Err(why) = endpoint.knock().await {
                    let what = format!("nothing answers at its URL: {why}");
                    report.push(Finding::warning(format!("{key}.url"), what));
                }
            }
            // Keys are looked at with the other secrets.
            Err(ClientError::Secret { .. }) => {}
            Err(error) => report.push(Finding::new(key, chain(&error))),
        }
    }
}
