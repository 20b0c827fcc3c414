//! Where 1MSG posts to: the list of URLs of a channel, which of them it has given up, and whether it
//! tells of deliveries at all.

use serde_json::{Value, json};

use crate::provider::onemsg::client::{AskError, OneMsgClient};

/// URLs that one channel may have.
pub const MAX_URLS: usize = 5;

/// Where one channel posts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSettings {
    pub urls: Vec<String>,
    /// Those of them that the provider has given up, after they failed too often.
    pub disabled: Vec<String>,
    /// Whether receipts are posted; None: the provider does not say.
    pub acks: Option<bool>,
    /// Something in the list could not be read: whoever writes it back would lose that.
    pub is_partly_unread: bool,
}

/// How the provider stands to our webhook, with our address in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookStatus<'a> {
    Unregistered,
    /// It posts nothing there any more, after failures.
    GivenUp(&'a str),
    /// It posts there, but tells nothing of deliveries.
    NoAcks(&'a str),
    Posts(&'a str),
}

/// The URL under which `secret` is posted to: everything before it is up to the installation.
pub fn is_ours(url: &str, secret: &str) -> bool {
    url.split(['?', '#']).next().is_some_and(|url| url.ends_with(&format!("/webhook/{secret}")))
}

/// A URL without what must not be shown: the secret, and whatever could be one.
pub fn shown(url: &str, secret: Option<&str>) -> String {
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => url.replace(secret, "…"),
        None => url.to_owned(),
    }
}

impl WebhookSettings {
    /// Reads the answers of `GET /webhook` and `GET /settings`.
    fn read(webhook: &Value, settings: Option<&Value>) -> WebhookSettings {
        let list = webhook.get("webhookUrl");
        let urls = urls(list);
        let statuses = statuses(webhook.get("webhookStatuses"));
        let is_text = |one: &Value| one.is_string();
        let is_list_of_texts = match list {
            Some(Value::Array(all)) => all.iter().all(is_text),
            Some(Value::String(_) | Value::Null) | None => true,
            Some(_) => false,
        };
        // A comma within a URL takes it apart; a status may tell of a URL that the list left out.
        let are_urls =
            urls.iter().all(|url| url.starts_with("http://") || url.starts_with("https://"));
        let are_listed = statuses.iter().all(|(url, _)| urls.contains(url));
        WebhookSettings {
            disabled: statuses.into_iter().filter(|(_, off)| *off).map(|(url, _)| url).collect(),
            acks: settings.and_then(|s| s.get("ackNotificationsOn")).and_then(Value::as_bool),
            is_partly_unread: !(is_list_of_texts && are_urls && are_listed),
            urls,
        }
    }

    /// Our address among those that the provider posts to.
    fn ours(&self, secret: &str) -> Option<&str> {
        self.urls.iter().map(String::as_str).find(|url| is_ours(url, secret))
    }

    /// How the provider stands to the address that ends in `secret`.
    pub fn snapshot(&self, secret: &str) -> WebhookStatus<'_> {
        match self.ours(secret) {
            None => WebhookStatus::Unregistered,
            Some(url) if self.disabled.iter().any(|off| is_ours(off, secret)) => {
                WebhookStatus::GivenUp(url)
            }
            Some(url) if self.acks == Some(false) => WebhookStatus::NoAcks(url),
            Some(url) => WebhookStatus::Posts(url),
        }
    }
}

/// Each URL with whether it is given up, from a list of objects or an object by URL.
fn statuses(value: Option<&Value>) -> Vec<(String, bool)> {
    let is_disabled = |status: &Value| {
        let word = status.get("status").unwrap_or(status).as_str().unwrap_or_default();
        word.eq_ignore_ascii_case("disabled") || status.get("disabled") == Some(&true.into())
    };
    match value {
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(|one| Some((one.get("url")?.as_str()?.to_owned(), is_disabled(one))))
            .collect(),
        Some(Value::Object(all)) => {
            all.iter().map(|(url, one)| (url.clone(), is_disabled(one))).collect()
        }
        _ => Vec::new(),
    }
}

/// One URL is a text, several are a list or a text with commas.
fn urls(value: Option<&Value>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

impl OneMsgClient {
    /// Where the provider posts to now. Channels without settings are read without them.
    pub async fn webhook_settings(&self) -> Result<WebhookSettings, AskError> {
        let webhook = self.get("webhook", &[]).await?;
        let settings = match self.get("settings", &[]).await {
            Err(AskError::Refused { status: 404, .. }) => None,
            settings => Some(settings?),
        };
        Ok(WebhookSettings::read(&webhook, settings.as_ref()))
    }

    /// Replaces the whole list of URLs. The provider posts again to those that it had given up.
    pub async fn set_webhook_settings(&self, urls: &[String]) -> Result<(), AskError> {
        self.post("webhook", &json!({ "webhookUrl": urls })).await.map(drop)
    }

    /// Lets the provider tell of deliveries.
    pub async fn switch_acks_on(&self) -> Result<(), AskError> {
        self.post("settings", &json!({ "ackNotificationsOn": true })).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_the_list_are_read() {
        for list in [json!("https://a,https://b"), json!(["https://a", "https://b"])] {
            let answer = json!({ "webhookUrl": list, "webhookStatuses": [
                { "url": "https://a", "status": "active" }, { "url": "https://b", "status": "DISABLED" },
            ] });
            let webhook_settings =
                WebhookSettings::read(&answer, Some(&json!({ "ackNotificationsOn": false })));
            assert_eq!(webhook_settings.urls, ["https://a", "https://b"]);
            assert_eq!(
                (webhook_settings.disabled, webhook_settings.acks),
                (vec!["https://b".to_owned()], Some(false))
            );
        }
        assert_eq!(
            WebhookSettings::read(&json!({ "webhookUrl": "" }), None),
            WebhookSettings::default()
        );
        let by_url =
            json!({ "webhookUrl": "https://a", "webhookStatuses": { "https://a": "disabled" } });
        assert_eq!(WebhookSettings::read(&by_url, None).disabled, ["https://a"]);
    }

    #[test]
    fn a_list_that_would_lose_something_when_written_back_is_known() {
        let unread = |answer: Value| WebhookSettings::read(&answer, None).is_partly_unread;
        assert!(!unread(json!({ "webhookUrl": "https://a" })));
        assert!(!unread(json!({ "webhookUrl": Value::Null })));
        assert!(unread(json!({ "webhookUrl": "https://a/?of=1,2" })), "a comma within");
        assert!(unread(json!({ "webhookUrl": ["https://a", { "url": "https://b" }] })));
        assert!(unread(json!({ "webhookUrl": { "url": "https://a" } })));
        let more = json!([{ "url": "https://a" }, { "url": "https://b" }]);
        assert!(unread(json!({ "webhookUrl": "https://a", "webhookStatuses": more })));
    }

    #[test]
    fn ours_is_the_url_with_our_secret_at_its_end() {
        let webhook_settings = WebhookSettings {
            urls: vec!["https://x/hook/s".into(), "https://x/webhook/s?a".into()],
            ..WebhookSettings::default()
        };
        assert_eq!(webhook_settings.ours("s"), Some("https://x/webhook/s?a"));
        assert_eq!(webhook_settings.ours("other"), None);
        assert_eq!(shown("https://x/webhook/s3cret", Some("s3cret")), "https://x/webhook/…");
    }
}
