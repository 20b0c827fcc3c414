//! SQL of the configuration that cannot be run: what it costs, who says so, and how often.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rowbell::cli::inspect::status;
use rowbell::operations::check;
use rowbell::postgres::operations::status_report;

use crate::harness::{CONFIG, MARIA, SHOP, World};

/// What is logged by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin() -> (Log, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

/// The shop, whose deliveries come from a depot.
fn depots() -> String {
    format!(
        "{SHOP} create table depot (id bigint primary key, name text);
         insert into depot values (1, 'North'), (2, 'South'), (3, 'East');
         alter table delivery add depot_id bigint default 1;"
    )
}

fn told_by_depot() -> String {
    CONFIG.replace("\"address\",", "\"address\", \"depot_id\",")
}

async fn checked(world: &World) -> String {
    let mut client = world.stages.context.pool.get().await.unwrap();
    check::online(&mut client, &world.config).await.problems().join("\n")
}

async fn status_of(world: &World) -> String {
    let client = world.stages.context.pool.get().await.unwrap();
    let seen = status_report::status(&client, &world.config, world.now()).await.unwrap();
    status::as_text(&seen)
}

/// Half a minute goes by five times, and each time something changes.
async fn five_times(world: &mut World, set: &str) {
    for n in 0..5 {
        world
            .sql(&format!("update delivery set {} where id = 1", set.replace('N', &n.to_string())))
            .await;
        world.settle().await;
        world.pass(Duration::from_secs(31));
    }
    world.work().await;
}

/// A label query over a table that is not there: every message of the watch waited, `check` was content, `status` had
/// nothing to say, and the log said "works again" and "cannot be used" in turn.
#[tokio::test]
async fn a_lookup_that_cannot_be_run_costs_its_names_and_no_message() {
    let lookup = "lookup.depot_id.sql = \"select name from depott where id = wanted.depot_id\"";
    let mut world = World::over(&depots(), &told_by_depot(), lookup).await;
    let (log, _guard) = Log::begin();
    let fault = "watch.home_delivery.lookup.depot_id.sql: relation \"depott\" does not exist";
    assert!(checked(&world).await.contains(fault), "{}", checked(&world).await);
    five_times(&mut world, "address = 'N New Street'").await;
    assert_eq!(world.read(MARIA).len(), 5, "{:?}", world.messages().await);
    // What changed is said, although nobody knows what it is called.
    world.sql("update delivery set depot_id = 2 where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA).pop().unwrap();
    assert!(read.contains("updated. depot id: —. If"), "{read}");
    assert!(status_of(&world).await.contains(fault), "{}", status_of(&world).await);
    assert_eq!((log.count("lookup cannot be used"), log.count("works again")), (1, 0));
    // The day comes on which the table is there.
    world.sql("create view depott as select * from depot").await;
    world.pass(Duration::from_secs(31));
    world.sql("update delivery set depot_id = 3 where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA).pop().unwrap();
    assert!(read.contains("updated. depot id: South → East. If"), "{read}");
    assert_eq!((log.count("lookup cannot be used"), log.count("lookup works again")), (1, 1));
    assert_eq!(checked(&world).await, "");
    assert!(!status_of(&world).await.contains("lookup"), "{}", status_of(&world).await);
}

/// The same where only a run over a row shows it, and where one value is at fault: many messages at once.
#[tokio::test]
async fn a_lookup_that_fails_over_a_row_costs_the_names_of_those_whom_it_concerns() {
    let schema = depots()
        + "create function called(id bigint) returns text language plpgsql as
             'begin return (select name from depott where depott.id = called.id); end';
           insert into customer select i, 'N', '+1212' || (2000100 + i), 'en' from generate_series(100, 399) as i;
           insert into delivery (id, customer_id, address, depot_id)
           select i, i, 'a', 1 from generate_series(100, 399) as i;";
    let (log, _guard) = Log::begin();
    let names = "lookup.depot_id.sql = \"select called(wanted.depot_id)\"";
    let mut world = World::over(&schema, &told_by_depot(), names).await;
    for street in ["one", "two", "three"] {
        world.sql(&format!("update delivery set address = '{street}'")).await;
        world.settle().await;
        world.pass(Duration::from_secs(31));
        world.work().await;
    }
    let sent = "select count(*) from rowbell.message where state = 'sent'";
    assert_eq!(world.value(sent).await, "906");
    assert_eq!((log.count("lookup cannot be used"), log.count("works again")), (1, 0));

    let names =
        "lookup.depot_id.sql = \"select name from depot where id / (wanted.depot_id - 2) = id\"";
    let mut world = World::over(&schema, &told_by_depot(), names).await;
    world.sql("update delivery set depot_id = 3 where id > 200; update delivery set depot_id = 2 where id <= 200").await;
    world.settle().await;
    world.settle().await;
    assert_eq!(world.value(sent).await, "302");
    let said = |id: i64| world.read(&format!("1212{}", 2_000_100 + id)).pop().unwrap();
    assert!(said(399).contains("depot id: North."), "{}", said(399));
    assert!(said(150).contains("depot id: —."), "{}", said(150));
}

/// Without its recipients a watch cannot do anything: it waits, and everybody who asks is told why.
#[tokio::test]
async fn a_recipient_query_that_cannot_be_run_is_said_once_and_its_messages_wait() {
    let config = CONFIG.replace("from customer c", "from custommer c");
    let mut world = World::over(SHOP, &config, "").await;
    let (log, _guard) = Log::begin();
    let fault = "watch.home_delivery.recipient: relation \"custommer\" does not exist";
    assert!(checked(&world).await.contains(fault), "{}", checked(&world).await);
    five_times(&mut world, "address = 'N New Street'").await;
    assert_eq!(world.read(MARIA), Vec::<String>::new());
    let status = status_of(&world).await;
    assert!(status.contains(&format!("- {fault}")), "{status}");
    assert!(
        status.contains("- watch home_delivery: 1 message waits for it to be usable"),
        "{status}"
    );
    assert_eq!((log.count("watch cannot be used"), log.count("works again")), (1, 0));
    world.sql("create view custommer as select * from customer").await;
    world.pass(Duration::from_secs(31));
    world.work().await;
    assert_eq!(world.read(MARIA).len(), 1);
    assert_eq!((log.count("watch cannot be used"), log.count("watch works again")), (1, 1));
}
