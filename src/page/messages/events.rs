//! What happened to a message, in the order of time.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::message::attempt::AttemptResultKind;
use crate::domain::person_act::PersonActWay;
use crate::domain::text::short_text::count;
use crate::page::mask::Mask;
use crate::page::times::Times;
use crate::postgres::operations::entity_history::{
    AttemptHistory, DeliveryHistory, LookupHistory, MessageHistory, ReceiptHistory, ReplyHistory,
};
use crate::postgres::operations::person_acts::RecordedAct;

/// The story as a list.
pub fn story(message: &MessageHistory, acts: &[RecordedAct], mask: &Mask, times: &Times) -> Markup {
    let mut events: Vec<(Timestamp, Markup)> =
        vec![(message.first_changed_at, opened(message, times))];
    for attempt in &message.attempts {
        let begun =
            html! { "Attempt " (attempt.number) " on channel " (message.channel) " began." };
        events.push((attempt.started_at, begun));
        events.extend(attempt.finished_at.map(|at| (at, ended(attempt, mask))));
    }
    let receipts = message.receipts.iter();
    events.extend(receipts.map(|receipt| (receipt.happened_at, evidence(receipt, mask))));
    events.extend(message.lookups.iter().map(|lookup| (lookup.asked_at, looked_up(lookup))));
    events.extend(message.replies.iter().map(|reply| (reply.replied_at, answered(reply, mask))));
    let deliveries = message.deliveries.iter();
    events.extend(deliveries.map(|delivery| (delivery.happened_at, posted(delivery))));
    events.extend(acts.iter().rev().map(|act| (act.acted_at, acted(act))));
    events.extend(message.finished_at.map(|at| (at, finished(message, mask))));
    // What happened at one moment stays in order.
    events.sort_by_key(|(at, _)| *at);
    html! {
        ol.story { @for (at, what) in events { li { (times.at(at)) div { (what) } } } }
    }
}

fn opened(message: &MessageHistory, times: &Times) -> Markup {
    html! {
        "The row changed (" (message.operation.into_str()) ")"
        @if message.change_count > 1 {
            "; " (count(i64::from(message.change_count), "change")) " until " (times.at(message.last_changed_at))
            " are told as one"
        }
        @if !message.changed_by.is_empty() { ", by " (message.changed_by.join(", ")) }
        "."
        @if let Some(first) = message.fallback_of {
            " It stands in for message " a href={ "/message/" (first) } { (first) } "."
        }
    }
}

fn ended(attempt: &AttemptHistory, mask: &Mask) -> Markup {
    let result = match attempt.result {
        Some(AttemptResultKind::DryRun) => "dry run",
        Some(result) => result.into_str(),
        None => "",
    };
    html! {
        "Attempt " (attempt.number) ": " strong { (result) }
        @if let Some(carrier) = attempt.carried_by {
            ", in the request of message " a href={ "/message/" (carrier) } { (carrier) }
        }
        @if let Some(status) = attempt.http_status { ", HTTP " (status) }
        @if let Some(code) = attempt.error_code { ", error " (code) }
        @if let Some(class) = attempt.error_class { ", class " (class.into_str()) }
        @if let Some(id) = &attempt.provider_message_id { ", id " code { (id) } }
        "."
        @if let Some(text) = &attempt.error_text { " " (mask.text(text)) }
    }
}

fn evidence(receipt: &ReceiptHistory, mask: &Mask) -> Markup {
    html! {
        "Receipt by " (receipt.source.into_str()) ": " strong { (receipt.status.into_str()) }
        @if let Some(code) = receipt.error_code { ", error " (code) }
        "."
        @if let Some(text) = &receipt.error_text { " " (mask.text(text)) }
    }
}

fn looked_up(lookup: &LookupHistory) -> Markup {
    html! {
        "Evidence about attempt " (lookup.attempt) ": " (lookup.found)
        @if let Some(id) = &lookup.provider_message_id { ", id " code { (id) } }
        "."
    }
}

fn answered(reply: &ReplyHistory, mask: &Mask) -> Markup {
    html! {
        "The customer answered (" (reply.kind) ")"
        @match &reply.body { Some(body) => { ": " q { (mask.text(body)) } } None => "." }
    }
}

fn posted(delivery: &DeliveryHistory) -> Markup {
    let DeliveryHistory { endpoint, outcome, state, attempt_count, last_error, .. } = delivery;
    html! {
        "Endpoint " (endpoint) ", told of " strong { (outcome) } ": " (state.replace('_', " "))
        @if *attempt_count > 1 { ", " (count(i64::from(*attempt_count), "attempt")) }
        "."
        @if let Some(why) = last_error { " " (why) }
    }
}

fn finished(message: &MessageHistory, mask: &Mask) -> Markup {
    let why = message.state.reason().into_iter().chain(message.reason_text.as_deref());
    let why = why.collect::<Vec<_>>().join(": ");
    html! {
        "It is " strong { (message.state.into_str()) }
        @if !why.is_empty() { ": " (mask.text(&why)) }
        "."
    }
}

/// What a person did.
pub fn acted(act: &RecordedAct) -> Markup {
    html! {
        strong { (act.decided_by) } @if act.way == PersonActWay::Command { (with_command(act)) }
        " " (act.kind.in_words())
        @if let Some(reason) = &act.reason { ": " (reason) }
        "."
    }
}

fn with_command(act: &RecordedAct) -> String {
    act.os_user.as_ref().map_or(" (command)".to_owned(), |user| format!(" (command of {user})"))
}
