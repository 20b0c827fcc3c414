//! Stories in a small world: a real PostgreSQL, the simulated provider over real HTTP, a clock that
//! can be moved ahead, and verbs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apart;
mod capture;
mod channels;
mod circuit;
mod clone;
mod consent;
mod crash;
mod deadlines;
mod destination;
mod diffs;
mod doorbell;
mod doubts;
mod dry_run;
mod evidence;
mod fallbacks;
mod forget;
mod gates;
mod gateway;
mod harness;
mod hostile;
mod inbound;
mod limits;
mod listening;
mod logs;
mod metrics;
mod owners;
mod pause;
mod poison;
mod polling;
mod post_office;
mod preview;
mod provider;
mod quiet;
mod replay;
mod retention;
mod retries;
mod retry;
mod spine;
mod storm;
mod suggest;
mod templates;
mod tls;
mod truth;
mod webhook;
mod wire;
mod zones;
