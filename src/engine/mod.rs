//! The only place that orders work: refresh, diff, plan, apply, wait. Knows no script and no provider by name.

pub mod plan;

pub use plan::{Action, Change, Counts, FieldChange, Plan, PlannedOutput, Reason};
