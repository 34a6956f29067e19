//! What the script may ask of the world while it runs; the engine answers.

use super::{Class, Declarations, Fault, Reference, Value};
use crate::diagnostic::Diagnostic;

pub trait Oracle: Send + Sync {
    /// The value a reference will have once what has been declared so far is applied, if that is certain.
    fn see(&self, declarations: &Declarations, reference: &Reference) -> Result<Sight, Box<Diagnostic>>;

    /// Runs a lookup such as `aws::caller`; reads and never changes.
    fn look_up(&self, name: &str, arguments: &[Value]) -> Result<Value, Fault>;

    /// A file from the web, pinned by its digest; none where it is only played and the web cannot be reached.
    fn fetch(&self, url: &str, sha256: &str) -> Result<Option<String>, Fault> {
        let _ = sha256;
        Err(Fault::new(Class::Other, format!("{url} cannot be fetched here")))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    Known(Value),
    /// Only known after apply, with the reason if there is one worth telling.
    Unknown(Option<String>),
}
