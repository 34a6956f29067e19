//! The vocabulary that script, engine and providers share. It does nothing and knows none of them.

pub mod address;
pub mod compound;
pub mod declaration;
pub mod kind;
pub mod live;
pub mod lock_store;
pub mod oracle;
pub mod permission;
pub mod preview;
pub mod provider;
pub mod schema;
pub mod shape;
pub mod value;

pub use address::Address;
pub use declaration::{Declaration, Declarations, Evaluation, Given, LeftOut, Options, ReplaceOrder, Stop};
pub use kind::Kind;
pub use live::{Live, Owner, Status};
pub use lock_store::{LockPlace, LockStore, Stored, Written};
pub use oracle::{Oracle, Sight};
pub use preview::{Difference, Preview, Previewed};
pub use provider::{Class, Create, Delete, Fault, Provider, Select, Update};
pub use schema::{Field, Output, Type};
pub use value::{Map, Reference, Segment, Value};
