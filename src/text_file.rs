//! Text that a project is made of: playbooks, inventories, templates. What has no end, or never begins, is no such file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Of one file; a larger one is no text that a person keeps.
const BYTES: u64 = 16 << 20;

/// The text of a file; an error, with words for people, where it is something else or has no end.
pub fn read(path: &Path) -> io::Result<String> {
    read_within(path, BYTES)
}

/// The same of a file that may be of another size.
pub fn read_within(path: &Path, bytes: u64) -> io::Result<String> {
    // Before it is opened: to open a pipe may take for ever.
    let about = path.metadata()?;
    if !about.is_file() {
        let kind = if path.is_dir() { ErrorKind::IsADirectory } else { ErrorKind::InvalidInput };
        return Err(io::Error::new(kind, "it is no file"));
    }
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {} MiB", bytes >> 20));
    if about.len() > bytes {
        return Err(too_large());
    }
    let mut text = String::new();
    // It may grow meanwhile, or not tell its length.
    File::open(path)?.take(bytes + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes { Err(too_large()) } else { Ok(text) }
}

/// Whether a path leads out of the root, by a link on its way; what is not there leads nowhere.
pub fn leads_outside(path: &Path, root: &Path) -> bool {
    match (path.canonicalize(), root.canonicalize()) {
        (Ok(path), Ok(root)) => !path.starts_with(root),
        _ => false,
    }
}
