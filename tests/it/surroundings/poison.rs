//! One value among a hundred that cannot be captured, settled or received: it fails alone, and it is said why.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{HEAD, World};

const GOOD: usize = 100;

fn config() -> String {
    HEAD.to_owned()
        + r#"body = ["you", "thing", "{{ summary }}"]
[watch.thing]
table = "thing"
channel = "main"
template = "service_change"
columns = ["status", "data", "odd"]
recipient = "select 'you' as name, '+1' || (2122000000 + changed.id) as phone"
quiet_period = "0s"
"#
}

/// A hundred things, and `more` behind them.
fn things(more: usize) -> String {
    format!(
        "create table thing (id bigint primary key, status text, data json, odd odd);
         insert into thing select n, 'planned' from generate_series(1, {}) n;",
        GOOD + more
    )
}

/// A type of the business whose values cannot all be written as JSON.
const ODD: &str = "create type odd as enum ('whole', 'raises', 'forbids', 'divides');
    create function odd_json(odd) returns json language plpgsql as $$ begin
        case $1 when 'raises' then raise 'odd'; when 'forbids' then raise sqlstate '42501';
                when 'divides' then return to_json(1 / (length($1::text) - 7)); else return to_json($1::text); end case; end $$;
    create cast (odd as json) with function odd_json(odd);";

async fn states(world: &World) -> String {
    world
        .value(
            "select string_agg(state || ' ' || n, ', ' order by state)
               from (select state::text, count(*) as n from rowbell.message group by state) as m",
        )
        .await
}

/// What JSON or a cast of the business cannot turn into what the trigger writes: the write goes through, and the row is
/// on record as one that could not be captured.
#[tokio::test]
async fn a_row_that_cannot_be_captured_fails_alone() {
    let poisons = [
        "data = '\"\\u0000\"'",
        "data = '\"\\ud800\"'",
        "data = '{\"a\": [1e400000]}'",
        "odd = 'raises'",
        "odd = 'forbids'",
        "odd = 'divides'",
    ];
    let mut world = World::over(&(ODD.to_owned() + &things(poisons.len())), &config(), "").await;
    let mut update = format!("begin; update thing set status = 'late' where id <= {GOOD};");
    for (place, poison) in poisons.iter().enumerate() {
        update += &format!("update thing set {poison} where id = {};", GOOD + 1 + place);
    }
    world.sql(&(update + "commit")).await;
    world.settle().await;
    world.settle().await;
    let failed = "select count(*) || ' ' || count(distinct reason_text) from rowbell.message
                   where state = 'failed' and reason_text like 'the row could not be captured%'";
    let failed = world.value(failed).await;
    assert!(
        failed.starts_with(&format!("{} ", poisons.len())),
        "{failed}: {}",
        states(&world).await
    );
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    let good = format!(
        "select count(*) from rowbell.message where state = 'sent' and entity_key::int <= {GOOD}"
    );
    assert_eq!(world.value(&good).await, GOOD.to_string());
    // The change that mends it fails as well, because it has such a value before it; from then on all is told.
    world.sql("update thing set data = null, odd = null where id > 100").await;
    world.settle().await;
    let told = world.sandbox.count();
    world.sql("update thing set status = 'mended' where id > 100").await;
    world.settle().await;
    world.settle().await;
    assert_eq!(world.sandbox.count() - told, poisons.len() as u64, "{}", states(&world).await);
}

/// Answers that a provider should not give. Those to whom they are given are settled one by one, with what is known.
fn answers() -> Vec<Vec<u8>> {
    let answer = |head: &str, body: &[u8]| {
        let mut answer = format!(
            "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(body);
        answer
    };
    let mut all = vec![
        answer("200 OK", b"{\"sent\":true,\"id\":\"a\\u0000b\",\"message\":\"\\u0000\"}"),
        answer("200 OK", format!("{{\"sent\":true,\"id\":\"{}\"}}", "é".repeat(50_000)).as_bytes()),
        answer("200 OK", b"{\"sent\":true,\"id\":\"twice\"}"),
        answer("200 OK", b"{\"sent\":true,\"id\":\"twice\"}"),
        answer("200 OK", b"{\"sent\":true,\"id\":\"\\ud83d\"}"),
        answer("200 OK", b"\xff\xfe{\x00}\x00"),
        answer("200 OK", b"{\"sent\":true,\"id\":{\"a\":1}}"),
        answer(
            "400 Bad",
            b"{\"error\":{\"code\":99999999999999999999,\"message\":\"\\u0000\\u0000\"}}",
        ),
        answer("400 Bad", b"{\"error\":{\"code\":-2147483648,\"message\":[[[]]]}}"),
        answer("400 Bad", b"{\"error\":{\"code\":\"131026\\u0000\",\"message\":\"\\ud800\"}}"),
        answer("400 Bad", b"\x1f\x8b\x08\x00\x00\x00"),
        answer(
            "400 Bad",
            format!("{{\"error\":\"{}\"}}", "\u{202e}👨\u{200d}👩".repeat(20_000)).as_bytes(),
        ),
        answer("429 Slow\r\nRetry-After: 99999999999999999999", b""),
        answer("503 Slow\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT", b"{}"),
        answer("999 Odd", b"{}"),
        answer("200 OK\r\nContent-Encoding: gzip", b"no gzip at all"),
    ];
    all.push(b"HTTP/1.1 200 OK\r\n\xff: \xfe\r\n\r\n{}".to_vec());
    all
}

/// A provider that takes what comes, and gives each of the things beyond the hundred an answer of its own, once.
async fn provider(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (answers, taken) = (Arc::new(answers), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answers, taken) = (answers.clone(), taken.clone());
            tokio::spawn(async move {
                let _ = serve(stream, &answers, &taken).await;
            });
        }
    });
    url
}

async fn serve(
    mut stream: TcpStream,
    answers: &[Vec<u8>],
    taken: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 8192];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length =
            length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let number = taken.fetch_add(1, Ordering::Relaxed);
        let phone = text.split("12122000").nth(1).map_or("", |rest| &rest[..3]);
        let odd = phone
            .parse()
            .unwrap_or(0_usize)
            .checked_sub(GOOD + 1)
            .and_then(|place| answers.get(place));
        let body = format!("{{\"sent\":true,\"id\":\"wamid.{number}\"}}");
        let good = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(odd.map_or(good.as_bytes(), Vec::as_slice)).await?;
        stream.shutdown().await?;
        return Ok(());
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_settles_its_own_message() {
    let answers = answers();
    let odd = answers.len();
    let url = provider(answers).await;
    let schema = ODD.to_owned() + &things(odd);
    let mut world = World::made(&schema, |database, folder, _| {
        config()
            .replace("{database}", database)
            .replace("{folder}", &folder.display().to_string())
            .replace("{provider}", &url)
    })
    .await;
    world.sql("update thing set status = 'late'").await;
    world.work().await;
    let left = "select string_agg(entity_key || ' ' || state, ', ' order by entity_key::int) from rowbell.message
                 where state = 'sending' or (entity_key::int <= 100 and state <> 'sent')";
    assert_eq!(world.value(left).await, "null");
    let sent = format!(
        "select count(*) from rowbell.message where state = 'sent' and entity_key::int <= {GOOD}"
    );
    assert_eq!(world.value(&sent).await, GOOD.to_string());
    let ended =
        "select string_agg((entity_key::int - 100) || ' ' || state, ', ' order by entity_key::int)
                   from rowbell.message where entity_key::int > 100";
    assert_eq!(
        world.value(ended).await,
        "1 sent, 2 unconfirmed, 3 sent, 4 sent, 5 unconfirmed, 6 unconfirmed, 7 unconfirmed, 8 failed, 9 failed, 10 failed, \
         11 failed, 12 failed, 13 scheduled, 14 scheduled, 15 unconfirmed, 16 unconfirmed, 17 unconfirmed"
    );
}

/// Items that a delivery should not have: the receipts and words beside them count.
#[tokio::test]
async fn an_item_of_a_delivery_that_makes_no_sense_is_alone() {
    let mut world = World::over(&(ODD.to_owned() + &things(0)), &config(), "").await;
    world.sql("update thing set status = 'late'").await;
    world.settle().await;
    let ids = world
        .db
        .query("select provider_message_id from rowbell.message order by message_id", &[])
        .await
        .unwrap();
    let mut items: Vec<serde_json::Value> = ids
        .iter()
        .map(|row| serde_json::json!({"id": row.get::<_, String>(0), "status": "delivered", "timestamp": "1"}))
        .collect();
    assert_eq!(items.len(), GOOD);
    let first = items[0]["id"].clone();
    let odd = [
        r#"{"id":"\u0000","status":"delivered"}"#,
        r#"{"id":"x","status":"\u0000"}"#,
        r#"{"id":{"a":1},"status":"read"}"#,
        r#"{"id":"x","status":"read","timestamp":"99999999999999999999"}"#,
        r#"{"id":"x","status":"read","timestamp":-9223372036854775808}"#,
        r#"{"id":"x","status":"read","timestamp":253402300799}"#,
        r#"{"id":"x","status":"failed","error":{"code":1e300,"message":"\u0000","title":"\u0000"}}"#,
        r#"{"id":"x","status":"failed","errors":[[{"code":"99999999999"}],null,7]}"#,
        r#"{"id":"x","status":"failed","recipient_id":"١٢٣٤٥٦٧٨٩","error":"\u202e"}"#,
        r#"{"id":12345678901234567890123,"status":"sent","chatId":"120363000000000000@lid"}"#,
        r#"{"id":"x","id":"y","status":"sent","status":"read"}"#,
        r#""text""#,
        "null",
        "7",
        "[]",
        "{}",
        "true",
    ];
    let odd: Vec<serde_json::Value> =
        odd.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
    for (place, item) in odd.iter().enumerate() {
        items.insert((place * 7) % items.len(), item.clone());
    }
    // Said twice in one delivery, and the second time otherwise.
    items.push(serde_json::json!({"id": first, "status": "delivered", "timestamp": "1"}));
    items.push(serde_json::json!({"id": first, "status": "failed", "error": {"code": 131_026}}));
    let long = serde_json::json!({"id": "é".repeat(100_000), "status": "x".repeat(100_000), "error": "e".repeat(100_000)});
    items.push(long);
    let messages = serde_json::json!([
        {"id": "a\u{0}", "body": "STOP\u{0}", "fromMe": false, "chatId": "12122000999@c.us"},
        {"id": "b", "body": "STOP", "fromMe": false, "chatId": "12122000001@c.us"},
        {"id": "c", "body": "STOP", "fromMe": false, "chatId": "120363012345678@lid"},
        {"id": "d", "body": "STOP", "fromMe": false, "from": "12122000002:12@s.whatsapp.net"},
        {"id": "e", "body": "x".repeat(200_000), "fromMe": false, "chatId": "12122000003@c.us"},
        {"body": {"text": ["STOP"]}, "chatId": []}, 7, null,
    ]);
    world
        .posted(
            &serde_json::json!({"instanceId": "ODI371267300", "ack": items, "messages": messages}),
        )
        .await;
    let states = states(&world).await;
    assert_eq!(states, format!("delivered {GOOD}"));
    let out =
        world.value("select string_agg(phone, ' ' order by phone) from rowbell.opt_out").await;
    assert_eq!(out, "12122000001 12122000999", "nobody's phone is made of an id that is none");
    let unread = world
        .value("select count(*) from rowbell.receipt_source where kind::text = 'unread'")
        .await;
    assert_eq!(unread, "1", "and it is said that something was not understood");
}
