//! The one integration crate: one binary, so that the SDKs are linked once.

mod aws_client;
mod aws_kinds;
mod docs;
mod engine;
mod engine_faults;
mod engine_scale;
mod moto;
mod script;
mod tidy;
mod world;
