//! How long a plan may take, by what earlier runs of the same checkout took.

use serde_json::{Value as Json, json};

use crate::project::{Project, last};

const PLAYBOOK: &str = r#"
let vpc = aws::vpc("main", #{ cidr_block: "10.0.0.0/16" });
let subnet = aws::subnet("a", #{ vpc_id: vpc.id, cidr_block: "10.0.1.0/24" });
aws::eip("b", #{});
"#;

fn project() -> Project {
    Project::new("").file("playbooks/prod.rhai", PLAYBOOK)
}

fn estimate(project: &Project) -> Json {
    let said = project.run("playbooks/prod.rhai --sandbox --dry-run --format json").code(0);
    serde_json::from_str::<Json>(&said.out).unwrap()["estimate"].clone()
}

fn record(project: &Project, run: &str, sandbox: &str, seconds: u32) {
    let started = format!(
        r#"{{"at":"2026-01-01T00:00:00Z","event":"run_started","run":"{run}","stack":"prod","playbook":"p","command":"run"{sandbox}}}"#
    );
    let finished = ["aws::vpc.main", "aws::subnet.a", "aws::eip.b"].map(|address| {
        format!(
            r#"{{"at":"2026-01-01T00:00:01Z","event":"finished","address":"{address}","operation":"create","id":null,"seconds":{seconds}}}"#
        )
    });
    project.write(&format!(".runner/runs/{run}/events.jsonl"), &format!("{started}\n{}\n", finished.join("\n")));
}

#[test]
fn the_first_plan_has_only_an_order() {
    let project = project();
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    assert!(!plan.out.contains("Takes") && !plan.out.contains("chain"), "{}", plan.out);
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run -v").code(0);
    let line = "The longest chain has 2 steps: aws::vpc.main → aws::subnet.a (no earlier run to estimate from).";
    assert!(plan.out.lines().any(|said| said == line), "{}", plan.out);
    assert_eq!(
        estimate(&project),
        json!({ "seconds": null, "steps": 3, "timed": 0, "runs": 0, "path": [
            { "address": "aws::vpc.main", "operation": "create", "seconds": null },
            { "address": "aws::subnet.a", "operation": "create", "seconds": null },
        ] })
    );
}

#[test]
fn what_a_run_took_is_what_the_next_is_said_to_take() {
    let project = project();
    project.run("playbooks/prod.rhai --sandbox --yes").code(0);
    let same = project.run("playbooks/prod.rhai --sandbox --dry-run -v").code(0);
    assert!(!same.out.contains("Takes") && !same.out.contains("chain"), "{}", same.out);
    assert_eq!(estimate(&project), Json::Null);
    project.run("destroy playbooks/prod.rhai --sandbox --yes").code(0);
    let again = project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    assert!(again.out.contains("(from 1 earlier run): "), "{}", again.out);
    assert!(last(&again.out).starts_with("Plan: 3 to create"), "{}", again.out);
    let told = estimate(&project);
    assert_eq!((&told["steps"], &told["timed"], &told["runs"]), (&json!(3), &json!(3), &json!(1)));
    assert!(told["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told}");
}

#[test]
fn only_runs_of_the_same_sort_count() {
    let project = project();
    record(&project, "played", r#","sandbox":true"#, 200);
    record(&project, "real", r#","sandbox":false"#, 4000);
    record(&project, "unsaid", "", 5000);
    project.write(".runner/runs/broken/events.jsonl", "{\"event\":\n\u{0}");
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    let line = "Takes about 7 min (from 1 earlier run): aws::vpc.main 3 min → aws::subnet.a 3 min.";
    assert!(plan.out.lines().any(|said| said == line), "{}", plan.out);
    // Offline nothing is known of anything.
    let offline = project.run("playbooks/prod.rhai --dry-run --offline").code(0);
    assert!(!offline.out.contains("Takes"), "{}", offline.out);
    // A new resource of a kind that was timed, and one of a kind that was not.
    project.write(
        "playbooks/prod.rhai",
        &format!("{PLAYBOOK}\naws::eip(\"c\", #{{}});\naws::internet_gateway(\"x\", #{{ vpc_id: vpc.id }});"),
    );
    let plan = project.run("playbooks/prod.rhai --sandbox --dry-run").code(0);
    assert!(plan.out.contains("Takes at least 7 min (from 1 earlier run, which timed 4 of 5 steps): "), "{}", plan.out);
}
