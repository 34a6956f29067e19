//! What is in flight at one moment, as lines; the state behind the bars, without a terminal.

use jiff::Timestamp;

use super::screen::{Ink, Screen, count};
use crate::event::{Event, Operation, Stamped};
use crate::resource::Address;

/// `creating`; every verb of an operation ends in an `e`.
pub fn doing(operation: Operation) -> String {
    format!("{}ing", operation.verb().trim_end_matches('e'))
}

/// `created`.
pub fn done(operation: Operation) -> String {
    format!("{}d", operation.verb())
}

#[derive(Default)]
pub struct Board {
    stage: Stage,
    since: Option<Timestamp>,
    listings: usize,
    found: usize,
    operations: usize,
    done: usize,
    failed: usize,
    skipped: usize,
    /// In the order in which they began.
    flights: Vec<Flight>,
}

#[derive(Default, PartialEq)]
enum Stage {
    #[default]
    Quiet,
    Reading,
    Applying,
}

struct Flight {
    address: Address,
    operation: Operation,
    since: Timestamp,
    status: Status,
}

enum Status {
    Busy,
    Waiting(String),
    Retrying { at: Timestamp, cause: String },
}

impl Board {
    pub fn read(&mut self, event: &Stamped) {
        match &event.event {
            Event::Listed { found, .. } => {
                if self.stage == Stage::Quiet {
                    *self = Board { stage: Stage::Reading, since: Some(event.at), ..Board::default() };
                }
                self.listings += 1;
                self.found += found;
            }
            // From here on somebody reads the plan and answers: nothing may move below it.
            Event::Planned { .. } | Event::Applied { .. } | Event::RunFinished { .. } => *self = Board::default(),
            Event::ApplyStarted { operations } => {
                *self = Board {
                    stage: Stage::Applying,
                    since: Some(event.at),
                    operations: *operations,
                    ..Board::default()
                };
            }
            Event::Started { address, operation, .. } => self.flights.push(Flight {
                address: address.clone(),
                operation: *operation,
                since: event.at,
                status: Status::Busy,
            }),
            Event::Waiting { address, operation, status } => {
                self.set(address, *operation, Status::Waiting(status.clone()));
            }
            Event::Retrying { address, operation, cause, seconds, .. } => {
                let pause = jiff::SignedDuration::try_from_secs_f64(*seconds).unwrap_or_default();
                let at = event.at.checked_add(pause).unwrap_or(event.at);
                self.set(address, *operation, Status::Retrying { at, cause: cause.clone() });
            }
            Event::Finished { address, operation, .. } => {
                self.land(address, *operation);
                self.done += 1;
            }
            Event::Failed { address, operation, .. } => {
                self.land(address, *operation);
                self.failed += 1;
            }
            Event::Left { address, operation, .. } => self.land(address, *operation),
            Event::Skipped { .. } => self.skipped += 1,
            _ => {}
        }
    }

    fn set(&mut self, address: &Address, operation: Operation, status: Status) {
        if let Some(flight) = self.flights.iter_mut().find(|f| f.address == *address && f.operation == operation) {
            flight.status = status;
        }
    }

    fn land(&mut self, address: &Address, operation: Operation) {
        self.flights.retain(|flight| flight.address != *address || flight.operation != operation);
    }

    /// At most half a screen, so that what scrolls by above stays readable; none if nothing goes on.
    pub fn lines(&self, now: Timestamp, screen: &Screen) -> Vec<String> {
        let ink = Ink(screen.colour);
        let clock = self.since.map(|since| elapsed(since, now)).unwrap_or_default();
        let mut lines = match self.stage {
            Stage::Quiet => return vec![],
            Stage::Reading => {
                let (listings, found) = (count(self.listings, "listing"), count(self.found, "resource"));
                vec![format!("reading what is there: {listings} · {found} · {clock}")]
            }
            Stage::Applying => vec![self.total(&clock, ink)],
        };
        let room = (screen.height / 2).max(3) - 1;
        let shown = if self.flights.len() > room { room - 1 } else { self.flights.len() };
        lines.extend(self.flights[..shown].iter().map(|flight| flight.line(now, ink)));
        if shown < self.flights.len() {
            lines.push(ink.dim(format!("  + {} more", self.flights.len() - shown)));
        }
        let width = screen.width.saturating_sub(1);
        lines.iter().map(|line| console::truncate_str(line, width, "…").into_owned()).collect()
    }

    fn total(&self, clock: &str, ink: Ink) -> String {
        let mut parts = vec![format!("{}/{} done", self.done, self.operations)];
        if self.failed > 0 {
            parts.push(ink.alarm(format!("{} failed", self.failed)));
        }
        if self.skipped > 0 {
            parts.push(ink.yellow(format!("{} skipped", self.skipped)));
        }
        parts.push(format!("{} in flight", self.flights.len()));
        parts.push(clock.to_owned());
        parts.join(" · ")
    }
}

impl Flight {
    fn line(&self, now: Timestamp, ink: Ink) -> String {
        let sign = match self.operation {
            Operation::Create => ink.green("+"),
            Operation::Update => ink.yellow("~"),
            Operation::Delete => ink.alarm("-"),
        };
        let status = match &self.status {
            Status::Busy => String::new(),
            Status::Waiting(status) => format!("waiting: {status}"),
            Status::Retrying { at, .. } if *at <= now => String::new(),
            Status::Retrying { at, cause } => {
                let seconds = at.duration_since(now).as_secs_f64().ceil().max(1.0);
                format!("retrying in {seconds:.0} s: {cause}")
            }
        };
        let status = if status.is_empty() { status } else { format!("  {}", ink.dim(status)) };
        format!("  {sign} {} {}{status}", self.address, elapsed(self.since, now))
    }
}

/// `0:42`, `12:07`, `1:02:07`.
fn elapsed(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds % 3600 / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::address;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn board(events: Vec<(i64, Event)>) -> Board {
        let mut board = Board::default();
        for (second, event) in events {
            board.read(&Stamped { at: at(second), event });
        }
        board
    }

    fn started(name: &str, second: i64) -> (i64, Event) {
        (second, Event::Started { address: address(name), operation: Operation::Create, site: None })
    }

    #[test]
    fn what_is_in_flight_stands_below_the_total() {
        let (eks, nat) = (address("aws::eks_cluster.prod"), address("aws::nat_gateway.main"));
        let operation = Operation::Create;
        let (cause, attempt, seconds) = ("throttled".to_owned(), 1, 2.0);
        let board = board(vec![
            (0, Event::ApplyStarted { operations: 40 }),
            started("aws::vpc.main", 0),
            started("aws::eks_cluster.prod", 2),
            started("aws::nat_gateway.main", 3),
            started("aws::eip.nat", 4),
            (5, Event::Finished { address: address("aws::vpc.main"), operation, id: None, seconds: 5.0 }),
            (6, Event::Waiting { address: eks, operation, status: "pending".into() }),
            (41, Event::Retrying { address: nat, operation, cause, attempt, seconds }),
        ]);
        let text = |height| board.lines(at(42), &Screen { height, ..Screen::plain() }).join("\n");
        insta::assert_snapshot!(text(40), @r#"
        1/40 done · 3 in flight · 0:42
          + aws::eks_cluster.prod 0:40  waiting: pending
          + aws::nat_gateway.main 0:39  retrying in 1 s: throttled
          + aws::eip.nat 0:38
        "#);
        insta::assert_snapshot!(text(6), @r#"
        1/40 done · 3 in flight · 0:42
          + aws::eks_cluster.prod 0:40  waiting: pending
          + 2 more
        "#);
    }

    #[test]
    fn nothing_moves_while_somebody_reads_the_plan() {
        let listed = Event::Listed { kind: "aws::vpc".into(), region: None, found: 3 };
        let planned = Event::Planned { create: 1, update: 0, replace: 0, delete: 0, unchanged: 0 };
        let reading = board(vec![(0, listed.clone())]).lines(at(1), &Screen::plain());
        assert_eq!(reading, ["reading what is there: 1 listing · 3 resources · 0:01"]);
        assert_eq!(board(vec![(0, listed), (1, planned)]).lines(at(1), &Screen::plain()), [""; 0]);
    }
}
