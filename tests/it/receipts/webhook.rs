//! `rowbell webhook`, as typed: the provider's list is replaced as a whole, so nothing of it may be lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Delay, ReceiptOptions, SandboxCounts, SandboxOptions};
use rustix::process::Signal;

const CHANNEL: &str = "ODI371267300";
const INBOX: &str = "https://inbox.example/hook";
const SOON: Duration = Duration::from_secs(30);
const OURS: &str = "https://rowbell.example/webhook/demo-secret";

async fn testbed() -> Testbed {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap()
}

/// The last line of a refusal.
fn refused(testbed: &Testbed, arguments: &[&str]) -> String {
    testbed.command(arguments).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_keeps_the_inbox_that_the_customer_had() {
    let testbed = testbed().await;
    testbed.sandbox.set_webhook(CHANNEL, &[INBOX.to_owned()]);
    let said = testbed.command(&["webhook", "register", OURS, "--yes"]).unwrap();
    insta::assert_snapshot!(said, @r"
    channel main posts to:
      https://inbox.example/hook
      https://rowbell.example/webhook/…  (ours)
    it tells of deliveries
    ");
    assert_eq!(testbed.command(&["webhook", "show"]).unwrap(), said);
    let again = testbed.command(&["webhook", "register", OURS, "--yes"]).unwrap();
    assert_eq!(again, "channel main posts to us already, and tells of deliveries\n");
}

/// `status` said for minutes that nothing is registered, as the daemon asks the provider every five minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_registered_is_known_to_status_at_once() {
    let testbed = testbed().await;
    testbed.sandbox.set_webhook(CHANNEL, &[INBOX.to_owned()]);
    let daemon = testbed.daemon().await.unwrap();
    let ours = format!("http://{}/webhook/demo-secret", listen(&testbed));
    let end = std::time::Instant::now() + SOON;
    let status = || testbed.command(&["status"]).unwrap();
    while !status().contains("the provider posts nothing to our webhook") {
        assert!(std::time::Instant::now() < end, "{}", status());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    testbed.command(&["webhook", "register", &ours, "--yes"]).unwrap();
    assert!(!status().contains("posts nothing"), "{}", status());
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_can_be_guessed_or_that_all_can_read_is_refused() {
    let testbed = testbed().await;
    let file = |name: &str| testbed.config_file().with_file_name(name);
    std::fs::write(file("webhook.secret"), "abc").unwrap();
    let checked = refused(&testbed, &["check", "--offline"]);
    assert!(
        checked.contains("webhook.secret_file: ") && checked.contains("openssl rand"),
        "{checked}"
    );
    let started = testbed.daemon().await.err().unwrap().to_string();
    assert!(started.contains("too easy to guess") && !started.contains("abc"), "{started}");
    std::fs::write(file("webhook.secret"), "demo-secret").unwrap();
    let token = file("1msg.token");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&token, 0o644);
    mode(token.parent().unwrap(), 0o755);
    let said = refused(&testbed, &["check", "--offline"]);
    let open = "channel.main.token_file: every user of this machine can read";
    assert!(said.contains(open) && said.contains("(mode 0644)"), "{said}");
    let started = testbed.daemon().await.err().unwrap().to_string();
    assert!(started.contains(open) && started.contains("chmod o= "), "{started}");
    mode(&token, 0o640);
    let daemon = testbed.daemon().await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_registered_is_said_and_changes_nothing() {
    let testbed = testbed().await;
    let five: Vec<String> = (1..=5).map(|i| format!("https://inbox{i}.example/hook")).collect();
    testbed.sandbox.set_webhook(CHANNEL, &five);
    let full = refused(&testbed, &["webhook", "register", OURS, "--yes"]);
    assert!(full.contains("posts to 5 URLs already") && full.contains("take one away"), "{full}");
    let guessed = "https://rowbell.example/webhook/guessed";
    let wrong = refused(&testbed, &["webhook", "register", guessed, "--yes"]);
    assert!(wrong.contains("/webhook/ and the secret of webhook.secret_file"), "{wrong}");
    let nobody = refused(&testbed, &["webhook", "register", OURS]);
    assert!(nobody.contains("posts to 5 URLs already"), "{nobody}");
    testbed.sandbox.set_webhook(CHANNEL, &five[..1]);
    let unasked = refused(&testbed, &["webhook", "register", OURS]);
    assert!(unasked.contains("add --yes"), "nobody could be asked: {unasked}");
    let shown = testbed.command(&["webhook", "show"]).unwrap();
    assert!(shown.contains("inbox1") && !shown.contains("ours"), "{shown}");
    let other = refused(&testbed, &["webhook", "show", "--channel", "man"]);
    assert!(other.contains("did you mean \"main\"?"), "{other}");
}

/// What `rowbell webhook test` prints, and whether it was content. Ports differ from run to run.
fn tested(testbed: &Testbed, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowbell"));
    command.arg("--config").arg(testbed.config_file()).args(["webhook", "test"]).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let said = match listen(testbed).as_str() {
        "" => said,
        listen => said.replace(listen, "127.0.0.1:PORT"),
    };
    format!("{said}exit code {}", output.status.code().unwrap())
}

/// Where the webhook of the testbed listens.
fn listen(testbed: &Testbed) -> String {
    let config = std::fs::read_to_string(testbed.config_file()).unwrap();
    let listen = config.lines().find_map(|line| line.strip_prefix("listen")).unwrap();
    listen.split('"').nth(1).unwrap().to_owned()
}

/// Everything a person needs: their own phone.
const TO_ME: [&str; 5] = ["--to", "+1 212 200 0001", "--yes", "--wait", "10"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_proves_that_a_delivery_of_the_provider_is_stored() {
    let testbed = testbed().await;
    testbed
        .sandbox
        .set_receipts(ReceiptOptions { sent: Some(Delay::of(0)), ..ReceiptOptions::none() });
    let daemon = testbed.daemon().await.unwrap();
    insta::assert_snapshot!("nothing_came_yet", tested(&testbed, &[]));
    let said = tested(&testbed, &TO_ME).replace("after 1 s", "after 0 s");
    insta::assert_snapshot!("proven", said);
    assert_eq!(testbed.sandbox.seen("12122000001").len(), 1);
    // From now on it is known that the provider gets through.
    insta::assert_snapshot!("proven_before", tested(&testbed, &[]));
    let json = tested(&testbed, &["--json"]);
    let json = json.strip_suffix("exit code 0").unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["is_proven"], true);
    assert_eq!(json["steps"][3]["step"], "provider");
    // The tests left nothing but the receipts of a message that was sent.
    let db = testbed.connect().await.unwrap();
    let left =
        "select count(*) from rowbell.receipt where provider_message_id like 'rowbell-test-%'";
    assert_eq!(db.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_says_which_step_fails_and_what_to_do() {
    let testbed = testbed().await;
    insta::assert_snapshot!("no_daemon", tested(&testbed, &[]));
    let daemon = testbed.daemon().await.unwrap();

    testbed.sandbox.set_webhook(CHANNEL, &[INBOX.to_owned()]);
    insta::assert_snapshot!("not_registered", tested(&testbed, &TO_ME));
    let elsewhere = "http://127.0.0.1:1/webhook/demo-secret".to_owned();
    testbed.sandbox.set_webhook(CHANNEL, &[elsewhere]);
    let said = tested(&testbed, &["--to", "+12122000001", "--yes", "--wait", "1"]);
    insta::assert_snapshot!("out_of_reach", said);
    testbed
        .sandbox
        .set_webhook(CHANNEL, &[format!("http://{}/hook/webhook/demo-secret", listen(&testbed))]);
    insta::assert_snapshot!("wrong_path", tested(&testbed, &[]));

    let ours = format!("http://{}/webhook/demo-secret", listen(&testbed));
    testbed.sandbox.set_webhook(CHANNEL, &[ours]);
    let secret = testbed.config_file().with_file_name("webhook.secret");
    std::fs::write(&secret, "a-new-secret").unwrap();
    insta::assert_snapshot!("new_secret", tested(&testbed, &[]));
    std::fs::write(&secret, "demo-secret").unwrap();

    let db = testbed.connect().await.unwrap();
    db.batch_execute("insert into rowbell.pause (kind, name) values ('channel', 'main')")
        .await
        .unwrap();
    insta::assert_snapshot!("paused", tested(&testbed, &TO_ME));
    assert_eq!(testbed.sandbox.seen("12122000001").len(), 1, "the one that was out of reach");
    db.batch_execute(
        "alter role postgres nologin;
         select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowbell'",
    )
    .await
    .unwrap();
    insta::assert_snapshot!("no_database", tested(&testbed, &[]));
    db.batch_execute("alter role postgres login").await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_webhook_a_test_says_so() {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        webhook: false,
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap();
    insta::assert_snapshot!(tested(&testbed, &[]));
}

/// The daemon hung for a while, and the provider lost patience with it. A person does not wait until it is looked at
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_revives_what_the_provider_has_given_up() {
    let testbed = testbed().await;
    let listen = listen(&testbed);
    let ours = format!("http://{listen}/webhook/demo-secret");
    let daemon = testbed.daemon().await.unwrap();
    let shown =
        || testbed.command(&["webhook", "show"]).unwrap().replace(&listen, "127.0.0.1:PORT");
    let alive = shown();

    let impatient =
        ReceiptOptions { disable_after: Some(1), timeout_ms: 200, ..ReceiptOptions::none() };
    testbed.sandbox.set_receipts(impatient);
    daemon.signal(Signal::STOP).unwrap();
    testbed.sandbox.inbound(CHANNEL, "12122000001", "hello");
    let is_given_up =
        |counts: &SandboxCounts| counts.posts_given_up == 1 && counts.items_pending == 0;
    let before = testbed.sandbox.wait_until(SOON, is_given_up).await.unwrap();
    daemon.signal(Signal::CONT).unwrap();
    testbed.sandbox.set_receipts(ReceiptOptions::at_once());
    insta::assert_snapshot!("given_up", shown());

    // It is awake again, and hears nothing: the message is sent, and that is the last of it.
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update delivery set address = '2 New Street' where id = 1").await.unwrap();
    let has_happened = |counts: &SandboxCounts| counts.receipts == 2 && counts.items_pending == 0;
    let after = testbed.sandbox.wait_until(SOON, has_happened).await.unwrap();
    assert_eq!(after.posts, before.posts, "nothing was posted");

    let said = testbed.command(&["webhook", "register", &ours, "--yes"]).unwrap();
    assert_eq!(said.replace(&listen, "127.0.0.1:PORT"), alive);
    assert_eq!(shown(), alive);
    db.batch_execute("update delivery set address = '2 New Street' where id = 2").await.unwrap();
    let heard = "select coalesce(string_agg(m.entity_key || ' ' || m.state, ', ' order by m.entity_key), '')
                   from rowbell.message as m
                   join rowbell.receipt as r using (provider_message_id)
                  where r.source = 'webhook' and r.status = 'delivered'";
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let heard: String = db.query_one(heard, &[]).await.unwrap().get(0);
        if heard == "2 delivered" {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "heard of \"{heard}\"; {}", testbed.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        !testbed.log().contains("posts to our webhook again"),
        "a person did it; {}",
        testbed.log()
    );
    assert!(daemon.stop().await.unwrap().success());
}
