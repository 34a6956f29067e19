//! One run per stack: a lock on a file for one checkout, a lease on an object for a team.
//!
//! ```text
//! acquire ──▶ Lease ──▶ permit before each write ──▶ release
//!               ▲
//!           heartbeat (every third of it)
//! ```
//!
//! A lease is valid for so long from the *start* of the write that won it, by the clock of the run; it is free for others
//! so long after that write *arrived*, by the clock of the store. So no two clocks are ever compared, and the second moment
//! never comes before the first.

pub mod acquire;
pub mod clock;
mod keeper;
pub mod lease;
pub mod local;
pub mod record;

pub use acquire::{Acquired, Terms, acquire};
pub use clock::Clock;
pub use lease::{Lease, Permit};
pub use local::LocalLock;
pub use record::{Holder, Record};
