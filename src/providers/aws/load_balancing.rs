//! What the kinds of Elastic Load Balancing share: reads of many at once, tags, names, parts of ARNs.

use std::collections::{BTreeMap, BTreeSet};

use super::batches;
use super::client::Region;
use super::fault::OrFault;
use super::kind::Search;
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Select, Value};

/// One call takes no more ARNs or names than this.
const AT_ONCE: usize = 20;

/// What to ask a service for that knows resources by ARN and by name.
pub enum Asked {
    Arns(BTreeSet<String>),
    Names(BTreeSet<String>),
}

pub async fn asked(region: &Region, search: &Search<'_>, of: &Type) -> Result<Asked, Fault> {
    Ok(match search.select() {
        Select::Named(names) => Asked::Names(names.clone()),
        _ => {
            let arns = search.ids(region, of, |arn| Some(arn.to_owned())).await?;
            // Anything else would be refused as malformed; there is none of that name.
            Asked::Arns(arns.into_iter().filter(|arn| arn.starts_with("arn:")).collect())
        }
    })
}

/// Reads all of them, as many in a call as Elastic Load Balancing takes.
pub async fn in_batches<T, Read>(names: &BTreeSet<String>, read: impl Fn(Vec<String>) -> Read) -> Result<Vec<T>, Fault>
where
    Read: Future<Output = Result<Vec<T>, Fault>>,
{
    batches::in_batches(names.iter().cloned().collect(), AT_ONCE, read).await
}

/// The tags of each.
pub async fn tags_of(region: &Region, arns: BTreeSet<String>) -> Result<BTreeMap<String, Tags>, Fault> {
    let told = in_batches(&arns, |arns| async move {
        let answer = region.elb.describe_tags().set_resource_arns(Some(arns)).send().await;
        Ok(answer.or_fault("elasticloadbalancing:DescribeTags")?.tag_descriptions.unwrap_or_default())
    });
    let told = told.await?.into_iter();
    Ok(told.filter_map(|one| Some((one.resource_arn()?.to_owned(), tags::of(one.tags())))).collect())
}

/// `net/main/0a1b2c3d4e5f6071` of a load balancer's ARN, `targetgroup/main/0a1b2c3d4e5f6071` of a target group's: what
/// metrics name it by.
pub fn suffix(arn: &str) -> String {
    let last = arn.rsplit(':').next().unwrap_or_default();
    last.strip_prefix("loadbalancer/").unwrap_or(last).to_owned()
}

/// What AWS does not take as a name.
pub fn check_name(inputs: &Map) -> Vec<Mistake> {
    let Some(Value::String(name)) = inputs.get("name") else { return vec![] };
    let fits = (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.starts_with("internal-");
    let mistake = Mistake {
        path: "name".into(),
        what: "is no name for this".into(),
        hint: Some(
            "up to 32 letters, digits and hyphens, no hyphen at either end, and not beginning with `internal-`".into(),
        ),
    };
    if fits { vec![] } else { vec![mistake] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_the_part_that_metrics_name() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333";
        assert_eq!(suffix(&format!("{arn}:loadbalancer/net/main/0a1b")), "net/main/0a1b");
        assert_eq!(suffix(&format!("{arn}:targetgroup/main/0a1b")), "targetgroup/main/0a1b");
    }
}
