//! What must hold when all lives are over, whatever happened in them.

use std::collections::{HashMap, HashSet};

use crate::harness::World;
use crate::people::replay::{Data, Lives};

/// What one person has read of one delivery, in order.
type Readings = HashMap<(usize, usize), Vec<Reading>>;

/// What one message said.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    text: String,
    told: Told,
    /// Addresses that it names as those before.
    was: Option<String>,
}

/// What somebody knows of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Gone,
    Is { address: String, status: String },
}

impl Told {
    fn of(row: &serde_json::Value) -> Told {
        let text = |column: &str| row.get(column).and_then(|value| value.as_str());
        match (text("address"), text("status")) {
            (Some(address), Some(status)) => {
                Told::Is { address: address.into(), status: status.into() }
            }
            _ => Told::Gone,
        }
    }
}

/// `17 is address 3, planned, until …, it was address 2, planned; 18 gone, it was address 4, planned;`
fn readings_in(text: &str) -> impl Iterator<Item = (usize, Reading)> {
    text.split(';').map(str::trim).filter(|one| !one.is_empty()).map(reading)
}

fn reading(text: &str) -> (usize, Reading) {
    let (id, rest) = text.split_once(' ').unwrap();
    let was =
        rest.rsplit_once("it was ").and_then(|(_, was)| was.split(", ").next()).map(str::to_owned);
    let told = match rest.strip_prefix("is ").map(|is| is.split(", ").collect::<Vec<_>>()) {
        Some(is) => Told::Is { address: is[0].to_owned(), status: is[1].to_owned() },
        None => Told::Gone,
    };
    (id.parse().unwrap(), Reading { text: text.to_owned(), told, was })
}

/// Of which deliveries a message speaks, and what it says.
pub fn told(text: &str) -> impl Iterator<Item = (usize, Told)> {
    readings_in(text).map(|(id, reading)| (id, reading.told))
}

pub async fn judge(world: &World, lives: &Lives) {
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
    none(
        "nothing is told of the past",
        "
        select a.message_id, a.started_at, m.new_row from rowbell.message m join rowbell.attempt a using (message_id)
         where a.number = m.attempt_count and m.state in ('sent', 'delivered', 'read') and (m.new_row ->> 'window_end')::timestamptz <= a.started_at",
    )
    .await;
    let sent = "select count(*) filter (where result = 'accepted') <= $1
                   and count(*) filter (where result in ('accepted', 'unknown')) >= $1
                  from rowbell.attempt where carried_by is null";
    let count = i64::try_from(world.sandbox.count()).unwrap();
    let is_on_record: bool = world.db.query_one(sent, &[&count]).await.unwrap().get(0);
    assert!(is_on_record, "what left is on record");
    let readings = readings(world, lives);
    assert!(readings.len() > lives.versions.len(), "most of it was told: {}", readings.len());
    let mut wrong = at_once(world).await;
    wrong.extend(strangers(lives, &readings));
    wrong.extend(not_as_the_row(world, lives, &readings).await);
    wrong.extend(not_as_the_ledger(world, lives, &readings).await);
    wrong.extend(twice(world, lives, &readings).await);
    if let Some((id, what)) = wrong.first() {
        let story = story(world, lives, *id, &readings).await;
        let others: Vec<&str> =
            wrong.iter().skip(1).take(10).map(|(_, what)| what.as_str()).collect();
        panic!("{} wrong, the first: {what}\n{story}\nothers: {others:#?}", wrong.len());
    }
}

/// What arrived, in the order of arrival.
fn readings(world: &World, lives: &Lives) -> Readings {
    let mut readings = Readings::new();
    for message in world.sandbox.all_seen() {
        if lives.failed.contains_key(&message.id) {
            continue;
        }
        let person = lives.phones[&message.phone];
        for (id, reading) in readings_in(&message.parameters[2]) {
            readings.entry((id, person)).or_default().push(reading);
        }
    }
    readings
}

type Wrong = (usize, String);

/// Requests of one delivery to one person at the same time.
async fn at_once(world: &World) -> Vec<Wrong> {
    let at_once = "
        select m.entity_key, a.message_id, b.message_id from rowbell.attempt a
          join rowbell.message m on m.message_id = a.message_id
          join rowbell.message n on n.entity_key = m.entity_key and n.message_id > m.message_id
          join rowbell.attempt b on b.message_id = n.message_id
         where coalesce(a.parameters, m.parameters) ->> 0 = coalesce(b.parameters, n.parameters) ->> 0
           and 'not_sent' not in (a.result::text, b.result::text)
           and b.started_at < a.finished_at and a.started_at < b.finished_at";
    let at_once = world.db.query(at_once, &[]).await.unwrap();
    let wrong = |row: &tokio_postgres::Row| {
        let (id, one, other): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
        (id.parse().unwrap(), format!("messages {one} and {other} were sent at once"))
    };
    at_once.iter().map(wrong).collect()
}

/// Values that stood in the row only while it was somebody else's.
fn strangers(lives: &Lives, readings: &Readings) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for ((id, person), all) in readings {
        let theirs = |row: &&Data| row.people.contains(person);
        let own: HashSet<&str> = lives.versions[*id]
            .iter()
            .flatten()
            .filter(theirs)
            .map(|row| row.address.as_str())
            .collect();
        for reading in all {
            let is = match &reading.told {
                Told::Is { address, .. } => Some(address),
                Told::Gone => None,
            };
            for address in is.into_iter().chain(&reading.was).filter(|was| *was != "—") {
                if !own.contains(address.as_str()) {
                    wrong.push((
                        *id,
                        format!("p{person} has read of {id} what was not theirs: {address}"),
                    ));
                }
            }
        }
    }
    wrong
}

/// Those to whom nothing is sent any more.
async fn opted_out(world: &World, lives: &Lives) -> HashSet<usize> {
    let phones = world.db.query("select phone from rowbell.opt_out", &[]).await.unwrap();
    phones.iter().map(|row| lives.phones[row.get::<_, &str>(0)]).collect()
}

/// People who do not know the row as it is, or that it is no longer theirs.
async fn not_as_the_row(world: &World, lives: &Lives, readings: &Readings) -> Vec<Wrong> {
    let opted_out = opted_out(world, lives).await;
    let mut wrong = Vec::new();
    for id in 0..lives.versions.len() {
        let people = lives.now(id).as_ref().map_or(Vec::new(), |row| row.people.clone());
        let knows = readings.keys().filter(|(of, person)| *of == id && !people.contains(person));
        let (before, mut people): (Vec<usize>, Vec<usize>) =
            (knows.map(|key| key.1).collect(), people);
        people.extend(before);
        for person in people.into_iter().filter(|person| !opted_out.contains(person)) {
            let row = lives.now(id).as_ref().filter(|row| row.people.contains(&person));
            let should = row.map_or(Told::Gone, |row| Told::Is {
                address: row.address.clone(),
                status: row.status.clone(),
            });
            let last = readings.get(&(id, person)).and_then(|all| all.last());
            // What went when its window was over is told to nobody, nor what was muted.
            let is_excused = Lives::is_excused(id) && should == Told::Gone
                || lives.came_and_went(id) && failed_at_last(world, id, person).await;
            if last.map(|last| &last.told) != Some(&should) && !is_excused {
                wrong.push((
                    id,
                    format!("p{person} has read of {id} {last:?}, but it is {should:?}"),
                ));
            }
        }
    }
    wrong
}

/// Whether the last message to a person about a delivery failed for good.
async fn failed_at_last(world: &World, id: usize, person: usize) -> bool {
    let last = format!(
        "select state from rowbell.message where entity_key = '{id}' and recipient_key = 'p{person}'
          order by message_id desc limit 1"
    );
    world.value(&last).await == "failed"
}

/// People who have read something else than the ledger says.
async fn not_as_the_ledger(world: &World, lives: &Lives, readings: &Readings) -> Vec<Wrong> {
    let ledger = "select entity_key::bigint, substr(recipient_key, 2)::bigint, status::text, row
                    from rowbell.last_told where recipient_key <> ''
                   order by told_at, message_id, attempt";
    let mut known: HashMap<(usize, usize), Vec<(bool, Told)>> = HashMap::new();
    for row in world.db.query(ledger, &[]).await.unwrap() {
        let (id, person, status): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
        let told: Option<serde_json::Value> = row.get(3);
        let told = told.map_or(Told::Gone, |row| Told::of(&row));
        let all = known
            .entry((usize::try_from(id).unwrap(), usize::try_from(person).unwrap()))
            .or_default();
        // What is certain is what they know; what comes after it may have been read.
        let is_certain = matches!(status.as_str(), "accepted" | "arrived" | "silenced");
        if is_certain {
            all.clear();
        }
        all.push((is_certain, told));
    }
    let mut wrong = Vec::new();
    for (key @ (id, person), all) in readings {
        // What was muted counts as told, and was not.
        if lives.muted[*id] {
            continue;
        }
        let last = &all.last().unwrap().told;
        let Some(known) = known.get(key) else {
            wrong.push((
                *id,
                format!("p{person} has read of {id} {last:?}; the ledger does not know"),
            ));
            continue;
        };
        if !known.iter().any(|(_, told)| told == last) {
            wrong.push((
                *id,
                format!("p{person} has read of {id} {last:?}; the ledger says {known:?}"),
            ));
        }
    }
    for ((id, person), told) in &known {
        if !readings.contains_key(&(*id, *person))
            && !lives.muted[*id]
            && told.iter().any(|told| told.0)
        {
            wrong.push((
                *id,
                format!("p{person} has read nothing of {id}; the ledger says {told:?}"),
            ));
        }
    }
    wrong
}

/// Deliveries and people of whom an answer was lost.
pub async fn lost(world: &World) -> HashSet<(usize, usize)> {
    // A message that waits for its next try may be for somebody else by then: its attempt says to whom that was.
    let lost = "select distinct m.entity_key::bigint, substr(coalesce(a.parameters, m.parameters) ->> 0, 8)::bigint
                  from rowbell.attempt a join rowbell.message m using (message_id) where a.result = 'unknown'";
    let lost = world.db.query(lost, &[]).await.unwrap();
    lost.iter()
        .map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)))
        .map(|(id, person)| (usize::try_from(id).unwrap(), usize::try_from(person).unwrap()))
        .collect()
}

/// The same said twice in a row, though no answer was lost and nothing failed late: what is told before the failure of
/// the message between them is reported is told once more.
async fn twice(world: &World, lives: &Lives, readings: &Readings) -> Vec<Wrong> {
    let lost = lost(world).await;
    let mut failed: HashSet<(usize, usize)> = HashSet::new();
    for message in world.sandbox.all_seen() {
        if lives.failed.contains_key(&message.id) {
            let person = lives.phones[&message.phone];
            failed.extend(readings_in(&message.parameters[2]).map(|(id, _)| (id, person)));
        }
    }
    let mut wrong = Vec::new();
    for (key @ (id, person), all) in readings {
        if lost.contains(key) || failed.contains(key) || lives.muted[*id] {
            continue;
        }
        for pair in all.windows(2).filter(|pair| pair[0].text == pair[1].text) {
            wrong.push((*id, format!("p{person} has read of {id} twice: {}", pair[0].text)));
        }
    }
    wrong
}

/// All that is known of one delivery.
async fn story(world: &World, lives: &Lives, id: usize, readings: &Readings) -> String {
    let lines = async |sql: &str| {
        let sql = sql.replace("ID", &format!("'{id}'"));
        let sql = format!("select string_agg(x::text, e'\\n') from ({sql}) as x");
        world.value(&sql).await
    };
    let mut text = format!("versions: {:#?}\n", lives.versions[id]);
    text += &lines(
        "select message_id, recipient_key, is_for_all as is_all, operation, state, reason, reason_text, change_count,
                old_row, new_row, summary, created_at, first_changed_at, last_changed_at, updated_by
           from rowbell.message where entity_key = ID order by message_id",
    )
    .await;
    text += "\nattempts\n";
    text += &lines(
        "select a.message_id, a.number, a.result, a.error_code, a.error_text, a.started_at, a.finished_at, a.parameters
           from rowbell.attempt a join rowbell.message m using (message_id) where entity_key = ID order by a.started_at",
    )
    .await;
    text += "\nledger\n";
    text += &lines("select recipient_key, message_id, attempt, status, told_at, row from rowbell.last_told where entity_key = ID order by told_at").await;
    text += "\nread\n";
    for ((_, person), all) in readings.iter().filter(|((of, _), _)| *of == id) {
        all.iter().for_each(|reading| text += &format!("p{person}: {}\n", reading.text));
    }
    text += "\naccepted\n";
    for message in world.sandbox.all_seen() {
        if readings_in(&message.parameters[2]).any(|(of, _)| of == id) {
            let (person, failed) = (lives.phones[&message.phone], lives.failed.get(&message.id));
            text += &format!(
                "{} p{person} {} {failed:?}\n",
                message.received_at, message.parameters[2]
            );
        }
    }
    text
}
