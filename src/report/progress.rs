//! An apply as it goes: bars where somebody watches, one line per fact where nobody does.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::board::{Board, doing, done};
use super::diagnostics;
use super::recovered;
use super::screen::{Ink, Screen, count, duration};
use crate::diagnostic::{Diagnostic, Sources};
use crate::event::{Event, Operation, Reader, Stamped};
use crate::resource::Address;

/// A fact as one line, for a log and for what scrolls by above the bars; `None` if it is not worth one.
pub fn line(event: &Event, ink: Ink) -> Option<String> {
    Some(match event {
        Event::Finished { address, operation, id, seconds } => {
            let id = id.as_ref().filter(|_| *operation == Operation::Create);
            let id = id.map(|id| format!(" {}", ink.dim(id))).unwrap_or_default();
            let seconds = ink.dim(duration(*seconds));
            format!("{} {} {address}{id} {seconds}", ink.green("✓"), done(*operation))
        }
        Event::Failed { address, operation, diagnostic, seconds } => {
            let (doing, seconds) = (doing(*operation), ink.dim(duration(*seconds)));
            format!("{} {doing} {address} failed: {} {seconds}", ink.alarm("✗"), diagnostic.summary)
        }
        Event::Skipped { address, because, .. } => {
            format!("{} skipped {address}: {because} failed", ink.yellow("–"))
        }
        Event::Waiting { address, operation, status } => {
            format!("… {} {address}: waiting: {status}", doing(*operation))
        }
        Event::Retrying { address, operation, cause, attempt, seconds } => {
            let seconds = duration(*seconds);
            format!("… {} {address}: retrying in {seconds} (attempt {attempt}): {cause}", doing(*operation))
        }
        Event::HeldUp { cause, seconds } => format!("… asking again in {}: {cause}", duration(*seconds)),
        event @ Event::Recovered { .. } => ink.yellow(recovered::told(event)?),
        Event::Interrupted { waiting_for, .. } => {
            let what = count(*waiting_for, "operation");
            ink.yellow(format!("interrupted: nothing new is started; waiting for {what} in flight"))
        }
        _ => return None,
    })
}

/// One line per fact, without control codes.
pub struct Lines<W> {
    sink: W,
    sources: Sources,
    screen: Screen,
    /// When something in flight last had a line.
    told: HashMap<(Address, Operation), Timestamp>,
    /// Something stands above: a diagnostic keeps its distance.
    begun: bool,
}

/// How often one resource may say that it still waits.
const PATIENCE: i64 = 30;

impl<W: Write + Send> Lines<W> {
    pub fn new(sink: W, sources: Sources, screen: Screen) -> Self {
        Lines { sink, sources, screen, told: HashMap::new(), begun: false }
    }

    fn is_news(&mut self, at: Timestamp, event: &Event) -> bool {
        match event {
            // What is done within moments need not say that it waits.
            Event::Started { address, operation, .. } => {
                self.told.insert((address.clone(), *operation), at);
                true
            }
            Event::Waiting { address, operation, .. } => {
                let key = (address.clone(), *operation);
                let quiet = self.told.get(&key).is_some_and(|last| at.as_second() - last.as_second() < PATIENCE);
                if !quiet {
                    self.told.insert(key, at);
                }
                !quiet
            }
            _ => true,
        }
    }
}

impl<W: Write + Send> Reader for Lines<W> {
    fn read(&mut self, event: &Stamped) {
        if !self.is_news(event.at, &event.event) {
            return;
        }
        let text = match &event.event {
            Event::Told { diagnostic } => apart(self.begun, diagnostics::draw(diagnostic, &self.sources, &self.screen)),
            other => match line(other, Ink(self.screen.colour)) {
                Some(line) => line + "\n",
                None => return,
            },
        };
        self.begun = true;
        // Whoever closed our stderr does not want to know; the apply goes on.
        let _ = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush());
    }
}

/// A diagnostic has several lines: an empty one between it and what is above.
fn apart(begun: bool, text: String) -> String {
    if begun { format!("\n{text}") } else { text }
}

/// Bars on a terminal: what is in flight below, what is done above.
pub struct Bars {
    shared: Arc<Mutex<Shared>>,
    over: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

struct Shared {
    board: Board,
    bar: Option<ProgressBar>,
    all: MultiProgress,
    term: Term,
    sources: Sources,
    screen: Screen,
    /// As in [`Lines`].
    begun: bool,
}

impl Bars {
    pub fn new(term: Term, sources: Sources, screen: Screen) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term(term.clone(), 12));
        let shared = Arc::new(Mutex::new(Shared {
            board: Board::default(),
            bar: None,
            all,
            term,
            sources,
            screen,
            begun: false,
        }));
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, stop) = (shared.clone(), over.clone());
        // The clocks of what is in flight move although nothing happens.
        let ticker = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Ok(mut shared) = theirs.lock() {
                    shared.draw(Timestamp::now());
                }
                std::thread::park_timeout(Duration::from_millis(250));
            }
        });
        Bars { shared, over, ticker: Some(ticker) }
    }
}

impl Reader for Bars {
    fn read(&mut self, event: &Stamped) {
        let Ok(mut shared) = self.shared.lock() else { return };
        shared.board.read(event);
        let ink = Ink(shared.screen.colour);
        let above = match &event.event {
            // What waits and what is skipped stands in the bars; a scrolling line each would be noise.
            Event::Waiting { .. } | Event::Retrying { .. } | Event::Skipped { .. } => None,
            Event::Told { diagnostic } => {
                shared.tell(diagnostic);
                None
            }
            other => line(other, ink),
        };
        if let Some(text) = above {
            shared.begun = true;
            let _ = shared.all.println(text.trim_end());
        }
        shared.draw(event.at);
    }
}

impl Shared {
    /// As it is, so that it can be copied: indicatif would fill its lines up with blanks.
    fn tell(&mut self, diagnostic: &Diagnostic) {
        let text = apart(self.begun, diagnostics::draw(diagnostic, &self.sources, &self.screen));
        self.begun = true;
        let _ = self.all.suspend(|| self.term.write_str(&text).and_then(|()| self.term.flush()));
    }

    fn draw(&mut self, now: Timestamp) {
        // All lines are one bar, so that one change draws once.
        let text = self.board.lines(now, &self.screen).join("\n");
        if text.is_empty() {
            return self.clear();
        }
        let all = &self.all;
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is one field");
            all.add(ProgressBar::no_length().with_style(style))
        });
        if bar.message() != text {
            bar.set_message(text);
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            let _ = ticker.join();
        }
        if let Ok(mut shared) = self.shared.lock() {
            shared.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::address;
    use super::super::sink::Buffer;
    use super::*;

    fn told(events: Vec<(i64, Event)>) -> String {
        let buffer = Buffer::default();
        let mut lines = Lines::new(buffer.clone(), Sources::default(), Screen::plain());
        for (second, event) in events {
            lines.read(&Stamped { at: Timestamp::from_second(second).unwrap(), event });
        }
        buffer.text()
    }

    #[test]
    fn without_a_terminal_every_fact_is_one_line() {
        let (vpc, eks) = (address("aws::vpc.main"), address("aws::eks_cluster.prod"));
        let (create, pending) = (Operation::Create, "CREATING".to_owned());
        let failed = Box::new(Diagnostic::error("the quota is used up"));
        let wait = |status: &str| Event::Waiting { address: eks.clone(), operation: create, status: status.into() };
        let text = told(vec![
            (0, Event::ApplyStarted { operations: 3 }),
            (0, Event::Started { address: vpc.clone(), operation: create, site: None }),
            (1, Event::Finished { address: vpc.clone(), operation: create, id: Some("vpc-1".into()), seconds: 1.23 }),
            (2, wait(&pending)),
            (12, wait(&pending)),
            (33, wait(&pending)),
            (90, Event::Failed { address: eks.clone(), operation: create, diagnostic: failed, seconds: 88.0 }),
            (90, Event::Skipped { address: vpc.clone(), operation: Operation::Delete, because: eks.clone() }),
            (91, Event::Interrupted { waiting_for: 1, not_begun: vec![] }),
            (92, Event::Told { diagnostic: Box::new(Diagnostic::warning("the lock is old")) }),
        ]);
        insta::assert_snapshot!(text, @r#"
        ✓ created aws::vpc.main vpc-1 1.2s
        … creating aws::eks_cluster.prod: waiting: CREATING
        … creating aws::eks_cluster.prod: waiting: CREATING
        ✗ creating aws::eks_cluster.prod failed: the quota is used up 1m 28s
        – skipped aws::vpc.main: aws::eks_cluster.prod failed
        interrupted: nothing new is started; waiting for 1 operation in flight

        warning: the lock is old
        "#);
    }

    #[test]
    fn bars_come_and_go_without_waiting_for_each_other() {
        let screen = Screen { terminal: true, ..Screen::plain() };
        let mut bars = Bars::new(Term::buffered_stderr(), Sources::default(), screen);
        let (address, operation) = (address("aws::vpc.main"), Operation::Create);
        for event in [
            Event::ApplyStarted { operations: 1 },
            Event::Started { address: address.clone(), operation, site: None },
            Event::Waiting { address: address.clone(), operation, status: "pending".into() },
            Event::Finished { address, operation, id: None, seconds: 1.0 },
            Event::Applied { done: 1, failed: 0, skipped: 0, seconds: 1.0 },
        ] {
            bars.read(&Stamped { at: Timestamp::now(), event });
        }
        assert!(bars.shared.lock().unwrap().bar.is_none());
    }
}
