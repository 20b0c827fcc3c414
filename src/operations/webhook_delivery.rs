//! The last step of the test: what only the provider itself can show.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::domain::message::attempt::AttemptResult;
use crate::domain::message::outgoing::TemplateMessage;
use crate::operations::webhook_probe::{
    FIRST_THE_OTHERS, ProbeOutcome, ProbeStep, WebhookTest, failed, not_tried, ok,
};
use crate::postgres::connection::pool::Client;
use crate::postgres::operations::blockers::{self, BlockerKind, BlockerSubject};
use crate::postgres::operations::status_report::{self, ReceiptSource};
use crate::postgres::operations::webhook_probe;

/// What the provider posted longer ago proves nothing about today.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// How often it is looked whether a receipt has come.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl WebhookTest<'_> {
    /// Whether what the provider posts is stored.
    pub(crate) async fn delivery(
        &self,
        url: Option<&str>,
        registered: &ProbeStep,
        db: Option<&Client>,
    ) -> ProbeStep {
        let (Some(_), Some(db)) = (url, db) else {
            return not_tried("delivery", FIRST_THE_OTHERS);
        };
        match &self.message {
            Some(message) if registered.result == ProbeOutcome::Ok => self.sent(message, db).await,
            Some(_) => {
                not_tried("delivery", "no message was sent: the provider would tell nothing of it")
            }
            None => self.heard(db).await,
        }
    }

    async fn heard(&self, db: &Client) -> ProbeStep {
        let todo = "prove it: `rowbell webhook test --to <your own phone>` sends one message there and waits for its \
                    receipt; or write any message to the number of the channel, and run this again";
        match status_report::webhook_source(db, self.config, self.name).await {
            Ok(ReceiptSource { last_worked_at: Some(at), .. })
                if self.now.duration_since(at) <= FRESH =>
            {
                let minutes = self.now.duration_since(at).as_mins().max(0);
                ok(
                    "delivery",
                    format!("the provider itself posted {minutes} min ago, and it was stored"),
                )
            }
            Ok(ReceiptSource { last_worked_at: Some(at), .. }) => {
                let hours = self.now.duration_since(at).as_hours();
                failed(
                    "delivery",
                    format!("the provider itself posted nothing for {hours} h"),
                    todo,
                )
            }
            Ok(_) => failed("delivery", "nothing has come from the provider itself yet", todo),
            Err(error) => {
                failed("delivery", format!("could not be looked at: {error}"), "try again")
            }
        }
    }

    async fn sent(&self, message: &TemplateMessage, db: &Client) -> ProbeStep {
        if let Some((why, todo)) = self.objection(message, db).await {
            return failed("delivery", format!("no message was sent: {why}"), todo);
        }
        let answer = self.client.send_template(message).await;
        let AttemptResult::Accepted { provider_message_id: id } = &answer.result else {
            let status = answer.http_status.map_or(String::new(), |status| format!(" ({status})"));
            let why = answer.error_text.unwrap_or_default();
            let found = format!("the provider did not take the message{status}: {why}");
            return failed(
                "delivery",
                found,
                "see `rowbell check`, which compares channel, token and templates",
            );
        };
        let began = Instant::now();
        loop {
            match webhook_probe::is_stored(db, id).await {
                Ok(true) => {
                    let after = began.elapsed().as_secs();
                    return ok(
                        "delivery",
                        format!(
                            "a receipt of the provider for the message was stored after {after} s"
                        ),
                    );
                }
                Ok(false) if began.elapsed() < self.timeout => tokio::time::sleep(LOOK_EVERY).await,
                Ok(false) => break,
                Err(error) => {
                    return failed(
                        "delivery",
                        format!("could not be looked at: {error}"),
                        "try again",
                    );
                }
            }
        }
        failed(
            "delivery",
            format!(
                "the provider took the message, and posted nothing for {} s",
                self.timeout.as_secs()
            ),
            "it does not reach that address: is it open to the internet (name, firewall, certificate of a public \
             authority), and does webhook.networks let the provider in? `rowbell webhook show` tells whether it has \
             given up",
        )
    }

    /// What forbids the message, and what to do about that.
    async fn objection(&self, message: &TemplateMessage, db: &Client) -> Option<(String, String)> {
        let whole = BlockerSubject::Channel(self.name.to_owned());
        let channel = whole.to_string();
        let again =
            |error: tokio_postgres::Error| Some((error.to_string(), "try again".to_owned()));
        let blockers = match blockers::read(db, self.config).await {
            Ok(blockers) => blockers,
            Err(error) => return again(error),
        };
        for stop in
            blockers.iter().filter(|stop| stop.kind == BlockerKind::Copy || stop.what == whole)
        {
            let (why, todo) = match stop.kind {
                BlockerKind::Copy => (
                    "this database is a copy and sends nothing".to_owned(),
                    "rowbell adopt".to_owned(),
                ),
                BlockerKind::Paused => {
                    (format!("{channel} is paused"), format!("rowbell resume {channel}"))
                }
                BlockerKind::Circuit => {
                    (format!("{channel} is stopped by errors"), "see `rowbell status`".to_owned())
                }
                BlockerKind::Hold | BlockerKind::Fallback => continue,
            };
            return Some((why, todo));
        }
        let other = "choose another phone".to_owned();
        match webhook_probe::objections(db, &message.phone).await {
            Ok(found) if found.is_opted_out => {
                Some(("that phone stands in rowbell.opt_out".to_owned(), other))
            }
            Ok(found) if found.is_unconfirmed => Some((
                "a message to that phone is unconfirmed, and evidence is sought".to_owned(),
                other,
            )),
            Ok(_) => None,
            Err(error) => again(error),
        }
    }
}
