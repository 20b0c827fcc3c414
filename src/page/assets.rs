//! The style and the script of the page: the only ones that its browser loads, and both are in this program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::domain::value::hex::hex;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How long a browser may keep them.
pub const KEPT: &str = "public, max-age=31536000, immutable";

/// Their paths. Each names what is in it, so that a browser may keep it until it changes.
pub static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("css", STYLE));
pub static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path("js", SCRIPT));

fn path(ending: &str, text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("/assets/{}.{ending}", hex(&digest[..8]))
}

pub async fn asset(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let (kind, text) = if path == *STYLE_PATH {
        ("text/css; charset=utf-8", STYLE)
    } else if path == *SCRIPT_PATH {
        ("text/javascript; charset=utf-8", SCRIPT)
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, KEPT)], text).into_response()
}
