//! The 1MSG API: one pooled client per channel, and what each of its answers means.
//!
//! Accepted is only what comes with a 2xx status, `sent: true` and an id. A request that was not
//! written certainly did not arrive; one that was written and not answered may have.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::config::{AuthPlace, Channel, OneMsg};
use crate::domain::message::attempt::{Answer, AttemptResult, ErrorClass};
use crate::domain::message::outgoing::TemplateMessage;
use crate::provider::error_table::{class_of, meaning_of};
use crate::provider::onemsg::webhook_payload::{bounded, bounded_id};
use crate::provider::onemsg::{error_payload, template_list};
use crate::provider::redact::redact_phones;
use crate::provider::transport::{self, Body, HttpReply};

/// Why a channel cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OneMsgClientError {
    #[error("base_url = \"{0}\" is not a URL such as https://api.1msg.io")]
    BaseUrl(String),
    #[error("the token has characters that no HTTP header may have")]
    Token,
    #[error(transparent)]
    Transport(#[from] transport::TransportError),
}

/// Why a question to the provider has no answer. Questions change nothing, so they may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the provider could not be asked: {0}")]
    Unreachable(String),
    #[error("the provider answered {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("the provider's answer is not JSON")]
    NotJson,
    #[error("the provider's answer is longer than {bytes} bytes, so it was not read")]
    TooLong { bytes: usize },
}

/// Bytes of a list that are read. A hundred messages, or a thousand templates, have one or two million.
const MAX_LIST: usize = 16 * 1024 * 1024;

/// A client of one channel. Cheap to clone; neither token nor phone is ever printed.
#[derive(Clone)]
pub struct OneMsgClient(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base: Url,
    send_template: Url,
    token: SecretString,
    auth: AuthPlace,
}

#[derive(Serialize)]
struct SendTemplate<'a> {
    phone: &'a str,
    template: &'a str,
    namespace: &'a str,
    language: Language<'a>,
    params: [Component<'a>; 1],
    #[serde(rename = "messageSendTtlSeconds", skip_serializing_if = "Option::is_none")]
    time_to_live: Option<u32>,
}

#[derive(Serialize)]
struct Language<'a> {
    policy: &'static str,
    code: &'a str,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    parameters: Vec<Parameter<'a>>,
}

#[derive(Serialize)]
struct Parameter<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

impl OneMsgClient {
    pub fn new(
        channel: &Channel,
        settings: &OneMsg,
        token: SecretString,
    ) -> Result<OneMsgClient, OneMsgClientError> {
        let base = base_url(settings)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if settings.auth == AuthPlace::Header {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| OneMsgClientError::Token)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let http = transport::http(channel, headers)?;
        let mut inner =
            Inner { http, send_template: base.clone(), base, token, auth: settings.auth };
        inner.send_template = inner.url("sendTemplate");
        Ok(OneMsgClient(Arc::new(inner)))
    }

    /// Sends one message. Every outcome is an answer.
    pub async fn send_template(&self, message: &TemplateMessage) -> Answer {
        match self.request(message) {
            Ok(request) => self.post_template(request).await,
            Err(answer) => answer,
        }
    }

    /// The request for one message.
    pub fn request(&self, message: &TemplateMessage) -> Result<reqwest::RequestBuilder, Answer> {
        let body = serde_json::to_vec(&wire(message));
        let body = body.map_err(|error| Answer::refused(ErrorClass::Content, error.to_string()))?;
        Ok(self.0.http.post(self.0.send_template.clone()).body(body))
    }

    pub async fn post_template(&self, request: reqwest::RequestBuilder) -> Answer {
        match transport::ask(request, |text| self.redact(text)).await {
            Ok(HttpReply { status, retry_after, body }) => self.judge(status, retry_after, &body),
            Err(answer) => answer,
        }
    }

    fn judge(&self, status: u16, retry_after: Option<Duration>, body: &[u8]) -> Answer {
        let json: Option<Value> = serde_json::from_slice(body).ok();
        let is_success = (200..300).contains(&status);
        if let (true, Some(id)) = (is_success, json.as_ref().and_then(accepted_id)) {
            return Answer::accepted(bounded_id(id), Some(status));
        }
        let error = json.as_ref().and_then(|json| error_payload::in_answer(json, status));
        // A queue, or an acceptance without its id: the provider has it, and nobody can say which it is.
        let is_taken = is_success && json.as_ref().is_some_and(is_taken);
        let class = error.as_ref().and_then(|error| class_of(error.code?, error.subcode));
        let result = match (is_taken, class) {
            (true, _) => AttemptResult::Unknown,
            (false, Some(class)) => AttemptResult::Refused { class, retry_after },
            (false, None) => {
                AttemptResult::of_status(meaning_of(status, error.is_some()), retry_after)
            }
        };
        let error = error.unwrap_or_default();
        let text = error
            .text
            .unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned());
        Answer {
            result,
            http_status: Some(status),
            error_code: error.code,
            error_text: Some(bounded(&self.redact(&text), 500)),
            response: Some(bounded(&self.redact(&String::from_utf8_lossy(body)), 2_000)),
        }
    }

    /// What the provider knows about a message: the answer of `hookInfo` as it came.
    pub async fn hook_info(&self, provider_message_id: &str) -> Result<Value, AskError> {
        self.get("hookInfo", &[("messageId", provider_message_id)]).await
    }

    /// The messages from and to a phone since a moment, as they came.
    pub async fn messages(&self, phone: &str, since: jiff::Timestamp) -> Result<Value, AskError> {
        let (chat, since) = (format!("{phone}@c.us"), since.as_second().to_string());
        self.get("messages", &[("chatId", &chat), ("min_time", &since), ("limit", "100")]).await
    }

    /// What the provider's clock says, which stands in the head of whatever it answers.
    pub async fn clock(&self) -> Result<Option<jiff::Timestamp>, AskError> {
        let request = self.0.http.get(self.0.url("templates")).query(&[("limit", "1")]);
        let response =
            request.send().await.map_err(|error| AskError::Unreachable(self.describe(error)))?;
        let said = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        Ok(said.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|at| at.timestamp()))
    }

    /// The templates of the channel, as they came.
    pub async fn templates(&self) -> Result<Value, AskError> {
        self.get("templates", &[]).await
    }

    /// The same, where the provider lists its first page only: all in one answer.
    pub async fn all_templates(&self) -> Result<Value, AskError> {
        let answer = self.templates().await?;
        let listed = template_list::read(&answer).map_or(0, |listed| listed.len() as u64);
        match template_list::total(&answer) {
            Some(total) if total > listed => {
                self.get("templates", &[("limit", &total.to_string()), ("offset", "0")]).await
            }
            _ => Ok(answer),
        }
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, AskError> {
        self.ask(self.0.http.get(self.0.url(path)).query(query)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        self.ask(self.0.http.post(self.0.url(path)).json(body)).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, AskError> {
        let response =
            request.send().await.map_err(|error| AskError::Unreachable(self.describe(error)))?;
        let status = response.status().as_u16();
        let Body { bytes, is_whole } = transport::body(response, MAX_LIST)
            .await
            .map_err(|error| AskError::Unreachable(self.describe(error)))?;
        if !(200..300).contains(&status) {
            let text = self.redact(&String::from_utf8_lossy(&bytes[..bytes.len().min(500)]));
            return Err(AskError::Refused { status, text });
        }
        if !is_whole {
            return Err(AskError::TooLong { bytes: MAX_LIST });
        }
        serde_json::from_slice(&bytes).map_err(|_| AskError::NotJson)
    }

    fn describe(&self, error: reqwest::Error) -> String {
        transport::describe(error, |text| self.redact(text))
    }

    /// The text without the token, which 1MSG repeats in its 401, and without phones.
    fn redact(&self, text: &str) -> String {
        let without_token = text.replace(self.0.token.expose_secret(), "…");
        redact_phones(&without_token)
    }
}

impl Inner {
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        if self.auth == AuthPlace::Query {
            url.query_pairs_mut().append_pair("token", self.token.expose_secret());
        }
        url
    }
}

fn base_url(settings: &OneMsg) -> Result<Url, OneMsgClientError> {
    let bad = || OneMsgClientError::BaseUrl(settings.base_url.clone());
    let mut url = Url::parse(settings.base_url.trim_end_matches('/')).map_err(|_| bad())?;
    let id = settings.channel_id.strip_prefix("instance").unwrap_or(&settings.channel_id);
    url.path_segments_mut().map_err(|()| bad())?.pop_if_empty().push(id);
    Ok(url)
}

fn wire(message: &TemplateMessage) -> SendTemplate<'_> {
    let parameters =
        message.parameters.iter().map(|text| Parameter { kind: "text", text }).collect();
    SendTemplate {
        phone: &message.phone,
        template: &message.template,
        namespace: &message.namespace,
        language: Language { policy: "deterministic", code: &message.language },
        params: [Component { kind: "body", parameters }],
        time_to_live: message.time_to_live,
    }
}

fn accepted_id(json: &Value) -> Option<&str> {
    if json.get("sent") != Some(&Value::Bool(true)) {
        return None;
    }
    json.get("id").and_then(Value::as_str).filter(|id| !id.is_empty())
}

/// The provider says that it has the message, or will have it.
fn is_taken(json: &Value) -> bool {
    json.get("sent") == Some(&Value::Bool(true)) || json.get("jobId").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> TemplateMessage {
        TemplateMessage {
            phone: "12020721369".into(),
            template: "service_change".into(),
            namespace: "a1b2c3d4".into(),
            language: "en".into(),
            parameters: vec![
                "Maria".into(),
                "home delivery".into(),
                "New window: June 25 from 10:00 AM to 12:00 PM.".into(),
            ],
            ..TemplateMessage::default()
        }
    }

    const BODY: &str = concat!(
        r#"{"phone":"12020721369","template":"service_change","namespace":"a1b2c3d4","#,
        r#""language":{"policy":"deterministic","code":"en"},"#,
        r#""params":[{"type":"body","parameters":["#,
        r#"{"type":"text","text":"Maria"},"#,
        r#"{"type":"text","text":"home delivery"},"#,
        r#"{"type":"text","text":"New window: June 25 from 10:00 AM to 12:00 PM."}]}]"#,
    );

    #[test]
    fn the_body_is_that_of_the_contract_to_the_letter() {
        let written = serde_json::to_string(&wire(&message())).unwrap_or_default();
        assert_eq!(written, format!("{BODY}}}"));
    }

    #[test]
    fn a_message_that_expires_says_for_how_many_seconds_it_is_kept() {
        let message = TemplateMessage { time_to_live: Some(7_200), ..message() };
        let written = serde_json::to_string(&wire(&message)).unwrap_or_default();
        assert_eq!(written, format!("{BODY},\"messageSendTtlSeconds\":7200}}"));
    }
}
