//! An answer, and the manner in which it reaches the client.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::json;

/// How the bytes of an answer travel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Manner {
    #[default]
    Whole,
    /// Never.
    Hang,
    /// The connection closes without a byte.
    Drop,
    /// The length of the whole is announced, half of it comes, the connection closes.
    Half,
    /// A few bytes at a time, with this pause between them.
    Slow(Duration),
}

/// An answer that is ready to leave.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Bytes,
    /// Whole seconds for the header `Retry-After`.
    pub retry_after: Option<u64>,
    pub manner: Manner,
    pub delay: Duration,
    /// The message whose `sent` has to be posted before this answer leaves.
    pub early: Option<u64>,
}

impl Reply {
    pub fn json(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply::new(status, "application/json", body)
    }

    pub fn text(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply::new(status, "text/plain; charset=utf-8", body)
    }

    pub fn html(status: u16, body: impl Into<Bytes>) -> Reply {
        Reply::new(status, "text/html", body)
    }

    fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
        Reply {
            // A control request may ask for a status that does not exist; 500 is then near enough.
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            content_type,
            body: body.into(),
            retry_after: None,
            manner: Manner::Whole,
            delay: Duration::ZERO,
            early: None,
        }
    }

    /// `{"error": text}`, the provider's own form.
    pub fn error(status: u16, text: &str) -> Reply {
        Reply::json(status, json!({ "error": text }).to_string())
    }

    /// 401, in the documented words: the token comes back in them.
    pub fn wrong_token(token: &str, channel: &str) -> Reply {
        let text = format!(
            "Wrong token \"{token}\" for channel \"{channel}\". \
             Please provide token as a GET parameter."
        );
        Reply::error(401, &text)
    }

    pub fn unknown_channel(channel: &str) -> Reply {
        Reply::error(404, &format!("Channel \"{channel}\" not found"))
    }

    pub fn unknown_method(method: &str) -> Reply {
        Reply::error(404, &format!("Method \"{method}\" not found"))
    }

    /// 403 in plain text: trial over or subscription blocked.
    pub fn blocked() -> Reply {
        Reply::text(403, "Subscription is blocked. Please renew your subscription.")
    }

    pub fn with_manner(self, manner: Manner) -> Reply {
        Reply { manner, ..self }
    }
}
