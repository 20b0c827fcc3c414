//! What `rowbell check` asks the provider: whether the templates are there as the configuration says.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;

use crate::config::{Config, TemplateSettings};
use crate::domain::text::localized_text::LocalizedText;
use crate::error_chain::chain;
use crate::finding::{Finding, hint};
use crate::operations::check::report::CheckReport;
use crate::provider::client::ProviderClient;
use crate::provider::onemsg::client::AskError;
use crate::provider::onemsg::template_list::{self, ListedTemplate, UnfilledPart};

/// Compares the templates of every WhatsApp channel with what its provider lists.
pub async fn compare(config: &Config) -> CheckReport {
    let mut compared = CheckReport::default();
    for (channel, templates) in used(config) {
        let Some(settings) = config.channel.get(channel) else { continue };
        let client = match ProviderClient::new(settings, config) {
            Ok(ProviderClient::OneMsg(client)) => client,
            Ok(_) => continue,
            Err(error) => {
                let why = chain(&error);
                if !may_not_be_read(&error) {
                    compared.push(Finding::new(format!("channel.{channel}"), why));
                    continue;
                }
                // Secrets are for the daemon; whoever checks may be somebody else.
                not_compared(&mut compared, channel, &why);
                continue;
            }
        };
        match client.all_templates().await {
            Ok(answer) => match template_list::read(&answer) {
                Some(listed) => {
                    for (name, template) in templates {
                        compared.findings.extend(problems(name, template, &listed, channel));
                    }
                }
                None => not_compared(&mut compared, channel, "the answer lists none"),
            },
            Err(AskError::Refused { status, text }) if matches!(status, 401 | 403 | 404) => {
                let key = if status == 404 { "channel_id" } else { "token_file" };
                let what = format!("the provider refuses it ({status}): {text}");
                compared.push(Finding::new(format!("channel.{channel}.{key}"), what));
            }
            Err(error) => not_compared(&mut compared, channel, &error.to_string()),
        }
    }
    compared
}

fn not_compared(compared: &mut CheckReport, channel: &str, why: &str) {
    let what = format!("the templates of channel {channel} were not compared: {why}");
    compared.push(Finding::warning("", what));
    compared.unseen.push(format!("templates of channel {channel} at the provider"));
}

fn may_not_be_read(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// The templates that watches send on each channel.
fn used(config: &Config) -> BTreeMap<&str, BTreeMap<&str, &TemplateSettings>> {
    let mut used: BTreeMap<&str, BTreeMap<&str, &TemplateSettings>> = BTreeMap::new();
    for watch in config.watch.values() {
        let own = (watch.channel.as_str(), watch.template.as_str());
        let further = watch.fallback.iter().map(|step| {
            (step.channel.as_str(), step.template.as_deref().unwrap_or(&watch.template))
        });
        for (channel, name) in std::iter::once(own).chain(further) {
            if let Some(template) = config.template.get(name) {
                used.entry(channel).or_default().insert(name, template);
            }
        }
    }
    used
}

/// Sentences that name the setting, what is wrong with it, and what to do.
fn problems(
    key: &str,
    template: &TemplateSettings,
    listed: &[ListedTemplate],
    channel: &str,
) -> Vec<Finding> {
    let name = &template.name;
    let same: Vec<&ListedTemplate> = listed.iter().filter(|listed| &listed.name == name).collect();
    if same.is_empty() {
        let names: BTreeSet<&str> = listed.iter().map(|listed| listed.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let hint = hint(name, &names);
        let what = format!("channel {channel} has no template \"{name}\"{hint}");
        return vec![Finding::new(format!("template.{key}.name"), what)];
    }
    let mut found = Vec::new();
    let codes: BTreeMap<&str, &str> =
        template.language.each().into_iter().map(|(tag, code)| (code, tag)).collect();
    for (code, tag) in codes {
        match same.iter().find(|listed| listed.language == code) {
            Some(listed) => found.extend(differences(key, template, tag, listed)),
            None => {
                let there: Vec<&str> = same.iter().map(|listed| listed.language.as_str()).collect();
                let what = format!(
                    "\"{name}\" is not there in \"{code}\"; it is there in {}",
                    there.join(", ")
                );
                found.push(Finding::new(format!("template.{key}.language"), what));
            }
        }
    }
    // What is the same in every language is said once.
    found.dedup();
    found
}

fn differences(
    key: &str,
    template: &TemplateSettings,
    tag: &str,
    listed: &ListedTemplate,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let (name, code) = (&listed.name, &listed.language);
    if listed.status != "approved" {
        let why =
            listed.rejected_reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let status = if listed.status.is_empty() { "of unknown status" } else { &listed.status };
        found.push(Finding::new(
            format!("template.{key}"),
            format!("\"{name}\" in \"{code}\" is {status}{why}; WhatsApp sends approved ones only"),
        ));
    }
    if let Some(namespace) = listed.namespace.as_ref().filter(|n| **n != template.namespace) {
        found.push(Finding::new(
            format!("template.{key}.namespace"),
            format!(
                "expected \"{namespace}\", which the provider lists, found \"{}\"",
                template.namespace
            ),
        ));
    }
    if let Some(category) = listed.category.as_ref().filter(|c| *c != template.category.into_str())
    {
        found.push(Finding::new(
            format!("template.{key}.category"),
            format!(
                "expected \"{category}\", which the provider lists, found \"{}\"",
                template.category.into_str()
            ),
        ));
    }
    if listed.body.is_some() && listed.variables() != template.body.len() {
        found.push(Finding::new(
            format!("template.{key}.body"),
            format!(
                "expected {} variables, as \"{name}\" has in \"{code}\", found {}",
                listed.variables(),
                template.body.len()
            ),
        ));
    }
    for part in &listed.unfilled {
        let what = unfilled(part);
        found.push(Finding::new(format!("template.{key}"), format!(
            "\"{name}\" in \"{code}\" {what}, and rowbell fills the variables of the body only, \
             numbered from {{{{1}}}}; have a template approved without"
        )));
    }
    if let (Some(body), Some(text)) = (&listed.body, text_in(template, tag))
        && squeezed(body) != squeezed(text)
    {
        let tag = if tag == "default" { code } else { tag };
        found.push(Finding::new(
            format!("template.{key}.text.{tag}"),
            format!("is not the approved text, which is: {}", squeezed(body)),
        ));
    }
    found
}

/// What a template has that every message would have to fill.
fn unfilled(part: &UnfilledPart) -> String {
    match part {
        UnfilledPart::Variable(place) => format!("has a variable in its {place}"),
        UnfilledPart::NamedVariables(names) => {
            format!("has variables with names ({})", names.join(", "))
        }
        UnfilledPart::Gap(missing) => {
            let missing: Vec<String> = missing.iter().map(usize::to_string).collect();
            format!("has a gap in the numbers of its variables (no {})", missing.join(", "))
        }
        UnfilledPart::Header(format) => format!("has a header that is sent along ({format})"),
        UnfilledPart::Button(kind) => format!("has a button that needs a value ({kind})"),
        UnfilledPart::Part(part) => format!("has a part that is sent along ({part})"),
    }
}

/// The text of the configuration for a language, if it has one for exactly that.
fn text_in<'a>(template: &'a TemplateSettings, tag: &str) -> Option<&'a str> {
    let code =
        template.language.each().into_iter().find(|(t, _)| *t == tag).map(|(_, code)| code)?;
    match template.text.as_ref()? {
        LocalizedText::Same(text) => Some(text),
        LocalizedText::ByLanguage(texts) => {
            texts.get(tag).or_else(|| texts.get(code)).map(String::as_str)
        }
    }
}

/// Without the white space that nobody sees.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
