//! `rowbell retry`: what a person sends again really goes out, and what makes no sense is refused.

use std::time::Duration;

use rowbell::cli::control::retry::{WHY, cut, missing, preview, to_send};
use rowbell::cli::inspect::status;
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::postgres::operations::retry::{RetrySelection, count_all, look, put_back};
use rowbell::postgres::operations::status_report;
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{JUAN, MARIA, World};

fn faults(world: &World, fault: Option<Fault>) {
    world.sandbox.set_faults(fault.map(FaultRule::always).into_iter().collect());
}

/// Both deliveries move, and both messages meet this.
async fn moved(world: &mut World, fault: Option<Fault>) {
    faults(world, fault);
    world.sql("update delivery set address = 'moved ' || random()").await;
    world.settle().await;
    faults(world, None);
}

fn since(world: &World, reasons: &[&str]) -> RetrySelection {
    RetrySelection::Filter {
        watch: Some("home_delivery".to_owned()),
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        since: world.now() - Duration::from_secs(3_600),
        limit: 100,
    }
}

/// What the person is shown; then it is done.
async fn retry(world: &mut World, meant: &RetrySelection) -> String {
    let candidates = look(&world.db, &world.config, meant).await.unwrap();
    let shown = preview(&candidates, &missing(meant, &candidates));
    let ids = to_send(&candidates);
    let sent = put_back(&world.db, &ids, WHY, world.now()).await.unwrap();
    assert_eq!(sent.len(), ids.len(), "what was shown is what happens");
    world.pass(Duration::from_secs(6));
    world.work().await;
    let first =
        world.value("select min(message_id) from rowbell.message").await.parse::<i64>().unwrap();
    (0..20).rev().fold(shown, |text, i| {
        text.replace(&format!("message {}", first + i), &format!("message [{}]", i + 1))
    })
}

/// Chatwoot #14120, frappe_whatsapp #209: retry buttons that relabel and never call the provider.
#[tokio::test]
async fn a_failed_message_is_sent_again_as_a_new_attempt_with_its_own_id() {
    let mut world = World::new().await;
    moved(&mut world, Some(Fault::Code { code: 100 })).await;
    assert_eq!(world.sandbox.count(), 0);
    let meant = since(&world, &["rejected"]);
    let shown = retry(&mut world, &meant).await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 1), "it really went out");
    assert_eq!(
        world.messages().await,
        ["1 sent 1 change(s) 2 attempt(s)", "2 sent 1 change(s) 2 attempt(s)"]
    );
    let attempts = "select string_agg(concat_ws(' ', number, result, (provider_message_id is not null)::text), ', ' order by number)
                      from rowbell.attempt where message_id = (select min(message_id) from rowbell.message)";
    assert_eq!(world.value(attempts).await, "1 refused false, 2 accepted true");
    insta::assert_snapshot!(shown, @r"
    2 messages would be sent again:
           2  home_delivery, failed rejected

    Such as:
      message [2], home_delivery 2: Invalid parameter
      message [1], home_delivery 1: Invalid parameter

    Each is made from its row as it is now, passes all gates again (consent, expiry, nothing new to tell),
    and goes out as a new attempt.
    ");

    // A second time there is nothing to do.
    let again = retry(&mut world, &meant).await;
    assert!(again.starts_with("0 messages would be sent again."), "{again}");
    assert_eq!(world.sandbox.count(), 2);
}

#[tokio::test]
async fn it_tells_the_row_as_it_is_now_and_nothing_if_that_is_known() {
    let mut world = World::new().await;
    moved(&mut world, Some(Fault::Code { code: 100 })).await;
    world
        .sql(
            "update delivery set address = '1 Main Street' where id = 1;
              update delivery set address = 'Plaza 2' where id = 2; delete from rowbell.change",
        )
        .await;
    let meant = since(&world, &[]);
    retry(&mut world, &meant).await;
    assert_eq!(world.messages().await[0], "1 skipped no_net_change 1 change(s) 1 attempt(s)");
    assert!(world.read(JUAN)[0].contains("Plaza 2"), "{:?}", world.read(JUAN));
}

#[tokio::test]
async fn an_unconfirmed_message_is_sent_again_only_when_its_time_for_evidence_is_over() {
    let mut world = World::new().await;
    moved(&mut world, Some(Fault::Lost { status: 504 })).await;
    let meant = since(&world, &["unconfirmed"]);
    let shown = retry(&mut world, &meant).await;
    assert!(shown.contains("evidence is awaited; the policy of its watch decides at"), "{shown}");
    let before = world.sandbox.count();
    world.pass(Duration::from_secs(600));
    world.work().await;
    let shown = retry(&mut world, &meant).await;
    assert!(shown.contains("Whoever has an unconfirmed one already reads it twice."), "{shown}");
    assert_eq!(world.sandbox.count(), before + 2);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    let mut world = World::new().await;
    // Maria's message failed, and a newer one told it; Juan's arrived.
    moved(&mut world, Some(Fault::Code { code: 100 })).await;
    moved(&mut world, None).await;
    let id = world.sandbox.seen(JUAN)[0].id.clone();
    world
        .receipt(Receipt {
            provider_message_id: id,
            status: ReceiptStatus::Delivered,
            error_code: None,
            error_text: None,
            occurred_at: None,
            ..Receipt::default()
        })
        .await;
    world.sql("update customer set whatsapp_opt_in = false where id = 1; update delivery set address = 'x' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set address = 'y' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set address = 'z' where id = 2").await;
    world.work().await;
    let rows = world.db.query("select message_id from rowbell.message", &[]).await.unwrap();
    let mut ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    ids.push(-7);
    let sent = world.sandbox.count();
    let shown = retry(&mut world, &RetrySelection::Ids(ids)).await;
    insta::assert_snapshot!(shown, @r"
    1 message would be sent again:
           1  home_delivery, skipped opted_out

    Such as:
      message [6], home_delivery 1: opted_in of the recipient is not true

    Each is made from its row as it is now, passes all gates again (consent, expiry, nothing new to tell),
    and goes out as a new attempt.

    Not sent again:
           1  a newer message of the same row is sent again and tells everything
           1  it has arrived
           1  message [3] of the same row tells it instead
           1  message [7] of the same row tells it instead
           2  the provider has accepted it; what became of it is awaited
              there is no message -7
    ");
    assert_eq!(world.sandbox.count(), sent, "she still does not want to be told");
}

/// The program itself, as a person or a script runs it.
#[tokio::test]
async fn the_command_shows_first_and_acts_when_told_to() {
    let mut world = World::new().await;
    moved(&mut world, Some(Fault::Code { code: 100 })).await;
    let folder = Scratch::new("test").unwrap();
    std::fs::write(folder.path().join("token"), "x").unwrap();
    let config = format!(
        r#"
[database]
url = "{}"
[channel.main]
provider = "1msg"
channel_id = "ODI1"
token_file = "{}/token"
[template.service_change]
name = "service_change"
namespace = "n"
language = "en"
body = ["{{{{ summary }}}}"]
[watch.home_delivery]
table = "public.delivery"
channel = "main"
template = "service_change"
columns = ["address"]
recipient = "select full_name as name, phone from customer where id = changed.customer_id"
"#,
        world.cluster.url("postgres"),
        folder.path().display()
    );
    std::fs::write(folder.path().join("rowbell.toml"), config).unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_rowbell"))
            .args(["retry", "--config"])
            .arg(folder.path().join("rowbell.toml"))
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), said(output.stdout) + &said(output.stderr))
    };
    let (code, said) = run(&["--since", "1h", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &json["would_be_sent_again"], &json["sent_again"]),
        (Some(0), &2.into(), &0.into())
    );
    assert_eq!(json["messages"][0]["reason"], "rejected");
    for private in ["Maria", "Juan", MARIA, JUAN] {
        assert!(!said.contains(private), "{said}");
    }
    let (code, said) = run(&["--since", "1h"]);
    assert!(code == Some(0) && said.ends_with("Nothing was done; --yes sends them.\n"), "{said}");
    let (code, said) = run(&["--since", "1h", "--reason", "rejectd"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "rowbell: there is no reason \"rejectd\"; did you mean \"rejected\"?\n")
    );
    let (_, said) = run(&["--since", "1h", "--watch", "home_delivery", "--yes"]);
    assert!(
        said.ends_with("2 messages will be sent again; a running daemon begins within 15 s.\n"),
        "{said}"
    );
    world.pass(Duration::from_secs(6));
    world.work().await;
    assert_eq!(world.sandbox.count(), 2);
}

#[tokio::test]
async fn a_recipient_that_was_corrected_gets_the_message_after_all() {
    let mut world = World::new().await;
    world.sql("update customer set phone = '12' where id = 1").await;
    moved(&mut world, None).await;
    assert_eq!(world.messages().await[0], "1 skipped bad_phone 1 change(s) 0 attempt(s)");
    world.sql("update customer set phone = '+1 212 200 0001' where id = 1").await;
    let meant = since(&world, &["bad_phone"]);
    retry(&mut world, &meant).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// An outage leaves more messages than one look takes: that some are left out is said, and how many there are.
#[tokio::test]
async fn a_limit_that_leaves_some_out_says_so() {
    let mut world = World::new().await;
    moved(&mut world, Some(Fault::Code { code: 100 })).await;
    let RetrySelection::Filter { watch, reasons, since, .. } = since(&world, &["rejected"]) else {
        panic!("a filter")
    };
    let meant = RetrySelection::Filter { watch, reasons, since, limit: 1 };
    let shown = look(&world.db, &world.config, &meant).await.unwrap().len();
    let all = count_all(&world.db, &meant).await.unwrap();
    assert_eq!((shown, all), (1, 2));
    assert!(cut(shown, all).contains("the latest 1 of 2"), "{}", cut(shown, all));
    assert_eq!(cut(2, 2), "");
}

#[tokio::test]
async fn the_status_says_why_messages_are_tried_again() {
    let mut world = World::new().await;
    faults(&world, Some(Fault::Code { code: 131_000 }));
    world.sql("update delivery set address = 'moved'").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    world.work().await;
    let stand = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    let why = &stand.retry_reasons;
    assert!(!why.is_empty() && why.iter().all(|why| why.messages > 0), "{why:?}");
    let text = status::as_text(&stand);
    let said = format!("tried in vain and will be tried again: {}", why[0].why);
    assert!(text.contains(&said), "{text}");
    let narrow = status::as_text_within(&stand, Some(60));
    let longest = narrow.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(60), "{narrow}");
}
