//! Looks at the files of secrets: who can read them, and whether the secret of the webhook can be guessed.

use std::path::PathBuf;

use crate::config::Config;
use crate::config::secret::{SecretError, is_open_to_all, signing_key, webhook_secret};
use crate::finding::Finding;

/// Files that every user of this machine can read.
pub fn open_secrets(config: &Config) -> Vec<Finding> {
    let of_channels = config.channel.iter().flat_map(|(name, channel)| {
        let files = channel.secret_files().into_iter();
        files.map(move |(setting, file)| (format!("channel.{name}.{setting}"), file))
    });
    let of_endpoints = config.outgoing_webhook.iter().flat_map(|(name, endpoint)| {
        let files = endpoint.secret_files();
        files.map(move |(setting, file)| (format!("outgoing_webhook.{name}.{setting}"), file))
    });
    let others = [
        ("database.password_file", &config.database.password_file),
        ("webhook.secret_file", &config.webhook.secret_file),
        ("page.read_token_file", &config.page.read_token_file),
        ("page.act_token_file", &config.page.act_token_file),
        ("metrics.token_file", &config.metrics.token_file),
    ];
    let others =
        others.into_iter().filter_map(|(key, file)| Some((key.to_owned(), file.as_ref()?)));
    let open =
        of_channels.chain(of_endpoints).chain(others).filter(|(_, file)| is_open_to_all(file));
    open.map(|(key, file): (String, &PathBuf)| {
        let file = file.display();
        let what = format!("every user of this machine can read \"{file}\": chmod o= {file}");
        Finding::warning(key, what).shell(format!("chmod o= {file}"))
    })
    .collect()
}

/// Keys of outgoing webhooks that cannot sign.
pub fn unusable_keys(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, endpoint) in &config.outgoing_webhook {
        for (setting, file) in endpoint.secret_files() {
            // One that cannot be read is found where the settings are.
            if let Err(error @ (SecretError::NoKey { .. } | SecretError::Empty { .. })) =
                signing_key(file)
            {
                let key = format!("outgoing_webhook.{name}.{setting}");
                found.push(Finding::new(key, error.to_string()));
            }
        }
    }
    found
}

/// The secret of the webhook, if it can be guessed.
pub fn weak_secret(config: &Config) -> Option<Finding> {
    let webhook = &config.webhook;
    let file = webhook.secret_file.as_ref().filter(|_| !webhook.listen.is_empty())?;
    match webhook_secret(file) {
        Err(error @ SecretError::Weak { .. }) => {
            Some(Finding::new("webhook.secret_file", error.to_string()))
        }
        _ => None,
    }
}
