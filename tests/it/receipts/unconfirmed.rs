//! The answer to a request was lost: has the provider the message?

use rowbell::pipeline::context::stage::Stage as _;
use std::time::Duration;

use rowbell_lab::sandbox::{Fault, FaultRule};
use serde_json::{Value, json};

use crate::harness::{MARIA, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";
const CHANNEL: &str = "ODI371267300";

/// Maria's message met this fault, on a channel with or without a list of its messages.
async fn doubted(watch: &str, fault: Fault, history: bool) -> World {
    let mut world = World::with(watch).await;
    world.sandbox.set_history(CHANNEL, history);
    world.sandbox.set_faults(vec![FaultRule::next(1, fault)]);
    world.sql(MOVE).await;
    world.settle().await;
    world
}

async fn later(world: &mut World, seconds: u64) {
    world.pass(Duration::from_secs(seconds));
    world.work().await;
}

async fn state(world: &World) -> String {
    world.value("select string_agg(state || ' ' || attempt_count, ', ' order by message_id) from rowbell.message").await
}

/// What was done about the unconfirmed attempt, step by step.
async fn steps(world: &World) -> Vec<String> {
    let sql = "select method || ': ' || found from rowbell_report.lookups order by lookup_id";
    world.db.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// An `ack` of the provider, or an echo of an outgoing message.
fn ack(id: &str, phone: &str, status: &str) -> Value {
    json!({ "instanceId": CHANNEL, "ack": [{ "id": id, "chatId": format!("{phone}@c.us"), "status": status }] })
}

fn echo(world: &World, id: &str, own: u8) -> Value {
    let time = world.now().as_second();
    json!({ "instanceId": CHANNEL, "messages": [
        { "id": id, "body": "Hello", "fromMe": true, "self": own, "chatId": format!("{MARIA}@c.us"), "time": time }
    ]})
}

#[tokio::test]
async fn the_providers_list_shows_the_message_and_receipts_follow() {
    let faults = [
        Fault::Drop { accepted: true },
        Fault::Hang { accepted: true },
        Fault::Lost { status: 502 },
        Fault::Lost { status: 504 },
        Fault::HalfBody { accepted: true },
        Fault::Queued,
    ];
    for fault in faults {
        let mut world = doubted("", fault.clone(), true).await;
        assert_eq!(state(&world).await, "unconfirmed 1", "{fault:?}");
        later(&mut world, 3).await;
        assert_eq!(state(&world).await, "sent 1", "{fault:?}");
        assert_eq!(steps(&world).await, ["list: the provider's list has the message"], "{fault:?}");
        let id = world.sandbox.seen(MARIA)[0].id.clone();
        assert_eq!(world.value("select provider_message_id from rowbell.message").await, id);
        world.sandbox.post_receipt(CHANNEL, &id, "delivered", None);
        later(&mut world, 60).await;
        assert_eq!(state(&world).await, "delivered 1", "hookInfo is asked once the id is known");
        assert_eq!(world.read(MARIA).len(), 1);
        let why = world.value("select error_text from rowbell.attempt").await;
        assert_ne!(why, "null", "why no answer came stays on record: {fault:?}");
        assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "0");
        assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
    }
}

#[tokio::test]
async fn a_receipt_for_that_phone_before_or_after_the_doubt_is_evidence() {
    for is_before in [true, false] {
        let mut world = World::new().await;
        world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: true })]);
        world.sql(MOVE).await;
        world.work().await;
        world.pass(Duration::from_secs(30));
        for compose in &mut world.stages.composes {
            compose.step().await.unwrap();
        }
        if is_before {
            world.posted(&ack("wamid.first", MARIA, "sent")).await;
        }
        world.work().await;
        assert_eq!(state(&world).await, "unconfirmed 1");
        if !is_before {
            world.posted(&ack("wamid.first", MARIA, "delivered")).await;
            // Such a receipt is looked at once, whenever the next look was planned.
            later(&mut world, 0).await;
        }
        later(&mut world, 3).await;
        let expected = if is_before { "sent 1" } else { "delivered 1" };
        assert_eq!(state(&world).await, expected);
        let step = "receipts: one receipt for that phone, and no other message that it fits";
        assert_eq!(steps(&world).await.last().map(String::as_str), Some(step));
        assert_eq!(
            world.value("select provider_message_id from rowbell.message").await,
            "wamid.first"
        );
    }
}

#[tokio::test]
async fn an_echo_of_what_the_api_sent_is_evidence_and_what_a_person_wrote_is_not() {
    let mut world = doubted("", Fault::Drop { accepted: true }, false).await;
    let by_person = echo(&world, "wamid.person", 0);
    world.posted(&by_person).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "unconfirmed 1");
    let ours = echo(&world, "wamid.ours", 1);
    world.posted(&ours).await;
    later(&mut world, 1).await;
    assert_eq!(state(&world).await, "sent 1");
    assert_eq!(world.value("select provider_message_id from rowbell.message").await, "wamid.ours");
    let kept = "select string_agg(raw, '') from rowbell.receipt";
    assert!(!world.value(kept).await.contains("Hello"), "its words are not kept");
}

#[tokio::test]
async fn two_messages_that_fit_decide_nothing() {
    let mut world = doubted("", Fault::Drop { accepted: true }, false).await;
    world.posted(&ack("wamid.one", MARIA, "sent")).await;
    world.posted(&ack("wamid.two", MARIA, "sent")).await;
    later(&mut world, 1).await;
    later(&mut world, 600).await;
    assert_eq!(state(&world).await, "unconfirmed 1");
    let steps = steps(&world).await;
    let unclear =
        "receipts: receipts for that phone, but which of the messages they belong to is not clear";
    assert!(steps.iter().any(|step| step == unclear), "{steps:?}");
    let decided = "policy: no evidence came in time: it is not sent again, a person has to look";
    assert_eq!(steps.last().map(String::as_str), Some(decided));
}

#[tokio::test]
async fn whatsapp_knows_a_phone_by_another_form_than_the_one_written_to() {
    let mut world = World::new().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: true })]);
    world
        .sql("update customer set phone = '+52 55 1234 5678' where id = 1; update delivery set address = 'moved' where id = 1")
        .await;
    world.settle().await;
    world.posted(&ack("wamid.mx", "5215512345678", "sent")).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "sent 1");
}

#[tokio::test]
async fn without_evidence_the_policy_decides_and_each_step_is_on_record() {
    let mut world =
        doubted("unconfirmed = \"resend\"", Fault::Drop { accepted: false }, true).await;
    for _ in 0..8 {
        later(&mut world, 60).await;
    }
    assert_eq!(state(&world).await, "sent 2");
    assert_eq!(world.read(MARIA).len(), 1);
    let steps = steps(&world).await;
    let (policy, looks) = steps.split_last().unwrap();
    assert_eq!(policy, "policy: no evidence came in time: it is sent again");
    assert!(looks.len() >= 4, "{looks:?}");
    let nothing = "list: the provider's list has no message to that phone since then";
    assert!(looks.iter().all(|step| step == nothing), "{looks:?}");
}

#[tokio::test]
async fn a_channel_without_a_history_says_so_and_the_message_waits_for_a_person() {
    let mut world = doubted("", Fault::Drop { accepted: true }, false).await;
    for _ in 0..8 {
        later(&mut world, 60).await;
    }
    assert_eq!(state(&world).await, "unconfirmed 1");
    let steps = steps(&world).await;
    assert_eq!(steps[0], "list: the channel keeps no history of its messages");
    assert_eq!(world.read(MARIA).len(), 1);
    assert_eq!(
        world.value("select count(*) from rowbell.unconfirmed_attempt where not is_late").await,
        "0"
    );
}

/// The policy kept it for a person; the provider has it, and told nobody in time.
async fn kept(history: bool) -> (World, String) {
    let mut world = doubted("", Fault::Drop { accepted: true }, history).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    // The list answers nothing in that time, and of this status hookInfo alone knows the time.
    world
        .sandbox
        .set_faults(vec![FaultRule::always(Fault::Refused { status: 500 }).on("messages")]);
    world.sandbox.post_receipt(CHANNEL, &id, "sent", None);
    for _ in 0..12 {
        later(&mut world, 60).await;
    }
    world.sandbox.set_faults(Vec::new());
    assert_eq!(state(&world).await, "unconfirmed 1");
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
    later(&mut world, 3_600).await;
    (world, id)
}

#[tokio::test]
async fn a_receipt_that_comes_after_the_policy_has_decided_still_settles_the_matter() {
    let (mut world, id) = kept(false).await;
    assert!(
        !world.stages.context.unconfirmed.there_may_be_some(),
        "nobody asks about it meanwhile"
    );
    world.posted(&ack(&id, MARIA, "delivered")).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "delivered 1");
    let step =
        "receipts: a late receipt for that phone, of that time, and no other message that it fits";
    assert_eq!(steps(&world).await.last().map(String::as_str), Some(step));
    assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "0");
}

#[tokio::test]
async fn where_hook_info_tells_no_time_the_list_does() {
    let (mut world, id) = kept(true).await;
    world
        .sandbox
        .set_faults(vec![FaultRule::always(Fault::Refused { status: 404 }).on("hookInfo")]);
    world.posted(&ack(&id, MARIA, "read")).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "read 1");
}

#[tokio::test]
async fn a_late_echo_counts_by_its_own_time() {
    let (mut world, id) = kept(false).await;
    let later_one = echo(&world, "wamid.later", 1);
    world.posted(&later_one).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "unconfirmed 1", "it was sent an hour later");
    let mut of_that_time = echo(&world, &id, 1);
    of_that_time["messages"][0]["time"] = (world.now().as_second() - 3_600 - 12 * 60).into();
    world.posted(&of_that_time).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "sent 1");
}

#[tokio::test]
async fn what_somebody_else_sent_to_that_phone_later_is_no_evidence() {
    let (mut world, _) = kept(true).await;
    world.posted(&ack("wamid.person", MARIA, "delivered")).await;
    later(&mut world, 3).await;
    // The list has the message itself, and that is found on the way.
    assert_eq!(state(&world).await, "sent 1");
    let (mut world, _) = kept(false).await;
    world.posted(&ack("wamid.person", MARIA, "delivered")).await;
    later(&mut world, 3).await;
    assert_eq!(state(&world).await, "unconfirmed 1");
}

#[tokio::test]
async fn a_matter_that_a_person_settled_or_that_is_a_month_old_is_closed() {
    let (mut world, _) = kept(false).await;
    world.sql("update rowbell.message set attempt_count = 2").await;
    later(&mut world, 24 * 3_600).await;
    assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "0");
    let (mut world, _) = kept(false).await;
    for _ in 0..29 {
        later(&mut world, 24 * 3_600).await;
    }
    assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "1");
    later(&mut world, 3 * 24 * 3_600).await;
    assert_eq!(world.value("select count(*) from rowbell.unconfirmed_attempt").await, "0");
}

/// Two requests unconfirmed to one phone could not be told apart.
#[tokio::test]
async fn the_next_message_to_a_phone_in_doubt_waits_for_the_evidence() {
    let mut world = World::new().await;
    world.sandbox.set_history(CHANNEL, true);
    world.sql("insert into delivery values (3, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'x'); delete from rowbell.change").await;
    let lost = FaultRule::next(1, Fault::Drop { accepted: true });
    // The list answers only after a while.
    let silent = FaultRule::always(Fault::Refused { status: 500 }).on("messages");
    world.sandbox.set_faults(vec![lost, silent]);
    world.sql(MOVE).await;
    world.settle().await;
    world.sql("update delivery set address = 'moved too' where id = 3").await;
    world.settle().await;
    assert_eq!(state(&world).await, "unconfirmed 1, scheduled 0");
    let why = "select reason_text from rowbell.message where state = 'scheduled'";
    let why = world.value(why).await;
    assert_eq!(why, "an earlier message to the same phone is unconfirmed, and evidence is sought");
    world.sandbox.set_faults(vec![]);
    for _ in 0..8 {
        later(&mut world, 20).await;
    }
    assert_eq!(state(&world).await, "sent 1, sent 1");
    assert_eq!(world.read(MARIA).len(), 2);
}

#[tokio::test]
async fn explain_tells_what_was_done_about_a_doubt() {
    let mut world = doubted("", Fault::Lost { status: 502 }, true).await;
    later(&mut world, 3).await;
    let told =
        rowbell::cli::inspect::explain::tell(&world.db, &world.config, "home_delivery", "1", 5)
            .await
            .unwrap();
    let text = rowbell::cli::inspect::explain::as_text(&told, &world.config, world.now());
    let line = text.lines().find(|line| line.contains("attempt 1 unconfirmed")).unwrap_or_default();
    assert!(
        line.contains("attempt 1 unconfirmed: the provider's list has the message, id wamid."),
        "{text}"
    );
}
