//! `rowbell-lab sandbox` as a program: what it prints is true, and it ends when it is told to.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

use rowbell::domain::message::receipt::ReceiptStatus::{Delivered, Read, Sent};

use super::desk::{self, PHONE, TOKEN, accepted, message};
use super::inbox::{Inbox, words};

struct Program(Child);

impl Program {
    fn start(arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rowbell-lab"));
        command.args(["sandbox", "--listen", "127.0.0.1:0"]).args(arguments);
        Program(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// What it prints up to a line that starts with these words.
    fn prints_until(&mut self, last: &str) -> Vec<String> {
        let mut printed = Vec::new();
        for line in BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok) {
            let is_last = line.starts_with(last);
            printed.push(line);
            if is_last {
                return printed;
            }
        }
        panic!("it ended before \"{last}\": {printed:#?}");
    }

    fn end(mut self, signal: &str) -> Option<i32> {
        let kill = format!("kill -{signal} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn field<'a>(lines: &'a [String], name: &str) -> &'a str {
    let found = lines.iter().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name} in {lines:#?}")).trim()
}

#[tokio::test]
async fn what_it_prints_is_enough_to_send_a_message() {
    let inbox = Inbox::open().await;
    let mut program = Program::start(&["--fast", "--webhook", &inbox.url]);
    let lines = program.prints_until("limits of a channel");
    assert_eq!(field(&lines, "channel id"), desk::CHANNEL);
    assert_eq!(field(&lines, "token"), TOKEN);
    assert_eq!(field(&lines, "namespace"), rowbell_lab::sandbox::template::NAMESPACE);
    assert_eq!(field(&lines, "templates"), "service_change (en), service_change (es)");
    assert_eq!(field(&lines, "webhook"), inbox.url);
    let client = desk::client(field(&lines, "base URL"), field(&lines, "token"), desk::DEADLINE);
    accepted(&client.send_template(&message(PHONE)).await);
    let came = words(&inbox.wait_for(3).await);
    assert!([Sent, Delivered, Read].iter().all(|status| came.contains(status)), "{came:?}");
    assert_eq!(program.end("TERM"), Some(0));
}

#[tokio::test]
async fn each_example_works_as_it_stands() {
    let mut program = Program::start(&[]);
    let lines = program.prints_until("limits of a channel");
    let http = desk::http();
    let examples: Vec<&String> = lines.iter().filter(|line| line.contains("  curl ")).collect();
    assert!(examples.len() >= 14, "{lines:#?}");
    for line in examples {
        let url = line.split_whitespace().last().unwrap().trim_matches('\'');
        let data = line.split("-d '").nth(1).and_then(|rest| rest.split('\'').next());
        let request = match data {
            Some(data) => {
                http.post(url).header("content-type", "application/json").body(data.to_owned())
            }
            None if line.contains("-X DELETE") => http.delete(url),
            None => http.get(url),
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 200, "{line}: {}", answer.text().await.unwrap());
    }
    assert_eq!(program.end("INT"), Some(0));
}

#[test]
fn quiet_prints_the_address_only() {
    let mut program = Program::start(&["--quiet"]);
    let mut stdout = program.0.stdout.take().unwrap();
    let kill = format!("kill -TERM {}", program.0.id());
    let mut first = [0; 17];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"http://127.0.0.1:");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.lines().count(), 1, "{rest}");
    assert!(rest.trim().parse::<u16>().is_ok(), "{rest}");
}

fn fails(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rowbell-lab")).arg("sandbox").args(arguments).output().unwrap()
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = fails(&["--listen", &address.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "rowbell-lab: {address} is taken by another program; end that one, or choose another address: \
         --listen 127.0.0.1:0 takes a free port\n"
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert!(output.stdout.is_empty());
}

/// A site tries its own configuration: its numbers, tokens and templates are those of the sandbox.
#[tokio::test]
async fn it_plays_the_channels_of_a_configuration() {
    let folder = rowbell_lab::demo::scratch::Scratch::new("test").unwrap();
    std::fs::write(folder.path().join("1msg.token"), "own-token\n").unwrap();
    let config = r#"
[database]
url = "postgresql://rowbell@127.0.0.1:1/crm"
[channel.main]
provider = "1msg"
channel_id = "ODI42"
token_file = "1msg.token"
[template.moved]
name = "delivery_moved"
namespace = "3f1c"
language = { en = "en_US", es = "es" }
body = ["{{ recipient.name }}", "{{ summary }}"]
text.en = "Hello, {{1}}! {{2}}"
"#;
    let file = folder.path().join("rowbell.toml");
    std::fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap();
    let mut program = Program::start(&["--config", file, "--form", "hooks"]);
    let lines = program.prints_until("limits of a channel");
    assert_eq!(field(&lines, "channel id"), "ODI42");
    assert_eq!(field(&lines, "token"), "that of the configuration");
    assert_eq!(field(&lines, "templates"), "delivery_moved (en_US), delivery_moved (es)");
    assert_eq!(program.end("TERM"), Some(0));
}
