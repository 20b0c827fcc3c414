//! Whether the settings of channels fit together, and those of fallbacks.

use std::time::Duration;

use crate::config::check::check_findings::CheckFindings;
use crate::config::{
    Budget, Channel, ChannelKind, ChannelLimits, Config, Http, OneMsg, Smtp, SmtpTls, Watch,
};

/// Parts of header names whose values are secrets.
const SECRET_HEADERS: [&str; 6] = ["auth", "key", "token", "secret", "password", "cookie"];

pub(crate) fn check_channel(
    key: &str,
    channel: &Channel,
    config: &Config,
    found: &mut CheckFindings,
) {
    found.unless(channel.concurrency >= 1, format!("{key}.concurrency"), "expected at least 1");
    let request = channel.timeout + channel.connect_timeout;
    found.unless(
        config.delivery.lease > request,
        "delivery.lease",
        format!(
            "expected more than {}s, the longest that a request of {key} can take (timeout and connect_timeout)",
            request.as_secs()
        ),
    );
    found.not_zero(format!("{key}.timeout"), channel.timeout);
    match &channel.kind {
        ChannelKind::OneMsg(settings) => check_one_msg(key, settings, channel.limits, found),
        ChannelKind::Http(settings) => check_http(key, settings, found),
        ChannelKind::Smtp(settings) => check_smtp(key, settings, found),
    }
}

pub(crate) fn check_budget(
    name: &str,
    budget: &Budget,
    config: &Config,
    found: &mut CheckFindings,
) {
    let key = format!("budget.{name}");
    found.unless(
        budget.daily_recipients >= 1,
        format!("{key}.daily_recipients"),
        "expected at least 1; without a limit the budget is not needed",
    );
    found.unless(!budget.channels.is_empty(), format!("{key}.channels"), "names no channel");
    for channel in &budget.channels {
        found.known(format!("{key}.channels"), "channel", channel, &config.channel);
        let first = config.budget_of(channel).map(|(first, _)| first);
        found.unless(
            first == Some(name),
            format!("{key}.channels"),
            format!("channel {channel} has a budget already: {}", first.unwrap_or_default()),
        );
    }
}

fn check_one_msg(key: &str, settings: &OneMsg, limits: ChannelLimits, found: &mut CheckFindings) {
    found.unless(!settings.channel_id.is_empty(), format!("{key}.channel_id"), "is empty");
    found.url(format!("{key}.base_url"), &settings.base_url, "https://api.1msg.io");
    let second = Duration::from_secs(1);
    found.unless(
        (second..=second * 3_600).contains(&limits.pair_every),
        format!("{key}.pair_every"),
        "expected \"1s\" to \"1h\"; WhatsApp bears one message in 6s to one phone",
    );
    found.unless(
        limits.pair_burst <= 1_000,
        format!("{key}.pair_burst"),
        "expected 1 to 1000 messages, or 0 for any number; WhatsApp bears 45",
    );
}

fn check_http(key: &str, settings: &Http, found: &mut CheckFindings) {
    found.url(format!("{key}.url"), &settings.url, "https://sms.example/messages");
    found.languages(&format!("{key}.body"), &settings.body);
    for name in settings.headers.keys() {
        let lower = name.to_ascii_lowercase();
        found.unless(
            !SECRET_HEADERS.iter().any(|part| lower.contains(part)),
            format!("{key}.headers.{name}"),
            format!(
                "a secret belongs in a file: {key}.header_files = {{ {name} = \"/path/to/file\" }}"
            ),
        );
    }
    let answers = &settings.answers;
    let pointers = [
        ("id", &answers.id),
        ("error_code", &answers.error_code),
        ("error_text", &answers.error_text),
    ];
    let named = pointers.iter().filter_map(|(name, pointer)| Some((*name, pointer.as_ref()?)));
    for (name, pointer) in named.chain(answers.accepted_if.keys().map(|key| ("accepted_if", key))) {
        found.unless(
            pointer.starts_with('/'),
            format!("{key}.{name}"),
            format!("expected a JSON pointer such as \"/messages/0/id\", found \"{pointer}\""),
        );
    }
}

fn check_smtp(key: &str, settings: &Smtp, found: &mut CheckFindings) {
    found.unless(!settings.host.is_empty(), format!("{key}.host"), "is empty");
    let sender = settings.from.parse::<lettre::message::Mailbox>();
    found.unless(
        sender.is_ok(),
        format!("{key}.from"),
        format!(
            "expected a sender such as \"Shop <hello@shop.example>\", found \"{}\"",
            settings.from
        ),
    );
    found.unless(
        settings.user.is_some() == settings.password_file.is_some(),
        format!("{key}.user"),
        "user and password_file belong together",
    );
    let is_local = ["localhost", "127.0.0.1", "::1"].contains(&settings.host.as_str());
    found.unless(
        settings.tls != SmtpTls::None || settings.user.is_none() || is_local,
        format!("{key}.tls"),
        "a password would be sent in the clear; expected \"tls\" or \"starttls\"",
    );
    if let Some(file) = &settings.ca_file {
        found.file(format!("{key}.ca_file"), file);
    }
    found.languages(&format!("{key}.subject"), &settings.subject);
    found.languages(&format!("{key}.body"), &settings.body);
}

pub(crate) fn check_fallback(key: &str, watch: &Watch, config: &Config, found: &mut CheckFindings) {
    let mut before = vec![watch.channel.as_str()];
    for (i, step) in watch.fallback.iter().enumerate() {
        let here = format!("{key}.fallback[{i}]");
        let name = step.channel.as_str();
        let channel = config.channel.get(name);
        found.known(format!("{here}.channel"), "channel", name, &config.channel);
        found.unless(
            !before.contains(&name),
            format!("{here}.channel"),
            format!("a message would come to channel \"{name}\" a second time"),
        );
        if let Some(template) = &step.template {
            found.known(format!("{here}.template"), "template", template, &config.template);
        }
        found.unless(
            !step.on_opt_out || channel.is_none_or(|channel| !channel.is_whatsapp()),
            format!("{here}.on_opt_out"),
            "who does not want messages on WhatsApp gets none on another number either",
        );
        let previous = before.last().and_then(|name| config.channel.get(*name));
        found.unless(
            step.after.is_none() || previous.is_none_or(Channel::tells_delivery),
            format!("{here}.after"),
            "the channel before it never says that a message was delivered, so nobody could tell that one was not",
        );
        if let Some(after) = step.after {
            found.not_zero(format!("{here}.after"), after);
        }
        before.push(name);
    }
}

/// Whether WhatsApp must have approved a template: some watch sends it there, or none uses it.
pub(crate) fn is_for_whatsapp(config: &Config, template: &str) -> bool {
    let is_whatsapp = |name: &str| config.channel.get(name).is_some_and(Channel::is_whatsapp);
    let uses = config.watch.values().flat_map(|watch| {
        let own = (watch.template.as_str(), watch.channel.as_str());
        let steps = watch.fallback.iter().map(|step| {
            (step.template.as_deref().unwrap_or(&watch.template), step.channel.as_str())
        });
        std::iter::once(own).chain(steps)
    });
    let mut uses = uses.filter(|(used, _)| *used == template).peekable();
    uses.peek().is_none() || uses.any(|(_, channel)| is_whatsapp(channel))
}
