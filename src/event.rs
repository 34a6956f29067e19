//! What happened, as facts; whoever shows or records them reads one channel.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Site};
use crate::resource::Address;
use crate::secret::Secrets;

/// A past fact. Holds no display choice, and no value of an input or output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted {
        run: String,
        stack: String,
        playbook: String,
        command: String,
        /// It was only played: what it took says nothing of the real thing.
        #[serde(default)]
        sandbox: bool,
    },
    /// The script ran: how many declarations, in how many phases; `stopped` if it is only a stage.
    Evaluated {
        resources: usize,
        phases: usize,
        stopped: bool,
    },
    /// One listing of one kind came back.
    Listed {
        kind: Arc<str>,
        region: Option<String>,
        found: usize,
    },
    /// A call was put off: it is made again after a while, or all to its service are made more slowly.
    HeldUp {
        cause: String,
        seconds: f64,
    },
    Planned {
        create: usize,
        update: usize,
        replace: usize,
        delete: usize,
        unchanged: usize,
    },
    /// The apply begins; so many operations lie ahead.
    ApplyStarted {
        operations: usize,
    },
    Started {
        address: Address,
        operation: Operation,
        site: Option<Site>,
    },
    /// The write is done; the provider is not.
    Waiting {
        address: Address,
        operation: Operation,
        status: String,
    },
    Retrying {
        address: Address,
        operation: Operation,
        cause: String,
        attempt: u32,
        seconds: f64,
    },
    Finished {
        address: Address,
        operation: Operation,
        id: Option<String>,
        seconds: f64,
    },
    Failed {
        address: Address,
        operation: Operation,
        diagnostic: Box<Diagnostic>,
        seconds: f64,
    },
    Skipped {
        address: Address,
        operation: Operation,
        because: Address,
    },
    /// The run was asked to stop. What is in flight may finish; the rest is left to the next run.
    Interrupted {
        waiting_for: usize,
        #[serde(default)]
        not_begun: Vec<Step>,
    },
    /// A stop cut it short.
    Left {
        address: Address,
        operation: Operation,
        left: Left,
        id: Option<String>,
        seconds: f64,
    },
    /// What an earlier run left unfinished, and what has become of it.
    Recovered {
        run: String,
        address: Address,
        operation: Operation,
        found: Found,
        ids: Vec<String>,
    },
    Applied {
        done: usize,
        failed: usize,
        skipped: usize,
        seconds: f64,
    },
    Told {
        diagnostic: Box<Diagnostic>,
    },
    RunFinished {
        exit: u8,
        seconds: f64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    /// `create`, as in "failed to create".
    pub fn verb(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// One operation on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Step {
    pub address: Address,
    pub operation: Operation,
}

/// How far a step came that was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// No call of it was made.
    NotBegun,
    /// No call of it took effect.
    Untouched,
    /// A call was made, and no answer came.
    Unknown,
    /// The provider took it, and has not finished.
    Written,
}

/// What became of something unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It exists and is declared: nothing is made in its place.
    Adopted,
    /// It does not exist and is declared: the plan has it again.
    Missing,
    /// It exists and goes, or is no longer declared.
    Exists,
    /// Several have its address.
    Several,
    AsDeclared,
    Differs,
    Gone,
    /// It was to be deleted, and is there.
    Remains,
}

/// An event with its moment: one line of a run record and of `--format json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// Whoever wants to know.
pub trait Reader: Send {
    fn read(&mut self, event: &Stamped);
}

/// The channel: every event reaches every reader in one order.
#[derive(Clone, Default)]
pub struct Events {
    readers: Arc<Mutex<Readers>>,
    secrets: Secrets,
}

#[derive(Default)]
struct Readers {
    all: Vec<Box<dyn Reader>>,
    /// The last event was told. Whoever ends a run from outside may tell it while the run still comes to its own end.
    over: bool,
}

impl Events {
    /// A channel that leaves known secrets out: a provider's words may repeat what it was sent.
    pub fn masking(secrets: Secrets) -> Self {
        Events { secrets, ..Events::default() }
    }

    pub fn add(&self, reader: impl Reader + 'static) {
        self.readers.lock().expect("readers do not panic").all.push(Box::new(reader));
    }

    pub fn emit(&self, event: Event) {
        let event = if self.secrets.is_empty() { event } else { self.masked(event) };
        let mut readers = self.readers.lock().expect("readers do not panic");
        if readers.over {
            return;
        }
        readers.over = matches!(event, Event::RunFinished { .. });
        let stamped = Stamped { at: Timestamp::now(), event };
        readers.all.iter_mut().for_each(|reader| reader.read(&stamped));
    }

    fn masked(&self, event: Event) -> Event {
        let mut json = serde_json::to_value(&event).expect("an event is plain data");
        self.secrets.mask_json(&mut json);
        serde_json::from_value(json).unwrap_or_else(|_| Event::Told {
            diagnostic: Box::new(Diagnostic::warning("something happened that cannot be told without a secret")),
        })
    }
}
