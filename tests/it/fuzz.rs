//! Bad input never panics, hangs or aborts: every file of `fuzz/corpus/`, what is shipped, and thousands of their
//! mutations, the same in every run. `RUNNER_FUZZ_CASES=…` for more of them.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::path::{Path, PathBuf};
use std::process::Command;

use self::targets::TARGETS;

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

const WORDS: [&str; 48] = [
    "{{ ",
    " }}",
    "{% for a in b %}",
    "{% endfor %}",
    "{% if a %}",
    "{% endif %}",
    "{% set a = a ~ a %}",
    " | ",
    "#{",
    "}",
    "[[[[[[[[",
    "((((((((",
    "\"",
    "`${",
    "|x| ",
    "loop { ",
    "fn f() { f() } f();",
    "import \"a\" as a;",
    "0..99999999999",
    "aws::vpc(\"a\", #{",
    "phase(\"",
    "secret(\"",
    "\u{0}",
    "\u{202e}",
    "\u{f8f0}1\u{f8f1}",
    "\n",
    "= ",
    "[a]\n",
    "[[a]]\n",
    "'''",
    "null",
    "-9223372036854775808",
    "1e999",
    "{\"",
    "\":",
    ",",
    "9999-99-99T99:99:99Z",
    "\\ud800",
    "extends = \"prod\"\n",
    "--",
    "\n---\n",
    "&a ",
    "*a",
    "!!binary ",
    "{a: ",
    "- ",
    "fn change(c) {",
    "deny(c.",
];

fn mutated(seed: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let (at, end) = (chance.below(bytes.len() + 1), chance.below(bytes.len() + 1));
        let (from, to) = (at.min(end), at.max(end));
        match chance.below(7) {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 1 << chance.below(8);
            }
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(from..to.min(from + 64))),
            3 => {
                let part = bytes[from..to.min(from + 64)].to_vec();
                bytes.splice(end..end, part.repeat(1 + chance.below(8)));
            }
            4 => {
                let start = chance.below(other.len() + 1);
                let part = &other[start..other.len().min(start + 1 + chance.below(200))];
                bytes.splice(at..at, part.iter().copied());
            }
            _ => {
                let word = WORDS[chance.below(WORDS.len())].as_bytes();
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes.truncate(64 << 10);
    bytes
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// The corpus of a target, with what is shipped of its sort.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    files(&root.join("fuzz/corpus").join(target), "", &mut found);
    match target {
        "policies" => files(&root.join("playbooks/policies"), ".rhai", &mut found),
        "manifest" => files(&root.join("templates"), ".yaml", &mut found),
        "playbook" => files(&root.join("playbooks"), ".rhai", &mut found),
        "template" => files(&root.join("templates"), "", &mut found),
        "inventory" => files(&root.join("inventory"), ".toml", &mut found),
        _ => {}
    }
    assert!(!found.is_empty(), "{target} has a corpus");
    found.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// In a process of its own, since a stack that overflows ends it: the test below calls this one.
#[test]
#[ignore = "a part of the test below"]
fn one_target() {
    let Ok(name) = std::env::var("RUNNER_FUZZ_TARGET") else { return };
    let (_, target) = TARGETS.into_iter().find(|(target, _)| *target == name).expect("a target");
    let cases: usize = std::env::var("RUNNER_FUZZ_CASES").unwrap().parse().unwrap();
    let last = std::env::var("RUNNER_FUZZ_LAST").unwrap();
    let (corpus, mut chance) = (corpus(&name), Chance(0x9e37_79b9_7f4a_7c15));
    let mut tried = 0;
    let mut attempt = |bytes: &[u8]| {
        std::fs::write(&last, bytes).unwrap();
        target(bytes);
        tried += 1;
    };
    corpus.iter().for_each(|bytes| attempt(bytes));
    for _ in 0..cases {
        let (one, other) = (chance.below(corpus.len()), chance.below(corpus.len()));
        attempt(&mutated(&corpus[one], &corpus[other], &mut chance));
    }
    println!("{name}: {tried} inputs");
}

#[test]
fn bad_input_never_panics_hangs_or_aborts() {
    let factor: usize = std::env::var("RUNNER_FUZZ_CASES").map_or(1, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = TARGETS
        .into_iter()
        .map(|(name, _)| {
            let cases = factor * if matches!(name, "playbook" | "template" | "policies") { 300 } else { 2000 };
            let last = folder.path().join(name);
            let mut command = Command::new("timeout");
            command.arg((600 * factor).to_string()).arg(std::env::current_exe().unwrap());
            command.args(["--exact", "fuzz::one_target", "--ignored", "--nocapture"]);
            command.env("RUNNER_FUZZ_TARGET", name).env("RUNNER_FUZZ_CASES", cases.to_string());
            command.env("RUNNER_FUZZ_LAST", &last).stdout(std::process::Stdio::piped());
            (name, last, command.stderr(std::process::Stdio::piped()).spawn().unwrap())
        })
        .collect();
    for (name, last, child) in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains(" inputs"),
            "{name}: {}\n{said}\n{}\nthe last input, to be kept in fuzz/corpus/{name}/:\n{:?}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&std::fs::read(last).unwrap_or_default()),
        );
        print!(
            "{}",
            said.lines().filter(|line| line.ends_with(" inputs")).map(|line| format!("{line}\n")).collect::<String>()
        );
    }
}
