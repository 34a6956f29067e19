//! How long an apply may take: the chain of steps that takes longest, by how long the same steps took before. Pure.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::graph::{self, Step};
use super::plan::Plan;
use crate::event::Operation;
use crate::resource::Address;

/// Of so many of the latest the middle one is taken: one slow day does not count.
const LATEST: usize = 5;

/// How long an apply may take. Nothing in it is guessed: without an earlier run there is only the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// Along the critical path, as far as its steps were timed before; null if none was.
    pub seconds: Option<f64>,
    /// How many steps the plan has: a replacement has two.
    pub steps: usize,
    /// Of how many of them it is known how long they took before.
    pub timed: usize,
    /// From how many earlier runs that is known.
    pub runs: usize,
    /// The critical path in its order: the chain of steps, each waiting for the one before, that takes longest. Without
    /// earlier runs it is the one with the most steps.
    pub path: Vec<Leg>,
}

/// A step of the critical path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    pub address: String,
    /// `create`, `update` or `delete`.
    #[schemars(with = "String")]
    pub operation: Operation,
    /// How long it took before: the middle one of the latest on this resource, or else on others of its kind.
    pub seconds: Option<f64>,
}

/// How long operations took in earlier runs: the latest of each resource of the stack, and of each kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// By `create aws::vpc.main`, latest first.
    resources: BTreeMap<String, Vec<Past>>,
    /// By `create aws::vpc`, of whatever stack.
    kinds: BTreeMap<String, Vec<Past>>,
}

/// Once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Past {
    run: String,
    seconds: f64,
}

impl History {
    /// Adds an operation of an earlier run, the latest first. `ours`: the run was of this stack.
    pub fn add(&mut self, run: &str, ours: bool, address: &Address, operation: Operation, seconds: f64) {
        if !seconds.is_finite() || seconds < 0.0 {
            return;
        }
        let put = |past: &mut Vec<Past>| {
            if past.len() < LATEST {
                past.push(Past { run: run.to_owned(), seconds });
            }
        };
        if ours {
            put(self.resources.entry(format!("{} {address}", operation.verb())).or_default());
        }
        put(self.kinds.entry(format!("{} {}", operation.verb(), address.kind)).or_default());
    }

    fn of(&self, address: &Address, operation: Operation) -> Option<&[Past]> {
        let own = self.resources.get(&format!("{} {address}", operation.verb()));
        own.or_else(|| self.kinds.get(&format!("{} {}", operation.verb(), address.kind))).map(Vec::as_slice)
    }
}

/// Reckons with a plan; nothing if nothing is to be done.
pub fn estimate(plan: &Plan, history: &History) -> Option<Estimate> {
    let steps = graph::steps(plan).ok().filter(|steps| !steps.is_empty())?;
    let past = |step: &Step| history.of(&plan.changes[step.change].address, step.operation);
    let times: Vec<Option<f64>> = steps.iter().map(|step| past(step).map(middle)).collect();
    let runs: BTreeSet<&str> = steps.iter().filter_map(past).flatten().map(|past| past.run.as_str()).collect();
    let path = critical_path(&steps, &times);
    let timed_on_path: Vec<f64> = path.iter().filter_map(|index| times[*index]).collect();
    let leg = |index: &usize| Leg {
        address: plan.changes[steps[*index].change].address.to_string(),
        operation: steps[*index].operation,
        seconds: times[*index].map(rounded),
    };
    Some(Estimate {
        seconds: (!timed_on_path.is_empty()).then(|| rounded(timed_on_path.iter().sum())),
        steps: steps.len(),
        timed: times.iter().flatten().count(),
        runs: runs.len(),
        path: path.iter().map(leg).collect(),
    })
}

fn middle(past: &[Past]) -> f64 {
    let mut seconds: Vec<f64> = past.iter().map(|past| past.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let half = seconds.len() / 2;
    match seconds.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => seconds[half],
        _ => (seconds[half - 1] + seconds[half]) / 2.0,
    }
}

/// Tenths of a second are more than anybody wants to know.
fn rounded(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

/// The steps of the chain that takes longest; of two that take equally long the one with more steps.
fn critical_path(steps: &[Step], times: &[Option<f64>]) -> Vec<usize> {
    // Whoever waits has a lower rank than what it waits for.
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(steps[*index].rank), *index));
    let mut ends: Vec<(f64, usize)> = vec![(0.0, 0); steps.len()];
    let mut before: Vec<Option<usize>> = vec![None; steps.len()];
    let longer = |one: (f64, usize), other: (f64, usize)| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1));
    for index in order {
        let mut longest: Option<usize> = None;
        for first in &steps[index].after {
            if longest.is_none_or(|known| longer(ends[*first], ends[known]).is_gt()) {
                longest = Some(*first);
            }
        }
        let (seconds, count) = longest.map_or((0.0, 0), |first| ends[first]);
        ends[index] = (seconds + times[index].unwrap_or(0.0), count + 1);
        before[index] = longest;
    }
    let mut last: Option<usize> = None;
    for index in 0..steps.len() {
        if last.is_none_or(|known| longer(ends[index], ends[known]).is_gt()) {
            last = Some(index);
        }
    }
    let mut path: Vec<usize> = std::iter::successors(last, |index| before[*index]).collect();
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::{Action, Change};
    use crate::resource::{Map, Options};

    fn change(address: &str, action: Action, needs: &[&str]) -> Change {
        Change {
            address: address.parse().unwrap(),
            action,
            reason: None,
            fields: vec![],
            inputs: Map::new(),
            live: None,
            options: Options::default(),
            site: None,
            phase: vec![],
            needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
            uses: vec![],
            notes: vec![],
            predicted: Default::default(),
        }
    }

    fn plan(changes: Vec<Change>) -> Plan {
        Plan { stack: "prod".into(), changes, ..Plan::default() }
    }

    /// A network with two subnets, a slow cluster on one of them, and what is on the cluster.
    fn platform() -> Plan {
        use Action::Create;
        plan(vec![
            change("aws::vpc.main", Create, &[]),
            change("aws::subnet.a", Create, &["aws::vpc.main"]),
            change("aws::subnet.b", Create, &["aws::vpc.main"]),
            change("aws::route.b", Create, &["aws::subnet.b"]),
            change("aws::table.b", Create, &["aws::route.b"]),
            change("aws::cluster.prod", Create, &["aws::subnet.a"]),
            change("aws::bucket.x", Action::None, &[]),
        ])
    }

    fn took(history: &mut History, run: &str, what: &[(&str, f64)]) {
        for (address, seconds) in what {
            history.add(run, true, &address.parse().unwrap(), Operation::Create, *seconds);
        }
    }

    fn path(estimate: &Estimate) -> Vec<String> {
        estimate.path.iter().map(|leg| format!("{} {:?}", leg.address, leg.seconds)).collect()
    }

    #[test]
    fn the_chain_that_takes_longest_is_told() {
        let mut history = History::default();
        took(&mut history, "r1", &[("aws::vpc.main", 3.0), ("aws::subnet.a", 2.0), ("aws::cluster.prod", 540.0)]);
        took(&mut history, "r1", &[("aws::subnet.b", 2.0), ("aws::route.b", 1.0), ("aws::table.b", 1.0)]);
        let told = estimate(&platform(), &history).unwrap();
        assert_eq!(
            path(&told),
            ["aws::vpc.main Some(3.0)", "aws::subnet.a Some(2.0)", "aws::cluster.prod Some(540.0)"]
        );
        assert_eq!((told.seconds, told.steps, told.timed, told.runs), (Some(545.0), 6, 6, 1));
    }

    #[test]
    fn without_an_earlier_run_there_is_only_the_order() {
        let told = estimate(&platform(), &History::default()).unwrap();
        assert_eq!((told.seconds, told.steps, told.timed, told.runs), (None, 6, 0, 0));
        let names: Vec<&str> = told.path.iter().map(|leg| leg.address.as_str()).collect();
        assert_eq!(names, ["aws::vpc.main", "aws::subnet.b", "aws::route.b", "aws::table.b"]);
        assert_eq!(estimate(&plan(vec![change("aws::vpc.main", Action::None, &[])]), &History::default()), None);
    }

    #[test]
    fn a_slow_day_does_not_count_and_others_of_the_kind_do() {
        let mut history = History::default();
        for (run, seconds) in [("r5", 10.0), ("r4", 900.0), ("r3", 12.0), ("r2", 11.0), ("r1", 9.0), ("r0", 9000.0)] {
            took(&mut history, run, &[("aws::vpc.main", seconds)]);
        }
        history.add("s1", false, &"aws::subnet.other".parse().unwrap(), Operation::Create, 4.0);
        history.add("s2", false, &"aws::subnet.other".parse().unwrap(), Operation::Create, 6.0);
        history.add("s2", false, &"aws::cluster.other".parse().unwrap(), Operation::Update, 600.0);
        let told = estimate(&platform(), &history).unwrap();
        assert_eq!(path(&told)[..2], ["aws::vpc.main Some(11.0)", "aws::subnet.b Some(5.0)"]);
        assert_eq!((told.seconds, told.timed, told.runs), (Some(16.0), 3, 7));
    }

    #[test]
    fn a_replacement_is_two_steps_in_their_order() {
        let mut replaced = change("aws::vpc.main", Action::Replace, &[]);
        replaced.live = Some(crate::resource::Live {
            id: "vpc-1".into(),
            region: None,
            owner: None,
            inputs: Map::new(),
            outputs: Map::new(),
            status: crate::resource::Status::Ready,
        });
        let mut history = History::default();
        history.add("r", true, &replaced.address, Operation::Delete, 30.0);
        let told = estimate(&plan(vec![replaced]), &history).unwrap();
        let legs: Vec<(Operation, Option<f64>)> = told.path.iter().map(|leg| (leg.operation, leg.seconds)).collect();
        assert_eq!(legs, [(Operation::Delete, Some(30.0)), (Operation::Create, None)]);
        assert_eq!((told.seconds, told.steps, told.timed), (Some(30.0), 2, 1));
    }
}
