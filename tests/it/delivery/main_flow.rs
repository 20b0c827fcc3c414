//! A changed row becomes one true message.

use rowbell::pipeline::context::stage::Stage as _;
use std::time::Duration;

use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{JUAN, MARIA, World};

const MOVE: &str = "update delivery set window_start = 'YEAR-06-25 10:00Z',
                           window_end = 'YEAR-06-25 12:00Z' where id = 1";

#[tokio::test]
async fn the_seed_case_arrives_to_the_letter() {
    let mut world = World::new().await;
    world.sql(MOVE).await;
    world.settle().await;
    assert_eq!(
        world.read(MARIA),
        [
            "Hello, Maria! The status of your home delivery has been updated. New window: June 25 from 10:00 AM \
          to 12:00 PM. If you need help — we are here."
        ]
    );
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
}

#[tokio::test]
async fn a_recipient_reads_in_their_own_language_and_zone() {
    let mut world = World::new().await;
    world.sql(&MOVE.replace("id = 1", "id = 2")).await;
    world.settle().await;
    assert_eq!(
        world.read(JUAN),
        [
            "Hola, Juan: El estado de su entrega a domicilio ha cambiado. Nuevo horario: 25 de junio de 12:00 a \
          14:00. Si necesita ayuda, aquí estamos."
        ]
    );
}

#[tokio::test]
async fn nothing_leaves_before_the_quiet_period_is_over() {
    let mut world = World::new().await;
    world.sql(MOVE).await;
    world.work().await;
    assert_eq!(world.messages().await, ["1 waiting 1 change(s) 0 attempt(s)"]);
    world.pass(Duration::from_secs(19));
    world.work().await;
    assert_eq!(world.sandbox.count(), 0);
    world.pass(Duration::from_secs(2));
    world.work().await;
    assert_eq!(world.sandbox.count(), 1);
}

#[tokio::test]
async fn a_burst_of_edits_is_one_message_with_the_net_difference() {
    let mut world = World::new().await;
    for minute in 0..5 {
        world
            .sql(&format!("update delivery set address = '{minute} Side Street' where id = 1"))
            .await;
        world.work().await;
    }
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1);
    assert!(read[0].contains("1 Main Street → 4 Side Street"), "{read:?}");
    assert_eq!(world.messages().await, ["1 sent 5 change(s) 1 attempt(s)"]);
}

#[tokio::test]
async fn a_stream_of_edits_leaves_after_max_wait_all_the_same() {
    let mut world = World::with("max_wait = \"1m\"").await;
    // The database's own clock stamps changes, so the edits are given their times by hand.
    for second in [70, 55, 40, 25, 10] {
        world
            .sql(&format!("update delivery set address = '{second} Side Street' where id = 1"))
            .await;
        world
            .sql(&format!("update rowbell.change set changed_at = now() - interval '{second} s' where changed_at > now() - interval '5 s'"))
            .await;
    }
    world.work().await;
    assert_eq!(world.sandbox.count(), 1, "the last edit was 10 s ago, the first 70 s");
}

#[tokio::test]
async fn there_and_back_again_is_silence() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'elsewhere' where id = 1").await;
    world.work().await;
    world.sql("update delivery set address = '1 Main Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(world.messages().await, ["1 skipped no_net_change 2 change(s) 0 attempt(s)"]);
}

#[tokio::test]
async fn what_was_told_is_the_baseline_of_the_next_message() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'second' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set address = 'third' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set address = 'fourth' where id = 1; update delivery set address = 'third' where id = 1")
        .await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2);
    assert!(read[0].contains("1 Main Street → second"), "{read:?}");
    assert!(read[1].contains("second → third"), "{read:?}");
}

#[tokio::test]
async fn the_message_tells_the_row_as_it_is_when_it_leaves() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'told' where id = 1").await;
    world.work().await;
    // Changed where no trigger sees it.
    world
        .sql("set session_replication_role = replica; update delivery set address = 'present' where id = 1; \
              update customer set phone = '+1 212 200 0009' where id = 1; reset session_replication_role")
        .await;
    world.pass(Duration::from_secs(30));
    world.work().await;
    let read = world.read("12122000009");
    assert_eq!(read.len(), 1, "to the phone as it is now");
    assert!(read[0].contains("→ present"), "{read:?}");
}

#[tokio::test]
async fn a_muted_transaction_moves_the_baseline_and_tells_nobody() {
    let mut world = World::new().await;
    world.muted("bulk import", "update delivery set address = 'imported'").await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(
        world.messages().await,
        ["1 skipped muted 1 change(s) 0 attempt(s)", "2 skipped muted 1 change(s) 0 attempt(s)"]
    );
    assert_eq!(
        world.value("select min(reason_text) from rowbell.message").await,
        "bulk import, by postgres"
    );
    world.sql("update delivery set address = 'real' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[0].contains("imported → real"), "{read:?}");
}

#[tokio::test]
async fn a_muted_change_does_not_swallow_that_a_row_came_back() {
    let mut world = World::new().await;
    world.sql("delete from delivery where id = 1").await;
    world.settle().await;
    world
        .sandbox
        .set_faults(vec![FaultRule::next(1, Fault::TooManyRequests { retry_after: Some(20) })]);
    world
        .sql("insert into delivery (id, customer_id, address) values (1, 1, '2 Main Street')")
        .await;
    world.work().await;
    world.muted("tidy", "update delivery set address = 'tidied' where id = 1").await;
    world.settle().await;
    let told = world.read(MARIA);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("tidied"), "{told:?}");
}

#[tokio::test]
async fn a_muted_change_does_not_swallow_what_was_changed_before_it() {
    let mut world = World::new().await;
    world.sql("update delivery set status = 'packed' where id = 1").await;
    world.work().await;
    world.muted("tidy", "update delivery set address = 'tidied' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1);
    assert!(read[0].contains("planned → packed"), "{read:?}");
    assert!(!read[0].contains("tidied"), "{read:?}");
}

#[tokio::test]
async fn a_change_muted_before_a_message_left_is_not_what_was_told_last() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'first' where id = 1").await;
    world.work().await;
    world.muted("tidy", "update delivery set address = 'tidied' where id = 1").await;
    world.work().await;
    world.sql("update delivery set address = 'second' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set address = 'tidied' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[0].contains("tidied → second"), "{read:?}");
    assert!(read[1].contains("second → tidied"), "{read:?}");
}

#[tokio::test]
async fn an_insert_and_its_deletion_cancel_each_other() {
    let mut world = World::new().await;
    world
        .sql("insert into delivery values (9, 1, 'planned', now() + interval '1 day', now() + interval '2 days', 'x', null); \
              delete from delivery where id = 9")
        .await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
}

#[tokio::test]
async fn a_row_that_came_and_went_again_is_told_as_gone_to_the_recipient_it_once_had() {
    let mut world = World::new().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Code { code: 131_026 })]);
    world.sql("delete from delivery where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 failed undeliverable 1 change(s) 1 attempt(s)"]);
    world
        .sandbox
        .set_faults(vec![FaultRule::next(1, Fault::TooManyRequests { retry_after: Some(20) })]);
    world.sql("insert into delivery (id, customer_id, address) values (1, 1, 'again')").await;
    world.work().await;
    world.sql("delete from delivery where id = 1").await;
    world.settle().await;
    let told = world.read(MARIA);
    assert_eq!(told.len(), 1, "{told:?} {:?}", world.messages().await);
    assert!(told[0].contains("has been cancelled"), "{told:?}");
}

#[tokio::test]
async fn a_deleted_row_is_told_to_the_recipient_it_had() {
    let mut world = World::new().await;
    world.sql("delete from delivery where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1);
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
}

#[tokio::test]
async fn a_changed_key_is_still_the_same_entity() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'second' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set id = 77, address = 'third' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2);
    assert!(read[1].contains("second → third"), "{read:?}");
    assert_eq!(
        world.value("select string_agg(distinct entity_key, ',') from rowbell.message").await,
        "77"
    );
}

#[tokio::test]
async fn a_change_while_the_message_is_being_sent_becomes_the_next_message() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'second' where id = 1").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(world.messages().await, ["1 sending 1 change(s) 1 attempt(s)"]);
    world.sql("update delivery set address = 'third' where id = 1").await;
    world.stages.claim.step().await.unwrap();
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(
        world.messages().await,
        ["1 sending 1 change(s) 1 attempt(s)", "1 scheduled 1 change(s) 0 attempt(s)"],
        "one message of an entity in flight at a time"
    );
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[0].contains("1 Main Street → second"), "{read:?}");
    assert!(read[1].contains("second → third"), "{read:?}");
}

#[tokio::test]
async fn ten_thousand_changes_of_a_hundred_rows_are_a_hundred_messages() {
    let mut world = World::new().await;
    world
        .sql("insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start' \
              from generate_series(101, 200) i")
        .await;
    world.settle().await;
    let before = world.sandbox.count();
    for round in 0..100 {
        world.sql(&format!("update delivery set address = 'round {round}' where id > 100")).await;
    }
    world.settle().await;
    assert_eq!(world.sandbox.count() - before, 100);
    assert_eq!(
        world.value("select count(*) filter (where state = 'sent' and new_row ->> 'address' = 'round 99') from rowbell.message").await,
        "100"
    );
    assert_eq!(
        world
            .value("select sum(change_count) from rowbell.message where operation = 'update'")
            .await,
        "10000"
    );
}
