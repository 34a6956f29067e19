//! How much time has passed, also while the machine was asleep.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A clock that never tells less than what has passed: the steady one stands still while a machine is suspended, the one
/// on the wall may be put back, so the one that tells more is believed.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

/// A moment.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    steady: Instant,
    wall: SystemTime,
}

impl Clock {
    /// With another clock on the wall.
    pub fn of(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Clock(Arc::new(wall))
    }

    pub fn mark(&self) -> Mark {
        Mark { steady: Instant::now(), wall: (self.0)() }
    }

    pub fn since(&self, mark: Mark) -> Duration {
        let wall = (self.0)().duration_since(mark.wall).unwrap_or_default();
        mark.steady.elapsed().max(wall)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::of(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_that_tells_more_is_believed() {
        let skew = Arc::new(AtomicI64::new(0));
        let (begun, told) = (Instant::now(), skew.clone());
        let wall = move || {
            let passed = begun.elapsed().as_secs() as i64 + told.load(Ordering::SeqCst);
            SystemTime::UNIX_EPOCH + Duration::from_secs((1_000_000 + passed) as u64)
        };
        let clock = Clock::of(wall);
        let mark = clock.mark();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.since(mark).as_secs(), 10);
        skew.store(600, Ordering::SeqCst);
        assert_eq!(clock.since(mark).as_secs(), 610, "it was asleep");
        skew.store(-3600, Ordering::SeqCst);
        assert_eq!(clock.since(mark).as_secs(), 10, "it was put back");
    }
}
