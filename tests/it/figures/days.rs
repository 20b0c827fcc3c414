//! The messages of each day, counted: they equal what the rows say, whatever happened, and outlive them.

use std::time::Duration;

use rowbell::domain::message::receipt::{Pricing, Receipt, ReceiptStatus};
use rowbell::domain::message::unconfirmed::Settlement;
use rowbell::domain::person_act::PersonActWay;
use rowbell::operations::settle::{PersonsWord, settle};
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell::postgres::operations::person_acts::ActingPerson;
use rowbell::postgres::operations::retry::put_back;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{JUAN, MARIA, World};

const DAY: Duration = Duration::from_secs(86_400);

/// How many figures of the days are not what the rows say.
pub const DIFFERENCES: &str = "
with kept as (
    select d.day, d.watch, d.channel, d.template, d.language, d.recipient_country, d.state, d.reason,
           sum(d.messages) as messages, sum(d.fallbacks) as fallbacks, sum(d.changes) as changes, sum(d.sent) as sent,
           sum(d.delivered) as delivered, sum(d.read) as read, sum(d.time_to_sent) as time_to_sent,
           sum(d.time_to_delivered) as time_to_delivered, sum(d.to_tell) as to_tell, sum(d.net_sent) as net_sent,
           sum(d.net_delivered) as net_delivered, sum(d.net_read) as net_read
      from rowbell_report.day as d
     group by 1, 2, 3, 4, 5, 6, 7, 8
), said as (
    select (m.first_changed_at at time zone (select time_zone from rowbell.day_look))::date, m.watch, m.channel, m.template,
           m.language, m.recipient_country, m.state, m.reason, count(*)::numeric, count(m.fallback_of)::numeric,
           coalesce(sum(case when m.fallback_of is null then m.change_count end), 0)::numeric, count(m.sent_at)::numeric,
           count(m.delivered_at)::numeric, count(m.read_at)::numeric,
           sum(greatest(m.sent_at - m.first_changed_at, '0')) filter (where m.sent_at is not null),
           sum(greatest(m.delivered_at - m.first_changed_at, '0')) filter (where m.delivered_at is not null),
           count(*) filter (where m.fallback_of is null and (m.state <> 'skipped' or f.is_there))::numeric,
           count(*) filter (where m.fallback_of is null and (m.sent_at is not null or f.is_sent))::numeric,
           count(*) filter (where m.fallback_of is null and (m.delivered_at is not null or f.is_delivered))::numeric,
           count(*) filter (where m.fallback_of is null and (m.read_at is not null or f.is_read))::numeric
      from rowbell_report.message_status as m
     cross join lateral (
           select count(*) > 0, bool_or(s.sent_at is not null), bool_or(s.delivered_at is not null), bool_or(s.read_at is not null)
             from rowbell.message as s
            where s.fallback_of = m.message_id
     ) as f (is_there, is_sent, is_delivered, is_read)
     group by 1, 2, 3, 4, 5, 6, 7, 8
), differences as (
    (select * from kept except all select * from said) union all (select * from said except all select * from kept)
), slow as (
    select l.* from rowbell_report.latency as l
), kept_slow as (
    select l.* from rowbell_report.day_latency as l where l.step < '5'
), slow_differences as (
    (select * from slow except all select * from kept_slow) union all (select * from kept_slow except all select * from slow)
)
select (select count(*) from differences) + (select count(*) from slow_differences)";

/// What changed lately did so three hours and some days before, each time on another one.
const EARLIER: &str = "
update rowbell.message as m
   set (first_changed_at, last_changed_at) = (m.first_changed_at - d.ago, m.last_changed_at - d.ago)
  from (select interval '3 h' + interval '1 d' * (1 + max(message_id) / 2) as ago, max(message_id) - 2 as known from rowbell.message) as d
 where m.message_id > d.known";

/// The daemon looks, and counts what changed.
async fn counted(world: &mut World) {
    world.pass(Duration::from_secs(61));
    count(world).await;
}

async fn count(world: &mut World) {
    while world.stages.day_count.step().await.unwrap() == Progress::Worked {}
}

async fn differences(world: &World) -> String {
    world.value(DIFFERENCES).await
}

async fn moved(world: &mut World, to: &str) {
    world.sql(&format!("update delivery set address = '{to}'")).await;
    world.settle().await;
}

fn said(id: &str, status: ReceiptStatus) -> Receipt {
    Receipt { provider_message_id: id.to_owned(), status, ..Receipt::default() }
}

fn priced(id: &str, category: &str, is_billable: bool) -> Receipt {
    let pricing = Pricing {
        category: Some(category.to_owned()),
        model: Some("PMP".to_owned()),
        is_billable: Some(is_billable),
    };
    Receipt { pricing, ..said(id, ReceiptStatus::Sent) }
}

fn faults(world: &World, fault: Option<Fault>) {
    world.sandbox.set_faults(fault.map(FaultRule::always).into_iter().collect());
}

/// Whatever moves a message: a receipt that comes weeks later, a person, a new attempt of what had failed.
#[tokio::test]
async fn days_equal_what_the_rows_say() {
    let mut world = World::new().await;
    moved(&mut world, "1 New Street").await;
    assert_ne!(differences(&world).await, "0", "the question itself must find something");
    counted(&mut world).await;
    assert_eq!(differences(&world).await, "0");
    assert_eq!(world.value("select sum(sent) from rowbell_report.day").await, "2");
    // The next days, and one on which nothing is sent.
    for day in 0..3 {
        world.pass(DAY);
        faults(&world, (day == 1).then_some(Fault::Code { code: 100 }));
        moved(&mut world, &format!("{day} Old Street")).await;
        // The database's own clock does not move.
        world.sql(EARLIER).await;
        counted(&mut world).await;
        assert_eq!(differences(&world).await, "0", "day {day}");
    }
    assert_eq!(world.value("select count(distinct day) from rowbell_report.day").await, "4");
    // Weeks later a receipt comes for the first day.
    world.pass(20 * DAY);
    counted(&mut world).await;
    let id =
        world.value("select provider_message_id from rowbell.message order by 1 limit 1").await;
    world.receipt(said(&id, ReceiptStatus::Delivered)).await;
    assert_ne!(differences(&world).await, "0");
    counted(&mut world).await;
    assert_eq!(differences(&world).await, "0");
    // Somebody sends again what had failed.
    let failed =
        world.db.query("select message_id from rowbell.message where state = 'failed'", &[]);
    let failed: Vec<i64> = failed.await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(failed.len(), 2);
    put_back(&world.db, &failed, "again", world.now()).await.unwrap();
    counted(&mut world).await;
    assert_eq!(differences(&world).await, "0", "while it waits");
    world.settle().await;
    counted(&mut world).await;
    assert_eq!(differences(&world).await, "0", "when it has left");
}

/// A request without an answer waits for a person for days, who says at last that it arrived.
#[tokio::test]
async fn what_a_person_decides_is_counted() {
    let mut world = World::with("unconfirmed = \"hold\"").await;
    faults(&world, Some(Fault::Lost { status: 504 }));
    world.sql("update delivery set address = 'Old Street' where id = 1").await;
    world.settle().await;
    faults(&world, None);
    for _ in 0..3 {
        world.pass(DAY);
        world.work().await;
        counted(&mut world).await;
        assert_eq!(differences(&world).await, "0");
    }
    assert_eq!(world.value("select state from rowbell_report.day").await, "unconfirmed");
    let id = world.value("select message_id from rowbell.message").await.parse().unwrap();
    let who = ActingPerson { by: "ana".to_owned(), os_user: None, way: PersonActWay::Command };
    let word = PersonsWord { settlement: Settlement::Arrived, who, reason: None };
    let pool = &world.stages.context.pool;
    settle(pool, world.config.clone(), world.clock.clone(), &[id], &word).await.unwrap();
    counted(&mut world).await;
    assert_eq!(world.value("select state from rowbell_report.day").await, "delivered");
    assert_eq!(differences(&world).await, "0");
}

/// A year is still there when its messages are gone, also where the daemon looks again and again meanwhile.
#[tokio::test]
async fn days_outlive_retention() {
    let mut world = World::with_settings("[retention]\npersonal = \"10d\"\nfacts = \"30d\"").await;
    moved(&mut world, "1 New Street").await;
    counted(&mut world).await;
    let kept = "select string_agg(concat_ws(' ', state, messages, sent, changes, time_to_sent), ', ' order by recipient_country) from rowbell_report.day";
    let before = world.value(kept).await;
    for _ in 0..8 {
        world.pass(5 * DAY);
        while world.stages.retention.step().await.unwrap() == Progress::Worked {}
        // A receipt that nobody expects any more.
        world.receipt(said("nobody", ReceiptStatus::Read)).await;
        counted(&mut world).await;
    }
    assert_eq!(world.value("select count(*) from rowbell.message").await, "0");
    assert_eq!(world.value(kept).await, before);
    assert!(before.starts_with("sent 1 1 1"), "{before}");
}

/// The days of a site are those of its clock, and when it is set to another one, they are counted anew.
#[tokio::test]
async fn days_are_those_of_the_site() {
    let mut world = World::new().await;
    moved(&mut world, "1 New Street").await;
    counted(&mut world).await;
    // As if it had been counted where it is already tomorrow.
    world
        .sql(
            "update rowbell.day_look set time_zone = 'Pacific/Kiritimati';
             update rowbell.day_span set day = day + 1; update rowbell.day set day = day + 1",
        )
        .await;
    counted(&mut world).await;
    assert_eq!(differences(&world).await, "0");
    assert_eq!(world.value("select count(*) from rowbell.day_span").await, "1");
}

/// Two daemons look at the same moment, and count each day once.
#[tokio::test]
async fn two_daemons_count_a_day_once() {
    let mut world = World::new().await;
    let mut other = world.another().await;
    for day in 0..3 {
        world.pass(DAY);
        moved(&mut world, &format!("{day} New Street")).await;
        world.pass(Duration::from_secs(61));
        for _ in 0..4 {
            let (one, two) = tokio::join!(world.stages.day_count.step(), other.day_count.step());
            assert!(one.is_ok() && two.is_ok());
        }
        assert_eq!(differences(&world).await, "0");
    }
}

/// The site writes down what a message costs; what is paid for is what arrived, as WhatsApp says, by category and country.
#[tokio::test]
async fn what_messages_cost_is_asked_by_day() {
    let mut world = World::new().await;
    let cost = "select string_agg(concat_ws(' ', recipient_country, price_category, charged, price, cost, currency), ', ' \
                                  order by recipient_country) from rowbell_report.cost";
    moved(&mut world, "1 New Street").await;
    let sent = |phone: &str| world.sandbox.seen(phone)[0].id.clone();
    let (maria, juan) = (sent(MARIA), sent(JUAN));
    world.receipts(vec![priced(&maria, "utility", true), priced(&juan, "utility", true)]).await;
    counted(&mut world).await;
    assert_eq!(
        world.value(&format!("select coalesce(({cost}), '')")).await,
        "",
        "nothing arrived yet"
    );
    world.receipts([&maria, &juan].map(|id| said(id, ReceiptStatus::Delivered)).into()).await;
    counted(&mut world).await;
    assert_eq!(world.value(cost).await, "ES utility 1, US utility 1", "nobody has said a price");
    world
        .sql(
            "insert into rowbell.price (channel, country, category, valid_from, price, currency) values
             ('main', '*', '*', '-infinity', 0.9, 'EUR'), ('main', '*', 'utility', '-infinity', 0.0200, 'EUR'),
             ('main', 'ES', '*', '-infinity', 0.03, 'EUR'), ('main', 'ES', '*', '2020-01-01', 0.0400, 'EUR'),
             ('main', 'ES', '*', '2099-01-01', 0.05, 'EUR'), ('main', 'US', 'marketing', '-infinity', 0.5, 'EUR'),
             ('sms', 'US', '*', '-infinity', 0.8, 'EUR')",
        )
        .await;
    assert_eq!(
        world.value(cost).await,
        "ES utility 1 0.0400 0.0400 EUR, US utility 1 0.0200 0.0200 EUR"
    );
    // What WhatsApp calls free costs nothing.
    world.receipt(Receipt { error_code: Some(1), ..priced(&juan, "service", false) }).await;
    counted(&mut world).await;
    assert_eq!(world.value(cost).await, "US utility 1 0.0200 0.0200 EUR");
}

/// What was kept is small: no row is written for a single message.
#[tokio::test]
async fn an_hour_of_messages_is_a_few_rows() {
    let mut world = World::new().await;
    for at in 0..10 {
        moved(&mut world, &format!("{at} New Street")).await;
    }
    counted(&mut world).await;
    assert_eq!(world.value("select sum(sent) from rowbell_report.day").await, "20");
    let rows: i64 = world.value("select count(*) from rowbell.day").await.parse().unwrap();
    assert!(rows <= 4, "{rows}");
    // Where nothing happens, nothing is written.
    let written = "select max(counted_at) from rowbell.day_span";
    world.pass(Duration::from_secs(1_200));
    counted(&mut world).await;
    let before = world.value(written).await;
    counted(&mut world).await;
    assert_eq!(world.value(written).await, before);
}
