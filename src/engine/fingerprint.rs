//! What a plan decided on, as digests: enough to tell that something moved and what, and nothing of what it was.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::{Action, Change, Reason};
use crate::digest::Salt;
use crate::resource::{Address, Kind, Live, Map, Reference, Status, Value};
use crate::secret::Secrets;

/// One resource as a plan saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// It was found by its tags, and not by a declaration: there may be several of one address.
    #[serde(default, skip_serializing_if = "is_false")]
    pub found: bool,
    /// `None`: nothing was there.
    pub there: Option<There>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct There {
    pub id: String,
    /// In the provider's words; `None` where it comes and goes by itself.
    pub status: Option<String>,
    /// A digest of each part by which the plan was decided.
    pub parts: BTreeMap<String, String>,
}

fn is_false(yes: &bool) -> bool {
    !yes
}

/// What each fingerprint is made with.
pub struct Ink<'a> {
    pub salt: &'a Salt,
    pub secrets: &'a Secrets,
    /// What others, the outputs and the script read of resources.
    pub read: &'a BTreeSet<Reference>,
}

/// What tells one resource of a plan from all others of it.
pub type Name = (Address, Option<String>, Option<String>);

pub fn name(change: &Change) -> Name {
    let id = change.live.as_ref().filter(|_| is_found(change)).map(|live| live.id.clone());
    (change.address.clone(), change.options.region.clone(), id)
}

fn is_found(change: &Change) -> bool {
    matches!(change.reason, Some(Reason::Deposed | Reason::NotDeclared | Reason::Destroyed))
}

impl Fingerprint {
    pub fn of(kind: &Kind, change: &Change, ink: &Ink<'_>) -> Self {
        let there = change.live.as_ref().map(|live| ink.there(kind, change, live));
        let (address, region) = (change.address.clone(), change.options.region.clone());
        Fingerprint { address, region, found: is_found(change), there }
    }

    pub fn name(&self) -> Name {
        let id = self.there.as_ref().filter(|_| self.found).map(|there| there.id.clone());
        (self.address.clone(), self.region.clone(), id)
    }

    /// What is otherwise now, each as the end of a sentence that begins with the address.
    pub fn moved(&self, now: &Fingerprint) -> Option<String> {
        let (then, now) = match (&self.there, &now.there) {
            (None, None) => return None,
            (Some(then), None) => return Some(format!("is gone (it was `{}`)", then.id)),
            (None, Some(now)) => return Some(format!("exists now, as `{}`", now.id)),
            (Some(then), Some(now)) => (then, now),
        };
        if then.id != now.id {
            return Some(format!("is another one now: `{}`, not `{}`", now.id, then.id));
        }
        let names: BTreeSet<&String> = then.parts.keys().chain(now.parts.keys()).collect();
        let changed = names.into_iter().filter(|name| then.parts.get(*name) != now.parts.get(*name));
        let mut told: Vec<String> = changed.map(|name| format!("`{name}` changed")).collect();
        if let (Some(was), Some(is)) = (&then.status, &now.status)
            && was != is
        {
            told.push(format!("is {is} now, and was {was}"));
        }
        (!told.is_empty()).then(|| told.join(", "))
    }
}

/// Whose it is; no input is called so.
const OWNER: &str = "(ownership)";
const UID: &str = "uid";

impl Ink<'_> {
    fn there(&self, kind: &Kind, change: &Change, live: &Live) -> There {
        let mut parts = BTreeMap::new();
        parts.insert(OWNER.to_owned(), self.salt.quick(&self.text(&serde_json::json!(live.owner))));
        // All of what goes; of what stays, what the author speaks of.
        let all = change.site.is_none() || change.action == Action::Delete;
        for field in &kind.inputs {
            let spoken_of = change.inputs.get(&field.name).is_some_and(|value| !value.is_null());
            if !(all || spoken_of) || change.options.ignore.contains(&field.name) {
                continue;
            }
            let Some(value) = live.inputs.get(&field.name).filter(|value| !value.is_empty()) else { continue };
            let canonical = kind.canonical(field, &self.without_foreign(kind, value, change.inputs.get(&field.name)));
            parts.insert(field.name.clone(), self.digest(&canonical, field.sensitive));
        }
        // What only the provider compares has its ups and downs in its outputs.
        let steady = |name: &String| !kind.nature.previewed || name == UID;
        for (name, value) in live.outputs.iter().filter(|(name, _)| steady(name)) {
            parts.insert(name.clone(), self.digest(value, false));
        }
        for reference in self.read.iter().filter(|reference| reference.address == change.address) {
            if let Some(value) = live.attribute(&reference.path) {
                let path = reference.to_string();
                let path = path.strip_prefix(&format!("{}.", reference.address)).unwrap_or(&path).to_owned();
                let sensitive = reference.attribute().and_then(|name| kind.input(name)).is_some_and(|f| f.sensitive);
                parts.entry(path).or_insert_with(|| self.digest(value, sensitive));
            }
        }
        let status = match &live.status {
            _ if kind.nature.previewed => None,
            Status::Ready => Some("ready".to_owned()),
            Status::Deleting => Some("being deleted".to_owned()),
            Status::Pending(why) | Status::Failed(why) => Some(self.secrets.mask(why).into_owned()),
        };
        There { id: live.id.clone(), status, parts }
    }

    /// Tags that others write on it are not the plan's business.
    fn without_foreign(&self, kind: &Kind, value: &Value, wanted: Option<&Value>) -> Value {
        let Value::Map(map) = value else { return value.clone() };
        let wanted = wanted.and_then(Value::as_map);
        let ours = |key: &str| wanted.is_some_and(|map| map.contains_key(key)) || !(kind.nature.foreign_key)(key);
        let kept: Map = map.iter().filter(|(key, _)| ours(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        Value::Map(kept)
    }

    fn digest(&self, value: &Value, sensitive: bool) -> String {
        let text = self.text(&serde_json::Value::from(value));
        if sensitive { self.salt.slow(&text) } else { self.salt.quick(&text) }
    }

    /// A secret that is known counts by its name: its value has a digest of its own.
    fn text(&self, json: &serde_json::Value) -> String {
        self.secrets.mask(&json.to_string()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;
    use crate::diagnostic::Site;
    use crate::resource::kind::Nature;
    use crate::resource::{Options, Owner};

    /// A thing.
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Thing {
        size: Option<i64>,
        note: Option<String>,
        tags: Option<BTreeMap<String, String>>,
    }

    fn map(json: serde_json::Value) -> Map {
        Value::from(json).as_map().unwrap().clone()
    }

    fn change() -> Change {
        let address = Address::new("aws::thing", "one");
        let owner = Owner { stack: "prod".into(), address: address.clone(), deposed: false, protect: false };
        Change {
            address,
            action: Action::Update,
            reason: None,
            fields: vec![],
            inputs: map(serde_json::json!({ "size": 2, "tags": { "a": "b" } })),
            live: Some(Live {
                id: "t-1".into(),
                region: None,
                owner: Some(owner),
                inputs: map(serde_json::json!({ "size": 1, "note": "n", "tags": { "a": "b", "aws:x": "y" } })),
                outputs: map(serde_json::json!({ "arn": "arn:t" })),
                status: Status::Ready,
            }),
            options: Options::default(),
            site: Some(Site::new("a.rhai", 1, 1)),
            phase: vec![],
            needs: vec![],
            uses: vec![],
            notes: vec![],
            predicted: Default::default(),
        }
    }

    fn moved(edit: impl Fn(&mut Change)) -> Option<String> {
        let nature = Nature { foreign_key: |key| key.starts_with("aws:"), ..Nature::default() };
        let kind = Kind::of::<Thing, Thing>("aws::thing", nature);
        let (salt, secrets, read) = (Salt::new().unwrap(), Secrets::default(), BTreeSet::new());
        let ink = Ink { salt: &salt, secrets: &secrets, read: &read };
        let mut now = change();
        edit(&mut now);
        Fingerprint::of(&kind, &change(), &ink).moved(&Fingerprint::of(&kind, &now, &ink))
    }

    fn live(change: &mut Change) -> &mut Live {
        change.live.as_mut().unwrap()
    }

    #[test]
    fn what_moved_is_told_by_its_name() {
        assert_eq!(moved(|_| ()), None);
        assert_eq!(moved(|now| now.live = None).unwrap(), "is gone (it was `t-1`)");
        assert_eq!(moved(|now| live(now).id = "t-2".into()).unwrap(), "is another one now: `t-2`, not `t-1`");
        assert_eq!(
            moved(|now| live(now).status = Status::Pending("modifying".into())).unwrap(),
            "is modifying now, and was ready"
        );
        let both = moved(|now| {
            live(now).inputs.insert("size".into(), Value::Int(3));
            live(now).outputs.insert("arn".into(), "arn:u".into());
        });
        assert_eq!(both.unwrap(), "`arn` changed, `size` changed");
        let whose = moved(|now| live(now).owner = None);
        assert_eq!(whose.unwrap(), "`(ownership)` changed");
    }

    #[test]
    fn what_nobody_decided_on_may_move() {
        assert_eq!(moved(|now| drop(live(now).inputs.insert("note".into(), "other".into()))), None);
        let foreign = serde_json::json!({ "a": "b", "aws:x": "z", "aws:new": "1" });
        assert_eq!(moved(|now| drop(live(now).inputs.insert("tags".into(), foreign.clone().into()))), None);
        let ours = serde_json::json!({ "a": "c" });
        assert_eq!(
            moved(|now| drop(live(now).inputs.insert("tags".into(), ours.clone().into()))).unwrap(),
            "`tags` changed"
        );
    }
}
