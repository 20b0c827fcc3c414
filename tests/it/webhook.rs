//! `rowbell webhook`, as typed: the provider's list is replaced as a whole, so nothing of it may be lost.

use std::path::Path;

use rowbell::demo::cluster::ClusterOptions;
use rowbell::demo::town::{Town, TownOptions};
use rowbell::sandbox::SandboxOptions;

const CHANNEL: &str = "ODI371267300";
const INBOX: &str = "https://inbox.example/hook";
const OURS: &str = "https://rowbell.example/webhook/demo-secret";

async fn town() -> Town {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TownOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        ..TownOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    Town::raise(exe, options, SandboxOptions::default()).await.unwrap()
}

/// The last line of a refusal.
fn refused(town: &Town, arguments: &[&str]) -> String {
    town.command(arguments).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_keeps_the_inbox_that_the_customer_had() {
    let town = town().await;
    town.sandbox.set_webhook(CHANNEL, &[INBOX.to_owned()]);
    let said = town.command(&["webhook", "register", OURS, "--yes"]).unwrap();
    insta::assert_snapshot!(said, @r"
    channel main posts to:
      https://inbox.example/hook
      https://rowbell.example/webhook/…  (ours)
    it tells of deliveries
    ");
    assert_eq!(town.command(&["webhook", "show"]).unwrap(), said);
    let again = town.command(&["webhook", "register", OURS, "--yes"]).unwrap();
    assert_eq!(again, "channel main posts to us already, and tells of deliveries\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_registered_is_said_and_changes_nothing() {
    let town = town().await;
    let five: Vec<String> = (1..=5).map(|i| format!("https://inbox{i}.example/hook")).collect();
    town.sandbox.set_webhook(CHANNEL, &five);
    let full = refused(&town, &["webhook", "register", OURS, "--yes"]);
    assert!(full.contains("posts to 5 URLs already") && full.contains("take one away"), "{full}");
    let guessed = "https://rowbell.example/webhook/guessed";
    let wrong = refused(&town, &["webhook", "register", guessed, "--yes"]);
    assert!(wrong.contains("/webhook/ and the secret of webhook.secret_file"), "{wrong}");
    let nobody = refused(&town, &["webhook", "register", OURS]);
    assert!(nobody.contains("posts to 5 URLs already"), "{nobody}");
    town.sandbox.set_webhook(CHANNEL, &five[..1]);
    let unasked = refused(&town, &["webhook", "register", OURS]);
    assert!(unasked.contains("add --yes"), "nobody could be asked: {unasked}");
    let shown = town.command(&["webhook", "show"]).unwrap();
    assert!(shown.contains("inbox1") && !shown.contains("ours"), "{shown}");
    let other = refused(&town, &["webhook", "show", "--channel", "man"]);
    assert!(other.contains("did you mean \"main\"?"), "{other}");
}
