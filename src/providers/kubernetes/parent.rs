//! The parent of the stack's ApplySet on a cluster: it names every kind and namespace of which the stack may own
//! something. Widened before anything of a new kind is written, so that whatever happens nothing is forgotten. One that
//! names more than there is does no harm: what it names is looked for, and not found.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::applyset::GroupKind;
use super::connection::{Cluster, Served, request};
use super::object::{Id, text};
use super::{MANAGER, applyset, cluster, objects};
use crate::resource::{Class, Fault};

/// Where the parent is kept if its author says nothing.
const NAMESPACE: &str = "kube-system";
/// The key of its data under which Jobs are remembered that remove themselves.
const JOBS: &str = "jobs";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parent {
    pub exists: bool,
    pub protect: bool,
    set: applyset::Parent,
    /// By id.
    jobs: BTreeMap<String, Job>,
}

/// A Job that removes itself, as it was taken by the API server.
///
/// It is written once the server has taken the Job: who is stopped between the two runs it once more. That a Job failed
/// is known from itself or, for as long as the cluster keeps them, from its events; one that is gone with both counts
/// as done, as does one that somebody deleted while it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Of what was declared.
    pub digest: String,
    pub uid: String,
    /// The uid of its namespace: in one made anew it has not run.
    pub namespace: String,
}

impl Parent {
    fn read(object: &Json) -> Self {
        let jobs = super::object::text(object, &["data", JOBS]).and_then(|text| serde_json::from_str(text).ok());
        Parent {
            exists: true,
            protect: super::object::text(object, &["metadata", "annotations", objects::PROTECT]) == Some("true"),
            set: applyset::Parent::read(object),
            jobs: jobs.unwrap_or_default(),
        }
    }

    /// Kinds that it names, without their groups.
    pub fn group_kinds(&self) -> impl Iterator<Item = &str> {
        self.set.group_kinds.iter().map(|one| one.kind.as_str())
    }

    /// The groups of a kind.
    pub fn groups_of(&self, kind: &str) -> Vec<String> {
        self.set.group_kinds.iter().filter(|one| one.kind == kind).map(|one| one.group.clone()).collect()
    }

    /// Whether an object is found by way of it.
    pub fn names(&self, id: &Id) -> bool {
        self.set.group_kinds.contains(&GroupKind::new(&id.kind, &id.group))
    }

    pub fn jobs(&self) -> impl Iterator<Item = Id> {
        self.jobs.keys().filter_map(|id| id.parse().ok())
    }

    pub fn job(&self, id: &Id) -> Option<&Job> {
        self.jobs.get(&id.to_string())
    }

    fn object(&self, stack: &str, name: &str, namespace: &str, set: &str) -> Json {
        let named = self.set.annotations().into_iter().map(|(name, value)| (name.to_owned(), Json::from(value)));
        let mut annotations = Json::Object(named.collect());
        annotations[objects::STACK] = stack.into();
        if self.protect {
            annotations[objects::PROTECT] = "true".into();
        }
        let data = match self.jobs.is_empty() {
            true => json!({}),
            false => json!({ JOBS: json!(self.jobs).to_string() }),
        };
        cluster::parent_object(name, namespace, set, annotations, data)
    }
}

impl Cluster {
    /// The stack that was last asked for; there is one in a run.
    pub fn stack(&self) -> Option<String> {
        self.known_stack.lock().expect("no holder panics").clone()
    }

    fn parent_name(stack: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
        let name: String = stack.chars().map(plain).take(200).collect();
        // Names of objects are lower case: stacks whose names differ only in what is lost so are kept apart by a digest.
        match name == stack && !name.ends_with('-') {
            true => format!("runner-{name}"),
            false => {
                let digest: String = Sha256::digest(stack).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
                format!("runner-{name}-{digest}")
            }
        }
    }

    fn parent_namespace(&self) -> String {
        self.text("namespace").unwrap_or(NAMESPACE).to_owned()
    }

    /// Id of the stack's ApplySet.
    pub fn applyset(&self, stack: &str) -> String {
        applyset::id(&Self::parent_name(stack), &self.parent_namespace(), "ConfigMap", "")
    }

    fn parent_id(&self, stack: &str) -> Id {
        Id {
            cluster: self.name.clone(),
            kind: "ConfigMap".into(),
            group: String::new(),
            namespace: Some(self.parent_namespace()),
            name: Self::parent_name(stack),
        }
    }

    async fn config_maps(&self) -> Result<Served, Fault> {
        self.served("v1", "ConfigMap").await
    }

    /// Reads the parent anew.
    pub async fn read_parent(&self, stack: &str) -> Result<Option<Json>, Fault> {
        *self.known_stack.lock().expect("no holder panics") = Some(stack.to_owned());
        let found = objects::read_as(self, &self.config_maps().await?, &self.parent_id(stack)).await?;
        if let Some(other) = found.as_ref().filter(|object| !applyset::is_ours(object)) {
            let annotation = ["metadata", "annotations", applyset::TOOLING];
            let tool = super::object::text(other, &annotation).unwrap_or("nobody that it names");
            let what = format!("ConfigMap `{}` is there already and kept by {tool}", Self::parent_name(stack));
            let hint = "give the `k8s::cluster` another `namespace`, or the stack another name";
            let mut fault = Fault::new(Class::Exists, what).hint(hint);
            fault.operation = Some("k8s:Get configmaps".into());
            return Err(fault);
        }
        let parent = found.as_ref().map(Parent::read).unwrap_or_default();
        self.parents.lock().await.insert(stack.to_owned(), parent);
        Ok(found)
    }

    /// The parent as it was last read or written.
    pub async fn parent(&self, stack: &str) -> Result<Parent, Fault> {
        if let Some(known) = self.parents.lock().await.get(stack) {
            return Ok(known.clone());
        }
        Ok(self.read_parent(stack).await?.as_ref().map(Parent::read).unwrap_or_default())
    }

    pub async fn write_parent(&self, stack: &str, parent: Parent) -> Result<(), Fault> {
        let mut parents = self.parents.lock().await;
        self.put_parent(stack, &mut parents, parent).await
    }

    async fn put_parent(
        &self,
        stack: &str,
        parents: &mut BTreeMap<String, Parent>,
        parent: Parent,
    ) -> Result<(), Fault> {
        let id = self.parent_id(stack);
        let object = parent.object(stack, &id.name, &self.parent_namespace(), &self.applyset(stack));
        let path = format!("{}?fieldManager={MANAGER}&force=true", self.path(&self.config_maps().await?, &id));
        let body = object.to_string().into_bytes();
        let media = Some("application/apply-patch+yaml");
        self.send("k8s:Patch configmaps", request(Method::PATCH, &path, media, body)?).await?;
        parents.insert(stack.to_owned(), Parent { exists: true, ..parent });
        Ok(())
    }

    /// Sees to it that the parent names the kind and the namespace of an object before that is written.
    pub async fn widen(&self, stack: &str, id: &Id) -> Result<(), Fault> {
        self.parent(stack).await?;
        let mut parents = self.parents.lock().await;
        self.written.lock().expect("no holder panics").insert(GroupKind::new(&id.kind, &id.group));
        let mut parent = parents.get(stack).cloned().unwrap_or_default();
        let before = parent.clone();
        let mut more = applyset::Parent::default();
        more.group_kinds.insert(GroupKind::new(&id.kind, &id.group));
        more.namespaces.extend(id.namespace.clone().filter(|namespace| *namespace != self.parent_namespace()));
        if let Some(wider) = parent.set.widened(&more) {
            parent.set = wider;
        }
        if parent == before { Ok(()) } else { self.put_parent(stack, &mut parents, parent).await }
    }

    /// Remembers a Job that removes itself, or forgets it.
    pub async fn remember(&self, stack: &str, id: &Id, job: Option<Job>) -> Result<(), Fault> {
        self.parent(stack).await?;
        let mut parents = self.parents.lock().await;
        let mut parent = parents.get(stack).cloned().unwrap_or_default();
        let before = match &job {
            Some(job) => parent.jobs.insert(id.to_string(), job.clone()),
            None => parent.jobs.remove(&id.to_string()),
        };
        if before == job { Ok(()) } else { self.put_parent(stack, &mut parents, parent).await }
    }

    /// Takes a kind out of the parent of which the stack has no objects any more, after one was deleted. In doubt it
    /// stays: where others of its kind are known, or still going, or where this run writes some.
    pub async fn narrow(&self, stack: &str, gone: &Id) -> Result<(), Fault> {
        let set = self.applyset(stack);
        let kind = GroupKind::new(&gone.kind, &gone.group);
        // Held while it is listed, so that nothing of the kind is begun meanwhile.
        let mut parents = self.parents.lock().await;
        let mut parent = parents.get(stack).cloned().unwrap_or_default();
        let before = parent.clone();
        parent.jobs.remove(&gone.to_string());
        let known = {
            let mut seen = self.seen.lock().expect("no holder panics");
            seen.remove(gone);
            let same = |id: &Id| (&id.kind, &id.group) == (&gone.kind, &gone.group);
            let ours = |object: &Json| text(object, &["metadata", "labels", applyset::PART_OF]) == Some(set.as_str());
            seen.iter().any(|(id, object)| same(id) && ours(object))
        };
        let written = self.written.lock().expect("no holder panics").contains(&kind);
        let remembered = parent.jobs().any(|job| (&job.kind, &job.group) == (&gone.kind, &gone.group));
        if !known && !written && !remembered && self.has_none(&kind, &set).await {
            parent.set.group_kinds.remove(&kind);
        }
        // Which namespaces are left could only be told by listing every kind; but where there is no kind, there is none.
        if parent.set.group_kinds.is_empty() {
            parent.set.namespaces.clear();
        }
        if parent == before || !parent.exists { Ok(()) } else { self.put_parent(stack, &mut parents, parent).await }
    }

    /// Whether it is sure that a set has nothing of a kind, not even what is on its way out.
    async fn has_none(&self, kind: &GroupKind, set: &str) -> bool {
        match self.preferred(&kind.group, &kind.kind).await {
            Ok(Some(served)) => {
                let left = self.list(&served, &format!("{}={set}", applyset::PART_OF)).await;
                left.is_ok_and(|left| left.is_empty())
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    pub async fn delete_parent(&self, stack: &str) -> Result<(), Fault> {
        let path = self.path(&self.config_maps().await?, &self.parent_id(stack));
        match self.send("k8s:Delete configmaps", request(Method::DELETE, &path, None, vec![])?).await {
            Err(fault) if fault.class != Class::NotFound => return Err(fault),
            _ => {}
        }
        self.parents.lock().await.remove(stack);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::connection::{Token, Tokens, Way};
    use super::*;
    use crate::resource::Map;

    struct Always;

    #[async_trait::async_trait]
    impl Tokens for Always {
        async fn token(&self, _: Option<&str>, _: &str) -> Result<Token, Fault> {
            Ok(Token("token".into()))
        }
    }

    /// A cluster that answers nothing and counts who asks, with a parent that names Services.
    async fn cluster() -> (Cluster, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<AtomicU32> = Arc::default();
        let count = asked.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let way = Way::Eks { region: None, name: "prod".into(), endpoint, authority: String::new() };
        let cluster = Cluster::new("main", way, Map::new(), Arc::new(Always), false);
        let mut parent = Parent { exists: true, ..Parent::default() };
        parent.set.group_kinds.insert(GroupKind::new("Service", ""));
        parent.set.namespaces.insert("in".into());
        cluster.parents.lock().await.insert("shop".into(), parent);
        (cluster, asked)
    }

    #[test]
    fn stacks_of_different_names_have_different_parents() {
        assert_eq!(Cluster::parent_name("prod-eu"), "runner-prod-eu");
        let names: std::collections::BTreeSet<String> =
            ["prod-eu", "prod_eu", "prod.eu", "Prod-EU", "prod-eu-", "prod-eu_"].map(Cluster::parent_name).into();
        assert_eq!(names.len(), 6, "{names:?}");
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names.iter().all(|name| name.chars().all(sound) && !name.ends_with('-')), "{names:?}");
        assert!(Cluster::parent_name(&"x".repeat(300)).len() < 253);
    }

    #[tokio::test]
    async fn a_kind_that_is_being_written_stays_in_the_parent() {
        let (cluster, asked) = cluster().await;
        let (new, old): (Id, Id) = ("main:Service/in/new".parse().unwrap(), "main:Service/in/old".parse().unwrap());
        cluster.widen("shop", &new).await.unwrap();
        // Nothing of the new one is on the cluster yet, so a listing would find none.
        cluster.narrow("shop", &old).await.unwrap();
        assert_eq!(cluster.parent("shop").await.unwrap().groups_of("Service"), [""]);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn nothing_is_listed_while_others_of_the_kind_are_known_and_in_doubt_it_stays() {
        let (cluster, asked) = cluster().await;
        let (one, other): (Id, Id) = ("main:Service/in/one".parse().unwrap(), "main:Service/in/other".parse().unwrap());
        let object = Arc::new(json!({ "metadata": { "labels": { applyset::PART_OF: cluster.applyset("shop") } } }));
        cluster.seen.lock().unwrap().extend([(one.clone(), object.clone()), (other.clone(), object)]);
        cluster.narrow("shop", &one).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        cluster.narrow("shop", &other).await.unwrap();
        assert!(asked.load(Ordering::Relaxed) > 0);
        assert_eq!(cluster.parent("shop").await.unwrap().groups_of("Service"), [""]);
    }
}
