//! What customers write to us about further messages, and only that: nothing else of their messages is
//! read or kept.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::recipient::opt_out_keywords::{Wish, WishWords};
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries::{self, PhoneWish};
use crate::provider::onemsg::webhook_payload::InboundMessage;

/// A message may come from a clock that is ahead of ours by this much; beyond it counts from now. Else a
/// wish from the future could not be revoked until then.
const AHEAD: Duration = Duration::from_secs(300);

/// Takes the wishes among these messages.
pub async fn take_wishes(
    tx: &Transaction<'_>,
    site: &Site,
    words: &WishWords,
    messages: &[InboundMessage],
) -> Result<(), StageError> {
    let wishes = latest(site, words, messages);
    if wishes.is_empty() {
        return Ok(());
    }
    let (stopped, started) = queries::inbound_take(tx, &wishes).await?;
    for (wish, count) in [("stop", stopped), ("start", started)] {
        if count > 0 {
            tracing::info!(wish, count, "customers wrote what they wish");
            let count = u64::try_from(count).unwrap_or(0);
            metrics::counter!("rowbell_inbound_wishes_total", "wish" => wish).increment(count);
        }
    }
    Ok(())
}

/// The latest wish of each phone, in a fixed order, so that two deliveries lock phones in the same order.
fn latest(site: &Site, words: &WishWords, messages: &[InboundMessage]) -> Vec<PhoneWish> {
    let now = site.clock.now();
    let mut wishes: BTreeMap<&str, (Timestamp, bool)> = BTreeMap::new();
    for message in messages.iter().filter(|message| !message.is_from_us) {
        let Some(wish) = words.read(&message.body) else {
            continue;
        };
        if message.phone.is_empty() {
            continue;
        }
        let at = message.at.filter(|at| *at <= now + AHEAD).unwrap_or(now);
        let wish = (at, wish == Wish::Stop);
        let known = wishes.entry(&message.phone).or_insert(wish);
        *known = wish.max(*known);
    }
    wishes
        .into_iter()
        .map(|(phone, (wished_at, is_stop))| PhoneWish {
            phone: phone.to_owned(),
            is_stop,
            wished_at,
        })
        .collect()
}
