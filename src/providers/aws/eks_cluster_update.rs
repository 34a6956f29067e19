//! Changes of a cluster, of which EKS takes one at a time: each type of change is a call of its own.

use std::collections::BTreeSet;

use aws_sdk_eks::operation::update_cluster_config::builders::UpdateClusterConfigFluentBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, Cluster, ClusterStatus, LogSetup, Logging, UpdateAccessConfigRequest, VpcConfigRequest,
};

use super::client::Region;
use super::eks;
use super::eks_cluster::{self, Inputs, LogType, VpcConfig};
use super::fault::OrFault;
use super::kind::Change;
use crate::resource::{Class, Fault};

/// What AWS takes if it is not told from where the API server is reached.
pub const EVERYWHERE: &str = "0.0.0.0/0";

const LOGS: [LogType; 5] =
    [LogType::Api, LogType::Audit, LogType::Authenticator, LogType::ControllerManager, LogType::Scheduler];

/// Begins the first change that is still to be made; if that is not the last, the fault makes the engine look again.
pub async fn bring_about(region: &Region, id: &str, change: &Change<'_, Inputs>) -> Result<(), Fault> {
    // As it is now: AWS refuses a change to what is so already.
    let Some(cluster) = eks_cluster::describe(region, id).await? else {
        return Err(Fault::new(Class::NotFound, format!("{id} is not there")));
    };
    let now = eks_cluster::inputs(&cluster);
    let upgrade = match (&now.version, &change.inputs.version) {
        (Some(now), Some(wanted)) if change.of("version") && now != wanted => {
            refuse_impossible(now, wanted)?;
            Some(wanted)
        }
        _ => None,
    };
    let configs = configs(region, id, &now, change)?;
    let left = configs.len() + usize::from(upgrade.is_some());
    if left > 0 && matches!(cluster.status(), Some(ClusterStatus::Updating | ClusterStatus::Creating)) {
        return Err(eks::one_at_a_time(id));
    }
    match (configs.into_iter().next(), upgrade) {
        (Some(config), _) => config.send().await.or_fault("eks:UpdateClusterConfig").map(drop)?,
        (None, Some(version)) => {
            let call = region.eks.update_cluster_version().name(id).version(version);
            call.send().await.or_fault("eks:UpdateClusterVersion").map(drop)?;
        }
        (None, None) => {}
    }
    if left > 1 { Err(eks::one_at_a_time(id)) } else { Ok(()) }
}

/// One call for each type of change.
fn configs(
    region: &Region,
    id: &str,
    now: &Inputs,
    change: &Change<'_, Inputs>,
) -> Result<Vec<UpdateClusterConfigFluentBuilder>, Fault> {
    let wanted = change.inputs;
    let call = || region.eks.update_cluster_config().name(id);
    let mut calls = vec![];
    if change.of("deletion_protection") && now.deletion_protection != wanted.deletion_protection {
        calls.push(call().deletion_protection(wanted.deletion_protection));
    }
    if change.of("vpc_config") {
        let parts = vpc_parts(&now.vpc_config, &wanted.vpc_config);
        calls.extend(parts.into_iter().map(|part| call().resources_vpc_config(part)));
    }
    if let Some(access) = wanted.access_config.as_ref().filter(|_| change.of("access_config")) {
        let mode = now.access_config.as_ref().map(|access| access.authentication_mode.as_str()).unwrap_or_default();
        if mode != access.authentication_mode {
            refuse_way_back(mode, &access.authentication_mode)?;
            let mode = AuthenticationMode::from(access.authentication_mode.as_str());
            calls.push(call().access_config(UpdateAccessConfigRequest::builder().authentication_mode(mode).build()));
        }
    }
    if let Some(policy) = wanted.upgrade_policy.as_ref().filter(|_| change.of("upgrade_policy"))
        && now.upgrade_policy.as_ref() != Some(policy)
    {
        calls.push(call().upgrade_policy(eks_cluster::upgrade_policy(policy)));
    }
    if change.of("enabled_cluster_log_types") {
        let types = |inputs: &Inputs| -> BTreeSet<LogType> {
            inputs.enabled_cluster_log_types.iter().flatten().copied().collect()
        };
        let (now, wanted) = (types(now), types(wanted));
        if now != wanted {
            calls.push(call().logging(logging(&wanted.into_iter().collect::<Vec<_>>())));
        }
    }
    Ok(calls)
}

/// Access, subnets and security groups are three types of change.
fn vpc_parts(now: &VpcConfig, wanted: &VpcConfig) -> Vec<VpcConfigRequest> {
    let set = |list: &[String]| -> BTreeSet<String> { list.iter().cloned().collect() };
    let mut parts = vec![];
    let access = |of: &VpcConfig| (of.endpoint_private_access, of.endpoint_public_access);
    // What is left out stays as it is, and is not sent with what changes.
    let cidrs = wanted.public_access_cidrs.is_some();
    if access(now) != access(wanted) || cidrs && set(&allowed(now)) != set(&allowed(wanted)) {
        let part = VpcConfigRequest::builder()
            .endpoint_private_access(wanted.endpoint_private_access)
            .endpoint_public_access(wanted.endpoint_public_access);
        let part = part.set_public_access_cidrs((cidrs && wanted.endpoint_public_access).then(|| allowed(wanted)));
        parts.push(part.build());
    }
    if set(&now.subnet_ids) != set(&wanted.subnet_ids) {
        parts.push(VpcConfigRequest::builder().set_subnet_ids(Some(wanted.subnet_ids.clone())).build());
    }
    if let Some(groups) = &wanted.security_group_ids
        && set(now.security_group_ids.as_deref().unwrap_or_default()) != set(groups)
    {
        parts.push(VpcConfigRequest::builder().set_security_group_ids(Some(groups.clone())).build());
    }
    parts
}

/// From where on the internet the API server is reached.
fn allowed(vpc: &VpcConfig) -> Vec<String> {
    let cidrs = vpc.public_access_cidrs.as_deref().unwrap_or_default();
    match vpc.endpoint_public_access {
        false => vec![],
        true if cidrs.is_empty() || cidrs.iter().any(|cidr| cidr == EVERYWHERE) => vec![EVERYWHERE.into()],
        true => cidrs.to_vec(),
    }
}

/// All of it, for the create call.
pub fn vpc(config: &VpcConfig) -> VpcConfigRequest {
    let some = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    VpcConfigRequest::builder()
        .set_subnet_ids(some(&config.subnet_ids))
        .set_security_group_ids(config.security_group_ids.clone().filter(|groups| !groups.is_empty()))
        .endpoint_private_access(config.endpoint_private_access)
        .endpoint_public_access(config.endpoint_public_access)
        .set_public_access_cidrs(
            config.public_access_cidrs.clone().filter(|cidrs| config.endpoint_public_access && !cidrs.is_empty()),
        )
        .build()
}

/// These logs on, and all others off.
pub fn logging(types: &[LogType]) -> Logging {
    let setup = |on: bool| {
        let these: Vec<_> = LOGS.into_iter().filter(|log| types.contains(log) == on).map(sdk_log).collect();
        (!these.is_empty()).then(|| LogSetup::builder().enabled(on).set_types(Some(these)).build())
    };
    Logging::builder().set_cluster_logging(Some([true, false].into_iter().filter_map(setup).collect())).build()
}

/// The logs that are on.
pub fn enabled(cluster: &Cluster) -> Vec<LogType> {
    let setups = cluster.logging().map(|logging| logging.cluster_logging()).unwrap_or_default();
    let on = |log: &LogType| {
        let mut on = setups.iter().filter(|setup| setup.enabled() == Some(true));
        on.any(|setup| setup.types().contains(&sdk_log(*log)))
    };
    LOGS.into_iter().filter(on).collect()
}

fn sdk_log(log: LogType) -> aws_sdk_eks::types::LogType {
    use aws_sdk_eks::types::LogType as Sdk;
    match log {
        LogType::Api => Sdk::Api,
        LogType::Audit => Sdk::Audit,
        LogType::Authenticator => Sdk::Authenticator,
        LogType::ControllerManager => Sdk::ControllerManager,
        LogType::Scheduler => Sdk::Scheduler,
    }
}

/// `33` of `1.33`.
pub fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.parse().ok()
}

fn refuse_impossible(now: &str, wanted: &str) -> Result<(), Fault> {
    let (Some(from), Some(to)) = (minor(now), minor(wanted)) else { return Ok(()) };
    if to < from {
        let fault = Fault::new(Class::Invalid, format!("a cluster's version cannot go back from {now} to {wanted}"));
        return Err(fault.hint(format!("set `version` to \"{now}\", or make another cluster")));
    }
    if to > from + 1 {
        let what = format!("a cluster goes up one minor version at a time, not from {now} to {wanted}");
        return Err(Fault::new(Class::Invalid, what).hint(format!("go to 1.{} first", from + 1)));
    }
    Ok(())
}

fn refuse_way_back(now: &str, wanted: &str) -> Result<(), Fault> {
    let rank = |mode: &str| ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"].iter().position(|other| *other == mode);
    if rank(wanted) < rank(now) {
        let what = format!("a cluster's `authentication_mode` cannot go back from {now} to {wanted}");
        return Err(Fault::new(Class::Invalid, what).hint(format!("set it to \"{now}\", or make another cluster")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_goes_up_by_one() {
        assert!(refuse_impossible("1.31", "1.32").is_ok());
        let hint = |now, wanted| refuse_impossible(now, wanted).unwrap_err().hint.unwrap();
        assert_eq!(hint("1.31", "1.33"), "go to 1.32 first");
        assert!(hint("1.31", "1.30").contains("set `version` to \"1.31\""));
        assert_eq!([minor("1.33"), minor("1.33.1"), minor("latest"), minor("33")], [Some(33), None, None, None]);
    }

    #[test]
    fn the_way_of_authentication_goes_one_way() {
        assert!(refuse_way_back("CONFIG_MAP", "API").is_ok());
        assert!(refuse_way_back("API", "API_AND_CONFIG_MAP").unwrap_err().hint.unwrap().contains("\"API\""));
    }
}
