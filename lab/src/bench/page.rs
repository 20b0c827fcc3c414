//! `bench page`: how long each view of the page takes over a long history, and what somebody who looks costs the sending.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use tokio_util::sync::CancellationToken;

use crate::bench::report::{Report, machine, round};
use crate::demo::scratch::Scratch;
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::sandbox::{ReceiptOptions, SandboxOptions};

/// Messages of one round of sending.
const DELIVERIES: u64 = 10_000;

/// Rounds of sending, with and without somebody who looks: each as early as the other, as what is sent grows.
const ROUNDS: usize = 8;

/// How often somebody who looks opens the next view.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long days may take to be counted, and a round of sending.
const PATIENCE: Duration = Duration::from_secs(600);

/// A hundred days of messages to 100,000 phones, of which one in eleven did not arrive and one in fifty failed.
const HISTORY: &str = "
    insert into rowbell.message (watch, entity_key, recipient_key, is_for_all, state, reason, operation, first_changed_at,
                                 last_changed_at, old_row, new_row, channel, template, language, recipient_name, recipient_phone,
                                 recipient_country, summary, parameters, attempt_count, provider_message_id, sent_at, delivered_at,
                                 read_at, finished_at, created_at, updated_by)
    select 'home_delivery', (i % 50000)::text, phone, false, state::rowbell.message_state,
           case state when 'failed' then 'undeliverable' end::rowbell.message_reason, 'update', at, at,
           jsonb_build_object('id', i % 50000, 'address', 'old ' || i), jsonb_build_object('id', i % 50000, 'address', 'new ' || i), 'main',
           'service_change', 'en', 'Maria Lopez', phone, 'US', 'Address: new ' || i || '.',
           jsonb_build_array('Maria Lopez', 'home delivery', 'Address: new ' || i || '.'), 1, 'earlier.' || i, at + interval '20 s',
           case when state in ('delivered', 'read') then at + interval '25 s' end, case state when 'read' then at + interval '5 min' end,
           case state when 'failed' then at + interval '30 s' end, at, 'bench'
      from generate_series(1, :messages) as i
     cross join lateral (
           select now() - interval '100 days' + i * (interval '100 days' / :messages) as at, (12025000000 + i % 100000)::text as phone,
                  case when i % 50 = 0 then 'failed' when i % 11 = 0 then 'sent' when i % 3 = 0 then 'read' else 'delivered' end as state
     ) as message;
    insert into rowbell.attempt (message_id, number, result, started_at, finished_at, http_status, provider_message_id)
    select message_id, 1, 'accepted', sent_at, sent_at, 201, provider_message_id from rowbell.message;
    insert into rowbell.receipt (channel, provider_message_id, status, source, occurred_at, received_at, price_category, pricing_model,
                                 is_billable)
    select 'main', provider_message_id, 'sent'::rowbell.receipt_status, 'webhook'::rowbell.evidence_source, sent_at, sent_at, 'utility', 'PMP', true from rowbell.message
     union all
    select 'main', provider_message_id, 'delivered', 'webhook', delivered_at, delivered_at, null, null, null
      from rowbell.message where delivered_at is not null;
    insert into rowbell.price (channel, price, currency) values ('main', 0.014, 'EUR')";

/// The views, and what stands in the form of one that takes a form.
const VIEWS: [(&str, &str, Option<&str>); 9] = [
    ("now", "/now", None),
    ("messages", "/messages", None),
    ("messages_of_a_row", "/messages?watch=home_delivery&key=77", None),
    ("messages_failed", "/messages?state=failed", None),
    ("messages_by_phone", "/messages", Some("phone=%2B12025000077")),
    ("story", "/message/77", None),
    ("holds", "/holds", None),
    ("figures", "/figures", None),
    ("watches", "/watches", None),
];

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct PageArgs {
    /// Messages of the history.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub messages: u64,
    /// How often each view is opened.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(20..))]
    pub looks: u32,
}

/// Somebody who has logged in.
#[derive(Clone)]
struct Visitor {
    client: Client,
    url: String,
    cookie: String,
    form_token: String,
}

pub async fn run(exe: &Path, args: PageArgs) -> anyhow::Result<Report> {
    let secrets = Scratch::new("page")?;
    let (testbed, url) = raised(exe, &secrets).await?;
    let client = testbed.connect().await?;
    client.batch_execute(&HISTORY.replace(":messages", &args.messages.to_string())).await?;
    client.batch_execute("vacuum analyze").await?;
    let daemon = testbed.daemon().await?;
    let counting = Instant::now();
    let is_counted = "select exists (select from rowbell.day_span) and not exists (select from rowbell.day_span where is_due)";
    while !client.query_one(is_counted, &[]).await?.get::<_, bool>(0) {
        anyhow::ensure!(counting.elapsed() < PATIENCE, "the days were not counted in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut report = Report::new("bench page", machine(&client).await?);
    report.row("days_counted_s", round(counting.elapsed().as_secs_f64(), 1));
    let visitor = Visitor::logged_in(&url).await?;
    for (name, path, form) in VIEWS {
        let mut waits = Vec::new();
        for _ in 0..args.looks {
            waits.push(visitor.look(path, form).await?.as_secs_f64() * 1e3);
        }
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share).round() as usize];
        report.row(&format!("{name}_p50_ms"), round(at(0.5), 1));
        report.row(&format!("{name}_p95_ms"), round(at(0.95), 1));
        report.row(&format!("{name}_max_ms"), round(at(1.0), 1));
    }
    let mut seconds = [0.0, 0.0];
    for number in 0..=ROUNDS {
        let is_looked_at = matches!(number % 4, 0 | 1);
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        if is_looked_at {
            tokio::spawn(visitor.clone().looks_on(stop));
        }
        let took = sent(&testbed, &client, number).await?.as_secs_f64();
        // The first round warms up connections, plans and words.
        if number > 0 {
            seconds[usize::from(is_looked_at)] += took;
        }
    }
    daemon.stop().await?;
    let [unseen, seen] = seconds;
    let messages = (DELIVERIES * ROUNDS as u64 / 2) as f64;
    report.row("sent_per_second_unseen", round(messages / unseen, 0));
    report.row("sent_per_second_while_looked_at", round(messages / seen, 0));
    report.row("cost_of_looking_percent", round((seen / unseen - 1.0) * 100.0, 1));
    report.note(&format!(
        "over {} messages; each view opened {} times; looked at: the next view every second, the first one live",
        args.messages, args.looks
    ));
    Ok(report)
}

/// A testbed with a page.
async fn raised(exe: &Path, secrets: &Scratch) -> anyhow::Result<(Testbed, String)> {
    for (name, token) in [("read", "read-0123456789abcdef"), ("act", "act-0123456789abcdef")] {
        std::fs::write(secrets.path().join(name), token)?;
    }
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let folder = secrets.path().display();
    let page = format!(
        "[page]\nlisten = \"{address}\"\nread_token_file = \"{folder}/read\"\nact_token_file = \"{folder}/act\"\n\n[recipient]"
    );
    let options = TestbedOptions {
        customers: DELIVERIES,
        deliveries: DELIVERIES,
        rate: "1000000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        webhook: false,
        // Texts of a configuration live as long as the process.
        edits: vec![("[recipient]", Box::leak(page.into_boxed_str()))],
        ..TestbedOptions::default()
    };
    let provider =
        SandboxOptions { receipts: ReceiptOptions::none(), keep: 100, ..SandboxOptions::default() };
    Ok((Testbed::raise(exe, options, provider).await?, format!("http://{address}")))
}

/// Every delivery moves; how long it takes until all have arrived.
async fn sent(
    testbed: &Testbed,
    client: &tokio_postgres::Client,
    number: usize,
) -> anyhow::Result<Duration> {
    let before = testbed.sandbox.count();
    client.batch_execute("update customer set whatsapp_opt_in = true").await?;
    let began = Instant::now();
    client
        .execute("update delivery set address = 'Dock ' || $1::text", &[&number.to_string()])
        .await?;
    testbed.sandbox.wait_for(before + DELIVERIES, PATIENCE).await?;
    Ok(began.elapsed())
}

impl Visitor {
    async fn logged_in(url: &str) -> anyhow::Result<Visitor> {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build()?;
        let login = client.post(format!("{url}/login")).header(CONTENT_TYPE, FORM);
        let answer = login.body("name=Bench&token=act-0123456789abcdef").send().await?;
        let cookie = answer.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.ok_or_else(|| anyhow::anyhow!("the page lets nobody in"))?.to_owned();
        let mut visitor =
            Visitor { client, url: url.to_owned(), cookie, form_token: String::new() };
        let page = visitor.asked("/messages", None).send().await?.text().await?;
        let token = page.split_once("name=\"form_token\" value=\"");
        let token = token.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
        visitor.form_token = token.to_owned();
        Ok(visitor)
    }

    fn asked(&self, path: &str, form: Option<&str>) -> RequestBuilder {
        let url = format!("{}{path}", self.url);
        let request = match form {
            None => self.client.get(url),
            Some(form) => {
                let body = format!("form_token={}&{form}", self.form_token);
                self.client.post(url).header(CONTENT_TYPE, FORM).body(body)
            }
        };
        request.header(COOKIE, &self.cookie)
    }

    /// Opens a view, to its last byte.
    async fn look(&self, path: &str, form: Option<&str>) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let answer = self.asked(path, form).send().await?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        answer.bytes().await?;
        Ok(began.elapsed())
    }

    /// Opens one view after the other, while the first one is kept up to date.
    async fn looks_on(self, stop: CancellationToken) {
        let live = self.asked("/now/live", None).send().await;
        for (_, path, form) in VIEWS.iter().cycle() {
            if stop.is_cancelled() {
                break;
            }
            if let Err(error) = self.look(path, *form).await {
                eprintln!("{error}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        drop(live);
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
