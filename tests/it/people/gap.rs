//! After the lives, a time in which nothing is captured: somebody catches up, and in the end everybody knows the rows as
//! they are, and was told nothing that they knew.

use std::collections::HashMap;

use rand::RngExt as _;
use rowbell::operations::catch_up::{self, CatchUpScope};
use rowbell::postgres::operations::holds::{self, HoldSelection};

use crate::harness::World;
use crate::people::judge::{lost, told};
use crate::people::replay::{Data, Lives, Version};

/// What the business does while the triggers are off.
async fn unseen(world: &World, lives: &mut Lives) {
    let mut changed = Vec::new();
    for id in 0..lives.versions.len() {
        let now = lives.now(id).clone();
        let next: Version = match (lives.rng.random_range(0..8), now) {
            (0..4, _) => continue,
            (4, Some(_)) => None,
            (5, Some(now)) => Some(lives.handed_over(id, now)),
            (_, Some(now)) => Some(Data { address: lives.fresh().address, ..now }),
            (_, None) => Some(Data { people: lives.people(id), ..lives.fresh() }),
        };
        lives.versions[id].push(next);
        changed.push(id);
    }
    world.sql("alter table delivery disable trigger user").await;
    lives.write(world, &changed, false).await;
    world.sql("alter table delivery enable trigger user").await;
}

/// What somebody types then: `rowbell catch-up life`, and `rowbell approve`.
async fn caught_up(world: &mut World) {
    let now = world.now();
    let mut client = world.stages.context.pool.get().await.unwrap();
    let scope = CatchUpScope::default();
    let found = catch_up::look(&mut client, &world.config, &world.clock, "life", &scope).await;
    let found = found.unwrap();
    assert!(found.missed.len() > found.compared / 10, "{} missed", found.missed.len());
    let hold_id = catch_up::hold(&mut client, "life", &found, now).await.unwrap();
    drop(client);
    let wanted = HoldSelection { hold_id: Some(hold_id), watch: None };
    let hold = holds::list(&world.db, &wanted).await.unwrap().remove(0);
    holds::approve(&mut world.db, &hold, hold.messages, now).await.unwrap();
}

pub async fn gap(world: &mut World, lives: &mut Lives) {
    unseen(world, lives).await;
    let before = world.sandbox.all_seen().len();
    caught_up(world).await;
    lives.settle(world).await;

    // Whoever read something read something else before, unless an answer had been lost.
    let lost = lost(world).await;
    let mut known = HashMap::new();
    for (place, message) in world.sandbox.all_seen().into_iter().enumerate() {
        let person = lives.phones[&message.phone];
        if lives.failed.contains_key(&message.id) {
            continue;
        }
        for (id, told) in told(&message.parameters[2]) {
            let key = (id, person);
            let last = known.insert(key, told.clone());
            let is_new = last.as_ref() != Some(&told);
            assert!(
                place < before || is_new || lost.contains(&key) || lives.muted[id],
                "p{person} knew of {id}: {}",
                message.text
            );
        }
    }
}
