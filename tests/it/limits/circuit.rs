//! A channel or template that the provider refuses stops by itself, and starts by itself.

use std::time::Duration;

use rowbell::cli::inspect::status;
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::pipeline::context::stage::Stage as _;
use rowbell::postgres::operations::{pauses, status_report};
use rowbell_lab::sandbox::{Fault, FaultRule, TemplateOptions};

use crate::harness::{CONFIG, JUAN, MARIA, SHOP, World};

const CHANNEL: &str = "ODI371267300";

/// Circuits that are small enough for stories.
const SETTINGS: &str = "[circuit]\nwindow = \"5m\"\nminimum = 10\nshare = 0.5\nfirst_pause = \"1m\"\nlongest_pause = \"8m\"";

/// A section of `CONFIG` that a story may write by itself.
const DELIVERY: &str =
    "[delivery]\nlease = \"60s\"\nunconfirmed_after = \"5m\"\nretry_base = \"2s\"\n";

/// The shop with `count` more deliveries of Maria and Juan, alternating, from id 101 on.
async fn shop(count: usize) -> World {
    let mut world = World::with_settings(SETTINGS).await;
    let more = format!(
        "insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
           from generate_series(101, {}) i; delete from rowbell.change",
        100 + count
    );
    world.sql(&more).await;
    world.work().await;
    world
}

/// So many of the deliveries move, and their messages are due.
async fn move_all(world: &mut World) {
    world.sql("update delivery set address = 'moved ' || random() where id > 100").await;
    world.settle().await;
}

/// Every circuit that is or was stopped, as a person would say it.
async fn circuits(world: &World) -> String {
    let sql = "select string_agg(concat_ws(' ', c.channel, nullif(c.template, ''), nullif(c.language, ''), c.state,
                      'pause', c.pause_seconds, 'opened', c.opened_count), '; ' order by c.template, c.language)
                 from rowbell.circuit c";
    world.value(sql).await
}

async fn states(world: &World) -> String {
    world
        .value("select string_agg(s, ', ' order by s) from (select state || coalesce(' ' || reason, '') || ' ' || count(*) as s
                  from rowbell.message group by state, reason) as s")
        .await
}

async fn minutes(world: &mut World, minutes: u64) {
    world.pass(Duration::from_secs(60 * minutes));
    world.work().await;
}

/// The token is renewed, and somebody says so: what the wrong one kept is tried at once, not when it would be due.
#[tokio::test]
async fn what_a_wrong_token_kept_is_tried_when_a_person_says_so() {
    let mut world = World::with_settings(SETTINGS).await;
    world.sandbox.set_token(CHANNEL, "another");
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");
    world.sandbox.set_token(CHANNEL, "sandbox-token");
    world.work().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(pauses::end(&world.db, "channel", "main").await.unwrap(), (false, 1));
    // The clock of this world is ahead of the server's, by which it is due: compose sees it when it looks at all.
    world.pass(Duration::from_secs(6));
    world.work().await;
    assert_eq!(world.sandbox.count(), 1);
    assert_eq!(states(&world).await, "sent 1");
}

#[tokio::test]
async fn a_wrong_token_stops_the_channel_after_one_answer_and_a_right_one_starts_it_again() {
    let mut world = shop(30).await;
    world.sandbox.set_token(CHANNEL, "another");
    move_all(&mut world).await;
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");
    assert_eq!(
        world.value("select count(*) from rowbell.message where state = 'failed'").await,
        "0"
    );

    // Changes are captured and folded all the same, and nobody is asked before the pause is over.
    let asked = world.sandbox.counts().refused;
    world.sql("update delivery set status = 'packed' where id = 101").await;
    world.settle().await;
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    assert_eq!(world.sandbox.counts().refused, asked);

    // One message is tried, in vain: the pause grows.
    minutes(&mut world, 1).await;
    assert_eq!(world.sandbox.counts().refused, asked + 1);
    assert_eq!(circuits(&world).await, "main open pause 120 opened 1");

    world.sandbox.set_token(CHANNEL, "sandbox-token");
    minutes(&mut world, 1).await;
    assert_eq!(world.sandbox.count(), 0, "the pause is not over");
    for _ in 0..6 {
        minutes(&mut world, 1).await;
    }
    assert_eq!(circuits(&world).await, "main closed pause 120 opened 1");
    assert_eq!(states(&world).await, "sent 30");
    assert_eq!(world.sandbox.duplicates().len(), 0);
}

#[tokio::test]
async fn status_tells_what_waits_for_a_stop_from_what_waits_for_the_rate() {
    let mut world = shop(30).await;
    world.sandbox.set_token(CHANNEL, "another");
    move_all(&mut world).await;
    world.pass(Duration::from_secs(3_600));
    let status = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    let main = &status.channels[0];
    assert_eq!((main.waits_for_rate, main.waits_for_blocker), (0, 30));
    let text = status::as_text(&status);
    assert!(text.contains("blocker 30") && text.contains("is stopped by errors since"), "{text}");
    assert!(!text.contains("a message has been due for"), "{text}");

    // A watch that a person has paused keeps its own back, and nothing else.
    world.sql("delete from rowbell.circuit; insert into rowbell.pause values ('watch', 'home_delivery')").await;
    let status = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    assert_eq!((status.channels[0].waits_for_rate, status.channels[0].waits_for_blocker), (0, 30));
    world.sql("update rowbell.pause set name = 'another'").await;
    let status = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    assert_eq!((status.channels[0].waits_for_rate, status.channels[0].waits_for_blocker), (30, 0));
    let text = status::as_text(&status);
    assert!(text.contains("a message has been due for"), "{text}");
}

#[tokio::test]
async fn a_stop_survives_a_restart() {
    let mut world = shop(5).await;
    world.sandbox.set_token(CHANNEL, "another");
    move_all(&mut world).await;
    let asked = world.sandbox.counts().refused;
    world.restart().await;
    world.sql("update delivery set status = 'packed' where id = 1").await;
    world.settle().await;
    assert_eq!(world.sandbox.counts().refused, asked);
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");

    // Nor does a daemon that dies while it tries one message leave the channel stopped for ever.
    world.sandbox.set_token(CHANNEL, "sandbox-token");
    world.pass(Duration::from_secs(120));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(world.value("select state from rowbell.circuit").await, "probing");
    world.restart().await;
    for _ in 0..8 {
        minutes(&mut world, 1).await;
    }
    assert_eq!(world.value("select state from rowbell.circuit").await, "closed");
    assert_eq!(states(&world).await, "sent 5, unconfirmed 1");
}

/// Chatwoot and others go on sending a paused template into the void.
#[tokio::test]
async fn a_paused_template_stops_that_template_in_that_language_only() {
    let mut world = shop(20).await;
    let spanish = |status: &str| TemplateOptions {
        language: "es".into(),
        body: rowbell_lab::sandbox::template::BODY_ES.into(),
        status: status.into(),
        ..TemplateOptions::default()
    };
    world.sandbox.set_template(CHANNEL, spanish("paused"));
    move_all(&mut world).await;
    assert_eq!(circuits(&world).await, "main service_change es open pause 60 opened 1");
    assert_eq!(states(&world).await, "scheduled 10, sent 10");
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (10, 0));
    let why = world
        .value(
            "select distinct regexp_replace(reason_text, ':.*', '') from rowbell.message
                 where state = 'scheduled' and reason_text like 'template%'",
        )
        .await;
    assert!(
        why == "template service_change (es) on channel main is stopped" || why == "null",
        "{why}"
    );

    world.sandbox.set_template(CHANNEL, spanish("approved"));
    for _ in 0..4 {
        minutes(&mut world, 1).await;
    }
    assert_eq!(states(&world).await, "sent 20");
    assert_eq!(circuits(&world).await, "main service_change es closed pause 60 opened 1");
}

/// Glific #2822: false permanent errors opted out thousands.
#[tokio::test]
async fn a_burst_of_permanent_errors_stops_the_channel_and_marks_nobody() {
    let mut world = shop(300).await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Code { code: 131_050 })]);
    move_all(&mut world).await;
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");
    let failed = world.value("select count(*) from rowbell.message where state = 'failed'").await;
    assert_eq!(failed, "0", "nobody is marked as unreachable: {}", states(&world).await);
    for _ in 0..3 {
        minutes(&mut world, 5).await;
    }
    assert_eq!(world.value("select count(*) from rowbell.opt_out").await, "0");

    world.sandbox.set_faults(vec![]);
    for _ in 0..30 {
        minutes(&mut world, 2).await;
    }
    assert_eq!(world.value("select state from rowbell.circuit").await, "closed");
    // The messages that were tried alone while everything failed are the price of trying.
    let told: i64 = world
        .value("select count(*) from rowbell.message where state = 'sent'")
        .await
        .parse()
        .unwrap();
    assert!(told >= 294, "{}", states(&world).await);
    assert_eq!(world.value("select count(*) from rowbell.opt_out").await, "0");
}

#[tokio::test]
async fn a_recipient_who_really_opted_out_is_remembered_once_it_is_sure() {
    let mut world = shop(0).await;
    let rule = FaultRule::always(Fault::Code { code: 131_050 }).for_phone(MARIA);
    world.sandbox.set_faults(vec![rule]);
    world.sql("update delivery set address = 'moved'").await;
    world.settle().await;
    assert_eq!(states(&world).await, "failed undeliverable 1, sent 1");
    assert_eq!(world.value("select count(*) from rowbell.opt_out").await, "0");
    minutes(&mut world, 6).await;
    let known = "select phone || ' ' || source from rowbell.opt_out";
    assert_eq!(world.value(known).await, format!("{MARIA} provider"));
    world.sql("update delivery set address = 'moved again'").await;
    world.settle().await;
    assert_eq!(states(&world).await, "failed undeliverable 1, sent 2, skipped opted_out 1");
}

#[tokio::test]
async fn a_few_bad_recipients_among_many_stop_nothing() {
    let mut world = shop(40).await;
    // Nine of forty: every fourth or so.
    world
        .sql("update delivery set customer_id = 1 where id > 100 and id % 4 = 0; update delivery set customer_id = 2 where id > 100 and id % 4 <> 0;
              delete from rowbell.change")
        .await;
    let rule = FaultRule::always(Fault::Code { code: 131_026 }).for_phone(MARIA);
    world.sandbox.set_faults(vec![rule]);
    move_all(&mut world).await;
    assert_eq!(states(&world).await, "failed undeliverable 10, sent 30");
    assert_eq!(circuits(&world).await, "null");
}

/// The provider takes everything, and WhatsApp fails everything afterwards: an acceptance proves
/// nothing then, so only a receipt that says delivered closes the circuit.
#[tokio::test]
async fn errors_that_only_receipts_tell_of_stop_the_channel_until_a_receipt_says_delivered() {
    let mut world = shop(4).await;
    world.sql("update delivery set address = 'moved' where id in (101, 102)").await;
    world.settle().await;
    let say = async |world: &World, id: String, status, code| {
        let text = Some("as WhatsApp says".to_owned());
        let receipt = Receipt {
            provider_message_id: id,
            status,
            error_code: code,
            error_text: text,
            occurred_at: None,
            ..Receipt::default()
        };
        world.receipt(receipt).await;
    };
    for seen in world.sandbox.all_seen() {
        say(&world, seen.id, ReceiptStatus::Failed, Some(131_042)).await;
    }
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");
    assert_eq!(states(&world).await, "scheduled 2", "they wait with the others");

    world.sql("update delivery set address = 'moved' where id in (103, 104)").await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 2);
    minutes(&mut world, 1).await;
    assert_eq!(world.sandbox.count(), 3, "one message is tried");
    assert_ne!(world.value("select state from rowbell.circuit").await, "closed");
    let tried = world.sandbox.all_seen()[2].id.clone();
    say(&world, tried, ReceiptStatus::Delivered, None).await;
    assert_eq!(world.value("select state from rowbell.circuit").await, "closed");
    world.work().await;
    minutes(&mut world, 3).await;
    assert_eq!(states(&world).await, "delivered 1, sent 3");
}

/// WhatsApp takes thirty messages, and says of all of them afterwards that they cannot be delivered (131026): that is no
/// fault of thirty people. Those that had not been reported yet when the channel stopped are no exception.
#[tokio::test]
async fn a_burst_of_errors_that_only_receipts_tell_of_fails_nobody() {
    let mut world = shop(30).await;
    move_all(&mut world).await;
    assert_eq!(states(&world).await, "sent 30");
    let sent = world.sandbox.all_seen();
    let say = async |world: &World, id: &str, status, error_code| {
        let provider_message_id = id.to_owned();
        world
            .receipt(Receipt { provider_message_id, status, error_code, ..Receipt::default() })
            .await;
    };
    for seen in &sent {
        say(&world, &seen.id, ReceiptStatus::Failed, Some(131_026)).await;
    }
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");
    assert_eq!(states(&world).await, "scheduled 30");
    let told = "select count(*) from rowbell.last_told where status <> 'assumed'";
    assert_eq!(world.value(told).await, "0", "nobody was told");

    minutes(&mut world, 2).await;
    assert_eq!(world.sandbox.count(), 31, "one is tried");
    let tried = world.sandbox.all_seen()[30].id.clone();
    say(&world, &tried, ReceiptStatus::Delivered, None).await;
    minutes(&mut world, 3).await;
    assert_eq!(states(&world).await, "delivered 1, sent 29");
    assert_eq!(circuits(&world).await, "main closed pause 60 opened 1");
}

/// WhatsApp drops what it had accepted of a template that it pauses meanwhile (132015 by webhook).
#[tokio::test]
async fn what_a_paused_template_failed_by_receipt_leaves_once_it_may_be_sent_again() {
    let mut world = shop(4).await;
    move_all(&mut world).await;
    let (maria, juan) = (world.sandbox.seen(MARIA), world.sandbox.seen(JUAN));
    assert_eq!((maria.len(), juan.len()), (2, 2));
    let say = async |world: &World, id: &str, status, code| {
        let provider_message_id = id.to_owned();
        let receipt =
            Receipt { provider_message_id, status, error_code: code, ..Receipt::default() };
        world.receipt(receipt).await;
    };
    for seen in &maria {
        say(&world, &seen.id, ReceiptStatus::Failed, Some(132_015)).await;
    }
    assert_eq!(circuits(&world).await, "main service_change en open pause 60 opened 1");
    assert_eq!(states(&world).await, "scheduled 2, sent 2");
    minutes(&mut world, 5).await;
    assert_eq!(world.sandbox.seen(MARIA).len(), 3, "one is tried");
    let tried = world.sandbox.seen(MARIA)[2].id.clone();
    say(&world, &tried, ReceiptStatus::Failed, Some(132_015)).await;
    assert_eq!(circuits(&world).await, "main service_change en open pause 120 opened 1");
    minutes(&mut world, 8).await;
    let tried = world.sandbox.seen(MARIA)[3].id.clone();
    say(&world, &tried, ReceiptStatus::Delivered, None).await;
    minutes(&mut world, 1).await;
    assert_eq!(states(&world).await, "delivered 1, sent 3");
    assert_eq!(circuits(&world).await, "main service_change en closed pause 120 opened 1");
}

/// The daemon dies within the minutes in which a report is not believed yet: it is a row, not a memory.
#[tokio::test]
async fn an_opt_out_that_a_receipt_reports_outlives_the_daemon() {
    let mut world = shop(0).await;
    world.sql("update delivery set address = 'moved'").await;
    world.settle().await;
    let provider_message_id = world.sandbox.seen(MARIA)[0].id.clone();
    let code = Some(131_050);
    let status = ReceiptStatus::Failed;
    let receipt = Receipt { provider_message_id, status, error_code: code, ..Receipt::default() };
    world.receipt(receipt.clone()).await;
    world.crash().await;
    minutes(&mut world, 6).await;
    let known = "select phone || ' ' || source from rowbell.opt_out";
    assert_eq!(world.value(known).await, format!("{MARIA} provider"));
    world.receipt(receipt).await;
    assert_eq!(world.value("select count(*) from rowbell.opt_out_report").await, "0");
    world.sql("update delivery set address = 'moved again'").await;
    world.settle().await;
    assert_eq!(states(&world).await, "failed undeliverable 1, sent 2, skipped opted_out 1");
}

/// The page with which a proxy says that there is no provider behind it.
fn nobody() -> FaultRule {
    FaultRule::always(Fault::Answer { status: 521, body: "<html>Web server is down</html>".into() })
}

#[tokio::test]
async fn a_night_without_the_provider_fails_nothing_and_asks_one_message_at_a_time() {
    let settings = SETTINGS.to_owned()
        + "\n[delivery]\nmax_attempts = 5\nretry_base = \"2s\"\nlease = \"60s\"";
    let config = CONFIG.replace(DELIVERY, "").replace("{settings}", &settings);
    let mut world = World::over(SHOP, &config, "").await;
    world
        .sql("insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
                from generate_series(101, 130) i; delete from rowbell.change")
        .await;
    world.sandbox.set_faults(vec![nobody()]);
    move_all(&mut world).await;
    assert_eq!(circuits(&world).await, "main open pause 2 opened 1");
    let why = world.value("select reason from rowbell.circuit").await;
    assert!(why.starts_with("the provider cannot be reached: "), "{why}");
    let asked = world.sandbox.counts().faults;
    for _ in 0..10 * 60 {
        minutes(&mut world, 1).await;
    }
    let asked = world.sandbox.counts().faults - asked;
    assert!((300..=700).contains(&asked), "{asked} tries in ten hours");
    assert_eq!(states(&world).await, "scheduled 30");
    assert_eq!(circuits(&world).await, "main open pause 60 opened 1");

    world.sandbox.set_faults(vec![]);
    for _ in 0..3 {
        minutes(&mut world, 1).await;
    }
    assert_eq!(states(&world).await, "sent 30");
    assert_eq!(world.value("select state from rowbell.circuit").await, "closed");
    assert_eq!(world.sandbox.duplicates().len(), 0);
}

/// Attempts that reached nobody are no attempts: WhatsApp is asked three times whether it delivers after all.
#[tokio::test]
async fn attempts_that_reached_nobody_do_not_count() {
    let mut world = shop(0).await;
    world.sandbox.set_faults(vec![nobody()]);
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    for _ in 0..10 {
        minutes(&mut world, 1).await;
    }
    world.sandbox.set_faults(vec![]);
    for _ in 0..3 {
        minutes(&mut world, 1).await;
    }
    assert_eq!(states(&world).await, "sent 1");
    let attempts = world.value("select attempt_count from rowbell.message").await;
    assert!(attempts.parse::<i32>().unwrap() > 4, "{attempts}");
    let receipt = Receipt {
        provider_message_id: world.sandbox.seen(MARIA)[0].id.clone(),
        status: ReceiptStatus::Failed,
        error_code: Some(131_049),
        ..Receipt::default()
    };
    world.receipt(receipt).await;
    assert_eq!(states(&world).await, "scheduled 1", "it is tried again after a day");
}

#[tokio::test]
async fn leased_messages_of_a_channel_that_has_just_stopped_do_not_leave_any_more() {
    let mut world = shop(10).await;
    world.sql("update delivery set address = 'moved' where id > 100").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(states(&world).await, "sending 10");
    let channel = rowbell::domain::limit::circuit::CircuitKey::channel("main");
    world.stages.context.channel_senders["main"].block(channel);
    world.stages.delivers[0].step().await;
    world.stages.settle.step().await.unwrap();
    assert_eq!(
        (states(&world).await.as_str(), world.sandbox.counts().accepted),
        ("scheduled 10", 0)
    );
    minutes(&mut world, 1).await;
    assert_eq!(states(&world).await, "sent 10");
}
