//! Until when a message holds: what expires_at may be made of, and what WhatsApp is told of it.

use std::time::Duration;

use jiff::SignedDuration;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::content::zones::SCHEMA;
use crate::harness::{CONFIG, MARIA, SHOP, World};

/// Whether a change still leaves when this is the deadline.
async fn fate(expires_at: &str, change: &str) -> String {
    let mut world =
        World::over(SCHEMA, CONFIG, &format!("expires_at = \"\"\"{expires_at}\"\"\"")).await;
    world.sql(change).await;
    world.settle().await;
    world.messages().await.join("; ")
}

#[tokio::test]
async fn a_deadline_is_any_expression_over_the_row() {
    let sent = "1 sent 1 change(s) 1 attempt(s)";
    let stale = "1 skipped stale 1 change(s) 0 attempt(s)";
    let window = |end: &str| format!("update delivery set address = 'x', window_end = {end}");
    let grace = "coalesce(window_end, window_start) + interval '2 hours'";
    let lookup = "select window_end - (d.hours || ' hours')::interval from delivery d where d.id = changed.id";
    let day = "(planned_on + 1)::timestamp at time zone coalesce(depot ->> 'zone', 'UTC')";
    let planned = |on: &str| format!("update delivery set address = 'x', planned_on = {on}");
    for (expression, change, expected) in [
        (grace, window("now() - interval '1 hour'"), sent),
        (grace, window("now() - interval '3 hours'"), stale),
        (lookup, window("now() + interval '3 hours'"), sent),
        (lookup, window("now() + interval '1 hour'"), stale),
        (day, planned("current_date + 1"), sent),
        (day, planned("current_date - 2"), stale),
        (day, planned("null"), sent),
        ("window_end", window("'infinity'"), sent),
        ("window_end", window("'-infinity'"), stale),
        ("'99999-01-01Z'::timestamptz", planned("null"), sent),
    ] {
        assert_eq!(fate(expression, &change).await, expected, "{expression}: {change}");
    }
}

#[tokio::test]
async fn a_deadline_that_cannot_be_made_for_one_row_fails_that_row_only() {
    let watch = "expires_at = \"window_end + (hours || ' hours')::interval\"";
    let mut world = World::over(SCHEMA, CONFIG, watch).await;
    world.sql("insert into delivery select 2, 1, 'planned', window_start, now(), address, depot, null, 'two' from delivery; \
               delete from rowbell.change").await;
    world.sql("update delivery set address = 'x', window_end = now()").await;
    for _ in 0..5 {
        world.settle().await;
    }
    assert_eq!(
        world.messages().await,
        ["1 sent 1 change(s) 1 attempt(s)", "2 failed unwritable 1 change(s) 0 attempt(s)"]
    );
}

/// For how many seconds WhatsApp may keep what a change that expires in so many minutes leads to.
async fn kept_for(template: &str, watch: &str, minutes: i64) -> Option<i64> {
    let config =
        CONFIG.replace("[watch.home_delivery]", &format!("{template}\n[watch.home_delivery]"));
    let mut world = World::over(SHOP, &config, watch).await;
    let expires = world.now() + SignedDuration::from_mins(minutes);
    world.sql(&format!("update delivery set window_end = '{expires}' where id = 1")).await;
    world.settle().await;
    let seen = world.sandbox.seen(MARIA);
    assert_eq!(seen.len(), 1, "{:?}", world.messages().await);
    seen[0].time_to_live
}

/// A phone that was off must not show yesterday's news.
#[tokio::test]
async fn whatsapp_keeps_a_message_for_a_phone_that_is_off_until_it_expires() {
    let expires = "expires_at = \"window_end\"";
    // Half a minute goes by until it leaves.
    let two_hours = kept_for("", expires, 120).await.unwrap();
    assert!((7_150..=7_170).contains(&two_hours), "{two_hours}");
    assert_eq!(kept_for("", expires, 1).await, Some(30), "WhatsApp takes no less");
    assert_eq!(kept_for("", expires, 24 * 60).await, None, "what holds longer is not lost");
    assert_eq!(kept_for("", "", 120).await, None, "nobody said when it expires");
    assert_eq!(kept_for("time_to_live = false", expires, 120).await, None);
}

#[tokio::test]
async fn each_attempt_says_what_is_left_then() {
    let mut world = World::with("expires_at = \"window_end\"").await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Refused { status: 503 })]);
    let expires = world.now() + SignedDuration::from_hours(2);
    world.sql(&format!("update delivery set window_end = '{expires}' where id = 1")).await;
    world.settle().await;
    world.sandbox.set_faults(Vec::new());
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    let left = world.sandbox.seen(MARIA)[0].time_to_live.unwrap();
    assert!((3_540..=3_570).contains(&left), "{left}");
}
