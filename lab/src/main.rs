//! `rowbell-lab sandbox | demo | bench`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use rowbell_lab::cli::Cli;

fn main() -> ExitCode {
    rowbell::cli::end_quietly_without_a_reader();
    let cli = Cli::parse();
    let done = rowbell::app::runtime()
        .context("could not start the runtime")
        .and_then(|runtime| runtime.block_on(cli.run()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rowbell-lab: {}", rowbell::error_chain::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
