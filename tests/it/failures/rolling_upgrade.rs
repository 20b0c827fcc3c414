//! The next release has migrated while daemons of this one are at work. What only adds lets them go on, so that they
//! are exchanged one by one and nobody waits for a message.

use rowbell::postgres::schema::migrate::known_version;

use super::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_are_exchanged_one_by_one_on_a_schema_that_only_got_more() {
    let mut site = Site::new().await;
    let one = site.daemon("one").await;
    let two = site.daemon("two").await;
    site.until_ready("one").await;
    site.change(20).await;
    let known = known_version();
    site.sql(&format!(
        "set lock_timeout = 0;
         alter table rowbell.message add column of_the_next_release text;
         alter table rowbell.queue add column of_the_next_release text default 'x' not null;
         alter table rowbell.attempt add column of_the_next_release text;
         update rowbell.installation set schema_version = {}, oldest_daemon = {known}",
        known + 1
    ))
    .await;
    site.change(20).await;
    assert!(one.stop().await.unwrap().success());
    site.change(20).await;
    // One of this release is started again, before it is exchanged: the machine came up anew.
    let one = site.daemon("one").await;
    site.until_ready("one").await;
    assert!(two.stop().await.unwrap().success());
    site.change(20).await;
    site.nothing_is_lost_or_doubled("the next release has migrated").await;
    assert!(one.stop().await.unwrap().success());
}
