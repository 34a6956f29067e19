//! The one integration crate: one binary, so that the SDKs are linked once.

mod argocd;
mod aws;
mod aws_client;
mod canary;
mod cli;
mod cli_aws;
mod cli_output;
mod cli_platform;
mod cli_render;
mod cloudflare;
mod control_plane;
mod dns;
mod docs;
mod engine;
mod engine_crash;
mod engine_faults;
mod engine_holds;
mod engine_scale;
mod k8s;
mod moto;
mod platform;
mod project;
mod script;
mod secrets;
mod tidy;
mod world;
