//! What happens to the server and to the daemon: stopped, started, cut off, frozen. The daemon goes on by itself, /readyz
//! says meanwhile what does not move, and nothing is lost or doubled.

use std::time::Duration;

use rowbell_lab::sandbox::{Fault, FaultRule};
use rustix::process::Signal;

use super::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts() {
    let mut site = Site::new().await;
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    for mode in ["fast", "immediate"] {
        site.change(30).await;
        site.testbed.cluster.stop(mode).unwrap();
        let said = site.until_not_ready("one", "[-] database: it did not answer").await;
        assert!(said.ends_with("not ready\n"), "{said}");
        site.until_not_ready("one", "[-] listener: ").await;
        site.testbed.cluster.launch().unwrap();
        site.until_ready("one").await;
        site.change(10).await;
    }
    site.nothing_is_lost_or_doubled("stopped and started").await;
    assert!(daemon.stop().await.unwrap().success());
}

/// Somebody ends every session of ours each second, as a watchful administrator's script does. Work goes on between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_session_is_ended_each_second() {
    let mut site = Site::new().await;
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    let before = site.testbed.sandbox.count();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..6 {
        second.tick().await;
        site.change(20).await;
        site.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowbell%'")
            .await;
        let (status, text) = site.readyz("one").await.expect("it answers");
        assert_eq!(status == 200, !text.contains("[-]"), "{text}");
    }
    let left = site.testbed.sandbox.count() - before;
    assert!(left > 0, "some messages leave meanwhile\n{}", site.log());
    site.until_ready("one").await;
    site.nothing_is_lost_or_doubled("sessions ended").await;
    // A look at a table that was cut off says nothing about its watch.
    assert!(!site.log().contains("watch cannot be used"), "{}", site.log());
    assert!(daemon.stop().await.unwrap().success());
}

/// A host that is suspended, or a debugger. The other daemon takes over when the leases end; the frozen one finds out
/// before it sends again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_frozen_for_longer_than_its_leases() {
    let mut site = Site::new().await;
    let frozen = site.daemon("frozen").await;
    site.until_ready("frozen").await;
    let other = site.daemon("other").await;
    site.until_ready("other").await;
    site.change(60).await;
    frozen.signal(Signal::STOP).unwrap();
    assert_eq!(site.readyz("frozen").await, None, "who is frozen answers nothing");
    site.change(60).await;
    site.nothing_is_lost_or_doubled("one of two is frozen").await;
    site.until_ready("other").await;
    site.change(60).await;
    frozen.signal(Signal::CONT).unwrap();
    site.change(60).await;
    site.until_ready("frozen").await;
    site.nothing_is_lost_or_doubled("both are at work again").await;
    assert!(frozen.stop().await.unwrap().success());
    site.until_ready("other").await;
    assert!(other.stop().await.unwrap().success());
}

/// A provider that takes requests and answers none: what it has is unknown, and the channel is not ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_answers_nothing() {
    let mut site = Site::new().await;
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.testbed.sandbox.set_faults(vec![FaultRule::always(Fault::Hang { accepted: false })]);
    site.change(40).await;
    let said = site.until_not_ready("one", "[-] channel main: the last ").await;
    assert!(said.contains("requests to the provider had no answer"), "{said}");
    site.testbed.sandbox.set_faults(Vec::new());
    site.until_ready("one").await;
    site.nothing_is_lost_or_doubled("no answer").await;
    let lines = site.log().lines().filter(|line| line.contains("no answer: whether")).count();
    assert!(lines <= 30, "{lines} lines:\n{}", site.log());
    assert!(daemon.stop().await.unwrap().success());
}

/// Alone, there is nobody to take over: what waits leaves when it wakes up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_frozen_and_is_the_only_one() {
    let mut site = Site::new().await;
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.change(40).await;
    daemon.signal(Signal::STOP).unwrap();
    site.change(40).await;
    assert_eq!(site.readyz("one").await, None, "who is frozen answers nothing");
    daemon.signal(Signal::CONT).unwrap();
    site.until_ready("one").await;
    site.nothing_is_lost_or_doubled("frozen").await;
    assert!(daemon.stop().await.unwrap().success());
}
