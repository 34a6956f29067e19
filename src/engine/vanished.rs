//! What was there in this run and is gone again: somebody deleted it, and no patience brings it back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::work::{Ending, Work};
use crate::resource::{Class, Fault, Kind, Live, Status};

/// Something that this run made or changed, and saw afterwards.
pub struct Made {
    pub kind: Arc<Kind>,
    /// As the plan has it.
    pub region: Option<String>,
    pub live: Arc<Live>,
}

/// From this attempt on "not found" is doubted: what was merely late has mostly come by then.
const DOUBT: u32 = 5;

/// For how long what has been seen may be out of sight.
pub(super) const OUT_OF_SIGHT: Duration = Duration::from_secs(30);

impl Work<'_> {
    /// Ends the step if what it could not find is gone, rather than late: that is, if one of the things it rests on is
    /// not there in two looks, several seconds apart.
    pub(super) async fn doubt(&self, fault: &Fault, attempt: u32) -> Result<(), Ending> {
        if fault.class != Class::NotFound || attempt < DOUBT {
            return Ok(());
        }
        let mut gone = None;
        for made in &self.made {
            let there = self.tools.looks.by_id(&made.kind, &made.region, &made.live.id).await;
            if there.is_ok_and(|live| live.is_none_or(|live| live.status == Status::Deleting)) {
                gone = Some(&made.live);
                break;
            }
        }
        let before = self.missed.swap(gone.is_some(), Ordering::Relaxed);
        match gone.filter(|_| before) {
            None => Ok(()),
            Some(live) => {
                let whose = live.owner.as_ref().map_or_else(String::new, |owner| format!("{}, ", owner.address));
                let cause = format!("{whose}`{}`, was there earlier in this run and is gone: {fault}", live.id);
                Err(self.failed_because(cause, Some("someone else deleted it; run again to make another one".into())))
            }
        }
    }
}
