//! `rowbell settle`: somebody knows what became of a message whose request got no answer, and says so.

use std::time::Duration;

use rowbell::cli::control::settle::preview;
use rowbell::domain::message::state::State;
use rowbell::domain::message::unconfirmed::Settlement;
use rowbell::domain::person_act::PersonActWay;
use rowbell::operations::settle::{PersonsWord, settle};
use rowbell::postgres::operations::person_acts::ActingPerson;
use rowbell::postgres::operations::unconfirmed::look;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{MARIA, World};

/// Maria's delivery moves, and the answer to the request is lost; the time for evidence goes by.
async fn lost(watch: &str, fault: Fault) -> (World, i64) {
    let mut world = World::with(watch).await;
    world.sandbox.set_faults(vec![FaultRule::next(1, fault)]);
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    world.pass(Duration::from_secs(600));
    world.work().await;
    assert_eq!(world.messages().await, ["1 unconfirmed 1 change(s) 1 attempt(s)"]);
    let id = world.value("select message_id from rowbell.message").await.parse().unwrap();
    (world, id)
}

async fn says(world: &World, id: i64, settlement: Settlement) -> Vec<(i64, State)> {
    let who = ActingPerson {
        by: "ana".to_owned(),
        os_user: Some("ana-desk".to_owned()),
        way: PersonActWay::Command,
    };
    let word = PersonsWord { settlement, who, reason: Some("she called".to_owned()) };
    let pool = &world.stages.context.pool;
    settle(pool, world.config.clone(), world.clock.clone(), &[id], &word).await.unwrap()
}

/// Everything that became of the message, as the reports tell it.
async fn report(world: &World) -> String {
    world
        .value(
            "select concat_ws(' | ', state, reason, reason_text, confirmed_by, provider_message_id,
                              'sent ' || (sent_at is not null), 'delivered ' || (delivered_at is not null))
               from rowbell_report.message_status order by message_id limit 1",
        )
        .await
}

#[tokio::test]
async fn what_arrived_counts_as_told_and_says_who_said_so() {
    let (mut world, id) = lost("", Fault::Lost { status: 504 }).await;
    let read = world.read(MARIA).len();
    assert_eq!(says(&world, id, Settlement::Arrived).await, [(id, State::Delivered)]);
    assert_eq!(
        report(&world).await,
        "delivered | ana says that it arrived: she called | ana | sent true | delivered true"
    );
    let steps = world.value("select method || ': ' || found from rowbell_report.lookups order by lookup_id desc limit 1").await;
    assert_eq!(steps, "person: ana says that it arrived: she called");
    let act = "select concat_ws(' ', decided_by, os_user, way, kind, message_id, reason) from rowbell_report.person_acts";
    assert_eq!(world.value(act).await, format!("ana ana-desk command arrived {id} she called"));
    // She knows the address: only what is new is told.
    world.sql("update delivery set status = 'rescheduled' where id = 1").await;
    world.settle().await;
    let told = world.read(MARIA);
    assert_eq!(told.len(), read + 1);
    assert!(told[read].contains("rescheduled") && !told[read].contains("New Street"), "{told:?}");
    assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "0");
}

#[tokio::test]
async fn what_is_given_up_was_told_to_nobody() {
    let (mut world, id) = lost("", Fault::Drop { accepted: false }).await;
    says(&world, id, Settlement::GiveUp).await;
    assert_eq!(
        report(&world).await,
        "failed | exhausted | given up by ana: she called | sent false | delivered false"
    );
    world.sql("update delivery set status = 'rescheduled' where id = 1").await;
    world.settle().await;
    let told = world.read(MARIA);
    assert!(told[0].contains("rescheduled") && told[0].contains("New Street"), "{told:?}");
}

/// Whoever cannot wait for evidence need not: the person decides before its time is over.
#[tokio::test]
async fn what_is_sent_again_leaves_at_once() {
    let mut world = World::new().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: false })]);
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    let id = world.value("select message_id from rowbell.message").await.parse().unwrap();
    assert_eq!(says(&world, id, Settlement::SendAgain).await, [(id, State::Scheduled)]);
    world.work().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 2 attempt(s)"]);
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn what_evidence_has_settled_stays_as_it_is() {
    let (mut world, id) = lost("", Fault::Lost { status: 504 }).await;
    world.sql("update delivery set address = '3 New Street' where id = 1").await;
    world.settle().await;
    // The newer message told the row: the older one is not sent again beside it.
    assert_eq!(
        says(&world, id, Settlement::SendAgain)
            .await
            .iter()
            .map(|(_, s)| s.reason())
            .collect::<Vec<_>>(),
        [Some("superseded")]
    );
    assert_eq!(says(&world, id, Settlement::Arrived).await, []);
    assert_eq!(says(&world, -7, Settlement::Arrived).await, []);
}

#[tokio::test]
async fn it_is_shown_before_it_is_done() {
    let (world, id) = lost("", Fault::Lost { status: 504 }).await;
    let found = look(&world.db, &[id, -7]).await.unwrap();
    let began = found[0].started_at.unwrap();
    let later = began + Duration::from_secs(720);
    let shown = |settlement| {
        let shown = preview(&found, &[id, -7], settlement, &world.config, later);
        shown.replace(&rowbell::cli::text::moment(began), "TIME")
    };
    insta::assert_snapshot!(shown(None), @r"
    1 message is unconfirmed: the provider may have it.
      message 1, home_delivery 1 on channel main, attempted TIME UTC (12 min ago): <html><head><title>504</title></head><body>nginx</body></html>
        no evidence came in time: nothing happens until a person settles it
      there is no message -7

    rowbell explain shows what each said and to whom. Look at the phone, at the provider's desk, or ask the recipient; then
      rowbell settle MESSAGE_ID --arrived     it is there: it counts as delivered
      rowbell settle MESSAGE_ID --give-up     it is not, and is not sent again
      rowbell settle MESSAGE_ID --send-again  it is not, or twice is better than never
    ");
    let last = |settlement| shown(Some(settlement)).lines().last().unwrap().to_owned();
    insta::assert_snapshot!(last(Settlement::Arrived), @"They would count as delivered: what they said counts as told, and the next change of a row is compared with it.");
    insta::assert_snapshot!(last(Settlement::GiveUp), @"They would end as failed: nobody was told, so the next change of a row tells these too.");
    insta::assert_snapshot!(last(Settlement::SendAgain), @"They would be sent again, put into words from their rows as they are then. Whoever has one already reads it twice.");
}
