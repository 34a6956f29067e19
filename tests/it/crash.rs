//! Killed at any of its calls, before that took effect or after: the next run converges, and nothing is lost, there
//! twice, or there without an owner.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::moto::Account;
use crate::wire::Verdict;
use crate::wire::process::{Case, Ended, NETWORK};
use crate::wire::sweep::sweep;

/// What a run does that is killed.
struct Deed {
    /// What is there when it begins.
    before: &'static [&'static str],
    run: String,
    /// A plan that has nothing to do once it is done.
    plan: String,
}

/// Where a run is killed.
#[derive(Clone, Copy, Debug)]
struct Kill {
    /// At this call.
    n: usize,
    /// It took effect.
    after: bool,
    /// The next run is on another machine: it has no record of this one.
    elsewhere: bool,
}

/// How a sweep went.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    killed: usize,
    lost: usize,
    doubled: usize,
    stuck: usize,
    trouble: String,
}

impl Kill {
    fn told(&self) -> String {
        let Kill { n, after, elsewhere } = self;
        let when = if *after { "after" } else { "before" };
        format!("killed {when} call {n}{}", if *elsewhere { ", no journal" } else { "" })
    }

    /// Every call, before and after; every second one is gone on from on another machine.
    fn all(calls: usize) -> Vec<Kill> {
        let both = |n: usize| [false, true].map(|after| Kill { n, after, elsewhere: (n % 2 == 0) == after });
        (1..=calls).flat_map(both).collect()
    }
}

/// The names of all that is there, sorted; those that are there twice stand there twice.
pub fn held(account: &Account) -> Vec<String> {
    let mut names: Vec<String> = account.held().iter().map(|one| one.name()).collect();
    names.sort();
    names
}

/// What is wanted and not there, and what is there beyond that.
fn differences(wanted: &[String], found: &[String]) -> (Vec<String>, Vec<String>) {
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    wanted.iter().for_each(|name| *counts.entry(name).or_default() -= 1);
    found.iter().for_each(|name| *counts.entry(name).or_default() += 1);
    let all = |sign: i32| {
        let these = counts.iter().filter(move |(_, count)| count.signum() == sign);
        these.flat_map(|(name, count)| vec![(*name).to_owned(); count.unsigned_abs() as usize]).collect()
    };
    (all(-1), all(1))
}

impl Deed {
    fn case(&self) -> Case {
        let case = Case::new();
        for run in self.before {
            case.run(run).with(0, "before");
        }
        case.wire.forget();
        case
    }

    /// Without any trouble: its calls, and what is there then.
    fn clean(&self) -> (usize, Vec<String>) {
        let case = self.case();
        case.run(&self.run).with(0, "without trouble");
        let calls = case.wire.calls().len();
        case.run(&self.plan).with(0, "nothing to do");
        (calls, held(&case.account))
    }

    /// All of them, side by side.
    fn sweep(&self) -> Tally {
        let (calls, wanted) = self.clean();
        let kills = Kill::all(calls);
        let mut tally = Tally { cases: kills.len(), ..Tally::default() };
        for (kill, result) in kills.iter().zip(sweep(&kills, |kill| self.killed(kill, &wanted))) {
            result.add_to(&mut tally, &kill.told());
        }
        tally
    }

    fn killed(&self, kill: &Kill, wanted: &[String]) -> Result {
        let case = self.case();
        let Kill { n, after, elsewhere } = *kill;
        case.wire.rule(move |call| match (call.n == n, after) {
            (false, _) => Verdict::Pass,
            (true, false) => Verdict::KillBefore,
            (true, true) => Verdict::KillAfter,
        });
        let first = case.run(&self.run);
        case.wire.forget();
        if elsewhere {
            std::fs::remove_dir_all(case.project.path(".runner")).unwrap();
        }
        let again = case.run(&self.run);
        let plan = case.run(&self.plan);
        let (lost, extra) = differences(wanted, &held(&case.account));
        Result { runs: vec![(first, None), (again, Some(0)), (plan, Some(0))], lost, extra }
    }
}

/// What came of a case: its runs with the code that each should have ended with, if it should have ended by itself.
struct Result {
    runs: Vec<(Ended, Option<i32>)>,
    lost: Vec<String>,
    extra: Vec<String>,
}

impl Result {
    fn add_to(self, tally: &mut Tally, told: &str) {
        let Result { runs, lost, extra } = self;
        // It may have been done already: calls side by side are not always as many.
        let killed = runs[0].0.code.is_none();
        tally.killed += usize::from(killed);
        tally.lost += lost.len();
        tally.doubled += extra.len();
        let stuck = |(run, code): &&(Ended, Option<i32>)| run.stuck || (code.is_some() && run.code != *code);
        let stuck: Vec<&Ended> = runs.iter().filter(stuck).map(|(run, _)| run).collect();
        tally.stuck += usize::from(!stuck.is_empty());
        if !(lost.is_empty() && extra.is_empty() && stuck.is_empty()) {
            let _ = writeln!(tally.trouble, "\n=== {told}: lost {lost:#?}, too many {extra:#?}");
            for run in stuck {
                let _ = writeln!(tally.trouble, "--- {:?}, stuck: {}\n{}\n{}", run.code, run.stuck, run.out, run.err);
            }
        }
    }
}

impl Tally {
    /// Fails unless at least so many cases were killed, and all of them came to a good end.
    #[track_caller]
    fn is_clean(&self, what: &str, at_least: usize) {
        let Tally { cases, killed, lost, doubled, stuck, trouble } = self;
        println!("{what}: {cases} cases, {killed} killed, {lost} lost, {doubled} doubled, {stuck} stuck");
        assert_eq!((*lost, *doubled, *stuck), (0, 0, 0), "{what}: {trouble}");
        assert!(*killed >= at_least, "{what}: only {killed} of {cases} were killed");
    }
}

#[test]
fn the_network_from_nothing() {
    let deed =
        Deed { before: &[], run: format!("{NETWORK} --yes"), plan: format!("{NETWORK} --dry-run --detailed-exitcode") };
    let tally = deed.sweep();
    tally.is_clean("the network from nothing", 120);
}
