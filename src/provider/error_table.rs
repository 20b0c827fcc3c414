//! What each error code means to a sender.
