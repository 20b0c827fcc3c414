//! `rowbell webhook`: lets the provider post to us, shows whether it does, and proves it.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;

use crate::cli::confirm::agreed;
use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::cli::webhook_test;
use crate::clock::Clock;
use crate::config::{Config, secret};
use crate::domain::message::receipt::{ReceiptSourceKind, ReceiptSourceState};
use crate::finding::hint;
use crate::postgres::queries;
use crate::provider::client::ProviderClient;
use crate::provider::onemsg::client;
use crate::provider::onemsg::webhook_settings::{
    MAX_URLS, WebhookSettings, WebhookStatus, is_ours, shown,
};

#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// The channel, where there are several.
    #[arg(long, global = true)]
    channel: Option<String>,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Add our address to those that the provider posts to, keep all others, and let it tell of deliveries.
    Register {
        /// Where we are reached from outside: https://your.host/webhook/<secret>. It may be left out where the provider
        /// has it, and has given it up or tells nothing of deliveries.
        url: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Show where the provider posts to, and what it has given up; changes nothing.
    Show,
    /// Prove step by step that a delivery of the provider reaches the daemon and is stored.
    ///
    /// Says which step fails and what to do. Exit code 0: the provider itself got through, now with --to, or
    /// within the last hour without it.
    Test(webhook_test::TestArgs),
}

pub async fn run(args: &WebhookArgs, config: &Config) -> Result<(), CliError> {
    let (name, client) = client(args.channel.as_deref(), config)?;
    let webhook_settings = async || client.webhook_settings().await.map_err(anyhow::Error::from);
    match &args.command {
        WebhookCommand::Show => {
            print!("{}", as_text(name, &webhook_settings().await?, &secret(config)?))
        }
        WebhookCommand::Register { url, yes } => {
            let (settings, secret) = (webhook_settings().await?, secret(config)?);
            let url = match url {
                Some(url) => url.clone(),
                None => listed(name, &settings, &secret)?,
            };
            register(name, &client, &settings, &url, *yes, &secret).await?;
            note(name, &client, config).await;
        }
        WebhookCommand::Test(args) => webhook_test::run(args, name, &client, config).await?,
    }
    Ok(())
}

/// The client of the channel that is meant.
fn client<'a>(
    wanted: Option<&'a str>,
    config: &'a Config,
) -> Result<(&'a str, client::OneMsgClient), CliError> {
    let ours: Vec<&str> = config
        .channel
        .iter()
        .filter_map(|(name, channel)| channel.one_msg().map(|_| name.as_str()))
        .collect();
    let name = match (wanted, ours.as_slice()) {
        (Some(wanted), _) if ours.contains(&wanted) => wanted,
        (None, [only]) => only,
        (Some(wanted), _) => {
            let near = hint(wanted, &ours);
            return Err(anyhow::anyhow!("there is no channel \"{wanted}\" at 1MSG{near}").into());
        }
        (None, []) => return Err(anyhow::anyhow!("there is no channel at 1MSG").into()),
        (None, several) => {
            let which = several.join(", ");
            return Err(anyhow::anyhow!("which channel? Give --channel; there are {which}").into());
        }
    };
    match ProviderClient::new(&config.channel[name], config).map_err(anyhow::Error::from)? {
        ProviderClient::OneMsg(client) => Ok((name, client)),
        _ => Err(anyhow::anyhow!("channel {name} is not at 1MSG").into()),
    }
}

fn secret(config: &Config) -> Result<Option<String>, CliError> {
    let secret = config.webhook.secret_file.as_deref().map(secret::secret).transpose();
    let secret = secret.map_err(|error| anyhow::anyhow!("webhook.secret_file: {error}"))?;
    Ok(secret.map(|secret| secret.expose_secret().to_owned()))
}

/// The list without our secret.
fn as_text(name: &str, webhook_settings: &WebhookSettings, secret: &Option<String>) -> String {
    let mut text = format!("channel {name} posts to:\n");
    for url in &webhook_settings.urls {
        let is_ours = secret.as_ref().is_some_and(|secret| is_ours(url, secret));
        let shown = shown(url, secret.as_deref());
        let ours = if is_ours { "  (ours)" } else { "" };
        let given_up = match webhook_settings.disabled.contains(url) {
            true => {
                "  (given up by the provider after failures; `rowbell webhook register` revives it)"
            }
            false => "",
        };
        text += &format!("  {shown}{ours}{given_up}\n");
    }
    if webhook_settings.urls.is_empty() {
        text += "  nothing\n";
    }
    text += match webhook_settings.acks {
        Some(true) => "it tells of deliveries\n",
        Some(false) => {
            "it does not tell of deliveries; `rowbell webhook register` switches that on\n"
        }
        None => "whether it tells of deliveries it does not say\n",
    };
    text
}

/// Lets `status` know at once what the daemon would find out at its next look. Without the database it does so then.
async fn note(name: &str, client: &client::OneMsgClient, config: &Config) {
    let noted = async {
        let settings = client.webhook_settings().await.map_err(anyhow::Error::from)?;
        let secret = secret(config)?.unwrap_or_default();
        let WebhookStatus::Posts(_) = settings.snapshot(&secret) else { return Ok(()) };
        let (kind, state) = (ReceiptSourceKind::Destination, ReceiptSourceState::Works);
        let client = connect(config).await?;
        queries::poll::receipt_source_write(&client, name, kind, state, None, Clock::system().now())
            .await
            .map_err(|error| CliError::from(anyhow::Error::from(error)))
    };
    let noted: Result<(), CliError> = noted.await;
    if noted.is_err() {
        let look = &config.webhook.look_every;
        println!("the database could not be told; the daemon looks again within {look:?}");
    }
}

/// Our address as the provider has it.
fn listed(
    name: &str,
    settings: &WebhookSettings,
    secret: &Option<String>,
) -> Result<String, CliError> {
    let is_ours = |url: &&String| secret.as_ref().is_some_and(|secret| is_ours(url, secret));
    settings.urls.iter().find(is_ours).cloned().ok_or_else(|| {
        let why = "does not post to us: give the URL, https://your.host/webhook/<secret>";
        anyhow::anyhow!("channel {name} {why}").into()
    })
}

/// The provider's call replaces its whole list, so what stands there is written back with ours.
async fn register(
    name: &str,
    client: &client::OneMsgClient,
    webhook_settings: &WebhookSettings,
    url: &str,
    yes: bool,
    secret: &Option<String>,
) -> Result<(), CliError> {
    if !secret.as_ref().is_some_and(|secret| is_ours(url, secret)) {
        let why = "expected a URL that ends in /webhook/ and the secret of webhook.secret_file";
        return Err(anyhow::anyhow!(why).into());
    }
    if webhook_settings.is_partly_unread {
        return Err(anyhow::anyhow!(
            "the list of channel {name} at the provider has something that could not be read, and would be lost: \
             add our address at the provider itself"
        )
        .into());
    }
    let mut urls = webhook_settings.urls.clone();
    if !urls.iter().any(|known| known == url) {
        urls.push(url.to_owned());
    }
    if urls.len() > MAX_URLS {
        return Err(anyhow::anyhow!(
            "channel {name} posts to {MAX_URLS} URLs already, and more are not possible: \
             take one away at the provider (`rowbell webhook show` lists them)"
        )
        .into());
    }
    let is_there = urls == webhook_settings.urls && webhook_settings.disabled.is_empty();
    if is_there && webhook_settings.acks != Some(false) {
        println!("channel {name} posts to us already, and tells of deliveries");
        return Ok(());
    }
    let others = urls.len() - 1;
    let question = format!(
        "Let channel {name} post to us, and keep the {others} other URL(s) that it posts to?"
    );
    if !agreed(yes, &question)? {
        return Err(CliError::FAILED);
    }
    client.set_webhook_settings(&urls).await.map_err(anyhow::Error::from)?;
    if webhook_settings.acks != Some(true) {
        client.switch_acks_on().await.map_err(anyhow::Error::from)?;
    }
    let now = client.webhook_settings().await.map_err(anyhow::Error::from)?;
    print!("{}", as_text(name, &now, secret));
    Ok(())
}
