//! The clock of the daemon's host jumps, as NTP or a resumed machine makes it jump.

use std::fs;
use std::path::Path;

use rowbell_lab::demo::scratch::Scratch;

use super::site::Site;

/// Debian's package libfaketime; `scripts/test` installs it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ahead_and_back_by_an_hour() {
    assert!(Path::new(FAKETIME).exists(), "there is no {FAKETIME}: install Debian's libfaketime");
    let mut site = Site::new().await;
    let folder = Scratch::new("clock").unwrap();
    let clock = folder.path().join("clock");
    fs::write(&clock, "+0").unwrap();
    let line = format!(
        "exec env LD_PRELOAD={FAKETIME} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1 \"$@\"",
        clock.display()
    );
    let daemon = site.daemon_by("one", &line).await;
    site.until_ready("one").await;
    for jump in [3_600, 0, -3_600] {
        site.change(20).await;
        fs::write(&clock, format!("{jump:+}")).unwrap();
        site.change(20).await;
        site.until_ahead("one", f64::from(jump)).await;
        site.change(20).await;
        site.nothing_is_lost_or_doubled(&format!("the clock jumps to {jump}")).await;
        site.until_ready("one").await;
    }
    assert!(daemon.stop().await.unwrap().success());
}
