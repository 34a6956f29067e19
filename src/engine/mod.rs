//! The only place that orders work: refresh, diff, plan, apply, wait. Knows no script and no provider by name.

pub mod apply;
pub mod diff;
pub mod estimate;
mod finding;
pub mod fingerprint;
pub mod forecast;
mod gates;
pub mod graph;
pub mod journal;
pub mod lock;
pub mod order;
mod order_told;
mod origins;
pub mod outputs;
mod patience;
pub mod plan;
pub mod planning;
mod previews;
pub mod refresh;
mod refusals;
pub mod saved;
pub mod step;
pub mod vanished;
pub mod wait;
pub mod work;

pub use apply::{Outcome, apply};
pub use estimate::{Estimate, History};
pub use forecast::Forecast;
pub use outputs::{Pending, Present};
pub use plan::{Action, Change, Counts, FieldChange, Hold, Key, Plan, PlannedOutput, Reason, Remark, Use};
pub use planning::{Wish, plan, plan_destroy};
pub use refresh::World;
pub use saved::{Reread, Saved};
pub use work::Tools;
