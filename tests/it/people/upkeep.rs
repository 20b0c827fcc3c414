//! What is kept, removed and tried again where a row has several recipients.

use std::time::Duration;

use rowbell::cli::control::retry::{WHY, to_send};
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell::postgres::operations::retry::{RetrySelection, look, put_back};
use rowbell_lab::sandbox::Outcome;

use crate::content::recipients::{GINA, families};
use crate::harness::{MARIA, World};

const DAY: Duration = Duration::from_secs(86_400);

async fn moved(world: &mut World, to: &str) {
    world.sql(&format!("update delivery set address = '{to}' where id = 1")).await;
    world.settle().await;
}

/// Messages and their words go after their time; what each of the two knows does not.
#[tokio::test]
async fn after_retention_each_recipient_is_told_the_new_difference_only() {
    let mut world = families("").await;
    moved(&mut world, "A").await;
    for (days, from, to) in [(91, "A", "B"), (800, "B", "C")] {
        world.pass(days * DAY);
        while world.stages.retention.step().await.unwrap() == Progress::Worked {}
        moved(&mut world, to).await;
        for phone in [MARIA, GINA] {
            let read = world.read(phone).pop().unwrap();
            assert!(read.contains(&format!("{from} → {to}.")), "{phone}: {read}");
        }
    }
    assert_eq!(world.value("select count(distinct recipient_key) from rowbell.message").await, "2");
}

/// What a person sends again, and how much of it there was to choose.
async fn retried(world: &mut World) -> usize {
    let failed = RetrySelection::Filter {
        watch: Some("home_delivery".to_owned()),
        reasons: vec!["undeliverable".to_owned()],
        since: world.now() - Duration::from_secs(3_600),
        limit: 100,
    };
    let ids = to_send(&look(&world.db, &world.config, &failed).await.unwrap());
    put_back(&world.db, &ids, WHY, world.now()).await.unwrap();
    world.pass(Duration::from_secs(6));
    world.work().await;
    ids.len()
}

/// The guardian's phone was not on WhatsApp, and is now. She is told all that she missed; the patient hears nothing of
/// it. What a later message told her is not sent again.
#[tokio::test]
async fn a_retry_reaches_the_one_whom_it_had_not_reached() {
    let mut world = families("").await;
    world.sandbox.set_outcome(GINA, Outcome::NotOnWhatsapp);
    moved(&mut world, "A").await;
    world.sandbox.set_outcome(GINA, Outcome::Ordinary);
    assert_eq!((world.read(MARIA).len(), world.read(GINA).len()), (1, 0));
    assert_eq!(retried(&mut world).await, 1);
    assert_eq!((world.read(MARIA).len(), world.read(GINA).len()), (1, 1));
    assert!(world.read(GINA)[0].contains("1 Main Street → A."), "{:?}", world.read(GINA));

    world.sandbox.set_outcome(GINA, Outcome::NotOnWhatsapp);
    moved(&mut world, "B").await;
    world.sandbox.set_outcome(GINA, Outcome::Ordinary);
    moved(&mut world, "C").await;
    assert!(world.read(GINA)[1].contains("A → C."), "{:?}", world.read(GINA));
    assert_eq!(retried(&mut world).await, 0, "a later message told it");
    assert_eq!((world.read(MARIA).len(), world.read(GINA).len()), (3, 2));
}
