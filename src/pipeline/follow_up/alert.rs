//! alert: tells the operator what needs a person, once, and once more when it is over.
//!
//! Looks every `alert.look_every` how everything stands, and writes down in the database what needs a person: so several
//! daemons tell it once, and a restart does not tell it again. What is not told yet is told by one message, by any channel of
//! the configuration. What cannot be told is tried again, later and later.
//!
//! If the process dies here, what it was telling is told again after a few minutes. Not promised: that what comes and goes within
//! `alert.over_after` is told more than once. While no daemon runs, nobody tells; a copy of a database tells nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::backoff::doubled;
use crate::domain::message::attempt::{Answer, AttemptId, AttemptResult};
use crate::domain::message::outgoing::TemplateMessage;
use crate::domain::notice;
use crate::domain::recipient::phone::Phone;
use crate::domain::text::whatsapp_limits;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::pulse;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::pipeline::follow_up::alert_causes::causes;
use crate::postgres::operations::status_report;
use crate::postgres::outcome::alerts::{self, DueAlert};
use crate::provider::client::ProviderClient;

/// Told by one message, at most.
const AT_ONCE: i64 = 20;

/// Characters of one message: what fits into a template of WhatsApp.
const LONGEST: usize = 900;

/// How long telling may take; after that another daemon may try.
const LEASE: Duration = Duration::from_secs(180);

/// The pause before it is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Tells the operator.
pub struct Alert {
    context: Arc<Context>,
    client: ProviderClient,
    look_at: Timestamp,
}

impl Alert {
    pub fn new(context: Arc<Context>, client: ProviderClient) -> Alert {
        let look_at = context.clock.steady();
        Alert { context, client, look_at }
    }
}

impl Stage for Alert {
    const NAME: &'static str = "alert";
    const ENDS_MIDWAY: bool = true;

    /// Looks, and tells what is new.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let steady = self.context.clock.steady();
        if steady < self.look_at {
            return Ok(Progress::Idle);
        }
        if !self.context.is_copy_now().await? {
            let due = self.look().await?;
            if !due.is_empty() {
                self.tell(&due).await?;
            }
        }
        self.look_at = steady + self.context.config.alert.look_every;
        Ok(Progress::Idle)
    }

    async fn rest(&mut self, _last: Progress, stop: &CancellationToken) {
        let left = self.look_at.duration_since(self.context.clock.steady());
        sleep(Duration::try_from(left).unwrap_or_default(), stop).await;
    }
}

impl Alert {
    /// Writes down how things stand; gives what has to be told.
    async fn look(&self) -> Result<Vec<DueAlert>, StageError> {
        let (config, now) = (&self.context.config, self.context.clock.now());
        let mut client = self.context.pool.get().await?;
        let status = status_report::status(&client, config, now).await?;
        let causes = causes(&status, &config.alert.about, config.alert.late_after);
        let tx = client.transaction().await?;
        alerts::alert_note(&tx, &causes, now, now - config.alert.over_after).await?;
        let due = alerts::alert_take(&tx, now, now + LEASE, AT_ONCE).await?;
        tx.commit().await?;
        Ok(due)
    }

    async fn tell(&self, due: &[DueAlert]) -> Result<(), StageError> {
        let text = text(&self.context.config.installation.environment, due);
        let tries = due.iter().map(|due| due.attempt_count).max().unwrap_or(1);
        let name = due.first().map_or(0, |due| due.alert_id);
        let mut is_told = false;
        for (i, to) in self.context.config.alert.to.iter().enumerate() {
            pulse::beat();
            // Negative: it is no message of the database.
            let number = i16::try_from(tries.saturating_mul(100).saturating_add(i as i32))
                .unwrap_or(i16::MAX);
            let id = AttemptId { message_id: -name, number };
            let answer = self.send(id, &self.message(to, &text)).await;
            match answer.result {
                AttemptResult::Accepted { .. } | AttemptResult::DryRun | AttemptResult::Unknown => {
                    is_told = true;
                }
                _ => tracing::warn!(target: notice::OPERATOR_NOT_TOLD,
                    why = answer.error_text.as_deref().unwrap_or_default(),
                    "the operator could not be told what needs a person"
                ),
            }
        }
        let now = self.context.clock.now();
        let failures = u32::try_from(tries - 1).unwrap_or(0);
        let again = (!is_told).then(|| now + doubled(FIRST_PAUSE, failures, LONGEST_PAUSE));
        let ids: Vec<i64> = due.iter().map(|due| due.alert_id).collect();
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        alerts::alert_told(&tx, &ids, is_told.then_some(now), again).await?;
        tx.commit().await?;
        let result = if is_told { "told" } else { "failed" };
        metrics::counter!("rowbell_alerts_total", "result" => result).increment(due.len() as u64);
        Ok(())
    }

    async fn send(&self, id: AttemptId, message: &TemplateMessage) -> Answer {
        match self.context.config.is_dry_run(&self.context.config.alert.channel) {
            true => self.client.rehearse(id, message),
            false => self.client.send(id, message).await,
        }
    }

    fn message(&self, to: &str, text: &str) -> TemplateMessage {
        let config = &self.context.config;
        let region = Some(config.recipient.region.as_str()).filter(|region| !region.is_empty());
        let phone = Phone::parse(to, region).map(|phone| phone.as_str().to_owned());
        let template = config.template.get(&config.alert.template);
        let locale = config.recipient.locale.clone();
        let language = template.and_then(|template| template.language.for_locale(&locale, &locale));
        TemplateMessage {
            phone: phone.unwrap_or_default(),
            email: if to.contains('@') { to.to_owned() } else { String::new() },
            language: language.unwrap_or("en").to_owned(),
            template: template.map(|template| template.name.clone()).unwrap_or_default(),
            namespace: template.map(|template| template.namespace.clone()).unwrap_or_default(),
            parameters: vec![whatsapp_limits::clean(text)],
            summary: text.to_owned(),
            locale,
            ..TemplateMessage::default()
        }
    }
}

/// One sentence for each.
fn text(environment: &str, due: &[DueAlert]) -> String {
    let lines = due.iter().map(|due| match due.is_over {
        false => format!("Needs a person: {}.", due.what),
        true => format!("Over: {}.", due.what),
    });
    let all = format!("rowbell ({environment}): {}", lines.collect::<Vec<_>>().join("\n"));
    match all.char_indices().nth(LONGEST) {
        None => all,
        Some((end, _)) => format!("{}… See rowbell status.", &all[..end]),
    }
}
