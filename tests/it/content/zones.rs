//! By whose clock a recipient reads times.

use crate::delivery::channels;
use crate::delivery::http_gateway::Gateway;
use crate::delivery::mail_server::MailServer;
use crate::harness::{CONFIG, MARIA, World};

/// The shop with a zone of its own for each delivery.
pub const SCHEMA: &str = "
    create table customer (
        id bigint primary key, full_name text, phone text, locale text, time_zone text,
        whatsapp_opt_in boolean default true
    );
    create table delivery (
        id bigint primary key, customer_id bigint, status text, window_start timestamptz,
        window_end timestamptz, address text, depot jsonb, planned_on date, hours text
    );
    insert into customer values (1, 'Maria', '+1 212 200 0001', 'en-US', null);
    insert into delivery values
        (1, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', '1 Main Street', '{}', null, '2');";

const MOVE: &str =
    "update delivery set window_start = 'YEAR-06-25 10:00Z', window_end = 'YEAR-06-25 12:00Z'";

/// What Maria reads, and what `explain` says of her clock, when these say which one it is.
async fn told(row: &str, recipient: &str, watch: &str, configuration: &str) -> (String, String) {
    let settings = match configuration {
        "" => String::new(),
        zone => format!("[recipient]\nregion = \"\"\nlocale = \"en\"\ntime_zone = \"{zone}\""),
    };
    let watch = match watch {
        "" => String::new(),
        zone => format!("time_zone = \"{zone}\""),
    };
    let watch = watch + "\nrow_time_zone = \"depot ->> 'zone'\"";
    let mut world = World::over(SCHEMA, &CONFIG.replace("{settings}", &settings), &watch).await;
    world.sql(&format!("update delivery set depot = jsonb_build_object('zone', {row})")).await;
    world.sql(&format!("update customer set time_zone = {recipient}")).await;
    world.sql(MOVE).await;
    world.settle().await;
    let explained =
        rowbell::cli::inspect::explain::tell(&world.db, &world.config, "home_delivery", "1", 10)
            .await;
    let story =
        rowbell::cli::inspect::explain::as_text(&explained.unwrap(), &world.config, world.now());
    let clock = story.lines().find(|line| line.contains("put into words")).unwrap().to_owned();
    let view = "select time_zone_source from rowbell_report.message_status";
    assert!(clock.contains(&world.value(view).await), "{clock}");
    (world.read(MARIA).remove(0), clock)
}

/// Easy!Appointments #985, cal #9024: the customer read the clock of somebody else.
#[tokio::test]
async fn the_row_the_recipient_the_watch_and_the_configuration_are_asked_in_this_order() {
    let (tokyo, lima, cairo, paris) =
        ("'Asia/Tokyo'", "'America/Lima'", "Africa/Cairo", "Europe/Paris");
    for (row, recipient, watch, configuration, from, by) in [
        (tokyo, lima, cairo, paris, "from 7:00 PM to 9:00 PM", "Asia/Tokyo by row"),
        ("null", lima, cairo, paris, "from 5:00 AM to 7:00 AM", "America/Lima by recipient"),
        ("null", "''", cairo, paris, "from 1:00 PM to 3:00 PM", "Africa/Cairo by watch"),
        ("null", "null", "", paris, "from 12:00 PM to 2:00 PM", "Europe/Paris by configuration"),
        ("null", "null", "", "", "from 10:00 AM to 12:00 PM (UTC)", "UTC by nobody"),
    ] {
        let (text, clock) = told(row, recipient, watch, configuration).await;
        assert!(text.contains(&format!("June 25 {from}")), "{by}: {text}");
        assert!(clock.contains(&format!("(en-US, {by})")), "{by}: {clock}");
    }
}

#[tokio::test]
async fn a_name_that_is_no_zone_is_passed_over_and_named() {
    let (text, clock) = told("'Tokyo, Japan'", "'America/Lima'", "", "").await;
    assert!(text.contains("June 25 from 5:00 AM to 7:00 AM"), "{text}");
    let said = "America/Lima by recipient; \"Tokyo, Japan\" of the row is no time zone)";
    assert!(clock.contains(said), "{clock}");
    let (text, clock) = told("'GMT+25'", "'EST5EDT or so'", "Africa/Cairo", "").await;
    assert!(text.contains("from 1:00 PM to 3:00 PM"), "{text}");
    let said = "Africa/Cairo by watch; \"GMT+25\" of the row is no time zone; \
                \"EST5EDT or so\" of the recipient is no time zone)";
    assert!(clock.contains(said), "{clock}");
}

#[tokio::test]
async fn a_preview_says_whose_clock_it_is() {
    let world = World::over(SCHEMA, CONFIG, "row_time_zone = \"depot ->> 'zone'\"").await;
    world.sql("update delivery set depot = '{\"zone\": \"Asia/Tokyo\"}'").await;
    let text = world.previewed().await;
    assert!(text.contains("to Maria (en-US, Asia/Tokyo by row)"), "{text}");
}

/// Cal-ID #421: mail knew the zone of its reader, the variables of the WhatsApp message did not.
#[tokio::test]
async fn whatsapp_text_and_mail_tell_the_same_moment_by_the_same_clock() {
    let (gateway, workload) = (Gateway::start().await, MailServer::start(None).await);
    let channels = channels::sms(&gateway) + &channels::mail(&workload, "tls = \"none\"");
    let schema = format!("{} alter table delivery add column at timestamptz;", channels::SHOP);
    for channel in ["main", "sms", "mail"] {
        let config = channels::CONFIG
            .replace("{channel}", channel)
            .replace("{channels}", &channels)
            .replace("[\"address\"]", "[\"at\"]")
            .replace("c.locale,", "c.locale, 'America/Lima' as time_zone,");
        let mut world = World::over(&schema, &config, "").await;
        world.sql("update delivery set at = 'YEAR-06-25 10:00Z' where id = 1").await;
        world.work().await;
        let read = match channel {
            "main" => world.read(MARIA).remove(0),
            "sms" => gateway.asked()[0].json()["text"].as_str().unwrap().to_owned(),
            _ => workload.letters()[0].body().replace("=\r\n", ""),
        };
        assert!(read.contains("at: June 25 at 5:00"), "{channel}: {read}");
    }
}
