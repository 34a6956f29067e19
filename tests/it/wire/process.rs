//! A run of `runner` on a wire: it can be killed at a call, and one that never ends is found out.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Wire;
use crate::moto::Account;
use crate::project::Project;

/// The network phase of the playbook that ships.
pub const NETWORK: &str = "playbooks/prod.rhai --set dns.enabled=false --set platform.enabled=false --phase network";

/// A run that takes longer is stuck. One that makes the whole platform has much to do, and others run beside it.
const PATIENCE: Duration = Duration::from_secs(240);

/// An account with nothing in it, a project folder, and a wire between the two.
pub struct Case {
    pub account: Account,
    pub project: Project,
    pub wire: Wire,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub out: String,
    pub err: String,
    /// None if a signal ended it.
    pub code: Option<i32>,
    /// It did not end by itself.
    pub stuck: bool,
}

impl Case {
    /// The project that ships, without what it has beside AWS.
    pub fn new() -> Case {
        let (account, wire) = (Account::new(), Wire::to(&crate::moto::url()));
        let project = Project::shipped();
        project.edit("inventory/prod.toml", "123456789012", &account.number);
        project.edit("inventory/prod.toml", "[cloudflare]", "[elsewhere]");
        let project = account.env().into_iter().fold(project, |project, (name, value)| project.env(&name, &value));
        let project = project.env("AWS_ENDPOINT_URL", &wire.url());
        Case { account, project, wire }
    }

    /// `runner …` to its end; the wire knows whom to kill. Nothing of it is under way afterwards.
    pub fn run(&self, args: &str) -> Ended {
        run(&self.project, &[&self.wire], args)
    }
}

/// `runner …` to its end in this project; the wires know whom to kill. Nothing of it is under way afterwards.
pub fn run(project: &Project, wires: &[&Wire], args: &str) -> Ended {
    let mut command = project.command(env!("CARGO_BIN_EXE_runner"));
    command.args(args.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (out, err) = (all(child.stdout.take().unwrap()), all(child.stderr.take().unwrap()));
    let child = Arc::new(Mutex::new(child));
    for wire in wires {
        let child = child.clone();
        wire.kills(move || kill(&child));
    }
    let until = Instant::now() + PATIENCE;
    let (status, stuck) = loop {
        let ended = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().unwrap();
        match ended {
            Some(status) => break (status, false),
            None if Instant::now() > until => {
                kill(&child);
                break (child.lock().unwrap_or_else(PoisonError::into_inner).wait().unwrap(), true);
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    wires.iter().for_each(|wire| wire.settle());
    Ended { out: out.join().unwrap(), err: err.join().unwrap(), code: status.code(), stuck }
}

impl Ended {
    /// Fails unless it ended with this code; `told` says in which case.
    #[track_caller]
    pub fn with(self, code: i32, told: &str) -> Ended {
        let Ended { out, err, .. } = &self;
        assert!(!self.stuck && self.code == Some(code), "{told}: {:?}, stuck: {}\n{out}\n{err}", self.code, self.stuck);
        self
    }
}

/// It has no chance to do anything more. One that has ended is left alone.
fn kill(child: &Mutex<Child>) {
    drop(child.lock().unwrap_or_else(PoisonError::into_inner).kill());
}

fn all(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = vec![];
        drop(stream.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
