//! What types cannot say: whether the settings fit together.

use std::collections::BTreeSet;
use std::time::Duration;

use strum::VariantArray as _;

use crate::config::check::check_alert::check_alert;
use crate::config::check::check_channel::{
    check_budget, check_channel, check_fallback, is_for_whatsapp,
};
use crate::config::check::check_findings::CheckFindings;
use crate::config::check::check_outgoing_webhook::check_outgoing_webhook;
use crate::config::check::check_url;
use crate::config::secret::secret_path;
use crate::config::{Config, TemplateSettings, Watch};
use crate::domain::outcome::{OutcomeParameter, numbered};
use crate::domain::recipient::allow_list::AllowList;
use crate::domain::recipient::numbering_plan::is_region;
use crate::domain::recipient::opt_out_keywords::folded;
use crate::domain::recipient::quiet_hours::QuietHours;
use crate::domain::recipient::time_of_day::Window;
use crate::domain::value::change::Operation;
use crate::finding::{Finding, hint};

/// The secrets that cannot be seen from here. Who sends nothing needs none.
pub fn missing_secrets(config: &Config) -> Vec<Finding> {
    let mut found = CheckFindings::default();
    for (name, channel) in &config.channel {
        for (setting, file) in channel.secret_files() {
            found.file(format!("channel.{name}.{setting}"), &secret_path(file));
        }
    }
    let webhook = config.webhook.secret_file.as_ref();
    if let Some(file) = webhook.filter(|_| !config.webhook.listen.is_empty()) {
        found.file("webhook.secret_file", &secret_path(file));
    }
    for (name, endpoint) in &config.outgoing_webhook {
        for (setting, file) in endpoint.secret_files() {
            found.file(format!("outgoing_webhook.{name}.{setting}"), &secret_path(file));
        }
    }
    let page = &config.page;
    for (key, file) in [
        ("page.read_token_file", &page.read_token_file),
        ("page.act_token_file", &page.act_token_file),
    ] {
        if let Some(file) = file.as_ref().filter(|_| !page.listen.is_empty()) {
            found.file(key, &secret_path(file));
        }
    }
    found.0
}

/// Every setting that does not fit, with what was expected.
pub fn mistakes(config: &Config) -> Vec<Finding> {
    let mut found = CheckFindings::default();
    general(config, &mut found);
    for (name, channel) in &config.channel {
        check_channel(&format!("channel.{name}"), channel, config, &mut found);
    }
    for (name, endpoint) in &config.outgoing_webhook {
        check_outgoing_webhook(&format!("outgoing_webhook.{name}"), endpoint, config, &mut found);
    }
    for (name, budget) in &config.budget {
        check_budget(name, budget, config, &mut found);
    }
    for (name, template) in &config.template {
        let is_approved = is_for_whatsapp(config, name);
        check_template(&format!("template.{name}"), template, is_approved, &mut found);
    }
    for (name, watch) in &config.watch {
        found.unless(!name.trim().is_empty(), "watch", "expected a name, as in [watch.delivery]");
        check_watch(&format!("watch.{name}"), watch, config, &mut found);
    }
    for tag in config.phrase.keys() {
        found.locale(&format!("phrase.{tag}"), tag);
    }
    found.0
}

fn general(config: &Config, found: &mut CheckFindings) {
    let database = &config.database;
    found.unless(database.pool_size >= 2, "database.pool_size", "expected at least 2 connections");
    let url = check_url::wrong_url(&database.url);
    found.unless(url.is_none(), "database.url", url.unwrap_or_default());
    let delivery = &config.delivery;
    found.within("delivery.batch", delivery.batch, 1..=5_000);
    found.within("delivery.max_attempts", delivery.max_attempts, 1..=1_000);
    found.not_zero("delivery.lease", delivery.lease);
    found.not_zero("doorbell.linger", config.doorbell.linger);
    found.not_zero("doorbell.awake_poll", config.doorbell.awake_poll);
    found.not_zero("doorbell.safety_poll", config.doorbell.safety_poll);
    found.not_zero("doorbell.heartbeat", config.doorbell.heartbeat);
    found.not_zero("database.connect_timeout", database.connect_timeout);
    let circuit = &config.circuit;
    found.unless(
        circuit.share > 0.0 && circuit.share <= 1.0,
        "circuit.share",
        format!("expected a share above 0 and up to 1, found {}", circuit.share),
    );
    found.unless(
        circuit.first_pause <= circuit.longest_pause,
        "circuit.longest_pause",
        "expected at least circuit.first_pause",
    );
    check_only_to(config, found);
    check_retention(config, found);
    check_polling(config, found);
    never_end("quiet_hours.times", Some(&config.quiet_hours.times), found);
    found.locale("recipient.locale", &config.recipient.locale);
    if !config.recipient.time_zone.is_empty() {
        found.zone("recipient.time_zone", &config.recipient.time_zone);
    }
    let region = &config.recipient.region;
    found.unless(
        region.is_empty() || is_region(region),
        "recipient.region",
        format!("expected a region such as \"US\", found \"{region}\""),
    );
    check_webhook(config, found);
    check_metrics(config, found);
    check_page(config, found);
    let times = Duration::from_millis(10)..=Duration::from_secs(60);
    let what = format!("expected \"10ms\" to \"1m\", found {:?}", config.outcome.timeout);
    found.unless(times.contains(&config.outcome.timeout), "outcome.timeout", what);
    check_inbound(config, found);
    check_alert(config, found);
    found.unless(
        config.log.level.split(',').all(is_log_filter),
        "log.level",
        format!("expected off, error, warn, info, debug or trace, found \"{}\"", config.log.level),
    );
}

/// Any other word would be taken for the name of a part of the program, and all others say nothing.
fn is_log_filter(directive: &str) -> bool {
    let level = directive.rsplit('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(level.as_str(), "off" | "error" | "warn" | "info" | "debug" | "trace")
        || (directive.contains('=') && matches!(level.as_str(), "0" | "1" | "2" | "3" | "4" | "5"))
}

/// The entries themselves are not repeated: they are phones.
fn check_only_to(config: &Config, found: &mut CheckFindings) {
    let entries = config.installation.only_to.as_deref().unwrap_or_default();
    for (place, why) in
        AllowList::parse(entries, &config.recipient.region).err().unwrap_or_default()
    {
        let key = format!("installation.only_to[{place}]");
        let what =
            format!("expected a phone such as \"+1 202 555 0143\", or a mail address: {why}");
        found.unless(false, key, what);
    }
}

fn check_retention(config: &Config, found: &mut CheckFindings) {
    let day = Duration::from_secs(86_400);
    let retention = &config.retention;
    found.unless(
        retention.personal.is_none_or(|age| age >= day),
        "retention.personal",
        "expected at least \"1d\", so that nothing goes that is still needed; or \"never\"",
    );
    found.unless(
        retention
            .facts
            .is_none_or(|age| age >= day && retention.personal.is_some_and(|p| p <= age)),
        "retention.facts",
        "expected at least retention.personal, or \"never\"",
    );
}

fn check_polling(config: &Config, found: &mut CheckFindings) {
    let polling = &config.polling;
    found.unless(
        polling.factor >= 1.0 && polling.factor.is_finite(),
        "polling.factor",
        format!("expected 1 or more, found {}", polling.factor),
    );
    found.unless(
        polling.first_after >= Duration::from_secs(1),
        "polling.first_after",
        "expected at least 1s",
    );
    found.unless(
        polling.longest_pause >= polling.first_after,
        "polling.longest_pause",
        "expected at least polling.first_after",
    );
    found.unless(
        polling.lost_after >= polling.first_after,
        "polling.lost_after",
        "expected at least polling.first_after",
    );
}

fn check_webhook(config: &Config, found: &mut CheckFindings) {
    let webhook = &config.webhook;
    found.within("webhook.max_connections", webhook.max_connections, 1..=10_000);
    let second = Duration::from_secs(1);
    found.unless(webhook.look_every >= second, "webhook.look_every", "expected at least \"1s\"");
    if webhook.listen.is_empty() {
        return;
    }
    found.listen("webhook.listen", &webhook.listen, "127.0.0.1:8470");
    let what = "is missing: without a secret in the path anybody could post receipts";
    found.unless(webhook.secret_file.is_some(), "webhook.secret_file", what);
}

fn check_metrics(config: &Config, found: &mut CheckFindings) {
    let listen = &config.metrics.listen;
    if listen.is_empty() {
        return;
    }
    found.listen("metrics.listen", listen, "127.0.0.1:9464");
    if let Some(file) = &config.metrics.token_file {
        found.file("metrics.token_file", &secret_path(file));
    }
    found.unless(
        *listen != config.webhook.listen || listen.ends_with(":0"),
        "metrics.listen",
        format!("\"{listen}\" is webhook.listen, too"),
    );
}

fn check_page(config: &Config, found: &mut CheckFindings) {
    let page = &config.page;
    let (minute, days) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
    let session = page.session;
    found.unless(
        session >= minute && session <= days,
        "page.session",
        format!("expected \"1m\" to \"30d\", found {session:?}"),
    );
    if page.listen.is_empty() {
        return;
    }
    let what = "is missing: without a token anybody could read whom you wrote to";
    found.unless(page.read_token_file.is_some(), "page.read_token_file", what);
    if let Some(path) = page.socket() {
        let what = format!("expected an absolute path behind \"unix:\", found \"{path}\"");
        found.unless(path.starts_with('/'), "page.listen", what);
        return;
    }
    found.listen("page.listen", &page.listen, "127.0.0.1:8471");
    let Ok(address) = page.listen.parse::<std::net::SocketAddr>() else { return };
    found.unless(
        address.ip().is_loopback() || !page.networks.is_empty(),
        "page.listen",
        format!("\"{address}\" can be reached from other machines: say which may connect in page.networks, or \
                 listen on 127.0.0.1 behind a reverse proxy with TLS"),
    );
    let others = [("webhook", &config.webhook.listen), ("metrics", &config.metrics.listen)];
    for (other, listen) in others {
        found.unless(
            page.listen != *listen || address.port() == 0,
            "page.listen",
            format!("\"{address}\" is {other}.listen, too"),
        );
    }
}

fn check_inbound(config: &Config, found: &mut CheckFindings) {
    let inbound = &config.inbound;
    let lists = inbound.opt_out.iter().map(|list| ("opt_out", list));
    let lists = lists.chain(inbound.opt_in.iter().map(|list| ("opt_in", list)));
    for (kind, (language, words)) in lists {
        let empty = words.iter().find(|word| folded(word).is_empty());
        found.unless(
            empty.is_none(),
            format!("inbound.{kind}.{language}"),
            format!("expected words, found \"{}\"", empty.map_or("", String::as_str)),
        );
    }
    let out: Vec<String> = inbound.opt_out.values().flatten().map(|word| folded(word)).collect();
    for (language, words) in &inbound.opt_in {
        let both = words.iter().find(|word| out.contains(&folded(word)));
        found.unless(
            both.is_none(),
            format!("inbound.opt_in.{language}"),
            format!("\"{}\" is among inbound.opt_out, too", both.map_or("", String::as_str)),
        );
    }
}

fn check_template(
    key: &str,
    template: &TemplateSettings,
    is_approved: bool,
    found: &mut CheckFindings,
) {
    found.unless(
        !is_approved || !template.name.is_empty(),
        format!("{key}.name"),
        "is missing; it is the name that WhatsApp approved",
    );
    found.unless(
        !is_approved || !template.namespace.is_empty(),
        format!("{key}.namespace"),
        "is missing; 1MSG shows it with the template",
    );
    found.unless(
        !template.body.is_empty(),
        format!("{key}.body"),
        "expected at least one variable",
    );
    let languages = template.language.each();
    found.unless(
        !languages.is_empty() && languages.iter().all(|(_, code)| !code.trim().is_empty()),
        format!("{key}.language"),
        "expected a language code of the template such as \"en\", or { default = \"en\", es = \"es_MX\" }",
    );
    found.languages(&format!("{key}.language"), &template.language);
    let Some(text) = &template.text else { return };
    for (tag, text) in text.each() {
        let count = crate::domain::text::whatsapp_limits::variable_count(text);
        found.unless(
            count == template.body.len(),
            format!("{key}.text.{tag}"),
            format!(
                "has {count} {}, but {key}.body has {}",
                if count == 1 { "variable" } else { "variables" },
                template.body.len()
            ),
        );
    }
}

fn check_quiet_hours(key: &str, watch: &Watch, found: &mut CheckFindings) {
    let quiet = &watch.quiet_hours;
    never_end(&format!("{key}.quiet_hours.times"), quiet.times.as_deref(), found);
    found.unless(
        quiet.unless_within.is_none_or(|within| within.is_zero())
            || quiet.of.is_some()
            || watch.expires_at.is_some(),
        format!("{key}.quiet_hours.unless_within"),
        format!(
            "needs {key}.quiet_hours.of or {key}.expires_at, which say what a message is about"
        ),
    );
}

fn never_end(key: &str, times: Option<&[Window]>, found: &mut CheckFindings) {
    let windows = times.unwrap_or_default().to_vec();
    let quiet = QuietHours { windows, unless_within: None };
    found.unless(!quiet.never_end(), key, "leaves no time of the week in which anything may leave");
}

fn check_watch(key: &str, watch: &Watch, config: &Config, found: &mut CheckFindings) {
    found.known(format!("{key}.channel"), "channel", &watch.channel, &config.channel);
    found.known(format!("{key}.template"), "template", &watch.template, &config.template);
    found.unless(
        !watch.columns.is_empty(),
        format!("{key}.columns"),
        "expected at least one column",
    );
    let mut known = BTreeSet::new();
    let twice = watch.columns.iter().find(|column| !known.insert(*column));
    let what = format!("names \"{}\" twice", twice.map_or("", String::as_str));
    found.unless(twice.is_none(), format!("{key}.columns"), what);
    found.unless(
        !watch.on.is_empty() && !watch.on.contains(&Operation::Withdrawn),
        format!("{key}.on"),
        "expected insert, update or delete; what is withdrawn is told by handover",
    );
    found.within(format!("{key}.max_recipients"), watch.max_recipients, 1..=1_000);
    found.within(format!("{key}.share"), watch.share, 1..=1_000);
    found.unless(
        watch.digest.is_none() || !watch.quiet_period.is_zero(),
        format!("{key}.digest"),
        "joins what is due within quiet_period, which is 0s: set quiet_period, or leave digest out",
    );
    found.unless(
        !watch.recipient.trim().is_empty(),
        format!("{key}.recipient"),
        "expected a query that gives name and phone",
    );
    if let Some(locale) = &watch.locale {
        found.locale(&format!("{key}.locale"), locale);
    }
    if let Some(zone) = &watch.time_zone {
        found.zone(&format!("{key}.time_zone"), zone);
    }
    check_fallback(key, watch, config, found);
    check_quiet_hours(key, watch, found);
    for column in watch.column.keys() {
        found.column(key, format!("{key}.column.{column}"), watch, column);
    }
    check_say(key, watch, found);
    for (i, hook) in watch.outcome.iter().enumerate() {
        let at = format!("{key}.outcome[{i}]");
        found.unless(
            !hook.states.is_empty(),
            format!("{at}.states"),
            "expected at least one state",
        );
        let unknown = numbered(&hook.sql).err();
        let names: Vec<&str> =
            OutcomeParameter::VARIANTS.iter().map(|name| name.into_str()).collect();
        let what = unknown.as_ref().map_or(String::new(), |name| {
            format!("there is no parameter ${name}{}", hint(name, &names))
        });
        found.unless(unknown.is_none(), format!("{at}.sql"), what);
    }
}

fn check_say(key: &str, watch: &Watch, found: &mut CheckFindings) {
    for (i, rule) in watch.say.iter().enumerate() {
        let lists = [("when", &rule.when), ("when_all", &rule.when_all), ("covers", &rule.covers)];
        let listed =
            lists.into_iter().flat_map(|(setting, list)| list.iter().map(move |c| (setting, c)));
        let values = [("becomes", &rule.becomes), ("was", &rule.was)];
        let valued =
            values.into_iter().flat_map(|(setting, map)| map.keys().map(move |c| (setting, c)));
        let named = listed
            .chain(valued)
            .filter(|(setting, column)| (*setting, column.as_str()) != ("covers", "*"));
        for (setting, column) in named {
            found.column(key, format!("{key}.say[{i}].{setting}"), watch, column);
        }
        match &rule.text {
            Some(text) => {
                let key = format!("{key}.say[{i}].text");
                found.languages(&key, text);
                let is_blank = text.each().iter().any(|(_, text)| text.trim().is_empty());
                found.unless(
                    !is_blank,
                    &key,
                    "is empty; a rule that says nothing has silent = true",
                );
                let what =
                    "is never told, because the rule has silent = true; leave one of them out";
                found.unless(is_blank || !rule.silent, key, what);
            }
            None => found.unless(
                rule.silent,
                format!("{key}.say[{i}].text"),
                "is missing; a rule that says nothing has silent = true",
            ),
        }
    }
}
