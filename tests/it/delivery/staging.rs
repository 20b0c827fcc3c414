//! A site that tries everything on its own people: nobody else hears of it.

use std::sync::Arc;
use std::time::Duration;

use rowbell::cli::inspect::status;
use rowbell::domain::message::attempt::AttemptResult;
use rowbell::domain::recipient::phone::Phone;
use rowbell::domain::value::row::Row;
use rowbell::operations::send_test::{TestAddress, prepare, send};
use rowbell::postgres::operations::retry::{RetrySelection, look, put_back};
use rowbell::postgres::operations::status_report;

use crate::harness::{JUAN, MARIA, World};

const BOTH_MOVE: &str = "update delivery set address = 'moved ' || id";

/// A restored copy, a seeded test database: the phones in it are those of customers.
#[tokio::test]
async fn only_the_named_are_written_to_and_the_others_are_told_later() {
    let settings = "[installation]\nonly_to = [\"+1 (212) 200-0001\"]";
    let mut world = World::with_settings(settings).await;
    world.sql(BOTH_MOVE).await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 0));
    assert_eq!(
        world.messages().await,
        ["1 sent 1 change(s) 1 attempt(s)", "2 skipped outside_only_to 1 change(s) 0 attempt(s)"]
    );
    let why = "select reason_text from rowbell.message where reason = 'outside_only_to'";
    assert_eq!(world.value(why).await, "installation.only_to does not name this recipient");
    let stand = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    let text = status::as_text(&stand);
    assert!(text.contains("- ONLY TO: messages leave for 1 recipient of"), "{text}");

    // The list is taken away: he was told nothing, and hears everything.
    let mut config = (*world.config).clone();
    config.installation.only_to = None;
    world.config = Arc::new(config);
    world.restart().await;
    let meant = RetrySelection::Filter {
        watch: None,
        reasons: vec!["outside_only_to".to_owned()],
        since: world.now() - Duration::from_secs(3_600),
        limit: 10,
    };
    let found = look(&world.db, &world.config, &meant).await.unwrap();
    let ids: Vec<i64> = found.iter().map(|found| found.message_id).collect();
    put_back(&world.db, &ids, "asked for", world.now()).await.unwrap();
    world.work().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 1));
}

/// An empty list is a list: the last name that was taken off it must not open the doors.
#[tokio::test]
async fn an_empty_list_allows_nobody() {
    let mut world = World::with_settings("[installation]\nonly_to = []").await;
    world.sql(BOTH_MOVE).await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(
        world.previewed().await.lines().filter(|l| l.contains("outside_only_to")).count(),
        1
    );
}

/// The operator's own phone.
const OWN: &str = "12025550143";

fn own() -> TestAddress {
    TestAddress::Phone(Phone::parse("+1 202 555 0143", None).unwrap())
}

async fn tried(world: &World, key: &str, set: Row) -> Result<AttemptResult, String> {
    let mut client = world.stages.context.pool.get().await.unwrap();
    let of = ("home_delivery", key);
    let test = prepare(&mut client, &world.config, &world.clock, of, &set, &own()).await;
    let test = test.map_err(|error| error.to_string())?;
    let answer = send(&client, &world.config, &world.clock, test).await;
    answer.map(|answer| answer.result).map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_words_of_a_watch_are_read_on_ones_own_phone_and_nobody_counts_as_told() {
    let world = World::with("expires_at = \"window_end\"").await;
    // She did not agree, and her window is long over: that is the customer's affair, not the test's.
    world.sql("update customer set whatsapp_opt_in = false; update delivery set window_end = '2020-01-01'").await;
    let set: Row = [("address".into(), "2 New Street".into())].into_iter().collect();
    assert!(matches!(tried(&world, "1", set).await, Ok(AttemptResult::Accepted { .. })));
    let told = world.read(OWN);
    assert!(told[0].starts_with("Hello, Maria!") && told[0].contains("2 New Street"), "{told:?}");
    // Without an invented change all of the row is told.
    assert!(matches!(tried(&world, "2", Row::default()).await, Ok(AttemptResult::Accepted { .. })));
    assert!(world.read(OWN)[1].contains("Calle Mayor 1"), "{:?}", world.read(OWN));
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (0, 0));
    for table in ["message", "attempt", "queue"] {
        let count = format!("select count(*) from rowbell.{table}");
        assert_eq!(world.value(&count).await, "0", "{table}");
    }
}

#[tokio::test]
async fn a_test_goes_nowhere_it_must_not() {
    let settings = "[installation]\nonly_to = [\"+1 (212) 200-0001\"]";
    let world = World::with_settings(settings).await;
    let why = tried(&world, "1", Row::default()).await.unwrap_err();
    assert!(why.contains("installation.only_to does not name this recipient"), "{why}");
    let world = World::new().await;
    let why = tried(&world, "77", Row::default()).await.unwrap_err();
    assert_eq!(why, "there is no row 77 in public.delivery, and no message tells of it");
    world
        .sql(&format!("insert into rowbell.opt_out (phone, source) values ('{OWN}', 'inbound')"))
        .await;
    let why = tried(&world, "1", Row::default()).await.unwrap_err();
    assert_eq!(why, "that phone stands in rowbell.opt_out; see rowbell opt-out");
    assert_eq!(world.sandbox.count(), 0);
}
