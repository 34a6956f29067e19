//! Reading once more where a provider did not answer a plan, or was too busy to.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::limiter::{LONGEST, PATIENCE};
use super::refresh::{Region, World};
use super::wait::Backoff;
use crate::event::Event;
use crate::resource::{Class, Fault};

/// Enough for what is over in a moment.
const ATTEMPTS: u32 = 4;

impl World {
    /// `what` is the kind, or what else is asked for: it tells whose patience is tried.
    pub(super) async fn read<T, Reading>(
        &self,
        what: &str,
        region: &Region,
        reading: impl Fn() -> Reading,
    ) -> Result<T, Fault>
    where
        Reading: Future<Output = Result<T, Fault>>,
    {
        let mut backoff = Backoff::of(what);
        let begun = Instant::now();
        loop {
            let mut fault = match self.limiter.ask(&*self.provider, what, region, reading()).await {
                Err(fault) if matches!(fault.class, Class::Throttled | Class::Ambiguous) => fault,
                other => return other,
            };
            let (attempt, pause) = backoff.again_after(&fault);
            let waited = begun.elapsed();
            match (fault.class, fault.retry_after) {
                (_, Some(wanted)) if wanted > LONGEST || waited + wanted > LONGEST => {
                    if wanted < Duration::MAX {
                        let minutes = wanted.as_secs().div_ceil(60);
                        fault.hint = Some(format!("it asks to come back in {minutes} min: run again then"));
                    }
                    return Err(fault);
                }
                (Class::Throttled, None) if waited > PATIENCE => return Err(fault),
                (Class::Ambiguous, None) if attempt >= ATTEMPTS => return Err(fault),
                (Class::Throttled, _) => {}
                // A storm tells the limiter.
                _ => {
                    let (cause, seconds) = (fault.to_string(), pause.as_secs_f64());
                    self.events.emit(Event::HeldUp { cause, seconds });
                }
            }
            sleep(pause).await;
        }
    }
}
