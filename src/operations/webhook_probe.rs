//! What `rowbell webhook test` does: shows, step by step, whether a delivery of the provider reaches the
//! webhook of the daemon and is stored, and what to do about the step that fails.
//!
//! Only the provider itself can show that it gets through: by a receipt for a message, which costs one.
//! Without that, what it posted lately counts.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::config::{Channel, Config, secret};
use crate::domain::message::outgoing::TemplateMessage;
use crate::error_chain::chain;
use crate::postgres::connection::pool::{self, Client};
use crate::postgres::operations::webhook_probe;
use crate::postgres::schema::migrate;
use crate::provider::onemsg::client;
use crate::provider::onemsg::webhook_payload::TEST_ID;
use crate::provider::onemsg::webhook_settings::{self, WebhookSettings, WebhookStatus};
use crate::provider::webhook_probe::{ProbeResult, WebhookProbe};

pub(crate) const FIRST_THE_OTHERS: &str =
    "nothing can come from the provider before the steps above work";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeOutcome {
    Ok,
    Failed,
    /// It cannot be known before the steps that failed work.
    NotTried,
}

/// One step on the way of a delivery.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeStep {
    pub step: &'static str,
    pub result: ProbeOutcome,
    pub found: String,
    /// What to do, where something is to be done.
    pub todo: Option<String>,
}

/// What came of the test.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeReport {
    pub channel: String,
    /// The provider itself got through, and what it posted is stored.
    pub is_proven: bool,
    pub steps: Vec<ProbeStep>,
}

/// One channel and its way to us.
pub struct WebhookTest<'a> {
    pub config: &'a Config,
    pub name: &'a str,
    pub channel: &'a Channel,
    pub client: &'a client::OneMsgClient,
    /// A message to send, whose receipt shows that the provider gets through.
    pub message: Option<TemplateMessage>,
    /// How long to wait for that receipt.
    pub timeout: Duration,
    pub now: Timestamp,
}

pub(crate) fn ok(step: &'static str, found: impl Into<String>) -> ProbeStep {
    ProbeStep { step, result: ProbeOutcome::Ok, found: found.into(), todo: None }
}

pub(crate) fn failed(
    step: &'static str,
    found: impl Into<String>,
    todo: impl Into<String>,
) -> ProbeStep {
    ProbeStep { step, result: ProbeOutcome::Failed, found: found.into(), todo: Some(todo.into()) }
}

pub(crate) fn not_tried(step: &'static str, found: impl Into<String>) -> ProbeStep {
    ProbeStep { step, result: ProbeOutcome::NotTried, found: found.into(), todo: None }
}

impl WebhookTest<'_> {
    /// Takes every step that can be taken; changes nothing but for the message, if there is one.
    pub async fn run(self) -> ProbeReport {
        let (settings, secret) = self.settings();
        let mut steps = vec![settings];
        let Some(secret) = secret else {
            return self.report(steps, false);
        };
        let (database, db) = self.database().await;
        let (registered, url) = self.registered(&secret).await;
        let daemon = self.daemon(&secret).await;
        let outside = self.outside(url.as_deref(), &secret, db.as_ref(), &daemon).await;
        let daemon = match (daemon.result, outside.result) {
            // The daemon may run on another machine.
            (ProbeOutcome::Failed, ProbeOutcome::Ok) => {
                ok("daemon", "answers at the registered address, not on this machine")
            }
            _ => daemon,
        };
        let delivery = match (daemon.result, outside.result) {
            (ProbeOutcome::Failed, ProbeOutcome::Failed) => not_tried("delivery", FIRST_THE_OTHERS),
            _ => self.delivery(url.as_deref(), &registered, db.as_ref()).await,
        };
        let is_proven = delivery.result == ProbeOutcome::Ok;
        steps.extend([database, daemon, registered, outside, delivery]);
        self.report(steps, is_proven)
    }

    fn report(&self, steps: Vec<ProbeStep>, is_proven: bool) -> ProbeReport {
        ProbeReport { channel: self.name.to_owned(), is_proven, steps }
    }

    fn settings(&self) -> (ProbeStep, Option<String>) {
        use secrecy::ExposeSecret as _;
        let webhook = &self.config.webhook;
        if webhook.listen.is_empty() {
            let todo = "set webhook.listen and webhook.secret_file, restart the daemon, and let the provider post \
                        there with `rowbell webhook register <url>`";
            return (
                failed("settings", "webhook.listen is not set: there is no webhook", todo),
                None,
            );
        }
        match webhook.secret_file.as_deref().map(secret::secret) {
            Some(Ok(secret)) => {
                let found =
                    format!("webhook.listen = \"{}\", and the secret can be read", webhook.listen);
                (ok("settings", found), Some(secret.expose_secret().to_owned()))
            }
            Some(Err(error)) => {
                let found = format!("webhook.secret_file: {}", chain(&error));
                (failed("settings", found, "run this as a user who may read it"), None)
            }
            None => (
                failed(
                    "settings",
                    "webhook.secret_file is not set",
                    "set it to a file with a long random text",
                ),
                None,
            ),
        }
    }

    async fn database(&self) -> (ProbeStep, Option<Client>) {
        let client = match pool::connect(&self.config.database) {
            Ok(pool) => pool::get(&pool).await,
            Err(error) => Err(error),
        };
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                let todo =
                    "while it is so the daemon answers 503, and the provider posts again later";
                return (failed("database", chain(&error), todo), None);
            }
        };
        match migrate::check_version(&client).await {
            Ok(()) => (ok("database", "can be used"), Some(client)),
            Err(error) => (failed("database", chain(&error), "run `rowbell migrate`"), None),
        }
    }

    /// Whether the daemon on this machine answers, and knows the same secret.
    async fn daemon(&self, secret: &str) -> ProbeStep {
        let listen = &self.config.webhook.listen;
        let (Some(address), Ok(probe)) = (here(listen), WebhookProbe::new(self.channel)) else {
            return not_tried("daemon", format!("webhook.listen = \"{listen}\" cannot be asked"));
        };
        let url = format!("http://{address}/webhook/{secret}");
        match probe.challenge(&url, secret, "rowbell").await {
            ProbeResult::Answered(200, text) if text == "rowbell" => {
                ok("daemon", format!("answers on {address} and knows the secret"))
            }
            ProbeResult::Answered(403 | 404, _) => failed(
                "daemon",
                format!(
                    "what answers on {address} does not know the secret of webhook.secret_file"
                ),
                "restart the daemon (systemctl restart rowbell): it reads the secret at its start; if another program \
                 listens there, choose another webhook.listen",
            ),
            ProbeResult::Answered(status, _) => failed(
                "daemon",
                format!("what answers on {address} ({status}) is not rowbell"),
                "another program listens there: choose another webhook.listen, and restart the daemon",
            ),
            ProbeResult::Unreached(why) => failed(
                "daemon",
                format!("nothing listens on {address}: {why}"),
                "start the daemon (systemctl start rowbell), or see why it ended (journalctl -u rowbell)",
            ),
            ProbeResult::Silent(why) => failed(
                "daemon",
                format!("what listens on {address} does not answer: {why}"),
                "if webhook.networks leaves this machine out, nothing is wrong with that; otherwise see its log \
                 (journalctl -u rowbell)",
            ),
        }
    }

    /// Whether the provider posts to us at all, and where.
    async fn registered(&self, secret: &str) -> (ProbeStep, Option<String>) {
        let webhook_settings = match self.client.webhook_settings().await {
            Ok(webhook_settings) => webhook_settings,
            Err(error) => {
                let todo =
                    "see `rowbell check`, which compares channel and token with the provider";
                return (
                    failed("provider", format!("where it posts to is not known: {error}"), todo),
                    None,
                );
            }
        };
        let shown = |url| webhook_settings::shown(url, Some(secret));
        match webhook_settings.snapshot(secret) {
            WebhookStatus::Unregistered => (unregistered(&webhook_settings), None),
            WebhookStatus::GivenUp(url) => {
                let todo = "see to the steps below that fail; then `rowbell webhook register` with the same address \
                            revives it (a running daemon does that by itself)";
                let found = format!("it has given up {} after failures", shown(url));
                (failed("provider", found, todo), Some(url.to_owned()))
            }
            WebhookStatus::NoAcks(url) => {
                let todo = "`rowbell webhook register` with the same address switches that on";
                let found = format!("it posts to {}, but tells nothing of deliveries", shown(url));
                (failed("provider", found, todo), Some(url.to_owned()))
            }
            WebhookStatus::Posts(url) => {
                let found = format!("posts to {}, and tells of deliveries", shown(url));
                (ok("provider", found), Some(url.to_owned()))
            }
        }
    }

    /// A delivery of our own through the registered address: proxy, certificate and database included.
    async fn outside(
        &self,
        url: Option<&str>,
        secret: &str,
        db: Option<&Client>,
        daemon: &ProbeStep,
    ) -> ProbeStep {
        let (Some(url), Ok(probe)) = (url, WebhookProbe::new(self.channel)) else {
            return not_tried("address", "no address to post to");
        };
        // Ours knows the secret; asked first, anybody else is told at once, and gets no delivery.
        match probe.challenge(url, secret, "rowbell").await {
            ProbeResult::Answered(200, text) if text != "rowbell" => {
                let shown = webhook_settings::shown(url, Some(secret));
                return failed(
                    "address",
                    format!("what answers at {shown} is not rowbell"),
                    "the provider posts to somebody else: register the address at which the daemon is reached \
                     (`rowbell webhook register <url>`), or have that host pass /webhook/ on to webhook.listen",
                );
            }
            ProbeResult::Answered(..) => {}
            unreached => {
                let shown = webhook_settings::shown(url, Some(secret));
                return refused(&unreached, shown, daemon);
            }
        }
        let id = format!("{TEST_ID}{:016x}", rand::random::<u64>());
        let instance = self.channel.one_msg().map(|settings| settings.channel_id.as_str());
        let body = json!({ "instanceId": instance, "ack": [{ "id": id, "status": "test" }] });
        let probe_result = probe.post(url, &body).await;
        let ProbeResult::Answered(200, _) = probe_result else {
            return refused(&probe_result, webhook_settings::shown(url, Some(secret)), daemon);
        };
        let Some(db) = db else {
            return not_tried(
                "address",
                "a delivery from here was answered 200; whether it is stored could not be looked at",
            );
        };
        let is_stored = webhook_probe::is_stored(db, &id).await;
        // What stays behind of it goes with retention.
        let _ = webhook_probe::forget(db, &id).await;
        match is_stored {
            Ok(true) => ok("address", "a delivery from here to that address was stored"),
            Ok(false) => failed(
                "address",
                "a delivery from here was answered 200, and is not in this database",
                "the daemon that answers there writes into another database, or something else answers in its place: \
                 compare its database.url with this one",
            ),
            Err(error) => failed(
                "address",
                format!("whether it was stored could not be asked: {error}"),
                "try again",
            ),
        }
    }
}

/// The provider posts nothing to us.
fn unregistered(webhook_settings: &WebhookSettings) -> ProbeStep {
    let found = match stale(webhook_settings) {
        Some(url) => {
            let shown = webhook_settings::shown(url, Some(last(url)));
            format!("it posts to {shown}, which ends in another secret")
        }
        None => "it posts nothing to us: no address of its list ends in our secret".to_owned(),
    };
    let todo = "let it: rowbell webhook register https://your.host/webhook/<secret>";
    failed("provider", found, todo)
}

/// Where a daemon that listens there is reached from this machine.
fn here(listen: &str) -> Option<SocketAddr> {
    let mut address: SocketAddr = listen.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    Some(address)
}

/// An address that looks like ours, from before the secret was changed.
fn stale(webhook_settings: &WebhookSettings) -> Option<&str> {
    webhook_settings
        .urls
        .iter()
        .map(String::as_str)
        .find(|url| url.rsplit('/').nth(1) == Some("webhook") && !last(url).is_empty())
}

fn last(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// Why the registered address did not take a delivery from here.
fn refused(probe_result: &ProbeResult, shown: String, daemon: &ProbeStep) -> ProbeStep {
    let is_daemon_well = daemon.result == ProbeOutcome::Ok;
    let on_the_way = if !is_daemon_well {
        "first the step above, unless the daemon runs on another machine; then look at what stands between: name, \
         firewall, reverse proxy, certificate"
    } else {
        "look at what stands between: name, firewall, reverse proxy, certificate. Some networks do not let a \
                      machine reach its own public address: then --to proves more"
    };
    let (found, todo) = match probe_result {
        ProbeResult::Unreached(why) => {
            (format!("{shown} cannot be reached from here: {why}"), on_the_way)
        }
        ProbeResult::Silent(why) => {
            (format!("{shown} does not answer from here: {why}"), on_the_way)
        }
        ProbeResult::Answered(404, _) if is_daemon_well => (
            format!("{shown} answers 404, and the daemon behind it would not"),
            "the reverse proxy does not pass /webhook/ on to webhook.listen",
        ),
        ProbeResult::Answered(404, _) => (
            format!("{shown} answers 404: the secret is another one there"),
            "restart the daemon, then look again",
        ),
        ProbeResult::Answered(503, _) if is_daemon_well => (
            format!("{shown} answers 503: the daemon could not store the delivery"),
            "its database cannot be used, or is slow: see its log (journalctl -u rowbell)",
        ),
        ProbeResult::Answered(502..=504, _) => (
            format!("{shown} answers for a daemon that is not there"),
            "start the daemon, and compare webhook.listen with what the reverse proxy passes on to",
        ),
        ProbeResult::Answered(status @ 300..=399, _) => (
            format!(
                "{shown} answers with a redirect ({status}), which the provider may not follow"
            ),
            "register the address that it leads to",
        ),
        ProbeResult::Answered(status, _) => {
            (format!("{shown} answers {status}"), "expected 200: look at what answers there")
        }
    };
    failed("address", found, todo)
}
