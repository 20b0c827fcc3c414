//! The program. What it can do stands in `cli.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rowbell::cli::main()
}
