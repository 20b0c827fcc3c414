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

/// Where PgBouncers are, with colons between them: of several versions, each is tried. `scripts/test` installs Debian's.
const PROGRAMS: &str = "ROWBELL_PGBOUNCER";

fn programs() -> Vec<String> {
    let named = std::env::var(PROGRAMS).unwrap_or_else(|_| "/usr/sbin/pgbouncer".into());
    let programs: Vec<String> = named.split(':').map(str::to_owned).collect();
    for program in &programs {
        assert!(
            std::path::Path::new(program).exists(),
            "there is no {program}: install Debian's package pgbouncer, or name programs in {PROGRAMS}"
        );
    }
    programs
}

/// Whether a PgBouncer keeps prepared statements for its clients where they share sessions: since 1.21.
fn knows_prepared(program: &str) -> bool {
    let version = std::process::Command::new(program).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 21)
}

/// A running PgBouncer. Ends when it is dropped.
pub struct PgBouncer {
    process: Child,
    pub url: String,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl PgBouncer {
    async fn start(world: &World, program: &str, settings: &str) -> PgBouncer {
        PgBouncer::run(world, program, "postgres", settings).await
    }

    /// The first of them; whoever comes is this user at the server.
    pub async fn for_user(world: &World, user: &str, settings: &str) -> PgBouncer {
        PgBouncer::run(world, &programs()[0], user, settings).await
    }

    async fn run(world: &World, program: &str, user: &str, settings: &str) -> PgBouncer {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let file = world.cluster.socket_folder().join(format!("pgbouncer-{port}.ini"));
        let server = world.cluster.port();
        std::fs::write(
            &file,
            format!(
                "[databases]\n* = host=127.0.0.1 port={server} user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
            ),
        )
        .unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut command = world.cluster.program(program);
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

/// What PgBouncer may be set to while sessions are our own.
const OWN: [&str; 4] = [
    "",
    "server_reset_query_always = 1",
    "ignore_startup_parameters = options, extra_float_digits",
    "server_lifetime = 1\nserver_idle_timeout = 1",
];

/// neon #6291, n8n #25705: a pooler refuses what it does not know at the beginning of a session.
#[tokio::test]
async fn in_session_mode_everything_works() {
    for program in programs() {
        let mut modes: Vec<String> = OWN.iter().map(|mode| (*mode).to_owned()).collect();
        if knows_prepared(&program) {
            modes.extend([0, 200].map(|most| format!("max_prepared_statements = {most}")));
        }
        let (world, mut config) = world().await;
        let mut times = 0;
        for mode in modes {
            let mode = format!("pool_mode = session\n{mode}");
            let pgbouncer = PgBouncer::start(&world, &program, &mode).await;
            config.database.url = pgbouncer.url.clone();
            let daemon = Running::start(config.clone()).await;
            for _ in 0..2 {
                times += 1;
                until(&world, ASLEEP).await;
                let update = format!("update delivery set address = 'Street {times}' where id = 1");
                world.sql(&update).await;
                arrived(&world, times).await;
            }
            daemon.stop().await;
            // What was set is gone with the session.
            let theirs = testbed::connect(&pgbouncer.url).await.unwrap();
            let row = theirs.query_one("select current_setting('enable_seqscan')", &[]).await;
            assert_eq!(row.unwrap().get::<_, String>(0), "on", "{program} {mode}");
        }
    }
}

/// A pooler that does not reset a session before the next one gets it: what we set would make statements of others fail.
#[tokio::test]
async fn where_sessions_are_not_reset_rowbell_refuses() {
    let (world, mut config) = world().await;
    for program in programs() {
        for reset in ["", "select 1", "deallocate all"] {
            let mode = format!("pool_mode = session\nserver_reset_query = {reset}");
            let pgbouncer = PgBouncer::start(&world, &program, &mode).await;
            config.database.url = pgbouncer.url.clone();
            let pool = pool::connect(&config.database).unwrap();
            let error = pool::get(&pool).await.err();
            let error = error.unwrap_or_else(|| panic!("{program} {reset:?}: it was taken"));
            let said = chain(&error);
            assert!(said.contains("leave server_reset_query of PgBouncer"), "{program} {said}");
            assert!(error.is_refusal());
        }
    }
}

/// Where the pooler gives the session that was left longest ago, ours comes back late: after all others have had a turn.
#[tokio::test]
async fn where_sessions_take_turns_one_that_is_not_reset_is_known_when_it_comes_back() {
    let (world, mut config) = world().await;
    for (others, tries) in [(2, 1), (12, 3)] {
        let mode = "pool_mode = session\nserver_reset_query = \nserver_round_robin = 1";
        let pgbouncer = PgBouncer::start(&world, &programs()[0], mode).await;
        let mut theirs = Vec::new();
        for _ in 0..others {
            theirs.push(testbed::connect(&pgbouncer.url).await.unwrap());
        }
        drop(theirs);
        config.database.url = pgbouncer.url.clone();
        let pool = pool::connect(&config.database).unwrap();
        let mut kept = Vec::new();
        let mut refused = None;
        for _ in 0..tries {
            match pool::get(&pool).await {
                Ok(client) => kept.push(client),
                Err(error) => refused = refused.or(Some(chain(&error))),
            }
        }
        let said = refused.unwrap_or_else(|| panic!("{others}: it was taken"));
        assert!(said.contains("leave server_reset_query of PgBouncer"), "{said}");
    }
}

/// Sessions that are shared, with prepared statements and without.
const SHARED: [&str; 5] = [
    "pool_mode = transaction",
    "pool_mode = transaction\nignore_startup_parameters = options",
    "pool_mode = transaction\ndefault_pool_size = 1",
    "pool_mode = transaction\nserver_round_robin = 1",
    "pool_mode = statement",
];

#[tokio::test]
async fn where_sessions_are_shared_rowbell_refuses_says_the_way_out_and_leaves_nothing_behind() {
    let (world, mut config) = world().await;
    for program in programs() {
        let mut modes: Vec<String> = SHARED.iter().map(|mode| (*mode).to_owned()).collect();
        if knows_prepared(&program) {
            let kept = [0, 1, 200].map(|most| format!("\nmax_prepared_statements = {most}"));
            let with = |mode: &&str| kept.clone().map(|kept| format!("{mode}{kept}"));
            modes.extend(SHARED.iter().flat_map(with));
            modes.push(
                "pool_mode = transaction\ntrack_extra_parameters = search_path, IntervalStyle"
                    .to_owned(),
            );
        }
        for mode in modes {
            let pgbouncer = PgBouncer::start(&world, &program, &mode).await;
            config.database.url = pgbouncer.url.clone();
            let pool = pool::connect(&config.database).unwrap();
            let error = pool::get(&pool).await.err();
            let error = error.unwrap_or_else(|| panic!("{program} {mode}: it was taken"));
            let said = chain(&error);
            assert!(said.contains("set pool_mode = session"), "{program} {mode}: {said}");
            assert!(error.is_refusal(), "{program} {mode}: check calls it a mistake");
            let theirs = testbed::connect(&pgbouncer.url).await.unwrap();
            let kept = theirs.simple_query("select current_setting('enable_seqscan')").await;
            let kept = kept.unwrap().iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            assert_eq!(kept.as_deref(), Some("on"), "{program} {mode}");
        }
    }
}
