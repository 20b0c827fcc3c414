//! `rowbell-lab dev`: somebody changes a row of their own table and sees the message on a phone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rowbell_lab::commands::sandbox::of_site;
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::dev::dev::Dev;
use rowbell_lab::sandbox::SandboxOptions;

/// The program beside this test.
fn exe() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("rowbell")
}

#[tokio::test]
async fn a_changed_row_appears_on_the_phone() {
    let options = TestbedOptions {
        cluster: ClusterOptions::default(),
        quiet_period: "0s".to_owned(),
        webhook: false,
        ..TestbedOptions::default()
    };
    let site = Testbed::raise(&exe(), options, SandboxOptions::default()).await.unwrap();
    let channels = of_site(&rowbell::config::load::load(&site.config_file()).unwrap()).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let dev = Dev::start(&exe(), &site.config_file(), channels, any).await.unwrap();
    let page = reqwest::get(&dev.url).await.unwrap().text().await.unwrap();
    assert!(page.contains("What customers read"), "{page}");
    let db = site.connect().await.unwrap();
    db.batch_execute("update delivery set status = 'on_the_way' where id = 1").await.unwrap();
    dev.sandbox.wait_for(1, Duration::from_secs(30)).await.unwrap();
    let seen = reqwest::get(format!("{}/messages", dev.url)).await.unwrap();
    let seen: serde_json::Value = seen.json().await.unwrap();
    assert!(seen[0]["text"].as_str().unwrap().starts_with("Hello, "), "{seen}");
    assert_eq!(site.sandbox.count(), 0, "the provider of the configuration is left alone");
}
