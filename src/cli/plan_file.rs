//! The file of a saved plan: written whole or not at all, for its owner only, and read only if nobody touched it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::digest::{Salt, sha256};
use crate::engine::{self, Saved};
use crate::inventory::{Aws, Cloudflare, Lock};
use crate::private_file;
use crate::secret::{Secrets, Source};
use crate::text_file::{self, misread};

/// `"runner_plan": 1`. What reads a plan to apply it reads no other version than its own.
pub const VERSION: u64 = 1;

/// The digest of a file is made with this in its place.
const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanFile {
    pub runner_plan: u64,
    /// Of the whole file: tells damage, and is no signature.
    pub digest: String,
    /// The version of `runner` that saved it.
    pub runner: String,
    pub saved: Timestamp,
    /// The playbook as it was named, and whatever else was said of it.
    pub playbook: String,
    pub stack: String,
    pub sets: Vec<String>,
    pub aws: Aws,
    pub cloudflare: Option<Cloudflare>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// The file of the sandbox it was planned on; below the project, by its path there.
    pub sandbox: Option<PathBuf>,
    /// What the provider told of itself.
    pub whereabouts: BTreeMap<String, String>,
    /// Every file that the evaluation read, by its path below the project, with its SHA-256.
    pub files: BTreeMap<String, String>,
    pub salt: Salt,
    pub secrets: BTreeMap<String, Source>,
    /// A slow digest of the value of each secret that the plan needs.
    pub values: BTreeMap<String, String>,
    pub plan: Saved,
}

impl PlanFile {
    /// The command that made it, as somebody would type it.
    pub fn command(&self) -> String {
        let mut words = vec!["runner".to_owned()];
        words.extend(self.plan.destroy.then(|| "destroy".to_owned()));
        words.push(self.playbook.clone());
        let named = Path::new(&self.playbook).file_stem().is_some_and(|name| name.to_string_lossy() == *self.stack);
        words.extend((!named).then(|| format!("-i {}", self.stack)));
        words.extend(self.sets.iter().map(|set| format!("--set {}", quoted(set))));
        words.extend(self.sandbox.as_ref().map(|file| match file.as_path() == Path::new(super::place::SANDBOX) {
            true => "--sandbox".to_owned(),
            false => format!("--sandbox={}", quoted(&file.display().to_string())),
        }));
        words.extend(self.plan.wish.phases.iter().map(|phase| format!("--phase {phase}")));
        words.extend(self.plan.wish.prune.then(|| "--prune".to_owned()));
        words.extend(self.plan.wish.prune_named.iter().map(|address| format!("--prune={address}")));
        words.join(" ")
    }

    /// Writes it beside its place first, so that there is never half a plan; nobody else may read it.
    pub fn write(mut self, path: &Path, secrets: &Secrets) -> Result<(), Box<Diagnostic>> {
        let unwritable = |error: io::Error| unwritable(path, &error);
        let held = secrets.within(&self.text_alone().map_err(|error| unwritable(error.into()))?);
        if !held.is_empty() {
            return Err(engine::saved::holds(&held));
        }
        self.digest = NO_DIGEST.to_owned();
        let text = serde_json::to_string_pretty(&self).map_err(|error| unwritable(error.into()))? + "\n";
        // What cannot be read back as it is would not be what was shown.
        if serde_json::from_str::<PlanFile>(&text).ok().as_ref() != Some(&self) {
            let told = Diagnostic::error(format!("the plan cannot be saved to {}", path.display()));
            return Err(Box::new(told.because("a value in it cannot be written as JSON and read back the same")));
        }
        let text = text.replacen(NO_DIGEST, &sha256(text.as_bytes()), 1);
        text_file::refuse_large(&text).and_then(|()| private_file::write(path, text.as_bytes())).map_err(unwritable)
    }

    /// All of it in which a secret could stand: what was written by people and providers.
    fn text_alone(&self) -> serde_json::Result<String> {
        let mut plain = self.clone();
        plain.plan.fingerprints.clear();
        (plain.files, plain.values) = (BTreeMap::new(), BTreeMap::new());
        let mut json = serde_json::to_value(&plain)?;
        if let Some(map) = json.as_object_mut() {
            map.remove("salt");
        }
        serde_json::to_string(&json)
    }

    /// Reads a plan, and refuses what is not whole.
    pub fn read(path: &Path) -> Result<PlanFile, Box<Diagnostic>> {
        let name = path.display();
        let refuse = |summary: String| Diagnostic::error(summary);
        let damaged =
            || refuse(format!("{name} is not a whole saved plan")).hint("it was cut short or edited; plan again");
        let read = text_file::read_piped(path, text_file::KEPT);
        if path.extension().is_some_and(|end| end == "rhai") && path.is_file() {
            return Err(Box::new(
                refuse(format!("{name} is a playbook, and `runner apply` takes a plan that was saved"))
                    .hint(format!("runner {name} plans, asks and applies; --dry-run --plan-out FILE saves a plan")),
            ));
        }
        let text = read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => damaged(),
            _ => refuse(format!("cannot read {name}"))
                .because(error.to_string())
                .hint("runner PLAYBOOK --dry-run --plan-out FILE saves a plan"),
        })?;
        let no_plan = || {
            let told = refuse(format!("{name} is not a saved plan"));
            Box::new(told.hint("runner PLAYBOOK --dry-run --plan-out FILE saves a plan"))
        };
        if !text.is_empty() && !text.starts_with('{') {
            return Err(no_plan());
        }
        #[derive(Deserialize)]
        struct Head {
            runner_plan: Option<u64>,
            digest: Option<String>,
        }
        let head: Head = serde_json::from_str(&text).map_err(|error| damaged().because(misread(&error)))?;
        match head.runner_plan {
            Some(VERSION) => {}
            None => return Err(no_plan()),
            Some(other) => {
                return Err(Box::new(
                    refuse(format!("{name} is a saved plan of version {other}"))
                        .because(format!("this runner ({}) reads version {VERSION}", env!("CARGO_PKG_VERSION")))
                        .hint("show and apply it with the runner that saved it, or plan again"),
                ));
            }
        }
        let digest = head.digest.filter(|digest| digest.len() == NO_DIGEST.len()).ok_or_else(damaged)?;
        if sha256(text.replacen(&digest, NO_DIGEST, 1).as_bytes()) != digest {
            return Err(Box::new(damaged().because("its digest is not that of its content")));
        }
        serde_json::from_str(&text).map_err(|error| Box::new(damaged().because(misread(&error))))
    }

    /// The files that are not as they were when the plan was made, and whether the project is there at all.
    pub fn moved(&self, root: &Path) -> Vec<String> {
        let read = |file: &String| fs::read(root.join(file));
        if !self.is_beside(root) {
            return vec![];
        }
        let mut moved = vec![];
        for (file, digest) in &self.files {
            match read(file) {
                Ok(bytes) if sha256(&bytes) == *digest => {}
                Ok(_) => moved.push(format!("{file} was changed")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => moved.push(format!("{file} is gone")),
                Err(error) => moved.push(format!("{file} cannot be read: {error}")),
            }
        }
        moved
    }

    /// Whether any of the files that the plan was made from is there.
    pub fn is_beside(&self, root: &Path) -> bool {
        self.files.keys().any(|file| root.join(file).is_file())
    }

    /// The folder of the project, seen from here: where the playbook is below, or this one.
    pub fn root(&self) -> PathBuf {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let named: BTreeSet<&String> = self.files.keys().collect();
        let found = here.ancestors().find(|folder| named.iter().any(|file| folder.join(file).is_file()));
        match found {
            Some(folder) if folder != here => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }
}

/// One tells what has moved since; whatever that is, it is planned again.
pub fn stale(summary: &str, moved: Vec<String>) -> Diagnostic {
    let mut told = Diagnostic::error(summary);
    told.causes = moved;
    told
}

/// A path as it is told to others: below the project, by its path there.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).map(Path::to_owned).unwrap_or_else(|_| path.to_owned())
}

/// What an evaluation read, with the digest of each file.
pub fn digests(root: &Path, sources: &crate::diagnostic::Sources) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (file, text) in sources.all() {
        let below = below(root, Path::new(&*file)).display().to_string();
        // What came from the web is pinned by its own digest already.
        if root.join(&below).is_file() {
            files.insert(below, sha256(text.as_bytes()));
        }
    }
    files
}

fn quoted(word: &str) -> String {
    match word.chars().all(|c| c.is_alphanumeric() || "=._-/:,@".contains(c)) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Why no plan can be put there.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> Box<Diagnostic> {
    let told = Diagnostic::error(format!("the plan cannot be saved to {}", path.display())).because(error.to_string());
    Box::new(told.hint("`--plan-out` takes the path of a file in a folder that exists and may be written to"))
}
