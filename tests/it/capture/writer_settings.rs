//! What is captured means the same whoever wrote it: psycopg2 #1451, pgjdbc #4294, lib/pq #616, typeorm #6111.

use rowbell::clock::Clock;
use rowbell::domain::value::row::Row;
use rowbell::operations::preview::preview;

use crate::harness::{HEAD, MARIA, World};

const THINGS: &str = "
    -- PostgreSQL 13 has no multiranges.
    do $$ begin
        if current_setting('server_version_num')::int < 140000 then create domain datemultirange as text; end if;
    end $$;
    create type span_of as (length interval, since timestamptz, weight real);
    create table thing (
        id bigint, created_at timestamptz, weight double precision, primary key (id, created_at, weight),
        status text default 'planned', address text default 'Main Street',
        days daterange, during tstzrange, free datemultirange, span interval, spans interval[], far timestamptz,
        old timestamptz, size double precision, sizes real[], place point, bytes bytea, mixed span_of
    );
    insert into thing values (
        1, '2030-06-25 10:00:00.5+00', 0.1::float8 + 0.2, default, default,
        '[2030-06-25,2030-06-27)', '[2030-06-25 10:00Z,2030-06-25 12:00Z)', '{[2030-06-25,2030-06-27)}',
        '1 day 02:03:04', array['1 mon'::interval], '9999-12-31 23:59:59+00', '0044-03-15 12:00:00+00 BC',
        0.1::float8 + 0.2, array[0.3::real], '(0.1,0.30000000000000004)', '\\xdeadbeef',
        row('1 day 02:03:04', '2030-06-25 10:00Z', 0.3)::span_of
    );";

const WATCH: &str = r#"body = ["you", "thing", "{{ summary }}"]
[watch.thing]
table = "thing"
channel = "main"
template = "service_change"
columns = ["status", "address", "days", "during", "free", "span", "spans", "far", "old", "size", "sizes", "place",
           "bytes", "mixed"]
recipient = "select 'you' as name, '+1 212 200 0001' as phone"
on = ["update", "delete"]
quiet_period = "20s"
"#;

/// Sessions as drivers and people set them.
const WRITERS: [&str; 4] = [
    "set timezone = 'UTC'; set datestyle = 'ISO, MDY'",
    "set timezone = 'Europe/Berlin'; set datestyle = 'German'; set intervalstyle = 'iso_8601'; \
     set extra_float_digits = 0; set bytea_output = 'escape'",
    "set timezone = 'America/New_York'; set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; \
     set extra_float_digits = -15",
    "set timezone = 'Asia/Kathmandu'; set datestyle = 'Postgres, DMY'; set intervalstyle = 'postgres_verbose'; \
     set extra_float_digits = 3",
];

async fn world() -> World {
    World::over(THINGS, &(HEAD.to_owned() + WATCH), "").await
}

/// Who changes the address changes the address only, whatever their session is set to.
#[tokio::test]
async fn a_value_is_told_by_no_writer_as_changed_because_their_session_writes_it_in_another_way() {
    for writer in WRITERS {
        let mut world = world().await;
        world.sql(&format!("{writer}; update thing set address = 'Side Street'")).await;
        world.settle().await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), 1, "{writer}: {read:?} {:?}", world.messages().await);
        assert!(read[0].contains("updated. address: Main Street → Side Street. If"), "{read:?}");
        let errors =
            world.value("select count(*) from rowbell.change where capture_error is not null");
        assert_eq!(errors.await, "0");
    }
}

/// One row is one entity: a moment and a fraction in its key are the same key for every writer.
#[tokio::test]
async fn a_key_is_the_same_whoever_wrote_the_row() {
    let mut world = world().await;
    for (number, writer) in WRITERS.iter().enumerate() {
        world.sql(&format!("{writer}; update thing set address = 'Street {number}'")).await;
    }
    assert_eq!(world.value("select count(distinct entity_key) from rowbell.change").await, "1");
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?} {:?}", world.messages().await);
    assert!(read[0].contains("address: Main Street → Street 3. If"), "{read:?}");
    // The row is there, so nobody is told that it is gone; and a person may name it as they like.
    let mut client = world.stages.context.pool.get().await.unwrap();
    let (clock, row) = (Clock::system(), Row::default());
    let key = "01,2030-06-25 12:00:00.50+02,3.0000000000000004e-1";
    let shown = preview(&mut client, &world.config, &clock, "thing", key, &row).await.unwrap();
    assert!(shown[0].changes.is_empty(), "{:?}", shown[0].changes);
    let told = rowbell::cli::inspect::explain::tell(&client, &world.config, "thing", key, 5);
    assert_eq!(told.await.unwrap().story.messages.len(), 1);
    world.sql("delete from thing").await;
    world.settle().await;
    assert!(world.read(MARIA)[1].contains("It has been cancelled."));
}

/// A table that is not any more what it was: its changes are recorded by name, and in the same form.
#[tokio::test]
async fn what_is_recorded_by_name_is_in_the_same_form() {
    let world = world().await;
    world.sql("alter table thing drop column status").await;
    for (number, writer) in WRITERS.iter().enumerate() {
        world.sql(&format!("{writer}; update thing set address = 'Street {number}'")).await;
    }
    assert_eq!(world.value("select count(captured) from rowbell.change").await, "0");
    let forms =
        "select count(distinct (entity_key, old_row - 'address'))::text from rowbell.change";
    assert_eq!(world.value(forms).await, "1");
}

/// Setting costs every writer: a table whose values need nothing has a function that sets nothing.
#[tokio::test]
async fn a_table_without_such_values_costs_no_setting() {
    let world = World::new().await;
    let settings = "select coalesce(proconfig::text, 'none') from pg_proc where proname = 'capture_home_delivery'";
    assert_eq!(world.value(settings).await, "none");
}
