//! The schema against a real PostgreSQL: what it promises, who may do what, and what the reports say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod schema {
    mod catalog;
    mod figures;
    mod ground;
    mod migrations;
    mod readers;
    mod reports;
    mod roles;
}
