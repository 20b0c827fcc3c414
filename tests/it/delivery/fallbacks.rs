//! A message that did not reach its recipient goes on to the next channel, once, and only for a reason.

use std::time::Duration;

use rowbell::cli::inspect::{explain, status};
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::postgres::operations::status_report;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::delivery::channels::{CONFIG, SHOP, mail, sms};
use crate::delivery::http_gateway::{Gateway, Say};
use crate::delivery::mail_server::{Do, PostOffice};
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

struct Town {
    world: World,
    gateway: Gateway,
    office: PostOffice,
}

/// WhatsApp, SMS and mail, and the fallbacks of the watch.
async fn town(fallback: &str) -> Town {
    let gateway = Gateway::start().await;
    let office = PostOffice::start(None).await;
    let channels = mail(&office, "tls = \"none\"")
        + &sms(&gateway)
        + SECOND
        + "[circuit]\nminimum = 5\nfirst_pause = \"1m\"\n";
    let config = CONFIG.replace("{channel}", "main").replace("{channels}", &channels);
    Town { world: World::over(SHOP, &config, fallback).await, gateway, office }
}

impl Town {
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
    let mut town = town(SMS_AFTER_2H).await;
    town.faults(Some(Fault::Code { code: UNDELIVERABLE }));
    town.moves(1, "2 New Street").await;
    assert_eq!(town.messages().await, ["1 main failed undeliverable", "1 sms sent for 1"]);
    let texts = town.texts();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("Address: 1 Main Street → 2 New Street."), "{texts:?}");

    // What the text told is told: the next change is compared with it, and goes to WhatsApp first.
    town.faults(None);
    town.moves(1, "3 Newer Street").await;
    let read = town.world.read(MARIA);
    assert!(read[0].contains("2 New Street → 3 Newer Street"), "{read:?}");
    assert_eq!(town.texts().len(), 1);
}

#[tokio::test]
async fn a_receipt_that_says_failed_leads_on_too() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    assert_eq!(town.messages().await, ["1 main sent"]);
    town.heard(ReceiptStatus::Failed, Some(UNDELIVERABLE)).await;
    assert_eq!(town.messages().await, ["1 main failed undeliverable", "1 sms sent for 1"]);
    assert!(town.texts()[0].contains("1 Main Street → 2 New Street."));
}

#[tokio::test]
async fn what_is_not_delivered_in_time_is_told_by_text_although_it_counts_as_sent() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR).await;
    assert_eq!(town.messages().await, ["1 main sent"]);
    town.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(town.messages().await, ["1 main sent", "1 sms sent for 1"]);
    let texts = town.texts();
    assert!(texts[0].contains("Address: 1 Main Street → 2 New Street."), "{texts:?}");

    // Delivered after all: both were told, and nothing else happens.
    town.heard(ReceiptStatus::Delivered, None).await;
    town.later(HOUR * 50).await;
    assert_eq!(town.messages().await, ["1 main delivered", "1 sms sent for 1"]);
    assert_eq!(town.world.value("select count(*) from rowbell.fallback").await, "0");
}

#[tokio::test]
async fn what_is_delivered_in_time_costs_no_text() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Delivered, None).await;
    town.later(HOUR * 3).await;
    assert_eq!(town.messages().await, ["1 main delivered"]);
    assert_eq!(town.world.value("select count(*) from rowbell.fallback").await, "0");
}

/// A webhook that is down must not send every message a second time, for money.
#[tokio::test]
async fn where_nothing_is_heard_of_the_channel_at_all_the_receipts_are_missing_and_not_the_phones()
{
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.moves(2, "Otra calle").await;
    town.later(HOUR * 3).await;
    assert_eq!(town.messages().await, ["1 main sent", "2 main sent"]);
    let why = "select string_agg(distinct waits_for::text, '; ') from rowbell.fallback";
    assert_eq!(town.world.value(why).await, "receipts");
    let status =
        status_report::status(&town.world.db, &town.world.config, town.world.now()).await.unwrap();
    let shown = status::as_text(&status);
    assert!(shown.contains("2 messages of channel main did not reach their recipients"), "{shown}");
    let why = "nothing at all was heard of its channel since: the receipts are missing";
    assert!(shown.contains(why), "{shown}");
    // A word about Juan's says that the channel is heard: Maria's phone is off.
    town.heard(ReceiptStatus::Delivered, None).await;
    town.later(Duration::from_secs(120)).await;
    assert_eq!(town.messages().await, ["1 main sent", "2 main delivered", "1 sms sent for 1"]);
}

#[tokio::test]
async fn what_arrives_late_withdraws_the_text_that_has_not_left() {
    let mut town = town(SMS_AFTER_2H).await;
    town.gateway.say(std::iter::repeat_n(Say::Answer(503, ""), 100));
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR * 2 + Duration::from_secs(60)).await;
    assert_eq!(town.messages().await, ["1 main sent", "1 sms scheduled for 1"]);
    let tried = town.texts().len();
    town.heard(ReceiptStatus::Delivered, None).await;
    assert_eq!(town.messages().await, ["1 main delivered", "1 sms skipped not_needed for 1"]);
    let why = "select reason_text from rowbell.message where reason = 'not_needed'";
    assert!(town.world.value(why).await.ends_with("arrived after all"));
    town.later(HOUR).await;
    assert_eq!(town.texts().len(), tried);
}

#[tokio::test]
async fn what_arrives_late_does_not_swallow_a_newer_change() {
    let mut town = town(SMS_AFTER_2H).await;
    town.gateway.say(std::iter::repeat_n(Say::Answer(503, ""), 100));
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR * 2 + Duration::from_secs(60)).await;
    town.gateway.say([]);
    town.world.sql("update delivery set address = '3 Newer Street' where id = 1").await;
    town.world.stages.claim.step().await.unwrap();
    town.heard(ReceiptStatus::Delivered, None).await;
    town.later(HOUR).await;
    assert_eq!(town.messages().await, ["1 main delivered", "1 sms sent for 1"]);
    let last = town.texts().pop().unwrap();
    assert!(last.contains("Address: 2 New Street → 3 Newer Street."), "{last}");
}

#[tokio::test]
async fn a_newer_message_of_the_row_takes_the_place_of_a_fallback() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR).await;
    town.moves(1, "3 Newer Street").await;
    town.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(
        town.messages().await,
        ["1 main sent", "1 main sent"],
        "the second has an hour left"
    );
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR).await;
    // It tells everything that nobody knows to have arrived.
    assert_eq!(town.messages().await, ["1 main sent", "1 main sent", "1 sms sent for 2"]);
    assert!(town.texts()[0].contains("1 Main Street → 3 Newer Street."));
}

#[tokio::test]
async fn who_does_not_want_whatsapp_gets_nothing_unless_the_watch_says_so() {
    for (fallback, texts) in
        [(SMS_AFTER_2H, 0), (r#"fallback = [{ channel = "sms", on_opt_out = true }]"#, 1)]
    {
        let mut town = town(fallback).await;
        town.world.sql("update customer set whatsapp_opt_in = false where id = 1").await;
        town.moves(1, "2 New Street").await;
        assert_eq!(town.texts().len(), texts, "{fallback}");
        assert!(town.messages().await[0].starts_with("1 main skipped opted_out"));
        // The same for a phone that stands in the list.
        town.world.sql("update customer set whatsapp_opt_in = true").await;
        town.world
            .sql("insert into rowbell.opt_out (phone, source) values ('34612345678', 'operator')")
            .await;
        town.moves(2, "Otra calle").await;
        assert_eq!(town.texts().len(), texts * 2, "{fallback}");
    }
}

/// WhatsApp calls it undeliverable; it is the will of the recipient.
#[tokio::test]
async fn who_stopped_the_business_at_whatsapp_gets_no_text_unless_the_watch_says_so() {
    for (fallback, texts) in
        [(SMS_AFTER_2H, 0), (r#"fallback = [{ channel = "sms", on_opt_out = true }]"#, 2)]
    {
        let mut town = town(fallback).await;
        town.faults(Some(Fault::Code { code: 131_050 }));
        town.moves(1, "2 New Street").await;
        town.faults(None);
        town.moves(2, "Otra calle").await;
        town.heard(ReceiptStatus::Failed, Some(131_050)).await;
        assert_eq!(town.texts().len(), texts, "{fallback}");
        assert!(town.messages().await[0].starts_with("1 main failed undeliverable"));
    }
}

/// The provider posts again what the daemon was not there to hear.
#[tokio::test]
async fn after_a_start_receipts_of_the_time_before_are_waited_for() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.world.pass(HOUR * 5);
    town.world.restart().await;
    town.world.work().await;
    assert_eq!(town.messages().await, ["1 main sent"]);
    town.later(Duration::from_secs(300)).await;
    town.heard(ReceiptStatus::Delivered, None).await;
    town.later(HOUR).await;
    assert_eq!(town.messages().await, ["1 main delivered"]);
}

#[tokio::test]
async fn who_opted_out_in_the_meantime_gets_no_text_for_another_reason_either() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.world
        .sql("insert into rowbell.opt_out (phone, source) values ('12122000001', 'inbound')")
        .await;
    town.later(HOUR * 3).await;
    assert_eq!(town.messages().await, ["1 main sent", "1 sms skipped opted_out for 1"]);
}

#[tokio::test]
async fn a_chain_goes_down_the_list_and_ends() {
    let mut town =
        town(r#"fallback = [{ channel = "sms", after = "2h" }, { channel = "mail" }]"#).await;
    town.faults(Some(Fault::Code { code: UNDELIVERABLE }));
    town.gateway.say([Say::Answer(400, r#"{"code": 21614, "message": "no mobile number"}"#)]);
    town.moves(1, "2 New Street").await;
    assert_eq!(
        town.messages().await,
        ["1 main failed undeliverable", "1 sms failed undeliverable for 1", "1 mail sent for 1"]
    );
    assert_eq!(town.office.letters().len(), 1);

    town.gateway.say([Say::Answer(400, r#"{"code": 21614, "message": "no mobile number"}"#)]);
    town.office.on("RCPT", [Do::Say("550 5.1.1 no such user")]);
    town.moves(2, "Otra calle").await;
    town.later(HOUR * 5).await;
    assert_eq!(
        town.messages().await[3..],
        [
            "2 main failed undeliverable",
            "2 sms failed undeliverable for 4",
            "2 mail failed undeliverable for 4"
        ]
    );
    assert_eq!(town.world.value("select count(*) from rowbell.fallback").await, "0");
}

/// Another number first, then a text: each step has its own time.
#[tokio::test]
async fn each_step_of_a_chain_has_its_own_time() {
    let mut town = town(
        r#"fallback = [{ channel = "second", after = "1h" }, { channel = "sms", after = "3h" }]"#,
    )
    .await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(town.messages().await, ["1 main sent", "1 second sent for 1"]);
    assert_eq!(town.world.read(MARIA).len(), 2);
    town.heard(ReceiptStatus::Sent, None).await;
    town.later(HOUR * 2).await;
    assert_eq!(town.texts().len(), 0);
    town.later(HOUR + Duration::from_secs(60)).await;
    assert_eq!(town.messages().await, ["1 main sent", "1 second sent for 1", "1 sms sent for 1"]);
    assert!(town.texts()[0].contains("1 Main Street → 2 New Street."), "{:?}", town.texts());
}

#[tokio::test]
async fn who_has_no_phone_gets_mail() {
    let mut town = town(r#"fallback = [{ channel = "mail" }]"#).await;
    town.world.sql("update customer set phone = null where id = 1").await;
    town.moves(1, "2 New Street").await;
    assert_eq!(town.messages().await, ["1 main skipped bad_phone", "1 mail sent for 1"]);
    assert!(town.office.letters()[0].body().contains("2 New Street"));
}

/// WhatsApp holds a message back for a day: two hours are enough to wait for it.
#[tokio::test]
async fn what_whatsapp_holds_back_for_a_day_goes_on_after_its_time() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    town.heard(ReceiptStatus::Failed, Some(131_049)).await;
    assert_eq!(town.messages().await, ["1 main scheduled"]);
    town.later(HOUR * 2 + Duration::from_secs(60)).await;
    assert_eq!(town.messages().await, ["1 main failed undeliverable", "1 sms sent for 1"]);
    town.later(HOUR * 48).await;
    assert_eq!(town.world.read(MARIA).len(), 1, "no second try on WhatsApp");
}

/// Glific #2822: a fault of ours must not become a thousand messages that cost money.
#[tokio::test]
async fn refusals_of_content_template_and_channel_cost_no_text() {
    let mut town = town(SMS_AFTER_2H).await;
    for code in [100, 132_001, 132_015, 190, 131_042] {
        town.faults(Some(Fault::Code { code }));
        town.moves(1, &format!("{code}")).await;
        town.later(HOUR * 5).await;
        assert_eq!(town.texts().len(), 0, "{code}");
        let clean =
            "delete from rowbell.circuit; delete from rowbell.queue; delete from rowbell.message";
        town.world.sql(clean).await;
    }
}

#[tokio::test]
async fn a_burst_of_failures_that_stops_the_channel_stops_its_fallbacks_too() {
    let mut town = town(r#"fallback = [{ channel = "sms" }]"#).await;
    town.world
        .sql("insert into delivery select i, 1, 'x' from generate_series(101, 133) i; delete from rowbell.change")
        .await;
    town.faults(Some(Fault::Code { code: UNDELIVERABLE }));
    town.world.sql("update delivery set address = 'y' where id > 100").await;
    town.world.work().await;
    let count = async |town: &Town, what: &str| {
        town.world.value(&format!("select count(*) from {what}")).await.parse::<usize>().unwrap()
    };
    assert_eq!(count(&town, "rowbell.circuit where state <> 'closed'").await, 1);
    // The bursts are taken back; a few that came after the last one count as failed.
    let failed = count(&town, "rowbell.message where state = 'failed'").await;
    assert!((1..5).contains(&failed), "{failed}");
    assert_eq!(town.texts().len(), 0, "whether they are not on WhatsApp is not believed yet");
    // The channel works again: the others are sent, and no text was paid for them.
    town.faults(None);
    for _ in 0..10 {
        town.later(Duration::from_secs(60)).await;
    }
    let sent = count(&town, "rowbell.message where channel = 'main' and state = 'sent'").await;
    assert_eq!((sent, town.texts().len()), (33 - failed, failed));
}

#[tokio::test]
async fn what_failed_at_its_last_attempt_goes_on() {
    let mut town = town(SMS_AFTER_2H).await;
    town.faults(Some(Fault::Refused { status: 500 }));
    town.moves(1, "2 New Street").await;
    for _ in 0..25 {
        assert_eq!(town.texts().len(), 0);
        town.later(Duration::from_secs(660)).await;
        if !town.texts().is_empty() {
            break;
        }
    }
    assert_eq!(town.messages().await, ["1 main failed exhausted", "1 sms sent for 1"]);
}

#[tokio::test]
async fn explain_tells_how_a_message_went_on() {
    let mut town = town(SMS_AFTER_2H).await;
    town.moves(1, "2 New Street").await;
    let told = async |town: &Town| {
        let now = town.world.now();
        let told = explain::tell(&town.world.db, &town.world.config, "home_delivery", "1", 10)
            .await
            .unwrap();
        explain::as_text(&told, &town.world.config, now)
    };
    let text = told(&town).await;
    assert!(text.contains("goes on to the next channel unless it arrives by"), "{text}");
    town.heard(ReceiptStatus::Failed, Some(UNDELIVERABLE)).await;
    let text = told(&town).await;
    let first = town.world.value("select min(message_id) from rowbell.message").await;
    assert!(
        text.contains(&format!("fallback on channel sms: stands in for message {first}")),
        "{text}"
    );
    assert!(text.contains("attempt 1 on channel sms begun"), "{text}");
}
