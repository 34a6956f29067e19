//! What has to be there before a session can begin: the inventory, and the way to what it is about.

use std::path::PathBuf;
use std::sync::Arc;

use super::args::ReviewArgs;
use super::place::refuse_files;
use super::review::Review;
use crate::diagnostic::Diagnostics;
use crate::inventory::Inventory;
use crate::providers::{self, Settings};
use crate::resource::Provider;
use crate::secret::Secrets;

/// What a command may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Reads,
    /// Takes nothing but a lock away, and keeps no record of it.
    Unlocks,
    Writes,
}

impl Access {
    pub fn of(dry_run: bool) -> Self {
        if dry_run { Access::Reads } else { Access::Writes }
    }

    pub fn is_read_only(self) -> bool {
        self == Access::Reads
    }
}

pub struct Ready {
    pub inventory: Inventory,
    pub provider: Arc<dyn Provider>,
    pub review: Review,
    pub root: PathBuf,
    pub sandbox: Option<PathBuf>,
}

impl Ready {
    pub fn of(
        inventory: Inventory,
        root: PathBuf,
        sandbox: Option<PathBuf>,
        review: &ReviewArgs,
        access: Access,
        secrets: &Secrets,
    ) -> Result<Ready, Diagnostics> {
        if access == Access::Writes {
            refuse_files(&root)?;
        }
        let read_only = access.is_read_only();
        let aws = providers::aws::Settings {
            region: inventory.aws.region.clone(),
            account: inventory.aws.account.clone(),
            profile: inventory.aws.profile.clone(),
            read_only,
        };
        secrets.name(inventory.secrets.clone());
        let cloudflare = inventory.cloudflare.clone();
        let settings = Settings {
            cloudflare: providers::cloudflare::Settings {
                base_url: std::env::var("CLOUDFLARE_BASE_URL").ok().filter(|url| !url.is_empty()),
                declared: cloudflare.is_some(),
                // A zone may have records of several accounts' stacks.
                owner: cloudflare.as_ref().and_then(|it| it.owner.clone()).or_else(|| aws.account.clone()),
                zones: cloudflare.as_ref().map(|settings| settings.zones.clone()).unwrap_or_default(),
                read_only,
            },
            cloudflare_token: cloudflare.and_then(|settings| settings.token),
            sandbox: sandbox.clone(),
            aws,
            read_only,
            files: cache().join("files"),
        };
        let (review, provider) =
            Review::open(review, &inventory.name, secrets, || providers::connect(settings, secrets))?;
        Ok(Ready { inventory, provider, review, root, sandbox })
    }
}

/// Where what can be had again is kept: `$RUNNER_CACHE`, or where the machine keeps such things.
fn cache() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = variable("RUNNER_CACHE");
    own.or_else(|| variable("XDG_CACHE_HOME").map(|caches| caches.join("runner")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/runner")))
        .unwrap_or_else(|| PathBuf::from(".runner/cache"))
}
