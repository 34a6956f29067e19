//! Ctrl-C, SIGTERM and a closed terminal, in every phase of a run; and what the next one makes of it.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::gate::Gate;
use crate::journal::{WHOLE, gateways, project, recovered};
use crate::moto::Account;
use crate::project::{Project, Said, heard, last};

const RUN: &str = "playbooks/prod.rhai --yes --format json";

fn events(text: &str) -> Vec<String> {
    let parsed = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap_or_else(|_| panic!("{line:?}")));
    parsed.map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

/// The events of the one run that was recorded.
fn record(project: &Project) -> String {
    project.shell("cat .runner/runs/*/events.jsonl").code(0).out
}

fn converges(project: &Project, account: &Account, found: Option<&str>) {
    let said = project.run("playbooks/prod.rhai --yes").code(0);
    let told = recovered(&said);
    match found {
        Some(found) => assert!(told.len() == 1 && told[0].ends_with(found), "{told:?}\n{}", said.err),
        None => assert_eq!(told, [""; 0], "{}", said.err),
    }
    assert_eq!(gateways(account), "1");
    let after = project.run("playbooks/prod.rhai --dry-run").code(0);
    assert_eq!((recovered(&after).len(), last(&after.out)), (0, WHOLE));
}

fn line<'a>(said: &'a Said, start: &str) -> &'a str {
    said.err.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start:?} in\n{}", said.err))
}

#[test]
fn a_wait_ends_at_once_and_what_is_left_is_named() {
    for name in ["INT", "TERM", "HUP"] {
        let (account, gate) = (Account::new(), Gate::new());
        account.delay("nat_gateway", 600.0);
        let project = project(&account, &gate);
        let run = project.start("playbooks/prod.rhai --yes");
        // The answer to the create is there; what follows are looks.
        gate.wait_seen("Filter.1.Name=nat-gateway-id");
        run.signal(name);
        let said = run.end().code(130);
        let order = ["interrupted: nothing new is started", "\ndone: 4 operations: ", "\nin flight: ", "\nnot begun: "];
        let at: Vec<usize> =
            order.iter().map(|words| said.err.find(words).unwrap_or_else(|| panic!("{words}\n{}", said.err))).collect();
        assert!(at.is_sorted(), "{}", said.err);
        let flying = line(&said, "in flight: creating aws::nat_gateway.prod nat-");
        assert!(flying.ends_with("made, and not ready yet; the next run goes on from there"), "{flying}");
        assert_eq!(line(&said, "not begun: "), "not begun: 1 operation: creating aws::route_table.private");
        assert!(last(&said.err).starts_with("Interrupted: 4 created, 1 in flight, 1 not begun in "), "{}", said.err);
        account.delay("nat_gateway", 0.0);
        converges(&project, &account, Some("it exists, adopted"));
    }
}

#[test]
fn programs_and_the_record_have_all_to_the_last_event() {
    let (account, gate) = (Account::new(), Gate::new());
    account.delay("nat_gateway", 600.0);
    let project = project(&account, &gate);
    let run = project.start(RUN);
    heard(&run.out, "\"waiting\"");
    run.signal("INT");
    let said = run.end().code(130);
    let all = events(&said.out);
    let tail: Vec<&str> = all.iter().map(String::as_str).filter(|event| *event != "waiting").collect();
    assert_eq!(tail, ["interrupted", "left", "applied", "run_finished"], "{}", said.out);
    let left: Json = serde_json::from_str(said.out.lines().find(|line| line.contains("\"left\"")).unwrap()).unwrap();
    assert_eq!((&left["left"], &left["address"]), (&"written".into(), &"aws::nat_gateway.prod".into()));
    assert!(last(&record(&project)).contains("\"run_finished\",\"exit\":130"));
}

/// Nothing of it took effect: it is neither under way nor told of by the next run.
#[test]
fn what_was_refused_so_far_is_put_off() {
    let (account, gate) = (Account::new(), Gate::new());
    account.fail("CreateNatGateway", "RequestLimitExceeded", 503, 1000);
    let project = project(&account, &gate);
    let run = project.start("playbooks/prod.rhai --yes");
    heard(&run.err, "creating aws::nat_gateway.prod: retrying in ");
    run.signal("TERM");
    let said = run.end().code(130);
    let off = "put off: creating aws::nat_gateway.prod: refused until then; the next run tries again";
    assert_eq!(line(&said, "put off: "), off);
    assert!(last(&said.err).starts_with("Interrupted: 4 created, 1 put off, 1 not begun in "), "{}", said.err);
    account.fail("CreateNatGateway", "RequestLimitExceeded", 503, 0);
    converges(&project, &account, None);
}

#[test]
fn a_second_signal_does_not_wait_for_a_call_that_hangs() {
    for after in [true, false] {
        let (account, gate) = (Account::new(), Gate::new());
        if after {
            gate.hold_after("Action=CreateNatGateway");
        } else {
            gate.hold_before("Action=CreateNatGateway");
        }
        let project = project(&account, &gate);
        let mut run = project.start("playbooks/prod.rhai --yes");
        gate.wait_held();
        run.signal("INT");
        heard(&run.err, "waiting for 1 operation in flight");
        assert!(run.is_running(), "the first lets what is under way finish");
        run.signal("INT");
        let said = run.end().code(130);
        let flying = line(&said, "in flight: ");
        assert!(flying.ends_with("prod: no answer yet; the next run looks whether it took effect"), "{flying}");
        assert_eq!(line(&said, "not begun: "), "not begun: 1 operation: creating aws::route_table.private");
        assert!(last(&said.err).starts_with("Interrupted: 4 created, 1 in flight, 1 not begun in "), "{}", said.err);
        let record = record(&project);
        assert!(last(&record).contains("\"run_finished\",\"exit\":130"), "{record}");
        let found = if after { "it exists, adopted" } else { "it does not exist: it is in the plan again" };
        converges(&project, &account, Some(found));
    }
}

/// As GitHub's runner does it: SIGINT, SIGTERM after a while, SIGKILL 2.5 seconds later.
#[test]
fn it_is_over_before_a_ci_system_kills_it() {
    let (account, gate) = (Account::new(), Gate::new());
    gate.hold_after("Action=CreateNatGateway");
    let project = project(&account, &gate);
    let mut run = project.start(RUN);
    gate.wait_held();
    run.signal("INT");
    heard(&run.out, "\"interrupted\"");
    run.signal("TERM");
    let until = Instant::now() + Duration::from_millis(2500);
    while run.is_running() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    if run.is_running() {
        run.signal("KILL");
    }
    let said = run.end().code(130);
    assert_eq!(events(&said.out).last().map(String::as_str), Some("run_finished"));
    converges(&project, &account, Some("it exists, adopted"));
}

#[test]
fn before_anything_is_changed_the_first_signal_is_enough() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    for args in ["--yes", "--dry-run"] {
        // A read that gets no answer.
        gate.hold_before("Action=DescribeVpcs");
        let run = project.start(&format!("playbooks/prod.rhai --format json {args}"));
        gate.wait_held();
        run.signal("INT");
        let said = run.end().code(130);
        assert_eq!(last(&said.err), "Interrupted: nothing was changed.");
        if args == "--yes" {
            assert!(last(&said.out).contains("\"run_finished\",\"exit\":130"), "{}", said.out);
        }
    }
    // One that is put off.
    account.fail("DescribeVpcs", "RequestLimitExceeded", 503, 1000);
    let run = project.start(RUN);
    heard(&run.out, "\"held_up\"");
    run.signal("TERM");
    let said = run.end().code(130);
    assert_eq!(last(&said.err), "Interrupted: nothing was changed.");
    assert!(!project.path(".runner/runs").exists(), "it left no record");
}

#[test]
fn at_the_question_the_first_signal_is_enough() {
    let project = Project::new("").file("playbooks/prod.rhai", "aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });");
    let typing = "until grep -q accepted shown; do sleep 0.1; done; printf '\\003'; sleep 1";
    let line = format!("touch shown; ({typing}) | script -qefc 'runner playbooks/prod.rhai --sandbox' shown");
    let said = project.shell(&line).code(130);
    assert_eq!(last(&said.out), "Interrupted: nothing was changed.");
    assert!(!project.path(".runner/sandbox.json").exists());
}

/// Waits until `$run` does nothing at all: no thread of it runs, or has run since the look before. So it hangs, or is gone.
const STILL: &str = r#"
still() {
    same=0; before=
    for _ in $(seq 500); do
        now=$(cat /proc/$run/task/*/status 2>/dev/null | grep -e ^State -e ctxt_switches)
        case $now in
            *running*|*disk*) same=0 ;;
            "$before") same=$((same + 1)) ;;
            *) same=0 ;;
        esac
        [ $same -ge 6 ] && return
        before=$now; sleep 0.2
    done
    exit 99
}
"#;

/// A reader who reads no further keeps nobody from stopping; the record has its last event all the same.
#[test]
fn a_full_pipe_does_not_keep_it_alive() {
    for (reads, recorded) in [("sleep 0", false), ("grep -q -m1 apply_started", true)] {
        let project = Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9");
        let script = format!(
            "{STILL}
             mkfifo pipe; ({reads}; touch full; exec sleep 600) < pipe & reader=$!
             runner playbooks/prod.rhai --sandbox --yes --format json > pipe & run=$!
             until [ -e full ]; do sleep 0.1; done
             still; cat .runner/runs/*/events.jsonl > before 2>/dev/null
             kill -TERM $run; still; kill -TERM $run; wait $run; code=$?; kill $reader; exit $code"
        );
        project.shell(&script).code(130);
        assert_eq!(project.path(".runner/runs").exists(), recorded);
        if recorded {
            assert!(!project.read("before").contains("\"run_finished\""), "it hangs");
            assert!(last(&record(&project)).contains("\"run_finished\",\"exit\":130"));
        }
    }
}

/// Who stops reading is not who stops the run.
#[test]
fn a_closed_pipe_does_not_end_an_apply() {
    let project = Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9");
    project
        .shell("(runner playbooks/prod.rhai --sandbox --yes --format json 2>&1; echo $? > code) | head -n 1")
        .code(0);
    assert_eq!(project.read("code"), "0\n");
    let again = project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 145 resources are as declared.");
}

/// With `nohup` a closed terminal is no reason to stop.
#[test]
fn what_is_to_outlive_its_terminal_does() {
    let project = Project::new("").file("playbooks/prod.rhai", "aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });");
    let script = "trap '' HUP; runner playbooks/prod.rhai --sandbox --yes --format json > shown & run=$!
                  until grep -q '\"started\"' shown; do sleep 0.05; done; kill -HUP $run; wait $run";
    project.shell(script).code(0);
}
