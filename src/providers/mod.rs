//! The only place that talks to the outside. The lists of kinds are here: one per provider, one line per kind.

pub mod aws;
pub mod kubernetes;
pub mod sandbox;

use std::path::PathBuf;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::resource::kind::Lookup;
use crate::resource::{Kind, Provider};

/// Every kind of every provider.
pub fn kinds() -> Vec<Arc<Kind>> {
    aws::kinds()
}

/// Every lookup of every provider.
pub fn lookups() -> Vec<Lookup> {
    aws::lookups()
}

/// Which outside is meant, and what may be done to it.
pub struct Settings {
    /// Use the embedded cloud in this file instead.
    pub sandbox: Option<PathBuf>,
    pub aws: aws::Settings,
    pub read_only: bool,
}

/// Gets a provider ready. Nothing is sent before the first call.
pub fn connect(settings: Settings) -> Result<Arc<dyn Provider>, Box<Diagnostic>> {
    Ok(match settings.sandbox {
        Some(file) => {
            let mut sandbox = sandbox::Sandbox::in_file(kinds(), lookups(), &file, settings.read_only)?;
            sandbox.latency = sandbox::Latency::for_show(sandbox.kinds());
            Arc::new(sandbox)
        }
        None => Arc::new(aws::Aws::connect(aws::Settings { read_only: settings.read_only, ..settings.aws })),
    })
}
