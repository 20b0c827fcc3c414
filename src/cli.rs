//! The commands: what can be said to rowbell, and with which exit code it answers.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::cli::error::CliError;
use crate::config::load;
use crate::config::show;
use crate::error_chain::chain;

pub mod acting;
pub mod confirm;
mod connection;
mod error;
mod help;
mod manual;
pub mod run;
mod service;
pub mod text;
pub mod webhook;
mod webhook_test;

/// From nothing to a running daemon.
pub mod setup {
    pub mod check;
    pub mod init;
    pub mod migrate;
    pub mod suggest;
    pub mod watch;
}
/// What happened and how it stands.
pub mod inspect {
    pub mod doctor;
    pub mod explain;
    pub mod preview;
    pub mod status;
    pub(crate) mod status_blockers;
    mod status_channels;
    mod status_endpoints;
    mod status_verdict;
}
/// What a person decides.
pub mod control {
    pub mod catch_up;
    pub mod channel;
    pub mod forget;
    pub mod hold;
    pub mod opt_out;
    mod opt_out_file;
    pub mod outgoing;
    pub mod pause;
    pub mod retry;
    pub mod send_test;
    pub mod settle;
}

use control::{
    catch_up, channel, forget, hold, opt_out, outgoing, pause, retry, send_test, settle,
};
use inspect::{doctor, explain, preview, status};
use setup::{check, init, migrate, suggest, watch};

/// Customers hear of it when a row changes.
///
/// Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 doctor warns; 69 the database cannot be used; 78 the
/// configuration is wrong.
#[derive(Debug, Parser)]
#[command(name = "rowbell", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration; the files watch.d/*.toml beside it belong to it.
    #[arg(long, global = true, env = "ROWBELL_CONFIG", hide_env_values = true, value_name = "FILE", default_value = load::DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run(run::RunArgs),
    /// Write a first configuration; asks on a terminal.
    Init(init::InitArgs),
    /// Look at a table and write a watch for it, with what to decide; changes nothing.
    Suggest(suggest::SuggestArgs),
    /// Read the whole configuration and say what is wrong with it; changes nothing.
    Check(check::CheckArgs),
    /// Bring the schema of rowbell up to date.
    Migrate(migrate::MigrateArgs),
    /// Install the triggers that the configuration asks for.
    Watch(watch::WatchArgs),
    /// Remove the triggers of watches.
    Unwatch(watch::WatchArgs),
    /// Show what a row, or an invented change to it, would send; changes nothing.
    Preview(preview::PreviewArgs),
    /// Send what a watch says of a row to your own phone, after showing it; records nothing.
    SendTest(send_test::SendTestArgs),
    /// Look at everything, and say what is wrong, how bad it is and what mends it; changes nothing.
    ///
    /// Exit code 0: nothing found, or notes only; 3: warnings; 1: errors.
    Doctor(doctor::DoctorArgs),
    /// Show how the whole installation stands, and what needs a person; changes nothing.
    Status(status::StatusArgs),
    /// Show what waits for a person because too many rows changed at once; changes nothing.
    Held(hold::HeldArgs),
    /// Let held messages leave, after showing which.
    Approve(hold::ApproveArgs),
    /// End held messages without sending them, after showing which.
    Discard(hold::DiscardArgs),
    /// Find what people were not told because it was never captured, and hold it for approval; shows it first.
    CatchUp(catch_up::CatchUpArgs),
    /// Tell what happened to a row, and why: changes, message, attempts, receipts; changes nothing.
    Explain(explain::ExplainArgs),
    /// Stop a channel or a watch until `resume`; changes are captured and wait.
    Pause(pause::PauseArgs),
    /// Let a channel or watch go on that a person or errors have stopped.
    Resume(pause::ResumeArgs),
    /// Say which daemon sends on a channel, where several run.
    #[command(subcommand, arg_required_else_help = true)]
    Channel(channel::ChannelCommand),
    /// Let the copy of a database send.
    Adopt(pause::AdoptArgs),
    /// Let the provider post receipts to us, and show whether it does.
    #[command(arg_required_else_help = true)]
    Webhook(webhook::WebhookArgs),
    /// Endpoints of the application that are told of outcomes: show, try, resume and tell them again.
    #[command(subcommand, arg_required_else_help = true)]
    Outgoing(outgoing::OutgoingCommand),
    /// Keep the list of phones that must not be written to.
    #[command(arg_required_else_help = true)]
    OptOut(opt_out::OptOutArgs),
    /// Remove the personal data of one person and keep the facts; shows first what it would do.
    Forget(forget::ForgetArgs),
    /// Send messages again that failed, were skipped or are unconfirmed; shows first what it would do.
    Retry(retry::RetryArgs),
    /// Say what became of messages whose request got no answer; shows first what it would do.
    Settle(settle::SettleArgs),
    /// Show settings.
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a page of the manual, for `man -l -`.
    Man {
        /// Command whose page to print, such as `config show`, or `rowbell.toml`; without any, that of rowbell.
        commands: Vec<String>,
        /// Write all pages into this folder instead, named as `man` looks for them.
        #[arg(long, value_name = "FOLDER", conflicts_with = "commands")]
        all: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting with its meaning and default.
    Default,
    /// The settings in force, and where each was set; passwords are hidden.
    Show,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    keep_memory_to_ourselves();
    end_quietly_without_a_reader();
    let cli = match Cli::from_arg_matches(&help::command().get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match crate::app::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("rowbell: could not start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(dispatch(cli));
    // A daemon that is done waits for no request that still hangs: what becomes of it says the evidence.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            if !matches!(error, CliError::Said(_)) {
                let text = chain(anyhow::Error::from(error).as_ref());
                // Where nobody can be told, the exit code still tells.
                let _ = writeln!(std::io::stderr(), "rowbell: {text}");
            }
            ExitCode::from(code)
        }
    }
}

/// Secrets and phones are in our memory: it is in no core dump, and no other process of our user reads it.
fn keep_memory_to_ourselves() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // Where the system does not know it, there is nothing to do about it.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// `rowbell status | head` closes our output early: that is no failure of ours, and no panic. A full disk
/// is a failure, and no panic either.
pub fn end_quietly_without_a_reader() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        let Some(why) = text.strip_prefix("failed printing to std") else { return default(panic) };
        if why.contains("Broken pipe") {
            std::process::exit(0);
        }
        let why = why.split_once(": ").map_or(why, |(_, why)| why);
        let _ = writeln!(std::io::stderr(), "rowbell: could not write the output: {why}");
        std::process::exit(1);
    }));
}

async fn dispatch(cli: Cli) -> Result<(), CliError> {
    // Only who speaks with a provider needs its secrets.
    let config = || load::load_without_secrets(&cli.config);
    let with_secrets = || load::load(&cli.config);
    match cli.command {
        Command::Run(args) => run::run(&args, &cli.config, with_secrets()?).await,
        Command::Init(args) => init::run(&args, &cli.config).await,
        Command::Suggest(args) => suggest::run(&args, config).await,
        Command::Check(args) => check::run(&args, &cli.config).await,
        Command::Migrate(args) => migrate::run(&args, config).await,
        Command::Watch(args) => watch::watch(&args, &config()?).await,
        Command::Unwatch(args) => watch::unwatch(&args, &config()?).await,
        Command::Preview(args) => preview::run(&args, &config()?).await,
        Command::SendTest(args) => send_test::run(&args, &with_secrets()?).await,
        Command::Doctor(args) => doctor::run(&args, &cli.config).await,
        Command::Status(args) => status::run(&args, config).await,
        Command::Held(args) => hold::held(&args, &config()?).await,
        Command::Approve(args) => hold::approve(&args, &config()?).await,
        Command::Discard(args) => hold::discard(&args, &config()?).await,
        Command::CatchUp(args) => catch_up::run(&args, &config()?).await,
        Command::Explain(args) => explain::run(&args, &config()?).await,
        Command::Pause(args) => pause::pause(&args, &config()?).await,
        Command::Resume(args) => pause::resume(&args, &config()?).await,
        Command::Channel(command) => channel::run(&command, &config()?).await,
        Command::Adopt(args) => pause::adopt(&args, &config()?).await,
        Command::Webhook(args) => webhook::run(&args, &with_secrets()?).await,
        Command::Outgoing(command) => {
            outgoing::run(
                &command,
                &if command.needs_secrets() { with_secrets()? } else { config()? },
            )
            .await
        }
        Command::OptOut(args) => opt_out::run(&args, &config()?).await,
        Command::Forget(args) => forget::run(&args, &config()?).await,
        Command::Retry(args) => retry::run(&args, &config()?).await,
        Command::Settle(args) => settle::run(&args, config()?).await,
        Command::Config(ConfigCommand::Default) => {
            print!("{}", load::DEFAULT);
            Ok(())
        }
        Command::Config(ConfigCommand::Show) => {
            print!("{}", show::show(&cli.config)?);
            Ok(())
        }
        Command::Completions { shell } => {
            // Generators panic where they cannot write.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut help::command(), "rowbell", &mut script);
            print!("{}", String::from_utf8_lossy(&script));
            Ok(())
        }
        Command::Man { commands, all: None } => manual::print(&commands),
        Command::Man { all: Some(folder), .. } => manual::write_all(&folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        help::command().debug_assert();
    }
}
