//! The full life of each AWS kind over the wire: create, the same again, every update, adopt, delete. What they share.

mod database;
mod edge;
mod eks;
mod eks_parts;
pub mod hosts;
mod iam;
pub mod launch;
mod lifecycle;
mod locks;
mod network;
mod nodes;
pub mod stack;
mod storage;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use runner::providers::aws::Aws;
use runner::resource::{
    Address, Create, Delete, Fault, Kind, Live, Map, Owner, Provider, Select, Status, Update, Value,
};
use serde_json::{Value as Json, json};

use crate::moto::Account;

/// What an engine does, without its plan.
pub struct World {
    pub account: Account,
    pub aws: Aws,
}

impl World {
    pub fn new() -> Self {
        let account = Account::new();
        World { aws: account.aws(), account }
    }

    pub fn kind(&self, name: &str) -> Arc<Kind> {
        self.aws.kinds().iter().find(|kind| *kind.name == *name).expect("a kind").clone()
    }

    pub async fn try_create(&self, kind: &str, name: &str, inputs: Json) -> Result<String, Fault> {
        let request = Create {
            region: None,
            owner: owner(kind, name),
            inputs: map(inputs),
            token: format!("{kind}-{name}").replace(':', "-"),
        };
        self.aws.create(&self.kind(kind), &request).await
    }

    pub async fn create(&self, kind: &str, name: &str, inputs: Json) -> Live {
        let id = self.try_create(kind, name, inputs.clone()).await.unwrap_or_else(|f| panic!("{kind}: {f}"));
        let live = self.read(kind, &id).await;
        assert_eq!(live.owner, Some(owner(kind, name)));
        assert_eq!(live.outputs["id"], live.id.as_str().into());
        self.assert_like(&live, kind, &map(inputs));
        live
    }

    pub async fn find(&self, kind: &str, id: &str) -> Option<Live> {
        let select = Select::Ids(BTreeSet::from([id.to_owned()]));
        let live = self.aws.list(&self.kind(kind), None, &select).await.unwrap_or_else(|f| panic!("{kind}: {f}"));
        assert!(live.len() < 2);
        live.into_iter().next()
    }

    pub async fn read(&self, kind: &str, id: &str) -> Live {
        self.find(kind, id).await.unwrap_or_else(|| panic!("{kind} {id} is not there"))
    }

    /// Once it is ready; whoever waits for ever is stopped by the test's own end.
    pub async fn ready(&self, kind: &str, id: &str) -> Live {
        loop {
            let live = self.read(kind, id).await;
            match live.status {
                Status::Ready => return live,
                Status::Pending(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                other => panic!("{kind} {id}: {other:?}"),
            }
        }
    }

    pub async fn owned(&self, kind: &str) -> Vec<Live> {
        let select = Select::Owned { stack: "prod".into() };
        self.aws.list(&self.kind(kind), None, &select).await.unwrap_or_else(|f| panic!("{kind}: {f}"))
    }

    /// Brings the fields of `wanted` over and reads back; and once more, as after an answer that was lost.
    pub async fn update(&self, live: &Live, kind: &str, wanted: Json) -> Live {
        let after = self.update_once(live, kind, wanted.clone()).await;
        assert_eq!(self.update_once(live, kind, wanted).await, after, "{kind}: the same update again");
        after
    }

    pub async fn update_once(&self, live: &Live, kind: &str, wanted: Json) -> Live {
        let changes = map(wanted.clone());
        self.try_update(live, kind, wanted).await.unwrap_or_else(|f| panic!("{kind} {changes:?}: {f}"));
        let after = self.read(kind, &live.id).await;
        self.assert_like(&after, kind, &changes);
        for (name, value) in live.inputs.iter().filter(|(name, _)| !changes.contains_key(*name)) {
            assert_eq!(after.inputs.get(name), Some(value), "{kind}.{name} was not to change");
        }
        after
    }

    pub async fn try_update(&self, live: &Live, kind: &str, wanted: Json) -> Result<(), Fault> {
        let changes = map(wanted);
        let mut inputs = live.inputs.clone();
        inputs.extend(changes.clone());
        let request = Update {
            live: live.clone(),
            owner: live.owner.clone().expect("owned"),
            inputs,
            changed: changes.keys().cloned().collect(),
            token: "update".into(),
        };
        self.aws.update(&self.kind(kind), &request).await
    }

    pub async fn own(&self, live: &Live, kind: &str, owner: Owner) -> Live {
        let request = Update {
            live: live.clone(),
            owner: owner.clone(),
            inputs: live.inputs.clone(),
            changed: vec![],
            token: "own".into(),
        };
        self.aws.update(&self.kind(kind), &request).await.unwrap_or_else(|f| panic!("{kind}: {f}"));
        let after = self.read(kind, &live.id).await;
        assert_eq!(after.owner, Some(owner));
        assert_eq!(after.inputs, live.inputs);
        after
    }

    pub async fn try_delete(&self, live: &Live, kind: &str) -> Result<(), Fault> {
        let request = Delete { live: live.clone() };
        self.aws.delete(&self.kind(kind), &request).await
    }

    pub async fn delete(&self, live: &Live, kind: &str) {
        self.try_delete(live, kind).await.unwrap_or_else(|f| panic!("{kind}: {f}"));
        assert_eq!(self.find(kind, &live.id).await, None);
        assert_eq!(self.owned(kind).await, []);
        // What is gone already is a success.
        self.try_delete(live, kind).await.unwrap_or_else(|f| panic!("{kind} again: {f}"));
    }

    /// The fields named are live as they were written.
    pub fn assert_like(&self, live: &Live, kind: &str, wanted: &Map) {
        let kind = self.kind(kind);
        let named = live.owner.as_ref().map(|owner| kind.complete(&owner.address.name, wanted));
        for (name, value) in named.as_ref().unwrap_or(wanted).iter().filter(|(name, _)| wanted.contains_key(*name)) {
            let field = kind.input(name).unwrap_or_else(|| panic!("{kind:?} has no input {name}"));
            let now = live.inputs.get(name).cloned().unwrap_or_default();
            let fits = !runner::engine::diff::differs(&kind, field, &Some(now.clone()), &Some(value.clone()))
                || (kind.nature.fits)(name, wanted, &live.inputs);
            assert!(fits, "{kind:?}.{name}: {now} is not {value}");
        }
    }

    /// What holds for every kind: one listing finds it, tags change, ownership changes.
    pub async fn common_life(&self, kind: &str, live: Live) -> Live {
        let owned = self.owned(kind).await;
        assert_eq!(owned, std::slice::from_ref(&live), "the stack's listing gives the same");
        let other = Select::Owned { stack: "other".into() };
        assert_eq!(self.aws.list(&self.kind(kind), None, &other).await.unwrap(), []);
        assert!(self.aws.owned_kinds(None, "prod").await.unwrap().contains(kind));
        assert!(self.aws.owned_kinds(None, "pro").await.unwrap().is_empty());

        let live = self.update(&live, kind, json!({ "tags": { "team": "a", "env": "x" } })).await;
        let live = self.update(&live, kind, json!({ "tags": { "team": "b", "Name": "other" } })).await;
        assert_eq!(live.inputs["tags"], Value::from(json!({ "team": "b", "Name": "other" })));

        let before = live.owner.clone().unwrap();
        let deposed = self.own(&live, kind, Owner { deposed: true, ..before.clone() }).await;
        let renamed = Owner { address: Address::new(kind, "renamed"), protect: true, ..before };
        let renamed = self.own(&deposed, kind, renamed).await;
        self.own(&renamed, kind, Owner { protect: false, ..renamed.owner.clone().unwrap() }).await
    }
}

pub fn owner(kind: &str, name: &str) -> Owner {
    Owner { stack: "prod".into(), address: Address::new(kind, name), deposed: false, protect: false }
}

pub fn map(json: Json) -> Map {
    match Value::from(json) {
        Value::Map(map) => map,
        other => panic!("{other} is no map"),
    }
}
