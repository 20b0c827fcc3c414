//! `bench instructions`: what the parts of a message's way cost the daemon, in instructions that valgrind counts. No clock is
//! asked, so two runs of one build agree, on a busy machine too.
//!
//! Each part runs in a process of its own, so often and twice as often; the difference is the part alone. How many
//! instructions a build needs depends on the compiler: so each part is told beside the reading of one row from JSON.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rowbell::domain::message::attempt::{Answer, AttemptResult};
use rowbell::domain::message::disposition::{RetryRules, disposition};
use rowbell::domain::message::evidence::{Evidence, weigh};
use rowbell::domain::message::receipt::ReceiptStatus;
use rowbell::domain::message::state::{Event, State, apply};
use rowbell::domain::text::localized_text::LocalizedText;
use rowbell::domain::text::render_context::RenderContext;
use rowbell::domain::text::rules::SayRule;
use rowbell::domain::text::summary::Phrasing;
use rowbell::domain::text::template::template_engine::PhrasingSource;
use rowbell::domain::value::change::{Change, Operation};
use rowbell::domain::value::column::{Columns, columns};
use rowbell::domain::value::column_kind::ColumnKind;
use rowbell::domain::value::diff::diff;
use rowbell::domain::value::fold::fold;
use rowbell::domain::value::row::Row;
use rowbell::domain::value::versions::FoldRules;
use serde_json::{Value, json};

use crate::bench::report::{Report, round};

/// How often a part runs, and then twice as often.
const TIMES: u32 = 20;

const OLD: &str = r#"{"id": 7, "customer_id": 3, "status": "planned", "address": "12 Main Street",
    "window_start": "2026-06-24T14:00:00+00:00", "window_end": "2026-06-24T16:00:00+00:00"}"#;
const NEW: &str = r#"{"id": 7, "customer_id": 3, "status": "planned", "address": "9 Second Avenue",
    "window_start": "2026-06-25T14:00:00+00:00", "window_end": "2026-06-25T16:00:00+00:00"}"#;

#[derive(Clone, Debug, clap::Args)]
pub struct InstructionsArgs {
    /// Only this part, so often, and nothing is counted: what valgrind looks at.
    #[arg(long, hide = true, requires = "times")]
    only: Option<Part>,
    #[arg(long, hide = true)]
    times: Option<u32>,
}

/// A part of a message's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Reading one row from JSON: what the others are compared with.
    Read,
    /// Three changes of a row become one.
    Fold,
    /// The row before and after.
    Compare,
    /// The difference in words.
    Word,
    /// An answer and three receipts are weighed.
    Settle,
}

pub async fn run(args: &InstructionsArgs) -> anyhow::Result<Report> {
    if let (Some(part), Some(times)) = (args.only, args.times) {
        perform(part, times)?;
        return Ok(Report::new("", String::new()));
    }
    let mut report = Report::new(
        "bench instructions (of the daemon's own work for one message, counted by valgrind)",
        if cfg!(debug_assertions) { "debug build: only the ratios say something" } else { "" }
            .to_owned(),
    );
    let read = instructions(Part::Read).await?;
    report.row("read_instructions", round(read, 0));
    for (name, part) in [
        ("fold", Part::Fold),
        ("compare", Part::Compare),
        ("word", Part::Word),
        ("settle", Part::Settle),
    ] {
        let count = instructions(part).await?;
        report.row(&format!("{name}_instructions"), round(count, 0));
        report.row(&format!("{name}_by_read"), round(count / read, 3));
    }
    report.note("by_read: how many times what it costs to read one row of six columns from JSON");
    Ok(report)
}

/// Instructions of a part, once.
async fn instructions(part: Part) -> anyhow::Result<f64> {
    let (once, twice) = (counted(part, TIMES).await?, counted(part, 2 * TIMES).await?);
    Ok((twice - once) / f64::from(TIMES))
}

/// All instructions of a process that runs a part so often.
async fn counted(part: Part, times: u32) -> anyhow::Result<f64> {
    let name =
        part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let exe = std::env::current_exe()?;
    let child = tokio::process::Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(&exe)
        .arg("--exe")
        .arg(&exe)
        .args(["bench", "instructions", "--only", &name, "--times", &times.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| {
            anyhow::anyhow!("valgrind cannot be started ({error}); install the package valgrind")
        })?;
    let said = String::from_utf8_lossy(&child.stderr);
    let collected =
        said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    collected.ok_or_else(|| anyhow::anyhow!("valgrind counted nothing ({}): {said}", child.status))
}

fn perform(part: Part, times: u32) -> anyhow::Result<()> {
    let (old, new): (Row, Row) = (serde_json::from_str(OLD)?, serde_json::from_str(NEW)?);
    match part {
        Part::Read => {
            for _ in 0..times {
                black_box(serde_json::from_str::<Row>(black_box(OLD))?);
            }
        }
        Part::Fold => fold_often(&old, &new, times),
        Part::Compare => {
            let columns = shop_columns();
            for _ in 0..times {
                black_box(diff(
                    Some(&old),
                    Some(black_box(&new)),
                    &WATCHED.map(str::to_owned),
                    &columns,
                    &TimeZone::UTC,
                ));
            }
        }
        Part::Word => word_often(&old, &new, times)?,
        Part::Settle => settle_often(times)?,
    }
    Ok(())
}

const WATCHED: [&str; 4] = ["window_start", "window_end", "address", "status"];

fn shop_columns() -> Columns {
    let types = [
        ("window_start", "timestamp with time zone"),
        ("window_end", "timestamp with time zone"),
        ("address", "text"),
        ("status", "text"),
    ];
    let kinds = types.map(|(name, kind)| (name.to_owned(), ColumnKind::of(kind)));
    columns(kinds.into(), &WATCHED.map(str::to_owned), &BTreeMap::new())
}

fn fold_often(old: &Row, new: &Row, times: u32) {
    let rules = Arc::new(FoldRules {
        key: vec!["id".to_owned()],
        watched: WATCHED.map(str::to_owned).into(),
        on: vec![Operation::Insert, Operation::Update, Operation::Delete],
        ..FoldRules::default()
    });
    let change = |change_id: i64, before: &Row, after: &Row| Change {
        change_id,
        watch: "home_delivery".to_owned(),
        entity_key: "7".to_owned(),
        operation: Operation::Update,
        old_row: Some(before.clone()),
        new_row: Some(after.clone()),
        changed_at: Timestamp::UNIX_EPOCH + change_id.seconds(),
        changed_by: "shop (web)".to_owned(),
        mute_reason: None,
        transaction_id: change_id,
        set_aside: None,
        table: None,
    };
    for _ in 0..times {
        let changes = vec![change(1, old, new), change(2, new, old), change(3, old, new)];
        black_box(fold(changes, &|_| Some(rules.clone())));
    }
}

fn word_often(old: &Row, new: &Row, times: u32) -> anyhow::Result<()> {
    let columns = shop_columns();
    let texts = |value: Value| serde_json::from_value::<LocalizedText>(value);
    let rule: SayRule = serde_json::from_value(json!({
        "when": ["window_start", "window_end"],
        "text": "New window: {{ window_start | date }} from {{ window_start | time }} to {{ window_end | time }}."
    }))?;
    let (service, text, language) = (
        texts(json!({"en": "home delivery", "es": "entrega a domicilio"}))?,
        texts(json!({"en": "Hello, {{1}}! The status of your {{2}} has been updated. {{3}}"}))?,
        texts(json!({"default": "en"}))?,
    );
    let body = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"].map(str::to_owned);
    let label = BTreeMap::from([("address".to_owned(), texts(json!("Address"))?)]);
    let phrasing = Phrasing::compile(&PhrasingSource {
        service: Some(&service),
        say: &[rule],
        label: &label,
        value: &BTreeMap::new(),
        phrase: &BTreeMap::new(),
        body: &body,
        text: Some(&text),
        language: &language,
        default_locale: "en",
        columns: Some(&WATCHED.map(str::to_owned)),
    });
    let phrasing = phrasing.map_err(|found| anyhow::anyhow!("the words are wrong: {found:?}"))?;
    let zone = TimeZone::get("America/New_York")?;
    let changes = diff(Some(old), Some(new), &WATCHED.map(str::to_owned), &columns, &zone);
    let names = Arc::default();
    for _ in 0..times {
        black_box(phrasing.word(&RenderContext {
            operation: Operation::Update,
            changes: black_box(&changes),
            old: Some(old),
            row: new,
            columns: &columns,
            names: &names,
            name: "Maria",
            locale: "en",
            time_zone: "America/New_York",
            service_zone: None,
            is_zone_unchosen: false,
            now: Timestamp::UNIX_EPOCH,
        }))?;
    }
    Ok(())
}

fn settle_often(times: u32) -> anyhow::Result<()> {
    let rules = RetryRules {
        max_attempts: 8,
        base: Duration::from_secs(2),
        cap: Duration::from_secs(3_600),
    };
    let answer = Answer {
        result: AttemptResult::Accepted {
            provider_message_id: "wamid.HBgLMTIwMjU1NTAxNDMVAgARGBI".to_owned(),
        },
        http_status: Some(200),
        error_code: None,
        error_text: None,
        response: None,
    };
    let receipt = |status, second: i64| Evidence {
        status,
        happened_at: Timestamp::UNIX_EPOCH + second.seconds(),
        error_code: None,
        error_title: None,
        error_text: None,
        provider_message_id: "wamid.HBgLMTIwMjU1NTAxNDMVAgARGBI".to_owned(),
    };
    let event_of = |evidence: &Evidence| Event::Receipt(evidence.status);
    for _ in 0..times {
        let (event, _) = disposition(black_box(&answer), 1, rules, 0.5);
        let state = apply(State::Sending, event)?;
        let receipts = vec![
            receipt(ReceiptStatus::Read, 3),
            receipt(ReceiptStatus::Sent, 1),
            receipt(ReceiptStatus::Delivered, 2),
        ];
        black_box(weigh(state, receipts, event_of));
    }
    Ok(())
}
