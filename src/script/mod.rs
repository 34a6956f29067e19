//! The only place that knows Rhai: runs a playbook's script and gives back what it declares.
//!
//! A script runs to its end without anything being changed. What it reads from a resource is a *reference*, which it
//! may pass on freely. Where it must see one, the [`Oracle`] says what the value will be, or the evaluation ends
//! there: that is a stage. An unknown never takes a branch silently; `audit.rs` holds that over tens of thousands
//! of expressions.
//!
//! | file | what it does |
//! |---|---|
//! | `run` | one evaluation, on a thread of its own |
//! | `imports`, `program`, `lines` | files to one checked program |
//! | `rewrite` | makes seeing explicit in the program |
//! | `seen`, `standard` | what the program calls: operators and functions that know references |
//! | `register`, `options`, `compounds` | kinds, lookups, and what declares several resources, as functions |
//! | `check`, `error` | what can be wrong, before and while running |
//! | `analyse/` | what can be known to be wrong without running: `runner check` |
//! | `policy` | scripts that look at a plan and may deny it |
//! | `world`, `value` | what an evaluation gathers, and its values |
//! | `usage` | what it has used up of what it may |

mod analyse;
mod check;
mod compounds;
mod error;
mod imports;
mod lines;
mod options;
pub mod policy;
mod program;
mod register;
mod rewrite;
mod run;
mod seen;
mod standard;
mod templates;
mod usage;
mod value;
mod world;

#[cfg(test)]
mod audit;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use analyse::{Check, Checked, analyse};
pub use run::{definitions, evaluate};

use crate::diagnostic::{Diagnostic, Diagnostics, Site, Sources};
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{Class, Declarations, Fault, Kind, Map, Oracle, Reference, Sight, Value};
pub use crate::template::Rendered;

/// Everything an evaluation works with.
pub struct Script<'a> {
    /// The file to run; its folder is where modules come from.
    pub playbook: &'a Path,
    /// What the paths in sites are relative to.
    pub root: &'a Path,
    pub inventory: Inventory,
    pub kinds: &'a [Arc<Kind>],
    pub lookups: &'a [Lookup],
    pub compounds: &'a [Compound],
    pub files: Option<Arc<dyn Files>>,
    pub oracle: Arc<dyn Oracle>,
    /// Gets the text of every file that is read.
    pub sources: &'a Sources,
    pub print: Print,
    pub limits: Limits,
}

/// What `inventory()` gives.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Also the stack's name.
    pub name: String,
    pub value: Value,
    /// The files it was read from, as shown, most specific first.
    pub files: Vec<String>,
    /// The names under `[secrets]`.
    pub secrets: Vec<String>,
}

/// Takes what a script prints, and where it does.
pub type Print = Arc<dyn Fn(&str, Site) + Send + Sync>;

/// The files beside the playbooks.
pub trait Files: Send + Sync {
    /// Renders a template: its path and its values, in which references may stand.
    fn render(&self, path: &str, values: &Map) -> Result<Rendered, Diagnostics>;

    /// For each line that [`Files::render`] gave, where it comes from.
    fn trace(&self, path: &str, values: &Map) -> Vec<Site>;

    /// A file as it is, and its name as a person would write it.
    fn read(&self, path: &str) -> Result<(String, Arc<str>), Box<Diagnostic>>;
}

/// What a script may use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps of the whole evaluation, in all functions.
    pub operations: u64,
    /// What it may take by itself; not what it waits for others.
    pub time: Duration,
    /// Bytes by which the process may grow meanwhile, where the system tells: Rhai checks the size of what an expression
    /// gives, but not that of a map filled key by key, nor of all values together.
    pub memory: usize,
    /// Declarations and outputs, and what is wrong with them.
    pub resources: usize,
    /// How often it may print.
    pub lines: usize,
    /// And how many bytes in all.
    pub printed: usize,
    /// Calls inside of calls.
    pub depth: usize,
    /// Items of one list or map, with all that is nested in it.
    pub items: usize,
    /// Bytes of one text.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (time, memory) = (Duration::from_secs(60), 512 << 20);
        Limits {
            operations: 20_000_000,
            time,
            memory,
            resources: 20_000,
            lines: 10_000,
            printed: 16 << 20,
            depth: 64,
            items: 50_000,
            text: 8 << 20,
        }
    }
}

impl Script<'_> {
    /// A script without anything around it, for what needs an engine and no evaluation.
    fn nothing() -> Script<'static> {
        struct Blind;
        impl Oracle for Blind {
            fn see(&self, _: &Declarations, _: &Reference) -> Result<Sight, Box<Diagnostic>> {
                Ok(Sight::Unknown(None))
            }
            fn look_up(&self, name: &str, _: &[Value]) -> Result<Value, Fault> {
                Err(Fault::new(Class::Other, format!("{name} cannot be looked up here")))
            }
        }
        static SOURCES: std::sync::LazyLock<Sources> = std::sync::LazyLock::new(Sources::default);
        Script {
            playbook: Path::new(""),
            root: Path::new(""),
            inventory: Inventory::default(),
            kinds: &[],
            lookups: &[],
            compounds: &[],
            files: None,
            oracle: Arc::new(Blind),
            sources: &SOURCES,
            print: Arc::new(|_, _| {}),
            limits: Limits::default(),
        }
    }
}
