//! An error with its causes, on one line.

use std::error::Error;

use tokio_postgres::error::DbError;

/// Layers of the libraries below us that add nothing for a reader, and line breaks of PostgreSQL's
/// errors: a failure is one line of the log.
const TIDIED: [(&str, &str); 4] = [
    ("Error occurred while creating a new object: db error: ", ""),
    ("Error occurred while creating a new object: ", ""),
    ("\nDETAIL: ", "; "),
    ("\nHINT: ", "; "),
];

/// The error and every cause that its text does not hold yet.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = said_by(error);
    let mut source = error.source();
    while let Some(cause) = source {
        let said = said_by(cause);
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    TIDIED.iter().fold(text, |text, (from, to)| text.replace(from, to))
}

/// What PostgreSQL says stands for itself: the library puts the name of its own kind of error and a severity before it.
fn said_by(error: &(dyn Error + 'static)) -> String {
    let of_server = error.downcast_ref::<tokio_postgres::Error>().and_then(|e| e.as_db_error());
    let Some(said) = of_server.or_else(|| error.downcast_ref::<DbError>()) else {
        // An error of ours may be nothing but that of the server.
        return match error.source() {
            Some(source) if source.to_string() == error.to_string() => said_by(source),
            _ => error.to_string(),
        };
    };
    let more = [said.detail(), said.hint()].into_iter().flatten();
    let all: Vec<&str> = std::iter::once(said.message()).chain(more).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("middle: inner")]
    struct Middle(#[source] std::fmt::Error);

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let said = chain(&Outer(Middle(std::fmt::Error)));
        assert_eq!(said, format!("outer: middle: inner: {}", std::fmt::Error));
        let twice = anyhow::anyhow!("inner").context("middle: inner").context("outer");
        assert_eq!(chain(twice.as_ref()), "outer: middle: inner");
    }

    #[test]
    fn what_postgresql_adds_stays_on_the_line() {
        let error = anyhow::anyhow!("ERROR: no space left\nDETAIL: 8 kB wanted.\nHINT: Check.");
        assert_eq!(chain(error.as_ref()), "ERROR: no space left; 8 kB wanted.; Check.");
    }
}
