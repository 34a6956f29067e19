//! The whole platform, killed: in a relay at every write, to AWS, to Cloudflare and to Kubernetes; and from nothing at some
//! of its calls (`CRASH_SHARD=3/40` chooses which: those that are 3 when all are counted off from 0 to 39).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::relay::Relay;
use super::tally::Tally;
use super::{EMPTY_PLAN, Kill};
use crate::control_plane::ControlPlane;
use crate::moto::Held;
use crate::platform::Platform;
use crate::wire::process::{Ended, run};
use crate::wire::sweep::sweep;
use crate::wire::{Verdict, Wire};

const PLAYBOOK: &str = "playbooks/prod.rhai";

/// The share that is taken unless another is asked for: about six. Of an odd number of shares each has kills before and
/// after.
const SHARD: (usize, usize) = (203, 401);

/// The platform with a wire to each of the three that it reaches. Its control plane ends with it.
struct Stage {
    platform: Platform,
    aws: Wire,
    cloudflare: Wire,
    kubernetes: Wire,
}

impl Stage {
    fn new() -> Stage {
        let Platform { account, cloud, project, prod } = Platform::new(ControlPlane::of_its_own(), None);
        let (aws, cloudflare) = (Wire::to(&crate::moto::url()), Wire::to_the("cloudflare", &cloud.url()));
        let project = project.env("AWS_ENDPOINT_URL", &aws.url()).env("CLOUDFLARE_BASE_URL", &cloudflare.url());
        let kubernetes = prod.wire();
        let way = |file: &std::path::Path| file.display().to_string();
        let around = prod.kubeconfig_by_way_of(&kubernetes.url());
        project.edit("inventory/prod.toml", &way(prod.kubeconfig()), &way(&around));
        Stage { platform: Platform { account, cloud, project, prod }, aws, cloudflare, kubernetes }
    }

    fn wires(&self) -> [&Wire; 3] {
        [&self.aws, &self.cloudflare, &self.kubernetes]
    }

    fn run(&self, args: &str) -> Ended {
        run(&self.platform.project, &self.wires(), args)
    }

    fn forget(&self) {
        self.wires().iter().for_each(|wire| wire.forget());
    }

    /// By their names, in AWS and in Cloudflare. Ids of AWS's, which records hold, are left out.
    fn outside(&self) -> Vec<String> {
        let account = &self.platform.account;
        let mut names: Vec<String> = account.held().iter().chain(&account.held_elsewhere()).map(Held::name).collect();
        let records = self.platform.records();
        // One that proves the certificate, by the name that AWS chose, and one for each host.
        let record = |record: &String| match record.split(' ').take(2).collect::<Vec<_>>().join(" ") {
            name if name.contains("._") || name.starts_with("CNAME _") => "CNAME of the certificate".to_owned(),
            name => name,
        };
        names.extend(records.iter().map(record));
        names
    }

    /// In all three places. The account's number, which an address may hold, is another in each.
    fn holds(&self) -> Vec<String> {
        let mut names = self.outside();
        names.iter_mut().for_each(|name| *name = name.replace(&self.platform.account.number, "ACCOUNT"));
        names.extend(self.platform.objects(self.platform.prod, "prod"));
        names.sort();
        names
    }

    /// The next run does the rest, and then there is nothing to do.
    fn goes_on(&self, told: &str, tally: &mut Tally) -> Vec<String> {
        tally.ended_well(told, &self.run(&format!("{PLAYBOOK} --yes")));
        tally.nothing_to_do(told, &self.run(&format!("{PLAYBOOK} {EMPTY_PLAN}")));
        self.holds()
    }

    fn relay(&self, after: bool) -> (Tally, Vec<String>) {
        let relay = Relay { project: &self.platform.project, wires: &self.wires(), after };
        // One at a time: else what is killed is only ever the first of many.
        let mut tally = relay.run(&format!("{PLAYBOOK} --yes --parallelism 1"), || self.outside());
        let told = told(after);
        let found = self.goes_on(told, &mut tally);
        println!("{told}: {}", tally.line());
        (tally, found)
    }

    /// Without any trouble: its calls, and what is there then.
    fn clean() -> (usize, Vec<String>) {
        let stage = Stage::new();
        stage.run(&format!("{PLAYBOOK} --yes")).with(0, "without trouble");
        let calls = stage.wires().iter().map(|wire| wire.calls().len()).sum();
        let plan = stage.run(&format!("{PLAYBOOK} {EMPTY_PLAN}")).with(0, "without trouble");
        assert!(plan.out.contains("Nothing to do"), "{}", plan.out);
        let wanted = stage.holds();
        let of = |what: &str| wanted.iter().filter(|name| name.starts_with(what)).count();
        assert!(wanted.len() > 200 && of("kubernetes ") > 130 && of("CNAME ") == 5, "{wanted:#?}");
        println!("without trouble: {calls} calls; {} are there then", wanted.len());
        (calls, wanted)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.platform.prod.stop();
    }
}

fn told(after: bool) -> &'static str {
    if after { "the platform, killed after each write" } else { "the platform, killed before each write" }
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_the_platform() {
    let mut tally = Tally::default();
    let ((_, wanted), relays) = std::thread::scope(|scope| {
        let relays = [true, false].map(|after| scope.spawn(move || (after, Stage::new().relay(after))));
        (Stage::clean(), relays.map(|relay| relay.join().expect("a relay")))
    });
    for (after, (mut one, found)) in relays {
        one.compare(told(after), &wanted, &found);
        tally.add(one);
    }
    tally.is_clean("the whole platform, in a relay", 400);
}

/// Killed at a call, whoever it is made to, while others are under way.
fn killed(kill: &Kill, wanted: &[String]) -> Tally {
    let Kill { n, after, elsewhere } = *kill;
    let (stage, mut tally, calls) = (Stage::new(), Tally::default(), Arc::new(AtomicUsize::new(0)));
    for wire in stage.wires() {
        let calls = calls.clone();
        wire.rule(move |_| match (calls.fetch_add(1, Ordering::SeqCst) + 1 == n, after) {
            (false, _) => Verdict::Pass,
            (true, false) => Verdict::KillBefore,
            (true, true) => Verdict::KillAfter,
        });
    }
    let told = format!("the platform from nothing: {kill:?}");
    tally.case(&told, &stage.run(&format!("{PLAYBOOK} --yes")));
    stage.forget();
    if elsewhere {
        // It may not have been begun.
        drop(std::fs::remove_dir_all(stage.platform.project.path(".runner")));
    }
    let found = stage.goes_on(&told, &mut tally);
    tally.compare(&told, wanted, &found);
    println!("{told}: {}", tally.line());
    tally
}

/// `3/40`: those that are 3 when all are counted off from 0 to 39.
fn shard(text: &str) -> Option<(usize, usize)> {
    let (at, of) = text.split_once('/')?;
    Some((at.parse().ok()?, of.parse().ok()?)).filter(|(at, of)| at < of)
}

/// Which of all kills are in a share.
fn share((at, of): (usize, usize), calls: usize) -> Vec<Kill> {
    Kill::all(calls).into_iter().filter(|kill| (kill.n * 2 + usize::from(kill.after)) % of == at).collect()
}

#[test]
fn each_kill_is_in_one_share() {
    assert_eq!((shard("3/40"), shard("0/1")), (Some((3, 40)), Some((0, 1))));
    assert_eq!(["", "3", "40/40", "a/40", "-1/40", "1/0"].map(shard), [None; 6]);
    let mut all: Vec<(usize, bool)> =
        (0..40).flat_map(|at| share((at, 40), 333)).map(|kill| (kill.n, kill.after)).collect();
    all.sort();
    assert_eq!(all, (1..=333).flat_map(|n| [(n, false), (n, true)]).collect::<Vec<_>>());
}

#[test]
#[ignore = "takes long: `make test-crash`"]
fn crash_the_platform_at_each_call() {
    let asked = std::env::var("CRASH_SHARD").ok();
    let wrong = |text: &str| panic!("CRASH_SHARD is {text:?}, and not like 3/40");
    let (at, of) = asked.map_or(SHARD, |text| shard(&text).unwrap_or_else(|| wrong(&text)));
    let (calls, wanted) = Stage::clean();
    let kills = share((at, of), calls);
    assert!(!kills.is_empty(), "none of the {calls} calls is of the share {at}/{of}");
    let mut tally = Tally::default();
    sweep(&kills, |kill| killed(kill, &wanted)).into_iter().for_each(|one| tally.add(one));
    // How many calls a run makes depends on how long it waits: the last ones may not be reached.
    tally.is_clean(&format!("the platform from nothing, calls {at}/{of} of {calls}"), (kills.len() * 3 / 4).max(1));
}
