//! Logging in with a token and a name, and out again.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Form};
use maud::{Markup, html};

use crate::http::server::PeerAddress;
use crate::page::access::{Asked, COOKIE_NAME, is_from_here};
use crate::page::answer::{PageError, shown, to};
use crate::page::layout::bare;
use crate::page::login_guard::LoginOrigin;
use crate::page::session::Visitor;
use crate::page::state::PageState;

/// Characters of a name, at most.
const LONGEST_NAME: usize = 60;

pub async fn asked() -> impl IntoResponse {
    shown(bare("Log in", &form(None)))
}

fn form(problem: Option<&str>) -> Markup {
    html! {
        h1 { "rowbell" }
        @if let Some(problem) = problem {
            p.problem role="alert" { (problem) }
        }
        form.login method="post" action="/login" {
            label for="name" { "Your name" }
            input #name name="name" type="text" required maxlength=(LONGEST_NAME) autocomplete="name"
                aria-describedby="name-why";
            p.hint #name-why { "It stands at what you decide, and at whose phone you asked to see." }
            label for="token" { "Token" }
            input #token name="token" type="password" required autocomplete="current-password"
                aria-describedby="token-why";
            p.hint #token-why { "One token lets you read, another lets you decide. Whoever runs rowbell has them." }
            button.primary type="submit" { "Log in" }
        }
    }
}

pub async fn logged_in(
    State(page): State<Arc<PageState>>,
    Extension(peer): Extension<PeerAddress>,
    headers: HeaderMap,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Result<Response, PageError> {
    let now = page.context.clock.now();
    let refused =
        |status: StatusCode, why| (status, shown(bare("Log in", &form(Some(why))))).into_response();
    if !is_from_here(&headers) {
        return Err(PageError::ForeignForm);
    }
    let from = LoginOrigin::of(peer, &headers);
    if page.logins.is_waiting(now, from) {
        return Ok(refused(StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens. Wait a minute."));
    }
    let field = |name| fields.get(name).map_or("", |text: &String| text.trim());
    let name: String =
        field("name").chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let Some(right) = page.keys.right_of(field("token")) else {
        page.logins.add(now, from);
        tracing::warn!("somebody tried to log in to the page with a wrong token");
        return Ok(refused(StatusCode::FORBIDDEN, "This token is not known here."));
    };
    if name.is_empty() {
        return Ok(refused(StatusCode::BAD_REQUEST, "Say who you are."));
    }
    let session = page.config().page.session;
    let visitor = page.keys.admit(&name, right, now + session);
    let sealed = page.keys.sealed(&visitor);
    Ok(with_cookie(to("/now"), &headers, &sealed, session.as_secs()))
}

pub async fn logged_out(headers: HeaderMap, _: Asked) -> Response {
    with_cookie(to("/login"), &headers, "", 0)
}

/// Nobody reads the cookie but us, and no other site sends it along. Behind a proxy with TLS it only travels there.
fn with_cookie(mut answer: Response, headers: &HeaderMap, value: &str, seconds: u64) -> Response {
    let is_tls = headers.get("x-forwarded-proto").is_some_and(|by| by == "https");
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    );
    if let Ok(cookie) = cookie.parse() {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

/// The first page: whoever has logged in sees what is up now.
pub async fn first(_: Visitor) -> Response {
    to("/now")
}
