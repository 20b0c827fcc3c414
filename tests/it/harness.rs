//! The world of the stories. Each has its own PostgreSQL, its own provider, its own files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rowbell::app::Stages;
use rowbell::clock::Clock;
use rowbell::config::{Config, load};
use rowbell::domain::message::receipt::Receipt;
use rowbell::domain::value::row::Row;
use rowbell::operations::preview::preview;
use rowbell::pipeline::context::channel_sender::HeldLease;
use rowbell::pipeline::context::stage::{Progress, Stage as _, StageError};
use rowbell::pipeline::deliver::channel_lease::LEASE;
use rowbell::pipeline::receive::webhook::Receive;
use rowbell::postgres::capture::install;
use rowbell::postgres::schema::migrate;
use rowbell::provider::onemsg::webhook_payload::{self, Delivered};
use rowbell_lab::demo::cluster::{Cluster, ClusterOptions};
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::demo::testbed::{self, Testbed, TestbedOptions};
use rowbell_lab::sandbox::{ChannelOptions, LimitOptions, ReceiptOptions, Sandbox, SandboxOptions};
use tokio_postgres::Client;

/// The shop: Maria, Juan, and their deliveries.
pub const SHOP: &str = "
    create table customer (
        id bigint primary key, full_name text, phone text, locale text, time_zone text,
        whatsapp_opt_in boolean default true
    );
    create table delivery (
        id bigint primary key, customer_id bigint, status text default 'planned',
        window_start timestamptz, window_end timestamptz, address text, note text
    );
    insert into customer values
        (1, 'Maria', '+1 212 200 0001', 'en-US', 'UTC'),
        (2, 'Juan', '+34 612 345 678', 'es-ES', 'Europe/Madrid');
    insert into delivery values
        (1, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', '1 Main Street'),
        (2, 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'Calle Mayor 1');";

/// Maria's phone as the provider sees it.
pub const MARIA: &str = "12122000001";
/// Juan's.
pub const JUAN: &str = "34612345678";

/// What stands in the folder of a world: the token of the provider, and those of the page.
const TOKENS: [(&str, &str); 3] =
    [("token", "sandbox-token"), ("page.read", READ_TOKEN), ("page.act", ACT_TOKEN)];
pub const READ_TOKEN: &str = "read-0123456789";
pub const ACT_TOKEN: &str = "act-9876543210";

/// How other configurations begin: a database, a channel, and a template without its body.
pub const HEAD: &str = r#"
[database]
url = "{database}"
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
[template.service_change]
name = "service_change"
namespace = "3f1c0000_sandbox"
language = { default = "en" }
"#;

/// Another number of the same provider.
pub const SECOND: &str = r#"
[channel.second]
provider   = "1msg"
channel_id = "ODI371267301"
token_file = "{folder}/token"
base_url   = "{provider}"
"#;

/// The configuration of the shop. `{…}` is replaced.
pub const CONFIG: &str = r#"
[database]
url = "{database}"
[delivery]
lease = "60s"
unconfirmed_after = "5m"
retry_base = "2s"
{settings}
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "{folder}/token"
base_url   = "{provider}"
rate       = "100000/s"
timeout    = "2s"
[template.service_change]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = { default = "en", es = "es" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
text.en   = "Hello, {{1}}! The status of your {{2}} has been updated. {{3}} If you need help — we are here."
[watch.home_delivery]
table        = "public.delivery"
channel      = "main"
template     = "service_change"
service      = { en = "home delivery", es = "entrega a domicilio" }
columns      = ["window_start", "window_end", "address", "status"]
context      = ["customer_id"]
on           = ["insert", "update", "delete"]
recipient    = """
  select c.full_name as name, c.phone, c.locale, c.time_zone, c.whatsapp_opt_in as opted_in
    from customer c where c.id = changed.customer_id"""
quiet_period = "20s"
{watch}
[[watch.home_delivery.say]]
when    = ["window_start", "window_end"]
text.en = "New window: {{ window_start | date }} from {{ window_start | time }} to {{ window_end | time }}."
text.es = "Nuevo horario: {{ window_start | date }} de {{ window_start | time }} a {{ window_end | time }}."
"#;

/// A world.
pub struct World {
    pub db: Client,
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub config: Arc<Config>,
    pub stages: Stages,
    /// Stops when the world ends.
    pub cluster: Cluster,
    _folder: Scratch,
}

impl World {
    /// The shop with its daemon's stages, nothing changed yet.
    pub async fn new() -> World {
        World::with("").await
    }

    /// The shop, with lines for its watch.
    pub async fn with(watch: &str) -> World {
        World::over(SHOP, CONFIG, watch).await
    }

    /// The shop, with sections for its configuration.
    pub async fn with_settings(settings: &str) -> World {
        World::over(SHOP, &CONFIG.replace("{settings}", settings), "").await
    }

    /// Another database, with a configuration of its own for it.
    pub async fn over(schema: &str, config: &str, watch: &str) -> World {
        World::made(schema, |url, folder, provider| {
            config
                .replace("{database}", url)
                .replace("{folder}", &folder.display().to_string())
                .replace("{provider}", provider)
                .replace("{settings}", "")
                .replace("{watch}", watch)
        })
        .await
    }

    /// Another database, with a configuration that is made once it is there: from its URL, a folder
    /// with the token, and the URL of the provider.
    pub async fn made(schema: &str, config: impl FnOnce(&str, &Path, &str) -> String) -> World {
        let config =
            |url: &str, folder: &Path, provider: &str| fast(&config(url, folder, provider));
        World::made_by(Clock::ahead(), [LimitOptions::default(); 2], schema, config).await
    }

    /// The same with a clock that stands still until it is moved, an hour ahead of the database's, and
    /// with limits of the provider on both channels.
    pub async fn at_hand(schema: &str, config: &str, limits: [LimitOptions; 2]) -> World {
        let clock = Clock::manual(Clock::system().now() + Duration::from_secs(3_600));
        World::made_by(clock, limits, schema, |url, folder, provider| {
            config
                .replace("{database}", url)
                .replace("{folder}", &folder.display().to_string())
                .replace("{provider}", provider)
        })
        .await
    }

    async fn made_by(
        clock: Clock,
        limits: [LimitOptions; 2],
        schema: &str,
        config: impl FnOnce(&str, &Path, &str) -> String,
    ) -> World {
        let cluster = cluster();
        let receipts = ReceiptOptions::none();
        // History is an option that a channel has to have; what it shows has stories of its own.
        let channels = ["ODI371267300", "ODI371267301"].into_iter().zip(limits);
        let channels = channels.map(|(id, limits)| ChannelOptions {
            id: id.into(),
            history: false,
            limits,
            ..ChannelOptions::default()
        });
        let channels = channels.collect();
        let options =
            SandboxOptions { receipts, channels, clock: clock.clone(), ..Default::default() };
        let sandbox = Sandbox::start(options).unwrap();
        let folder = Scratch::new("test").unwrap();
        for (name, token) in TOKENS {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("{token}\n")).unwrap();
            // As a site has it: secrets that everybody can read are refused.
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        }
        let mut db = testbed::connect(&cluster.url("postgres")).await.unwrap();
        db.batch_execute(&this_year(schema)).await.unwrap();
        let text = config(&cluster.url("postgres"), folder.path(), &sandbox.url());
        // Stories of many rows are about something else, unless they speak of storms.
        let calm =
            if text.contains("storm") { "" } else { "\n[storm]\ntransaction = 0\nminute = 0\n" };
        // Polling keeps its rate by the real clock: at the default, a thousand questions take minutes.
        let quick =
            if text.contains("[polling]") { "" } else { "\n[polling]\nrate = \"100000/s\"\n" };
        let text = patient(&(text + calm + quick));
        let config = Arc::new(load::from_text(&text).unwrap());
        migrate::migrate(&mut db).await.unwrap();
        install(&mut db, &config).await;
        let stages = Stages::build(config.clone(), clock.clone()).await.unwrap();
        World { db, sandbox, clock, config, stages, cluster, _folder: folder }
    }

    /// The business does something. `YEAR` is the current year: dates in it are told without one.
    pub async fn sql(&self, sql: &str) {
        self.db
            .batch_execute(&this_year(sql))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The business does something that nobody is to be told, and says why.
    pub async fn muted(&self, reason: &str, sql: &str) {
        self.sql(&format!("begin; set local rowbell.mute = '{reason}'; {sql}; commit")).await;
    }

    /// One value.
    pub async fn value(&self, sql: &str) -> String {
        let sql = format!("select ({sql})::text");
        let row = self.db.query_one(&sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        row.get::<_, Option<String>>(0).unwrap_or_else(|| "null".to_owned())
    }

    /// Time goes by. A daemon that lives keeps its channels meanwhile.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.keep();
    }

    /// The daemon keeps its channels, however long a stage takes on a busy machine.
    fn keep(&self) {
        for channel_sender in self.stages.context.channel_senders.values() {
            if let Some(owned) = channel_sender.held_lease() {
                channel_sender.hold(HeldLease { until: self.clock.now() + LEASE, ..owned });
            }
        }
    }

    /// Every stage works until none has anything to do.
    pub async fn work(&mut self) {
        while self.round().await == Progress::Worked || self.waits_for_the_rate().await {}
    }

    /// Whether a channel may send more in a moment. Where the clock stands still it may not.
    async fn waits_for_the_rate(&self) -> bool {
        let mut channel_senders = self.stages.context.channel_senders.values();
        let pause = Duration::from_millis(5);
        if !channel_senders.any(|channel_sender| {
            channel_sender.in_flight() > 0 || channel_sender.limiter.next_in() > pause
        }) {
            return false;
        }
        let before = self.clock.now();
        tokio::time::sleep(pause).await;
        self.clock.now() > before
    }

    async fn round(&mut self) -> Progress {
        let mut progress = Progress::Idle;
        let mut note = |done| {
            if done == Progress::Worked {
                progress = Progress::Worked;
            }
        };
        note(self.stages.channel_lease.step().await.unwrap());
        note(self.stages.sweep.step().await.unwrap());
        note(self.stages.fallback.step().await.unwrap());
        note(self.stages.outcome_hooks.step().await.unwrap());
        for outgoing_webhook in &mut self.stages.outgoing_webhooks {
            note(outgoing_webhook.step().await.unwrap());
        }
        note(goes_on(self.stages.claim.step().await));
        self.keep();
        for compose in &mut self.stages.composes {
            note(goes_on(compose.step().await));
        }
        self.keep();
        for deliver in &mut self.stages.delivers {
            note(deliver.step().await);
        }
        self.stages.settle.step().await.unwrap();
        for seek in &mut self.stages.reconciles {
            note(seek.step().await.unwrap());
        }
        for poll in &mut self.stages.polls {
            note(poll.step().await.unwrap());
        }
        progress
    }

    /// The quiet period goes by and everything that is due leaves.
    pub async fn settle(&mut self) {
        self.work().await;
        self.pass(Duration::from_secs(30));
        self.work().await;
    }

    /// The daemon stops, everything in memory is gone; a new daemon starts.
    pub async fn restart(&mut self) {
        self.stages.channel_lease.give_up().await.unwrap();
        self.stages = Stages::build(self.config.clone(), self.clock.clone()).await.unwrap();
    }

    /// The daemon dies; a new one takes over as soon as the server has noticed.
    pub async fn crash(&mut self) {
        self.stages = self.another().await;
        while !self
            .stages
            .context
            .channel_senders
            .values()
            .all(|channel_sender| channel_sender.is_leased())
        {
            tokio::task::yield_now().await;
            self.stages.channel_lease.step().await.unwrap();
        }
    }

    /// A second daemon on the same database.
    pub async fn another(&self) -> Stages {
        Stages::build(self.config.clone(), self.clock.clone()).await.unwrap()
    }

    /// What a person sees who asks what another address of delivery 1 would say.
    pub async fn previewed(&self) -> String {
        let mut client = self.stages.context.pool.get().await.unwrap();
        let invented: Row = [("address".into(), "2 New Street".into())].into_iter().collect();
        let clock = Clock::system();
        let shown = preview(&mut client, &self.config, &clock, "home_delivery", "1", &invented);
        rowbell::cli::inspect::preview::as_text(&shown.await.unwrap())
    }

    /// What a phone has received, as its owner reads it.
    pub fn read(&self, phone: &str) -> Vec<String> {
        self.sandbox.seen(phone).into_iter().map(|message| message.text).collect()
    }

    /// Every message: entity, state, reason, change count, attempts.
    pub async fn messages(&self) -> Vec<String> {
        let sql = "select entity_key || ' ' || state || coalesce(' ' || reason::text, '')
                          || ' ' || change_count || ' change(s) ' || attempt_count || ' attempt(s)'
                     from rowbell.message order by message_id";
        self.db.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The provider tells us something about a message.
    pub async fn receipt(&self, receipt: Receipt) {
        self.receipts(vec![receipt]).await;
    }

    /// The provider posts this to our webhook.
    pub async fn posted(&self, body: &serde_json::Value) {
        let receive = Receive::new(self.stages.context.clone(), String::new());
        let delivered = webhook_payload::parse(body.to_string().as_bytes()).unwrap();
        receive.step(&delivered).await.unwrap();
    }

    /// The provider tells us several things at once.
    pub async fn receipts(&self, receipts: Vec<Receipt>) {
        let receive = Receive::new(self.stages.context.clone(), String::new());
        let delivered = Delivered { receipts, ..Delivered::default() };
        receive.step(&delivered).await.unwrap();
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Where the clock goes with the system's, no message waits for the rate of its channel: how many leave at once
/// would depend on how busy the machine is. Stories about the rate have the clock at hand, or say it.
fn fast(text: &str) -> String {
    let sections = text.split_inclusive('\n').fold(Vec::<String>::new(), |mut all, line| {
        match all.last_mut() {
            Some(section) if !line.starts_with('[') => section.push_str(line),
            _ => all.push(line.to_owned()),
        }
        all
    });
    let has_rate = |section: &str| section.lines().any(|line| line.starts_with("rate "));
    let mut fast = String::new();
    for section in sections {
        let is_bare_channel = section.starts_with("[channel.") && !has_rate(&section);
        match section.split_once('\n').filter(|_| is_bare_channel) {
            Some((head, rest)) => fast += &format!("{head}\nrate = \"100000/s\"\n{rest}"),
            None => fast += &section,
        }
    }
    fast
}

/// Most stories write to one phone more often than a customer bears; those about it say so.
fn patient(text: &str) -> String {
    if text.contains("pair_burst") {
        return text.to_owned();
    }
    let is_whatsapp = |line: &str| line.starts_with("provider") && line.ends_with("\"1msg\"");
    let lines = text.lines().flat_map(|line| {
        let more = is_whatsapp(line.trim()).then_some("pair_burst = 1000");
        std::iter::once(line).chain(more)
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// A watch that cannot be read costs its stage one step, as in the daemon.
fn goes_on(step: Result<Progress, StageError>) -> Progress {
    match step {
        Ok(progress) => progress,
        Err(StageError::Read { .. } | StageError::Lookup { .. }) => Progress::Worked,
        Err(error) => panic!("{error:?}"),
    }
}

/// A testbed for commands as typed: no daemon runs yet, what changes leaves at once, no receipt comes.
pub async fn still_town() -> Testbed {
    town_with(Vec::new()).await
}

/// The same, with texts of its configuration replaced.
pub async fn town_with(edits: Vec<(&'static str, &'static str)>) -> Testbed {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        quiet_period: "0s".to_owned(),
        webhook: false,
        edits,
        ..TestbedOptions::default()
    };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let provider = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    Testbed::raise(exe, options, provider).await.unwrap()
}

/// A server of its own.
pub fn cluster() -> Cluster {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    Cluster::start(ClusterOptions { cache, ..ClusterOptions::default() }).unwrap()
}

/// What `rowbell watch` does.
pub async fn install(db: &mut Client, config: &Config) {
    for (name, watch) in &config.watch {
        let template = &config.template[&watch.template];
        let table = install::describe(db, name, watch, template).await.unwrap();
        install::install(db, &table, watch).await.unwrap();
    }
}

fn this_year(sql: &str) -> String {
    let year = Clock::system().now().to_zoned(jiff::tz::TimeZone::UTC).year();
    sql.replace("YEAR", &year.to_string())
}
