//! One message: what changed, who was told, in which words, and what became of it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};

use crate::domain::message::state::State as MessageState;
use crate::domain::person_act::PersonActKind;
use crate::domain::value::column::Columns;
use crate::domain::value::moment;
use crate::page::access::Asked;
use crate::page::answer::{PageError, shown};
use crate::page::holds::acts::settle_form;
use crate::page::layout::{View, form_token, framed};
use crate::page::mask::Mask;
use crate::page::messages::bubble::{bubble, plain};
use crate::page::messages::events::story;
use crate::page::messages::filter::encoded;
use crate::page::messages::find::state;
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::page::times::Times;
use crate::postgres::operations::entity_history::{FieldOrder, MessageHistory, one_message};
use crate::postgres::operations::person_acts::{self, PersonAct, RecordedAct};
use crate::postgres::page::found_messages::entity_of;

/// Acts of people that are shown of one message.
const ACTS: i64 = 50;

/// A message with what is around it.
struct ToldMessage {
    watch: String,
    entity_key: String,
    message: MessageHistory,
    acts: Vec<RecordedAct>,
}

pub async fn view(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
    Path(message_id): Path<i64>,
) -> Result<Html<String>, PageError> {
    let told = read(&page, message_id).await?;
    Ok(answer(&page, &visitor, &told, false))
}

/// The same with name and phone. Who asked is recorded before they are shown.
pub async fn unmasked(
    State(page): State<Arc<PageState>>,
    Path(message_id): Path<i64>,
    Asked { visitor, fields }: Asked,
) -> Result<Html<String>, PageError> {
    let told = read(&page, message_id).await?;
    let (who, reason) = (visitor.acting(), fields.text("reason"));
    let act = PersonAct { who: &who, kind: PersonActKind::Shown, reason };
    let client = page.database().await?;
    person_acts::record_messages(&**client, act, &[message_id], page.context.clock.now()).await?;
    Ok(answer(&page, &visitor, &told, true))
}

async fn read(page: &PageState, message_id: i64) -> Result<ToldMessage, PageError> {
    let client = page.database().await?;
    let (watch, entity_key) = entity_of(&client, message_id).await?.ok_or(PageError::NotFound)?;
    let acts = person_acts::list(&client, Some(message_id), ACTS).await?;
    let known = page.config().watch.get(&watch);
    let compiled = match known {
        Some(_) => page.context.compiled(&watch).await?.ok(),
        None => None,
    };
    let names = known.map_or(Vec::new(), |watch| watch.columns.clone());
    let none = Columns::new();
    let columns = compiled.as_ref().map_or(&none, |compiled| &compiled.columns);
    let order = FieldOrder { names: &names, columns };
    let message = one_message(&client, (&watch, &entity_key), message_id, &order).await?;
    Ok(ToldMessage { watch, entity_key, message: message.ok_or(PageError::NotFound)?, acts })
}

fn answer(page: &PageState, visitor: &Visitor, told: &ToldMessage, is_open: bool) -> Html<String> {
    let times = Times::of(page);
    let ToldMessage { watch, entity_key, message, acts } = told;
    let words = message.words.as_ref();
    let mask = Mask::new(
        is_open,
        words.and_then(|words| words.recipient_name.as_deref()),
        words.and_then(|words| words.recipient_phone.as_deref()),
    );
    let others = format!("/messages?watch={}&key={}", encoded(watch), encoded(entity_key));
    let title = format!("Message {}", message.message_id);
    let main = html! {
        h1 { (title) " " (state(message.state)) }
        p { "Of " strong { (watch) " " (entity_key) } ". " a href=(others) { "All messages of this row" } }
        @if message.state == MessageState::Unconfirmed {
            section aria-labelledby="doubt" {
                h2 #doubt { "Did it arrive?" }
                p { "The request got no answer: the provider may have it." }
                (settle_form(page, visitor, message.message_id))
            }
        }
        section aria-labelledby="changed" { h2 #changed { "What changed" } (changed(message, &mask)) }
        section aria-labelledby="who" {
            h2 #who { "Who was told" }
            (recipient(message, &mask, &times))
            @if !is_open && words.is_some() { (ask_for_names(page, visitor, message.message_id)) }
            @if let Some(words) = words { h3 { "In these words" } (bubble(page, words, &mask)) }
        }
        section aria-labelledby="story" {
            h2 #story { "What happened" }
            (story(message, acts, &mask, &times))
            @if let Some(at) = message.due_at { p { "Due " (times.at(at)) "." } }
            @if let (None, Some(why)) = (message.finished_at, &message.reason_text) { p { (mask.text(why)) } }
        }
    };
    shown(framed(page, visitor, View::Messages, &title, &main))
}

fn ask_for_names(page: &PageState, visitor: &Visitor, message_id: i64) -> Markup {
    html! {
        form.acts method="post" action={ "/message/" (message_id) "/shown" } {
            (form_token(page, visitor))
            button type="submit" { "Show name and phone" }
            span.hint { "That you asked is recorded." }
        }
    }
}

fn changed(message: &MessageHistory, mask: &Mask) -> Markup {
    if message.fields.is_empty() {
        return html! { p { "No watched column differs in the end, or what it held was removed." } };
    }
    html! {
        div.wide tabindex="0" role="group" aria-labelledby="changed" {
            table {
                thead { tr { th scope="col" { "Column" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for field in &message.fields {
                        tr {
                            th scope="row" { (field.column) }
                            td { (mask.text(&plain(&field.old))) }
                            td { (mask.text(&plain(&field.new))) }
                        }
                    }
                }
            }
        }
    }
}

fn recipient(message: &MessageHistory, mask: &Mask, times: &Times) -> Markup {
    let Some(words) = &message.words else {
        return html! { p { "Nobody: it was not put into words, or they were removed." } };
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let theirs = words.recipient_time_zone.as_deref().and_then(|zone| moment::zone(zone).ok());
    html! {
        dl.facts {
            dt { "Name" } dd { (mask.name()) }
            dt { "Phone" } dd { (mask.phone()) }
            dt { "Language" } dd { (known(&words.recipient_locale)) }
            dt { "Time zone" }
            dd {
                (known(&words.recipient_time_zone))
                @if let Some(source) = &words.time_zone_source { " (by " (source) ")" }
            }
            dt { "Template" } dd { (known(&words.template)) " in " (known(&words.language)) }
            @if let (Some(at), Some(zone)) = (message.sent_at, theirs) {
                dt { "Sent" } dd { (times.at(at)) "; by their clock " (times.text_in(at, &zone)) }
            }
            @if let Some(at) = message.delivered_at { dt { "Delivered" } dd { (times.at(at)) } }
            @if let Some(at) = message.read_at { dt { "Read" } dd { (times.at(at)) } }
        }
    }
}
