//! A value of every type that PostgreSQL brings along, written by sessions with every setting: captured, compared, told
//! and keyed the same by any two of them.

use rowbell_lab::demo::testbed::connect;
use tokio_postgres::Client;

use crate::harness::{self, HEAD, MARIA, World};

/// Texts of which each type understands some; the first that it does is its value.
const TEXTS: [&str; 23] = [
    "0.30000000000000004",
    "9999-12-31 23:59:59.123456+00",
    "12:34:56.789+05:30",
    "1 year 2 mons 3 days 04:05:06.5",
    "(0.1,0.30000000000000004)",
    "[(0.1,0.2),(0.3,0.30000000000000004)]",
    "((0.1,0.2),(0.3,0.30000000000000004),(1,1))",
    "<(0.1,0.2),0.30000000000000004>",
    "{0.1,0.2,0.30000000000000004}",
    "[2030-06-25,2030-06-27)",
    "[2030-06-25 10:00:00+00,2030-06-25 12:00:00+00)",
    "{[2030-06-25,2030-06-27)}",
    "{[2030-06-25 10:00:00+00,2030-06-25 12:00:00+00)}",
    "[1,3)",
    "{[1,3)}",
    "6f1c0000-0000-4000-8000-000000000001",
    "10.0.0.1",
    "08:00:2b:01:02:03",
    "B101",
    "{\"a\": [1, 0.30000000000000004]}",
    "17",
    "1",
    "true",
];

/// Whose texts follow the session all the same; docs/LIMITS.md says so.
const NOT_THESE: &str = "'money', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regtype', 'regrole',
                         'regnamespace', 'regconfig', 'regdictionary', 'regcollation', 'aclitem'";

struct Sample {
    type_name: String,
    literal: String,
    is_key: bool,
}

async fn samples() -> Vec<Sample> {
    let cluster = harness::cluster();
    let db = connect(&cluster.url("postgres")).await.unwrap();
    db.batch_execute(
        "create function fits(value text, type text) returns boolean language plpgsql as $$ begin
             execute format('create temp table sample (v %s)', type);
             execute format('insert into sample values (%L)', value);
             drop table sample; return true;
         exception when others then return false; end $$",
    )
    .await
    .unwrap();
    let types = format!(
        "select format_type(t.oid, null), t.typcategory = 'A',
                exists (select from pg_opclass as o join pg_am as m on m.oid = o.opcmethod
                         where m.amname = 'btree' and o.opcdefault and o.opcintype = t.oid)
           from pg_type as t
          where t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm')
            and coalesce((select e.typname from pg_type as e where e.oid = t.typelem and t.typcategory = 'A'), t.typname)
                not in ({NOT_THESE})
          order by 1"
    );
    let mut samples = Vec::new();
    for row in db.query(&types, &[]).await.unwrap() {
        let (type_name, is_list, is_key): (String, bool, bool) =
            (row.get(0), row.get(1), row.get(2));
        for text in TEXTS {
            let literal = match is_list {
                true => format!("{{\"{}\"}}", text.replace('"', "\\\"")),
                false => text.to_owned(),
            };
            if fits(&db, &literal, &type_name).await {
                samples.push(Sample { type_name, literal, is_key });
                break;
            }
        }
    }
    samples
}

async fn fits(db: &Client, literal: &str, type_name: &str) -> bool {
    db.query_one("select fits($1, $2)", &[&literal, &type_name]).await.unwrap().get(0)
}

/// Settings of sessions, one of each kind by turns.
fn sessions() -> Vec<String> {
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"];
    let dates = ["ISO, MDY", "German", "SQL, DMY", "Postgres, MDY"];
    let intervals = ["postgres", "iso_8601", "sql_standard"];
    let digits = ["1", "0", "-15", "3"];
    (0..5)
        .map(|turn| {
            format!(
                "set timezone = '{}'; set datestyle = '{}'; set intervalstyle = '{}'; set extra_float_digits = '{}'; \
                 set bytea_output = '{}'",
                zones[turn % zones.len()],
                dates[(turn + 1) % dates.len()],
                intervals[(turn + 2) % intervals.len()],
                digits[(turn * 3) % digits.len()],
                ["hex", "escape"][turn % 2],
            )
        })
        .collect()
}

#[tokio::test]
async fn every_type_is_the_same_whoever_writes_it() {
    let samples = samples().await;
    assert!(samples.len() > 80, "{} types have a value", samples.len());
    let mut schema = String::new();
    let mut config = HEAD.to_owned() + "body = [\"you\", \"thing\", \"{{ summary }}\"]\n";
    for (number, Sample { type_name, literal, is_key }) in samples.iter().enumerate() {
        let literal = literal.replace('\'', "''");
        schema += &format!(
            "create table t{number} (id bigint not null, v {type_name} not null, address text);
             insert into t{number} values (1, '{literal}', 'before');\n"
        );
        let key = if *is_key { "[\"id\", \"v\"]" } else { "[\"id\"]" };
        config += &format!(
            "[watch.t{number}]\ntable = \"t{number}\"\nkey = {key}\nchannel = \"main\"\ntemplate = \"service_change\"\n\
             columns = [\"v\", \"address\"]\nquiet_period = \"20s\"\n\
             recipient = \"select 'you' as name, '+1 212 200 0001' as phone\"\n"
        );
    }
    let mut world = World::over(&schema, &config, "").await;
    for (turn, session) in sessions().iter().enumerate() {
        let updates: String = (0..samples.len())
            .map(|number| format!("; update t{number} set address = 'after {turn}'"))
            .collect();
        world.sql(&(session.clone() + &updates)).await;
    }
    world.settle().await;
    let told = world.db.query(
        "select watch, count(*), min(summary), min(entity_key) from rowbell.message group by watch",
        &[],
    );
    let told = told.await.unwrap();
    assert_eq!(told.len(), samples.len());
    for row in told {
        let (watch, count): (String, i64) = (row.get(0), row.get(1));
        let (summary, key): (Option<String>, String) = (row.get(2), row.get(3));
        let sample = &samples[watch[1..].parse::<usize>().unwrap()];
        let of = format!("{} {} ({key})", sample.type_name, sample.literal);
        assert_eq!(count, 1, "one row is one entity: {of}");
        assert_eq!(summary.as_deref(), Some("address: before → after 4."), "{of}");
    }
    assert_eq!(world.read(MARIA).len(), samples.len());
}
