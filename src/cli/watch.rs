//! `runner PLAYBOOK --dry-run --watch`: plans again on every save of a file that the plan was made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::args::RunArgs;
use super::place::project_root;
use super::ready::Access;
use super::session::Session;
use super::signals::Signals;
use super::{check, exit, run};
use crate::diagnostic::{Diagnostic, Sources};
use crate::report::{Format, Report};
use crate::secret::Secrets;

/// How often files are looked at.
const EVERY: Duration = Duration::from_millis(300);

/// When a file was last saved, and its length; `None` if it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// Runs until a signal ends the process, with 130.
pub async fn watch(args: &RunArgs) -> u8 {
    let report = Report::of_process(Format::Text, false, Sources::default(), &Secrets::default());
    // Held to the end: also between two plans a signal ends the process the same way.
    let _signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            report.diagnostic(&Diagnostic::error("cannot listen for signals").because(error.to_string()));
            return exit::FAILED;
        }
    };
    let playbook = args.stack.playbook.clone().unwrap_or_default();
    for plan in 1usize.. {
        let root = project_root(&playbook).unwrap_or_else(|_| PathBuf::from("."));
        let folders = check::folders(&root, &playbook);
        // Looked at before anything is read, so that a save while it is planned is not missed.
        let before = stamps(everything(&folders));
        // A policy that comes counts as much as one that is changed.
        let policies = playbook.parent().unwrap_or(Path::new(".")).join("policies");
        let policies = (plain(&policies), stamp(&policies));
        let read = planned(args, &root).await;
        let failed = read.is_none();
        let files = match read {
            Some(files) => files,
            // What would mend it may be a file that is not there yet.
            None => everything(&folders).into_iter().chain([plain(&playbook)]).collect(),
        };
        let mut known: BTreeMap<PathBuf, Stamp> =
            files.iter().map(|file| (file.clone(), before.get(file).copied().unwrap_or_else(|| stamp(file)))).collect();
        known.extend([policies]);
        // Whoever reads this may save at once.
        report.note(&format!("\nWatching {} files; Ctrl-C ends.", files.len()));
        let saved = loop {
            tokio::time::sleep(EVERY).await;
            if failed {
                for file in everything(&folders) {
                    known.entry(file).or_insert(None);
                }
            }
            if let Some(file) = known.iter().find(|(file, old)| stamp(file) != **old).map(|(file, _)| file.clone()) {
                break file;
            }
        };
        let line = "=".repeat(20);
        let saved = saved.display();
        report.note(&format!("\n{line} plan {}: {saved} was saved {line}\n", plan + 1));
    }
    exit::INTERRUPTED
}

/// Plans once. The files it was made from; `None` if it did not come so far as to know them all.
async fn planned(args: &RunArgs, root: &Path) -> Option<BTreeSet<PathBuf>> {
    let mut session = Session::open_for(&args.stack, "run", Access::Reads, &args.review).ok()?;
    let exit = run::stages(&mut session, args).await;
    let read = session.report.sources.all().into_iter().map(|(file, _)| plain(&root.join(&*file))).collect();
    let exit = session.end(exit);
    (exit != exit::FAILED).then_some(read)
}

/// One name for one file, whether it was found below `.` or not.
fn plain(file: &Path) -> PathBuf {
    file.strip_prefix(".").unwrap_or(file).to_owned()
}

fn stamps(files: BTreeSet<PathBuf>) -> BTreeMap<PathBuf, Stamp> {
    files.into_iter().map(|file| (file.clone(), stamp(&file))).collect()
}

fn stamp(file: &Path) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// All files in some folders and below them.
fn everything(folders: &[PathBuf]) -> BTreeSet<PathBuf> {
    let (mut files, mut open) = (BTreeSet::new(), folders.to_vec());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => drop(files.insert(plain(&entry.path()))),
            }
        }
    }
    files
}
