//! The question before something happens that cannot be taken back.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::cli::error::CliError;

/// Whether the person at the terminal agrees; `--yes` agrees beforehand. Where nobody can be asked,
/// nothing happens.
pub fn agreed(yes: bool, question: &str) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            anyhow::anyhow!("nothing was changed; to go on without a question, add --yes").into()
        );
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush().map_err(anyhow::Error::from)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(anyhow::Error::from)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        eprintln!("nothing was changed");
    }
    Ok(agreed)
}
