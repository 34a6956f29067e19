//! The record of a run: its events as JSON lines under `.runner/runs/`. A run that changes nothing leaves none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::event::{Event, Reader, Stamped};

/// Keeps events in memory until the run is about to change something, then in a file.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    early: Vec<Stamped>,
    file: Option<File>,
    /// The last event was written.
    over: bool,
}

impl Record {
    /// Makes the run's folder and writes down what happened so far; gives back the folder, for the journal.
    pub fn open(&self, runs: &Path, run: &str) -> io::Result<PathBuf> {
        let folder = runs.join(run);
        let mut state = self.0.lock().expect("no holder panics");
        if state.file.is_none() {
            fs::create_dir_all(&folder)?;
            let mut file = File::create(folder.join("events.jsonl"))?;
            for event in std::mem::take(&mut state.early) {
                write(&mut file, &event)?;
            }
            state.file = Some(file);
        }
        Ok(folder)
    }
}

impl Reader for Record {
    fn read(&mut self, event: &Stamped) {
        let mut state = self.0.lock().expect("no holder panics");
        // It may come twice if the run is ended from outside.
        if state.over {
            return;
        }
        state.over = matches!(event.event, Event::RunFinished { .. });
        match &mut state.file {
            // A full disk must not end an apply half-way; a next run rests on the tags in the cloud, not on this.
            Some(file) => drop(write(file, event)),
            None => state.early.push(event.clone()),
        }
    }
}

fn write(file: &mut File, event: &Stamped) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    file.write_all(&line)
}
