//! After an apply: what was done, what failed and where, and what had to be left out because of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::board::{doing, done};
use super::diagnostics;
use super::plan_value as value;
use super::screen::{Ink, Screen, count, duration};
use super::unfinished::Unfinished;
use crate::diagnostic::{Diagnostic, Sources};
use crate::event::{Event, Operation, Reader, Stamped};
use crate::resource::{Address, Value};

/// Keeps count of an apply, or of several stages of one run.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Counted>>);

#[derive(Clone, Default)]
struct Counted {
    done: BTreeMap<Operation, usize>,
    failed: Vec<Failure>,
    skipped: Vec<(Address, Address)>,
    /// How many the applies set out to do.
    operations: usize,
    unfinished: Unfinished,
    seconds: f64,
    /// An apply is under way.
    since: Option<Timestamp>,
    interrupted: bool,
}

#[derive(Clone)]
struct Failure {
    address: Address,
    operation: Operation,
    diagnostic: Diagnostic,
}

impl Reader for Tally {
    fn read(&mut self, event: &Stamped) {
        let mut counted = self.0.lock().expect("no reader panics");
        counted.unfinished.read(&event.event);
        match &event.event {
            Event::ApplyStarted { operations } => {
                counted.operations += operations;
                counted.since = Some(event.at);
            }
            Event::Finished { operation, .. } => *counted.done.entry(*operation).or_default() += 1,
            Event::Failed { address, operation, diagnostic, .. } => {
                counted.failed.push(Failure {
                    address: address.clone(),
                    operation: *operation,
                    diagnostic: (**diagnostic).clone(),
                });
            }
            Event::Skipped { address, because, .. } => counted.skipped.push((address.clone(), because.clone())),
            Event::Applied { seconds, .. } => {
                counted.seconds += seconds;
                counted.since = None;
            }
            Event::Interrupted { .. } => counted.interrupted = true,
            _ => {}
        }
    }
}

impl Tally {
    /// Failures with what each kept from being done, then one line with all numbers.
    pub fn draw(&self, sources: &Sources, screen: &Screen) -> String {
        self.0.lock().expect("no reader panics").draw(sources, screen)
    }

    /// Nothing that was begun is without an end.
    pub fn is_at_rest(&self) -> bool {
        self.0.lock().expect("no reader panics").unfinished.open() == 0
    }
}

impl Counted {
    fn draw(&self, sources: &Sources, screen: &Screen) -> String {
        let ink = Ink(screen.colour);
        let mut text = String::new();
        let mut skipped = self.skipped_by_cause();
        for failure in &self.failed {
            text.push_str(&diagnostics::draw(&failure.named(), sources, screen));
            if let Some(names) = skipped.remove(&failure.address) {
                text.push_str(&because(&format!("{} failed", failure.address), &names, ink));
            }
            text.push('\n');
        }
        // What stood in the way was not told as a failure.
        for (cause, names) in skipped {
            text.push_str(&because(&format!("{cause} was not done"), &names, ink));
            text.push('\n');
        }
        if self.interrupted {
            text.push_str(&self.unfinished.draw(ink));
        }
        text.push_str(&self.total(ink));
        text
    }

    /// Under the failure at the root: what was skipped because something skipped came before it.
    fn skipped_by_cause(&self) -> BTreeMap<Address, Vec<&Address>> {
        let because: BTreeMap<&Address, &Address> = self.skipped.iter().map(|(name, cause)| (name, cause)).collect();
        let mut roots: BTreeMap<Address, Vec<&Address>> = BTreeMap::new();
        for (name, cause) in &self.skipped {
            let mut root = cause;
            for _ in 0..self.skipped.len() {
                match because.get(root) {
                    Some(further) => root = further,
                    None => break,
                }
            }
            let names = roots.entry(root.clone()).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        roots
    }

    fn total(&self, ink: Ink) -> String {
        let mut parts: Vec<String> =
            self.done.iter().map(|(operation, number)| format!("{number} {}", done(*operation))).collect();
        let skipped = self.skipped_by_cause().values().map(Vec::len).sum::<usize>();
        if !self.failed.is_empty() {
            parts.push(ink.alarm(format!("{} failed", self.failed.len())));
        }
        if skipped > 0 {
            parts.push(ink.yellow(format!("{skipped} skipped")));
        }
        if self.interrupted {
            let (flying, off) = (self.unfinished.in_flight(), self.unfinished.put_off());
            let ended = self.done.values().sum::<usize>() + self.failed.len() + self.skipped.len();
            let waiting = self.operations.saturating_sub(ended + flying + off);
            let left = [(flying, "in flight"), (off, "put off"), (waiting, "not begun")];
            let left = left.iter().filter(|(number, _)| *number > 0);
            parts.extend(left.map(|(number, what)| ink.yellow(format!("{number} {what}"))));
        }
        if parts.is_empty() {
            parts.push("nothing was changed".to_owned());
        }
        let word = match (self.interrupted, self.failed.is_empty() && skipped == 0) {
            (true, _) => ink.alarm("Interrupted:"),
            (false, true) => ink.green("Done:"),
            (false, false) => ink.alarm("Not done:"),
        };
        let cut = self.since.map_or(0.0, |since| Timestamp::now().duration_since(since).as_secs_f64());
        format!("{word} {} in {}.\n", parts.join(", "), duration(self.seconds + cut))
    }
}

impl Failure {
    /// The diagnostic, with the resource's name in its first line whoever wrote it.
    fn named(&self) -> Diagnostic {
        let mut diagnostic = self.diagnostic.clone();
        if !diagnostic.summary.contains(&self.address.to_string()) {
            diagnostic.summary = format!("{} {} failed: {}", doing(self.operation), self.address, diagnostic.summary);
        }
        diagnostic
    }
}

/// How many names are told before the rest is counted.
const NAMES: usize = 4;

fn because(cause: &str, names: &[&Address], ink: Ink) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(ToString::to_string).collect();
    let more = if names.len() > NAMES { format!(", and {} more", names.len() - NAMES) } else { String::new() };
    let what = count(names.len(), "resource");
    format!("{} because {cause}: {what}: {}{more}\n", ink.yellow("skipped"), shown.join(", "))
}

/// `name = value` for each, aligned.
pub fn outputs(outputs: &[(String, Value)], screen: &Screen) -> String {
    let widest = outputs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = String::from("Outputs:\n\n");
    for (name, output) in outputs {
        let (first, rest) = value::block(output, screen.width.saturating_sub(widest + 5));
        text.push_str(format!("  {name:widest$} = {first}").trim_end());
        text.push('\n');
        rest.iter().for_each(|line| text.push_str(&format!("      {line}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::example::address;
    use super::*;
    use crate::diagnostic::Site;
    use crate::event::{Left, Step};

    fn tally(events: Vec<Event>) -> Tally {
        let mut tally = Tally::default();
        for event in events {
            tally.read(&Stamped { at: jiff::Timestamp::UNIX_EPOCH, event });
        }
        tally
    }

    #[test]
    fn a_failure_is_told_with_its_place_and_what_it_kept_back() {
        let sources = Sources::default();
        sources.add("net.rhai", "let vpc = aws::vpc(\"main\", #{});\n");
        let operation = Operation::Create;
        let vpc = address("aws::vpc.main");
        let diagnostic =
            Box::new(Diagnostic::error("the limit of 5 VPCs is reached").at(&Site::new("net.rhai", 1, 11), "here"));
        let finished = Event::Finished { address: address("aws::eip.nat"), operation, id: None, seconds: 1.0 };
        let mut events = vec![finished, Event::Failed { address: vpc.clone(), operation, diagnostic, seconds: 2.0 }];
        for n in 0..6 {
            let because = if n == 0 { vpc.clone() } else { address(&format!("aws::subnet.s{}", n - 1)) };
            events.push(Event::Skipped { address: address(&format!("aws::subnet.s{n}")), operation, because });
        }
        events.push(Event::Applied { done: 1, failed: 1, skipped: 6, seconds: 61.2 });
        let tally = tally(events);
        insta::assert_snapshot!(tally.draw(&sources, &Screen::plain()), @r#"
        error: creating aws::vpc.main failed: the limit of 5 VPCs is reached
         --> net.rhai:1:11
          |
        1 | let vpc = aws::vpc("main", #{});
          |           ^^^^^^^^ here
        skipped because aws::vpc.main failed: 6 resources: aws::subnet.s0, aws::subnet.s1, aws::subnet.s2, aws::subnet.s3, and 2 more

        Not done: 1 created, 1 failed, 6 skipped in 1m 01s.
        "#);
    }

    #[test]
    fn a_success_is_one_line() {
        let finished =
            |operation| Event::Finished { address: address("aws::eip.nat"), operation, id: None, seconds: 1.0 };
        let applied = Event::Applied { done: 2, failed: 0, skipped: 0, seconds: 4.0 };
        let tally = tally(vec![finished(Operation::Delete), finished(Operation::Create), applied]);
        assert_eq!(tally.draw(&Sources::default(), &Screen::plain()), "Done: 1 created, 1 deleted in 4.0s.\n");
    }

    #[test]
    fn an_interruption_tells_what_is_left() {
        let operation = Operation::Create;
        let (eip, vpc, nat) = (address("aws::eip.nat"), address("aws::vpc.main"), address("aws::nat_gateway.main"));
        let subnet = address("aws::subnet.a");
        let diagnostic = Box::new(Diagnostic::error("the quota is used up"));
        let started = |address: &Address| Event::Started { address: address.clone(), operation, site: None };
        let left = |address: &Address, left, id: Option<&str>| {
            let (address, id) = (address.clone(), id.map(str::to_owned));
            Event::Left { address, operation, left, id, seconds: 1.0 }
        };
        let step = |address: &Address| Step { address: address.clone(), operation };
        let (igw, key, tree) = (address("aws::igw.a"), address("aws::key_pair.a"), address("aws::tree.a"));
        // Its lock was gone just before its call.
        let late = address("aws::z.late");
        let wait = Event::Waiting { address: nat.clone(), operation, status: "pending".into() };
        let mut events = vec![
            Event::ApplyStarted { operations: 8 },
            started(&late),
            started(&eip),
            started(&vpc),
            started(&nat),
            wait,
            started(&igw),
            started(&key),
            Event::Interrupted { waiting_for: 2, not_begun: vec![step(&subnet), step(&tree)] },
            Event::Failed { address: vpc.clone(), operation, diagnostic, seconds: 1.0 },
            Event::Skipped { address: subnet, operation, because: vpc },
            Event::Finished { address: eip, operation, id: None, seconds: 1.0 },
        ];
        let cut = tally(events.clone());
        assert!(!cut.is_at_rest());
        events.push(left(&nat, Left::Written, Some("nat-1")));
        events.push(left(&igw, Left::Untouched, None));
        events.push(left(&key, Left::Unknown, None));
        events.push(left(&late, Left::NotBegun, None));
        events.push(Event::Applied { done: 1, failed: 1, skipped: 1, seconds: 2.0 });
        let tally = tally(events);
        assert!(tally.is_at_rest());
        insta::assert_snapshot!(tally.draw(&Sources::default(), &Screen::plain()), @r#"
        error: creating aws::vpc.main failed: the quota is used up
        skipped because aws::vpc.main failed: 1 resource: aws::subnet.a

        done: 1 operation: aws::eip.nat
        in flight: creating aws::nat_gateway.main nat-1 (pending): made, and not ready yet; the next run goes on from there
        in flight: creating aws::key_pair.a: no answer yet; the next run looks whether it took effect
        put off: creating aws::igw.a: refused until then; the next run tries again
        not begun: 2 operations: creating aws::tree.a, creating aws::z.late
        Interrupted: 1 created, 1 failed, 1 skipped, 2 in flight, 1 put off, 2 not begun in 2.0s.
        "#);
        // Cut short, nothing more is known than that.
        let drawn = cut.draw(&Sources::default(), &Screen::plain());
        let rest: Vec<&str> = drawn.lines().filter(|line| line.contains("flight")).collect();
        insta::assert_snapshot!(rest[..3].join("\n"), @r#"
        in flight: creating aws::igw.a: no answer yet; the next run looks whether it took effect
        in flight: creating aws::key_pair.a: no answer yet; the next run looks whether it took effect
        in flight: creating aws::nat_gateway.main (pending): made, and not ready yet; the next run goes on from there
        "#);
        assert!(rest[4].starts_with("Interrupted: 1 created, 1 failed, 1 skipped, 4 in flight, 1 not begun in "));
    }

    #[test]
    fn outputs_are_aligned() {
        let all = [("id".to_owned(), Value::from("vpc-1")), ("zones".to_owned(), Value::List(vec!["a".into()]))];
        assert_eq!(outputs(&all, &Screen::plain()), "Outputs:\n\n  id    = \"vpc-1\"\n  zones = [\"a\"]\n");
    }
}
