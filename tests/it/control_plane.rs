//! A Kubernetes control plane for the tests of this process: etcd, kube-apiserver and kube-controller-manager from
//! `tests/kubernetes/setup.sh`, and a stand-in for nodes. It starts with the first test that asks for it.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::wire::tls::Tls;
use crate::wire::{Wire, lock};

mod nodes;
mod tests;

/// Who asks, by token, name and group. Only what `test` does is counted, and what is done in another's name.
const USERS: [(&str, &str, &str); 4] = [
    ("test-token", "test", "system:masters"),
    ("harness-token", "harness", "system:masters"),
    ("controllers-token", "system:kube-controller-manager", "system:masters"),
    ("nodes-token", "stand-in-for-nodes", "system:masters"),
];

const CONTROLLERS: &str = "clusterrole-aggregation-controller,cronjob-controller,daemonset-controller,\
    deployment-controller,disruption-controller,endpoints-controller,endpointslice-controller,\
    garbage-collector-controller,job-controller,namespace-controller,persistentvolume-protection-controller,\
    persistentvolumeclaim-protection-controller,replicaset-controller,resourcequota-controller,\
    root-ca-certificate-publisher-controller,serviceaccount-controller,statefulset-controller,\
    ttl-after-finished-controller";

pub struct ControlPlane {
    folder: PathBuf,
    server: String,
    ca: String,
    kubeconfig: PathBuf,
    config: Config,
    /// Where the harness's own requests run, whatever runtime the test has.
    tasks: UnboundedSender<BoxFuture<'static, ()>>,
    /// Its input is open as long as this process lives, or until it is stopped.
    holder: Mutex<Child>,
    /// The stand-in for nodes ends with this.
    nodes: Mutex<Option<oneshot::Sender<()>>>,
}

/// A place in the list of requests.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// What the API server was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// In whose name.
    pub user: String,
    pub user_agent: String,
    /// `apps`; empty for the core group, and for what is not a resource, such as discovery.
    pub group: String,
    /// `deployments`, `deployments/status`; empty for what is not a resource.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    pub dry_run: bool,
    /// The status of the answer.
    pub code: u16,
    pub uri: String,
    /// When it came and when it was answered, in RFC 3339.
    pub from: String,
    pub to: String,
}

impl ControlPlane {
    pub fn shared() -> &'static ControlPlane {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(start)
    }

    /// One that no other test uses, for what has names of its own choosing. It runs to the end of the process.
    pub fn of_its_own() -> &'static ControlPlane {
        Box::leak(Box::new(start()))
    }

    /// A file with the CA and the credentials of one who may do all; its context is `test`.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `https://127.0.0.1:PORT`
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The certificate that the server's is signed with, as PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The bearer token of one who may do all.
    pub fn token(&self) -> &'static str {
        USERS[0].0
    }

    /// To be called in a runtime, which the client then lives in.
    pub fn client(&self) -> Client {
        Client::try_from(self.config.clone()).expect("a client")
    }

    /// A kubeconfig of a user of these groups, who may do nothing unless the groups may (`system:masters` may all).
    /// The user is impersonated; requests are counted by the name.
    pub fn user(&self, name: &str, groups: &[&str]) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let file = self.folder.join(format!("user-{}.kubeconfig", NEXT.fetch_add(1, Ordering::Relaxed)));
        let user = json!({ "token": self.token(), "as": name, "as-groups": groups });
        write(&file, &kubeconfig(&self.server, &self.ca, user).to_string());
        file
    }

    /// The same file, with the server reached at another address.
    pub fn kubeconfig_by_way_of(&self, server: &str) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let file = self.folder.join(format!("way-{}.kubeconfig", NEXT.fetch_add(1, Ordering::Relaxed)));
        write(&file, &kubeconfig(server, &self.ca, json!({ "token": self.token() })).to_string());
        file
    }

    /// A wire in front of it that shows its certificate.
    pub fn wire(&self) -> Wire {
        let pem = |name: &str| {
            let file = self.folder.join("certificates").join(name);
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        };
        Wire::tls("kubernetes", &self.server, Tls::of(&pem("apiserver.crt"), &pem("apiserver.key"), &self.ca))
    }

    /// Stops it, where one process has many in turn.
    pub fn stop(&self) {
        drop(lock(&self.nodes).take());
        let mut holder = lock(&self.holder);
        drop(holder.stdin.take());
        drop(holder.wait());
    }

    /// A name that no other call gives.
    pub fn unused(&self, prefix: &str) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A new namespace.
    pub fn namespace(&self, prefix: &str) -> String {
        let name = self.unused(prefix);
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        let config = self.config_of(USERS[1].0);
        self.run(async move {
            let api = Api::<Namespace>::all(Client::try_from(config).expect("a client"));
            api.create(&Default::default(), &namespace).await.expect("a namespace");
        });
        name
    }

    /// Here ends what has been asked up to now.
    pub fn mark(&self) -> Mark {
        self.settle();
        Mark(std::fs::metadata(self.audit()).expect("the audit log").len())
    }

    /// What was asked since, and answered. Tests run at the same time: choose by user or namespace.
    pub fn requests(&self, since: Mark) -> Vec<Request> {
        self.settle();
        let mut file = File::open(self.audit()).expect("the audit log");
        file.seek(SeekFrom::Start(since.0)).expect("the audit log");
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).expect("the audit log");
        let text = String::from_utf8_lossy(&bytes);
        // The last line may still be being written; what `settle` waited for stands before it.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(request).filter(|request| request.user != USERS[1].1).collect()
    }

    fn audit(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// Waits until the log holds what has been answered.
    fn settle(&self) {
        let marker = self.unused("no-such-marker");
        let (config, name) = (self.config_of(USERS[1].0), marker.clone());
        self.run(async move {
            let api = Api::<ConfigMap>::namespaced(Client::try_from(config).expect("a client"), "default");
            api.get_opt(&name).await.expect("the server answers");
        });
        let end = format!("/{marker}\"");
        wait("the audit log", || {
            std::fs::read(self.audit()).is_ok_and(|log| String::from_utf8_lossy(&log).contains(&end)).then_some(())
        });
    }

    fn config_of(&self, token: &str) -> Config {
        let mut config = self.config.clone();
        config.auth_info = serde_json::from_value(json!({ "token": token })).expect("credentials");
        config
    }

    fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        run(&self.tasks, future)
    }
}

fn start() -> ControlPlane {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("runner-kubernetes-").tempdir().expect("a folder").keep();
    let mut holder = Command::new("sh")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes/hold.sh"))
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut hold = |program: &str, arguments: &[String]| {
        let words = std::iter::once(programs.join(program).display().to_string()).chain(arguments.iter().cloned());
        let log = folder.join(format!("{program}.log"));
        let line: Vec<String> = words.map(|word| quoted(&word)).collect();
        let line = format!("{} >{} 2>&1\n", line.join(" "), quoted(&log.display().to_string()));
        holder.stdin.as_mut().expect("piped").write_all(line.as_bytes()).expect("the shell reads");
    };

    let ports = free_ports();
    let server = format!("https://127.0.0.1:{}", ports[0]);
    let in_folder = |name: &str| folder.join(name).display().to_string();
    let (etcd, peers) = (format!("http://127.0.0.1:{}", ports[1]), format!("http://127.0.0.1:{}", ports[2]));
    hold(
        "etcd",
        &[
            format!("--data-dir={}", in_folder("etcd")),
            "--unsafe-no-fsync".into(),
            format!("--listen-client-urls={etcd}"),
            format!("--advertise-client-urls={etcd}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
        ],
    );

    let tokens: Vec<String> = USERS.map(|(token, user, group)| format!("{token},{user},{user},{group}\n")).into();
    write(&folder.join("tokens.csv"), &tokens.concat());
    write(&folder.join("audit-policy.yaml"), &audit_policy().to_string());
    let key = programs.join("service-account.key").display().to_string();
    hold(
        "kube-apiserver",
        &[
            format!("--etcd-servers={etcd}"),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--secure-port={}", ports[0]),
            format!("--cert-dir={}", in_folder("certificates")),
            "--service-cluster-ip-range=10.0.0.0/16".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={key}"),
            format!("--service-account-signing-key-file={key}"),
            format!("--token-auth-file={}", in_folder("tokens.csv")),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged=true".into(),
            // It would keep pods waiting for their account, and mount a volume of a random name into each.
            "--disable-admission-plugins=ServiceAccount".into(),
            format!("--audit-log-path={}", in_folder("audit.log")),
            format!("--audit-policy-file={}", in_folder("audit-policy.yaml")),
            "--profiling=false".into(),
        ],
    );

    let logs = folder.clone();
    let wait = |what: &str, ready: &mut dyn FnMut() -> Option<String>| wait_or_say(what, ready, || tails(&logs));
    // It has made a certificate for itself, and one that signs it, which comes second.
    let certificates = folder.join("certificates/apiserver.crt");
    let ca = wait("the API server's certificate", &mut || signer(&std::fs::read_to_string(&certificates).ok()?));
    let kubeconfig_of = |token: &str| kubeconfig(&server, &ca, json!({ "token": token }));
    let tasks = runtime();

    let config_of = |token: &str| {
        let text = kubeconfig_of(token).to_string();
        run(&tasks, async move {
            let kubeconfig = Kubeconfig::from_yaml(&text).expect("a kubeconfig");
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a configuration")
        })
    };
    let harness = config_of(USERS[1].0);
    wait("the API server", &mut || {
        let harness = harness.clone();
        run(&tasks, async move {
            let request = kube::core::Request::new("").get("readyz", &Default::default()).expect("a request");
            Client::try_from(harness).expect("a client").request_text(request).await.ok()
        })
    });

    write(&folder.join("controllers.kubeconfig"), &kubeconfig_of(USERS[2].0).to_string());
    write(&folder.join("ca.crt"), &ca);
    hold(
        "kube-controller-manager",
        &[
            format!("--kubeconfig={}", in_folder("controllers.kubeconfig")),
            format!("--controllers={CONTROLLERS}"),
            format!("--service-account-private-key-file={key}"),
            format!("--root-ca-file={}", in_folder("ca.crt")),
            "--leader-elect=false".into(),
            "--secure-port=0".into(),
            "--kube-api-qps=500".into(),
            "--kube-api-burst=1000".into(),
            "--profiling=false".into(),
        ],
    );
    let stand_in = config_of(USERS[3].0);
    let (nodes, stopped) = oneshot::channel::<()>();
    let until_stopped = async move {
        tokio::select! {
            () = nodes::run(Client::try_from(stand_in).expect("a client")) => {}
            _ = stopped => {}
        }
    };
    tasks.send(Box::pin(until_stopped)).expect("the runtime runs");

    let kubeconfig = folder.join("kubeconfig");
    write(&kubeconfig, &kubeconfig_of(USERS[0].0).to_string());
    let config = config_of(USERS[0].0);
    ControlPlane {
        folder,
        server,
        ca,
        kubeconfig,
        config,
        tasks,
        holder: Mutex::new(holder),
        nodes: Mutex::new(Some(nodes)),
    }
}

/// The folder that `tests/kubernetes/setup.sh` prints.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("RUNNER_KUBERNETES") {
        return folder.into();
    }
    let mut digest = Sha256::new();
    digest.update(include_bytes!("../kubernetes/go.mod"));
    digest.update(include_bytes!("../kubernetes/go.sum"));
    digest.update(include_bytes!("../kubernetes/requirements.txt"));
    digest.update(std::env::var("KUBEBUILDER_ASSETS").unwrap_or_default());
    let digest: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let cache = std::env::var_os("RUNNER_TEST_CACHE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/runner"));
    let home = cache.join(format!("kubernetes-{digest}"));
    assert!(
        home.join("complete").exists(),
        "the Kubernetes control plane for the tests is not installed: run `make test`, or `tests/kubernetes/setup.sh` once"
    );
    home
}

/// A thread with a runtime that lives as long as this process, for what is sent to it.
fn runtime() -> UnboundedSender<BoxFuture<'static, ()>> {
    let (tasks, mut queue) = tokio::sync::mpsc::unbounded_channel::<BoxFuture<'static, ()>>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || {
        runtime.block_on(async move {
            while let Some(task) = queue.recv().await {
                tokio::spawn(task);
            }
        })
    });
    tasks
}

/// Runs it there and blocks until it is done.
fn run<T: Send + 'static>(
    tasks: &UnboundedSender<BoxFuture<'static, ()>>,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let (answer, answered) = mpsc::channel();
    let task = async move {
        // Nobody listens any more only if the test has been stopped.
        let _ = answer.send(future.await);
    };
    tasks.send(Box::pin(task)).expect("the runtime runs");
    answered.recv().expect("an answer")
}

/// Ports that nothing listens on, all different.
fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

fn kubeconfig(server: &str, ca: &str, user: Json) -> Json {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority-data": STANDARD.encode(ca) } }],
        "users": [{ "name": "test", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    })
}

fn audit_policy() -> Json {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            { "level": "None", "users": [USERS[2].1, USERS[3].1, "system:apiserver"] },
            { "level": "Metadata" },
        ],
    })
}

fn request(line: &str) -> Request {
    let event: Json = serde_json::from_str(line).expect("a line of the audit log");
    let text = |pointer: &str| event.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
    let impersonated = text("/impersonatedUser/username");
    let (resource, part) = (text("/objectRef/resource"), text("/objectRef/subresource"));
    let uri = text("/requestURI");
    Request {
        verb: text("/verb"),
        user: if impersonated.is_empty() { text("/user/username") } else { impersonated },
        user_agent: text("/userAgent"),
        group: text("/objectRef/apiGroup"),
        resource: if part.is_empty() { resource } else { format!("{resource}/{part}") },
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        dry_run: uri.contains("dryRun=All"),
        code: event["responseStatus"]["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or_default(),
        uri,
        from: text("/requestReceivedTimestamp"),
        to: text("/stageTimestamp"),
    }
}

/// The second certificate of a chain.
fn signer(chain: &str) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----\n";
    let mut certificates = chain.split_inclusive(END);
    certificates.nth(1).filter(|certificate| certificate.ends_with(END)).map(str::to_owned)
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    wait_or_say(what, &mut ready, String::new)
}

fn wait_or_say<T>(what: &str, ready: &mut dyn FnMut() -> Option<T>, why: impl Fn() -> String) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "{what} is not there after 90 s\n{}", why());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How the programs' logs end.
fn tails(folder: &Path) -> String {
    let mut text = String::new();
    for program in ["etcd", "kube-apiserver"] {
        let log = std::fs::read_to_string(folder.join(format!("{program}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        text += &format!("{program}:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"));
    }
    text
}
