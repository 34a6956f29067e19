//! The example for continuous integration in `docs/ci`.

use std::path::Path;

use clap::Parser;
use serde_json::Value;

fn example() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci/github-actions.yml")).unwrap()
}

fn workflow() -> Value {
    serde_saphyr::from_str(&example()).expect("the example is YAML")
}

/// The steps of each job that run something, by the job.
fn scripts(workflow: &Value) -> Vec<(String, String)> {
    let jobs = workflow["jobs"].as_object().expect("there are jobs");
    let of = |(job, body): (&String, &Value)| -> Vec<(String, String)> {
        let steps = body["steps"].as_array().expect("a job has steps");
        steps.iter().filter_map(|step| Some((job.clone(), step["run"].as_str()?.to_owned()))).collect()
    };
    jobs.iter().flat_map(of).collect()
}

#[test]
fn every_command_of_the_example_is_one_that_runner_takes() {
    let mut parsed = 0;
    for (job, script) in scripts(&workflow()) {
        for line in script.lines().map(str::trim).filter(|line| line.starts_with("runner ")) {
            let line = line.split(" >").next().unwrap();
            parsed += 1;
            if let Err(error) = runner::cli::Cli::try_parse_from(line.split_whitespace()) {
                panic!("{job}: {line}: {error}");
            }
        }
    }
    assert!(parsed >= 6, "the commands were found: {parsed}");
}

#[test]
fn the_example_gives_each_job_no_more_than_it_needs() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], serde_json::json!({}), "nothing unless a job asks for it");
    let jobs = &workflow["jobs"];
    for (name, job) in jobs.as_object().unwrap() {
        let permissions = job["permissions"].as_object().unwrap_or_else(|| panic!("{name} says what it may"));
        assert_ne!(permissions.get("contents"), Some(&Value::from("write")), "{name}");
    }
    // A fork's code runs without keys and without a token that may write.
    let fork = jobs["plan-of-a-fork"]["permissions"].as_object().unwrap();
    assert!(fork.values().all(|permission| permission == "read"), "{fork:?}");
    assert!(jobs["apply"]["environment"] == "prod" && jobs["apply"]["concurrency"]["cancel-in-progress"] == false);
    // What runs on a pull request is never given more than the pull request's own token.
    assert!(workflow["on"].get("pull_request_target").is_none());
    // Nothing that an outsider writes is put into a script.
    for (job, script) in scripts(&workflow) {
        assert!(!script.contains("${{"), "{job}: an expression in a script: {script}");
    }
}
