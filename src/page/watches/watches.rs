//! What is watched, the rules, and what a row, or an invented change of it, would send.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};
use serde_json::Value;

use crate::config::Watch;
use crate::domain::value::row::Row;
use crate::operations::preview::{Preview, preview};
use crate::page::access::{Asked, Fields};
use crate::page::answer::{PageError, shown};
use crate::page::holds::holds::would_say;
use crate::page::layout::{View, form_token, framed};
use crate::page::messages::bubble::plain;
use crate::page::messages::filter::encoded;
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::page::watches::rules::{facts, rules};

/// What the fields of invented values begin with.
const SET: &str = "set.";

pub async fn view(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
) -> Result<Html<String>, PageError> {
    let main = html! {
        h1 { "Watches" }
        @for (name, watch) in &page.config().watch {
            section {
                h2 { a href={ "/watches/" (encoded(name)) } { (name) } }
                p { code { (watch.table) } ": " (watch.columns.join(", ")) }
            }
        }
        @if page.config().watch.is_empty() { p { "Nothing is watched yet." } }
    };
    Ok(shown(framed(&page, &visitor, View::Watches, "Watches", &main)))
}

pub async fn one(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Html<String>, PageError> {
    answer(&page, &visitor, &name, &Fields::default(), None)
}

/// With what it would send. A form, because what is invented may be personal.
pub async fn previewed(
    State(page): State<Arc<PageState>>,
    Path(name): Path<String>,
    Asked { visitor, fields }: Asked,
) -> Result<Html<String>, PageError> {
    if !page.config().watch.contains_key(&name) {
        return Err(PageError::NotFound);
    }
    let key = fields.needed("key")?;
    let invented = invented(&fields);
    let mut client = page.database().await?;
    let shown =
        preview(&mut client, page.config(), &page.context.clock, &name, key, &invented).await;
    drop(client);
    let shown = shown.map_err(|error| error.to_string());
    answer(&page, &visitor, &name, &fields, Some(shown))
}

/// A field that is left empty keeps the value of its row; `null` is nothing.
fn invented(fields: &Fields) -> Row {
    let filled = fields.each().filter(|(_, value)| !value.is_empty());
    let set = filled.filter_map(|(name, value)| Some((name.strip_prefix(SET)?, value)));
    let value = |text: &str| match text {
        "null" => Value::Null,
        text => Value::String(text.to_owned()),
    };
    set.map(|(column, text)| (column.into(), value(text))).collect()
}

type Shown = Result<Vec<Preview>, String>;

fn answer(
    page: &PageState,
    visitor: &Visitor,
    name: &str,
    fields: &Fields,
    preview: Option<Shown>,
) -> Result<Html<String>, PageError> {
    let watch = page.config().watch.get(name).ok_or(PageError::NotFound)?;
    let main = html! {
        h1 { "Watch " (name) }
        section aria-label="What is watched" { (facts(watch)) }
        section aria-labelledby="said" { h2 #said { "What is said" } (rules(watch)) }
        section aria-labelledby="preview" {
            h2 #preview { "Preview" }
            (form(page, visitor, name, watch, fields))
            @if let Some(shown) = &preview { (outcome(shown)) }
        }
    };
    Ok(shown(framed(page, visitor, View::Watches, &format!("Watch {name}"), &main)))
}

fn form(page: &PageState, visitor: &Visitor, name: &str, watch: &Watch, fields: &Fields) -> Markup {
    html! {
        form.filter method="post" action={ "/watches/" (encoded(name)) "#preview" } {
            (form_token(page, visitor))
            label { "Key of the row" input type="text" name="key" required value=[fields.text("key")]; }
            @for column in watch.columns.iter().filter(|column| !column.contains('.')) {
                @let field = format!("{SET}{column}");
                label { (column) " as if it were" input type="text" name=(field) value=[fields.text(&field)]; }
            }
            button.primary type="submit" { "What would it say?" }
        }
        p.hint { "An empty field leaves the value of the row; null is nothing. Nothing is sent, and nothing is changed." }
    }
}

fn outcome(shown: &Shown) -> Markup {
    html! {
        div role="status" {
            @match shown {
                Err(why) => p.problem { (why) },
                Ok(previews) => @for preview in previews {
                    ul { @for change in &preview.changes { li { (change.column) ": " (plain(&change.old)) " → " (plain(&change.new)) } } }
                    (would_say(preview))
                },
            }
        }
    }
}
