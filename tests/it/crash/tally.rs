//! What a sweep comes to: cases, and what was lost, doubled or stuck in them.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::moto::Account;
use crate::wire::process::Ended;

/// How a sweep went.
#[derive(Debug, Default)]
pub struct Tally {
    pub cases: usize,
    pub killed: usize,
    pub lost: usize,
    pub doubled: usize,
    pub stuck: usize,
    /// The writes that runs were killed at, by whom they went to.
    pub writes: BTreeMap<&'static str, usize>,
    /// What to look at.
    pub trouble: String,
}

impl Tally {
    /// What is there, against what should be.
    pub fn compare(&mut self, told: &str, wanted: &[String], found: &[String]) {
        let (lost, extra) = differences(wanted, found);
        (self.lost, self.doubled) = (self.lost + lost.len(), self.doubled + extra.len());
        if !(lost.is_empty() && extra.is_empty()) {
            let _ = writeln!(self.trouble, "\n=== {told}: lost {lost:#?}, too many {extra:#?}");
        }
    }

    /// Halfway: one that has an address is there once; beside it only the old one that it takes the place of.
    pub fn no_twins(&mut self, told: &str, found: &[String]) {
        let ours = found.iter().filter(|name| !name.ends_with("- of -"));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        ours.for_each(|name| *counts.entry(name).or_default() += 1);
        let twins: Vec<&str> = counts.iter().filter(|(_, count)| **count > 1).map(|(name, _)| *name).collect();
        self.doubled += twins.len();
        if !twins.is_empty() {
            let _ = writeln!(self.trouble, "\n=== {told}: there twice: {twins:#?}");
        }
    }

    /// A plan that should have found everything done.
    pub fn nothing_to_do(&mut self, told: &str, plan: &Ended) {
        self.ended_well(told, plan);
        if plan.code == Some(0) && !plan.out.contains("Nothing to do") {
            self.stuck += 1;
            let _ = writeln!(self.trouble, "\n=== {told}: there is more to do\n{}", plan.out);
        }
    }

    /// A run that should have ended well.
    pub fn ended_well(&mut self, told: &str, run: &Ended) {
        if run.stuck || run.code != Some(0) {
            self.stuck += 1;
            let Ended { out, err, code, stuck } = run;
            let _ = writeln!(self.trouble, "\n=== {told}: ended with {code:?}, stuck: {stuck}\n{out}\n{err}");
        }
    }

    /// One more case of the sweep: where it was killed it is not to be looked at, and it may have been done already.
    pub fn case(&mut self, told: &str, run: &Ended) {
        self.cases += 1;
        match run.code {
            None if !run.stuck => self.killed += 1,
            _ => self.ended_well(told, run),
        }
    }

    /// A run was killed at a write to this service.
    pub fn struck(&mut self, service: &str) {
        let known = ["cloudflare", "kubernetes"].into_iter().find(|known| *known == service);
        *self.writes.entry(known.unwrap_or("aws")).or_default() += 1;
    }

    pub fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        self.killed += other.killed;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.stuck += other.stuck;
        other.writes.into_iter().for_each(|(service, count)| *self.writes.entry(service).or_default() += count);
        self.trouble += &other.trouble;
    }

    pub fn line(&self) -> String {
        let Tally { cases, killed, lost, doubled, stuck, .. } = self;
        let mut line = format!("{cases} cases, {killed} killed, {lost} lost, {doubled} doubled, {stuck} stuck");
        for (at, (service, count)) in self.writes.iter().enumerate() {
            let before = if at == 0 { "; killed at writes to" } else { "," };
            let _ = write!(line, "{before} {service}: {count}");
        }
        line
    }

    /// Fails unless at least so many cases were killed, and all of them came to a good end.
    #[track_caller]
    pub fn is_clean(&self, what: &str, at_least: usize) {
        let Tally { cases, killed, lost, doubled, stuck, trouble, .. } = self;
        println!("{what}: {}", self.line());
        assert_eq!((*lost, *doubled, *stuck), (0, 0, 0), "{what}: {trouble}");
        assert!(*killed >= at_least, "{what}: only {killed} of {cases} were killed");
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

#[test]
fn a_tally_sees_what_is_lost_twice_and_stuck() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let wanted = names(&["vpcs a of s", "vpcs - of -", "subnets b of s"]);
    let mut tally = Tally::default();
    tally.compare("same", &wanted, &names(&["subnets b of s", "vpcs a of s", "vpcs - of -"]));
    tally.no_twins("same", &names(&["vpcs - of -", "vpcs - of -", "vpcs a of s", "vpcs a of s, the old one"]));
    let run = |code| Ended { out: String::new(), err: String::new(), code, stuck: false };
    tally.case("killed", &run(None));
    tally.case("done already", &run(Some(0)));
    assert_eq!((tally.cases, tally.killed, tally.trouble.as_str()), (2, 1, ""));
    tally.compare("other", &wanted, &names(&["vpcs - of -", "vpcs - of -", "vpcs - of -", "vpcs a of s"]));
    tally.no_twins("other", &names(&["vpcs a of s", "vpcs a of s"]));
    tally.case("failed", &run(Some(1)));
    tally.nothing_to_do("more", &run(Some(0)));
    assert_eq!((tally.lost, tally.doubled, tally.stuck), (1, 3, 2), "{}", tally.trouble);
    ["ec2", "kubernetes", "iam"].into_iter().for_each(|service| tally.struck(service));
    let mut sum = Tally::default();
    sum.struck("cloudflare");
    sum.add(tally);
    let line =
        "3 cases, 1 killed, 1 lost, 3 doubled, 2 stuck; killed at writes to aws: 2, cloudflare: 1, kubernetes: 1";
    assert_eq!(sum.line(), line);
}
