//! What `rowbell check` asks the provider: whether it posts to our webhook. Warnings only: the daemon has
//! to start before anything can be posted to it.

use secrecy::ExposeSecret as _;

use crate::config::{Config, load};
use crate::provider::client::Client;
use crate::provider::onemsg::webhook_settings::Standing;

/// Sentences about what keeps receipts from coming in, for each channel.
pub async fn warnings(config: &Config) -> Vec<String> {
    let webhook = &config.webhook;
    let Some(file) = webhook.secret_file.as_deref().filter(|_| !webhook.listen.is_empty()) else {
        return Vec::new();
    };
    let Ok(secret) = load::secret(file) else {
        return vec!["whether the providers post to our webhook was not asked: webhook.secret_file cannot be read".to_owned()];
    };
    let mut warnings = Vec::new();
    for (name, channel) in &config.channel {
        // A token that cannot be read, and a provider that refuses it, is told of with the templates.
        let Ok(Client::OneMsg(client)) = Client::new(channel, config) else { continue };
        let Ok(hooks) = client.hooks().await else { continue };
        let what = match hooks.standing(secret.expose_secret()) {
            Standing::Unregistered => {
                "posts nothing to our webhook: rowbell webhook register <url>"
            }
            Standing::GivenUp(_) => {
                "has given up our webhook after failures; the daemon revives it, `rowbell webhook test` shows why it failed"
            }
            Standing::NoAcks(_) => {
                "tells nothing of deliveries: rowbell webhook register <url> switches that on"
            }
            Standing::Posts(_) => continue,
        };
        warnings.push(format!("the provider of channel {name} {what}"));
    }
    warnings
}
