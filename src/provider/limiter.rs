//! How fast a channel may send.
