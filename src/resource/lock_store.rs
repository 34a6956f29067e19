//! What a lock is kept in, where several machines see it: one object that each writes only as it last saw it.

use std::time::Duration;

use async_trait::async_trait;

use super::Fault;

/// A bucket, and a folder in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockPlace {
    pub bucket: String,
    /// Without a slash at its end; may be empty.
    pub prefix: String,
    /// The bucket's, if it is not the stack's.
    pub region: Option<String>,
}

/// One call each; it repeats nothing on its own, and waits for nothing.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// Where the object is, as people say it: `s3://team-locks/shop/prod.lock`.
    fn place(&self) -> &str;

    /// As whom it is reached, if that is known without asking for it.
    async fn caller(&self) -> Option<String> {
        None
    }

    /// What is there now.
    async fn read(&self) -> Result<Option<Stored>, Fault>;

    /// Puts a text there if what is there still is `over`; with none, if nothing is there.
    async fn write(&self, text: &str, over: Option<&str>) -> Result<Written, Fault>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub text: String,
    /// Another for every text.
    pub version: String,
    /// How long ago it was written, by the store's own clock at both ends.
    pub age: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Done {
        version: String,
        /// What whoever keeps the store should know.
        remark: Option<String>,
    },
    /// It is not as it was seen, and was left alone.
    Moved,
}
