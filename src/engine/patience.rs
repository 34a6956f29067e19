//! Reading once more where a provider was too busy to answer a plan, as it asks for or after a moment.

use std::time::Duration;

use tokio::time::sleep;

use super::refresh::World;
use super::wait::Backoff;
use crate::event::Event;
use crate::resource::{Class, Fault};

/// Enough for what is over in a moment.
const ATTEMPTS: u32 = 4;
/// Whoever says when to come back is waited for so long, all in all.
const LONGEST: Duration = Duration::from_secs(600);

impl World {
    pub(super) async fn read<T, Reading>(&self, what: &str, reading: impl Fn() -> Reading) -> Result<T, Fault>
    where
        Reading: Future<Output = Result<T, Fault>>,
    {
        let mut backoff = Backoff::of(what);
        let mut waited = Duration::ZERO;
        loop {
            let mut fault = match reading().await {
                Err(fault) if fault.class == Class::Throttled => fault,
                other => return other,
            };
            let (attempt, pause) = backoff.again_after(fault.retry_after);
            waited += pause;
            match fault.retry_after {
                None if attempt >= ATTEMPTS => return Err(fault),
                Some(wanted) if waited > LONGEST => {
                    let minutes = wanted.as_secs().div_ceil(60);
                    fault.hint = Some(format!("it asks to come back in {minutes} min: run again then"));
                    return Err(fault);
                }
                _ => {}
            }
            self.events.emit(Event::HeldUp { cause: fault.to_string(), seconds: pause.as_secs_f64() });
            sleep(pause).await;
        }
    }
}
