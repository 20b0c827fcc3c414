//! What a person stops, and lets go on: commands as typed, on a testbed without its daemon.

use crate::harness::{World, still_town};

const MOVE: &str = "update delivery set address = address || '!' where id = 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paused_waits_and_leaves_when_it_is_resumed() {
    let testbed = still_town().await;
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();
    let said = testbed.command(&["pause", "channel", "main", "--reason", "the token is renewed"]);
    assert!(said.unwrap().contains("rowbell resume channel main"));
    let daemon = testbed.daemon().await.unwrap();
    db.batch_execute(MOVE).await.unwrap();
    let waits = "select count(*) from rowbell.message where state = 'waiting' and due_at <= now()";
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while db.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(tokio::time::Instant::now() < end, "the change is folded all the same");
        tokio::task::yield_now().await;
    }
    let status = testbed.command(&["status"]).unwrap();
    assert!(
        status.contains("channel main is paused")
            && status.contains("the token is renewed")
            && status.contains("blocker 1"),
        "{status}"
    );
    let story = testbed.command(&["explain", "home_delivery", "1"]).unwrap();
    assert!(
        story.contains("  now                  channel main is paused since ")
            && story.contains("the token is renewed; to go on: rowbell resume channel main")
            && !story.contains("waits for its turn"),
        "{story}"
    );
    // Whoever reads it with a program learns the same.
    let story = testbed.command(&["explain", "home_delivery", "1", "--json"]).unwrap();
    let story: serde_json::Value = serde_json::from_str(&story).unwrap();
    let (blocker, message) = (&story["blockers"][0], &story["messages"][0]["message_id"]);
    assert_eq!(blocker["kind"], "paused", "{story:#}");
    assert_eq!(blocker["keeps"], serde_json::json!([message]), "{story:#}");
    assert_eq!(story["checks"]["problems"], serde_json::json!([]), "{story:#}");
    assert_eq!(testbed.sandbox.count(), 0);
    assert_eq!(testbed.command(&["resume", "channel", "main"]).unwrap(), "channel main goes on\n");
    testbed.sandbox.wait_for(1, std::time::Duration::from_secs(20)).await.unwrap();
    assert_eq!(
        testbed.command(&["resume", "channel", "main"]).unwrap(),
        "channel main was not stopped\n"
    );
    let unknown = testbed.command(&["pause", "watch", "home_deliverie"]).unwrap_err().to_string();
    assert!(unknown.contains("did you mean \"home_delivery\"?"), "{unknown}");
    assert!(daemon.stop().await.unwrap().success());
}

/// Who stopped something, let it go on, or removed what is known of somebody is found out later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_by_command_stands_on_record() {
    let testbed = still_town().await;
    testbed.command(&["pause", "watch", "home_delivery", "--reason", "stocktaking"]).unwrap();
    testbed.command(&["resume", "watch", "home_delivery"]).unwrap();
    testbed.command(&["resume", "watch", "home_delivery"]).unwrap();
    testbed.command(&["adopt", "--yes"]).unwrap();
    testbed.command(&["forget", "+12122000001"]).unwrap();
    testbed.command(&["forget", "+12122000001", "--yes"]).unwrap();
    let db = testbed.connect().await.unwrap();
    let acts = "select string_agg(concat_ws(' ', decided_by, way, kind, watch, channel, messages, reason), '; ' order by act_id)
                  from rowbell_report.person_acts";
    let acts: String = db.query_one(acts, &[]).await.unwrap().get(0);
    assert_eq!(
        acts,
        "postgres command paused home_delivery 0 stocktaking; postgres command resumed home_delivery 0; \
         postgres command adopted 0; postgres command forgotten 0"
    );
}

/// bikebrigade #52, regluit #1238: a copy of the production database wrote to real people.
#[tokio::test]
async fn a_copy_under_another_environment_sends_nothing_until_it_is_adopted() {
    let mut world = World::new().await;
    world.sql("update rowbell.installation set environment = 'somewhere else'").await;
    world.sql(MOVE).await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    rowbell::postgres::connection::identity::adopt(&world.db, "production", None).await.unwrap();
    world.pass(std::time::Duration::from_secs(10));
    world.work().await;
    assert_eq!(world.sandbox.count(), 1);
}
