//! Rows of every kind: by whatever key they go, whatever partition they lie in, and where nothing tells them apart.

use rowbell::finding::Severity;
use rowbell::operations::check;

use crate::harness::{HEAD, JUAN, MARIA, World};

const YOU: &str = "recipient = \"select 'you' as name, '+1 212 200 0001' as phone\"\n";

fn config(table: &str, watch: &str) -> String {
    HEAD.to_owned() + "body = [\"you\", \"thing\", \"{{ summary }}\"]\n" + &section(table, watch)
}

fn section(table: &str, watch: &str) -> String {
    format!(
        "[watch.{table}]\ntable = \"{table}\"\nchannel = \"main\"\ntemplate = \"service_change\"\n\
         on = [\"update\", \"delete\"]\nquiet_period = \"0s\"\n{watch}"
    )
}

/// What `rowbell check` says of a setting, worst first.
async fn said(world: &World, place: &str) -> Vec<(bool, String)> {
    let mut client = world.stages.context.pool.get().await.unwrap();
    let report = check::online(&mut client, &world.config).await;
    let found = report.findings.into_iter().filter(|finding| finding.key == place);
    found.map(|finding| (finding.severity == Severity::Error, finding.what)).collect()
}

/// JSON writes a list or an object in a form that PostgreSQL does not read back: such a row was never told, and its
/// stories were two.
#[tokio::test]
async fn a_row_is_found_by_a_key_of_any_type() {
    let keys = [
        ("int[]", "'{1,2}'", "'{3,NULL}'"),
        ("text[]", "array['a,b', 'c\"d']", "'{x}'"),
        ("ints", "'{1,2}'", "'{2}'"),
        ("date[]", "'{2030-01-02}'", "'{infinity}'"),
        ("timestamptz[]", "'{2030-01-01 00:00+00}'", "'{infinity}'"),
        ("pair", "'(1,\"a,b\")'", "'(,)'"),
        ("tidy", "'(2030-01-01 00:00+00,0.1)'", "'(,NaN)'"),
        ("jsonb", "'\"abc\"'", "'17'"),
        ("jsonb", "'{\"a\": \"b\"}'", "'null'"),
        ("jsonb[]", "array['{\"a\": 1}'::jsonb]", "array['\"x\"'::jsonb]"),
        ("mood", "'so, so'", "'b\\c'"),
        ("interval", "'1 month'", "'30 days 00:00:01'"),
        ("float8", "'NaN'", "'-0'"),
        ("numeric", "1.50", "'NaN'"),
        ("timestamptz", "'infinity'", "'4000-01-01 BC'"),
        ("date", "'infinity'", "'0044-03-15 BC'"),
        ("int4range", "'[1,5)'", "'empty'"),
        ("bytea", "'\\x00ff'", "'\\x01'"),
        ("bit(3)", "'101'", "'111'"),
        ("timetz", "'12:00+05:30'", "'24:00+00'"),
        ("inet", "'10.0.0.1/8'", "'10.0.0.1'"),
        ("\"char\"", "'a'", "'b'"),
        ("text", "''", "' '"),
    ];
    let mut schema =
        "create type pair as (a int, b text); create type tidy as (t timestamptz, f float8);
                      create domain ints as int[]; create type mood as enum ('so, so', 'b\\c');"
            .to_owned();
    let mut config = HEAD.to_owned() + "body = [\"you\", \"thing\", \"{{ summary }}\"]\n";
    for (number, (type_name, one, other)) in keys.iter().enumerate() {
        for (table, more, key) in [
            (format!("single{number}"), "", "\"k\""),
            (format!("double{number}"), ", n int not null default 3", "\"n\", \"k\""),
        ] {
            schema += &format!(
                "create table {table} (k {type_name} not null{more}, s text);
                 insert into {table} (k, s) values ({one}, 'a'), ({other}, 'a');\n"
            );
            config += &section(&table, &format!("key = [{key}]\ncolumns = [\"s\"]\n{YOU}"));
        }
    }
    let config = config.replace("provider   =", "pair_burst = 0\nprovider   =");
    let mut world = World::over(&schema, &config, "").await;
    let writers = [
        "set datestyle = 'German'; set timezone = 'Asia/Kathmandu'; set extra_float_digits = 0",
        "set datestyle = 'SQL, DMY'; set timezone = 'UTC'; set extra_float_digits = 3",
    ];
    for (change, writer) in [("update {} set s = 'b'", writers[0]), ("delete from {}", writers[1])]
    {
        let changes: Vec<String> = (0..keys.len())
            .flat_map(|number| [format!("single{number}"), format!("double{number}")])
            .map(|table| change.replace("{}", &table))
            .collect();
        world.sql(&format!("{writer}; {}", changes.join("; "))).await;
        world.settle().await;
    }
    let told = "select watch, count(*), count(distinct entity_key), bool_and(state = 'sent'),
                       coalesce(max(reason_text), '')
                  from rowbell.message group by watch";
    let told = world.db.query(told, &[]).await.unwrap();
    assert_eq!(told.len(), 2 * keys.len());
    for row in told {
        let watch: String = row.get(0);
        let (messages, entities, all_sent): (i64, i64, bool) = (row.get(1), row.get(2), row.get(3));
        let key = keys[watch[6..].parse::<usize>().unwrap()];
        let why: String = row.get(4);
        assert_eq!((messages, entities, all_sent), (4, 2, true), "{watch} {key:?}: {why}");
    }
}

/// Where nothing keeps two rows from having one key, the answers about one were taken for those about the next.
#[tokio::test]
async fn rows_that_nothing_tells_apart_fail_alone() {
    let schema = "create table thing (ref text not null, phone text, status text);
        insert into thing values ('A', '+1 212 200 0001', 'a1'), ('A', '+1 212 200 0001', 'a2'),
                                 ('B', '+34 612 345 678', 'b1'), ('C', '+1 212 200 0001', 'c1');";
    let watch = "key = [\"ref\"]\ncolumns = [\"status\"]\nrecipient = \"select 'you' as name, changed.phone\"\n";
    let mut world = World::over(schema, &config("thing", watch), "").await;
    let check = said(&world, "watch.thing.key").await;
    assert!(check[0].1.contains("nothing keeps two rows of public.thing from"), "{check:?}");
    world.sql("update thing set status = status || ' new'").await;
    world.settle().await;
    let failed = "select string_agg(entity_key || ': ' || reason_text, ' ') from rowbell.message where state = 'failed'";
    let failed = world.value(failed).await;
    assert!(failed.starts_with("A: the table has several rows with this key"), "{failed}");
    assert!(world.read(JUAN)[0].contains("b1 → b1 new"));
    let maria = world.read(MARIA);
    assert!(maria.len() == 1 && maria[0].contains("c1 → c1 new"), "{maria:?}");
    world.sql("delete from thing where ref = 'A'; create unique index on thing (ref)").await;
    assert_eq!(said(&world, "watch.thing.key").await, []);
}

/// A row that moves out of a partition is deleted there: its customer read of a cancellation.
#[tokio::test]
async fn a_watch_of_one_partition_is_said_to_see_rows_go_that_only_move() {
    let schema = "create table thing (id bigint, at date, status text, primary key (id, at, status)) partition by range (at);
        create table year partition of thing for values from ('2030-01-01') to ('2031-01-01') partition by list (status);
        create table planned partition of year for values in ('planned');
        create table others partition of year default;
        create table later partition of thing for values from ('2031-01-01') to ('2032-01-01');
        insert into thing values (1, '2030-05-05', 'planned'), (2, '2030-05-05', 'planned');";
    for table in ["planned", "year"] {
        let watch = format!("key = [\"id\"]\ncolumns = [\"status\"]\n{YOU}");
        let world = World::over(schema, &config(table, &watch), "").await;
        let said = said(&world, &format!("watch.{table}.table")).await;
        let (is_wrong, what) = said.first().unwrap();
        assert!(*is_wrong && what.contains("watch public.thing"), "{said:?}");
    }
    // The whole table, through two levels of partitions.
    let watch = format!("columns = [\"at\", \"status\"]\n{YOU}");
    let mut world = World::over(schema, &config("thing", &watch), "").await;
    assert_eq!(said(&world, "watch.thing.table").await, []);
    world.sql("update thing set status = 'late' where id = 1; update thing set at = '2031-02-02', status = 'x' where id = 2").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[0].contains("status: planned → late.") && read[1].contains("2030 →"), "{read:?}");
}
