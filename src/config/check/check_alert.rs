//! Whether the operator can be told.

use std::time::Duration;

use crate::config::check::check_findings::CheckFindings;
use crate::config::{ChannelKind, Config};
use crate::domain::recipient::email::Email;
use crate::domain::recipient::phone::Phone;

pub fn check_alert(config: &Config, found: &mut CheckFindings) {
    let alert = &config.alert;
    if !alert.is_on() {
        let what = "is missing: it names the channel by which `to` is told";
        return found.unless(alert.to.is_empty(), "alert.channel", what);
    }
    found.known("alert.channel".to_owned(), "channel", &alert.channel, &config.channel);
    found.unless(!alert.to.is_empty(), "alert.to", "is missing: it says who is told");
    found.unless(!alert.about.is_empty(), "alert.about", "expected at least one kind");
    let second = Duration::from_secs(1);
    found.unless(alert.look_every >= second, "alert.look_every", "expected at least \"1s\"");
    found.not_zero("alert.late_after", alert.late_after);
    let Some(channel) = config.channel.get(&alert.channel) else { return };
    let is_mail = matches!(channel.kind, ChannelKind::Smtp(_));
    let region = Some(config.recipient.region.as_str()).filter(|region| !region.is_empty());
    for (i, to) in alert.to.iter().enumerate() {
        let is_email = Email::parse(to).is_ok();
        let is_phone = Phone::parse(to, region).is_ok();
        let fits = match &channel.kind {
            ChannelKind::Smtp(_) => is_email,
            ChannelKind::OneMsg(_) => is_phone,
            ChannelKind::Http(_) => is_email || is_phone,
        };
        let what = match is_mail {
            true => "expected a mail address such as \"ops@example.com\", which its channel needs",
            false => "expected a phone such as \"+1 202 555 0143\", which its channel needs",
        };
        found.unless(fits, format!("alert.to[{i}]"), what);
    }
    if matches!(channel.kind, ChannelKind::OneMsg(_)) {
        found.known("alert.template".to_owned(), "template", &alert.template, &config.template);
        let template = config.template.get(&alert.template);
        let fits = template.is_none_or(|template| {
            template.body.len() == 1 && !template.name.is_empty() && !template.namespace.is_empty()
        });
        let what =
            "expected a template with name, namespace and one variable, which is what is told";
        found.unless(fits, "alert.template", what);
    }
}
