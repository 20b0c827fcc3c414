//! Thousands of random lives of deliveries, all at once: edits, edits taken back, deletes, returns, muted edits, rows
//! that go over to others and come back, one to four people who come and go, new phones; refusals at once and late,
//! those that stop the channel or a template in one language among them, lost answers, crashes; all of it while messages wait, are in flight or in doubt. Whatever happened, in the end
//! everybody knows the row if it is theirs, nobody has read what it held for others, and the ledger says what the
//! phones have read. So it is once more after a time in which nothing was captured, when somebody has caught up.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::pipeline::context::stage::Stage as _;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::World;
use crate::people::gap::gap;
use crate::people::judge::judge;

/// Deliveries; each lives its own life. More with ROWBELL_LIVES=5000; the same again with the seed that is printed.
const LIVES: usize = 1_250;
/// Events in each life.
const EVENTS: usize = 6;
/// Every eighth delivery is also muted, and its window ends up in the past now and then: what its people know then
/// has to be excused here and there. That of the others has not.
const EXCUSED: usize = 8;

const SCHEMA: &str = "
    create table person (id bigint primary key, full_name text, phone text);
    create table delivery (
        id bigint primary key, people bigint[] not null, address text, status text, window_end timestamptz not null
    );
    insert into person
    select i, 'Person ' || i, '+12122' || lpad(i::text, 6, '0') from generate_series(0, LIVES - 1) as i;
    insert into delivery
    select i, array[i], 'address 0', 'planned', date_trunc('day', now()) + interval '30 days'
      from generate_series(0, LIVES - 1) as i;";

/// Each message says the whole row, so that what a person knows is what they read last.
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
language  = { default = "en", es = "es" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
[watch.life]
table        = "public.delivery"
channel      = "main"
template     = "service_change"
service      = "delivery"
columns      = ["address", "status", "window_end"]
context      = ["people"]
on           = ["insert", "update", "delete"]
recipient    = """
  select 'p' || p.id as recipient_key, p.full_name as name, p.phone,
         case when p.id % 3 = 0 then 'es' else 'en' end as locale
    from person p where p.id = any (changed.people)
   order by p.id"""
expires_at   = "window_end"
quiet_period = "0s"
unconfirmed  = "resend"
[[watch.life.say]]
operation = "delete"
text.en = "{{ id }} gone, it was {{ address }}, {{ status }};"
[[watch.life.say]]
operation = "withdrawn"
text.en = "{{ id }} not yours, it was {{ address }}, {{ status }};"
[[watch.life.say]]
covers  = ["*"]
text.en = "{{ id }} is {{ address }}, {{ status }}, until {{ window_end | date }}, it was {{ old.address }}, {{ old.status }};"
"#;

/// A row as the business knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    pub address: String,
    pub status: String,
    pub days: i32,
    pub people: Vec<usize>,
}

/// None: deleted.
pub type Version = Option<Data>;

/// All that happens to the deliveries.
pub struct Lives {
    pub rng: StdRng,
    /// All that each of them was, the last one as it is.
    pub versions: Vec<Vec<Version>>,
    /// Those with a change that was muted.
    pub muted: Vec<bool>,
    /// Whose phone it is, of all that anybody had.
    pub phones: HashMap<String, usize>,
    /// What was accepted and did not arrive, by the ids of the provider.
    pub failed: HashMap<String, i32>,
    /// Messages of the provider of which a receipt was decided.
    judged: usize,
    addresses: usize,
    phone_count: usize,
}

impl Lives {
    fn new(seed: u64, lives: usize) -> Lives {
        let first = |id| Data {
            address: "address 0".into(),
            status: "planned".into(),
            days: 30,
            people: vec![id],
        };
        Lives {
            rng: StdRng::seed_from_u64(seed),
            versions: (0..lives).map(|id| vec![Some(first(id))]).collect(),
            muted: vec![false; lives],
            phones: (0..lives).map(|id| (format!("12122{id:06}"), id)).collect(),
            failed: HashMap::new(),
            judged: 0,
            addresses: 0,
            phone_count: lives,
        }
    }

    pub fn now(&self, id: usize) -> &Version {
        self.versions[id].last().unwrap()
    }

    pub fn is_excused(id: usize) -> bool {
        id.is_multiple_of(EXCUSED)
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.rng.random_range(0..many) == 0
    }

    /// What a day brings to one delivery; None: nothing.
    fn next(&mut self, id: usize) -> Option<Version> {
        let now = self.now(id).clone();
        let event = self.rng.random_range(0..20);
        let before =
            self.versions[id].len().checked_sub(2).map(|place| self.versions[id][place].clone());
        Some(match (event, now) {
            (0..4, _) => return None,
            (4..7, Some(now)) => Some(self.handed_over(id, now)),
            (7, Some(now)) => {
                let handed = self.handed_over(id, now);
                Some(self.edited(id, handed))
            }
            (8..11, _) if before.is_some() => before.flatten(),
            (11, _) => None,
            (_, Some(now)) => Some(self.edited(id, now)),
            (_, None) => {
                let people = self.people(id);
                Some(Data { people, ..self.fresh() })
            }
        })
    }

    pub fn fresh(&mut self) -> Data {
        self.addresses += 1;
        Data {
            address: format!("address {}", self.addresses),
            status: "planned".into(),
            days: 30,
            people: Vec::new(),
        }
    }

    /// Some column changes; now and then the window ends up in the past.
    fn edited(&mut self, id: usize, row: Data) -> Data {
        match self.rng.random_range(0..10) {
            0..5 => Data { address: self.fresh().address, ..row },
            5..8 => {
                let status = ["planned", "shipped"][self.rng.random_range(0..2)].to_owned();
                Data { status, ..row }
            }
            8 if Lives::is_excused(id) => Data { days: -1, ..row },
            _ => Data { days: self.rng.random_range(20..23), ..row },
        }
    }

    /// Somebody near, so that every phone hears of several deliveries.
    fn somebody(&mut self, id: usize) -> usize {
        (id + self.rng.random_range(0..6)) % self.versions.len()
    }

    /// Mostly one person, at most four.
    pub fn people(&mut self, id: usize) -> Vec<usize> {
        let count = if self.one_in(3) { self.rng.random_range(2..5) } else { 1 };
        let mut people: Vec<usize> = (0..count).map(|_| self.somebody(id)).collect();
        people.sort_unstable();
        people.dedup();
        people
    }

    /// All others, one more, one less.
    pub fn handed_over(&mut self, id: usize, mut row: Data) -> Data {
        match self.rng.random_range(0..3) {
            0 if row.people.len() < 4 => row.people.push(self.somebody(id)),
            1 if row.people.len() > 1 => {
                let place = self.rng.random_range(0..row.people.len());
                row.people.remove(place);
            }
            _ => row.people = self.people(id),
        }
        row.people.sort_unstable();
        row.people.dedup();
        row
    }

    /// Whether a delivery that was gone came for a moment and went again, at last: that is nothing to tell, also to those
    /// whom the message failed that told them first that it was gone.
    pub fn came_and_went(&self, id: usize) -> bool {
        matches!(self.versions[id].as_slice(), [.., None, Some(_), None])
    }

    /// One event in every life.
    async fn live(&mut self, world: &World) {
        let (mut loud, mut muted) = (Vec::new(), Vec::new());
        for id in 0..self.versions.len() {
            let Some(next) = self.next(id) else { continue };
            // A muted change must not be a delete: whether somebody hears of a row is another story.
            let is_both = self.now(id).is_some() && next.is_some();
            let is_muted = Lives::is_excused(id) && is_both && self.one_in(3);
            self.versions[id].push(next);
            self.muted[id] |= is_muted;
            (if is_muted { &mut muted } else { &mut loud }).push(id);
        }
        self.write(world, &loud, false).await;
        self.write(world, &muted, true).await;
        self.new_phones(world).await;
    }

    /// The last event: every row is changed once more, is there again, or goes.
    async fn end(&mut self, world: &World) {
        let ids: Vec<usize> = (0..self.versions.len()).collect();
        for id in &ids {
            let next = match self.now(*id).clone() {
                Some(_) if self.one_in(10) => None,
                Some(now) => {
                    let address = self.fresh().address;
                    Some(Data { address, days: 30, ..now })
                }
                None => {
                    let people = self.people(*id);
                    Some(Data { people, ..self.fresh() })
                }
            };
            self.versions[*id].push(next);
        }
        self.write(world, &ids, false).await;
    }

    /// Writes rows as they are now: one transaction, as a batch job of the business would.
    pub async fn write(&self, world: &World, ids: &[usize], mute: bool) {
        let mute = if mute { "set local rowbell.mute = 'by hand';" } else { "" };
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        for id in ids {
            match self.now(*id) {
                None => gone.push(id.to_string()),
                Some(Data { address, status, days, people }) => there.push(format!(
                    "({id}, array{people:?}, '{address}', '{status}', date_trunc('day', now()) + interval '{days} days')"
                )),
            }
        }
        let mut sql = format!("begin; {mute}");
        if !gone.is_empty() {
            sql += &format!("delete from delivery where id in ({});", gone.join(", "));
        }
        if !there.is_empty() {
            sql += &format!(
                "insert into delivery (id, people, address, status, window_end) values {}
                 on conflict (id) do update set people = excluded.people, address = excluded.address,
                                                status = excluded.status, window_end = excluded.window_end;",
                there.join(", ")
            );
        }
        world.sql(&(sql + "commit")).await;
    }

    /// A few people have new phones.
    async fn new_phones(&mut self, world: &World) {
        let mut changed = Vec::new();
        for _ in 0..self.versions.len() / 100 {
            let person = self.rng.random_range(0..self.versions.len());
            let phone = format!("12122{:06}", self.phone_count);
            self.phone_count += 1;
            changed.push(format!("({person}, '+{phone}')"));
            self.phones.insert(phone, person);
        }
        if !changed.is_empty() {
            let changed = changed.join(", ");
            world.sql(&format!("update person set phone = n.phone from (values {changed}) as n (id, phone) where person.id = n.id")).await;
        }
    }

    /// Until nothing is left that has to leave.
    pub async fn settle(&mut self, world: &mut World) {
        for _ in 0..LAST_ROUNDS {
            world.work().await;
            if world.value("select count(*) from rowbell.queue").await == "0" {
                break;
            }
            self.receive(world, false).await;
            world.pass(Duration::from_secs(301));
        }
    }

    /// Some of what the provider accepted arrives, some fails late; of the rest nothing is heard.
    async fn receive(&mut self, world: &World, is_failing: bool) {
        let seen = world.sandbox.all_seen();
        let mut receipts = Vec::new();
        // Now and then WhatsApp drops a few of what it had accepted, because it pauses a template or the account.
        let stops = (is_failing && !self.one_in(3))
            .then(|| STOPPING_CODES[self.rng.random_range(0..STOPPING_CODES.len())]);
        for message in &seen[self.judged..] {
            let id = &message.id;
            let receipt = |status, code| Receipt {
                provider_message_id: id.clone(),
                status,
                error_code: code,
                ..Receipt::default()
            };
            let late = stops.filter(|_| self.one_in(50)).or_else(|| {
                (is_failing && self.one_in(15))
                    .then(|| LATE_CODES[self.rng.random_range(0..LATE_CODES.len())])
            });
            if let Some(code) = late {
                self.failed.insert(id.clone(), code);
                receipts.push(receipt(ReceiptStatus::Failed, Some(code)));
            } else if self.one_in(2) {
                receipts.push(receipt(ReceiptStatus::Delivered, None));
            }
        }
        self.judged = seen.len();
        for receipts in receipts.chunks(500) {
            world.receipts(receipts.to_vec()).await;
        }
    }
}

/// What is reported late: of the class slow (a limit of the phone, of the number), retry, recipient, content, later and
/// opted out.
const LATE_CODES: [i32; 12] = [
    131_056, 131_056, 130_429, 131_000, 131_000, 131_026, 131_026, 131_026, 131_053, 131_049,
    131_050, 131_016,
];

/// What is reported late and stops a template in one language, or the whole channel.
const STOPPING_CODES: [i32; 5] = [132_015, 132_015, 132_001, 131_042, 131_031];

/// Rounds in which what is left at the end may leave: a stopped circuit closes when a message that it tried arrives.
const LAST_ROUNDS: usize = 60;

/// The daemon works for a while, and is interrupted anywhere: before a claim, after it, or with messages in flight. It
/// may die there.
async fn interrupted(world: &mut World, rng: &mut StdRng) {
    for _ in 0..rng.random_range(0..20) {
        world.stages.claim.step().await.unwrap();
    }
    for _ in 0..rng.random_range(0..10) {
        for compose in &mut world.stages.composes {
            compose.step().await.unwrap();
        }
    }
    if rng.random_range(0..2) == 0 {
        // What it had leased is lost with it.
        world.restart().await;
    }
}

#[tokio::test]
async fn random_lives_end_with_everybody_knowing_their_rows() {
    random_lives(CONFIG, LIVES).await;
}

/// The same where what is due for one person is one message: it is refused, lost, found and failed late as a whole.
#[tokio::test]
async fn so_they_do_where_messages_are_joined() {
    let joined = "quiet_period = \"1s\"\ndigest       = \"recipient\"";
    let world = random_lives(&CONFIG.replace("quiet_period = \"0s\"", joined), LIVES / 2).await;
    let carried = "select count(*) from rowbell.attempt where carried_by is not null";
    assert_ne!(world.value(carried).await, "0", "some messages were joined");
}

async fn random_lives(config: &str, lives: usize) -> World {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("ROWBELL_SEED").unwrap_or_else(rand::random::<u64>);
    println!("ROWBELL_SEED={seed}");
    let count = number("ROWBELL_LIVES").and_then(|lives| lives.try_into().ok()).unwrap_or(lives);
    let mut world = World::over(&SCHEMA.replace("LIVES", &count.to_string()), config, "").await;
    let mut lives = Lives::new(seed, count);
    for round in 0..EVENTS {
        let share = if round % 2 == 0 { 0.1 } else { 0.0 };
        world.sandbox.set_faults(vec![
            FaultRule::share(share, Fault::Refused { status: 500 }),
            FaultRule::share(share / 5.0, Fault::Code { code: 131_026 }),
            FaultRule::share(share / 2.0, Fault::Drop { accepted: true }),
            FaultRule::share(share / 4.0, Fault::Drop { accepted: false }),
        ]);
        lives.live(&world).await;
        if lives.one_in(2) {
            interrupted(&mut world, &mut lives.rng).await;
        }
        if !lives.one_in(3) {
            world.work().await;
            lives.receive(&world, true).await;
        }
        let time = lives.rng.random_range(1..400);
        world.pass(Duration::from_secs(time));
    }
    world.sandbox.set_faults(Vec::new());
    lives.end(&world).await;
    // What waits for evidence, and what WhatsApp chose not to deliver for a day.
    let waits = [1, 301, 301, 301, 301, 90_000, 301, 200_000, 301, 301];
    for wait in waits {
        world.work().await;
        lives.receive(&world, false).await;
        world.pass(Duration::from_secs(wait));
    }
    lives.settle(&mut world).await;
    let stops = "select coalesce(sum(opened_count), 0) from rowbell.circuit";
    println!("circuits stopped {} times", world.value(stops).await);
    judge(&world, &lives).await;
    gap(&mut world, &mut lives).await;
    judge(&world, &lives).await;
    world
}
