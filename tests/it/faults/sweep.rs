//! One fault over many calls, several cases at a time; and what is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use crate::wire::process::{Case, Ended, NETWORK};
use crate::wire::{Call, Verdict};

/// How many cases run at a time, of all tests.
const AT_A_TIME: usize = 4;

/// At how many calls a fault strikes, where not all are wanted.
const FEW: usize = 10;

pub type Rule = Box<dyn Fn(&Call) -> Verdict + Send + Sync>;
/// The rule of a fault that begins with the n-th call.
type From = dyn Fn(usize, &Case) -> Rule + Send + Sync;

/// Over which calls a fault is swept, unless all are wanted.
#[derive(Clone, Copy, PartialEq)]
pub enum Calls {
    /// Every write, and the first read of each operation.
    Writes,
    /// Some of the first calls of each operation that writes, and of some that read.
    Operations,
    /// The same, even where all calls are wanted: it takes a minute each.
    Slowly,
    /// Some that make something.
    Creates,
}

/// How a run with the fault may end.
#[derive(Clone, Copy, PartialEq)]
pub enum Ends {
    Converged,
    /// Or it stops, and says this.
    Stopped(&'static str),
    /// It always stops, and says this.
    AlwaysStopped(&'static str),
}

pub struct Fault {
    pub name: &'static str,
    calls: Calls,
    ends: Ends,
    rule: Box<From>,
    case: fn() -> Case,
}

impl Fault {
    /// It befalls the n-th call.
    pub fn at(
        name: &'static str,
        calls: Calls,
        verdict: impl Fn(&Call) -> Verdict + Clone + Send + Sync + 'static,
    ) -> Fault {
        Fault::from(name, calls, move |n| {
            let verdict = verdict.clone();
            Box::new(move |call| if call.n == n { verdict(call) } else { Verdict::Pass })
        })
    }

    /// What it does if it begins with the n-th call.
    pub fn from(name: &'static str, calls: Calls, rule: impl Fn(usize) -> Rule + Send + Sync + 'static) -> Fault {
        Fault { name, calls, ends: Ends::Converged, rule: Box::new(move |n, _| rule(n)), case: Case::new }
    }

    pub fn may_stop(self, cause: &'static str) -> Fault {
        Fault { ends: Ends::Stopped(cause), ..self }
    }

    pub fn always_stops(self, cause: &'static str) -> Fault {
        Fault { ends: Ends::AlwaysStopped(cause), ..self }
    }

    /// In a project of another sort, which the rule sees.
    pub fn over(self, case: fn() -> Case, rule: impl Fn(usize, &Case) -> Rule + Send + Sync + 'static) -> Fault {
        Fault { case, rule: Box::new(rule), ..self }
    }
}

/// A run in which nothing goes wrong.
pub struct Clean {
    pub calls: Vec<Call>,
    /// What is in the account then, by name, and how many of each.
    held: BTreeMap<String, usize>,
}

pub fn clean() -> &'static Clean {
    static CLEAN: OnceLock<Clean> = OnceLock::new();
    CLEAN.get_or_init(|| {
        let case = Case::new();
        case.run(&format!("{NETWORK} --yes")).with(0, "nothing goes wrong");
        let calls = case.wire.calls();
        assert!(calls.len() > 50, "{} calls", calls.len());
        Clean { calls, held: held(&case) }
    })
}

pub fn full() -> bool {
    std::env::var("RUNNER_SWEEP").is_ok_and(|sweep| sweep == "full")
}

fn held(case: &Case) -> BTreeMap<String, usize> {
    let mut held = BTreeMap::new();
    case.account.held().iter().for_each(|one| *held.entry(one.name()).or_default() += 1);
    held
}

/// What is not there of what should be, and what is there besides, or twice.
pub fn difference(case: &Case) -> (Vec<String>, Vec<String>) {
    let (wanted, found) = (&clean().held, held(case));
    let more = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| {
        let more = one.iter().filter(|(name, count)| **count > other.get(*name).copied().unwrap_or_default());
        more.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    (more(wanted, &found), more(&found, wanted))
}

/// The next plan is empty.
#[track_caller]
pub fn settled(case: &Case, told: &str) {
    let settled = case.run(&format!("{NETWORK} --dry-run --detailed-exitcode")).with(0, told);
    assert!(settled.out.contains("Nothing to do: 18 resources are as declared."), "{told}: {}", settled.out);
}

/// The numbers of the calls to befall.
fn points(calls: Calls) -> Vec<usize> {
    let (mut known, mut reads) = (BTreeSet::new(), 0);
    let wanted = |call: &&Call| {
        let first = known.insert(call.operation.clone());
        let creates = !call.reads && [":Create", ":Allocate"].iter().any(|verb| call.operation.contains(verb));
        reads += usize::from(first && call.reads);
        match calls {
            Calls::Creates => creates,
            Calls::Slowly => first && (!call.reads || reads % 4 == 1),
            _ if full() => true,
            Calls::Writes => !call.reads || first,
            Calls::Operations => first && (!call.reads || reads % 4 == 1),
        }
    };
    let points: Vec<usize> = clean().calls.iter().filter(wanted).map(|call| call.n).collect();
    match calls {
        Calls::Writes => points,
        _ if full() => points,
        // Evenly spread over the run.
        _ => (0..FEW.min(points.len())).map(|part| points[part * points.len() / FEW.min(points.len())]).collect(),
    }
}

#[derive(Default)]
struct Counts {
    swept: usize,
    converged: usize,
    stopped: usize,
    lost: usize,
    doubled: usize,
    stuck: usize,
    wrong: Vec<String>,
}

/// Sweeps a fault, and fails if anything was lost, doubled, stuck, or ended as it should not.
pub fn sweep(fault: Fault) {
    let points = points(fault.calls);
    assert!(points.len() >= 8, "{} calls", points.len());
    let mut counts = Counts::default();
    for one in side_by_side(points, |n| befall(&fault, n)) {
        counts.swept += one.swept;
        counts.converged += one.converged;
        counts.stopped += one.stopped;
        counts.lost += one.lost;
        counts.doubled += one.doubled;
        counts.stuck += one.stuck;
        counts.wrong.extend(one.wrong);
    }
    let Counts { swept, converged, stopped, lost, doubled, stuck, wrong } = counts;
    println!("| {} | {swept} | {lost} | {doubled} | {stuck} | {converged} converged, {stopped} stopped |", fault.name);
    assert!(wrong.is_empty(), "{}: {} wrong\n{}", fault.name, wrong.len(), wrong.join("\n----\n"));
    assert_eq!((lost, doubled, stuck), (0, 0, 0), "{}", fault.name);
}

fn befall(fault: &Fault, n: usize) -> Counts {
    let mut counts = Counts { swept: 1, ..Counts::default() };
    let operation = clean().calls.get(n - 1).map_or("?", |call| call.operation.as_str());
    let told = format!("{} at call {n} (about {operation})", fault.name);
    let case = (fault.case)();
    case.wire.rule((fault.rule)(n, &case));
    let first = case.run(&format!("{NETWORK} --yes"));
    counts.stuck += usize::from(first.stuck);
    match judge(fault.ends, &first) {
        Ok(converged) => {
            counts.converged += usize::from(converged);
            counts.stopped += usize::from(!converged);
        }
        Err(why) => counts.wrong.push(format!("{told}: {why}\n{}\n{}", first.out, first.err)),
    }
    case.wire.forget();
    if first.code != Some(0) {
        let again = case.run(&format!("{NETWORK} --yes"));
        counts.stuck += usize::from(again.stuck);
        if again.code != Some(0) {
            counts.wrong.push(format!("{told}, run again: {:?}\n{}\n{}", again.code, again.out, again.err));
        }
    }
    let last = case.run(&format!("{NETWORK} --dry-run --detailed-exitcode"));
    counts.stuck += usize::from(last.stuck);
    if last.code != Some(0) || !last.out.contains("Nothing to do: 18 resources are as declared.") {
        counts.wrong.push(format!("{told}: the next plan is not empty\n{}\n{}\n{}", last.out, last.err, first.err));
    }
    let (lost, doubled) = difference(&case);
    counts.lost += lost.len();
    counts.doubled += doubled.len();
    if !lost.is_empty() || !doubled.is_empty() {
        counts.wrong.push(format!("{told}: lost {lost:?}, doubled {doubled:?}\n{}\n{}", first.out, first.err));
    }
    counts
}

/// Whether it converged; or in what way it ended that it may not.
fn judge(ends: Ends, ended: &Ended) -> Result<bool, String> {
    let cause = match ends {
        Ends::Converged => None,
        Ends::Stopped(cause) | Ends::AlwaysStopped(cause) => Some(cause),
    };
    match ended.code {
        _ if ended.stuck => Err("stuck".into()),
        _ if ended.err.contains("panicked") => Err("it panicked".into()),
        Some(0) if !matches!(ends, Ends::AlwaysStopped(_)) => Ok(true),
        Some(1) if cause.is_some_and(|cause| ended.err.contains(cause)) => Ok(false),
        Some(1) if cause.is_some() => Err(format!("it does not say {:?}", cause.unwrap_or_default())),
        other => Err(format!("exit {other:?}")),
    }
}

/// Does something with each, a few at a time in this whole process.
pub fn side_by_side<T: Send, R: Send>(all: Vec<T>, each: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (left, done) = (Mutex::new(all), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(next) = left.lock().unwrap_or_else(PoisonError::into_inner).pop() else { return };
                    let _permit = Permit::take();
                    let result = each(next);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

struct Permit;

static FREE: Mutex<usize> = Mutex::new(AT_A_TIME);
static FREED: Condvar = Condvar::new();

impl Permit {
    fn take() -> Permit {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        *FREED.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        Permit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}

/// An error as the call's service words it.
pub fn answer(call: &Call, status: u16, code: &str, message: &str) -> Verdict {
    let (content_type, body) = match call.service.as_str() {
        "ec2" => (
            "text/xml",
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
                 <RequestID>11111111-2222-3333-4444-555555555555</RequestID></Response>"
            ),
        ),
        "tagging" | "secretsmanager" | "ssm" => {
            ("application/x-amz-json-1.1", format!("{{\"__type\":\"{code}\",\"message\":\"{message}\"}}"))
        }
        _ => (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"
            ),
        ),
    };
    Verdict::Answer { status, content_type, body }
}
