//! A sandbox, our client of it, and a plain HTTP client for what ours never says.

use std::time::Duration;

use rowbell::config::units::Rate;
use rowbell::config::{AuthPlace, Channel, ChannelKind, ChannelLimits, OneMsg};
use rowbell::domain::message::attempt::{Answer, AttemptResult, ErrorClass};
use rowbell::domain::message::outgoing::TemplateMessage;
use rowbell::provider::onemsg::client::OneMsgClient;
use rowbell_lab::sandbox::{ReceiptOptions, Sandbox, SandboxOptions};
use serde_json::{Value, json};

pub const CHANNEL: &str = "ODI371267300";
pub const TOKEN: &str = "sandbox-token";
pub const PHONE: &str = "12025550143";
/// What is waited for comes within this, or the test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Desk {
    pub sandbox: Sandbox,
    pub client: OneMsgClient,
    pub http: reqwest::Client,
}

impl Desk {
    /// No receipts, unless the test asks for them.
    pub fn new() -> Desk {
        Desk::with(ReceiptOptions::none())
    }

    pub fn with(receipts: ReceiptOptions) -> Desk {
        let sandbox =
            Sandbox::start(SandboxOptions { receipts, ..SandboxOptions::default() }).unwrap();
        let client = client(&sandbox.url(), TOKEN, Duration::from_secs(20));
        Desk { sandbox, client, http: http() }
    }

    /// Our client, which gives up soon: for answers that never come.
    pub fn impatient(&self) -> OneMsgClient {
        client(&self.sandbox.url(), TOKEN, Duration::from_secs(1))
    }

    /// Address of a method of the API.
    pub fn method(&self, method: &str) -> String {
        format!("{}/{CHANNEL}/{method}", self.sandbox.url())
    }

    pub async fn post(&self, url: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(url).bearer_auth(TOKEN).json(body);
        answer(request.send().await.unwrap()).await
    }

    pub async fn get(&self, url: &str) -> (u16, Value) {
        answer(self.http.get(url).bearer_auth(TOKEN).send().await.unwrap()).await
    }

    /// POST to a control endpoint, which must like it.
    pub async fn control(&self, path: &str, body: Value) {
        let (status, said) =
            self.post(&format!("{}/sandbox/{path}", self.sandbox.url()), &body).await;
        assert_eq!(status, 200, "{path}: {said}");
    }

    /// Sends the seed message and gives its id.
    pub async fn send(&self, phone: &str) -> String {
        accepted(&self.client.send_template(&message(phone)).await)
    }
}

async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub fn http() -> reqwest::Client {
    // A second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap()
}

pub fn client(base_url: &str, token: &str, timeout: Duration) -> OneMsgClient {
    let settings = number(base_url);
    OneMsgClient::new(&channel(&settings, timeout), &settings, token.to_owned().into()).unwrap()
}

pub fn number(base_url: &str) -> OneMsg {
    OneMsg {
        channel_id: CHANNEL.into(),
        token_file: "unused".into(),
        base_url: base_url.into(),
        auth: AuthPlace::Header,
    }
}

pub fn channel(settings: &OneMsg, timeout: Duration) -> Channel {
    Channel {
        limits: ChannelLimits::none(),
        kind: ChannelKind::OneMsg(settings.clone()),
        rate: Rate::per_second(80),
        concurrency: 4,
        timeout,
        connect_timeout: Duration::from_secs(5),
        dry_run: false,
    }
}

/// The seed message.
pub fn message(phone: &str) -> TemplateMessage {
    TemplateMessage {
        phone: phone.into(),
        template: "service_change".into(),
        namespace: rowbell_lab::sandbox::template::NAMESPACE.into(),
        language: "en".into(),
        parameters: vec![
            "Maria".into(),
            "home delivery".into(),
            "New window: June 25 from 10:00 AM to 12:00 PM.".into(),
        ],
        ..TemplateMessage::default()
    }
}

/// The same as 1MSG documents it, for requests that our client never makes.
pub fn body() -> Value {
    json!({
        "phone": PHONE,
        "template": "service_change",
        "namespace": rowbell_lab::sandbox::template::NAMESPACE,
        "language": { "policy": "deterministic", "code": "en" },
        "params": [{ "type": "body", "parameters": [
            { "type": "text", "text": "Maria" },
            { "type": "text", "text": "home delivery" },
            { "type": "text", "text": "New window: June 25 from 10:00 AM to 12:00 PM." },
        ] }],
    })
}

pub fn accepted(answer: &Answer) -> String {
    match &answer.result {
        AttemptResult::Accepted { provider_message_id } => provider_message_id.clone(),
        _ => panic!("not accepted: {answer:?}"),
    }
}

pub fn refused(answer: &Answer) -> ErrorClass {
    match answer.result {
        AttemptResult::Refused { class, .. } => class,
        _ => panic!("not refused: {answer:?}"),
    }
}
