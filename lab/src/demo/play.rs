//! `rowbell-lab demo`: the whole job in front of your eyes.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_postgres::Client;

use crate::demo::show::{Show, Voice};
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::demo::workload::Workload;
use crate::sandbox::{Delay, Outcome, ReceiptOptions, Sandbox, SandboxOptions};

/// How long the last messages may take once the back office has gone home.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait for receipts that may never come, because a phone is off.
const LAST_RECEIPTS: Duration = Duration::from_secs(4);

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DemoCounts {
    /// Row changes that the back office made in watched columns.
    pub changes: u64,
    pub messages: u64,
    /// Accepted by the provider, whatever became of them.
    pub sent: u64,
    /// Delivered or read.
    pub delivered: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Changes without a message, and messages on record that the provider never had.
    pub lost: u64,
    /// Messages that the provider had more often than they are on record.
    pub duplicates: u64,
}

/// Plays for some time, or until Ctrl-C, and says what happened.
pub async fn run(exe: &Path, length: Option<Duration>, voice: Voice) -> anyhow::Result<DemoCounts> {
    // From here on: who stops us while things are set up wants nothing left behind, either.
    let mut signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    voice.say("Setting up a throwaway PostgreSQL, a simulated provider, and a back office …");
    let testbed = Testbed::raise(exe, TestbedOptions::default(), provider()).await?;
    let client = testbed.connect().await?;
    people(&testbed.sandbox, &client).await?;
    let daemon = testbed.daemon().await?;
    let file = testbed.config_file();
    voice.say(format_args!("rowbell runs. Its configuration: {}\n", file.display()));

    let mut workload = Workload::new(testbed.connect().await?, 7, 60, 60);
    let mut show = Show::new(voice);
    let mut changes = 0;
    let mut edits = tokio::time::interval(Duration::from_millis(700));
    let mut looks = tokio::time::interval(Duration::from_millis(150));
    let end = tokio::time::sleep(length.unwrap_or(Duration::from_secs(365 * 24 * 3600)));
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            () = told_to_stop(&mut signals) => break,
            _ = edits.tick() => {
                let edit = workload.edit().await?;
                changes += edit.changes;
                voice.say(format_args!("back office: {}", edit.what));
            }
            _ = looks.tick() => show.look(&client, &testbed.sandbox).await?,
        }
    }
    voice.say("\nThe back office has gone home; waiting for the last messages …");
    let settled = tokio::select! {
        settled = settle(&client, &testbed.sandbox, &mut show) => settled,
        () = told_to_stop(&mut signals) => anyhow::bail!("stopped before the last messages were through"),
    };
    if let Err(error) = settled {
        voice.say(format_args!("\nThe daemon's log:\n{}", testbed.log()));
        return Err(error);
    }
    let counts = count(&client, &testbed.sandbox, changes).await?;
    summary(&client, voice).await?;
    daemon.stop().await?;
    Ok(counts)
}

fn provider() -> SandboxOptions {
    let receipts = ReceiptOptions {
        sent: Some(Delay::between(50, 200)),
        delivered: Some(Delay::between(300, 1_200)),
        read: Some(Delay::between(1_000, 3_000)),
        ..ReceiptOptions::default()
    };
    SandboxOptions { receipts, ..SandboxOptions::default() }
}

/// Some customers are not easy to reach.
async fn people(sandbox: &Sandbox, client: &Client) -> anyhow::Result<()> {
    let kinds =
        [(5_i64, Outcome::Undeliverable), (11, Outcome::PhoneOff), (17, Outcome::NotOnWhatsapp)];
    for (id, outcome) in kinds {
        let row = client.query_one("select phone from customer where id = $1", &[&id]).await?;
        sandbox.set_outcome(row.get::<_, String>(0).trim_start_matches('+'), outcome);
    }
    client.execute("update customer set phone = 'call my wife' where id = 23", &[]).await?;
    Ok(())
}

async fn told_to_stop([interrupt, terminate]: &mut [Signal; 2]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn settle(client: &Client, sandbox: &Sandbox, show: &mut Show) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let open =
        "select (select count(*) from rowbell.change) + (select count(*) from rowbell.queue)";
    loop {
        show.look(client, sandbox).await?;
        if client.query_one(open, &[]).await?.get::<_, i64>(0) == 0 {
            break;
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "messages were still open after {SETTLE_TIMEOUT:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let receipts = Instant::now() + LAST_RECEIPTS;
    while Instant::now() < receipts && sandbox.counts().receipts_pending > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        show.look(client, sandbox).await?;
    }
    Ok(())
}

/// Compares what the back office did, what stands in the database, and what the provider had.
pub async fn count(client: &Client, sandbox: &Sandbox, changes: u64) -> anyhow::Result<DemoCounts> {
    let row = client
        .query_one(
            "select count(*), count(*) filter (where sent_at is not null),
                    count(*) filter (where state in ('delivered', 'read')),
                    count(*) filter (where state = 'failed'), count(*) filter (where state = 'skipped'),
                    coalesce(sum(change_count), 0)::bigint
               from rowbell.message",
            &[],
        )
        .await?;
    let number = |i: usize| u64::try_from(row.get::<_, i64>(i)).unwrap_or(0);
    let (missing, extra) = compare(client, sandbox).await?;
    Ok(DemoCounts {
        changes,
        messages: number(0),
        sent: number(1),
        delivered: number(2),
        failed: number(3),
        skipped: number(4),
        lost: changes.saturating_sub(number(5)) + missing,
        duplicates: extra,
    })
}

/// Messages that one side has more often than the other: (the provider lacks, the provider has more).
async fn compare(client: &Client, sandbox: &Sandbox) -> anyhow::Result<(u64, u64)> {
    let mut balance: HashMap<(String, Vec<String>), i64> = HashMap::new();
    let sql = "select recipient_phone, array(select jsonb_array_elements_text(parameters))
                 from rowbell.message where sent_at is not null";
    for row in client.query(sql, &[]).await? {
        *balance.entry((row.get(0), row.get(1))).or_default() += 1;
    }
    for seen in sandbox.all_seen() {
        *balance.entry((seen.phone, seen.parameters)).or_default() -= 1;
    }
    let missing: i64 = balance.values().filter(|b| **b > 0).sum();
    let extra: i64 = balance.values().filter(|b| **b < 0).sum();
    Ok((missing.unsigned_abs(), extra.unsigned_abs()))
}

async fn summary(client: &Client, voice: Voice) -> anyhow::Result<()> {
    let sql = "select watch, state::text || coalesce(' (' || reason::text || ')', ''), count(*)
                 from rowbell.message group by 1, 2 order by 1, 3 desc";
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_NO_BORDERS);
    table.set_header(["watch", "outcome", "messages"]);
    for row in client.query(sql, &[]).await? {
        let count: i64 = row.get(2);
        table.add_row([row.get::<_, String>(0), row.get(1), count.to_string()]);
    }
    voice.say(format_args!("\n{table}"));
    voice.say(
        "\nTo look further in a database of your own:\n  \
         select * from rowbell_report.message_status order by message_id desc limit 20;\n  \
         select * from rowbell_report.failures;\n  \
         select * from rowbell_report.delivery_by_day;\n  \
         rowbell explain home_delivery 17",
    );
    Ok(())
}
