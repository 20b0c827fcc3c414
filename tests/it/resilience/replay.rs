//! Thousands of random lives of deliveries, all at once: edits, edits taken back, deletes, returns,
//! muted edits, refusals, lost answers, crashes. Whatever happened, in the end every customer was last told
//! what the row says, and has read that last; nothing was said twice in a row, nothing about the past.

use rowbell::pipeline::context::stage::Stage as _;
use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::World;

/// Deliveries; each lives its own life.
const LIVES: usize = 5_000;
/// Events in each life.
const EVENTS: usize = 6;

const SCHEMA: &str = "
    create table customer (id bigint primary key, full_name text, phone text);
    create table delivery (
        id bigint primary key, address text, status text, window_end timestamptz not null
    );
    insert into customer
    select i, 'Customer ' || i, '+1212200' || lpad(i::text, 4, '0') from generate_series(0, 4999) as i;
    insert into delivery
    select i, 'address 0', 'planned', date_trunc('day', now()) + interval '30 days' from generate_series(0, 4999) as i;";

/// Each message says the whole row, so that what a customer knows is what they read last.
const CONFIG: &str = r#"
[database]
url = "{database}"
[delivery]
lease = "60s"
unconfirmed_after = "5m"
retry_base = "2s"
retry_cap = "1m"
[polling]
enabled = false
{settings}
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
rate       = "100000/s"
timeout    = "20s"
[template.service_change]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = "en"
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
[watch.life]
table        = "public.delivery"
channel      = "main"
template     = "service_change"
service      = "delivery"
columns      = ["address", "status", "window_end"]
on           = ["insert", "update", "delete"]
recipient    = "select c.full_name as name, c.phone from customer c where c.id = changed.id"
expires_at   = "window_end"
quiet_period = "0s"
unconfirmed  = "resend"
{watch}
[[watch.life.say]]
covers  = ["*"]
text.en = "{{ address }}, {{ status }}, until {{ window_end | datetime }}."
"#;

/// A row as the business knows it; None: deleted.
type Row = Option<(String, String, i32)>;

/// What a day brings to one delivery.
enum Event {
    Edit,
    Muted,
    TakenBack,
    Deleted,
    Nothing,
}

fn event(rng: &mut StdRng) -> Event {
    match rng.random_range(0..20) {
        0..9 => Event::Edit,
        9..11 => Event::Muted,
        11..15 => Event::TakenBack,
        15..16 => Event::Deleted,
        _ => Event::Nothing,
    }
}

/// Some column changes; now and then the window ends up in the past.
fn edited(row: &Row, rng: &mut StdRng) -> Row {
    let (address, status, days) = row.clone().unwrap_or(("address 0".into(), "planned".into(), 30));
    Some(match rng.random_range(0..10) {
        0..5 => (format!("address {}", rng.random_range(0..4)), status, days),
        5..8 => (address, ["planned", "shipped"][rng.random_range(0..2)].to_owned(), days),
        8 => (address, status, rng.random_range(20..23)),
        _ => (address, status, -1),
    })
}

/// Writes rows as they are now: one transaction, as a batch job of the business would.
async fn write(world: &World, rows: &[(usize, &Row)], mute: bool) {
    let mute = if mute { "set local rowbell.mute = 'by hand';" } else { "" };
    let mut gone = Vec::new();
    let mut there = Vec::new();
    for (id, row) in rows {
        match row {
            None => gone.push(id.to_string()),
            Some((address, status, days)) => {
                there.push(format!("({id}, '{address}', '{status}', date_trunc('day', now()) + interval '{days} days')"));
            }
        }
    }
    let mut sql = format!("begin; {mute}");
    if !gone.is_empty() {
        sql += &format!("delete from delivery where id in ({});", gone.join(", "));
    }
    if !there.is_empty() {
        sql += &format!(
            "insert into delivery (id, address, status, window_end) values {}
             on conflict (id) do update set address = excluded.address, status = excluded.status, window_end = excluded.window_end;",
            there.join(", ")
        );
    }
    world.sql(&(sql + "commit")).await;
}

/// One event in every life.
async fn live(world: &World, lives: &mut [Vec<Row>], rng: &mut StdRng) {
    let (mut loud, mut muted) = (Vec::new(), Vec::new());
    for (id, life) in lives.iter_mut().enumerate() {
        let now = life.last().cloned().flatten();
        let next = match event(rng) {
            Event::Nothing => continue,
            Event::Deleted => None,
            Event::TakenBack if life.len() > 1 => life[life.len() - 2].clone(),
            Event::Edit | Event::Muted | Event::TakenBack => edited(&now, rng),
        };
        // A muted change must not be a delete: whether somebody hears of a row is another story.
        let is_muted = now.is_some() && next.is_some() && rng.random_range(0..8) == 0;
        life.push(next);
        (if is_muted { &mut muted } else { &mut loud }).push(id);
    }
    let rows =
        |ids: &[usize]| ids.iter().map(|id| (*id, lives[*id].last().unwrap())).collect::<Vec<_>>();
    write(world, &rows(&loud), false).await;
    write(world, &rows(&muted), true).await;
}

/// The daemon dies somewhere before it sends: what it had leased is lost with it.
async fn crash(world: &mut World, rng: &mut StdRng) {
    for _ in 0..rng.random_range(0..4) {
        world.stages.claim.step().await.unwrap();
    }
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    world.restart().await;
}

#[tokio::test]
async fn five_thousand_lives_end_with_every_customer_knowing_the_row() {
    let seed = std::env::var("ROWBELL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("ROWBELL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::over(SCHEMA, CONFIG, "").await;
    let first = Some(("address 0".to_owned(), "planned".to_owned(), 30));
    let mut lives = vec![vec![first]; LIVES];
    for round in 0..EVENTS {
        let share = if round % 2 == 0 { 0.1 } else { 0.0 };
        world.sandbox.set_faults(vec![
            FaultRule::share(share, Fault::Refused { status: 500 }),
            FaultRule::share(share / 5.0, Fault::Code { code: 131_026 }),
            FaultRule::share(share / 2.0, Fault::Drop { accepted: true }),
            FaultRule::share(share / 4.0, Fault::Drop { accepted: false }),
        ]);
        live(&world, &mut lives, &mut rng).await;
        if rng.random_range(0..2) == 0 {
            crash(&mut world, &mut rng).await;
        }
        if rng.random_range(0..3) > 0 {
            world.work().await;
        }
        world.pass(Duration::from_secs(rng.random_range(1..400)));
    }
    world.sandbox.set_faults(Vec::new());
    for _ in 0..8 {
        world.pass(Duration::from_secs(301));
        world.work().await;
    }
    judge(&world).await;
}

/// Counts of what must not be: each query finds the entities that break one promise.
async fn judge(world: &World) {
    let none = async |what: &str, sql: &str| {
        let found = world
            .value(&format!(
                "select string_agg(x::text, '; ') from (select * from ({sql}) as y limit 5) as x"
            ))
            .await;
        assert_eq!(found, "null", "{what}");
    };
    none("everything has left or ended", "select message_id, watch, state from rowbell.queue")
        .await;
    none("no change is forgotten", "select change_id from rowbell.change").await;
    none("what was last told is the row", NOT_AS_TOLD).await;
    none(
        "no entity got two messages at once",
        "
        select a.message_id, b.message_id as other from rowbell.attempt a
          join rowbell.message m on m.message_id = a.message_id
          join rowbell.message n on n.entity_key = m.entity_key and n.message_id > m.message_id
          join rowbell.attempt b on b.message_id = n.message_id
         where b.started_at < a.finished_at and a.started_at < b.finished_at",
    )
    .await;
    none(
        "nothing is told of the past",
        "
        select message_id, sent_at, new_row from rowbell.message
         where sent_at is not null and (new_row ->> 'window_end')::timestamptz <= sent_at",
    )
    .await;
    none("the same is not said twice in a row", "
        select * from (
            select message_id, entity_key, summary, new_row,
                   lag(summary) over by_age as before, lag(message_id) over by_age as before_id
              from rowbell.message where sent_at is not null
            window by_age as (partition by entity_key order by message_id)
        ) as m
         where summary = before
           and not exists (select from rowbell.message as quiet where quiet.entity_key = m.entity_key
                              and (quiet.reason = 'muted' or exists (select from rowbell.attempt as a where a.message_id = quiet.message_id and a.result = 'unknown'))
                              and quiet.message_id between before_id and m.message_id)").await;
    assert!(world.sandbox.count() > LIVES as u64, "most of it was told: {}", world.sandbox.count());
    judge_readers(world).await;
}

/// What the customers have read last, as the provider knows, is what the record says they were told last;
/// unless something failed, was over or muted since: what was unconfirmed before may have been read last.
async fn judge_readers(world: &World) {
    let mut read: HashMap<String, String> = HashMap::new();
    for message in world.sandbox.all_seen() {
        read.insert(message.phone, message.text);
    }
    let told = world.db.query(LAST_TOLD, &[]).await.unwrap();
    assert!(told.len() > LIVES / 2, "most of them were told something: {}", told.len());
    for row in &told {
        let (phone, summary): (String, String) = (row.get("phone"), row.get("summary"));
        let text = read.get(&phone).map_or("nothing", String::as_str);
        assert!(text.contains(&summary), "{phone} has read: {text}; was told: {summary}");
    }
    let sent = "select count(*) filter (where result = 'accepted') <= $1
                   and count(*) filter (where result in ('accepted', 'unknown')) >= $1
                  from rowbell.attempt";
    let count = i64::try_from(world.sandbox.count()).unwrap();
    let is_on_record: bool = world.db.query_one(sent, &[&count]).await.unwrap().get(0);
    assert!(is_on_record, "what left is on record");
}

/// What each customer was told last, where nothing failed, was over or muted since.
const LAST_TOLD: &str = "
    select distinct on (m.entity_key) m.recipient_phone as phone, m.summary
      from rowbell.message as m
     where m.sent_at is not null
       and not exists (select from rowbell.message as n
                        where n.entity_key = m.entity_key and n.message_id > m.message_id
                          and (n.state = 'failed' or n.reason in ('stale', 'muted')))
     order by m.entity_key, m.message_id desc";

/// Rows that their customers do not know, though nothing that stands on record excuses it: a refusal
/// for good after the last message, or a window that was over when it could have been told.
const NOT_AS_TOLD: &str = "
    with told as (
        select distinct on (entity_key) entity_key, message_id, new_row
          from rowbell.message where sent_at is not null
         order by entity_key, message_id desc
    ), known as (
        -- What was muted later counts as told, in the columns that it changed.
        select k.id::text as entity_key, coalesce(t.message_id, 0) as message_id,
               case when t.message_id is null then
                   (select m.old_row from rowbell.message as m where m.entity_key = k.id::text order by m.message_id limit 1)
               else t.new_row end as row
          from customer as k
          left join told as t on t.entity_key = k.id::text
    )
    select k.entity_key, k.row, to_jsonb(d) as is
      from known as k
      left join delivery as d on d.id::text = k.entity_key
      cross join unnest(array['address', 'status', 'window_end']) as c (name)
     where exists (select from rowbell.message as m where m.entity_key = k.entity_key)
       and case c.name when 'window_end' then (k.row ->> c.name)::timestamptz is distinct from d.window_end
                else k.row ->> c.name is distinct from to_jsonb(d) ->> c.name end
       and not exists (
           select from rowbell.message as m
            where m.entity_key = k.entity_key and m.message_id > k.message_id
              and (m.state = 'failed' or m.reason = 'stale'
                   or (m.reason = 'muted' and m.old_row ->> c.name is distinct from m.new_row ->> c.name)))";
