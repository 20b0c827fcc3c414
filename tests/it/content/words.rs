//! What a phone shows: values as people write them, names that mean what the table means, and silence about what
//! nobody can see.

use crate::harness::{HEAD, MARIA, World};

const SCHEMA: &str = "
    create table customer (id bigint primary key, full_name text, phone text, locale text, secret_note text);
    insert into customer values (1, 'Maria', '+1 212 200 0001', 'en', 'pays late');
    create table place (id bigint primary key, name text);
    insert into place values (1, 'Main St'), (2, 'Main St'), (3, 'Far Rd'), (4, null), (5, null);
    create table seat (
        id bigint primary key, customer_id bigint default 1, \"row\" text, seat text, zone text, operation text,
        recipient text, old text, note text, driver text, is_fragile boolean, tags text[], meta jsonb,
        place_id bigint, secret_note text default 'VIP', fee numeric(10,2)
    );
    insert into seat (id, \"row\", seat, zone, operation, recipient, old, note, driver, is_fragile, tags, meta, place_id)
    values (1, 'F', '13', 'South', 'none', 'Front desk', 'x', '', 'Dan', false, '{bread}', '{\"door\": 1}', 1);";

const WATCH: &str = r#"body = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
[watch.seat]
table     = "public.seat"
channel   = "main"
template  = "service_change"
service   = "seat"
columns   = ["row", "seat", "zone", "operation", "recipient", "old", "note", "driver", "is_fragile", "tags", "meta", "place_id", "fee"]
context   = ["secret_note"]
recipient = "select full_name as name, phone, locale from customer where id = changed.customer_id"
quiet_period = "0s"
lookup.place_id.sql = "select name from place where id = wanted.place_id"
[[watch.seat.say]]
when    = ["row", "seat"]
text.en = "Row {{ row }}, seat {{ seat }}, zone {{ zone }}."
text.es = "Fila {{ row }}, asiento {{ seat }}."
[[watch.seat.say]]
when    = ["operation", "recipient", "old"]
text.en = "{{ operation }}, {{ recipient }}, {{ old }}."
[[watch.seat.say]]
when    = ["driver"]
text.en = "Your driver is {{ driver }} ({{ 'now ' ~ driver | default('nobody yet') }})."
[[watch.seat.say]]
when    = ["is_fragile"]
text.en = "Fragile: {{ is_fragile }}."
[[watch.seat.say]]
when    = ["tags", "meta"]
text.en = "In it: {{ tags }}; {{ meta }}; lift {{ meta.lift }}."
[[watch.seat.say]]
when    = ["fee"]
text.en = "Fee {{ fee }}{% if fee > 10 %}!{% endif %}{{ ' for you' if fee < 10 }}"
"#;

/// What Maria reads about an update; None: nothing.
async fn told(world: &mut World, set: &str) -> Option<String> {
    let before = world.read(MARIA).len();
    world.sql(&format!("update seat set {set} where id = 1")).await;
    world.settle().await;
    let read = world.read(MARIA).get(before)?.clone();
    let start = read.find("updated. ").unwrap() + "updated. ".len();
    Some(read[start..read.rfind(" If you need").unwrap()].to_owned())
}

/// statamic/cms #2242, commcare-hq PR 18021.
#[tokio::test]
async fn a_rule_tells_the_columns_it_names_as_people_write_them_and_nothing_else() {
    let mut world = World::over(SCHEMA, &(HEAD.to_owned() + WATCH), "").await;
    for (set, expected) in [
        (
            "\"row\" = 'G', seat = '14', zone = 'North'",
            "Row G, seat 14, zone North. zone: South → North.",
        ),
        ("operation = 'x-ray'", "x-ray, Front desk, x."),
        ("driver = null", "Your driver is — (now nobody yet)."),
        ("driver = 'Eve'", "Your driver is Eve (now Eve)."),
        ("is_fragile = true", "Fragile: yes."),
        ("is_fragile = null", "Fragile: —."),
        ("tags = '{bread,milk}'", "In it: bread and milk; door: 1; lift —."),
        (
            "meta = '{\"door\": null, \"floor\": 2, \"lift\": true}'",
            "In it: bread and milk; door: —, lift: yes, and floor: 2; lift yes.",
        ),
        ("fee = 1234.5", "Fee 1,234.50!"),
        ("fee = 50", "Fee 50.00!"),
        ("fee = 5", "Fee 5.00 for you"),
        (
            "meta = '{\"room\": {}, \"keys\": []}'",
            "In it: bread and milk; keys: — and room: —; lift —.",
        ),
    ] {
        assert_eq!(told(&mut world, set).await.as_deref(), Some(expected), "{set}");
    }
    world.sql("update customer set locale = 'es'").await;
    assert_eq!(
        told(&mut world, "seat = '15'").await.as_deref(),
        Some("Row G, seat 15, zone North.")
    );
}

/// C libraries write `es_MX.UTF-8`, browsers `es-MX,es;q=0.9`, librarians `spa`: they were told in another language.
#[tokio::test]
async fn a_language_is_known_by_whatever_name_a_row_has_it() {
    let config = HEAD.replace("{ default = \"en\" }", "{ default = \"en\", es = \"es\" }") + WATCH;
    let mut world = World::over(SCHEMA, &config, "").await;
    for (number, (locale, code)) in [
        ("es_MX.UTF-8", "es"),
        ("es-MX,es;q=0.9,en", "es"),
        ("spa", "es"),
        ("es_419", "es"),
        ("C", "en"),
        ("english", "en"),
    ]
    .into_iter()
    .enumerate()
    {
        world.sql(&format!("update customer set locale = '{locale}'")).await;
        world.sql(&format!("update seat set fee = {number} where id = 1")).await;
        world.settle().await;
        let told = "select language from rowbell.message order by message_id desc limit 1";
        assert_eq!(world.value(told).await, code, "{locale}: {:?}", world.messages().await);
    }
}

/// What a phone shows stays the same: there is nothing to tell.
#[tokio::test]
async fn a_change_that_nobody_can_see_is_silence() {
    let mut world = World::over(SCHEMA, &(HEAD.to_owned() + WATCH), "").await;
    for set in [
        "note = null",
        "note = ' '",
        "note = e'\\u200b'",
        "place_id = 2",
        "driver = ' Dan'",
        "driver = E'Dan\\n'",
        "tags = '{\" bread\"}'",
    ] {
        assert_eq!(told(&mut world, set).await, None, "{set}");
    }
    assert_eq!(told(&mut world, "note = 'a  b'").await.as_deref(), Some("note: a b."));
    assert_eq!(told(&mut world, "note = 'a b'").await, None);
    assert_eq!(
        told(&mut world, "note = E'cafe\\u0301'").await.as_deref(),
        Some("note: a b → cafe\u{301}.")
    );
    assert_eq!(told(&mut world, "note = E'caf\\u00e9'").await, None);
    assert_eq!(
        told(&mut world, "place_id = 3").await.as_deref(),
        Some("place id: Main St → Far Rd.")
    );
    assert_eq!(told(&mut world, "place_id = 4").await.as_deref(), Some("place id: Far Rd → —."));
    assert_eq!(told(&mut world, "place_id = 5").await, None, "from one without a name to another");
    let reasons = "select distinct reason from rowbell.message where state = 'skipped'";
    assert_eq!(world.value(reasons).await, "no_net_change");
    // What is seen beside it is told alone.
    assert_eq!(
        told(&mut world, "note = ' café', fee = 5").await.as_deref(),
        Some("Fee 5.00 for you")
    );
}

/// A note that fills a message by itself hid what it became: customers took the old one for the news.
#[tokio::test]
async fn a_long_value_does_not_hide_what_it_became() {
    let mut world = World::over(SCHEMA, &(HEAD.to_owned() + WATCH), "").await;
    let long = ["repeat('Ring the bell at the gate. ', 100)", "repeat('x', 5000)"];
    for long in long {
        told(&mut world, &format!("note = {long}, secret_note = 'a'")).await.unwrap();
        let said = told(&mut world, "note = 'Leave it'").await.unwrap();
        assert!(said.starts_with("note: ") && said.ends_with("… → Leave it."), "{said}");
        told(&mut world, &format!("note = {long}, zone = {long}")).await.unwrap();
        let said = told(&mut world, &format!("note = 'y' || {long}, zone = 'North'")).await;
        let said = said.unwrap();
        assert!(said.contains("… → y") && said.contains("… → North."), "{said}");
    }
}
