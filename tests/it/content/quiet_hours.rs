//! Quiet hours: what is due at night waits for the morning of its recipient, and nothing is lost by it.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rowbell::clock::Clock;
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::postgres::operations::holds::{self, HoldSelection};
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{CONFIG, JUAN, MARIA, SECOND, SHOP, World};

const HOUR: Duration = Duration::from_secs(3_600);

/// Hours from now, on a clock in UTC, to the minute.
fn clock(hours: f64) -> String {
    let at = Clock::system().now() + SignedDuration::from_secs_f64(hours * 3_600.0);
    at.to_zoned(TimeZone::UTC).strftime("%H:%M").to_string()
}

/// A window that begins and ends so many hours from now.
fn window(from: f64, to: f64) -> String {
    format!("{}-{}", clock(from), clock(to))
}

fn quiet(from: f64, to: f64) -> String {
    format!("quiet_hours = {{ times = \"{}\" }}", window(from, to))
}

/// A night that began an hour ago and ends in three.
fn night() -> String {
    quiet(-1.0, 3.0)
}

/// Why the latest message waits.
async fn why(world: &World) -> String {
    world.value("select reason_text from rowbell.message order by message_id desc limit 1").await
}

/// In how many minutes the latest message is due.
async fn due_in(world: &World) -> i64 {
    let due = world
        .value(
            "select extract(epoch from due_at) from rowbell.queue order by message_id desc limit 1",
        )
        .await;
    let due: f64 = due.parse().unwrap();
    (due as i64 - world.now().as_second() + 59) / 60
}

async fn explained(world: &World, key: &str) -> String {
    let told =
        rowbell::cli::inspect::explain::tell(&world.db, &world.config, "home_delivery", key, 10);
    rowbell::cli::inspect::explain::as_text(&told.await.unwrap(), &world.config, world.now())
}

fn at(world: &World, hours: i64) -> Timestamp {
    world.now() + SignedDuration::from_hours(hours)
}

/// cal #19594: what waited for the morning told what was true in the evening.
#[tokio::test]
async fn a_change_at_night_waits_for_the_morning_and_tells_the_row_as_it_is_then() {
    // As it stands in the configuration: a minute may turn meanwhile.
    let (begin, end) = (clock(-1.0), clock(3.0));
    let night = format!("quiet_hours = {{ times = \"{begin}-{end}\" }}");
    let mut world = World::with(&night).await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 0 attempt(s)"]);
    let said = why(&world).await;
    assert!(said.starts_with("quiet hours until "), "{said}");
    assert!(said.ends_with(&format!(" {end} in UTC (zone by recipient)")), "{said}");
    assert!((178..=180).contains(&due_in(&world).await), "{}", due_in(&world).await);
    let story = explained(&world, "1").await;
    assert!(story.contains(&said), "{story}");

    // Later changes fold into it, and it goes on waiting.
    world.sql("update delivery set address = '3 Newer Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 scheduled 2 change(s) 0 attempt(s)"]);
    assert_eq!(world.sandbox.count(), 0);

    world.pass(HOUR * 3);
    world.work().await;
    assert_eq!(world.messages().await, ["1 sent 2 change(s) 1 attempt(s)"]);
    let read = world.read(MARIA);
    assert!(read[0].contains("1 Main Street → 3 Newer Street"), "{read:?}");
}

#[tokio::test]
async fn what_was_taken_back_during_the_night_is_never_told() {
    let mut world = World::with(&night()).await;
    world.sql("update delivery set status = 'cancelled' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set status = 'planned' where id = 1").await;
    world.settle().await;
    world.pass(HOUR * 3);
    world.work().await;
    assert_eq!(world.messages().await, ["1 skipped no_net_change 2 change(s) 0 attempt(s)"]);
    assert_eq!(world.sandbox.count(), 0);
}

/// Novu #2808: it is the recipient's night that counts.
#[tokio::test]
async fn each_recipient_has_a_night_of_their_own() {
    let mut world = World::with(&night()).await;
    world.sql("update customer set time_zone = 'Asia/Tokyo' where id = 2").await;
    world.sql("update delivery set address = 'moved'").await;
    world.settle().await;
    assert_eq!(
        world.messages().await,
        ["1 scheduled 1 change(s) 0 attempt(s)", "2 sent 1 change(s) 1 attempt(s)"]
    );
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (0, 1));
}

#[tokio::test]
async fn all_watches_have_the_quiet_hours_of_the_installation_unless_they_say_otherwise() {
    let settings = format!("[quiet_hours]\ntimes = [\"{}\"]", window(-1.0, 3.0));
    for (watch, state) in [("", "scheduled"), ("quiet_hours = { times = [] }", "sent")] {
        let config = CONFIG.replace("{settings}", &settings);
        let mut world = World::over(SHOP, &config, watch).await;
        world.sql("update delivery set address = 'moved' where id = 1").await;
        world.settle().await;
        assert!(world.messages().await[0].starts_with(&format!("1 {state}")), "{watch}");
    }
}

#[tokio::test]
async fn what_is_about_something_soon_leaves_all_the_same() {
    let times = window(-1.0, 3.0);
    let watch = format!(
        "quiet_hours = {{ times = \"{times}\", unless_within = \"12h\", of = \"window_start\" }}"
    );
    let mut world = World::with(&watch).await;
    let (soon, later) = (at(&world, 6), at(&world, 40));
    world.sql(&format!("update delivery set window_start = '{soon}' where id = 1")).await;
    world.sql(&format!("update delivery set window_start = '{later}' where id = 2")).await;
    world.sql("update customer set time_zone = 'UTC'").await;
    world.settle().await;
    assert_eq!(
        world.messages().await,
        ["1 sent 1 change(s) 1 attempt(s)", "2 scheduled 1 change(s) 0 attempt(s)"]
    );
    // In the middle of the night it becomes a matter of hours: nobody waits for the morning.
    world.sql(&format!("update delivery set window_start = '{soon}' where id = 2")).await;
    world.settle().await;
    assert_eq!(world.read(JUAN).len(), 1);
    let broke = "select count(*) from rowbell_report.message_status where in_quiet_hours";
    assert_eq!(world.value(broke).await, "2", "the reports say that both were urgent");
    // In the morning nothing is.
    world.pass(HOUR * 4);
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 2);
    assert_eq!(world.value(broke).await, "2");
}

/// Deferred to the morning it would come too late.
#[tokio::test]
async fn what_becomes_urgent_during_the_night_leaves_when_it_does() {
    let times = window(-1.0, 3.0);
    let watch = format!(
        "quiet_hours = {{ times = \"{times}\", unless_within = \"2h\" }}\nexpires_at = \"window_end\""
    );
    let mut world = World::with(&watch).await;
    let expires = world.now() + SignedDuration::from_mins(150);
    world.sql(&format!("update delivery set window_end = '{expires}' where id = 1")).await;
    world.settle().await;
    assert!((25..=30).contains(&due_in(&world).await), "{}", due_in(&world).await);
    assert!(why(&world).await.ends_with("it leaves earlier, because it is urgent then"));
    world.pass(HOUR / 2);
    world.work().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
}

#[tokio::test]
async fn what_expires_before_the_morning_ends_with_its_reason() {
    let mut world = World::with(&format!("{}\nexpires_at = \"window_end\"", night())).await;
    let expires = at(&world, 1);
    world.sql(&format!("update delivery set window_end = '{expires}' where id = 1")).await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 0 attempt(s)"]);
    world.pass(HOUR * 3);
    world.work().await;
    assert_eq!(world.messages().await, ["1 skipped stale 1 change(s) 0 attempt(s)"]);
    assert!(why(&world).await.starts_with("expires_at of the watch was "));
}

#[tokio::test]
async fn a_retry_that_comes_due_at_night_waits_too() {
    let mut world = World::with(&quiet(0.1, 3.0)).await;
    let later = Fault::TooManyRequests { retry_after: Some(900) };
    world.sandbox.set_faults(vec![FaultRule::always(later)]);
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    world.sandbox.set_faults(Vec::new());
    world.pass(HOUR / 3);
    world.work().await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    assert!(why(&world).await.starts_with("quiet hours until "), "{}", why(&world).await);
    world.pass(HOUR * 3);
    world.work().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 2 attempt(s)"]);
}

/// An attempt was in vain, and its wait ends in the night.
#[tokio::test]
async fn what_was_tried_in_vain_and_becomes_urgent_by_a_change_leaves_after_its_wait_and_not_later()
{
    let times = window(0.1, 3.0);
    let watch = format!(
        "quiet_hours = {{ times = \"{times}\", unless_within = \"12h\", of = \"window_start\" }}"
    );
    let urgent = async |world: &World| {
        let soon = at(world, 6);
        world.sql(&format!("update delivery set window_start = '{soon}' where id = 1")).await;
    };
    for is_put_off in [true, false] {
        let mut world = World::with(&watch).await;
        let later = Fault::TooManyRequests { retry_after: Some(900) };
        world.sandbox.set_faults(vec![FaultRule::next(1, later)]);
        let far = at(&world, 40);
        world.sql(&format!("update delivery set window_start = '{far}' where id = 1")).await;
        world.settle().await;
        if is_put_off {
            world.pass(HOUR / 3);
            world.work().await;
            assert!(why(&world).await.starts_with("quiet hours until "), "{}", why(&world).await);
            urgent(&world).await;
        } else {
            urgent(&world).await;
            world.settle().await;
            world.pass(HOUR / 6);
            world.work().await;
            assert_eq!(world.sandbox.count(), 0, "the provider asked for a quarter of an hour");
            world.pass(HOUR / 12);
        }
        world.settle().await;
        assert_eq!(world.messages().await, ["1 sent 2 change(s) 2 attempt(s)"], "{is_put_off}");
    }
}

#[tokio::test]
async fn what_a_person_lets_go_at_night_waits_too() {
    let watch = format!("{}\nstorm = {{ transaction = 1, minute = 0 }}", night());
    let mut world = World::with(&watch).await;
    world.sql("update customer set time_zone = 'UTC'; update delivery set address = 'bulk'").await;
    world.settle().await;
    let hold = holds::list(&world.db, &HoldSelection::default()).await.unwrap().remove(0);
    let now = world.now();
    assert_eq!(holds::approve(&mut world.db, &hold, 100, now).await.unwrap(), 2);
    world.work().await;
    assert_eq!(world.sandbox.count(), 0);
    assert!(why(&world).await.starts_with("quiet hours until "), "{}", why(&world).await);
    world.pass(HOUR * 3);
    world.work().await;
    assert_eq!(world.sandbox.count(), 2);
}

#[tokio::test]
async fn a_fallback_waits_too() {
    let watch =
        format!("{}\nfallback = [{{ channel = \"second\", after = \"2h\" }}]", quiet(1.0, 5.0));
    let mut world = World::over(SHOP, &CONFIG.replace("{settings}", SECOND), &watch).await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen().last().unwrap().id.clone();
    let receipt = Receipt {
        provider_message_id: id,
        status: ReceiptStatus::Sent,
        occurred_at: Some(world.now()),
        ..Receipt::default()
    };
    world.receipt(receipt).await;
    world.pass(HOUR * 2 + HOUR / 10);
    world.work().await;
    let stand =
        "select string_agg(channel || ' ' || state, '; ' order by message_id) from rowbell.message";
    assert_eq!(world.value(stand).await, "main sent; second scheduled");
    assert!(why(&world).await.starts_with("quiet hours until "), "{}", why(&world).await);
    world.pass(HOUR * 3);
    world.work().await;
    assert_eq!(world.value(stand).await, "main sent; second sent");
}

#[tokio::test]
async fn a_preview_shows_the_words_and_that_they_would_wait() {
    let world = World::with(&night()).await;
    let text = world.previewed().await;
    assert!(text.contains("to Maria (en-US, UTC by recipient), template service_change"), "{text}");
    assert!(
        text.contains("2 New Street") && text.contains("\nwould wait: quiet hours until "),
        "{text}"
    );
}
