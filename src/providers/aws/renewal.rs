//! Credentials that are kept until they expire, and taken anew when AWS says so before that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// What is about to expire is not begun with.
const MARGIN: Duration = Duration::from_secs(30);
/// A command or an endpoint that gives credentials is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Renewable(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    source: SharedCredentialsProvider,
    credentials: Option<Credentials>,
    renewed: Option<Instant>,
}

impl Renewable {
    pub fn new(source: SharedCredentialsProvider) -> Self {
        Renewable(Arc::new(Mutex::new(Held { source, credentials: None, renewed: None })))
    }

    /// Takes credentials anew, from the beginning of the chain: what was read from a file is read again. False if they
    /// are still those that a call begun at `begun` was made with.
    pub async fn renew(
        &self,
        begun: Instant,
        fresh: impl AsyncFnOnce() -> Option<SharedCredentialsProvider>,
    ) -> Result<bool, CredentialsError> {
        let mut held = self.0.lock().await;
        if held.renewed.is_some_and(|renewed| renewed >= begun) {
            return Ok(true);
        }
        let source = fresh().await.unwrap_or_else(|| held.source.clone());
        let credentials = take(&source).await?;
        let is_new = held.credentials.as_ref().is_none_or(|old| !are_same(old, &credentials));
        (held.source, held.credentials) = (source, Some(credentials));
        if is_new {
            held.renewed = Some(Instant::now());
        }
        Ok(is_new)
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.0.lock().await;
        let until = SystemTime::now() + MARGIN;
        if let Some(known) = held.credentials.as_ref().filter(|known| known.expiry().is_none_or(|at| at > until)) {
            return Ok(known.clone());
        }
        let credentials = take(&held.source).await?;
        held.credentials = Some(credentials.clone());
        Ok(credentials)
    }
}

async fn take(source: &SharedCredentialsProvider) -> Result<Credentials, CredentialsError> {
    let taken = timeout(PATIENCE, source.provide_credentials()).await;
    taken.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE)))
}

fn are_same(one: &Credentials, other: &Credentials) -> bool {
    let told = |of: &Credentials| {
        (of.access_key_id().to_owned(), of.secret_access_key().to_owned(), of.session_token().map(str::to_owned))
    };
    told(one) == told(other)
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
