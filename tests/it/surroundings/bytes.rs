//! Texts that are none: what PostgreSQL lets through although its bytes are no UTF-8. Before PostgreSQL 15 a `"char"` gives
//! its byte as it is, and so does whatever is made of it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{HEAD, World};

const SCHEMA: &str = "
    create type pair as (letter \"char\", word text);
    create domain grade as \"char\";
    create table thing (
        id bigint primary key, grade grade, grades \"char\"[], pair pair, note text, status text default 'planned'
    );
    insert into thing (id) select generate_series(1, 20);
    create table letter (letter \"char\" not null, pair pair not null, status text, primary key (letter, pair));
    insert into letter values ('a', row('a', 'ü'), 'planned'), ('é', row('é', 'ü'), 'planned');
    create table named (name text primary key, status text);
    insert into named values ('good', 'planned'), ('bad' || ('é'::\"char\")::text, 'planned');";

fn config() -> String {
    HEAD.to_owned()
        + r#"body = ["you", "thing", "{{ summary }}"]
[watch.thing]
table = "thing"
channel = "main"
template = "service_change"
columns = ["grade", "grades", "pair", "note", "status"]
on = ["insert", "update", "delete"]
recipient = "select 'you' as name, '+1' || (2122000000 + changed.id) as phone"
quiet_period = "0s"
"# + &keyed("letter", "+1 212 200 0099")
        + &keyed("named", "+1 212 200 0098")
}

/// The watch of a table whose keys are no text.
fn keyed(table: &str, phone: &str) -> String {
    format!(
        r#"[watch.{table}]
table = "{table}"
channel = "main"
template = "service_change"
columns = ["status"]
on = ["update", "delete"]
recipient = "select 'you' as name, '{phone}' as phone"
quiet_period = "0s"
"#
    )
}

fn told(world: &World, phone: &str) -> Vec<String> {
    let said = |text: String| {
        let start = text.find("updated. ").unwrap() + "updated. ".len();
        text[start..text.rfind(" If you need").unwrap()].to_owned()
    };
    world.read(phone).into_iter().map(said).collect()
}

/// A column of PostgreSQL's own one-byte type is told as newer versions write it, in a list and a composite value too,
/// and a key of such bytes finds its row.
#[tokio::test]
async fn a_single_byte_is_told_and_keyed() {
    let mut world = World::over(SCHEMA, &config(), "").await;
    world
        .sql(
            "update thing set grade = 'é', grades = array['a', 'é', '\"', '\\']::\"char\"[], pair = row('é', 'b') where id = 1;
             update letter set status = 'late'",
        )
        .await;
    world.settle().await;
    assert_eq!(
        told(&world, "12122000001"),
        ["grade: \\303. grades: a, \\303, \", and \\. pair: word: b and letter: \\303."],
        "{:?}",
        world.messages().await
    );
    let late = "status: planned → late.";
    assert_eq!(told(&world, "12122000099"), [late, late], "{:?}", world.messages().await);
    world.sql("delete from letter where letter = 'é'").await;
    world.settle().await;
    assert_eq!(told(&world, "12122000099").last().unwrap(), "It has been cancelled.");
    let keys = "select count(distinct entity_key) from rowbell.message where watch = 'letter'";
    assert_eq!(world.value(keys).await, "2");
}

/// A text that holds bytes which are none, in a column or a key: its row fails alone, with its reason, and the change
/// that mends it is told as soon as the one before it is readable.
#[tokio::test]
async fn a_text_that_is_none_fails_alone() {
    let mut world = World::over(SCHEMA, &config(), "").await;
    world
        .sql(
            "begin;
             update thing set status = 'late';
             update thing set note = 'n' || ('é'::\"char\")::text where id = 7;
             update named set status = 'late';
             commit",
        )
        .await;
    world.settle().await;
    world.settle().await;
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    let good = "select count(*) from rowbell.message where state = 'sent' and watch = 'thing' and entity_key <> '7'";
    assert_eq!(world.value(good).await, "19", "{:?}", world.messages().await);
    assert_eq!(told(&world, "12122000098")[0], "status: planned → late.");
    // From PostgreSQL 15 on such a text cannot be made: there it is told.
    let is_text = world.value("octet_length(('é'::\"char\")::text) > 1").await == "true";
    let failed = world
        .value("select string_agg(distinct watch || ' ' || reason || ' ' || (reason_text <> '')::text, ', ') from rowbell.message where state = 'failed'")
        .await;
    let expected = if is_text { "null" } else { "named unwritable true, thing unwritable true" };
    assert_eq!(failed, expected, "{:?}", world.messages().await);
    // What the row said before cannot be read, so the change that mends it fails as well; from then on all is told.
    world.sql("update thing set note = 'better' where id = 7").await;
    world.settle().await;
    world.sql("update thing set note = 'best' where id = 7").await;
    world.settle().await;
    let last = told(&world, "12122000007").pop().unwrap_or_default();
    assert!(last.contains("best"), "{last}: {:?}", world.messages().await);
}

/// A program whose name for itself is in another encoding: what it changes is told all the same, and what it mutes is muted.
#[tokio::test]
async fn a_writer_whose_name_is_no_text_is_heard() {
    let mut world = World::over(SCHEMA, &config(), "").await;
    let port: u16 = world.value("current_setting('port')").await.parse().unwrap();
    write_as(port, b"-c rowbell.actor=Jos\xe9", "update thing set status = 'late' where id <= 2")
        .await;
    write_as(port, b"-c rowbell.mute=caf\xe9", "update thing set status = 'gone' where id = 3")
        .await;
    world.sql("update thing set status = 'late' where id = 4").await;
    world.settle().await;
    for (phone, messages) in
        [("12122000001", 1), ("12122000002", 1), ("12122000003", 0), ("12122000004", 1)]
    {
        assert_eq!(told(&world, phone).len(), messages, "{phone}: {:?}", world.messages().await);
    }
}

/// One statement in a session of its own, started with options that are no text.
async fn write_as(port: u16, options: &[u8], sql: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut start = 196_608_i32.to_be_bytes().to_vec();
    for part in [&b"user"[..], b"postgres", b"database", b"postgres", b"options", options, b""] {
        start.extend_from_slice(part);
        start.push(0);
    }
    let mut message = i32::try_from(start.len() + 4).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(&start);
    stream.write_all(&message).await.unwrap();
    until_ready(&mut stream).await;
    let mut query = vec![b'Q'];
    query.extend_from_slice(&i32::try_from(sql.len() + 5).unwrap().to_be_bytes());
    query.extend_from_slice(sql.as_bytes());
    query.push(0);
    stream.write_all(&query).await.unwrap();
    until_ready(&mut stream).await;
}

async fn until_ready(stream: &mut TcpStream) {
    loop {
        let kind = stream.read_u8().await.unwrap();
        let length = usize::try_from(stream.read_i32().await.unwrap()).unwrap();
        let mut body = vec![0; length - 4];
        stream.read_exact(&mut body).await.unwrap();
        match kind {
            b'Z' => return,
            b'E' => panic!("{}", String::from_utf8_lossy(&body)),
            _ => {}
        }
    }
}
