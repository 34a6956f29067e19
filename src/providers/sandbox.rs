//! An embedded cloud behind the provider trait: every kind by its schema alone, in memory, optionally kept in a file.
//!
//! It honours what the schema says (required, immutable, defaults), refuses to delete what something else uses, and
//! makes up outputs that are the same in every run. It stands in for the outside; it is no second engine.

mod made_up;
mod relations;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use self::made_up::{made_up, make_id, outputs, with_defaults};
use super::{kubernetes, remote};
use crate::diagnostic::Diagnostic;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{
    Address, Class, Create, Delete, Fault, Kind, Live, Map, Output, Preview, Previewed, Provider, Select, Status,
    Update, Value,
};
use crate::text_file::{self, misread};

/// What a test wants to happen to the next calls of one sort.
#[derive(Clone, Debug)]
pub struct Mishap {
    /// `create aws::vpc`, `list aws::subnet`, …
    pub call: String,
    pub class: Class,
    /// The call takes effect although it is answered with a fault: a lost answer.
    pub takes_effect: bool,
    /// How many calls it befalls.
    pub times: usize,
}

/// How long things take.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Every call.
    pub call: Duration,
    /// From the answer to a create or update until the resource is ready, and from a delete until it is gone.
    pub settle: HashMap<String, Duration>,
    pub settle_otherwise: Duration,
}

impl Latency {
    /// Long enough to see that things happen side by side, short enough not to be waited for.
    pub fn for_show(kinds: &[Arc<Kind>]) -> Self {
        let settle = |kind: &Arc<Kind>| (kind.name.to_string(), Duration::from_millis(kind.nature.timeout / 2));
        Latency { call: Duration::from_millis(20), settle: kinds.iter().map(settle).collect(), ..Latency::default() }
    }
}

pub struct Sandbox {
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
    state: Mutex<State>,
    file: Option<PathBuf>,
    /// Held while the file is written; how much of the state is in it.
    saved: tokio::sync::Mutex<u64>,
    pub latency: Latency,
    pub read_only: bool,
    /// Where files from the web are kept; they are real here too.
    pub files: Option<PathBuf>,
    compounds: Vec<Compound>,
}

#[derive(Default)]
struct State {
    records: BTreeMap<String, Record>,
    born: u64,
    version: u64,
    mishaps: Vec<Mishap>,
    calls: BTreeMap<String, usize>,
}

/// Kind and id: an id that is a name may be that of several kinds.
fn key(kind: &str, id: &str) -> String {
    format!("{kind} {id}")
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    kind: String,
    live: Live,
    #[serde(skip)]
    settles: Option<Instant>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    sandbox: u32,
    born: u64,
    resources: Vec<Record>,
}

const FORMAT: u32 = 2;
/// Of the file, in bytes.
const LARGEST: u64 = 1 << 30;

impl Sandbox {
    /// An empty cloud that is gone with the process.
    pub fn in_memory(kinds: Vec<Arc<Kind>>, lookups: Vec<Lookup>) -> Self {
        Sandbox {
            kinds,
            lookups,
            state: Mutex::default(),
            file: None,
            saved: tokio::sync::Mutex::new(0),
            latency: Latency::default(),
            read_only: false,
            files: None,
            compounds: kubernetes::compounds(),
        }
    }

    /// A cloud that is kept in a file, which need not exist yet. Only one at a time may change it, whoever has the lock
    /// [`lock_of`] it: it is written whole.
    pub fn in_file(
        kinds: Vec<Arc<Kind>>,
        lookups: Vec<Lookup>,
        file: &Path,
        read_only: bool,
    ) -> Result<Self, Box<Diagnostic>> {
        let mut sandbox = Sandbox::in_memory(kinds, lookups);
        sandbox.file = Some(file.to_owned());
        sandbox.read_only = read_only;
        sandbox.load()?;
        Ok(sandbox)
    }

    fn load(&self) -> Result<(), Box<Diagnostic>> {
        let Some(file) = &self.file else { return Ok(()) };
        let cannot = || Diagnostic::error(format!("cannot use the sandbox in {}", file.display()));
        let unusable = |cause: String| {
            Box::new(cannot().because(cause).hint("it is only a play cloud: delete the file to begin anew"))
        };
        let mut state = self.state.lock().expect("no holder panics");
        match text_file::read_within(file, LARGEST) {
            Ok(text) => {
                let saved: Saved = serde_json::from_str(&text).map_err(|error| unusable(misread(&error)))?;
                if saved.sandbox != FORMAT {
                    return Err(unusable(format!(
                        "it has format {}, this runner reads format {FORMAT}",
                        saved.sandbox
                    )));
                }
                state.born = saved.born;
                state.records = saved.resources.into_iter().map(|r| (key(&r.kind, &r.live.id), r)).collect();
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                (state.born, state.records) = (0, BTreeMap::new());
            }
            // Nothing is wrong with what is in it.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Box::new(
                    cannot().because(error.to_string()).hint("whoever plays with it must be allowed to read it"),
                ));
            }
            Err(error) => return Err(unusable(error.to_string())),
        }
        Ok(())
    }

    /// Lets something go wrong.
    pub fn befall(&self, mishap: Mishap) {
        self.state.lock().expect("no holder panics").mishaps.push(mishap);
    }

    /// Everything there is, by kind and id.
    pub fn all(&self) -> Vec<(String, Live)> {
        let state = self.state.lock().expect("no holder panics");
        state.records.values().map(|record| (record.kind.clone(), record.live.clone())).collect()
    }

    /// Changes something behind everyone's back.
    pub fn meddle(&self, id: &str, change: impl FnOnce(&mut Live)) {
        let mut state = self.state.lock().expect("no holder panics");
        let found = state.records.values_mut().find(|record| record.live.id == id);
        change(&mut found.expect("the test names what exists").live);
    }

    /// How often each call was made, `create aws::vpc` and the like.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        self.state.lock().expect("no holder panics").calls.clone()
    }

    /// Counts a call and lets its time pass; `Some` is the mishap that befalls it.
    async fn enter(&self, verb: &str, kind: &str, changes: bool) -> Result<Option<Mishap>, Fault> {
        if changes && self.read_only {
            return Err(Fault::read_only(verb, kind, "nothing may change in this mode"));
        }
        if !self.latency.call.is_zero() {
            sleep(self.latency.call).await;
        }
        let call = format!("{verb} {kind}");
        let mut state = self.state.lock().expect("no holder panics");
        *state.calls.entry(call.clone()).or_default() += 1;
        let Some(index) = state.mishaps.iter().position(|mishap| mishap.call == call) else { return Ok(None) };
        let mishap = state.mishaps[index].clone();
        state.mishaps[index].times -= 1;
        if state.mishaps[index].times == 0 {
            state.mishaps.remove(index);
        }
        if mishap.takes_effect { Ok(Some(mishap)) } else { Err(mishap.fault()) }
    }

    fn settles(&self, kind: &str) -> Option<Instant> {
        let time = self.latency.settle.get(kind).copied().unwrap_or(self.latency.settle_otherwise);
        (!time.is_zero()).then(|| Instant::now() + time)
    }

    /// Runs a change of the state and sees to it that it is in the file before it is answered.
    async fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T, Fault>) -> Result<T, Fault> {
        let (result, version) = {
            let mut state = self.state.lock().expect("no holder panics");
            let result = change(&mut state)?;
            state.version += 1;
            (result, state.version)
        };
        self.save(version)
            .await
            .map_err(|error| Fault::new(Class::Other, format!("cannot write the sandbox file: {error}")))?;
        Ok(result)
    }

    /// Whoever comes while another writes is written by the next, together with all who came meanwhile.
    async fn save(&self, version: u64) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut saved = self.saved.lock().await;
        if *saved >= version {
            return Ok(());
        }
        let (bytes, version) = {
            let state = self.state.lock().expect("no holder panics");
            let resources = state.records.values().cloned().collect();
            let saved = Saved { sandbox: FORMAT, born: state.born, resources };
            (serde_json::to_vec_pretty(&saved)?, state.version)
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let draft = beside(file, "draft");
        let written = std::fs::write(&draft, bytes).and_then(|()| std::fs::rename(&draft, file));
        written.map_err(|error| {
            // Half a draft is of use to nobody, and fills the disk.
            let _ = std::fs::remove_file(&draft);
            std::io::Error::new(error.kind(), format!("{}: {error}", draft.display()))
        })?;
        *saved = version;
        Ok(())
    }
}

impl Mishap {
    fn fault(&self) -> Fault {
        Fault::new(self.class, format!("the sandbox was told to fail: {}", self.call))
    }
}

impl State {
    /// What has been deleted long enough ago is gone; what has settled is ready.
    fn settle(&mut self) {
        let now = Instant::now();
        self.records.retain(|_, r| !(r.live.status == Status::Deleting && r.settles.is_none_or(|at| at <= now)));
        for record in self.records.values_mut() {
            if matches!(record.live.status, Status::Pending(_)) && record.settles.is_none_or(|at| at <= now) {
                record.live.status = Status::Ready;
                record.settles = None;
            }
        }
    }
}

#[async_trait]
impl Provider for Sandbox {
    fn kinds(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        kubernetes::kind_among(&self.kinds, name)
    }

    fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    fn compounds(&self) -> &[Compound] {
        &self.compounds
    }

    async fn preview(&self, _: &Kind, request: &Preview) -> Result<Previewed, Fault> {
        Ok(kubernetes::preview_by_shape(request))
    }

    fn order(&self, resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
        kubernetes::order(resources)
    }

    async fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        let Some(files) = &self.files else { return Ok(None) };
        match remote::fetch(url, sha256, files).await {
            // To play, nobody needs the web.
            Err(fault) if fault.class == Class::Other => Ok(None),
            fetched => fetched.map(Some),
        }
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        self.enter("census", "of kinds", false).await?;
        let state = self.state.lock().expect("no holder panics");
        let owned = state.records.values().filter(|record| {
            record.live.region.as_deref() == region && record.live.owner.as_ref().is_some_and(|o| o.stack == stack)
        });
        Ok(owned.map(|record| Arc::from(record.kind.as_str())).collect())
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        self.enter("list", &kind.name, false).await?;
        let mut state = self.state.lock().expect("no holder panics");
        state.settle();
        let owned_by = |live: &Live, stack: &str| live.owner.as_ref().is_some_and(|owner| owner.stack == *stack);
        let fits = |live: &Live| match select {
            Select::Owned { stack } => owned_by(live, stack),
            Select::Ids(ids) => ids.contains(&live.id),
            Select::Named(names) => kind
                .nature
                .natural_key
                .first()
                .and_then(|field| live.inputs.get(*field)?.as_str())
                .is_some_and(|name| names.contains(name)),
        };
        let records = state.records.values().filter(|record| *record.kind == *kind.name);
        Ok(records.map(|r| &r.live).filter(|live| live.region.as_deref() == region && fits(live)).cloned().collect())
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        let mishap = self.enter("create", &kind.name, true).await?;
        let settles = self.settles(&kind.name);
        let id = self
            .change(|state| {
                state.settle();
                refuse_incomplete(kind, &request.inputs)?;
                if let Some(id) = state.dangling(&self.kinds, &request.inputs) {
                    return Err(Fault::new(Class::NotFound, format!("`{id}` does not exist")));
                }
                state.refuse_taken_name(kind, &request.inputs)?;
                state.born += 1;
                let id = make_id(kind, &request.owner, &request.inputs, state.born);
                let mut inputs = with_defaults(kind, &request.inputs);
                inputs.retain(|_, value| !value.is_null());
                let outputs = outputs(kind, &id, &inputs);
                let status = if settles.is_some() { Status::Pending("pending".into()) } else { Status::Ready };
                let live = Live {
                    id: id.clone(),
                    region: request.region.clone(),
                    owner: Some(request.owner.clone()),
                    inputs,
                    outputs,
                    status,
                };
                state.records.insert(key(&kind.name, &id), Record { kind: kind.name.to_string(), live, settles });
                Ok(id)
            })
            .await?;
        mishap.map_or(Ok(id), |mishap| Err(mishap.fault()))
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        let mishap = self.enter("update", &kind.name, true).await?;
        let settles = self.settles(&kind.name);
        self.change(|state| {
            let immutable = request.changed.iter().find(|name| kind.input(name).is_some_and(|field| field.immutable));
            if let Some(name) = immutable {
                return Err(Fault::new(Class::Invalid, format!("`{name}` of {} cannot be changed", kind.name)));
            }
            if let Some(id) = state.dangling(&self.kinds, &request.inputs) {
                return Err(Fault::new(Class::NotFound, format!("`{id}` does not exist")));
            }
            let Some(record) = state.records.get_mut(&key(&kind.name, &request.live.id)) else {
                return Err(Fault::new(Class::NotFound, format!("`{}` does not exist", request.live.id)));
            };
            record.live.owner = Some(request.owner.clone());
            for name in &request.changed {
                match request.inputs.get(name).filter(|value| !value.is_null()) {
                    Some(value) => record.live.inputs.insert(name.clone(), value.clone()),
                    None => record.live.inputs.remove(name),
                };
            }
            let stable = std::mem::take(&mut record.live.outputs);
            record.live.outputs = outputs(kind, &record.live.id, &record.live.inputs);
            for output in kind.outputs.iter().filter(|o| !o.changes_with.iter().any(|n| request.changed.contains(n))) {
                if let Some(value) = stable.get(&output.name) {
                    record.live.outputs.insert(output.name.clone(), value.clone());
                }
            }
            if settles.is_some() && !request.changed.is_empty() {
                record.live.status = Status::Pending("updating".into());
                record.settles = settles;
            }
            Ok(())
        })
        .await?;
        mishap.map_or(Ok(()), |mishap| Err(mishap.fault()))
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        let mishap = self.enter("delete", &kind.name, true).await?;
        let settles = self.settles(&kind.name);
        self.change(|state| {
            state.settle();
            if let Some(user) = state.user_of(&self.kinds, kind, &request.live.id) {
                return Err(Fault::new(Class::Busy, format!("`{}` is in use by `{}`", request.live.id, user.live.id)));
            }
            state.let_go(&self.kinds, kind, &request.live.id);
            match (state.records.get_mut(&key(&kind.name, &request.live.id)), settles) {
                (None, _) => {}
                (Some(_), None) => drop(state.records.remove(&key(&kind.name, &request.live.id))),
                (Some(record), settles) => (record.live.status, record.settles) = (Status::Deleting, settles),
            }
            Ok(())
        })
        .await?;
        mishap.map_or(Ok(()), |mishap| Err(mishap.fault()))
    }

    fn stands_in_for_secrets(&self) -> bool {
        true
    }

    fn claimed(&self) -> Result<(), Box<Diagnostic>> {
        self.load()
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.enter("look up", name, false).await?;
        let lookup = self.lookups.iter().find(|lookup| *lookup.name == *name);
        let lookup = lookup.ok_or_else(|| Fault::new(Class::Invalid, format!("there is no lookup `{name}`")))?;
        // What it was looked up by is so.
        let asked = |output: &Output| lookup.parameters.iter().position(|field| field.name == output.name);
        let given = |output: &Output| arguments.get(asked(output)?).cloned();
        let value = |output: &Output| {
            let value = given(output).unwrap_or_else(|| made_up(output, name));
            (output.name.clone(), value)
        };
        Ok(Value::Map(lookup.returns.iter().map(value).collect()))
    }
}

/// The lock of a sandbox file lies beside it, since the file itself is replaced at every change.
pub fn lock_of(file: &Path) -> PathBuf {
    beside(file, "lock")
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

fn refuse_incomplete(kind: &Kind, inputs: &Map) -> Result<(), Fault> {
    match kind.inputs.iter().find(|field| field.required && inputs.get(&field.name).is_none_or(Value::is_null)) {
        Some(field) => Err(Fault::new(Class::Invalid, format!("`{}` of {} is required", field.name, kind.name))),
        None => Ok(()),
    }
}
