//! What the provider posts to us.
