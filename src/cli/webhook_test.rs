//! `rowbell webhook test`: proves that a delivery of the provider reaches the daemon and is stored.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;

use crate::cli::confirm::agreed;
use crate::cli::error::CliError;
use crate::cli::text::masked;
use crate::clock::Clock;
use crate::config::{Config, TemplateSettings};
use crate::domain::message::outgoing::TemplateMessage;
use crate::domain::recipient::phone::Phone;
use crate::operations::webhook_probe::{ProbeOutcome, ProbeReport, WebhookTest};
use crate::provider::onemsg::client;

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Send one message to this phone, your own, and wait for its receipt.
    #[arg(long, value_name = "PHONE")]
    to: Option<String>,
    /// The template of that message; without it that of a watch of the channel.
    #[arg(long, requires = "to")]
    template: Option<String>,
    /// Seconds to wait for the receipt.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Send without a question.
    #[arg(long)]
    yes: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub async fn run(
    args: &TestArgs,
    name: &str,
    client: &client::OneMsgClient,
    config: &Config,
) -> Result<(), CliError> {
    let message = match &args.to {
        Some(to) => Some(message(to, args, name, config)?),
        None => None,
    };
    let test = WebhookTest {
        config,
        name,
        channel: &config.channel[name],
        client,
        message,
        timeout: Duration::from_secs(args.wait),
        now: Clock::system().now(),
    };
    if args.to.is_some() && std::io::stderr().is_terminal() {
        eprintln!("sends the message, and waits up to {} s for its receipt", args.wait);
    }
    let report = test.run().await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?);
    } else {
        print!("{}", as_text(&report));
    }
    if report.is_proven { Ok(()) } else { Err(CliError::FAILED) }
}

/// The message that is sent, after the question.
fn message(
    to: &str,
    args: &TestArgs,
    name: &str,
    config: &Config,
) -> Result<TemplateMessage, CliError> {
    let region = Some(config.recipient.region.as_str()).filter(|region| !region.is_empty());
    let phone = Phone::parse(to, region).map_err(|error| anyhow::anyhow!("--to: {error}"))?;
    let (key, template) = template(args.template.as_deref(), name, config)?;
    let question = format!(
        "Send one message of template {key} to {} now? It costs what such a message costs.",
        masked(phone.as_str())
    );
    if !agreed(args.yes, &question)? {
        return Err(CliError::FAILED);
    }
    let languages = template.language.each();
    let language = languages.iter().find(|(tag, _)| *tag == "default").or(languages.first());
    Ok(TemplateMessage {
        phone: phone.as_str().to_owned(),
        template: template.name.clone(),
        namespace: template.namespace.clone(),
        language: language.map_or("", |(_, code)| code).to_owned(),
        parameters: vec!["test".to_owned(); template.body.len()],
        ..TemplateMessage::default()
    })
}

fn template<'a>(
    wanted: Option<&'a str>,
    channel: &str,
    config: &'a Config,
) -> Result<(&'a str, &'a TemplateSettings), CliError> {
    let mut of_watches = config.watch.values().filter(|watch| watch.channel == channel);
    let key = wanted.or_else(|| of_watches.next().map(|watch| watch.template.as_str()));
    let Some(key) = key else {
        return Err(anyhow::anyhow!("no watch sends on channel {channel}: give --template").into());
    };
    match config.template.get(key) {
        Some(template) => Ok((key, template)),
        None => Err(anyhow::anyhow!("there is no template \"{key}\" in the configuration").into()),
    }
}

fn as_text(report: &ProbeReport) -> String {
    let mut text = format!("channel {}\n", report.channel);
    for step in &report.steps {
        let result = match step.result {
            ProbeOutcome::Ok => "ok",
            ProbeOutcome::Failed => "FAILED",
            ProbeOutcome::NotTried => "not tried",
        };
        text += &format!("  {:<9}  {:<9}  {}\n", step.step, result, step.found);
        if let Some(todo) = &step.todo {
            text += &format!("  {:<9}  {:<9}  → {todo}\n", "", "");
        }
    }
    text + match report.is_proven {
        true => "What the provider posts reaches the daemon and is stored.\n",
        false => {
            "It is not proven that what the provider posts reaches the daemon and is stored.\n"
        }
    }
}
