//! Stories in a small world: a real PostgreSQL, the simulated provider over real HTTP, a clock that
//! can be moved ahead, and verbs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::module_inception)]

mod harness;

/// Triggers, the doorbell, and whoever listens to it.
mod capture {
    pub mod capture;
    pub mod doorbell;
    pub mod doorbell_model;
    pub mod every_type;
    pub mod hard_values;
    pub mod hostile_values;
    pub mod installed;
    pub mod listening;
    pub mod shared_doorbell;
    pub mod tls;
    pub mod versions;
    pub mod writer_settings;
}
/// What is told, in which words, and when.
mod content {
    pub mod catch_up;
    pub mod deadlines;
    pub mod diffs;
    pub mod gates;
    pub mod preview;
    pub mod quiet_hours;
    pub mod recipients;
    pub mod words;
    pub mod zones;
}
/// From a change to the provider, by whatever channel.
mod delivery {
    pub mod channels;
    pub mod dry_run;
    pub mod fallbacks;
    pub mod http_gateway;
    pub mod mail_server;
    pub mod main_flow;
    pub mod provider;
    pub mod retries;
    pub mod staging;
    pub mod wire;
}
/// What people know, and what is known of them.
mod people {
    pub mod digest;
    pub mod gap;
    pub mod handovers;
    pub mod judge;
    pub mod replay;
    pub mod steps_in_order;
    pub mod upkeep;
}
/// What comes back: receipts, replies, evidence.
mod receipts {
    pub mod consent;
    pub mod evidence;
    pub mod opt_out_requests;
    pub mod polling;
    pub mod unconfirmed;
    pub mod webhook;
    pub mod webhook_registration;
}
/// Rates, bursts, circuits, and who may send.
mod limits {
    pub mod budgets;
    pub mod channel_leases;
    pub mod channel_spread;
    pub mod circuit;
    pub mod large_transactions;
    pub mod limits;
    pub mod shared_storm;
    pub mod storm;
}
/// What `rowbell doctor` finds, and how it is mended.
mod doctor {
    pub mod configuration;
    pub mod faults;
    pub mod others;
}
/// What people do with commands.
mod operations {
    pub mod check;
    pub mod copied_database;
    pub mod forget;
    pub mod logs;
    pub mod metrics;
    pub mod pause;
    pub mod retention;
    pub mod retry;
    pub mod settle;
    pub mod suggest;
    pub mod suggest_applications;
    pub mod templates;
}
/// What the application is told.
mod hooks {
    pub mod alerts;
    pub mod outcome_hooks;
    pub mod outgoing_webhook;
    pub mod outgoing_webhook_chaos;
    pub mod receiver;
    pub mod replies;
}
/// What is counted, and what it cost.
mod figures {
    pub mod days;
}
/// What people see and do on the page.
mod page {
    pub mod browser;
    pub mod figures;
    pub mod holds;
    pub mod logins;
    pub mod messages;
    pub mod now;
    pub mod real_browser;
    pub mod walk;
    pub mod watches;
}
/// What others make of a database: its tables and keys, and the sessions that write.
mod surroundings {
    pub mod bytes;
    pub mod keys;
    pub mod names;
    pub mod poison;
    pub mod unseen;
    pub mod writers;
}
/// What fails around a real daemon, and what /readyz says meanwhile.
mod failures {
    pub mod clock_jumps;
    pub mod full_disk;
    pub mod hosts;
    pub mod journal;
    pub mod networks;
    pub mod rolling_upgrade;
    pub mod servers;
    pub mod site;
}
/// Crashes, lost answers, rows at fault.
mod resilience {
    pub mod broken_sql;
    pub mod clocks;
    pub mod crash;
    pub mod isolation;
    pub mod lost_connections;
    pub mod pooler;
    pub mod receipt_truth;
    pub mod row_errors;
    pub mod row_security;
    pub mod session_settings;
    pub mod shutdown;
    pub mod three_daemons;
}
