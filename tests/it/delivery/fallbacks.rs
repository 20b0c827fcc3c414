//! A message that did not reach its recipient goes on to the next channel, once, and only for a reason.

use std::time::Duration;

use rowbell::cli::inspect::{explain, status};
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::postgres::operations::status_report;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::delivery::channels::{CONFIG, SHOP, mail, sms};
use crate::delivery::http_gateway::{Gateway, Say};
use crate::delivery::mail_server::{Do, MailServer};
use crate::harness::{MARIA, World};

const HOUR: Duration = Duration::from_secs(3_600);
const SMS_AFTER_2H: &str = r#"fallback = [{ channel = "sms", after = "2h" }]"#;
/// Another WhatsApp number.
const SECOND: &str = r#"
[channel.second]
provider   = "1msg"
channel_id = "ODI371267301"
token_file = "{folder}/token"
base_url   = "{provider}"
rate       = "100000/s"
timeout    = "2s"
"#;
/// Not on WhatsApp.
const UNDELIVERABLE: i32 = 131_026;

struct Testbed {
    world: World,
    gateway: Gateway,
    workload: MailServer,
}

/// WhatsApp, SMS and mail, and the fallbacks of the watch.
async fn testbed(fallback: &str) -> Testbed {
    let gateway = Gateway::start().await;
    let workload = MailServer::start(None).await;
    let channels = mail(&workload, "tls = \"none\"")
        + &sms(&gateway)
        + SECOND
        + "[circuit]\nminimum = 5\nfirst_pause = \"1m\"\n";
    let config = CONFIG.replace("{channel}", "main").replace("{channels}", &channels);
    Testbed { world: World::over(SHOP, &config, fallback).await, gateway, workload }
}

impl Testbed {
    async fn moves(&mut self, delivery: i64, to: &str) {
        let sql = format!("update delivery set address = '{to}' where id = {delivery}");
        self.world.sql(&sql).await;
        self.world.work().await;
    }

    async fn later(&mut self, time: Duration) {
        self.world.pass(time);
        self.world.work().await;
    }

    /// Texts that the gateway was asked to send.
    fn texts(&self) -> Vec<String> {
        let asked = self.gateway.asked();
        asked.iter().map(|asked| asked.json()["text"].as_str().unwrap().to_owned()).collect()
    }

    fn faults(&self, fault: Option<Fault>) {
        self.world.sandbox.set_faults(fault.map(FaultRule::always).into_iter().collect());
    }

    /// What is heard of the last message that WhatsApp took.
    async fn heard(&mut self, status: ReceiptStatus, code: Option<i32>) {
        let id = self.world.sandbox.all_seen().last().unwrap().id.clone();
        self.heard_of(&id, status, code).await;
    }

    async fn heard_of(&mut self, id: &str, status: ReceiptStatus, code: Option<i32>) {
        self.world
            .receipt(Receipt {
                provider_message_id: id.to_owned(),
                status,
                error_code: code,
                error_text: None,
                occurred_at: Some(self.world.now()),
                ..Receipt::default()
            })
            .await;
        self.world.work().await;
    }

    /// Every message: entity, channel, state, reason, what it stands in for.
    async fn messages(&self) -> Vec<String> {
        let sql = "select concat_ws(' ', m.entity_key, m.channel, m.state, m.reason, 'for ' || (m.fallback_of - first.id + 1))
                     from rowbell.message m, (select min(message_id) as id from rowbell.message) first order by message_id";
        self.world.db.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn who_is_not_on_whatsapp_gets_a_text_instead_and_it_says_the_same() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.faults(Some(Fault::Code { code: UNDELIVERABLE }));
    testbed.moves(1, "2 New Street").await;
    assert_eq!(testbed.messages().await, ["1 main failed undeliverable", "1 sms sent for 1"]);
    let texts = testbed.texts();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("Address: 1 Main Street → 2 New Street."), "{texts:?}");

    // What the text told is told: the next change is compared with it, and goes to WhatsApp first.
    testbed.faults(None);
    testbed.moves(1, "3 Newer Street").await;
    let read = testbed.world.read(MARIA);
    assert!(read[0].contains("2 New Street → 3 Newer Street"), "{read:?}");
    assert_eq!(testbed.texts().len(), 1);
}

#[tokio::test]
async fn a_receipt_that_says_failed_leads_on_too() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    assert_eq!(testbed.messages().await, ["1 main sent"]);
    testbed.heard(ReceiptStatus::Failed, Some(UNDELIVERABLE)).await;
    assert_eq!(testbed.messages().await, ["1 main failed undeliverable", "1 sms sent for 1"]);
    assert!(testbed.texts()[0].contains("1 Main Street → 2 New Street."));
}

#[tokio::test]
async fn what_is_not_delivered_in_time_is_told_by_text_although_it_counts_as_sent() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR).await;
    assert_eq!(testbed.messages().await, ["1 main sent"]);
    testbed.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(testbed.messages().await, ["1 main sent", "1 sms sent for 1"]);
    let texts = testbed.texts();
    assert!(texts[0].contains("Address: 1 Main Street → 2 New Street."), "{texts:?}");

    // Delivered after all: both were told, and nothing else happens.
    testbed.heard(ReceiptStatus::Delivered, None).await;
    testbed.later(HOUR * 50).await;
    assert_eq!(testbed.messages().await, ["1 main delivered", "1 sms sent for 1"]);
    assert_eq!(testbed.world.value("select count(*) from rowbell.fallback").await, "0");
}

#[tokio::test]
async fn what_is_delivered_in_time_costs_no_text() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Delivered, None).await;
    testbed.later(HOUR * 3).await;
    assert_eq!(testbed.messages().await, ["1 main delivered"]);
    assert_eq!(testbed.world.value("select count(*) from rowbell.fallback").await, "0");
}

/// A webhook that is down must not send every message a second time, for money.
#[tokio::test]
async fn where_nothing_is_heard_of_the_channel_at_all_the_receipts_are_missing_and_not_the_phones()
{
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.moves(2, "Otra calle").await;
    testbed.later(HOUR * 3).await;
    assert_eq!(testbed.messages().await, ["1 main sent", "2 main sent"]);
    let why = "select string_agg(distinct waits_for::text, '; ') from rowbell.fallback";
    assert_eq!(testbed.world.value(why).await, "receipts");
    let status =
        status_report::status(&testbed.world.db, &testbed.world.config, testbed.world.now())
            .await
            .unwrap();
    let shown = status::as_text(&status);
    assert!(shown.contains("2 messages of channel main did not reach their recipients"), "{shown}");
    let why = "nothing at all was heard of its channel since: the receipts are missing";
    assert!(shown.contains(why), "{shown}");
    // A word about Juan's says that the channel is heard: Maria's phone is off.
    testbed.heard(ReceiptStatus::Delivered, None).await;
    testbed.later(Duration::from_secs(120)).await;
    assert_eq!(testbed.messages().await, ["1 main sent", "2 main delivered", "1 sms sent for 1"]);
}

#[tokio::test]
async fn what_arrives_late_withdraws_the_text_that_has_not_left() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.gateway.say(std::iter::repeat_n(Say::Answer(503, ""), 100));
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR * 2 + Duration::from_secs(60)).await;
    assert_eq!(testbed.messages().await, ["1 main sent", "1 sms scheduled for 1"]);
    let tried = testbed.texts().len();
    testbed.heard(ReceiptStatus::Delivered, None).await;
    assert_eq!(testbed.messages().await, ["1 main delivered", "1 sms skipped not_needed for 1"]);
    let why = "select reason_text from rowbell.message where reason = 'not_needed'";
    assert!(testbed.world.value(why).await.ends_with("arrived after all"));
    testbed.later(HOUR).await;
    assert_eq!(testbed.texts().len(), tried);
}

#[tokio::test]
async fn what_arrives_late_does_not_swallow_a_newer_change() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.gateway.say(std::iter::repeat_n(Say::Answer(503, ""), 100));
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR * 2 + Duration::from_secs(60)).await;
    testbed.gateway.say([]);
    testbed.world.sql("update delivery set address = '3 Newer Street' where id = 1").await;
    testbed.world.stages.claim.step().await.unwrap();
    testbed.heard(ReceiptStatus::Delivered, None).await;
    testbed.later(HOUR).await;
    assert_eq!(testbed.messages().await, ["1 main delivered", "1 sms sent for 1"]);
    let last = testbed.texts().pop().unwrap();
    assert!(last.contains("Address: 2 New Street → 3 Newer Street."), "{last}");
}

#[tokio::test]
async fn a_newer_message_of_the_row_takes_the_place_of_a_fallback() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR).await;
    testbed.moves(1, "3 Newer Street").await;
    testbed.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(
        testbed.messages().await,
        ["1 main sent", "1 main sent"],
        "the second has an hour left"
    );
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR).await;
    // It tells everything that nobody knows to have arrived.
    assert_eq!(testbed.messages().await, ["1 main sent", "1 main sent", "1 sms sent for 2"]);
    assert!(testbed.texts()[0].contains("1 Main Street → 3 Newer Street."));
}

#[tokio::test]
async fn who_does_not_want_whatsapp_gets_nothing_unless_the_watch_says_so() {
    for (fallback, texts) in
        [(SMS_AFTER_2H, 0), (r#"fallback = [{ channel = "sms", on_opt_out = true }]"#, 1)]
    {
        let mut testbed = testbed(fallback).await;
        testbed.world.sql("update customer set whatsapp_opt_in = false where id = 1").await;
        testbed.moves(1, "2 New Street").await;
        assert_eq!(testbed.texts().len(), texts, "{fallback}");
        assert!(testbed.messages().await[0].starts_with("1 main skipped opted_out"));
        // The same for a phone that stands in the list.
        testbed.world.sql("update customer set whatsapp_opt_in = true").await;
        testbed
            .world
            .sql("insert into rowbell.opt_out (phone, source) values ('34612345678', 'operator')")
            .await;
        testbed.moves(2, "Otra calle").await;
        assert_eq!(testbed.texts().len(), texts * 2, "{fallback}");
    }
}

/// WhatsApp calls it undeliverable; it is the will of the recipient.
#[tokio::test]
async fn who_stopped_the_business_at_whatsapp_gets_no_text_unless_the_watch_says_so() {
    for (fallback, texts) in
        [(SMS_AFTER_2H, 0), (r#"fallback = [{ channel = "sms", on_opt_out = true }]"#, 2)]
    {
        let mut testbed = testbed(fallback).await;
        testbed.faults(Some(Fault::Code { code: 131_050 }));
        testbed.moves(1, "2 New Street").await;
        testbed.faults(None);
        testbed.moves(2, "Otra calle").await;
        testbed.heard(ReceiptStatus::Failed, Some(131_050)).await;
        assert_eq!(testbed.texts().len(), texts, "{fallback}");
        assert!(testbed.messages().await[0].starts_with("1 main failed undeliverable"));
    }
}

/// The provider posts again what the daemon was not there to hear.
#[tokio::test]
async fn after_a_start_receipts_of_the_time_before_are_waited_for() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.world.pass(HOUR * 5);
    testbed.world.restart().await;
    testbed.world.work().await;
    assert_eq!(testbed.messages().await, ["1 main sent"]);
    testbed.later(Duration::from_secs(300)).await;
    testbed.heard(ReceiptStatus::Delivered, None).await;
    testbed.later(HOUR).await;
    assert_eq!(testbed.messages().await, ["1 main delivered"]);
}

#[tokio::test]
async fn who_opted_out_in_the_meantime_gets_no_text_for_another_reason_either() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed
        .world
        .sql("insert into rowbell.opt_out (phone, source) values ('12122000001', 'inbound')")
        .await;
    testbed.later(HOUR * 3).await;
    assert_eq!(testbed.messages().await, ["1 main sent", "1 sms skipped opted_out for 1"]);
}

#[tokio::test]
async fn a_chain_goes_down_the_list_and_ends() {
    let mut testbed =
        testbed(r#"fallback = [{ channel = "sms", after = "2h" }, { channel = "mail" }]"#).await;
    testbed.faults(Some(Fault::Code { code: UNDELIVERABLE }));
    testbed.gateway.say([Say::Answer(400, r#"{"code": 21614, "message": "no mobile number"}"#)]);
    testbed.moves(1, "2 New Street").await;
    assert_eq!(
        testbed.messages().await,
        ["1 main failed undeliverable", "1 sms failed undeliverable for 1", "1 mail sent for 1"]
    );
    assert_eq!(testbed.workload.letters().len(), 1);

    testbed.gateway.say([Say::Answer(400, r#"{"code": 21614, "message": "no mobile number"}"#)]);
    testbed.workload.on("RCPT", [Do::Say("550 5.1.1 no such user")]);
    testbed.moves(2, "Otra calle").await;
    testbed.later(HOUR * 5).await;
    assert_eq!(
        testbed.messages().await[3..],
        [
            "2 main failed undeliverable",
            "2 sms failed undeliverable for 4",
            "2 mail failed undeliverable for 4"
        ]
    );
    assert_eq!(testbed.world.value("select count(*) from rowbell.fallback").await, "0");
}

/// Another number first, then a text: each step has its own time.
#[tokio::test]
async fn each_step_of_a_chain_has_its_own_time() {
    let mut testbed = testbed(
        r#"fallback = [{ channel = "second", after = "1h" }, { channel = "sms", after = "3h" }]"#,
    )
    .await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(testbed.messages().await, ["1 main sent", "1 second sent for 1"]);
    assert_eq!(testbed.world.read(MARIA).len(), 2);
    testbed.heard(ReceiptStatus::Sent, None).await;
    testbed.later(HOUR * 2).await;
    assert_eq!(testbed.texts().len(), 0);
    testbed.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(
        testbed.messages().await,
        ["1 main sent", "1 second sent for 1", "1 sms sent for 1"]
    );
    assert!(testbed.texts()[0].contains("1 Main Street → 2 New Street."), "{:?}", testbed.texts());
}

#[tokio::test]
async fn who_has_no_phone_gets_mail() {
    let mut testbed = testbed(r#"fallback = [{ channel = "mail" }]"#).await;
    testbed.world.sql("update customer set phone = null where id = 1").await;
    testbed.moves(1, "2 New Street").await;
    assert_eq!(testbed.messages().await, ["1 main skipped bad_phone", "1 mail sent for 1"]);
    assert!(testbed.workload.letters()[0].body().contains("2 New Street"));
}

/// WhatsApp holds a message back for a day: two hours are enough to wait for it.
#[tokio::test]
async fn what_whatsapp_holds_back_for_a_day_goes_on_after_its_time() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    testbed.heard(ReceiptStatus::Failed, Some(131_049)).await;
    assert_eq!(testbed.messages().await, ["1 main scheduled"]);
    testbed.later(HOUR * 2 + Duration::from_secs(60)).await;
    assert_eq!(testbed.messages().await, ["1 main failed undeliverable", "1 sms sent for 1"]);
    testbed.later(HOUR * 48).await;
    assert_eq!(testbed.world.read(MARIA).len(), 1, "no second try on WhatsApp");
}

/// Glific #2822: a fault of ours must not become a thousand messages that cost money.
#[tokio::test]
async fn refusals_of_content_template_and_channel_cost_no_text() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    for code in [100, 132_001, 132_015, 190, 131_042] {
        testbed.faults(Some(Fault::Code { code }));
        testbed.moves(1, &format!("{code}")).await;
        testbed.later(HOUR * 5).await;
        assert_eq!(testbed.texts().len(), 0, "{code}");
        let clean =
            "delete from rowbell.circuit; delete from rowbell.queue; delete from rowbell.message";
        testbed.world.sql(clean).await;
    }
}

#[tokio::test]
async fn a_burst_of_failures_that_stops_the_channel_stops_its_fallbacks_too() {
    let mut testbed = testbed(r#"fallback = [{ channel = "sms" }]"#).await;
    testbed.world
        .sql("insert into delivery select i, 1, 'x' from generate_series(101, 133) i; delete from rowbell.change")
        .await;
    testbed.faults(Some(Fault::Code { code: UNDELIVERABLE }));
    testbed.world.sql("update delivery set address = 'y' where id > 100").await;
    testbed.world.work().await;
    let count = async |testbed: &Testbed, what: &str| {
        testbed.world.value(&format!("select count(*) from {what}")).await.parse::<usize>().unwrap()
    };
    assert_eq!(count(&testbed, "rowbell.circuit where state <> 'closed'").await, 1);
    // The burst is taken back, and those that were under way when it stopped the others.
    assert_eq!(count(&testbed, "rowbell.message where state = 'failed'").await, 0);
    assert_eq!(testbed.texts().len(), 0, "whether they are not on WhatsApp is not believed yet");
    // The channel works again: the others are sent, and no text was paid for them.
    testbed.faults(None);
    for _ in 0..10 {
        testbed.later(Duration::from_secs(60)).await;
    }
    let sent = count(&testbed, "rowbell.message where channel = 'main' and state = 'sent'").await;
    assert_eq!((sent, testbed.texts().len()), (33, 0));
}

#[tokio::test]
async fn what_failed_at_its_last_attempt_goes_on() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.faults(Some(Fault::Refused { status: 500 }));
    testbed.moves(1, "2 New Street").await;
    for _ in 0..25 {
        assert_eq!(testbed.texts().len(), 0);
        testbed.later(Duration::from_secs(660)).await;
        if !testbed.texts().is_empty() {
            break;
        }
    }
    assert_eq!(testbed.messages().await, ["1 main failed exhausted", "1 sms sent for 1"]);
}

#[tokio::test]
async fn explain_tells_how_a_message_went_on() {
    let mut testbed = testbed(SMS_AFTER_2H).await;
    testbed.moves(1, "2 New Street").await;
    let told = async |testbed: &Testbed| {
        let now = testbed.world.now();
        let told =
            explain::tell(&testbed.world.db, &testbed.world.config, "home_delivery", "1", 10)
                .await
                .unwrap();
        explain::as_text(&told, &testbed.world.config, now)
    };
    let text = told(&testbed).await;
    assert!(text.contains("goes on to the next channel unless it arrives by"), "{text}");
    testbed.heard(ReceiptStatus::Failed, Some(UNDELIVERABLE)).await;
    let text = told(&testbed).await;
    let first = testbed.world.value("select min(message_id) from rowbell.message").await;
    assert!(
        text.contains(&format!("fallback on channel sms: stands in for message {first}")),
        "{text}"
    );
    assert!(text.contains("attempt 1 on channel sms begun"), "{text}");
}
