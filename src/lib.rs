//! rowbell: a row changes in PostgreSQL, the customer hears about it once, and the database knows
//! what became of it.
//!
//! The modules stand in the order in which data flows. What is deliberately absent: a second queue
//! beside the database, a copy of the business's tables, state that only lives in the process.

/// Pure rules: no database, no HTTP, no runtime.
pub mod domain {
    pub mod attempt;
    pub mod bidi;
    pub mod carried;
    pub mod cause;
    pub mod change;
    pub mod circuit;
    pub mod column;
    pub mod daily;
    pub mod dates;
    pub mod diff;
    pub mod doubt;
    pub mod evidence;
    pub mod filters;
    pub mod fit;
    pub mod formats;
    pub mod interval;
    pub mod kind;
    pub mod labels;
    pub mod meaning;
    pub mod message;
    pub mod pace;
    pub mod pair;
    pub mod phone_forms;
    pub mod phrases;
    pub mod quiet_hours;
    pub mod range;
    pub mod reader;
    pub mod receipt;
    pub mod recipient;
    pub mod retry;
    pub mod row;
    pub mod rules;
    pub mod schedule;
    pub mod shares;
    pub mod show;
    pub mod storm;
    pub mod suggestion;
    pub mod summary;
    pub mod survey;
    pub mod telling;
    pub mod text;
    pub mod time_of_day;
    pub mod time_to_live;
    pub mod verdict;
    pub mod way;
    pub mod wish;
    pub mod words;
    pub mod zone;
}
pub mod clock;
pub mod config;

/// Everything that speaks SQL.
pub mod postgres {
    pub mod capture;
    pub mod fragments;
    pub mod holds;
    pub mod identity;
    pub mod listener;
    pub mod lookups;
    pub mod migrate;
    pub mod opt_outs;
    pub mod pauses;
    pub mod pool;
    pub mod queries;
    pub mod reach;
    pub mod report;
    pub mod retry;
    pub mod roles;
    pub mod rows;
    pub mod session;
    pub mod standstill;
    pub mod story;
    pub mod survey;
    pub mod table;
    pub mod tls;
    pub mod trigger;
}

/// Everything that knows a wire format.
pub mod provider {
    pub mod blank;
    pub mod client;
    pub mod error_table;
    pub mod history;
    pub mod hooks;
    pub mod http;
    pub mod knock;
    pub mod letter;
    pub mod limiter;
    pub mod listed;
    pub mod onemsg;
    pub mod retry_after;
    pub mod smtp;
    pub mod transport;
    pub mod webhook;
}

/// The stages, from a captured change to an outcome.
pub mod pipeline {
    pub mod baseline;
    pub mod bound;
    pub mod careful;
    pub mod circuit;
    pub mod claim;
    pub mod claimed;
    pub mod clone;
    pub mod compose;
    pub mod counts;
    pub mod decide;
    pub mod deliver;
    pub mod destination;
    pub mod door;
    pub mod doubts;
    pub mod draft;
    pub mod evidence;
    pub mod fallback;
    pub mod gates;
    pub mod hours;
    pub mod lane;
    pub mod limits;
    pub mod onward;
    pub mod owner;
    pub mod poll;
    pub mod receive;
    pub mod retention;
    pub mod route;
    pub mod said;
    pub mod seek;
    pub mod settle;
    pub mod site;
    pub mod stage;
    pub mod stops;
    pub mod storm;
    pub mod sweep;
    pub mod turns;
    pub mod wishes;
    pub mod witness;
}

pub mod app;
pub mod telemetry;

/// A faithful simulator of the 1MSG API.
pub mod sandbox {
    pub mod options;
    pub mod template;

    pub(crate) mod agenda;
    pub(crate) mod check;
    pub(crate) mod control;
    pub(crate) mod courier;
    pub(crate) mod faults;
    pub(crate) mod forms;
    pub(crate) mod front;
    pub(crate) mod ids;
    pub(crate) mod ledger;
    pub(crate) mod limits;
    pub(crate) mod outcome;
    pub(crate) mod reading;
    pub(crate) mod refusal;
    pub(crate) mod reply;
    pub(crate) mod request;
    pub(crate) mod send;
    pub(crate) mod server;
    pub(crate) mod settings;
    pub(crate) mod world;

    pub use faults::{Fault, FaultRule};
    pub use ledger::{Arrival, Duplicate, SeenMessage, SeenStatus};
    pub use options::{
        ChannelOptions, Delay, Form, LimitOptions, ReceiptOptions, RefusalForm, SandboxOptions,
        Settings, Words,
    };
    pub use outcome::Outcome;
    pub use server::{NotYet, Sandbox};
    pub use template::TemplateOptions;
    pub use world::Counts;
}
/// A throwaway PostgreSQL, the sandbox, and a back office at work.
pub mod demo {
    pub mod cluster;
    pub mod daemon;
    pub mod office;
    pub mod play;
    pub mod show;
    pub mod town;
}
/// Measurements of the whole job.
pub mod bench {
    pub mod bulk;
    pub mod drain;
    pub mod idle;
    pub mod latency;
    pub mod report;
    pub mod write;
}
pub mod cli;
