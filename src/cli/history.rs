//! What earlier runs took, from their records. A record that cannot be read is passed over: nothing rests on it.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::engine::History;
use crate::event::Operation;
use crate::resource::Address;

/// How many runs are read.
const RUNS: usize = 20;
/// How many are looked at, to find so many.
const LOOKED_AT: usize = 200;
/// A longer record is not read to its end.
const LONGEST: u64 = 16 << 20;

/// The few facts of interest; other events, also those of other versions, have none of them.
#[derive(Deserialize)]
struct Line {
    event: String,
    stack: Option<String>,
    sandbox: Option<bool>,
    address: Option<Address>,
    operation: Option<Operation>,
    seconds: Option<f64>,
}

/// Of the latest runs on the same sort of outside: what was only played says nothing of the real thing, and the other
/// way round. A run whose record does not say what it was on is left out.
pub fn read(runs: &Path, stack: &str, sandbox: bool) -> History {
    let mut found: Vec<_> = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?;
            let file = folder.path().join("events.jsonl");
            let changed = fs::metadata(&file).ok().filter(fs::Metadata::is_file)?.modified().ok()?;
            Some((changed, folder.file_name().to_string_lossy().into_owned(), file))
        })
        .collect();
    found.sort();
    let mut history = History::default();
    let mut read = 0;
    for (_, run, file) in found.iter().rev().take(LOOKED_AT) {
        read += usize::from(add(&mut history, run, file, stack, sandbox));
        if read == RUNS {
            break;
        }
    }
    history
}

/// Whether it was of the right sort.
fn add(history: &mut History, run: &str, file: &Path, stack: &str, sandbox: bool) -> bool {
    let mut bytes = vec![];
    if fs::File::open(file).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)).is_err() {
        return false;
    }
    let mut lines = bytes.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Line>);
    let Some(Ok(first)) = lines.next() else { return false };
    if first.event != "run_started" || first.sandbox != Some(sandbox) {
        return false;
    }
    let ours = first.stack.as_deref() == Some(stack);
    // Latest first, also within a run: a later stage may do the same once more.
    let finished: Vec<Line> = lines.flatten().filter(|line| line.event == "finished").collect();
    for line in finished.into_iter().rev() {
        if let (Some(address), Some(operation), Some(seconds)) = (line.address, line.operation, line.seconds) {
            history.add(run, ours, &address, operation, seconds);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(stack: &str, sandbox: &str) -> String {
        format!(r#"{{"at":"2026-01-01T00:00:00Z","event":"run_started","run":"r","stack":"{stack}"{sandbox}}}"#)
    }

    fn finished(address: &str, seconds: &str) -> String {
        format!(r#"{{"event":"finished","address":"{address}","operation":"create","id":null,"seconds":{seconds}}}"#)
    }

    #[test]
    fn only_what_is_of_the_same_sort_counts_and_nothing_broken_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, lines: &[String]| {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("events.jsonl"), lines.join("\n")).unwrap();
        };
        let (real, played) = (r#","sandbox":false"#, r#","sandbox":true"#);
        run("real", &[started("prod", real), finished("aws::vpc.main", "7.5"), "{\"event\":\"fin".into()]);
        run("played", &[started("prod", played), finished("aws::vpc.main", "0.1")]);
        run("old", &[started("prod", ""), finished("aws::vpc.main", "0.2")]);
        run("broken", &["\u{0}\u{1}".into(), finished("aws::vpc.main", "0.3")]);
        run("empty", &[]);
        fs::create_dir(folder.path().join("nothing")).unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        let mut wanted = History::default();
        wanted.add("real", true, &"aws::vpc.main".parse().unwrap(), Operation::Create, 7.5);
        assert_eq!(read(folder.path(), "prod", false), wanted);
        let mut others = History::default();
        others.add("real", false, &"aws::vpc.main".parse().unwrap(), Operation::Create, 7.5);
        assert_eq!(read(folder.path(), "staging", false), others);
        assert_eq!(read(&folder.path().join("none"), "prod", false), History::default());
    }
}
