//! What an orchestrator and a monitoring system ask: /livez and /readyz, over TCP and over a Unix socket.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rowbell_lab::demo::cluster::wait_until;
use rowbell_lab::demo::testbed::Testbed;

use crate::{DEADLINE, Service, town_with};

const OPEN: (&str, &str) = ("[log]", "[metrics]\nlisten = \"127.0.0.1:0\"\n\n[log]");

fn address(service: &Service) -> String {
    let logged = service.logged();
    let line = logged.lines().rfind(|line| line.contains("metrics can be read")).unwrap();
    line.split("address=").nth(1).unwrap().trim().trim_matches('"').to_owned()
}

/// Status and text.
fn ask(address: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let token = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.0\r\n{token}\r\n");
    let mut answer = String::new();
    let mut talk = |stream: &mut dyn ReadWrite| {
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    };
    match address.strip_prefix("unix:") {
        Some(path) => talk(&mut UnixStream::connect(path).unwrap()),
        None => talk(&mut TcpStream::connect(address).unwrap()),
    }
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), text.to_owned())
}

trait ReadWrite: Read + Write {}
impl<S: Read + Write> ReadWrite for S {}

fn until(address: &str, status: u16, line: &str) -> String {
    let mut last = (0, String::new());
    let is_said = wait_until(DEADLINE, || {
        last = ask(address, "/readyz", None);
        last.0 == status && last.1.lines().any(|said| said.starts_with(line))
    });
    assert!(is_said, "{line} was not said: {last:?}");
    last.1
}

/// vexa, Sequin #2154: the probe stayed green while nothing moved any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_says_what_is_not_so() {
    let mut testbed = town_with(vec![OPEN]).await;
    let mut service = Service::start(&testbed);
    service.wait_for("READY=1");
    let address = address(&service);
    assert_eq!(ask(&address, "/livez", None), (200, "alive\n".to_owned()));
    let text = until(&address, 200, "ready");
    let wanted = ["[+] database ok", "[+] listener ok", "[+] claims ok", "[+] channel main ok"];
    for line in wanted {
        assert!(text.contains(line), "{text}");
    }

    // A change waits, and nobody takes it: another daemon holds the lock for claims and does not move.
    let db = testbed.connect().await.unwrap();
    stuck(&testbed, &db).await;
    let text = until(&address, 503, "[-] claims: a change of watch home_delivery has waited for");
    assert!(text.ends_with("not ready\n"), "{text}");
    db.batch_execute("rollback").await.unwrap();
    until(&address, 200, "[+] claims ok");

    testbed.cluster.stop("immediate").unwrap();
    until(&address, 503, "[-] database: it did not answer");
    until(&address, 503, "[-] listener: the connection that listens is being made anew");
    assert_eq!(ask(&address, "/livez", None).0, 200, "it lives, and waits");
    testbed.cluster.launch().unwrap();
    until(&address, 200, "ready");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
}

/// A change of two minutes ago, while a session holds the lock under which changes are claimed.
async fn stuck(testbed: &Testbed, db: &tokio_postgres::Client) {
    let lock = rowbell::postgres::queries::claim::CLAIM_LOCK;
    db.batch_execute(&format!("begin; select pg_advisory_xact_lock({lock})")).await.unwrap();
    let other = testbed.connect().await.unwrap();
    other
        .batch_execute(
            "update delivery set address = '7 Another Street' where id = 1;
             update rowbell.change set changed_at = changed_at - interval '2 minutes'",
        )
        .await
        .unwrap();
}

/// Whoever shares the machine does not read along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_can_be_kept_to_a_socket_and_behind_a_token() {
    let folder = rowbell_lab::demo::scratch::Scratch::new("test").unwrap();
    let (socket, token) = (folder.path().join("metrics.sock"), folder.path().join("metrics.token"));
    fs::write(&token, "4be0643f\n").unwrap();
    let listen = format!(
        "[metrics]\nlisten = \"unix:{}\"\ntoken_file = \"{}\"\n\n[log]",
        socket.display(),
        token.display()
    );
    let testbed = town_with(vec![("[log]", listen.leak())]).await;
    for round in ["the first", "the next, over what the first has left behind"] {
        let mut service = Service::start(&testbed);
        service.wait_for("READY=1");
        let address = address(&service);
        assert_eq!(address, format!("unix:{}", socket.display()), "{round}");
        assert_eq!(ask(&address, "/livez", None).0, 200);
        assert_eq!(ask(&address, "/metrics", None).0, 401);
        assert_eq!(ask(&address, "/readyz", Some("4be0643")).0, 401);
        assert_eq!(ask(&address, "/readyz", Some("4be0643f")).0, 200);
        let (status, text) = ask(&address, "/metrics", Some("4be0643f"));
        assert_eq!(status, 200);
        for line in [
            "rowbell_build_info{version=\"",
            "rowbell_rate_per_second{channel=\"main\"} 80",
            "rowbell_pool_connections{state=\"idle\"}",
            "rowbell_slots{channel=\"main\",state=\"free\"}",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        service.terminate();
        assert_eq!(service.exit_code(), Some(0), "{}", service.logged());
    }
}
