//! What a person at a terminal reads: help, mistakes, exit codes, completions, manual.
//!
//! After a change that is meant, `TRYCMD=overwrite cargo test --test cli` writes the new texts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::CommandFactory as _;
use rowbell_lab::demo::scratch::Scratch;

const ROWBELL: &str = env!("CARGO_BIN_EXE_rowbell");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli")
}

/// As a secret has to be.
fn keep_to_us(secret: &Path) {
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A folder with all that is in it.
fn keep_all_to_us(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { keep_all_to_us(&path) } else { keep_to_us(&path) }
    }
}

fn rowbell(arguments: &[&str]) -> Output {
    Command::new(ROWBELL).args(arguments).output().unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = rowbell(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every command with its path, such as `["config", "show"]`.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        for below in command.get_subcommands() {
            let mut path = path.to_vec();
            path.push(below.get_name().to_owned());
            walk(below, &path, found);
            found.push(path);
        }
    }
    let mut found = Vec::new();
    walk(&rowbell::cli::Cli::command(), &[], &mut found);
    found
}

/// A program reads the text from its standard input; false: there is no such program here.
fn accepted_by(program: &str, arguments: &[&str], text: &str) -> bool {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else { return false };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
    true
}

#[test]
fn what_is_typed_is_answered_as_written_down() {
    // A checkout leaves files that everybody can read.
    keep_all_to_us(&folder());
    let cases = trycmd::TestCases::new();
    // A terminal of another width, and settings of whoever runs the tests, change nothing.
    cases.env("COLUMNS", "100").env("ROWBELL_CONFIG", "rowbell.toml");
    cases.case("tests/cli/*.trycmd").case("tests/cli/help/*.trycmd");
}

#[test]
fn the_help_of_every_command_is_written_down() {
    for path in commands() {
        let file = folder().join("help").join(format!("{}.trycmd", path.join("-")));
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        let asked = format!("$ rowbell {} --help", path.join(" "));
        assert!(written.contains(&asked), "write {} with the line {asked}", file.display());
    }
}

#[test]
fn a_command_that_needs_another_shows_which_there_are() {
    for path in [&[] as &[&str], &["config"], &["webhook"]] {
        let output =
            Command::new(ROWBELL).args(path).env_remove("ROWBELL_CONFIG").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{path:?}");
        assert!(said.contains("Usage: ") && said.contains("Commands:"), "{path:?}: {said}");
    }
}

#[test]
fn completions_are_programs_of_their_shells_and_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&["completions", shell]);
        accepted_by(shell, &["-n"], &script);
        for path in commands() {
            let command = path.last().unwrap();
            assert!(script.contains(command.as_str()), "{shell} does not know {command}");
        }
    }
}

#[test]
fn every_page_of_the_manual_can_be_read() {
    let mut pages = commands();
    pages.push(Vec::new());
    for path in pages {
        let words: Vec<&str> =
            std::iter::once("man").chain(path.iter().map(String::as_str)).collect();
        let page = text(&words);
        let name = [&["rowbell".to_owned()], path.as_slice()].concat().join("-");
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
        assert!(page.contains(".SH EXIT STATUS") && page.contains(".SH SEE ALSO"), "{page}");
        accepted_by("groff", &["-man", "-Tutf8", "-ww", "-z"], &page);
    }
}

/// What it prints is a configuration without a single unknown setting, and alone gives the defaults.
#[test]
fn the_default_configuration_can_be_loaded_and_shows_itself() {
    let folder = Scratch::new("test").unwrap();
    let file = folder.path().join("rowbell.toml");
    std::fs::write(&file, text(&["config", "default"])).unwrap();
    let file = file.to_str().unwrap();
    assert!(text(&["check", "--offline", "--config", file]).contains("0 watches"));
    let shown = text(&["config", "show", "--config", file]);
    let again = folder.path().join("again.toml");
    std::fs::write(&again, &shown).unwrap();
    let shown_again = text(&["config", "show", "--config", again.to_str().unwrap()]);
    let settings = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(" # ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(settings(&shown), settings(&shown_again));
}

/// Every example of the documented default is a setting that exists.
#[test]
fn the_examples_of_the_default_configuration_are_true() {
    let folder = Scratch::new("test").unwrap();
    for (name, secret) in
        [("token", "not-a-real-token"), ("key", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    {
        std::fs::write(folder.path().join(name), secret).unwrap();
        keep_to_us(&folder.path().join(name));
    }
    let default = text(&["config", "default"]);
    let examples = default.split("# A channel is one").nth(1).unwrap();
    let mut lines: Vec<&str> = examples.lines().skip(1).collect();
    lines.retain(|line| line.starts_with("# ") || *line == "#");
    let toml: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default())
        .filter(|line| !line.starts_with("A "))
        .collect();
    let token = folder.path().join("token").display().to_string();
    let secrets = ["1msg.token", "sms.authorization", "mail.password"];
    let toml = secrets.iter().fold(toml.join("\n"), |toml, file| toml.replace(file, &token));
    let key = folder.path().join("key").display().to_string();
    let toml = toml.replace("crm.signing.key", &key).replace("crm.signing.old", &key);
    // The system's authorities will do.
    let toml = toml.replace("ca_file ", "# ca_file ");
    let file = folder.path().join("rowbell.toml");
    std::fs::write(&file, toml).unwrap();
    let said = text(&["check", "--offline", "--config", file.to_str().unwrap()]);
    assert_eq!(
        said,
        "the settings are good: 1 watch, 3 channels, 1 template; not looked at: tables, recipient queries and triggers in the database, templates at the provider\n"
    );
}

/// A full disk is an error with its exit code; a reader that is gone is none. Neither is a panic.
#[test]
fn output_that_cannot_be_written_is_no_panic() {
    for words in [&["config", "default"] as &[&str], &["completions", "bash"], &["man"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(ROWBELL).args(words).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.starts_with("rowbell: could not write the output: No space left"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(ROWBELL).args(words).stdout(writer).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let untold =
        Command::new(ROWBELL).args(["status", "--config", "nowhere"]).stderr(full).status();
    assert_eq!(untold.unwrap().code(), Some(78));
}
