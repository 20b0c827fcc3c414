//! `rowbell channel move`: a person's word on which daemon sends on a channel.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::acting::note;
use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::person_act::PersonActKind;
use crate::finding::hint;
use crate::postgres::operations::channel_moves::{self, RunningDaemon};
use crate::postgres::operations::person_acts::ActSubject;

/// How long to wait for the daemons, and how often to look.
const LOOKS: u32 = 100;
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Give a channel to a daemon for as long as that one runs; the others are spread evenly as before.
    Move(MoveArgs),
}

#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The channel, as in the configuration.
    channel: String,
    /// The daemon: its name as `status` shows it, or the beginning of its instance.
    #[arg(long, value_name = "DAEMON")]
    to: String,
}

pub async fn run(command: &ChannelCommand, config: &Config) -> Result<(), CliError> {
    let ChannelCommand::Move(args) = command;
    let channel = args.channel.as_str();
    if !config.channel.contains_key(channel) {
        let known: Vec<&str> = config.channel.keys().map(String::as_str).collect();
        return Err(failed(format!("there is no channel \"{channel}\"{}", hint(channel, &known))));
    }
    let client = connect(config).await?;
    let now = Clock::system().now();
    let daemons = channel_moves::daemons(&client, now).await.map_err(anyhow::Error::from)?;
    let to = named(&daemons, &args.to).map_err(failed)?;
    if !to.channels.iter().any(|known| known == channel) {
        let name = &to.name;
        return Err(failed(format!("daemon {name} has no channel {channel} in its configuration")));
    }
    let assigned = channel_moves::assign(&client, channel, &to.instance).await;
    assigned.map_err(anyhow::Error::from)?;
    let reason = format!("to daemon {}", to.name);
    let subject = ActSubject::Channel(channel);
    note(&client, PersonActKind::Moved, subject, (0, Some(&reason))).await?;
    for _ in 0..LOOKS {
        let sender = channel_moves::sender(&client, channel).await.map_err(anyhow::Error::from)?;
        if sender.as_deref() == Some(&to.instance) {
            println!("daemon {} sends on channel {channel} now", to.name);
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(failed(format!(
        "daemon {} has not taken channel {channel} within 10 seconds; it does as soon as it can: rowbell status",
        to.name
    )))
}

/// The one daemon that is meant.
fn named<'a>(daemons: &'a [RunningDaemon], meant: &str) -> Result<&'a RunningDaemon, String> {
    let is_meant = |daemon: &&RunningDaemon| {
        daemon.name == meant || (meant.len() >= 4 && daemon.instance.starts_with(meant))
    };
    let mut found = daemons.iter().filter(is_meant);
    let names: Vec<&str> = daemons.iter().map(|daemon| daemon.name.as_str()).collect();
    match (found.next(), found.next()) {
        (Some(daemon), None) => Ok(daemon),
        (Some(_), Some(_)) => Err(format!(
            "several daemons are called \"{meant}\"; name one by its instance: select instance, name from rowbell.daemon"
        )),
        (None, _) if names.is_empty() => Err("no daemon runs on this database".to_owned()),
        (None, _) => Err(format!(
            "no daemon \"{meant}\" runs on this database{}; there are: {}",
            hint(meant, &names),
            names.join(", ")
        )),
    }
}

fn failed(why: String) -> CliError {
    anyhow::anyhow!(why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(instance: &str, name: &str) -> RunningDaemon {
        RunningDaemon {
            instance: instance.to_owned(),
            name: name.to_owned(),
            channels: Vec::new(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_daemon_goes_by_its_name_or_the_beginning_of_its_instance() {
        let all = [daemon("5f3a91c2", "crm-1/7"), daemon("5f3b0000", "crm-2/7")];
        let meant = |text| named(&all, text).map(|daemon| daemon.name.as_str());
        assert_eq!(meant("crm-2/7"), Ok("crm-2/7"));
        assert_eq!(meant("5f3a"), Ok("crm-1/7"));
        assert_eq!(
            meant("crm-3/7"),
            Err("no daemon \"crm-3/7\" runs on this database; did you mean \"crm-1/7\"?; there are: crm-1/7, crm-2/7".to_owned())
        );
        assert!(named(&[daemon("1", "a"), daemon("2", "a")], "a").is_err());
        assert!(named(&[], "a").is_err());
    }
}
