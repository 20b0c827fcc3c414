//! A dry run is the same code up to the last step, and nobody is told anything by it.

use std::sync::Arc;
use std::time::Duration;

use rowbell::cli::control::retry;
use rowbell::cli::inspect::{explain, status};
use rowbell::pipeline::context::stage::Stage as _;
use rowbell::postgres::operations::retry::{RetrySelection, look, put_back};
use rowbell::postgres::operations::{holds, status_report};
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::delivery::channels;
use crate::delivery::http_gateway::Gateway;
use crate::delivery::mail_server::MailServer;
use crate::harness::{CONFIG, MARIA, SHOP, World};

const DRY: &str = "[installation]\ndry_run = true";

/// A world whose channels are dry, or not.
async fn world(settings: &str, watch: &str) -> World {
    World::over(SHOP, &CONFIG.replace("{settings}", settings), watch).await
}

/// The daemon starts again with another setting.
async fn switch(world: &mut World, dry_run: bool) {
    let mut config = (*world.config).clone();
    config.installation.dry_run = dry_run;
    world.config = Arc::new(config);
    world.restart().await;
}

async fn moved(world: &mut World, address: &str) {
    world.sql(&format!("update delivery set address = '{address}' where id = 1")).await;
    world.settle().await;
}

/// The difference that each message told, or would have told.
async fn told(world: &World) -> Vec<String> {
    let sql = "select coalesce(reason::text, state::text) || ': ' || summary from rowbell.message
                where summary is not null order by message_id";
    world.db.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// A day of a shop: gates of every kind, words in two languages, a second change of the same row.
async fn a_day(world: &mut World) {
    world
        .sql(
            "insert into customer values (3, 'Ann', '+1 212 200 0003', 'en-US', 'UTC', false),
                 (4, 'Bob', 'none', 'en-US', 'UTC', true), (5, 'Eve', '+1 212 200 0005', 'en-US', 'Mars', true);
             insert into delivery select i, i, 'planned', null, null, 'start' from generate_series(3, 7) i;
             insert into rowbell.opt_out (phone, source) values ('12122000005', 'operator');
             delete from rowbell.change",
        )
        .await;
    world
        .sql(
            "update delivery set address = 'second' where id <> 7;
             update delivery set window_start = 'YEAR-06-25 10:00Z', window_end = 'YEAR-06-25 12:00Z' where id = 2;
             update delivery set status = 'gone' where id = 7",
        )
        .await;
    world.sql("update delivery set status = 'planned' where id = 7").await;
    world.settle().await;
    world.sql("update delivery set address = 'third' where id = 1").await;
    world.settle().await;
}

/// Everything that was decided and said. Only the last step may differ.
async fn record(world: &World) -> Vec<String> {
    let sql = "
        select concat_ws(' | ', m.entity_key,
                   case when m.reason = 'dry_run' then 'sent' else concat_ws(' ', m.state, m.reason) end,
                   m.change_count, m.attempt_count, a.number,
                   replace(a.result::text, 'dry_run', 'accepted'),
                   m.template, m.language, m.recipient_name, m.recipient_phone, m.recipient_locale,
                   m.recipient_time_zone, m.time_zone_source, m.summary, m.parameters, m.new_row)
          from rowbell.message as m
          left join rowbell.attempt as a using (message_id)
         order by m.message_id, a.number";
    world.db.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// gcm-playground #24: a dry run that sent all the same. episphere #1747: one that skipped some gates.
#[tokio::test]
async fn it_goes_the_same_way_to_the_last_step_and_nothing_reaches_the_provider() {
    let mut real = world("", "").await;
    a_day(&mut real).await;
    let mut dry = world(DRY, "").await;
    a_day(&mut dry).await;
    assert_eq!(record(&dry).await, record(&real).await);
    assert_eq!(real.sandbox.count(), 3);
    let counts = dry.sandbox.counts();
    assert_eq!((dry.sandbox.count(), counts.refused), (0, 0));
    for nothing in ["poll", "fallback", "unconfirmed_attempt", "queue", "receipt"] {
        let count = format!("select count(*) from rowbell.{nothing}");
        assert_eq!(dry.value(&count).await, "0", "{nothing}");
    }
    // What is told first in the dry run is what it tells next is compared with.
    assert!(told(&dry).await[2].ends_with("second → third."), "{:?}", told(&dry).await);
}

#[tokio::test]
async fn a_message_that_is_sent_is_compared_with_what_the_customer_really_knows() {
    let mut world = world(DRY, "").await;
    moved(&mut world, "A").await;
    moved(&mut world, "B").await;
    switch(&mut world, false).await;
    moved(&mut world, "C").await;
    moved(&mut world, "D").await;
    switch(&mut world, true).await;
    moved(&mut world, "E").await;
    world.muted("known", "update delivery set status = 'packed' where id = 1").await;
    moved(&mut world, "F").await;
    switch(&mut world, false).await;
    moved(&mut world, "G").await;
    assert_eq!(
        told(&world).await,
        [
            "dry_run: address: 1 Main Street → A.",
            "dry_run: address: A → B.",
            "sent: address: 1 Main Street → C.",
            "sent: address: C → D.",
            "dry_run: address: D → E.",
            "dry_run: address: E → F.",
            "sent: address: D → G.",
        ]
    );
    assert_eq!(world.read(MARIA).len(), 3);
}

#[tokio::test]
async fn what_was_taken_back_before_it_is_sent_for_the_first_time_is_silence() {
    let mut world = world(DRY, "").await;
    moved(&mut world, "A").await;
    switch(&mut world, false).await;
    moved(&mut world, "1 Main Street").await;
    assert_eq!(
        world.messages().await,
        [
            "1 skipped dry_run 1 change(s) 1 attempt(s)",
            "1 skipped no_net_change 1 change(s) 0 attempt(s)"
        ]
    );
    assert_eq!(world.sandbox.count(), 0);
}

#[tokio::test]
async fn what_a_dry_run_recorded_can_be_sent_after_all() {
    let mut world = world(DRY, "").await;
    moved(&mut world, "A").await;
    switch(&mut world, false).await;
    let meant = RetrySelection::Filter {
        watch: None,
        reasons: vec!["dry_run".to_owned()],
        since: world.now() - Duration::from_secs(3_600),
        limit: 100,
    };
    let candidates = look(&world.db, &world.config, &meant).await.unwrap();
    let ids = retry::to_send(&candidates);
    assert_eq!(ids.len(), 1);
    put_back(&world.db, &ids, retry::WHY, world.now()).await.unwrap();
    world.pass(Duration::from_secs(6));
    world.work().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 2 attempt(s)"]);
    assert!(world.read(MARIA)[0].contains("1 Main Street → A."));
}

#[tokio::test]
async fn a_storm_is_held_in_a_dry_run_too() {
    let mut world = world(DRY, "storm = { transaction = 1, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk'").await;
    world.settle().await;
    let held = async |world: &World| {
        holds::list(&world.db, &holds::HoldSelection::default()).await.unwrap().remove(0)
    };
    let hold = held(&world).await;
    assert_eq!((hold.messages, world.messages().await.len()), (2, 0));
    let now = world.now();
    holds::approve(&mut world.db, &hold, 1, now).await.unwrap();
    world.work().await;
    assert_eq!(world.messages().await, ["1 skipped dry_run 1 change(s) 1 attempt(s)"]);
    assert_eq!(held(&world).await.messages, 1);
}

/// If the daemon dies with a message that it was about to record, nobody has to wonder whether it left.
#[tokio::test]
async fn a_crash_leaves_no_doubt() {
    let mut world = world(DRY, "").await;
    world.sql("update delivery set address = 'A' where id = 1").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    assert_eq!(world.messages().await, ["1 sending 1 change(s) 1 attempt(s)"]);
    switch(&mut world, false).await;
    world.pass(Duration::from_secs(61));
    world.work().await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    world.pass(Duration::from_secs(10));
    world.work().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 2 attempt(s)"]);
    let first = "select result || ': ' || error_text from rowbell.attempt where number = 1";
    assert_eq!(world.value(first).await, "not_sent: the daemon ended during a dry run");
}

#[tokio::test]
async fn one_channel_alone_may_be_dry() {
    let second = "[channel.second]\nprovider = \"1msg\"\nchannel_id = \"ODI371267301\"\n\
                  token_file = \"{folder}/token\"\nbase_url = \"{provider}\"\ndry_run = true";
    let mut world = world(second, "fallback = [{ channel = \"second\" }]").await;
    moved(&mut world, "A").await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Code { code: 131_026 })]);
    moved(&mut world, "B").await;
    world.sandbox.set_faults(Vec::new());
    moved(&mut world, "C").await;
    let stand = "select string_agg(channel || ' ' || coalesce(reason::text, state::text), ', ' order by message_id) from rowbell.message";
    assert_eq!(
        world.value(stand).await,
        "main sent, main undeliverable, second dry_run, main sent"
    );
    // The text that was not sent told nothing.
    assert!(world.read(MARIA)[1].contains("A → C."), "{:?}", world.read(MARIA));
}

#[tokio::test]
async fn gateways_and_mail_servers_hear_nothing_either() {
    let gateway = Gateway::start().await;
    let workload = MailServer::start(None).await;
    for channel in ["sms", "mail"] {
        let channels = channels::sms(&gateway) + &channels::mail(&workload, "tls = \"none\"");
        let config = channels::CONFIG
            .replace("environment = \"test\"", "environment = \"test\"\ndry_run = true")
            .replace("{channel}", channel)
            .replace("{channels}", &channels);
        let mut world = World::over(channels::SHOP, &config, "").await;
        world.sql("update delivery set address = 'A'").await;
        world.work().await;
        let why = if channel == "sms" { "bad_phone" } else { "bad_email" };
        assert_eq!(
            world.messages().await,
            [
                "1 skipped dry_run 1 change(s) 1 attempt(s)".to_owned(),
                "2 skipped dry_run 1 change(s) 1 attempt(s)".to_owned(),
                format!("3 skipped {why} 1 change(s) 0 attempt(s)"),
            ]
        );
    }
    assert_eq!((gateway.asked().len(), workload.connections()), (0, 0));
}

/// What cannot be put into a request is refused as it would be in earnest.
#[tokio::test]
async fn a_request_that_cannot_be_made_is_found_out() {
    let gateway = Gateway::start().await;
    let body = r#"{"to": "{{ recipient.phone }}", "text": "{% if recipient.name != 'Juan' and language == 'en' and 'Main' in text %}{{ nothing.here }}{% endif %}"}"#;
    let channels = format!(
        "[channel.sms]\nprovider = \"http\"\nurl = \"{}\"\ndry_run = true\nbody = \"\"\"{body}\"\"\"",
        gateway.url
    );
    let config = channels::CONFIG.replace("{channel}", "sms").replace("{channels}", &channels);
    let mut world = World::over(channels::SHOP, &config, "").await;
    world.sql("update delivery set address = 'A' where id < 3").await;
    world.work().await;
    assert_eq!(
        world.messages().await,
        [
            "1 failed rejected 1 change(s) 1 attempt(s)",
            "2 skipped dry_run 1 change(s) 1 attempt(s)"
        ]
    );
    assert_eq!(gateway.asked().len(), 0);
}

#[tokio::test]
async fn everybody_who_looks_is_told_that_it_is_a_dry_run() {
    let mut world = world(DRY, "").await;
    moved(&mut world, "A").await;
    let stand = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    let text = status::as_text(&stand);
    assert!(
        text.contains("channel main: DRY RUN: its messages are recorded and not sent"),
        "{text}"
    );
    assert!(
        text.contains("1 message of the last 24 h was recorded by a dry run and not sent"),
        "{text}"
    );
    let story = explain::tell(&world.db, &world.config, "home_delivery", "1", 10).await.unwrap();
    let text = explain::as_text(&story, &world.config, world.now());
    assert!(text.contains("attempt 1: DRY RUN\n"), "{text}");
    assert!(text.contains("skipped: dry_run, recorded instead of posted"), "{text}");
    // For analysts.
    assert_eq!(world.value("select is_dry_run from rowbell_report.message_status").await, "true");
    let shown = "select recipient_name || ': ' || summary from rowbell_report.dry_runs";
    assert_eq!(world.value(shown).await, "Maria: address: 1 Main Street → A.");
    for figure in [
        "select sum(sent) from rowbell_report.delivery_by_day",
        "select sum(sent + to_tell) from rowbell_report.funnel",
        "select count(*) from rowbell_report.latency",
        "select count(*) from rowbell_report.failures",
    ] {
        assert_eq!(world.value(figure).await, "0", "{figure}");
    }
    switch(&mut world, false).await;
    let stand = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    let text = status::as_text(&stand);
    assert!(!text.contains("DRY RUN:") && text.contains("recorded by a dry run"), "{text}");
}
