//! The commands as a person runs them, over the sandbox.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::project::{Project, heard, last};

const NETWORK: &str = r#"
let env = inventory();
let vpc = phase("network", || aws::vpc(env.name, #{ cidr_block: env.cidr, tags: #{ Team: env.team } }));
phase("subnets", || {
    for (range, i) in env.ranges {
        aws::subnet(`s${i}`, #{ vpc_id: vpc.id, cidr_block: range });
    }
});
output("vpc", vpc.id);
"#;

const INVENTORY: &str = "cidr = \"10.0.0.0/16\"\nteam = \"a\"\nranges = [\"10.0.1.0/24\", \"10.0.2.0/24\"]\n";

fn network() -> Project {
    Project::new(INVENTORY).file("playbooks/prod.rhai", NETWORK)
}

/// What ships, on a machine without a network: what is pinned by URL is left out.
fn offline() -> Project {
    Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9")
}

#[test]
fn the_shipped_playbook_is_planned_applied_and_then_as_declared() {
    let project = offline();
    let dry = project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(2);
    assert_eq!(last(&dry.out), "Plan: 145 to create, 0 to update, 0 to replace, 0 to delete, 0 unchanged.");
    assert!(!project.path(".runner").exists(), "a dry run leaves nothing behind");
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let again = project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 145 resources are as declared.");
    // The smaller one beside it, and gone again without touching it.
    let staging = project.run("playbooks/prod.rhai -i staging --sandbox --yes").code(0);
    assert!(staging.err.contains("Done: 136 created"), "{}", staging.err);
    project.run("destroy playbooks/prod.rhai -i staging --sandbox --yes").code(0);
    project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
    let kept = project.run("destroy playbooks/prod.rhai --sandbox --yes").code(1);
    assert!(kept.err.contains("aws::ebs_volume.sqlserver-data is protected"), "{}", kept.err);
    let open = "--sandbox --yes --set database.protect=false --set edge.protect=false";
    project.run(&format!("playbooks/prod.rhai {open}")).code(0);
    let gone = project.run(&format!("destroy playbooks/prod.rhai {open}")).code(0);
    assert!(gone.err.contains("Done: 145 deleted"), "{}", gone.err);
    let empty = project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    assert!(last(&empty.out).starts_with("Plan: 145 to create"), "nothing is left: {}", empty.out);
}

#[test]
fn a_key_that_may_have_been_meant_otherwise_is_told() {
    let project = offline();
    for command in ["playbooks/prod.rhai --sandbox --yes", "destroy playbooks/prod.rhai --sandbox --yes"] {
        let said = project.run(&format!("{command} --set database.protct=false")).code(1);
        let told = "error: `--set database.protct=false`: no file of the inventory has `database.protct`";
        assert!(said.err.contains(told), "{}", said.err);
        assert!(said.err.contains("did you mean `database.protect`?"), "{}", said.err);
    }
    assert!(!project.path(".runner/sandbox.json").exists());
    // What runner itself reads need not be there to be set.
    let said = project
        .run("playbooks/prod.rhai --sandbox --dry-run --set aws.regions=[\"eu-west-1\"] --set aws.profile=me")
        .code(0);
    assert!(!said.err.contains("no file of the inventory"), "{}", said.err);
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --set aws.profil=me").code(1);
    assert!(said.err.contains("did you mean `aws.profile`?"), "{}", said.err);
    // What is near to nothing may be meant for the playbook alone.
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --set release=7").code(0);
    assert!(said.err.contains("warning: `--set release=7`: no file of the inventory has `release`"), "{}", said.err);
    let said = project.run("check playbooks/prod.rhai --set network.cidrr=1");
    assert!(said.err.contains("did you mean `network.cidr`?"), "{}", said.err);
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --set database.protect=false").code(0);
    assert!(!said.err.contains("no file of the inventory"), "{}", said.err);
}

/// Nobody can tell what a file that is not there would have declared.
#[test]
fn what_a_manifest_made_that_is_left_out_is_not_pruned() {
    let with = "let cluster = k8s::cluster(\"main\", #{ cluster_name: \"main\", endpoint: \"https://main.example.invalid\" });\n\
                aws::eip(\"gone\", #{});\nk8s::manifest(\"app\", #{ cluster: cluster, file: \"app.yaml\" });\n";
    let project = Project::new("")
        .file("templates/app.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a, namespace: default }\n")
        .file("playbooks/prod.rhai", with);
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let digest = "0".repeat(64);
    let url = format!("url: \"https://127.0.0.1:9/app.yaml\", sha256: \"{digest}\"");
    project.edit("playbooks/prod.rhai", "file: \"app.yaml\"", &url);
    project.edit("playbooks/prod.rhai", "aws::eip(\"gone\", #{});\n", "");
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    let note = "what is left out of this plan may declare it: deleted only by name: --prune=k8s::ConfigMap.default/a";
    assert!(plan.out.contains("k8s::manifest.app") && plan.out.contains(note), "{}", plan.out);
    // A typo is answered by what there is.
    let typo = project.run("playbooks/prod.rhai --sandbox --dry-run --prune=k8s::ConfigMap.default/b").code(1);
    assert!(typo.err.contains("did you mean `k8s::ConfigMap.default/a`?"), "{}", typo.err);
    for prune in ["", "--prune"] {
        project.run(&format!("playbooks/prod.rhai --sandbox --dry-run --plan-out plan {prune}")).code(0);
        project.shell("cp .runner/sandbox.json before").code(0);
        project.run("apply plan --yes").code(0);
        assert!(project.read(".runner/sandbox.json").contains("default/a"));
        project.shell("mv before .runner/sandbox.json").code(0);
    }
    let pruned = project.run("playbooks/prod.rhai --sandbox --yes --prune").code(0);
    assert!(pruned.err.contains("Done: 1 deleted"), "{}", pruned.err);
    assert!(project.read(".runner/sandbox.json").contains("default/a"));
    // By name it goes.
    let named = project.run("playbooks/prod.rhai --sandbox --yes --prune=k8s::ConfigMap.default/a").code(0);
    assert!(named.err.contains("Done: 1 deleted"), "{}", named.err);
}

#[test]
fn what_an_inventory_says_of_an_application_is_checked() {
    let project = offline();
    for (given, told) in [
        ("apps.api.answers=1", "apps.api.answers: there is no such key"),
        ("apps.storefront.host=login", "apps.storefront is at https://login.example.com/, and so is keycloak"),
        ("apps.api.path=admin", "apps.api.path is \"admin\": it has to start with a \"/\""),
        ("ingress.class=traefik", "ingress.class is \"nginx\" or \"apisix\", not \"traefik\""),
    ] {
        let said = project.run(&format!("playbooks/prod.rhai --sandbox --dry-run --set {given}")).code(1);
        assert!(said.err.contains(told) && said.err.contains("playbooks/phases/platform.rhai:"), "{}", said.err);
    }
}

#[test]
fn without_a_terminal_nobody_is_asked_and_nothing_happens() {
    let project = network();
    let said = project.run("playbooks/prod.rhai --sandbox").code(1);
    assert!(said.err.contains("there is no terminal to ask on") && said.err.contains("--yes"), "{}", said.err);
    assert!(!project.path(".runner/sandbox.json").exists());
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'), "no colour");
}

#[test]
fn plans_go_to_stdout_and_progress_to_stderr() {
    let project = network();
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert!(said.out.contains("+ aws::vpc.prod") && !said.out.contains("created aws::vpc.prod"), "{}", said.out);
    assert!(said.err.contains("created aws::vpc.prod vpc-") && !said.err.contains("+ aws::vpc.prod"), "{}", said.err);
    assert!(said.out.contains("vpc = \"vpc-"), "{}", said.out);
}

#[test]
fn update_replace_orphan_and_prune_are_told_and_done() {
    let project = network();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let changed = "playbooks/prod.rhai --sandbox --set team=b --set ranges=[\"10.0.3.0/24\"]";
    let plan = project.run(&format!("{changed} --dry-run")).code(0).out;
    assert!(plan.contains("~ tags.Team: \"a\" -> \"b\""), "{plan}");
    assert!(plan.contains("\"10.0.1.0/24\" -> \"10.0.3.0/24\"  # forces replacement"), "{plan}");
    assert!(plan.starts_with("Destroys 1 resource"), "danger comes first: {plan}");
    assert!(plan.contains("aws::subnet.s1") && plan.contains("--prune"), "{plan}");
    project.run(&format!("{changed} --yes --prune")).code(0);
    let state = project.read(".runner/sandbox.json");
    assert!(!state.contains("10.0.1.0/24") && !state.contains("10.0.2.0/24") && state.contains("10.0.3.0/24"));
}

#[test]
fn a_phase_alone() {
    let project = network();
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --phase subnets").code(1);
    assert!(said.err.contains("aws::subnet.s0 needs aws::vpc.prod of phase `network`, which does not exist yet"));
    assert!(said.err.contains("playbooks/prod.rhai:6:14"), "{}", said.err);
    project.run("playbooks/prod.rhai --sandbox --yes --phase network").code(0);
    let said = project.run("playbooks/prod.rhai --sandbox --yes --phase subnets").code(0);
    assert!(said.err.contains("Done: 2 created"), "{}", said.err);
}

const STAGES: &str = r#"
let ip = phase("edge", || aws::eip("gate", #{ domain: "vpc" }));
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
if ip.public_ip.starts_with("198.") {
    aws::subnet("seen", #{ vpc_id: vpc.id, cidr_block: "10.0.1.0/24", tags: #{ From: `gate ${ip.public_ip}` } });
} else {
    aws::subnet("other", #{ vpc_id: vpc.id, cidr_block: "10.0.2.0/24" });
}
output("ip", ip.public_ip);
"#;

#[test]
fn a_playbook_that_must_see_an_output_runs_in_stages() {
    let project = Project::new("").file("playbooks/prod.rhai", STAGES);
    let dry = project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(2);
    assert!(
        dry.out.contains("The rest follows once `aws::eip.gate.public_ip` is known (playbooks/prod.rhai:4:17)"),
        "{}",
        dry.out
    );
    assert!(!dry.out.contains("aws::subnet"), "no branch was taken: {}", dry.out);
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert!(said.out.contains("+ aws::subnet.seen") && said.out.contains("\"gate 198.51.100.7\""), "{}", said.out);
    assert!(said.out.ends_with("ip = \"198.51.100.7\"\n"), "{}", said.out);
    let again = project.run("playbooks/prod.rhai --sandbox --detailed-exitcode --dry-run").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 3 resources are as declared.");
}

#[test]
fn json_is_one_document_for_a_plan_and_lines_for_a_run() {
    let project = network();
    let dry = project.run("playbooks/prod.rhai --sandbox --dry-run --format json").code(0);
    let plan: serde_json::Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!(
        (plan["format"].as_i64(), plan["stack"].as_str(), plan["counts"]["create"].as_i64()),
        (Some(1), Some("prod"), Some(3))
    );
    let run = project.run("playbooks/prod.rhai --sandbox --yes --format json").code(0);
    let events: Vec<serde_json::Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((of("run_started"), of("plan"), of("finished"), of("outputs"), of("run_finished")), (1, 1, 3, 1, 1));
    // The run record holds the same events.
    let runs: Vec<_> = std::fs::read_dir(project.path(".runner/runs")).unwrap().collect();
    assert_eq!(runs.len(), 1);
    let record = std::fs::read_to_string(runs[0].as_ref().unwrap().path().join("events.jsonl")).unwrap();
    assert_eq!(record.matches("\"event\":\"finished\"").count(), 3);
    let journal = std::fs::read_to_string(runs[0].as_ref().unwrap().path().join("journal")).unwrap();
    assert_eq!((journal.matches("\"intent\"").count(), journal.matches("\"outcome\"").count()), (3, 3));
}

#[test]
fn wrong_usage_is_64() {
    let project = network();
    for args in
        ["", "--nope", "playbooks/prod.rhai --parallelism 0", "doc aws::vpcc", "playbooks/prod.rhai --format xml"]
    {
        project.run(args).code(64);
    }
    for (args, told) in [
        ("playbooks/prod.rhai --dry-run --set size", "there is no `=`"),
        ("playbooks/prod.rhai --dry-run --set name=x", "choose it with --inventory"),
        ("destory playbooks/prod.rhai", "did you mean `runner destroy`?"),
        ("unlok --dry-run", "did you mean `runner unlock`?"),
        ("plan playbooks/prod.rhai", "did you mean `runner PLAYBOOK --dry-run`?"),
        ("validate", "did you mean `runner check PLAYBOOK`?"),
        ("hepl", "did you mean `runner help`?"),
    ] {
        let said = project.run(args).code(64);
        assert!(said.err.contains(told), "{args}: {}", said.err);
    }
    // What was given as a command is one.
    let said = project.run("check aply").code(1);
    assert!(format!("{}{}", said.out, said.err).contains("cannot read the playbook aply"), "{}{}", said.out, said.err);
    assert_eq!(project.run("help unlock").code(0).out, project.run("unlock --help").code(0).out);
    assert!(project.run("doc aws::vpcc").err.contains("did you mean `aws::vpc`?"));
    assert!(project.run("--help").code(0).out.contains("Exit codes: 0 done or nothing to do"));
    project.run("--version").code(0);
    assert!(
        project.run("doc --definitions").code(0).out.contains("fn subnet(name: String, inputs: map, options: map)")
    );
}

/// Each with its place and what to do; none is a panic or a bare error.
#[test]
fn bad_input_gets_a_diagnostic() {
    let cases: [(&str, &str, &[&str]); 12] = [
        (
            "aws::vpcc(\"a\", #{});",
            "",
            &["there is no kind or lookup `aws::vpcc`", "did you mean `aws::vpc`?", "playbooks/prod.rhai:1:6"],
        ),
        (
            "aws::vpc(\"a\", #{ cidr_blok: \"10.0.0.0/16\" });",
            "",
            &["`cidr_blok`: there is no such field", "did you mean `cidr_block`?"],
        ),
        (
            "let v = aws::vpc(\"a\", #{ cidr_block: \"10.0.0.0/16\" });\nv.idd",
            "",
            &["idd", "did you mean `id`?", "prod.rhai:2:3"],
        ),
        ("let x = 1;\nlet y = x +;", "", &["prod.rhai:2:12"]),
        ("fn f(n) { f(n + 1) } f(0);", "", &["more than 64 deep", "prod.rhai:1:22"]),
        ("loop { }", "", &["prod.rhai:1"]),
        (
            "inventory().network.cidrr",
            "[network]\ncidr = \"x\"",
            &["network.cidrr", "inventory/prod.toml", "did you mean"],
        ),
        ("let a = 1;", "key = ", &["inventory/prod.toml:1"]),
        ("import \"../secrets\" as s;", "", &["leaves the playbook's folder"]),
        ("import \"nowhere\" as s;", "", &["there is no module `nowhere`", "playbooks/nowhere.rhai"]),
        ("let v = template(\"a.txt\", #{});", "", &["a.txt"]),
        ("throw \"out of cheese\";", "", &["out of cheese", "prod.rhai:1:1"]),
    ];
    for (playbook, inventory, wanted) in cases {
        let project = Project::new(inventory).file("playbooks/prod.rhai", playbook);
        let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
        for word in wanted {
            assert!(said.err.contains(word), "{playbook}: no {word:?} in\n{}", said.err);
        }
        assert!(said.err.starts_with("error: "), "{}", said.err);
        for bare in ["panicked", "RUST_BACKTRACE", "EvalAltResult", "anon$"] {
            assert!(!said.err.contains(bare), "{playbook}: {}", said.err);
        }
    }
}

#[test]
fn files_that_are_missing_are_told_with_what_there_is() {
    let project = network();
    let said = project.run("playbooks/nope.rhai").code(1);
    assert!(said.err.contains("cannot read the playbook playbooks/nope.rhai"), "{}", said.err);
    let said = project.run("playbooks/prod.rhai -i prd --sandbox --dry-run").code(1);
    assert!(said.err.contains("prd") && said.err.contains("prod"), "{}", said.err);
    project.run("playbooks --sandbox").code(1);
}

#[test]
fn a_template_carries_references_and_is_an_input_like_any_text() {
    let playbook = "let v = aws::vpc(\"a\", #{ cidr_block: \"10.0.0.0/16\" });\n\
                    aws::eip(\"b\", #{ domain: \"vpc\", tags: #{ Note: template(\"note.txt\", #{ vpc: v }) } });\n";
    let project = Project::new("").file("playbooks/prod.rhai", playbook).file("templates/note.txt", "in {{ vpc.id }}!");
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert!(project.read(".runner/sandbox.json").contains("\"Note\": \"in vpc-"));
    project.write("templates/note.txt", "{% if vpc.id == \"x\" %}a{% else %}b{% endif %} {{ vpc.nope }}");
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run").code(1);
    assert!(said.err.contains("templates/note.txt:1"), "{}", said.err);
}

#[test]
fn one_run_at_a_time() {
    let project = network();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let lock = std::fs::File::options().write(true).open(project.path(".runner/locks/prod.lock")).unwrap();
    lock.lock().unwrap();
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(1);
    assert!(said.err.contains("another run is changing stack `prod`"), "{}", said.err);
    project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
}

const STAGED_PHASES: &str = r#"
let net = phase("network", || aws::vpc("main", #{ cidr_block: "10.0.0.0/16" }));
let ip = phase("edge", || aws::eip("gate", #{ domain: "vpc" }));
if ip.public_ip.starts_with("198.") {
    phase("network", || aws::subnet("seen", #{ vpc_id: net.id, cidr_block: "10.0.1.0/24" }));
}
"#;

const END: &str = "The script ends at playbooks/prod.rhai:4:17, where it needs `aws::eip.gate.public_ip`, \
                   which is not among the chosen phases.\n";

#[test]
fn a_phase_is_done_where_the_script_needs_another_one() {
    let project = Project::new("").file("playbooks/prod.rhai", STAGED_PHASES);
    let network = "playbooks/prod.rhai --sandbox --phase network";
    let dry = project.run(&format!("{network} --dry-run --detailed-exitcode")).code(2);
    assert!(dry.err.ends_with(END), "{}", dry.err);
    let said = project.run(&format!("{network} --yes")).code(0);
    assert!(said.err.contains("Done: 1 created in ") && said.err.ends_with(END), "{}", said.err);
    assert_eq!(said.out.matches("Plan: ").count(), 1, "{}", said.out);
    let again = project.run(&format!("{network} --yes")).code(0);
    assert_eq!(again.err, END);
    project.run(&format!("{network} --dry-run --detailed-exitcode")).code(0);
    // With the other phase there, the rest of this one is in reach.
    project.run("playbooks/prod.rhai --sandbox --phase edge --yes").code(0);
    let rest = project.run(&format!("{network} --yes")).code(0);
    assert!(rest.err.contains("Done: 1 created in ") && !rest.err.contains("The script ends"), "{}", rest.err);
    assert!(project.read(".runner/sandbox.json").contains("10.0.1.0/24"));
}

/// What the second stage sees of the first makes it replace what it waits for.
#[test]
fn a_stage_that_asks_the_same_again_ends_the_run() {
    let playbook = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
let range = if is_known(vpc.id) { "10.0.1.0/24" } else { "10.0.2.0/24" };
let subnet = aws::subnet("turning", #{ vpc_id: vpc.id, cidr_block: range });
if subnet.id == "" { throw "unreachable" }
"#;
    let project = Project::new("").file("playbooks/prod.rhai", playbook);
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(1);
    let (done, wrong) = said.err.split_once("\nerror: ").expect(&said.err);
    assert!(done.contains("Done: 2 created in "), "what was done comes first: {}", said.err);
    assert!(wrong.starts_with("the script still needs `aws::subnet.turning.id`, and the apply before did not tell"));
    assert!(wrong.contains("playbooks/prod.rhai:5:") && wrong.contains("is to be replaced"), "{wrong}");
    assert!(project.read(".runner/sandbox.json").contains("10.0.2.0/24"), "the second stage was not applied");
}

#[test]
fn a_no_at_the_second_stage_tells_what_the_first_did() {
    let project = Project::new("").file("playbooks/prod.rhai", STAGES);
    let said = project.typed("playbooks/prod.rhai --sandbox", "yes\\nno\\n").code(1);
    assert_eq!(said.out.matches("Only `yes` is accepted").count(), 2, "{}", said.out);
    let end = &said.out[said.out.rfind("Only `yes`").unwrap()..];
    assert!(end.contains("2 created in ") && last(end) == "Nothing further was changed.", "{}", said.out);
    // Of a first stage nothing was done, and that is said.
    let empty = Project::new("").file("playbooks/prod.rhai", STAGES);
    let said = empty.typed("playbooks/prod.rhai --sandbox", "no\\n").code(1);
    assert!(last(&said.out).ends_with("Nothing was changed.") && !said.out.contains("created in"), "{}", said.out);
}

#[test]
fn a_signal_at_the_second_question_tells_what_the_first_stage_did() {
    let project = Project::new("").file("playbooks/prod.rhai", STAGES);
    let typing =
        "printf 'yes\\n'; until [ \"$(grep -c accepted shown)\" = 2 ]; do sleep 0.1; done; printf '\\003'; sleep 1";
    let line = format!("touch shown; ({typing}) | script -qefc 'runner playbooks/prod.rhai --sandbox' shown");
    let said = project.shell(&line).code(130);
    let end = &said.out[said.out.rfind("Only `yes`").unwrap()..];
    assert!(end.contains("2 created in ") && last(end) == "Nothing further was changed.", "{}", said.out);
}

#[test]
fn at_a_terminal_a_diagnostic_is_told_line_by_line() {
    let project =
        Project::new("").file("playbooks/prod.rhai", "aws::vpc(\"a\", #{});\naws::eip(\"b\", #{ domainn: 1 });");
    let said = project.typed("playbooks/prod.rhai --sandbox", "").code(1);
    let plain = console_free(&said.out);
    assert!(plain.contains("error: aws::vpc.a: `cidr_block`: is required\n --> playbooks/prod.rhai:1:6\n"), "{plain}");
    assert!(plain.contains("\n\nerror: aws::eip.b: ") && plain.ends_with('\n'), "{plain}");
}

/// Without control codes.
fn console_free(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    std::iter::once(first).chain(rest).collect::<String>().replace('\r', "")
}

#[test]
fn a_later_stage_that_fails_tells_what_was_done_first() {
    let playbook = format!("{STAGES}\nthrow \"out of cheese\";");
    let project = Project::new("").file("playbooks/prod.rhai", &playbook);
    let said = project.run("playbooks/prod.rhai --sandbox --yes").code(1);
    let (done, wrong) = said.err.split_once("\nerror: ").expect(&said.err);
    assert!(done.contains("Done: 2 created in ") && wrong.contains("out of cheese"), "{}", said.err);
}

#[test]
fn a_refusal_in_json_is_one_document_or_one_event() {
    let project = network();
    for args in
        ["playbooks/prod.rhai --phase nope", "playbooks/prod.rhai -i nope", "destroy playbooks/prod.rhai -i nope"]
    {
        let dry = project.run(&format!("{args} --sandbox --format json --dry-run")).code(1);
        let document: serde_json::Value = serde_json::from_str(&dry.out).unwrap();
        assert_eq!((&document["format"], document["diagnostics"].as_array().map(Vec::len)), (&1.into(), Some(1)));
        assert!(document["diagnostics"][0]["summary"].as_str().unwrap().contains("nope"), "{}", dry.out);
        assert!(dry.err.starts_with("error: "), "{}", dry.err);

        let run = project.run(&format!("{args} --sandbox --format json --yes")).code(1);
        let events: Vec<serde_json::Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = events.iter().filter(|event| event["event"] == "told").collect();
        assert_eq!((told.len(), run.err.matches("error: ").count()), (1, 1), "{}\n{}", run.out, run.err);
        assert!(told[0]["diagnostic"]["summary"].as_str().unwrap().contains("nope"), "{}", run.out);
        let (first, last) = (&events[0], events.last().unwrap());
        assert_eq!(
            (&first["event"], &last["event"], &last["exit"]),
            (&"run_started".into(), &"run_finished".into(), &1.into())
        );
    }
}

#[test]
fn the_record_of_a_run_has_its_diagnostics_too() {
    let playbook = format!("{STAGES}\nthrow \"out of cheese\";");
    for format in ["text", "json"] {
        let project = Project::new("").file("playbooks/prod.rhai", &playbook);
        let said = project.run(&format!("playbooks/prod.rhai --sandbox --yes --format {format}")).code(1);
        let run = std::fs::read_dir(project.path(".runner/runs")).unwrap().next().unwrap().unwrap();
        let record = std::fs::read_to_string(run.path().join("events.jsonl")).unwrap();
        assert_eq!(record.matches("\"event\":\"told\"").count(), 1, "{record}");
        let told = if format == "json" { 1 } else { 0 };
        assert_eq!(said.out.matches("\"event\":\"told\"").count(), told, "{}", said.out);
        assert_eq!(said.err.matches("error: ").count(), 1, "{}", said.err);
    }
}

/// Addresses in the sandbox, each as often as it is there.
fn addresses(project: &Project) -> Vec<String> {
    let state: serde_json::Value = serde_json::from_str(&project.read(".runner/sandbox.json")).unwrap();
    let address = |resource: &serde_json::Value| resource["live"]["owner"]["address"].to_string();
    state["resources"].as_array().unwrap().iter().map(address).collect()
}

#[test]
fn a_run_that_is_stopped_is_completed_by_the_next() {
    let project = offline();
    let run = project.start("playbooks/prod.rhai --sandbox --yes");
    heard(&run.err, "created ");
    run.signal("TERM");
    let said = run.end().code(130);
    assert!(last(&said.err).starts_with("Interrupted: "), "{}", said.err);
    assert!(last(&said.err).contains(" not begun"), "{}", said.err);
    let made = addresses(&project).len();
    assert!((1..145).contains(&made), "{made} were made\n{}", said.err);

    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let again = project.run("playbooks/prod.rhai --sandbox --dry-run --detailed-exitcode").code(0);
    assert_eq!(last(&again.out), "Nothing to do: 145 resources are as declared.");
    let all = addresses(&project);
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (145, 145), "{all:?}");
}

#[test]
fn a_stage_that_is_stopped_is_the_last() {
    let project = Project::new("").file("playbooks/prod.rhai", STAGES);
    let run = project.start("playbooks/prod.rhai --sandbox --yes --format json");
    heard(&run.out, "\"started\"");
    run.signal("INT");
    let said = run.end().code(130);
    for event in ["\"evaluated\"", "\"plan\"", "\"outputs\""] {
        assert!(!said.out.contains(event), "{}", said.out);
    }
    assert!(last(&said.out).contains("\"run_finished\",\"exit\":130"), "{}", said.out);
}

/// The file in which the sandbox writes its draft is a pipe that nobody reads: the first call never ends.
#[test]
fn a_second_signal_ends_the_run_at_once() {
    let project = Project::shipped();
    std::fs::create_dir(project.path(".runner")).unwrap();
    project.shell("mkfifo .runner/sandbox.json.draft").code(0);
    let mut run = project.start("playbooks/prod.rhai --sandbox --yes --format json");
    heard(&run.out, "\"started\"");
    std::thread::sleep(Duration::from_millis(500));
    run.signal("TERM");
    std::thread::sleep(Duration::from_millis(500));
    assert!(run.is_running(), "the first lets what is under way finish");
    run.signal("TERM");
    run.end().code(130);
}
