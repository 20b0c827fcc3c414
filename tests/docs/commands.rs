//! Every command that a page shows is one that there is, with arguments that it takes; and those that
//! change nothing outside a throwaway testbed are run there.

use rowbell_lab::demo::scratch::Scratch;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Sandbox, SandboxOptions};

use super::page::{pages, root};
use super::shell;

/// Programs of others that the pages show.
const OF_OTHERS: [&str; 5] = ["cargo", "curl", "install", "systemctl", "systemd-sysusers"];

/// Commands that ask a provider who is not there, run until they are stopped, write a file at a place of the
/// system, or name messages that are not there. Stories of their own run them.
const NOT_HERE: [&[&str]; 12] = [
    &["doctor"],
    &["run"],
    &["init"],
    &["webhook", "register"],
    &["webhook", "test"],
    &["channel", "move"],
    &["outgoing", "test"],
    &["outgoing", "resume"],
    &["outgoing", "redeliver"],
    &["outgoing", "list"],
    &["retry", "4711"],
    &["settle", "4711"],
];

/// Commands that ask first; nobody is there to be asked.
const ASKING: [&str; 6] = ["approve", "discard", "retry", "send-test", "settle", "adopt"];

/// What they may say where no storm is held.
const NOTHING_HELD: &str = "no message waits for a person";

/// Commands that are run also where they stand between backticks: they only read.
const READING: [&str; 5] = ["status", "explain", "preview", "held", "config"];

/// A command as a page shows it.
struct Shown {
    words: Vec<String>,
    place: String,
}

impl Shown {
    /// The name of the program, wherever it lies.
    fn program(&self) -> &str {
        self.words[0].rsplit('/').next().unwrap_or_default()
    }
}

/// Every command of the pages' blocks.
fn shown() -> Vec<Shown> {
    let mut shown = Vec::new();
    for block in pages().iter().flat_map(|page| page.blocks_in("sh")) {
        for words in shell::commands(&block.text) {
            shown.push(Shown { words, place: block.place.clone() });
        }
    }
    assert!(shown.len() > 50, "the question itself must find something");
    shown
}

/// What a program of ours can be told.
fn program(name: &str) -> Option<clap::Command> {
    match name {
        "rowbell" => Some(rowbell::cli::Cli::command()),
        "rowbell-lab" => Some(rowbell_lab::cli::Cli::command()),
        _ => None,
    }
}

/// Why a program does not take these words; `is_whole`: nothing is missing either.
fn refusal(words: &[&str], is_whole: bool) -> Option<String> {
    let program = program(words[0].rsplit('/').next()?)?;
    let error = program.try_get_matches_from(words).err()?;
    let asks_for_more = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_help && (is_whole || !asks_for_more)).then(|| error.to_string())
}

#[test]
fn every_command_of_ours_takes_its_arguments() {
    let mut wrong = Vec::new();
    for shown in shown() {
        let words: Vec<&str> = shown.words.iter().map(String::as_str).collect();
        let of_ours = program(shown.program()).is_some();
        let script = root().join(&shown.words[0]);
        let is_script = shown.words[0].starts_with("scripts/") && script.is_file();
        if !of_ours && !is_script && !OF_OTHERS.contains(&shown.program()) {
            wrong.push(format!("{}: {} is no program of ours", shown.place, shown.words[0]));
        }
        wrong.extend(refusal(&words, true).map(|why| format!("{}: {why}", shown.place)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Between backticks a command may leave out what it needs, and be the name of several.
#[test]
fn every_command_between_backticks_is_one() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for span in page.spans() {
            let commands = shell::commands(&span);
            let Some(words) = commands.first() else { continue };
            let is_ours = matches!(words[0].as_str(), "rowbell" | "rowbell-lab");
            if !is_ours || words.len() < 2 {
                continue;
            }
            seen += 1;
            let words: Vec<&str> = words.iter().map(String::as_str).filter(|w| *w != "…").collect();
            wrong.extend(refusal(&words, false).map(|why| format!("{}: {span}: {why}", page.name)));
        }
    }
    assert!(seen > 30, "the question itself must find something");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tests, packages and profiles that `cargo` is told of.
#[test]
fn cargo_knows_what_it_is_told() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let tests = all_tests(&root().join("tests"));
    let mut wrong = Vec::new();
    for shown in shown().iter().filter(|shown| shown.program() == "cargo") {
        let value = |flag: &str| {
            let mut words = shown.words.iter().skip_while(|word| *word != flag);
            words.nth(1).cloned()
        };
        if let Some(test) = value("--test") {
            let below = root().join("tests").join(&test);
            let is_there = below.with_extension("rs").exists() || below.join("main.rs").exists();
            wrong.extend((!is_there).then(|| format!("{}: test {test}", shown.place)));
        }
        if let Some(profile) = value("--profile") {
            let is_there = manifest.contains(&format!("[profile.{profile}]"));
            wrong.extend((!is_there).then(|| format!("{}: profile {profile}", shown.place)));
        }
        if let Some(package) = value("-p") {
            let there = root().join(package.trim_start_matches("rowbell-")).join("Cargo.toml");
            wrong.extend((!there.exists()).then(|| format!("{}: {package}", shown.place)));
        }
        // A story by its name.
        let last = shown.words.last().map(String::as_str).unwrap_or_default();
        if last.matches('_').count() > 2 && !tests.contains(&format!("fn {last}(")) {
            wrong.push(format!("{}: there is no story {last}", shown.place));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The text of all tests.
fn all_tests(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &all_tests(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

/// What can be run in a testbed: of the blocks all that is not excepted, of the spans what only reads.
fn to_run() -> Vec<Shown> {
    let is_not_here = |words: &[String]| {
        let starts = |start: &&[&str]| words.iter().skip(1).zip(*start).all(|(word, s)| word == s);
        NOT_HERE.iter().any(|start| words.len() > start.len() && starts(start))
    };
    let mut commands: Vec<Shown> = shown();
    commands.retain(|shown| shown.words[0] == "rowbell" && !is_not_here(&shown.words));
    for page in pages() {
        let spans = page.spans().into_iter().filter(|span| span.starts_with("rowbell "));
        for words in spans.flat_map(|span| shell::commands(&span)) {
            let all: Vec<&str> = words.iter().map(String::as_str).collect();
            if READING.contains(all.get(1).unwrap_or(&"")) && refusal(&all, true).is_none() {
                commands.push(Shown { words, place: page.name.clone() });
            }
        }
    }
    let mut known = std::collections::HashSet::new();
    commands.retain(|shown| known.insert(shown.words.clone()));
    commands
}

/// The commands run in the order of the pages, in a testbed where a shop delivers.
#[tokio::test]
async fn what_can_be_run_runs() {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap();
    let folder = Scratch::new("docs").unwrap();
    fs::write(folder.path().join("opted-out.csv"), "+12025550198, asked by mail\n").unwrap();

    let mut wrong = Vec::new();
    let commands = to_run();
    for shown in &commands {
        let mut words: Vec<&str> = shown.words.iter().skip(1).map(String::as_str).collect();
        if ASKING.contains(&words[0]) {
            words.push("--yes");
        }
        let output = Command::new(exe)
            .arg("--config")
            .arg(testbed.config_file())
            .args(&words)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && !said.contains(NOTHING_HELD) {
            wrong.push(format!("{}: rowbell {}: {said}", shown.place, words.join(" ")));
        }
    }
    assert!(commands.len() > 20, "the question itself must find something");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each request that is shown with curl is answered by the sandbox.
#[tokio::test]
async fn the_sandbox_answers_what_is_shown_with_curl() {
    let sandbox = Sandbox::start(SandboxOptions::default()).unwrap();
    // A second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen = 0;
    for shown in shown().iter().filter(|shown| shown.program() == "curl") {
        let url = shown.words.last().unwrap().replace("http://127.0.0.1:8471", &sandbox.url());
        let values = |flag: &str| -> Vec<&str> {
            let flags = shown.words.windows(2).filter(|pair| pair[0] == flag);
            flags.map(|pair| pair[1].as_str()).collect()
        };
        let data = values("-d");
        let method = values("-X").first().copied().unwrap_or(match data.is_empty() {
            true => "GET",
            false => "POST",
        });
        let mut request = http.request(method.parse().unwrap(), url);
        for header in values("-H") {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        if let Some(data) = data.first() {
            request = request.body((*data).to_owned());
        }
        let answer = request.send().await.unwrap();
        let (status, said) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{}: {said}", shown.place);
        seen += 1;
    }
    assert!(seen > 5, "the question itself must find something");
    assert_eq!(sandbox.count(), 1, "the message that is shown was taken");
}
