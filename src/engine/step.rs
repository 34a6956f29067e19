//! The three operations of an apply: look, write, wait. What may be tried again is decided here, by the class of the
//! fault.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::diff;
use super::plan::Reason;
use super::vanished::OUT_OF_SIGHT;
use super::wait::{Backoff, Pace};
use super::work::{Ending, Work, is_passing};
use crate::diagnostic::Diagnostic;
use crate::event::{Left, Operation};
use crate::resource::{Class, Create, Delete, Fault, Live, Map, ReplaceOrder, Select, Status, Update, Value};

/// For how long an update that was taken may show nothing.
const SETTLING: Duration = Duration::from_secs(90);

/// After so long a listing shows what was made.
const SEEN_AFTER: Duration = Duration::from_secs(4);

/// What an earlier run made, and nobody sees for so long, is not there any more.
const GONE_AFTER: Duration = Duration::from_secs(20);

/// For how long what was made may not be visible yet. A service may be late by seconds, and on a bad day by more; after
/// that, somebody has deleted it before it was ever seen.
const LATE: Duration = Duration::from_secs(120);

impl Work<'_> {
    /// Does it; what exists afterwards, if anything does.
    pub async fn run(&self) -> Result<Option<Arc<Live>>, Ending> {
        let result = self.to_its_end().await;
        self.ended(result)
    }

    async fn to_its_end(&self) -> Result<Option<Arc<Live>>, Ending> {
        let written = match self.operation {
            Operation::Create => self.create().await?,
            Operation::Update => self.update().await?,
            Operation::Delete => self.delete().await?,
        };
        self.free_slot();
        match (written, self.operation) {
            (None, _) => Ok(None),
            (Some(id), Operation::Delete) => self.wait_gone(&id).await.map(|()| None),
            (Some(id), _) => self.wait_ready(&id).await.map(Some),
        }
    }

    /// Writes, and gives back the id to wait for.
    async fn create(&self) -> Result<Option<String>, Ending> {
        // A second look: someone may have made it since the plan, or the plan's listing may have been short.
        let existing = self.find_by_address().await?;
        let replaced = self.change.live.as_ref().map(|live| live.id.as_str());
        let mut others = existing.into_iter().filter(|live| Some(live.id.as_str()) != replaced);
        // What an earlier run asked for without an answer is what it asked for.
        let other = match (others.next(), self.tools.journal.unanswered(&self.change.address)) {
            (None, Some(asked)) if self.kind.nature.natural_key.is_empty() => self.look_since(asked, replaced).await?,
            (Some(other), None) => return Err(self.moved(format!("`{}` exists with this address", other.id)).into()),
            (other, _) => other,
        };
        // As long as it can become what is wanted now.
        let firm = |name: &String| self.kind.input(name).is_some_and(|field| field.immutable);
        if let Some(other) = other.as_ref().filter(|other| self.differing(other).iter().any(firm)) {
            return Err(self.moved(format!("`{}` exists with this address", other.id)).into());
        }
        let mut token = self.intend(replaced, false)?;
        if let Some(old) = &self.change.live
            && self.change.options.replace == ReplaceOrder::CreateFirst
        {
            self.depose(old).await?;
        }
        if let Some(live) = other {
            return self.go_on_with(live, &token.text).await.map(Some);
        }
        let mut request = Create {
            region: self.change.options.region.clone(),
            owner: self.owner(false),
            inputs: self.inputs.clone(),
            token: token.text.clone(),
        };
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.write(self.tools.provider.create(self.kind, &request)).await? {
                // The token stands for what was made with it, also if that is on its way out.
                Ok(id) if token.again && (Some(id.as_str()) == replaced || self.is_gone(&id).await?) => {
                    token = self.intend(replaced, true)?;
                    request.token.clone_from(&token.text);
                }
                Ok(id) => {
                    self.written(Some(&id));
                    return Ok(Some(id));
                }
                // It exists, and we know which it is: what could not be set is set now, or says why not.
                Err(Fault { created: Some(id), .. }) => {
                    let live = self.wait_visible(&id).await?;
                    return self.go_on_with(live, &request.token).await.map(Some);
                }
                Err(fault) if fault.class == Class::Ambiguous => {
                    // It exists, but perhaps not all of it was set.
                    if let Some(live) = self.look_for_what_may_exist(replaced).await? {
                        return self.go_on_with(live, &request.token).await.map(Some);
                    }
                    self.pause(&mut backoff, &fault).await?;
                }
                // The name is taken by what an earlier attempt made, and no listing by tags has shown yet.
                Err(fault) if fault.class == Class::Exists && replaced.is_none() => match self.ours_by_name().await? {
                    Some(live) => return self.go_on_with(live, &request.token).await.map(Some),
                    None if self.may_retry(&fault) => self.pause(&mut backoff, &fault).await?,
                    None => return Err(self.failed(&fault)),
                },
                Err(fault) if self.may_retry(&fault) => self.pause(&mut backoff, &fault).await?,
                // It may be the token that is refused: what it was used for differs in what a digest does not tell.
                Err(fault) if token.again && fault.class == Class::Invalid => {
                    if let Some(live) = self.look_for_what_may_exist(replaced).await? {
                        return self.go_on_with(live, &request.token).await.map(Some);
                    }
                    token = self.intend(replaced, true)?;
                    request.token.clone_from(&token.text);
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
    }

    /// What exists already, as far as it is not yet as it shall be.
    async fn go_on_with(&self, live: Arc<Live>, token: &str) -> Result<String, Ending> {
        self.written(Some(&live.id));
        let id = live.id.clone();
        self.bring_about(live, token, false).await?;
        Ok(id)
    }

    /// Looks until what was asked for at some moment would be seen.
    async fn look_since(&self, asked: Timestamp, replaced: Option<&str>) -> Result<Option<Arc<Live>>, Ending> {
        let mut left = SEEN_AFTER.saturating_sub(Timestamp::now().duration_since(asked).unsigned_abs());
        while !left.is_zero() {
            let pause = left.min(Duration::from_secs(1));
            self.sleep(pause).await?;
            left -= pause;
            let found = self.find_by_address().await?;
            if let Some(live) = found.into_iter().find(|live| Some(live.id.as_str()) != replaced) {
                return Ok(Some(live));
            }
        }
        Ok(None)
    }

    /// Whether what a provider gives back for a token is on its way out, or so far gone that nobody sees it.
    async fn is_gone(&self, id: &str) -> Result<bool, Ending> {
        let (mut told, pace, begun) = (None, Pace::begin(), Instant::now());
        loop {
            match self.read(id).await? {
                Some(live) => return Ok(live.status == Status::Deleting),
                None if begun.elapsed() > GONE_AFTER => return Ok(true),
                None => {}
            }
            self.tell(&mut told, "not visible yet".into());
            self.pace(&pace, &told).await?;
        }
    }

    /// The call may have taken effect although no answer came. Its tags tell; and they may take a moment to show.
    async fn look_for_what_may_exist(&self, replaced: Option<&str>) -> Result<Option<Arc<Live>>, Ending> {
        for pause in [0.5, 1.0, 2.0, 4.0] {
            self.sleep(Duration::from_secs_f64(pause)).await?;
            let found = self.find_by_address().await?;
            if let Some(live) = found.into_iter().find(|live| Some(live.id.as_str()) != replaced) {
                return Ok(Some(live));
            }
        }
        Ok(None)
    }

    /// What has the natural name, if it is this very resource.
    async fn ours_by_name(&self) -> Result<Option<Arc<Live>>, Ending> {
        let key = self.kind.nature.natural_key;
        let Some(name) = key.first().and_then(|field| self.inputs.get(*field)?.as_str()) else { return Ok(None) };
        let select = Select::Named([name.to_owned()].into());
        let region = self.region();
        let mut backoff = Backoff::new(&self.change.address);
        let found = loop {
            let listing = self.tools.provider.list(self.kind, region.as_deref(), &select);
            match self.tools.looks.limiter.ask(&*self.tools.provider, &self.kind.name, &region, listing).await {
                Ok(found) => break found,
                Err(fault) if is_passing(&fault) => self.pause(&mut backoff, &fault).await?,
                Err(fault) => return Err(self.failed(&fault)),
            }
        };
        let owner = self.owner(false);
        let ours = |live: &Live| {
            let theirs = live.owner.as_ref();
            theirs.is_some_and(|theirs| (&theirs.stack, &theirs.address) == (&owner.stack, &owner.address))
                && live.status != Status::Deleting
        };
        Ok(found.into_iter().find(ours).map(Arc::new))
    }

    async fn wait_visible(&self, id: &str) -> Result<Arc<Live>, Ending> {
        let (mut told, pace, begun) = (None, Pace::begin(), Instant::now());
        loop {
            if let Some(live) = self.read(id).await? {
                return Ok(live);
            }
            if begun.elapsed() > LATE {
                return Err(self.never_seen(id).into());
            }
            self.tell(&mut told, "not visible yet".into());
            self.pace(&pace, &told).await?;
        }
    }

    fn never_seen(&self, id: &str) -> Diagnostic {
        self.lost(format!("`{id}` was made, and is not to be seen after {} s", LATE.as_secs()))
    }

    /// Marks the old one, so that a run stopped between two steps leaves no doubt which is which.
    async fn depose(&self, old: &Live) -> Result<(), Ending> {
        let fresh = self.look_again(old).await?;
        let request = Update {
            live: (*fresh).clone(),
            owner: self.owner(true),
            inputs: fresh.inputs.clone(),
            changed: vec![],
            token: String::new(),
        };
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.write(self.tools.provider.update(self.kind, &request)).await? {
                // Nothing of what is to be made is there by that.
                Ok(()) => {
                    self.reaches(Left::Untouched, None);
                    return Ok(());
                }
                // Writing the same tags twice does no harm.
                Err(fault) if fault.class == Class::Ambiguous || self.may_retry(&fault) => {
                    self.pause(&mut backoff, &fault).await?
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
    }

    async fn update(&self) -> Result<Option<String>, Ending> {
        let planned = self.change.live.as_ref().expect("an update has something to update");
        let live = self.look_again(planned).await?;
        let id = live.id.clone();
        let unowned = matches!(
            self.change.reason,
            Some(Reason::Adopted { .. } | Reason::Renamed { .. } | Reason::Protection { .. })
        );
        if unowned || !self.to_send(&live).is_empty() {
            let token = self.intend(Some(&id), false)?;
            self.bring_about(live, &token.text, unowned).await?;
            self.written(Some(&id));
        } else {
            // Somebody has sent it: what is left is to wait.
            self.reaches(Left::Written, Some(id.clone()));
        }
        Ok(Some(id))
    }

    /// Updates what differs until nothing does; each attempt goes on from what is there by then.
    async fn bring_about(&self, mut live: Arc<Live>, token: &str, unowned: bool) -> Result<(), Ending> {
        let mut changed = self.to_send(&live);
        let mut backoff = Backoff::new(&self.change.address);
        while unowned || !changed.is_empty() {
            self.wrote.fetch_or(changed.iter().any(|field| field != "tags"), Ordering::Relaxed);
            let request = Update {
                live: (*live).clone(),
                owner: self.owner(false),
                inputs: self.inputs.clone(),
                changed,
                token: token.to_owned(),
            };
            match self.write(self.tools.provider.update(self.kind, &request)).await? {
                Ok(()) => break,
                Err(fault) if fault.class == Class::Ambiguous || self.may_retry(&fault) => {
                    self.pause(&mut backoff, &fault).await?;
                    live = self.read(&live.id).await?.ok_or_else(|| self.lost("it is gone".into()))?;
                    changed = self.differing(&live);
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
        Ok(())
    }

    async fn delete(&self) -> Result<Option<String>, Ending> {
        let planned = self.change.live.as_ref().expect("a delete has something to delete");
        let Some(live) = self.read(&planned.id).await? else { return Ok(None) };
        if live.status == Status::Deleting {
            self.reaches(Left::Written, Some(live.id.clone()));
            return Ok(Some(live.id.clone()));
        }
        self.refuse_moved(&live, planned, planned.inputs.keys())?;
        self.intend(Some(&live.id), false)?;
        let request = Delete { live: (*live).clone() };
        let mut backoff = Backoff::new(&self.change.address);
        loop {
            match self.write(self.tools.provider.delete(self.kind, &request)).await? {
                Ok(()) => break,
                // That the resource itself is gone would be a success; something it names may not be visible.
                Err(fault) if matches!(fault.class, Class::Ambiguous | Class::NotFound) || self.may_retry(&fault) => {
                    self.pause(&mut backoff, &fault).await?;
                    match self.read(&live.id).await? {
                        None => break,
                        Some(live) if live.status == Status::Deleting => break,
                        Some(_) => {}
                    }
                }
                Err(fault) => return Err(self.failed(&fault)),
            }
        }
        self.written(Some(&live.id));
        Ok(Some(live.id.clone()))
    }

    /// The live resource, if it still is what the plan saw in everything that the plan decided on.
    async fn look_again(&self, planned: &Live) -> Result<Arc<Live>, Ending> {
        let Some(live) = self.read(&planned.id).await? else {
            return Err(self.moved(format!("`{}` is gone", planned.id)).into());
        };
        self.refuse_moved(&live, planned, self.change.inputs.keys())?;
        Ok(live)
    }

    /// What the plan decided on must still be so: whose it is, and these fields. What is already as it shall be, and
    /// what was lost because this plan removes something, is no reason to stop.
    fn refuse_moved<'b>(
        &self,
        live: &Live,
        planned: &Live,
        fields: impl Iterator<Item = &'b String>,
    ) -> Result<(), Ending> {
        // Being deposed by the create that went before is our own doing, also under a new name.
        let whose = |live: &Live| live.owner.as_ref().map(|owner| (owner.stack.clone(), owner.address.clone()));
        let deposed = self.owner(true);
        let by_us = self.operation == Operation::Delete
            && live.owner.as_ref().is_some_and(|owner| owner.deposed)
            && whose(live) == Some((deposed.stack, deposed.address));
        if whose(live) != whose(planned) && !by_us {
            return Err(self.moved("its ownership tags are different now".into()).into());
        }
        // By its name it may be another one by now.
        let uid = |live: &Live| live.outputs.get("uid").cloned();
        if uid(live).zip(uid(planned)).is_some_and(|(now, then)| now != then) {
            return Err(self.moved(format!("someone has put another `{}` in its place", planned.id)).into());
        }
        let fields: HashSet<&String> = fields.filter(|name| !self.change.options.ignore.contains(name)).collect();
        let moved: Vec<String> = self
            .kind
            .inputs
            .iter()
            .filter(|field| fields.contains(&field.name))
            .filter(|field| {
                let kept = |inputs: &Map| without(inputs.get(&field.name)?, &self.removed);
                let (now, then, wanted) = (kept(&live.inputs), kept(&planned.inputs), kept(&self.inputs));
                let as_wanted = self.operation == Operation::Update && !diff::differs(self.kind, field, &now, &wanted);
                diff::differs(self.kind, field, &now, &then) && !as_wanted
            })
            .map(|field| format!("`{}`", field.name))
            .collect();
        match moved.is_empty() {
            true => Ok(()),
            false => Err(self.moved(format!("someone changed {}", moved.join(", "))).into()),
        }
    }

    /// The fields that are not yet as they shall be.
    fn differing(&self, live: &Live) -> Vec<String> {
        if self.kind.nature.previewed {
            // The plan has asked the provider; and to write the same once more does no harm.
            let nothing = self.operation == Operation::Update && self.change.fields.is_empty();
            let sent = self.kind.inputs.iter().filter(|field| !field.immutable && !nothing);
            return sent.filter(|f| self.inputs.contains_key(&f.name)).map(|f| f.name.clone()).collect();
        }
        diff::changed_fields(&diff::diff(self.kind, &self.change.options.ignore, &self.inputs, live).1)
    }

    /// The fields to send: those that differ, or those by which what has failed is mended.
    fn to_send(&self, live: &Live) -> Vec<String> {
        let differing = self.differing(live);
        match (&live.status, self.kind.nature.mended_by) {
            (Status::Failed(_), Some(fields)) if differing.is_empty() && self.operation == Operation::Update => {
                let set = fields.iter().filter(|field| self.inputs.get(**field).is_some_and(|value| !value.is_null()));
                set.map(|field| (*field).to_owned()).collect()
            }
            _ => differing,
        }
    }

    async fn wait_ready(&self, id: &str) -> Result<Arc<Live>, Ending> {
        let mut told = None;
        let pace = Pace::begin();
        let begun = Instant::now();
        // Whether anything has come of the update yet.
        let mut moved = false;
        let update = self.operation == Operation::Update;
        let before = self.change.live.as_ref().map(|live| &live.status).filter(|_| update);
        let wrote = self.wrote.load(Ordering::Relaxed);
        let mut seen = update.then(Instant::now);
        loop {
            let live = self.read(id).await?;
            if live.is_some() {
                seen = Some(Instant::now());
            }
            let status = match live {
                Some(live) => match &live.status {
                    Status::Ready
                        if update && wrote && self.kind.nature.settles && !self.differing(&live).is_empty() =>
                    {
                        if moved || begun.elapsed() > SETTLING {
                            return Err(self.not_made(id, &self.differing(&live)).into());
                        }
                        "taken, and not begun".into()
                    }
                    Status::Ready => return Ok(live),
                    // As it was before: no reason to stop for who changed something else, and not yet one for who
                    // changed what it failed for.
                    status @ Status::Failed(_)
                        if before == Some(status) && !wrote && !self.change.fields.is_empty() =>
                    {
                        return Ok(live);
                    }
                    status @ Status::Failed(why)
                        if before == Some(status) && wrote && !moved && begun.elapsed() < SETTLING =>
                    {
                        why.clone()
                    }
                    Status::Failed(why) => return Err(self.broken(id, why).into()),
                    Status::Deleting => return Err(self.lost(format!("`{id}` is being deleted")).into()),
                    Status::Pending(status) => {
                        moved = true;
                        status.clone()
                    }
                },
                None if seen.is_some_and(|last| last.elapsed() > OUT_OF_SIGHT) => {
                    return Err(self.lost(format!("`{id}` is gone")).into());
                }
                None if seen.is_none() && begun.elapsed() > LATE => return Err(self.never_seen(id).into()),
                None => "not visible yet".into(),
            };
            self.tell(&mut told, status);
            self.pace(&pace, &told).await?;
        }
    }

    async fn wait_gone(&self, id: &str) -> Result<(), Ending> {
        let mut told = None;
        let pace = Pace::begin();
        let before = self.change.live.as_ref().map(|live| &live.status);
        while let Some(live) = self.read(id).await? {
            if let status @ Status::Failed(why) = &live.status
                && before != Some(status)
            {
                return Err(self.broken(id, why).into());
            }
            self.tell(&mut told, "deleting".into());
            self.pace(&pace, &told).await?;
        }
        Ok(())
    }
}

/// A value without what mentions one of these ids: a route through it, an association with it.
fn without(value: &Value, ids: &HashSet<String>) -> Option<Value> {
    match value {
        Value::String(text) if ids.contains(text) => None,
        Value::List(items) => Some(items.iter().filter_map(|item| without(item, ids)).collect()),
        Value::Map(map) if map.values().any(|item| without(item, ids).is_none()) => None,
        other => Some(other.clone()),
    }
}
