//! The operator is told what needs a person: once, and once more when it is over; by mail or any other channel, and by one of
//! several daemons.

use std::time::Duration;

use rowbell::pipeline::context::stage::Stage as _;

use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::delivery::mail_server::{Do, MailServer};
use crate::harness::{CONFIG, SHOP, World};

const STOPPED: &str = "insert into rowbell.circuit (channel, state, since, probe_at, pause_seconds, reason, updated_at) \
                       values ('main', 'open', now(), now() + interval '1 year', 60, '190: Access token has expired', now())";
const WORKS: &str = "update rowbell.circuit set state = 'closed', closed_at = now()";

/// A shop whose operator gets mail.
async fn shop(server: &MailServer) -> World {
    let mail = format!(
        "[channel.ops]\nprovider = \"smtp\"\nhost = \"localhost\"\nport = {}\ntls = \"none\"\ntimeout = \"2s\"\n\
         rate = \"100000/s\"\nfrom = \"rowbell <rowbell@shop.example>\"\nsubject = \"rowbell needs a person\"\n\
         [alert]\nchannel = \"ops\"\nto = [\"ops@shop.example\"]\n",
        server.port
    );
    let mut world = World::over(
        SHOP,
        &CONFIG.replace("{settings}", &mail),
        "storm = { transaction = 1, minute = 0 }",
    )
    .await;
    world.settle().await;
    world
}

/// So many minutes go by, and the daemon looks each minute.
async fn minutes(world: &mut World, minutes: u64) {
    for _ in 0..minutes {
        world.pass(Duration::from_secs(60));
        world.stages.alert.as_mut().unwrap().step().await.unwrap();
    }
}

fn bodies(server: &MailServer) -> Vec<String> {
    // Quoted-printable breaks long lines.
    server.letters().iter().map(|letter| letter.body().replace("=\r\n", "")).collect()
}

/// What begins is told once, also over a restart; that it is over is told once it has been so for a while.
#[tokio::test]
async fn what_needs_a_person_is_told_once_and_once_more_when_it_is_over() {
    let server = MailServer::start(None).await;
    let mut world = shop(&server).await;
    minutes(&mut world, 3).await;
    assert!(server.letters().is_empty(), "nothing is wrong");
    world.sql(STOPPED).await;
    minutes(&mut world, 5).await;
    assert_eq!(
        bodies(&server),
        [
            "rowbell (production): Needs a person: errors have stopped channel main: 190: Access token has expired."
        ]
    );
    assert!(server.letters()[0].to.contains("ops@shop.example"));
    world.restart().await;
    minutes(&mut world, 5).await;
    assert_eq!(server.letters().len(), 1, "a restart does not repeat it");
    // It comes and goes.
    world.sql(WORKS).await;
    minutes(&mut world, 2).await;
    world.sql("update rowbell.circuit set state = 'open', closed_at = null").await;
    minutes(&mut world, 3).await;
    assert_eq!(server.letters().len(), 1);
    world.sql(WORKS).await;
    minutes(&mut world, 20).await;
    let told = bodies(&server);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].starts_with("rowbell (production): Over: errors have stopped channel main"),
        "{}",
        told[1]
    );
    // The next time is a new time.
    world.sql("update rowbell.circuit set state = 'open', closed_at = null").await;
    minutes(&mut world, 5).await;
    assert_eq!(server.letters().len(), 3);
}

/// Several things at once are one mail; each kind that the operator asked for is among them.
#[tokio::test]
async fn several_things_are_one_mail() {
    let server = MailServer::start(None).await;
    let mut world = shop(&server).await;
    world.sql("update delivery set address = '2 New Street'").await;
    world.work().await;
    world
        .sql(
            &STOPPED
                .replace("(channel,", "(channel, template, language,")
                .replace("('main',", "('main', 'service_change', 'en',"),
        )
        .await;
    world.sql("insert into rowbell.outgoing_webhook (endpoint, outcomes, gone_at) values ('crm', '{sent}', now())").await;
    minutes(&mut world, 3).await;
    let stood = "select string_agg(concat_ws(' ', kind, subject, told_at is not null), ', ' order by kind) from rowbell.alert";
    assert_eq!(
        world.value(stood).await,
        "storm_held hold 1 of watch home_delivery t, template_rejected template service_change (en) on channel main t, \
         endpoint_stopped endpoint crm t"
    );
    let told = bodies(&server);
    assert_eq!(told.len(), 1, "{told:?}");
    for said in [
        "2 messages of hold 1 of watch home_delivery wait for a person",
        "errors have stopped template service_change (en)",
        "endpoint crm does not take outcomes",
    ] {
        assert!(told[0].contains(said), "{said}: {}", told[0]);
    }
}

/// A queue that is late, and a channel of which nothing tells what arrived.
#[tokio::test]
async fn a_late_queue_and_missing_receipts_are_told() {
    let server = MailServer::start(None).await;
    let mut world = shop(&server).await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Refused { status: 503 })]);
    world.work().await;
    world.sql("insert into rowbell.receipt_source (channel, kind, state, detail, since) values ('main', 'polling', 'failing', 'HTTP 500', now())").await;
    minutes(&mut world, 15).await;
    let told = bodies(&server).join("\n");
    assert!(told.contains("nothing tells what becomes of messages on channel main"), "{told}");
    assert!(told.contains("messages on channel main are late"), "{told}");
}

/// Two daemons tell it once between them, whichever looks first.
#[tokio::test]
async fn two_daemons_tell_it_once() {
    let server = MailServer::start(None).await;
    let mut world = shop(&server).await;
    let mut other = world.another().await;
    world.sql(STOPPED).await;
    for _ in 0..3 {
        world.pass(Duration::from_secs(60));
        let (one, two) = (world.stages.alert.as_mut().unwrap(), other.alert.as_mut().unwrap());
        let (one, two) = tokio::join!(one.step(), two.step());
        assert!(one.is_ok() && two.is_ok());
    }
    assert_eq!(server.letters().len(), 1);
}

/// A mail server that is away is tried again, and nothing is lost; a copy of the database tells nothing.
#[tokio::test]
async fn what_cannot_be_told_is_told_later() {
    let server = MailServer::start(None).await;
    let mut world = shop(&server).await;
    server.on("MAIL", vec![Do::HangUp; 2]);
    world.sql(STOPPED).await;
    minutes(&mut world, 2).await;
    assert!(server.letters().is_empty());
    minutes(&mut world, 10).await;
    assert_eq!(server.letters().len(), 1);
    assert_eq!(
        world.value("select count(*) from rowbell_report.alerts where told_at is not null").await,
        "1"
    );
    world.sql("update rowbell.installation set environment = 'elsewhere'").await;
    world.sql(WORKS).await;
    minutes(&mut world, 20).await;
    assert_eq!(server.letters().len(), 1);
}
