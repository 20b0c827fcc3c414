//! Rows that go over to others while something about them is in doubt, fails, or is muted.

use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{JUAN, MARIA, World};

/// Evidence is sought in vain, and what waits is tried again.
async fn minutes(world: &mut World, minutes: u32) {
    for _ in 0..minutes {
        world.pass(Duration::from_secs(61));
        world.work().await;
    }
}

const RESEND: &str = "unconfirmed = \"resend\"";

/// The row goes over while a message about it is in doubt, and what waits then is for both of them.
#[tokio::test]
async fn a_row_may_go_over_while_a_message_is_in_doubt() {
    let mut world = World::with(RESEND).await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Drop { accepted: true })]);
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Refused { status: 500 })]);
    world.sql("update delivery set customer_id = 2, address = 'B' where id = 1").await;
    world.settle().await;
    world.sandbox.set_faults(Vec::new());
    minutes(&mut world, 12).await;
    let (maria, juan) = (world.read(MARIA), world.read(JUAN));
    assert_eq!((maria.len(), juan.len()), (2, 1), "{maria:?} {juan:?}");
    assert!(maria[1].contains("It is no longer in your name."), "{maria:?}");
    assert!(juan[0].contains('B') && !juan[0].contains('A'), "{juan:?}");
    // What became of a request stays with the one to whom it was made.
    let mixed = "select count(*) from (select a.message_id from rowbell.attempt a join rowbell.message m using (message_id)
                  group by a.message_id having count(distinct coalesce(a.parameters, m.parameters) ->> 0) > 1) as x";
    assert_eq!(world.value(mixed).await, "0");
}

/// Maria was told that the row is gone. It came back, which she read although the answer was lost; then it went to Juan.
#[tokio::test]
async fn who_may_have_read_of_a_row_is_told_that_it_is_no_longer_theirs() {
    let mut world = World::with(RESEND).await;
    world.sql("delete from delivery where id = 1").await;
    world.settle().await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Drop { accepted: true })]);
    world.sql("insert into delivery values (1, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'A')").await;
    world.settle().await;
    world.sandbox.set_faults(Vec::new());
    world.sql("update delivery set customer_id = 2 where id = 1").await;
    world.settle().await;
    minutes(&mut world, 12).await;
    let maria = world.read(MARIA);
    assert_eq!(maria.len(), 3, "{maria:?}");
    assert!(maria[2].contains("It is no longer in your name."), "{maria:?}");
    assert_eq!(world.read(JUAN).len(), 1);
}

/// What was muted once the row was Juan's is nothing that Maria learns when she is told at last.
#[tokio::test]
async fn a_muted_change_teaches_those_before_nothing() {
    let rule = "[[watch.home_delivery.say]]\noperation = \"withdrawn\"\ntext.en = \"{{ address }} is not yours.\"";
    for is_one_batch in [false, true] {
        let mut world = World::with(rule).await;
        world.sandbox.set_faults(vec![FaultRule::always(Fault::Refused { status: 500 })]);
        world.sql("update delivery set customer_id = 2 where id = 1").await;
        if !is_one_batch {
            world.settle().await;
        }
        world.muted("by phone", "update delivery set address = 'Secret' where id = 1").await;
        world.work().await;
        world.sandbox.set_faults(Vec::new());
        minutes(&mut world, 5).await;
        let maria = world.read(MARIA);
        assert!(maria.len() == 1 && maria[0].contains("1 Main Street is not yours."), "{maria:?}");
    }
}

/// Who had the row before a handover that was muted does not know what it held then.
#[tokio::test]
async fn a_muted_handover_teaches_the_one_before_nothing() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    world
        .muted("by phone", "update delivery set customer_id = 2, address = 'Secret' where id = 1")
        .await;
    world.sql("update delivery set customer_id = 1, address = 'B' where id = 1").await;
    world.settle().await;
    let maria = world.read(MARIA);
    assert!(
        maria.len() == 2 && maria[1].contains('B') && !maria[1].contains("Secret"),
        "{maria:?}"
    );
}

/// WhatsApp chose not to deliver to Maria, and asks to leave her alone for a day. The row goes over to Juan, who need not
/// wait for that.
#[tokio::test]
async fn nobody_waits_for_what_failed_for_somebody_else() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    let receipt = Receipt {
        provider_message_id: world.sandbox.seen(MARIA)[0].id.clone(),
        status: ReceiptStatus::Failed,
        error_code: Some(131_049),
        ..Receipt::default()
    };
    world.receipt(receipt).await;
    world.sql("update delivery set customer_id = 2 where id = 1").await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 1), "Juan is told at once");
    world.pass(Duration::from_secs(30 * 3_600));
    world.work().await;
    let maria = world.read(MARIA);
    assert!(maria.len() == 2 && maria[1].contains("It is no longer in your name."), "{maria:?}");
    assert_eq!(world.read(JUAN).len(), 1);
}
