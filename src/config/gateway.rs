//! Settings of channels that are not WhatsApp: any HTTP gateway, and mail.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::domain::text::localized_text::LocalizedText;

/// By what a channel knows a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientAddress {
    Phone,
    Email,
    /// Whichever of the two the recipient has.
    Any,
}

/// An HTTP gateway, such as one for SMS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub url: String,
    pub method: HttpMethod,
    /// Headers that are no secret.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers whose values stand in files.
    #[serde(default)]
    pub header_files: BTreeMap<String, PathBuf>,
    /// The request's body as a MiniJinja template; see `provider/message_body.rs` for its variables.
    pub body: LocalizedText,
    #[serde(skip)]
    pub answers: Answers,
}

impl Http {
    /// What the body asks for. A body that asks for both, or for neither, takes what there is.
    pub fn address(&self) -> RecipientAddress {
        let asks = |what: &str| self.body.each().iter().any(|(_, body)| body.contains(what));
        match (asks("recipient.phone"), asks("recipient.email")) {
            (true, false) => RecipientAddress::Phone,
            (false, true) => RecipientAddress::Email,
            _ => RecipientAddress::Any,
        }
    }
}

/// What the answers of a gateway mean.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Statuses of requests that were taken.
    pub accepted_status: Statuses,
    /// What must stand in the answer besides: JSON pointer and value.
    #[serde(default)]
    pub accepted_if: BTreeMap<String, Expected>,
    /// JSON pointer to the gateway's id of the message.
    pub id: Option<String>,
    /// JSON pointer to the gateway's own error code, which decides before the status.
    pub error_code: Option<String>,
    /// JSON pointer to the words of an error.
    pub error_text: Option<String>,
    /// Statuses or error codes: try again.
    pub retry_on: Vec<Code>,
    /// Statuses or error codes: slow down.
    pub slow_on: Vec<Code>,
    /// Statuses or error codes: this recipient cannot be reached.
    pub recipient_on: Vec<Code>,
    /// Statuses or error codes: nothing can be sent at all.
    pub channel_on: Vec<Code>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    Post,
    Put,
    Patch,
}

/// HTTP statuses and ranges of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(pub Vec<(u16, u16)>);

impl Statuses {
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Statuses, D::Error> {
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (100 <= first && first <= last && last <= 599).then_some((first, last))
        };
        let codes = Vec::<Code>::deserialize(from)?;
        let ranges: Option<Vec<_>> = codes.iter().map(|code| range(&code.0)).collect();
        ranges.filter(|ranges| !ranges.is_empty()).map(Statuses).ok_or_else(|| {
            D::Error::custom(
                "expected HTTP statuses and ranges of them, such as [200, \"202-204\"]",
            )
        })
    }
}

/// An HTTP status, or an error code of a gateway; numbers and texts are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code(pub String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Code, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Code(text)),
            Value::Number(number) => Ok(Code(number.to_string())),
            _ => {
                Err(D::Error::custom("expected a status or code such as 429 or \"invalid_number\""))
            }
        }
    }
}

/// One value, or any of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected(pub Vec<Value>);

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Expected, D::Error> {
        Ok(match Value::deserialize(from)? {
            Value::Array(values) => Expected(values),
            value => Expected(vec![value]),
        })
    }
}

/// Mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// Certificates (PEM) of the authority that signed the server's; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    /// The sender: `Shop <hello@shop.example>`.
    pub from: String,
    pub subject: LocalizedText,
    #[serde(default = "text_alone")]
    pub body: LocalizedText,
}

fn text_alone() -> LocalizedText {
    LocalizedText::Same("{{ text }}".to_owned())
}

/// How the connection to the mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// From the first byte.
    Tls,
    /// In the clear at first; a server that does not offer TLS then is not used.
    Starttls,
    /// Never: for a relay on this machine.
    None,
}
