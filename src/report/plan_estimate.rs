//! How long a plan may take, in one line.

use super::screen::count;
use crate::engine::Estimate;
use crate::engine::estimate::Leg;
use crate::event::Operation;

/// What takes less of the whole is not worth its place in the line.
const SHARE: f64 = 0.03;
/// How many steps of the path are told.
const LEGS: usize = 5;

/// `Takes about 14 min (from 3 earlier runs): …`. Without an earlier run only who wants to know more is told the order.
pub fn line(estimate: &Estimate, verbose: bool) -> Option<String> {
    let Some(seconds) = estimate.seconds else {
        let name = |leg: &Leg| step(leg);
        let ends: Vec<String> = match estimate.path.as_slice() {
            [first, .., last] if estimate.path.len() > LEGS => vec![name(first), "…".into(), name(last)],
            all => all.iter().map(name).collect(),
        };
        let steps = count(estimate.path.len(), "step");
        return verbose.then(|| {
            format!("The longest chain has {steps}: {} (no earlier run to estimate from).", ends.join(" → "))
        });
    };
    if seconds < 0.95 && !verbose {
        return None;
    }
    let whole = estimate.timed == estimate.steps;
    let runs = count(estimate.runs, "earlier run");
    let from = match whole {
        true => runs,
        false => format!("{runs}, which timed {} of {}", estimate.timed, count(estimate.steps, "step")),
    };
    let about = if whole { "about" } else { "at least" };
    Some(format!("Takes {about} {} (from {from}): {}.", time(seconds), legs(estimate, seconds).join(" → ")))
}

/// The longest steps of the path, in its order; what is left out between them is an ellipsis.
fn legs(estimate: &Estimate, whole: f64) -> Vec<String> {
    let mut longest: Vec<f64> = estimate.path.iter().filter_map(|leg| leg.seconds).collect();
    longest.sort_by(|one, other| other.total_cmp(one));
    let least = longest.get(LEGS - 1).copied().unwrap_or(0.0).max(whole * SHARE);
    let (mut told, mut shown) = (vec![], 0);
    for leg in &estimate.path {
        match leg.seconds.filter(|seconds| *seconds >= least && shown < LEGS) {
            Some(seconds) => {
                shown += 1;
                told.push(format!("{} {}", step(leg), time(seconds)));
            }
            None if told.last().is_none_or(|last| last != "…") => told.push("…".to_owned()),
            None => {}
        }
    }
    told
}

fn step(leg: &Leg) -> String {
    match leg.operation {
        Operation::Create => leg.address.clone(),
        other => format!("{} {}", other.verb(), leg.address),
    }
}

/// No more exact than it is known.
fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 0.95 => "less than 1 s".to_owned(),
        0..90 => format!("{whole} s"),
        _ => match (whole + 30) / 60 {
            minutes @ 0..60 => format!("{minutes} min"),
            minutes => format!("{} h {:02} min", minutes / 60, minutes % 60),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &[(&str, Operation, Option<f64>)], steps: usize, timed: usize) -> Estimate {
        let leg = |(address, operation, seconds): &(&str, Operation, Option<f64>)| Leg {
            address: (*address).to_owned(),
            operation: *operation,
            seconds: *seconds,
        };
        let known: Vec<f64> = path.iter().filter_map(|(_, _, seconds)| *seconds).collect();
        let seconds = (!known.is_empty()).then(|| known.iter().sum());
        let runs = if timed == 0 { 0 } else { 3 };
        Estimate { seconds, steps, timed, runs, path: path.iter().map(leg).collect() }
    }

    #[test]
    fn the_long_steps_are_named() {
        use Operation::{Create, Delete};
        let path = [
            ("aws::vpc.prod", Create, Some(3.0)),
            ("aws::subnet.a", Create, Some(2.0)),
            ("aws::eks_cluster.prod", Create, Some(540.0)),
            ("aws::eks_addon.dns", Create, None),
            ("aws::autoscaling_group.prod", Create, Some(190.0)),
            ("aws::vpc.old", Delete, Some(60.0)),
        ];
        assert_eq!(
            line(&of(&path, 40, 40), false).unwrap(),
            "Takes about 13 min (from 3 earlier runs): … → aws::eks_cluster.prod 9 min → … → \
             aws::autoscaling_group.prod 3 min → delete aws::vpc.old 60 s."
        );
        assert!(
            line(&of(&path, 40, 12), false)
                .unwrap()
                .starts_with("Takes at least 13 min (from 3 earlier runs, which timed 12 of 40 steps): ")
        );
    }

    #[test]
    fn without_an_earlier_run_nothing_is_guessed() {
        let path = [("aws::vpc.a", Operation::Create, None), ("aws::subnet.a", Operation::Update, None)];
        assert_eq!(line(&of(&path, 9, 0), false), None);
        assert_eq!(
            line(&of(&path, 9, 0), true).unwrap(),
            "The longest chain has 2 steps: aws::vpc.a → update aws::subnet.a (no earlier run to estimate from)."
        );
    }

    #[test]
    fn times_are_no_more_exact_than_they_are_known() {
        let all: Vec<String> = [0.2, 1.2, 89.4, 90.0, 840.0, 4800.0].into_iter().map(time).collect();
        assert_eq!(all, ["less than 1 s", "1 s", "89 s", "2 min", "14 min", "1 h 20 min"]);
    }
}
