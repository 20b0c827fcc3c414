//! One server for this binary, one database for each test.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rowbell::config::{Config, load};
use rowbell::postgres::schema::migrate;
use rowbell_lab::demo::cluster::{Cluster, ClusterOptions};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Never dropped; its guard ends it with this process.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    // Texts of times do not depend on where the test runs.
    let settings = vec![("timezone".to_owned(), "UTC".to_owned())];
    Cluster::start(ClusterOptions { settings, ..ClusterOptions::default() }).expect("a server")
});

/// A connection to a server by its URL.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// A database of its own, empty.
pub struct Database {
    name: String,
}

impl Database {
    pub async fn empty() -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let server = connect(&CLUSTER.url("postgres")).await;
        let create = format!("create database {name} template template0");
        server.batch_execute(&create).await.unwrap();
        Database { name }
    }

    /// With the schema of this program, and its superuser.
    pub async fn migrated() -> (Database, Client) {
        let database = Database::empty().await;
        let mut client = database.client().await;
        migrate::migrate(&mut client).await.expect("an empty database can be migrated");
        (database, client)
    }

    /// A session of its superuser.
    pub async fn client(&self) -> Client {
        connect(&CLUSTER.url(&self.name)).await
    }

    pub async fn client_as(&self, user: &str) -> Client {
        connect(&CLUSTER.url_as(user, &self.name)).await
    }

    /// A user of this test only: users belong to the whole server.
    pub async fn user(&self, name: &str, is_in: Option<&str>) -> String {
        let user = format!("{name}_{}", self.name);
        let is_in = is_in.map_or(String::new(), |role| format!(" in role {role}"));
        let create = format!("create role {user} login{is_in}");
        self.client().await.batch_execute(&create).await.unwrap();
        user
    }
}

/// The files below a folder of `sql`, by path ("claim/claim_take"), with their texts.
pub fn sql_files(folder: &str) -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql").join(folder);
    let (mut files, mut folders) = (Vec::new(), vec![top.clone()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (below, here): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
        folders.extend(below);
        files.extend(here);
    }
    files.sort();
    let name =
        |path: &Path| path.strip_prefix(&top).unwrap().with_extension("").display().to_string();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// What a query gives as lines of text, columns between bars, null as an empty text.
pub async fn lines(client: &Client, query: &str) -> String {
    let mut lines = Vec::new();
    for message in client.simple_query(query).await.unwrap() {
        if let SimpleQueryMessage::Row(row) = message {
            let columns: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("")).collect();
            lines.push(columns.join(" | ").trim_end().to_owned());
        }
    }
    lines.join("\n")
}

/// What the only row of a query gives, one line for each column that is not null.
pub async fn fields(client: &Client, query: &str) -> String {
    let mut lines = Vec::new();
    for message in client.simple_query(query).await.unwrap() {
        if let SimpleQueryMessage::Row(row) = message {
            let names = row.columns().iter().map(|column| column.name());
            let known = names.enumerate().filter_map(|(i, name)| Some((name, row.get(i)?)));
            lines.extend(known.map(|(name, value)| format!("{name}: {value}")));
        }
    }
    lines.join("\n")
}

/// The error of a statement in the server's words; what must fail and does not is told too.
pub async fn refusal(client: &Client, statement: &str) -> String {
    match client.batch_execute(statement).await {
        Ok(()) => "was allowed".to_owned(),
        Err(error) => error.as_db_error().map_or(error.to_string(), |db| db.message().to_owned()),
    }
}

/// A shop's tables, of which one is watched.
pub const SHOP: &str = "
create schema shop;
create table shop.customer (id bigint primary key, full_name text, phone text);
create table shop.delivery (
    id bigint primary key, customer_id bigint, status text, window_start timestamptz, driver_note text
);
create table shop.salary (id bigint primary key, amount numeric);
insert into shop.customer values (1, 'Maria', '+12025550143');
insert into shop.delivery values (17, 1, 'planned', '2026-06-25 10:00+00', null);
";

/// The configuration of that shop.
pub fn config() -> Config {
    load::from_text(
        r#"
[channel.main]
provider = "1msg"
channel_id = "ODI1"
token_file = "/dev/null"

[template.service_change]
name = "service_change"
namespace = "n"
language = "en"
body = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]

[watch.delivery]
table = "shop.delivery"
channel = "main"
template = "service_change"
service = "home delivery"
columns = ["status", "window_start"]
recipient = "select c.full_name as name, c.phone from shop.customer c where c.id = changed.customer_id"
"#,
    )
    .expect("a good configuration")
}

/// Entities 17 (told twice, changed again), 18 (failed), 19 (skipped), 20 (unconfirmed).
pub const HISTORY: &str = r#"
update rowbell.hash_key set key = 'known';
insert into rowbell.message (
    message_id, watch, entity_key, state, reason, reason_text, operation, change_count,
    first_changed_at, last_changed_at, old_row, new_row, channel, template, language,
    recipient_name, recipient_phone, recipient_locale, recipient_time_zone, summary, parameters,
    due_at, attempt_count, provider_message_id, sent_at, delivered_at, read_at, finished_at,
    created_at, updated_at, updated_by
) overriding system value values
(1, 'delivery', '17', 'read', null, null, 'update', 3,
    '2026-06-24 09:00:00Z', '2026-06-24 09:00:10Z',
    '{"id": 17, "status": "planned", "window_start": "2026-06-25T08:00:00+00:00"}',
    '{"id": 17, "status": "packed", "window_start": "2026-06-25T10:00:00+00:00"}',
    'main', 'service_change', 'en', 'Maria', '12025550143', 'en-US', 'America/New_York',
    'New window: 10:00 AM.', '["Maria", "home delivery", "New window: 10:00 AM."]',
    null, 2, 'p-1', '2026-06-24 09:00:40Z', '2026-06-24 09:00:42Z', '2026-06-24 09:05:42Z', null,
    '2026-06-24 09:00:11Z', '2026-06-24 09:05:42Z', 'settle_move'),
(2, 'delivery', '18', 'failed', 'undeliverable', '131026: Message undeliverable', 'update', 1,
    '2026-06-24 09:10:00Z', '2026-06-24 09:10:00Z',
    '{"id": 18, "status": "planned"}', '{"id": 18, "status": "packed"}',
    'main', 'service_change', 'en', 'John', '12025550144', 'en-US', 'America/New_York',
    'Status: packed.', '["John", "home delivery", "Status: packed."]',
    null, 1, 'p-2', '2026-06-24 09:10:20Z', null, null, '2026-06-24 09:10:25Z',
    '2026-06-24 09:10:00Z', '2026-06-24 09:10:25Z', 'settle_move'),
(3, 'delivery', '19', 'skipped', 'no_net_change', null, 'update', 2,
    '2026-06-24 09:20:00Z', '2026-06-24 09:20:05Z',
    '{"id": 19, "status": "planned"}', '{"id": 19, "status": "planned"}',
    'main', null, null, null, null, null, null, null, null,
    null, 0, null, null, null, null, '2026-06-24 09:20:25Z',
    '2026-06-24 09:20:00Z', '2026-06-24 09:20:25Z', 'compose_write'),
(4, 'delivery', '20', 'unconfirmed', null, 'timed out', 'update', 1,
    '2026-06-24 09:30:00Z', '2026-06-24 09:30:00Z',
    '{"id": 20, "status": "planned"}', '{"id": 20, "status": "packed"}',
    'main', 'service_change', 'en', 'Ann', '12025550145', 'en-US', 'America/New_York',
    'Status: packed.', '["Ann", "home delivery", "Status: packed."]',
    null, 1, null, null, null, null, null,
    '2026-06-24 09:30:00Z', '2026-06-24 09:30:50Z', 'settle_move'),
(5, 'delivery', '17', 'scheduled', null, 'an earlier message is being sent', 'update', 1,
    '2026-06-24 09:40:00Z', '2026-06-24 09:40:00Z',
    '{"id": 17, "status": "packed"}', '{"id": 17, "status": "on_the_way"}',
    'main', null, null, null, null, null, null, null, null,
    '2026-06-24 09:41:00Z', 0, null, null, null, null, null,
    '2026-06-24 09:40:00Z', '2026-06-24 09:40:00Z', 'compose_write');

insert into rowbell.queue (message_id, channel, watch, entity_key, state, due_at) values
(4, 'main', 'delivery', '20', 'unconfirmed', '2026-06-24 09:45:50Z'),
(5, 'main', 'delivery', '17', 'open', '2026-06-24 09:41:00Z');

insert into rowbell.attempt values
(1, 1, 'refused', '2026-06-24 09:00:30Z', '2026-06-24 09:00:31Z', 429, 'slow', 130429, 'Rate limit hit', null, null),
(1, 2, 'accepted', '2026-06-24 09:00:39Z', '2026-06-24 09:00:40Z', 201, null, null, null, 'p-1', null),
(2, 1, 'accepted', '2026-06-24 09:10:19Z', '2026-06-24 09:10:20Z', 201, null, null, null, 'p-2', null),
(4, 1, 'unknown', '2026-06-24 09:30:20Z', '2026-06-24 09:30:50Z', null, null, null, 'timed out', null, null);

insert into rowbell.receipt (channel, provider_message_id, status, error_code, error_text, occurred_at, received_at, source) values
('main', 'p-1', 'read', null, null, '2026-06-24 09:05:42Z', '2026-06-24 09:05:43Z', 'webhook'),
('main', 'p-1', 'delivered', null, null, '2026-06-24 09:00:42Z', '2026-06-24 09:05:44Z', 'poll'),
('main', 'p-2', 'failed', 131026, 'Message undeliverable', null, '2026-06-24 09:10:25Z', 'webhook');

insert into rowbell.change (watch, entity_key, operation, old_row, new_row, changed_at, changed_by) values
('delivery', '17', 'update', '{"id": 17, "status": "on_the_way"}', '{"id": 17, "status": null}',
    '2026-06-24 09:40:30Z', 'backoffice');
"#;
