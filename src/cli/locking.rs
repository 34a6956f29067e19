//! The locks of a run that changes something: of this checkout, and of the team.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::locks::{Locks, variable};
use super::session::Session;
use crate::diagnostic::Diagnostic;
use crate::engine::lock::local::{self, Tried};
use crate::engine::lock::{self, Clock, Holder, Lease, LocalLock, Terms};
use crate::event::{Event, Events};
use crate::providers::sandbox;
use crate::resource::LockStore;

/// Between two looks at the lock of this checkout.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the end of a run may take for letting go of the team's lock.
const PARTING: Duration = Duration::from_secs(5);

/// Where a team's lock is, and for how long it is held at a time.
pub(super) type TeamStore = (Arc<dyn LockStore>, Duration);

impl Session {
    /// One run per stack: held until the session ends. Waits for so many seconds for whoever has it.
    pub async fn lock(&mut self, seconds: u64) -> Result<(), Box<Diagnostic>> {
        if self.locks.is_some() {
            return Ok(());
        }
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut holder = self.holder();
        let (folder, stack) = (&self.lock_folder, &self.inventory.name);
        let local =
            self.lock_here(&format!("stack `{stack}`"), until, || LocalLock::take(folder, stack, &holder)).await?;
        let sandbox = match &self.sandbox {
            Some(file) => {
                // Other stacks may be in it, and it is written whole.
                let (path, what) = (sandbox::lock_of(file), format!("the sandbox {}", file.display()));
                let lock = self.lock_here(&what, until, || LocalLock::take_at(&path, &what, &holder)).await?;
                self.provider.claimed()?;
                Some(lock)
            }
            None => None,
        };
        let lease = match self.team_store()? {
            None => Lease::none(),
            Some((store, lease)) => {
                holder.caller = store.caller().await;
                self.lock_for_all(store, holder, Terms { lease, wait: until - Instant::now() }).await?
            }
        };
        self.signals.releases(lease.clone());
        self.locks = Some(Locks::new(local, sandbox, lease));
        Ok(())
    }

    /// Lets go of the team's lock; that of this checkout goes with the process.
    pub async fn unlock(&mut self) {
        if let Some(locks) = self.locks.take()
            && let Err(told) = locks.lease.release(PARTING).await
        {
            self.warn(&[*told]);
        }
    }

    /// Where the inventory says that the team's lock is; the sandbox is nobody else's.
    pub(super) fn team_store(&self) -> Result<Option<TeamStore>, Box<Diagnostic>> {
        let Some(lock) = self.inventory.lock.as_ref().filter(|_| self.sandbox.is_none()) else { return Ok(None) };
        let store = lock.place().and_then(|place| self.provider.lock_store(&place, &self.inventory.name));
        match store {
            Some(store) => Ok(Some((store, Duration::from_secs(lock.lease)))),
            None => Err(Box::new(Diagnostic::error(format!("there is no way to the lock {}", lock.s3)))),
        }
    }

    async fn lock_here(
        &self,
        what: &str,
        until: Instant,
        take: impl Fn() -> Result<Tried, Box<Diagnostic>>,
    ) -> Result<LocalLock, Box<Diagnostic>> {
        let mut told = None;
        loop {
            let other = match take()? {
                Tried::Taken(lock) => return Ok(lock),
                Tried::Held(other) => other,
            };
            if Instant::now() >= until {
                return Err(local::refused(what, other.as_deref()));
            }
            if let Some(other) = other.filter(|other| told.as_ref() != Some(&other.id)) {
                waiting(&self.events, what, other.facts());
                told = Some(other.id);
            }
            sleep(PAUSE).await;
        }
    }

    async fn lock_for_all(
        &self,
        store: Arc<dyn LockStore>,
        holder: Holder,
        terms: Terms,
    ) -> Result<Lease, Box<Diagnostic>> {
        let (events, stack) = (self.events.clone(), self.inventory.name.clone());
        let tell = |record: &lock::Record, age| waiting(&events, &format!("stack `{stack}`"), record.facts(age));
        let won = lock::acquire(store.clone(), holder, &terms, Clock::default(), &tell).await?;
        if let Some(gone) = won.taken_over {
            let mut told = Diagnostic::warning("the lock of a run that is gone was taken over");
            told.causes = gone.holder.facts();
            self.warn(&[told.hint("what it was about when it stopped, the plan takes up again")]);
        }
        if let Some(remark) = won.remark {
            self.warn(&[Diagnostic::warning(remark)]);
        }
        Ok(won.lease)
    }

    fn holder(&self) -> Holder {
        let playbook = self.playbook.strip_prefix(&self.root).unwrap_or(&self.playbook);
        Holder {
            id: uuid::Uuid::new_v4().to_string(),
            stack: self.inventory.name.clone(),
            run: self.run.clone(),
            command: self.command.clone(),
            playbook: playbook.display().to_string(),
            user: variable("USER").or_else(|| variable("LOGNAME")).or_else(number),
            host: host(),
            process: std::process::id(),
            caller: None,
            job: job(),
            since: jiff::Timestamp::now(),
        }
    }
}

/// A container may give its user no name.
fn number() -> Option<String> {
    let me = std::fs::metadata("/proc/self").ok()?;
    Some(format!("user {}", std::os::unix::fs::MetadataExt::uid(&me)))
}

fn waiting(events: &Events, what: &str, facts: Vec<String>) {
    let mut told = Diagnostic::warning(format!("waiting for another run, which is changing {what}"));
    told.causes = facts;
    events.emit(Event::Told { diagnostic: Box::new(told) });
}

fn host() -> Option<String> {
    let told =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    told.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).or_else(|| variable("HOSTNAME"))
}

/// The page of the CI job that this is.
fn job() -> Option<String> {
    let github = || {
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
    };
    github().or_else(|| variable("CI_JOB_URL")).or_else(|| variable("BUILD_URL"))
}
