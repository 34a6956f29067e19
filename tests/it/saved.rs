//! Saved plans through the binary: shown as they were planned, applied as they were shown, or refused.

use std::os::unix::fs::PermissionsExt;

use crate::control_plane::ControlPlane;
use crate::k8s::Stack;
use crate::moto::Account;
use crate::platform::{Platform, SECRETS};
use crate::project::{Project, Said, last};

const NETWORK: &str = r#"
import "net" as net;
let env = inventory();
let vpc = phase("network", || net::vpc(env));
phase("subnets", || {
    for (range, i) in env.ranges {
        aws::subnet(`s${i}`, #{ vpc_id: vpc.id, cidr_block: range, tags: #{ Note: template("note.txt", #{ env: env }) } });
    }
});
output("vpc", vpc.id);
"#;

const MODULE: &str = r#"fn vpc(env) {
    aws::vpc(env.name, #{ cidr_block: env.cidr, tags: #{ Team: env.team } })
}
"#;

const INVENTORY: &str = "extends = \"common\"\ncidr = \"10.0.0.0/16\"\nteam = \"a\"\n";
const COMMON: &str = "ranges = [\"10.0.1.0/24\", \"10.0.2.0/24\"]\n[aws]\nregion = \"eu-west-1\"\n";

fn network() -> Project {
    Project::new(INVENTORY)
        .file("inventory/common.toml", COMMON)
        .file("playbooks/prod.rhai", NETWORK)
        .file("playbooks/net.rhai", MODULE)
        .file("templates/note.txt", "{% include 'part.txt' %} of {{ env.name }}")
        .file("templates/part.txt", "note")
}

fn reaching(project: Project, account: &Account) -> Project {
    account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value))
}

/// The dry run that saved it.
fn save(project: &Project, args: &str) -> Said {
    project.run(&format!("playbooks/prod.rhai --dry-run --plan-out plan {args}")).code(0)
}

/// What an apply that is refused tells.
#[track_caller]
fn refused(project: &Project, args: &str, texts: &[&str]) {
    let said = project.run(&format!("apply plan --yes {args}")).code(1);
    assert!(said.err.contains("nothing was changed"), "{}", said.err);
    for text in texts {
        assert!(said.err.contains(text), "no {text:?} in\n{}", said.err);
    }
}

/// How often something was asked to change.
fn writes(account: &Account) -> u64 {
    let reads = ["Describe", "List", "Get"];
    let calls = account.calls().into_iter();
    let writing = calls.filter(|(name, _)| {
        let verb = name.split(':').nth(1).unwrap_or(name);
        !reads.iter().any(|read| verb.starts_with(read))
    });
    writing.map(|(_, times)| times).sum()
}

#[test]
fn a_plan_is_shown_as_it_was_and_applied_as_it_was_shown() {
    let project = network();
    let plan = save(&project, "--sandbox --set team=b");
    assert!(plan.err.contains("Saved the plan to plan: `runner show plan`, `runner apply plan`."), "{}", plan.err);
    assert!(!project.path(".runner").exists(), "a dry run leaves nothing behind but what it was asked for");
    assert_eq!(std::fs::metadata(project.path("plan")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(project.run("show plan").code(0).out, plan.out);
    let json = project.run("playbooks/prod.rhai --dry-run --sandbox --set team=b --format json").code(0);
    let shown = project.run("show plan --format json").code(0);
    assert_eq!(shown.out, json.out);
    assert!(shown.err.contains("`runner playbooks/prod.rhai --set team=b --sandbox`"), "{}", shown.err);
    let applied = project.run("apply plan --yes").code(0);
    assert!(applied.out.starts_with(&plan.out), "{}", applied.out);
    assert!(applied.err.contains("Done: 3 created") && applied.out.contains("vpc = \"vpc-"), "{}", applied.err);
    let again = project.run("playbooks/prod.rhai --dry-run --sandbox --set team=b --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 3 resources are as declared.");
    refused(&project, "", &["aws::subnet.s0 exists now", "aws::vpc.prod exists now", "plan again: runner playbooks"]);
    // Nothing to do is a plan as well.
    let nothing = save(&project, "--sandbox --set team=b");
    let done = project.run("apply plan").code(0);
    assert!(done.out.starts_with(&nothing.out), "{}", done.out);
}

#[test]
fn updates_replacements_prunes_and_destroys_are_applied_too() {
    let project = network();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let plan = save(&project, "--sandbox --set team=b --set ranges=[\"10.0.3.0/24\"] --prune -v");
    assert_eq!(project.run("show plan -v").code(0).out, plan.out);
    let applied = project.run("apply plan --yes").code(0);
    assert!(applied.err.contains("Done: 1 created, 1 updated, 2 deleted"), "{}", applied.err);
    let state = project.read(".runner/sandbox.json");
    assert!(!state.contains("10.0.1.0/24") && !state.contains("10.0.2.0/24") && state.contains("10.0.3.0/24"));
    // A new name for the same, of one phase alone.
    project.edit("playbooks/net.rhai", "aws::vpc(env.name, ", "aws::vpc(\"main\", ");
    project.edit("playbooks/net.rhai", "} })", "} }, #{ was: env.name, protect: true })");
    project.edit("inventory/prod.toml", "team = \"a\"", "team = \"b\"");
    save(&project, "--sandbox --phase network");
    project.run("apply plan --yes").code(0);
    let again = project.run("playbooks/prod.rhai --sandbox --dry-run --phase network --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 1 resource is as declared.");
    project.edit("playbooks/net.rhai", ", protect: true", "");
    project.run("playbooks/prod.rhai --sandbox --yes --set ranges=[\"10.0.3.0/24\"]").code(0);
    let gone = project.run("destroy playbooks/prod.rhai --sandbox --dry-run --plan-out plan").code(0);
    assert_eq!(project.run("show plan").code(0).out, gone.out);
    let gone = project.run("apply plan --yes").code(0);
    assert!(gone.err.contains("Done: 2 deleted"), "{}", gone.err);
    let empty = project.run("destroy playbooks/prod.rhai --sandbox --dry-run").code(0);
    assert!(empty.out.contains("has no resources"), "{}", empty.out);
}

#[test]
fn a_plan_is_bound_to_the_files_it_was_made_from() {
    let project = network();
    save(&project, "--sandbox");
    for (file, from, to) in [
        ("playbooks/prod.rhai", "output(", "// only a comment\noutput("),
        ("playbooks/net.rhai", "Team", "team"),
        ("templates/note.txt", "of", "OF"),
        ("templates/part.txt", "note", "Note"),
        ("inventory/prod.toml", "\"a\"", "\"b\""),
        ("inventory/common.toml", "10.0.2.0", "10.0.3.0"),
    ] {
        let text = project.read(file);
        project.edit(file, from, to);
        refused(&project, "", &[&format!("{file} was changed")]);
        let shown = project.run("show plan").code(0);
        assert!(shown.err.contains("warning: the plan is stale") && shown.err.contains(file), "{}", shown.err);
        project.write(file, &text);
    }
    std::fs::remove_file(project.path("templates/part.txt")).unwrap();
    project.edit("playbooks/net.rhai", "Team", "team");
    refused(&project, "", &["templates/part.txt is gone", "playbooks/net.rhai was changed"]);
    assert!(!project.path(".runner/sandbox.json").exists());
}

#[test]
fn the_file_alone_is_enough() {
    let account = Account::new();
    let project = reaching(network(), &account);
    save(&project, "");
    let elsewhere = reaching(Project::new(""), &account);
    std::fs::remove_dir_all(elsewhere.path("inventory")).unwrap();
    std::fs::copy(project.path("plan"), elsewhere.path("plan")).unwrap();
    let applied = elsewhere.run("apply plan --yes").code(0);
    assert!(applied.err.contains("The project's files are not here"), "{}", applied.err);
    let again = project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 3 resources are as declared.");
}

#[test]
fn nothing_can_be_added_to_a_plan_and_it_belongs_to_its_sandbox() {
    let project = network();
    save(&project, "--sandbox=one.json");
    project.run("apply plan --yes --set team=b").code(64);
    project.run("apply plan --yes --phase network").code(64);
    project.run("playbooks/prod.rhai --sandbox --plan-out other").code(64);
    assert!(!project.path("other").exists());
    refused(&project, "--sandbox", &["another sandbox", "one.json"]);
    project.run("apply plan --yes --sandbox=one.json").code(0);
    assert!(project.path("one.json").exists() && !project.path(".runner/sandbox.json").exists());
    let account = Account::new();
    let project = reaching(network(), &account);
    save(&project, "");
    refused(&project, "--sandbox", &["was not made on a sandbox"]);
    assert_eq!(writes(&account), 0);
}

#[test]
fn a_plan_of_one_sandbox_fills_no_other() {
    let project = network();
    save(&project, "--sandbox");
    let elsewhere = network();
    std::fs::copy(project.path("plan"), elsewhere.path("plan")).unwrap();
    refused(
        &elsewhere,
        "",
        &["the plan was made elsewhere", "sandbox.json then", "in the project that it was made in"],
    );
    std::fs::remove_dir_all(elsewhere.path("playbooks")).unwrap();
    std::fs::remove_dir_all(elsewhere.path("inventory")).unwrap();
    std::fs::remove_dir_all(elsewhere.path("templates")).unwrap();
    refused(&elsewhere, "", &["the plan was made elsewhere"]);
    assert!(!elsewhere.path(".runner").exists(), "nothing is left where it was refused");
    project.shell("cd playbooks && runner apply ../plan --yes").code(0);
    assert!(project.path(".runner/sandbox.json").exists());
}

#[test]
fn a_playbook_is_no_plan_and_the_answer_is_not_waited_for_by_the_world() {
    let project = network();
    let said = project.run("apply playbooks/prod.rhai").code(1);
    assert!(said.err.contains("is a playbook") && said.err.contains("--plan-out FILE saves a plan"), "{}", said.err);
    let account = Account::new();
    let project = reaching(network(), &account);
    project.run("playbooks/prod.rhai --yes").code(0);
    save(&project, "--set team=b");
    // Somebody else is faster than the answer.
    let answer = "(until [ -f go ]; do sleep 0.1; done; echo yes) | script -qec 'runner apply plan' /dev/null >said";
    let said = std::thread::scope(|scope| {
        let applied = scope.spawn(|| project.shell(&format!("{answer}; exit $?")));
        let asked = || std::fs::read_to_string(project.path("said")).is_ok_and(|said| said.contains("Only `yes`"));
        while !asked() && !applied.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        account.boto(
            "ec2 = boto3.client('ec2', 'eu-west-1')
v = ec2.describe_vpcs(Filters=[{'Name': 'tag:runner:stack', 'Values': ['prod']}])['Vpcs'][0]['VpcId']
ec2.create_tags(Resources=[v], Tags=[{'Key': 'Team', 'Value': 'theirs'}])",
        );
        account.forget_calls();
        project.write("go", "");
        applied.join().unwrap()
    });
    let told = project.read("said");
    assert!(said.code == 1 && told.contains("the plan is stale") && told.contains("aws::vpc.prod"), "{told}");
    assert_eq!(writes(&account), 0);
}

#[test]
fn a_plan_that_is_not_whole_is_refused() {
    let project = network();
    save(&project, "--sandbox");
    let text = project.read("plan");
    let told = |text: &str, wanted: &str| {
        project.write("plan", text);
        for command in ["apply plan --yes", "show plan"] {
            let said = project.run(command).code(1);
            assert!(said.err.contains(wanted), "{}", said.err);
        }
    };
    told(&text[..text.len() / 2], "plan is not a whole saved plan");
    told(&text.replacen("10.0.0.0/16", "10.9.0.0/16", 1), "its digest is not that of its content");
    told(&(text.clone() + "\n"), "its digest is not that of its content");
    told(&text.replacen("\"runner_plan\": 1", "\"runner_plan\": 2", 1), "saved plan of version 2");
    told("{}", "plan is not a saved plan");
    told("", "plan is not a whole saved plan");
    std::fs::remove_file(project.path("plan")).unwrap();
    project.run("apply plan --yes").code(1);
    let nowhere = project.run("playbooks/prod.rhai --sandbox --dry-run --plan-out no/plan").code(1);
    assert!(nowhere.err.contains("cannot be saved to no/plan"), "{}", nowhere.err);
    assert!(!project.path(".runner").exists());
}

#[test]
fn whatever_moved_is_named_and_nothing_is_half_applied() {
    let account = Account::new();
    let project = reaching(network(), &account);
    let boto = |code: &str| account.boto(&format!("ec2 = boto3.client('ec2', 'eu-west-1')\n{code}"));
    let ours = "ours = [{'Name': 'tag:runner:stack', 'Values': ['prod']}]\n";
    save(&project, "");
    project.run("apply plan --yes").code(0);
    let again = project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 3 resources are as declared.");

    // One is to be changed, one is replaced, one is new.
    let changed = "--set team=b --set ranges=[\"10.0.3.0/24\",\"10.0.2.0/24\",\"10.0.4.0/24\"]";
    save(&project, changed);
    boto(&format!(
        "{ours}v = ec2.describe_vpcs(Filters=ours)['Vpcs'][0]['VpcId']
ec2.create_tags(Resources=[v], Tags=[{{'Key': 'Team', 'Value': 'z'}}])
subnets = {{s['CidrBlock']: s['SubnetId'] for s in ec2.describe_subnets(Filters=ours)['Subnets']}}
ec2.delete_subnet(SubnetId=subnets['10.0.2.0/24'])
s = ec2.create_subnet(VpcId=v, CidrBlock='10.0.9.0/24')['Subnet']['SubnetId']
ec2.create_tags(Resources=[s], Tags=[{{'Key': 'runner:stack', 'Value': 'prod'}}, {{'Key': 'runner:address', 'Value': 'aws::subnet.s2'}}])"
    ));
    account.forget_calls();
    refused(&project, "", &["aws::vpc.prod: `tags` changed", "aws::subnet.s1 is gone", "aws::subnet.s2 exists now"]);
    assert_eq!(writes(&account), 0, "{:?}", account.calls());

    // What is no longer declared counts as well.
    let pruned = "--set ranges=[] --prune";
    save(&project, pruned);
    boto(&format!(
        "{ours}s = [s['SubnetId'] for s in ec2.describe_subnets(Filters=ours)['Subnets'] if s['CidrBlock'] == '10.0.9.0/24'][0]
ec2.delete_subnet(SubnetId=s)"
    ));
    account.forget_calls();
    refused(&project, "", &["aws::subnet.s2 is gone"]);
    assert_eq!(writes(&account), 0);
    save(&project, pruned);
    project.run("apply plan --yes").code(0);
    assert_eq!(boto(&format!("{ours}print(len(ec2.describe_subnets(Filters=ours)['Subnets']))")).trim(), "0");

    // Something more of the stack's, while all of it was to go.
    project.run("destroy playbooks/prod.rhai --dry-run --plan-out plan").code(0);
    boto(&format!(
        "{ours}v = ec2.describe_vpcs(Filters=ours)['Vpcs'][0]['VpcId']
s = ec2.create_subnet(VpcId=v, CidrBlock='10.0.9.0/24')['Subnet']['SubnetId']
ec2.create_tags(Resources=[s], Tags=[{{'Key': 'runner:stack', 'Value': 'prod'}}, {{'Key': 'runner:address', 'Value': 'aws::subnet.s9'}}])"
    ));
    account.forget_calls();
    refused(&project, "", &["aws::subnet.s9 is the stack's now"]);
    assert_eq!(writes(&account), 0);
}

#[test]
fn what_is_adopted_is_the_one_that_was_looked_at() {
    let account = Account::new();
    let boto = |code: &str| account.boto(&format!("ec2 = boto3.client('ec2', 'eu-west-1')\n{code}"));
    let id = boto("print(ec2.create_vpc(CidrBlock='10.0.0.0/16')['Vpc']['VpcId'])").trim().to_owned();
    let playbook = format!("aws::vpc(\"main\", #{{ cidr_block: \"10.0.0.0/16\" }}, #{{ adopt: \"{id}\" }});");
    let project =
        reaching(Project::new("[aws]\nregion = \"eu-west-1\"\n").file("playbooks/prod.rhai", &playbook), &account);
    save(&project, "");
    boto(&format!(
        "ec2.create_tags(Resources=['{id}'], Tags=[{{'Key': 'runner:stack', 'Value': 'other'}}, {{'Key': 'runner:address', 'Value': 'aws::vpc.x'}}])"
    ));
    account.forget_calls();
    let said = project.run("apply plan --yes").code(1);
    assert!(said.err.contains("stack `other` owns it as aws::vpc.x"), "{}", said.err);
    assert_eq!(writes(&account), 0);
    boto(&format!(
        "ec2.delete_tags(Resources=['{id}'], Tags=[{{'Key': 'runner:stack'}}, {{'Key': 'runner:address'}}])"
    ));
    project.run("apply plan --yes").code(0);
    let again = project.run("playbooks/prod.rhai --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 1 resource is as declared.");
}

#[test]
fn another_account_is_not_where_it_was_planned() {
    let (one, other) = (Account::new(), Account::new());
    let project = reaching(network(), &one);
    save(&project, "");
    let elsewhere = reaching(Project::new(""), &other);
    std::fs::remove_dir_all(elsewhere.path("inventory")).unwrap();
    std::fs::copy(project.path("plan"), elsewhere.path("plan")).unwrap();
    refused(&elsewhere, "", &["the plan was made elsewhere", &one.number, &other.number]);
    assert_eq!(writes(&other), 0);
}

const VALUE: &str = "NOTAREAL-canary/1+2=\u{e4}";

#[test]
fn a_plan_holds_no_secret_and_is_bound_to_its_value() {
    let account = Account::new();
    let inventory = "[aws]\nregion = \"eu-west-1\"\n[secrets]\nfile = { file = \"canary.txt\" }\n";
    let playbook = "let s = secret(\"file\");
let vpc = aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\", tags: #{ note: `password=${s}`, plain: inventory().get(\"plain\") ?? \"p\" } });
output(\"told\", `it is ${s}`);";
    let project = Project::new(inventory).file("playbooks/prod.rhai", playbook).file("canary.txt", VALUE);
    let project = reaching(project, &account);
    let unseen = || {
        let text = project.read("plan");
        let forms =
            ["NOTAREAL-canary", "Tk9UQVJFQUwtY2FuYXJ5", "9UQVJFQUwtY2FuYXJ5", "NOTAREAL%2Dcanary", "canary%2F1"];
        for form in forms {
            assert!(!text.contains(form), "{form} in\n{text}");
        }
    };
    let plan = save(&project, "");
    unseen();
    assert_eq!(project.run("show plan").code(0).out, plan.out);
    project.write("canary.txt", "NOTAREAL-other");
    account.forget_calls();
    refused(&project, "", &["the secret `file` has another value now"]);
    assert_eq!(writes(&account), 0);
    project.write("canary.txt", VALUE);
    project.run("apply plan --yes").code(0);
    // The live form holds it too, whatever is planned.
    let plan = save(&project, "--set plain=q -v");
    unseen();
    assert_eq!(project.run("show plan -v").code(0).out, plan.out);
    project.run("apply plan --yes").code(0);
    project.run("playbooks/prod.rhai --dry-run --detailed-exitcode --set plain=q").code(0);
    project.run("destroy playbooks/prod.rhai --dry-run --plan-out plan").code(0);
    unseen();
    project.write("canary.txt", "abc");
    let said = project.run("playbooks/prod.rhai --dry-run --plan-out short").code(1);
    assert!(said.err.contains("too short to be kept out of it: `file`"), "{}", said.err);
    assert!(!project.path("short").exists());
    // One that is itself a word of the plan cannot be kept out of it.
    project.write("canary.txt", "10.0.0.0/16");
    std::fs::remove_file(project.path("plan")).unwrap();
    let said = project.run("playbooks/prod.rhai --dry-run --plan-out plan").code(0);
    let file = project.read("plan");
    assert!(!file.contains("10.0.0.0/16"), "{}{file}", said.out);
    project.write("canary.txt", "main");
    let said = project.run("playbooks/prod.rhai --dry-run --plan-out other").code(1);
    assert!(said.err.contains("the plan cannot be saved: it would hold a secret"), "{}", said.err);
    assert!(!project.path("other").exists());
}

#[test]
fn a_first_stage_is_applied_as_what_it_is() {
    let playbook = r#"
let ip = aws::eip("gate", #{ domain: "vpc" });
if ip.public_ip.starts_with("198.") {
    aws::vpc("seen", #{ cidr_block: "10.0.0.0/16" });
}
"#;
    let project = Project::new("").file("playbooks/prod.rhai", playbook);
    let plan = save(&project, "--sandbox");
    assert_eq!(project.run("show plan").code(0).out, plan.out);
    let applied = project.run("apply plan --yes").code(0);
    assert!(
        applied.err.contains("This was a first stage: the script ends at playbooks/prod.rhai:3:"),
        "{}",
        applied.err
    );
    assert!(applied.err.contains("For the rest: runner playbooks/prod.rhai --sandbox"), "{}", applied.err);
    // What the script saw is in the plan for good.
    save(&project, "--sandbox");
    project.run("apply plan --yes").code(0);
    project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
}

const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: NS }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { colour: green }
---
apiVersion: v1
kind: Secret
metadata: { name: key }
stringData: { password: "{{ password }}" }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
"#;

#[test]
fn objects_of_a_cluster_are_bound_to_what_they_were() {
    let stack = Stack::new(
        r#"k8s::manifest("web", #{ cluster: cluster, yaml: template("web.yaml", #{ password: secret("key") }), namespace: "NS" });"#,
    )
    .file("templates/web.yaml", OBJECTS)
    .file("key.txt", VALUE);
    stack.project.write(&format!("inventory/{}.toml", stack.name), "[secrets]\nkey = { file = \"key.txt\" }\n");
    let save = || {
        let plan = stack.run("--dry-run --plan-out plan").code(0);
        assert_eq!(stack.project.run("show plan").code(0).out, plan.out);
        let text = stack.project.read("plan");
        assert!(!text.contains("NOTAREAL") && !text.contains("Tk9UQVJFQUwtY2FuYXJ5"), "{text}");
        plan
    };
    save();
    stack.project.run("apply plan --yes").code(0);
    let again = stack.run("--dry-run --detailed-exitcode").code(0);
    assert!(again.out.contains("Nothing to do"), "{}", again.out);

    stack.edit("templates/web.yaml", "colour: green", "colour: blue");
    save();
    let map = "/api/v1/namespaces/NS/configmaps/settings";
    stack.change(map, serde_json::json!({ "data": { "colour": "red" } }));
    let mark = stack.plane.mark();
    let said = stack.project.run("apply plan --yes").code(1);
    let settings = format!("k8s::ConfigMap.{}/settings cannot be planned", stack.name);
    assert!(said.err.contains("nothing was changed") && said.err.contains(&settings), "{}", said.err);
    assert_eq!(stack.live(map)["data"]["colour"], "red");
    let writes = ["create", "update", "patch", "delete"];
    let written = stack.requests(mark).into_iter().filter(|one| writes.contains(&&*one.verb) && !one.dry_run);
    assert_eq!(written.map(|one| one.uri).collect::<Vec<_>>(), [""; 0]);
    stack.remove(map);
    stack.run("--yes").code(0);

    stack.edit("templates/web.yaml", "colour: blue", "colour: green");
    save();
    // What others note on it is not ours to mind.
    stack.change(map, serde_json::json!({ "metadata": { "annotations": { "seen-by": "someone" } } }));
    stack.project.run("apply plan --yes").code(0);
    assert_eq!(stack.live(map)["data"]["colour"], "green");

    stack.edit("templates/web.yaml", "colour: green", "colour: white");
    save();
    stack.remove(map);
    let said = stack.project.run("apply plan --yes").code(1);
    assert!(said.err.contains("/settings is gone"), "{}", said.err);
    assert!(stack.live(map).is_null());

    let gone = stack.project.run(&format!("destroy playbooks/main.rhai -i {} --dry-run --plan-out plan", stack.name));
    assert_eq!(stack.project.run("show plan").code(0).out, gone.code(0).out);
    stack.project.run("apply plan --yes").code(0);
    assert!(stack.parent().is_null());
}

#[test]
fn another_cluster_is_not_where_it_was_planned() {
    let one = ControlPlane::shared();
    let stack = Stack::entered_by(
        one.unused("stack"),
        "kubeconfig.yaml",
        "
k8s::manifest(\"web\", #{ cluster: cluster, yaml: \"{ apiVersion: v1, kind: Namespace, metadata: { name: NS } }\" });",
    );
    let way = stack.project.path("kubeconfig.yaml");
    std::fs::copy(one.kubeconfig(), &way).unwrap();
    stack.run("--dry-run --plan-out plan").code(0);
    std::fs::copy(ControlPlane::of_its_own().kubeconfig(), &way).unwrap();
    let said = stack.project.run("apply plan --yes").code(1);
    assert!(said.err.contains("the plan was made elsewhere") && said.err.contains("k8s::cluster.main"), "{}", said.err);
    std::fs::copy(one.kubeconfig(), &way).unwrap();
    stack.project.run("apply plan --yes").code(0);
    stack.destroy().code(0);
}

#[test]
fn the_whole_platform_from_saved_plans() {
    let platform = Platform::new(ControlPlane::of_its_own(), None);
    let project = &platform.project;
    let save = |command: &str| {
        let plan = project.run(&format!("{command} --dry-run --plan-out plan")).code(0);
        assert!(project.run("show plan").code(0).out == plan.out, "what is shown is what was planned");
        let text = project.read("plan");
        for (name, secret) in SECRETS {
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, secret);
            assert!(!text.contains(secret) && !text.contains(&encoded), "{name}");
        }
        platform.account.forget_calls();
        plan
    };
    let first = save("playbooks/prod.rhai");
    assert_eq!(last(&first.out), "Plan: 204 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    let made = project.run("apply plan --yes").code(0);
    assert!(made.err.contains("Done: 204 created"), "{}", made.err);
    // Nothing of it moves by itself.
    save("playbooks/prod.rhai");
    let nothing = project.run("apply plan").code(0);
    assert!(nothing.out.contains("Nothing to do: 204 resources are as declared."), "{}", nothing.out);
    assert_eq!(writes(&platform.account), 0, "{:?}", platform.account.calls());
    project.edit("templates/keycloak/keycloak.yaml", "keycloak:26.7.2", "keycloak:26.7.3");
    project.edit("inventory/common.toml", "instance_type = \"m7i.large\"", "instance_type = \"m7i.2xlarge\"");
    save("playbooks/prod.rhai");
    project.run("apply plan --yes").code(0);
    let open = "--set database.protect=false --set edge.protect=false";
    save(&format!("playbooks/prod.rhai {open}"));
    project.run("apply plan --yes").code(0);
    save(&format!("destroy playbooks/prod.rhai {open}"));
    let gone = project.run("apply plan --yes").code(0);
    assert!(gone.err.contains("Done: 204 deleted"), "{}", gone.err);
    assert_eq!(platform.tagged("prod"), [""; 0]);
    assert_eq!(platform.in_the_cluster(platform.prod, "prod"), [""; 0]);
    assert_eq!(platform.records(), [""; 0]);
}

#[test]
fn what_a_replacement_left_over_goes_by_a_saved_plan_too() {
    let project = network();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let mut state: serde_json::Value = serde_json::from_str(&project.read(".runner/sandbox.json")).unwrap();
    let records = state["resources"].as_array_mut().unwrap();
    let mut left = records.iter().find(|record| record["kind"] == "aws::subnet").unwrap().clone();
    let id = left["live"]["id"].as_str().unwrap().to_owned();
    left = serde_json::from_str(&left.to_string().replace(&id, "subnet-0123456789abcdef0")).unwrap();
    left["live"]["owner"]["deposed"] = true.into();
    records.push(left);
    project.write(".runner/sandbox.json", &state.to_string());
    let plan = save(&project, "--sandbox");
    assert!(plan.out.contains("subnet-0123456789abcdef0") && plan.out.contains("1 to delete"), "{}", plan.out);
    assert_eq!(project.run("show plan").code(0).out, plan.out);
    let applied = project.run("apply plan --yes").code(0);
    assert!(applied.err.contains("Done: 1 deleted"), "{}", applied.err);
    project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
}

/// A report to `/dev/null` by root would else leave the machine without one.
#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let project = network();
    project.shell("mkfifo pipe; mkdir folder").code(0);
    for target in ["pipe", "folder", "none/plan"] {
        for option in ["--plan-out", "--report", "--record"] {
            let said = project.run(&format!("playbooks/prod.rhai --sandbox --dry-run {option} {target}")).code(1);
            assert!(said.err.contains(target) && said.err.contains("error: "), "{option} {target}: {}", said.err);
        }
        let said = project.run(&format!("playbooks/prod.rhai --sandbox --dry-run --plan-out {target}")).code(1);
        assert!(said.err.contains("the plan cannot be saved to") && !said.err.contains("earlier one"), "{}", said.err);
        assert!(!said.out.contains("Plan:"), "told before anything is planned: {}", said.out);
    }
    project.shell("test -p pipe && test -d folder && test ! -e none").code(0);
}

/// A pipe is waited for, since somebody named it, and read no further than any plan goes.
#[test]
fn a_plan_may_come_through_a_pipe_that_has_an_end() {
    let project = network();
    project.run("playbooks/prod.rhai --sandbox --dry-run --plan-out plan --record read.json").code(0);
    let shown = project.run("show plan").code(0);
    assert_eq!(project.shell("cat plan | runner show /dev/stdin").code(0).out, shown.out);
    project.shell("cat read.json | runner playbooks/prod.rhai --dry-run --replay /dev/stdin").code(0);
    for command in ["show", "apply --yes", "playbooks/prod.rhai --dry-run --replay"] {
        let said = project.shell(&format!("runner {command} /dev/zero")).code(1);
        assert!(said.err.contains("it has more than 256 MiB"), "{command}: {}", said.err);
    }
    for command in ["show", "apply --yes"] {
        let said = project.shell(&format!("echo '{{\"runner_plan\": \"x\"}}' | runner {command} /dev/stdin")).code(1);
        assert!(said.err.contains("line 1 is not of the form that runner writes"), "{command}: {}", said.err);
    }
}
