//! Files that only their owner may read, written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where it goes: to what a link leads to. What is there and no file (a folder, a device, a pipe) is not replaced by one.
fn place(file: &Path) -> io::Result<PathBuf> {
    if file == Path::new("-") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "`-` is no name of a file here"));
    }
    match file.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(file.to_owned()),
        Err(error) => Err(error),
        Ok(_) => {
            let place = file.canonicalize()?;
            match place.metadata()? {
                there if there.is_file() => Ok(place),
                there if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "what is there is no file")),
            }
        }
    }
}

/// Whether one could be written there; leaves nothing behind.
pub fn can_write(file: &Path) -> io::Result<()> {
    let draft = draft(&place(file)?)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    fs::remove_file(&draft)
}

/// A name beside the file that nobody guesses.
fn draft(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(folder.join(format!(".{name}.{}", uuid::Uuid::new_v4().simple())))
}

/// Beside the file first, and in its place once it is complete.
pub fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = place(file)?;
    let draft = draft(&file)?;
    let write = || {
        let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        open.write_all(bytes)?;
        open.sync_all()?;
        fs::rename(&draft, &file)
    };
    write().inspect_err(|_| drop(fs::remove_file(&draft)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    #[test]
    fn it_is_for_its_owner_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write(&folder.path().join("none/plan.json"), b"x").is_err());
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(write(&folder.path().join("folder"), b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_is_followed_and_what_is_no_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, nowhere, socket] = ["file", "link", "nowhere", "socket"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::os::unix::fs::symlink(folder.path().join("none"), &nowhere).unwrap();
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        can_write(&link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink());
        for other in [&nowhere, &socket] {
            assert!(can_write(other).is_err() && write(other, b"x").is_err());
        }
        assert!(socket.symlink_metadata().unwrap().file_type().is_socket());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
