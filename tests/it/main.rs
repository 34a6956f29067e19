//! The one integration crate: one binary, so that the SDKs are linked once.

mod docs;
mod engine;
mod engine_faults;
mod engine_scale;
mod script;
mod tidy;
mod world;
