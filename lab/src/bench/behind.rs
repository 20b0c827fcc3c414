//! `bench behind`: how long a change of another watch takes behind one statement that changes 100,000 rows, and how fast
//! a person's word about those is carried out.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::bench::report::{Report, machine, round};
use crate::bench::write::median;
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::sandbox::{ReceiptOptions, SandboxOptions};
use rowbell::clock::Clock;

const ROWS: u64 = 100_000;
/// Messages a second on the channel.
const RATE: u64 = 1_000;
const REPEATS: usize = 3;
/// Changes of the other watch before each bulk edit, and behind it.
const CHANGES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(120);
/// How long approved messages are counted.
const SECONDS: u64 = 5;

pub async fn run(exe: &Path) -> anyhow::Result<Report> {
    let options = TestbedOptions {
        customers: ROWS,
        deliveries: ROWS,
        rate: format!("{RATE}/s"),
        quiet_period: "0s".to_owned(),
        webhook: false,
        edits: vec![("transaction = 0", "transaction = 500")],
        ..TestbedOptions::default()
    };
    let provider = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    let testbed = Testbed::raise(exe, options, provider).await?;
    let client = testbed.connect().await?;
    client.batch_execute("update customer set whatsapp_opt_in = true").await?;
    let daemon = testbed.daemon().await?;
    let mut bench = Behind { testbed, client, changes: 0 };
    bench.others().await?;
    let (mut alone, mut behind, mut discards) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        alone.extend(bench.others().await?);
        bench.edit_all().await?;
        behind.extend(bench.others().await?);
        bench.until_held().await?;
        discards.push(bench.discard().await?);
    }
    bench.edit_all().await?;
    bench.until_held().await?;
    let (took, first, rate) = bench.approve().await?;
    daemon.stop().await?;
    let mut report = Report::new(
        "bench behind (a change of another watch behind one UPDATE of 100,000 rows)",
        machine(&bench.client).await?,
    );
    report.row("alone_p50_ms", round(median(Some(&alone)), 2));
    report.row("behind_p50_ms", round(median(Some(&behind)), 2));
    let longest = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    report.row("alone_max_ms", round(longest(&alone), 2));
    report.row("behind_max_ms", round(longest(&behind), 2));
    report.row("discard_ms", round(median(Some(&discards)), 0));
    report.row("approve_ms", round(took, 0));
    report.row("approved_in_the_first_second", first);
    report.row("approved_per_second", round(rate, 0));
    report.note(&format!(
        "the first of them is committed right after the bulk edit; discard and approve are the commands as a whole, and \
         {RATE} messages a second may leave: those of the first second and of {SECONDS} s are counted from the end of approve"
    ));
    Ok(report)
}

struct Behind {
    testbed: Testbed,
    client: Client,
    changes: i64,
}

impl Behind {
    /// One UPDATE of all rows of the first watch.
    async fn edit_all(&mut self) -> anyhow::Result<()> {
        self.changes += 1;
        let sql = format!("update delivery set address = 'bulk {} ' || id", self.changes);
        Ok(self.client.batch_execute(&sql).await?)
    }

    /// Changes of the other watch, one after the other: milliseconds from commit to arrival.
    async fn others(&mut self) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        for _ in 0..CHANGES {
            self.changes += 1;
            let id = 1 + self.changes % 200;
            let room = format!("Room {}", self.changes);
            let expected = self.testbed.sandbox.count() + 1;
            let sql = "update appointment set room = $2 where id = $1";
            self.client.execute(sql, &[&id, &room]).await?;
            let committed = Clock::system().now();
            self.testbed.sandbox.wait_for(expected, PATIENCE).await?;
            let all = self.testbed.sandbox.arrivals();
            let arrived = all.last().map_or(0, |arrival| arrival.at_ns);
            let committed = i64::try_from(committed.as_nanosecond())?;
            times.push(((arrived - committed) as f64 / 1e6).max(0.0));
        }
        Ok(times)
    }

    async fn until_held(&self) -> anyhow::Result<()> {
        let held =
            format!("select coalesce(sum(entity_count), 0) = {ROWS} from rowbell.held_transaction");
        self.until(&held, "the bulk edit was not held").await
    }

    /// Waits until a query says so.
    async fn until(&self, sql: &str, otherwise: &'static str) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.client.query_one(sql, &[]).await?.get::<_, bool>(0) {
            anyhow::ensure!(Instant::now() < end, otherwise);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// `rowbell discard`: how many milliseconds it takes. Then the daemon writes down what became of each.
    async fn discard(&self) -> anyhow::Result<f64> {
        let began = Instant::now();
        self.testbed.command(&["discard", "--reason", "a benchmark", "--yes"])?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        let gone = "select not exists (select from rowbell.change)";
        self.until(gone, "the discarded changes were not claimed").await?;
        Ok(took)
    }

    /// `rowbell approve`: how many milliseconds it takes, and how many messages leave in the first second after it, and
    /// a second on average.
    async fn approve(&self) -> anyhow::Result<(f64, u64, f64)> {
        let before = self.testbed.sandbox.count();
        let began = Instant::now();
        self.testbed.command(&["approve", "--yes"])?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let first = self.testbed.sandbox.count() - before;
        tokio::time::sleep(Duration::from_secs(SECONDS - 1)).await;
        let all = self.testbed.sandbox.count() - before;
        Ok((took, first, all as f64 / SECONDS as f64))
    }
}
