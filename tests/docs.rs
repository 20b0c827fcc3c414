//! Holds the pages to what is true: links, paths, functions, commands, queries and settings that they show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod docs {
    mod commands;
    mod configuration;
    mod limits;
    mod links;
    mod metrics;
    mod monitoring;
    mod page;
    mod queries;
    mod shell;
}
