//! Killed at any of its calls, before that took effect or after: the next run converges, and nothing is lost, there
//! twice, or there without an owner.

mod platform;
mod relay;
mod tally;

use relay::Relay;
use tally::{Tally, held};

use crate::wire::Verdict;
use crate::wire::process::{Case, NETWORK};
use crate::wire::sweep::sweep;

/// What a run does that is killed.
struct Deed {
    name: &'static str,
    /// What is there when it begins.
    before: Vec<String>,
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

impl Kill {
    /// Every call, before and after; every second one is gone on from on another machine.
    fn all(calls: usize) -> Vec<Kill> {
        let both = |n: usize| [false, true].map(|after| Kill { n, after, elsewhere: n.is_multiple_of(2) == after });
        (1..=calls).flat_map(both).collect()
    }
}

const EMPTY_PLAN: &str = "--dry-run --detailed-exitcode";

/// Another range for the public subnet, so that it and what stands in it are replaced, and another tag for all.
const CHANGED: &str = "--set network.public=10.0.1.0/24 --set tags.Environment=production";

fn from_nothing() -> Deed {
    let (run, plan) = (format!("{NETWORK} --yes"), format!("{NETWORK} {EMPTY_PLAN}"));
    Deed { name: "the network from nothing", before: vec![], run, plan }
}

fn changed() -> Deed {
    let Deed { run, plan, .. } = from_nothing();
    let before = vec![run.clone()];
    let (run, plan) = (format!("{run} {CHANGED}"), format!("{plan} {CHANGED}"));
    Deed { name: "the network changed", before, run, plan }
}

fn destroyed() -> Deed {
    let before = vec![from_nothing().run];
    let destroy = "destroy playbooks/prod.rhai --set dns.enabled=false --set platform.enabled=false";
    let (run, plan) = (format!("{destroy} --yes"), format!("{destroy} --dry-run"));
    Deed { name: "the network destroyed", before, run, plan }
}

impl Deed {
    fn case(&self) -> Case {
        let case = Case::new();
        for run in &self.before {
            case.run(run).with(0, "before");
        }
        case.wire.forget();
        case
    }

    /// Without any trouble: its calls, and what is there then.
    fn clean(&self) -> (usize, Vec<String>) {
        let case = self.case();
        case.run(&self.run).with(0, self.name);
        let calls = case.wire.calls().len();
        let plan = case.run(&self.plan).with(0, self.name);
        assert!(plan.out.contains("Nothing to do"), "{}", plan.out);
        (calls, held(&case.account))
    }

    /// Killed at every call in turn, each time from the same beginning.
    fn sweep(&self) -> Tally {
        let (calls, wanted) = self.clean();
        let mut tally = Tally::default();
        sweep(&Kill::all(calls), |kill| self.killed(kill, &wanted)).into_iter().for_each(|one| tally.add(one));
        tally
    }

    fn killed(&self, kill: &Kill, wanted: &[String]) -> Tally {
        let (case, mut tally) = (self.case(), Tally::default());
        let Kill { n, after, elsewhere } = *kill;
        case.wire.rule(move |call| match (call.n == n, after) {
            (false, _) => Verdict::Pass,
            (true, false) => Verdict::KillBefore,
            (true, true) => Verdict::KillAfter,
        });
        let told = format!("{}: {kill:?}", self.name);
        tally.case(&told, &case.run(&self.run));
        case.wire.forget();
        if elsewhere {
            std::fs::remove_dir_all(case.project.path(".runner")).unwrap();
        }
        self.goes_on(&case, &told, wanted, &mut tally);
        tally
    }

    /// The next run does the rest, and then there is nothing to do.
    fn goes_on(&self, case: &Case, told: &str, wanted: &[String], tally: &mut Tally) {
        tally.ended_well(told, &case.run(&self.run));
        tally.nothing_to_do(told, &case.run(&self.plan));
        tally.compare(told, wanted, &held(&case.account));
    }

    /// Killed at every write of one life.
    fn relay(&self) -> Tally {
        let (_, wanted) = self.clean();
        let mut tally = Tally::default();
        let relays = sweep(&[false, true], |after| {
            let case = self.case();
            let relay = Relay { project: &case.project, wires: &[&case.wire], after: *after };
            // One at a time: else what is killed is only ever the first of many.
            let mut tally = relay.run(&format!("{} --parallelism 1", self.run), || held(&case.account));
            self.goes_on(&case, self.name, &wanted, &mut tally);
            tally
        });
        relays.into_iter().for_each(|one| tally.add(one));
        tally
    }
}

#[test]
fn the_network_from_nothing() {
    from_nothing().sweep().is_clean("the network from nothing, each call", 110);
}

#[test]
fn the_network_changed() {
    changed().relay().is_clean("the network changed, each write", 36);
}

#[test]
fn the_network_destroyed() {
    destroyed().relay().is_clean("the network destroyed, each write", 30);
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_the_network_changed() {
    changed().sweep().is_clean("the network changed, each call", 110);
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_the_network_destroyed() {
    destroyed().sweep().is_clean("the network destroyed, each call", 110);
}
