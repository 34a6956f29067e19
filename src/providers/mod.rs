//! The only place that talks to the outside. The lists of kinds are here: one per provider, one line per kind.

pub mod aws;
mod causes;
pub mod cloudflare;
pub mod kubernetes;
pub mod recording;
mod remote;
pub mod sandbox;
mod tls;
pub mod together;
mod typed;

use std::path::PathBuf;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::resource::compound::Compound;
use crate::resource::kind::Lookup;
use crate::resource::{Kind, Provider};
use crate::secret::Secrets;

/// Every kind of every provider.
pub fn kinds() -> Vec<Arc<Kind>> {
    let mut kinds = aws::kinds();
    kinds.extend(cloudflare::kinds());
    kinds.extend(kubernetes::kinds());
    kinds
}

/// Every lookup of every provider.
pub fn lookups() -> Vec<Lookup> {
    let mut lookups = aws::lookups();
    lookups.extend(cloudflare::lookups());
    lookups
}

/// Everything that declares several resources at once.
pub fn compounds() -> Vec<Compound> {
    kubernetes::compounds()
}

/// Which outside is meant, and what may be done to it.
pub struct Settings {
    /// Use the embedded cloud in this file instead.
    pub sandbox: Option<PathBuf>,
    pub aws: aws::Settings,
    pub cloudflare: cloudflare::Settings,
    /// The secret that is Cloudflare's API token; left out, `CLOUDFLARE_API_TOKEN` is.
    pub cloudflare_token: Option<String>,
    pub read_only: bool,
    /// Where files from the web are kept, each under its digest.
    pub files: PathBuf,
}

/// A world in which nothing is, and nothing can be made: what is looked up is made up, and no file is fetched.
pub fn nowhere() -> Arc<dyn Provider> {
    let mut empty = sandbox::Sandbox::in_memory(kinds(), lookups());
    empty.read_only = true;
    Arc::new(empty)
}

/// Gets a provider ready. Nothing is sent before the first call. What it learns to be secret is told to `secrets`.
pub fn connect(settings: Settings, secrets: &Secrets) -> Result<Arc<dyn Provider>, Box<Diagnostic>> {
    Ok(match settings.sandbox {
        Some(file) => {
            let mut sandbox = sandbox::Sandbox::in_file(kinds(), lookups(), &file, settings.read_only)?;
            sandbox.files = Some(settings.files);
            sandbox.latency = sandbox::Latency::for_show(sandbox.kinds());
            Arc::new(sandbox)
        }
        None => {
            let read_only = settings.read_only;
            let aws = Arc::new(aws::Aws::connect(aws::Settings { read_only, ..settings.aws }));
            let token = together::CloudflareToken::new(aws.clone(), settings.cloudflare_token, secrets.clone());
            let cloudflare = cloudflare::Settings { read_only, ..settings.cloudflare };
            let cloudflare = cloudflare::Cloudflare::new(cloudflare, Arc::new(token));
            Arc::new(together::Together::new(aws, cloudflare, read_only, settings.files))
        }
    })
}
