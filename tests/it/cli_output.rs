//! Outputs for people and for scripts: `runner output`, and those of plans and runs.

use serde_json::{Value as Json, json};

use crate::project::{Project, Said, last};

const PLAYBOOK: &str = r#"
let env = inventory();
let vpc = aws::vpc("main", #{ cidr_block: env.cidr, tags: #{ Team: env.team, note: `password=${secret("db")}` } });
let subnets = env.ranges.map(|range| aws::subnet(`s-${range}`, #{ vpc_id: vpc.id, cidr_block: range }));
output("vpc", vpc.id);
output("range", vpc.cidr_block);
output("team", vpc.tags.Team);
output("sentence", `of "${vpc.id}"`);
output("subnets", subnets.map(|subnet| subnet.id));
output("map", #{ id: vpc.id, count: 2 });
output("number", 7);
output("flag", true);
output("greeting", `hello ${env.team}`);
output("login", `db:${secret("db")}`);
output("note", vpc.tags.note);
"#;

const INVENTORY: &str = "cidr = \"10.0.0.0/16\"\nteam = \"a\"\nranges = [\"10.0.1.0/24\", \"10.0.2.0/24\"]\n\
                         [secrets]\ndb = { env = \"DB_PASSWORD\" }\n";

fn project() -> Project {
    Project::new(INVENTORY).file("playbooks/prod.rhai", PLAYBOOK)
}

fn applied() -> Project {
    let project = project();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    project
}

fn output(project: &Project, args: &str) -> Said {
    project.run(&format!("output playbooks/prod.rhai --sandbox {args}"))
}

#[track_caller]
fn says(said: &Said, words: &[&str]) {
    for word in words {
        assert!(said.err.contains(word), "no {word:?} in\n{}", said.err);
    }
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn one_output_is_its_bare_value() {
    let project = applied();
    let id = output(&project, "vpc").code(0);
    assert!(id.out.starts_with("vpc-") && id.out.ends_with('\n') && id.out.lines().count() == 1, "{}", id.out);
    assert_eq!(id.err, "");
    let id = id.out.trim_end();
    for (name, bare) in [
        ("range", "10.0.0.0/16"),
        ("sentence", &format!("of \"{id}\"")),
        ("map", &format!("{{\"count\":2,\"id\":\"{id}\"}}")),
        ("number", "7"),
        ("flag", "true"),
        ("greeting", "hello a"),
    ] {
        assert_eq!(output(&project, name).code(0).out, format!("{bare}\n"), "{name}");
    }
    let list = output(&project, "subnets").code(0).out;
    assert_eq!((list.lines().count(), parsed(&list).as_array().map(Vec::len)), (1, Some(2)), "{list}");
    assert_eq!(parsed(&output(&project, "sentence --format json").code(0).out), json!(format!("of \"{id}\"")));
    let script = project.shell("echo \"<$(runner output playbooks/prod.rhai --sandbox team)>\"").code(0);
    assert_eq!(script.out, "<a>\n");
}

#[test]
fn all_outputs_are_told_as_at_the_end_of_a_run() {
    let project = project();
    let run = project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let all = output(&project, "").code(0);
    assert!(all.out.starts_with("Outputs:\n\n  vpc      = \"vpc-"), "{}", all.out);
    assert!(run.out.ends_with(&format!("\n{}", all.out)), "{}\n{}", run.out, all.out);
    assert!(all.out.contains("login    = \"db:(secret db)\""), "{}", all.out);
    let json = parsed(&output(&project, "--format json").code(0).out);
    let names: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 11);
    assert_eq!((&json["number"], &json["map"]["count"], &json["flag"]), (&json!(7), &json!(2), &json!(true)));
}

#[test]
fn nothing_is_written_and_no_lock_is_taken() {
    let project = project();
    assert_eq!(output(&project, "number").code(0).out, "7\n");
    assert!(!project.path(".runner").exists());
    let project = applied();
    let before = project.read(".runner/sandbox.json");
    let lock = project.path(".runner/locks");
    std::fs::remove_dir_all(&lock).unwrap();
    output(&project, "--set team=b").code(1);
    output(&project, "vpc").code(0);
    assert!(!lock.exists() && project.read(".runner/sandbox.json") == before);
    assert_eq!(std::fs::read_dir(project.path(".runner/runs")).unwrap().count(), 1);
}

#[test]
fn what_only_an_apply_will_tell_is_told_with_what_it_waits_for() {
    let project = project();
    let said = output(&project, "sentence").code(1);
    assert_eq!(said.out, "");
    says(
        &said,
        &[
            "error: the output `sentence` is not known yet",
            "playbooks/prod.rhai:8:1",
            "aws::vpc.main.id is known after apply: aws::vpc.main does not exist yet",
            "hint: apply first",
        ],
    );
    // What the playbook says of what does not exist is not so yet either.
    says(&output(&project, "range").code(1), &["the output `range` is not known yet", "aws::vpc.main.cidr_block"]);
    let all = output(&project, "").code(1);
    let shown: Vec<&str> = all.out.lines().skip(2).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(shown, ["number", "flag", "greeting", "login"], "{}", all.out);
    says(
        &all,
        &[
            "error: not known yet, or about to change: `vpc`, `range`, `team`, `sentence`, `subnets`, `map`, `note`",
            "playbooks/prod.rhai:5:1",
            "aws::subnet.s-10.0.1.0/24.id is known after apply: aws::subnet.s-10.0.1.0/24 does not exist yet, and 1 more",
            "hint: apply first",
        ],
    );
    let json = output(&project, "--format json").code(1);
    let shown = json!({ "number": 7, "flag": true, "greeting": "hello a", "login": "db:${secret db}" });
    assert_eq!(parsed(&json.out), shown, "one document");
    let refused = parsed(&output(&project, "vpc --format json").code(1).out);
    assert_eq!(refused["diagnostics"][0]["summary"], "the output `vpc` is not known yet");
}

#[test]
fn what_an_apply_would_change_is_not_told() {
    let project = applied();
    let id = output(&project, "vpc").code(0).out;
    // A tag is changed in place: the id stays what it is.
    assert_eq!(output(&project, "vpc --set team=b").code(0).out, id);
    assert_eq!(output(&project, "greeting --set team=b").code(0).out, "hello b\n");
    let said = output(&project, "team --set team=b").code(1);
    assert_eq!(said.out, "");
    says(
        &said,
        &[
            "error: the output `team` is about to change",
            "playbooks/prod.rhai:7:1",
            "aws::vpc.main.tags.Team is \"a\" and will be \"b\"",
            "hint: apply first",
        ],
    );
    // A replacement: the id becomes another one, and so do those that are made in it.
    let anew = "--set cidr=\"10.1.0.0/16\"";
    let said = output(&project, &format!("vpc {anew}")).code(1);
    says(&said, &["the output `vpc` is about to change", id.trim_end(), "aws::vpc.main is to be replaced"]);
    says(&output(&project, &format!("range {anew}")).code(1), &["is \"10.0.0.0/16\" and will be \"10.1.0.0/16\""]);
    output(&project, &format!("subnets {anew}")).code(1);
    assert_eq!(output(&project, &format!("team {anew}")).code(0).out, "a\n");
    let all = output(&project, anew).code(1);
    assert!(all.out.contains("team     = \"a\"") && !all.out.contains("vpc-"), "{}", all.out);
    // Something new beside it concerns no other output.
    let more = "--set ranges=[\"10.0.1.0/24\",\"10.0.2.0/24\",\"10.0.3.0/24\"]";
    assert_eq!(output(&project, &format!("vpc {more}")).code(0).out, id);
    says(&output(&project, &format!("subnets {more}")).code(1), &["aws::subnet.s-10.0.3.0/24.id is known after apply"]);
}

#[test]
fn an_output_is_what_is_live_and_not_what_is_written() {
    let project = applied();
    // Someone else's hand.
    let state = project.read(".runner/sandbox.json");
    project.write(".runner/sandbox.json", &state.replace("\"Team\": \"a\"", "\"Team\": \"x\""));
    assert_ne!(project.read(".runner/sandbox.json"), state);
    says(&output(&project, "team").code(1), &["aws::vpc.main.tags.Team is \"x\" and will be \"a\""]);
    // What is told not to be looked at is as it is.
    project.edit("playbooks/prod.rhai", "password=${secret(\"db\")}` } });", "x` } }, #{ ignore: [\"tags\"] });");
    assert_eq!(output(&project, "team").code(0).out, "x\n");
}

#[test]
fn a_name_that_is_not_there_is_told_with_those_that_are() {
    let project = project();
    let said = output(&project, "vcp").code(1);
    says(&said, &["error: there is no output `vcp`", "did you mean `vpc`? There are: vpc, range, team, "]);
    says(&output(&project, "nothing-like-it").code(1), &["hint: there are: vpc, range"]);
    let none = Project::new("").file("playbooks/prod.rhai", "let x = 1;");
    says(&output(&none, "x").code(1), &["there is no output `x`", "the playbook has no outputs"]);
    let all = output(&none, "").code(0);
    assert_eq!((all.out.as_str(), all.err.as_str()), ("", "The playbook has no outputs.\n"));
    assert_eq!(parsed(&output(&none, "--format json").code(0).out), json!({}));
}

const STAGES: &str = r#"
let ip = aws::eip("gate", #{ domain: "vpc" });
output("early", "yes");
if ip.public_ip.starts_with("198.") {
    output("late", ip.public_ip);
}
"#;

#[test]
fn a_script_that_ends_early_is_told_with_its_place() {
    let project = Project::new("").file("playbooks/prod.rhai", STAGES);
    assert_eq!(output(&project, "early").code(0).out, "yes\n");
    let place =
        ["the script ends early, where it needs `aws::eip.gate.public_ip`", "playbooks/prod.rhai:4:", "apply first"];
    let said = output(&project, "late").code(1);
    says(&said, &["there is no output `late` yet"]);
    says(&said, &place);
    let all = output(&project, "").code(1);
    assert_eq!(all.out, "Outputs:\n\n  early = \"yes\"\n");
    says(&all, &["there may be more outputs"]);
    says(&all, &place);
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert_eq!(output(&project, "late").code(0).out, "198.51.100.7\n");
}

#[test]
fn what_follows_from_a_look_ahead_is_no_value_for_a_script() {
    let playbook = "let env = inventory();\nlet vpc = aws::vpc(\"main\", #{ cidr_block: \"10.0.0.0/16\", tags: #{ Team: env.team } });\n\
                    output(\"length\", vpc.tags.Team.len());\n";
    let project = Project::new("team = \"a\"").file("playbooks/prod.rhai", playbook);
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let quiet = output(&project, "length").code(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("1\n", ""));
    let about = "aws::vpc.main.tags.Team is \"a\" and will be \"bb\"";
    let told = output(&project, "length --set team=bb").code(1);
    assert_eq!(told.out, "");
    says(&told, &["error: the script looked at what is about to change", about]);
    let all = output(&project, "--set team=bb").code(0);
    assert_eq!(all.out, "Outputs:\n\n  length = 2\n");
    says(&all, &["warning: the script looked at what is about to change", about]);
}

#[test]
fn a_secret_is_not_given_to_a_script() {
    let project = applied();
    for name in ["login", "note"] {
        let said = output(&project, name).code(1);
        assert_eq!(said.out, "");
        let held = format!("error: the output `{name}` holds the secret `db`");
        says(&said, &[&held, "playbooks/prod.rhai:1", "`db` is in: environment variable DB_PASSWORD", "never shown"]);
    }
    let refused = parsed(&output(&project, "login --format json").code(1).out);
    assert_eq!(refused["diagnostics"][0]["summary"], "the output `login` holds the secret `db`");
    // What is live may be an older secret, which nobody here knows any more.
    let state = project.read(".runner/sandbox.json");
    let older = state.replace("password=stand-in for the secret db", "password=NOTAREAL-older");
    assert_ne!(older, state);
    project.write(".runner/sandbox.json", &older);
    let changed = output(&project, "note").code(1);
    says(&changed, &["the output `note` is about to change", "aws::vpc.main.tags.note is about to change"]);
    project.edit("playbooks/prod.rhai", "secret(\"db\")}` } });", "secret(\"db\")}` } }, #{ ignore: [\"tags\"] });");
    let ignored = output(&project, "note").code(1);
    says(&ignored, &["holds the secret `db`"]);
    let all = output(&project, "").code(0);
    assert!(all.out.contains("password=(secret db)"), "{}", all.out);
    for text in [changed.err, ignored.err, all.out, all.err] {
        assert!(!text.contains("older"), "{text}");
    }
}

#[test]
fn only_what_an_output_rests_on_has_to_be_readable() {
    let project = project();
    project.write(
        "playbooks/prod.rhai",
        &format!("{PLAYBOOK}\naws::eip(\"gone\", #{{}}, #{{ adopt: \"eipalloc-none\" }});"),
    );
    says(&project.run("playbooks/prod.rhai --sandbox --dry-run").code(1), &["eipalloc-none"]);
    assert_eq!(output(&project, "number").code(0).out, "7\n");
    says(&output(&project, "vpc").code(1), &["the output `vpc` is not known yet"]);
}

#[test]
fn only_options_that_apply_are_taken() {
    let project = project();
    for option in ["--yes", "--parallelism 2", "--dry-run", "--prune"] {
        output(&project, &format!("number {option}")).code(64);
    }
    project.run("output").code(64);
    let help = project.run("output --help").code(0).out;
    assert!(help.contains("<PLAYBOOK> [NAME]") && help.contains("--sandbox") && !help.contains("--yes"), "{help}");
    for command in ["--help", "destroy --help"] {
        assert!(project.run(command).code(0).out.contains("--yes"), "{command}");
    }
    assert!(project.run("--help").out.contains("runner output playbooks/prod.rhai"));
}

#[test]
fn a_plan_in_json_says_which_outputs_are_known() {
    let project = project();
    let plan = || parsed(&project.run("playbooks/prod.rhai --sandbox --dry-run --format json").code(0).out);
    let of = |plan: &Json, name: &str| {
        let outputs = plan["outputs"].as_array().unwrap();
        outputs.iter().find(|output| output["name"] == name).unwrap().clone()
    };
    let first = plan();
    assert_eq!(of(&first, "number"), json!({ "name": "number", "value": 7, "known": true }));
    let unknown = json!({ "name": "vpc", "value": { "$unknown": "aws::vpc.main.id" }, "known": false });
    assert_eq!(of(&first, "vpc"), unknown);
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    assert_eq!(of(&plan(), "vpc")["known"], true);
}

#[test]
fn a_run_tells_its_outputs_also_when_there_is_nothing_to_do() {
    let project = project();
    let events = |project: &Project, more: &str| -> Vec<Json> {
        let run = project.run(&format!("playbooks/prod.rhai --sandbox --yes --format json {more}")).code(0);
        run.out.lines().map(parsed).collect()
    };
    let told = |events: &[Json]| {
        let [.., outputs, end] = events else { panic!("{events:?}") };
        assert_eq!((&outputs["event"], &end["event"]), (&json!("outputs"), &json!("run_finished")));
        outputs["outputs"].clone()
    };
    let first = told(&events(&project, ""));
    assert!(first["vpc"].as_str().unwrap().starts_with("vpc-"), "{first}");
    let again = told(&events(&project, ""));
    assert_eq!((&first["vpc"], &first["number"]), (&again["vpc"], &again["number"]));
    let text = project.run("playbooks/prod.rhai --sandbox").code(0);
    let id = first["vpc"].as_str().unwrap();
    assert!(text.out.contains("Outputs:\n") && text.out.contains(&format!("vpc      = \"{id}\"")), "{}", text.out);
    assert!(text.out.contains("note     = \"password=(secret db)\""), "{}", text.out);
    assert_eq!(
        (last(&text.out), text.out.matches("Outputs:").count()),
        ("Nothing to do: 3 resources are as declared.", 1)
    );
    // A program need not tell no outputs from none told; of a part there are none to tell.
    let none = Project::new("").file("playbooks/prod.rhai", "phase(\"p\", || aws::eip(\"a\", #{}));");
    assert_eq!(told(&events(&none, "")), json!({}));
    assert_eq!(told(&events(&none, "")), json!({}));
    assert!(events(&none, "--phase p").iter().all(|event| event["event"] != "outputs"));
}

/// Whoever keeps the output, or passes it on, must hear that there is not all of it.
#[test]
fn output_that_cannot_be_written_is_no_success() {
    let project = applied();
    for command in [
        "playbooks/prod.rhai --sandbox --dry-run",
        "playbooks/prod.rhai --sandbox --dry-run --format json",
        "playbooks/prod.rhai --sandbox --yes --format json",
        "output playbooks/prod.rhai --sandbox",
        "doc",
        "--help",
    ] {
        let said = project.shell(&format!("runner {command} > /dev/full")).code(1);
        assert!(
            said.err.contains("error: the output could not be written") && said.err.contains("No space left"),
            "{command}: {}",
            said.err
        );
        // Who has read enough is another matter.
        let said = project.shell(&format!("{{ runner {command}; echo code $? >&2; }} | head -c 1 > /dev/null")).code(0);
        assert!(said.err.contains("code 0") && !said.err.contains("error"), "{command}: {}", said.err);
    }
}
