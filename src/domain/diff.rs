//! Which fields differ between two states of a row.
