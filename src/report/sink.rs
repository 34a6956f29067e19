//! Where a report is written: a stream that several readers share.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::event::{Reader, Stamped};
use crate::secret::Secrets;

/// A shared stream; every write of a whole text is one piece, and leaves without any secret that is known.
#[derive(Clone)]
pub struct Sink {
    stream: Arc<Mutex<Box<dyn Write + Send>>>,
    secrets: Secrets,
    /// What is written here is what the command was called for.
    is_output: bool,
}

/// Why some of the process's output could not be written, the first time.
static LOST: OnceLock<String> = OnceLock::new();

/// That output was lost. To be told when the command has ended: what is under way is finished first.
pub fn lost() -> Option<Diagnostic> {
    let why = LOST.get()?;
    let told = Diagnostic::error("the output could not be written").because(why);
    Some(told.hint("free some space, or write it elsewhere: what was written is not all of it"))
}

/// Remembers that output was lost. A reader who has gone away wants no more, and is no reason.
pub fn remember<T>(written: &io::Result<T>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        LOST.get_or_init(|| error.to_string());
    }
}

impl Sink {
    pub fn new(stream: impl Write + Send + 'static) -> Self {
        Sink { stream: Arc::new(Mutex::new(Box::new(stream))), secrets: Secrets::default(), is_output: false }
    }

    pub fn masking(self, secrets: Secrets) -> Self {
        Sink { secrets, ..self }
    }

    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub fn stdout() -> Self {
        Sink { is_output: true, ..Sink::new(io::stdout()) }
    }

    pub fn stderr() -> Self {
        Sink::new(io::stderr())
    }

    /// Writes and flushes. A closed pipe ends the writing, not the run: what is under way must be finished.
    pub fn put(&self, text: impl AsRef<str>) {
        let mut stream = self.stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let written = stream.write_all(self.secrets.mask(text.as_ref()).as_bytes()).and_then(|()| stream.flush());
        self.remember(&written);
    }

    fn remember<T>(&self, written: &io::Result<T>) {
        if self.is_output {
            remember(written);
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let written = match std::str::from_utf8(bytes).map(|text| self.secrets.mask(text)) {
            Ok(std::borrow::Cow::Owned(masked)) => stream.write_all(masked.as_bytes()).map(|()| bytes.len()),
            _ => stream.write(bytes),
        };
        drop(stream);
        self.remember(&written);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).flush();
        self.remember(&flushed);
        flushed
    }
}

/// Every event as one line of JSON: `--format json` of an apply, and the run record.
pub struct JsonLines<W>(pub W);

impl<W: Write> JsonLines<W> {
    pub fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        self.0.write_all(&bytes)?;
        self.0.flush()
    }
}

impl<W: Write + Send> Reader for JsonLines<W> {
    fn read(&mut self, event: &Stamped) {
        let _ = self.put(event);
    }
}

/// A stream that a test reads back.
#[derive(Clone, Default)]
pub struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
