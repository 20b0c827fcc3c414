//! The unit, and the daemon as systemd sees it: what it says on its way up and down, and with which
//! exit code it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod systemd {
    mod readiness;
    mod reload;
    mod watchdog;
}

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rowbell_lab::demo::cluster::{ClusterOptions, wait_until};
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Fault, FaultRule, ReceiptOptions, SandboxOptions};
use rustix::process::{Pid, Signal, kill_process};

const EXE: &str = env!("CARGO_BIN_EXE_rowbell");
const UNIT: &str = include_str!("../systemd/rowbell.service");
const DEADLINE: Duration = Duration::from_secs(30);

/// Value of the first line `name=…` of the unit.
fn setting(name: &str) -> &'static str {
    let found = UNIT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("the unit has no {name}"))
}

/// A copy of the unit that starts the program that was just built.
fn unit(folder: &Path) -> PathBuf {
    let file = folder.join("rowbell.service");
    fs::write(&file, UNIT.replace("/usr/bin/rowbell", EXE)).unwrap();
    file
}

fn analyze(arguments: &[&str], file: &Path) -> Output {
    let run = Command::new("systemd-analyze").args(arguments).arg(file).output();
    run.expect("systemd-analyze is there: scripts/test installs it")
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let folder = Scratch::new("test").unwrap();
    let output = analyze(&["verify"], &unit(folder.path()));
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert_eq!((said.as_ref(), output.status.code()), ("", Some(0)));
}

#[test]
fn the_daemon_is_exposed_as_little_as_one_that_talks_to_the_internet_can_be() {
    let folder = Scratch::new("test").unwrap();
    // In tenths: 1.2 of 10; a unit without any protection has 9.6.
    let arguments = ["security", "--no-pager", "--offline=yes", "--threshold=12"];
    let output = analyze(&arguments, &unit(folder.path()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The unit and its socket agree.
#[test]
fn systemd_has_nothing_to_say_about_the_socket() {
    let folder = Scratch::new("test").unwrap();
    unit(folder.path());
    let file = folder.path().join("rowbell.socket");
    fs::write(&file, include_str!("../systemd/rowbell.socket")).unwrap();
    let output = analyze(&["verify"], &file);
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert_eq!((said.as_ref(), output.status.code()), ("", Some(0)));
}

/// What is better in one of them must not be missing in the other.
#[test]
fn an_instance_for_one_database_has_the_unit_of_the_only_one() {
    let instance = include_str!("../systemd/rowbell@.service");
    let is_own = |line: &&str| line.contains("%i") || line.contains("rowbell@");
    let own = instance.lines().filter(is_own).count();
    assert_eq!(own, 7, "the first line, and those with a path");
    let shared: Vec<&str> = instance.lines().filter(|line| !is_own(line)).collect();
    let of_the_only_one: Vec<&str> = UNIT.lines().collect();
    let missing: Vec<&&str> =
        shared.iter().filter(|line| !of_the_only_one.contains(line)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(instance.lines().count(), UNIT.lines().count() + 2, "nothing of it is missing");
    let folder = Scratch::new("test").unwrap();
    let file = folder.path().join("rowbell@.service");
    fs::write(&file, instance.replace("/usr/bin/rowbell", EXE)).unwrap();
    let output = analyze(&["verify"], &folder.path().join("rowbell@crm.service"));
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert_eq!((said.as_ref(), output.status.code()), ("", Some(0)));
}

#[test]
fn its_user_is_one_that_systemd_can_make() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/rowbell.sysusers");
    let output = Command::new("systemd-sysusers").args(["--dry-run", file]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(fs::read_to_string(file).unwrap().contains(&format!("u {} ", setting("User"))));
}

#[test]
fn the_unit_fits_the_settings() {
    let default = rowbell::config::load::from_text("").unwrap();
    let backoff = setting("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(Duration::from_secs(backoff) > default.delivery.shutdown_timeout);
    // Half of the watchdog's time is longer than any step in order.
    let minutes: u64 = setting("WatchdogSec").trim_end_matches("min").parse().unwrap();
    let database = &default.database;
    let step = database.connect_timeout + Duration::from_secs(25) + database.statement_timeout * 2;
    assert!(Duration::from_secs(minutes * 60) / 2 > step);
    let (credential, _) = setting("LoadCredential").split_once(':').unwrap();
    let documented = format!("# token_file      = \"{credential}\"");
    assert!(rowbell::config::load::DEFAULT.contains(&documented), "{documented}");
}

#[test]
fn what_a_restart_cannot_mend_ends_with_a_code_that_prevents_one() {
    let folder = Scratch::new("test").unwrap();
    let code = |text: &str, arguments: &[&str]| {
        let file = folder.path().join("rowbell.toml");
        fs::write(&file, text).unwrap();
        let run = Command::new(EXE).arg("--config").arg(file).args(arguments).output().unwrap();
        run.status.code().unwrap().to_string()
    };
    let prevented: Vec<&str> = setting("RestartPreventExitStatus").split(' ').collect();
    assert!(prevented.contains(&code("[database]\nurll = ''", &["run"]).as_str()));
    assert!(prevented.contains(&code("", &["run", "--no-such-option"]).as_str()));
    let nobody = "[database]\nurl = 'postgresql://rowbell@127.0.0.1:1/crm?sslmode=disable'";
    assert!(!prevented.contains(&code(nobody, &["run"]).as_str()), "a database may come back");
    if !Path::new("/run/systemd/journal/socket").exists() {
        assert!(prevented.contains(&code("[log]\nformat = 'journald'", &["run"]).as_str()));
    }
}

#[tokio::test]
async fn a_database_that_refuses_us_is_a_mistake_and_one_that_is_away_is_not() {
    let testbed = testbed().await;
    let written = fs::read_to_string(testbed.config_file()).unwrap();
    let check = |url: String| {
        let file = testbed.config_file().with_file_name("other.toml");
        fs::write(&file, written.replace(&testbed.cluster.url("crm"), &url)).unwrap();
        let run = Command::new(EXE).arg("--config").arg(file).arg("check").output().unwrap();
        (
            run.status.code(),
            String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap(),
        )
    };
    let (code, said) = check(testbed.cluster.url("crn"));
    assert_eq!(code, Some(1), "{said}");
    let why = "that database does not exist; check its name in database.url";
    assert!(said.contains(why) && !said.contains("is good"), "{said}");
    let (code, said) = check("postgresql://postgres@127.0.0.1:1/crm?sslmode=disable".to_owned());
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("not looked at: tables") && !said.contains("is good"), "{said}");
}

/// `rowbell run`, with the test in the place of systemd.
struct Service {
    child: Child,
    socket: UnixDatagram,
    /// Every line it has said.
    said: Vec<String>,
    log: PathBuf,
    config: PathBuf,
    _folder: Scratch,
}

impl Service {
    /// As the unit does: the token is a credential.
    fn start(testbed: &Testbed) -> Service {
        Service::start_with(testbed, &[])
    }

    /// The same with more options for `run`.
    fn start_with(testbed: &Testbed, options: &[&str]) -> Service {
        Service::start_over(testbed, options, None)
    }

    /// The same over another database.
    fn start_over(testbed: &Testbed, options: &[&str], url: Option<&str>) -> Service {
        let url = url.map(|url| ("ROWBELL__DATABASE__URL", url));
        Service::begin(testbed, options, url.as_slice(), None)
    }

    /// The same with variables, and with a socket that systemd has opened.
    fn begin(
        testbed: &Testbed,
        options: &[&str],
        variables: &[(&str, &str)],
        socket_of_ours: Option<TcpListener>,
    ) -> Service {
        let folder = Scratch::new("test").unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let written = fs::read_to_string(testbed.config_file()).unwrap();
        let token = testbed.config_file().with_file_name("1msg.token");
        fs::copy(&token, folder.path().join("1msg.token")).unwrap();
        let config = folder.path().join("rowbell.toml");
        fs::write(&config, written.replace(token.to_str().unwrap(), "1msg.token")).unwrap();
        let log = folder.path().join("log");
        let mut command = match socket_of_ours {
            None => Command::new(EXE),
            Some(listener) => {
                // The file after the three of every process, and the process id of the daemon itself.
                let passes = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=webhook; exec \"$@\" 3<&0 </dev/null";
                let mut command = Command::new("sh");
                command.args(["-c", passes, "sh", EXE]).stdin(OwnedFd::from(listener));
                command
            }
        };
        let child = command
            .arg("--config")
            .arg(&config)
            .arg("run")
            .args(options)
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .envs(variables.iter().copied())
            .env("CREDENTIALS_DIRECTORY", folder.path())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Service { child, socket, said: Vec::new(), log, config, _folder: folder }
    }

    /// Takes what it has said, waiting at most so long for the first word.
    fn hear(&mut self, wait: Duration) {
        let mut buffer = [0; 4_096];
        self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                self.said.extend(text.lines().map(str::to_owned));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn wait_for(&mut self, word: &str) {
        self.wait_for_times(word, 1);
    }

    /// Until it has said this so often.
    fn wait_for_times(&mut self, word: &str, times: usize) {
        let end = Instant::now() + DEADLINE;
        while self.said.iter().filter(|line| *line == word).count() < times {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{word} was not said: {:?}\n{}", self.said, self.logged());
            self.hear(left);
        }
    }

    /// The configuration, with something else in it.
    fn write(&self, from: &str, to: &str) {
        let written = fs::read_to_string(&self.config).unwrap();
        let changed = written.replace(from, to);
        assert_ne!(written, changed, "{from}");
        fs::write(&self.config, changed).unwrap();
    }

    fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        assert!(wait_until(DEADLINE, || self.child.try_wait().unwrap().is_some()), "it went on");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn testbed() -> Testbed {
    town_with(Vec::new()).await
}

async fn town_with(edits: Vec<(&'static str, &'static str)>) -> Testbed {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        customers: 2,
        deliveries: 2,
        quiet_period: "0s".to_owned(),
        webhook: false,
        edits,
        ..TestbedOptions::default()
    };
    let provider = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    Testbed::raise(Path::new(EXE), options, provider).await.unwrap()
}

#[tokio::test]
async fn the_daemon_is_ready_once_it_listens_and_not_before() {
    let testbed = testbed().await;
    let admin = testbed.connect().await.unwrap();
    // One connection is enough for the daemon to start, and not enough to listen as well.
    admin
        .batch_execute(
            "create role keeper login connection limit 1 in role rowbell_daemon;
             grant select on all tables in schema public to keeper",
        )
        .await
        .unwrap();
    let config = fs::read_to_string(testbed.config_file()).unwrap();
    let url = testbed.url();
    let as_keeper = config.replace(&url, &url.replace("postgres@", "keeper@"));
    assert_ne!(config, as_keeper);
    fs::write(testbed.config_file(), as_keeper).unwrap();

    let mut service = Service::start(&testbed);
    service.wait_for("STATUS=Starting");
    let is_deaf = || service.logged().contains("the doorbell cannot be heard");
    assert!(wait_until(DEADLINE, is_deaf), "{}", service.logged());
    service.hear(Duration::ZERO);
    assert!(!service.said.contains(&"READY=1".to_owned()), "{:?}", service.said);

    admin.batch_execute("alter role keeper connection limit -1").await.unwrap();
    service.wait_for("READY=1");
    // The session itself asked PostgreSQL whether it listens, and heard its own ring, before.
    assert!(
        service.logged().lines().any(|line| line.ends_with(" listening")),
        "{}",
        service.logged()
    );
    assert!(service.said.contains(&"STATUS=Listening".to_owned()), "{:?}", service.said);
    let change = "update delivery set address = '7 Another Street' where id = 1";
    admin.batch_execute(change).await.unwrap();
    testbed.sandbox.wait_for(1, DEADLINE).await.unwrap();

    service.terminate();
    service.wait_for("STOPPING=1");
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight() {
    let testbed = testbed().await;
    let db = testbed.connect().await.unwrap();
    let mut service = Service::start(&testbed);
    service.wait_for("READY=1");
    testbed.sandbox.set_faults(vec![FaultRule::always(Fault::Latency { ms: 500, jitter_ms: 0 })]);
    let change = "update delivery set address = '7 Another Street' where id = 1";
    db.batch_execute(change).await.unwrap();
    testbed.sandbox.wait_for(1, DEADLINE).await.unwrap();

    // The provider has it, and its answer is on the way.
    service.terminate();
    service.wait_for("STATUS=Finishing what is in flight");
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
    let state = "select string_agg(state::text, ' ') from rowbell.message";
    let state: Option<String> = db.query_one(state, &[]).await.unwrap().get(0);
    assert_eq!(state.as_deref(), Some("sent"));
    assert_eq!(testbed.sandbox.count(), 1);
}

/// A second channel, to somebody who is not there.
const SMS: (&str, &str) = (
    "[template.service_change]",
    "[channel.sms]\nprovider = \"http\"\nurl = \"http://127.0.0.1:1/\"\nbody = '{ \"text\": \"{{ text }}\" }'\n\
     [template.service_change]",
);

/// gcm-playground #24: with the switch for a dry run on, it sent all the same.
#[tokio::test]
async fn a_dry_run_says_loudly_what_it_is_and_nothing_leaves() {
    let testbed = town_with(vec![SMS]).await;
    let db = testbed.connect().await.unwrap();
    let mut service = Service::start_with(&testbed, &["--dry-run"]);
    service.wait_for("READY=1");
    service.wait_for("STATUS=Listening; DRY RUN on main, sms");
    let change = "update delivery set address = '7 Another Street' where id = 1";
    db.batch_execute(change).await.unwrap();
    let recorded = "select string_agg(concat_ws(' ', channel, state, reason, attempt_count), ', ') from rowbell.message";
    let mut shown = String::new();
    let end = Instant::now() + DEADLINE;
    while shown != "main skipped dry_run 1" {
        assert!(Instant::now() < end, "{shown}\n{}", service.logged());
        tokio::time::sleep(Duration::from_millis(20)).await;
        let row = db.query_one(recorded, &[]).await.unwrap();
        shown = row.get::<_, Option<String>>(0).unwrap_or_default();
    }
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
    let logged = service.logged();
    let line = logged.lines().find(|line| line.contains("DRY RUN")).unwrap_or_default();
    assert!(line.contains(" WARN ") && line.ends_with("channels=\"main, sms\""), "{logged}");
    let counts = testbed.sandbox.counts();
    assert_eq!((counts.accepted, counts.refused), (0, 0), "nothing was asked of the provider");
}

/// A night without a database was a hundred lines a minute: check, start, error and end, every five seconds.
#[tokio::test]
async fn a_database_that_is_away_at_the_start_is_waited_for_with_one_line() {
    let testbed = testbed().await;
    let away = "postgresql://postgres@127.0.0.1:1/crm?sslmode=disable";
    let mut service = Service::start_over(&testbed, &[], Some(away));
    service.wait_for("STATUS=Waiting for the database");
    service.wait_for("EXTEND_TIMEOUT_USEC=120000000");
    assert!(!service.said.iter().any(|line| line == "READY=1"));
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
    let logged = service.logged();
    assert_eq!(logged.lines().filter(|line| line.contains(" WARN ")).count(), 1, "{logged}");
    assert!(logged.contains("the database cannot be used; waiting for it"), "{logged}");
}
