//! The triggers on the business's tables.
