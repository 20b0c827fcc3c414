//! Shares: a probability between 0 and 1.

use rand::RngExt as _;
use rand::rngs::StdRng;

/// Whether something with this probability happens now. Zero costs nothing.
pub fn happens(share: f64, rng: &mut StdRng) -> bool {
    share > 0.0 && rng.random_bool(share.min(1.0))
}
