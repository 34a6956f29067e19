//! Plans without credentials: recorded, replayed, or against an empty world.

use std::os::unix::fs::PermissionsExt;

use crate::control_plane::ControlPlane;
use crate::moto::Account;
use crate::platform::{Platform, SECRETS};
use crate::project::{Project, Said, last};

/// The same files in a folder of their own, on a machine that has nothing else: no credentials, no environment, no
/// earlier runs.
fn elsewhere(project: &Project, recording: &str) -> Project {
    let other = Project::shipped();
    for folder in ["playbooks", "inventory", "templates"] {
        std::fs::remove_dir_all(other.path(folder)).unwrap();
        let said =
            std::process::Command::new("cp").arg("-r").arg(project.path(folder)).arg(other.path(folder)).status();
        // A small project has no templates.
        let _ = said.unwrap();
    }
    other.file(recording, &project.read(recording)).env("HTTPS_PROXY", "http://127.0.0.1:9")
}

/// Every form in which a secret could be in a file.
fn assert_without(text: &str, secret: &str) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    for before in ["", "a", "ab"] {
        let encoded = STANDARD.encode(format!("{before}{secret}"));
        let (from, to) = ((before.len() * 8).div_ceil(6), (before.len() + secret.len()) * 8 / 6);
        assert!(!text.contains(&encoded[from..to]), "in base64: {secret}");
    }
    assert!(!text.contains(secret), "plain: {secret}");
    assert!(!text.contains(&*urlencoding::encode(secret)), "for a URL: {secret}");
}

/// Records, replays where nothing is, and compares every byte; gives back what was said.
fn assert_the_same(project: &Project, args: &str) -> Said {
    let mut shown = None;
    for format in ["text -v", "json"] {
        let args = format!("{args} --dry-run --detailed-exitcode --format {format}");
        let recorded = project.run(&format!("{args} --record review.json"));
        assert!(recorded.err.contains("Recorded in review.json"), "{}\n{}", recorded.out, recorded.err);
        let replayed = elsewhere(project, "review.json").run(&format!("{args} --replay review.json"));
        assert_eq!((replayed.code, &replayed.out), (recorded.code, &recorded.out), "{}", replayed.err);
        assert!(replayed.err.contains("Planned from the recording review.json"), "{}", replayed.err);
        shown.get_or_insert(recorded);
    }
    let mode = std::fs::metadata(project.path("review.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    shown.unwrap()
}

#[test]
fn the_platform_is_planned_again_where_nothing_is() {
    let platform = Platform::new(ControlPlane::of_its_own(), None);
    let Platform { account, cloud, project, .. } = &platform;
    let unseen = || {
        let recording = project.read("review.json");
        SECRETS.iter().for_each(|(_, secret)| assert_without(&recording, secret));
        assert_without(&recording, cloud.token());
    };
    account.forget_calls();
    let first = assert_the_same(project, "playbooks/prod.rhai");
    assert_eq!(last(&first.out), "Plan: 204 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    assert!(!project.path(".runner").exists(), "a dry run leaves nothing behind but what was asked for");
    assert_eq!(account.calls().keys().filter(|call| call.contains(":Create")).count(), 0);
    unseen();

    project.run("playbooks/prod.rhai --yes").code(0);
    let second = assert_the_same(project, "playbooks/prod.rhai");
    assert!(second.out.contains("Nothing to do: 204 resources are as declared."), "{}", second.out);
    unseen();

    // A pull request: another image, a new subnet's worth of hosts, an application less.
    let fork = elsewhere(project, "review.json");
    fork.edit("templates/keycloak/keycloak.yaml", "keycloak:26.7.2", "keycloak:26.7.3");
    fork.edit("inventory/common.toml", "instance_type = \"m7i.large\"", "instance_type = \"m7i.2xlarge\"");
    let told = fork.run("playbooks/prod.rhai --dry-run --replay review.json").code(0);
    let fields: Vec<&str> = told.out.lines().filter(|line| line.trim_start().starts_with("~ spec.")).collect();
    assert_eq!(fields.len(), 1, "{}", told.out);
    assert!(fields[0].contains("containers[keycloak].image"), "{}", told.out);
    assert!(told.out.contains("not validated yet: it is not in the recording"), "{}", told.out);

    // Another value of what is everywhere: neither it nor the one before is told.
    account.boto(
        "import json
manager = boto3.client('secretsmanager', 'eu-central-1')
manager.put_secret_value(SecretId='prod/oidc', SecretString=json.dumps({'client_secret': 'NOTAREAL-next', \
    'session_secret': 'NOTAREAL-next-session-0123456789'}))",
    );
    project.edit("templates/keycloak/keycloak.yaml", "keycloak:26.7.2", "keycloak:26.7.3");
    let third = assert_the_same(project, "playbooks/prod.rhai");
    assert!(third.out.contains("(sensitive)"), "{}", third.out);
    unseen();
    let recording = project.read("review.json");
    ["NOTAREAL-next", "NOTAREAL-next-session-0123456789"].iter().for_each(|next| assert_without(&recording, next));
}

const CANARY: &str = "NOTAREAL-canary/1+2=\u{e4}";

const INVENTORY: &str = "
[aws]
region = \"eu-west-1\"
[secrets]
canary = { env = \"CANARY\" }
unused = { env = \"UNUSED\" }
";

const PLAYBOOK: &str = r#"
let zones = aws::availability_zones();
let s = secret("canary");
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16", tags: #{ plain: "a", note: `password=${s}` } });
aws::subnet("a", #{ vpc_id: vpc.id, cidr_block: "10.0.1.0/24", availability_zone: zones.names[0] });
aws::ssm_parameter("kept", #{ name: "/kept", type: "SecureString", value: s });
aws::ssm_parameter("open", #{ name: "/open", type: "String", value: "not secret" });
output("told", `it is ${s}`);
output("vpc", vpc.id);
"#;

fn small(account: &Account) -> Project {
    let project = Project::new(INVENTORY).file("playbooks/prod.rhai", PLAYBOOK).env("CANARY", CANARY);
    let project = project.env("UNUSED", "NOTAREAL-unused").file("templates/none", "");
    account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value))
}

fn boto(account: &Account, code: &str) {
    account.boto(&format!("ec2 = boto3.client('ec2', 'eu-west-1')\nssm = boto3.client('ssm', 'eu-west-1')\n{code}"));
}

#[test]
fn what_drifted_and_what_is_secret_is_planned_the_same_and_is_not_in_the_file() {
    let account = Account::new();
    let project = small(&account);
    project.run("playbooks/prod.rhai --yes").code(0);
    let same = assert_the_same(&project, "playbooks/prod.rhai");
    assert!(same.out.contains("Nothing to do: 4 resources are as declared."), "{}", same.out);
    assert_without(&project.read("review.json"), CANARY);

    // Drift; and in a tag that is no field of ours a secret that the playbook does not use.
    boto(
        &account,
        "v = ec2.describe_vpcs(Filters=[{'Name': 'tag:runner:stack', 'Values': ['prod']}])['Vpcs'][0]['VpcId']
ec2.create_tags(Resources=[v], Tags=[{'Key': 'plain', 'Value': 'b'}, {'Key': 'seen', 'Value': 'x NOTAREAL-unused y'}])
ssm.put_parameter(Name='/open', Value='changed by hand', Type='String', Overwrite=True)",
    );
    let drifted = assert_the_same(&project, "playbooks/prod.rhai");
    assert!(drifted.out.contains("~ tags.plain: \"b\" -> \"a\""), "{}", drifted.out);
    let recording = project.read("review.json");
    for secret in [CANARY, "NOTAREAL-unused", "changed by hand"] {
        assert_without(&recording, secret);
    }

    // Another value: what is live is the old one, which nobody knows any more.
    let project = project.env("CANARY", "NOTAREAL-newer");
    let changed = assert_the_same(&project, "playbooks/prod.rhai");
    let hides = |path: &str| changed.out.lines().any(|line| line.contains(path) && line.ends_with(" (sensitive)"));
    assert!(hides("~ tags.note:") && hides("~ value:"), "{}", changed.out);
    let recording = project.read("review.json");
    for secret in [CANARY, "NOTAREAL-newer", "NOTAREAL-unused"] {
        assert_without(&recording, secret);
    }

    // What is no longer declared; and, where the secret is what it was, all of it.
    project.edit("playbooks/prod.rhai", "aws::ssm_parameter(\"kept\"", "// aws::ssm_parameter(\"kept\"");
    let orphan = assert_the_same(&project, "playbooks/prod.rhai --prune");
    assert!(orphan.out.contains("- aws::ssm_parameter.kept"), "{}", orphan.out);
    assert_without(&project.read("review.json"), CANARY);
    let project = project.env("CANARY", CANARY);
    let destroyed = project.run("destroy playbooks/prod.rhai --dry-run -v --record review.json").code(0);
    let replayed =
        elsewhere(&project, "review.json").run("destroy playbooks/prod.rhai --dry-run -v --replay review.json");
    assert_eq!(replayed.code(0).out, destroyed.out);
    assert_without(&project.read("review.json"), CANARY);

    // What it takes is known from the run above, and from the recording where there was none.
    boto(&account, "ssm.delete_parameter(Name='/open')");
    let timed = assert_the_same(&project, "playbooks/prod.rhai");
    assert!(timed.out.contains("+ aws::ssm_parameter.open") && timed.out.contains("Takes "), "{}", timed.out);
}

#[test]
fn a_changed_playbook_is_planned_as_far_as_the_recording_tells() {
    let account = Account::new();
    let project = small(&account);
    project.run("playbooks/prod.rhai --yes").code(0);
    project.run("playbooks/prod.rhai --dry-run --record review.json").code(0);
    let fork = elsewhere(&project, "review.json");
    fork.write("inventory/prod.toml", &(fork.read("inventory/prod.toml") + "absent = { env = \"ABSENT\" }\n"));
    fork.edit("playbooks/prod.rhai", "plain: \"a\"", "plain: \"c\"");
    fork.edit(
        "playbooks/prod.rhai",
        "output(\"vpc\"",
        "aws::subnet(\"b\", #{ vpc_id: vpc.id, cidr_block: \"10.0.2.0/24\" });
aws::ssm_parameter(\"new\", #{ name: \"/new\", type: \"String\", value: s });
aws::eip(\"nat\", #{ tags: #{ x: secret(\"absent\") } });
aws::vpc(\"other\", #{ cidr_block: \"10.9.0.0/16\" }, #{ region: \"eu-west-2\" });
output(\"vpc\"",
    );
    let plan = fork.run("playbooks/prod.rhai --dry-run --replay review.json").code(0);
    assert_eq!(last(&plan.out), "Plan: 4 to create, 1 to update, 0 to replace, 0 to delete, 3 unchanged.");
    assert!(plan.out.contains("~ tags.plain: \"a\" -> \"c\""), "{}", plan.out);
    // The stack owned no address; a parameter of this name nobody looked for; of another region nothing is known.
    let said = |address: &str| {
        let after = plan.out.split(&format!("+ {address} ")).nth(1).unwrap();
        after.split("\n\n").next().unwrap().contains("! not looked for: not in the recording")
    };
    assert!(!said("aws::eip.nat") && !said("aws::subnet.b"), "{}", plan.out);
    assert!(said("aws::ssm_parameter.new") && said("aws::vpc.other"), "{}", plan.out);
    assert!(plan.err.contains("not looked through when it was made: eu-west-2"), "{}", plan.err);
    assert!(!fork.path(".runner").exists());

    let refused = |add: &str| {
        let fork = elsewhere(&project, "review.json");
        fork.write("playbooks/prod.rhai", &format!("{PLAYBOOK}\n{add}\n"));
        let said = fork.run("playbooks/prod.rhai --dry-run --replay review.json").code(1);
        assert!(said.err.contains("record anew"), "{}", said.err);
        said.err
    };
    let lookup = refused("output(\"x\", aws::ssm_parameter(\"/open\").value);");
    assert!(lookup.contains("the recording does not hold what `aws::ssm_parameter` gives"), "{lookup}");
    let adopted = refused("aws::vpc(\"x\", #{ cidr_block: \"10.8.0.0/16\" }, #{ adopt: \"vpc-0123\" });");
    assert!(adopted.contains("aws::vpc `vpc-0123` is not in the recording"), "{adopted}");
}

#[test]
fn a_failed_read_is_replayed_too() {
    let account = Account::new();
    let project = small(&account);
    project.run("playbooks/prod.rhai --yes").code(0);
    account.fail_saying("DescribeVpcs", "UnauthorizedOperation", &format!("not for {CANARY}"));
    let failed = project.run("playbooks/prod.rhai --dry-run --record review.json").code(1);
    assert!(failed.err.contains("Recorded in review.json"), "{}", failed.err);
    assert_without(&project.read("review.json"), CANARY);
    // An older secret could be anywhere in what is live, and no plan tells where.
    assert!(!project.read("review.json").contains("10.0.1.0/24"));
    let replayed = elsewhere(&project, "review.json").run("playbooks/prod.rhai --dry-run --replay review.json").code(1);
    let cause = failed.err.lines().find(|line| line.contains("UnauthorizedOperation")).unwrap();
    assert!(replayed.err.contains(cause), "{}\n---\n{}", failed.err, replayed.err);
}

#[test]
fn what_is_no_whole_recording_of_this_stack_is_told() {
    let project = Project::new("")
        .file("inventory/other.toml", "")
        .file("playbooks/prod.rhai", "aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\" });");
    project.run("playbooks/prod.rhai --sandbox --dry-run --record review.json").code(0);
    assert!(!project.path(".runner").exists(), "a dry run leaves nothing else behind");
    let whole = project.read("review.json");
    let told = |text: &str, what: &str| {
        project.write("review.json", text);
        let said = project.run("playbooks/prod.rhai --dry-run --replay review.json").code(1);
        assert!(
            said.err.contains("cannot plan from the recording review.json") && said.err.contains(what),
            "{}",
            said.err
        );
    };
    told(&whole[..whole.len() / 2], "only a part of one");
    told("", "only a part of one");
    told("{\"sandbox\": 2}", "it is no recording");
    told(&whole.replacen("prod", "production", 1), "changed after it was made");
    told(&whole.replace("\"runner_record\": 1", "\"runner_record\": 2"), "of a newer runner");
    project.write("review.json", &whole);
    let said = project.run("playbooks/prod.rhai -i other --dry-run --replay review.json").code(1);
    assert!(said.err.contains("it is of stack `prod`, and this is stack `other`"), "{}", said.err);
    let said = project.run("playbooks/prod.rhai --dry-run --replay none.json").code(1);
    assert!(said.err.contains("No such file"), "{}", said.err);
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --record none/review.json").code(1);
    assert!(said.err.contains("nothing was recorded in none/review.json"), "{}", said.err);
    project.run("playbooks/prod.rhai --dry-run --replay review.json").code(0);
}

#[test]
fn a_secret_that_cannot_be_kept_out_is_told_and_nothing_is_written() {
    let account = Account::new();
    let short = small(&account).env("CANARY", "abc");
    let said = short.run("playbooks/prod.rhai --dry-run --record review.json").code(1);
    assert!(said.err.contains("too short to be kept out of it: `canary`"), "{}", said.err);
    assert!(!short.path("review.json").exists());
    // What nobody can read here may still stand in what is live.
    let unread = small(&account);
    let inventory = unread.read("inventory/prod.toml") + "absent = { env = \"ABSENT\" }\n";
    unread.write("inventory/prod.toml", &inventory);
    unread.run("playbooks/prod.rhai --dry-run").code(0);
    let said = unread.run("playbooks/prod.rhai --dry-run --record review.json").code(1);
    assert!(said.err.contains("the secret `absent` cannot be had, so nothing could keep it out"), "{}", said.err);
    assert!(!unread.path("review.json").exists());
    // It is in addresses too, so no stand-in can be put in its place.
    let common = small(&account);
    common.run("playbooks/prod.rhai --yes").code(0);
    let common = common.env("CANARY", "main");
    let said = common.run("playbooks/prod.rhai --dry-run --record review.json").code(1);
    assert!(said.err.contains("another plan would come of it"), "{}", said.err);
    assert!(!common.path("review.json").exists());
}

#[test]
fn offline_everything_is_new_and_nothing_is_needed() {
    let project = Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9");
    let plan = project.run("playbooks/prod.rhai --dry-run --offline --detailed-exitcode").code(2);
    assert_eq!(last(&plan.out), "Plan: 145 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    assert_eq!(plan.err.lines().next(), Some("Planned against an empty world (--offline): nothing was looked at."));
    let entries = std::fs::read_dir(project.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut entries: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    entries.sort();
    assert_eq!(entries, ["inventory", "playbooks", "templates"], "nothing is written");
    let same = project.run("playbooks/prod.rhai --dry-run --sandbox").code(0);
    assert_eq!(plan.out, same.out);
}

#[test]
fn what_contradicts_itself_is_wrong_usage() {
    let project = Project::new("").file("playbooks/prod.rhai", "");
    for args in [
        "--record a.json",
        "--replay a.json",
        "--offline",
        "--dry-run --record a.json --replay b.json",
        "--dry-run --record a.json --offline",
        "--dry-run --replay a.json --offline",
        "--dry-run --replay a.json --sandbox",
        "--dry-run --offline --sandbox",
        "--dry-run --record a.json --yes",
        "--dry-run --replay a.json --yes",
        "--dry-run --offline --yes",
    ] {
        project.run(&format!("playbooks/prod.rhai {args}")).code(64);
        project.run(&format!("destroy playbooks/prod.rhai {args}")).code(64);
    }
}
