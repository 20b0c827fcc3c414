//! Messages, found by watch, key, state, reason and day, and by phone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Html;
use maud::{Markup, html};

use crate::domain::message::state::State as MessageState;
use crate::domain::recipient::phone::Phone;
use crate::domain::recipient::phone_forms::forms;
use crate::page::access::Asked;
use crate::page::answer::{PageError, shown};
use crate::page::layout::{View, form_token, framed};
use crate::page::mask::Mask;
use crate::page::messages::filter::{STATES, Wanted, reasons};
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::page::times::Times;
use crate::postgres::operations::opt_outs::{self, OptOut};
use crate::postgres::page::found_messages::{FoundMessage, MessageFilter, find};

/// Messages on one page.
const AT_ONCE: i64 = 50;

pub async fn view(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
    Query(fields): Query<BTreeMap<String, String>>,
) -> Result<Html<String>, PageError> {
    let wanted = Wanted(fields);
    let filter = wanted.filter(&page)?;
    answer(&page, &visitor, &wanted, &filter).await
}

/// By phone: a form, so that it stands in no address, and in no log of a proxy.
pub async fn by_phone(
    State(page): State<Arc<PageState>>,
    Asked { visitor, fields }: Asked,
) -> Result<Html<String>, PageError> {
    let region = Some(page.config().recipient.region.as_str()).filter(|region| !region.is_empty());
    let phone = Phone::parse(fields.needed("phone")?, region).map_err(|why| {
        PageError::Refused(format!(
            "This cannot be read as a phone: {why}. Write + and the code of its country."
        ))
    })?;
    let filter = MessageFilter { phones: Some(forms(phone.as_str())), ..MessageFilter::default() };
    answer(&page, &visitor, &Wanted::default(), &filter).await
}

async fn answer(
    page: &PageState,
    visitor: &Visitor,
    wanted: &Wanted,
    filter: &MessageFilter,
) -> Result<Html<String>, PageError> {
    let (found, opt_outs) = {
        let client = page.database().await?;
        let opt_outs = match &filter.phones {
            Some(forms) => opt_outs::of(&client, forms).await?,
            None => Vec::new(),
        };
        (find(&client, filter, AT_ONCE).await?, opt_outs)
    };
    let (times, is_by_phone) = (Times::of(page), filter.phones.is_some());
    let is_full = i64::try_from(found.len()).is_ok_and(|found| found == AT_ONCE);
    let main = html! {
        h1 { "Messages" }
        (form(page, wanted))
        (phone_form(page, visitor))
        section aria-labelledby="found" {
            h2 #found { @if is_by_phone { "To this phone" } @else { "Found" } }
            @for opt_out in &opt_outs { p.hint { (opted_out(opt_out, &times)) } }
            @if found.is_empty() { p { "No message." } } @else { (table(&found, &times)) }
            @match found.last() {
                Some(_) if is_full && is_by_phone => p.hint { "The latest " (AT_ONCE) "." },
                Some(last) if is_full => p {
                    a rel="next" href={ "/messages?" (wanted.query_with("before", &last.message_id.to_string())) } { "Earlier ones" }
                },
                _ => {}
            }
        }
    };
    Ok(shown(framed(page, visitor, View::Messages, "Messages", &main)))
}

/// What the phone is not told of, since when, who said so, from where and why.
fn opted_out(opt_out: &OptOut, times: &Times) -> Markup {
    let OptOut { scope, since, reason, source, origin, .. } = opt_out;
    let ground = [Some(source.into_str()), origin.as_deref(), reason.as_deref()];
    let ground: Vec<&str> = ground.into_iter().flatten().collect();
    html! {
        "This phone is not written to"
        @if !scope.is_empty() { " about " (scope) }
        ", since " (times.at(*since)) ": " (ground.join(", ")) "."
    }
}

fn form(page: &PageState, wanted: &Wanted) -> Markup {
    let watches: Vec<&str> = page.config().watch.keys().map(String::as_str).collect();
    let reasons: Vec<&str> = reasons().collect();
    html! {
        form.filter.sheet method="get" action="/messages" role="search" aria-label="Find messages" {
            (choice("watch", "Watch", &watches, wanted))
            label { "Key of the row" input type="text" name="key" value=(wanted.get("key")); }
            (choice("state", "State", &STATES, wanted))
            (choice("reason", "Reason", &reasons, wanted))
            label { "Day" input type="date" name="day" value=(wanted.get("day")); }
            button.primary type="submit" { "Find" }
        }
    }
}

fn choice(name: &str, label: &str, words: &[&str], wanted: &Wanted) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                option value="" { "any" }
                @for word in words { option value=(word) selected[wanted.get(name) == *word] { (word) } }
            }
        }
    }
}

fn phone_form(page: &PageState, visitor: &Visitor) -> Markup {
    html! {
        form.filter.sheet method="post" action="/messages" aria-label="Find messages by phone" {
            (form_token(page, visitor))
            label { "Phone" input type="tel" name="phone" required autocomplete="off"; }
            button type="submit" { "Find by phone" }
        }
    }
}

fn table(found: &[FoundMessage], times: &Times) -> Markup {
    html! {
        div.wide tabindex="0" role="group" aria-labelledby="found" {
            table {
                thead {
                    tr {
                        th scope="col" { "Message" }
                        th scope="col" { "Row" }
                        th scope="col" { "State" }
                        th scope="col" { "To" }
                        th scope="col" { "Channel" }
                        th scope="col" { "Changed" }
                        th scope="col" { "Ended, or due" }
                    }
                }
                tbody { @for message in found { (line(message, times)) } }
            }
        }
    }
}

fn line(message: &FoundMessage, times: &Times) -> Markup {
    let (name, phone) = (message.recipient_name.as_deref(), message.recipient_phone.as_deref());
    let mask = Mask::new(false, name, phone);
    html! {
        tr {
            th scope="row" { a href={ "/message/" (message.message_id) } { (message.message_id) } }
            td { (message.watch) " " (message.entity_key) " (" (message.operation.into_str()) ")" }
            td { (state(message.state)) }
            td { (mask.name()) " " (mask.phone()) }
            td { (message.channel) }
            td { (times.at(message.first_changed_at)) }
            td { @if let Some(at) = message.finished_at.or(message.due_at) { (times.at(at)) } @else { "–" } }
        }
    }
}

/// A state with its reason.
pub fn state(state: MessageState) -> Markup {
    let class = match state {
        MessageState::Delivered | MessageState::Read => "good",
        MessageState::Failed(_) => "bad",
        MessageState::Held | MessageState::Unconfirmed => "warn",
        _ => "",
    };
    html! {
        span class={ "state " (class) } { (state.into_str()) }
        @if let Some(reason) = state.reason() { " " (reason) }
    }
}
