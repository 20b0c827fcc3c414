//! Refusals with Meta's codes, in the forms in which 1MSG passes them on.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::sandbox::api::reply::Reply;

/// How an error of the message's content is told. All three were seen in the wild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalForm {
    /// 422 (or the code's own status) with Meta's error object.
    #[default]
    Meta,
    /// The same status with `{"message": "text"}` only.
    Plain,
    /// HTTP 200 with `{"sent": false, "message": "text"}`.
    InBand,
}

/// Why a message was not accepted, or why it failed later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Meta's code.
    pub code: i32,
    pub status: u16,
    pub details: String,
}

impl Refusal {
    /// A fault in what was sent: 422.
    pub fn content(code: i32, details: impl Into<String>) -> Refusal {
        Refusal { code, status: 422, details: details.into() }
    }

    /// Anything else: the status Meta pairs with the code.
    pub fn of(code: i32) -> Refusal {
        Refusal { code, status: status_of(code), details: title(code).to_owned() }
    }

    pub fn because(self, details: impl Into<String>) -> Refusal {
        Refusal { details: details.into(), ..self }
    }

    pub fn reply(&self, form: RefusalForm) -> Reply {
        match form {
            RefusalForm::Meta => Reply::json(self.status, self.meta()),
            RefusalForm::Plain => {
                Reply::json(self.status, json!({ "message": self.details }).to_string())
            }
            RefusalForm::InBand => {
                let body = json!({ "sent": false, "message": self.details });
                Reply::json(200, body.to_string())
            }
        }
    }

    fn meta(&self) -> String {
        let error = json!({
            "message": format!("(#{}) {}", self.code, title(self.code)),
            "type": "OAuthException",
            "code": self.code,
            "error_data": { "messaging_product": "whatsapp", "details": self.details },
            "fbtrace_id": "A5andBoxTraceTraceTrace",
        });
        json!({ "error": error }).to_string()
    }
}

/// The HTTP status that Meta pairs with a code when it answers at once.
fn status_of(code: i32) -> u16 {
    match code {
        0 | 190 => 401,
        2 | 131016 | 133004 => 503,
        131000 | 131045 | 131057 => 500,
        3 | 10 | 200..=299 | 368 | 130497 | 131005 | 131031 => 403,
        // Business solution providers surface the throughput limit as 429.
        130429 => 429,
        132001 => 404,
        _ => 400,
    }
}

/// Meta's short text for a code; an `ack` carries nothing else.
pub fn title(code: i32) -> &'static str {
    match code {
        100 => "Invalid parameter",
        130429 => "Rate limit hit",
        130472 => "User's number is part of an experiment",
        130497 => "Business account is restricted from messaging users in this country",
        131000 => "Something went wrong",
        131008 => "Required parameter is missing",
        131009 => "Parameter value is not valid",
        131016 => "Service unavailable",
        131021 => "Recipient cannot be sender",
        131026 => "Message undeliverable",
        131031 => "Business Account locked",
        131042 => "Business eligibility payment issue",
        131048 => "Spam rate limit hit",
        131049 => "This message was not delivered to maintain healthy ecosystem engagement.",
        131050 => "User has stopped receiving marketing messages from this business",
        131056 => "(Business Account, Consumer Account) pair rate limit hit",
        131057 => "Account in maintenance mode",
        132000 => "Number of parameters does not match the expected number of params",
        132001 => "Template name does not exist in the translation",
        132005 => "Translated text too long",
        132007 => "Template format character policy violated",
        132012 => "Parameter format does not match format in the created template",
        132015 => "Template is paused",
        132016 => "Template is disabled",
        132018 => "There is an issue with the parameters in your template",
        133010 => "Account not registered",
        190 => "Access token has expired",
        368 => "Temporarily blocked for policies violations",
        _ => "Message failed",
    }
}
