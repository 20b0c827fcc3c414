//! What `rowbell check` asks the provider: whether it posts to our webhook. Warnings only: the daemon has
//! to start before anything can be posted to it.

use secrecy::ExposeSecret as _;

use crate::config::{Config, secret};
use crate::finding::Finding;
use crate::provider::client::ProviderClient;
use crate::provider::onemsg::webhook_settings::WebhookStatus;

/// What keeps receipts from coming in, for each channel.
pub async fn warnings(config: &Config) -> Vec<Finding> {
    let webhook = &config.webhook;
    let Some(file) = webhook.secret_file.as_deref().filter(|_| !webhook.listen.is_empty()) else {
        return Vec::new();
    };
    let Ok(secret) = secret::secret(file) else {
        let what =
            "whether the providers post to our webhook was not asked: the file cannot be read";
        return vec![Finding::warning("webhook.secret_file", what)];
    };
    let mut warnings = Vec::new();
    for (name, channel) in &config.channel {
        // A token that cannot be read, and a provider that refuses it, is told of with the templates.
        let Ok(ProviderClient::OneMsg(client)) = ProviderClient::new(channel, config) else {
            continue;
        };
        let Ok(webhook_settings) = client.webhook_settings().await else { continue };
        let (what, is_known) = match webhook_settings.snapshot(secret.expose_secret()) {
            WebhookStatus::Unregistered => {
                ("posts nothing to our webhook: rowbell webhook register <url>", false)
            }
            WebhookStatus::GivenUp(_) => (
                "has given up our webhook after failures; the daemon revives it, `rowbell webhook test` shows why it failed",
                true,
            ),
            WebhookStatus::NoAcks(_) => ("tells nothing of deliveries", true),
            WebhookStatus::Posts(_) => continue,
        };
        let found = Finding::warning(format!("channel.{name}"), format!("its provider {what}"));
        // Where it has our address, it need not be typed again: the secret is in it.
        warnings.push(match is_known {
            true => found.rowbell(format!("webhook register --channel {name}")),
            false => found,
        });
    }
    warnings
}
