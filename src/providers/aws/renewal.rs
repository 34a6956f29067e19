//! Credentials that are kept until they expire, and taken anew when AWS says so before that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::providers::causes::innermost;
use crate::resource::{Class, Fault};

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
    /// are still those that a call begun at `begun` was made with. What `check` refuses signs nothing.
    pub async fn renew(
        &self,
        begun: Instant,
        fresh: impl AsyncFnOnce() -> Option<SharedCredentialsProvider>,
        check: impl AsyncFnOnce(Credentials) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        let mut held = self.0.lock().await;
        if held.renewed.is_some_and(|renewed| renewed >= begun) {
            return Ok(true);
        }
        let source = fresh().await.unwrap_or_else(|| held.source.clone());
        let taken = take(&source).await;
        let credentials = taken.map_err(|error| {
            Fault::new(
                Class::Denied,
                format!("the credentials have expired, and there are no new ones: {}", innermost(&error)),
            )
            .hint("log in again (`aws sso login`), and run again: what was made is known by its tags")
        })?;
        if held.credentials.as_ref().is_some_and(|old| are_same(old, &credentials)) {
            return Ok(false);
        }
        check(credentials.clone()).await?;
        (held.source, held.credentials, held.renewed) = (source, Some(credentials), Some(Instant::now()));
        Ok(true)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Gives the first of these, then the next, and the last for ever; counts how often it was asked.
    #[derive(Debug)]
    struct Source(&'static [&'static str], Option<SystemTime>, AtomicUsize);

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.2.fetch_add(1, Ordering::SeqCst);
            let secret = self.0[asked.min(self.0.len() - 1)];
            future::ProvideCredentials::ready(Ok(Credentials::new("NOTAREAL", secret, None, self.1, "test")))
        }
    }

    fn source(secrets: &'static [&'static str], expiry: Option<SystemTime>) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Source(secrets, expiry, AtomicUsize::new(0)))
    }

    async fn secret(renewable: &Renewable) -> String {
        renewable.credentials().await.unwrap().secret_access_key().to_owned()
    }

    #[tokio::test]
    async fn they_are_kept_until_shortly_before_they_expire() {
        let late = Some(SystemTime::now() + Duration::from_secs(3600));
        for (expiry, wanted) in [(None, "one"), (late, "one"), (Some(SystemTime::now() + MARGIN / 2), "two")] {
            let renewable = Renewable::new(source(&["one", "two"], expiry));
            assert_eq!(secret(&renewable).await, "one");
            assert_eq!(secret(&renewable).await, wanted, "{expiry:?}");
        }
    }

    #[tokio::test]
    async fn others_count_as_new_and_all_who_failed_with_the_old_ones_are_told_so() {
        let renewable = Renewable::new(source(&["one"], None));
        let begun = Instant::now();
        assert_eq!(secret(&renewable).await, "one");
        let ours = async |_| Ok(());
        assert!(!renewable.renew(begun, async || Some(source(&["one"], None)), ours).await.unwrap(), "the same");
        let refuse = async |_| Err(Fault::new(Class::Denied, "another's"));
        assert!(renewable.renew(begun, async || Some(source(&["other"], None)), refuse).await.is_err());
        assert_eq!(secret(&renewable).await, "one");
        assert!(renewable.renew(begun, async || Some(source(&["two"], None)), ours).await.unwrap());
        assert_eq!(secret(&renewable).await, "two");
        assert!(renewable.renew(begun, async || panic!("they are new already"), ours).await.unwrap());
        assert!(!renewable.renew(Instant::now(), async || Some(source(&["two"], None)), ours).await.unwrap());
    }
}
