//! One cluster's API server: how it is reached, and what holds for every request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery, Scope};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::applyset::GroupKind;
use super::fault;
use super::namespaces::Namespaces;
use super::object::{self, Id};
use super::parent::Parent;
use super::proxy;
use crate::providers::causes::innermost;
use crate::resource::{Class, Fault, Map, permission};

/// A token of EKS holds for a quarter of an hour; it is made anew well before.
const TOKEN_AGE: Duration = Duration::from_secs(600);
/// How often it is asked at most what kinds there are, if one is not known.
const ASKED: Duration = Duration::from_secs(1);
/// Objects per page of a listing.
const PAGE: usize = 500;
/// The operation of a fault that came before anything was sent.
pub const CONNECT: &str = "k8s:Connect";

/// A bearer token.
pub struct Token(pub String);

/// Who can prove to EKS who we are.
#[async_trait]
pub trait Tokens: Send + Sync {
    async fn token(&self, region: Option<&str>, cluster: &str) -> Result<Token, Fault>;
}

/// How a cluster is reached.
#[derive(Clone, Debug)]
pub enum Way {
    Eks { region: Option<String>, name: String, endpoint: String, authority: String },
    Kubeconfig { file: Option<String>, context: Option<String> },
}

/// What the server said.
pub struct Answer {
    pub object: Json,
    pub warnings: Vec<String>,
}

/// An answer as it came.
pub struct Exchange {
    pub status: u16,
    pub warnings: Vec<String>,
    pub body: Vec<u8>,
}

/// A kind as the cluster serves it.
#[derive(Clone, Debug)]
pub struct Served {
    pub resource: ApiResource,
    pub namespaced: bool,
}

pub struct Cluster {
    /// The logical name.
    pub name: String,
    way: Way,
    inputs: Map,
    tokens: Arc<dyn Tokens>,
    read_only: bool,
    /// The URL of the API server, once it is known.
    server: Mutex<Option<String>>,
    client: tokio::sync::Mutex<Option<(kube::Client, Instant)>>,
    discovery: tokio::sync::Mutex<Option<(Instant, Arc<Discovery>)>>,
    pub(super) namespaces: tokio::sync::Mutex<Option<(Instant, Arc<Namespaces>)>>,
    /// Whole objects as they were last read, for what a plan compares.
    pub(super) seen: Mutex<HashMap<Id, Arc<Json>>>,
    /// Kinds whose definition this run has applied, and which may not be served yet.
    defined: Mutex<BTreeSet<(String, String)>>,
    /// The stack's ApplySet as it was last read or written.
    pub(super) parents: tokio::sync::Mutex<BTreeMap<String, Parent>>,
    pub(super) known_stack: Mutex<Option<String>>,
    /// Kinds of which this run writes objects.
    pub(super) written: Mutex<BTreeSet<GroupKind>>,
}

impl Cluster {
    pub fn new(name: &str, way: Way, inputs: Map, tokens: Arc<dyn Tokens>, read_only: bool) -> Self {
        Cluster {
            name: name.to_owned(),
            way,
            inputs,
            tokens,
            read_only,
            server: Mutex::default(),
            client: Default::default(),
            discovery: Default::default(),
            namespaces: Default::default(),
            seen: Mutex::default(),
            defined: Mutex::default(),
            parents: Default::default(),
            known_stack: Mutex::default(),
            written: Mutex::default(),
        }
    }

    pub fn is_eks(&self) -> bool {
        matches!(self.way, Way::Eks { .. })
    }

    pub fn inputs(&self) -> &Map {
        &self.inputs
    }

    /// Where the `k8s::cluster` itself lives.
    pub fn region(&self) -> Option<&str> {
        match &self.way {
            Way::Eks { region, .. } => region.as_deref(),
            Way::Kubeconfig { .. } => None,
        }
    }

    /// The URL of the API server, once it was reached.
    pub fn server(&self) -> Option<String> {
        self.server.lock().expect("no holder panics").clone()
    }

    pub fn text(&self, input: &str) -> Option<&str> {
        self.inputs.get(input).and_then(|value| value.as_str())
    }

    async fn client(&self, anew: bool) -> Result<kube::Client, Fault> {
        let mut kept = self.client.lock().await;
        let fresh = |made: &Instant| matches!(self.way, Way::Kubeconfig { .. }) || made.elapsed() < TOKEN_AGE;
        if let Some((client, made)) = &*kept
            && fresh(made)
            && !anew
        {
            return Ok(client.clone());
        }
        let config = self.config().await?;
        let plugin = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
        let client = kube::Client::try_from(config).map_err(|error| match &plugin {
            Some(plugin) => {
                self.lost(&no_credentials(plugin, &error), "does that command work by itself, and is it logged in?")
            }
            None => self.no_way(&error),
        })?;
        *kept = Some((client.clone(), Instant::now()));
        Ok(client)
    }

    async fn config(&self) -> Result<kube::Config, Fault> {
        crate::providers::tls::ready();
        let mut config = match &self.way {
            Way::Eks { region, name, endpoint, authority } => {
                let uri = endpoint.parse().map_err(|error| self.no_way(&error))?;
                let mut config = kube::Config::new(uri);
                let pem = STANDARD.decode(authority.trim()).map_err(|error| self.no_way(&error))?;
                config.root_cert = (!authority.is_empty())
                    .then(|| certificates(&pem))
                    .transpose()
                    .map_err(|why| Fault::new(Class::Invalid, format!("`certificate_authority_data` {why}")))?;
                config.proxy_url = self.proxy(&config.cluster_url)?;
                config.auth_info.token = Some(self.tokens.token(region.as_deref(), name).await?.0.into());
                config
            }
            Way::Kubeconfig { file, context } => {
                let kubeconfig = self.kubeconfig(file.as_deref(), context.as_deref())?;
                let hint = "give the path of a kubeconfig and one of its contexts";
                let own = proxy::of_kubeconfig(&kubeconfig, context.as_deref());
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
                let mut config = config.map_err(|error| self.no_way(&error).hint(hint))?;
                // The client looks for the proxy, not for the cluster, among what is to be reached without one.
                if !own {
                    config.proxy_url = self.proxy(&config.cluster_url)?;
                }
                config
            }
        };
        *self.server.lock().expect("no holder panics") = Some(config.cluster_url.to_string());
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = Some(Duration::from_secs(60));
        config.write_timeout = Some(Duration::from_secs(60));
        Ok(config)
    }

    fn proxy(&self, url: &http::Uri) -> Result<Option<http::Uri>, Fault> {
        let Some(proxy) = proxy::of(url, |name| std::env::var(name).ok()) else { return Ok(None) };
        let hint = "check `HTTPS_PROXY`: it is such as `http://proxy.example.com:3128`";
        proxy.parse().map(Some).map_err(|error| self.no_way(&error).hint(hint))
    }

    fn kubeconfig(&self, file: Option<&str>, context: Option<&str>) -> Result<Kubeconfig, Fault> {
        let hint = "give the path of a kubeconfig, from the project's folder on, and one of its contexts";
        let read = match file {
            Some(file) => {
                // The client's own words quote a path twice.
                std::fs::File::open(file)
                    .map_err(|error| self.lost(&format!("`{file}` cannot be read: {error}"), hint))?;
                Kubeconfig::read_from(file).map_err(|error| {
                    self.lost(&format!("`{file}` is no kubeconfig: {}", first_line(&innermost(&error))), hint)
                })
            }
            None => Kubeconfig::read().map_err(|error| self.no_way(&error).hint(hint)),
        }?;
        if let Some(context) = context.filter(|wanted| !read.contexts.iter().any(|one| one.name == **wanted)) {
            let known: Vec<String> = read.contexts.iter().map(|one| format!("`{}`", one.name)).collect();
            let hint = format!("its contexts are: {}", known.join(", "));
            return Err(self.lost(&format!("the kubeconfig has no context `{context}`"), &hint));
        }
        Ok(read)
    }

    fn lost(&self, why: &str, hint: &str) -> Fault {
        let mut fault = Fault::new(Class::Invalid, format!("there is no way to the cluster `{}`: {why}", self.name));
        fault.operation = Some(CONNECT.to_owned());
        fault.hint(hint)
    }

    fn no_way(&self, error: &dyn std::error::Error) -> Fault {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !why.contains(&text) {
                why = format!("{why}: {text}");
            }
            source = cause.source();
        }
        let mut fault = Fault::new(Class::Invalid, format!("there is no way to the cluster `{}`: {why}", self.name));
        fault.operation = Some(CONNECT.to_owned());
        fault
    }

    /// Sends a request and takes any answer as it is. One that would change something is refused where nothing may, and
    /// where the permission for it has ended.
    pub async fn exchange(&self, operation: &str, request: Request<Vec<u8>>) -> Result<Exchange, Fault> {
        let dry = request.uri().query().is_some_and(|query| query.contains("dryRun=All"));
        let changes = request.method() != Method::GET && !dry;
        if self.read_only && changes {
            return Err(Fault::new(Class::ReadOnly, format!("refused to send {operation}: nothing may change")));
        }
        if changes && !permission::holds() {
            return Err(permission::ended(operation));
        }
        let first = self.exchange_once(operation, request.clone(), false).await?;
        // A token may have been withdrawn, or a clock may be wrong.
        match first.status == 401 && matches!(self.way, Way::Eks { .. }) {
            true => self.exchange_once(operation, request, true).await,
            false => Ok(first),
        }
    }

    async fn exchange_once(&self, operation: &str, request: Request<Vec<u8>>, anew: bool) -> Result<Exchange, Fault> {
        let client = self.client(anew).await?;
        let failed = |error: kube::Error| self.told(fault::of_error(operation, &error));
        let answer = client.send(request.map(kube::client::Body::from)).await.map_err(failed)?;
        let status = answer.status().as_u16();
        let warnings = answer.headers().get_all("warning").iter().filter_map(|value| warning(value.to_str().ok()?));
        let warnings = warnings.collect();
        let body = answer.into_body().collect_bytes().await.map_err(failed)?.to_vec();
        Ok(Exchange { status, warnings, body })
    }

    /// Sends a request whose answer is an object.
    pub async fn send(&self, operation: &str, request: Request<Vec<u8>>) -> Result<Answer, Fault> {
        let Exchange { status, warnings, body } = self.exchange(operation, request).await?;
        if !(200..300).contains(&status) {
            return Err(self.told(fault::of_status(operation, status, &String::from_utf8_lossy(&body))));
        }
        let object = serde_json::from_slice(&body).map_err(|error| {
            let what = format!("the answer of cluster `{}` is no JSON: {error}", self.name);
            let mut fault = Fault::new(Class::Ambiguous, what);
            fault.operation = Some(operation.to_owned());
            fault
        })?;
        Ok(Answer { object, warnings })
    }

    /// Says which cluster it is that cannot be reached, or does not let us in.
    fn told(&self, mut fault: Fault) -> Fault {
        let known = fault.message.starts_with("there is no way to the cluster");
        let refused = fault.code.as_deref().is_some_and(|code| code != "Unauthorized");
        if !known && !refused {
            let at = self.server().map(|url| format!(" at {}", url.trim_end_matches('/'))).unwrap_or_default();
            fault.message = format!("cluster `{}`{at}: {}", self.name, fault.message);
            // Whatever was asked first, it is the cluster that is not there.
            fault.operation = Some(CONNECT.to_owned());
        }
        fault
    }

    pub async fn get(&self, operation: &str, path: &str) -> Result<Json, Fault> {
        Ok(self.send(operation, request(Method::GET, path, None, vec![])?).await?.object)
    }

    /// All pages of a listing. A kind that is not served (any more) has no objects.
    pub async fn list(&self, served: &Served, labels: &str) -> Result<Vec<Json>, Fault> {
        let resource = &served.resource;
        let operation = format!("k8s:List {}", plural(resource));
        let mut items = vec![];
        let mut more = String::new();
        loop {
            let labels = urlencoding::encode(labels);
            let mut path = format!("{}?labelSelector={labels}&limit={PAGE}", self.collection(served, None));
            if !more.is_empty() {
                path.push_str(&format!("&continue={}", urlencoding::encode(&more)));
            }
            let mut page = match self.get(&operation, &path).await {
                Err(fault) if fault.class == Class::NotFound => return Ok(items),
                page => page?,
            };
            if let Some(Json::Array(found)) = page.get_mut("items").map(Json::take) {
                // Items of a list do not say what they are.
                items.extend(found.into_iter().map(|mut item| {
                    if let Some(item) = item.as_object_mut() {
                        item.insert("apiVersion".into(), resource.api_version.clone().into());
                        item.insert("kind".into(), resource.kind.clone().into());
                    }
                    item
                }));
            }
            match object::text(&page, &["metadata", "continue"]) {
                Some(next) if !next.is_empty() => more = next.to_owned(),
                _ => return Ok(items),
            }
        }
    }

    pub fn collection(&self, served: &Served, namespace: Option<&str>) -> String {
        let resource = &served.resource;
        let base = match resource.group.as_str() {
            "" => format!("/api/{}", resource.version),
            group => format!("/apis/{group}/{}", resource.version),
        };
        match namespace.filter(|_| served.namespaced) {
            Some(namespace) => format!("{base}/namespaces/{}/{}", urlencoding::encode(namespace), resource.plural),
            None => format!("{base}/{}", resource.plural),
        }
    }

    pub fn path(&self, served: &Served, id: &Id) -> String {
        format!("{}/{}", self.collection(served, id.namespace.as_deref()), urlencoding::encode(&id.name))
    }

    /// Notes that there will be a kind, and that what is known of kinds may no longer hold.
    pub async fn define(&self, group: String, kind: String) {
        self.defined.lock().expect("no holder panics").insert((group, kind));
        *self.discovery.lock().await = None;
    }

    async fn discovery(&self, anew: bool) -> Result<Arc<Discovery>, Fault> {
        let mut kept = self.discovery.lock().await;
        // Many may miss a kind at once, and what one of them has found holds for all.
        if let Some((_, known)) = kept.as_ref().filter(|(asked, _)| !anew || asked.elapsed() < ASKED) {
            return Ok(known.clone());
        }
        let client = self.client(false).await?;
        let failed = |error: kube::Error| self.told(fault::of_error("k8s:Discover", &error));
        let found = Arc::new(Discovery::new(client).run_aggregated().await.map_err(failed)?);
        *kept = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// A kind in one version. What is not known is looked for once more: its definition may be new.
    pub async fn served(&self, api_version: &str, kind: &str) -> Result<Served, Fault> {
        let group = object::group(api_version);
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let gvk = GroupVersionKind::gvk(group, version, kind);
        for anew in [false, true] {
            if let Some((resource, able)) = self.discovery(anew).await?.resolve_gvk(&gvk) {
                return Ok(Served { resource, namespaced: able.scope == Scope::Namespaced });
            }
        }
        let known = self.discovery(false).await?;
        Err(self.unserved(api_version, kind, &known))
    }

    /// A kind in the version that the cluster prefers, if it is served.
    pub async fn preferred(&self, group: &str, kind: &str) -> Result<Option<Served>, Fault> {
        for anew in [false, true] {
            let discovery = self.discovery(anew).await?;
            if let Some((resource, able)) = discovery.get(group).and_then(|group| group.recommended_kind(kind)) {
                return Ok(Some(Served { resource, namespaced: able.scope == Scope::Namespaced }));
            }
            // A kind of another version than the group's first.
            let resolved = discovery.get(group).and_then(|found| {
                let all = found.resources_by_stability();
                all.into_iter().find(|(resource, _)| resource.kind == kind)
            });
            if let Some((resource, able)) = resolved {
                return Ok(Some(Served { resource, namespaced: able.scope == Scope::Namespaced }));
            }
        }
        Ok(None)
    }

    fn unserved(&self, api_version: &str, kind: &str, known: &Discovery) -> Fault {
        let group = object::group(api_version).to_owned();
        let new = self.defined.lock().expect("no holder panics").contains(&(group, kind.to_owned()));
        let what = format!("cluster `{}` does not serve {kind} of {api_version}", self.name);
        let class = if new { Class::Busy } else { Class::NotFound };
        let mut fault = Fault::new(class, what);
        fault.code = Some("NotServed".into());
        let others = known.groups().flat_map(|group| group.resources_by_stability());
        let others: Vec<String> = others.filter(|(one, _)| one.kind == kind).map(|(one, _)| one.api_version).collect();
        match others.is_empty() {
            true => fault.hint("declare its CustomResourceDefinition, or check `apiVersion` and `kind`"),
            false => fault.hint(format!("it serves it as {}: change `apiVersion`", others.join(" and "))),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ")
}

/// Why the command that a kubeconfig names gave no credentials.
fn no_credentials(plugin: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Auth(kube::client::AuthError::AuthExecRun { out, .. }) => {
            let said = String::from_utf8_lossy(&out.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
            format!("its command for credentials `{plugin}` failed ({}): {said}", out.status)
        }
        _ => format!("its command for credentials `{plugin}`: {}", innermost(error)),
    }
}

pub fn plural(resource: &ApiResource) -> String {
    match resource.group.as_str() {
        "" => resource.plural.clone(),
        group => format!("{}.{group}", resource.plural),
    }
}

pub fn request(method: Method, path: &str, media: Option<&str>, body: Vec<u8>) -> Result<Request<Vec<u8>>, Fault> {
    let agent = concat!("runner/", env!("CARGO_PKG_VERSION"));
    let mut request = Request::builder().method(method).uri(path).header("accept", "application/json");
    request = request.header("user-agent", agent);
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    request.body(body).map_err(|error| Fault::new(Class::Invalid, format!("`{path}` is no path: {error}")))
}

/// `299 - "policy/v1beta1 is deprecated"`
fn warning(header: &str) -> Option<String> {
    let text = header.split_once('"')?.1;
    Some(text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\""))
}

/// The certificates of a PEM file, each in DER.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let text = std::str::from_utf8(pem).map_err(|_| "is no PEM".to_owned())?;
    let mut found = vec![];
    let mut body: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (line, &mut body) {
            ("-----BEGIN CERTIFICATE-----", _) => body = Some(String::new()),
            ("-----END CERTIFICATE-----", Some(text)) => {
                found.push(STANDARD.decode(&*text).map_err(|error| format!("holds a damaged certificate: {error}"))?);
                body = None;
            }
            (line, Some(text)) => text.push_str(line),
            _ => {}
        }
    }
    if found.is_empty() { Err("holds no certificate".into()) } else { Ok(found) }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
