//! A large batch is decided in pieces: while the database reads one piece, the words of the piece
//! before it are made. All of it on one connection, in the transaction of the caller.

use deadpool_postgres::Transaction;
use futures_util::stream::{self, StreamExt as _};
use tokio_postgres::error::SqlState;

use super::compose::decide;
use super::gates::{Candidate, Decision};
use super::site::{Site, Watching};
use super::stage::StageError;
use super::stops::Stops;

/// Candidates read by one statement.
const PIECE: usize = 100;

/// What becomes of each candidate, in order; see `compose::decide`.
pub async fn decide_in_pieces(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    stops: &Stops,
    candidates: &[Candidate],
) -> Result<Vec<Decision>, StageError> {
    let mut pieces = Vec::new();
    for piece in candidates.chunks(PIECE) {
        pieces.push(decide(tx, site, watching, stops, piece));
    }
    let pieces: Vec<_> = stream::iter(pieces).buffered(2).collect().await;
    let (done, mut failed): (Vec<_>, Vec<_>) = pieces.into_iter().partition(Result::is_ok);
    // An echo follows from another error, and says less.
    failed.sort_by_key(|piece| piece.as_ref().is_err_and(is_echo));
    let pieces: Result<Vec<_>, _> = failed.into_iter().chain(done).collect();
    Ok(pieces?.into_iter().flatten().collect())
}

/// After an error the database refuses whatever was sent on the same transaction already.
fn is_echo(error: &StageError) -> bool {
    let (StageError::Read { source, .. } | StageError::Query(source)) = error else {
        return false;
    };
    source.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
}
