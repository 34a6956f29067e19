//! What the kinds of EKS have in common: tags, and the ids of what exists only within a cluster: `cluster:name`.

use std::collections::{BTreeSet, HashMap};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::client::Region;
use super::fault::OrFault;
use super::kind::{Search, each, if_there};
use super::tagging::Type;
use super::tags::Tags;
use crate::resource::{Class, Fault, Select};

pub fn tags(tags: Option<&HashMap<String, String>>) -> Tags {
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub fn time(at: Option<&DateTime>) -> Option<String> {
    at.and_then(|at| at.fmt(Format::DateTime).ok())
}

/// The cluster and the name within it. A cluster's name has no colon.
pub fn split(id: &str) -> Result<(&str, &str), Fault> {
    let not_one = || Fault::new(Class::Invalid, format!("`{id}` is not the id of something in a cluster"));
    id.split_once(':').ok_or_else(not_one).map_err(|fault| fault.hint("write `cluster:name`"))
}

/// `prod:coredns` of `arn:aws:eks:eu-west-1:111122223333:addon/prod/coredns/0a1b2c3d`.
pub fn id_in(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(6, ':').nth(5)?.split('/').skip(1);
    Some(format!("{}:{}", parts.next()?, parts.next()?))
}

/// The ids to read; of clusters, `list` tells what is in them.
pub async fn ids<List>(
    region: &Region,
    search: &Search<'_>,
    of: &Type,
    list: impl Fn(String) -> List,
) -> Result<BTreeSet<String>, Fault>
where
    List: Future<Output = Result<Vec<String>, Fault>>,
{
    match search.select() {
        Select::Named(clusters) => within(clusters.clone(), list).await,
        _ => search.ids(region, of, id_in).await,
    }
}

/// What `list` tells of these clusters, as ids; none of a cluster that is not there.
pub async fn within<List>(clusters: BTreeSet<String>, list: impl Fn(String) -> List) -> Result<BTreeSet<String>, Fault>
where
    List: Future<Output = Result<Vec<String>, Fault>>,
{
    let list = &list;
    let found = each(clusters, |cluster| async move {
        let names = if_there(list(cluster.clone()).await)?.unwrap_or_default();
        Ok(Some(names.into_iter().map(move |name| format!("{cluster}:{name}")).collect::<Vec<_>>()))
    });
    Ok(found.await?.into_iter().flatten().collect())
}

/// A name that is taken: by what may be adopted.
pub fn taken<T>(id: &str, result: Result<T, Fault>) -> Result<T, Fault> {
    result.map_err(|fault| match fault.class {
        Class::Exists => {
            fault.hint(format!("adopt it with the option `adopt: \"{id}\"`, or give this one another name"))
        }
        _ => fault,
    })
}

/// EKS takes one update of a thing at a time: the engine looks again, and goes on with what is left.
pub fn one_at_a_time(what: &str) -> Fault {
    Fault::new(Class::Busy, format!("{what} is being updated, and EKS takes one change at a time"))
}

/// The names of the add-ons of a cluster.
pub async fn addons(region: &Region, cluster: String) -> Result<Vec<String>, Fault> {
    let pages = region.eks.list_addons().cluster_name(cluster).into_paginator().page_size(100).items().send();
    pages.collect::<Result<_, _>>().await.or_fault("eks:ListAddons")
}

/// The names of the node groups of a cluster.
pub async fn node_groups(region: &Region, cluster: String) -> Result<Vec<String>, Fault> {
    let pages = region.eks.list_nodegroups().cluster_name(cluster).into_paginator().page_size(100).items().send();
    pages.collect::<Result<_, _>>().await.or_fault("eks:ListNodegroups")
}

/// The principals that have access to a cluster.
pub async fn principals(region: &Region, cluster: String) -> Result<Vec<String>, Fault> {
    let pages = region.eks.list_access_entries().cluster_name(cluster).into_paginator().page_size(100).items().send();
    pages.collect::<Result<_, _>>().await.or_fault("eks:ListAccessEntries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_cluster_and_the_name() {
        let arn = "arn:aws:eks:eu-west-1:111122223333:nodegroup/prod/system/0a1b2c3d";
        assert_eq!(id_in(arn).as_deref(), Some("prod:system"));
        assert_eq!(id_in("arn:aws:eks:eu-west-1:111122223333:cluster/prod"), None);
        let id = "prod:arn:aws:iam::111122223333:role/ops";
        assert_eq!(split(id).unwrap(), ("prod", "arn:aws:iam::111122223333:role/ops"));
        assert_eq!(split("prod").unwrap_err().class, Class::Invalid);
    }
}
