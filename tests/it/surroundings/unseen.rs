//! What rowbell cannot see or read is said by `check` and `doctor` before the first customer is concerned.

use rowbell::finding::{Finding, Severity};
use rowbell::operations::check;

use crate::harness::{HEAD, World};

async fn found(schema: &str, watch: &str) -> Vec<Finding> {
    let config = HEAD.to_owned()
        + "body = [\"you\", \"thing\", \"{{ summary }}\"]\n[watch.thing]\ntable = \"thing\"\nchannel = \"main\"\n\
           template = \"service_change\"\nquiet_period = \"0s\"\n"
        + watch;
    let world = World::over(schema, &config, "").await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    check::online(&mut client, &world.config).await.findings
}

/// What is said of a setting of the watch.
fn said(found: &[Finding], setting: &str) -> Vec<(Severity, String)> {
    let key = format!("watch.thing.{setting}");
    let found = found.iter().filter(|finding| finding.key == key);
    found.map(|finding| (finding.severity, finding.what.clone())).collect()
}

const YOU: &str = "recipient = \"select 'you' as name, '+1 212 200 0001' as phone\"\n";

/// A session in Germany writes 1,00 € where another one writes $1.00, and public.customer where another one writes
/// customer: nothing changed.
#[tokio::test]
async fn values_that_each_session_writes_in_its_own_way_are_said() {
    let schema = "create domain price as money; create type parcel as (weight int, kind regtype);
        create table thing (id int primary key, fee money, fees money[], list_price price, about regclass, parcel parcel,
                            spans regproc[], at timestamptz, note text, amount numeric);";
    let watch = "columns = [\"fee\", \"fees\", \"list_price\", \"about\", \"parcel\", \"spans\", \"at\", \"note\", \"amount\"]\n";
    let found = found(schema, &format!("{watch}{YOU}")).await;
    let said = said(&found, "columns");
    let of = |column: &str, setting: &str| {
        said.iter().any(|(severity, what)| {
            *severity == Severity::Warning
                && what
                    .starts_with(&format!("each session writes {column} as its own {setting} says"))
        })
    };
    for column in ["fee", "fees", "list_price"] {
        assert!(of(column, "lc_monetary"), "{column}: {said:?}");
    }
    for column in ["about", "parcel", "spans"] {
        assert!(of(column, "search_path"), "{column}: {said:?}");
    }
    assert_eq!(said.len(), 6, "{said:?}");
}

/// Ten in New York and ten in Berlin are both told as ten.
#[tokio::test]
async fn a_time_whose_offset_is_not_told_is_said() {
    let schema = "create domain hour as timetz; create table thing (id int primary key, opens timetz, closes hour, at time, day timestamptz);";
    let watch = "columns = [\"opens\", \"closes\", \"at\", \"day\"]\n";
    let said = said(&found(schema, &format!("{watch}{YOU}")).await, "columns");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].1.starts_with("opens is told without its offset"), "{said:?}");
    assert!(said[1].1.starts_with("closes is told without its offset"), "{said:?}");
}

/// Rows may go without a trigger: by truncate, with their partition, in a crash.
#[tokio::test]
async fn rows_that_may_go_unseen_are_said() {
    let schema = "create unlogged table thing (id int primary key, note text);";
    let watch = |on: &str| format!("columns = [\"note\"]\non = [{on}]\n{YOU}");
    let of = found(schema, &watch("\"update\", \"delete\"")).await;
    let crash = said(&of, "table");
    assert!(
        crash[0].0 == Severity::Warning && crash[0].1.contains("a crash of the server empties")
    );
    let truncate = said(&of, "on");
    assert!(truncate[0].0 == Severity::Note && truncate[0].1.contains("truncate"), "{truncate:?}");
    let of = found(&schema.replace("unlogged ", ""), &watch("\"update\"")).await;
    assert_eq!((said(&of, "table"), said(&of, "on")), (Vec::new(), Vec::new()));
}

/// A deadline that is no moment: before there was a row, `check` was content, and then every message failed.
#[tokio::test]
async fn a_deadline_that_is_no_moment_is_said_before_there_is_a_row() {
    let schema = "create domain due as timestamptz; create table thing (id int primary key, note text, at timestamptz, ts timestamp, due due, j jsonb, during tstzrange);";
    for (expression, expected) in [
        ("extract(epoch from at)::int", "found a value of type int4; of seconds since 1970"),
        ("at::time", "found a value of type time"),
        ("at - now()", "found a value of type interval"),
        ("during", "found a value of type tstzrange; of a range, upper(…) is its end"),
        ("array[at]", "found a value of type _timestamptz"),
        ("at is null", "found a value of type bool"),
        ("at", ""),
        ("coalesce(at, ts)", ""),
        ("due", ""),
        ("at::date + 1", ""),
        ("j ->> 'until'", ""),
        ("upper(during)", ""),
        ("'infinity'", ""),
        ("null", ""),
    ] {
        let quiet = format!(
            "quiet_hours = {{ times = \"21:00-08:00\", unless_within = \"12h\", of = \"{expression}\" }}"
        );
        let expires = format!("expires_at = \"{expression}\"");
        for (setting, line) in [("expires_at", expires), ("quiet_hours.of", quiet)] {
            let watch = format!("columns = [\"note\"]\n{line}\n{YOU}");
            let said = said(&found(schema, &watch).await, setting);
            let said = said.first().map_or("", |(_, what)| what.as_str());
            assert_eq!(said.is_empty(), expected.is_empty(), "{setting} {expression}: {said}");
            assert!(said.contains(expected), "{setting} {expression}: {said}");
        }
    }
}

/// 'Y', 1 and 'yes' are no yes to us: nobody was told, and `check` was content.
#[tokio::test]
async fn a_consent_that_is_never_a_yes_is_said() {
    for (kind, value, is_refused) in [
        ("text", "'Y'", true),
        ("char(1)", "'Y'", true),
        ("int", "1", true),
        ("boolean", "true", false),
        ("agreed", "true", false),
        ("jsonb", "'true'", false),
    ] {
        let schema = format!(
            "create domain agreed as boolean; create table thing (id int primary key, note text, ok {kind});
             insert into thing values (1, 'a', {value});"
        );
        let watch = "columns = [\"note\"]\nlabel.note = \"Note\"\n\
                     recipient = \"select 'you' as name, '+1 212 200 0001' as phone, changed.ok as opted_in\"\n";
        let said = said(&found(&schema, watch).await, "recipient");
        let refused = said.iter().find(|(severity, _)| *severity == Severity::Error);
        assert_eq!(refused.is_some(), is_refused, "{kind}: {said:?}");
        if let Some((_, what)) = refused {
            assert!(what.contains("only true of type boolean means yes"), "{what}");
        }
    }
    let schema = "create table thing (id int primary key, note text, ok boolean);
                  insert into thing values (1, 'a', false), (2, 'b', null);";
    let watch = "columns = [\"note\"]\n\
                 recipient = \"select 'you' as name, '+1 212 200 0001' as phone, changed.ok as opted_in\"\n";
    let said = said(&found(schema, watch).await, "recipient");
    assert!(
        said[0].1.contains("of the last 2 rows all have an opted_in that is not true"),
        "{said:?}"
    );
}
