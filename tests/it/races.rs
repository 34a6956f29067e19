//! Somebody else's hand in the middle of a run: what they changed is not overwritten, what they took is not touched, and the
//! next run converges or says plainly what is in the way.

mod hand;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use hand::{Act, DEEDS, Deed};

use crate::moto::{Account, Held};
use crate::wire::process::{Case, Ended, NETWORK};
use crate::wire::sweep::sweep;
use crate::wire::{Call, Verdict};

/// When the hand comes.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Before the first call that comes after a plan's.
    Planned,
    /// Before this write, from 1.
    Write(usize),
}

/// One case.
#[derive(Clone, Copy, Debug)]
struct Race {
    when: When,
    deed: Deed,
    /// Which of the resources that are there, in order of their addresses.
    turn: usize,
}

/// What a run does that is disturbed.
struct Scene {
    prepared: bool,
    run: String,
    names: Vec<String>,
    plan_calls: usize,
    writes: usize,
}

#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    /// The hand found something, and was allowed.
    acted: usize,
    /// It came between our look at that very resource and our write to it, and was overwritten: nobody can tell.
    too_close: usize,
    refused: usize,
    conflicts: usize,
    /// The next run waited for what is theirs now, and told it.
    waited: usize,
    lost: usize,
    doubled: usize,
    stuck: usize,
    trouble: String,
}

/// Another tag for all, and another range for the public subnet, which takes what stands in it along.
const CHANGED: &str = "--set tags.Environment=production --set network.public=10.0.1.0/24";

impl Scene {
    fn new(prepared: bool) -> Scene {
        // One at a time, so that at each write most of what is planned has not been looked at again yet.
        let changed = if prepared { CHANGED } else { "" };
        let run = format!("{NETWORK} {changed} --yes --parallelism 1");
        let mut scene = Scene { prepared, run, names: vec![], plan_calls: 0, writes: 0 };
        let case = scene.case();
        case.run(&format!("{NETWORK} {changed} --dry-run")).with(0, "a plan");
        scene.plan_calls = case.wire.calls().len();
        case.wire.forget();
        case.run(&scene.run).with(0, "undisturbed");
        scene.writes = case.wire.calls().iter().filter(|call| !call.reads).count();
        scene.names = names(&case.account);
        scene
    }

    fn case(&self) -> Case {
        let case = Case::new();
        if self.prepared {
            case.run(&format!("{NETWORK} --yes")).with(0, "before");
        }
        case.wire.forget();
        case
    }

    fn plan(&self) -> String {
        self.run.replace("--yes", "--dry-run --detailed-exitcode")
    }

    /// Every write of the run with each of these deeds, or with one in turn.
    fn during(&self, all: bool) -> Vec<Race> {
        let deeds = |n: usize| if all { DEEDS.to_vec() } else { vec![DEEDS[n % DEEDS.len()]] };
        let at = |n: usize| deeds(n).into_iter().map(move |deed| Race { when: When::Write(n), deed, turn: n });
        (1..=self.writes).flat_map(at).collect()
    }

    /// Between the plan and its first step, to each resource.
    fn between(&self, all: bool) -> Vec<Race> {
        let deeds = |n: usize| if all { DEEDS.to_vec() } else { vec![DEEDS[n % DEEDS.len()]] };
        (0..18)
            .flat_map(|turn| deeds(turn).into_iter().map(move |deed| Race { when: When::Planned, deed, turn }))
            .collect()
    }

    fn sweep(&self, races: &[Race]) -> Tally {
        let mut tally = Tally::default();
        sweep(races, |race| self.race(race)).into_iter().for_each(|one| tally.add(one));
        tally
    }

    fn race(&self, race: &Race) -> Tally {
        let (case, mut tally) = (self.case(), Tally { cases: 1, ..Tally::default() });
        let act: Arc<Mutex<Option<(Act, Call)>>> = Arc::default();
        let writes = Mutex::new(0);
        let (Race { when, deed, turn }, plan_calls, prepared) = (*race, self.plan_calls, self.prepared);
        case.wire.rule({
            let (act, account) = (act.clone(), Account { number: case.account.number.clone() });
            move |call| {
                let mut writes = writes.lock().unwrap_or_else(PoisonError::into_inner);
                *writes += usize::from(!call.reads);
                let now = match when {
                    When::Planned => call.n == plan_calls + 1,
                    When::Write(n) => !call.reads && *writes == n,
                };
                if !now {
                    return Verdict::Pass;
                }
                let (act, account, call) = (act.clone(), Account { number: account.number.clone() }, call.clone());
                Verdict::First(Box::new(move || {
                    let theirs = targets(&account, prepared, turn).and_then(|held| {
                        let act = Act::on(&account, &held, deed);
                        act.done.then_some((act, call))
                    });
                    *act.lock().unwrap_or_else(PoisonError::into_inner) = theirs;
                }))
            }
        });
        let first = case.run(&self.run);
        case.wire.forget();
        let act = act.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut told = format!("{race:?}: {act:?}");
        let Some((act, call)) = act else {
            // Nothing was there to be disturbed, or AWS would not have it.
            tally.ends(&told, &first, &[0]);
            return tally;
        };
        tally.acted += 1;
        let _ = write!(told, "\n--- the first run: {:?}\n{}", first.code, first.err);
        tally.ends(&told, &first, &[0, 1]);
        tally.refused += usize::from(first.err.contains("changed since the plan"));
        if !act.still_shows(&case.account) {
            match call.body.contains(&act.id) {
                true => tally.too_close += 1,
                false => tally.wrong(&told, "their change was overwritten"),
            }
        }
        self.goes_on(&case, &act, &told, &mut tally);
        tally
    }

    fn goes_on(&self, case: &Case, act: &Act, told: &str, tally: &mut Tally) {
        let shown = act.still_shows(&case.account);
        let again = case.run(&self.run);
        if act.takes_it_away() && shown {
            if !act.still_shows(&case.account) {
                tally.wrong(&format!("{told}\n--- the next run\n{}", again.err), "what is theirs was touched");
            }
            if waits_for_theirs(&again) {
                // As long as its kind may take; nobody here waits for that, and whoever has it gives it back.
                tally.waited += 1;
                act.give_back(&case.account);
                tally.ends(told, &case.run(&self.run), &[0]);
                tally.nothing_to_do(told, &case.run(&self.plan()));
                return tally.compare(told, &self.names, &names(&case.account));
            }
            tally.ends(told, &again, &[0, 1]);
            if again.code == Some(0) {
                // Another one was made in its place; theirs is left alone.
                return tally.nothing_to_do(told, &case.run(&self.plan()));
            }
            tally.conflicts += 1;
            if !again.err.contains("caused by") && !again.err.contains("hint: ") {
                tally.wrong(
                    &format!("{told}\n--- the next run\n{}", again.err),
                    "neither a cause nor a way out is told",
                );
            }
            act.give_back(&case.account);
            tally.ends(told, &case.run(&self.run), &[0]);
        } else {
            tally.ends(told, &again, &[0]);
        }
        tally.nothing_to_do(told, &case.run(&self.plan()));
        tally.compare(told, &self.names, &names(&case.account));
    }
}

/// Ours, in order of their addresses: all that is there of what is made; of what is to be changed, what has not been yet.
fn targets(account: &Account, prepared: bool, turn: usize) -> Option<Held> {
    let as_before = |one: &Held| one.tags.get("Environment").is_some_and(|value| value == "prod");
    let ours = account.held().into_iter().filter(|one| one.tags.contains_key("runner:address"));
    let mut ours: Vec<Held> = ours.filter(|one| !prepared || as_before(one)).collect();
    ours.sort_by_key(|one| one.tags["runner:address"].clone());
    (!ours.is_empty()).then(|| ours.swap_remove(turn % ours.len()))
}

/// It cannot remove one of ours before what is not ours any more lets go of it, and says so time and again.
fn waits_for_theirs(run: &Ended) -> bool {
    run.stuck && run.err.matches("DependencyViolation").count() > 5 && run.err.contains("is still used by")
}

/// What is there. Two things apart that the server leaves behind where AWS does not: network interfaces of a NAT gateway
/// that it refuses to make or that is deleted, and the network ACL of a VPC that is.
fn names(account: &Account) -> Vec<String> {
    let held = account.held().into_iter().filter(|one| one.kind != "ec2 enis" && one.kind != "ec2 network_acls");
    let mut names: Vec<String> = held.map(|one| one.name()).collect();
    names.sort();
    names
}

impl Tally {
    fn wrong(&mut self, told: &str, what: &str) {
        self.lost += 1;
        let _ = writeln!(self.trouble, "\n=== {what}: {told}");
    }

    fn ends(&mut self, told: &str, run: &Ended, codes: &[i32]) {
        let Ended { out, err, code, stuck } = run;
        let tells = *code == Some(0) || err.contains("error: ");
        if *stuck || !tells || err.contains("panicked") || !code.is_some_and(|code| codes.contains(&code)) {
            self.stuck += 1;
            let _ =
                writeln!(self.trouble, "\n=== ended with {code:?}, stuck: {stuck}: {told}\n--- it said\n{out}\n{err}");
        }
    }

    fn nothing_to_do(&mut self, told: &str, plan: &Ended) {
        if !plan.out.contains("Nothing to do") {
            self.stuck += 1;
            let _ = writeln!(self.trouble, "\n=== there is more to do: {told}\n{}\n{}", plan.out, plan.err);
        }
    }

    fn compare(&mut self, told: &str, wanted: &[String], found: &[String]) {
        let sets = [wanted, found].map(|names| names.iter().cloned().collect::<BTreeSet<_>>());
        let twice = found.len().saturating_sub(wanted.len());
        let missing: Vec<_> = sets[0].difference(&sets[1]).collect();
        (self.lost, self.doubled) = (self.lost + missing.len(), self.doubled + twice);
        if twice > 0 || !missing.is_empty() {
            let _ = writeln!(self.trouble, "\n=== missing {missing:#?}, {twice} too many of {found:#?}: {told}");
        }
    }

    fn add(&mut self, other: Tally) {
        let Tally { cases, acted, too_close, refused, conflicts, waited, lost, doubled, stuck, trouble } = other;
        self.waited += waited;
        (self.cases, self.acted, self.too_close) = (self.cases + cases, self.acted + acted, self.too_close + too_close);
        (self.refused, self.conflicts) = (self.refused + refused, self.conflicts + conflicts);
        (self.lost, self.doubled, self.stuck) = (self.lost + lost, self.doubled + doubled, self.stuck + stuck);
        self.trouble += &trouble;
    }

    #[track_caller]
    fn is_clean(&self, what: &str, at_least: usize) {
        let Tally { cases, acted, too_close, refused, conflicts, waited, lost, doubled, stuck, trouble } = self;
        println!(
            "{what}: {cases} cases, the hand acted in {acted}; {refused} times a change was refused, {conflicts} times \
             the next run told a conflict, {waited} times it waited for theirs, {too_close} times it came between look and \
             write; {lost} lost, {doubled} doubled, {stuck} stuck"
        );
        assert_eq!((*lost, *doubled, *stuck), (0, 0, 0), "{what}: {trouble}");
        assert!(*acted >= at_least, "{what}: the hand acted in {acted} of {cases} only");
    }
}

#[test]
fn a_hand_while_the_network_is_made() {
    let scene = Scene::new(false);
    scene.sweep(&scene.during(false)).is_clean("a hand while the network is made", 20);
}

#[test]
fn a_hand_while_the_network_is_changed() {
    let scene = Scene::new(true);
    scene.sweep(&scene.during(false)).is_clean("a hand while the network is changed", 20);
}

#[test]
fn a_hand_between_the_plan_and_its_first_step() {
    let scene = Scene::new(true);
    scene.sweep(&scene.between(false)).is_clean("a hand between plan and apply", 12);
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_a_hand_with_every_deed_while_the_network_is_made() {
    let scene = Scene::new(false);
    scene.sweep(&scene.during(true)).is_clean("every deed while the network is made", 100);
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_a_hand_with_every_deed_while_the_network_is_changed() {
    let scene = Scene::new(true);
    scene.sweep(&scene.during(true)).is_clean("every deed while the network is changed", 100);
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_a_hand_with_every_deed_between_plan_and_apply() {
    let scene = Scene::new(true);
    scene.sweep(&scene.between(true)).is_clean("every deed between plan and apply", 70);
}
