//! What is not the daemon: a simulator of the provider, a demo, and benchmarks.
//!
//! The daemon's own tests use the first two; the program `rowbell-lab` gives all three to people.

/// A faithful simulator of the 1MSG API.
pub mod sandbox {
    pub mod options;
    pub mod template;

    pub(crate) mod server;
    pub(crate) mod webhook_sender;
    /// The requests that it answers.
    pub(crate) mod api {
        pub(crate) mod control;
        pub(crate) mod payloads;
        pub(crate) mod read_methods;
        pub(crate) mod refusal;
        pub(crate) mod reply;
        pub(crate) mod request;
        pub(crate) mod router;
        pub(crate) mod send;
        pub(crate) mod settings;
        pub(crate) mod validation;
    }
    /// What it remembers, and what is still to happen.
    pub(crate) mod state {
        pub(crate) mod chance;
        pub(crate) mod faults;
        pub(crate) mod ids;
        pub(crate) mod limits;
        pub(crate) mod outcome;
        pub(crate) mod schedule;
        pub(crate) mod state;
        pub(crate) mod store;
    }

    pub use api::refusal::RefusalForm;
    pub use options::{
        ChannelOptions, Delay, Form, LimitOptions, ReceiptOptions, SandboxOptions, Settings, Words,
    };
    pub use server::{NotYet, Sandbox};
    pub use state::faults::{Fault, FaultRule};
    pub use state::outcome::Outcome;
    pub use state::state::SandboxCounts;
    pub use state::store::{Arrival, Duplicate, SeenMessage, SeenStatus};
    pub use template::TemplateOptions;
}
/// A throwaway PostgreSQL, the sandbox, and a back office at work.
pub mod demo {
    pub mod cluster;
    pub mod daemon;
    pub mod play;
    pub mod scratch;
    pub mod show;
    pub mod testbed;
    pub mod workload;
}
/// A site's own configuration against the sandbox.
pub mod dev {
    pub mod dev;
}
/// Measurements of the whole job.
pub mod bench {
    pub mod behind;
    pub mod bulk;
    pub mod drain;
    pub mod idle;
    pub mod instructions;
    pub mod latency;
    pub mod page;
    pub mod report;
    pub mod statements;
    pub mod write;
}
pub mod cli;
/// What its commands do.
pub mod commands {
    pub mod bench;
    pub mod demo;
    pub mod dev;
    pub mod sandbox;
}
