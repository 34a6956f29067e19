//! The lock of one checkout: on a file, released by the operating system however the run ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::record::Holder;
use crate::diagnostic::Diagnostic;

/// Held for as long as it lives.
pub struct LocalLock {
    _file: File,
}

/// What came of a try.
pub enum Tried {
    Taken(LocalLock),
    /// By a run that says who it is, unless it is just about to.
    Held(Option<Box<Holder>>),
}

impl LocalLock {
    /// Takes the lock of a stack, if nobody has it.
    pub fn take(folder: &Path, stack: &str, holder: &Holder) -> Result<Tried, Box<Diagnostic>> {
        Self::take_at(&path(folder, stack), &format!("stack `{stack}`"), holder)
    }

    /// Takes one whose file is this. `what` it is of is told if it cannot be used.
    pub fn take_at(path: &Path, what: &str, holder: &Holder) -> Result<Tried, Box<Diagnostic>> {
        let failed = |error: io::Error| failed(&format!("cannot lock {what}"), path, &error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Tried::Held(holder_in(&mut file).map(Box::new))),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let line = serde_json::to_string(holder).unwrap_or_default();
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{line}")).map_err(failed)?;
        Ok(Tried::Taken(LocalLock { _file: file }))
    }

    /// Whether a run has it; nothing is written.
    pub fn look(folder: &Path, stack: &str) -> Result<Option<Option<Holder>>, Box<Diagnostic>> {
        let path = path(folder, stack);
        let mut file = match OpenOptions::new().read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unseen(stack, &path, &error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder_in(&mut file))),
            Err(TryLockError::Error(error)) => Err(unseen(stack, &path, &error)),
        }
    }
}

/// Another run has it; `what` is "stack `prod`".
pub fn refused(what: &str, holder: Option<&Holder>) -> Box<Diagnostic> {
    let mut told = Diagnostic::error(format!("another run is changing {what}"));
    told.causes = holder.map_or_else(|| vec!["it has not said yet who it is".into()], Holder::facts);
    Box::new(told.hint("wait for it with --lock-timeout SECONDS; a dry run needs no lock"))
}

fn path(folder: &Path, stack: &str) -> PathBuf {
    folder.join(format!("{stack}.lock"))
}

fn unseen(stack: &str, path: &Path, error: &io::Error) -> Box<Diagnostic> {
    let told = Diagnostic::error(format!("cannot look at the lock of stack `{stack}`"));
    let told = told.because(format!("{}: {error}", path.display()));
    Box::new(told.hint("it is a file that whoever runs runner there must be able to read"))
}

fn failed(summary: &str, path: &Path, error: &io::Error) -> Box<Diagnostic> {
    let told = Diagnostic::error(summary);
    let told = told.because(format!("{}: {error}", path.display()));
    let hint = match error.kind() {
        io::ErrorKind::IsADirectory => {
            "nothing was changed; a folder is in the place of the lock's file: move it away, runner makes the file by itself"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded => {
            "nothing was changed; free some space there"
        }
        _ => "nothing was changed; the folder must be writable: it holds run records and locks",
    };
    Box::new(told.hint(hint))
}

fn holder_in(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    serde_json::from_str::<Holder>(text.trim()).ok().map(Holder::clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(run: &str) -> Holder {
        Holder { run: run.into(), host: Some("build-3".into()), ..Holder::default() }
    }

    fn taken(tried: Tried) -> LocalLock {
        match tried {
            Tried::Taken(lock) => lock,
            Tried::Held(holder) => panic!("held by {holder:?}"),
        }
    }

    #[test]
    fn a_held_lock_names_its_holder_and_a_released_one_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let first = taken(LocalLock::take(folder.path(), "prod", &holder("one")).unwrap());
        let Tried::Held(Some(who)) = LocalLock::take(folder.path(), "prod", &holder("two")).unwrap() else { panic!() };
        let refused = refused("stack `prod`", Some(&who)).to_string();
        assert!(refused.contains("run one") && refused.contains("build-3"), "{refused}");
        assert_eq!(LocalLock::look(folder.path(), "prod").unwrap(), Some(Some(holder("one"))));
        taken(LocalLock::take(folder.path(), "staging", &holder("two")).unwrap());
        taken(LocalLock::take(folder.path(), "teams/a", &holder("two")).unwrap());
        drop(first);
        assert_eq!(LocalLock::look(folder.path(), "prod").unwrap(), None);
        taken(LocalLock::take(folder.path(), "prod", &holder("two")).unwrap());
    }

    #[test]
    fn what_is_no_holder_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let _first = taken(LocalLock::take(folder.path(), "prod", &holder("one")).unwrap());
        for text in ["", "{", "process 1 on host a"] {
            fs::write(folder.path().join("prod.lock"), text).unwrap();
            assert_eq!(LocalLock::look(folder.path(), "prod").unwrap(), Some(None), "{text:?}");
        }
        assert!(refused("stack `prod`", None).to_string().contains("not said yet"));
        assert!(LocalLock::look(folder.path(), "none").unwrap().is_none());
    }
}
