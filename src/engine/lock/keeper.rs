//! The heartbeat of a lease: a sign of life every third of it, for as long as nobody else has taken it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::lease::{Shared, kept};
use super::record::{NO_LOCK, Record};
use crate::diagnostic::Diagnostic;
use crate::resource::{Fault, LockStore, Stored, Written};

pub(super) struct Keeper {
    pub store: Arc<dyn LockStore>,
    pub record: Record,
    pub version: String,
    pub shared: Arc<Shared>,
}

type Released = oneshot::Sender<Result<(), Box<Diagnostic>>>;

/// How often a release is tried.
const TRIES: usize = 3;

pub(super) const SILENT: &str = "no answer came in time";

/// For how long an answer is awaited: a call that hangs must not take the lease with it.
pub(super) fn patience(lease: Duration) -> Duration {
    lease / 10
}

impl Keeper {
    pub async fn keep(mut self, mut asked: mpsc::Receiver<Released>) {
        let third = self.shared.lease / 3;
        let done = loop {
            let left = third.saturating_sub(self.shared.passed());
            tokio::select! {
                biased;
                done = asked.recv() => break done,
                () = self.shared.renew.notified() => {}
                () = sleep(left) => {}
            }
            if let Some(lost) = self.renew().await {
                self.shared.lost(lost);
                // What is not ours any more is nothing to release.
                while let Some(done) = asked.recv().await {
                    let _ = done.send(Ok(()));
                }
                return;
            }
        };
        if let Some(done) = done {
            let _ = done.send(self.release().await);
        }
    }

    /// Writes a sign of life until one is taken; or tells why the lease is lost.
    async fn renew(&mut self) -> Option<Box<Diagnostic>> {
        let mut sent = vec![];
        loop {
            let begun = self.shared.clock.mark();
            let over = self.shared.passed() >= self.shared.lease;
            self.record.beat += 1;
            sent.push((self.record.beat, begun));
            let text = self.record.text();
            let mut moved = false;
            let failed = match within(self.patience(), self.store.write(&text, Some(&self.version))).await {
                Ok(Written::Done { version, .. }) => {
                    self.version = version;
                    self.shared.held(begun);
                    return None;
                }
                Ok(Written::Moved) => {
                    moved = true;
                    "another has written it".to_owned()
                }
                Err(why) => why,
            };
            // Refused, or without an answer: what is there now tells.
            let mut pause = self.shared.lease / 12;
            if let Ok(found) = within(self.patience(), self.store.read()).await {
                pause = self.shared.lease / 60;
                match self.ours(found) {
                    // A login page, perhaps: it says nothing, unless the store has said that it is another object.
                    Ok(Err(_)) if !moved => {}
                    Ok(Err(why)) => return Some(self.lost(why)),
                    Ok(Ok((record, version))) => {
                        self.version = version;
                        if let Some((_, begun)) = sent.iter().find(|(beat, _)| *beat == record.beat) {
                            self.shared.held(*begun);
                            return None;
                        }
                    }
                    Err(who) => return Some(self.lost(who)),
                }
            }
            // The last try is one that began after the end: nobody may have missed this run.
            if over {
                let silent = format!("for {} s no sign of life was taken: {failed}", self.shared.lease.as_secs());
                return Some(self.lost(silent));
            }
            sleep(pause).await;
        }
    }

    /// What is there, if it is still ours, or why it cannot be read; or who has it.
    fn ours(&self, found: Option<Stored>) -> Result<Result<(Record, String), String>, String> {
        let Some(stored) = found else { return Err("someone has removed it".into()) };
        let record = match Record::read(&stored.text) {
            Ok(record) => record,
            Err(why) => return Ok(Err(why)),
        };
        if record.holder.id != self.record.holder.id {
            let who = record.holder.line();
            return Err(if record.held {
                format!("now it is held by {who}")
            } else {
                format!("last it was held by {who}")
            });
        }
        match record.held {
            true => Ok(Ok((record, stored.version))),
            false => Err("someone has removed it (`runner unlock`)".into()),
        }
    }

    fn lost(&self, why: String) -> Box<Diagnostic> {
        let stack = &self.record.holder.stack;
        let told = Diagnostic::error(format!("the run lost its lock of stack `{stack}`"));
        let told = told.because(format!("{}: {why}", self.store.place()));
        Box::new(
            told.hint("nothing further is begun; what was made carries its tags, and the next run goes on from there"),
        )
    }

    async fn release(&mut self) -> Result<(), Box<Diagnostic>> {
        self.record.held = false;
        let (mut failed, mut unreadable) = (String::new(), false);
        for _ in 0..TRIES {
            self.record.beat += 1;
            let text = self.record.text();
            failed = match within(self.patience(), self.store.write(&text, Some(&self.version))).await {
                Ok(Written::Done { .. }) => return Ok(()),
                Ok(Written::Moved) => "another has written it".to_owned(),
                Err(why) => why,
            };
            match within(self.patience(), self.store.read()).await {
                // Ours still: an earlier sign of life arrived late, or this did not.
                Ok(found) => match self.ours(found) {
                    Ok(Ok((_, version))) => self.version = version,
                    Ok(Err(why)) => (failed, unreadable) = (why, true),
                    Err(_) => return Ok(()),
                },
                Err(why) => failed = why,
            }
        }
        // What is no lock does not end by itself.
        let told = kept(self.shared.lease, &failed);
        Err(if unreadable { Box::new(told.hint(NO_LOCK)) } else { told })
    }

    fn patience(&self) -> Duration {
        patience(self.shared.lease)
    }
}

/// A call's answer, or why there is none.
async fn within<T>(patience: Duration, call: impl Future<Output = Result<T, Fault>>) -> Result<T, String> {
    match timeout(patience, call).await {
        Ok(answer) => answer.map_err(|fault| fault.to_string()),
        Err(_) => Err(SILENT.into()),
    }
}
