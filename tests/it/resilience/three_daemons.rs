//! Three real daemons with two channels, killed and stopped at random, while a third of the provider's answers is lost.
//! What arrived is judged by a provider of this story's own, which knows nothing of rowbell.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rowbell::pipeline::deliver::channel_lease::LEASE;
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::daemon::Daemon;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::SandboxOptions;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;

/// How long daemons come and go. Two minutes with ROWBELL_KILL_SECONDS=120.
const SECONDS: u64 = 12;
/// Customers; each has one delivery, told on one channel, and one appointment, told on the other.
const CUSTOMERS: u64 = 40;
/// Messages a second on each channel, and to one phone in so many seconds.
const RATE: usize = 30;
const PAIR: usize = 1;

/// What the provider has accepted.
#[derive(Clone)]
struct Arrived {
    at: Instant,
    channel: String,
    phone: String,
    parameters: Vec<String>,
}

impl Arrived {
    /// The last version that it speaks of: `Address: v3 → v17.`
    fn version(&self) -> u64 {
        let word = |word: &str| word.trim_end_matches('.').strip_prefix('v')?.parse().ok();
        self.parameters[2].split(' ').rev().find_map(word).unwrap_or(0)
    }
}

/// A provider that accepts every message, and loses some of its answers.
#[derive(Clone)]
struct Sink {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    /// One answer in so many is lost; 0: none.
    loses: Arc<Mutex<u32>>,
    url: String,
}

impl Sink {
    async fn start() -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sink = Sink { arrived: Arc::default(), loses: Arc::new(Mutex::new(3)), url };
        let shared = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = shared.clone();
                tokio::spawn(async move { sink.serve(stream).await });
            }
        });
        sink
    }

    /// Requests of one connection. It ends where an answer is lost.
    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut line, mut length, mut header) = (String::new(), 0, String::new());
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            while stream.read_line(&mut header).await? > 2 {
                let lower = header.to_lowercase();
                if let Some(bytes) = lower.strip_prefix("content-length:") {
                    length = bytes.trim().parse().unwrap_or(0);
                }
                header.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            let is_message = line.starts_with("POST") && line.contains("/sendTemplate");
            let body = match serde_json::from_slice::<Value>(&body) {
                Ok(message) if is_message => match self.accept(&line, &message) {
                    Some(answer) => answer,
                    None => return Ok(()),
                },
                _ => "{}".to_owned(),
            };
            let status = if is_message { "200 OK" } else { "404 Not Found" };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    /// None: the answer is lost.
    fn accept(&self, request: &str, message: &Value) -> Option<String> {
        let parameters = message["params"][0]["parameters"].as_array().unwrap();
        let text = |parameter: &Value| parameter["text"].as_str().unwrap().to_owned();
        let channel = if request.contains("ODI371267301") { "second" } else { "main" };
        let arrived = Arrived {
            at: Instant::now(),
            channel: channel.to_owned(),
            phone: message["phone"].as_str().unwrap().to_owned(),
            parameters: parameters.iter().map(text).collect(),
        };
        self.arrived.lock().unwrap().push(arrived);
        let loses = *self.loses.lock().unwrap();
        (loses == 0 || rand::random_range(0..loses) > 0)
            .then(|| format!(r#"{{"sent":true,"id":"sink.{:032x}"}}"#, rand::random::<u128>()))
    }

    fn all(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.arrived.lock().unwrap().len()
    }
}

async fn testbed(sink: &Sink) -> Testbed {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        customers: CUSTOMERS,
        deliveries: CUSTOMERS,
        rate: format!("{RATE}/s"),
        quiet_period: "0s".to_owned(),
        webhook: false,
        edits: vec![
            ("expires_at   = \"window_end\"", "unconfirmed = \"resend\""),
            ("expires_at   = \"starts_at\"", "unconfirmed = \"resend\""),
            (
                "provider   = \"1msg\"",
                "provider = \"1msg\"\ntimeout = \"1s\"\nconnect_timeout = \"1s\"\npair_burst = 1\npair_every = \"1s\"",
            ),
            (
                "[webhook]",
                "[delivery]\nlease = \"4s\"\nunconfirmed_after = \"1s\"\nretry_base = \"1s\"\nretry_cap = \"1s\"\nmax_attempts = 1000\n[polling]\nenabled = false\n[webhook]",
            ),
        ],
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await.unwrap();
    let text = fs::read_to_string(testbed.config_file()).unwrap();
    let text = text.replace(&testbed.sandbox.url(), &sink.url);
    let begin = text.find("[channel.main]").unwrap();
    let end = text.find("[template.service_change]").unwrap();
    let second = text[begin..end]
        .replace("[channel.main]", "[channel.second]")
        .replace("ODI371267300", "ODI371267301");
    let clinic = text.find("[watch.clinic]").unwrap();
    let watches = text[clinic..].replacen("= \"main\"", "= \"second\"", 1);
    let text = format!("{}{second}{}{watches}", &text[..end], &text[end..clinic]);
    fs::write(testbed.config_file(), text).unwrap();
    testbed
}

/// The business goes on, whatever becomes of the daemons.
async fn edit(db: &Client, rng: &mut StdRng, version: &mut u64) {
    *version += 1;
    let id = rng.random_range(1..=CUSTOMERS);
    let sql = match rng.random_range(0..2) {
        0 => format!("update delivery set address = 'v{version}' where id = {id}"),
        _ => format!("update appointment set room = 'v{version}' where id = {id}"),
    };
    db.batch_execute(&sql).await.unwrap();
}

async fn until_settled(db: &Client, testbed: &Testbed, story: &str) {
    let open =
        "select (select count(*) from rowbell.change) + (select count(*) from rowbell.queue)";
    let end = Instant::now() + Duration::from_secs(180);
    while db.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(Instant::now() < end, "{story}: it did not settle; {}", testbed.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_daemons_that_come_and_go_lose_nothing_and_double_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("ROWBELL_SEED").unwrap_or_else(rand::random::<u64>);
    let story = format!("ROWBELL_SEED={seed}");
    println!("{story}");
    let mut rng = StdRng::seed_from_u64(seed);
    let sink = Sink::start().await;
    let testbed = testbed(&sink).await;
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();
    let mut daemons: Vec<Daemon> = Vec::new();
    for _ in 0..3 {
        daemons.push(testbed.daemon().await.unwrap());
    }
    let (mut version, mut kills, mut stops) = (0, 0, 0);
    let mut deaths = Vec::new();
    let long = number("ROWBELL_KILL_SECONDS");
    let seconds = long.unwrap_or(SECONDS);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let until = Instant::now() + Duration::from_millis(rng.random_range(1_000..3_000));
        while Instant::now() < until {
            edit(&db, &mut rng, &mut version).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let victim = daemons.remove(rng.random_range(0..daemons.len()));
        let held = channels_of(&db, &victim).await;
        let died_at = Instant::now();
        if rng.random_range(0..2) == 0 {
            victim.kill().await.unwrap();
            kills += 1;
        } else {
            assert!(victim.stop().await.unwrap().success(), "{story}: a stop in order");
            stops += 1;
        }
        deaths.extend(held.into_iter().map(|channel| Death { at: died_at, channel }));
        daemons.push(testbed.daemon().await.unwrap());
    }
    *sink.loses.lock().unwrap() = 0;
    until_settled(&db, &testbed, &story).await;
    for daemon in daemons {
        assert!(daemon.stop().await.unwrap().success(), "{story}: a stop in order");
    }
    println!("{kills} kills, {stops} stops, {version} edits, {} messages", sink.count());
    judge_take_overs(&take_overs(&sink.all(), &deaths), long.is_some(), &story);
    judge(&db, &sink.all(), &story).await;
}

/// The channels on which a daemon sends.
async fn channels_of(db: &Client, daemon: &Daemon) -> Vec<String> {
    let sql =
        "select c.channel from rowbell.channel c join rowbell.daemon d on d.instance = c.leased_by
                where d.name like '%/' || $1";
    let rows = db.query(sql, &[&daemon.pid().to_string()]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A daemon that sent on a channel was told to end, or died.
struct Death {
    at: Instant,
    channel: String,
}

/// How long each channel was silent when its daemon went: the longest pause that began within a second.
fn take_overs(arrived: &[Arrived], deaths: &[Death]) -> Vec<Duration> {
    let mut silences: Vec<Duration> = Vec::new();
    for Death { at, channel } in deaths {
        let after = arrived.iter().filter(|one| &one.channel == channel && one.at > *at);
        let (mut last, mut longest) = (*at, None);
        for one in after {
            longest = longest.max(Some(one.at - last));
            last = one.at;
            if last > *at + Duration::from_secs(1) {
                break;
            }
        }
        silences.extend(longest);
    }
    silences.sort_unstable();
    silences
}

/// Another daemon sends long before the lease of the one that went would have ended. Where daemons come and go for
/// minutes, nothing else should run on the machine, and 99 of 100 take-overs end within three seconds.
fn judge_take_overs(silences: &[Duration], is_long: bool, story: &str) {
    let at =
        |share: f64| silences.get(((silences.len().max(1) - 1) as f64 * share).round() as usize);
    let (Some(p50), Some(p99)) = (at(0.50), at(0.99)) else {
        assert!(!is_long, "{story}: no take-over was seen");
        return;
    };
    println!("{} take-overs: p50 {p50:?}, p99 {p99:?}", silences.len());
    let most = if is_long { Duration::from_secs(3) } else { LEASE };
    assert!(*p99 < most, "{story}: p99 of the take-overs is {p99:?}, not below {most:?}");
}

async fn judge(db: &Client, arrived: &[Arrived], story: &str) {
    // Nothing is lost, and nothing stale comes after what is newer.
    let mut last: HashMap<(&str, &str), u64> = HashMap::new();
    for one in arrived {
        let known = last.entry((&one.channel, &one.phone)).or_default();
        assert!(one.version() >= *known, "{story}: v{known} was told before v{}", one.version());
        *known = one.version();
    }
    let rows = "select 'main' as channel, ltrim(c.phone, '+') as phone, ltrim(d.address, 'v') as version
                  from delivery d join customer c on c.id = d.customer_id where d.address like 'v%'
                union all
                select 'second', ltrim(c.phone, '+'), ltrim(a.room, 'v')
                  from appointment a join customer c on c.id = a.customer_id where a.room like 'v%'";
    for row in db.query(rows, &[]).await.unwrap() {
        let (channel, phone, version): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        let told = last.get(&(channel.as_str(), phone.as_str())).map(u64::to_string);
        assert_eq!(told, Some(version), "{story}: the last version on {channel}");
    }
    // Nothing is doubled without having stood as unconfirmed.
    let attempts = "select m.channel, m.recipient_phone, array(select jsonb_array_elements_text(coalesce(a.parameters, m.parameters))),
                           count(*), count(*) filter (where a.result = 'unknown')
                      from rowbell.attempt a join rowbell.message m using (message_id)
                     where a.result in ('accepted', 'unknown') group by 1, 2, 3";
    let mut allowed: HashMap<(String, String, Vec<String>), (usize, usize)> = HashMap::new();
    for row in db.query(attempts, &[]).await.unwrap() {
        let count = |column: usize| usize::try_from(row.get::<_, i64>(column)).unwrap();
        allowed.insert((row.get(0), row.get(1), row.get(2)), (count(3), count(4)));
    }
    let mut seen: HashMap<(String, String, Vec<String>), usize> = HashMap::new();
    for one in arrived.iter().cloned() {
        *seen.entry((one.channel, one.phone, one.parameters)).or_default() += 1;
    }
    for (message, times) in &seen {
        let (most, unknown) = allowed.get(message).copied().unwrap_or_default();
        assert!(*times <= most, "{story}: sent {times} times, {most} on record: {message:?}");
        assert!(*times <= unknown + 1, "{story}: doubled without a doubt: {message:?}");
    }
    // No limit is passed: a busy machine may let requests bunch, and two that send at once would be twice as many.
    for channel in ["main", "second"] {
        let of_channel: Vec<&Arrived> =
            arrived.iter().filter(|one| one.channel == channel).collect();
        bounded(&of_channel, 5, RATE, story);
        for phone in of_channel.iter().map(|one| &one.phone) {
            let of_phone: Vec<&Arrived> =
                of_channel.iter().copied().filter(|one| &one.phone == phone).collect();
            bounded(&of_phone, 10, PAIR, story);
        }
    }
}

/// No more than so many a second, in any so many seconds.
fn bounded(arrived: &[&Arrived], seconds: usize, rate: usize, story: &str) {
    let most = rate * seconds + 1 + rate * seconds / 10;
    let window = Duration::from_secs(seconds as u64);
    for some in arrived.windows(most + 1) {
        assert!(some[most].at - some[0].at >= window, "{story}: more than {most} in {window:?}");
    }
}
