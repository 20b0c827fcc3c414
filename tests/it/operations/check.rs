//! What `rowbell check` says of a watch before the first customer is told.

use rowbell::operations::check;
use rowbell::operations::check::report::CheckReport;

use crate::harness::{CONFIG, HEAD, SHOP, World};

async fn checked(world: &World) -> CheckReport {
    let mut client = world.stages.context.pool.get().await.unwrap();
    check::online(&mut client, &world.config).await
}

/// A shop with columns of many kinds, and with one delivery whose columns hold something.
fn parcels() -> String {
    format!(
        "{SHOP} create type gate as enum ('A', 'B');
         alter table delivery add driver text, add fee numeric(10,2) not null default 5, add tags text[],
             add gate gate, add days daterange, add meta jsonb;
         update delivery set note = '2030-06-01', driver = 'Dan', tags = '{{bread}}', gate = 'A',
             days = '[2030-06-25,2030-06-28)', meta = '{{\"price\": 2}}'"
    )
}

/// A rule of the parcels, and what is said of it; "": nothing.
async fn rules(rules: &[(&str, &str)]) {
    let config = CONFIG.replace(
        "\"address\",",
        "\"address\", \"driver\", \"fee\", \"tags\", \"gate\", \"days\", \"meta\", \"note\",",
    );
    let written: String =
        rules.iter().map(|(rule, _)| format!("[[watch.home_delivery.say]]\n{rule}\n")).collect();
    let world = World::over(&parcels(), &config, &written).await;
    let report = checked(&world).await;
    let expected: Vec<String> = rules
        .iter()
        .enumerate()
        .filter(|(_, (_, what))| !what.is_empty())
        .map(|(place, (_, what))| format!("watch.home_delivery.say[{place}].{what}"))
        .collect();
    assert_eq!(report.problems(), expected);
}

/// A filter that cannot show the value: every message that this rule was to tell was lost, and `check` was content.
#[tokio::test]
async fn every_rule_is_tried_with_what_the_columns_hold_and_could_hold() {
    rules(&[
        (
            "when = ['fee']\ntext.en = '{{ status | window(fee) }}'",
            "text.en: expected a date or a moment, found \"planned\"",
        ),
        (
            "when = ['tags']\ntext.en = 'In it: {{ tags[0] | upper }}'",
            "text.en: `tags[0]` is undefined (where tags is [])",
        ),
        ("when = ['tags']\ntext.en = 'In it: {{ tags | first | default(\"nothing\") }}'", ""),
        (
            "when = ['fee']\ntext.en = 'One of {{ 10 // fee }}'",
            "text.en: unable to calculate 10 // 0 (where fee is 0)",
        ),
        (
            "when = ['gate']\ntext.en = 'Gate {% if gate == \"B\" %}{{ gate | date }}{% endif %}'",
            "text.en: expected a date or a moment, found \"B\" (where gate is \"B\")",
        ),
        (
            "becomes = { status = 'late' }\ntext.en = 'Late{% if status == \"late\" %} since {{ status | time }}{% endif %}'",
            "text.en: expected a date or a moment, found \"late\"",
        ),
        ("when = ['note']\ntext.en = 'Since {{ note | date }}'", ""),
        ("when = ['driver']\ntext.en = 'Driver {{ driver }}, before {{ old.driver | upper }}'", ""),
        ("when = ['days']\ntext.en = '{{ days | window }} {{ days | start | date }}'", ""),
        ("when = ['meta']\ntext.en = '{{ meta.price | number }}'\ntext.es = '{{ meta.price | date }}'", "text.es: expected a date or a moment, found \"2\""),
        ("when = ['meta']\ntext.en = '{{ meta.gone.deeper | number }}'", ""),
        ("operation = 'insert'\ntext.en = 'New: {{ window_start | datetime }}{{ old.driver }}'", ""),
    ])
    .await;
}

/// `select null as name`: every message failed, because WhatsApp refuses empty variables.
#[tokio::test]
async fn recipients_without_a_name_or_a_phone_and_rows_that_are_over_are_said() {
    let with_query = |query: &str| {
        let start = CONFIG.find("recipient    = \"\"\"").unwrap();
        let end = CONFIG.find("quiet_period").unwrap();
        format!("{}recipient = \"\"\"{query}\"\"\"\n{}", &CONFIG[..start], &CONFIG[end..])
    };
    let of = "from customer c where c.id = changed.customer_id";
    let name = "watch.home_delivery.recipient: of the last 2 rows all have no name, which the body of the template writes";
    for (query, watch, problem, warning) in [
        (format!("select null as name, c.phone {of}"), "", name, ""),
        (format!("select c.phone {of}"), "", name, ""),
        (
            format!("select nullif(c.full_name, 'Juan') as name, c.phone {of}"),
            "",
            "",
            "watch.home_delivery.recipient: of the last 2 rows 1 has no name",
        ),
        (
            format!("select c.full_name as name, '612 345 678' as phone {of}"),
            "",
            "",
            "watch.home_delivery.recipient: of the last 2 rows all cannot be told: the phone has no country code",
        ),
        (
            format!("select c.full_name as name, c.phone {of} and c.id = 7"),
            "",
            "",
            "watch.home_delivery.recipient: of the last 2 rows all have no recipient",
        ),
        (
            format!("select c.full_name as name, c.phone {of}"),
            "expires_at = \"date_of_birth\"",
            "",
            "watch.home_delivery.expires_at: of the last 2 rows all would be stale, because \"date_of_birth\" is over",
        ),
        (
            format!("select c.full_name as name, c.phone {of}"),
            "expires_at = \"case id when 1 then date_of_birth end\"",
            "",
            "",
        ),
    ] {
        let schema =
            format!("{SHOP} alter table delivery add date_of_birth date default '1984-03-05'");
        let world = World::over(&schema, &with_query(&query), watch).await;
        let report = checked(&world).await;
        let holds = |found: &[String], expected: &str| match expected {
            "" => !found.iter().any(|what| what.contains("of the last")),
            expected => found.iter().any(|what| what.starts_with(expected)),
        };
        assert!(holds(&report.problems(), problem), "{query}: {report:#?}");
        assert!(holds(&report.warnings(), warning), "{query} {watch}: {report:#?}");
    }
}

const BOOKINGS: &str = "
    create table booking (id bigint primary key, starts_at timestamptz, room text, status text, owner text);
    create table attendee (
        id bigint primary key, booking_id bigint references booking, name text, phone text, locale text
    );
    insert into booking values (1, now() + interval '1 day', 'Blue', 'new', 'x');
    insert into attendee values (1, 1, 'Maria', '+1 212 200 0001', 'en');";

/// Two languages of the template with texts in one; hours of a zone that nobody chose; names of columns; nobody asked;
/// the same told twice; a recipient who is gone before the row is.
#[tokio::test]
async fn what_works_and_may_not_be_meant_is_a_warning() {
    let watch = r#"
[watch.NAME]
table     = "booking"
channel   = "main"
template  = "service_change"
service   = { en = "booking", es = "reserva" }
columns   = ["starts_at", "status", "room"]
on        = ["update", "delete"]
recipient = "select a.name, a.phone, a.locale from attendee a where a.booking_id = changed.id"
label.status.en = "Status"
[[watch.NAME.say]]
when = ["starts_at"]
text.en = "New time: {{ starts_at | datetime }}."
[[watch.NAME.say]]
becomes = { status = "cancelled" }
text = { default = "Cancelled." }
"#;
    let head =
        HEAD.replace("{ default = \"en\" }", "{ default = \"en\", es = \"es\", sw = \"sw\" }");
    let body = "body = [\"{{ recipient.name }}\", \"{{ service }}\", \"{{ summary }}\"]\n";
    let config = |more: &str| head.clone() + body + &watch.replace("NAME", "booking") + more;
    let other = watch
        .replace("NAME", "other")
        .replace("\"starts_at\", \"status\", \"room\"", "\"room\", \"owner\"");
    let other = other.split("label.status").next().unwrap().to_owned()
        + "label = { room = \"Room\", owner = \"Owner\" }\n";
    let world = World::over(BOOKINGS, &config(&other), "").await;
    let report = checked(&world).await;
    assert_eq!(report.problems(), Vec::<String>::new());
    insta::assert_snapshot!(report.warnings().join("\n"));

    let settled = config("")
        .replace("[channel.main]", "[recipient]\ntime_zone = \"UTC\"\n[channel.main]")
        .replace("columns   =", "consent = \"not_needed\"\ncolumns   =")
        .replace(
            "label.status.en",
            "label.room = \"Room\"\nlabel.status.es = \"Estado\"\nlabel.status.en",
        )
        .replace(
            "datetime }}.\"",
            "datetime }}.\"\ntext.es = \"Nueva hora: {{ starts_at | datetime }}.\"",
        )
        .replace(", sw = \"sw\"", "")
        .replace("on        = [\"update\", \"delete\"]\n", "");
    let world = World::over(BOOKINGS, &settled, "").await;
    let report = checked(&world).await;
    assert_eq!((report.problems(), report.warnings()), (Vec::new(), Vec::new()));
}
