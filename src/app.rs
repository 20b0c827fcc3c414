//! Builds everything from the configuration, spawns the stages, shuts down in order.
