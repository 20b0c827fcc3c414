//! `systemctl reload rowbell`, and sockets that systemd keeps open: a new configuration is taken over under load, and
//! nobody who tells or is told notices.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{ReceiptOptions, SandboxOptions};
use rustix::process::Signal;

use crate::{DEADLINE, EXE, Service};

/// A testbed whose daemon has a webhook.
async fn with_webhook() -> Testbed {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        quiet_period: "0s".to_owned(),
        ..TestbedOptions::default()
    };
    let provider = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    Testbed::raise(EXE.as_ref(), options, provider).await.unwrap()
}

fn webhook_address(testbed: &Testbed) -> String {
    let config = std::fs::read_to_string(testbed.config_file()).unwrap();
    let line = config.lines().find(|line| line.starts_with("listen ")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

/// Posts one receipt; the status that it was answered with. None: refused.
fn post(address: &str) -> Option<u16> {
    let body = r#"{"ack":[{"id":"gBEG","queueNumber":1,"chatId":"12122000001@c.us","status":"delivered"}]}"#;
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).ok()?;
    let head = format!(
        "POST /webhook/demo-secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// A provider that posts one receipt after the other.
struct Poster {
    stop: Arc<AtomicBool>,
    posted: Arc<AtomicU32>,
    thread: JoinHandle<Vec<Option<u16>>>,
}

impl Poster {
    fn start(address: String) -> Poster {
        let (stop, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stopping, count) = (stop.clone(), posted.clone());
        let thread = thread::spawn(move || {
            let mut bad = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                let status = post(&address);
                if status != Some(200) {
                    bad.push(status);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            bad
        });
        Poster { stop, posted, thread }
    }

    fn posted(&self) -> u32 {
        self.posted.load(Ordering::Relaxed)
    }

    /// What was not answered with 200.
    fn stop(self) -> Vec<Option<u16>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// graphile #541, and every service that is restarted for a word in its configuration: under load, a sysadmin changes the
/// words and reloads. Every change is told once, the last ones in the new words, and no receipt is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_the_new_configuration_over_and_nobody_notices() {
    let testbed = with_webhook().await;
    let db = testbed.connect().await.unwrap();
    let mut service = Service::start(&testbed);
    service.wait_for("READY=1");
    let poster = Poster::start(webhook_address(&testbed));
    let change = async |id: i32| {
        let change = format!("update delivery set address = 'Street {id}' where id = {id}");
        db.batch_execute(&change).await.unwrap();
    };
    for id in 1..=20 {
        change(id).await;
    }
    // What has not left before the reload may leave in the new words.
    testbed.sandbox.wait_for(20, DEADLINE).await.unwrap();
    service.write("en = \"home delivery\"", "en = \"parcel\"");
    service.signal(Signal::HUP);
    for id in 21..=40 {
        change(id).await;
    }
    service.wait_for("RELOADING=1");
    assert!(
        service.said.iter().any(|line| line.starts_with("MONOTONIC_USEC=")),
        "{:?}",
        service.said
    );
    service.wait_for_times("READY=1", 2);
    let before = poster.posted();
    for id in 41..=60 {
        change(id).await;
    }
    testbed.sandbox.wait_for(60, DEADLINE).await.unwrap();
    assert!(rowbell_lab::demo::cluster::wait_until(DEADLINE, || poster.posted() > before + 3));
    assert_eq!(poster.stop(), [], "{}", service.logged());
    assert_eq!((testbed.sandbox.count(), testbed.sandbox.duplicates().len()), (60, 0));
    let seen = testbed.sandbox.all_seen();
    let said =
        |street: &str| seen.iter().find(|seen| seen.text.contains(street)).unwrap().text.clone();
    assert!(!said("→ Street 1.").contains("parcel"));
    // Customers of even numbers read Spanish.
    let last =
        (41..=60).map(|id| said(&format!("→ Street {id}."))).filter(|text| text.contains("Hello"));
    assert!(
        last.clone().count() > 0 && last.clone().all(|text| text.contains("parcel")),
        "{:?}",
        last.collect::<Vec<_>>()
    );
    assert!(service.logged().contains("the configuration was read again"), "{}", service.logged());
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
}

/// A slip of the pen is no reason to stop telling anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_is_wrong_changes_nothing_and_is_named() {
    let testbed = with_webhook().await;
    let db = testbed.connect().await.unwrap();
    let mut service = Service::start(&testbed);
    service.wait_for("READY=1");
    service.write("[recipient]", "[recipeint]");
    service.signal(Signal::HUP);
    let refused =
        "STATUS=Listening; the configuration of the last reload was refused, see the journal";
    service.wait_for(refused);
    let logged = service.logged();
    assert!(logged.contains("the new configuration cannot be used"), "{logged}");
    assert!(logged.contains("recipeint") && logged.contains("recipient"), "{logged}");
    db.batch_execute("update delivery set address = '7 Another Street' where id = 1")
        .await
        .unwrap();
    testbed.sandbox.wait_for(1, DEADLINE).await.unwrap();
    assert_eq!(post(&webhook_address(&testbed)), Some(200));

    // Mended, with more to say and what a running daemon cannot change.
    service.write("[recipeint]", "[recipient]");
    service.write("level = \"info\"", "level = \"debug\"");
    service.write("format = \"text\"", "format = \"json\"");
    service.signal(Signal::HUP);
    service.wait_for_times("STATUS=Listening", 2);
    let logged = service.logged();
    assert!(logged.contains("log.format stays as it was"), "{logged}");
    assert!(logged.contains("secrets that systemd hands over"), "{logged}");
    db.batch_execute("update delivery set address = '8 Another Street' where id = 1")
        .await
        .unwrap();
    testbed.sandbox.wait_for(2, DEADLINE).await.unwrap();
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
}

/// With rowbell.socket the address is there before the daemon and after it: what is posted during a restart waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_behind_a_socket_of_systemd_refuses_no_webhook() {
    let testbed = with_webhook().await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let again = || Some(socket.try_clone().unwrap());

    // Whoever posts before the daemon runs waits for it.
    let early = thread::spawn({
        let address = address.clone();
        move || post(&address)
    });
    let mut first = Service::begin(&testbed, &[], &[], again());
    first.wait_for("READY=1");
    assert_eq!(early.join().unwrap(), Some(200), "{}", first.logged());
    assert_eq!(post(&webhook_address(&testbed)), None, "its own address is not used");

    let poster = Poster::start(address);
    assert!(rowbell_lab::demo::cluster::wait_until(DEADLINE, || poster.posted() > 3));
    first.terminate();
    assert_eq!(first.exit_code(), Some(0), "{}", first.logged());
    let before = poster.posted();
    let mut second = Service::begin(&testbed, &[], &[], again());
    second.wait_for("READY=1");
    assert!(rowbell_lab::demo::cluster::wait_until(DEADLINE, || poster.posted() > before + 3));
    // So does a reload keep it.
    second.signal(Signal::HUP);
    second.wait_for_times("READY=1", 2);
    let before = poster.posted();
    assert!(rowbell_lab::demo::cluster::wait_until(DEADLINE, || poster.posted() > before + 3));
    assert_eq!(poster.stop(), []);
    second.terminate();
    assert_eq!(second.exit_code(), Some(0), "{}", second.logged());
}
