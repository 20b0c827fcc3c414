//! Who must not be written to is not written to, whoever says so and however the phone is written.

use std::path::Path;

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::SandboxOptions;

use crate::harness::{CONFIG, MARIA, SHOP, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";

async fn testbed() -> Testbed {
    let cluster = ClusterOptions {
        cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
        ..ClusterOptions::default()
    };
    let options = TestbedOptions { cluster, ..TestbedOptions::default() };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_person_keeps_the_list_of_those_who_opted_out() {
    let testbed = testbed().await;
    let say = |arguments: &[&str]| {
        let command = [&["opt-out"], arguments].concat();
        match testbed.command(&command) {
            Ok(said) => format!("$ {}\n{said}", arguments.join(" ")),
            Err(error) => format!("$ {}\n{error}\n", arguments.join(" ")),
        }
    };
    let folder = Scratch::new("test").unwrap();
    let file = folder.path().join("phones");
    let path = file.to_str().unwrap();
    let mut told = say(&["list"]);
    told += &say(&["add", "(212) 200-0001", "--reason", "said so on the phone"]);
    told += &say(&["add", "+1 212 200 0001"]);
    std::fs::write(path, "+34 612 345 678\n+34 6\n").unwrap();
    told += &say(&["import", path]).replace(path, "FILE");
    std::fs::write(path, "phone,why\n+34 612 345 678,letter\n212-200-0001\n212-200-0001\n")
        .unwrap();
    told += &say(&["import", path, "--reason", "old system"]).replace(path, "FILE");
    told += &say(&["remove", "+1 212 200 0001"]);
    told += &say(&["remove", "+1 212 200 0001"]);
    told += &say(&["add", "+52 1 55 1234 5678"]);
    told += &say(&["remove", "+52 55 1234 5678"]);
    told += &say(&["add", "+1 212 200 0001", "--watch", "clinic"]);
    told += &say(&["add", "+1 212 200 0001", "--watch", "clinc"]);
    told += &say(&["remove", "+1 212 200 0001"]);
    told += &say(&["remove", "+1 212 200 0001", "--watch", "clinic"]);
    let listed = say(&["list", "--phones", "--json"]);
    let json = listed.split_once('\n').unwrap().1;
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    told += &format!("{}\n", json[0]["origin"]);
    insta::assert_snapshot!(told);
}

/// Who wants no news of deliveries may want those of the clinic.
#[tokio::test]
async fn an_opt_out_may_be_of_one_watch() {
    let mut world = World::new().await;
    let opts_out = |of: &str| {
        format!(
            "insert into rowbell.opt_out (phone, scope, source) values ('{MARIA}', '{of}', 'operator')"
        )
    };
    world.sql(&opts_out("clinic")).await;
    world.sql(MOVE).await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1, "she is told of deliveries");
    world.sql(&opts_out("home_delivery")).await;
    assert!(world.previewed().await.contains("opted_out"), "{}", world.previewed().await);
    world.sql("update delivery set address = 'moved again' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await[1], "1 skipped opted_out 1 change(s) 0 attempt(s)");
}

/// What WhatsApp drops or adds, and what countries have put in front of their numbers since (laravel-phone #261).
#[tokio::test]
async fn a_phone_that_opted_out_in_another_form_is_not_written_to() {
    let mut world = World::new().await;
    for (written, opted_out, sent) in [
        ("+52 55 1234 5678", "5215512345678", "525512345678"),
        ("+229 01 97 12 34 56", "22997123456", "2290197123456"),
        ("+229 97 12 34 56", "2290197123456", "2290197123456"),
        ("+225 07 07 12 34 56", "22507123456", "2250707123456"),
    ] {
        world.sql("delete from rowbell.opt_out; delete from rowbell.message").await;
        let source = format!(
            "insert into rowbell.opt_out (phone, source) values ('{opted_out}', 'inbound')"
        );
        world.sql(&source).await;
        world.sql(&format!("update customer set phone = '{written}' where id = 1")).await;
        world.sql(&format!("update delivery set address = '{written}' where id = 1")).await;
        world.settle().await;
        assert_eq!(world.messages().await, ["1 skipped opted_out 1 change(s) 0 attempt(s)"]);
        let before = world.read(sent).len();
        world.sql("delete from rowbell.opt_out").await;
        world.sql(&format!("update delivery set address = 'at {written}' where id = 1")).await;
        world.settle().await;
        assert_eq!(world.read(sent).len(), before + 1, "{written}");
    }
}

/// Phones as contact cards, exports and people write them, in a shop of a region (rust-phonenumber #68, glific #4973,
/// Signal-Android #11630, libphonenumber-for-php #739).
#[tokio::test]
async fn a_phone_is_read_as_it_is_meant_or_refused() {
    let region = CONFIG
        .replace("{settings}", "")
        .replace("[channel.main]", "[recipient]\nregion = \"IN\"\n[channel.main]");
    let mut world = World::over(SHOP, &region, "").await;
    for (written, sent) in [
        ("9123456789", "919123456789"),
        ("+91 91234 56780", "919123456780"),
        ("919876543210", "919876543210"),
        ("\u{202a}+1 202-555-0143\u{202c}", "12025550143"),
        ("tel:+1-202-555-0144", "12025550144"),
        ("(+1) 202-555-0145", "12025550145"),
        ("+١٢٠٢٥٥٥٠١٤٦", "12025550146"),
    ] {
        world.sql(&format!("update customer set phone = '{written}' where id = 1; update delivery set note = '', address = 'for {sent}' where id = 1")).await;
        world.settle().await;
        assert_eq!(world.read(sent).len(), 1, "{written}");
    }
    let (count, sent) = (
        world.sandbox.count(),
        "select reason_text from rowbell.message order by message_id desc limit 1",
    );
    for (written, why) in [
        (
            "+43 664 1234567 Jo",
            "the phone is not one number: it has letters, a second number, or other marks in it",
        ),
        (
            "+49 30 901820/21",
            "the phone is not one number: it has letters, a second number, or other marks in it",
        ),
        ("79161234567", "the phone has a country code, but no + in front of it"),
    ] {
        world.sql(&format!("update customer set phone = '{written}' where id = 1; update delivery set address = 'for {written}' where id = 1")).await;
        world.settle().await;
        assert_eq!(world.value(sent).await, why, "{written}");
    }
    assert_eq!(world.sandbox.count(), count, "nobody else was written to");
}

/// Consent may be a query of its own: what it does not find is a no.
#[tokio::test]
async fn a_consent_query_that_finds_nothing_means_no() {
    let mut world = World::new().await;
    world.sql("create table consent (customer_id bigint, channel text, granted boolean)").await;
    let mut config = (*world.config).clone();
    config.watch.get_mut("home_delivery").unwrap().recipient =
        "select c.full_name as name, c.phone, c.locale, c.time_zone,
                (select bool_and(k.granted) from consent k
                  where k.customer_id = c.id and k.channel = 'whatsapp') as opted_in
           from customer c where c.id = changed.customer_id"
            .to_owned();
    world.config = std::sync::Arc::new(config);
    world.restart().await;
    world.sql(MOVE).await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 skipped opted_out 1 change(s) 0 attempt(s)"]);
    world.sql("insert into consent values (1, 'whatsapp', true)").await;
    world.sql("update delivery set address = 'moved again' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn forgetting_is_shown_before_it_is_done() {
    let testbed = testbed().await;
    let say = |arguments: &[&str]| {
        format!("$ rowbell {}\n{}", arguments.join(" "), testbed.command(arguments).unwrap())
    };
    let db = testbed.connect().await.unwrap();
    let told = "insert into rowbell.message (watch, entity_key, state, reason, operation, first_changed_at,
                    last_changed_at, recipient_phone, channel, finished_at, updated_by)
                values ('clinic', '1', 'failed', 'rejected', 'update', now(), now(), '12122000001', 'main', now(), 'test')";
    db.batch_execute(told).await.unwrap();
    db.batch_execute("update appointment set room = 'R' where id = 1").await.unwrap();
    let mut said = say(&["forget", "212 200 0001"]);
    said += &say(&["forget", "212 200 0001", "--yes"]);
    said += &say(&["opt-out", "add", "212 200 0001"]);
    said += &say(&["forget", "212 200 0001", "--json"]);
    insta::assert_snapshot!(said);
}
