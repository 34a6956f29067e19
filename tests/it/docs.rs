//! What is written about the project is true.

use std::path::Path;

use crate::project::Project;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn the_reference_is_that_of_the_kinds() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runner")).args(["doc", "--markdown"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("## aws::subnet\n"));
    assert!(text == read("docs/reference.md"), "docs/reference.md is old: runner doc --markdown > docs/reference.md");
}

/// One command of a tour, and what it is said to say.
struct Shown {
    command: String,
    lines: Vec<String>,
}

/// The ```` ```console ```` blocks of a document: `$ ` begins a command, the lines after it are its output.
fn console(text: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = vec![];
    for block in text.split("```console\n").skip(1) {
        let block = block.split("\n```").next().unwrap();
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => shown.push(Shown { command: command.to_owned(), lines: vec![] }),
                None => shown.last_mut().expect("a block begins with a command").lines.push(line.to_owned()),
            }
        }
    }
    shown
}

/// `...` alone stands for any number of lines, `[..]` for anything within one.
fn matches(wanted: &[String], said: &[&str]) -> bool {
    match wanted.split_first() {
        None => said.is_empty(),
        Some((line, rest)) if line == "..." => (0..=said.len()).any(|skip| matches(rest, &said[skip..])),
        Some((line, rest)) => said.first().is_some_and(|first| fits(line, first)) && matches(rest, &said[1..]),
    }
}

fn fits(wanted: &str, said: &str) -> bool {
    match wanted.split_once("[..]") {
        None => wanted == said,
        Some((start, end)) => said.len() >= start.len() + end.len() && said.starts_with(start) && said.ends_with(end),
    }
}

#[test]
fn the_tour_of_the_readme_goes_as_it_says() {
    // As on a machine without a network, where what is pinned by URL is left out.
    let project = Project::shipped().env("HTTPS_PROXY", "http://127.0.0.1:9");
    let tour = console(&read("README.md"));
    assert!(tour.len() >= 12, "the tour was found");
    for Shown { command, lines } in tour {
        let said = project.shell(&command);
        // As a terminal shows it: what was shown of the plan, then the run.
        let both = format!("{}{}", said.out, said.err);
        let other = format!("{}{}", said.err, said.out);
        let fits = [&both, &other].iter().any(|text| {
            let said: Vec<&str> = text.lines().collect();
            matches(&lines, said.strip_suffix(&[""]).unwrap_or(&said))
        });
        assert!(fits, "$ {command}\n--- wanted\n{}\n--- said\n{both}", lines.join("\n"));
    }
}
