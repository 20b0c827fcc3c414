//! What becomes of a message that did not leave: when it is tried again, and what ends it.

use std::fmt::Write as _;
use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell::provider::error_table::CODES;
use rowbell_lab::sandbox::{Fault, FaultRule};
use tokio_util::sync::CancellationToken;

use crate::harness::{JUAN, MARIA, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";
const HOUR: Duration = Duration::from_secs(3_600);

/// A world in which Maria's message has met these faults.
async fn after(rules: Vec<FaultRule>) -> World {
    let mut world = World::new().await;
    world.sandbox.set_faults(rules);
    world.sql(MOVE).await;
    world.settle().await;
    world
}

async fn later(world: &mut World, time: Duration) {
    world.pass(time);
    world.work().await;
}

/// Seconds from now to the next attempt.
async fn wait_of(world: &World) -> i64 {
    let due = world.value("select extract(epoch from due_at) from rowbell.queue").await;
    let now = world.now().as_millisecond() as f64 / 1_000.0;
    (due.parse::<f64>().unwrap() - now).floor() as i64
}

/// The provider says that the message with this id failed with `code`.
async fn failed(world: &World, id: &str, code: Option<i32>) {
    say(world, id, ReceiptStatus::Failed, code).await;
}

async fn say(world: &World, id: &str, status: ReceiptStatus, code: Option<i32>) {
    world
        .receipt(Receipt {
            provider_message_id: id.to_owned(),
            status,
            error_code: code,
            error_text: code.map(|_| "as the provider says".to_owned()),
            occurred_at: Some(world.now()),
            ..Receipt::default()
        })
        .await;
}

#[tokio::test]
async fn waits_grow_and_are_spread_and_retry_after_is_the_least() {
    let mut world = after(vec![FaultRule::always(Fault::Refused { status: 500 })]).await;
    let mut wait = 0;
    for _ in 0..6 {
        let attempts = world.value("select attempt_count from rowbell.message").await;
        let ceiling = 2_i64.pow(attempts.parse().unwrap()).min(600);
        wait = wait_of(&world).await;
        assert!(wait <= ceiling, "{wait} s of at most {ceiling} s");
        // The clock of the world goes on while the machine is busy: the wait may be over already.
        later(&mut world, Duration::from_secs((wait + 1).max(0).unsigned_abs())).await;
    }
    assert!(wait < 600, "{wait} s");
    let asked = Fault::TooManyRequests { retry_after: Some(1_000) };
    world.sandbox.set_faults(vec![FaultRule::next(1, asked)]);
    later(&mut world, Duration::from_secs(600)).await;
    let wait = wait_of(&world).await;
    assert!((900..=1_000).contains(&wait), "{wait} s");
    later(&mut world, Duration::from_secs(800)).await;
    assert_eq!(world.sandbox.count(), 0, "the provider asked for more patience");
    later(&mut world, Duration::from_secs(201)).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// OpenEMR #11907: catching up needs a cut-off, or people hear what is over.
#[tokio::test]
async fn a_message_that_was_tried_in_vain_until_it_was_too_late_is_expired() {
    let mut world = World::with("expires_at = \"window_end\"").await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Refused { status: 503 })]);
    world
        .sql("update delivery set window_start = now(), window_end = now() + interval '3 h' where id = 1")
        .await;
    world.settle().await;
    for _ in 0..10 {
        later(&mut world, HOUR / 2).await;
    }
    let message = world.messages().await.join("");
    assert!(message.starts_with("1 failed expired 1 change(s)"), "{message}");
    let said = world.value("select reason_text from rowbell.message").await;
    assert!(said.starts_with("expires_at of the watch was "), "{said}");
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
}

/// Story of the pair limit that nobody encodes (lessons.md, WhatsApp-side limits).
#[tokio::test]
async fn one_recipient_who_gets_too_much_does_not_slow_down_the_others() {
    let mut world = World::new().await;
    let pair = FaultRule::always(Fault::Code { code: 131_056 }).for_phone(MARIA);
    world.sandbox.set_faults(vec![pair]);
    world.sql("update delivery set address = 'moved'").await;
    world.settle().await;
    assert_eq!(
        world.messages().await,
        ["1 scheduled 1 change(s) 1 attempt(s)", "2 sent 1 change(s) 1 attempt(s)"]
    );
    world.sandbox.set_faults(vec![]);
    // Her burst is used up: one message in six seconds.
    later(&mut world, Duration::from_secs(7)).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn what_whatsapp_holds_back_for_now_is_tried_after_a_day_and_at_most_three_times() {
    let mut world = after(vec![FaultRule::always(Fault::Code { code: 131_049 })]).await;
    later(&mut world, HOUR * 23).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    later(&mut world, HOUR * 4).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 2 attempt(s)"]);
    later(&mut world, HOUR * 54).await;
    assert_eq!(world.messages().await, ["1 failed undeliverable 1 change(s) 3 attempt(s)"]);
}

/// The queue was empty when it was looked at last: a retry is due in two seconds, not at the next look.
#[tokio::test]
async fn a_retry_on_a_quiet_channel_wakes_whoever_sends() {
    let mut world = World::new().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Refused { status: 503 })]);
    world.sql(MOVE).await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    let stages = &mut world.stages;
    stages.composes[0].step().await.unwrap();
    stages.delivers[0].step().await;
    let sender = stages.context.channel_senders["main"].clone();
    sender.ring();
    sender.changed().await;
    let stop = CancellationToken::new();
    let rest = stages.composes[0].rest(Progress::Idle, &stop);
    let settled = async { stages.settle.step().await.unwrap() };
    let woken = tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(rest, settled) });
    assert!(woken.await.is_ok(), "nobody looks at the queue before the next safety look");
    assert!(sender.next_due_in().is_none_or(|due| due <= Duration::from_secs(2)));
}

/// Meta reports throughput and pair limits by webhook as well, after the acceptance (chatwoot and others fail it).
#[tokio::test]
async fn a_limit_that_a_receipt_reports_slows_the_channel_down_and_the_message_leaves_again() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved'").await;
    world.settle().await;
    let [maria, juan] = [MARIA, JUAN].map(|phone| world.sandbox.seen(phone)[0].id.clone());
    failed(&world, &maria, Some(130_429)).await;
    let learned = "select learned_rate::int from rowbell.channel where channel = 'main'";
    assert_eq!(world.value(learned).await, "50000");
    // What was sent before the rate was cut says nothing new.
    world.pass(Duration::from_secs(5));
    failed(&world, &juan, Some(130_429)).await;
    assert_eq!(world.value(learned).await, "50000");
    let waits = "1 scheduled 1 change(s) 1 attempt(s)";
    assert_eq!(world.messages().await, [waits, &waits.replacen('1', "2", 1)]);
    later(&mut world, Duration::from_secs(60)).await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (2, 2));
}

#[tokio::test]
async fn a_pair_limit_that_a_receipt_reports_lets_that_phone_wait() {
    let mut world = after(vec![]).await;
    let first = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &first, Some(131_056)).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    assert!(world.stages.context.channel_senders["main"].limiter.admit(MARIA).is_err());
    later(&mut world, Duration::from_secs(30)).await;
    assert_eq!(world.read(MARIA).len(), 2);
}

#[tokio::test]
async fn a_passing_fault_that_receipts_report_ends_a_message_after_all_attempts() {
    let mut world = World::new().await;
    world.sql(MOVE).await;
    world.settle().await;
    for attempt in 1..=20 {
        let id = world.sandbox.all_seen().last().unwrap().id.clone();
        failed(&world, &id, Some(131_000)).await;
        if attempt < 20 {
            later(&mut world, HOUR).await;
        }
    }
    assert_eq!(world.messages().await, ["1 failed exhausted 1 change(s) 20 attempt(s)"]);
}

/// The same error by receipt, hours or days after the acceptance: a new attempt with an id of its
/// own (Chatwoot #14120: the retry that never calls the provider because the old id is still set).
#[tokio::test]
async fn a_receipt_that_says_not_now_leads_to_a_new_attempt_with_its_own_id() {
    let mut world = after(vec![]).await;
    let first = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &first, Some(131_049)).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.work().await;
    later(&mut world, HOUR * 27).await;
    let seen = world.sandbox.seen(MARIA);
    assert_eq!(seen.len(), 2);
    assert!(seen[1].text.contains("1 Main Street → newer"), "the present: {:?}", seen[1].text);
    assert_eq!(world.messages().await, ["1 sent 2 change(s) 2 attempt(s)"]);

    // The evidence about the first attempt comes once more: it says nothing about the second.
    failed(&world, &first, Some(131_049)).await;
    failed(&world, &first, Some(131_026)).await;
    assert_eq!(world.messages().await, ["1 sent 2 change(s) 2 attempt(s)"]);
    failed(&world, &seen[1].id, Some(131_026)).await;
    assert_eq!(world.messages().await, ["1 failed undeliverable 2 change(s) 2 attempt(s)"]);
}

/// Chatwoot #13377: delivered, and failed all the same.
#[tokio::test]
async fn what_arrived_after_all_is_not_sent_again() {
    let mut world = after(vec![]).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &id, Some(131_049)).await;
    say(&world, &id, ReceiptStatus::Delivered, None).await;
    assert_eq!(world.messages().await, ["1 delivered 1 change(s) 1 attempt(s)"]);
    later(&mut world, HOUR * 30).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn what_arrived_after_all_does_not_swallow_a_newer_change() {
    let mut world = after(vec![]).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &id, Some(131_049)).await;
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.work().await;
    say(&world, &id, ReceiptStatus::Delivered, None).await;
    later(&mut world, HOUR * 27).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2);
    assert!(read[1].contains("→ newer"), "{read:?}");
}

#[tokio::test]
async fn a_message_that_is_taken_up_again_gives_way_to_a_newer_one() {
    let mut world = after(vec![]).await;
    let first = world.sandbox.seen(MARIA)[0].id.clone();
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.settle().await;
    failed(&world, &first, Some(131_049)).await;
    assert_eq!(
        world.messages().await,
        ["1 skipped superseded 1 change(s) 1 attempt(s)", "1 sent 1 change(s) 1 attempt(s)"]
    );
}

/// What became of the message of a delivery: state, reason, when it is tried again, what stopped.
async fn fate(world: &World, delivery: usize) -> (String, String) {
    let sql = format!(
        "select concat_ws(' ', m.state, m.reason,
                case when m.due_at > $1::timestamptz + interval '20 h' then 'again in a day'
                     when m.due_at is not null then 'again in minutes' end)
           from rowbell.message m where m.entity_key = '{delivery}'"
    );
    let sql = sql.replace("$1", &format!("'{}'", world.now()));
    let stopped = "select coalesce(string_agg(concat_ws(' ', c.channel, nullif(c.template, ''), nullif(c.language, '')), ', '), '-')
                     from rowbell.circuit c where state <> 'closed'";
    (world.value(&sql).await, world.value(stopped).await)
}

/// Lets one delivery meet an error, at sending or by receipt, and forgets what stopped.
async fn meets(
    world: &mut World,
    delivery: usize,
    fault: Option<Fault>,
    receipt: Option<i32>,
) -> String {
    world.sandbox.set_faults(fault.map(FaultRule::always).into_iter().collect());
    world.sql(&format!("update delivery set address = 'moved' where id = {delivery}")).await;
    world.settle().await;
    if receipt.is_some() {
        let id = world.sandbox.all_seen().last().unwrap().id.clone();
        failed(world, &id, receipt).await;
    }
    let (state, stopped) = fate(world, delivery).await;
    world.sandbox.set_faults(vec![]);
    world
        .sql("delete from rowbell.circuit; delete from rowbell.queue; delete from rowbell.opt_out; delete from rowbell.unconfirmed_attempt;
              update rowbell.message set state = 'skipped', reason = 'discarded', waits_for = null, due_at = null
               where state in ('scheduled', 'unconfirmed')")
        .await;
    // A phone that got too much is written to again, and what was to be noted later is noted.
    world.pass(Duration::from_secs(10));
    world.work().await;
    world.sql("delete from rowbell.circuit; delete from rowbell.opt_out").await;
    format!("{state:<32} {stopped:<28}")
}

/// Statuses that proxies, gateways and the provider itself are seen to answer with.
const STATUSES: [u16; 34] = [
    200, 301, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 422, 423, 425, 429, 500, 501,
    502, 503, 504, 507, 511, 520, 521, 522, 523, 524, 525, 526, 530, 599, 431,
];

/// Every row of the table of errors: a class, the state of the message, and what stops. Once as the answer to the
/// request, once as a receipt of a message that was accepted. Then every status without a code: once as the page of
/// somebody on the way, once in the provider's own words.
#[tokio::test]
async fn what_each_error_leads_to() {
    let mut world = World::with_settings("[circuit]\nminimum = 100000").await;
    world
        .sql("insert into delivery select i, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
                from generate_series(1000, 1300) i; delete from rowbell.change")
        .await;
    let mut table = format!(
        "{:<10} {:<10} {:<32} {:<28} {:<32} stops\n",
        "error", "class", "answer: the message is", "stops", "receipt: the message is"
    );
    let mut delivery = 1000;
    // Of a range its ends, and what stands in it by a meaning of its own.
    let named = [131_052, 133_005, 133_006, 133_008, 133_009, 133_010, 133_015];
    let each = CODES.iter().flat_map(|(first, last, class, _)| {
        let inner = named.into_iter().filter(move |code| first < code && code < last);
        let last = Some(*last).filter(|last| last != first);
        std::iter::once(*first).chain(inner).chain(last).map(move |code| (code, class))
    });
    for (code, class) in each {
        let refused = meets(&mut world, delivery, Some(Fault::Code { code }), None).await;
        let receipt = meets(&mut world, delivery + 1, None, Some(code)).await;
        delivery += 2;
        let _ =
            writeln!(table, "{code:<10} {:<10} {refused} {}", class.into_str(), receipt.trim_end());
    }
    let _ = writeln!(
        table,
        "\n{:<10} {:<32} {:<32} {:<28} {:<32} stops",
        "HTTP",
        "result: page, own words",
        "page: the message is",
        "stops",
        "own words: the message is"
    );
    for status in STATUSES {
        let mut results = Vec::new();
        let mut fates = Vec::new();
        for body in ["<html><body>nginx</body></html>", r#"{"error":"Internal server error"}"#] {
            let answer = Fault::Answer { status, body: body.into() };
            fates.push(meets(&mut world, delivery, Some(answer), None).await);
            delivery += 1;
            let result = "select concat_ws(' ', result, error_class) from rowbell.attempt
                           order by started_at desc, number desc limit 1";
            results.push(world.value(result).await);
        }
        let (results, fates) = (results.join(", "), fates.join(" "));
        let _ = writeln!(table, "{status:<10} {results:<32} {}", fates.trim_end());
    }
    insta::assert_snapshot!("what_each_error_leads_to", table);
}
