//! A watch's real words about a real row, to the phone of whoever tries it out. Nothing of it is recorded: nobody
//! was told anything, and the next message is worded as if it had not been.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;
use crate::config::{Config, RecipientAddress};
use crate::domain::message::attempt::{Answer, AttemptId};
use crate::domain::message::decision::Decision;
use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::outgoing::TemplateMessage;
use crate::domain::recipient::email::Email;
use crate::domain::recipient::last_told::Ledger;
use crate::domain::recipient::phone::Phone;
use crate::domain::value::row::Row;
use crate::operations::preview::{PreviewError, key_row, known_columns, no_row, previewed};
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::GateInput;
use crate::pipeline::gate::label_lookup;
use crate::pipeline::gate::recipients::{Concern, RecipientCase};
use crate::postgres::capture::row_query::{self, PresentRow, RowRequest};
use crate::postgres::operations::blockers::{self, BlockerKind};
use crate::postgres::operations::webhook_probe;
use crate::provider::client::ProviderClient;
use crate::provider::client_error::ClientError;

/// Where a test message goes. Never printed.
#[derive(Clone)]
pub enum TestAddress {
    Phone(Phone),
    Email(Email),
}

/// Why there is no test message.
#[derive(Debug, thiserror::Error)]
pub enum SendTestError {
    #[error(transparent)]
    Preview(#[from] PreviewError),
    #[error("--to: channel {channel} writes to {expected}, found {found}")]
    Address { channel: String, expected: &'static str, found: &'static str },
    #[error("watch {watch} says nothing of this row: {why}; --set COLUMN=VALUE invents a change")]
    Silent { watch: String, why: String },
    #[error("the recipient query of watch {watch} finds nobody for this row")]
    NoRecipient { watch: String },
    #[error("channel {channel} is a dry run, and nothing is sent on it (dry_run)")]
    DryRun { channel: String },
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("channel.{channel}.{source}")]
    Client { channel: String, source: ClientError },
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// The message as it would leave.
pub struct TestMessage {
    pub channel: String,
    pub words: Box<MessageWords>,
}

/// Puts a row into words for `to`. With `invented` columns it tells their change; else all of the row, as something new.
pub async fn prepare(
    client: &mut deadpool_postgres::Client,
    config: &Config,
    clock: &Clock,
    (watch, key): (&str, &str),
    invented: &Row,
    to: &TestAddress,
) -> Result<TestMessage, SendTestError> {
    let compiled = CompiledWatch::look_up(client, config, watch)
        .await
        .map_err(|why| PreviewError::Watch { watch: watch.to_owned(), why: why.to_string() })?;
    let channel = compiled.config.channel.clone();
    if config.is_dry_run(&channel) {
        return Err(SendTestError::DryRun { channel });
    }
    let captured = key_row(&compiled, key)?;
    known_columns(&compiled, invented)?;
    let tx = client.build_transaction().read_only(true).start().await?;
    let sql = row_query::preview_sql(&compiled.table, &compiled.config);
    let wanted =
        RowRequest { message_id: None, entity_key: key, is_fallback: false, captured: &captured };
    let read = |source| StageError::Read { watch: watch.to_owned(), source };
    let mut stored = None;
    if !invented.is_empty() {
        let as_it_is = Row::default();
        let found = row_query::preview(&tx, &sql, &compiled.table, wanted, &as_it_is);
        stored = found.await.map_err(read)?.and_then(|present| present.row);
    }
    let present =
        row_query::preview(&tx, &sql, &compiled.table, wanted, invented).await.map_err(read)?;
    let Some(mut present) = present.filter(|present| present.row.is_some()) else {
        return Err(no_row(&compiled, key).into());
    };
    let recipient = address(&mut present, to, &compiled)?;
    let message: Message = previewed(&compiled, key, (stored.clone(), captured), clock.now());
    let case = RecipientCase::invented(&recipient, stored.as_ref());
    let concern = Concern::new(config, &compiled, &message, &present);
    let input = GateInput::of(config, &concern, &case, clock.now());
    let decision = match input.gates() {
        Err(decision) => decision,
        Ok(passed) => {
            let answer =
                label_lookup::look_up(&tx, &compiled, BTreeSet::new(), input.rows(), true).await;
            let names = answer.map_err(|failure| StageError::Lookup {
                watch: watch.to_owned(),
                column: failure.column,
                source: failure.source,
            })?;
            input.words(passed, &Arc::new(names.found))
        }
    };
    match decision {
        Decision::Send(words) => Ok(TestMessage { channel, words }),
        other => {
            let mut decided = message.clone();
            other.apply_to(&mut decided);
            let reason = decided.state.reason().unwrap_or_default();
            let why = decided.reason_text.map_or(reason.to_owned(), |text| text);
            Err(SendTestError::Silent { watch: watch.to_owned(), why })
        }
    }
}

/// The operator stands in for the first recipient, who need not have agreed to anything; the row may be long out of date.
fn address(
    present: &mut PresentRow,
    to: &TestAddress,
    compiled: &CompiledWatch,
) -> Result<Row, SendTestError> {
    let route = &compiled.routes.own;
    let wrong = |expected, found| {
        Err(SendTestError::Address { channel: route.channel.clone(), expected, found })
    };
    let (column, address, other) = match (to, route.address) {
        (TestAddress::Email(_), RecipientAddress::Phone) => {
            return wrong("phones", "a mail address");
        }
        (TestAddress::Phone(_), RecipientAddress::Email) => {
            return wrong("mail addresses", "a phone");
        }
        (TestAddress::Phone(phone), _) => ("phone", format!("+{}", phone.as_str()), "email"),
        (TestAddress::Email(email), _) => ("email", email.as_str().to_owned(), "phone"),
    };
    let Some(mut recipient) = present.recipients.first().cloned() else {
        return Err(SendTestError::NoRecipient { watch: compiled.name.clone() });
    };
    recipient.insert(column.into(), Value::String(address));
    recipient.shift_remove(other);
    recipient.shift_remove("opted_in");
    (present.expires_at, present.ledger) = (None, Ledger::default());
    Ok(recipient)
}

/// Sends it, once.
pub async fn send(
    client: &tokio_postgres::Client,
    config: &Config,
    clock: &Clock,
    test: TestMessage,
) -> Result<Answer, SendTestError> {
    let TestMessage { channel, words } = test;
    let blockers = blockers::read(client, config).await?;
    if blockers.iter().any(|blocker| blocker.kind == BlockerKind::Copy) {
        return Err(SendTestError::Forbidden(
            "this database is a copy and sends nothing; rowbell adopt lets it",
        ));
    }
    if let Some(phone) = words.recipient.phone() {
        let found = webhook_probe::objections(client, phone).await?;
        if found.is_opted_out {
            return Err(SendTestError::Forbidden(
                "that phone stands in rowbell.opt_out; see rowbell opt-out",
            ));
        }
        if found.is_unconfirmed {
            return Err(SendTestError::Forbidden(
                "a message to that phone is unconfirmed, and a test would be taken for it; see rowbell settle",
            ));
        }
    }
    let settings = &config.channel[&channel];
    let provider = ProviderClient::new(settings, config)
        .map_err(|source| SendTestError::Client { channel, source })?;
    // A gateway takes an id that it knows for a repetition; those of messages are above 0.
    let id = AttemptId { message_id: -clock.now().as_millisecond(), number: 1 };
    Ok(provider.send(id, &TemplateMessage::from(*words)).await)
}
