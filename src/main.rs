//! The program. What it can do stands in `cli.rs`.

use std::process::ExitCode;

/// Most of what a message costs the daemon besides its words is memory that is taken and given back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rowbell::cli::main()
}
