//! The 1MSG API.
