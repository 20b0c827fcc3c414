//! When a failed attempt is tried again.
