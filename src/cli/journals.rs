//! The journals of earlier runs, as files below `.runner/runs`: found, read, marked as settled, and in the end removed.
//!
//! A run that stops leaves its journal open. The next one that may change something looks what became of all that it
//! names, and puts a mark beside it; from then on it is not read again.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::diagnostic::Diagnostic;
use crate::engine::earlier::{self, Told};
use crate::engine::journal::{self, Said};

pub const JOURNAL: &str = "journal";
const SETTLED: &str = "settled";
const EVENTS: &str = "events.jsonl";

/// How many journals are read, latest first.
const NEWEST: usize = 50;
/// More of one is not read.
const LONGEST: u64 = 16 << 20;
/// What a run made so short a while ago may be left out by a listing, though the run ended well.
const LAGS: Duration = Duration::from_secs(300);
/// How many runs are kept, and how many are removed at most in one go.
const KEPT: usize = 200;
const REMOVED: usize = 100;
/// How many files are named in a warning.
const NAMED: usize = 3;

/// A journal that is not settled.
pub struct Found {
    folder: PathBuf,
    /// `None`: it cannot be told whose it is.
    pub told: Option<Told>,
    /// Another version of runner wrote it: it is left to that one.
    foreign: bool,
}

#[derive(Default)]
pub struct Journals {
    /// Latest first.
    pub open: Vec<Found>,
    /// Of runs that ended a moment ago.
    pub fresh: Vec<Told>,
    /// File and what is wrong with it.
    wrong: Vec<(PathBuf, String)>,
    /// One of them is for another version of runner.
    foreign: bool,
}

/// Those of one stack.
pub fn read(runs: &Path, stack: &str, sandbox: Option<&str>) -> Journals {
    let mut all = Journals::default();
    let now = SystemTime::now();
    let mut left = NEWEST;
    for (changed, folder) in folders(runs).into_iter().rev() {
        let settled = folder.join(SETTLED).exists();
        let fresh = now.duration_since(changed).is_ok_and(|age| age < LAGS);
        if settled && !fresh {
            continue;
        }
        if left == 0 {
            break;
        }
        let file = folder.join(JOURNAL);
        let (told, wrong, foreign) = match contents(&file) {
            Ok(Some(text)) => one(&text),
            Ok(None) => continue,
            Err(error) => (None, vec![error], false),
        };
        match &told {
            Some(told) if told.whose.stack != stack || told.whose.sandbox.as_deref() != sandbox => continue,
            None if stack_of(&folder).is_some_and(|other| other != stack) => continue,
            _ => {}
        }
        left -= 1;
        match (settled, told) {
            (true, told) => all.fresh.extend(told),
            (false, told) => {
                all.foreign |= foreign;
                all.wrong.extend(wrong.into_iter().map(|wrong| (file.clone(), wrong)));
                all.open.push(Found { folder, told, foreign });
            }
        }
    }
    all
}

/// What it tells, what is wrong with it, and whether it is for another version of runner.
fn one(text: &[u8]) -> (Option<Told>, Vec<String>, bool) {
    let Said { entries, mut wrong, foreign } = journal::read(&String::from_utf8_lossy(text));
    if text.len() as u64 >= LONGEST {
        wrong.insert(0, format!("it is longer than {} MiB, and only its beginning was read", LONGEST >> 20));
    }
    let told = earlier::told(&entries);
    if told.is_none() && wrong.is_empty() {
        wrong.push("it is empty".to_owned());
    }
    (told, wrong, foreign)
}

/// `None` if there is nothing to be read: there is none, or its run is still alive.
fn contents(file: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::metadata(file) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.to_string()),
        // A pipe would be waited for.
        Ok(data) if !data.is_file() => return Err("it is not a file".to_owned()),
        Ok(_) => {}
    }
    let read = || -> io::Result<Option<Vec<u8>>> {
        let file = File::open(file)?;
        if file.metadata()?.len() > 0 && matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)) {
            return Ok(None);
        }
        let mut bytes = vec![];
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    };
    read().map_err(|error| error.to_string())
}

/// By the run's record, where the journal does not tell.
fn stack_of(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        stack: String,
    }
    let mut bytes = vec![];
    File::open(folder.join(EVENTS)).ok()?.take(1 << 16).read_to_end(&mut bytes).ok()?;
    let first = bytes.split(|byte| *byte == b'\n').next()?;
    serde_json::from_slice::<Line>(first).ok().map(|line| line.stack)
}

/// The runs' folders, latest last.
fn folders(runs: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|of| of.is_dir()));
    let mut folders: Vec<_> = folders.map(|entry| (latest(&entry.path()), entry.path())).collect();
    folders.sort();
    folders
}

/// A folder's own time says when something came into it, not when its files were written.
fn latest(folder: &Path) -> SystemTime {
    let times = [folder.to_owned(), folder.join(JOURNAL), folder.join(EVENTS)];
    times.iter().filter_map(|path| fs::metadata(path).ok()?.modified().ok()).max().unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Journals {
    /// All that is wrong with them, once.
    pub fn warning(&self) -> Option<Diagnostic> {
        let told = match self.wrong.len() {
            0 => return None,
            1 => Diagnostic::warning("the journal of an earlier run cannot be read whole"),
            _ => Diagnostic::warning("journals of earlier runs cannot be read whole"),
        };
        let named = self.wrong.iter().take(NAMED);
        let mut told = named.fold(told, |told, (file, wrong)| told.because(format!("{}: {wrong}", file.display())));
        if self.wrong.len() > NAMED {
            told = told.because(format!("and {} more", self.wrong.len() - NAMED));
        }
        let mut hint = "what they do not tell is found by the tags alone; nothing is made twice for that".to_owned();
        if self.foreign {
            hint += "; one of another version is left as it is, for a runner that can read it";
        }
        Some(told.hint(hint))
    }
}

impl Found {
    /// It need not be read again, unless it is for another version. If the mark cannot be made, it is.
    pub fn settle(&self, run: &str) {
        if !self.foreign {
            settle(&self.folder, run);
        }
    }
}

pub fn settle(folder: &Path, run: &str) {
    let _ = fs::write(folder.join(SETTLED), format!("{run}\n"));
}

/// Settles a run's own journal, if nothing is open in it.
pub fn close(folder: &Path, run: &str) -> Option<Told> {
    let bytes = fs::read(folder.join(JOURNAL)).ok()?;
    let (told, wrong, _) = one(&bytes);
    let told = told?;
    if told.open.is_empty() && wrong.is_empty() {
        settle(folder, run);
    }
    Some(told)
}

/// Removes the oldest runs; what is unfinished stays.
pub fn prune(runs: &Path) {
    let folders = folders(runs);
    let old = folders.len().saturating_sub(KEPT);
    let settled = |folder: &&PathBuf| folder.join(SETTLED).is_file() && folder.join(EVENTS).is_file();
    for folder in folders[..old].iter().map(|(_, folder)| folder).filter(settled).take(REMOVED) {
        let _ = fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::journal::{Intended, Journal, Whose};
    use crate::event::Operation;
    use crate::resource::Address;

    fn whose(stack: &str) -> Whose {
        Whose { run: "r".into(), stack: stack.into(), ..Whose::default() }
    }

    fn opened(runs: &Path, run: &str, stack: &str) -> Journal {
        fs::create_dir_all(runs.join(run)).unwrap();
        let journal = Journal::at(&runs.join(run).join(JOURNAL), whose(stack)).unwrap();
        let address = Address::new("aws::vpc", "main");
        let (operation, id, region) = (Operation::Create, None, None);
        journal.intent(&Intended { address: &address, operation, id, region, inputs: "{}", anew: false }).unwrap();
        journal
    }

    fn names(journals: &Journals) -> Vec<String> {
        let name = |found: &Found| found.folder.file_name().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<String> = journals.open.iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_settled_alive_or_of_another_stack_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        let alive = opened(runs, "alive", "prod");
        for (run, stack) in [("mine", "prod"), ("other", "staging"), ("done", "prod")] {
            drop(opened(runs, run, stack));
        }
        settle(&runs.join("done"), "r");
        let read = super::read(runs, "prod", None);
        assert_eq!(names(&read), ["mine"]);
        assert_eq!(read.fresh.len(), 1, "it ended a moment ago");
        assert!(read.warning().is_none());
        drop(alive);
        assert_eq!(names(&super::read(runs, "prod", None)), ["alive", "mine"]);
        assert_eq!(names(&super::read(runs, "prod", Some("sandbox.json"))), [""; 0]);
        assert_eq!(names(&super::read(&runs.join("none"), "prod", None)), [""; 0]);
    }

    #[test]
    fn whatever_lies_there_is_told_in_one_warning() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        for (run, text) in [("a", "\u{0}\u{0}"), ("b", "{\"begun\":{\"journal\":7}}\n"), ("c", ""), ("d", "{\"be")] {
            fs::create_dir(runs.join(run)).unwrap();
            fs::write(runs.join(run).join(JOURNAL), text).unwrap();
        }
        fs::create_dir_all(runs.join("e").join(JOURNAL)).unwrap();
        fs::create_dir(runs.join("f")).unwrap();
        // What is plainly another stack's is not our business.
        fs::create_dir(runs.join("g")).unwrap();
        fs::write(runs.join("g").join(JOURNAL), "?").unwrap();
        fs::write(runs.join("g").join(EVENTS), "{\"stack\":\"staging\"}\n").unwrap();
        let read = super::read(runs, "prod", None);
        assert_eq!(names(&read), ["a", "b", "c", "d", "e"]);
        let mut wrong: Vec<&str> = read.wrong.iter().map(|(_, wrong)| wrong.as_str()).collect();
        wrong.sort_unstable();
        let whole = "it has version 7, and this runner reads 1";
        let cut = "its last line is cut off";
        assert_eq!(wrong, [whole, "it is empty", "it is not a file", cut, cut]);
        let told = read.warning().unwrap().to_string();
        assert!(told.contains("and 2 more") && told.contains("tags alone"), "{told}");
        read.open.iter().for_each(|found| found.settle("r"));
        let left = super::read(runs, "prod", None);
        assert_eq!(names(&left), ["b"], "another version can read it");
        assert!(left.warning().unwrap().to_string().contains("left as it is"));
    }

    #[test]
    fn only_what_is_settled_goes() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        for n in 0..KEPT + 20 {
            let run = runs.join(format!("{n:04}"));
            fs::create_dir(&run).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(n as u64);
            fs::write(run.join(EVENTS), "").unwrap();
            fs::write(run.join(JOURNAL), "").unwrap();
            if n % 2 == 0 {
                settle(&run, "r");
            }
            for file in [EVENTS, JOURNAL] {
                File::options().append(true).open(run.join(file)).unwrap().set_modified(time).unwrap();
            }
            File::open(&run).unwrap().set_modified(time).unwrap();
        }
        prune(runs);
        let left = fs::read_dir(runs).unwrap().count();
        assert_eq!(left, KEPT + 10);
        assert!(runs.join("0001").exists() && !runs.join("0000").exists() && runs.join("0020").exists());
    }
}
