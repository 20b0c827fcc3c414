//! Any HTTP gateway, such as one for SMS: a request made of a template, and what its answers mean as the
//! channel's settings say.
//!
//! Accepted is only an answer whose status and contents are as configured. A gateway that takes a message
//! and says so in a way that cannot be read leaves it unconfirmed: it may have it.

use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::config::{Answers, Channel, Config, Http, HttpMethod};
use crate::domain::message::attempt::{Answer, AttemptId, AttemptResult, ErrorClass};
use crate::domain::message::outgoing::TemplateMessage;
use crate::provider::client_error::{ClientError, secret};
use crate::provider::error_table::meaning_of;
use crate::provider::message_body::{BodyFormat, MessageBodies, sample};
use crate::provider::onemsg::webhook_payload::{bounded, bounded_id};
use crate::provider::redact::{redact_emails, redact_phones};
use crate::provider::transport::{self, HttpReply};

/// The setting that holds the template of the request.
const BODY: &str = "body";

/// A client of one gateway. Cheap to clone; no secret and no address of a recipient is ever printed.
#[derive(Clone)]
pub struct HttpGateway(Arc<Inner>);

/// A request, and the name of its attempt.
pub struct Request {
    name: String,
    request: reqwest::RequestBuilder,
}

struct Inner {
    http: reqwest::Client,
    method: Method,
    url: Url,
    bodies: MessageBodies,
    is_json: bool,
    answers: Answers,
    secrets: Vec<SecretString>,
    environment: String,
}

impl HttpGateway {
    pub fn new(
        channel: &Channel,
        settings: &Http,
        config: &Config,
    ) -> Result<HttpGateway, ClientError> {
        let wrong =
            |setting: &str, why: String| ClientError::Setting { setting: setting.to_owned(), why };
        let url = Url::parse(&settings.url).map_err(|error| wrong("url", error.to_string()))?;
        let (headers, secrets) = headers(settings)?;
        let is_json = headers
            .get(CONTENT_TYPE)
            .is_none_or(|kind| kind.to_str().is_ok_and(|kind| kind.contains("json")));
        let writing = if is_json { BodyFormat::Json } else { BodyFormat::Plain };
        let texts = vec![(BODY, settings.body.clone())];
        let bodies = MessageBodies::compile(texts, writing, &config.recipient.locale)?;
        let method = match settings.method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
        };
        let inner = Inner {
            http: transport::http(channel, headers)?,
            method,
            url,
            bodies,
            is_json,
            answers: settings.answers.clone(),
            secrets,
            environment: config.installation.environment.clone(),
        };
        for (tag, _) in settings.body.each() {
            let message = TemplateMessage { locale: tag.to_owned(), ..sample() };
            inner.body(&message, "production-1-1").map_err(|why| wrong(BODY, why))?;
        }
        Ok(HttpGateway(Arc::new(inner)))
    }

    /// The request for one message.
    pub fn request(&self, id: AttemptId, message: &TemplateMessage) -> Result<Request, Answer> {
        let inner = &self.0;
        let name = id.name(&inner.environment);
        let body = inner.body(message, &name);
        let body = body.map_err(|why| Answer::refused(ErrorClass::Content, why))?;
        let request = inner.http.request(inner.method.clone(), inner.url.clone()).body(body);
        Ok(Request { name, request })
    }

    /// Posts it. Every outcome is an answer.
    pub async fn post(&self, Request { name, request }: Request) -> Answer {
        let inner = &self.0;
        match transport::ask(request, |text| inner.redact(text)).await {
            Ok(reply) => inner.judge(&reply, &name),
            Err(answer) => answer,
        }
    }
}

impl Inner {
    /// The request's body. One that should be JSON and is not never leaves.
    fn body(&self, message: &TemplateMessage, attempt_id: &str) -> Result<String, String> {
        let body = self.bodies.render(BODY, message, attempt_id).map_err(|e| e.to_string())?;
        if self.is_json && serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
            return Err("the body is not JSON; texts stand in it as \"{{ text }}\", lists as {{ parameters | tojson }}".to_owned());
        }
        Ok(body)
    }

    fn judge(&self, reply: &HttpReply, attempt_id: &str) -> Answer {
        let status = reply.status;
        let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let at = |pointer: &Option<String>| text_at(json.as_ref()?, pointer.as_deref()?);
        let is_taken = self.answers.accepted_status.contains(status);
        let must_be_read = !self.answers.accepted_if.is_empty() || self.answers.id.is_some();
        let is_as_expected = self.answers.accepted_if.iter().all(|(pointer, expected)| {
            let found = json.as_ref().and_then(|json| json.pointer(pointer));
            found.is_some_and(|found| expected.0.contains(found))
        });
        let id = match &self.answers.id {
            Some(_) => at(&self.answers.id),
            None => Some(attempt_id.to_owned()),
        };
        if let (true, true, Some(id)) = (is_taken, is_as_expected, &id) {
            return Answer::accepted(bounded_id(id), Some(status));
        }
        let code = at(&self.answers.error_code);
        let body = String::from_utf8_lossy(&reply.body);
        let text = at(&self.answers.error_text).unwrap_or_else(|| bounded(&body, 500));
        let text = code.iter().cloned().chain([text]).collect::<Vec<_>>().join(": ");
        // Taken, but not as it should be said.
        let is_unread =
            is_taken && must_be_read && (json.is_none() || (is_as_expected && id.is_none()));
        let retry_after = reply.retry_after;
        let result = match self.listed(status, code.as_deref()) {
            _ if is_unread => AttemptResult::Unknown,
            Some(class) => AttemptResult::Refused { class, retry_after },
            None => AttemptResult::of_status(meaning_of(status, json.is_some()), retry_after),
        };
        Answer {
            result,
            http_status: Some(status),
            error_code: None,
            error_text: Some(bounded(&self.redact(&text), 500)),
            response: Some(bounded(&self.redact(&body), 2_000)),
        }
    }

    /// The class that the settings give to a code, or else to a status.
    fn listed(&self, status: u16, code: Option<&str>) -> Option<ErrorClass> {
        let lists = [
            (&self.answers.recipient_on, ErrorClass::Recipient),
            (&self.answers.slow_on, ErrorClass::Slow),
            (&self.answers.retry_on, ErrorClass::Retry),
            (&self.answers.channel_on, ErrorClass::Channel),
        ];
        let status = status.to_string();
        [code, Some(&status)].into_iter().flatten().find_map(|wanted| {
            lists.iter().find(|(list, _)| list.iter().any(|code| code.0 == wanted)).map(|l| l.1)
        })
    }

    /// The text without secrets and without addresses of people.
    fn redact(&self, text: &str) -> String {
        let hidden = self.secrets.iter().fold(text.to_owned(), |text, secret| {
            // Also where only the part behind "Bearer " is repeated.
            let secret = secret.expose_secret();
            let part = secret.split_whitespace().last().unwrap_or(secret);
            text.replace(part, "…")
        });
        redact_emails(&redact_phones(&hidden))
    }
}

/// The text or number at a JSON pointer.
fn text_at(json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn headers(settings: &Http) -> Result<(HeaderMap, Vec<SecretString>), ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let name_of = |setting: &str, name: &str| {
        HeaderName::try_from(name).map_err(|_| ClientError::Setting {
            setting: format!("{setting}.{name}"),
            why: "is no name of a header".to_owned(),
        })
    };
    let value_of = |setting: &str, name: &str, value: &str| {
        HeaderValue::try_from(value).map_err(|_| ClientError::Setting {
            setting: format!("{setting}.{name}"),
            why: "has characters that no header may have".to_owned(),
        })
    };
    for (name, value) in &settings.headers {
        headers.insert(name_of("headers", name)?, value_of("headers", name, value)?);
    }
    let mut secrets = Vec::new();
    for (name, file) in &settings.header_files {
        let secret = secret(&format!("header_files.{name}"), file)?;
        let mut value = value_of("header_files", name, secret.expose_secret())?;
        value.set_sensitive(true);
        headers.insert(name_of("header_files", name)?, value);
        secrets.push(secret);
    }
    Ok((headers, secrets))
}
