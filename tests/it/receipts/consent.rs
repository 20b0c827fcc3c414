//! Who must not be written to is not written to, whoever says so and however the phone is written.

use std::path::Path;

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::SandboxOptions;

use crate::harness::{MARIA, World};

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
    let listed = say(&["list", "--phones", "--json"]);
    told += listed.split("\"since\":").next().unwrap();
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_phone_that_opted_out_in_another_form_is_not_written_to() {
    let mut world = World::new().await;
    world.sql("update customer set phone = '+52 55 1234 5678' where id = 1").await;
    world
        .sql("insert into rowbell.opt_out (phone, source) values ('5215512345678', 'inbound')")
        .await;
    world.sql(MOVE).await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 skipped opted_out 1 change(s) 0 attempt(s)"]);
    world.sql("delete from rowbell.opt_out").await;
    world.sql("update delivery set address = 'moved again' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read("525512345678").len(), 1);
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
