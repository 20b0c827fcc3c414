//! seek: evidence about requests whose answer was lost.
//!
//! Takes doubts that are due. Looks first whether a receipt named an id for that phone which no attempt
//! knows; then asks the provider for its list of messages to that phone. Where exactly one message and one
//! request fit each other, the attempt gets that id and the message is sent; receipts that came before are
//! joined then, and hookInfo is asked for it like for any other. Each step is written to
//! `rowbell.reconcile_lookup`. The last look is at the moment when the policy of the watch decides: after it sweep does.
//! What the policy keeps for a person is not asked for any more; but a receipt for that phone that comes
//! within a month is looked at, and counts if the provider says that it is of that time.
//!
//! Also joins what a receipt told of in the very moment in which the answer was stored.
//!
//! If the process dies here, the doubt is looked into again a minute later: asking changes nothing, and an
//! id is adopted in one transaction.
//! Metrics: `rowbell_seeking_looks_total` by way and by what was found.
//!
//! Not promised: that evidence is found. Only what is beyond doubt is adopted, and without evidence the
//! message stays unconfirmed until the policy decides.

use std::collections::HashSet;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::UnconfirmedPolicy;
use crate::domain::message::receipt::{Receipt, Source};
use crate::domain::message::state::{Event, State};
use crate::domain::message::unconfirmed::{
    Found, FoundKind, LookupWay, Seen, earliest, next_look, pick,
};
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::{Patience, Progress, StageError, rest};
use crate::pipeline::settle::evidence::{join, take_in};
use crate::pipeline::settle::settle::{Details, move_message};
use crate::pipeline::settle::unconfirmed::LATE_LOOK_EVERY;
use crate::postgres::queries::{self, Doubt, Step};
use crate::provider::onemsg::client::{AskError, Client};
use crate::provider::onemsg::message_list::{History, history};
use crate::provider::onemsg::webhook_payload;

/// Doubts taken at once.
const BATCH: i64 = 20;

/// How long a doubt that was taken is nobody else's.
const LEASE: Duration = Duration::from_secs(60);

/// How often to look whether a doubt is due. A receipt that may decide one makes it due at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long to rest while there is nothing to seek.
const CALM_REST: Duration = Duration::from_secs(60);

/// How long a receipt may come late for what a person has to look at.
const LATE_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Late receipts for one phone whose time is asked for at once.
const LATE_AT_ONCE: i64 = 5;

/// How long ids that no attempt knows are kept.
const STRAYS_FOR: Duration = Duration::from_secs(24 * 3_600);
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// How long an id may wait for the attempt that it belongs to: longer than any answer is stored.
const JOIN_FOR: Duration = Duration::from_secs(10 * 60);

/// Seeks evidence on one channel.
pub struct Seek {
    site: Arc<Site>,
    channel: String,
    client: Client,
    forget_at: Timestamp,
    /// Strays of before are looked at once, after a start.
    strays_since: Timestamp,
}

/// What one way of looking brought: in words, and the id if it is beyond doubt.
struct Look {
    way: LookupWay,
    found: Found,
    words: String,
    /// Of the message that was found.
    receipts: Vec<Receipt>,
}

impl Look {
    fn counted(self, channel: &str) -> Look {
        let (way, found) = (self.way.into_str(), FoundKind::from(&self.found).into_str());
        metrics::counter!("rowbell_seeking_looks_total", "channel" => channel.to_owned(), "way" => way, "found" => found)
            .increment(1);
        self
    }
}

impl Seek {
    pub fn new(site: Arc<Site>, channel: &str, client: Client) -> Seek {
        let forget_at = site.clock.now();
        let strays_since = Timestamp::UNIX_EPOCH;
        Seek { site, channel: channel.to_owned(), client, forget_at, strays_since }
    }

    /// Seeks until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut patience = Patience::new("seek");
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(Progress::Worked) => patience.succeeded(),
                Ok(Progress::Idle) => {
                    patience.succeeded();
                    self.wait(&stop).await;
                }
                Err(error) => rest(&stop, patience.failed(&error)).await,
            }
        }
    }

    /// In calm times it is only looked whether another daemon left something to seek.
    async fn wait(&self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.site.doubts.there_are_some() => {}
            () = tokio::time::sleep(CALM_REST) => {}
        }
        rest(stop, LOOK_EVERY).await;
    }

    /// Looks into the doubts that are due.
    pub async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.site.clock.now();
        let client = self.site.pool.get().await?;
        if now >= self.forget_at {
            queries::stray_forget(&client, now - STRAYS_FOR).await?;
            self.forget_at = now + FORGET_EVERY;
        }
        drop(client);
        self.join_strays(now).await?;
        let client = self.site.pool.get().await?;
        self.site.doubts.there_may_be(queries::doubt_any(&client).await?);
        let doubts = queries::doubt_take(&client, &self.channel, now, BATCH, now + LEASE).await?;
        drop(client);
        let mut progress = Progress::Idle;
        for doubt in doubts {
            progress = Progress::Worked;
            self.look_into(&doubt).await?;
        }
        Ok(progress)
    }

    /// A receipt and the answer to the request may be stored in the same moment, by transactions that
    /// do not see each other: what was a stray then is joined now.
    async fn join_strays(&mut self, now: Timestamp) -> Result<(), StageError> {
        self.site.doubts.look_at_strays();
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        let ids = queries::stray_known(&tx, self.strays_since).await?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        if !ids.is_empty() {
            // Messages are locked before strays, as in every delivery.
            join(&tx, &self.site, &ids).await?;
            queries::stray_drop(&tx, &ids).await?;
        }
        tx.commit().await?;
        self.strays_since = now - JOIN_FOR;
        Ok(())
    }

    async fn look_into(&self, doubt: &Doubt) -> Result<(), StageError> {
        let now = self.site.clock.now();
        if !doubt.is_open || (doubt.is_late && now >= doubt.decide_at + LATE_FOR) {
            return self.close(doubt).await;
        }
        if doubt.is_late {
            return self.look_late(doubt, now).await;
        }
        let by_receipts = self.by_receipts(doubt).await?.counted(&self.channel);
        if let Found::One(_) = by_receipts.found {
            return self.adopt(doubt, by_receipts).await;
        }
        let by_list = self.by_list(doubt, earliest(doubt.started_at)..).await?;
        let by_list = by_list.counted(&self.channel);
        if let Found::One(_) = by_list.found {
            return self.adopt(doubt, by_list).await;
        }
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        for look in [by_receipts, by_list] {
            // That no receipt came is no news.
            if look.way == LookupWay::List || look.found != Found::Nothing {
                let step = Step { way: look.way, found: &look.words, provider_message_id: None };
                queries::doubt_note(&tx, doubt.message_id, doubt.number, step, now).await?;
            }
        }
        if now >= doubt.decide_at && self.is_kept(doubt) {
            let next = now + LATE_LOOK_EVERY;
            queries::doubt_rest(&tx, doubt.message_id, doubt.number, next).await?;
        } else if now >= doubt.decide_at {
            queries::doubt_close(&tx, doubt.message_id, doubt.number).await?;
        } else {
            let next = next_look(now, doubt.asked_count + 1, doubt.decide_at);
            queries::doubt_wait(&tx, doubt.message_id, doubt.number, next).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether the policy of its watch keeps the message for a person.
    fn is_kept(&self, doubt: &Doubt) -> bool {
        let watch = self.site.config.watch.get(&doubt.watch);
        watch.map(|watch| watch.unconfirmed).unwrap_or_default() == UnconfirmedPolicy::Hold
    }

    /// After the policy has decided: only what came by itself, and is known to be of that time.
    async fn look_late(&self, doubt: &Doubt, now: Timestamp) -> Result<(), StageError> {
        let from = earliest(doubt.started_at);
        let client = self.site.pool.get().await?;
        let strays =
            queries::doubt_late_strays(&client, &self.channel, doubt, from, LATE_AT_ONCE).await?;
        drop(client);
        let mut look = nothing("");
        if !strays.is_empty() {
            look = self.by_late_receipts(doubt, strays).await?;
            if look.found == Found::Nothing {
                look = self.by_list(doubt, from..=doubt.decide_at).await?;
            }
        }
        if let Found::One(_) = look.found {
            return self.adopt(doubt, look).await;
        }
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        if look.found != Found::Nothing {
            let step = Step { way: look.way, found: &look.words, provider_message_id: None };
            queries::doubt_note(&tx, doubt.message_id, doubt.number, step, now).await?;
        }
        let next = now + LATE_LOOK_EVERY;
        queries::doubt_rest(&tx, doubt.message_id, doubt.number, next).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Late receipts for that phone. Most tell no time of their own, so the provider is asked for it.
    async fn by_late_receipts(
        &self,
        doubt: &Doubt,
        strays: Vec<(String, bool)>,
    ) -> Result<Look, StageError> {
        let time = earliest(doubt.started_at)..=doubt.decide_at;
        let mut seen = Vec::new();
        let mut told = Vec::new();
        for (id, is_untimed) in strays {
            let receipts = match is_untimed {
                true => self
                    .client
                    .hook_info(&id)
                    .await
                    .map(|answer| webhook_payload::receipts(&answer, &id)),
                false => Ok(Vec::new()),
            };
            let receipts = receipts.unwrap_or_default();
            let first = receipts.iter().filter_map(|receipt| receipt.occurred_at).min();
            if !is_untimed || first.is_some_and(|at| time.contains(&at)) {
                seen.push(Seen { id, text: None });
                told.extend(receipts);
            }
        }
        let client = self.site.pool.get().await?;
        let rivals = queries::doubt_rivals(&client, &self.channel, doubt).await?;
        let found = pick(&seen, &doubt.parameters, &rivals);
        told.retain(|receipt| found == Found::One(receipt.provider_message_id.clone()));
        let words = match &found {
            Found::One(_) => {
                "a late receipt for that phone, of that time, and no other message that it fits"
            }
            _ => {
                "late receipts for that phone, but which of the messages they belong to is not clear"
            }
        };
        Ok(Look { way: LookupWay::Receipts, found, words: words.to_owned(), receipts: told })
    }

    /// Receipts that named an id for that phone which no attempt knows.
    async fn by_receipts(&self, doubt: &Doubt) -> Result<Look, StageError> {
        let client = self.site.pool.get().await?;
        let from = earliest(doubt.started_at);
        let ids = queries::doubt_strays(&client, &self.channel, doubt, from).await?;
        let rivals = queries::doubt_rivals(&client, &self.channel, doubt).await?;
        let seen: Vec<Seen> = ids.into_iter().map(|id| Seen { id, text: None }).collect();
        let found = pick(&seen, &doubt.parameters, &rivals);
        let words = match &found {
            Found::One(_) => "one receipt for that phone, and no other message that it fits",
            _ => "receipts for that phone, but which of the messages they belong to is not clear",
        };
        Ok(Look { way: LookupWay::Receipts, found, words: words.to_owned(), receipts: Vec::new() })
    }

    /// The provider's list of messages to that phone, of some time.
    async fn by_list(
        &self,
        doubt: &Doubt,
        time: impl RangeBounds<Timestamp>,
    ) -> Result<Look, StageError> {
        let from = earliest(doubt.started_at);
        let answer = self.client.messages(&doubt.phone, from).await;
        let rows = match answer.map(|answer| history(&answer, &doubt.phone, time)) {
            Ok(History::Kept(rows)) => rows,
            Ok(History::Off) => return Ok(nothing("the channel keeps no history of its messages")),
            Err(AskError::Refused { status, .. }) => {
                return Ok(nothing(&format!(
                    "the provider refused to show its list (HTTP {status})"
                )));
            }
            Err(_) => return Ok(nothing("the provider could not be asked for its list")),
        };
        let client = self.site.pool.get().await?;
        let ids: Vec<&str> = rows.iter().map(|(seen, _)| seen.id.as_str()).collect();
        let known: HashSet<String> =
            queries::doubt_known(&client, &ids).await?.into_iter().collect();
        let rivals = queries::doubt_rivals(&client, &self.channel, doubt).await?;
        let rows: Vec<(Seen, Receipt)> =
            rows.into_iter().filter(|(seen, _)| !known.contains(&seen.id)).collect();
        let seen: Vec<Seen> = rows.iter().map(|(seen, _)| seen.clone()).collect();
        let found = pick(&seen, &doubt.parameters, &rivals);
        let words = match &found {
            Found::Nothing => "the provider's list has no message to that phone since then",
            Found::One(_) => "the provider's list has the message",
            Found::Several => {
                "the provider's list has messages to that phone, but which is this one is not clear"
            }
            Found::AnotherText => {
                "the provider's list has a message to that phone, but it says something else"
            }
        };
        let receipts = rows.into_iter().map(|(_, receipt)| receipt);
        let receipts = receipts.filter(|r| found == Found::One(r.provider_message_id.clone()));
        Ok(Look {
            way: LookupWay::List,
            words: words.to_owned(),
            receipts: receipts.collect(),
            found,
        })
    }

    /// The attempt was accepted after all.
    async fn adopt(&self, doubt: &Doubt, look: Look) -> Result<(), StageError> {
        let Found::One(id) = &look.found else {
            return Ok(());
        };
        let now = self.site.clock.now();
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        let Some(standing) = queries::settle_lock(&tx, doubt.message_id).await? else {
            return Ok(());
        };
        if standing.state == State::Unconfirmed && standing.attempt_count == doubt.number {
            queries::doubt_adopt(&tx, doubt.message_id, doubt.number, id).await?;
            let happened_at = look.receipts.first().and_then(|receipt| receipt.occurred_at);
            let details = Details {
                reason_text: None,
                due_at: now,
                provider_message_id: Some(id),
                happened_at: happened_at.unwrap_or(now),
            };
            move_message(&tx, &self.site, doubt.message_id, &standing, Event::Accepted, details)
                .await?;
            let step = Step { way: look.way, found: &look.words, provider_message_id: Some(id) };
            queries::doubt_note(&tx, doubt.message_id, doubt.number, step, now).await?;
            take_in(&tx, &self.site, &self.channel, &look.receipts, Source::Poll).await?;
            join(&tx, &self.site, &[id]).await?;
        }
        queries::doubt_close(&tx, doubt.message_id, doubt.number).await?;
        tx.commit().await?;
        // Messages to the same phone have waited for this.
        self.site.lanes.get(&self.channel).into_iter().for_each(|lane| lane.ring());
        Ok(())
    }

    async fn close(&self, doubt: &Doubt) -> Result<(), StageError> {
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        queries::doubt_close(&tx, doubt.message_id, doubt.number).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn nothing(words: &str) -> Look {
    Look {
        way: LookupWay::List,
        found: Found::Nothing,
        words: words.to_owned(),
        receipts: Vec::new(),
    }
}
