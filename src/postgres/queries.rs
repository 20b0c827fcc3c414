//! The queries of the pipeline.
