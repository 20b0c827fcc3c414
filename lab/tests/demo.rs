//! The demo, as a newcomer runs it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rowbell_lab::demo::cluster::wait_until;
use rowbell_lab::demo::scratch::Scratch;
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn the_demo_delivers_and_loses_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_rowbell-lab"))
        .args(["demo", "--for", "5s", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{shown}");
    // A program reads nothing but the counts.
    let counts: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(counts["lost"], 0, "{said}");
    assert_eq!(counts["duplicates"], 0, "{said}");
    for some in ["changes", "messages", "sent", "delivered", "skipped"] {
        assert!(counts[some].as_u64().unwrap() > 0, "{some}: {said}");
    }
    assert!(shown.contains("│ Hola, "), "a customer reads Spanish: {shown}");
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

/// Files in a folder, and processes that were told of one.
fn left_in(folder: &Path) -> Vec<String> {
    let name = format!("{}/", folder.display());
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let commands = entries(Path::new("/proc"))
        .filter_map(|process| fs::read_to_string(process.join("cmdline")).ok())
        .filter(|command| command.contains(&name));
    entries(folder).map(|path| path.display().to_string()).chain(commands).collect()
}

#[test]
fn whoever_is_stopped_leaves_nothing_behind() {
    for (what, signal) in [
        (["bench", "idle"].as_slice(), Signal::INT),
        (&["bench", "idle"], Signal::KILL),
        (&["demo"], Signal::HUP),
    ] {
        let folder = Scratch::new("test").unwrap();
        // As /tmp is: the server is another user's.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_rowbell-lab"))
            .args(what)
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon_runs = || left_in(folder.path()).iter().any(|left| left.ends_with("run\0"));
        assert!(wait_until(Duration::from_secs(60), daemon_runs), "{what:?} starts no daemon");
        kill_process(Pid::from_child(&program), signal).unwrap();
        program.wait().unwrap();
        let is_gone = || left_in(folder.path()).is_empty();
        let waited = wait_until(Duration::from_secs(30), is_gone);
        assert!(waited, "{what:?} after {signal:?}: {:#?}", left_in(folder.path()));
    }
}
