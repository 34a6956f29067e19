//! Policies: what may not be applied is not.

use crate::project::Project;

const POLICY: &str = r#"
fn change(c) {
    if c.kind == "aws::vpc" && c.inputs.cidr_block == "10.66.0.0/16" {
        deny(`${c.address}: that range is taken`);
    }
    if c.action == "delete" && c.reason != "destroyed" {
        warn("something goes");
    }
}
"#;

fn project(policy: &str) -> Project {
    Project::new("cidr = \"10.66.0.0/16\"\n")
        .file("playbooks/policies/own.rhai", policy)
        .file("playbooks/prod.rhai", "let env = inventory();\naws::vpc(\"main\", #{ cidr_block: env.cidr });\n")
}

#[test]
fn what_is_denied_is_shown_and_not_applied() {
    let project = project(POLICY);
    for args in ["--dry-run", "--yes", ""] {
        let said = project.run(&format!("playbooks/prod.rhai --sandbox {args}")).code(1);
        assert!(said.out.contains("+ aws::vpc.main"), "the plan is shown: {}", said.out);
        assert!(said.err.contains("denied: aws::vpc.main: aws::vpc.main: that range is taken"), "{}", said.err);
        assert!(
            said.err.contains("playbooks/policies/own.rhai:4:9") && said.err.contains("playbooks/prod.rhai:2:"),
            "{}",
            said.err
        );
        assert!(!said.err.contains("no terminal to ask on"), "nobody is asked: {}", said.err);
    }
    assert!(!project.path(".runner/sandbox.json").exists());
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --format json").code(1);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["policies"][0]["denies"], true, "{}", said.out);
    assert_eq!(json["policies"][0]["address"], "aws::vpc.main");
    project.run("playbooks/prod.rhai --sandbox --yes --set cidr=10.0.0.0/16").code(0);
}

#[test]
fn a_warning_lets_it_go_on() {
    let project = project(POLICY);
    project.run("playbooks/prod.rhai --sandbox --yes --set cidr=10.0.0.0/16").code(0);
    project.write("playbooks/prod.rhai", "print(1);\n");
    let said = project.run("playbooks/prod.rhai --sandbox --yes --prune").code(0);
    assert!(said.err.contains("warning: aws::vpc.main: something goes"), "{}", said.err);
}

#[test]
fn a_destroy_is_judged_too() {
    let project = project("fn change(c) { if c.reason == \"destroyed\" { deny(\"never\"); } }\n");
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let said = project.run("destroy playbooks/prod.rhai --sandbox --yes").code(1);
    assert!(said.err.contains("denied: aws::vpc.main: never"), "{}", said.err);
    assert!(project.read(".runner/sandbox.json").contains("10.66.0.0/16"));
}

#[test]
fn an_unknown_never_takes_a_branch_of_a_policy() {
    let playbook = "let ip = aws::eip(\"a\", #{ domain: \"vpc\" });\n\
                    aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\", tags: #{ Ip: ip.public_ip } });\n";
    let seeing =
        "fn change(c) {\n    if c.kind == \"aws::vpc\" && c.inputs.tags.Ip == \"1.2.3.4\" { deny(\"no\"); }\n}\n";
    let project = project(seeing).file("playbooks/prod.rhai", playbook);
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
    assert!(said.err.contains("cannot tell") && said.err.contains("aws::eip.a.public_ip"), "{}", said.err);
    assert!(said.err.contains("own.rhai:2:"), "{}", said.err);
    project.write(
        "playbooks/policies/own.rhai",
        "fn change(c) {\n    if c.kind == \"aws::vpc\" && is_known(c.inputs.tags.Ip) && c.inputs.tags.Ip == \"x\" { deny(\"no\"); }\n}\n",
    );
    project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
}

#[test]
fn a_policy_that_fails_denies() {
    for (policy, told) in [
        ("fn change(c) { c.nosuch }\n", "this map has no `nosuch`"),
        ("fn change(c) { loop { } }\n", "operations"),
        ("fn change(c) { denny(\"x\"); }\n", "there is no function `denny`"),
        ("fn change(c) { aws::vpc(\"x\", #{}); }\n", "there is no module or provider `aws`"),
        ("fn change(c) { let e = inventory(); }\n", "there is no function `inventory`"),
        ("fn change(c) { let e = secret(\"x\"); }\n", "there is no function `secret`"),
        ("fn chnage(c) { }\n", "nothing calls `chnage`"),
        ("fn other(c) { }\n", "neither"),
        ("fn change(c) { ", "is missing"),
        ("fn plan(p) { throw \"no\"; }\n", "no"),
        ("fn change(c) { c.acton }\n", "did you mean `action`?"),
    ] {
        let said = project(policy).run("playbooks/prod.rhai --sandbox --yes").code(1);
        assert!(said.err.contains("denied: ") && said.err.contains(told), "{policy}: {}", said.err);
        assert!(said.err.contains("playbooks/policies/own.rhai"), "{policy}: {}", said.err);
    }
}

#[test]
fn one_mistake_of_a_policy_is_told_once() {
    let project = project("fn change(c) { c.nosuch }\n");
    let more = "for n in [1, 2, 3] { aws::eip(`e${n}`, #{}); }\n";
    project.write("playbooks/prod.rhai", &(project.read("playbooks/prod.rhai") + more));
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
    assert_eq!(said.err.matches("denied: ").count(), 1, "{}", said.err);
    assert!(said.err.contains("(and for 3 more changes)"), "{}", said.err);
}

#[test]
fn policies_that_cannot_be_read_deny() {
    let project = project(POLICY);
    std::fs::remove_dir_all(project.path("playbooks/policies")).unwrap();
    project.write("playbooks/policies", "no folder");
    let said = project.run("playbooks/prod.rhai --sandbox --yes --set cidr=10.0.0.0/16").code(1);
    assert!(said.err.contains("denied: the policies cannot be read"), "{}", said.err);
    assert!(!project.path(".runner/sandbox.json").exists());
}

#[test]
fn a_comment_and_a_saved_plan_say_what_is_denied() {
    let project = project(POLICY);
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --format markdown --plan-out plan").code(1);
    let head = "### Plan for `prod`: 1 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged\n\n\
                > [!CAUTION]\n> **Denied by policy:**\n> - `aws::vpc.main`: `aws::vpc.main: that range is taken`\n";
    assert!(said.out.starts_with(head), "{}", said.out);
    assert!(said.err.contains("Nothing was changed: a policy forbids it."), "{}", said.err);
    assert!(said.err.contains("No plan was saved to plan.\n") && !project.path("plan").exists(), "{}", said.err);
    project.run("playbooks/prod.rhai --sandbox --dry-run --set cidr=10.0.0.0/16 --plan-out plan").code(0);
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --plan-out plan").code(1);
    assert!(said.err.contains("No plan was saved to plan; what is there is an earlier one.\n"), "{}", said.err);
    // One that was saved before the policy came, from the folder of the playbook and from the project's.
    project.run("playbooks/prod.rhai --sandbox --dry-run --set cidr=10.0.0.0/16 --plan-out plan").code(0);
    project.write("playbooks/policies/new.rhai", "fn change(c) { deny(\"never\"); }\n");
    for folder in [".", "playbooks"] {
        let plan = project.path("plan").display().to_string();
        let said = project.shell(&format!("cd {folder} && runner apply {plan} --yes")).code(1);
        assert!(said.err.contains("denied: aws::vpc.main: never"), "{folder}: {}", said.err);
    }
    assert!(!project.path(".runner/sandbox.json").exists());
    // What is only warned of is told by who shows it.
    project.write("playbooks/policies/new.rhai", "fn change(c) { warn(\"mind\"); }\n");
    project.run("playbooks/prod.rhai --sandbox --dry-run --set cidr=10.0.0.0/16 --plan-out plan").code(0);
    let shown = project.run("show plan").code(0);
    assert!(shown.err.contains("warning: aws::vpc.main: mind"), "{}", shown.err);
}

#[test]
fn a_policy_sees_the_plan_as_a_whole() {
    let project = project(
        "fn plan(p) { if p.counts.create > 0 && p.stack == \"prod\" { deny(`${p.changes.len()} in all`); } }\n",
    );
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
    assert!(said.err.contains("denied: 1 in all"), "{}", said.err);
}

#[test]
fn secrets_are_not_shown_to_policies() {
    let policy =
        "fn change(c) { if c.kind == \"aws::ssm_parameter\" && c.inputs.value == \"x\" { deny(\"seen\"); } }\n";
    let project = Project::new("[secrets]\nkey = { env = \"KEY\" }\n")
        .env("KEY", "NOTAREALKEY")
        .file("playbooks/policies/own.rhai", policy)
        .file(
            "playbooks/prod.rhai",
            "aws::ssm_parameter(\"/a\", #{ type: \"SecureString\", value: secret(\"key\") });\n",
        );
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run");
    assert!(
        !said.err.contains("NOTAREALKEY") && !said.err.contains("denied: aws::ssm_parameter./a: seen"),
        "{}",
        said.err
    );
}

/// What ships, with something that the shipped policies forbid.
#[test]
fn the_shipped_policies_forbid_what_they_say() {
    for (file, from, to, told) in [
        (
            "playbooks/phases/vpn.rhai",
            "protocol: \"udp\", from_port: vpn.port, to_port: vpn.port",
            "protocol: \"tcp\", from_port: 20, to_port: 30",
            "port 22 is open to the world",
        ),
        ("playbooks/phases/edge.rhai", "[80, 443]", "[80, 3389]", "port 3389 is open to the world"),
        (
            "playbooks/phases/vpn.rhai",
            "volume_type: \"gp3\", encrypted: true",
            "volume_type: \"gp3\"",
            "the host's root disk is not encrypted",
        ),
        (
            "playbooks/phases/database.rhai",
            "encrypted: true,\n        attachment",
            "attachment",
            "the volume is not encrypted",
        ),
        (
            "playbooks/phases/nodes.rhai",
            "encrypted: true, delete_on",
            "delete_on",
            "a disk of the launch template is not encrypted",
        ),
        ("inventory/prod.toml", "Environment = \"prod\"", "Team = \"a\"", "it has no tag `Environment`"),
    ] {
        let project = Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9");
        project.edit(file, from, to);
        let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
        assert!(said.err.contains(told), "{file}: {told}: {}", said.err);
    }
}

#[test]
fn a_database_is_not_dropped_by_an_edit() {
    let project = Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9");
    let with = "--set database.rds.enabled=true --set platform.enabled=false";
    project.run(&format!("playbooks/prod.rhai -i staging --sandbox --yes {with}")).code(0);
    let without = "playbooks/prod.rhai -i staging --sandbox --yes --prune --set platform.enabled=false";
    let said = project.run(without).code(1);
    assert!(
        said.err.contains("denied: aws::db_instance.staging: a database is neither deleted nor replaced"),
        "{}",
        said.err
    );
    // To destroy the stack is to ask for just that.
    project.run(&format!("destroy playbooks/prod.rhai -i staging --sandbox --yes {with}")).code(0);
}

/// A guard that would be passed over is told, and denies.
#[test]
fn a_policy_that_nothing_would_call_denies() {
    for (text, expected) in [
        ("fn plan(p) { }\nfn chnage(c) { deny(\"x\"); }", ["nothing calls `chnage`", "did you mean `change`?"]),
        (
            "fn plan(p) { }\nfn change(a, b) { deny(\"x\"); }",
            ["`change` of a policy takes one parameter", "fn change(c)"],
        ),
        ("fn plan(p) { }\nfn change() { deny(\"x\"); }", ["`change` of a policy takes one parameter", "fn change(c)"]),
        ("fn plan(p) { let chang = p; chang }\nfn chang(c) { }", ["nothing calls `chang`", "did you mean `change`?"]),
        // A comment calls nothing, and another function is not this one.
        (
            "fn plan(p) { } fn changes_more(p) { }\nfn chang(c) { } // chang(c), fn chang(c)",
            ["nothing calls `chang`", "did you mean `change`?"],
        ),
    ] {
        let project = project(text);
        for command in ["playbooks/prod.rhai --sandbox --yes", "check playbooks/prod.rhai"] {
            let said = project.run(command).code(1);
            let told = format!("{}{}", said.out, said.err);
            assert!(expected.iter().all(|text| told.contains(text)), "{command}: {told}");
            assert!(told.contains("playbooks/policies/own.rhai:2:"), "{command}: {told}");
        }
        assert!(!project.path(".runner/sandbox.json").exists());
    }
    // What it calls itself may have any name.
    for used in ["changes(p)", "p.changes.map(changes)", "Fn(\"changes\").call(p)"] {
        let policy = format!("fn changes(p) {{ }}\nfn plan(p) {{ {used} }}");
        project(&policy).run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    }
}

#[test]
fn policies_that_are_a_link_to_nowhere_deny() {
    let project = project(POLICY);
    std::fs::remove_dir_all(project.path("playbooks/policies")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for (target, hint) in [
        ("../shared", "no folder, no policies"),
        (elsewhere.path().to_str().unwrap(), "put the policies themselves there"),
    ] {
        std::os::unix::fs::symlink(target, project.path("playbooks/policies")).unwrap();
        for command in ["playbooks/prod.rhai --sandbox --dry-run", "check playbooks/prod.rhai"] {
            let said = project.run(command).code(1);
            let told = format!("{}{}", said.out, said.err);
            assert!(told.contains("the policies cannot be read") && told.contains(hint), "{command}: {told}");
            assert!(told.contains("--> playbooks/policies\n"), "as it is called in the project: {told}");
        }
        std::fs::remove_file(project.path("playbooks/policies")).unwrap();
    }
}
