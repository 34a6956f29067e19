//! What a run is about to do, written down before it does it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Operation;
use crate::resource::Address;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Before the first call: what is to be done, and the token that all attempts carry.
    Intent { at: Timestamp, address: Address, operation: Operation, id: Option<String>, token: String },
    /// After the last: how it ended.
    Outcome { at: Timestamp, address: Address, operation: Operation, id: Option<String>, error: Option<String> },
}

/// The journal of one run: JSON lines, each on the disk before the next call is made.
#[derive(Default)]
pub struct Journal(Option<Mutex<File>>);

impl Journal {
    pub fn at(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Journal(Some(Mutex::new(file))))
    }

    /// For tests and for whoever wants no record.
    pub fn none() -> Self {
        Journal(None)
    }

    /// Writes an intent and gives back the token for it.
    pub fn intent(&self, address: &Address, operation: Operation, id: Option<&str>) -> io::Result<String> {
        let token = uuid::Uuid::new_v4().to_string();
        self.write(&Entry::Intent {
            at: Timestamp::now(),
            address: address.clone(),
            operation,
            id: id.map(str::to_owned),
            token: token.clone(),
        })?;
        Ok(token)
    }

    pub fn outcome(
        &self,
        address: &Address,
        operation: Operation,
        result: Result<Option<&str>, &str>,
    ) -> io::Result<()> {
        self.write(&Entry::Outcome {
            at: Timestamp::now(),
            address: address.clone(),
            operation,
            id: result.ok().flatten().map(str::to_owned),
            error: result.err().map(str::to_owned),
        })
    }

    fn write(&self, entry: &Entry) -> io::Result<()> {
        let Some(file) = &self.0 else { return Ok(()) };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = file.lock().expect("no holder panics");
        file.write_all(&line)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_holds_intent_and_outcome_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::at(&path).unwrap();
        let address = Address::new("aws::vpc", "main");
        let token = journal.intent(&address, Operation::Create, None).unwrap();
        journal.outcome(&address, Operation::Create, Ok(Some("vpc-1"))).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(matches!(&entries[0], Entry::Intent { token: written, .. } if *written == token));
        assert!(matches!(&entries[1], Entry::Outcome { id: Some(id), error: None, .. } if id == "vpc-1"));
    }
}
