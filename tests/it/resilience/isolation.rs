//! What is broken stays alone: a channel that hangs holds up no other.

use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::capture::doorbell::{Running, SOON};
use crate::harness::World;
use crate::limits::limits::{SCHEMA, config};

/// Sequin #2154: one sink that hung stopped all of them.
#[tokio::test]
async fn a_provider_that_hangs_on_one_channel_holds_up_no_other() {
    let main = "concurrency = 2";
    let world = World::made(SCHEMA, |url, folder, provider| {
        config(main, "", "")
            .replace("{database}", url)
            .replace("{folder}", &folder.display().to_string())
            .replace("{provider}", provider)
    })
    .await;
    let hang = |person: u64| {
        let phone = (12_122_000_000 + person).to_string();
        FaultRule::always(Fault::Hang { accepted: false }).for_phone(&phone)
    };
    world.sandbox.set_faults((26..=40).map(hang).collect());
    world.stages.channel_lease.give_up().await.unwrap();
    let daemon = Running::start((*world.config).clone()).await;
    world.sql("update orders set note = 'moved' where id between 26 and 40").await;
    // Its requests are on the way, and no answer comes.
    let hang = |counts: &rowbell_lab::sandbox::SandboxCounts| counts.faults >= 2;
    world.sandbox.wait_until(SOON, hang).await.unwrap();
    world.sql("update parcels set note = 'moved' where id <= 10").await;
    world.sandbox.wait_for(10, SOON).await.unwrap();
    let seen = world.sandbox.all_seen();
    assert!(seen.iter().all(|message| message.parameters[1] == "parcels"), "{seen:?}");
    let waits = "select count(*) from rowbell.queue where channel = 'main'";
    assert_eq!(world.value(waits).await, "15", "those of the other channel are still to leave");
    daemon.crash().await;
}
