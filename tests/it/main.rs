//! Stories in a small world: a real PostgreSQL, the simulated provider over real HTTP, a clock that
//! can be moved ahead, and verbs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod capture;
mod circuit;
mod crash;
mod diffs;
mod doorbell;
mod gates;
mod harness;
mod provider;
mod retries;
mod spine;
mod storm;
mod tls;
