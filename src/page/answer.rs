//! What a request is answered with when there is no view to show.

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};

use crate::page::layout::bare;
use crate::pipeline::context::stage::{StageError, loggable};

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("nobody has logged in")]
    LoginNeeded,
    #[error("this login may only read")]
    MayOnlyRead,
    #[error("the form was not posted from this page, or its login is over")]
    ForeignForm,
    #[error("the form could not be read")]
    Form,
    #[error("the field {0} is empty")]
    Field(&'static str),
    #[error("{0}")]
    Refused(String),
    #[error("there is no such page")]
    NotFound,
    #[error("too many at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] StageError),
}

impl From<tokio_postgres::Error> for PageError {
    fn from(error: tokio_postgres::Error) -> PageError {
        PageError::Database(StageError::Query(error))
    }
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            PageError::LoginNeeded => StatusCode::SEE_OTHER,
            PageError::MayOnlyRead | PageError::ForeignForm => StatusCode::FORBIDDEN,
            PageError::Form | PageError::Field(_) => StatusCode::BAD_REQUEST,
            PageError::Refused(_) => StatusCode::CONFLICT,
            PageError::NotFound => StatusCode::NOT_FOUND,
            PageError::Busy | PageError::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What happened, and what to do.
    fn in_words(&self) -> (&'static str, String) {
        match self {
            PageError::LoginNeeded => ("Log in", "Log in first.".to_owned()),
            PageError::MayOnlyRead => (
                "You may only read",
                "Your token lets you read. To decide, log out and log in with the other token.".to_owned(),
            ),
            PageError::ForeignForm => (
                "Not done",
                "The form was not sent from this page, or you have logged in anew since. Nothing was changed. Load the \
                 page again, and send it from there."
                    .to_owned(),
            ),
            PageError::Form => ("Not done", "The form could not be read. Nothing was changed.".to_owned()),
            PageError::Field(name) => ("Not done", format!("Nothing stands in the field “{name}”. Nothing was changed.")),
            PageError::Refused(why) => ("Not done", why.clone()),
            PageError::NotFound => ("Not found", "There is nothing here: it may have been removed by retention.".to_owned()),
            PageError::Busy => ("Busy", "Too many look at once. Try again in a moment.".to_owned()),
            PageError::Database(_) => (
                "The database does not answer",
                "What the page shows stands in the database, and it did not answer in time. Messages that wait are not \
                 lost. Try again in a moment; `rowbell status` and the log say more."
                    .to_owned(),
            ),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let PageError::LoginNeeded = self {
            return to("/login");
        }
        if let PageError::Database(error) = &self {
            tracing::warn!(error = loggable(error), "a view of the page could not be made");
        }
        let (title, what) = self.in_words();
        let main = html! {
            h1 { (title) }
            p { (what) }
            p { a href="/now" { "To the page" } }
        };
        (self.status(), shown(bare(title, &main))).into_response()
    }
}

/// A page.
pub fn shown(page: Markup) -> Html<String> {
    Html(page.into_string())
}

/// Sends the browser elsewhere, with a GET.
pub fn to(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}
