//! The sandbox in bad weather: calls that fail, take effect without an answer, or are the last of a run; people who
//! change things meanwhile; listings that lag behind. It watches what must never be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use runner::providers::sandbox::Sandbox;
use runner::resource::kind::Lookup;
use runner::resource::{Class, Create, Delete, Fault, Kind, Live, Provider, Select, Status, Update, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::stack::Pick;

/// What befalls one call of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// This call and the next ones fail.
    Fails { class: Failing, takes_effect: bool, times: u8 },
    /// The process is gone: nobody hears of this call, whether it took effect or not.
    Kill { takes_effect: bool },
    /// Ctrl-C.
    Stop,
    /// Someone is at it too.
    Meddle(Meddling),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failing {
    Throttled,
    Ambiguous,
    NotFound,
    Busy,
    Exists,
    Denied,
    Invalid,
    Other,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meddling {
    Size(Pick, u8),
    Tag(Pick),
    /// Unless something uses it.
    Delete(Pick),
    /// It breaks, unless it is protected: nobody but a person may mend that.
    Fail(Pick),
}

impl Failing {
    fn class(self) -> Class {
        match self {
            Failing::Throttled => Class::Throttled,
            Failing::Ambiguous => Class::Ambiguous,
            Failing::NotFound => Class::NotFound,
            Failing::Busy => Class::Busy,
            Failing::Exists => Class::Exists,
            Failing::Denied => Class::Denied,
            Failing::Invalid => Class::Invalid,
            Failing::Other => Class::Other,
        }
    }

    /// These say that nothing was done; the engine may rely on it.
    fn may_take_effect(self) -> bool {
        !matches!(self, Failing::Throttled | Failing::NotFound | Failing::Busy | Failing::Exists)
    }
}

pub struct Weather {
    pub inner: Arc<Sandbox>,
    calls: AtomicUsize,
    troubles: BTreeMap<usize, Trouble>,
    /// The failure under way, and how many more calls it befalls.
    failing: Mutex<Option<(Failing, bool, u8)>>,
    pub died: Notify,
    stop: watch::Sender<bool>,
    /// What was made a moment ago is not listed yet.
    lag: Duration,
    made: Mutex<HashMap<String, Instant>>,
    /// Calls do not all take the same time.
    uneven: bool,
    pub wrong: Mutex<Vec<String>>,
    /// What was done, for who has to find out why.
    pub told: Mutex<Vec<String>>,
}

impl Weather {
    pub fn new(
        inner: Arc<Sandbox>,
        troubles: BTreeMap<usize, Trouble>,
        stop: watch::Sender<bool>,
        lag: Duration,
        uneven: bool,
    ) -> Self {
        let (calls, failing, died, made, wrong, told) = Default::default();
        Weather { inner, calls, troubles, failing, died, stop, lag, made, uneven, wrong, told }
    }

    /// How many of its troubles came about.
    pub fn troubled(&self) -> usize {
        self.troubles.range(..self.calls.load(Ordering::SeqCst)).count()
    }

    fn note(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }

    async fn pass<T>(&self, what: String, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        assert!(number < 20_000, "a run has no end: {:?}", self.told.lock().unwrap().iter().rev().take(20));
        if self.uneven {
            sleep(Duration::from_millis(number as u64 * 37 % 11 * 20)).await;
        }
        match self.troubles.get(&number) {
            Some(Trouble::Fails { class, takes_effect, times }) => {
                *self.failing.lock().unwrap() =
                    Some((*class, *takes_effect && class.may_take_effect(), *times % 5 + 1));
            }
            Some(Trouble::Kill { takes_effect }) => {
                let done = if *takes_effect { call.await.is_ok() } else { false };
                self.note(format!("{number} {what}: killed, done: {done}"));
                self.watch();
                self.died.notify_one();
                return std::future::pending().await;
            }
            Some(Trouble::Stop) => drop(self.stop.send_replace(true)),
            Some(Trouble::Meddle(meddling)) => {
                let done = meddle(&self.inner, meddling).await;
                self.note(format!("{number} someone: {done:?}"));
            }
            None => {}
        }
        let failing = {
            let mut failing = self.failing.lock().unwrap();
            let now = *failing;
            *failing = now.filter(|(_, _, left)| *left > 1).map(|(class, effect, left)| (class, effect, left - 1));
            now
        };
        let result = match failing {
            Some((class, takes_effect, _)) => {
                let done = if takes_effect { Some(call.await.is_ok()) } else { None };
                let message = format!("told to fail as {class:?}, done: {done:?}");
                Err(Fault::new(class.class(), message))
            }
            None => call.await,
        };
        let ended = result.as_ref().err().map(|fault| format!(": {fault}"));
        self.note(format!("{number} {what}{}", ended.unwrap_or_default()));
        self.watch();
        result
    }

    /// At no time two of one address, those apart that a replacement has deposed.
    fn watch(&self) {
        let mut seen = BTreeSet::new();
        for (_, live) in self.inner.all() {
            if let Some(owner) = live.owner.filter(|owner| !owner.deposed && live.status != Status::Deleting)
                && !seen.insert((owner.stack.clone(), owner.address.to_string()))
            {
                self.wrong.lock().unwrap().push(format!("two are {} of {}", owner.address, owner.stack));
            }
        }
    }
}

/// Does it, if there is something to do it to; says to what.
pub async fn meddle(sandbox: &Sandbox, meddling: &Meddling) -> Option<String> {
    let (Meddling::Size(pick, _) | Meddling::Tag(pick) | Meddling::Delete(pick) | Meddling::Fail(pick)) = meddling;
    let fits = |kind: &str, live: &Live| {
        let kind = sandbox.kind(kind).expect("a kind of the sandbox");
        let ours = live.owner.as_ref().is_some_and(|owner| owner.stack == "prod");
        ours && live.status != Status::Deleting
            && match meddling {
                Meddling::Size(..) => live.inputs.contains_key("size"),
                Meddling::Tag(_) => kind.input("tags").is_some(),
                Meddling::Delete(_) => true,
                // What is mended by sending a field again can be mended only if that field was written.
                Meddling::Fail(_) if kind.nature.mended_by.is_some() => live.inputs.contains_key("size"),
                Meddling::Fail(_) => live.owner.as_ref().is_some_and(|owner| !owner.protect),
            }
    };
    let fitting: Vec<_> = sandbox.all().into_iter().filter(|(kind, live)| fits(kind, live)).collect();
    let (kind, live) = fitting.get(*pick as usize % fitting.len().max(1))?.clone();
    match meddling {
        Meddling::Size(_, size) => {
            sandbox.meddle(&live.id, |live| drop(live.inputs.insert("size".into(), Value::Int((*size).into()))));
        }
        Meddling::Tag(_) => sandbox.meddle(&live.id, |live| {
            live.inputs.insert("tags".into(), Value::from(json!({ "someone": "was here" })));
        }),
        Meddling::Delete(_) => {
            let kind = sandbox.kind(&kind).expect("a kind of the sandbox");
            sandbox.delete(&kind, &Delete { live: live.clone() }).await.ok()?;
        }
        Meddling::Fail(_) => sandbox.meddle(&live.id, |live| live.status = Status::Failed("broken".into())),
    }
    Some(format!(
        "{meddling:?} of {} {}",
        live.owner.map(|owner| owner.address.to_string()).unwrap_or_default(),
        live.id
    ))
}

#[async_trait]
impl Provider for Weather {
    fn kinds(&self) -> &[Arc<Kind>] {
        self.inner.kinds()
    }

    fn lookups(&self) -> &[Lookup] {
        self.inner.lookups()
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        self.pass("census".into(), self.inner.owned_kinds(region, stack)).await
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        let mut lives = self.pass(format!("list {}", kind.name), self.inner.list(kind, region, select)).await?;
        let made = self.made.lock().unwrap();
        lives.retain(|live| made.get(&live.id).is_none_or(|at| at.elapsed() >= self.lag));
        Ok(lives)
    }

    async fn create(&self, kind: &Kind, request: &Create) -> Result<String, Fault> {
        let create = async {
            let id = self.inner.create(kind, request).await?;
            self.made.lock().unwrap().insert(id.clone(), Instant::now());
            Ok(id)
        };
        self.pass(format!("create {} {:?}", request.owner.address, request.inputs), create).await
    }

    async fn update(&self, kind: &Kind, request: &Update) -> Result<(), Fault> {
        let owner = &request.owner;
        let what =
            format!("update {} {} {:?} deposed: {}", owner.address, request.live.id, request.changed, owner.deposed);
        let update = async {
            self.inner.update(kind, request).await?;
            // An update that sends something brings right what has failed.
            if !request.changed.is_empty() && kind.nature.mended_by.is_some() {
                self.inner.meddle(&request.live.id, |live| {
                    if let Status::Failed(_) = live.status {
                        live.status = Status::Ready;
                    }
                });
            }
            Ok(())
        };
        self.pass(what, update).await
    }

    async fn delete(&self, kind: &Kind, request: &Delete) -> Result<(), Fault> {
        let now = self.inner.all().into_iter().map(|(_, live)| live).find(|live| live.id == request.live.id);
        if let Some(owner) = now.and_then(|live| live.owner).filter(|owner| owner.protect || owner.stack != "prod") {
            self.wrong
                .lock()
                .unwrap()
                .push(format!("{} of {} is protected or not ours, and is deleted", owner.address, owner.stack));
        }
        let address = request.live.owner.as_ref().map(|owner| owner.address.to_string()).unwrap_or_default();
        self.pass(format!("delete {address} {}", request.live.id), self.inner.delete(kind, request)).await
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        self.inner.look_up(name, arguments).await
    }
}
