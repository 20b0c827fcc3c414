//! `rowbell check`: the whole configuration, and with a database in reach every watch against its
//! table, and every template against what the provider lists. Changes nothing.

use clap::Args;

use crate::cli::error::CliError;
use crate::config::Config;
use crate::config::load::counted;
use crate::error_chain::chain;
use crate::operations::{check as app_check, check_webhook, templates};
use crate::postgres::connection::pool;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Ask neither the database nor the provider.
    #[arg(long)]
    offline: bool,
}

pub async fn run(args: &CheckArgs, config: Config) -> Result<(), CliError> {
    let words = app_check::offline(&config);
    if !words.is_empty() {
        return Err(CliError::Settings(words));
    }
    let mut problems = Vec::new();
    if !args.offline {
        let pool = pool::connect(&config.database)?;
        match pool::get(&pool).await {
            Ok(mut client) => {
                problems = app_check::online(&mut client, &config).await;
            }
            Err(error) if error.is_refusal() => problems.push(chain(&error)),
            Err(error) => println!("the database was not asked: {}", chain(&error)),
        }
    }
    if !args.offline {
        let compared = templates::compare(&config).await;
        compared.warnings.iter().for_each(|warning| println!("{warning}"));
        problems.extend(compared.problems);
        check_webhook::warnings(&config).await.iter().for_each(|warning| println!("{warning}"));
    }
    if let Some(only_to) = config.only_to() {
        println!(
            "ONLY TO: messages leave for {} of installation.only_to; everybody else is skipped",
            counted(only_to.len(), "recipient", "recipients")
        );
    }
    let mut said = std::collections::HashSet::new();
    problems.retain(|problem| said.insert(problem.clone()));
    for problem in &problems {
        eprintln!("rowbell: {problem}");
    }
    if !problems.is_empty() {
        return Err(CliError::Said);
    }
    println!(
        "the configuration is good: {}, {}, {}",
        counted(config.watch.len(), "watch", "watches"),
        counted(config.channel.len(), "channel", "channels"),
        counted(config.template.len(), "template", "templates")
    );
    Ok(())
}
