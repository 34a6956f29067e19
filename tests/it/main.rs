//! The one integration crate.

mod aws_client;
mod aws_kinds;
mod moto;
