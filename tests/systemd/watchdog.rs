//! The watchdog is fed by what the stages do: a frozen daemon is started anew, one that waits for its database is not.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::{DEADLINE, Service, testbed};

const WATCHDOG: [(&str, &str); 1] = [("WATCHDOG_USEC", "400000")];

fn fed(service: &Service) -> usize {
    service.said.iter().filter(|line| *line == "WATCHDOG=1").count()
}

/// A night without a database is no reason to start a daemon anew: it waits, and says so.
#[tokio::test]
async fn a_daemon_whose_database_is_away_says_so_and_feeds_its_watchdog() {
    let mut testbed = testbed().await;
    let mut service = Service::begin(&testbed, &[], &WATCHDOG, None);
    service.wait_for("STATUS=Listening");
    service.wait_for_times("WATCHDOG=1", 3);

    testbed.cluster.stop("immediate").unwrap();
    service.wait_for("STATUS=Waiting for the database");
    let before = fed(&service);
    service.wait_for_times("WATCHDOG=1", before + 3);

    testbed.cluster.launch().unwrap();
    service.wait_for_times("STATUS=Listening", 2);
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
}

/// What stands still feeds nothing, and goes on feeding when it moves again.
#[tokio::test]
async fn a_frozen_daemon_does_not_feed_its_watchdog() {
    let testbed = testbed().await;
    let mut service = Service::begin(&testbed, &[], &WATCHDOG, None);
    service.wait_for_times("WATCHDOG=1", 2);
    service.signal(Signal::STOP);
    // What was on its way is read; then a whole time of the watchdog has to pass without a word.
    let end = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < end, "it goes on feeding");
        let before = service.said.len();
        service.hear(Duration::from_millis(400));
        if service.said.len() == before {
            break;
        }
    }
    let before = fed(&service);
    service.signal(Signal::CONT);
    service.wait_for_times("WATCHDOG=1", before + 2);
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
}
