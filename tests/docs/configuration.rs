//! Every example of a configuration is one that rowbell takes.

use rowbell_lab::demo::scratch::Scratch;
use std::fs;
use std::process::Command;

use super::page::{Block, pages};

/// What fragments belong to.
const BASE: &str = include_str!("base.toml");

/// Files that the examples name as secrets.
const SECRETS: [&str; 8] = [
    "1msg.token",
    "sms.authorization",
    "mail.password",
    "webhook.secret",
    "database.password",
    "page.read",
    "page.act",
    "crm.signing.key",
];

/// What `rowbell check` says of an example; nothing where it is good.
fn mistakes(block: &Block) -> Option<String> {
    let folder = Scratch::new("docs").unwrap();
    for secret in SECRETS {
        let text = match secret {
            "crm.signing.key" => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            _ => "not-a-real-secret",
        };
        fs::write(folder.path().join(secret), text).unwrap();
    }
    let text = block.text.replace("/etc/rowbell/", &format!("{}/", folder.path().display()));
    let file = folder.path().join("rowbell.toml");
    // A whole configuration names its database and a table; everything else is a part of one.
    if text.contains("[database]") && text.contains("table ") {
        fs::write(&file, text).unwrap();
    } else {
        fs::write(&file, BASE).unwrap();
        fs::create_dir(folder.path().join("watch.d")).unwrap();
        fs::write(folder.path().join("watch.d/part.toml"), text).unwrap();
    }
    let check = Command::new(env!("CARGO_BIN_EXE_rowbell"))
        .args(["check", "--offline", "--config"])
        .arg(&file)
        .env("CREDENTIALS_DIRECTORY", folder.path())
        .env_remove("ROWBELL_CONFIG")
        .output()
        .unwrap();
    (!check.status.success())
        .then(|| format!("{}: {}", block.place, String::from_utf8_lossy(&check.stderr)))
}

#[test]
fn every_example_is_read() {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| page.blocks_in("toml")).collect();
    assert!(blocks.len() > 20, "the question itself must find something");
    let wrong: Vec<String> = blocks.iter().filter_map(mistakes).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every section that has a default is on the page, with an example.
#[test]
fn every_section_has_an_example() {
    let page = super::page::page("docs/CONFIGURATION.md");
    let examples: String = page.blocks_in("toml").iter().map(|block| block.text.as_str()).collect();
    let sections = rowbell::config::load::DEFAULT.lines().filter(|line| line.starts_with('['));
    let mut seen = 0;
    for section in sections {
        seen += 1;
        assert!(examples.contains(section), "docs/CONFIGURATION.md has no example of {section}");
    }
    assert!(seen > 10, "the question itself must find something");
    for kind in ["[channel.", "[template.", "[watch.", "[phrase."] {
        assert!(examples.contains(kind), "docs/CONFIGURATION.md has no example of {kind}…]");
    }
}
