//! `--plan-out FILE`: what a dry run planned, kept for a review and an apply.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use jiff::Timestamp;

use super::args::PlanOut;
use super::plan_file::{self, PlanFile, VERSION};
use super::session::Session;
use crate::diagnostic::Diagnostic;
use crate::digest::Salt;
use crate::engine::{Forecast, Plan, Saved, Wish};
use crate::inventory::Set;
use crate::private_file;
use crate::resource::Evaluation;
use crate::secret::{Secrets, Source};

/// A plan and all that it was made from.
pub struct Made<'a> {
    pub forecast: &'a Forecast,
    pub evaluation: &'a Evaluation,
    pub plan: &'a Plan,
    pub wish: &'a Wish,
    pub destroy: bool,
}

pub async fn save(session: &Session, sets: &[Set], made: Made<'_>, path: &Path) -> Result<(), Box<Diagnostic>> {
    session.refuse_short_secrets(Diagnostic::error(format!("the plan cannot be saved to {}", path.display())))?;
    let salt = Salt::new().ok_or_else(|| {
        Diagnostic::error("the plan cannot be saved").because("the system has no random numbers to give")
    })?;
    let plan = Saved::of(made.forecast, made.evaluation, made.plan, made.wish, made.destroy, &salt)?;
    let root = &session.root;
    let at = |(name, source): (&String, &Source)| match source {
        Source::File(path) => (name.clone(), Source::File(plan_file::below(root, path))),
        other => (name.clone(), other.clone()),
    };
    let needed: Vec<String> = plan.secrets().into_iter().filter(|name| session.secrets.get(name).is_some()).collect();
    let file = PlanFile {
        runner_plan: VERSION,
        digest: String::new(),
        runner: env!("CARGO_PKG_VERSION").to_owned(),
        saved: Timestamp::now(),
        playbook: from_root(root, &session.playbook),
        stack: session.inventory.name.clone(),
        sets: sets.iter().map(Set::to_string).collect(),
        aws: session.inventory.aws.clone(),
        lock: session.inventory.lock.clone(),
        cloudflare: session.inventory.cloudflare.clone(),
        sandbox: session.sandbox.as_ref().map(|file| plan_file::below(root, &told(root, file))),
        whereabouts: whereabouts(session),
        files: plan_file::digests(root, &session.report.sources),
        secrets: session.inventory.secrets.iter().map(at).collect(),
        values: values(&session.secrets, &salt, needed).await,
        salt,
        plan,
    };
    file.write(path, &session.secrets)?;
    let path = path.display();
    session.report.note(&format!("Saved the plan to {path}: `runner show {path}`, `runner apply {path}`."));
    Ok(())
}

impl Session {
    /// Told before anything is read: a plan of a large stack takes its time.
    pub(super) fn may_save(&self, plan_out: &PlanOut) -> Result<(), Box<Diagnostic>> {
        match &plan_out.plan_out {
            Some(path) => private_file::can_write(path).map_err(|error| plan_file::unwritable(path, &error)),
            None => Ok(()),
        }
    }

    /// A dry run that failed saved nothing, and what is there is not what it showed.
    pub(super) fn tell_unsaved(&self, plan_out: &PlanOut, exit: u8) {
        let Some(path) = plan_out.plan_out.as_ref().filter(|_| exit == super::exit::FAILED) else { return };
        let earlier = if path.is_file() { "; what is there is an earlier one" } else { "" };
        self.report.note(&format!("No plan was saved to {}{earlier}.", path.display()));
    }
}

/// By what the outside is told from others: what the provider says, or the file of the sandbox.
pub fn whereabouts(session: &Session) -> BTreeMap<String, String> {
    let mut known = session.provider.whereabouts();
    if let Some(file) = &session.sandbox {
        known.insert(SANDBOX.to_owned(), sandbox(file));
    }
    known
}

/// By what a sandbox is told from others.
pub const SANDBOX: &str = "sandbox";

/// Its whole path: of the folder that is really there, as far as it is.
pub fn sandbox(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let name = whole.file_name().unwrap_or_default();
    let mut folder = whole.parent().unwrap_or(Path::new("/")).to_owned();
    let mut missing = vec![name.to_owned()];
    let found = loop {
        match (folder.canonicalize(), folder.file_name().map(|name| name.to_owned())) {
            (Ok(found), _) => break found,
            (Err(_), Some(name)) => {
                missing.push(name);
                folder.pop();
            }
            (Err(_), None) => break folder,
        }
    };
    missing.iter().rev().fold(found, |path, name| path.join(name)).display().to_string()
}

/// A slow digest of each of these secrets, side by side.
pub async fn values(secrets: &Secrets, salt: &Salt, names: Vec<String>) -> BTreeMap<String, String> {
    let digests = names.into_iter().filter_map(|name| {
        let (value, salt) = (secrets.get(&name)?, salt.clone());
        Some(async move {
            let digest = tokio::task::spawn_blocking(move || salt.slow(&value)).await;
            (name, digest.unwrap_or_default())
        })
    });
    join_all(digests).await.into_iter().collect()
}

/// The same file, seen from the project, if that is not the present folder.
fn told(root: &Path, file: &Path) -> PathBuf {
    match root == Path::new(".") {
        true => file.to_owned(),
        false => std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
    }
}

/// The playbook by its path from the project's folder, wherever it was called from.
fn from_root(root: &Path, playbook: &Path) -> String {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    plan_file::below(&whole(root), &whole(playbook)).display().to_string()
}
