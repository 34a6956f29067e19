//! Answers from a recording. Nothing is sent; what was not asked then is answered as far as what was asked tells.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{Answer, Question, Recorded, digest, text_of};
use crate::providers::{self, kubernetes};
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{
    Address, Class, Create, Delete, Fault, Kind, Live, Map, Preview, Previewed, Provider, Select, Update, Value,
};

/// What is said of what was not looked for.
pub const NOT_RECORDED: &str = "not looked for: not in the recording";
const UNASKED: &str = "it is not in the recording";

pub struct Replay {
    kinds: Vec<Arc<Kind>>,
    lookups: Vec<Lookup>,
    compounds: Vec<Compound>,
    secrets: BTreeMap<String, String>,
    answers: HashMap<String, Answer>,
    /// What was listed: by kind and region.
    listed: HashMap<(Arc<str>, Option<String>), Listed>,
    censuses: HashMap<Option<String>, BTreeSet<Arc<str>>>,
    gaps: Mutex<Gaps>,
}

#[derive(Default)]
struct Listed {
    lives: Vec<Live>,
    /// The natural names that were looked for.
    named: BTreeSet<String>,
}

/// What was asked now and not then.
#[derive(Default)]
struct Gaps {
    /// Of these kinds in these regions nothing at all is known.
    kinds: BTreeSet<(Arc<str>, Option<String>)>,
    /// These names of these kinds.
    names: BTreeSet<(Arc<str>, Option<String>, String)>,
    /// What the stack owns in these regions.
    regions: BTreeSet<Option<String>>,
}

fn record_anew(message: String) -> Fault {
    let fault = Fault { operation: Some("replay".into()), ..Fault::new(Class::Other, message) };
    fault.hint("record anew, with the playbook as it is now: --dry-run --record FILE")
}

impl Replay {
    pub fn new(recorded: Recorded) -> Self {
        let mut listed: HashMap<(Arc<str>, Option<String>), Listed> = HashMap::new();
        let mut censuses = HashMap::new();
        for entry in &recorded.entries {
            match (&entry.question, &entry.answer) {
                (Question::List { kind, region, select }, Answer::Lives(lives)) => {
                    let known = listed.entry((kind.clone(), region.clone())).or_default();
                    let new = lives.iter().filter(|live| !known.lives.iter().any(|other| other.id == live.id));
                    let new: Vec<Live> = new.cloned().collect();
                    known.lives.extend(new);
                    if let Select::Named(names) = select {
                        known.named.extend(names.iter().cloned());
                    }
                }
                (Question::OwnedKinds { region, .. }, Answer::Kinds(kinds)) => {
                    censuses.insert(region.clone(), kinds.clone());
                }
                _ => {}
            }
        }
        let answers = recorded.entries.into_iter().map(|entry| (text_of(&entry.question), entry.answer)).collect();
        Replay {
            kinds: providers::kinds(),
            lookups: providers::lookups(),
            compounds: providers::compounds(),
            secrets: recorded.secrets,
            answers,
            listed,
            censuses,
            gaps: Mutex::default(),
        }
    }

    /// By name, what is taken for each secret.
    pub fn stand_ins(&self) -> &BTreeMap<String, String> {
        &self.secrets
    }

    /// Whether nobody looked, when the recording was made, if there is one already of what is to be created now.
    pub fn overlooked(&self, address: &Address, region: Option<&str>, inputs: &Map) -> bool {
        let Some(kind) = self.kind(&address.kind) else { return false };
        let gaps = self.gaps.lock().expect("no holder panics");
        let region = region.map(str::to_owned);
        let key = (address.kind.clone(), region.clone());
        let name = kind.nature.natural_key.first().and_then(|field| inputs.get(*field)?.as_str());
        gaps.kinds.contains(&key)
            || name.is_some_and(|name| gaps.names.contains(&(address.kind.clone(), region, name.to_owned())))
    }

    /// The regions of which the recording does not tell what the stack owns there.
    pub fn unknown_regions(&self) -> Vec<Option<String>> {
        self.gaps.lock().expect("no holder panics").regions.iter().cloned().collect()
    }

    fn answer(&self, question: &Question) -> Option<Result<&Answer, Fault>> {
        Some(match self.answers.get(&text_of(question))? {
            // To wait and to ask again would give the same.
            Answer::Fault(fault) => Err(Fault { retry_after: Some(Duration::MAX), ..fault.clone() }),
            answer => Ok(answer),
        })
    }

    fn gap(&self, note: impl FnOnce(&mut Gaps) -> bool) {
        let _ = note(&mut self.gaps.lock().expect("no holder panics"));
    }

    fn unlisted(&self, kind: &Kind, region: Option<String>, select: &Select) -> Result<Vec<Live>, Fault> {
        let key = (kind.name.clone(), region.clone());
        let known = self.listed.get(&key);
        let lives = || known.map(|known| known.lives.as_slice()).unwrap_or_default();
        match select {
            Select::Owned { .. } => match self.censuses.get(&region) {
                Some(owned) if !owned.contains(&kind.name) => Ok(vec![]),
                Some(_) => {
                    Err(record_anew(format!("the recording does not hold what the stack owns of {}", kind.name)))
                }
                None => {
                    self.gap(|gaps| gaps.kinds.insert(key));
                    Ok(vec![])
                }
            },
            Select::Named(names) => {
                let field = kind.nature.natural_key.first().copied().unwrap_or_default();
                let name =
                    |live: &&Live| live.inputs.get(field).and_then(Value::as_str).is_some_and(|n| names.contains(n));
                let found: Vec<Live> = lives().iter().filter(name).cloned().collect();
                for name in names.iter().filter(|name| !known.is_some_and(|known| known.named.contains(*name))) {
                    self.gap(|gaps| gaps.names.insert((kind.name.clone(), region.clone(), name.clone())));
                }
                Ok(found)
            }
            Select::Ids(ids) => {
                let found: Vec<Live> = lives().iter().filter(|live| ids.contains(&live.id)).cloned().collect();
                match ids.iter().find(|id| !found.iter().any(|live| live.id == **id)) {
                    Some(id) => Err(record_anew(format!("{} `{id}` is not in the recording", kind.name))),
                    None => Ok(found),
                }
            }
        }
    }
}

/// A recording whose answer is of another sort than its question was made by hand.
fn odd() -> Fault {
    record_anew("the recording is damaged".into())
}

fn refuse(verb: &str, kind: &Kind) -> Fault {
    Fault::read_only(verb, &kind.name, "this is a recording")
}

#[async_trait]
impl Provider for Replay {
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

    fn order(&self, resources: &[(&Address, &Map)]) -> Vec<Vec<usize>> {
        kubernetes::order(resources)
    }

    fn open(&self, name: &str, region: Option<&str>, _: &Map) -> Result<(), Fault> {
        let question = Question::Open { name: name.to_owned(), region: region.map(str::to_owned) };
        self.answer(&question).transpose().map(|_| ())
    }

    async fn preview(&self, _: &Kind, request: &Preview) -> Result<Previewed, Fault> {
        let inputs = digest(&serde_json::Value::from(&Value::Map(request.inputs.clone())));
        let (address, region) = (request.owner.address.clone(), request.region.clone());
        match self.answer(&Question::Preview { address, region, inputs }).transpose()? {
            Some(Answer::Previewed(told)) => Ok(told.clone()),
            Some(_) => Err(odd()),
            None => Ok(kubernetes::preview_unasked(request, UNASKED)),
        }
    }

    async fn owned_kinds(&self, region: Option<&str>, stack: &str) -> Result<BTreeSet<Arc<str>>, Fault> {
        let question = Question::OwnedKinds { region: region.map(str::to_owned), stack: stack.to_owned() };
        match self.answer(&question).transpose()? {
            Some(Answer::Kinds(kinds)) => Ok(kinds.clone()),
            Some(_) => Err(odd()),
            None => {
                self.gap(|gaps| gaps.regions.insert(region.map(str::to_owned)));
                Ok(BTreeSet::new())
            }
        }
    }

    async fn list(&self, kind: &Kind, region: Option<&str>, select: &Select) -> Result<Vec<Live>, Fault> {
        let region = region.map(str::to_owned);
        let question = Question::List { kind: kind.name.clone(), region: region.clone(), select: select.clone() };
        match self.answer(&question).transpose()? {
            Some(Answer::Lives(lives)) => Ok(lives.clone()),
            Some(_) => Err(odd()),
            None => self.unlisted(kind, region, select),
        }
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
        let question = Question::LookUp { name: name.to_owned(), arguments: arguments.to_vec() };
        match self.answer(&question).transpose()? {
            Some(Answer::Value(value)) => Ok(value.clone()),
            Some(_) => Err(odd()),
            None => Err(record_anew(format!("the recording does not hold what `{name}` gives for this"))),
        }
    }

    async fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        match self.answer(&Question::Fetch { url: url.to_owned(), sha256: sha256.to_owned() }).transpose()? {
            Some(Answer::Text(text)) => Ok(text.clone()),
            Some(_) => Err(odd()),
            None => Err(record_anew(format!("the recording does not hold {url}"))),
        }
    }

    fn stands_in_for_secrets(&self) -> bool {
        true
    }

    /// What was not needed then was not read; what it is now nobody here can tell.
    fn stand_in(&self, secret: &str) -> String {
        self.secrets.get(secret).cloned().unwrap_or_else(|| format!("stand-in for the secret {secret}"))
    }
}
