//! What stands between `runner` and a server in a test: it counts the calls, and a rule decides what becomes of each.

mod http;
pub mod process;
pub mod sweep;
mod tests;
pub mod tls;

use std::io;
use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::{Message, Stream};
use tls::Tls;

/// How long a call waits for the process that it is to kill.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy on a port of its own. It ends when it is dropped.
pub struct Wire {
    port: u16,
    /// What stands behind the host in the server's URL.
    path: String,
    shared: Arc<Shared>,
}

/// One call, as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// From 1, in order of arrival.
    pub n: usize,
    /// As in the signature: `ec2`, `elasticloadbalancing`; the wire's own word for a call that bears none of AWS's.
    pub service: String,
    /// `ec2:CreateVpc`; for what is told by method and path alone, `eks:POST /clusters`, `kubernetes:PATCH /api/…`.
    pub operation: String,
    pub body: String,
    pub path: String,
    /// It changes nothing.
    pub reads: bool,
}

/// What becomes of a call.
pub enum Verdict {
    Pass,
    /// The process is killed before the call is sent on.
    KillBefore,
    /// The call took effect, and the process is killed before it has the answer.
    KillAfter,
    /// Never reaches the server.
    Answer {
        status: u16,
        content_type: &'static str,
        body: String,
    },
    /// Never reaches the server either: the connection is closed.
    Reset,
    /// Took effect; the connection is closed without the answer.
    Lost,
    /// Only this share of the answer's body arrives, as if it were whole.
    Truncate(f64),
    /// The connection is closed after this share of the answer's body.
    Cut(f64),
    /// The answer comes late.
    Slow(Duration),
    /// The answer's body is another one.
    Alter(Box<dyn FnOnce(String) -> String + Send>),
    /// Something happens, somebody else's hand say; then the call is sent on.
    First(Box<dyn FnOnce() + Send>),
}

type Rule = Arc<dyn Fn(&Call) -> Verdict + Send + Sync>;
type Victim = Arc<dyn Fn() + Send + Sync>;

struct Shared {
    /// `127.0.0.1:4711`.
    upstream: String,
    /// What speaks TLS at both ends.
    tls: Option<Tls>,
    /// The service of a call that is not signed for one of AWS's.
    service: &'static str,
    rule: Mutex<Rule>,
    calls: Mutex<Vec<Call>>,
    /// How to kill the process at the near end, once it is known.
    victim: Mutex<Option<Victim>>,
    known: Condvar,
    /// Calls that have arrived and are not done with.
    open: Mutex<usize>,
    idle: Condvar,
    closed: AtomicBool,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// To a server by its URL: `http://127.0.0.1:4711`, or with a path behind it.
    pub fn to(upstream: &str) -> Wire {
        Self::start("http", upstream.strip_prefix("http://").expect("plain HTTP"), None)
    }

    /// The same to what is not one of AWS's services; its calls bear this name.
    pub fn to_the(service: &'static str, upstream: &str) -> Wire {
        Self::start(service, upstream.strip_prefix("http://").expect("plain HTTP"), None)
    }

    /// To a server that speaks TLS, `https://127.0.0.1:4711`, and seen from the near end as that server. An answer is
    /// sent on once it is whole: that of a watch would never be, and `runner` asks for none.
    pub fn tls(service: &'static str, upstream: &str, tls: Tls) -> Wire {
        Self::start(service, upstream.strip_prefix("https://").expect("TLS"), Some(tls))
    }

    fn start(service: &'static str, rest: &str, tls: Option<Tls>) -> Wire {
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let shared = Arc::new(Shared {
            upstream: host.to_owned(),
            tls,
            service,
            rule: Mutex::new(Arc::new(|_| Verdict::Pass)),
            calls: Mutex::default(),
            victim: Mutex::default(),
            known: Condvar::new(),
            open: Mutex::new(0),
            idle: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let wire = Wire {
            port: listener.local_addr().expect("it is bound").port(),
            path: path.to_owned(),
            shared: shared.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = shared.clone();
                // An end that goes away is what is tested here.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        wire
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}{}", self.port, self.path)
    }

    /// Decides what becomes of each call from now on; without one all pass. Calls come side by side, and each is asked
    /// for on its own thread.
    pub fn rule(&self, rule: impl Fn(&Call) -> Verdict + Send + Sync + 'static) {
        *lock(&self.shared.rule) = Arc::new(rule);
    }

    /// All so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// The next call is the first one again, and passes.
    pub fn forget(&self) {
        self.rule(|_| Verdict::Pass);
        lock(&self.shared.calls).clear();
        *lock(&self.shared.victim) = None;
    }

    /// What a call that is to kill does; until this is known such calls wait.
    pub fn kills(&self, victim: impl Fn() + Send + Sync + 'static) {
        *lock(&self.shared.victim) = Some(Arc::new(victim));
        self.shared.known.notify_all();
    }

    /// Waits until no call is under way: what a process asked for before it died has then happened, or never will.
    pub fn settle(&self) {
        let open = lock(&self.shared.open);
        let waited = self.shared.idle.wait_timeout_while(open, PATIENCE, |open| *open > 0);
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*open, 0, "calls are still under way");
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // The listener looks once more, and goes.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// A call under way.
struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        *lock(&self.0.open) -= 1;
        self.0.idle.notify_all();
    }
}

impl Shared {
    /// All calls of one connection.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut client: Stream = BufReader::new(match &self.tls {
            Some(tls) => tls.accept(stream)?,
            None => Box::new(stream),
        });
        let mut server = None;
        while let Some(request) = Message::request(&mut client)? {
            *lock(&self.open) += 1;
            let _open = Open(self);
            let call = self.note(&request);
            let rule = lock(&self.rule).clone();
            let mut answer = match rule(&call) {
                Verdict::Pass => self.send_on(&mut server, &request)?,
                Verdict::KillBefore => {
                    self.kill();
                    return Ok(());
                }
                Verdict::KillAfter => {
                    self.send_on(&mut server, &request)?;
                    self.kill();
                    return Ok(());
                }
                Verdict::Answer { status, content_type, body } => Message {
                    start: format!("HTTP/1.1 {status} As told"),
                    headers: vec![("Content-Type".into(), content_type.into())],
                    body: body.into_bytes(),
                },
                Verdict::Reset => return Ok(()),
                Verdict::Lost => {
                    self.send_on(&mut server, &request)?;
                    return Ok(());
                }
                Verdict::Truncate(share) => {
                    let mut answer = self.send_on(&mut server, &request)?;
                    answer.body.truncate(part(&answer, share));
                    answer
                }
                Verdict::Cut(share) => {
                    let answer = self.send_on(&mut server, &request)?;
                    let part = &answer.body[..part(&answer, share)];
                    return answer.send(&mut client, answer.body.len(), part);
                }
                Verdict::Slow(time) => {
                    let answer = self.send_on(&mut server, &request)?;
                    sleep(time);
                    answer
                }
                Verdict::Alter(alter) => {
                    let mut answer = self.send_on(&mut server, &request)?;
                    answer.body = alter(String::from_utf8_lossy(&answer.body).into_owned()).into_bytes();
                    answer
                }
                Verdict::First(first) => {
                    first();
                    self.send_on(&mut server, &request)?
                }
            };
            if method(&request) == "HEAD" {
                let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
                answer.send(&mut client, length, &[])?;
            } else {
                let body = std::mem::take(&mut answer.body);
                answer.send(&mut client, body.len(), &body)?;
            }
        }
        Ok(())
    }

    fn note(&self, request: &Message) -> Call {
        let mut calls = lock(&self.calls);
        let call = read(calls.len() + 1, self.service, request);
        calls.push(call.clone());
        call
    }

    /// Never twice, whatever comes of it.
    fn send_on(&self, server: &mut Option<Stream>, request: &Message) -> io::Result<Message> {
        if server.is_none() {
            let stream = TcpStream::connect(&self.upstream)?;
            stream.set_nodelay(true)?;
            *server = Some(BufReader::new(match &self.tls {
                Some(tls) => tls.connect(stream)?,
                None => Box::new(stream),
            }));
        }
        let stream = server.as_mut().expect("just connected");
        request.send(stream, request.body.len(), &request.body)?;
        let answer = Message::answer(stream, method(request))?;
        if answer.ends_the_connection() {
            *server = None;
        }
        Ok(answer)
    }

    fn kill(&self) {
        let until = Instant::now() + PATIENCE;
        let mut victim = lock(&self.victim);
        loop {
            if let Some(kill) = victim.clone() {
                return kill();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "there is nobody to kill: `kills` was not called");
            victim = self.known.wait_timeout(victim, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn part(answer: &Message, share: f64) -> usize {
    (answer.body.len() as f64 * share) as usize
}

fn method(request: &Message) -> &str {
    request.start.split(' ').next().unwrap_or_default()
}

/// What a call is: by the form of the older services, the header of the JSON ones, or its method and path.
fn read(n: usize, otherwise: &str, request: &Message) -> Call {
    let path = request.start.split(' ').nth(1).unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let signed = request.header("authorization").and_then(|header| header.split("Credential=").nth(1));
    let service = signed.and_then(|scope| scope.split('/').nth(3)).unwrap_or(otherwise).to_owned();
    let action = body.split('&').find_map(|field| field.strip_prefix("Action="));
    let target = request.header("x-amz-target").and_then(|target| target.rsplit('.').next());
    let (name, reads) = match action.or(target) {
        Some(name) => (name.to_owned(), only_reads(name)),
        None => {
            let (bare, query) = path.split_once('?').unwrap_or((&path, ""));
            (format!("{} {bare}", method(request)), only_asks(method(request), bare, query))
        }
    };
    Call { n, operation: format!("{service}:{name}"), service, body, path, reads }
}

/// Also what only AWS's own books know of: who asks, and with which right.
fn only_reads(operation: &str) -> bool {
    ["Describe", "Get", "List", "BatchGet", "Lookup", "Simulate", "Assume"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

/// Also a dry run, and what an API server of Kubernetes answers and forgets.
fn only_asks(method: &str, path: &str, query: &str) -> bool {
    let review = || method == "POST" && path.rsplit('/').next().is_some_and(|last| REVIEWS.contains(&last));
    matches!(method, "GET" | "HEAD") || query.split('&').any(|field| field == "dryRun=All") || review()
}

const REVIEWS: [&str; 6] = [
    "localsubjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
    "tokenreviews",
];
