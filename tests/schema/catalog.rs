//! What stands in the catalog: comments on everything, names on every rule, queries that fit.

use super::ground::{Database, config, lines, sql_files};
use rowbell::domain::alert::AlertKind;
use rowbell::domain::limit::circuit::CircuitState;
use rowbell::domain::message::attempt::{AttemptResultKind, ErrorClass};
use rowbell::domain::message::fallback::{FallbackCause, FallbackWait};
use rowbell::domain::message::receipt::{
    EvidenceSource, ReceiptSourceKind, ReceiptSourceState, ReceiptStatus,
};
use rowbell::domain::message::state::{Failure, Skip, WaitsFor};
use rowbell::domain::message::unconfirmed::LookupMethod;
use rowbell::domain::outcome::OutcomeState;
use rowbell::domain::person_act::PersonActKind;
use rowbell::domain::recipient::last_told::ToldStatus;
use rowbell::domain::reply::ReplyKind;
use rowbell::domain::value::change::Operation;
use rowbell::postgres::capture::install;
use rowbell::postgres::missed::gap::GapCause;
use rowbell::postgres::operations::opt_outs::OptOutSource;
use rowbell::postgres::queries::claimed_batch::LargeDecision;
use rowbell::postgres::queries::retention::RetentionTask;
use strum::VariantArray;

#[tokio::test]
async fn everything_has_a_comment() {
    let (_database, mut client) = Database::migrated().await;
    client.batch_execute(super::ground::SHOP).await.unwrap();
    let config = config();
    let (watch, template) = (&config.watch["delivery"], &config.template["service_change"]);
    let table = install::describe(&client, "delivery", watch, template).await.unwrap();
    install::install(&mut client, &table, watch).await.unwrap();

    // Sequences of identity columns belong to their columns.
    let silent = "
with ours as (select oid, nspname from pg_namespace where nspname in ('rowbell', 'rowbell_report'))
select 'schema ' || nspname from ours where obj_description(oid, 'pg_namespace') is null
union all
select 'relation ' || c.oid::regclass from pg_class c join ours n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'S') and obj_description(c.oid, 'pg_class') is null
   and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'i')
union all
select 'column ' || c.oid::regclass || '.' || a.attname
  from pg_attribute a join pg_class c on c.oid = a.attrelid join ours n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
   and col_description(c.oid, a.attnum) is null
union all
select 'type ' || t.oid::regtype from pg_type t join ours n on n.oid = t.typnamespace
 where t.typtype in ('e', 'd') and obj_description(t.oid, 'pg_type') is null
union all
select 'function ' || p.oid::regprocedure from pg_proc p join ours n on n.oid = p.pronamespace
 where obj_description(p.oid, 'pg_proc') is null
order by 1";
    assert_eq!(lines(&client, silent).await, "");
    let seen = "select count(*) > 150 from pg_description d join pg_class c on c.oid = d.objoid
                 where c.relnamespace in ('rowbell'::regnamespace, 'rowbell_report'::regnamespace)";
    assert_eq!(lines(&client, seen).await, "t", "the question itself must find something");
    let function =
        "select proname from pg_proc where pronamespace = 'rowbell'::regnamespace order by 1";
    assert_eq!(
        lines(&client, function).await,
        "capture_by_name\ncapture_delivery\nfirst_message_since\nhas_recipients\nis_connected\nkeyed_hash\nknown_after_mute\nlayouts_of\nnote_outcome\nnote_reply\nreadable\nrecord_consent\nwhole_row"
    );
}

/// `lease_iff_sending` says what was violated; `queue_check1` does not.
#[tokio::test]
async fn every_rule_has_a_name_that_a_person_gave_it() {
    let (_database, client) = Database::migrated().await;
    let generated = "
select c.conrelid::regclass || ': ' || c.conname from pg_constraint c join pg_class t on t.oid = c.conrelid
 where c.connamespace = 'rowbell'::regnamespace and c.contype in ('c', 'f', 'u', 'x')
   and c.conname ~ ('^' || t.relname || '_(.*_)?(check|fkey|key|excl)[0-9]*$')
 order by 1";
    assert_eq!(lines(&client, generated).await, "");
    let rules = "select count(*) >= 12 from pg_constraint
                  where connamespace = 'rowbell'::regnamespace and contype = 'c'";
    assert_eq!(lines(&client, rules).await, "t", "the question itself must find something");
}

/// What a Rust enum calls its values is what the type of the column calls them, in the same order.
#[tokio::test]
async fn enums_have_the_words_of_their_types() {
    fn words<T: VariantArray + Copy + Into<&'static str>>() -> String {
        T::VARIANTS.iter().map(|value| (*value).into()).collect::<Vec<&str>>().join(" ")
    }
    let (_database, client) = Database::migrated().await;
    for (sql_type, ours) in [
        ("message_operation", words::<Operation>()),
        // What a recipient is told and nobody captures.
        ("change_operation", words::<Operation>().replace(" withdrawn", "")),
        ("alert_kind", words::<AlertKind>()),
        ("reply_kind", words::<ReplyKind>()),
        ("outcome", words::<OutcomeState>()),
        ("gap_cause", words::<GapCause>()),
        ("large_decision", words::<LargeDecision>()),
        ("told_status", words::<ToldStatus>()),
        ("message_waits_for", words::<WaitsFor>()),
        ("message_reason", [words::<Failure>(), words::<Skip>()].join(" ")),
        ("attempt_result", words::<AttemptResultKind>()),
        ("attempt_error_class", words::<ErrorClass>()),
        ("receipt_status", words::<ReceiptStatus>()),
        ("evidence_source", words::<EvidenceSource>()),
        ("fallback_cause", words::<FallbackCause>()),
        ("fallback_waits_for", words::<FallbackWait>()),
        ("circuit_state", words::<CircuitState>()),
        ("receipt_source_kind", words::<ReceiptSourceKind>()),
        ("receipt_source_state", words::<ReceiptSourceState>()),
        ("reconcile_lookup_method", words::<LookupMethod>()),
        ("opt_out_source", words::<OptOutSource>()),
        ("retention_task", words::<RetentionTask>()),
        ("person_act_kind", words::<PersonActKind>()),
    ] {
        let query = format!(
            "select string_agg(enumlabel, ' ' order by enumsortorder)
               from pg_enum where enumtypid = 'rowbell.{sql_type}'::regtype"
        );
        assert_eq!(ours, lines(&client, &query).await, "{sql_type}");
    }
}

#[tokio::test]
async fn every_query_fits_the_schema() {
    let (_database, client) = Database::migrated().await;
    for (name, sql) in sql_files("queries") {
        if let Err(error) = client.prepare(&sql).await {
            panic!("sql/queries/{name}.sql: {:?}", error.as_db_error());
        }
        let name = name.rsplit('/').next().unwrap();
        assert!(sql.starts_with(&format!("-- {name}: ")), "{name} does not begin with its name");
    }
}

/// `-- $1 watch, $2 entity_key: the entity` in the head of a query labels two parameters.
#[test]
fn every_parameter_has_a_label() {
    fn numbers(text: &str) -> Vec<usize> {
        let after = text.split('$').skip(1);
        let digits = after.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap());
        digits.filter_map(|number| number.parse().ok()).collect()
    }
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/queries")];
    let (mut queries, mut wrong) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let sql = std::fs::read_to_string(&path).unwrap();
            let head = sql.lines().take_while(|line| line.starts_with("--"));
            let (labels, prose): (Vec<&str>, Vec<&str>) =
                head.partition(|line| line.starts_with("-- $"));
            let mut labelled = Vec::new();
            for label in labels {
                let (parameters, meaning) = label[3..].split_once(": ").unwrap_or((label, ""));
                let is_named = parameters.split(", ").all(|one| {
                    one.split_once(' ').is_some_and(|(number, name)| {
                        number.starts_with('$')
                            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                    })
                });
                if !is_named || meaning.is_empty() {
                    wrong.push(format!("{}: {label}", path.display()));
                }
                labelled.extend(numbers(parameters));
            }
            let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
            let mut used: Vec<usize> = code.flat_map(numbers).collect();
            used.sort_unstable();
            used.dedup();
            if labelled != used || prose.into_iter().flat_map(numbers).next().is_some() {
                wrong.push(format!("{}: labels {labelled:?}, uses {used:?}", path.display()));
            }
            queries += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(queries > 100, "the question itself must find something");
}

#[test]
fn no_query_is_an_orphan() {
    let mut source = String::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    source.retain(|character| !character.is_whitespace());
    for (name, _) in sql_files("queries") {
        // `named!(tx, "claim/claim_take", …)`, or `include_str!("…/sql/queries/capture/table_codes.sql")`.
        let uses = [format!("\"{name}\""), format!("/sql/queries/{name}.sql\"")];
        let is_used = uses.iter().any(|usage| source.contains(usage));
        assert!(is_used, "sql/queries/{name}.sql is used by nobody");
    }
}

/// Filtered by message, or by watch and entity, no report walks through a table that grows.
#[tokio::test]
async fn reports_about_one_entity_are_cheap() {
    let (_database, client) = Database::migrated().await;
    // With empty tables the planner would scan them whatever the indexes.
    client.batch_execute("set enable_seqscan = off; set enable_bitmapscan = off").await.unwrap();
    for view in ["message_status", "change_story", "failures"] {
        for filter in ["watch = 'delivery' and entity_key = '17'", "message_id = 5"] {
            let query =
                format!("explain (costs off) select * from rowbell_report.{view} where {filter}");
            let plan = lines(&client, &query).await;
            for table in ["message", "attempt", "receipt"] {
                let scan = format!("Seq Scan on {table}");
                assert!(!plan.contains(&scan), "{view} where {filter}:\n{plan}");
            }
            // A whole index is no better than a whole table.
            let scans =
                plan.matches("Index Scan").count() + plan.matches("Index Only Scan").count();
            let conditions = plan.matches("Index Cond").count();
            assert_eq!(scans, conditions, "{view} where {filter}:\n{plan}");
        }
    }
}

/// Among many messages, those to one phone are found by an index, by the page and by whoever asks the reports.
#[tokio::test]
async fn what_a_phone_was_told_is_found_by_an_index() {
    let (_database, client) = Database::migrated().await;
    client
        .batch_execute(
            "insert into rowbell.message (watch, entity_key, state, reason, operation, first_changed_at, last_changed_at, channel, \
                                          recipient_phone, finished_at, updated_by)
             select 'delivery', i::text, 'skipped', 'muted', 'update', now(), now(), 'main', (12025550000 + i % 5000)::text, now(), 't'
               from generate_series(1, 20000) as i;
             analyze rowbell.message",
        )
        .await
        .unwrap();
    let mut page = include_str!("../../sql/queries/page/page_messages.sql").to_owned();
    let filled = ["null", "null", "null", "null", "'{12025550143}'", "1", "30000", "50"];
    for (at, value) in filled.iter().enumerate() {
        page = page.replace(&format!("${}", at + 1), value);
    }
    let report =
        "select * from rowbell_report.message_status where recipient_phone = '12025550143'";
    for query in [page.as_str(), report] {
        let plan = lines(&client, &format!("explain (costs off) {query}")).await;
        assert!(plan.contains("message_phone_idx"), "{plan}");
        assert!(!plan.contains("Seq Scan on message"), "{plan}");
    }
}
