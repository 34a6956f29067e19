//! The only place that talks to the outside.

pub mod aws;
