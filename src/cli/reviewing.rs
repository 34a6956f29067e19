//! What a session does for a review: it says what a plan rests on, and keeps what it read if the same plan comes of it.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::review::{BLANK, Document, Review, VERSION, digest};
use super::session::Session;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::{Action, Change, History, Plan, Reason, World, estimate};
use crate::event::Events;
use crate::private_file;
use crate::providers::recording::{NOT_RECORDED, Planned, Recorded, Replay};
use crate::report::{PlanDocument, Screen, plan_text};
use crate::secret::Secrets;
use crate::text_file;

impl Session {
    /// Says what the plan will rest on, if not on what is.
    pub async fn about_to_plan(&self) {
        match &self.review {
            Review::Live => {}
            // What is shown and what is kept must leave the same out.
            Review::Record { .. } => self.world().learn_secrets().await,
            Review::Replay { told, .. } => self.report.note(told),
            Review::Offline => self.report.note("Planned against an empty world (--offline): nothing was looked at."),
        }
    }

    /// What a plan says besides the changes: how long it may take, and where it rests on nothing that was read.
    pub fn complete(&self, plan: &mut Plan) {
        let read;
        let history = match &self.review {
            Review::Replay { replay, history, .. } => {
                annotate(plan, replay);
                self.warn_of_gaps(replay);
                history
            }
            Review::Offline => &History::default(),
            Review::Live | Review::Record { .. } => {
                read = self.history();
                &read
            }
        };
        plan.estimate = estimate::estimate(plan, history);
    }

    fn warn_of_gaps(&self, replay: &Replay) {
        let regions = replay.unknown_regions();
        if !regions.is_empty() {
            let name = |region: Option<String>| region.unwrap_or_else(|| "the inventory's".into());
            let names: Vec<String> = regions.into_iter().map(name).collect();
            let told = Diagnostic::warning("the recording does not tell all that the stack owns");
            let told = told.because(format!("not looked through when it was made: {}", names.join(", ")));
            self.warn(&[told.hint("what is no longer declared there is not in this plan")]);
        }
    }

    /// A plan that failed has read something all the same: a replay fails for the same answer.
    pub async fn keep_what_was_read(&self) {
        let Review::Record { recorder, file } = &self.review else { return };
        let written = match self.refuse_secrets_at_large(file).await {
            Ok(()) => self.write(file, recorder.recorded(&self.secrets, None), self.history()),
            Err(wrong) => Err(wrong),
        };
        if let Err(wrong) = written {
            self.warn(&[*wrong]);
        }
    }

    async fn refuse_secrets_at_large(&self, file: &Path) -> Result<(), Box<Diagnostic>> {
        self.refuse_short_secrets(not_recorded(file))?;
        self.refuse_unread_secrets(not_recorded(file)).await
    }

    /// Keeps what a plan rests on, once it has been shown that the same plan comes of it.
    pub async fn keep(
        &self,
        plan: &Plan,
        again: impl AsyncFnOnce(Arc<World>) -> Result<Plan, Diagnostics>,
    ) -> Result<(), Box<Diagnostic>> {
        let Review::Record { recorder, file } = &self.review else { return Ok(()) };
        self.refuse_secrets_at_large(file).await?;
        let planned: Vec<Planned> = plan.changes.iter().map(planned).collect();
        let recorded = recorder.recorded(&self.secrets, Some(&planned));
        // As it will be read: through the file's own form.
        let json = serde_json::to_vec(&recorded).map_err(|error| Box::new(cannot_write(file, error.to_string())))?;
        let read: Recorded =
            serde_json::from_slice(&json).map_err(|error| Box::new(cannot_write(file, error.to_string())))?;
        let replay = Arc::new(Replay::new(read));
        let secrets = Secrets::default();
        secrets.name(self.inventory.secrets.clone());
        replay.stand_ins().iter().for_each(|(name, value)| secrets.learn(name, value));
        let world = World::new(replay.clone(), &self.inventory.name, Events::default()).with_secrets(secrets.clone());
        let mut from_it = again(Arc::new(world)).await.map_err(|mut wrong| {
            let first = wrong.drain(..).next().map(|wrong| wrong.summary).unwrap_or_default();
            Box::new(cannot_write(file, format!("no plan comes of it: {}", self.secrets.mask(&first))))
        })?;
        from_it.estimate.clone_from(&plan.estimate);
        if let Some(line) = difference(&drawn(plan, &self.secrets), &drawn(&from_it, &secrets)) {
            let told = cannot_write(file, "another plan would come of it".into());
            return Err(Box::new(told.because(format!("the first line that differs: {line}"))));
        }
        self.write(file, recorded, self.history())
    }

    fn write(&self, file: &Path, recorded: Recorded, history: History) -> Result<(), Box<Diagnostic>> {
        let count = recorded.entries.len();
        let document = Document {
            runner_record: VERSION,
            digest: BLANK.into(),
            runner: env!("CARGO_PKG_VERSION").into(),
            at: Timestamp::now(),
            stack: self.inventory.name.clone(),
            playbook: self.playbook.display().to_string(),
            history,
            recorded,
        };
        let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string());
        let text = text.map_err(|error| Box::new(cannot_write(file, error)))? + "\n";
        let text = text.replacen(BLANK, &digest(&text), 1);
        if let Some(name) = self.secrets.within(&text).first() {
            return Err(Box::new(cannot_write(file, format!("the secret `{name}` would be in it"))));
        }
        let written = text_file::refuse_large(&text).and_then(|()| private_file::write(file, text.as_bytes()));
        written.map_err(|error| Box::new(cannot_write(file, error.to_string())))?;
        self.report.note(&format!("Recorded in {}: {count} answers, and no secret.", file.display()));
        Ok(())
    }
}

fn not_recorded(file: &Path) -> Diagnostic {
    Diagnostic::error(format!("nothing was recorded in {}", file.display()))
}

fn cannot_write(file: &Path, cause: String) -> Diagnostic {
    not_recorded(file).because(cause)
}

fn planned(change: &Change) -> Planned {
    Planned {
        address: Some(change.address.clone()),
        kind: change.address.kind.clone(),
        id: change.live.as_ref().map(|live| live.id.clone()),
        // What is not declared is nobody's text.
        inputs: match change.action {
            Action::Delete | Action::Orphan => Default::default(),
            _ => change.inputs.clone(),
        },
        ignored: change.options.ignore.clone(),
        hidden: change.fields.iter().filter(|field| field.sensitive).map(|field| field.path.clone()).collect(),
    }
}

/// Says of what is to be made whether anybody looked if it is there already.
fn annotate(plan: &mut Plan, replay: &Replay) {
    for change in plan.changes.iter_mut().filter(|change| change.action == Action::Create) {
        let said = matches!(change.reason, Some(Reason::Unchecked { .. }));
        if !said && replay.overlooked(&change.address, change.options.region.as_deref(), &change.inputs) {
            change.notes.push(NOT_RECORDED.to_owned());
        }
    }
}

/// All that is ever shown of a plan, without secrets.
fn drawn(plan: &Plan, secrets: &Secrets) -> String {
    let json = serde_json::to_string_pretty(&PlanDocument::from(plan)).unwrap_or_default();
    let text = plan_text::draw(plan, &Screen::plain(), true);
    format!("{}\n{}", secrets.mask(&text), secrets.mask(&json))
}

fn difference(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    let differing = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    Some(
        differing
            .map_or_else(|| "one is longer".to_owned(), |(one, other)| format!("{} / {}", one.trim(), other.trim())),
    )
}
