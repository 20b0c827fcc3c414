//! Connections that are lost without a word: nobody waits for ever, and the work goes on over new ones.

use std::time::{Duration, Instant};

use rowbell::postgres::connection::pool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::capture::doorbell::{ASLEEP, Running, SOON, arrived, until, world};
use crate::delivery::wire::Wire;

/// A proxy that swallows what is on its way and closes nothing. Statements were waited for until the process was
/// restarted, while every metric was green.
#[tokio::test]
async fn connections_that_are_cut_without_a_word_are_given_up_and_the_work_goes_on() {
    let (world, mut config) = world().await;
    let wire = Wire::to(world.cluster.port()).await;
    config.database.url = wire.url("postgres");
    config.database.statement_timeout = Duration::from_secs(1);
    config.doorbell.heartbeat = Duration::from_secs(1);
    config.doorbell.safety_poll = Duration::from_millis(300);
    let daemon = Running::start(config).await;
    world.sql("update delivery set address = 'first' where id = 1").await;
    arrived(&world, 1).await;
    wire.cut_all();
    world.sql("update delivery set address = 'second' where id = 1").await;
    let began = Instant::now();
    arrived(&world, 2).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    // All of it: what is not in use is not used again, and hearing works.
    world.sql("update delivery set address = 'third' where id = 1").await;
    arrived(&world, 3).await;
    until(&world, "select state = 'sent' from rowbell.message order by message_id desc limit 1")
        .await;
    daemon.stop().await;
}

/// How a server that is not well treats those that come.
#[derive(Clone, Copy)]
enum Host {
    /// Takes the connection and says nothing.
    Mute,
    /// Refuses TLS, and says nothing after that.
    MuteAfterTls,
}

async fn ill(host: Host) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Host::MuteAfterTls = host {
                let _ = stream.read_exact(&mut [0; 8]).await;
                let _ = stream.write_all(b"N").await;
            }
            taken.push(stream);
        }
    });
    port
}

/// porsager/postgres #988: a host that takes connections and never answers kept clients from the next one.
#[tokio::test]
async fn a_host_that_never_answers_does_not_keep_us_from_the_next_one() {
    let (world, config) = world().await;
    let frozen = Wire::to(world.cluster.port()).await;
    let good = world.cluster.port();
    let attributes = ["", "&target_session_attrs=read-write"];
    let silent = [ill(Host::Mute).await, ill(Host::MuteAfterTls).await, frozen.port()];
    let cases = silent.into_iter().flat_map(|port| attributes.map(|more| (port, more)));
    for (port, more) in cases {
        let mut database = config.database.clone();
        // The last of them takes the startup, and no question.
        frozen.mute_next(1);
        let url = "postgresql://postgres@127.0.0.1";
        database.url = format!("{url}:{port},127.0.0.1:{good}/postgres?sslmode=prefer{more}");
        database.connect_timeout = Duration::from_secs(1);
        let client = pool::get(&pool::connect(&database).unwrap()).await.unwrap();
        client.batch_execute("select 1").await.unwrap();
    }
    let mut database = config.database.clone();
    database.url = format!("postgresql://postgres@127.0.0.1:{}/postgres", silent[0]);
    database.connect_timeout = Duration::from_millis(300);
    let error = pool::get(&pool::connect(&database).unwrap()).await.err().unwrap();
    let said = rowbell::error_chain::chain(&error);
    assert!(
        said.contains(&format!("127.0.0.1:{} did not answer within 0.3 s", silent[0])),
        "{said}"
    );
}

/// A listening session is there that rang itself just now.
const LISTENING: &str =
    "select count(*) = 1 from pg_stat_activity where query ilike '%pg_listening_channels%'
    and query_start > clock_timestamp() - interval '1 s' and pid <> pg_backend_pid()";

/// aws-c-io #292: the listening session met a server that takes connections and says nothing, and was never seen again.
#[tokio::test]
async fn a_listening_session_that_meets_silence_tries_again() {
    let (world, mut config) = world().await;
    let wire = Wire::to(world.cluster.port()).await;
    config.database.url = wire.url("postgres");
    config.database.connect_timeout = Duration::from_secs(1);
    config.doorbell.heartbeat = Duration::from_secs(1);
    let daemon = Running::start(config).await;
    until(&world, ASLEEP).await;
    wire.mute_next(1);
    wire.silence_listeners();
    let met = async {
        while wire.still_mute() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, met).await.unwrap();
    until(&world, LISTENING).await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    arrived(&world, 1).await;
    daemon.stop().await;
}

/// Every connection of the server is taken by others: what waits leaves as soon as there is one again, and meanwhile it
/// is said why not.
#[tokio::test]
async fn where_no_connection_is_left_the_work_goes_on_with_the_next_one() {
    let mut world = crate::harness::World::new().await;
    let url = world.cluster.url("postgres");
    let mut theirs = Vec::new();
    while let Ok(one) = rowbell_lab::demo::testbed::connect(&url).await {
        theirs.push(one);
    }
    assert!(theirs.len() > 50, "{}", theirs.len());
    world.sql("update delivery set address = 'moved' where id = 1").await;
    // Ours are ended, and their places taken at once.
    world
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowbell%'")
        .await;
    while let Ok(one) = rowbell_lab::demo::testbed::connect(&url).await {
        theirs.push(one);
    }
    let mut errors = Vec::new();
    for _ in 0..20 {
        match world.stages.claim.step().await {
            Err(error) => errors.push(rowbell::error_chain::chain(&error)),
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    assert!(errors.iter().any(|why| why.contains("too many clients already")), "{errors:?}");
    drop(theirs);
    let began = Instant::now();
    while world.stages.claim.step().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.settle().await;
    assert_eq!(world.read(crate::harness::MARIA).len(), 1);
}
