//! The sandbox against the contract: what 1MSG refuses, how its answers go wrong, how receipts come;
//! and what our own client makes of each. Everything over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// One file for each side of the contract.
mod sandbox {
    mod control;
    mod desk;
    mod faults;
    mod inbox;
    mod program;
    mod receipts;
    mod refusals;
    mod wire;
}
