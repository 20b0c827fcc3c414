//! An endpoint of the application is told what became of messages: one that works, refuses, hangs, answers 500, 429 and 410,
//! and daemons that die. It is told everything at least once, of one message in order, and the outcomes are true whatever it
//! does.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell::postgres::outcome::outgoing_deliveries::{self, Redelivery};

use crate::harness::World;
use crate::hooks::receiver::{Receiver, Reply, SECRET, posting_shop};

/// A shop whose outcomes are posted to a receiver.
async fn shop(receiver: &Receiver, settings: &str) -> World {
    shop_of(receiver, settings, 0).await
}

/// The same with so many more deliveries, each of a customer of its own.
async fn shop_of(receiver: &Receiver, settings: &str, rows: u32) -> World {
    let rows = match rows {
        0 => String::new(),
        rows => format!(
            "insert into customer select i, 'C', '+1 212 201 ' || 1000 + i, 'en', 'UTC', true from generate_series(10, 9 + {rows}) as i;
             insert into delivery (id, customer_id) select i, i from generate_series(10, 9 + {rows}) as i;"
        ),
    };
    posting_shop(receiver, &rows, &format!("timeout = \"1s\"\n{settings}"), "").await
}

async fn change(world: &mut World, address: &str) {
    world.sql(&format!("update delivery set address = '{address}' where id = 1")).await;
    world.work().await;
}

async fn receipt(world: &World, status: ReceiptStatus) {
    let last = "select provider_message_id from rowbell.message where provider_message_id is not null order by message_id desc limit 1";
    let provider_message_id = world.value(last).await;
    world.receipt(Receipt { provider_message_id, status, ..Receipt::default() }).await;
}

async fn pending(world: &World) -> String {
    world.value("select pending from rowbell_report.outgoing_webhooks").await
}

/// Each outcome is posted once, in order, signed so that the official library is content, and names nobody.
#[tokio::test]
async fn an_endpoint_is_told_each_outcome_signed_and_without_a_name() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    change(&mut world, "2 New Street").await;
    receipt(&world, ReceiptStatus::Delivered).await;
    receipt(&world, ReceiptStatus::Read).await;
    world.work().await;
    assert_eq!(receiver.told(), ["1 sent", "1 delivered", "1 read"]);
    let all = receiver.all();
    assert!(all.iter().all(|received| received.is_signed));
    assert_eq!(all[1].event["type"], "message.delivered");
    assert_eq!(all[1].event["data"]["key"], "1");
    for personal in ["Maria", "1212200", "2 New Street", "wamid"] {
        assert!(all.iter().all(|received| !received.body.contains(personal)), "{personal}");
    }
    assert_eq!(pending(&world).await, "0");
    let kept = "select string_agg(concat_ws(' ', outcome, state, attempt_count, http_status), ', ' order by delivery_id) \
                from rowbell_report.outgoing_deliveries";
    assert_eq!(
        world.value(kept).await,
        "sent delivered 1 204, delivered delivered 1 204, read delivered 1 204"
    );
}

/// What is told of a person is what the site asks for; other states and watches are not told.
#[tokio::test]
async fn an_endpoint_is_told_what_it_asks_for() {
    let receiver = Receiver::start().await;
    let settings =
        "states = [\"failed\", \"delivered\"]\ninclude = [\"recipient_phone\", \"recipient_name\"]";
    let mut world = shop(&receiver, settings).await;
    change(&mut world, "2 New Street").await;
    receipt(&world, ReceiptStatus::Delivered).await;
    world.work().await;
    assert_eq!(receiver.told(), ["1 delivered"]);
    let data = receiver.all()[0].event["data"].clone();
    assert_eq!(
        (&data["recipient_phone"], &data["recipient_name"]),
        (&"12122000001".into(), &"Maria".into())
    );
    assert!(data.get("summary").is_none());
}

/// An endpoint that is down rests after five failures in a row: one delivery at a time is tried, so that whoever looks at its
/// log sees no storm. Messages leave all the while. When it is back, it is told everything, of each message in order.
#[tokio::test]
async fn an_endpoint_that_is_down_rests_and_is_told_everything_when_it_is_back() {
    let receiver = Receiver::start().await;
    let mut world = shop_of(&receiver, "", 20).await;
    receiver.always(Reply::Status(500));
    world.sql("update delivery set address = '2 New Street' where id >= 10").await;
    world.work().await;
    assert_eq!(
        world.value("select count(*) from rowbell.message where state = 'sent'").await,
        "20"
    );
    assert_eq!(world.value("select state from rowbell_report.outgoing_webhooks").await, "resting");
    let tried = receiver.all().len();
    assert!((5..=8).contains(&tried), "{tried} requests");
    for _ in 0..10 {
        world.pass(Duration::from_secs(5));
        world.work().await;
    }
    let later = receiver.all().len() - tried;
    assert!((1..=4).contains(&later), "{later} requests in fifty seconds");
    receipt(&world, ReceiptStatus::Delivered).await;
    receiver.always(None);
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    let mut told = receiver.told();
    assert_eq!(told.len(), 21, "{told:?}");
    let last = world.value("select max(message_id) from rowbell.message").await;
    told.retain(|one| one.starts_with(&format!("{last} ")));
    assert_eq!(told, [format!("{last} sent"), format!("{last} delivered")]);
    assert_eq!(
        world
            .value("select concat_ws(' ', state, pending) from rowbell_report.outgoing_webhooks")
            .await,
        "open 0"
    );
}

/// What an endpoint cannot take keeps nothing waiting but later outcomes of the same message.
#[tokio::test]
async fn what_an_endpoint_cannot_take_delays_only_its_own_message() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    receiver.answers([Reply::Status(422)]);
    change(&mut world, "2 New Street").await;
    receipt(&world, ReceiptStatus::Delivered).await;
    world.sql("update delivery set address = 'x' where id = 2").await;
    world.work().await;
    world.pass(Duration::from_secs(1));
    assert_eq!(receiver.told(), ["2 sent"]);
    let why =
        "select last_error from rowbell_report.outgoing_deliveries where last_error is not null";
    assert_eq!(world.value(why).await, "HTTP 422: it did not take the event");
    world.pass(Duration::from_secs(60));
    world.work().await;
    assert_eq!(receiver.told(), ["2 sent", "1 sent", "1 delivered"]);
}

/// `Retry-After` holds for the whole endpoint, at once.
#[tokio::test]
async fn an_endpoint_that_asks_for_a_pause_gets_it() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    receiver.answers([Reply::RetryAfter(429, 120)]);
    change(&mut world, "2 New Street").await;
    world.sql("update delivery set address = 'x' where id = 2").await;
    world.work().await;
    world.pass(Duration::from_secs(60));
    world.work().await;
    assert_eq!(receiver.all().len(), 1);
    world.pass(Duration::from_secs(120));
    world.work().await;
    assert_eq!(receiver.told().len(), 2);
}

/// 410 means: do not come again. Nothing is posted until a person says so, and then everything is.
#[tokio::test]
async fn an_endpoint_that_is_gone_is_left_alone_until_a_person_resumes_it() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    receiver.answers([Reply::Status(410)]);
    change(&mut world, "2 New Street").await;
    receipt(&world, ReceiptStatus::Delivered).await;
    world.pass(Duration::from_secs(30 * 86_400));
    world.work().await;
    assert_eq!(receiver.all().len(), 1);
    assert_eq!(
        world
            .value("select concat_ws(' ', state, pending) from rowbell_report.outgoing_webhooks")
            .await,
        "gone 2"
    );
    assert!(outgoing_deliveries::resume(&world.db, "crm", world.now()).await.unwrap());
    world.work().await;
    assert_eq!(receiver.told(), ["1 sent", "1 delivered"]);
}

/// One that hangs is given its time and no more; nobody else waits for it.
#[tokio::test]
async fn an_endpoint_that_hangs_is_broken_off() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    receiver.answers([Reply::Hangs]);
    change(&mut world, "2 New Street").await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
    let why = world.value("select last_error from rowbell_report.outgoing_deliveries").await;
    assert!(why.contains("timed out"), "{why}");
    world.pass(Duration::from_secs(60));
    world.work().await;
    let all = receiver.all();
    assert_eq!((all.len(), &all[0].id), (2, &all[1].id), "the same name in every attempt");
    assert_eq!(receiver.told(), ["1 sent"]);
}

/// The daemon dies while a request is on its way. The next one posts it again, with the same name, when nobody can be at it
/// any more; what came after it waits for that.
#[tokio::test]
async fn a_delivery_on_its_way_survives_the_daemon() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    change(&mut world, "2 New Street").await;
    receiver.answers([Reply::Hangs]);
    receipt(&world, ReceiptStatus::Delivered).await;
    let dies = async {
        while receiver.all().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = world.stages.outgoing_webhooks[0].step() => panic!("it was to die before"),
        () = dies => {}
    }
    world.crash().await;
    receipt(&world, ReceiptStatus::Read).await;
    world.work().await;
    assert_eq!(receiver.told(), ["1 sent"], "somebody may still be at it");
    world.pass(Duration::from_secs(60));
    world.work().await;
    assert_eq!(receiver.told(), ["1 sent", "1 delivered", "1 read"]);
    let all = receiver.all();
    assert_eq!(all[1].id, all[2].id);
}

/// Two daemons share an endpoint: nothing is posted twice, and of one message everything in order.
#[tokio::test]
async fn two_daemons_share_an_endpoint() {
    let receiver = Receiver::start().await;
    let mut world = shop_of(&receiver, "", 30).await;
    receiver.always(Reply::Status(500));
    world.sql("update delivery set address = '2 New Street' where id >= 10").await;
    world.work().await;
    let ids = "select string_agg(provider_message_id, ',') from rowbell.message where sent_at is not null";
    let ids = world.value(ids).await;
    for status in [ReceiptStatus::Delivered, ReceiptStatus::Read] {
        let receipts = ids.split(',').map(|id| Receipt {
            provider_message_id: id.to_owned(),
            status,
            ..Receipt::default()
        });
        world.receipts(receipts.collect()).await;
    }
    receiver.always(None);
    let before = receiver.all().len();
    outgoing_deliveries::resume(&world.db, "crm", world.now()).await.unwrap();
    let mut other = world.another().await;
    let (one, two) = (&mut world.stages.outgoing_webhooks[0], &mut other.outgoing_webhooks[0]);
    loop {
        let (one, two) = tokio::join!(one.step(), two.step());
        if (one.unwrap(), two.unwrap()) == (Progress::Idle, Progress::Idle) {
            break;
        }
    }
    let told = receiver.told();
    assert_eq!(receiver.all().len() - before, 90, "each once");
    for message in told.iter().filter_map(|one| one.strip_suffix(" sent")) {
        let of_it: Vec<&str> =
            told.iter().filter_map(|one| one.strip_prefix(&format!("{message} "))).collect();
        assert_eq!(of_it, ["sent", "delivered", "read"], "message {message}");
    }
}

/// What was tried for too long is given up, and stands there; a person can have it delivered again, as what was delivered.
#[tokio::test]
async fn what_was_given_up_can_be_delivered_again() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "give_up_after = \"1m\"").await;
    receiver.always(Reply::Status(500));
    change(&mut world, "2 New Street").await;
    for _ in 0..5 {
        world.pass(Duration::from_secs(100));
        world.work().await;
    }
    let state = "select string_agg(state, ',') from rowbell_report.outgoing_deliveries";
    assert_eq!(world.value(state).await, "given_up");
    receiver.always(None);
    let all = Redelivery { endpoint: "crm", since: None, message_id: None, only_given_up: true };
    let given_up = outgoing_deliveries::find_again(&world.db, all).await.unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(outgoing_deliveries::again(&world.db, &given_up, world.now()).await.unwrap(), 1);
    outgoing_deliveries::resume(&world.db, "crm", world.now()).await.unwrap();
    world.work().await;
    assert_eq!(receiver.told(), ["1 sent"]);
    let all = Redelivery { only_given_up: false, message_id: Some(1), ..all };
    let taken = outgoing_deliveries::find_again(&world.db, all).await.unwrap();
    outgoing_deliveries::again(&world.db, &taken, world.now()).await.unwrap();
    world.work().await;
    assert_eq!(receiver.told(), ["1 sent", "1 sent"]);
    let received = receiver.all();
    assert!(received.iter().all(|one| one.id == received[0].id));
}

/// The copy of a database tells the application of the original nothing.
#[tokio::test]
async fn a_copy_of_the_database_posts_nothing() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    receiver.answers([Reply::Status(500)]);
    change(&mut world, "2 New Street").await;
    world.sql("update rowbell.installation set environment = 'elsewhere'").await;
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    assert!(receiver.told().is_empty());
}

/// Who is forgotten before an outcome is posted is not named by it.
#[tokio::test]
async fn an_endpoint_hears_nothing_of_who_was_forgotten() {
    let receiver = Receiver::start().await;
    let mut world =
        shop(&receiver, "include = [\"recipient_phone\", \"recipient_name\", \"summary\"]").await;
    receiver.answers([Reply::Status(500)]);
    change(&mut world, "2 New Street").await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    let phone = crate::harness::MARIA;
    let found = rowbell::operations::forget::find(&mut client, &world.config, phone).await.unwrap();
    rowbell::operations::forget::forget(&mut client, &world.clock, phone, &found).await.unwrap();
    drop(client);
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    let last = receiver.all().pop().unwrap();
    assert!(last.is_taken && last.event["data"]["recipient_phone"].is_null(), "{}", last.body);
    assert!(!last.body.contains("Maria") && !last.body.contains("New Street"));
}

/// `doctor` says when nothing answers where outcomes are to be posted, and when the key cannot sign; it posts nothing.
#[tokio::test]
async fn doctor_says_what_is_wrong_with_an_endpoint() {
    let receiver = Receiver::start().await;
    let world = shop(&receiver, "").await;
    let of_endpoint = async |config: &rowbell::config::Config| {
        let limits = rowbell::postgres::inspection::doctor::Limits::default();
        let (report, _) = rowbell::operations::doctor::examine(config, &world.clock, &limits).await;
        let found = report.findings.into_iter().filter(|found| found.key.contains("outgoing"));
        found.map(|found| format!("{}: {}", found.key, found.what)).collect::<Vec<_>>()
    };
    let mut config = (*world.config).clone();
    let secret = &config.outgoing_webhook["crm"].secret_file;
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(of_endpoint(&config).await, Vec::<String>::new());
    assert!(receiver.all().is_empty());
    let endpoint = config.outgoing_webhook.get_mut("crm").unwrap();
    endpoint.url = "http://127.0.0.1:1/rowbell".to_owned();
    std::fs::write(&endpoint.secret_file, "too short").unwrap();
    let found = of_endpoint(&config).await;
    assert!(
        found[0].starts_with("outgoing_webhook.crm.secret_file: ")
            && found[0].contains("openssl rand"),
        "{found:?}"
    );
    std::fs::write(&config.outgoing_webhook["crm"].secret_file, SECRET).unwrap();
    let found = of_endpoint(&config).await;
    assert!(
        found[0].starts_with("outgoing_webhook.crm.url: nothing answers at its URL"),
        "{found:?}"
    );
}
