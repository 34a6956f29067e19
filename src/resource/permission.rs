//! Whether a change that is under way may go on: one may take several calls, and its permission may end between two.

use std::sync::Arc;
use std::time::Duration;

use super::{Class, Fault};

/// Tells whether the next call of a change may be sent.
pub type Permission = Arc<dyn Fn() -> bool + Send + Sync>;

tokio::task_local! {
    static PERMISSION: Permission;
}

/// Makes a change that asks this before each of its calls.
pub async fn with<T>(permission: Permission, change: impl Future<Output = T>) -> T {
    PERMISSION.scope(permission, change).await
}

/// Whether the call that is about to be sent may be; what nobody bounds may.
pub fn holds() -> bool {
    PERMISSION.try_with(|permission| permission()).unwrap_or(true)
}

/// It was not sent. Nobody need be slower for it: whoever asks again must have the permission for that first.
pub fn ended(call: &str) -> Fault {
    let mut fault =
        Fault::new(Class::Throttled, format!("{call} was not sent: the run's lock may be another's by now"));
    fault.retry_after = Some(Duration::ZERO);
    fault
}
