//! Somebody else in the same account, by AWS's own API and with none of our checks.

use crate::moto::{Account, Held};

/// What they do to a resource of ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    Delete,
    /// One of its tags, which the playbook declares.
    Tag,
    /// Something else of it, where it has something that can be changed; else a tag.
    Change,
    /// It belongs to no stack any more.
    Untag,
    /// It belongs to no address any more.
    Unname,
    /// It belongs to another stack.
    Take,
}

pub const DEEDS: [Deed; 6] = [Deed::Delete, Deed::Tag, Deed::Change, Deed::Untag, Deed::Unname, Deed::Take];

/// What was done, and how it shows.
#[derive(Clone, Debug)]
pub struct Act {
    pub deed: Deed,
    pub id: String,
    pub address: String,
    kind: String,
    /// Was allowed: what others rest on cannot be deleted.
    pub done: bool,
}

impl Act {
    pub fn on(account: &Account, held: &Held, deed: Deed) -> Act {
        let (id, kind) = (held.id.clone(), held.kind.clone());
        let tag = |name: &str, value: &str| {
            format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key={name}&Tag.1.Value={value}")
        };
        let without = |name: &str| format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key={name}");
        let form = match deed {
            Deed::Delete => deletion(&kind, &id),
            Deed::Tag => Some(tag("Environment", "theirs")),
            Deed::Change => Some(change(&kind, &id).map_or_else(|| tag("Environment", "theirs"), |(form, ..)| form)),
            Deed::Untag => Some(without("runner:stack")),
            Deed::Unname => Some(without("runner:address")),
            Deed::Take => Some(tag("runner:stack", "theirs")),
        };
        let done = form.is_some_and(|form| account.ec2(&form).0 == 200);
        Act { deed, address: held.tags["runner:address"].clone(), id, kind, done }
    }

    /// Whether it still is as they left it.
    pub fn still_shows(&self, account: &Account) -> bool {
        let held = account.held().into_iter().find(|held| held.id == self.id);
        let tag = |name: &str| held.as_ref().and_then(|held| held.tags.get(name)).map(String::as_str);
        match (self.deed, change(&self.kind, &self.id)) {
            (Deed::Delete, _) => held.is_none(),
            (Deed::Change, Some((_, question, answer))) => account.ec2(&question).1.contains(answer),
            (Deed::Tag | Deed::Change, _) => tag("Environment") == Some("theirs"),
            (Deed::Untag, _) => held.is_some() && tag("runner:stack").is_none(),
            (Deed::Unname, _) => held.is_some() && tag("runner:address").is_none(),
            (Deed::Take, _) => tag("runner:stack") == Some("theirs"),
        }
    }

    /// They think better of it: what they took is ours again.
    pub fn give_back(&self, account: &Account) {
        let Act { id, address, .. } = self;
        let form = format!(
            "Action=CreateTags&ResourceId.1={id}&Tag.1.Key=runner:stack&Tag.1.Value=prod&Tag.2.Key=runner:address&Tag.2.Value={address}"
        );
        assert_eq!(account.ec2(&form).0, 200);
    }

    pub fn takes_it_away(&self) -> bool {
        matches!(self.deed, Deed::Untag | Deed::Unname | Deed::Take)
    }
}

fn deletion(kind: &str, id: &str) -> Option<String> {
    let (action, name) = match kind {
        "ec2 vpcs" => ("DeleteVpc", "VpcId"),
        "ec2 subnets" => ("DeleteSubnet", "SubnetId"),
        "ec2 internet_gateways" => ("DeleteInternetGateway", "InternetGatewayId"),
        "ec2 addresses" => ("ReleaseAddress", "AllocationId"),
        "ec2 nat_gateways" => ("DeleteNatGateway", "NatGatewayId"),
        "ec2 route_tables" => ("DeleteRouteTable", "RouteTableId"),
        "ec2 vpc_end_points" => ("DeleteVpcEndpoints", "VpcEndpointId.1"),
        "ec2 groups" => ("DeleteSecurityGroup", "GroupId"),
        _ => return None,
    };
    Some(format!("Action={action}&{name}={id}"))
}

/// What changes it, what asks for that, and what the answer then has.
fn change(kind: &str, id: &str) -> Option<(String, String, &'static str)> {
    match kind {
        "ec2 vpcs" => Some((
            format!("Action=ModifyVpcAttribute&VpcId={id}&EnableDnsHostnames.Value=false"),
            format!("Action=DescribeVpcAttribute&VpcId={id}&Attribute=enableDnsHostnames"),
            "<value>false</value>",
        )),
        "ec2 groups" => Some((
            format!(
                "Action=AuthorizeSecurityGroupIngress&GroupId={id}&IpPermissions.1.IpProtocol=tcp\
                 &IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=192.0.2.0/24"
            ),
            format!("Action=DescribeSecurityGroups&GroupId.1={id}"),
            "192.0.2.0/24",
        )),
        "ec2 vpc_end_points" => Some((
            format!("Action=ModifyVpcEndpoint&VpcEndpointId={id}&PrivateDnsEnabled=false"),
            format!("Action=DescribeVpcEndpoints&VpcEndpointId.1={id}"),
            "<privateDnsEnabled>false</privateDnsEnabled>",
        )),
        _ => None,
    }
}
