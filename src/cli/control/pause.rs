//! `rowbell pause`, `resume` and `adopt`: a person's word on what may leave.

use clap::{Args, ValueEnum};

use crate::cli::acting::note;
use crate::cli::confirm::agreed;
use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::config::Config;
use crate::domain::person_act::PersonActKind;
use crate::finding::hint;
use crate::postgres::connection::identity;
use crate::postgres::operations::pauses;
use crate::postgres::operations::person_acts::ActSubject;

/// What can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
enum What {
    Channel,
    Watch,
}

impl What {
    fn subject(self, name: &str) -> ActSubject<'_> {
        match self {
            What::Channel => ActSubject::Channel(name),
            What::Watch => ActSubject::Watch(name),
        }
    }

    /// The name, if the configuration knows it.
    fn known(self, name: &str, config: &Config) -> Result<(), CliError> {
        let names: Vec<&str> = match self {
            What::Channel => config.channel.keys().map(String::as_str).collect(),
            What::Watch => config.watch.keys().map(String::as_str).collect(),
        };
        if names.contains(&name) {
            return Ok(());
        }
        let near = hint(name, &names);
        Err(anyhow::anyhow!("there is no {} \"{name}\"{near}", self.into_str()).into())
    }
}

#[derive(Debug, Args)]
pub struct PauseArgs {
    what: What,
    /// Its name, as in the configuration.
    name: String,
    /// Why, in words; `status` shows it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    what: What,
    /// Its name, as in the configuration.
    name: String,
}

#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub async fn pause(args: &PauseArgs, config: &Config) -> Result<(), CliError> {
    args.what.known(&args.name, config)?;
    let client = connect(config).await?;
    let what = args.what.into_str();
    pauses::begin(&client, what, &args.name, args.reason.as_deref())
        .await
        .map_err(anyhow::Error::from)?;
    let (subject, reason) = (args.what.subject(&args.name), args.reason.as_deref());
    note(&client, PersonActKind::Paused, subject, (0, reason)).await?;
    println!(
        "{what} {} is paused: changes are captured and wait; to go on: rowbell resume {what} {}",
        args.name, args.name
    );
    Ok(())
}

pub async fn resume(args: &ResumeArgs, config: &Config) -> Result<(), CliError> {
    let client = connect(config).await?;
    let (what, name) = (args.what.into_str(), &args.name);
    let (was_paused, tried) =
        pauses::end(&client, what, name).await.map_err(anyhow::Error::from)?;
    if was_paused || tried > 0 {
        note(&client, PersonActKind::Resumed, args.what.subject(name), (0, None)).await?;
    }
    match (was_paused, tried) {
        (true, 0) => println!("{what} {name} goes on"),
        (false, 0) => {
            args.what.known(name, config)?;
            println!("{what} {name} was not stopped");
        }
        _ => println!("{what} {name}: one message is tried now; if it is taken, all may leave"),
    }
    Ok(())
}

/// The copy of a database sends only after this.
pub async fn adopt(args: &AdoptArgs, config: &Config) -> Result<(), CliError> {
    let client = connect(config).await?;
    let environment = &config.installation.environment;
    let question = format!(
        "Let this database send to customers, as environment {environment}? If the original sends too, \
         customers are told twice."
    );
    if !agreed(args.yes, &question)? {
        return Err(CliError::FAILED);
    }
    let server = identity::system_identifier(&client).await.map_err(anyhow::Error::from)?;
    identity::adopt(&client, environment, server.as_deref()).await.map_err(anyhow::Error::from)?;
    note(&client, PersonActKind::Adopted, ActSubject::Database, (0, None)).await?;
    println!("this database sends from now on, as environment {environment}");
    Ok(())
}
