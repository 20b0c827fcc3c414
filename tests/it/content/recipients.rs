//! Who is told: rows that change hands, several recipients, new phones.

use std::time::Duration;

use rowbell::pipeline::context::stage::Stage as _;

use crate::harness::{CONFIG, JUAN, MARIA, SHOP, World};

/// Guardians of customers, who are told beside them.
const FAMILY: &str = "
    create table guardian (customer_id bigint, full_name text, phone text);
    insert into guardian values (1, 'Gina', '+1 212 200 0009');";
pub const GINA: &str = "12122000009";

/// A recipient query that names its people, and their guardians.
const WITH_KEY: &str = r#"
  select 'c' || c.id as recipient_key, c.full_name as name, c.phone, c.locale, c.time_zone
    from customer c where c.id = changed.customer_id
  union all
  select 'g' || g.phone, g.full_name, g.phone, 'en-US', 'UTC'
    from guardian g where g.customer_id = changed.customer_id"""
quiet_period = "20s""#;

/// The shop with its families, and lines for its watch.
pub async fn families(watch: &str) -> World {
    let begin = CONFIG.find("\n  select c.full_name").unwrap();
    let end = CONFIG.find("\n{watch}").unwrap();
    let config = format!("{}{WITH_KEY}{}", &CONFIG[..begin], &CONFIG[end..]);
    World::over(&format!("{SHOP}{FAMILY}"), &config, watch).await
}

/// Who was told what about which row, in the order of messages.
async fn told(world: &World) -> String {
    let sql = "select string_agg(concat_ws(' ', entity_key, operation, recipient_key, coalesce(reason::text, state::text)),
                                 ', ' order by message_id)
                 from rowbell.message";
    world.value(sql).await
}

/// A delivery goes over to another customer. They read all of it, and nothing of the address that it had before; the
/// one before reads that it is no longer theirs.
#[tokio::test]
async fn a_row_that_goes_over_is_new_to_one_and_withdrawn_from_the_other() {
    let mut world = World::new().await;
    world.sql("update delivery set customer_id = 2, address = 'Calle Nueva 2' where id = 1").await;
    world.settle().await;
    let (maria, juan) = (world.read(MARIA), world.read(JUAN));
    assert_eq!((maria.len(), juan.len()), (1, 1), "{maria:?} {juan:?}");
    assert!(juan[0].contains("Calle Nueva 2") && !juan[0].contains("Main Street"), "{juan:?}");
    assert!(maria[0].contains("It is no longer in your name."), "{maria:?}");
    assert!(!maria[0].contains("Calle Nueva"), "{maria:?}");
    let expected = format!("1 insert {JUAN} sent, 1 withdrawn {MARIA} sent");
    assert_eq!(told(&world).await, expected);
}

/// Only the customer changes, and nothing that the watch tells.
#[tokio::test]
async fn a_row_that_goes_over_is_told_even_if_nothing_else_differs() {
    let mut world = World::new().await;
    world.sql("update delivery set customer_id = 2 where id = 1").await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 1));
    assert!(world.read(JUAN)[0].contains("1 Main Street"), "it is theirs now");
}

/// There and back: who had it first is told all of it again, and not what it was meanwhile.
#[tokio::test]
async fn a_row_that_comes_back_is_new_again() {
    let mut world = World::new().await;
    for (customer, address) in [(2, "Calle Nueva 2"), (1, "3 Third Street")] {
        let sql = format!(
            "update delivery set customer_id = {customer}, address = '{address}' where id = 1"
        );
        world.sql(&sql).await;
        world.settle().await;
    }
    let maria = world.read(MARIA);
    assert_eq!(maria.len(), 2, "{maria:?}");
    assert!(maria[1].contains("3 Third Street") && !maria[1].contains("Calle"), "{maria:?}");
    world.sql("update delivery set address = '4 Fourth Street' where id = 1").await;
    world.settle().await;
    assert!(world.read(MARIA)[2].contains("3 Third Street → 4 Fourth Street."));
    assert_eq!(world.read(JUAN).len(), 2);
}

/// It goes over and comes back before anybody was told: nobody has to know.
#[tokio::test]
async fn a_row_that_was_away_for_a_moment_is_not_told() {
    let mut world = World::new().await;
    world.sql("update delivery set customer_id = 2 where id = 1").await;
    world.work().await;
    world.sql("update delivery set customer_id = 1 where id = 1").await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(world.messages().await, ["1 skipped no_net_change 2 change(s) 0 attempt(s)"]);
}

/// The recipient query leaves the row out for another reason: that is no handover.
#[tokio::test]
async fn a_row_that_nobody_has_any_more_is_not_withdrawn() {
    let mut world = World::new().await;
    world.sql("update delivery set customer_id = null, address = 'A' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 skipped no_recipient 1 change(s) 0 attempt(s)"]);
}

/// `handover = "new"` leaves the one before alone; `"none"` the new one as well, who then hears of what changes later.
#[tokio::test]
async fn a_watch_says_who_hears_of_a_handover() {
    for (handover, maria, juan) in [("both", 1, 1), ("new", 0, 1), ("none", 0, 0)] {
        let mut world = World::with(&format!("handover = \"{handover}\"")).await;
        world
            .sql("update delivery set customer_id = 2, address = 'Calle Nueva 2' where id = 1")
            .await;
        world.settle().await;
        let counts = (world.read(MARIA).len(), world.read(JUAN).len());
        assert_eq!(counts, (maria, juan), "{handover}");
        world.sql("update delivery set address = 'Calle Nueva 3' where id = 1").await;
        world.settle().await;
        let last = world.read(JUAN).pop().unwrap_or_default();
        assert!(last.contains("Calle Nueva 2 → Calle Nueva 3."), "{handover}: {last}");
        assert_eq!(world.read(MARIA).len(), maria, "{handover}");
    }
}

/// A patient and her guardian are told both, each once, and each what is new to them.
#[tokio::test]
async fn each_of_several_recipients_is_told_once() {
    let mut world = families("").await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(GINA).len()), (1, 1));
    assert_eq!(told(&world).await, "1 update c1 sent, 1 update g+1 212 200 0009 sent");
    // The guardian hears of nothing while her phone is none, and then of all that she missed.
    world
        .sql("update guardian set phone = 'none'; update delivery set address = 'B' where id = 1")
        .await;
    world.settle().await;
    world.sql("update guardian set phone = '+1 212 200 0009'; update delivery set address = 'C' where id = 1").await;
    world.settle().await;
    assert!(world.read(MARIA)[2].contains("B → C."), "{:?}", world.read(MARIA));
    assert!(world.read(GINA)[1].contains("A → C."), "{:?}", world.read(GINA));
}

/// One of them is asleep: a later change goes out once to each, and the sleeper reads all of it in one message.
#[tokio::test]
async fn what_waits_for_one_recipient_takes_in_what_the_others_are_told_meanwhile() {
    let mut world = families("").await;
    world
        .sql("insert into rowbell.opt_out (phone, source) values ('12122000009', 'operator')")
        .await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    assert_eq!(told(&world).await, "1 update c1 sent, 1 update g+1 212 200 0009 opted_out");
    world.sql("delete from rowbell.opt_out; update delivery set address = 'B' where id = 1").await;
    world.settle().await;
    assert!(world.read(GINA)[0].contains("1 Main Street → B."), "{:?}", world.read(GINA));
    assert!(world.read(MARIA)[1].contains("A → B."), "{:?}", world.read(MARIA));
}

/// A new phone of the same person changes nothing in what they know.
#[tokio::test]
async fn a_new_phone_of_the_same_person_is_no_handover() {
    let mut world = families("").await;
    world.sql("delete from guardian; update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    world.sql("update customer set phone = '+1 212 200 0007' where id = 1").await;
    world.sql("update delivery set address = 'B' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1, "nothing goes to the old phone");
    let read = world.read("12122000007");
    assert!(read.len() == 1 && read[0].contains("A → B."), "{read:?}");
}

/// A mistake in the query names everybody: nobody is told, and the reason says what to do.
#[tokio::test]
async fn too_many_recipients_are_taken_for_a_mistake() {
    let config =
        CONFIG.replace("from customer c where c.id = changed.customer_id", "from customer c");
    let mut world = World::over(SHOP, &config, "max_recipients = 1").await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    let reason = world.value("select reason_text from rowbell.message").await;
    assert_eq!(
        reason,
        "the recipient query gives more than 1 recipients; if it is right, raise max_recipients of the watch"
    );
}

/// Who muted the handover has told both of them: only what changes later is news.
#[tokio::test]
async fn a_muted_handover_counts_as_told_to_both() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.settle().await;
    world
        .muted("by phone", "update delivery set customer_id = 2, address = 'B' where id = 1")
        .await;
    world.sql("update delivery set address = 'C' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1, "{:?}", world.read(MARIA));
    let juan = world.read(JUAN);
    assert!(juan.len() == 1 && juan[0].contains("B → C."), "{juan:?}");
}

/// A muted change is made between the reading of the row for a waiting message and its own claim: it is not told, and
/// what changes after it is.
#[tokio::test]
async fn a_message_waits_for_a_muted_change_that_is_not_claimed_yet() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.work().await;
    world.muted("import", "update delivery set status = 'packed' where id = 1").await;
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(world.sandbox.count(), 0, "the muted change comes first");
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[0].contains("Main Street → A.") && !read[0].contains("packed"), "{read:?}");
    world.sql("update delivery set status = 'planned' where id = 1").await;
    world.settle().await;
    assert!(world.read(MARIA)[1].contains("packed → planned."), "{:?}", world.read(MARIA));
}

/// A preview shows what each of them would read.
#[tokio::test]
async fn a_preview_shows_every_recipient() {
    let world = families("").await;
    let shown = world.previewed().await;
    assert!(shown.contains("recipient 1 of 2") && shown.contains("recipient 2 of 2"), "{shown}");
    assert!(shown.contains("to Maria") && shown.contains("to Gina"), "{shown}");
}
