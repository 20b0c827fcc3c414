//! What waits for a person: holds with the first texts as they would leave, and messages whose request got no answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use crate::domain::text::short_text::count;
use crate::domain::value::row::Row;
use crate::operations::preview::{Preview, preview};
use crate::page::answer::{PageError, shown};
use crate::page::holds::acts::settle_form;
use crate::page::layout::{View, form_token, framed};
use crate::page::mask::Mask;
use crate::page::messages::bubble;
use crate::page::messages::events::acted;
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::page::times::Times;
use crate::postgres::operations::holds::{self, Hold, HoldSelection};
use crate::postgres::operations::person_acts::{self, RecordedAct};
use crate::postgres::operations::unconfirmed::{UnconfirmedMessage, look};
use crate::postgres::page::found_messages;

/// Unconfirmed messages on the page, and acts of people.
const AT_ONCE: i64 = 50;

/// Holds whose first texts are shown.
const WITH_TEXTS: usize = 5;

/// A hold, and what its first messages would say.
struct HoldWithTexts {
    hold: Hold,
    texts: Vec<(String, Result<Vec<Preview>, String>)>,
}

pub async fn view(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
) -> Result<Html<String>, PageError> {
    let mut client = page.database().await?;
    let mut waiting = Vec::new();
    for hold in holds::list(&client, &HoldSelection::default()).await? {
        let mut texts = Vec::new();
        for key in hold.examples.iter().filter(|_| waiting.len() < WITH_TEXTS) {
            let (config, clock) = (page.config(), &page.context.clock);
            let shown =
                preview(&mut client, config, clock, &hold.watch, key, &Row::default()).await;
            texts.push((key.clone(), shown.map_err(|error| error.to_string())));
        }
        waiting.push(HoldWithTexts { hold, texts });
    }
    let ids = found_messages::unconfirmed(&client, AT_ONCE).await?;
    let doubts = look(&client, &ids).await?;
    let acts = person_acts::list(&client, None, AT_ONCE).await?;
    drop(client);
    Ok(shown(rendered(&page, &visitor, &waiting, &doubts, &acts)))
}

fn rendered(
    page: &PageState,
    visitor: &Visitor,
    waiting: &[HoldWithTexts],
    doubts: &[UnconfirmedMessage],
    acts: &[RecordedAct],
) -> Markup {
    let times = Times::of(page);
    let main = html! {
        h1 { "Holds and doubts" }
        h2 { "Held" }
        @if waiting.is_empty() { p { "No message waits for a person." } }
        @for waiting in waiting { (one_hold(page, visitor, waiting, &times)) }
        h2 { "Without an answer" }
        @if doubts.is_empty() { p { "No request waits for its answer." } }
        @for doubt in doubts { (one_doubt(page, visitor, doubt, &times)) }
        h2 { "What people did" }
        @if acts.is_empty() { p { "Nothing yet." } } @else {
            ol.story { @for act in acts { li { (times.at(act.acted_at)) div { (acted(act)) " " (about(act)) } } } }
        }
    };
    framed(page, visitor, View::Holds, "Holds and doubts", &main)
}

fn about(act: &RecordedAct) -> Markup {
    let watch = act.watch.as_deref().unwrap_or_default();
    html! {
        @if let Some(hold) = act.hold_id {
            (count(act.messages, "message")) " of hold " (hold) " of watch " (watch) "."
        } @else if let Some(id) = act.message_id {
            "Message " a href={ "/message/" (id) } { (id) } " of watch " (watch) "."
        } @else if let Some(channel) = &act.channel {
            "Channel " (channel) "."
        } @else if !watch.is_empty() {
            "Watch " (watch) "."
        } @else if act.messages > 0 {
            (count(act.messages, "message")) "."
        }
    }
}

fn one_hold(page: &PageState, visitor: &Visitor, waiting: &HoldWithTexts, times: &Times) -> Markup {
    let HoldWithTexts { hold, texts } = waiting;
    let title = format!("hold-{}", hold.hold_id);
    html! {
        section aria-labelledby=(title) {
            h3 id=(title) {
                "Hold " (hold.hold_id) " of watch " (hold.watch) ": " (times.number(hold.messages))
                @if hold.messages == 1 { " message waits" } @else { " messages wait" }
            }
            p { "Since " (times.at(hold.began_at)) ". " (hold.reason) "." }
            @for (key, shown) in texts { (example(key, shown)) }
            @if visitor.may_act() { (decide(page, visitor, hold)) } @else { p.hint { "You may only read." } }
        }
    }
}

/// What a message would say if it left now.
fn example(key: &str, shown: &Result<Vec<Preview>, String>) -> Markup {
    html! {
        h4 { "Row " (key) }
        @match shown {
            Err(why) => p.problem { "It cannot be shown: " (why) },
            Ok(previews) => @for preview in previews { (would_say(preview)) },
        }
    }
}

/// To whom, and the words; or why it would not leave.
pub fn would_say(preview: &Preview) -> Markup {
    let Some(words) = &preview.words else {
        return html! { p { "It would not leave now: " (preview.why()) "." } };
    };
    let (recipient, wording) = (&words.recipient, &words.wording);
    let phone = recipient.phone.as_ref().map(|phone| phone.as_str());
    let mask = Mask::new(false, Some(&recipient.name), phone);
    let text = wording.rendered_text.as_ref().filter(|_| wording.is_text_known);
    html! {
        p { "To " (mask.name()) " " (mask.phone()) ", in " (wording.language) ":" }
        (bubble::shown(text.unwrap_or(&wording.summary), Some(&wording.language), &mask))
        @if let Some((_, why)) = &preview.waits { p.hint { "It would wait: " (why) "." } }
    }
}

fn decide(page: &PageState, visitor: &Visitor, hold: &Hold) -> Markup {
    let path = format!("/hold/{}", hold.hold_id);
    let field = |name: &str| format!("{name}-{}", hold.hold_id);
    html! {
        form.acts method="post" action={ (path) "/approved" } {
            (form_token(page, visitor))
            label for=(field("some")) { "So many, the oldest" }
            input id=(field("some")) type="number" name="messages" min="1" max=(hold.messages) value=(hold.messages.min(10));
            button type="submit" { "Let these leave" }
            button.primary type="submit" name="all" value="yes"
                data-ask={ "Let all " (hold.messages) " leave?" } { "Let all leave" }
        }
        form.acts method="post" action={ (path) "/discarded" } {
            (form_token(page, visitor))
            label for=(field("why")) { "Why" }
            input id=(field("why")) type="text" name="reason" maxlength="500";
            label { input type="checkbox" name="as_told" value="yes"; " They count as told" }
            button.danger type="submit" name="all" value="yes"
                data-ask={ "Discard all " (hold.messages) "?" } { "Discard all" }
        }
    }
}

fn one_doubt(
    page: &PageState,
    visitor: &Visitor,
    doubt: &UnconfirmedMessage,
    times: &Times,
) -> Markup {
    let title = format!("doubt-{}", doubt.message_id);
    html! {
        section aria-labelledby=(title) {
            h3 id=(title) {
                a href={ "/message/" (doubt.message_id) } { "Message " (doubt.message_id) }
                " of " (doubt.watch) " " (doubt.entity_key)
            }
            p {
                "On channel " (doubt.channel)
                @if let Some(at) = doubt.started_at { ", attempted " (times.at(at)) }
                "."
                @match doubt.decide_at {
                    Some(at) => { " Evidence is looked for; the policy of its watch decides " (times.at(at)) "." },
                    None => " No evidence came in time: nothing happens until a person decides.",
                }
            }
            (settle_form(page, visitor, doubt.message_id))
        }
    }
}
