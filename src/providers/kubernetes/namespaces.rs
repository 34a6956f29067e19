//! The namespaces of a cluster: which there are, and which are on their way out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::time::Instant;

use super::connection::Cluster;
use super::object;
use crate::resource::Fault;

/// For how long it is believed what namespaces there are.
const BELIEVED: Duration = Duration::from_secs(2);

pub struct Namespaces {
    /// Those on their way out: what is written into one is lost.
    pub terminating: BTreeSet<String>,
    /// By name.
    pub uids: BTreeMap<String, String>,
}

impl Cluster {
    /// As they are, or lately were if nobody needs it `anew`.
    pub async fn namespaces(&self, anew: bool) -> Result<Arc<Namespaces>, Fault> {
        let mut kept = self.namespaces.lock().await;
        if let Some((_, known)) = kept.as_ref().filter(|(read, _)| !anew && read.elapsed() < BELIEVED) {
            return Ok(known.clone());
        }
        let all = self.get("k8s:List namespaces", "/api/v1/namespaces").await?;
        let mut found = Namespaces { terminating: BTreeSet::new(), uids: BTreeMap::new() };
        for item in all.get("items").and_then(Json::as_array).into_iter().flatten() {
            let Some(name) = object::text(item, &["metadata", "name"]) else { continue };
            if object::at(item, &["metadata", "deletionTimestamp"]).is_some() {
                found.terminating.insert(name.to_owned());
            }
            let uid = object::text(item, &["metadata", "uid"]).unwrap_or_default();
            found.uids.insert(name.to_owned(), uid.to_owned());
        }
        let found = Arc::new(found);
        *kept = Some((Instant::now(), found.clone()));
        Ok(found)
    }
}
