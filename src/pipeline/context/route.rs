//! The routes of a watch to its recipients: its own channel, then its fallbacks, each with its template.

use std::time::Duration;

use std::fmt;

use crate::config::{Channel, Config, RecipientAddress, TemplateSettings, Watch};
use crate::domain::recipient::allow_list::AllowList;
use crate::domain::recipient::recipient::Recipient;
use crate::domain::text::summary::Phrasing;
use crate::domain::text::template::template_engine::PhrasingSource;
use crate::error_chain::chain;
use crate::finding::Finding;

/// One channel of a watch, with the words that go over it.
pub struct Route {
    pub channel: String,
    pub address: RecipientAddress,
    /// Name of the template in the configuration.
    pub key: String,
    pub template: TemplateSettings,
    pub phrasing: Phrasing,
    /// It is meant for those who do not want messages on WhatsApp, too.
    pub ignores_opt_out: bool,
    /// How long a message may go without `delivered` before it goes on to the next.
    pub undelivered_after: Option<Duration>,
    /// The only people who may be written to; None: everybody may.
    pub only_to: Option<AllowList>,
}

impl Route {
    /// Whether a recipient may be written to over it.
    pub fn allows(&self, recipient: &Recipient) -> bool {
        let (by_phone, by_email) = match self.address {
            RecipientAddress::Phone => (true, false),
            RecipientAddress::Email => (false, true),
            RecipientAddress::Any => (true, true),
        };
        self.only_to.as_ref().is_none_or(|list| list.allows(recipient, by_phone, by_email))
    }
}

/// Why a watch cannot be used.
#[derive(Debug)]
pub enum UnusableWatch {
    /// What is wrong with its settings.
    Settings(Vec<Finding>),
    /// The database could not be asked, which says nothing about the watch.
    Unasked(tokio_postgres::Error),
}

impl UnusableWatch {
    /// The same as what a check finds.
    pub fn findings(self) -> Vec<Finding> {
        match self {
            UnusableWatch::Settings(found) => found,
            UnusableWatch::Unasked(error) => {
                vec![Finding::new(
                    "",
                    format!("the database could not be asked: {}", chain(&error)),
                )]
            }
        }
    }
}

impl fmt::Display for UnusableWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnusableWatch::Settings(found) => {
                let found: Vec<String> = found.iter().map(Finding::to_string).collect();
                f.write_str(&found.join("; "))
            }
            UnusableWatch::Unasked(error) => f.write_str(&chain(error)),
        }
    }
}

/// All routes of a watch, in the order in which they are tried.
pub struct Routes {
    pub own: Route,
    pub fallbacks: Vec<Route>,
}

impl Routes {
    /// Compiles the routes of a watch.
    pub fn compile(
        config: &Config,
        name: &str,
        watch: &Watch,
        columns: &[String],
    ) -> Result<Routes, UnusableWatch> {
        let fallbacks = watch.fallback.iter().map(|step| {
            let template = step.template.as_ref().unwrap_or(&watch.template);
            let route = route(config, name, watch, columns, (&step.channel, template))?;
            Ok(Route { ignores_opt_out: step.on_opt_out, ..route })
        });
        Ok(Routes {
            own: route(config, name, watch, columns, (&watch.channel, &watch.template))?,
            fallbacks: fallbacks.collect::<Result<_, UnusableWatch>>()?,
        })
    }

    /// Its channels.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.own).chain(&self.fallbacks).map(|route| route.channel.as_str())
    }

    /// The route over a channel. What was opened for a channel that the watch does not use any more goes
    /// out in the watch's own words.
    pub fn over(&self, channel: &str) -> &Route {
        let mut all = std::iter::once(&self.own).chain(&self.fallbacks);
        all.find(|route| route.channel == channel).unwrap_or(&self.own)
    }
}

fn route(
    config: &Config,
    name: &str,
    watch: &Watch,
    columns: &[String],
    (channel, template): (&str, &str),
) -> Result<Route, UnusableWatch> {
    let compiled = config.template.get(template).ok_or_else(|| {
        let what = format!("there is no template \"{template}\"");
        UnusableWatch::Settings(vec![Finding::new(format!("watch.{name}.template"), what)])
    })?;
    let phrasing =
        Phrasing::compile(&source(config, watch, compiled, Some(columns))).map_err(|problems| {
            let named = problems.into_iter().map(|problem| named(problem, name, template));
            UnusableWatch::Settings(named.collect())
        })?;
    let mut compiled = compiled.clone();
    if compiled.name.is_empty() {
        // Only WhatsApp knows templates by a name of its own; records and circuits need one everywhere.
        compiled.name = template.to_owned();
    }
    Ok(Route {
        channel: channel.to_owned(),
        address: config.channel.get(channel).map_or(RecipientAddress::Phone, Channel::address),
        key: template.to_owned(),
        template: compiled,
        phrasing,
        ignores_opt_out: false,
        undelivered_after: watch.undelivered_after(channel),
        only_to: config.only_to(),
    })
}

/// A mistake with the whole name of its setting.
pub fn named(problem: Finding, watch: &str, template: &str) -> Finding {
    match problem.key.starts_with("body") {
        true => problem.below(&format!("template.{template}")),
        false => problem.below(&format!("watch.{watch}")),
    }
}

/// What the words of a watch in a template are made of.
pub fn source<'a>(
    config: &'a Config,
    watch: &'a Watch,
    template: &'a TemplateSettings,
    columns: Option<&'a [String]>,
) -> PhrasingSource<'a> {
    PhrasingSource {
        service: watch.service.as_ref(),
        say: &watch.say,
        label: &watch.label,
        value: &watch.value,
        phrase: &config.phrase,
        body: &template.body,
        text: template.text.as_ref(),
        language: &template.language,
        default_locale: &config.recipient.locale,
        columns,
    }
}
