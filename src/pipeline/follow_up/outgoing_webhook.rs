//! outgoing_webhook: posts outcomes to an endpoint of the application, signed after the Standard Webhooks specification.
//!
//! Takes the outcomes that a trigger on rowbell.message noted for the endpoint in the transaction that stored them; posts
//! them, some at once, of one message one after the other; writes what the endpoint answered. What it does not take is tried
//! again, later and later, for `give_up_after`, and keeps only later outcomes of the same message waiting. After failures in
//! a row the endpoint rests, and one delivery at a time is tried; after 410 a person has to resume it.
//!
//! A delivery that is on its way is nobody else's until its request must be over. A copy of a database posts nothing.
//!
//! If the process dies here, or an answer cannot be stored, a delivery is posted again with the same `webhook-id`: at least
//! once, in order for each message. Not promised: once, and an order between messages.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::OutgoingWebhook;
use crate::domain::limit::backoff::{doubled, spread};
use crate::domain::limit::endpoint_circuit::{DeliveryResult, EndpointAllowance};
use crate::domain::notice;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::pulse::{self, Movement};
use crate::pipeline::context::stage::{Progress, Stage, StageError};
use crate::postgres::outcome::outgoing_deliveries::{
    self as deliveries, DeliveryBatch, DeliveryEnd, EndpointNews, TakenDelivery,
};
use crate::provider::outgoing_webhook::endpoint::{Endpoint, EndpointAnswer};
use crate::provider::outgoing_webhook::event::body;

/// The pause before a delivery that failed is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// What a lease is longer than the request that it is for.
const MARGIN: Duration = Duration::from_secs(15);

/// Posts outcomes to one endpoint.
pub struct OutgoingWebhookSender {
    context: Arc<Context>,
    name: String,
    settings: OutgoingWebhook,
    endpoint: Endpoint,
    /// When the first delivery is due that is known of.
    next_at: Option<Timestamp>,
    others: Movement,
}

impl OutgoingWebhookSender {
    pub fn new(
        context: Arc<Context>,
        name: &str,
        settings: &OutgoingWebhook,
        endpoint: Endpoint,
    ) -> OutgoingWebhookSender {
        let others = context.pulses.movement();
        OutgoingWebhookSender {
            context,
            name: name.to_owned(),
            settings: settings.clone(),
            endpoint,
            next_at: None,
            others,
        }
    }
}

impl Stage for OutgoingWebhookSender {
    const NAME: &'static str = "outgoing_webhook";

    /// Posts as many deliveries as may be on their way at once.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.context.clock.now();
        {
            let client = self.context.pool.get().await?;
            self.next_at = deliveries::next(&client, &self.name).await?;
        }
        if self.next_at.is_none_or(|at| at > now) || self.context.is_copy_now().await? {
            return Ok(Progress::Idle);
        }
        let lease_until = now + self.settings.timeout + MARGIN;
        let taken = self.take(now, lease_until).await?;
        if taken.is_empty() {
            return Ok(Progress::Idle);
        }
        // Requests take their time: meanwhile others need the connection.
        let answers: Vec<(TakenDelivery, EndpointAnswer)> = stream::iter(taken)
            .map(|delivery| self.post(delivery, lease_until))
            .buffer_unordered(self.settings.concurrency)
            .collect()
            .await;
        self.write(answers).await?;
        Ok(Progress::Worked)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Worked {
            return;
        }
        let due_in = self.next_at.map(|at| at.duration_since(self.context.clock.now()));
        self.others.wait(due_in, stop).await;
    }
}

impl OutgoingWebhookSender {
    /// What is tried now.
    async fn take(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<TakenDelivery>, StageError> {
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let Some(circuit) = deliveries::lock(&tx, &self.name).await? else {
            return Ok(Vec::new());
        };
        let is_probe = match circuit.allowance(now) {
            EndpointAllowance::None => return Ok(Vec::new()),
            EndpointAllowance::Probe => true,
            EndpointAllowance::All => false,
        };
        let limit = match is_probe {
            true => 1,
            false => i64::try_from(self.settings.concurrency).unwrap_or(1),
        };
        let batch = DeliveryBatch { now, lease_until, limit, is_probe };
        let taken = deliveries::take(&tx, &self.name, batch).await?;
        if is_probe && !taken.is_empty() {
            let probing = circuit.probing_until(lease_until);
            deliveries::write(&tx, &self.name, probing, EndpointNews::default(), now).await?;
        }
        tx.commit().await?;
        Ok(taken)
    }

    async fn post(
        &self,
        delivery: TakenDelivery,
        lease_until: Timestamp,
    ) -> (TakenDelivery, EndpointAnswer) {
        pulse::beat();
        let now = self.context.clock.now();
        // A process that stood still meanwhile: somebody else may try it by now.
        if now + self.settings.timeout > lease_until {
            let why = "it was taken, and not posted in time".to_owned();
            let result = DeliveryResult::Failed { why, retry_after: None };
            return (delivery, EndpointAnswer { status: None, result });
        }
        let id = format!("msg_{}", delivery.webhook_id);
        let body = body(&delivery.event, &self.settings.include);
        let answer = self.endpoint.post(&id, now.as_second(), body).await;
        (delivery, answer)
    }

    /// Writes what the endpoint answered.
    async fn write(&self, answers: Vec<(TakenDelivery, EndpointAnswer)>) -> Result<(), StageError> {
        let now = self.context.clock.now();
        let ends: Vec<DeliveryEnd> =
            answers.iter().map(|(delivery, answer)| self.end(delivery, answer, now)).collect();
        let results: Vec<&DeliveryResult> =
            answers.iter().map(|(_, answer)| &answer.result).collect();
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let before = deliveries::lock(&tx, &self.name).await?.unwrap_or_default();
        let after = before.after(results.iter().copied(), now);
        let news = EndpointNews {
            has_taken: results.contains(&&DeliveryResult::Taken),
            last_error: ends.iter().rev().find_map(|end| end.error.as_deref()),
        };
        deliveries::write(&tx, &self.name, after, news, now).await?;
        deliveries::end(&tx, &ends, now).await?;
        tx.commit().await?;
        for end in &ends {
            let result = if end.state == "due" { "failed" } else { end.state };
            metrics::counter!("rowbell_outgoing_webhook_attempts_total", "endpoint" => self.name.clone(), "result" => result)
                .increment(1);
        }
        let endpoint = &self.name;
        match (before.rest.is_some(), after.rest.is_some()) {
            _ if after.is_gone && !before.is_gone => {
                tracing::error!(target: notice::ENDPOINT_STOPPED,
                    endpoint,
                    "an endpoint answered 410 (Gone): nothing is posted to it any more; rowbell outgoing resume lets it go on"
                )
            }
            (false, true) => tracing::warn!(target: notice::ENDPOINT_STOPPED,
                endpoint,
                why = news.last_error.unwrap_or_default(),
                "an endpoint of the application does not take outcomes; one at a time is tried"
            ),
            (true, false) => tracing::info!(endpoint, "the endpoint takes outcomes again"),
            _ => {}
        }
        Ok(())
    }

    fn end(
        &self,
        delivery: &TakenDelivery,
        answer: &EndpointAnswer,
        now: Timestamp,
    ) -> DeliveryEnd {
        let attempt = delivery.attempt_count;
        let failures = u32::try_from(attempt - 1).unwrap_or(0);
        let pause = spread(doubled(FIRST_PAUSE, failures, LONGEST_PAUSE), rand::random());
        let (state, due_at, error) = match &answer.result {
            DeliveryResult::Taken => ("delivered", None, None),
            // It waits until the endpoint is resumed.
            DeliveryResult::Gone => ("due", Some(now), Some("HTTP 410: it is gone".to_owned())),
            DeliveryResult::Failed { why, .. }
                if now + pause > delivery.tried_since + self.settings.give_up_after =>
            {
                ("given_up", None, Some(why.clone()))
            }
            DeliveryResult::Failed { why, retry_after } => {
                let pause = pause.max(retry_after.unwrap_or_default());
                ("due", Some(now + pause), Some(why.clone()))
            }
        };
        let (delivery_id, http_status) = (delivery.delivery_id, answer.status);
        DeliveryEnd { delivery_id, attempt, state, due_at, http_status, error }
    }
}
