//! Files of text. A project is made of them (playbooks, inventories, templates); others runner writes and reads again.
//! What has no end is none of them.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use serde_json::error::Category;

/// Of a saved plan or a recording; that of the shipped platform has 12 MB.
pub const KEPT: u64 = 256 << 20;

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
    if about.len() > bytes {
        return Err(too_large(bytes));
    }
    read_piped(path, bytes)
}

/// The same of what may also come through a pipe, `<(…)`: whoever names one wants it waited for.
pub fn read_piped(path: &Path, bytes: u64) -> io::Result<String> {
    let file = File::open(path)?;
    let mut text = vec![];
    // It may grow meanwhile, or not tell its length.
    if file.metadata()?.len() <= bytes {
        file.take(bytes + 1).read_to_end(&mut text)?;
        if text.len() as u64 <= bytes {
            return String::from_utf8(text)
                .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not text in UTF-8"));
        }
    }
    Err(too_large(bytes))
}

/// An error if a text could not be read again.
pub fn refuse_large(text: &str) -> io::Result<()> {
    if text.len() as u64 > KEPT { Err(too_large(KEPT)) } else { Ok(()) }
}

fn too_large(bytes: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {} MiB", bytes >> 20))
}

/// Why a text is not the JSON that was written, in words for people: the names of types say nothing to them.
pub fn misread(error: &serde_json::Error) -> String {
    match (error.classify(), error.line()) {
        (Category::Eof, _) => "it ends in the middle".into(),
        (Category::Data, 0) => "it is not of the form that runner writes".into(),
        (Category::Data, line) => format!("line {line} is not of the form that runner writes"),
        _ => error.to_string(),
    }
}

/// Whether a path leads out of the root, by a link on its way; what is not there leads nowhere.
pub fn leads_outside(path: &Path, root: &Path) -> bool {
    match (path.canonicalize(), root.canonicalize()) {
        (Ok(path), Ok(root)) => !path.starts_with(root),
        _ => false,
    }
}
