//! Opt-out and opt-in requests that customers write to us. What else of their messages is kept: `reply.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::recipient::opt_out_keywords::{OptOutKeywords, OptRequest};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;
use crate::postgres::queries::opt_out_request::PhoneOptRequest;
use crate::provider::onemsg::webhook_payload::InboundMessage;

/// A message may come from a clock that is ahead of ours by this much; beyond it counts from now. Else a
/// request from the future could not be revoked until then.
const AHEAD: Duration = Duration::from_secs(300);

/// Stores the opt-out and opt-in requests among these messages.
pub async fn take_opt_out_requests(
    tx: &Transaction<'_>,
    context: &Context,
    words: &OptOutKeywords,
    channel: &str,
    messages: &[InboundMessage],
) -> Result<(), StageError> {
    let requests = latest(context, words, messages);
    if requests.is_empty() {
        return Ok(());
    }
    let origin = format!("channel {channel}");
    let (stopped, started) =
        queries::opt_out_request::opt_out_request_take(tx, &requests, &origin).await?;
    for (request, count) in [("stop", stopped), ("start", started)] {
        if count > 0 {
            tracing::info!(request, count, "customers asked to opt out or in");
            let count = u64::try_from(count).unwrap_or(0);
            metrics::counter!("rowbell_opt_out_requests_total", "request" => request)
                .increment(count);
        }
    }
    Ok(())
}

/// The latest request of each phone, in a fixed order, so that two deliveries lock phones in the same order.
fn latest(
    context: &Context,
    words: &OptOutKeywords,
    messages: &[InboundMessage],
) -> Vec<PhoneOptRequest> {
    let now = context.clock.now();
    let mut requests: BTreeMap<&str, (Timestamp, bool)> = BTreeMap::new();
    for message in messages.iter().filter(|message| !message.is_from_us) {
        let said: Vec<OptRequest> =
            message.texts.iter().filter_map(|text| words.read(text)).collect();
        if said.is_empty() {
            continue;
        }
        // A button may show one thing and carry another: of two requests in one message the opt-out counts.
        let is_stop = said.contains(&OptRequest::Stop);
        if message.phone.is_empty() {
            continue;
        }
        let at = message.at.filter(|at| *at <= now + AHEAD).unwrap_or(now);
        let request = (at, is_stop);
        let known = requests.entry(&message.phone).or_insert(request);
        *known = request.max(*known);
    }
    requests
        .into_iter()
        .map(|(phone, (requested_at, is_stop))| PhoneOptRequest {
            phone: phone.to_owned(),
            is_stop,
            requested_at,
        })
        .collect()
}
