//! Row level security hides rows from whoever it does not trust. A row that is hidden is not gone: nobody is told so.

use std::time::Duration;

use rowbell::app::Stages;
use rowbell::operations::check;
use rowbell::postgres::connection::pool;

use crate::harness::{CONFIG, MARIA, SHOP, World};

/// Supabase #7792: a worker in another role than the owner saw an empty table.
#[tokio::test]
async fn a_row_that_row_level_security_hides_is_never_told_as_gone() {
    let mut world = World::over(SHOP, &CONFIG.replace("\"20s\"", "\"0s\""), "").await;
    world.sql("create role clerk login in role rowbell_daemon; grant select on delivery, customer to clerk").await;
    let mut config = (*world.config).clone();
    config.database.url = world.cluster.url_as("clerk", "postgres");
    world.stages.channel_lease.give_up().await.unwrap();
    world.stages = Stages::build(config.clone().into(), world.clock.clone()).await.unwrap();
    let hiding = [
        (
            "alter table delivery enable row level security",
            "alter table delivery disable row level security",
        ),
        (
            "alter table delivery enable row level security; create policy others on delivery using (id <> 1)",
            "drop policy others on delivery; alter table delivery disable row level security",
        ),
        (
            "alter table customer enable row level security",
            "alter table customer disable row level security",
        ),
    ];
    for (number, (hide, show)) in hiding.into_iter().enumerate() {
        world.sql(hide).await;
        let pool = pool::connect(&config.database).unwrap();
        let said =
            check::online(&mut pool.get().await.unwrap(), &config).await.problems().join("\n");
        assert!(said.contains("row"), "{hide}: {said}");
        assert!(said.contains("security"), "{hide}: {said}");
        world.sql(&format!("update delivery set address = 'Street {number}' where id = 1")).await;
        world.work().await;
        assert_eq!(world.read(MARIA).len(), number, "{hide}");
        world.sql(show).await;
        // It is looked at again now and then.
        world.pass(Duration::from_secs(61));
        world.work().await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), number + 1, "{show}");
        assert!(read[number].contains(&format!("Street {number}")), "{read:?}");
    }
    // Whoever knows that the policies show every row says so.
    world.sql("alter table delivery enable row level security; create policy all_rows on delivery using (true)").await;
    config.database.url += "&options=-c%20row_security%3Don";
    let pool = pool::connect(&config.database).unwrap();
    assert_eq!(
        check::online(&mut pool.get().await.unwrap(), &config).await.problems(),
        Vec::<String>::new()
    );
    world.stages.channel_lease.give_up().await.unwrap();
    world.stages = Stages::build(config.into(), world.clock.clone()).await.unwrap();
    world.sql("update delivery set address = 'Last Street' where id = 1").await;
    world.work().await;
    assert!(world.read(MARIA).last().unwrap().contains("Last Street"));
}
