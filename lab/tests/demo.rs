//! The demo, as a newcomer runs it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

#[test]
fn the_demo_delivers_and_loses_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_rowbell-lab"))
        .args(["demo", "--for", "5s", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let counts: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(counts["lost"], 0, "{said}");
    assert_eq!(counts["duplicates"], 0, "{said}");
    for some in ["changes", "messages", "sent", "delivered", "skipped"] {
        assert!(counts[some].as_u64().unwrap() > 0, "{some}: {said}");
    }
    assert!(said.contains("│ Hola, "), "a customer reads Spanish: {said}");
}

#[test]
fn a_wrong_time_is_refused_with_what_was_expected() {
    let output = Command::new(env!("CARGO_BIN_EXE_rowbell-lab"))
        .args(["demo", "--for", "soon"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("expected a duration such as"), "{said}");
}
