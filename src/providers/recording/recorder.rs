//! A provider around the real one that writes down what it is asked and what it answers. It changes nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::scrub::Scrub;
use super::{Answer, Entry, Planned, Question, Recorded, digest, text_of};
use crate::diagnostic::Diagnostic;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{
    Address, Create, Delete, Fault, Kind, Live, Map, Preview, Previewed, Provider, Select, Update, Value,
};
use crate::secret::{Secrets, Source};

/// Until all is read the answers are as they came: which secrets there are is only known at the end.
pub struct Recorder {
    inner: Arc<dyn Provider>,
    /// By the text of the question; asked twice, the later answer counts.
    heard: Mutex<BTreeMap<String, Heard>>,
}

enum Heard {
    Plain(Question, Answer),
    /// With the inputs themselves, whose digest has to wait for the stand-ins.
    Preview {
        address: Address,
        region: Option<String>,
        inputs: Map,
        answer: Answer,
    },
}

impl Recorder {
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        Recorder { inner, heard: Mutex::default() }
    }

    fn hear<T>(&self, question: Question, result: &Result<T, Fault>, answer: impl FnOnce(&T) -> Answer) {
        let key = text_of(&question);
        let heard = Heard::Plain(question, told(result, answer));
        self.heard.lock().expect("no holder panics").insert(key, heard);
    }

    /// All that was read, with no secret's value in it. Without a plan nothing tells what else is not to be shown, so
    /// that of what is live little more is kept than that it is there.
    pub fn recorded(&self, secrets: &Secrets, planned: Option<&[Planned]>) -> Recorded {
        let scrub = Scrub::new(self.inner.kinds(), secrets, planned);
        let heard = self.heard.lock().expect("no holder panics");
        let entries = heard.values().map(|heard| match heard {
            Heard::Plain(question, answer) => {
                Entry { question: scrub.plain(question), answer: scrub.answer(Some(question), answer) }
            }
            Heard::Preview { address, region, inputs, answer } => {
                let inputs = digest(&scrub.json(&serde_json::Value::from(&Value::Map(inputs.clone()))));
                let question = Question::Preview { address: address.clone(), region: region.clone(), inputs };
                Entry { answer: scrub.answer(Some(&question), answer), question }
            }
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by_cached_key(|entry| text_of(&entry.question));
        Recorded { secrets: scrub.stand_ins(), entries }
    }
}

fn told<T>(result: &Result<T, Fault>, answer: impl FnOnce(&T) -> Answer) -> Answer {
    match result {
        Ok(value) => answer(value),
        Err(fault) => Answer::Fault(fault.clone()),
    }
}

fn refuse(verb: &str, kind: &Kind) -> Fault {
    Fault::read_only(verb, &kind.name, "nothing may change in this mode")
}

#[async_trait]
impl Provider for Recorder {
    fn kinds(&self) -> &[Arc<Kind>] {
        self.inner.kinds()
    }

    fn kind(&self, name: &str) -> Option<Arc<Kind>> {
        self.inner.kind(name)
    }

    fn lookups(&self) -> &[Lookup] {
        self.inner.lookups()
    }

    fn compounds(&self) -> &[Compound] {
        self.inner.compounds()
    }

    fn order(&self, resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
        self.inner.order(resources)
    }

    fn open(&self, name: &str, region: Option<&str>, inputs: &Map) -> Result<(), Fault> {
        let result = self.inner.open(name, region, inputs);
        let question = Question::Open { name: name.to_owned(), region: region.map(str::to_owned) };
        self.hear(question, &result, |()| Answer::Opened);
        result
    }

    async fn preview(&self, kind: &Kind, request: &Preview) -> Result<Previewed, Fault> {
        let result = self.inner.preview(kind, request).await;
        let (address, region, inputs) = (request.owner.address.clone(), request.region.clone(), request.inputs.clone());
        let key = format!("preview {region:?} {address} {}", serde_json::Value::from(&Value::Map(inputs.clone())));
        let answer = told(&result, |told| Answer::Previewed(told.clone()));
        let heard = Heard::Preview { address, region, inputs, answer };
        self.heard.lock().expect("no holder panics").insert(key, heard);
        result
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let result = self.inner.owned_kinds(region, stack).await;
        let question = Question::OwnedKinds { region: region.map(str::to_owned), stack: stack.to_owned() };
        self.hear(question, &result, |kinds| Answer::Kinds(kinds.clone()));
        result
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        let result = self.inner.list(kind, region, select).await;
        let (kind, region) = (kind.name.clone(), region.map(str::to_owned));
        let question = Question::List { kind, region, select: select.clone() };
        self.hear(question, &result, |lives| Answer::Lives(lives.clone()));
        result
    }

    async fn create(&self, kind: &Kind, _: &Create) -> Result<String, Fault> {
        Err(refuse("create", kind))
    }

    async fn update(&self, kind: &Kind, _: &Update) -> Result<(), Fault> {
        Err(refuse("update", kind))
    }

    async fn delete(&self, kind: &Kind, _: &Delete) -> Result<(), Fault> {
        Err(refuse("delete", kind))
    }

    async fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
        let result = self.inner.look_up(name, arguments).await;
        let question = Question::LookUp { name: name.to_owned(), arguments: arguments.to_vec() };
        self.hear(question, &result, |value| Answer::Value(value.clone()));
        result
    }

    /// What is secret is not written down.
    async fn secret(&self, source: &Source) -> Result<String, Fault> {
        self.inner.secret(source).await
    }

    async fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        let result = self.inner.fetch(url, sha256).await;
        let question = Question::Fetch { url: url.to_owned(), sha256: sha256.to_owned() };
        self.hear(question, &result, |text| Answer::Text(text.clone()));
        result
    }

    fn service<'a>(&self, what: &'a str) -> Cow<'a, str> {
        self.inner.service(what)
    }

    fn claimed(&self) -> Result<(), Box<Diagnostic>> {
        self.inner.claimed()
    }

    fn refusals(&self, service: &str, region: Option<&str>) -> u64 {
        self.inner.refusals(service, region)
    }

    fn stands_in_for_secrets(&self) -> bool {
        self.inner.stands_in_for_secrets()
    }

    fn stand_in(&self, secret: &str) -> String {
        self.inner.stand_in(secret)
    }
}
