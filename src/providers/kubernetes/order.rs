//! Which objects must be there and ready before which.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;

use super::object::{Id, at, text};
use super::references::{self, Target, pod_template, service_account};

pub struct Placed<'a> {
    pub id: &'a Id,
    pub object: &'a Json,
}

const ADMISSION: &str = "admissionregistration.k8s.io";

/// For each object the places of those that it needs. There are no circles: a need that would close one is left out,
/// and those of webhooks, which are added last, before those of what an object names.
pub fn needs(objects: &[Placed]) -> Vec<Vec<usize>> {
    let mut order = Order::of(objects);
    order.foundations();
    order.named();
    order.selected();
    order.admitted();
    order.needs.into_iter().map(|needs| needs.into_iter().collect()).collect()
}

type Key<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, &'a str);

struct Order<'a> {
    objects: &'a [Placed<'a>],
    index: HashMap<Key<'a>, usize>,
    /// The places of the workloads, by cluster and namespace.
    workloads: HashMap<(&'a str, Option<&'a str>), Vec<usize>>,
    needs: Vec<BTreeSet<usize>>,
}

fn key(id: &Id) -> Key<'_> {
    (&id.cluster, &id.group, &id.kind, id.namespace.as_deref(), &id.name)
}

fn all<'a>(value: &'a Json, path: &[&str]) -> impl Iterator<Item = &'a Json> + use<'a> {
    at(value, path).and_then(Json::as_array).into_iter().flatten()
}

impl<'a> Order<'a> {
    fn of(objects: &'a [Placed<'a>]) -> Self {
        let index = objects.iter().enumerate().map(|(place, one)| (key(one.id), place)).collect();
        let mut workloads: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, one) in objects.iter().enumerate().filter(|(_, one)| pod_template(one.object).is_some()) {
            workloads.entry((one.id.cluster.as_str(), one.id.namespace.as_deref())).or_default().push(place);
        }
        Order { objects, index, workloads, needs: vec![BTreeSet::new(); objects.len()] }
    }

    fn find(&self, cluster: &str, target: &Target) -> Option<usize> {
        let key = (cluster, &*target.group, &*target.kind, target.namespace.as_deref(), &*target.name);
        self.index.get(&key).copied()
    }

    fn workloads_of(&self, cluster: &str, namespace: Option<&str>) -> Vec<usize> {
        self.workloads.get(&(cluster, namespace)).cloned().unwrap_or_default()
    }

    /// All that an object needs, needs of needs included.
    fn reach(&self, from: usize) -> Vec<bool> {
        let mut seen = vec![false; self.objects.len()];
        let mut open = vec![from];
        while let Some(place) = open.pop() {
            if !std::mem::replace(&mut seen[place], true) {
                open.extend(&self.needs[place]);
            }
        }
        seen
    }

    fn add(&mut self, from: usize, to: usize) {
        // What needs nothing closes no circle: most of what is named is of that sort.
        if from != to && (self.needs[to].is_empty() || !self.reach(to)[from]) {
            self.needs[from].insert(to);
        }
    }

    /// The namespace an object is in, and the definition of its kind. Neither is in a namespace or of a defined kind
    /// itself.
    fn foundations(&mut self) {
        let mut definitions = HashMap::new();
        for (place, one) in self.objects.iter().enumerate().filter(|(_, one)| one.id.kind == "CustomResourceDefinition")
        {
            let group = text(one.object, &["spec", "group"]).unwrap_or_default();
            let kind = text(one.object, &["spec", "names", "kind"]).unwrap_or_default();
            definitions.insert((one.id.cluster.as_str(), group, kind), place);
        }
        for (place, Placed { id, .. }) in self.objects.iter().enumerate() {
            if let Some(namespace) = &id.namespace {
                let wanted = (id.cluster.as_str(), "", "Namespace", None, namespace.as_str());
                self.needs[place].extend(self.index.get(&wanted));
            }
            self.needs[place].extend(definitions.get(&(id.cluster.as_str(), id.group.as_str(), id.kind.as_str())));
        }
    }

    /// What an object names.
    fn named(&mut self) {
        for (place, one) in self.objects.iter().enumerate() {
            for target in references::of(one.object, one.id.namespace.as_deref()) {
                if let Some(to) = self.find(&one.id.cluster, &target) {
                    self.add(place, to);
                }
            }
        }
    }

    /// What is tied to an object without being named in it: the rights of its account, what rules its namespace, the
    /// workloads behind a Service or a budget.
    fn selected(&mut self) {
        let mut rights: HashMap<(&str, &str, &str), Vec<usize>> = HashMap::new();
        for (place, Placed { id, object }) in self.objects.iter().enumerate() {
            if !matches!(id.kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
                continue;
            }
            for subject in all(object, &["subjects"]).filter(|s| text(s, &["kind"]) == Some("ServiceAccount")) {
                let namespace = text(subject, &["namespace"]).or(id.namespace.as_deref()).unwrap_or_default();
                let name = text(subject, &["name"]).unwrap_or_default();
                rights.entry((id.cluster.as_str(), namespace, name)).or_default().push(place);
            }
        }
        for (place, Placed { id, object }) in self.objects.iter().enumerate() {
            let namespace = id.namespace.as_deref();
            if let Some(template) = pod_template(object) {
                let account = (id.cluster.as_str(), namespace.unwrap_or_default(), service_account(template));
                for to in rights.get(&account).into_iter().flatten() {
                    self.add(place, *to);
                }
            }
            match id.kind.as_str() {
                "LimitRange" | "ResourceQuota" | "NetworkPolicy" => {
                    for workload in self.workloads_of(&id.cluster, namespace) {
                        self.add(workload, place);
                    }
                }
                "PodDisruptionBudget" => {
                    let labels = at(object, &["spec", "selector", "matchLabels"]);
                    for to in self.running(&id.cluster, namespace, labels) {
                        self.add(place, to);
                    }
                }
                "APIService" | "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
                    for target in references::of(object, None) {
                        let Some(service) = self.find(&id.cluster, &target) else { continue };
                        let labels = at(self.objects[service].object, &["spec", "selector"]);
                        for to in self.running(&id.cluster, target.namespace.as_deref(), labels) {
                            self.add(place, to);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The workloads whose pods carry these labels; none without labels. Jobs come to an end, and serve nothing.
    fn running(&self, cluster: &str, namespace: Option<&str>, labels: Option<&Json>) -> Vec<usize> {
        let Some(labels) = labels.and_then(Json::as_object).filter(|labels| !labels.is_empty()) else { return vec![] };
        let has = |place: &usize| {
            let one = &self.objects[*place];
            let own = pod_template(one.object).and_then(|template| at(template, &["metadata", "labels"]));
            !matches!(one.id.kind.as_str(), "Job" | "CronJob")
                && own.is_some_and(|own| labels.iter().all(|(key, value)| own.get(key) == Some(value)))
        };
        self.workloads_of(cluster, namespace).into_iter().filter(has).collect()
    }

    /// What a webhook must let in waits for the webhook, and for the Job that gives it its certificate.
    fn admitted(&mut self) {
        let plurals: HashMap<(&str, &str, &str), &str> = self
            .objects
            .iter()
            .filter(|one| one.id.kind == "CustomResourceDefinition")
            .filter_map(|one| {
                let names = at(one.object, &["spec", "names"])?;
                let group = text(one.object, &["spec", "group"])?;
                Some(((one.id.cluster.as_str(), group, text(names, &["kind"])?), text(names, &["plural"])?))
            })
            .collect();
        for (hook, Placed { id, object }) in self.objects.iter().enumerate() {
            if id.group != ADMISSION || !id.kind.ends_with("WebhookConfiguration") {
                continue;
            }
            let strict: Vec<&Json> =
                all(object, &["webhooks"]).filter(|one| text(one, &["failurePolicy"]) != Some("Ignore")).collect();
            let mut gates = vec![hook];
            for job in (0..self.objects.len()).filter(|&place| is_set_up_by(self.objects[place].object, &id.name)) {
                self.add(job, hook);
                if self.needs[job].contains(&hook) {
                    gates.push(job);
                }
            }
            let matched: Vec<usize> = (0..self.objects.len())
                .filter(|&place| {
                    let one = &self.objects[place];
                    // No webhook is asked about webhooks.
                    one.id.cluster == id.cluster && one.id.group != ADMISSION && {
                        let known =
                            plurals.get(&(one.id.cluster.as_str(), one.id.group.as_str(), one.id.kind.as_str()));
                        let plural = known.map_or_else(|| plural(&one.id.kind), |plural| (*plural).to_owned());
                        strict.iter().any(|strict| matches(strict, one, &plural))
                    }
                })
                .collect();
            for gate in gates {
                // What is added here leads to the gate and never away from it: its own needs stay as they are.
                let needed = self.reach(gate);
                for &place in matched.iter().filter(|&&place| !needed[place]) {
                    self.needs[place].insert(gate);
                }
            }
        }
    }
}

/// A Job with `--webhook-name=<the configuration's name>`: it writes the certificate's authority into it.
fn is_set_up_by(object: &Json, name: &str) -> bool {
    let is_job = text(object, &["kind"]) == Some("Job");
    let says = |arg: &Json| {
        arg.as_str()
            .and_then(|arg| arg.split_once('='))
            .is_some_and(|(key, value)| key.starts_with("--webhook") && value == name)
    };
    is_job
        && all(object, &["spec", "template", "spec", "containers"]).any(|container| all(container, &["args"]).any(says))
}

/// `ingresses` of `Ingress`, `networkpolicies` of `NetworkPolicy`.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if kind == "endpoints" => kind,
        _ if ["s", "x", "ch", "sh"].iter().any(|end| kind.ends_with(end)) => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

/// Whether a webhook is asked about an object. A selector that cannot be judged here is taken to select it.
fn matches(hook: &Json, one: &Placed, plural: &str) -> bool {
    let has = |rule: &Json, list: &str, wanted: &str| {
        all(rule, &[list]).any(|item| item == "*" || item == "*/*" || *item == *wanted)
    };
    let ruled = all(hook, &["rules"]).any(|rule| {
        has(rule, "apiGroups", &one.id.group)
            && has(rule, "resources", plural)
            && (has(rule, "operations", "CREATE") || has(rule, "operations", "UPDATE"))
    });
    let place = at(hook, &["namespaceSelector", "matchLabels", "kubernetes.io/metadata.name"]).and_then(Json::as_str);
    let wanted = at(hook, &["objectSelector", "matchLabels"]).and_then(Json::as_object).into_iter().flatten();
    let labels = at(one.object, &["metadata", "labels"]);
    ruled
        && place.is_none_or(|place| one.id.namespace.as_deref() == Some(place))
        && wanted.into_iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
