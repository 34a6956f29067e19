//! `aws::caller()` (no call of its own), `aws::availability_zones()` (one DescribeAvailabilityZones) and
//! `aws::ssm_parameter(name)` (one GetParameters).

use schemars::JsonSchema;
use serde::Serialize;

use super::ami;
use super::client::{Identity, Region};
use super::fault::OrFault;
use super::kind::filter;
use super::ssm_parameter::StoredParameter;
use crate::providers::typed::{Named, value_of};
use crate::resource::kind::Lookup;
use crate::resource::{Fault, Value};

pub const CALLER: &str = "aws::caller";
pub const AVAILABILITY_ZONES: &str = "aws::availability_zones";
pub const SSM_PARAMETER: &str = "aws::ssm_parameter";

/// Whose credentials these are.
#[derive(Serialize, JsonSchema)]
struct Caller {
    /// Number of the account.
    #[schemars(example = "111122223333")]
    account_id: String,
    /// ARN of the user or of the assumed role.
    #[schemars(example = "arn:aws:iam::111122223333:user/example")]
    arn: String,
    /// Unique id of the user or of the assumed role.
    #[schemars(example = &"AIDAEXAMPLE")]
    user_id: String,
}

/// The zones of the region in which resources can be made: available, and not waiting to be opted in to.
#[derive(Serialize, JsonSchema)]
struct AvailabilityZones {
    /// Names in this account (`eu-west-1a`), sorted.
    #[schemars(example = ["eu-west-1a", "eu-west-1b", "eu-west-1c"])]
    names: Vec<String>,
    /// Ids that are the same in all accounts (`euw1-az1`), in the order of `names`.
    #[schemars(example = ["euw1-az1", "euw1-az2", "euw1-az3"])]
    zone_ids: Vec<String>,
}

pub fn all() -> Vec<Lookup> {
    vec![
        Lookup::of::<Nothing, Caller>(CALLER),
        Lookup::of::<Nothing, AvailabilityZones>(AVAILABILITY_ZONES),
        Lookup::of::<Named, StoredParameter>(SSM_PARAMETER),
        ami::lookup(),
    ]
}

/// No parameters.
#[derive(JsonSchema)]
struct Nothing {}

pub fn caller(identity: &Identity) -> Value {
    value_of(&Caller {
        account_id: identity.account.clone(),
        arn: identity.arn.clone(),
        user_id: identity.user_id.clone(),
    })
}

pub async fn availability_zones(region: &Region) -> Result<Value, Fault> {
    let call = region
        .ec2
        .describe_availability_zones()
        .filters(filter("state", ["available"]))
        .filters(filter("opt-in-status", ["opt-in-not-required", "opted-in"]));
    let answer = call.send().await.or_fault("ec2:DescribeAvailabilityZones")?;
    let mut zones: Vec<(String, String)> = answer
        .availability_zones()
        .iter()
        .filter_map(|zone| Some((zone.zone_name()?.to_owned(), zone.zone_id().unwrap_or_default().to_owned())))
        .collect();
    zones.sort();
    let (names, zone_ids) = zones.into_iter().unzip();
    Ok(value_of(&AvailabilityZones { names, zone_ids }))
}
