//! A daemon ends when it says so.

use std::time::Duration;

use rowbell_lab::demo::testbed;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::town_with;

/// "stopped" stood in the log after five seconds, and the process was there for thirty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_hangs_does_not_keep_the_daemon_beyond_its_time() {
    let short = ("[log]", "[delivery]\nshutdown_timeout = \"1s\"\n\n[log]");
    let testbed = town_with(vec![short]).await;
    testbed.sandbox.set_faults(vec![FaultRule::always(Fault::Hang { accepted: true })]);
    let daemon = testbed.daemon().await.unwrap();
    let db = testbed::connect(&testbed.url()).await.unwrap();
    db.batch_execute(
        "update customer set whatsapp_opt_in = true; update delivery set address = 'moved' where id = 1",
    )
    .await
    .unwrap();
    testbed.sandbox.wait_for(1, Duration::from_secs(20)).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(12), daemon.stop()).await;
    assert!(ended.expect("it ends long before the request").unwrap().success());
    let attempt =
        "select count(*) from rowbell.attempt where result is null and finished_at is null";
    let open: i64 = db.query_one(attempt, &[]).await.unwrap().get(0);
    assert_eq!(open, 1, "nobody knows what became of it");
    let daemon = testbed.daemon().await.unwrap();
    db.batch_execute("select pg_sleep(2)").await.unwrap();
    assert_eq!(testbed.sandbox.count(), 1, "and it is not sent again");
    daemon.stop().await.unwrap();
}
