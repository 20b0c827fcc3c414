//! Values of every type that PostgreSQL brings along, and of what can be made of those, written by sessions with
//! whatever settings: captured, compared, told and keyed the same by any two of them.
//!
//! `ROWBELL_VALUES` says how many values are compared (a few of each type by default), `ROWBELL_SEED` which.

use std::fmt::Write as _;

use rowbell_lab::demo::testbed::connect;
use tokio_postgres::Client;

use crate::harness::{HEAD, MARIA, World};

/// Whose texts follow the session all the same; docs/LIMITS.md says so.
const NOT_THESE: &str = "'money', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regtype', 'regrole',
                         'regnamespace', 'regconfig', 'regdictionary', 'regcollation', 'aclitem'";

/// Types that somebody makes of others.
const MADE: &str = "
    create domain short as text check (length(value) < 100);
    create domain shorter as short;
    create domain moments as timestamptz[];
    create domain weight as float8 check (value is not null);
    create domain span as tstzrange;
    create type mood as enum ('so, so', 'b\\c', '\"', '');
    create type place as (at timestamptz, day date, weight float8, span interval, bytes bytea, days daterange);
    create type journey as (start place, stops place[], note shorter);
    create domain trip as journey;
    create type floats as range (subtype = float8);
    -- Moments that stand in a list keep the offset of the session: they are compared as moments.
    create function known(value jsonb) returns text language sql as $$
        select case
                   when value::text ~ '^[[]((null|\"-?infinity\"), )*\"[0-9]+-[0-9]+-[0-9]+T[^{}]*[]]$' then
                       (select string_agg(coalesce(extract(epoch from item::timestamptz)::text, 'null'), ' ' order by place)
                          from jsonb_array_elements_text(value) with ordinality as i (item, place))
                   else value::text
               end $$;
    create function fill(tab text, type text, items text[]) returns void language plpgsql as $$
    declare item text;
    begin
        foreach item in array items loop
            begin
                execute format('insert into %I (id, v) select coalesce(max(id), 0) + 1, %L::%s from %I', tab, item, type, tab);
            exception when others then null;
            end;
        end loop;
    end $$;";

/// How many sessions write each row; the last is one of ours.
const SESSIONS: i64 = 4;

/// Rows of each table that are told as well, where there are many.
const TOLD: i64 = 2;

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn int(&mut self) -> i64 {
        let bits = self.below(64);
        let value = i64::from_ne_bytes((self.next() >> bits).to_ne_bytes());
        if self.below(2) == 0 { value } else { value.wrapping_neg() }
    }

    fn digits(&mut self, most: usize) -> String {
        let length = 1 + self.below(most);
        (0..length).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap())).collect()
    }

    fn hex(&mut self, length: usize) -> String {
        let mut text = String::new();
        while text.len() < length {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(length);
        text
    }

    fn float(&mut self) -> String {
        match self.below(6) {
            0 => self
                .one(&[
                    "NaN",
                    "Infinity",
                    "-Infinity",
                    "-0",
                    "5e-324",
                    "1.7976931348623157e308",
                    "0.1",
                    "1e-45",
                ])
                .to_owned(),
            1 => format!("{}.{}", self.int() % 1000, self.digits(17)),
            2 => format!("{}", f32::from_bits(u32::try_from(self.next() >> 32).unwrap())),
            _ => format!("{:e}", f64::from_bits(self.next())),
        }
    }

    fn numeric(&mut self) -> String {
        match self.below(5) {
            0 => self.one(&["NaN", "0", "-0.000", "1e100", "1e-100", "0.10"]).to_owned(),
            1 => self.int().to_string(),
            _ => format!("{}{}.{}", self.one(&["", "-"]), self.digits(40), self.digits(30)),
        }
    }

    fn date(&mut self) -> String {
        match self.below(8) {
            0 => self
                .one(&[
                    "infinity",
                    "-infinity",
                    "0001-01-01",
                    "9999-12-31",
                    "0044-03-15 BC",
                    "4714-11-24 BC",
                    "5874897-12-31",
                ])
                .to_owned(),
            _ => format!(
                "{:04}-{:02}-{:02}",
                1 + self.below(12_000),
                1 + self.below(12),
                1 + self.below(28)
            ),
        }
    }

    fn time(&mut self) -> String {
        match self.below(8) {
            0 => self.one(&["24:00", "00:00", "23:59:59.999999", "23:59:60"]).to_owned(),
            _ => format!(
                "{:02}:{:02}:{:02}.{}",
                self.below(24),
                self.below(60),
                self.below(60),
                self.digits(6)
            ),
        }
    }

    fn offset(&mut self) -> String {
        format!(
            "{}{:02}:{:02}",
            self.one(&["+", "-"]),
            self.below(15),
            self.one(&["00", "30", "45"])
        )
    }

    fn moment(&mut self) -> String {
        match self.below(8) {
            0 => self
                .one(&[
                    "infinity",
                    "-infinity",
                    "9999-12-31 23:59:59.999999+00",
                    "10000-01-01 00:00+14",
                    "0001-01-01 00:00+00",
                    "4713-01-01 00:00+00 BC",
                    "1883-11-18 12:03:58-04:56:02",
                    "294276-12-31 23:59+00",
                ])
                .to_owned(),
            _ => format!(
                "{:04}-{:02}-{:02} {}{}",
                1 + self.below(9_999),
                1 + self.below(12),
                1 + self.below(28),
                self.time(),
                self.offset()
            ),
        }
    }

    fn interval(&mut self) -> String {
        match self.below(6) {
            0 => self
                .one(&[
                    "0",
                    "1 month",
                    "30 days",
                    "24:00",
                    "-1 mon +1 day",
                    "178000000 years",
                    "infinity",
                    "-0.000001 s",
                ])
                .to_owned(),
            _ => format!(
                "{} mons {} days {}{}",
                self.int() % 10_000,
                self.int() % 10_000,
                self.one(&["", "-"]),
                self.time()
            ),
        }
    }

    fn text(&mut self) -> String {
        let pool = [
            "a",
            "B",
            "ß",
            "é",
            "e\u{301}",
            " ",
            "  ",
            "\t",
            "\n",
            "\r",
            "'",
            "\"",
            "\\",
            ",",
            "{",
            "}",
            "(",
            ")",
            "<",
            ">",
            "&",
            "👨\u{200d}👩\u{200d}👧",
            "\u{202e}",
            "\u{200b}",
            "\u{1}",
            "→",
            "NULL",
            "null",
            "true",
            "1.50",
            "1e5",
            "infinity",
            "2030-06-25",
            "{{ x }}",
            "مرحبا",
            "日本",
            "\\x41",
            "\\u0041",
            "$1",
            "%s",
            "İ",
            "ı",
            "\u{feff}",
            "\u{2028}",
            "-",
            "",
        ];
        let length = self.below(8);
        (0..length).map(|_| self.one(&pool)).collect()
    }

    fn json(&mut self, depth: usize) -> String {
        match self.below(if depth > 3 { 4 } else { 6 }) {
            0 => self
                .one(&[
                    "null", "true", "false", "{}", "[]", "\"\"", "1e400", "1.50", "-0", "-0.0",
                    "1E5",
                ])
                .to_owned(),
            1 => serde_json::to_string(&self.text()).unwrap(),
            2 => {
                let digits = self.digits(30);
                format!(
                    "{}.{}",
                    digits
                        .trim_start_matches('0')
                        .chars()
                        .next()
                        .map_or("0", |_| digits.trim_start_matches('0')),
                    self.digits(20)
                )
            }
            3 => self.int().to_string(),
            4 => format!("[{}, {}]", self.json(depth + 1), self.json(depth + 1)),
            _ => format!(
                "{{{}: {}, {}: {}}}",
                serde_json::to_string(&self.text()).unwrap(),
                self.json(depth + 1),
                serde_json::to_string(&self.text()).unwrap(),
                self.json(depth + 1)
            ),
        }
    }

    fn point(&mut self) -> String {
        format!("({},{})", self.float(), self.float())
    }

    fn range(&mut self, of: &dyn Fn(&mut Dice) -> String) -> String {
        if self.below(8) == 0 {
            return "empty".to_owned();
        }
        let (open, close) = (self.one(&["[", "("]), self.one(&["]", ")"]));
        let end = |dice: &mut Dice| match dice.below(5) {
            0 => String::new(),
            _ => format!("\"{}\"", of(dice)),
        };
        format!("{open}{},{}{close}", end(self), end(self))
    }

    /// A text that the type may understand. What it does not is left out.
    fn value(&mut self, type_name: &str) -> String {
        if let Some(element) = type_name.strip_suffix("[]") {
            let items: Vec<String> = (0..self.below(4))
                .map(|_| match self.below(6) {
                    0 => "NULL".to_owned(),
                    _ => quoted(&self.value(element)),
                })
                .collect();
            return format!("{{{}}}", items.join(","));
        }
        if let Some(range) = type_name.strip_suffix("multirange") {
            let one = self.value(&format!("{range}range"));
            return if one == "empty" { "{}".to_owned() } else { format!("{{{one}}}") };
        }
        match type_name {
            "boolean" => self.one(&["t", "f"]).to_owned(),
            "smallint" | "integer" | "bigint" | "int4" | "int8" => match self.below(4) {
                0 => self
                    .one(&[
                        "0",
                        "-1",
                        "32767",
                        "-32768",
                        "2147483647",
                        "9223372036854775807",
                        "-9223372036854775808",
                    ])
                    .to_owned(),
                1 => (self.int() % 30_000).to_string(),
                _ => self.int().to_string(),
            },
            "numeric" => self.numeric(),
            "real" | "double precision" | "weight" => self.float(),
            "date" => self.date(),
            "time without time zone" => self.time(),
            "time with time zone" => format!("{}{}", self.time(), self.offset()),
            "timestamp without time zone" | "timestamp with time zone" => self.moment(),
            "moments" => self.value("timestamp with time zone[]"),
            "interval" => self.interval(),
            "bytea" => {
                let length = 2 * self.below(20);
                format!("\\x{}", self.hex(length))
            }
            "uuid" => self.hex(32),
            "inet" | "cidr" => match self.below(3) {
                0 => format!("{}::/{}", self.hex(4), self.below(33)),
                1 => format!("10.{}.0.0/16", self.below(256)),
                _ => format!(
                    "{}.{}.{}.{}",
                    self.below(256),
                    self.below(256),
                    self.below(256),
                    self.below(256)
                ),
            },
            "macaddr" => self.hex(12),
            "macaddr8" => self.hex(16),
            "bit" | "bit varying" => match type_name {
                "bit" => self.one(&["0", "1"]).to_owned(),
                _ => format!("{:b}", self.next() >> self.below(60)),
            },
            "json" | "jsonb" => self.json(0),
            "jsonpath" => self
                .one(&["$", "$.a", "$[*] ? (@ > 0.30000000000000004)", "strict $.\"a b\""])
                .to_owned(),
            "xml" => format!("<a>{}</a>", self.digits(4)),
            "point" => self.point(),
            "lseg" | "path" => format!("[{},{}]", self.point(), self.point()),
            "box" => format!("{},{}", self.point(), self.point()),
            "polygon" => format!("({},{},{})", self.point(), self.point(), self.point()),
            "circle" => format!("<{},{}>", self.point(), self.float().trim_start_matches('-')),
            "line" => format!("{{{},{},{}}}", self.float(), self.float(), self.float()),
            "int4range" | "int8range" => self.range(&|dice| (dice.int() % 1_000_000).to_string()),
            "numrange" => self.range(&Dice::numeric),
            "daterange" => self.range(&Dice::date),
            "tsrange" | "tstzrange" | "span" => self.range(&Dice::moment),
            "floats" | "floatsrange" => self.range(&Dice::float),
            "floatsmulti" => self.value("floatsmultirange"),
            "place" => {
                let parts = [
                    self.moment(),
                    self.date(),
                    self.float(),
                    self.interval(),
                    self.value("bytea"),
                    self.value("daterange"),
                ];
                let parts = parts
                    .map(|part| if self.below(6) == 0 { String::new() } else { quoted(&part) });
                format!("({})", parts.join(","))
            }
            "journey" | "trip" => format!(
                "({},{},{})",
                quoted(&self.value("place")),
                quoted(&self.value("place[]")),
                quoted(&self.text())
            ),
            // The first byte of a longer sign is no text.
            "\"char\"" => self.one(&["a", "B", " ", "1", "~", "é", "日", "\\", "\""]).to_owned(),
            "mood" => self.one(&["so, so", "b\\c", "\"", ""]).to_owned(),
            "tsvector" => format!("'{}':{}", self.digits(5), 1 + self.below(100)),
            "tsquery" => format!("'{}' & !'{}'", self.digits(3), self.digits(3)),
            "pg_lsn" => format!("{}/{}", self.hex(4), self.hex(6)),
            "pg_snapshot" | "txid_snapshot" => "10:20:10,14,15".to_owned(),
            "oidvector" | "int2vector" => format!("{} {}", self.below(999), self.below(999)),
            "tid" => format!("({},{})", self.below(999), self.below(99)),
            "oid" | "xid" | "cid" | "xid8" => self.below(2_000_000_000).to_string(),
            _ => self.text(),
        }
    }
}

/// A part of a list or of a composite value.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Tried {
    type_name: String,
    is_key: bool,
}

/// Every type of `pg_type` that a column may have, lists of them among them.
async fn types(db: &Client) -> Vec<Tried> {
    let query = format!(
        "select format_type(t.oid, null),
                t.typcategory in ('R', 'E', 'C') or t.typname ~ 'multirange'
                or exists (select from pg_opclass as o join pg_am as m on m.oid = o.opcmethod
                            where m.amname = 'btree' and o.opcdefault
                              and o.opcintype = case t.typcategory when 'A' then t.typelem else t.oid end)
           from pg_type as t join pg_namespace as n on n.oid = t.typnamespace
           left join pg_class as c on c.oid = t.typrelid
           left join pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
           left join pg_class as k on k.oid = e.typrelid
          where n.nspname in ('pg_catalog', 'public') and t.typtype in ('b', 'r', 'm', 'd', 'e', 'c')
            and e.typtype is distinct from 'p' and (c.oid is null or c.relkind = 'c') and (k.oid is null or k.relkind = 'c')
            and coalesce(e.typname, t.typname) not in ({NOT_THESE})
          order by 1"
    );
    let rows = db.query(&query, &[]).await.unwrap();
    rows.iter().map(|row| Tried { type_name: row.get(0), is_key: row.get(1) }).collect()
}

/// A random value for each of some settings that any session may set, of all that the server has.
async fn settings(db: &Client, dice: &mut Dice) -> Vec<String> {
    let rows = db
        .query(
            "select name, vartype, enumvals from pg_settings
              where context = 'user' and vartype in ('bool', 'enum')
                and name !~ '^(log_|debug_|transaction_|default_transaction_read_only|trace_|geqo|exit_on_error|in_hot|optimize_|stats_temp)'
                and name not in ('client_min_messages', 'zero_damaged_pages', 'synchronous_commit', 'escape_string_warning')
              order by name",
            &[],
        )
        .await
        .unwrap();
    let zones = db.query("select name from pg_timezone_names order by name", &[]).await.unwrap();
    let zone: String = zones[dice.below(zones.len())].get(0);
    let mut set = vec![
        format!("timezone = '{zone}'"),
        format!(
            "datestyle = '{}, {}'",
            dice.one(&["ISO", "German", "SQL", "Postgres"]),
            dice.one(&["MDY", "DMY", "YMD"])
        ),
        format!("extra_float_digits = {}", i64::try_from(dice.below(19)).unwrap() - 15),
        format!("application_name = '{}'", dice.digits(5)),
    ];
    for row in rows {
        let (name, kind, words): (String, String, Option<Vec<String>>) =
            (row.get(0), row.get(1), row.get(2));
        let words = words.unwrap_or_default();
        if kind == "bool" {
            set.push(format!("{name} = {}", dice.one(&["on", "off"])));
        } else if !words.is_empty() {
            set.push(format!("{name} = '{}'", words[dice.below(words.len())]));
        }
    }
    set
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn every_value_is_the_same_whoever_writes_it() {
    let seed = number("ROWBELL_SEED", 1);
    let mut dice = Dice(seed as u64);
    let mut world = World::over(
        &(MADE.to_owned() + "create table t (id int primary key, v int, address text);"),
        &config(&[("t".to_owned(), false)]),
        "",
    )
    .await;
    let types = types(&world.db).await;
    let values = number("ROWBELL_VALUES", 8 * types.len());
    let mut taken = Vec::new();
    for (place, tried) in types.iter().enumerate() {
        let table = format!("t{place}");
        let null = if tried.is_key { " not null" } else { "" };
        let type_name = &tried.type_name;
        world.sql(&format!("create table {table} (id bigint not null, v {type_name}{null}, address text default 'before')")).await;
        let kept = filled(&world, &mut dice, &table, type_name, 1).await;
        // A type without a form of its own has none here either.
        if kept > 0 {
            taken.push((table, tried));
        }
    }
    // As many values as were asked for, however many texts the types do not understand.
    let mut tables = Vec::new();
    for (place, (table, tried)) in taken.iter().enumerate() {
        let wanted = (values / taken.len() + usize::from(place < values % taken.len())).max(1);
        let kept = filled(&world, &mut dice, table, &tried.type_name, wanted).await;
        assert_eq!(kept, wanted, "{}: too few texts are values", tried.type_name);
        tables.push((table.clone(), tried.is_key, kept, tried.type_name.clone()));
    }
    assert!(tables.len() > 120, "{} of {} types have values", tables.len(), types.len());
    let watches: Vec<(String, bool)> =
        tables.iter().map(|(table, is_key, ..)| (table.clone(), *is_key)).collect();
    rewatch(&mut world, &watches).await;
    written(&mut world, &mut dice, &tables).await;
    let total: usize = tables.iter().map(|(_, _, kept, _)| kept).sum();
    let differ = differences(&world, &tables).await;
    assert!(
        differ.is_empty(),
        "seed {seed}: {} of {total} values: {:#?}",
        differ.len(),
        &differ[..differ.len().min(10)]
    );
    told(&mut world, &tables).await;
    println!(
        "seed {seed}: {total} values of {} types, {SESSIONS} sessions, no difference",
        tables.len()
    );
}

/// How many rows a table has once it was tried to give it so many.
async fn filled(
    world: &World,
    dice: &mut Dice,
    table: &str,
    type_name: &str,
    wanted: usize,
) -> usize {
    const TRIES: usize = 1_000;
    let count = format!("select count(*) from {table}");
    let mut kept: usize = world.value(&count).await.parse().unwrap();
    for _ in 0..TRIES {
        if kept >= wanted {
            break;
        }
        let items: Vec<String> = (kept..wanted).map(|_| dice.value(bare(type_name))).collect();
        world.db.execute("select fill($1, $2, $3)", &[&table, &type_name, &items]).await.unwrap();
        kept = world.value(&count).await.parse().unwrap();
    }
    kept
}

/// The name of a type as the values are made for it.
fn bare(type_name: &str) -> &str {
    type_name.strip_prefix("pg_catalog.").unwrap_or(type_name)
}

fn config(watches: &[(String, bool)]) -> String {
    let mut config = HEAD.replace("provider   =", "pair_burst = 0\nprovider   =")
        + "body = [\"you\", \"thing\", \"{{ summary }}\"]\n";
    for (table, is_key) in watches {
        let key = if *is_key { "[\"id\", \"v\"]" } else { "[\"id\"]" };
        let _ = write!(
            config,
            "[watch.{table}]\ntable = \"{table}\"\nkey = {key}\nchannel = \"main\"\ntemplate = \"service_change\"\n\
             columns = [\"v\", \"address\"]\nquiet_period = \"20s\"\n\
             recipient = \"select 'you' as name, '+1 212 200 0001' as phone\"\n"
        );
    }
    config
}

/// Watches these tables instead.
async fn rewatch(world: &mut World, watches: &[(String, bool)]) {
    let mut config = (*world.config).clone();
    let template = config.watch["t"].clone();
    config.watch.clear();
    for (table, is_key) in watches {
        let mut watch = template.clone();
        watch.table.clone_from(table);
        watch.key =
            if *is_key { vec!["id".to_owned(), "v".to_owned()] } else { vec!["id".to_owned()] };
        config.watch.insert(table.clone(), watch);
    }
    crate::harness::install(&mut world.db, &config).await;
    world.config = config.into();
    world.restart().await;
}

/// Every session writes every row; the last is one of the daemon's.
async fn written(world: &mut World, dice: &mut Dice, tables: &[(String, bool, usize, String)]) {
    for session in 0..SESSIONS {
        let updates: Vec<String> = tables
            .iter()
            .map(|(table, ..)| format!("update {table} set address = 'after {session}'"))
            .collect();
        if session == SESSIONS - 1 {
            let client = world.stages.context.pool.get().await.unwrap();
            client.batch_execute(&updates.join("; ")).await.unwrap();
            continue;
        }
        let writer = connect(&world.cluster.url("postgres")).await.unwrap();
        for set in settings(&world.db, dice).await {
            // Some exclude each other.
            let _ = writer.batch_execute(&format!("set {set}")).await;
        }
        writer.batch_execute(&updates.join("; ")).await.unwrap();
    }
}

/// Rows of which any two sessions wrote something else than each other, or a value that differs from itself.
async fn differences(world: &World, tables: &[(String, bool, usize, String)]) -> Vec<String> {
    let query = "
        select watch, captured ->> 0, count(*), min(captured::text), max(captured::text), max(capture_error)
          from rowbell.change
         group by watch, captured ->> 0
        having count(distinct known(captured -> 1)) <> 1 or count(distinct known(captured -> 4)) <> 1
               or count(distinct entity_key) <> 1 or bool_or(captured -> 1 is distinct from captured -> 4)
               or bool_or(capture_error is not null) or count(*) <> $1";
    let rows = world.db.query(query, &[&SESSIONS]).await.unwrap();
    let mut found = Vec::new();
    for row in rows {
        let (watch, id): (String, Option<String>) = (row.get(0), row.get(1));
        let (one, other): (Option<String>, Option<String>) = (row.get(3), row.get(4));
        let why: Option<String> = row.get(5);
        let type_name =
            tables.iter().find(|(table, ..)| *table == watch).map(|(.., type_name)| type_name);
        found.push(format!(
            "{type_name:?} {id:?} {one:?} {other:?} {why:?} × {}",
            row.get::<_, i64>(2)
        ));
    }
    let captured: i64 =
        world.db.query_one("select count(*) from rowbell.change", &[]).await.unwrap().get(0);
    let rows: usize = tables.iter().map(|(_, _, kept, _)| kept).sum();
    if captured != SESSIONS * i64::try_from(rows).unwrap() {
        found.push(format!("{captured} changes of {rows} rows"));
    }
    found
}

/// What the customer reads of some rows of each table: the one column that changed, once. What is claimed after that
/// tells nothing new.
async fn told(world: &mut World, tables: &[(String, bool, usize, String)]) {
    world.sql(&format!("delete from rowbell.change where (captured ->> 0)::bigint > {TOLD}")).await;
    world.settle().await;
    let last = SESSIONS - 1;
    let query = format!(
        "select watch, entity_key, state::text, coalesce(reason_text, ''), coalesce(summary, '') from rowbell.message
          where not coalesce(state = 'sent' and summary = 'address: before → after {last}.' or reason = 'no_net_change', false)"
    );
    let wrong = world.db.query(&query, &[]).await.unwrap();
    let wrong: Vec<String> = wrong
        .iter()
        .map(|row| {
            let watch: String = row.get(0);
            let type_name =
                tables.iter().find(|(table, ..)| *table == watch).map(|(.., type_name)| type_name);
            let text = |place: usize| row.get::<_, String>(place);
            format!("{type_name:?} {}: {} {} {}", text(1), text(2), text(3), text(4))
        })
        .collect();
    assert!(wrong.is_empty(), "{} messages: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    let rows: usize =
        tables.iter().map(|(_, _, kept, _)| (*kept).min(usize::try_from(TOLD).unwrap())).sum();
    assert_eq!(world.read(MARIA).len(), rows);
}
