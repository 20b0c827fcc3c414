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

/// ArtisanPack-UI/bookings #76: what was due at noon by the customer's clock was dropped in the morning, because
/// the server's clock was taken. Whoever reads "12:00" reads it on a wall, and the deadline stands on the same one.
#[tokio::test]
async fn a_deadline_without_a_zone_is_read_by_the_clock_by_which_it_is_told() {
    let (york, tokyo) = ("America/New_York", "Asia/Tokyo");
    let hours =
        |zone: &str, hours: i64| format!("now() at time zone '{zone}' + interval '{hours} h'");
    let days = |zone: &str, days: i64| format!("(now() at time zone '{zone}')::date + {days}");
    let walls = [
        (york, hours(york, 2), "sent"),
        (york, hours(york, -2), "stale"),
        (tokyo, hours(tokyo, 2), "sent"),
        (tokyo, hours(tokyo, -2), "stale"),
        (york, "'infinity'".to_owned(), "sent"),
        (york, "'-infinity'".to_owned(), "stale"),
        (york, "null".to_owned(), "sent"),
    ];
    let dates = [
        (york, days(york, 0), "sent"),
        (york, days(york, -1), "stale"),
        (tokyo, days(tokyo, 0), "sent"),
        (tokyo, days(tokyo, -1), "stale"),
    ];
    let by_row = "row_time_zone = \"depot ->> 'zone'\"";
    for (type_name, expression, rows) in [
        ("timestamp", "until", &walls[..]),
        ("wall_clock", "until", &walls[..4]),
        ("date", "until", &dates[..]),
        ("timestamp", "until::timestamptz", &[(tokyo, hours("UTC", 2), "sent")]),
    ] {
        let schema = format!(
            "{SCHEMA} create domain wall_clock as timestamp; alter table delivery add until {type_name};"
        );
        let watch = format!("{by_row}\nexpires_at = \"{expression}\"");
        let mut world = World::over(&schema, CONFIG, &watch).await;
        for (id, (zone, until, _)) in rows.iter().enumerate() {
            world
                .sql(&format!(
                    "insert into delivery (id, customer_id, address, depot, until)
                     values ({id} + 10, 1, 'x', jsonb_build_object('zone', '{zone}'), {until})"
                ))
                .await;
        }
        world.settle().await;
        let fates = "select string_agg(coalesce(reason::text, state::text), ' ' order by entity_key::int) \
                       from rowbell.message";
        let expected: Vec<&str> = rows.iter().map(|(_, _, fate)| *fate).collect();
        assert_eq!(world.value(fates).await, expected.join(" "), "{type_name} {expression}");
    }
}

/// The recipient's zone comes before the watch's, and quiet hours are asked by the same clock.
#[tokio::test]
async fn what_a_message_is_about_is_read_by_the_recipients_clock() {
    let schema = SCHEMA.to_owned() + "alter table delivery add until timestamp;";
    let watch = "time_zone = \"Asia/Tokyo\"\nexpires_at = \"until\"
        quiet_hours = { times = [\"00:00-12:00\", \"12:00-23:59\"], unless_within = \"3h\", of = \"until\" }";
    let mut world = World::over(&schema, CONFIG, watch).await;
    world.sql("update customer set time_zone = 'America/New_York'").await;
    let until = "now() at time zone 'America/New_York' + interval '2 hours'";
    world.sql(&format!("update delivery set address = 'x', until = {until}")).await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
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
