//! Limits defer, they never drop: counted at the provider, from its record of what it accepted.

use rowbell::pipeline::context::stage::{Progress, Stage as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rowbell_lab::sandbox::{Arrival, Fault, FaultRule, LimitOptions};

use crate::harness::World;

const SECOND: Duration = Duration::from_secs(1);

/// Rows of three tables and whom they belong to. The first person has many rows of the first two.
pub const SCHEMA: &str = "
    create table person (id bigint primary key, phone text);
    insert into person select i, '+1212200' || lpad(i::text, 4, '0') from generate_series(1, 500) as i;
    create table orders (id bigint primary key, person_id bigint, note text default 'new');
    create table visits (like orders including all);
    create table parcels (like orders including all);
    insert into orders select i, case when i <= 25 then 1 else i end from generate_series(1, 225) as i;
    insert into visits select i, case when i <= 25 then 1 else 175 + i end from generate_series(1, 225) as i;
    insert into parcels select i, 400 + i from generate_series(1, 100) as i;";

const HOT: u64 = 12_122_000_001;

/// `{main}`, `{second}` and `{visits}` are replaced by lines of their sections.
const CONFIG: &str = r#"
[database]
url = "{database}"
[polling]
enabled = false
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
{main}
[channel.second]
provider   = "1msg"
channel_id = "ODI371267301"
token_file = "{folder}/token"
base_url   = "{provider}"
{second}
[template.service_change]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = "en"
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
"#;

const WATCH: &str = r#"
[watch.{watch}]
table        = "public.{watch}"
channel      = "{channel}"
template     = "service_change"
service      = "{watch}"
columns      = ["note"]
recipient    = "select 'Somebody' as name, p.phone from person p where p.id = changed.person_id"
quiet_period = "0s"
{more}
[[watch.{watch}.say]]
text.en = "{{ id }}: {{ note }}"
"#;

pub fn config(main: &str, second: &str, visits: &str) -> String {
    let watch = |name: &str, channel: &str, more: &str| {
        WATCH.replace("{watch}", name).replace("{channel}", channel).replace("{more}", more)
    };
    CONFIG.replace("{main}", main).replace("{second}", second)
        + &watch("orders", "main", "")
        + &watch("visits", "main", visits)
        + &watch("parcels", "second", "")
}

async fn world(main: &str, second: &str, visits: &str) -> World {
    World::at_hand(SCHEMA, &config(main, second, visits), [LimitOptions::default(); 2]).await
}

/// What is due leaves, as far as it may; only those stages that this takes. As the daemon does, compose goes on until it
/// finds nothing: what it looks at first may all be for one phone that has to wait.
async fn tick(world: &mut World) {
    let stages = &mut world.stages;
    for compose in &mut stages.composes {
        while compose.step().await.unwrap() == Progress::Worked {}
    }
    for deliver in &mut stages.delivers {
        deliver.step().await;
    }
    stages.settle.step().await.unwrap();
}

/// Time goes by in steps; what may leave leaves.
async fn ticks(world: &mut World, count: usize, step: Duration) {
    for _ in 0..count {
        world.pass(step);
        tick(world).await;
    }
}

/// Messages that the provider accepted, by what they are about.
fn services(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in world.sandbox.all_seen() {
        *counts.entry(message.parameters[1].clone()).or_default() += 1;
    }
    counts
}

/// No window of any length has more messages than `burst` and what is paid back in it.
fn paced(what: &str, times: &[i64], burst: usize, every: Duration) {
    let every = i64::try_from(every.as_nanos()).unwrap();
    for (first, from) in times.iter().enumerate() {
        // Later ones are paid back for sure once everything before them is.
        for (last, to) in times.iter().enumerate().skip(first).take(200) {
            let most = burst + usize::try_from((to - from) / every).unwrap();
            let sent = last - first + 1;
            assert!(sent <= most, "{what}: {sent} within {} s", (to - from) / 1_000_000_000);
        }
    }
}

/// The phones of no day are more than `most`.
fn within_a_day(arrivals: &[&Arrival], most: usize) {
    let day = 86_400_000_000_000;
    for from in arrivals {
        let window = arrivals.iter().filter(|a| (from.at_ns..from.at_ns + day).contains(&a.at_ns));
        let phones: HashSet<u64> = window.map(|arrival| arrival.phone).collect();
        assert!(phones.len() <= most, "{} phones within a day", phones.len());
    }
}

/// One edit of a random row; a third of those of the first two tables are the hot person's.
async fn edit(world: &World, rng: &mut StdRng, table: &str, version: usize) {
    let rows = if table == "parcels" { 100 } else { 225 };
    let id = match rng.random_range(0..3) {
        0 if table != "parcels" => rng.random_range(1..=25),
        _ => rng.random_range(1..=rows),
    };
    world.sql(&format!("update {table} set note = 'v{version}' where id = {id}")).await;
}

/// Three watches, two channels, 500 people, one of them with fifty rows; half an hour in which more changes
/// than may be told, half an hour in which the rest is told; nine restarts and crashes.
#[tokio::test]
async fn an_hour_in_which_no_limit_is_passed() {
    let limits =
        LimitOptions { per_second: Some(1), pair_burst: Some(2), recipients_per_day: None };
    let second = LimitOptions { recipients_per_day: Some(60), ..limits };
    let main = "rate = \"20/m\"\npair_burst = 2\npair_every = \"12s\"";
    let other = "rate = \"20/m\"\npair_burst = 2\npair_every = \"12s\"\ndaily_recipients = 60";
    let mut world = World::at_hand(SCHEMA, &config(main, other, ""), [limits, second]).await;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut shares = BTreeMap::new();
    for minute in 0..60 {
        if minute < 30 {
            for edits in 0..30 {
                let version = minute * 100 + edits;
                edit(&world, &mut rng, "orders", version).await;
                if edits < 24 {
                    edit(&world, &mut rng, "visits", version).await;
                }
                if edits < 10 {
                    edit(&world, &mut rng, "parcels", version).await;
                }
            }
            while world.stages.claim.step().await.unwrap() == Progress::Worked {}
        }
        match minute {
            5 => shares = services(&world),
            30 => {
                let (orders, visits) = ("orders".to_owned(), "visits".to_owned());
                let now = services(&world);
                let sent = |watch| (now[watch] - shares[watch]) as f64;
                let share = sent(&orders) / (sent(&orders) + sent(&visits));
                assert!((0.475..=0.525).contains(&share), "orders had {share} of the channel");
                let used = sent(&orders) + sent(&visits);
                assert!(used >= 499.0, "the channel was used: {used} of 500");
            }
            _ => {}
        }
        match minute % 12 {
            3 => world.restart().await,
            9 => world.crash().await,
            _ => {}
        }
        ticks(&mut world, 20, SECOND * 3).await;
    }
    let waits = "select count(*) from rowbell.message where state = 'scheduled' and reason_text like 'recipient limit:%'";
    assert_ne!(world.value(waits).await, "0", "a new recipient has to wait for the next day");
    assert_eq!(world.value("select count(*) from rowbell.queue where channel = 'main'").await, "0");
    world.pass(Duration::from_secs(86_400));
    ticks(&mut world, 100, SECOND * 3).await;

    assert_eq!(world.sandbox.counts().refused, 0, "the provider had nothing to refuse");
    let arrivals = world.sandbox.arrivals();
    for channel in 0..2 {
        let on: Vec<&Arrival> = arrivals.iter().filter(|a| a.channel == channel).collect();
        let times: Vec<i64> = on.iter().map(|arrival| arrival.at_ns).collect();
        paced(&format!("channel {channel}"), &times, 1, SECOND * 3);
        let mut by_phone: HashMap<u64, Vec<i64>> = HashMap::new();
        on.iter().for_each(|a| by_phone.entry(a.phone).or_default().push(a.at_ns));
        by_phone.iter().for_each(|(phone, times)| {
            paced(&format!("a phone ({})", *phone == HOT), times, 2, SECOND * 12);
        });
        if channel == 1 {
            within_a_day(&on, 60);
        }
    }
    assert!(arrivals.iter().filter(|a| a.phone == HOT).count() > 100, "the hot one was busy");
    told(&world).await;
}

/// What everybody read last of each row is the row as it is.
async fn told(world: &World) {
    let mut last: HashMap<(String, String), String> = HashMap::new();
    for message in world.sandbox.all_seen() {
        let (id, note) = message.parameters[2].split_once(": ").unwrap();
        last.insert((message.parameters[1].clone(), id.to_owned()), note.to_owned());
    }
    for table in ["orders", "visits", "parcels"] {
        let sql = format!("select id::text, note from {table} where note <> 'new'");
        for row in world.db.query(&sql, &[]).await.unwrap() {
            let (id, note): (String, String) = (row.get(0), row.get(1));
            let read = last.get(&(table.to_owned(), id.clone()));
            assert_eq!(read, Some(&note), "{table} {id}");
        }
    }
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
}

#[tokio::test]
async fn a_hot_phone_waits_and_the_others_do_not() {
    let mut world = world("rate = \"1000/s\"\npair_burst = 2", "", "").await;
    world.sql("update orders set note = 'moved' where id between 23 and 30").await;
    world.work().await;
    assert_eq!(world.read("12122000001").len(), 2);
    assert_eq!(world.sandbox.count(), 2 + 5, "everybody else was told at once");
    let waiting = "select reason_text from rowbell.message where state = 'scheduled'";
    assert_eq!(
        world.value(waiting).await,
        "pair limit: after 2 messages at once, a phone gets one in 6 s on channel main"
    );
    // What changes meanwhile is told with it.
    world.sql("update orders set note = 'moved again' where id = 25").await;
    world.sql("update visits set note = 'moved' where id in (1, 2)").await;
    world.restart().await;
    for second in 1..=18 {
        world.pass(SECOND);
        world.work().await;
        assert_eq!(world.read("12122000001").len(), 2 + second / 6, "after {second} s");
    }
    let read = world.read("12122000001").join("; ");
    assert!(read.contains("25: moved again") && !read.contains("25: moved;"), "{read}");
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
}

#[tokio::test]
async fn a_new_recipient_waits_until_another_one_leaves_the_day() {
    let mut world = world("rate = \"1000/s\"\ndaily_recipients = 2", "", "").await;
    for id in [30, 31, 32, 33] {
        world.sql(&format!("update orders set note = 'moved' where id = {id}")).await;
        world.work().await;
        world.pass(Duration::from_secs(3_600));
    }
    assert_eq!(world.sandbox.count(), 2);
    let waiting = "select min(reason_text) from rowbell.message where state = 'scheduled'";
    assert_eq!(
        world.value(waiting).await,
        "recipient limit: channel main has written to 2 phones within 24 h"
    );
    world.restart().await;
    world.sql("update orders set note = 'moved' where id = 34").await;
    world.sql("update orders set note = 'again' where id = 30").await;
    world.work().await;
    assert_eq!(world.sandbox.count(), 3, "who was written to today may be written to again");
    // 31 was written to at one o'clock, 30 at four: there are places at one and at four tomorrow.
    let seen = |world: &World| world.sandbox.count();
    world.pass(Duration::from_secs(20 * 3_600));
    world.work().await;
    assert_eq!(seen(&world), 3);
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    assert_eq!(seen(&world), 4);
    world.pass(Duration::from_secs(3 * 3_600));
    world.work().await;
    assert_eq!(seen(&world), 5);
    world.pass(Duration::from_secs(48 * 3_600));
    world.work().await;
    assert_eq!(seen(&world), 6, "the last one, too: nothing is dropped");
}

#[tokio::test]
async fn a_watch_gets_as_much_of_its_channel_as_its_share_says() {
    let mut world = world("rate = \"1/s\"", "", "share = 3").await;
    world.sql("update orders set note = 'moved' where id > 25").await;
    // Later, and many more behind those of the other watch.
    world.sql("update visits set note = 'moved' where id > 25").await;
    world.stages.claim.step().await.unwrap();
    world.stages.claim.step().await.unwrap();
    tick(&mut world).await;
    ticks(&mut world, 100, SECOND).await;
    let sent = services(&world);
    assert!((75..=77).contains(&sent["visits"]), "{sent:?}");
    assert!((24..=26).contains(&sent["orders"]), "{sent:?}");
    // Alone, the other one gets everything.
    world.sql("insert into rowbell.pause (kind, name) values ('watch', 'visits')").await;
    ticks(&mut world, 20, SECOND).await;
    assert_eq!(services(&world)["orders"], sent["orders"] + 20);
}

/// The provider says that it was too fast: half the rate at once, back within minutes; and no message
/// fails for it.
#[tokio::test]
async fn a_provider_that_asks_to_slow_down_is_heard() {
    let mut world = world("rate = \"10/s\"", "", "").await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::TooManyRequests { retry_after: None })]);
    world.sql("update orders set note = 'moved' where id = 100").await;
    world.work().await;
    world.sandbox.set_faults(Vec::new());
    let learned = "select learned_rate from rowbell.channel where channel = 'main'";
    assert_eq!(world.value(learned).await, "5");
    world.restart().await;
    world.sql("update orders set note = 'moved' where id > 100").await;
    world.stages.claim.step().await.unwrap();
    let mut counts = Vec::new();
    for pause in [10, 300, 400] {
        world.pass(Duration::from_secs(pause));
        let before = world.sandbox.count();
        ticks(&mut world, 20, Duration::from_millis(100)).await;
        counts.push(world.sandbox.count() - before);
    }
    assert!((9..=11).contains(&counts[0]), "5/s: {counts:?} in two seconds");
    assert!((19..=20).contains(&counts[2]), "10/s again: {counts:?} in two seconds");
    ticks(&mut world, 900, Duration::from_millis(100)).await;
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
    assert_eq!(
        world.value("select count(*) from rowbell.message where state = 'sent'").await,
        "126"
    );
}

/// Somebody else writes to the same phone through the same number: that phone waits, no other.
#[tokio::test]
async fn a_pair_limit_of_the_provider_holds_up_only_its_phone() {
    let limits = LimitOptions { pair_burst: Some(1), ..LimitOptions::default() };
    let mut world = World::at_hand(SCHEMA, &config("rate = \"1000/s\"", "", ""), [limits; 2]).await;
    world.sql("update orders set note = 'moved' where id between 24 and 30").await;
    world.work().await;
    assert_eq!(world.read("12122000001").len(), 1, "the second was refused");
    assert_eq!(world.sandbox.count(), 1 + 5);
    assert_eq!(
        world.value("select learned_rate from rowbell.channel where channel = 'main'").await,
        "null"
    );
    world.sql("update visits set note = 'moved' where id in (1, 2)").await;
    world.work().await;
    let refused = world.sandbox.counts().refused;
    for _ in 0..60 {
        world.pass(SECOND * 2);
        world.work().await;
    }
    assert_eq!(world.read("12122000001").len(), 4);
    assert!(world.sandbox.counts().refused <= refused + 3, "it does not run against the wall");
}
