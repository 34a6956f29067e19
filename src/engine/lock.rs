//! One run per stack in one checkout: a lock on a file, released by the operating system however the run ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::diagnostic::Diagnostic;

/// Held for as long as it lives.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a stack, or says who has it.
    pub fn take(folder: &Path, stack: &str, holder: &str) -> Result<Lock, Box<Diagnostic>> {
        let path = folder.join(format!("{stack}.lock"));
        let failed = |error: io::Error| {
            Box::new(
                Diagnostic::error(format!("cannot lock stack `{stack}`"))
                    .because(format!("{}: {error}", path.display()))
                    .hint("the folder must be writable; it holds run records and locks"),
            )
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut other = String::new();
                let _ = file.read_to_string(&mut other);
                return Err(Box::new(
                    Diagnostic::error(format!("another run is changing stack `{stack}`"))
                        .because(if other.is_empty() {
                            "it did not say who it is".into()
                        } else {
                            other.trim().to_owned()
                        })
                        .hint("wait until it has ended; a dry run needs no lock"),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
        Ok(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder_and_a_released_one_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), "prod", "process 1 on host a").unwrap();
        let refused = Lock::take(folder.path(), "prod", "process 2").err().unwrap();
        assert!(refused.to_string().contains("process 1 on host a"), "{refused}");
        assert!(Lock::take(folder.path(), "staging", "process 2").is_ok());
        drop(first);
        assert!(Lock::take(folder.path(), "prod", "process 2").is_ok());
    }
}
