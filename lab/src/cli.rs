//! The command line of `rowbell-lab`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{bench, demo, dev, sandbox};

/// Tries rowbell, and measures it, without a number at the provider.
#[derive(Debug, Parser)]
#[command(name = "rowbell-lab", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// The program `rowbell` that dev, demo and bench start; by default the one beside this program.
    #[arg(long, global = true, env = "ROWBELL_EXE", hide_env_values = true, value_name = "FILE")]
    exe: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a simulator of the 1MSG API, to try things without sending anything.
    Sandbox(sandbox::SandboxArgs),
    /// Run your own configuration against the simulator, and show the phone of a customer in the browser.
    Dev(dev::DevArgs),
    /// Show the whole job on a throwaway PostgreSQL with a simulated provider.
    Demo(demo::DemoArgs),
    /// Measure, on a throwaway PostgreSQL.
    #[command(arg_required_else_help = true)]
    Bench(bench::BenchArgs),
}

impl Cli {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Sandbox(args) => sandbox::run(&args).await,
            Command::Dev(args) => dev::run(&args, &daemon(self.exe)?).await,
            Command::Demo(args) => demo::run(&args, &daemon(self.exe)?).await,
            Command::Bench(args) => bench::run(&args, &daemon(self.exe)?).await,
        }
    }
}

/// Where the daemon's program is.
fn daemon(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let exe = match given {
        Some(exe) => exe,
        None => std::env::current_exe()?.with_file_name("rowbell"),
    };
    anyhow::ensure!(
        exe.is_file(),
        "there is no program {}; build it with `cargo build -p rowbell`, or name it with --exe",
        exe.display()
    );
    Ok(exe)
}
