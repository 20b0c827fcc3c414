//! poll: asks the provider what became of accepted messages that have no receipt.
//!
//! Takes groups of messages that were accepted together and are due; looks which of them have not
//! ended; asks the provider for those, at a rate of its own; stores the answers as receipts and
//! weighs them like any other. Puts the rest of a group off, longer each time, and ends with a receipt of
//! source `timeout` when nothing was heard for `polling.lost_after`. So an installation that
//! nobody can reach from outside gets the same outcomes, later; and where the webhook works, a group is looked at once and is gone.
//!
//! A group is a row of `rowbell.poll`, written by the statement that stored the acceptance: sending
//! many costs a part of a row for each, and a receipt writes nothing there.
//!
//! If the process dies here, its groups are due again after a while, and asking twice does no harm.
//! Metrics: `rowbell_polling_answers_total` by kind (each question has one), and
//! `rowbell_poll_lag_seconds`, how long the first group has waited beyond its time.
//!
//! Not promised: that an outcome is known sooner than the next question, nor that the provider remembers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Client as Connection;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::ChannelLimits;
use crate::domain::limit::backoff::Backoff;
use crate::domain::message::poll_schedule::{PollSchedule, PollState};
use crate::domain::message::receipt::ReceiptSourceKind::Polling;
use crate::domain::message::receipt::ReceiptSourceState::{Failing, Missing};
use crate::domain::message::receipt::{EvidenceSource, Receipt, ReceiptStatus};
use crate::domain::message::state::State;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::pulse;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::pipeline::receive::receipt_source;
use crate::pipeline::settle::evidence::take_in;
use crate::postgres::queries;
use crate::postgres::queries::poll::PollGroup;
use crate::provider::limiter::Limiter;
use crate::provider::onemsg::client::{AskError, OneMsgClient};
use crate::provider::onemsg::webhook_payload;

/// Groups taken at once, at most. Each has up to 500 messages.
const GROUPS: i64 = 20;

/// Answers stored by one transaction; between two of them the daemon may be stopped.
const BATCH: usize = 100;

/// Questions under way at once.
const CONCURRENCY: usize = 8;

/// How long a taken group is nobody else's.
const LEASE: Duration = Duration::from_secs(20 * 60);

/// How often the scan for due groups starts from the beginning, to prove its bound right.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(60);

/// The longest rest: another daemon may have sent messages. Not in step with other stages, so that one
/// connection, which knows the statements, serves all while there is little to do.
const LONGEST_REST: Duration = Duration::from_secs(19);
const SHORTEST_REST: Duration = Duration::from_millis(50);

/// How long groups wait when the provider could not be asked.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(32 * 60);

/// How long a channel without the method is left to the webhook, before one question is asked again.
const MISSING_PAUSE: Duration = Duration::from_secs(24 * 3_600);

/// Asks for the messages of one channel.
pub struct Poll {
    context: Arc<Context>,
    channel: String,
    client: OneMsgClient,
    limiter: Limiter,
    schedule: PollSchedule,
    above: (Timestamp, i64),
    full_scan_at: Timestamp,
    /// The provider cannot be asked before this moment.
    silent_until: Option<Timestamp>,
    /// The provider has answered a question on this channel.
    has_answered: bool,
    failures: Backoff,
    has_begun: bool,
}

/// The answer to one question.
enum PollAnswer {
    Receipts(Vec<Receipt>),
    /// 404: no such method, or no such message.
    NotFound,
    Failed(AskError),
}

impl PollAnswer {
    /// The word for it in metrics.
    fn kind(&self) -> &'static str {
        match self {
            PollAnswer::Receipts(receipts) if receipts.is_empty() => "nothing",
            PollAnswer::Receipts(_) => "receipts",
            PollAnswer::NotFound => "not_found",
            PollAnswer::Failed(_) => "trouble",
        }
    }
}

impl Poll {
    pub fn new(context: Arc<Context>, channel: &str, client: OneMsgClient) -> Poll {
        let settings = &context.config.polling;
        let mut schedule = settings.asking();
        if !context.config.webhook.listen.is_empty() {
            // Reads come by the webhook.
            schedule.reads_for = Duration::ZERO;
        }
        Poll {
            limiter: Limiter::new(settings.rate, ChannelLimits::none(), context.clock.clone()),
            schedule,
            channel: channel.to_owned(),
            client,
            above: (Timestamp::UNIX_EPOCH, 0),
            full_scan_at: context.clock.steady(),
            silent_until: None,
            has_answered: false,
            failures: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            has_begun: false,
            context,
        }
    }
}

impl Stage for Poll {
    const NAME: &'static str = "poll";
    const ENDS_MIDWAY: bool = true;

    /// Looks at the groups that are due now, and asks for what has not ended.
    async fn step(&mut self) -> Result<Progress, StageError> {
        // Whoever sends on the channel asks, so that the rate of questions is kept as well.
        if !self.context.holds_lease(&self.channel) {
            return Ok(Progress::Idle);
        }
        let now = self.context.clock.now();
        let client = self.context.pool.get().await?;
        self.begin(&client, now).await?;
        let steady = self.context.clock.steady();
        if steady >= self.full_scan_at {
            self.above = (Timestamp::UNIX_EPOCH, 0);
            self.full_scan_at = steady + FULL_SCAN_EVERY;
        }
        let lease = now + LEASE;
        let groups =
            queries::poll::poll_take(&client, &self.channel, now, self.above, GROUPS, lease)
                .await?;
        let late =
            groups.first().map_or(0.0, |first| now.duration_since(first.due_at).as_secs_f64());
        metrics::gauge!("rowbell_poll_lag_seconds", "channel" => self.channel.clone()).set(late);
        let Some(last) = groups.last() else {
            return Ok(Progress::Idle);
        };
        self.above = (last.due_at, last.poll_id);
        let wanted = self.look(&client, &groups, now).await?;
        // Questions take their time: meanwhile others need the connection.
        drop(client);
        let ids: Vec<String> = wanted.into_values().map(|(id, _)| id).collect();
        self.ask_all(&ids, now).await?;
        self.put_off(groups, now).await?;
        Ok(Progress::Worked)
    }

    /// Until the next group is due. As long as none is, that question is all that is asked.
    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        while last == Progress::Idle && !stop.is_cancelled() {
            let time = match self.context.holds_lease(&self.channel) {
                true => self.until_due().await,
                false => Ok(LONGEST_REST),
            };
            let is_far = time.as_ref().is_ok_and(|time| *time >= LONGEST_REST);
            sleep(time.unwrap_or(LONGEST_REST).clamp(SHORTEST_REST, LONGEST_REST), stop).await;
            if !is_far {
                return;
            }
        }
    }
}

impl Poll {
    /// What an earlier process found out about the method.
    async fn begin(&mut self, client: &Connection, now: Timestamp) -> Result<(), StageError> {
        if !self.has_begun {
            let missing = queries::poll::polling_missing_since(client, &self.channel).await?;
            self.silent_until = missing.map(|since| since + MISSING_PAUSE).filter(|at| *at > now);
            self.has_begun = true;
        }
        Ok(())
    }

    /// The messages of these groups that have not ended, with their ids at the provider.
    async fn look(
        &self,
        client: &Connection,
        groups: &[PollGroup],
        now: Timestamp,
    ) -> Result<HashMap<i64, (String, PollState)>, StageError> {
        let of: HashMap<i64, &PollGroup> =
            groups.iter().flat_map(|g| g.message_ids.iter().map(move |id| (*id, g))).collect();
        let ids: Vec<i64> = of.keys().copied().collect();
        let looked = queries::poll::poll_look(client, &ids).await?.into_iter();
        let wanted = looked.filter(|(id, _, looked)| {
            of.get(id).is_some_and(|g| self.schedule.wants(*looked, g.group, now))
        });
        Ok(wanted.map(|(id, provider_id, looked)| (id, (provider_id, looked))).collect())
    }

    /// Asks for each id once, stores what is heard, and stops asking at the first failure.
    async fn ask_all(&mut self, ids: &[String], now: Timestamp) -> Result<(), StageError> {
        for piece in ids.chunks(BATCH) {
            if self.silent_until.is_some_and(|until| now < until) {
                return Ok(());
            }
            let all = self.ask(piece).await;
            let mut receipts = Vec::new();
            let (mut answers, mut not_found, mut failure) = (0_u32, 0_u32, None);
            for one in all {
                let kind = one.kind();
                metrics::counter!("rowbell_polling_answers_total", "channel" => self.channel.clone(), "kind" => kind)
                    .increment(1);
                match one {
                    PollAnswer::Receipts(answered) => {
                        answers += 1;
                        receipts.extend(answered);
                    }
                    PollAnswer::NotFound => not_found += 1,
                    PollAnswer::Failed(error) => failure = Some(error),
                }
            }
            let mut client = self.context.pool.get().await?;
            let tx = client.transaction().await?;
            take_in(&tx, &self.context, &self.channel, &receipts, EvidenceSource::Poll).await?;
            tx.commit().await?;
            if answers > 0 {
                self.answered(&client).await?;
            } else if not_found > 0 && !self.has_answered {
                self.is_missing(&client, now).await?;
            }
            if let Some(error) = failure {
                self.has_failed_to_ask(&client, &error, now).await?;
            }
        }
        Ok(())
    }

    async fn ask(&self, ids: &[String]) -> Vec<PollAnswer> {
        let questions = stream::iter(ids.to_vec()).map(|id| self.ask_one(id));
        questions.buffer_unordered(CONCURRENCY).collect().await
    }

    async fn ask_one(&self, id: String) -> PollAnswer {
        while let Err(wait) = self.limiter.take_permit() {
            tokio::time::sleep(wait).await;
        }
        pulse::beat();
        match self.client.hook_info(&id).await {
            // The provider may leave the id out, or tell of another: only this one was asked for.
            Ok(answer) => PollAnswer::Receipts(
                webhook_payload::receipts(&answer, &id)
                    .into_iter()
                    .filter(|receipt| receipt.provider_message_id == id)
                    .collect(),
            ),
            Err(AskError::Refused { status: 404, .. }) => PollAnswer::NotFound,
            // What is wrong with one id is no failure of the channel.
            Err(AskError::Refused { status: 400 | 422, .. }) => PollAnswer::Receipts(Vec::new()),
            Err(error) => PollAnswer::Failed(error),
        }
    }

    async fn answered(&mut self, client: &Connection) -> Result<(), StageError> {
        if self.failures.has_failed() {
            tracing::info!(channel = self.channel, "the provider can be asked for receipts again");
        }
        self.has_answered = true;
        self.failures.succeed();
        receipt_source::heard(client, &self.context, &self.channel, Polling).await
    }

    /// Noted once: the channel is left to the webhook.
    async fn is_missing(&mut self, client: &Connection, now: Timestamp) -> Result<(), StageError> {
        let is_news = queries::poll::polling_missing_since(client, &self.channel).await?.is_none();
        self.silent_until = Some(now + MISSING_PAUSE);
        if is_news {
            tracing::warn!(
                channel = self.channel,
                "the provider does not answer questions for receipts (hookInfo: 404); they come by webhook only"
            );
        }
        let why = "hookInfo answered 404";
        receipt_source::is_silent(client, &self.context, &self.channel, Polling, Missing, why).await
    }

    async fn has_failed_to_ask(
        &mut self,
        client: &Connection,
        error: &AskError,
        now: Timestamp,
    ) -> Result<(), StageError> {
        if !self.failures.has_failed() {
            tracing::warn!(channel = self.channel, %error, "the provider could not be asked for receipts; will ask again");
        }
        self.silent_until = Some(now + self.failures.fail());
        let why = error.to_string();
        receipt_source::is_silent(client, &self.context, &self.channel, Polling, Failing, &why)
            .await
    }

    /// Says when each group is due again, without the messages that have ended; and of which messages
    /// nothing was heard for too long.
    async fn put_off(&self, groups: Vec<PollGroup>, now: Timestamp) -> Result<(), StageError> {
        let mut client = self.context.pool.get().await?;
        let left = self.look(&client, &groups, now).await?;
        let (mut kept, mut due, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for group in &groups {
            let random = rand::random();
            let pause = match self.failures.last() {
                None => self.schedule.pause(group.asked_count + 1, random),
                Some(pause) => pause.mul_f64(1.0 + random),
            };
            due.push((group.poll_id, now + pause));
            let is_over = self.schedule.is_over(group.group, now);
            for id in &group.message_ids {
                match left.get(id) {
                    Some(still) if is_over && still.1.state == State::Sent => {
                        lost.push((*id, &still.0))
                    }
                    Some(_) if !is_over => kept.push((group.poll_id, *id)),
                    _ => {}
                }
            }
        }
        let tx = client.transaction().await?;
        queries::poll::poll_write(&tx, &kept, &due, now).await?;
        self.note_lost(&tx, &lost, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Silence is evidence too, of the weakest kind: it moves nothing.
    async fn note_lost(
        &self,
        tx: &deadpool_postgres::Transaction<'_>,
        lost: &[(i64, &String)],
        now: Timestamp,
    ) -> Result<(), StageError> {
        if lost.is_empty() {
            return Ok(());
        }
        let receipt = |id: &str| Receipt {
            provider_message_id: id.to_owned(),
            status: ReceiptStatus::Other,
            occurred_at: Some(now),
            ..Receipt::default()
        };
        let receipts: Vec<Receipt> = lost.iter().map(|(_, id)| receipt(id)).collect();
        take_in(tx, &self.context, &self.channel, &receipts, EvidenceSource::Timeout).await?;
        let hours = self.schedule.lost_after.as_secs() / 3_600;
        let why = format!(
            "accepted, and nothing was heard of its end for {hours} h; it may still arrive"
        );
        let ids: Vec<i64> = lost.iter().map(|(id, _)| *id).collect();
        queries::poll::poll_lost(tx, &ids, &why, now).await?;
        tracing::warn!(
            channel = self.channel,
            messages = lost.len(),
            "nothing was heard of accepted messages for polling.lost_after; they are asked for no more"
        );
        Ok(())
    }

    async fn until_due(&self) -> Result<Duration, StageError> {
        let client = self.context.pool.get().await?;
        let Some(next) = queries::poll::poll_next(&client, &self.channel).await? else {
            return Ok(LONGEST_REST);
        };
        let left = Duration::try_from(self.context.clock.now().duration_until(next));
        Ok(left.unwrap_or(Duration::ZERO))
    }
}
