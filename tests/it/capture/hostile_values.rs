//! Strangers at the webhook of the real daemon.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::daemon::Daemon;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::SandboxOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The secret path of the testbed.
const PATH: &str = "/webhook/demo-secret";

/// What a daemon may need more while strangers are at its door.
const MORE_MIB: u64 = 48;

async fn testbed() -> (Testbed, String) {
    patient_town("10s").await
}

/// A testbed whose webhook waits so long for a delivery.
async fn patient_town(timeout: &'static str) -> (Testbed, String) {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let backoff = match timeout {
        "120s" => "[webhook]\ntimeout = \"120s\"",
        _ => "[webhook]",
    };
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        edits: vec![("[webhook]", backoff)],
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap();
    let config = std::fs::read_to_string(testbed.config_file()).unwrap();
    let listen = config.lines().find_map(|line| line.strip_prefix("listen")).unwrap();
    let address = listen.split('"').nth(1).unwrap().to_owned();
    (testbed, address)
}

/// Sends a head and then a body of `length` bytes made of `piece`; gives the status, 0 when the other
/// side has closed before it said anything.
async fn post(address: &str, path: &str, piece: &[u8], length: usize) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let body = async {
        let mut sent = 0;
        while sent < length {
            let part = &piece[..piece.len().min(length - sent)];
            if write.write_all(part).await.is_err() {
                break;
            }
            sent += part.len();
        }
        std::future::pending::<()>().await
    };
    let mut answer = vec![0; 64];
    tokio::select! {
        () = body => 0,
        got = read.read(&mut answer) => {
            let text = String::from_utf8_lossy(&answer[..got.unwrap_or(0)]).into_owned();
            text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
        }
    }
}

async fn says(address: &str, body: &[u8]) -> u16 {
    post(address, PATH, body, body.len()).await
}

/// A receipt of somebody else, posted until it is taken, as the provider would.
async fn receipt(address: &str, id: &str) {
    let body =
        format!(r#"{{"instanceId":"ODI371267300","ack":[{{"id":"{id}","status":"delivered"}}]}}"#);
    let taken = async { while says(address, body.as_bytes()).await != 200 {} };
    tokio::time::timeout(Duration::from_secs(60), taken)
        .await
        .expect("a true receipt gets through");
}

async fn stored(testbed: &Testbed) -> i64 {
    let db = testbed.connect().await.unwrap();
    db.query_one("select count(*) from rowbell.receipt", &[]).await.unwrap().get(0)
}

/// As many files as we may have.
fn raise_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    usize::try_from(maximum.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

fn is_bounded(daemon: &Daemon, before_kib: u64) {
    let peak = daemon.usage().unwrap().peak_rss_kib;
    assert!(peak <= before_kib + MORE_MIB * 1024, "{before_kib} KiB grew to {peak} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_nonsense_have_no_effect_and_cost_little() {
    let (testbed, address) = testbed().await;
    let daemon = testbed.daemon().await.unwrap();
    receipt(&address, "wamid.first").await;
    let before = daemon.usage().unwrap().rss_kib;

    let megabyte = vec![b'['; 1024 * 1024];
    assert_eq!(post(&address, "/webhook/guessed", &megabyte, 100 << 20).await, 404);
    assert_eq!(post(&address, "/somewhere", b"{}", 2).await, 404);
    assert_eq!(post(&address, PATH, &megabyte, 100 << 20).await, 413);
    assert_eq!(says(&address, &megabyte[..500_000]).await, 400, "deep JSON");
    assert_eq!(
        says(&address, b"{\"ack\":[{\"id\":\"\xff\xfe\",\"status\":\"read\"}]}").await,
        400,
        "no UTF-8"
    );
    assert_eq!(says(&address, b"").await, 400);
    assert_eq!(
        says(&address, b"{\"ack\":7,\"hooks\":{\"a\":[]},\"messages\":[null,[]]}").await,
        200
    );
    let nonsense = r#"{"ack":[{"id":{},"status":"read"},{"id":"x","status":[]},{"status":"read"},"#
        .to_owned()
        + &"null,".repeat(20_000)
        + "1]}";
    assert_eq!(says(&address, nonsense.as_bytes()).await, 200);

    receipt(&address, "wamid.last").await;
    assert_eq!(stored(&testbed).await, 2, "the two that were true");
    is_bounded(&daemon, before);
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_only_sit_there_do_not_keep_a_receipt_out() {
    let crowd = 10_000.min(raise_limit().saturating_sub(500));
    let (testbed, address) = testbed().await;
    let daemon = testbed.daemon().await.unwrap();
    receipt(&address, "wamid.first").await;
    let before = daemon.usage().unwrap().rss_kib;
    let connected = Arc::new(AtomicUsize::new(0));
    let mut sitting = JoinSet::new();
    for i in 0..crowd {
        let (address, connected) = (address.clone(), connected.clone());
        sitting.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(address).await else { return };
            connected.fetch_add(1, Ordering::Relaxed);
            // Every second one begins a request and never ends it.
            if i % 2 == 0 {
                let _ = stream.write_all(b"POST /webhook/demo-secret HTTP/1.1\r\nHo").await;
            }
            let _ = stream.read(&mut [0; 16]).await;
        });
    }
    // More than the daemon takes at once and the system keeps waiting for it.
    while connected.load(Ordering::Relaxed) < crowd / 4 {
        tokio::task::yield_now().await;
    }
    receipt(&address, "wamid.meanwhile").await;
    assert!(!sitting.is_empty());
    sitting.shutdown().await;
    receipt(&address, "wamid.after").await;
    assert_eq!(stored(&testbed).await, 3);
    is_bounded(&daemon, before);
    assert!(daemon.stop().await.unwrap().success());
}

/// The secret leaks, or the provider's lines are bad: many deliveries begin and do not go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_slowly_keeps_nobody_waiting_and_little_is_held_for_them() {
    let (testbed, address) = patient_town("120s").await;
    let daemon = testbed.daemon().await.unwrap();
    receipt(&address, "wamid.first").await;
    let before = daemon.usage().unwrap().rss_kib;
    let mut slow = Vec::new();
    for i in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let length = 1_000_000;
        let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Half of them say a little, the others nearly all, as far as they are let.
        let part = vec![b' '; if i % 2 == 0 { 10 } else { 900_000 }];
        let _ = tokio::time::timeout(Duration::from_millis(20), stream.write_all(&part)).await;
        slow.push(stream);
    }
    let meanwhile = receipt(&address, "wamid.meanwhile");
    tokio::time::timeout(Duration::from_secs(30), meanwhile).await.expect("it waits for nobody");
    is_bounded(&daemon, before);
    drop(slow);
    receipt(&address, "wamid.after").await;
    assert_eq!(stored(&testbed).await, 3);
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test]
async fn what_breaks_off_is_a_bad_request_and_not_too_long() {
    let (testbed, address) = testbed().await;
    let daemon = testbed.daemon().await.unwrap();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let half = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{\"ack\":");
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(daemon.stop().await.unwrap().success());
    let log = testbed.log();
    assert!(log.contains("broke off") && !log.contains("body_limit"), "{log}");
}

/// A provider that is told "again" posts again: for nothing, as all of it is there.
#[tokio::test]
async fn receipts_that_are_stored_are_answered_200_even_if_nobody_can_note_who_told_of_them() {
    let (testbed, address) = testbed().await;
    let daemon = testbed.daemon().await.unwrap();
    let db = testbed.connect().await.unwrap();
    db.batch_execute(
        "create function refuse() returns trigger language plpgsql as 'begin raise exception $$no$$; end';
         create trigger refuse before insert or update on rowbell.receipt_source for each row when (new.kind = 'webhook')
         execute function refuse()",
    )
    .await
    .unwrap();
    let body =
        br#"{"instanceId":"ODI371267300","ack":[{"id":"wamid.first","status":"delivered"}]}"#;
    assert_eq!(says(&address, body).await, 200);
    assert_eq!(stored(&testbed).await, 1);
    assert!(daemon.stop().await.unwrap().success());
    assert!(!testbed.log().contains("could not be stored"), "{}", testbed.log());
}

#[tokio::test]
async fn a_webhook_without_its_database_says_try_again() {
    let (testbed, address) = testbed().await;
    let daemon = testbed.daemon().await.unwrap();
    receipt(&address, "wamid.first").await;
    let db = testbed.connect().await.unwrap();
    db.batch_execute("alter role postgres nologin; select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowbell'").await.unwrap();
    let body = br#"{"ack":[{"id":"wamid.second","status":"delivered"}]}"#;
    assert_eq!(says(&address, body).await, 503);
    assert_eq!(
        db.query_one("select count(*) from rowbell.receipt", &[]).await.unwrap().get::<_, i64>(0),
        1
    );
    db.batch_execute("alter role postgres login").await.unwrap();
    receipt(&address, "wamid.second").await;
    assert_eq!(stored(&testbed).await, 2);
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test]
async fn a_challenge_is_answered_to_who_knows_the_secret() {
    let (testbed, address) = testbed().await;
    let daemon = testbed.daemon().await.unwrap();
    let ask = async |path: &str, token: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "GET {path}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().to_owned();
        (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
    };
    assert_eq!(ask(PATH, "demo-secret").await, ("200".to_owned(), "1158201444".to_owned()));
    assert_eq!(ask(PATH, "guessed").await.0, "403");
    assert_eq!(ask("/webhook/guessed", "demo-secret").await.0, "404");
    assert!(daemon.stop().await.unwrap().success());
}
