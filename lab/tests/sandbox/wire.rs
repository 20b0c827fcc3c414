//! What our client puts on the wire, to the byte, as a bare socket sees it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use rowbell::config::AuthPlace;
use rowbell::domain::message::outgoing::TemplateMessage;
use rowbell::provider::onemsg::client::OneMsgClient;

use super::desk::{DEADLINE, TOKEN, accepted, channel, message, number};

/// The body of `sendTemplate` as the product page of 1MSG has it, without the line breaks.
const BODY: &str = concat!(
    r#"{"phone":"12020721369","template":"service_change","namespace":"a1b2c3d4_e5f6","#,
    r#""language":{"policy":"deterministic","code":"en"},"#,
    r#""params":[{"type":"body","parameters":["#,
    r#"{"type":"text","text":"Maria"},"#,
    r#"{"type":"text","text":"home delivery"},"#,
    r#"{"type":"text","text":"New window: June 25 from 10:00 AM to 12:00 PM."}]}]}"#,
);

fn seed() -> TemplateMessage {
    TemplateMessage { namespace: "a1b2c3d4_e5f6".into(), ..message("12020721369") }
}

/// Takes one connection, answers one request, and gives it as it came.
fn one_request() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut request = String::new();
        while !request.ends_with("]}]}") {
            let mut piece = [0; 4_096];
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "the client went away after: {request}");
            request += std::str::from_utf8(&piece[..length]).unwrap();
        }
        let answer = r#"{"sent":true,"id":"wamid.A"}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    (address, thread)
}

#[tokio::test]
async fn the_seed_message_leaves_as_the_contract_has_it_to_the_byte() {
    let (address, request) = one_request();
    let settings = number(&format!("http://{address}/"));
    let token = TOKEN.to_owned().into();
    let client = OneMsgClient::new(&channel(&settings, DEADLINE), &settings, token).unwrap();
    assert_eq!(accepted(&client.send_template(&seed()).await), "wamid.A");
    let request = request.join().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, BODY);
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    let expected = [
        "POST /ODI371267300/sendTemplate HTTP/1.1".to_owned(),
        "accept: */*".to_owned(),
        format!("authorization: Bearer {TOKEN}"),
        format!("content-length: {}", BODY.len()),
        "content-type: application/json".to_owned(),
        format!("host: {address}"),
        concat!("user-agent: rowbell/", env!("CARGO_PKG_VERSION")).to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_channel_that_refuses_the_header_gets_its_token_in_the_query_only() {
    let (address, request) = one_request();
    let mut settings = number(&format!("http://{address}"));
    settings.auth = AuthPlace::Query;
    settings.channel_id = "instance359900".into();
    let token = "a token/with+signs".to_owned().into();
    let client = OneMsgClient::new(&channel(&settings, DEADLINE), &settings, token).unwrap();
    accepted(&client.send_template(&seed()).await);
    let request = request.join().unwrap();
    let line = request.lines().next().unwrap();
    assert_eq!(line, "POST /359900/sendTemplate?token=a+token%2Fwith%2Bsigns HTTP/1.1");
    assert!(!request.to_ascii_lowercase().contains("authorization"), "one place only: {request}");
    assert!(request.ends_with(BODY));
}
