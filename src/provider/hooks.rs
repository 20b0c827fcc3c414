//! Where 1MSG posts to: the list of URLs of a channel, which of them it has given up, and whether it
//! tells of deliveries at all.

use serde_json::{Value, json};

use super::onemsg::{AskError, Client};

/// URLs that one channel may have.
pub const MAX_URLS: usize = 5;

/// Where one channel posts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub urls: Vec<String>,
    /// Those of them that the provider has given up, after they failed too often.
    pub disabled: Vec<String>,
    /// Whether receipts are posted; None: the provider does not say.
    pub acks: Option<bool>,
}

impl Hooks {
    /// Reads the answers of `GET /webhook` and `GET /settings`.
    fn read(webhook: &Value, settings: Option<&Value>) -> Hooks {
        let statuses = webhook.get("webhookStatuses").and_then(Value::as_array);
        let is_disabled = |status: &&Value| {
            let word = status.get("status").and_then(Value::as_str).unwrap_or_default();
            word.eq_ignore_ascii_case("disabled") || status.get("disabled") == Some(&true.into())
        };
        let url = |status: &Value| status.get("url").and_then(Value::as_str).map(str::to_owned);
        Hooks {
            urls: urls(webhook.get("webhookUrl")),
            disabled: statuses.into_iter().flatten().filter(is_disabled).filter_map(url).collect(),
            acks: settings.and_then(|s| s.get("ackNotificationsOn")).and_then(Value::as_bool),
        }
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

impl Client {
    /// Where the provider posts to now. Channels without settings are read without them.
    pub async fn hooks(&self) -> Result<Hooks, AskError> {
        let webhook = self.get("webhook", &[]).await?;
        let settings = match self.get("settings", &[]).await {
            Err(AskError::Refused { status: 404, .. }) => None,
            settings => Some(settings?),
        };
        Ok(Hooks::read(&webhook, settings.as_ref()))
    }

    /// Replaces the whole list of URLs. The provider posts again to those that it had given up.
    pub async fn set_hooks(&self, urls: &[String]) -> Result<(), AskError> {
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
            let hooks = Hooks::read(&answer, Some(&json!({ "ackNotificationsOn": false })));
            assert_eq!(hooks.urls, ["https://a", "https://b"]);
            assert_eq!((hooks.disabled, hooks.acks), (vec!["https://b".to_owned()], Some(false)));
        }
        assert_eq!(Hooks::read(&json!({ "webhookUrl": "" }), None), Hooks::default());
    }
}
