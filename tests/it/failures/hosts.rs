//! Several hosts in `database.url`, and connections on which nothing is heard any more.

use rowbell_lab::demo::cluster::Cluster;

use super::site::Site;
use crate::delivery::wire::Wire;

/// The hosts of `database.url`, in this order.
fn lead_to(site: &Site, ports: [u16; 2], more: &str) {
    let [first, second] = ports;
    let hosts = format!(
        "postgresql://postgres@127.0.0.1:{first},127.0.0.1:{second}/crm?sslmode=disable{more}"
    );
    site.configure(&site.testbed.url(), &hosts);
}

/// A frozen proxy, or a firewall that has forgotten the connection: bytes go nowhere, and nobody is told. New connections
/// are taken and nothing is said on them either, until somebody mends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_swallow_what_is_said() {
    let mut site = Site::new().await;
    let wire = Wire::to(site.testbed.cluster.port()).await;
    site.configure(&site.testbed.url(), &wire.url("crm"));
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.change(20).await;
    wire.mute_next(usize::MAX);
    wire.cut_all();
    site.change(20).await;
    site.until_not_ready("one", "[-] database: it did not answer").await;
    site.until_not_ready("one", "[-] listener: ").await;
    wire.mute_next(0);
    site.until_ready("one").await;
    site.nothing_is_lost_or_doubled("half-open").await;
    assert!(daemon.stop().await.unwrap().success());
}

/// The first host takes connections and never says a word: the daemon starts over the second, and goes over to it when
/// the first falls silent under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_host_that_is_mute() {
    let mut site = Site::new().await;
    let server = site.testbed.cluster.port();
    let wire = Wire::to(server).await;
    lead_to(&site, [wire.port(), server], "");
    wire.mute_next(usize::MAX);
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.change(20).await;
    site.nothing_is_lost_or_doubled("mute from the start").await;
    assert!(daemon.stop().await.unwrap().success());

    wire.mute_next(0);
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.change(20).await;
    wire.mute_next(usize::MAX);
    wire.cut_all();
    site.change(20).await;
    site.nothing_is_lost_or_doubled("mute under way").await;
    site.until_ready("one").await;
    assert!(daemon.stop().await.unwrap().success());
}

/// The primary dies, its standby is promoted. Until then there is nobody to write to, and the daemon says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted() {
    let mut site = Site::new().await;
    // What is confirmed is on both of them: what is lost with an asynchronous standby is lost for the business too.
    site.sql("alter system set synchronous_standby_names = '*'").await;
    site.sql("alter system set synchronous_commit = 'local'").await;
    site.sql("select pg_reload_conf()").await;
    let standby = site.testbed.cluster.standby().unwrap();
    site.sql("alter system reset synchronous_commit").await;
    site.sql("select pg_reload_conf()").await;
    lead_to(
        &site,
        [site.testbed.cluster.port(), standby.port()],
        "&target_session_attrs=read-write",
    );
    let daemon = site.daemon("one").await;
    site.until_ready("one").await;
    site.change(40).await;
    site.testbed.cluster.stop("immediate").unwrap();
    site.until_not_ready("one", "[-] database: it did not answer").await;
    promoted(&mut site, &standby).await;
    site.until_ready("one").await;
    site.change(40).await;
    site.nothing_is_lost_or_doubled("promoted").await;
    assert!(daemon.stop().await.unwrap().success());
}

/// The standby is the server from now on, and waits for no standby of its own.
async fn promoted(site: &mut Site, standby: &Cluster) {
    standby.promote().unwrap();
    site.url = standby.url("crm");
    let db = rowbell_lab::demo::testbed::connect(&site.url).await.unwrap();
    db.batch_execute("set synchronous_commit = local").await.unwrap();
    db.batch_execute("alter system reset synchronous_standby_names").await.unwrap();
    db.batch_execute("select pg_reload_conf()").await.unwrap();
}
