//! `bench drain`: how fast a full backlog leaves, through the whole job: fold, recipient, words,
//! attempt, request, answer, outcome.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::report::{Report, machine, round};
use crate::bench::statements;
use crate::demo::daemon::cpu_time_of_tree;
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::sandbox::{Arrival, ReceiptOptions, SandboxOptions};

/// How long one message may take before the benchmark gives up, on top of a minute.
const TIMEOUT_PER_MESSAGE: Duration = Duration::from_millis(5);

/// Moves every window by an hour: one change for each delivery.
const CHANGE_ALL: &str = "update delivery set window_start = window_start + interval '1 hour',
                                 window_end = window_end + interval '1 hour'";

/// Each customer has been told of their delivery often, last as it is.
const HISTORY: &str = "
    insert into rowbell.message (watch, entity_key, recipient_key, state, operation, first_changed_at, last_changed_at,
                                 new_row, channel, template, language, recipient_name, recipient_phone, recipient_locale,
                                 recipient_time_zone, summary, parameters, attempt_count, provider_message_id, sent_at,
                                 delivered_at, created_at, updated_by)
    select 'home_delivery', d.id::text, ltrim(c.phone, '+'), 'delivered', 'update', told.at, told.at,
           to_jsonb(d) - '{driver_note,updated_at}'::text[], 'main', 'service_change', 'en', c.full_name, ltrim(c.phone, '+'), c.locale,
           c.time_zone, 'An earlier change.', jsonb_build_array(c.full_name, 'home delivery', 'An earlier change.'), 1,
           'earlier.' || d.id || '.' || told.number, told.at, told.at, told.at, 'bench'
      from (select number, now() - number * interval '1 hour' as at from generate_series(1, :history) as number) as told
     cross join delivery as d
      join customer as c on c.id = d.customer_id
     order by told.number desc;
    insert into rowbell.last_told (watch, entity_key, recipient_key, message_id, attempt, first_message_id, status, told_at, row)
    select distinct on (m.entity_key) m.watch, m.entity_key, m.recipient_key, m.message_id, 1, m.message_id, 'arrived', m.sent_at, m.new_row
      from rowbell.message as m
     order by m.entity_key, m.message_id desc;
    analyze";

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DrainArgs {
    /// Messages in the backlog.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub messages: u64,
    /// Recipients of each row.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=2))]
    pub recipients: u64,
    /// Earlier messages of each row, as they are after years; their recipients know the row.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub history: u64,
    /// Another session holds an old snapshot throughout.
    #[arg(long)]
    pub hold_snapshot: bool,
    /// What each statement costs the server, by pg_stat_statements (which costs some time itself).
    #[arg(long)]
    pub statements: bool,
}

/// Builds the backlog without a daemon, starts the daemon, and waits until nothing is left.
pub async fn run(exe: &Path, args: DrainArgs) -> anyhow::Result<Report> {
    let mut options = TestbedOptions {
        // One delivery each: the same words twice to one phone would count as a duplicate.
        customers: args.messages,
        deliveries: args.messages,
        rate: "1000000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        webhook: false,
        ..TestbedOptions::default()
    };
    if args.recipients == 2 {
        options.edits.push((
            "c.id = changed.customer_id",
            "c.id in (changed.customer_id, changed.customer_id + 1)",
        ));
    }
    if args.statements {
        options.cluster.settings = statements::settings();
    }
    let provider =
        SandboxOptions { receipts: ReceiptOptions::none(), keep: 100, ..SandboxOptions::default() };
    let testbed = Testbed::raise(exe, options, provider).await?;
    let client = testbed.connect().await?;
    if args.history > 0 {
        client.batch_execute(&HISTORY.replace(":history", &args.history.to_string())).await?;
    }
    client.batch_execute(CHANGE_ALL).await?;
    // Some customers did not opt in: their messages are skipped, not sent.
    let sendable: i64 = client
        .query_one(
            "select count(*) from delivery d join customer c on c.id between d.customer_id and d.customer_id + $1 where c.whatsapp_opt_in",
            &[&(i64::try_from(args.recipients)? - 1)],
        )
        .await?
        .get(0);
    let sendable = u64::try_from(sendable)?;
    let snapshot = if args.hold_snapshot { Some(old_snapshot(&testbed).await?) } else { None };

    let postmaster = testbed.cluster.postmaster().unwrap_or_default();
    if args.statements {
        statements::begin(&client).await?;
    }
    let postgres_before = cpu_time_of_tree(postmaster);
    let timeout = Duration::from_secs(60) + TIMEOUT_PER_MESSAGE * u32::try_from(args.messages)?;
    let deadline = Instant::now() + timeout;
    let daemon = testbed.daemon().await?;
    testbed.sandbox.wait_for(sendable, timeout).await?;
    let empty =
        "select not exists (select from rowbell.change) and not exists (select from rowbell.queue)";
    while !client.query_one(empty, &[]).await?.get::<_, bool>(0) {
        anyhow::ensure!(Instant::now() < deadline, "the backlog did not drain within {timeout:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let arrivals = testbed.sandbox.arrivals();
    let ended_ns = i64::try_from(rowbell::clock::Clock::system().now().as_nanosecond())?;
    let usage = daemon.usage()?;
    let postgres = cpu_time_of_tree(postmaster).saturating_sub(postgres_before);
    drop(snapshot);
    daemon.stop().await?;

    let duplicates = testbed.sandbox.duplicates().len();
    anyhow::ensure!(duplicates == 0, "{duplicates} customers got a message twice");
    anyhow::ensure!(arrivals.len() as u64 == sendable, "not every message arrived exactly once");
    let run = Run { arrivals, ended_ns, cpu: usage.cpu, postgres, peak_kib: usage.peak_rss_kib };
    let mut report = run.report(machine(&client).await?, args);
    if args.statements {
        report.row("statements", statements::dearest(&client, sendable as f64).await?);
    }
    Ok(report)
}

/// Another session whose snapshot stays as old as now.
async fn old_snapshot(testbed: &Testbed) -> anyhow::Result<tokio_postgres::Client> {
    let session = testbed.connect().await?;
    session
        .batch_execute("begin isolation level repeatable read; select count(*) from pg_class")
        .await?;
    Ok(session)
}

/// What was seen of one drain.
struct Run {
    arrivals: Vec<Arrival>,
    ended_ns: i64,
    cpu: Duration,
    postgres: Duration,
    peak_kib: u64,
}

impl Run {
    fn report(&self, machine: String, args: DrainArgs) -> Report {
        let first_ns = self.arrivals.first().map_or(self.ended_ns, |arrival| arrival.at_ns);
        let seconds = (self.ended_ns - first_ns) as f64 / 1e9;
        let count = self.arrivals.len() as f64;
        let tenth = self.arrivals.len() / 10;
        let first = rate(&self.arrivals[..tenth]);
        let last = rate(&self.arrivals[self.arrivals.len() - tenth..]);
        let mut report = Report::new("bench drain", machine);
        report.row("messages", self.arrivals.len());
        report.row("seconds", round(seconds, 3));
        report.row("messages_per_second", (count / seconds).round());
        report.row("first_tenth_per_second", first.round());
        report.row("last_tenth_per_second", last.round());
        report.row("cpu_us_per_message", round(self.cpu.as_secs_f64() * 1e6 / count, 1));
        report.row(
            "postgres_cpu_us_per_message",
            round(self.postgres.as_secs_f64() * 1e6 / count, 1),
        );
        report.row("peak_rss_mib", round(self.peak_kib as f64 / 1024.0, 1));
        report.note("rate of the channel raised to 1,000,000/s, quiet period 0 s; every other setting is the default");
        if args.recipients > 1 {
            report.note("each row has two recipients");
        }
        if args.history > 0 {
            report.note(&format!("{} earlier messages of each row", args.history));
        }
        if args.hold_snapshot {
            report.note("another session held an old snapshot throughout");
        }
        report
    }
}

fn rate(arrivals: &[Arrival]) -> f64 {
    match (arrivals.first(), arrivals.last()) {
        (Some(first), Some(last)) if last.at_ns > first.at_ns => {
            (arrivals.len() - 1) as f64 * 1e9 / (last.at_ns - first.at_ns) as f64
        }
        _ => 0.0,
    }
}
