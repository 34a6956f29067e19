//! Reading once more where a provider was too busy to answer a plan, as it asks for or after a moment.

use std::time::Duration;

use tokio::time::sleep;

use super::refresh::World;
use super::wait::Backoff;
use crate::event::Event;
use crate::resource::{Class, Fault};

/// Enough for a limit that is over in a moment; one that lasts is told with how long, or not waited for.
const ATTEMPTS: u32 = 4;
/// No provider is waited for longer than this at once.
const LONGEST: Duration = Duration::from_secs(600);

impl World {
    pub(super) async fn read<T, Reading>(&self, what: &str, reading: impl Fn() -> Reading) -> Result<T, Fault>
    where
        Reading: Future<Output = Result<T, Fault>>,
    {
        let mut backoff = Backoff::of(what);
        loop {
            let fault = match reading().await {
                Err(fault) if fault.class == Class::Throttled => fault,
                other => return other,
            };
            let (attempt, pause) = backoff.again_after(fault.retry_after);
            if attempt >= ATTEMPTS || pause > LONGEST {
                return Err(fault);
            }
            self.events.emit(Event::HeldUp { cause: fault.to_string(), seconds: pause.as_secs_f64() });
            sleep(pause).await;
        }
    }
}
