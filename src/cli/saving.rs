//! `--plan-out FILE`: what a dry run planned, kept for a review and an apply.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use jiff::Timestamp;

use super::plan_file::{self, PlanFile, VERSION};
use super::session::Session;
use crate::diagnostic::Diagnostic;
use crate::digest::Salt;
use crate::engine::{Forecast, Plan, Saved, Wish};
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

pub async fn save(session: &Session, sets: &[String], made: Made<'_>, path: &Path) -> Result<(), Box<Diagnostic>> {
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
        sets: sets.to_vec(),
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

/// By what the outside is told from others: what the provider says, or the file of the sandbox.
pub fn whereabouts(session: &Session) -> BTreeMap<String, String> {
    let mut known = session.provider.whereabouts();
    if let Some(file) = &session.sandbox {
        let whole = file.canonicalize().or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.clone());
        known.insert("sandbox".to_owned(), whole.display().to_string());
    }
    known
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
