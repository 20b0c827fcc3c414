//! Looks at the files of secrets: who can read them, and whether the secret of the webhook can be guessed.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::secret::{SecretError, exposure, signing_key, webhook_secret};
use crate::config::server_address::server_address::holds_password;
use crate::finding::Finding;

/// Files of secrets that others can read: each is refused.
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
    let files = of_channels.chain(of_endpoints).chain(others);
    let open = files.filter_map(|(key, file): (String, &PathBuf)| Some((key, exposure(file)?)));
    open.map(|(key, open)| Finding::new(key, open.to_string()).shell(open.mend())).collect()
}

/// A file of the configuration that others can read, with the password of the database in it.
pub fn open_password(config: &Config, file: &Path) -> Option<Finding> {
    let open = exposure(file).filter(|_| holds_password(&config.database.url))?;
    let what =
        format!("it holds a password, and {open}; or put the password into database.password_file");
    Some(Finding::new("database.url", what).shell(open.mend()))
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
