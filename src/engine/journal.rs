//! What a run is about to do, written down before it does it; and read by the next, if the run came to no end.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::earlier::Open;
use crate::digest::Salt;
use crate::event::Operation;
use crate::resource::Address;

/// `"journal": 1`. One of another version is reported and not read.
pub const VERSION: u64 = 1;

/// For so long the token of a create without an answer is used again: what was made with it and is gone since is still
/// told as such.
const TOKEN_HOLDS: i64 = 30 * 60;

/// How many mistakes of one journal are told.
const MISTAKES: usize = 5;
/// With so many it is no journal any more.
const HOPELESS: usize = 1000;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The first, and the first of each further stage.
    Begun {
        journal: u64,
        at: Timestamp,
        #[serde(flatten)]
        whose: Whose,
        /// Of the digests that follow.
        salt: Option<Salt>,
    },
    /// Before the first call.
    Intent {
        at: Timestamp,
        address: Address,
        operation: Operation,
        /// What is to be changed, deleted or replaced.
        id: Option<String>,
        region: Option<String>,
        /// All attempts carry it.
        token: String,
        /// Of the inputs, without what is secret.
        digest: Option<String>,
    },
    /// The provider took it; it may not have finished yet.
    Written { at: Timestamp, address: Address, operation: Operation, id: Option<String> },
    /// How it ended.
    Outcome {
        at: Timestamp,
        address: Address,
        operation: Operation,
        error: Option<String>,
        /// Whether it took effect is not known in spite of the error.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
    /// The run was stopped while it waited for what was written.
    Abandoned { at: Timestamp, address: Address, operation: Operation },
}

/// Which run, and of what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Whose {
    pub run: String,
    pub stack: String,
    /// The file of the sandbox, if it was only played.
    pub sandbox: Option<String>,
    /// The account, as far as it is known.
    #[serde(default)]
    pub outside: std::collections::BTreeMap<String, String>,
}

/// The journal of one run: JSON lines. An intent is on the disk before the next call is made.
#[derive(Default)]
pub struct Journal {
    file: Option<Mutex<Tail>>,
    salt: Option<Salt>,
    /// Creates of earlier runs that came to no end.
    earlier: HashMap<Address, Open>,
    path: PathBuf,
    /// Why a line of it is missing, the first time.
    failure: OnceLock<String>,
}

struct Tail {
    file: File,
    /// The last line was not written to its end.
    torn: bool,
}

/// What a provider is given so that one intent is done once.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    /// An earlier run has sent it already.
    pub again: bool,
}

/// What is about to be done.
pub struct Intended<'a> {
    pub address: &'a Address,
    pub operation: Operation,
    pub id: Option<&'a str>,
    pub region: Option<&'a str>,
    /// The inputs without what is secret.
    pub inputs: &'a str,
    /// The token of an earlier run did not serve.
    pub anew: bool,
}

impl Journal {
    /// Opens it and writes its first line. It stays locked while the run lives, so that nobody takes it for one that
    /// stopped.
    pub fn at(path: &Path, whose: Whose) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        // Where there are no locks, a dry run beside this one may tell too much.
        let _ = file.try_lock();
        let salt = Salt::new();
        let file = Some(Mutex::new(Tail { file, torn: false }));
        let journal = Journal { file, salt: salt.clone(), path: path.to_owned(), ..Journal::default() };
        journal.write(&Entry::Begun { journal: VERSION, at: Timestamp::now(), whose, salt }, true)?;
        // Its name must last, too; not every file system can promise that.
        if let Some(folder) = path.parent() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(journal)
    }

    /// For tests and for whoever wants no record.
    pub fn none() -> Self {
        Journal::default()
    }

    /// Knows what earlier runs were about to create.
    pub fn after(mut self, earlier: impl IntoIterator<Item = Open>) -> Self {
        let creates = earlier.into_iter().filter(|open| open.operation == Operation::Create);
        self.earlier = creates.map(|open| (open.address.clone(), open)).collect();
        self
    }

    /// Why a line of it is missing; from then on no intent is taken.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// When an earlier run asked for this to be created, if it had no answer.
    pub fn unanswered(&self, address: &Address) -> Option<Timestamp> {
        self.earlier.get(address).filter(|open| open.written.is_none()).map(|open| open.at)
    }

    /// Writes an intent and gives back the token for it: that of the earlier run that asked for the very same.
    pub fn intent(&self, it: &Intended<'_>) -> io::Result<Token> {
        if let Some(why) = self.failure() {
            return Err(io::Error::other(why));
        }
        let text = format!("{} {:?} {}", it.address, it.region, it.inputs);
        let earlier = self.earlier.get(it.address).filter(|_| it.operation == Operation::Create && !it.anew);
        let same = earlier.filter(|open| {
            let age = Timestamp::now().as_second() - open.at.as_second();
            let digest = open.salt.as_ref().map(|salt| salt.quick(&text));
            open.written.is_none() && age.abs() <= TOKEN_HOLDS && digest.is_some() && digest == open.digest
        });
        let token = match same {
            Some(open) => Token { text: open.token.clone(), again: true },
            None => Token { text: uuid::Uuid::new_v4().to_string(), again: false },
        };
        let digest = self.salt.as_ref().map(|salt| salt.quick(&text));
        let entry = Entry::Intent {
            at: Timestamp::now(),
            address: it.address.clone(),
            operation: it.operation,
            id: it.id.map(str::to_owned),
            region: it.region.map(str::to_owned),
            token: token.text.clone(),
            digest,
        };
        self.write(&entry, true).map(|()| token)
    }

    pub fn written(&self, address: &Address, operation: Operation, id: Option<&str>) -> io::Result<()> {
        let (at, address, id) = (Timestamp::now(), address.clone(), id.map(str::to_owned));
        self.write(&Entry::Written { at, address, operation, id }, true)
    }

    /// Without it the next run would only look at what has ended: it need not be on the disk at once.
    pub fn outcome(
        &self,
        address: &Address,
        operation: Operation,
        error: Option<&str>,
        unknown: bool,
    ) -> io::Result<()> {
        let (at, address, error) = (Timestamp::now(), address.clone(), error.map(str::to_owned));
        self.write(&Entry::Outcome { at, address, operation, error, unknown }, false)
    }

    pub fn abandoned(&self, address: &Address, operation: Operation) -> io::Result<()> {
        self.write(&Entry::Abandoned { at: Timestamp::now(), address: address.clone(), operation }, true)
    }

    fn write(&self, entry: &Entry, sync: bool) -> io::Result<()> {
        let Some(tail) = &self.file else { return Ok(()) };
        let written = tail.lock().expect("no holder panics").put(entry, sync);
        written.inspect_err(|error| drop(self.failure.set(format!("{}: {error}", self.path.display()))))
    }
}

impl Tail {
    fn put(&mut self, entry: &Entry, sync: bool) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if self.torn {
            line.insert(0, b'\n');
        }
        self.torn = true;
        self.file.write_all(&line)?;
        self.torn = false;
        if sync { self.file.sync_data() } else { Ok(()) }
    }
}

/// What a journal says, and what of it cannot be read.
#[derive(Debug, Default)]
pub struct Said {
    pub entries: Vec<Entry>,
    pub wrong: Vec<String>,
    /// Another version of runner wrote it, and it is for that one to read.
    pub foreign: bool,
}

/// Takes whatever a file may hold.
pub fn read(text: &str) -> Said {
    let (mut entries, mut wrong) = (vec![], vec![]);
    let whole = text.ends_with('\n');
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Entry>(line) {
            Ok(Entry::Begun { journal, .. }) if journal != VERSION => return foreign(journal),
            Ok(entry) => entries.push(entry),
            Err(_) => {
                if let Some(version) = version(line).filter(|version| *version != VERSION) {
                    return foreign(version);
                }
                wrong.push(match index + 1 == lines.len() && !whole {
                    true => "its last line is cut off".to_owned(),
                    false => format!("line {} cannot be read", index + 1),
                });
                if wrong.len() == HOPELESS {
                    break;
                }
            }
        }
    }
    if !entries.is_empty() && !matches!(entries[0], Entry::Begun { .. }) {
        wrong.push("it does not say of which run it is".to_owned());
    }
    if wrong.len() > MISTAKES {
        let more = wrong.len() - MISTAKES;
        wrong.truncate(MISTAKES);
        wrong.push(format!("and {more} more"));
    }
    Said { entries, wrong, foreign: false }
}

fn version(line: &str) -> Option<u64> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    json.get("begun")?.get("journal")?.as_u64()
}

fn foreign(version: u64) -> Said {
    let wrong = vec![format!("it has version {version}, and this runner reads {VERSION}")];
    Said { wrong, foreign: true, ..Said::default() }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
