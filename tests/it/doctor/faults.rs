//! `rowbell doctor`: one fault after the other is planted into a healthy site. Each is found, with the command that
//! mends it; the command is run as it is printed, and then nothing is found any more.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rowbell::cli::inspect::doctor::examined;
use rowbell::config::Config;
use rowbell::finding::{Finding, Mend};
use rowbell::operations::check::report::CheckReport;
use rowbell::operations::doctor::measure::measured;
use rowbell::postgres::connection::pool;
use rowbell::postgres::inspection::doctor::Limits;

use crate::harness::World;

/// The site as a sysadmin has it: one role owns the tables, another is the daemon's and only reads them.
const SITE: &str = "
    create role rowbell_daemon nologin;
    create role rowbell_site login in role rowbell_daemon;
    create role shop_app login;
    create schema shop;
    create function shop.full_name(name text) returns text language sql immutable as 'select name';
    create table customer (id bigint primary key, full_name text, phone text, opted_in boolean default true);
    create table place (id bigint primary key, name text);
    create table delivery (
        id bigint primary key, customer_id bigint, place_id bigint, status text not null default 'planned',
        arrives_at timestamptz
    );
    insert into customer values (1, 'Maria', '+1 212 200 0001', true), (2, 'Juan', '+34 612 345 678', true);
    insert into place values (1, 'North gate');
    insert into delivery values (1, 1, 1, 'planned', now() + interval '1 day'), (2, 2, 1, 'planned', now() + interval '2 days');
    revoke execute on function shop.full_name(text) from public;
    grant usage on schema shop to rowbell_daemon;
    grant execute on function shop.full_name(text) to rowbell_daemon;
    grant select on customer, place, delivery to rowbell_daemon;";

const CONFIG: &str = r#"
[database]
url = "{database}"
[recipient]
time_zone = "Europe/Madrid"
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
[template.service_change]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = { default = "en" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
[watch.home_delivery]
table        = "public.delivery"
channel      = "main"
template     = "service_change"
service.en   = "home delivery"
columns      = ["status", "arrives_at", "place_id"]
label        = { status.en = "Status", arrives_at.en = "Arrival", place_id.en = "Place" }
lookup.place_id.sql = "select p.name from public.place p where p.id = wanted.place_id"
expires_at   = "arrives_at"
recipient    = """
  select shop.full_name(c.full_name) as name, c.phone, c.opted_in
    from customer c where c.id = changed.customer_id"""
"#;

const TRIGGER: &str = "rowbell_capture_home_delivery";

/// What is planted, what is found of it, and whether it is looked for with limits that find the least.
type Fault = (&'static str, &'static str, bool);

/// Faults of the triggers.
const TRIGGERS: [Fault; 10] = [
    ("alter table delivery disable trigger {trigger}", "is disabled", false),
    ("alter table delivery enable replica trigger {trigger}", "fires for replicated changes only", false),
    ("drop trigger {trigger} on delivery", "has no trigger", false),
    ("alter trigger {trigger} on delivery rename to mine", "is of an earlier configuration", false),
    (
        "drop trigger {trigger} on delivery; create trigger {trigger} after update on delivery for each row
             execute function rowbell.capture_home_delivery('home_delivery', '[\"id\"]', '[]', '[]', 'ring')",
        "is of an earlier configuration",
        false,
    ),
    (
        "create table parcel (like delivery); create trigger {trigger} after update on parcel for each row
             execute function rowbell.capture_home_delivery('home_delivery')",
        "it also has a trigger on public.parcel",
        false,
    ),
    (
        "create or replace function rowbell.capture_home_delivery() returns trigger language plpgsql security definer
             as 'begin return null; end'",
        "its function is not the one",
        false,
    ),
    ("alter function rowbell.capture_home_delivery() security invoker", "its function is not the one", false),
    (
        "create function rowbell.capture_old() returns trigger language plpgsql security definer as 'begin return null; end';
         create trigger rowbell_capture_old after update on customer for each row
             execute function rowbell.capture_old('old')",
        "watch old is not in the configuration, but its trigger on public.customer",
        false,
    ),
    (
        "insert into rowbell.change (watch, operation, capture_error) values ('older', 'update', 'x')",
        "watch older is not in the configuration, but 1 change waits",
        false,
    ),
];

/// Rights that are missing, and rights that nobody needs.
const RIGHTS: [Fault; 20] = [
    ("revoke select on customer from rowbell_daemon", "the daemon may not read all", false),
    ("revoke select on place from rowbell_daemon", "the daemon may not read all", false),
    ("revoke select on delivery from rowbell_daemon", "the daemon may not read all", false),
    ("revoke usage on schema shop from rowbell_daemon", "the daemon may not read all", false),
    (
        "revoke execute on function shop.full_name(text) from rowbell_daemon",
        "the daemon may not read all",
        false,
    ),
    (
        "revoke select on rowbell.change from rowbell_daemon",
        "right select on rowbell.change of rowbell_daemon",
        false,
    ),
    ("revoke usage on schema rowbell from rowbell_daemon", "may not use schema rowbell", false),
    ("revoke rowbell_daemon from rowbell_site", "may not use schema rowbell", false),
    ("alter role rowbell_site superuser", "has superuser", false),
    ("alter role rowbell_site createrole", "has createrole", false),
    ("alter role rowbell_site createdb", "has createdb", false),
    ("alter role rowbell_site replication", "has replication", false),
    ("grant pg_read_server_files to rowbell_site", "is in pg_read_server_files", false),
    ("grant update on delivery to rowbell_site", "may write to delivery", false),
    ("grant insert on delivery to public", "may write to delivery", false),
    ("alter role rowbell_site connection limit 2", "may have 2 sessions at once", false),
    ("alter role rowbell_site valid until 'tomorrow'", "cannot log in after", false),
    ("revoke temporary on database postgres from public", "may make no temporary views", false),
    (
        "alter table delivery enable row level security",
        "row level security of public.delivery",
        false,
    ),
    (
        "drop owned by rowbell_analyst; drop role rowbell_analyst",
        "a role of rowbell is missing",
        false,
    ),
];

/// Faults of our own schema.
const SCHEMA: [Fault; 16] = [
    ("drop index rowbell.queue_fair_idx", "index rowbell.queue_fair_idx: is gone", false),
    (
        "update pg_index set indisvalid = false where indexrelid = 'rowbell.queue_lease_idx'::regclass",
        "index rowbell.queue_lease_idx: is invalid",
        false,
    ),
    (
        "alter function rowbell.whole_row set work_mem = '1MB'",
        "rowbell.whole_row(record): is not as",
        false,
    ),
    (
        "create or replace function rowbell.record_consent() returns trigger language plpgsql as 'begin return null; end'",
        "rowbell.record_consent(): is not as",
        false,
    ),
    ("drop function rowbell.capture_by_name", "is gone", false),
    (
        "alter table rowbell.circuit drop constraint closed_at_iff_closed",
        "constraint closed_at_iff_closed of rowbell.circuit: is gone",
        false,
    ),
    (
        "alter table rowbell.pause drop constraint pause_pkey",
        "constraint pause_pkey of rowbell.pause",
        false,
    ),
    (
        "drop view rowbell_report.failure_reasons",
        "view rowbell_report.failure_reasons: is gone",
        false,
    ),
    (
        "drop trigger record_consent on rowbell.opt_out",
        "trigger record_consent of rowbell.opt_out: is gone",
        false,
    ),
    (
        "alter table rowbell.opt_out disable trigger record_consent",
        "record_consent of rowbell.opt_out: is disabled",
        false,
    ),
    (
        "alter table rowbell.queue set (autovacuum_enabled = false)",
        "is not vacuumed automatically",
        false,
    ),
    ("alter table rowbell.pause set unlogged", "table rowbell.pause: is unlogged", false),
    (
        "alter table rowbell.receipt enable row level security",
        "table rowbell.receipt: has row level security",
        false,
    ),
    ("alter table rowbell.opt_out owner to shop_app", "belongs to another role", false),
    (
        "grant select on rowbell.message to public",
        "table rowbell.message: is open to everybody",
        false,
    ),
    ("grant usage on schema rowbell to public", "schema rowbell: is open to everybody", false),
];

/// What around us keeps changes from being recorded, messages from leaving, or rows from being found.
const AROUND: [Fault; 10] = [
    ("alter function rowbell.capture_home_delivery() owner to shop_app", "every change of its table fails", false),
    ("alter role shop_app set session_replication_role = replica", "writes without triggers", false),
    ("alter database postgres set session_replication_role = replica", "writes without triggers", false),
    ("alter role shop_app in database postgres set rowbell.mute = 'tests'", "is muted", false),
    ("alter table customer drop constraint customer_pkey", "public.customer for each change", true),
    ("alter table place drop constraint place_pkey", "public.place for each change", true),
    ("select pg_create_physical_replication_slot('forgotten', true)", "slot forgotten: is read by nobody", true),
    ("insert into rowbell.pause (kind, name) values ('watch', 'home_delivery')", "watch home_delivery is paused", false),
    (
        "create subscription mirror connection 'host=nowhere' publication shop with (connect = false);
         insert into pg_subscription_rel select oid, 'delivery'::regclass, 'r', null from pg_subscription",
        "gets its rows by logical replication",
        false,
    ),
    ("update rowbell.installation set system_identifier = '1'", "this database is a copy", false),
];

/// A site, and how its commands are typed.
pub struct Site {
    pub world: World,
    pub config: Config,
    /// The configuration of the owner, who installs.
    file: PathBuf,
}

impl Site {
    pub async fn new() -> Site {
        let (mut text, mut file) = (String::new(), PathBuf::new());
        let world = World::made(SITE, |url, folder, provider| {
            text = CONFIG
                .replace("{database}", url)
                .replace("{folder}", &folder.display().to_string())
                .replace("{provider}", provider);
            file = folder.join("rowbell.toml");
            text.clone()
        })
        .await;
        std::fs::write(&file, &text).unwrap();
        let mut config = (*world.config).clone();
        config.database.url = world.cluster.url_as("rowbell_site", "postgres");
        Site { world, config, file }
    }

    pub async fn found(&self, is_strict: bool) -> Vec<Finding> {
        let strict = Limits { slot_bytes: 0.0, scan_bytes: 1, ..Limits::default() };
        let limits = if is_strict { strict } else { Limits::default() };
        let report = examined(&self.config, &limits).await;
        // A fault may keep us from looking at something; on a healthy site nothing does.
        assert!(!report.findings.is_empty() || report.unseen.is_empty(), "{:?}", report.unseen);
        report.findings
    }

    /// Types a command.
    pub async fn mend(&self, mend: &Mend) {
        match mend {
            Mend::Sql(statement) => self.world.sql(statement).await,
            Mend::Rowbell(arguments) => self.rowbell(arguments),
            Mend::Shell(line) => run(Command::new("sh").args(["-c", line])),
        }
    }

    fn rowbell(&self, arguments: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rowbell"));
        command.arg("--config").arg(&self.file).args(arguments.split(' '));
        // It asks first, and nobody is there to answer.
        if arguments == "adopt" {
            command.arg("--yes");
        }
        run(&mut command);
    }
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{command:?}: {said}");
}

pub fn told(found: &[Finding]) -> String {
    found.iter().map(|one| format!("{one}\n    {:?}\n", one.mend)).collect()
}

async fn each_is_found_and_mended(faults: &[Fault]) {
    let site = Site::new().await;
    let healthy = site.found(true).await;
    assert!(healthy.is_empty(), "on a healthy site: {}", told(&healthy));
    for (plant, expected, is_strict) in faults {
        site.world.sql(&plant.replace("{trigger}", TRIGGER)).await;
        let found = site.found(*is_strict).await;
        let is_named = |one: &Finding| one.to_string().contains(expected) && !one.mend.is_empty();
        assert!(found.iter().any(is_named), "{plant}: expected {expected}, found {}", told(&found));
        let mends: Vec<&Mend> = found.iter().flat_map(|one| &one.mend).collect();
        for (place, mend) in mends.iter().enumerate() {
            if !mends[..place].contains(mend) {
                site.mend(mend).await;
            }
        }
        let after = site.found(*is_strict).await;
        assert!(after.is_empty(), "{plant}: after {mends:?} found {}", told(&after));
    }
}

#[tokio::test]
async fn triggers_that_are_gone_changed_or_too_many() {
    each_is_found_and_mended(&TRIGGERS).await;
}

#[tokio::test]
async fn rights_that_are_missing_or_too_many() {
    each_is_found_and_mended(&RIGHTS).await;
}

#[tokio::test]
async fn a_schema_that_somebody_has_worked_on() {
    each_is_found_and_mended(&SCHEMA).await;
}

#[tokio::test]
async fn what_around_us_keeps_changes_from_being_told() {
    each_is_found_and_mended(&AROUND).await;
}

/// Where every user of the machine can read it.
fn readable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    let parent = path.parent().unwrap();
    std::fs::set_permissions(parent, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_token_that_everybody_can_read() {
    let site = Site::new().await;
    readable(&site.file.with_file_name("token"));
    let found = site.found(false).await;
    assert!(told(&found).contains("every user of this machine can read"), "{}", told(&found));
    for mend in found.iter().flat_map(|one| &one.mend) {
        site.mend(mend).await;
    }
    assert_eq!(told(&site.found(false).await), "");
}

/// Somebody has switched autovacuum off for a night, long ago. The server takes its configuration anew a moment later.
#[tokio::test]
async fn a_server_that_removes_no_dead_rows() {
    let site = Site::new().await;
    site.world.sql("alter system set autovacuum = off").await;
    site.world.sql("select pg_reload_conf()").await;
    let is_off = async || told(&site.found(false).await).contains("autovacuum: is off");
    while !is_off().await {}
    for mend in &site.found(false).await[0].mend {
        site.mend(mend).await;
    }
    while is_off().await {}
    assert_eq!(told(&site.found(false).await), "");
}

/// Somebody has begun a transaction and gone to lunch.
#[tokio::test]
async fn a_session_that_keeps_dead_rows_is_named_and_can_be_ended() {
    let site = Site::new().await;
    let forgotten =
        rowbell_lab::demo::testbed::connect(&site.world.cluster.url("postgres")).await.unwrap();
    forgotten.batch_execute("begin; select txid_current()").await.unwrap();
    let limits = Limits { transaction_seconds: 0.0, ..Limits::default() };
    // Who may not see what others do is not told.
    site.world.sql("grant pg_read_all_stats to rowbell_site").await;
    let found = examined(&site.config, &limits).await.findings;
    let one = found.iter().find(|one| one.what.contains("has had a transaction open"));
    let mend = one.unwrap_or_else(|| panic!("{}", told(&found))).mend.clone();
    site.mend(&mend[0]).await;
    while !forgotten.is_closed() {
        tokio::task::yield_now().await;
    }
    let after = examined(&site.config, &limits).await.findings;
    assert_eq!(told(&after), "");
}

/// A standby that is down is found out on the day on which it is needed, or today.
#[tokio::test]
async fn each_host_of_the_url_is_tried() {
    let mut site = Site::new().await;
    let port = site.world.cluster.port();
    site.config.database.url =
        format!("postgresql://rowbell_site@127.0.0.1:{port},127.0.0.1:1/postgres?sslmode=disable");
    let found = site.found(false).await;
    assert_eq!(found.len(), 1, "{}", told(&found));
    assert!(
        told(&found).starts_with("database.url: 127.0.0.1:1 does not take us: "),
        "{}",
        told(&found)
    );
    site.config.database.url =
        "postgresql://rowbell_site@127.0.0.1:1/postgres?sslmode=disable".to_owned();
    let found = site.found(false).await;
    assert_eq!(found.len(), 1, "{}", told(&found));
    assert_eq!(found[0].severity.into_str(), "error");
}

/// What a trigger costs is measured where it runs, and of the measuring nothing stays.
#[tokio::test]
async fn the_cost_of_a_trigger_is_measured_and_nothing_stays() {
    let site = Site::new().await;
    let mut client = connect(&site.config).await;
    let mut report = CheckReport::default();
    let said = measured(&mut client, &site.config, &mut report).await;
    assert_eq!(report.unseen, [""; 0]);
    assert!(
        said.len() == 1 && said[0].starts_with("watch home_delivery: an update of one row takes "),
        "{said:?}"
    );
    assert_eq!(site.world.value("select count(*) from rowbell.change").await, "0");
    assert_eq!(told(&site.found(false).await), "");
}

async fn connect(config: &Config) -> pool::Client {
    pool::get(&pool::connect(&config.database).unwrap()).await.unwrap()
}

/// Rows of the business that reach nobody: too late, a phone with letters, a zone that is none.
#[tokio::test]
async fn rows_that_reach_nobody_are_counted_with_an_example_that_names_nobody() {
    let mut site = Site::new().await;
    let watch = site.config.watch.get_mut("home_delivery").unwrap();
    watch.recipient =
        watch.recipient.replace("c.phone,", "c.phone, 'Madrid' as time_zone, 'spanish' as locale,");
    site.world
        .sql(
            "insert into customer values (3, 'Ana', 'ask Juan', true);
             insert into delivery select n, 3, 1, 'planned', now() - interval '1 day' from generate_series(3, 6) as n",
        )
        .await;
    let said = told(&site.found(false).await);
    for expected in [
        "expires_at: of the last 6 rows 4 would be stale",
        "recipient: of the last 6 rows 4 cannot be told: the phone is not one number",
        "one is \"…an\", 8 characters long",
        "of the last 6 rows all have a time_zone that is not known, such as \"Madrid\"",
        "of the last 6 rows all have a locale that is not known, such as \"spanish\"",
    ] {
        assert!(said.contains(expected), "expected {expected}, found {said}");
    }
    assert!(!said.contains("ask Juan"), "{said}");
    site.config.watch.get_mut("home_delivery").unwrap().recipient =
        "select c.full_name as name, c.phone, c.opted_in from customer c cross join generate_series(1, 20)".to_owned();
    let said = told(&site.found(false).await);
    assert!(said.contains("of the last 6 rows all give more than max_recipients = 10"), "{said}");
}
