//! Decides about one message at the moment when it may leave: gates in a fixed order, each with its
//! reason, then words.
//!
//! Takes what the database says now; leaves a decision. Reads nothing and writes nothing itself, so
//! a preview asks exactly what the daemon asks.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Config, RecipientAddress, RecipientDefaults};
use crate::domain::message::decision::Decision;
use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::state::{Failure, Skip, WaitsFor};
use crate::domain::recipient::email::{BadEmail, Email};
use crate::domain::recipient::phone::Phone;
use crate::domain::recipient::recipient::Recipient;
use crate::domain::recipient::time_zone::ZoneSource;
use crate::domain::text::labels::FoundNames;
use crate::domain::text::render_context::{RenderContext, Unwritable};
use crate::domain::text::whatsapp_limits::is_blank;
use crate::domain::value::change::Operation;
use crate::domain::value::diff::{FieldChange, diff};
use crate::domain::value::row::Row;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::route::Route;
use crate::pipeline::gate::recipients::{Concern, RecipientCase};
use crate::postgres::capture::row_query::PresentRow;

/// How long a message waits for an earlier one of its entity before it asks again.
const ORDER_WAIT: Duration = Duration::from_millis(250);

/// What a gate sees of one message for one recipient.
pub struct GateInput<'a> {
    pub compiled: &'a CompiledWatch,
    /// The route that the message takes.
    pub route: &'a Route,
    pub defaults: &'a RecipientDefaults,
    pub message: &'a Message,
    pub present: &'a PresentRow,
    pub case: &'a RecipientCase<'a>,
    /// What the recipient was last told, or may have been.
    pub baseline: Option<&'a Row>,
    pub now: Timestamp,
}

/// A message that is past every gate but quiet hours and the list of opted-out phones.
pub struct PreparedMessage {
    pub recipient: Recipient,
    pub operation: Operation,
    pub changes: Vec<FieldChange>,
}

impl<'a> GateInput<'a> {
    pub fn of(
        config: &'a Config,
        concern: &Concern<'a>,
        case: &'a RecipientCase<'a>,
        now: Timestamp,
    ) -> GateInput<'a> {
        GateInput {
            compiled: concern.compiled,
            route: concern.compiled.routes.over(&concern.message.channel),
            defaults: &config.recipient,
            message: concern.message,
            present: concern.present,
            case,
            baseline: case.baseline.as_deref(),
            now,
        }
    }
}

impl GateInput<'_> {
    /// All gates, against what the recipient knows; where that is still true, against what they may have read since
    /// although nobody knows.
    pub fn pass(&mut self) -> Result<PreparedMessage, Decision> {
        let mut passed = self.gates();
        for row in &self.case.possible {
            if !matches!(passed, Err(Decision::Skip(Skip::NoNetChange, _))) {
                break;
            }
            self.baseline = *row;
            passed = self.gates();
        }
        passed
    }

    /// Why the message as a whole does not come to single recipients; None: it does.
    pub fn for_all(&self) -> Option<Decision> {
        if self.present.has_muted_change {
            let why = "a muted change of the entity is not claimed yet";
            return Some(Decision::defer(self.now + ORDER_WAIT, WaitsFor::Order, why));
        }
        if self.present.is_one_of_several {
            let text = "the table has several rows with this key; name columns in key of the watch that identify one";
            return Some(Decision::Fail(Failure::Unwritable, text.to_owned()));
        }
        let most = self.compiled.config.max_recipients;
        (self.present.recipients.len() > most).then(|| {
            let text = format!(
                "the recipient query gives more than {most} recipients; if it is right, raise max_recipients of the watch"
            );
            Decision::Fail(Failure::Unwritable, text)
        })
    }

    /// What becomes of a message that concerns nobody.
    pub fn nobody(&self) -> Decision {
        let found_nobody = || {
            Decision::Skip(Skip::NoRecipient, Some("the recipient query found nobody".to_owned()))
        };
        self.net_change().map_or_else(|decision| decision, |_| found_nobody())
    }

    /// All gates that need no further look at the database, in order.
    pub fn gates(&self) -> Result<PreparedMessage, Decision> {
        self.in_order()?;
        self.handover()?;
        let (operation, changes) = self.net_change()?;
        let recipient = self.recipient()?;
        self.not_stale()?;
        self.is_allowed(&recipient)?;
        Ok(PreparedMessage { recipient, operation, changes })
    }

    /// An earlier message of the entity is being sent to them: what it tells is this one's baseline.
    fn in_order(&self) -> Result<(), Decision> {
        if !self.present.ledger.is_being_told(&self.case.key, self.message.message_id) {
            return Ok(());
        }
        Err(in_order(self.now))
    }

    /// Where nobody is told of a handover, what the row holds then counts as told.
    fn handover(&self) -> Result<(), Decision> {
        if !self.case.is_silenced {
            return Ok(());
        }
        let text =
            "the row went over to this recipient, and handover of the watch is none".to_owned();
        Err(Decision::Skip(Skip::Silenced, Some(text)))
    }

    /// The row as this recipient is told it; None: it is gone, or no longer theirs.
    pub fn row(&self) -> Option<&Row> {
        self.present.row.as_ref().filter(|_| !self.case.is_withdrawn)
    }

    fn net_change(&self) -> Result<(Operation, Vec<FieldChange>), Decision> {
        let watch = &self.compiled.config;
        let operation = match (self.baseline, self.row()) {
            (None, None) => return Err(self.nothing_to_tell()),
            (None, Some(_)) => Operation::Insert,
            (Some(_), Some(_)) => Operation::Update,
            (Some(_), None) if self.case.is_withdrawn => Operation::Withdrawn,
            (Some(_), None) => Operation::Delete,
        };
        if operation == Operation::Delete && !watch.on.contains(&Operation::Delete) {
            let text = "the row is gone, and the watch does not tell deletes".to_owned();
            return Err(Decision::Skip(Skip::Stale, Some(text)));
        }
        let changes = self.changes();
        if changes.is_empty() && !operation.is_end() {
            return Err(self.nothing_to_tell());
        }
        Ok((operation, changes))
    }

    /// What was last told is still true: perhaps because what this one stands in for arrived after all.
    fn nothing_to_tell(&self) -> Decision {
        match self.message.fallback_of {
            Some(first) if self.case.last.is_some_and(|told| told.first_message_id == first) => {
                let text = format!("message {first} arrived after all");
                Decision::Skip(Skip::NotNeeded, Some(text))
            }
            _ => Decision::Skip(Skip::NoNetChange, None),
        }
    }

    /// What differs from what the recipient was last told.
    pub fn changes(&self) -> Vec<FieldChange> {
        let compiled = self.compiled;
        diff(self.baseline, self.row(), &compiled.config.columns, &compiled.columns, &self.zone())
    }

    /// Who is told.
    pub fn recipient(&self) -> Result<Recipient, Decision> {
        let found = self.case.recipient.as_ref();
        let (phone, email) = self.addresses(found)?;
        // A consent column that says anything but yes means no.
        if !self.route.ignores_opt_out
            && found.get("opted_in").is_some_and(|consent| consent != &Value::Bool(true))
        {
            let text = "opted_in of the recipient is not true".to_owned();
            return Err(Decision::Skip(Skip::OptedOut, Some(text)));
        }
        let locale = text_of(found, "locale").or(self.compiled.config.locale.as_deref());
        let zone = self.time_zone();
        Ok(Recipient {
            name: text_of(found, "name").unwrap_or_default().to_owned(),
            phone,
            email,
            locale: locale.unwrap_or(&self.defaults.locale).to_owned(),
            time_zone: zone.name.to_owned(),
            time_zone_source: zone.story(),
        })
    }

    /// Phone and mail address, as far as there are any; an error when the channel needs one that is not.
    fn addresses(&self, found: &Row) -> Result<(Option<Phone>, Option<Email>), Decision> {
        let phone = self
            .case
            .phone(&self.defaults.region)
            .map_err(|bad| Decision::Skip(Skip::BadPhone, Some(bad.to_string())));
        let email = Email::parse(text_of(found, "email").unwrap_or_default());
        let no_email = |bad: BadEmail| {
            Decision::Skip(Skip::BadEmail, Some(format!("{bad} (column email of the recipient)")))
        };
        Ok(match self.route.address {
            RecipientAddress::Phone => (Some(phone?), email.ok()),
            RecipientAddress::Email => (phone.ok(), Some(email.map_err(no_email)?)),
            RecipientAddress::Any => match (phone, email) {
                (Err(bad), Err(_)) => return Err(bad),
                (phone, email) => (phone.ok(), email.ok()),
            },
        })
    }

    fn not_stale(&self) -> Result<(), Decision> {
        match self.expires_at() {
            Some(at) if at <= self.now => {
                let text = format!("expires_at of the watch was {at}");
                // Who was tried in time and in vain is a failure; who came too late is not.
                Err(match self.message.attempt_count {
                    0 => Decision::Skip(Skip::Stale, Some(text)),
                    _ => Decision::Fail(Failure::Expired, text),
                })
            }
            _ => Ok(()),
        }
    }

    /// On a site that is not the real one, only some people are written to.
    fn is_allowed(&self, recipient: &Recipient) -> Result<(), Decision> {
        if self.route.allows(recipient) {
            return Ok(());
        }
        let text = "installation.only_to does not name this recipient".to_owned();
        Err(Decision::Skip(Skip::OutsideOnlyTo, Some(text)))
    }

    /// The row as it is told and as it was told before.
    pub fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.row().into_iter().chain(self.baseline)
    }

    /// The phone that may have opted out of this route.
    pub fn heeded_phone<'a>(&self, recipient: &'a Recipient) -> Option<&'a str> {
        recipient.phone().filter(|_| !self.route.ignores_opt_out)
    }

    /// The words. `names` are those of the rows that foreign keys point to.
    pub fn words(&self, passed: PreparedMessage, names: &Arc<FoundNames>) -> Decision {
        // A row that is gone is spoken of as it was last told.
        let empty = Row::default();
        let row = self.row().or(self.baseline).unwrap_or(&empty);
        let wording = self.route.phrasing.word(&RenderContext {
            operation: passed.operation,
            changes: &passed.changes,
            old: self.baseline,
            row,
            columns: &self.compiled.columns,
            name: &passed.recipient.name,
            locale: &passed.recipient.locale,
            time_zone: &passed.recipient.time_zone,
            service_zone: self.compiled.config.time_zone.as_deref(),
            is_zone_unchosen: self.time_zone().source == ZoneSource::Nobody,
            names,
            now: self.now,
        });
        match wording {
            Ok(wording) => Decision::Send(Box::new(MessageWords {
                operation: passed.operation,
                template: self.route.template.name.clone(),
                namespace: self.route.template.namespace.clone(),
                undelivered_after: self.route.undelivered_after,
                time_to_live: self.time_to_live(),
                in_quiet_hours: self.is_in_quiet_hours(&passed.recipient),
                recipient: passed.recipient,
                wording,
                carried_by: None,
            })),
            Err(silent @ Unwritable::Silent) => {
                Decision::Skip(Skip::Silenced, Some(silent.to_string()))
            }
            Err(same @ Unwritable::LooksTheSame) => {
                Decision::Skip(Skip::NoNetChange, Some(same.to_string()))
            }
            Err(unwritable) => Decision::Fail(Failure::Unwritable, unwritable.to_string()),
        }
    }
}

/// What becomes of a message while an earlier one of its entity is being sent to the recipient.
fn in_order(now: Timestamp) -> Decision {
    let why = "an earlier message of the entity is being sent";
    Decision::defer(now + ORDER_WAIT, WaitsFor::Order, why)
}

/// What becomes of a message to a phone that opted out.
pub fn skipped_as_opted_out() -> Decision {
    Decision::Skip(Skip::OptedOut, Some("the phone stands in rowbell.opt_out".to_owned()))
}

pub fn text_of<'a>(recipient: &'a Row, column: &str) -> Option<&'a str> {
    recipient.get(column).and_then(Value::as_str).map(str::trim).filter(|text| !is_blank(text))
}
