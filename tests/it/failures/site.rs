//! A site with a real daemon, asked from outside what an orchestrator asks, while something around it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::daemon::Daemon;
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions, connect};
use rowbell_lab::sandbox::{Delay, ReceiptOptions, SandboxOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::resilience::crash::judge;

const EXE: &str = env!("CARGO_BIN_EXE_rowbell");

/// How long anything may take. A machine may be busy.
const DEADLINE: Duration = Duration::from_secs(90);

/// Deliveries, and customers with one each.
const DELIVERIES: u64 = 40;

/// A server, a provider, the configuration of a daemon, and where that is asked.
pub struct Site {
    pub testbed: Testbed,
    folder: Scratch,
    /// Where the business writes.
    pub url: String,
    version: u64,
}

/// How a site is set up.
#[derive(Default)]
pub struct SiteOptions {
    pub settings: Vec<(String, String)>,
    pub provider: SandboxOptions,
}

impl Site {
    pub async fn new() -> Site {
        Site::with(SiteOptions::default()).await
    }

    pub async fn with(options: SiteOptions) -> Site {
        let folder = Scratch::new("site").unwrap();
        // What an unconfirmed attempt costs is no matter here: it is asked anew after a second.
        let edits = vec![
            ("expires_at   = \"window_end\"", "unconfirmed = \"resend\""),
            (
                "provider   = \"1msg\"",
                "provider = \"1msg\"\ntimeout = \"1s\"\nconnect_timeout = \"300ms\"",
            ),
            (
                "[webhook]",
                "connect_timeout = \"2s\"\nstatement_timeout = \"2s\"\n[doorbell]\nheartbeat = \"500ms\"\n[delivery]\n\
                 lease = \"2s\"\nunconfirmed_after = \"1s\"\nretry_base = \"1s\"\nretry_cap = \"1s\"\n[webhook]",
            ),
        ];
        let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
        let testbed = TestbedOptions {
            cluster: ClusterOptions {
                cache,
                settings: options.settings,
                ..ClusterOptions::default()
            },
            customers: DELIVERIES,
            deliveries: DELIVERIES,
            rate: "10000/s".to_owned(),
            quiet_period: "0s".to_owned(),
            webhook: false,
            edits,
            ..TestbedOptions::default()
        };
        let receipts = ReceiptOptions { sent: Some(Delay::of(0)), ..ReceiptOptions::none() };
        let provider = SandboxOptions { receipts, ..options.provider };
        let testbed = Testbed::raise(Path::new(EXE), testbed, provider).await.unwrap();
        let url = testbed.url();
        let site = Site { testbed, folder, url, version: 0 };
        site.sql("update customer set whatsapp_opt_in = true").await;
        site
    }

    /// Another text in the place of one of the configuration.
    pub fn configure(&self, from: &str, to: &str) {
        let file = self.testbed.config_file();
        let before = fs::read_to_string(&file).unwrap();
        let after = before.replace(from, to);
        assert_ne!(before, after, "{from}");
        fs::write(file, after).unwrap();
    }

    /// A daemon that is asked under this name.
    pub async fn daemon(&self, name: &str) -> Daemon {
        self.daemon_by(name, "exec \"$@\"").await
    }

    /// The same, started by a line of a shell: its arguments are the command.
    pub async fn daemon_by(&self, name: &str, line: &str) -> Daemon {
        let program = self.folder.path().join(format!("rowbell-{name}"));
        let socket = self.socket(name);
        let script = format!(
            "#!/bin/sh\nexport ROWBELL__METRICS__LISTEN=unix:{}\nset -- {EXE} \"$@\"\n{line}\n",
            socket.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Daemon::start(&program, &self.testbed.config_file(), self.folder.path()).await.unwrap()
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.sock"))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("daemon.log")).unwrap_or_default()
    }

    /// What GET /readyz of a daemon answers; None: nothing.
    pub async fn readyz(&self, name: &str) -> Option<(u16, String)> {
        self.ask(name, "/readyz").await
    }

    async fn ask(&self, name: &str, path: &str) -> Option<(u16, String)> {
        let asked = async {
            let mut stream = UnixStream::connect(self.socket(name)).await.ok()?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, text) = answer.split_once("\r\n\r\n")?;
            Some((head.split(' ').nth(1)?.parse().ok()?, text.to_owned()))
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.ok().flatten()
    }

    /// Waits until a daemon has seen how far the clock of its host is ahead of the database's.
    pub async fn until_ahead(&self, name: &str, seconds: f64) {
        let end = Instant::now() + DEADLINE;
        let ahead = |text: &str| -> Option<f64> {
            let line =
                text.lines().find(|line| line.starts_with("rowbell_clock_ahead_seconds "))?;
            line.split(' ').nth(1)?.parse().ok()
        };
        loop {
            let said = self.ask(name, "/metrics").await.and_then(|(_, text)| ahead(&text));
            if said.is_some_and(|said| (said - seconds).abs() < 60.0) {
                return;
            }
            assert!(Instant::now() < end, "{name} is {said:?} s ahead, and not {seconds}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a daemon is not ready, and gives this reason.
    pub async fn until_not_ready(&self, name: &str, reason: &str) -> String {
        self.until(name, 503, reason).await
    }

    pub async fn until_ready(&self, name: &str) {
        self.until(name, 200, "ready").await;
    }

    async fn until(&self, name: &str, status: u16, line: &str) -> String {
        let (began, end) = (Instant::now(), Instant::now() + DEADLINE);
        loop {
            let said = self.readyz(name).await;
            if let Some((answered, text)) = &said
                && *answered == status
                && text.lines().any(|said| said.starts_with(line))
            {
                println!("{line} after {:.1} s", began.elapsed().as_secs_f64());
                return text.clone();
            }
            assert!(Instant::now() < end, "{name} did not say {line}: {said:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The owner of the database does something.
    pub async fn sql(&self, sql: &str) {
        self.try_sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub async fn try_sql(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        connect(&self.url).await?.batch_execute(sql).await
    }

    /// The business changes so many deliveries, one after the other.
    pub async fn change(&mut self, times: u64) {
        let db = connect(&self.url).await.unwrap();
        for _ in 0..times {
            self.version += 1;
            let id = 1 + self.version % DELIVERIES;
            let sql = format!("update delivery set address = 'v{}' where id = {id}", self.version);
            db.batch_execute(&sql).await.unwrap();
        }
    }

    /// Waits until everything has left, and looks whether anything was lost or doubled.
    pub async fn nothing_is_lost_or_doubled(&self, story: &str) {
        let end = Instant::now() + DEADLINE;
        let open =
            "select (select count(*) from rowbell.change) + (select count(*) from rowbell.queue)";
        let db = connect(&self.url).await.unwrap();
        while db.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(Instant::now() < end, "{story}: it did not settle\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("{story}: all has left");
        judge(&db, &self.testbed.sandbox, story).await;
    }
}

/// Says that a story cannot be told on this machine, and why; it is told where root may mount and make networks.
/// `scripts/test` says so too, where nobody looks at what a story prints; ROWBELL_NO_SKIPS makes it a failure.
pub fn skipped(what: &str) {
    assert!(std::env::var_os("ROWBELL_NO_SKIPS").is_none(), "not tried: {what}");
    println!("SKIPPED: {what}");
}
