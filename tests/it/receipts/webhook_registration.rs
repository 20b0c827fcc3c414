//! The provider stops posting to our webhook after failures: that is noticed, mended, and told.

use std::path::Path;
use std::time::Duration;

use rowbell::pipeline::context::stage::Stage as _;
use rowbell::pipeline::receive::webhook_registration::WebhookRegistration;
use rowbell::provider::client::ProviderClient;
use rowbell::provider::onemsg::client;
use rowbell::provider::onemsg::webhook_settings::WebhookSettings;
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Delay, Fault, FaultRule, ReceiptOptions, SandboxOptions};

use crate::harness::World;

const CHANNEL: &str = "ODI371267300";
const INBOX: &str = "http://127.0.0.1:1/inbox";
const OURS: &str = "http://127.0.0.1:1/webhook/s3cret";
const LOOK: Duration = Duration::from_secs(6 * 60);

fn client(world: &World) -> client::OneMsgClient {
    match ProviderClient::new(&world.config.channel["main"], &world.config).unwrap() {
        ProviderClient::OneMsg(client) => client,
        _ => unreachable!(),
    }
}

fn destination(world: &World) -> WebhookRegistration {
    let context = world.stages.context.clone();
    WebhookRegistration::new(context, "main", client(world), "s3cret".to_owned())
}

async fn hooks(world: &World) -> WebhookSettings {
    client(world).webhook_settings().await.unwrap()
}

/// The provider posts, nobody answers, and it gives up.
async fn give_up(world: &World) {
    let receipts = ReceiptOptions { disable_after: Some(1), retry_ms: 1, ..ReceiptOptions::none() };
    world.sandbox.set_receipts(receipts);
    world.sandbox.inbound(CHANNEL, "12122000001", "hello");
    let over = |counts: &rowbell_lab::sandbox::SandboxCounts| counts.items_pending == 0;
    world.sandbox.wait_until(Duration::from_secs(20), over).await.unwrap();
    let hooks = hooks(world).await;
    assert_eq!(hooks.disabled.len(), if hooks.is_partly_unread { 1 } else { hooks.urls.len() });
}

async fn known(world: &World) -> String {
    let sql = "select string_agg(state || coalesce(': ' || detail, ''), ', ') from rowbell.receipt_source where kind = 'registration'";
    world.value(sql).await
}

#[tokio::test]
async fn what_the_provider_has_given_up_is_revived_and_its_list_stays_as_it_was() {
    let world = World::new().await;
    world.sandbox.set_webhook(CHANNEL, &[INBOX.to_owned(), OURS.to_owned()]);
    let mut destination = destination(&world);
    destination.step().await.unwrap();
    assert_eq!(known(&world).await, "works");
    give_up(&world).await;
    destination.step().await.unwrap();
    assert_eq!(hooks(&world).await.disabled.len(), 2, "it is not looked at all the time");
    world.pass(LOOK);
    destination.step().await.unwrap();
    let now = hooks(&world).await;
    assert_eq!(
        (now.urls.as_slice(), now.disabled.len()),
        ([INBOX.to_owned(), OURS.to_owned()].as_slice(), 0)
    );
    assert_eq!(known(&world).await, "works");

    // It does not last: it is revived again, but less and less often.
    give_up(&world).await;
    world.pass(LOOK);
    destination.step().await.unwrap();
    assert!(hooks(&world).await.disabled.is_empty(), "the first pause is over");
    give_up(&world).await;
    world.pass(LOOK);
    destination.step().await.unwrap();
    assert!(!hooks(&world).await.disabled.is_empty(), "the second pause is twice as long");
    assert!(
        known(&world).await.contains("was revived a short while ago, which did not last"),
        "{}",
        known(&world).await
    );
    world.pass(LOOK);
    destination.step().await.unwrap();
    assert!(hooks(&world).await.disabled.is_empty());
}

/// opencollective #2054: the webhooks of a copy were active. What the original set up is not the copy's to mend.
#[tokio::test]
async fn a_copy_changes_nothing_at_the_provider() {
    let world = World::new().await;
    world.sandbox.set_webhook(CHANNEL, &[OURS.to_owned()]);
    give_up(&world).await;
    world.sql("update rowbell.installation set environment = 'somewhere else'").await;
    let mut destination = destination(&world);
    destination.step().await.unwrap();
    assert_eq!(hooks(&world).await.disabled, [OURS]);
    assert!(known(&world).await.contains("this database is a copy"), "{}", known(&world).await);
    world.sql("update rowbell.installation set environment = 'production'").await;
    world.pass(LOOK);
    destination.step().await.unwrap();
    assert!(hooks(&world).await.disabled.is_empty());
}

#[tokio::test]
async fn a_list_that_is_not_understood_is_left_alone() {
    let world = World::new().await;
    // One address with a comma in it is two for whoever reads the provider's text.
    let strange = format!("{OURS}?of=1,2");
    world.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&strange));
    give_up(&world).await;
    destination(&world).step().await.unwrap();
    assert_eq!(hooks(&world).await.disabled, [strange], "it is not written back");
    let known = known(&world).await;
    assert!(known.contains("not understood") && known.contains("revive our address"), "{known}");
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_changes_nothing_of_what_is_known() {
    let world = World::new().await;
    world.sandbox.set_webhook(CHANNEL, &[OURS.to_owned()]);
    let mut destination = destination(&world);
    destination.step().await.unwrap();
    world
        .sandbox
        .set_faults(vec![FaultRule::always(Fault::Drop { accepted: false }).on("webhook")]);
    world.pass(LOOK);
    destination.step().await.unwrap();
    assert_eq!(known(&world).await, "works");
    world.sandbox.set_faults(Vec::new());
    world.sandbox.set_webhook(CHANNEL, &[INBOX.to_owned()]);
    world.pass(LOOK);
    destination.step().await.unwrap();
    assert_eq!(known(&world).await, "missing: no address of the provider's list is ours");
}

/// The daemon was down for a while, and the provider lost patience with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_comes_back_is_posted_to_again() {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap();
    let receipts = ReceiptOptions {
        sent: Some(Delay::of(0)),
        disable_after: Some(1),
        ..ReceiptOptions::none()
    };
    testbed.sandbox.set_receipts(receipts);
    testbed.sandbox.inbound(CHANNEL, "12122000001", "hello");
    let over = |counts: &rowbell_lab::sandbox::SandboxCounts| {
        counts.items_pending == 0 && counts.posts > 0
    };
    testbed.sandbox.wait_until(Duration::from_secs(20), over).await.unwrap();
    let shown = testbed.command(&["webhook", "show"]).unwrap();
    assert!(shown.contains("given up by the provider"), "{shown}");
    let warned = testbed.command(&["check"]).unwrap();
    assert!(warned.contains("has given up our webhook after failures"), "{warned}");

    let daemon = testbed.daemon().await.unwrap();
    let db = testbed.connect().await.unwrap();
    let heard = "select exists (select from rowbell.receipt_source where kind = 'webhook')";
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while !db.query_one(heard, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(tokio::time::Instant::now() < end, "nothing is posted to it; {}", testbed.log());
        testbed.sandbox.inbound(CHANNEL, "12122000001", "hello");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(daemon.stop().await.unwrap().success());
    let log = testbed.log();
    assert_eq!(log.matches("has given up our webhook").count(), 1, "{log}");
    assert_eq!(log.matches("posts to our webhook again").count(), 1, "{log}");
    let status = testbed.command(&["status"]).unwrap();
    assert!(!status.contains("given up"), "{status}");
}
