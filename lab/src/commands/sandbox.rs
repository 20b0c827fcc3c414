//! `rowbell-lab sandbox`: the simulated 1MSG API in the foreground, for trying a configuration without
//! a number at the provider.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use rowbell::config::{Config, TemplateSettings, load};
use rowbell::domain::text::localized_text::LocalizedText;

use crate::sandbox::template::TemplateOptions;
use crate::sandbox::{ChannelOptions, Delay, Form, ReceiptOptions, Sandbox, SandboxOptions};

#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8471")]
    listen: SocketAddr,
    /// The configuration of a site: its WhatsApp channels, with their tokens and templates, instead of the
    /// sandbox's own.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The body that carries receipts: `ack` as channels post them today, `hooks` as the product page has it, `raw`
    /// as Meta does.
    #[arg(long, value_name = "FORM", default_value = "ack", value_parser = form)]
    form: Form,
    /// Where receipts are posted, such as the webhook of `rowbell run`.
    #[arg(long, value_name = "URL", value_parser = webhook_url)]
    webhook: Option<String>,
    /// Makes the random choices (delays, shares) repeatable.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Receipts come at once, and every message is read.
    #[arg(long)]
    fast: bool,
    /// Print the base URL and nothing else.
    #[arg(long)]
    quiet: bool,
}

/// What to try first, one line for each control endpoint.
const EXAMPLES: [(&str, &str); 16] = [
    ("what one phone shows", "curl '{url}/sandbox/messages?phone=12025550143'"),
    ("how much happened", "curl {url}/sandbox/counts"),
    ("texts that came twice", "curl {url}/sandbox/duplicates"),
    ("arrivals, 16 bytes each", "curl -o arrivals.bin {url}/sandbox/arrivals"),
    (
        "the next 3 sends fail",
        r#"curl {json} -d '{"fault":"too_many_requests","retry_after":2,"next":3}' {url}/sandbox/faults"#,
    ),
    (
        "half the answers get lost",
        r#"curl {json} -d '{"fault":"drop","share":0.5}' {url}/sandbox/faults"#,
    ),
    ("which faults are set", "curl {url}/sandbox/faults"),
    ("no faults any more", "curl -X DELETE {url}/sandbox/faults"),
    (
        "receipts doubled, reversed",
        r#"curl {json} -d '{"twice_share":1,"reversed_share":0.5}' {url}/sandbox/receipts"#,
    ),
    ("receipts in another form", r#"curl {json} -d '{"form":"hooks"}' {url}/sandbox/receipts"#),
    (
        "one receipt now",
        r#"curl {json} -d '{"id":"wamid.X","status":"failed","code":131026}' {url}/sandbox/receipt"#,
    ),
    (
        "what becomes of a phone",
        r#"curl {json} -d '{"phone":"12025550143","outcome":"opted_out"}' {url}/sandbox/outcomes"#,
    ),
    (
        "a customer writes",
        r#"curl {json} -d '{"phone":"12025550143","text":"STOP"}' {url}/sandbox/inbound"#,
    ),
    (
        "a template is paused",
        r#"curl {json} -d '{"name":"service_change","language":"es","status":"paused"}' {url}/sandbox/templates"#,
    ),
    ("refusals with HTTP 200", r#"curl {json} -d '{"form":"in_band"}' {url}/sandbox/refusals"#),
    (
        "limits of a channel",
        r#"curl {json} -d '{"id":"ODI371267300","limits":{"per_second":20}}' {url}/sandbox/channels"#,
    ),
];

const JSON: &str = "-H 'content-type: application/json'";

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: &SandboxArgs) -> anyhow::Result<()> {
    let options = options(args)?;
    let channels = options.channels.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = Sandbox::start(options).map_err(|error| cannot_listen(args.listen, error))?;
    if args.quiet {
        println!("{}", sandbox.url());
    } else {
        print!("{}", greeting(&sandbox.url(), &channels));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}

fn options(args: &SandboxArgs) -> anyhow::Result<SandboxOptions> {
    let mut channels = match &args.config {
        Some(path) => of_site(&load::load(path)?)?,
        None => vec![ChannelOptions::default()],
    };
    for channel in &mut channels {
        channel.settings.webhook_urls = args.webhook.iter().cloned().collect();
    }
    let receipts = match args.fast {
        true => ReceiptOptions {
            read: Some(Delay::of(2)),
            read_share: 1.0,
            ..ReceiptOptions::at_once()
        },
        false => ReceiptOptions::default(),
    };
    Ok(SandboxOptions {
        listen: args.listen,
        seed: args.seed,
        channels,
        receipts: ReceiptOptions { form: args.form, ..receipts },
        ..SandboxOptions::default()
    })
}

/// The WhatsApp channels of a site, as if the provider had approved every template.
pub fn of_site(config: &Config) -> anyhow::Result<Vec<ChannelOptions>> {
    let templates: Vec<TemplateOptions> = config.template.values().flat_map(approved).collect();
    let mut channels = Vec::new();
    for (name, channel) in &config.channel {
        let Some(settings) = channel.one_msg() else { continue };
        let token = std::fs::read_to_string(&settings.token_file)
            .map_err(|error| anyhow!("channel.{name}.token_file: {error}"))?;
        channels.push(ChannelOptions {
            id: settings.channel_id.clone(),
            token: token.trim().to_owned(),
            templates: templates.clone(),
            ..ChannelOptions::default()
        });
    }
    if channels.is_empty() {
        return Err(anyhow!("the configuration has no channel with provider = \"1msg\""));
    }
    Ok(channels)
}

/// A template in each of its languages; where the configuration has no text, its variables side by side.
fn approved(template: &TemplateSettings) -> Vec<TemplateOptions> {
    let bare: Vec<String> = (1..=template.body.len()).map(|n| format!("{{{{{n}}}}}")).collect();
    let text_of = |tag: &str| {
        let texts = template.text.as_ref().map(LocalizedText::each).unwrap_or_default();
        let own = texts.iter().find(|(own, _)| *own == tag);
        own.or(texts.first()).map_or_else(|| bare.join(" "), |(_, text)| (*text).to_owned())
    };
    let languages = template.language.each();
    let languages = languages.iter().map(|(tag, code)| TemplateOptions {
        name: template.name.clone(),
        namespace: template.namespace.clone(),
        language: (*code).to_owned(),
        body: text_of(tag),
        button_url: None,
        ..TemplateOptions::default()
    });
    languages.collect()
}

fn form(text: &str) -> Result<Form, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected ack, hooks or raw".to_owned())
}

fn webhook_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok();
    let fits = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match fits {
        true => Ok(text.to_owned()),
        false => Err("expected a URL such as http://127.0.0.1:8470/webhook/secret".to_owned()),
    }
}

fn cannot_listen(address: SocketAddr, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address} is taken by another program; end that one, or choose another address: \
             --listen {}:0 takes a free port",
            address.ip()
        ),
        io::ErrorKind::AddrNotAvailable => anyhow!(
            "{address} is no address of this machine; --listen 127.0.0.1:{} is",
            address.port()
        ),
        _ => anyhow::Error::from(error)
            .context(format!("could not listen on {address}; --listen chooses another address")),
    }
}

fn greeting(url: &str, channels: &[ChannelOptions]) -> String {
    let mut text =
        format!("the sandbox of the 1MSG API listens; Ctrl-C ends it\n\nbase URL    {url}\n");
    for channel in channels {
        let namespace = channel.templates.first().map_or("", |template| &template.namespace);
        let templates: Vec<String> = channel
            .templates
            .iter()
            .map(|template| format!("{} ({})", template.name, template.language))
            .collect();
        let webhook = match channel.settings.webhook_urls.first() {
            Some(url) => url.as_str(),
            None => "none; --webhook URL sets one, or POST /webhook of the API",
        };
        // A token of the site is no word for a screen.
        let token = match channel.token == ChannelOptions::default().token {
            true => channel.token.as_str(),
            false => "that of the configuration",
        };
        text += &format!(
            "channel id  {}\n\
             token       {token}\n\
             namespace   {namespace}\n\
             templates   {}\n\
             webhook     {webhook}\n\n",
            channel.id,
            templates.join(", ")
        );
    }
    for (what, line) in EXAMPLES {
        let line = line.replace("{json}", JSON).replace("{url}", url);
        text += &format!("{what:<26}  {line}\n");
    }
    text
}
