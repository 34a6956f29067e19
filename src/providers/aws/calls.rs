//! What holds for every call to AWS, whichever the service: what it is called, whether it may be sent, and that it is
//! counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;

use crate::resource::permission;

/// True for an operation that cannot change anything; takes `DescribeVpcs` and `ec2:DescribeVpcs`.
pub fn reads(operation: &str) -> bool {
    let name = operation.rsplit(':').next().unwrap_or(operation);
    ["Describe", "Get", "List", "Head", "AssumeRole"].iter().any(|prefix| name.starts_with(prefix))
}

/// `ec2:DescribeVpcs`, of the call that is being made.
pub fn operation(cfg: &ConfigBag) -> String {
    match cfg.load::<Metadata>() {
        Some(metadata) => format!("{}:{}", service(metadata.service()), metadata.name()),
        None => String::new(),
    }
}

/// A service as IAM's actions name it, from the SDK's name for it.
fn service(name: &str) -> String {
    match name {
        "Auto Scaling" => "autoscaling".into(),
        "Elastic Load Balancing v2" => "elasticloadbalancing".into(),
        "Resource Groups Tagging API" => "tag".into(),
        other => other.to_lowercase().replace(' ', ""),
    }
}

/// Refuses changes where only reads are allowed and where the permission for them has ended, and takes the SDK's retries
/// away from them everywhere.
#[derive(Debug)]
pub struct Guard {
    pub read_only: bool,
}

/// Why nothing was sent.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was not sent: nothing may be changed now", self.0)
    }
}

impl std::error::Error for Refused {}

/// It may not be sent any more.
#[derive(Debug)]
pub struct Unpermitted(pub String);

impl fmt::Display for Unpermitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not be sent any more", self.0)
    }
}

impl std::error::Error for Unpermitted {}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = operation(cfg);
        if reads(&operation) {
            return Ok(());
        }
        if self.read_only {
            return Err(Refused(operation).into());
        }
        if !permission::holds() {
            return Err(Unpermitted(operation).into());
        }
        cfg.interceptor_state().store_put(RetryConfig::disabled());
        Ok(())
    }
}

/// Counts every request that is sent.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<String, u64>>>);

impl Calls {
    pub fn so_far(&self) -> BTreeMap<String, u64> {
        self.0.lock().expect("no holder panics").clone()
    }
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().expect("no holder panics").entry(operation(cfg)).or_default() += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_read_counts_as_a_read() {
        assert!(reads("ec2:DescribeVpcs") && reads("sts:GetCallerIdentity"));
        assert!(!reads("ec2:CreateVpc") && !reads("ec2:ModifyVpcAttribute") && !reads(""));
    }
}
