//! What a lock says of who has it: facts for whoever is refused, and never a secret.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text_file::misread;

/// `"runner_lock": 1`.
const VERSION: u64 = 1;

/// No lease is longer, whatever an object says.
pub const LONGEST: u64 = 24 * 60 * 60;

/// The way out where what is in the place of a lock cannot be read as one.
pub const NO_LOCK: &str = "if nothing else uses that object, `runner unlock --force` makes a free lock of it";

/// Who has a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Random: no other run has it.
    pub id: String,
    pub stack: String,
    pub run: String,
    /// `apply`, `destroy`.
    pub command: String,
    pub playbook: String,
    pub user: Option<String>,
    pub host: Option<String>,
    pub process: u32,
    /// As whom the cloud knows it.
    pub caller: Option<String>,
    /// The page of the job that runs it.
    pub job: Option<String>,
    /// By the clock of its own machine.
    pub since: Timestamp,
}

impl Holder {
    /// Who, where, since when: a line each.
    pub fn facts(&self) -> Vec<String> {
        let known = |what: &Option<String>, otherwise: &str| what.clone().unwrap_or_else(|| otherwise.to_owned());
        let who = format!("{} on {}", known(&self.user, "somebody"), known(&self.host, "an unnamed machine"));
        let mut facts = vec![
            format!("run {} of {}, by {who} (process {})", self.run, self.playbook, self.process),
            format!("since {}", self.since.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ];
        facts.extend(self.caller.as_ref().map(|caller| format!("as {caller}")));
        facts.extend(self.job.as_ref().map(|job| format!("in the job {job}")));
        facts
    }

    /// In one line.
    pub fn line(&self) -> String {
        self.facts().join(", ")
    }

    /// What someone else wrote reaches no terminal as it is.
    pub(super) fn clean(mut self) -> Self {
        let texts = [&mut self.id, &mut self.stack, &mut self.run, &mut self.command, &mut self.playbook];
        let maybe = [&mut self.user, &mut self.host, &mut self.caller, &mut self.job];
        for text in texts.into_iter().chain(maybe.into_iter().flatten()) {
            *text = text.chars().filter(|c| !c.is_control()).take(300).collect();
        }
        self
    }
}

/// The text of the object that a team's lock is kept in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    runner_lock: u64,
    /// False once its holder has let go.
    pub held: bool,
    /// One more for each holder.
    pub fence: u64,
    /// One more for each sign of life, so that no two texts are the same.
    pub beat: u64,
    /// For how many seconds each sign of life holds.
    pub lease: u64,
    /// Who has it, or had it last.
    pub holder: Holder,
}

impl Record {
    pub fn new(fence: u64, lease: Duration, holder: Holder) -> Self {
        Record { runner_lock: VERSION, held: true, fence, beat: 0, lease: lease.as_secs(), holder }
    }

    /// What is left of a lock that is taken from its holder: one fence further, so that its run knows.
    pub fn freed(self) -> Self {
        let (fence, beat) = (self.fence.saturating_add(1), self.beat.saturating_add(1));
        Record { held: false, fence, beat, ..self }
    }

    /// What an object says, or why it says nothing.
    pub fn read(text: &str) -> Result<Record, String> {
        let record: Record =
            serde_json::from_str(text).map_err(|error| format!("it is no lock of ours: {}", misread(&error)))?;
        if record.runner_lock != VERSION {
            return Err(format!("it is a lock of version {}, this runner knows version {VERSION}", record.runner_lock));
        }
        if !(1..=LONGEST).contains(&record.lease) {
            return Err(format!("it says that it lasts {} s", record.lease));
        }
        Ok(Record { holder: record.holder.clean(), ..record })
    }

    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Whether a sign of life of this age has run out. The store tells whole seconds, at both ends.
    pub fn is_over(&self, age: Duration) -> bool {
        !self.held || age >= Duration::from_secs(self.lease + 1)
    }

    /// The facts, with what is left of it.
    pub fn facts(&self, age: Duration) -> Vec<String> {
        let mut facts = self.holder.facts();
        facts.push(format!("last heard of {} s ago; each sign of life holds for {} s", age.as_secs(), self.lease));
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder { run: "7f3a".into(), playbook: "playbooks/prod.rhai".into(), process: 4711, ..Holder::default() }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_what_is_none_says_why() {
        let record = Record::new(7, Duration::from_secs(60), holder());
        assert_eq!(Record::read(&record.text()), Ok(record.clone()));
        let other = |from: &str, to: &str| Record::read(&record.text().replace(from, to)).unwrap_err();
        assert!(other("\"runner_lock\": 1", "\"runner_lock\": 2").contains("version 2"));
        for lease in ["0", "86401", "18446744073709551615"] {
            assert!(other("\"lease\": 60", &format!("\"lease\": {lease}")).contains(lease));
        }
        for text in ["", "{}", "null", "[", &record.text()[..40]] {
            assert!(Record::read(text).unwrap_err().starts_with("it is no lock of ours"), "{text}");
        }
    }

    #[test]
    fn a_lease_ends_a_second_late_since_the_store_tells_whole_ones() {
        let mut record = Record::new(1, Duration::from_secs(60), holder());
        assert!(!record.is_over(Duration::from_secs(60)));
        assert!(record.is_over(Duration::from_secs(61)));
        record.held = false;
        assert!(record.is_over(Duration::ZERO));
    }

    #[test]
    fn what_another_machine_wrote_cannot_draw_on_this_terminal() {
        let user = Some(format!("\u{1b}[2Jeve\n{}", "x".repeat(1000)));
        let record = Record::new(1, Duration::from_secs(60), Holder { user, ..holder() });
        let read = Record::read(&record.text()).unwrap();
        assert!(read.holder.line().contains("[2Jeve"));
        assert!(!read.holder.line().chars().any(char::is_control) && read.holder.line().len() < 600);
    }
}
