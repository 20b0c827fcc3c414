//! Behind PgBouncer. In session mode everything works. Where it lends us another server session for each transaction,
//! our settings and locks would reach the sessions of others: rowbell refuses, and says what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use rowbell::error_chain::chain;
use rowbell::postgres::connection::pool;
use rowbell_lab::demo::testbed;

use crate::capture::doorbell::{ASLEEP, Running, arrived, until, world};
use crate::harness::World;

/// Where PgBouncer is; `scripts/test` installs Debian's.
const PROGRAM: &str = "ROWBELL_PGBOUNCER";

/// A running PgBouncer. Ends when it is dropped.
struct PgBouncer {
    process: Child,
    url: String,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl PgBouncer {
    async fn start(world: &World, settings: &str) -> PgBouncer {
        let program = std::env::var(PROGRAM).unwrap_or_else(|_| "/usr/sbin/pgbouncer".into());
        assert!(
            std::path::Path::new(&program).exists(),
            "there is no {program}: install Debian's package pgbouncer, or name the program in {PROGRAM}"
        );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let file = world.cluster.socket_folder().join(format!("pgbouncer-{port}.ini"));
        let server = world.cluster.port();
        std::fs::write(
            &file,
            format!(
                "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
            ),
        )
        .unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut command = world.cluster.program(&program);
        let process =
            command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        let end = tokio::time::Instant::now() + Duration::from_secs(10);
        while testbed::connect(&url).await.is_err() {
            assert!(tokio::time::Instant::now() < end, "PgBouncer does not take connections");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        PgBouncer { process, url }
    }
}

/// neon #6291, n8n #25705: a pooler refuses what it does not know at the beginning of a session.
#[tokio::test]
async fn in_session_mode_everything_works() {
    let (world, mut config) = world().await;
    let pgbouncer = PgBouncer::start(&world, "pool_mode = session").await;
    config.database.url = pgbouncer.url.clone();
    let daemon = Running::start(config).await;
    for times in 1..=2 {
        until(&world, ASLEEP).await;
        world.sql(&format!("update delivery set address = 'Street {times}' where id = 1")).await;
        arrived(&world, times).await;
    }
    daemon.stop().await;
    // What was set is gone with the session.
    let theirs = testbed::connect(&pgbouncer.url).await.unwrap();
    let row = theirs.query_one("select current_setting('enable_seqscan')", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "on");
}

#[tokio::test]
async fn where_sessions_are_shared_rowbell_refuses_says_the_way_out_and_leaves_nothing_behind() {
    let (world, mut config) = world().await;
    let modes = [
        "pool_mode = transaction",
        "pool_mode = transaction\nignore_startup_parameters = options",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = statement",
    ];
    for mode in modes {
        let pgbouncer = PgBouncer::start(&world, mode).await;
        config.database.url = pgbouncer.url.clone();
        let pool = pool::connect(&config.database).unwrap();
        let error = pool::get(&pool).await.err().unwrap_or_else(|| panic!("{mode}: it was taken"));
        let said = chain(&error);
        assert!(said.contains("set pool_mode = session"), "{mode}: {said}");
        assert!(error.is_refusal(), "{mode}: check calls it a mistake");
        let theirs = testbed::connect(&pgbouncer.url).await.unwrap();
        let kept = theirs.simple_query("select current_setting('enable_seqscan')").await.unwrap();
        let kept = kept.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        assert_eq!(kept.as_deref(), Some("on"), "{mode}");
    }
}
