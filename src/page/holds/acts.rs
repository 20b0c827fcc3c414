//! What a person decides on the page: the same functions as those of the commands, and a record of who it was.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::domain::message::state::Skip;
use crate::domain::message::unconfirmed::Settlement;
use crate::domain::person_act::PersonActKind;
use crate::operations::settle::{PersonsWord, settle};
use crate::page::access::{Acted, Fields};
use crate::page::answer::{PageError, to};
use crate::page::layout::form_token;
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::postgres::connection::pool::Client;
use crate::postgres::operations::holds::{self, Hold, HoldSelection};
use crate::postgres::operations::person_acts::{self, PersonAct};

/// Characters of a reason, at most.
const LONGEST_REASON: usize = 500;

pub async fn approve(
    State(page): State<Arc<PageState>>,
    Path(hold_id): Path<i64>,
    Acted { visitor, fields }: Acted,
) -> Result<Response, PageError> {
    let mut client = page.database().await?;
    let (hold, messages) = chosen(&client, hold_id, &fields).await?;
    let (by, now) = (visitor.signature(), page.context.clock.now());
    let done = holds::approve_as(&mut client, &hold, messages, Some(&by), now).await?;
    note(&page, &client, (&visitor, PersonActKind::Approved), &hold, done, &fields).await?;
    Ok(to("/holds"))
}

pub async fn discard(
    State(page): State<Arc<PageState>>,
    Path(hold_id): Path<i64>,
    Acted { visitor, fields }: Acted,
) -> Result<Response, PageError> {
    let mut client = page.database().await?;
    let (hold, messages) = chosen(&client, hold_id, &fields).await?;
    let (by, now) = (visitor.signature(), page.context.clock.now());
    let reason = if fields.text("as_told").is_some() { Skip::Muted } else { Skip::Discarded };
    let why = said(&fields).map_or(String::new(), |why| format!(": {why}"));
    let text = format!("discarded by {by}{why}");
    let done = holds::discard(&mut client, &hold, messages, reason, &text, now).await?;
    note(&page, &client, (&visitor, PersonActKind::Discarded), &hold, done, &fields).await?;
    Ok(to("/holds"))
}

/// The hold, and how many of its messages are meant: so many, or all.
async fn chosen(client: &Client, hold_id: i64, fields: &Fields) -> Result<(Hold, i64), PageError> {
    let wanted = HoldSelection { hold_id: Some(hold_id), watch: None };
    let gone = "Nothing of this hold waits any more: somebody has decided meanwhile.";
    let hold = holds::list(client, &wanted).await?.pop();
    let hold = hold.ok_or_else(|| PageError::Refused(gone.to_owned()))?;
    if fields.text("all").is_some() {
        let messages = hold.messages;
        return Ok((hold, messages));
    }
    let text = fields.needed("messages")?;
    match text.parse::<i64>() {
        Ok(some) if some >= 1 => {
            let messages = some.min(hold.messages);
            Ok((hold, messages))
        }
        _ => Err(PageError::Refused(format!(
            "“{text}” is no number of messages. Nothing was changed."
        ))),
    }
}

async fn note(
    page: &PageState,
    client: &Client,
    (visitor, kind): (&Visitor, PersonActKind),
    hold: &Hold,
    messages: i64,
    fields: &Fields,
) -> Result<(), PageError> {
    let (who, reason) = (visitor.acting(), said(fields));
    let act = PersonAct { who: &who, kind, reason: reason.as_deref() };
    let (about, now) = ((hold.watch.as_str(), hold.hold_id), page.context.clock.now());
    Ok(person_acts::record_hold(&***client, act, about, messages, now).await?)
}

fn said(fields: &Fields) -> Option<String> {
    fields.text("reason").map(|text| text.chars().take(LONGEST_REASON).collect())
}

/// What became of a message whose request got no answer.
pub async fn settled(
    State(page): State<Arc<PageState>>,
    Path(message_id): Path<i64>,
    Acted { visitor, fields }: Acted,
) -> Result<Response, PageError> {
    let settlement = match fields.needed("settlement")? {
        "arrived" => Settlement::Arrived,
        "send_again" => Settlement::SendAgain,
        "give_up" => Settlement::GiveUp,
        _ => return Err(PageError::Form),
    };
    let word = PersonsWord { settlement, who: visitor.acting(), reason: said(&fields) };
    let (config, clock) = (page.context.config.clone(), page.context.clock.clone());
    let done = settle(page.pool(), config, clock, &[message_id], &word).await?;
    if done.is_empty() {
        let late = "It is not unconfirmed any more: evidence has come, or somebody has decided. Nothing was changed.";
        return Err(PageError::Refused(late.to_owned()));
    }
    Ok(to(&format!("/message/{message_id}")))
}

/// The three answers to whether a message arrived; nothing for who may only read.
pub fn settle_form(page: &PageState, visitor: &Visitor, message_id: i64) -> Markup {
    if !visitor.may_act() {
        return html! { p.hint { "You may only read." } };
    }
    html! {
        form.acts method="post" action={ "/message/" (message_id) "/settled" } {
            (form_token(page, visitor))
            label { "How you know " input type="text" name="reason" maxlength=(LONGEST_REASON); }
            button.primary type="submit" name="settlement" value="arrived" { "It arrived" }
            button type="submit" name="settlement" value="send_again"
                data-ask="Send it again? Whoever has it already reads it twice." { "Send again" }
            button.danger type="submit" name="settlement" value="give_up"
                data-ask="Give it up? It ends as failed." { "Give it up" }
        }
    }
}
