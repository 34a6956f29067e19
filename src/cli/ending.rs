//! How a run ends, also one that is ended from outside.

use std::sync::Arc;
use std::time::Instant;

use super::record::Record;
use super::signals::Signals;
use crate::event::{Event, Events, Reader, Stamped};
use crate::report::{Report, Tally};

/// The last event, whatever the exit.
pub fn end(events: &Events, started: Instant, exit: u8) -> u8 {
    events.emit(finished(started, exit));
    exit
}

fn finished(started: Instant, exit: u8) -> Event {
    Event::RunFinished { exit, seconds: started.elapsed().as_secs_f64() }
}

/// What a run is ended with.
#[derive(Clone)]
pub struct Ending {
    pub report: Arc<Report>,
    pub events: Events,
    pub record: Record,
    pub started: Instant,
}

impl Ending {
    /// What is said if a signal ends the process at once. With a tally, something may have been changed.
    pub fn words(self, signals: &Signals, tally: Option<Tally>) {
        let exit = super::exit::INTERRUPTED;
        let Ending { report, events, mut record, started } = self;
        let say = move || {
            report.cut_short(tally.as_ref());
            end(&events, started, exit);
        };
        // The channel may be held up by who shows; the record is kept all the same.
        let note = move || record.read(&Stamped { at: jiff::Timestamp::now(), event: finished(started, exit) });
        signals.last_words(say, note);
    }
}
