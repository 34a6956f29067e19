//! Where a project is.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The folder that holds `inventory/`, from the playbook's folder upwards; without one, the playbook's own.
pub(super) fn project_root(playbook: &Path) -> Result<PathBuf, Diagnostics> {
    let cannot = |error: std::io::Error| {
        vec![
            Diagnostic::error(format!("cannot read the playbook {}", playbook.display()))
                .because(error.to_string())
                .hint("give the path of a Rhai file, for example playbooks/prod.rhai"),
        ]
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
