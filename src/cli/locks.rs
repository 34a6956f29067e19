//! What a run has locked, and where the lock of a checkout is.

use std::path::PathBuf;

use super::plan_file::PlanFile;
use crate::digest::sha256;
use crate::engine::lock::{Lease, LocalLock};

/// What a run holds until it ends.
pub struct Locks {
    _local: LocalLock,
    _sandbox: Option<LocalLock>,
    pub lease: Lease,
}

impl Locks {
    pub fn new(local: LocalLock, sandbox: Option<LocalLock>, lease: Lease) -> Self {
        Locks { _local: local, _sandbox: sandbox, lease }
    }
}

/// Where a saved plan is applied without its project, the lock is the user's own: whichever folder it is done in.
pub fn folder_elsewhere(file: &PlanFile) -> Option<PathBuf> {
    let state = variable("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/state")))?;
    let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let place = format!("{:?} {:?}", file.whereabouts, file.sandbox.as_ref().map(whole));
    Some(state.join("runner/locks").join(&sha256(place.as_bytes())[..16]))
}

/// One that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
