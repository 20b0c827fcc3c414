//! rowbell: a row changes in PostgreSQL, the customer hears about it once, and the database knows
//! what became of it.
//!
//! The modules stand in the order in which data flows. What is deliberately absent: a second queue
//! beside the database, a copy of the business's tables, state that only lives in the process.

/// Pure rules: no database, no HTTP, no runtime.
pub mod domain {
    pub mod alert;
    pub mod notice;
    pub mod outcome;
    pub mod outcome_event;
    pub mod person_act;
    pub mod reply;
    /// The life of a message: states, attempts, receipts, evidence, and what an answer means.
    pub mod message {
        pub mod attempt;
        pub mod decision;
        pub mod disposition;
        pub mod evidence;
        pub mod expiry;
        pub mod fallback;
        pub mod message;
        pub mod outgoing;
        pub mod poll_schedule;
        pub mod receipt;
        pub mod state;
        pub mod unconfirmed;
    }
    /// Who is told: phone, time zone, quiet hours, words that opt out.
    pub mod recipient {
        pub mod allow_list;
        pub mod email;
        pub mod last_told;
        pub mod numbering_plan;
        pub mod opt_out_keywords;
        pub mod phone;
        pub mod phone_forms;
        pub mod phone_text;
        pub mod quiet_hours;
        pub mod recipient;
        pub mod time_of_day;
        pub mod time_zone;
    }
    /// Rows, columns, changes, and how two values compare.
    pub mod value {
        pub mod change;
        pub mod column;
        pub mod column_kind;
        pub mod comparison;
        pub mod diff;
        pub mod fold;
        pub mod hex;
        pub mod interval;
        pub mod moment;
        pub mod range;
        pub mod row;
        pub mod versions;
    }
    /// How a language and its country write dates, numbers and lists, and in which direction.
    pub mod locale {
        pub mod bidi;
        pub mod formats;
        pub mod locale;
    }
    /// From a change to words: rules, templates, phrases, limits of WhatsApp.
    pub mod text {
        pub mod digest;
        pub mod labels;
        pub mod localized_text;
        pub mod phrases;
        pub mod plain_value;
        pub mod render_context;
        pub mod rules;
        pub mod short_text;
        pub mod summary;
        /// MiniJinja templates over the values of a row.
        pub mod template {
            pub mod column_value;
            pub mod current_reader;
            pub mod filters;
            pub mod template_engine;
            pub mod template_source;
        }
        pub mod whatsapp_limits;
    }
    /// Arithmetic of limits: bursts, circuits, shares, rates.
    pub mod limit {
        pub mod adaptive_rate;
        pub mod answers;
        pub mod backoff;
        pub mod burst;
        pub mod channel_spread;
        pub mod circuit;
        pub mod endpoint_circuit;
        pub mod fair_share;
        pub mod unique_recipients;
    }
}
pub mod clock;
pub mod config;
pub mod error_chain;
pub mod finding;
/// Everything that speaks SQL.
pub mod postgres {
    /// The queries of the pipeline, by name. The texts stand in `sql/queries`, with what they promise.
    pub mod queries {
        pub mod blockers;
        pub mod channel_lease;
        pub mod claim;
        pub mod claimed_batch;
        pub mod compose;
        pub mod fallback;
        pub mod forget;
        pub mod opt_out_request;
        pub mod poll;
        pub mod retention;
        pub mod settle;
        pub mod unconfirmed;
    }
    /// Connections, the listening session, and which database this is.
    pub mod connection {
        pub mod answer_deadline;
        pub mod dial;
        pub mod doorbell;
        pub mod identity;
        pub mod listener;
        pub mod pool;
        pub mod session;
        pub mod session_settings;
        pub mod socket;
        pub mod statement;
        pub mod tls;
        pub mod word;
    }
    /// What was never captured: gaps, and the way to catch up.
    pub mod missed {
        pub mod catch_up;
        pub mod gap;
        pub mod row_choice;
    }
    /// Triggers on the tables of the business, and the rows as they are now.
    pub mod capture {
        pub mod huge_value;
        pub mod install;
        pub mod key;
        pub mod label_query;
        pub mod plan;
        pub mod proof;
        pub mod quoting;
        pub mod row_query;
        pub mod surroundings;
        pub mod table;
        pub mod trigger;
    }
    /// Our own schema: migrations and roles.
    pub mod schema {
        pub mod blocking_sessions;
        pub mod migrate;
        pub mod migration_plan;
        pub mod roles;
    }
    /// What the catalog and the statistics say of a site, and what a trigger costs there.
    pub mod inspection {
        pub mod doctor;
        pub mod measure;
    }
    /// What the commands ask and write.
    pub mod operations {
        pub mod blockers;
        pub mod channel_moves;
        pub mod entity_history;
        pub mod figures;
        pub mod holds;
        pub mod opt_outs;
        pub mod pauses;
        pub mod person_acts;
        pub mod retry;
        pub mod status_report;
        pub mod unconfirmed;
        pub mod webhook_probe;
    }
    /// What the application is told.
    pub mod outcome {
        pub mod alerts;
        pub mod outcome_calls;
        pub mod outgoing_deliveries;
        pub mod replies;
    }
    /// Figures that are kept for analysts.
    pub mod report {
        pub mod days;
    }
    /// What the page asks besides.
    pub mod page {
        pub mod figure_rows;
        pub mod found_messages;
        pub mod overview;
    }
}
/// Everything that knows a wire format.
pub mod provider {
    pub mod client;
    pub mod client_error;
    pub mod error_table;
    pub mod http_gateway;
    pub mod limiter;
    pub mod message_body;
    pub mod redact;
    pub mod retry_after;
    pub mod smtp;
    pub mod transport;
    pub mod webhook_probe;
    /// Endpoints of the application, after the Standard Webhooks specification.
    pub mod outgoing_webhook {
        pub mod endpoint;
        pub mod event;
        pub mod signature;
    }
    /// The 1MSG API.
    pub mod onemsg {
        pub mod client;
        pub mod error_payload;
        pub mod message_list;
        pub mod template_list;
        pub mod webhook_payload;
        pub mod webhook_settings;
    }
}
/// The stages, from a captured change to an outcome.
pub mod pipeline {
    /// What the stages share.
    pub mod context {
        pub mod channel_sender;
        pub mod circuit_tallies;
        pub mod context;
        pub mod counters;
        pub mod database_clock;
        pub mod pulse;
        pub mod read_fault;
        pub mod receipt_sources;
        pub mod route;
        pub mod stage;
        pub mod unconfirmed_attempts;
        pub mod watch_faults;
    }
    /// Changes become messages.
    pub mod claim {
        pub mod burst_hold;
        pub mod claim;
        pub mod claimed_batch;
        pub mod large_transaction;
        pub mod muted;
        pub mod new_message;
        pub mod scan_bound;
    }
    /// Whether a message may leave now, and with which words.
    pub mod gate {
        pub mod blockers;
        pub mod copy_guard;
        pub mod decide;
        pub mod fallback_channel;
        pub mod gates;
        pub mod hours;
        pub mod label_lookup;
        pub mod limits;
        pub mod outcome;
        pub mod recipients;
        pub mod row_errors;
        pub mod same_phone;
    }
    /// Due messages get their words and their lease.
    pub mod compose {
        pub mod compose;
        pub mod digest;
        pub mod fair_queue;
    }
    /// Leased messages are sent.
    pub mod deliver {
        pub mod channel_lease;
        pub mod deliver;
    }
    /// Receipts and replies come in.
    pub mod receive {
        pub mod opt_out_request;
        pub mod poll;
        pub mod receipt_source;
        pub mod reply;
        pub mod webhook;
        pub mod webhook_registration;
    }
    /// Answers and evidence move messages: written in one place.
    pub mod settle {
        pub mod circuit;
        pub mod evidence;
        pub mod fallback_schedule;
        pub mod log;
        pub mod rate_feedback;
        pub mod settle;
        pub mod transition;
        pub mod unconfirmed;
    }
    /// What became of requests without an answer.
    pub mod reconcile {
        pub mod reconcile;
    }
    /// What comes after: the next channel, lost leases, retention.
    pub mod follow_up {
        pub mod alert;
        pub mod alert_causes;
        pub mod day_count;
        pub mod fallback;
        pub mod gaps;
        pub mod outcome_hooks;
        pub mod outgoing_webhook;
        pub mod retention;
        pub mod sweep;
    }
}
/// What others connect to: the webhook, and what monitoring systems ask.
pub mod http {
    pub mod listeners;
    pub mod metrics;
    pub mod readiness;
    pub mod server;
    pub mod sockets;
}
/// What commands do.
pub mod operations {
    pub mod catch_up;
    pub mod check;
    pub mod check_webhook;
    pub mod doctor;
    pub mod forget;
    pub mod preview;
    pub mod send_test;
    pub mod settle;
    pub mod templates;
    pub mod webhook_delivery;
    pub mod webhook_probe;
}
/// The page for people, rendered on the server.
pub mod page {
    pub mod access;
    pub mod answer;
    pub mod assets;
    pub mod layout;
    pub mod login;
    pub mod login_guard;
    pub mod mask;
    pub mod server;
    pub mod session;
    pub mod state;
    pub mod times;
    /// What waits and why.
    pub mod now {
        pub mod endpoints;
        pub mod now;
        pub mod snapshot;
        pub mod strip;
    }
    /// Messages, and one of them as its story.
    pub mod messages {
        pub mod bubble;
        pub mod events;
        pub mod filter;
        pub mod find;
        pub mod story;
    }
    /// Figures with the queries that make them.
    pub mod figures {
        pub mod chart;
        pub mod figures;
        pub mod read_figures;
    }
    /// What is watched, and what a change would say.
    pub mod watches {
        pub mod rules;
        pub mod watches;
    }
    /// What waits for a person, and what the person decides.
    pub mod holds {
        pub mod acts;
        pub mod holds;
    }
}
/// Looks at a table and writes a watch for it.
pub mod suggest {
    pub mod catalog;
    pub mod column_selection;
    pub mod recipient_path;
    pub mod suggestion;
    pub mod survey;
}
pub mod app;
pub mod cli;
pub mod telemetry;
