//! Where a project is.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics, closest};

/// The sandbox's file below the project.
pub(super) const SANDBOX: &str = ".runner/sandbox.json";

/// The folder that holds `inventory/`, from the playbook's folder upwards; without one, the playbook's own.
pub(super) fn project_root(playbook: &Path) -> Result<PathBuf, Diagnostics> {
    let cannot = |error: std::io::Error| {
        let told = Diagnostic::error(format!("cannot read the playbook {}", playbook.display()));
        let hint = match beside(playbook) {
            Some(near) => format!("did you mean {}?", near.display()),
            None => "give the path of a Rhai file, for example playbooks/prod.rhai".into(),
        };
        vec![told.because(error.to_string()).hint(hint)]
    };
    let file = playbook.canonicalize().map_err(cannot)?;
    if file.is_dir() {
        return Err(cannot(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    let folder = file.parent().unwrap_or(Path::new("/"));
    let found = folder.ancestors().find(|folder| folder.join("inventory").is_dir()).unwrap_or(folder);
    // As a person would write it, where that is possible.
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    Ok(match here {
        Ok(here) if here == found => PathBuf::from("."),
        _ => found.to_owned(),
    })
}

/// A playbook whose name is near to that of one which is not there.
fn beside(playbook: &Path) -> Option<PathBuf> {
    let folder = playbook.parent()?;
    let there = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let name = playbook.file_name()?.to_str()?;
    let names: Vec<String> = std::fs::read_dir(there)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|known| known.ends_with(".rhai") && known != name)
        .collect();
    let whole = names.iter().find(|known| known.strip_suffix(".rhai") == Some(name)).map(String::as_str);
    Some(folder.join(whole.or_else(|| closest(name, names.iter().map(String::as_str)))?))
}

/// What a run that changes something keeps below the project, each a folder.
const KEPT: [&str; 3] = [".runner", ".runner/runs", ".runner/locks"];

/// Refuses a project in which there is no place for that.
pub(super) fn refuse_files(root: &Path) -> Result<(), Diagnostics> {
    let is_in_the_way = |path: &PathBuf| path.symlink_metadata().is_ok() && !path.is_dir();
    match KEPT.iter().map(|name| root.join(name)).find(is_in_the_way) {
        None => Ok(()),
        Some(path) => Err(vec![
            Diagnostic::error("nothing was changed: there is no place for the run's record and its lock")
                .because(format!("{} is not a folder", path.display()))
                .hint("move it away or delete it; runner makes the folder by itself"),
        ]),
    }
}
