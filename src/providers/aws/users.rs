//! What still uses something that AWS will not delete: it says only that there is something.

use super::client::Region;
use super::fault::OrFault;
use super::kind::filter;
use crate::resource::Fault;

/// How many are named.
const SOME: usize = 5;

/// Names the network interfaces that stand in the way of a delete, and what they belong to: one
/// DescribeNetworkInterfaces (`by` is its filter), and only after a refusal.
pub async fn named(region: &Region, by: &str, id: &str, result: Result<(), Fault>) -> Result<(), Fault> {
    let Err(mut fault) = result else { return Ok(()) };
    if fault.code.as_deref() == Some("DependencyViolation") {
        let call = region.ec2.describe_network_interfaces().filters(filter(by, [id])).max_results(100).send().await;
        // The refusal is what matters; who cannot look at interfaces is told that alone.
        let interfaces = call.or_fault("ec2:DescribeNetworkInterfaces").map(|answer| answer.network_interfaces);
        let interfaces = interfaces.unwrap_or_default().unwrap_or_default();
        let mut users: Vec<String> = interfaces.iter().filter_map(user).collect();
        users.sort();
        if let Some(last) = users.len().checked_sub(SOME).filter(|more| *more > 0) {
            users.truncate(SOME);
            users.push(format!("{last} more"));
        }
        if !users.is_empty() {
            fault.message = format!("{}; {id} is still used by {}", fault.message, users.join(", "));
        }
    }
    Err(fault)
}

/// `eni-0abc (Interface for NAT Gateway nat-0abc)`.
fn user(interface: &aws_sdk_ec2::types::NetworkInterface) -> Option<String> {
    let id = interface.network_interface_id()?;
    let instance = interface.attachment().and_then(|attachment| attachment.instance_id());
    let of = instance.or(interface.description()).filter(|of| !of.is_empty());
    Some(of.map_or_else(|| id.to_owned(), |of| format!("{id} ({of})")))
}
