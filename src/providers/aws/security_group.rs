//! `aws::security_group`, with its rules. Reads: one DescribeSecurityGroups per region, 1,000 a page.

use aws_sdk_ec2::types::ResourceType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{AwsKind, Birth, Change, Found, Search, filter};
use super::security_group_rules::{Rule, atomic, atoms, check, permission, rules};
use super::tagging::Type;
use super::tags::{self, Tags};
use super::users;
use crate::resource::kind::Nature;
use crate::resource::{Class, Fault, Status, Value};

pub struct SecurityGroup;

/// Which traffic may reach, and leave, what is in the group.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the VPC; left out, the logical name (CreateSecurityGroup).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// What it is for; up to 255 characters (CreateSecurityGroup).
    #[serde(default = "managed")]
    #[schemars(extend("immutable" = true))]
    pub description: String,
    /// VPC it belongs to (CreateSecurityGroup).
    #[schemars(extend("immutable" = true))]
    pub vpc_id: String,
    /// All rules for what comes in; left out, none at first, and what others add stays
    /// (AuthorizeSecurityGroupIngress).
    #[schemars(extend("uniqueItems" = true))]
    pub ingress: Option<Vec<Rule>>,
    /// All rules for what goes out; left out, AWS lets everything out. `[]` lets nothing out
    /// (AuthorizeSecurityGroupEgress).
    #[schemars(extend("uniqueItems" = true))]
    pub egress: Option<Vec<Rule>>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn managed() -> String {
    "Managed by runner".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the security group.
    #[schemars(example = "sg-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the security group.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:security-group/sg-0a1b2c3d4e5f60718")]
    arn: String,
    /// Account it belongs to.
    #[schemars(example = "111122223333")]
    owner_id: String,
}

impl AwsKind for SecurityGroup {
    const NAME: &'static str = "aws::security_group";
    const TYPE: Type = Type::Ec2(ResourceType::SecurityGroup);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name", "vpc_id"],
            named_by: Some("name"),
            check,
            normalise: |field, value| match (field, value) {
                ("ingress" | "egress", Value::List(rules)) => Value::List(rules.iter().flat_map(atoms).collect()),
                _ => value.clone(),
            },
            id_prefix: "sg-",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut groups = vec![];
        for filters in search.listings("group-id", Some("group-name")) {
            let pages = region.ec2.describe_security_groups().set_filters(Some(filters)).into_paginator();
            let pages = pages.page_size(1000).items().send();
            groups.extend(pages.collect::<Result<Vec<_>, _>>().await.or_fault("ec2:DescribeSecurityGroups")?);
        }
        let found = groups.into_iter().filter_map(|group| {
            let id = group.group_id()?.to_owned();
            Some(Found {
                inputs: Inputs {
                    name: group.group_name().map(str::to_owned),
                    description: group.description().unwrap_or_default().to_owned(),
                    vpc_id: group.vpc_id().unwrap_or_default().to_owned(),
                    ingress: Some(rules(&group, group.ip_permissions())),
                    egress: Some(rules(&group, group.ip_permissions_egress())),
                    tags: tags::authored(&tags::of(group.tags())),
                },
                outputs: Outputs {
                    arn: region.ec2_arn(group.owner_id(), &format!("security-group/{id}")),
                    owner_id: group.owner_id().unwrap_or(&region.account).to_owned(),
                    id: id.clone(),
                },
                tags: tags::of(group.tags()),
                status: Status::Ready,
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .create_security_group()
            .group_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .description(&inputs.description)
            .vpc_id(&inputs.vpc_id)
            .tag_specifications(birth.specification());
        Ok(call.send().await.or_fault("ec2:CreateSecurityGroup")?.group_id)
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        if let Some(rules) = &inputs.ingress {
            set_rules(region, id, Direction::Ingress, &[], rules).await?;
        }
        if let Some(rules) = &inputs.egress {
            // AWS lets everything out of a new group, by one rule or by two: look.
            let group = describe(region, id).await?;
            set_rules(region, id, Direction::Egress, &Direction::Egress.of(&group), rules).await?;
        }
        Ok(())
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        // As it is now: one rule that is there already would fail a whole call.
        let group = describe(region, id).await?;
        for (field, direction, rules) in [
            ("ingress", Direction::Ingress, &change.inputs.ingress),
            ("egress", Direction::Egress, &change.inputs.egress),
        ] {
            if change.of(field) {
                set_rules(region, id, direction, &direction.of(&group), rules.as_deref().unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        // Two groups that name each other could never go: each lets go of the other first.
        let names_others = |rules: &Option<Vec<Rule>>| rules.iter().flatten().any(|r| !r.security_groups.is_empty());
        if names_others(&live.ingress) || names_others(&live.egress) {
            let group = describe(region, id).await?;
            for direction in [Direction::Ingress, Direction::Egress] {
                let rules = direction.of(&group);
                let others: Vec<Rule> = rules.into_iter().filter(|rule| !rule.security_groups.is_empty()).collect();
                set_rules(region, id, direction, &others, &[]).await?;
            }
        }
        let deleted = region.ec2.delete_security_group().group_id(id).send().await;
        users::named(region, "group-id", id, deleted.or_fault("ec2:DeleteSecurityGroup").map(drop)).await
    }
}

async fn describe(region: &Region, id: &str) -> Result<aws_sdk_ec2::types::SecurityGroup, Fault> {
    let answer = region.ec2.describe_security_groups().filters(filter("group-id", [id])).send().await;
    let groups = answer.or_fault("ec2:DescribeSecurityGroups")?.security_groups.unwrap_or_default();
    groups.into_iter().next().ok_or_else(|| Fault::new(Class::NotFound, format!("{id} is not there")))
}

#[derive(Clone, Copy)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    fn of(self, group: &aws_sdk_ec2::types::SecurityGroup) -> Vec<Rule> {
        match self {
            Direction::Ingress => rules(group, group.ip_permissions()),
            Direction::Egress => rules(group, group.ip_permissions_egress()),
        }
    }
}

/// Brings one direction of a group to the rules that are wanted: what is new first, so that nothing that shall flow is
/// cut, then the descriptions, then what goes.
async fn set_rules(region: &Region, id: &str, to: Direction, now: &[Rule], wanted: &[Rule]) -> Result<(), Fault> {
    let (now, wanted) = (atomic(now)?, atomic(wanted)?);
    let same = |a: &Rule, b: &Rule| {
        Rule { description: String::new(), ..a.clone() } == Rule { description: String::new(), ..b.clone() }
    };
    let permissions = |rules: Vec<&Rule>| Some(rules.into_iter().map(|rule| permission(id, rule)).collect::<Vec<_>>());
    let new: Vec<&Rule> = wanted.iter().filter(|rule| !now.iter().any(|old| same(old, rule))).collect();
    let told: Vec<&Rule> = wanted.iter().filter(|rule| now.iter().any(|old| same(old, rule) && old != *rule)).collect();
    let gone: Vec<&Rule> = now.iter().filter(|old| !wanted.iter().any(|rule| same(old, rule))).collect();
    let ec2 = &region.ec2;
    if !new.is_empty() {
        let new = permissions(new);
        match to {
            Direction::Ingress => {
                let call = ec2.authorize_security_group_ingress().group_id(id).set_ip_permissions(new);
                call.send().await.or_fault("ec2:AuthorizeSecurityGroupIngress").map(drop)?;
            }
            Direction::Egress => {
                let call = ec2.authorize_security_group_egress().group_id(id).set_ip_permissions(new);
                call.send().await.or_fault("ec2:AuthorizeSecurityGroupEgress").map(drop)?;
            }
        }
    }
    if !told.is_empty() {
        let told = permissions(told);
        match to {
            Direction::Ingress => {
                let call = ec2.update_security_group_rule_descriptions_ingress().group_id(id).set_ip_permissions(told);
                call.send().await.or_fault("ec2:UpdateSecurityGroupRuleDescriptionsIngress").map(drop)?;
            }
            Direction::Egress => {
                let call = ec2.update_security_group_rule_descriptions_egress().group_id(id).set_ip_permissions(told);
                call.send().await.or_fault("ec2:UpdateSecurityGroupRuleDescriptionsEgress").map(drop)?;
            }
        }
    }
    if !gone.is_empty() {
        let gone = permissions(gone);
        let revoked = match to {
            Direction::Ingress => {
                let call = ec2.revoke_security_group_ingress().group_id(id).set_ip_permissions(gone);
                call.send().await.or_fault("ec2:RevokeSecurityGroupIngress").map(drop)
            }
            Direction::Egress => {
                let call = ec2.revoke_security_group_egress().group_id(id).set_ip_permissions(gone);
                call.send().await.or_fault("ec2:RevokeSecurityGroupEgress").map(drop)
            }
        };
        gone_is_fine(revoked)?;
    }
    Ok(())
}
