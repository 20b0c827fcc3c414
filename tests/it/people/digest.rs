//! Twenty lines of one order change: their customer reads one message, and every line is still a message of its own.

use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::domain::message::unconfirmed::Settlement;
use rowbell::domain::person_act::PersonActWay;
use rowbell::operations::settle::{PersonsWord, settle};
use rowbell::pipeline::context::stage::Stage as _;
use rowbell::postgres::operations::person_acts::ActingPerson;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{SECOND, World};

const MARIA: &str = "12122000001";
const TOM: &str = "12122000002";

/// Maria has the lines 1 to 20, Tom 21 to 23, Ann, who reads Spanish, 24 and 25.
const SCHEMA: &str = "
    create table person (id bigint primary key, name text, phone text, locale text);
    insert into person values (1, 'Maria', '+1 212 200 0001', 'en-US'), (2, 'Tom', '+1 212 200 0002', 'en-US'),
                              (3, 'Ann', '+1 212 200 0003', 'es-US');
    create table order_line (id bigint primary key, person_id bigint, product text, state text default 'open');
    insert into order_line
    select i, case when i <= 20 then 1 when i <= 23 then 2 else 3 end, 'product ' || i from generate_series(1, 25) as i;";

const CONFIG: &str = r#"
[database]
url = "{database}"
[delivery]
lease = "60s"
unconfirmed_after = "5m"
retry_base = "2s"
{settings}
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
rate       = "100000/s"
timeout    = "2s"
[template.service_change]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = { default = "en", es = "es" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
text.en   = "Hello, {{1}}! The status of your {{2}} has been updated. {{3}} If you need help — we are here."
[watch.order_lines]
table        = "public.order_line"
channel      = "main"
template     = "service_change"
service      = { en = "order", es = "pedido" }
columns      = ["state", "product"]
context      = ["person_id"]
recipient    = "select p.name, p.phone, p.locale, true as opted_in from person p where p.id = changed.person_id"
quiet_period = "20s"
digest       = "recipient"
{watch}
[[watch.order_lines.say]]
when    = ["state"]
text.en = "{{ product }} is {{ state }}."
text.es = "{{ product }}: {{ state }}."
"#;

async fn shop() -> World {
    shop_with("", "").await
}

async fn shop_with(settings: &str, watch: &str) -> World {
    World::over(SCHEMA, &CONFIG.replace("{settings}", settings), watch).await
}

/// How many messages stand in which state.
async fn states(world: &World) -> String {
    let sql = "select string_agg(state || ' ' || n, ', ' order by state)
                 from (select concat_ws(' ', state, reason) as state, count(*) as n from rowbell.message group by 1) as s";
    world.value(sql).await
}

/// What is known of each entry of the ledger, counted.
async fn ledger(world: &World) -> String {
    let sql = "select string_agg(status || ' ' || n, ', ' order by status)
                 from (select status::text, count(*) as n from rowbell.last_told group by 1) as s";
    world.value(sql).await
}

fn sentence(lines: impl Iterator<Item = u32>, state: &str) -> String {
    let said: Vec<String> = lines.map(|line| format!("product {line} is {state}.")).collect();
    said.join(" ")
}

#[tokio::test]
async fn twenty_lines_of_one_order_are_one_message() {
    let mut world = shop().await;
    world.sql("update order_line set state = 'packed'").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].contains(&sentence(1..=20, "packed")), "{read:?}");
    assert!(world.read(TOM)[0].contains(&sentence(21..=23, "packed")), "{:?}", world.read(TOM));
    let ann = world.read("12122000003");
    assert!(ann[0].contains("product 24: packed. product 25: packed."), "{ann:?}");
    assert_eq!(world.sandbox.count(), 3);
    assert_eq!(states(&world).await, "sent 25");
    assert_eq!(ledger(&world).await, "accepted 25");
    let ids = "select count(distinct provider_message_id) from rowbell.message";
    assert_eq!(world.value(ids).await, "3", "all messages of a request know its id");
    let polls = "select sum(cardinality(message_ids)) from rowbell.poll";
    assert_eq!(world.value(polls).await, "3", "the provider is asked once for each request");
    let story = "select detail from rowbell_report.change_story
                  where watch = 'order_lines' and entity_key = '2' and event = 'attempt begun'";
    assert_eq!(world.value(story).await, "attempt 1 on channel main in the request of message 1");
    // Each line is known from now on: the next change is told against it.
    world.sql("update order_line set state = 'sent' where id in (3, 4)").await;
    world.settle().await;
    assert!(world.read(MARIA)[1].contains(&sentence(3..=4, "sent")), "{:?}", world.read(MARIA));
}

/// The quiet period of the first ends that of the others: nobody waits longer than without a digest.
#[tokio::test]
async fn what_changes_within_the_quiet_period_joins_what_is_due() {
    let mut world = shop().await;
    world.sql("update order_line set state = 'packed' where id in (1, 2, 3, 21)").await;
    world.work().await;
    // As if they had changed one after the other; the clock of the server cannot be moved.
    world.sql("update rowbell.queue set due_at = due_at + (message_id - 1) * interval '6 s'").await;
    world.pass(Duration::from_secs(21));
    world.work().await;
    assert_eq!(world.sandbox.count(), 1);
    assert!(world.read(MARIA)[0].contains(&sentence(1..=3, "packed")), "{:?}", world.read(MARIA));
    assert_eq!(states(&world).await, "sent 3, waiting 1", "Tom's is not due yet");
    world.pass(Duration::from_secs(20));
    world.work().await;
    assert!(world.read(TOM)[0].contains("product 21 is packed."), "{:?}", world.read(TOM));
}

#[tokio::test]
async fn a_request_that_is_refused_for_now_is_made_again_for_all() {
    let mut world = shop().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Refused { status: 503 })]);
    world.sql("update order_line set state = 'packed' where id <= 5").await;
    world.settle().await;
    assert_eq!(states(&world).await, "scheduled 5");
    assert_eq!(
        world.value("select count(*) from rowbell.last_told where status <> 'assumed'").await,
        "0"
    );
    // What has changed meanwhile is said with it.
    world.pass(Duration::from_secs(30));
    world.sql("update order_line set state = 'packed' where id = 6").await;
    world.work().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].contains(&sentence(1..=6, "packed")), "{read:?}");
    assert_eq!(states(&world).await, "sent 6");
}

async fn receipt_for_all(world: &World, status: ReceiptStatus, error_code: Option<i32>) {
    let id = world.value("select min(provider_message_id) from rowbell.message").await;
    let receipt = Receipt {
        provider_message_id: id,
        status,
        error_code,
        occurred_at: Some(world.now()),
        ..Receipt::default()
    };
    world.receipt(receipt).await;
}

#[tokio::test]
async fn a_receipt_counts_for_every_line() {
    let mut world = shop().await;
    world.sql("update order_line set state = 'packed' where id <= 4").await;
    world.settle().await;
    receipt_for_all(&world, ReceiptStatus::Read, None).await;
    assert_eq!(states(&world).await, "read 4");
    assert_eq!(ledger(&world).await, "arrived 4");
}

/// One request that failed is one failure of its channel, whatever it said: twenty would stop the channel.
#[tokio::test]
async fn a_failure_reported_late_fails_every_line_and_counts_once() {
    let mut world = shop_with("[circuit]\nminimum = 10", "").await;
    world.sql("update order_line set state = 'packed' where id <= 20").await;
    world.settle().await;
    receipt_for_all(&world, ReceiptStatus::Failed, Some(131_026)).await;
    assert_eq!(states(&world).await, "failed undeliverable 20");
    let open = "select count(*) from rowbell.circuit where state <> 'closed'";
    assert_eq!(world.value(open).await, "0");
    // Nothing of it was told: the next message says all that is new to her.
    world.sql("update order_line set state = 'sent' where id = 7").await;
    world.settle().await;
    assert!(world.read(MARIA)[1].contains("product 7 is sent."), "{:?}", world.read(MARIA));
}

/// The answer is lost, and no evidence comes: a person says what became of the request, by whichever of its lines.
#[tokio::test]
async fn a_person_settles_the_request_and_with_it_every_line() {
    let mut world = shop().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Lost { status: 504 })]);
    world.sql("update order_line set state = 'packed' where id <= 3").await;
    world.settle().await;
    assert_eq!(states(&world).await, "unconfirmed 3");
    assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "1");
    let who = ActingPerson { by: "ana".to_owned(), os_user: None, way: PersonActWay::Command };
    let word = PersonsWord { settlement: Settlement::Arrived, who, reason: None };
    let pool = &world.stages.context.pool;
    let settled = settle(pool, world.config.clone(), world.clock.clone(), &[2], &word).await;
    assert_eq!(settled.unwrap().len(), 3);
    assert_eq!(states(&world).await, "delivered 3");
    assert_eq!(ledger(&world).await, "arrived 3");
}

/// A receipt names an id that nobody knows: it is that of the request whose answer was lost, and of all its lines.
#[tokio::test]
async fn evidence_for_a_lost_answer_is_found_once_and_counts_for_every_line() {
    let mut world = shop_with("", "unconfirmed = \"resend\"").await;
    world.sandbox.set_history("ODI371267300", true);
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Lost { status: 504 })]);
    world.sql("update order_line set state = 'packed' where id <= 3").await;
    world.settle().await;
    world.pass(Duration::from_secs(5));
    world.work().await;
    assert_eq!(states(&world).await, "sent 3");
    world.pass(Duration::from_secs(600));
    world.work().await;
    assert_eq!(world.read(MARIA).len(), 1, "nothing was said twice: {:?}", world.read(MARIA));
}

/// The daemon dies with the request: nobody knows whether it left. Without evidence it is made again, once.
#[tokio::test]
async fn a_crash_before_the_request_loses_no_line() {
    let mut world = shop_with("", "unconfirmed = \"resend\"").await;
    world.sandbox.set_history("ODI371267300", true);
    world.sql("update order_line set state = 'packed' where id <= 3").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(states(&world).await, "sending 3");
    world.crash().await;
    world.pass(Duration::from_secs(61));
    world.work().await;
    assert_eq!(states(&world).await, "unconfirmed 3");
    for _ in 0..12 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].contains(&sentence(1..=3, "packed")), "{read:?}");
    assert_eq!(states(&world).await, "sent 3");
}

/// Where WhatsApp's room ends, the rest is counted. Nobody takes what was only counted for told: the next change of
/// such a line is told against what the customer really knows.
#[tokio::test]
async fn what_has_no_room_is_counted_and_not_taken_as_told() {
    let mut world = shop().await;
    let names = "update order_line set product = repeat('x', 90) || id, state = 'known'";
    world.muted("names", names).await;
    world.settle().await;
    let before = world.read(MARIA).len();
    world.sql("update order_line set state = 'packed' where id <= 20").await;
    world.settle().await;
    let text = world.read(MARIA).remove(before);
    assert!(text.chars().count() <= 1_024 && text.contains("more."), "{text}");
    let said = text.matches(" is packed.").count();
    assert!(text.contains(&format!("And {} more.", 20 - said)), "{text}");
    let packed = "select count(*) from rowbell.last_told where row->>'state' = 'packed'";
    assert_eq!(world.value(packed).await, said.to_string());
    // The last of the lines was only counted. It comes back to what she knows: there is nothing to say.
    world.sql("update order_line set state = 'known' where id = 20").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), before + 1);
}

#[tokio::test]
async fn one_line_that_cannot_be_told_fails_alone() {
    let mut world = shop().await;
    world.sql("update person set phone = 'none' where id = 2").await;
    world.sql("update order_line set person_id = 2 where id = 2; update order_line set state = 'packed' where id <= 3").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[0].contains("product 1 is packed. product 3 is packed."), "{read:?}");
    assert_eq!(
        world.value("select count(*) from rowbell.message where reason = 'bad_phone'").await,
        "1"
    );
}

/// Half of the lines go over to Tom while they wait: both read one message about what concerns them.
#[tokio::test]
async fn lines_that_change_hands_are_told_to_both() {
    let mut world = shop().await;
    world.sql("update order_line set state = 'packed' where id <= 4").await;
    world.settle().await;
    world.sql("update order_line set person_id = 2 where id in (3, 4)").await;
    world.settle().await;
    let (maria, tom) = (world.read(MARIA), world.read(TOM));
    assert_eq!((maria.len(), tom.len()), (2, 1), "{maria:?} {tom:?}");
    assert_eq!(maria[1].matches("It is no longer in your name.").count(), 1, "{maria:?}");
    assert!(
        [3, 4].iter().all(|line| tom[0].contains(&format!("product {line} is packed."))),
        "{tom:?}"
    );
}

#[tokio::test]
async fn a_dry_run_records_every_line() {
    let mut world = shop_with("[installation]\ndry_run = true", "").await;
    world.sql("update order_line set state = 'packed' where id <= 3").await;
    world.settle().await;
    assert_eq!((world.sandbox.count(), states(&world).await), (0, "skipped dry_run 3".to_owned()));
}

/// WhatsApp cannot deliver it: every line goes on to the next channel, in one message there too.
#[tokio::test]
async fn what_goes_on_to_the_next_channel_is_one_message_there() {
    let mut world = shop_with(SECOND, "fallback = [{ channel = \"second\" }]").await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Code { code: 131_026 })]);
    world.sql("update order_line set state = 'packed' where id <= 3").await;
    world.settle().await;
    world.pass(Duration::from_secs(30));
    world.work().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].contains(&sentence(1..=3, "packed")), "{read:?}");
    assert_eq!(states(&world).await, "failed undeliverable 3, sent 3");
}

/// The limit of one phone is taken by one request, and what has to wait for it is said together.
#[tokio::test]
async fn the_limit_of_a_phone_counts_requests() {
    let limits = "pair_burst = 1\npair_every = \"60s\"";
    let config = CONFIG.replace("timeout    = \"2s\"", &format!("timeout    = \"2s\"\n{limits}"));
    let mut world = World::over(SCHEMA, &config, "").await;
    for state in ["packed", "sent", "there"] {
        world.sql(&format!("update order_line set state = '{state}' where id <= 3")).await;
        world.work().await;
        world.pass(Duration::from_secs(21));
        world.work().await;
    }
    assert_eq!(world.read(MARIA).len(), 1, "{:?}", world.read(MARIA));
    world.pass(Duration::from_secs(90));
    world.work().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[1].contains(&sentence(1..=3, "there")), "{read:?}");
}

/// A mother and her son share a phone: each is spoken to about their own lines.
#[tokio::test]
async fn two_people_with_one_phone_are_told_apart() {
    let config = CONFIG.replace("select p.name,", "select 'p' || p.id as recipient_key, p.name,");
    let mut world = World::over(SCHEMA, &config, "").await;
    world.sql("update person set phone = '+1 212 200 0001' where id = 2").await;
    world.sql("update order_line set state = 'packed' where id in (1, 2, 21, 22)").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?}");
    for (name, lines) in [("Maria", 1..=2), ("Tom", 21..=22)] {
        let said = sentence(lines, "packed");
        assert!(read.iter().any(|text| text.contains(name) && text.contains(&said)), "{read:?}");
    }
}

/// A line of two people waits for both while others take their place in another table: of the two messages one tells the
/// new one, and nothing fails.
#[tokio::test]
async fn two_messages_that_come_to_one_person_are_one() {
    let schema = SCHEMA.to_owned()
        + "alter table person add column line bigint; update person set line = 1 where id < 3;";
    let config = CONFIG.replace("p.id = changed.person_id", "p.line = changed.id");
    let mut world = World::over(&schema, &config, "").await;
    world.sandbox.set_faults(vec![FaultRule::next(2, Fault::Refused { status: 503 })]);
    world.sql("update order_line set state = 'packed' where id = 1").await;
    world.settle().await;
    assert_eq!(states(&world).await, "scheduled 2");
    world.sql("update person set line = case when id = 3 then 1 end").await;
    world.pass(Duration::from_secs(60));
    world.work().await;
    assert_eq!(states(&world).await, "sent 1, skipped superseded 1");
    assert_eq!(world.sandbox.count(), 1);
}
