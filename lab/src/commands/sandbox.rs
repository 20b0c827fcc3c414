//! `rowbell-lab sandbox`: the simulated 1MSG API in the foreground, for trying a configuration without
//! a number at the provider.

use std::io;
use std::net::SocketAddr;

use anyhow::anyhow;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::sandbox::{ChannelOptions, Delay, ReceiptOptions, Sandbox, SandboxOptions};

#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8471")]
    listen: SocketAddr,
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
const EXAMPLES: [(&str, &str); 15] = [
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
    let options = options(args);
    let channel = options.channels.first().cloned().unwrap_or_default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = Sandbox::start(options).map_err(|error| cannot_listen(args.listen, error))?;
    if args.quiet {
        println!("{}", sandbox.url());
    } else {
        print!("{}", greeting(&sandbox.url(), &channel));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}

fn options(args: &SandboxArgs) -> SandboxOptions {
    let mut channel = ChannelOptions::default();
    channel.settings.webhook_urls = args.webhook.iter().cloned().collect();
    let receipts = match args.fast {
        true => ReceiptOptions {
            read: Some(Delay::of(2)),
            read_share: 1.0,
            ..ReceiptOptions::at_once()
        },
        false => ReceiptOptions::default(),
    };
    SandboxOptions {
        listen: args.listen,
        seed: args.seed,
        channels: vec![channel],
        receipts,
        ..SandboxOptions::default()
    }
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

fn greeting(url: &str, channel: &ChannelOptions) -> String {
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
    let mut text = format!(
        "the sandbox of the 1MSG API listens; Ctrl-C ends it\n\n\
         base URL    {url}\n\
         channel id  {}\n\
         token       {}\n\
         namespace   {namespace}\n\
         templates   {}\n\
         webhook     {webhook}\n\n",
        channel.id,
        channel.token,
        templates.join(", ")
    );
    for (what, line) in EXAMPLES {
        let line = line.replace("{json}", JSON).replace("{url}", url);
        text += &format!("{what:<26}  {line}\n");
    }
    text
}
