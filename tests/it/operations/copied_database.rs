//! A copy of the database is started by mistake: its customers are real, and hear nothing from it.

use std::time::Duration;

use rowbell_lab::demo::cluster::Cluster;
use rowbell_lab::demo::testbed::{Testbed, connect};
use rowbell_lab::sandbox::{Fault, FaultRule};
use tokio_postgres::Client;

use crate::harness::{self, World};

const MOVE: &str = "update delivery set address = address || '!' where id = 1";

/// A testbed whose daemon has sent one message, and stopped.
async fn original() -> Testbed {
    let testbed = harness::still_town().await;
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();
    let daemon = testbed.daemon().await.unwrap();
    db.batch_execute(MOVE).await.unwrap();
    testbed.sandbox.wait_for(1, Duration::from_secs(30)).await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
    assert!(!testbed.log().contains("it is a copy"));
    testbed
}

/// Changes the configuration, as whoever made the copy did.
fn configure(testbed: &Testbed, from: &str, to: &str) {
    let config = std::fs::read_to_string(testbed.config_file()).unwrap();
    assert!(config.contains(from));
    std::fs::write(testbed.config_file(), config.replace(from, to)).unwrap();
}

async fn until_there_is(db: &Client, what: &str) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    let sql = format!("select exists ({what})");
    while !db.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A real daemon on the copy: it captures and folds, sends nothing, says why once; until it is adopted.
async fn is_silent_until_adopted(testbed: &Testbed, copy: &Client) {
    let sent = testbed.sandbox.count();
    let daemon = testbed.daemon().await.unwrap();
    copy.batch_execute(MOVE).await.unwrap();
    until_there_is(copy, "select from rowbell.message where state = 'waiting'").await;
    copy.batch_execute(&MOVE.replace("id = 1", "id in (2, 3)")).await.unwrap();
    until_there_is(copy, "select from rowbell.message where state = 'waiting' having count(*) = 3")
        .await;
    let status = testbed.command(&["status"]).unwrap();
    assert!(status.contains("this database is a copy and sends nothing"), "{status}");
    assert!(daemon.stop().await.unwrap().success());
    assert_eq!(testbed.sandbox.count(), sent, "nothing has left");
    assert_eq!(testbed.log().matches("it is a copy").count(), 1, "{}", testbed.log());

    testbed.command(&["adopt", "--yes"]).unwrap();
    let daemon = testbed.daemon().await.unwrap();
    testbed.sandbox.wait_for(sent + 3, Duration::from_secs(30)).await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_on_the_same_server_sends_nothing() {
    let testbed = original().await;
    let admin = connect(&testbed.cluster.url("postgres")).await.unwrap();
    let others = "select from pg_stat_activity where datname = 'crm'";
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while !admin.query(others, &[]).await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < end, "somebody stays connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    admin.batch_execute("create database staging template crm").await.unwrap();
    configure(&testbed, &testbed.url(), &testbed.cluster.url("staging"));
    let copy = connect(&testbed.cluster.url("staging")).await.unwrap();
    is_silent_until_adopted(&testbed, &copy).await;
}

/// A snapshot of the whole machine: nothing but the name of its environment tells it apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_database_under_another_environment_sends_nothing() {
    let testbed = original().await;
    configure(&testbed, "environment = \"demo\"", "environment = \"staging\"");
    let copy = testbed.connect().await.unwrap();
    is_silent_until_adopted(&testbed, &copy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_is_restored_on_another_server_sends_nothing() {
    let testbed = original().await;
    let elsewhere: Cluster = harness::cluster();
    let dump = testbed.cluster.program("pg_dump").arg(testbed.url()).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let file = testbed.config_file().with_file_name("crm.sql");
    std::fs::write(&file, dump.stdout).unwrap();
    let admin = connect(&elsewhere.url("postgres")).await.unwrap();
    // The roles of a server are not in the dump of a database.
    admin
        .batch_execute(
            "create role rowbell_daemon; create role rowbell_analyst; create role rowbell_support",
        )
        .await
        .unwrap();
    admin.batch_execute("create database crm").await.unwrap();
    let url = elsewhere.url("crm");
    let sql = std::fs::File::open(&file).unwrap();
    let restored = elsewhere
        .program("psql")
        .args(["-q", "-v", "ON_ERROR_STOP=1", "-d", &url])
        .stdin(sql)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    configure(&testbed, &testbed.url(), &url);
    let copy = connect(&url).await.unwrap();
    // aiid #1275: a restore fires every trigger. Triggers are made after the rows that a dump brings.
    let recorded = copy.query_one("select count(*) from rowbell.change", &[]).await.unwrap();
    assert_eq!(recorded.get::<_, i64>(0), 0);
    is_silent_until_adopted(&testbed, &copy).await;
}

/// bikebrigade #52: what was scheduled when the copy was made was copied too, and left from it.
#[tokio::test]
async fn what_waited_or_was_on_its_way_when_the_copy_was_made_does_not_leave_from_the_copy() {
    let mut world = World::with("unconfirmed = \"resend\"").await;
    let tomorrow = Fault::Code { code: 131_049 };
    world.sandbox.set_faults(vec![FaultRule::next(1, tomorrow)]);
    world.sql(MOVE).await;
    world.settle().await;
    world.sql(&MOVE.replace("id = 1", "id = 2")).await;
    world.stages.claim.step().await.unwrap();
    let copied = ["1 scheduled 1 change(s) 1 attempt(s)", "2 sending 1 change(s) 1 attempt(s)"];
    assert_eq!(world.messages().await, copied);
    world.sql("update rowbell.installation set environment = 'somewhere else'").await;
    world.restart().await;
    for _ in 0..30 {
        world.pass(Duration::from_secs(3_600));
        world.work().await;
    }
    let waiting = ["1 scheduled 1 change(s) 1 attempt(s)", "2 scheduled 1 change(s) 1 attempt(s)"];
    assert_eq!(world.messages().await, waiting);
    let counts = world.sandbox.counts();
    assert_eq!((counts.accepted, counts.refused), (0, 1), "the one before it was copied");
}
