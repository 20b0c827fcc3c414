//! Races between writers and a daemon that goes to sleep. Each is forced, and each shows that the
//! change is found at once, not by the safety poll, which is set to an hour here.

use std::time::Duration;

use rowbell::app::{App, Sockets};
use rowbell::clock::Clock;
use rowbell::config::Config;
use rowbell_lab::demo::testbed;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::World;

/// The longest that a change may take; far below the safety poll.
pub const SOON: Duration = Duration::from_secs(20);

/// A daemon in the background.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn start(config: Config) -> Running {
        Running::start_with(config, Clock::system()).await
    }

    /// On a host with this clock.
    pub async fn start_with(config: Config, clock: Clock) -> Running {
        let app = App::build(config, clock, &mut Sockets::default()).await.unwrap();
        let stop = CancellationToken::new();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            app.run(stopping, move || ready.send(()).unwrap()).await.unwrap();
        });
        is_ready.await.unwrap();
        Running { stop, task }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// As a crash: nothing is written on the way out.
    pub async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Every change leaves at once, and nothing is found by the safety poll.
pub async fn world() -> (World, Config) {
    let world = World::with("").await;
    // Its own stages only watch: the daemon need not wait for their channel.
    world.stages.channel_lease.give_up().await.unwrap();
    let mut config = (*world.config).clone();
    config.doorbell.safety_poll = Duration::from_secs(3600);
    config.doorbell.heartbeat = Duration::from_secs(3600);
    config.watch.get_mut("home_delivery").unwrap().quiet_period = Duration::ZERO;
    (world, config)
}

pub async fn until(world: &World, sql: &str) {
    let end = tokio::time::Instant::now() + SOON;
    while world.value(sql).await != "true" {
        assert!(tokio::time::Instant::now() < end, "it did not come true: {sql}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

const PARKED: &str = "select last_value = 2 from rowbell.doorbell";
/// The daemon sleeps: the bell says parked, and its session is idle and was not used for a while.
pub const ASLEEP: &str = "select last_value = 2 and not exists (select from pg_stat_activity
    where application_name = 'rowbell' and (state <> 'idle' or state_change > clock_timestamp() - interval '400 ms'))
    from rowbell.doorbell";
const AWAKE: &str = "select last_value = 1 from rowbell.doorbell";

async fn session(world: &World) -> tokio_postgres::Client {
    testbed::connect(&world.cluster.url("postgres")).await.unwrap()
}

pub async fn arrived(world: &World, count: u64) {
    world.sandbox.wait_for(count, SOON).await.unwrap();
}

#[tokio::test]
async fn a_change_while_the_daemon_sleeps_is_rung_for() {
    let (world, config) = world().await;
    let daemon = Running::start(config).await;
    until(&world, ASLEEP).await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    arrived(&world, 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_writer_that_read_awake_and_commits_after_the_daemon_parked() {
    let (world, config) = world().await;
    // The bell says awake while no daemon runs.
    until(&world, AWAKE).await;
    let writer = session(&world).await;
    writer
        .batch_execute("begin; update delivery set address = 'moved' where id = 1")
        .await
        .unwrap();
    // A later transaction that has ended: the highest id is not the writer's.
    world.sql("update delivery set note = 'x' where id = 2").await;
    let daemon = Running::start(config).await;
    until(&world, PARKED).await;
    // A daemon that did not wait for the writer would be asleep after this while; one that keeps
    // looking for as long as the writer runs finds the change however long that is.
    world.sql("select pg_sleep(1)").await;
    // The writer will not ring.
    writer.batch_execute("commit").await.unwrap();
    arrived(&world, 1).await;
    until(&world, ASLEEP).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_repeatable_read_writer_sees_the_present_of_the_bell() {
    let (world, config) = world().await;
    let writer = session(&world).await;
    // Its snapshot is from when the bell said awake.
    writer
        .batch_execute("begin isolation level repeatable read; select count(*) from delivery")
        .await
        .unwrap();
    let daemon = Running::start(config).await;
    until(&world, ASLEEP).await;
    writer
        .batch_execute("update delivery set address = 'moved' where id = 1; commit")
        .await
        .unwrap();
    arrived(&world, 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_savepoint_that_is_rolled_back_takes_its_ring_along_and_the_next_change_rings_again() {
    let (world, config) = world().await;
    let daemon = Running::start(config).await;
    until(&world, ASLEEP).await;
    world
        .sql(
            "begin; savepoint a; update delivery set address = 'one' where id = 1; rollback to a; \
              update delivery set address = 'two' where id = 1; commit",
        )
        .await;
    arrived(&world, 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_that_crashed_while_parked_leaves_nothing_behind() {
    let (world, config) = world().await;
    let daemon = Running::start(config.clone()).await;
    until(&world, ASLEEP).await;
    daemon.crash().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    let daemon = Running::start(config).await;
    arrived(&world, 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_that_crashed_while_awake_leaves_nothing_behind() {
    let (world, config) = world().await;
    world.sql("select setval('rowbell.doorbell', 1)").await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    let daemon = Running::start(config).await;
    arrived(&world, 1).await;
    daemon.stop().await;
    until(&world, AWAKE).await;
}

/// graphile #541: once its session was lost, a worker heard nothing any more until it was restarted.
#[tokio::test]
async fn a_listening_session_that_is_cut_is_renewed_and_looks_first_each_time() {
    let (world, config) = world().await;
    let daemon = Running::start(config).await;
    for times in 1..=3 {
        until(&world, ASLEEP).await;
        let moved = format!("update delivery set address = 'moved {times}' where id = 1");
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowbell'";
        world.sql(&format!("begin; {cut}; {moved}; commit")).await;
        arrived(&world, times).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn writers_that_never_pause_and_a_daemon_that_parks_all_the_time_lose_nothing() {
    let (mut world, config) = world().await;
    world
        .sql("insert into delivery select i, 1, 'planned', now(), now(), 'x' from generate_series(10, 409) i; delete from rowbell.change")
        .await;
    let daemon = Running::start(config).await;
    let url = world.cluster.url("postgres");
    let writers: Vec<JoinHandle<()>> = (0..4)
        .map(|writer| {
            let url = url.clone();
            tokio::spawn(async move {
                let client = testbed::connect(&url).await.unwrap();
                for i in 0..100 {
                    let id = 10 + writer * 100 + i;
                    let sql = format!(
                        "begin; update delivery set address = 'moved' where id = {id}; commit"
                    );
                    client.batch_execute(&sql).await.unwrap();
                    // Pauses around the linger time, so that parking and writing meet at every point.
                    tokio::time::sleep(Duration::from_millis((i * 7 % 40) as u64)).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    arrived(&world, 400).await;
    daemon.stop().await;
    world.work().await;
    assert_eq!(world.sandbox.count(), 400);
}
