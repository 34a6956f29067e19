//! What stands in the way of a file that holds no secret.

use super::session::Session;
use crate::diagnostic::Diagnostic;
use crate::secret::SHORTEST;

impl Session {
    /// A secret is recognised by its value: one that is as short as a word stands everywhere.
    pub(super) fn refuse_short_secrets(&self, cannot: Diagnostic) -> Result<(), Box<Diagnostic>> {
        let learned = self.secrets.learned().into_iter();
        let short = learned.filter(|(_, value)| value.len() < SHORTEST).map(|(name, _)| format!("`{name}`"));
        let short: Vec<String> = short.collect();
        if short.is_empty() {
            return Ok(());
        }
        let cannot = cannot.because(format!("too short to be kept out of it: {}", short.join(", ")));
        Err(Box::new(cannot.hint(format!("a secret has at least {SHORTEST} characters"))))
    }

    /// And one that could not be read is recognised by nothing.
    pub(super) async fn refuse_unread_secrets(&self, mut cannot: Diagnostic) -> Result<(), Box<Diagnostic>> {
        let world = self.world();
        let mut unread = vec![];
        for name in self.secrets.names() {
            unread.extend(world.learn_secret(&name).await.err());
        }
        if unread.is_empty() {
            return Ok(());
        }
        for told in unread {
            cannot =
                cannot.because(format!("{}, so nothing could keep it out: {}", told.summary, told.causes.join(": ")));
        }
        Err(Box::new(
            cannot.hint("record where all secrets of the inventory can be read, or take out those that nobody needs"),
        ))
    }
}
