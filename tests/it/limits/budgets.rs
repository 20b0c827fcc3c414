//! A budget: different phones within a day, over several channels.

use std::time::Duration;

use crate::harness::{CONFIG, SECOND, SHOP, World};

/// The shop, with a second watch on a second channel for the same table, four customers more, and a budget of three.
async fn shop() -> World {
    let schema = format!(
        "{SHOP}
         insert into customer select i, 'Customer ' || i, '+1 212 200 10' || i, 'en-US', 'UTC' from generate_series(11, 14) i;
         create table parcel (id bigint primary key, customer_id bigint, place text);
         insert into parcel select i, i, 'depot' from generate_series(11, 14) i;
         insert into parcel values (1, 1, 'depot');"
    );
    let more = "
[watch.parcel]
table        = \"public.parcel\"
channel      = \"second\"
template     = \"service_change\"
service      = { en = \"parcel\" }
columns      = [\"place\"]
recipient    = \"select c.full_name as name, c.phone from customer c where c.id = changed.customer_id\"
quiet_period = \"0s\"
[budget.acme]
channels         = [\"main\", \"second\"]
daily_recipients = 3
";
    World::over(&schema, &format!("{}{SECOND}{more}", CONFIG.replace("\"20s\"", "\"0s\"")), "")
        .await
}

async fn waiting(world: &World) -> String {
    let why =
        "select coalesce(string_agg(distinct reason_text, '; '), 'nothing') from rowbell.message
                where waits_for = 'unique_recipients'";
    world.value(why).await
}

#[tokio::test]
async fn channels_of_one_portfolio_share_their_recipients() {
    let mut world = shop().await;
    // Two phones on one channel, then five on the other, one of which is known already.
    world.sql("update delivery set address = 'elsewhere'").await;
    world.work().await;
    world.sql("update parcel set place = 'door'").await;
    world.work().await;
    assert_eq!(world.sandbox.count(), 4, "two, the known one, and one place that was left");
    assert_eq!(
        waiting(&world).await,
        "budget acme: its channels have written to 3 phones within 24 h"
    );
    // A daemon that starts anew counts the same.
    world.restart().await;
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    assert_eq!(world.sandbox.count(), 4);
    // A day later the places are free.
    world.pass(Duration::from_secs(86_400 + 120));
    world.work().await;
    assert_eq!(world.sandbox.count(), 7);
    assert_eq!(waiting(&world).await, "nothing");
}

/// What was sent before there was a budget counts.
#[tokio::test]
async fn what_was_sent_before_the_budget_counts() {
    let mut world = shop().await;
    world.sql("update delivery set address = 'elsewhere'").await;
    world.work().await;
    world.sql("delete from rowbell.budget_recipient").await;
    world.restart().await;
    world.work().await;
    assert_eq!(world.value("select count(*) from rowbell.budget_recipient").await, "2");
}
