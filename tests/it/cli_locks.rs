//! Locks through the binary: who is refused, who waits, who takes over, who stops.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runner::engine::lock::local::Tried;
use runner::engine::lock::{Holder, LocalLock};
use serde_json::Value as Json;

use crate::gate::Gate;
use crate::moto::Account;
use crate::project::{Project, heard, last};

/// Two parameters, one after the other, that every run writes.
const PAIR: &str = r#"
let env = inventory();
let a = aws::ssm_parameter("a", #{ name: "/locks/a", type: "String", value: env.value });
aws::ssm_parameter("b", #{ name: "/locks/b", type: "String", value: env.value }, #{ after: [a] });
"#;

fn bucket(account: &Account) -> String {
    format!("team-locks-{}", account.number)
}

fn inventory(account: &Account, lock: bool) -> String {
    let aws = format!("value = \"0\"\n[aws]\nregion = \"eu-west-1\"\naccount = \"{}\"\n", account.number);
    match lock {
        true => format!("{aws}[lock]\ns3 = \"s3://{}/shop\"\n", bucket(account)),
        false => aws,
    }
}

/// One checkout of the pair.
fn checkout(account: &Account, lock: bool) -> Project {
    let project = Project::new(&inventory(account, lock)).file("playbooks/prod.rhai", PAIR);
    account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value)).env("USER", "alice")
}

fn team() -> Account {
    let account = Account::new();
    account.boto(&format!(
        "boto3.client('s3', region_name='eu-west-1').create_bucket(Bucket='{}', CreateBucketConfiguration={{'LocationConstraint': 'eu-west-1'}})",
        bucket(&account)
    ));
    account
}

const LOCK: &str = "shop/prod.lock";

fn lock(account: &Account) -> Json {
    let body = account.boto(&format!(
        "print(boto3.client('s3', region_name='eu-west-1').get_object(Bucket='{}', Key='{LOCK}')['Body'].read().decode())",
        bucket(account)
    ));
    serde_json::from_str(&body).unwrap()
}

/// Somebody else's lock, written just now.
fn taken_by_bob(account: &Account) {
    account.boto(&format!(
        "import json\n\
         lock = dict(runner_lock=1, held=True, fence=41, beat=3, lease=3600, holder=dict(id='of bob', stack='prod', \
         run='0b0b0b0b', command='run', playbook='playbooks/prod.rhai', user='bob', host='laptop-7', process=4711, \
         caller='arn:aws:iam::1:user/bob', job='https://ci.example.com/jobs/7', since='2026-11-23T06:00:00Z'))\n\
         boto3.client('s3', region_name='eu-west-1').put_object(Bucket='{}', Key='{LOCK}', Body=json.dumps(lock))",
        bucket(account)
    ));
}

const RUN: &str = "playbooks/prod.rhai --yes";

#[test]
fn a_live_lock_of_the_team_is_refused_with_who_where_and_since_when() {
    let account = team();
    let project = checkout(&account, true);
    taken_by_bob(&account);
    let said = project.run(RUN).code(1).err;
    for fact in [
        "another run is changing stack `prod`",
        "run 0b0b0b0b of playbooks/prod.rhai, by bob on laptop-7 (process 4711)",
        "since 2026-11-23 06:00:00 UTC",
        "as arn:aws:iam::1:user/bob",
        "in the job https://ci.example.com/jobs/7",
        "each sign of life holds for 3600 s",
        "--lock-timeout",
        "runner unlock",
    ] {
        assert!(said.contains(fact), "{fact}\n{said}");
    }
    assert!(!account.calls().contains_key("ssm:PutParameter"));
    // Who only looks needs none; nor does who plays.
    let calls = account.calls();
    project.run("playbooks/prod.rhai --dry-run").code(0);
    project.run("playbooks/prod.rhai --dry-run --plan-out prod.plan").code(0);
    project.run("destroy playbooks/prod.rhai --dry-run").code(0);
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert_eq!(account.calls().get("s3:GetObject"), calls.get("s3:GetObject"));
    // The same for all that changes something.
    for command in ["destroy playbooks/prod.rhai --yes", "apply prod.plan --yes"] {
        assert!(project.run(command).code(1).err.contains("by bob on laptop-7"), "{command}");
    }
    // A saved plan knows of the lock also where its project is not.
    let elsewhere =
        account.env().into_iter().fold(Project::new(""), |project, (name, value)| project.env(&name, &value));
    std::fs::remove_dir_all(elsewhere.path("inventory")).unwrap();
    std::fs::copy(project.path("prod.plan"), elsewhere.path("prod.plan")).unwrap();
    let said = elsewhere.run("apply prod.plan --yes").code(1);
    assert!(said.err.contains("by bob on laptop-7"), "{}", said.err);
    assert!(elsewhere.path(".local/state/runner/locks").is_dir(), "no checkout, no `.runner/locks`");
    assert!(!elsewhere.path(".runner/locks").exists());

    // Its run is gone for a while: it is taken over, and left free.
    account.age(&bucket(&account), LOCK, 3602);
    let said = project.run(RUN).code(0).err;
    assert!(
        said.contains("the lock of a run that is gone was taken over") && said.contains("by bob on laptop-7"),
        "{said}"
    );
    let left = lock(&account);
    assert_eq!((&left["held"], &left["fence"]), (&Json::Bool(false), &Json::from(42)));
    assert_eq!(left["holder"]["user"], "alice");
    assert!(left["holder"]["caller"].as_str().unwrap().contains(&account.number));
    assert!(!left.to_string().contains("NOTAREAL"), "no credentials: {left}");
}

#[test]
fn a_run_waits_for_a_lock_as_long_as_it_is_told() {
    let account = team();
    let project = checkout(&account, true);
    taken_by_bob(&account);
    let said = project.run(&format!("{RUN} --lock-timeout 2")).code(1).err;
    assert!(said.contains("another run is changing"), "{said}");
    let waiting = project.start(&format!("{RUN} --lock-timeout 300"));
    heard(&waiting.err, "by bob on laptop-7");
    // In the same checkout the lock is that of the one who waits.
    let said = project.run(RUN).code(1).err;
    assert!(said.contains("by alice on"), "{said}");
    account.age(&bucket(&account), LOCK, 3602);
    assert!(waiting.end().code(0).err.contains("2 created"));
    // A signal ends the wait at once, and leaves nothing behind.
    taken_by_bob(&account);
    let waiting = project.start(&format!("{RUN} --lock-timeout 300"));
    heard(&waiting.err, "by bob on laptop-7");
    waiting.signal("INT");
    waiting.end().code(130);
    assert_eq!(lock(&account)["holder"]["user"], "bob");
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
}

/// Two stacks may share a sandbox, and its file is written whole.
#[test]
fn a_run_waits_for_a_sandbox_and_is_told_for_whom() {
    let network = "aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });\n";
    let project = Project::new("").file("playbooks/prod.rhai", network).file("playbooks/other.rhai", network);
    project.write("inventory/other.toml", "");
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let there = project.read(".runner/sandbox.json");
    std::fs::remove_file(project.path(".runner/sandbox.json")).unwrap();
    let alice = Holder {
        run: "0a0a0a0a".into(),
        playbook: "playbooks/prod.rhai".into(),
        user: Some("alice".into()),
        host: Some("laptop-7".into()),
        ..Holder::default()
    };
    let Tried::Taken(lock) = LocalLock::take_at(&project.path(".runner/sandbox.json.lock"), "it", &alice).unwrap()
    else {
        panic!("nobody has it")
    };
    let said = project.run("playbooks/other.rhai --sandbox --yes").code(1).err;
    for fact in [
        "another run is changing the sandbox",
        "sandbox.json",
        "run 0a0a0a0a of",
        "by alice on laptop-7",
        "--lock-timeout",
    ] {
        assert!(said.contains(fact), "{fact}\n{said}");
    }
    // Who only looks waits for nobody.
    project.run("playbooks/other.rhai --sandbox --dry-run").code(0);
    let waiting = project.start("playbooks/other.rhai --sandbox --yes --lock-timeout 300");
    heard(&waiting.err, "by alice on laptop-7");
    // What the one before made is in the file by then, and stays there.
    project.write(".runner/sandbox.json", &there);
    drop(lock);
    assert!(waiting.end().code(0).err.contains("1 created"));
    assert_eq!(project.read(".runner/sandbox.json").matches("\"kind\": \"aws::vpc\"").count(), 2);
}

#[test]
fn unlock_tells_who_has_it_and_removes_only_what_is_left_behind() {
    let account = team();
    let project = checkout(&account, true);
    let unlock = "unlock playbooks/prod.rhai";
    assert!(project.run(unlock).code(0).err.contains("is not locked"));
    taken_by_bob(&account);
    let said = project.run(&format!("{unlock} --yes")).code(1).err;
    assert!(
        said.contains("by a live run") && said.contains("by bob on laptop-7") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(lock(&account)["held"], true);
    account.age(&bucket(&account), LOCK, 3602);
    let said = project.run(unlock).code(1).err;
    assert!(said.contains("no sign of life any more") && said.contains("no terminal"), "{said}");
    let said = project.run(&format!("{unlock} --yes")).code(0).err;
    assert!(said.contains("stops before its next write") && said.contains("is not locked any more"), "{said}");
    assert_eq!((lock(&account)["held"].clone(), lock(&account)["fence"].clone()), (false.into(), 42.into()));
    let said = project.run(unlock).code(0).err;
    assert!(said.contains("Last it was held by run 0b0b0b0b"), "{said}");
    assert!(project.run(RUN).code(0).err.contains("2 created"));
    assert_eq!(lock(&account)["fence"], 43);

    // What is no lock at all.
    account.boto(&format!(
        "boto3.client('s3', region_name='eu-west-1').put_object(Bucket='{}', Key='{LOCK}', Body=b'a list')",
        bucket(&account)
    ));
    assert!(project.run(RUN).code(1).err.contains("no lock of ours"));
    project.run(&format!("{unlock} --yes")).code(1);
    project.run(&format!("{unlock} --yes --force")).code(0);
    project.run(RUN).code(0);

    // It is nowhere to be seen.
    let away = checkout(&account, true).env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9");
    let said = away.run(unlock).code(1).err;
    assert!(said.contains("cannot look at the lock of stack `prod`") && !said.contains("cannot lock"), "{said}");

    // Without a team's lock there is that of the checkout.
    let alone = checkout(&account, false);
    let said = alone.run(unlock).code(0).err;
    assert!(said.contains("not locked in this checkout"), "{said}");
    assert!(alone.run(&format!("{unlock} --report x.html")).code(64).err.contains("--report"));
}

/// A NAT gateway takes a while; what rests on it is yet to be made when the lock is gone.
const SLOW: &str = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
let subnet = aws::subnet("main", #{ vpc_id: vpc.id, cidr_block: "10.0.0.0/24" });
let nat = aws::nat_gateway("main", #{ subnet_id: subnet.id, connectivity_type: "private" });
aws::ssm_parameter("after", #{ name: "/locks/after", type: "String", value: nat.id });
"#;

fn until(there: impl Fn() -> bool) {
    for _ in 0..600 {
        if there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it never came to be");
}

#[test]
fn a_run_whose_lock_is_taken_away_stops_before_its_next_write() {
    let account = team();
    let project = checkout(&account, true);
    project.edit("inventory/prod.toml", "/shop\"", "/shop\"\nlease = 15");
    project.write("playbooks/prod.rhai", SLOW);
    account.delay("nat_gateway", 20.0);
    let run = project.start(RUN);
    until(|| account.calls().contains_key("ec2:CreateNatGateway"));
    // Someone is sure that it is gone.
    let said = checkout(&account, true).run("unlock playbooks/prod.rhai --yes --force").code(0).err;
    assert!(said.contains("by a live run") && said.contains("is not locked any more"), "{said}");
    let said = run.end().code(1).err;
    assert!(said.contains("the run lost its lock of stack `prod`"), "{said}");
    assert!(said.contains("runner unlock") && said.contains("2 created") && said.contains("not begun"), "{said}");
    assert!(!account.calls().contains_key("ssm:PutParameter"));
    let after = lock(&account);
    assert_eq!((&after["held"], &after["fence"]), (&false.into(), &2.into()), "nothing was written over it");
    // The next one goes on from there.
    account.delay("nat_gateway", 0.0);
    project.run(RUN).code(0);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
    assert_eq!(account.calls()["ec2:CreateNatGateway"], 1);
}

#[test]
fn a_run_that_is_ended_by_a_signal_lets_go_of_the_lock() {
    let account = team();
    let project = checkout(&account, true);
    project.edit("inventory/prod.toml", "/shop\"", "/shop\"\nlease = 3600");
    project.write("playbooks/prod.rhai", SLOW);
    account.delay("nat_gateway", 60.0);
    let run = project.start(RUN);
    until(|| account.calls().contains_key("ec2:CreateNatGateway"));
    assert_eq!(lock(&account)["held"], true);
    run.signal("INT");
    run.end().code(130);
    assert_eq!(lock(&account)["held"], false);
    // One that is killed does not.
    let run = project.start(RUN);
    until(|| lock(&account)["held"] == true);
    run.signal("KILL");
    run.end();
    assert_eq!(lock(&account)["held"], true);
    assert!(project.run(RUN).code(1).err.contains("another run is changing"));
    account.age(&bucket(&account), LOCK, 3602);
    account.delay("nat_gateway", 0.0);
    assert!(project.run(RUN).code(0).err.contains("was taken over"));
}

/// The lock is let go of after the apply: whoever is ended while that hangs has the last event in the record all the same.
#[test]
fn a_second_signal_after_the_apply_leaves_a_whole_record() {
    let (account, gate) = (team(), Gate::new());
    let project = checkout(&account, true).env("AWS_ENDPOINT_URL", &gate.url());
    project.edit("inventory/prod.toml", "/shop\"", "/shop\"\nlease = 3600");
    project.write("playbooks/prod.rhai", SLOW);
    account.delay("nat_gateway", 60.0);
    let run = project.start(&format!("{RUN} --format json"));
    until(|| account.calls().contains_key("ec2:CreateNatGateway"));
    gate.hold_before(LOCK);
    run.signal("INT");
    gate.wait_held();
    run.signal("TERM");
    run.end().code(130);
    let record = project.shell("cat .runner/runs/*/events.jsonl").code(0).out;
    assert!(last(&record).contains("\"run_finished\",\"exit\":130"), "{record}");
}

/// How many runs the stack is hammered with, each way.
const RUNS: usize = 200;

/// Runs `runner` so often, in each checkout some at a time; each run writes its own number into both parameters. All must
/// end well.
fn hammer(checkouts: &[Project], lanes: usize) {
    let next = AtomicUsize::new(1);
    std::thread::scope(|scope| {
        for project in checkouts {
            for _ in 0..lanes {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::SeqCst);
                        if n > RUNS {
                            break;
                        }
                        let said = project.run(&format!("{RUN} --lock-timeout 80 --set value=\"n{n}\"")).code(0);
                        assert!(said.err.contains("Done: 2 "), "{}", said.err);
                    }
                });
            }
        }
    });
}

/// Never two writers: the two writes of each run stand side by side, and each run has written once.
fn one_after_the_other(account: &Account) {
    let writes = account.parameters();
    assert_eq!(writes.len(), 2 * RUNS, "nothing lost, nothing doubled");
    let mut seen = BTreeMap::new();
    for pair in writes.chunks(2) {
        let [(first, one), (second, two)] = pair else { panic!("in pairs") };
        assert_eq!((first.as_str(), second.as_str()), ("/locks/a", "/locks/b"), "{writes:?}");
        assert_eq!(one, two, "two runs wrote at a time");
        *seen.entry(one.clone()).or_insert(0) += 1;
    }
    assert!(seen.len() == RUNS && seen.values().all(|times| *times == 1), "{seen:?}");
}

#[test]
fn two_hundred_runs_in_one_checkout_write_one_after_the_other() {
    let account = Account::new();
    let project = checkout(&account, false);
    hammer(&[project], 4);
    one_after_the_other(&account);
}

#[test]
fn two_hundred_runs_of_two_checkouts_write_one_after_the_other() {
    let account = team();
    hammer(&[checkout(&account, true), checkout(&account, true)], 2);
    one_after_the_other(&account);
    let left = lock(&account);
    assert_eq!((&left["held"], &left["fence"]), (&false.into(), &RUNS.into()), "each has won it once");
}
