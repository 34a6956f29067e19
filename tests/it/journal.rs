//! What a later run makes of the journal of one that came to no end.

use std::path::PathBuf;

use crate::gate::Gate;
use crate::moto::{Account, REGION};
use crate::project::{Project, Said, last};

/// The gateway comes after all else but one.
pub const PLAYBOOK: &str = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16", tags: #{ Team: "a" } });
let subnet = aws::subnet("a", #{ vpc_id: vpc.id, cidr_block: "10.0.1.0/24", availability_zone: "eu-west-1a" });
let way_out = aws::internet_gateway("main", #{ vpc_id: vpc.id });
let address = aws::eip("nat", #{});
let nat = aws::nat_gateway("prod", #{ subnet_id: subnet.id, allocation_id: address.id }, #{ after: [way_out] });
aws::route_table("private", #{ vpc_id: vpc.id, route: [#{ cidr_block: "0.0.0.0/0", nat_gateway_id: nat.id }] });
"#;

pub const WHOLE: &str = "Nothing to do: 6 resources are as declared.";

pub fn project(account: &Account, gate: &Gate) -> Project {
    let inventory = format!("[aws]\nregion = \"{REGION}\"\naccount = \"{}\"\n", account.number);
    let project = Project::new(&inventory).file("playbooks/prod.rhai", PLAYBOOK);
    let project = account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value));
    project.env("AWS_ENDPOINT_URL", &gate.url())
}

/// How many NAT gateways are not deleted.
pub fn gateways(account: &Account) -> String {
    let code = format!(
        "ec2 = boto3.client('ec2', region_name='{REGION}')
print(len([one for one in ec2.describe_nat_gateways()['NatGateways'] if one['State'] not in ('deleted', 'deleting')]))"
    );
    account.boto(&code).trim().to_owned()
}

/// Starts a run and kills it at a call that is held.
fn killed(project: &Project, gate: &Gate, args: &str) {
    let run = project.start(&format!("playbooks/prod.rhai --yes --format json {args}"));
    gate.wait_held();
    run.signal("KILL");
    assert_eq!(run.end().code, -1);
}

/// The lines about what was left, without run and id.
pub fn recovered(said: &Said) -> Vec<String> {
    let lines = said.err.lines().filter(|line| line.contains(" when run "));
    lines
        .map(|line| {
            let (before, after) = line.split_once(" when run ").unwrap();
            let (run, after) = after.split_once(' ').unwrap();
            assert_eq!(run.len(), 8, "{line}");
            format!("{before} {}", after.split(" (").next().unwrap())
        })
        .collect()
}

fn plan(project: &Project) -> Said {
    project.run("playbooks/prod.rhai --dry-run")
}

fn apply(project: &Project) -> Said {
    project.run("playbooks/prod.rhai --yes")
}

#[test]
fn what_took_effect_is_adopted_and_what_did_not_is_made() {
    for (held, found) in [(true, "it exists, adopted"), (false, "it does not exist: it is in the plan again")] {
        let (account, gate) = (Account::new(), Gate::new());
        let project = project(&account, &gate);
        match held {
            true => gate.hold_after("Action=CreateNatGateway"),
            false => gate.hold_before("Action=CreateNatGateway"),
        }
        killed(&project, &gate, "");
        let line = format!("`aws::nat_gateway.prod` was being created stopped: {found}");
        // A look leaves it as it is, and each tells it once, before the plan.
        for _ in 0..2 {
            assert_eq!(recovered(&plan(&project).code(0)), [line.as_str()]);
        }
        let markdown = project.run("playbooks/prod.rhai --dry-run --format markdown").code(0);
        assert!(markdown.out.starts_with("> `aws::nat_gateway.prod` was being created when run "), "{}", markdown.out);
        assert_eq!(recovered(&apply(&project).code(0)), [line]);
        assert_eq!(gateways(&account), "1");
        let after = plan(&project).code(0);
        assert_eq!((recovered(&after).len(), last(&after.out)), (0, WHOLE));
    }
}

#[test]
fn programs_are_told_in_an_event_and_the_record_keeps_it() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    gate.hold_after("Action=CreateNatGateway");
    killed(&project, &gate, "");
    let said = project.run("playbooks/prod.rhai --yes --format json --report page.html").code(0);
    let events: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = |name: &str| events.iter().position(|event| event["event"] == name).unwrap();
    let event = &events[at("recovered")];
    assert_eq!((&event["found"], &event["operation"]), (&"adopted".into(), &"create".into()));
    assert!(event["ids"][0].as_str().unwrap().starts_with("nat-"), "{event}");
    assert!(at("recovered") < at("plan"));
    assert!(project.read("page.html").contains("was being created when run "));
    let record = project.shell("cat .runner/runs/*/events.jsonl").code(0).out;
    assert_eq!(record.matches("\"recovered\"").count(), 1);
}

/// No listing shows it yet, and the process that asked for it is gone: only the token keeps it from being made twice.
#[test]
fn an_unseen_one_is_asked_for_with_the_same_token() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    gate.hold_after("Action=CreateNatGateway");
    killed(&project, &gate, "");
    let token = |request: &String| request.split("ClientToken=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let first = token(&gate.seen("Action=CreateNatGateway")[0]);
    let none = "<DescribeNatGatewaysResponse><requestId>r</requestId><natGatewaySet/></DescribeNatGatewaysResponse>";
    gate.answer("Action=DescribeNatGateways", "Action=CreateNatGateway", 1, none);
    let said = apply(&project).code(0);
    assert_eq!(recovered(&said).len(), 1, "{}", said.err);
    let again: Vec<String> = gate.seen("Action=CreateNatGateway").iter().map(token).collect();
    assert_eq!((again, gateways(&account).as_str()), (vec![first], "1"));
    assert_eq!(last(&plan(&project).code(0).out), WHOLE);
}

/// A token stands for its inputs: with others the old one would be refused.
#[test]
fn other_inputs_get_a_token_of_their_own() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    gate.hold_before("Action=CreateNatGateway");
    killed(&project, &gate, "");
    project.edit(
        "playbooks/prod.rhai",
        "allocation_id: address.id",
        "allocation_id: address.id, tags: #{ Team: \"b\" }",
    );
    apply(&project).code(0);
    let token = |request: &String| request.split("ClientToken=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mut tokens: Vec<String> = gate.seen("Action=CreateNatGateway").iter().map(token).collect();
    tokens.dedup();
    assert_eq!((tokens.len(), gateways(&account).as_str()), (2, "1"));
}

/// What was made with the token is gone since: the server gives it back all the same, and it is made anew.
#[test]
fn a_token_of_what_is_gone_is_not_waited_for() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    gate.hold_after("Action=CreateNatGateway");
    killed(&project, &gate, "");
    account.boto(&format!(
        "ec2 = boto3.client('ec2', region_name='{REGION}')
for one in ec2.describe_nat_gateways()['NatGateways']: ec2.delete_nat_gateway(NatGatewayId=one['NatGatewayId'])"
    ));
    let said = apply(&project).code(0);
    assert!(recovered(&said)[0].ends_with("it does not exist: it is in the plan again"), "{}", said.err);
    assert_eq!(gateways(&account), "1");
    assert_eq!(last(&plan(&project).code(0).out), WHOLE);
}

/// The id that was written down finds what no listing by tags shows yet, also after a run that ended well.
#[test]
fn what_a_listing_leaves_out_is_found_by_its_id() {
    for ends_well in [true, false] {
        let (account, gate) = (Account::new(), Gate::new());
        let project = project(&account, &gate);
        match ends_well {
            true => drop(apply(&project).code(0)),
            false => {
                gate.hold_before("Action=CreateRouteTable");
                killed(&project, &gate, "");
            }
        }
        let none =
            "<DescribeNatGatewaysResponse><requestId>r</requestId><natGatewaySet/></DescribeNatGatewaysResponse>";
        // Only what asks by tags; nothing is created that would end it.
        gate.answer(
            "Action=DescribeNatGateways&Version=2016-11-15&Filter.1.Name=tag",
            "Action=CreateNatGateway",
            1,
            none,
        );
        let said = plan(&project).code(0);
        assert!(!gate.seen("Action=DescribeNatGateways&Version=2016-11-15&Filter.1.Name=tag").is_empty());
        assert!(!gate.seen("Filter.1.Name=nat-gateway-id").is_empty());
        assert!(!said.out.contains("+ aws::nat_gateway.prod"), "{}", said.out);
    }
}

#[test]
fn updates_and_deletions_are_looked_for_too() {
    let delete = |playbook: &str| playbook.split("let address").next().unwrap().to_owned();
    // Which call, held after it took effect or before; what is changed; what is found.
    let update: fn(&str) -> String = |playbook| playbook.replace("Team: \"a\"", "Team: \"b\"");
    let cases = [
        ("Action=CreateTags", true, update, "`aws::vpc.main` was being updated stopped: it is as declared now"),
        (
            "Action=CreateTags",
            false,
            update,
            "`aws::vpc.main` was being updated stopped: it still differs: it is in the plan",
        ),
        ("Action=DeleteNatGateway", true, delete, "`aws::nat_gateway.prod` was being deleted stopped: it is gone"),
        (
            "Action=DeleteNatGateway",
            false,
            delete,
            "`aws::nat_gateway.prod` was being deleted stopped: it is still there",
        ),
    ];
    for (call, after, edit, found) in cases {
        let (account, gate) = (Account::new(), Gate::new());
        let project = project(&account, &gate);
        apply(&project).code(0);
        project.write("playbooks/prod.rhai", &edit(PLAYBOOK));
        if after {
            gate.hold_after(call);
        } else {
            gate.hold_before(call);
        }
        killed(&project, &gate, "--prune");
        assert_eq!(recovered(&plan(&project).code(0)), [found]);
        assert_eq!(recovered(&project.run("playbooks/prod.rhai --yes --prune").code(0)), [found]);
        let done = project.run("playbooks/prod.rhai --dry-run --prune --detailed-exitcode").code(0);
        assert_eq!(recovered(&done).len(), 0, "{}", done.err);
    }
}

/// Another machine has no journal: the tags lead to the same.
#[test]
fn without_the_journal_the_tags_tell_the_same() {
    for after in [true, false] {
        let (account, gate) = (Account::new(), Gate::new());
        let project = project(&account, &gate);
        if after {
            gate.hold_after("Action=CreateNatGateway");
        } else {
            gate.hold_before("Action=CreateNatGateway");
        }
        killed(&project, &gate, "");
        std::fs::remove_dir_all(project.path(".runner")).unwrap();
        let said = apply(&project).code(0);
        assert_eq!((recovered(&said).len(), gateways(&account).as_str()), (0, "1"));
        assert_eq!(last(&plan(&project).code(0).out), WHOLE);
    }
}

/// A run that is alive has not stopped.
#[test]
fn who_looks_beside_a_run_is_not_told_that_it_stopped() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    gate.hold_after("Action=CreateNatGateway");
    let run = project.start("playbooks/prod.rhai --yes");
    gate.wait_held();
    assert_eq!(recovered(&plan(&project).code(0)).len(), 0);
    run.signal("KILL");
    run.end();
    assert_eq!(recovered(&plan(&project).code(0)).len(), 1);
}

/// Each run that is killed leaves it open; who comes next is told once, by the latest of them.
#[test]
fn what_several_killed_runs_left_is_told_once() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    for _ in 0..2 {
        gate.hold_before("Action=CreateNatGateway");
        killed(&project, &gate, "");
    }
    let line = "`aws::nat_gateway.prod` was being created stopped: it does not exist: it is in the plan again";
    assert_eq!(recovered(&apply(&project).code(0)), [line]);
    assert_eq!(recovered(&plan(&project).code(0)), [""; 0]);
}

const ONE: &str = "aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });\n";

fn one() -> Project {
    Project::new("").file("playbooks/prod.rhai", ONE)
}

fn warnings(said: &Said) -> usize {
    said.err.matches("warning: ").count()
}

/// One warning that says what and where, once; and the run goes on.
#[test]
fn whatever_a_journal_holds_the_run_goes_on() {
    let begun = "{\"begun\":{\"journal\":1,\"at\":\"2026-01-01T00:00:00Z\",\"run\":\"aaaaaaaa\",\"stack\":\"prod\",\
                 \"sandbox\":\"SANDBOX\",\"salt\":null}}\n";
    let intent = "{\"intent\":{\"at\":\"2026-01-01T00:00:00Z\",\"address\":\"aws::vpc.main\",\"operation\":\"create\",\
                  \"id\":null,\"region\":null,\"token\":\"t\",\"digest\":null}}\n";
    let whole = format!("{begun}{intent}");
    let deep = format!("{begun}{}", "[".repeat(200_000));
    let huge = format!("{begun}{}", "x\n".repeat(9 << 20));
    let cases: [(&str, &[u8], &str); 8] = [
        ("half a line", &whole.as_bytes()[..whole.len() - 9], "its last line is cut off"),
        ("zeros", &[0; 4096], "its last line is cut off"),
        ("no text", b"\xff\xfe\n\x00\n", "line 1 cannot be read"),
        ("of another version", b"{\"begun\":{\"journal\":2}}\n", "it has version 2, and this runner reads 1"),
        ("empty", b"", "it is empty"),
        ("another file", b"[1, 2]\n{}\n", "line 1 cannot be read"),
        ("deep", deep.as_bytes(), "its last line is cut off"),
        ("huge", huge.as_bytes(), "it is longer than 16 MiB"),
    ];
    for (name, text, told) in cases {
        let project = one();
        let folder = project.path(".runner/runs/aaaaaaaa");
        std::fs::create_dir_all(&folder).unwrap();
        let sandbox = project.path(".runner/sandbox.json").display().to_string();
        let text = match std::str::from_utf8(text) {
            Ok(text) => text.replace("SANDBOX", &sandbox).into_bytes(),
            Err(_) => text.to_vec(),
        };
        std::fs::write(folder.join("journal"), text).unwrap();
        for args in ["--dry-run", "--yes"] {
            let said = project.run(&format!("playbooks/prod.rhai --sandbox {args}")).code(0);
            assert_eq!(warnings(&said), 1, "{name}: {}", said.err);
            let file: PathBuf = ["runs", "aaaaaaaa", "journal"].iter().collect();
            for words in [told, file.to_str().unwrap(), "found by the tags alone"] {
                assert!(said.err.contains(words), "{name}: {}", said.err);
            }
        }
        // One that a newer runner can read is left to it.
        let foreign = name == "of another version";
        let said = project.run("playbooks/prod.rhai --sandbox").code(0);
        assert_eq!(warnings(&said), usize::from(foreign), "{name}: {}", said.err);
        assert_eq!(folder.join("settled").exists(), !foreign, "{name}");
    }
}

#[test]
fn what_is_no_file_is_no_journal() {
    let project = one();
    project
        .shell("mkdir -p .runner/runs/a/journal .runner/runs/b .runner/runs/c && mkfifo .runner/runs/b/journal")
        .code(0);
    // A link to nowhere is nothing.
    project.shell("ln -s nowhere .runner/runs/c/journal; ln -s ../.. .runner/runs/d; echo x > .runner/runs/e").code(0);
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert_eq!((warnings(&said), said.err.matches("it is not a file").count()), (1, 2), "{}", said.err);
    let said = project.run("playbooks/prod.rhai --sandbox").code(0);
    assert_eq!(warnings(&said), 0, "{}", said.err);
}

#[test]
fn what_cannot_be_recorded_is_not_begun() {
    let project = one();
    // A folder in which nobody can make anything.
    project.shell("mkdir .runner && ln -s /proc .runner/runs").code(0);
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(1);
    assert!(said.err.contains("nothing was changed: the run's record cannot be written"), "{}", said.err);
    std::fs::remove_file(project.path(".runner/runs")).unwrap();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
}

/// A limit on the size of files stands for a full disk: what is not written down is not begun.
#[test]
fn a_disk_that_fills_up_stops_what_is_not_begun() {
    let (account, gate) = (Account::new(), Gate::new());
    let project = project(&account, &gate);
    let said = project.shell("trap '' XFSZ; ulimit -f 2; exec runner playbooks/prod.rhai --yes").code(1);
    // Told once, whatever could not be begun, and with the file.
    assert_eq!(said.err.matches("journal").count(), 2, "{}", said.err);
    assert!(said.err.contains("nothing further was begun: the run's journal cannot be written"), "{}", said.err);
    assert!(said.err.contains("/journal: File too large"), "{}", said.err);
    assert!(said.err.contains("created"), "{}", said.err);
    apply(&project).code(0);
    assert_eq!((gateways(&account).as_str(), last(&plan(&project).code(0).out)), ("1", WHOLE));
}

/// All is made, and nothing is left to begin.
#[test]
fn a_journal_that_lacks_only_the_end_is_no_failure() {
    let (account, gate) = (Account::new(), Gate::new());
    account.delay("nat_gateway", 6.0);
    let project = project(&account, &gate);
    project.edit("playbooks/prod.rhai", PLAYBOOK.lines().last().unwrap(), "");
    let run = project.start("playbooks/prod.rhai --yes");
    // Its end is waited for, and all others have ended.
    gate.wait_seen("Filter.1.Name=nat-gateway-id");
    run.fill_disk();
    let said = run.end().code(0);
    assert!(said.err.contains("Done: 5 created"), "{}", said.err);
    assert!(said.err.contains("warning: how this run ended is not in its journal"), "{}", said.err);
    assert_eq!(warnings(&said), 1, "{}", said.err);
    account.delay("nat_gateway", 0.0);
    let said = plan(&project).code(0);
    assert_eq!(last(&said.out), "Nothing to do: 5 resources are as declared.");
}

/// It is told before anything is looked at or planned, with the path.
#[test]
fn a_file_in_the_place_of_a_folder_is_told_up_front() {
    for name in [".runner", ".runner/runs", ".runner/locks"] {
        let project = one();
        project.shell(&format!("mkdir -p $(dirname {name}); echo x > {name}")).code(0);
        for command in [
            "playbooks/prod.rhai --yes",
            "playbooks/prod.rhai --sandbox=play.json --yes",
            "playbooks/prod.rhai --sandbox --yes",
            "destroy playbooks/prod.rhai --yes",
        ] {
            let said = project.run(command).code(1);
            assert!(said.err.contains(&format!("{name} is not a folder")), "{command}: {}", said.err);
            assert!(
                said.err.contains("move it away") && !said.out.contains("aws::vpc.main"),
                "{}{}",
                said.err,
                said.out
            );
        }
        project.run("playbooks/prod.rhai --sandbox=play.json --dry-run").code(0);
        let looked = project.run("unlock playbooks/prod.rhai");
        assert!(!looked.err.contains("nothing was changed"), "{}", looked.err);
        assert_eq!(project.read(name), "x\n");
    }
}
