//! The question before something happens that cannot be taken back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::cli::error::CliError;

/// Whether the person at the terminal agrees; `--yes` agrees beforehand. Where nobody can be asked,
/// nothing happens.
pub fn agreed(yes: bool, question: &str) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    let agreed = ask(question)?.ok_or_else(|| {
        anyhow::anyhow!("nothing was changed; to go on without a question, add --yes")
    })?;
    if !agreed {
        eprintln!("nothing was changed");
    }
    Ok(agreed)
}

/// What the person at the terminal answers; None: nobody can be asked.
pub fn ask(question: &str) -> Result<Option<bool>, anyhow::Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")))
}
