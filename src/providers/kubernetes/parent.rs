//! The parent of the stack's ApplySet on a cluster: it names every kind and namespace of which the stack may own
//! something. Widened before anything of a new kind is written, so that whatever happens nothing is forgotten.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value as Json, json};

use super::applyset::GroupKind;
use super::connection::{Cluster, Served, request};
use super::object::{Id, at};
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
    /// By id; with a digest of what each was.
    jobs: BTreeMap<String, String>,
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

    pub fn job(&self, id: &Id) -> Option<String> {
        self.jobs.get(&id.to_string()).cloned()
    }

    fn object(&self, name: &str, namespace: &str, set: &str) -> Json {
        let named = self.set.annotations().into_iter().map(|(name, value)| (name.to_owned(), Json::from(value)));
        let mut annotations = Json::Object(named.collect());
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
        // Names of objects are lower case; the id below keeps stacks apart whose names differ in more than that.
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
        format!("runner-{}", stack.chars().map(plain).collect::<String>())
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
        let object = parent.object(&id.name, &self.parent_namespace(), &self.applyset(stack));
        let path = format!("{}?fieldManager={MANAGER}&force=true", self.path(&self.config_maps().await?, &id));
        let body = object.to_string().into_bytes();
        let media = Some("application/apply-patch+yaml");
        self.send("k8s:Patch configmaps", request(Method::PATCH, &path, media, body)?).await?;
        parents.insert(stack.to_owned(), Parent { exists: true, ..parent });
        Ok(())
    }

    /// Sees to it that the parent names the kind and the namespace of an object before that is written.
    pub async fn widen(&self, stack: &str, id: &Id, job: Option<String>) -> Result<(), Fault> {
        self.parent(stack).await?;
        let mut parents = self.parents.lock().await;
        let mut parent = parents.get(stack).cloned().unwrap_or_default();
        let before = parent.clone();
        let mut more = applyset::Parent::default();
        more.group_kinds.insert(GroupKind::new(&id.kind, &id.group));
        more.namespaces.extend(id.namespace.clone().filter(|namespace| *namespace != self.parent_namespace()));
        if let Some(wider) = parent.set.widened(&more) {
            parent.set = wider;
        }
        match job {
            Some(digest) => drop(parent.jobs.insert(id.to_string(), digest)),
            None => drop(parent.jobs.remove(&id.to_string())),
        }
        if parent == before { Ok(()) } else { self.put_parent(stack, &mut parents, parent).await }
    }

    /// Takes out of the parent what the stack has no objects of any more, after one was deleted.
    pub async fn narrow(&self, stack: &str, gone: &Id) -> Result<(), Fault> {
        let labels = format!("{}={}", applyset::PART_OF, self.applyset(stack));
        let left = match self.preferred(&gone.group, &gone.kind).await? {
            Some(served) => self.list(&served, &labels).await?,
            None => vec![],
        };
        let left = left.iter().filter(|object| at(object, &["metadata", "deletionTimestamp"]).is_none()).count();
        let mut parents = self.parents.lock().await;
        let mut parent = parents.get(stack).cloned().unwrap_or_default();
        let before = parent.clone();
        parent.jobs.remove(&gone.to_string());
        let more = parent.jobs().any(|job| (&job.kind, &job.group) == (&gone.kind, &gone.group));
        if left == 0 && !more {
            parent.set.group_kinds.remove(&GroupKind::new(&gone.kind, &gone.group));
        }
        // Which namespaces are left could only be told by listing every kind; but where there is no kind, there is none.
        if parent.set.group_kinds.is_empty() {
            parent.set.namespaces.clear();
        }
        if parent == before || !parent.exists { Ok(()) } else { self.put_parent(stack, &mut parents, parent).await }
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
