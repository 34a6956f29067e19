//! `aws::db_subnet_group`. Reads: one GetResources per region (100 a page), then one DescribeDBSubnetGroups and one
//! ListTagsForResource for each group of the stack.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::lower_case;
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::{Fault, Status, Value};

pub struct DbSubnetGroup;

/// The subnets in which databases may stand.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the region, in lower case; left out, the logical name (CreateDBSubnetGroup).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// What it is for (ModifyDBSubnetGroup).
    #[serde(default = "managed")]
    pub description: String,
    /// Subnets in at least two zones (ModifyDBSubnetGroup).
    #[schemars(extend("uniqueItems" = true))]
    pub subnet_ids: Vec<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn managed() -> String {
    "Managed by runner".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the group.
    #[schemars(example = &"main")]
    id: String,
    /// ARN of the group.
    #[schemars(example = "arn:aws:rds:eu-west-1:111122223333:subgrp:main")]
    arn: String,
    /// VPC of its subnets.
    #[schemars(example = "vpc-0a1b2c3d4e5f60718")]
    vpc_id: Option<String>,
}

impl AwsKind for DbSubnetGroup {
    const NAME: &'static str = "aws::db_subnet_group";
    const TYPE: Type = Type::Rds("rds:subgrp");
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            normalise: |field, value| match (field, value) {
                ("name", Value::String(name)) => name.to_lowercase().into(),
                _ => value.clone(),
            },
            check: |inputs| lower_case::check(inputs, &["name"]),
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let names = search.ids(region, &Self::TYPE, |arn| arn.split(":subgrp:").nth(1).map(str::to_owned)).await?;
        each(names, |name| async move {
            let call = region.rds.describe_db_subnet_groups().db_subnet_group_name(&name);
            let answer = if_there(call.send().await.or_fault("rds:DescribeDBSubnetGroups"))?;
            let Some(group) = answer.and_then(|answer| answer.db_subnet_groups?.into_iter().next()) else {
                return Ok(None);
            };
            let id = group.db_subnet_group_name().unwrap_or(&name).to_owned();
            let told = group.db_subnet_group_arn().map(str::to_owned);
            let arn = told.unwrap_or_else(|| region.arn("rds", &format!("subgrp:{id}")));
            let tags = region.rds.list_tags_for_resource().resource_name(&arn).send().await;
            let Some(tags) = if_there(tags.or_fault("rds:ListTagsForResource"))? else { return Ok(None) };
            let tags = tags::of(tags.tag_list());
            Ok(Some(Found {
                inputs: Inputs {
                    name: Some(id.clone()),
                    description: group.db_subnet_group_description().unwrap_or_default().to_owned(),
                    subnet_ids: group
                        .subnets()
                        .iter()
                        .filter_map(|subnet| subnet.subnet_identifier())
                        .map(Into::into)
                        .collect(),
                    tags: tags::authored(&tags),
                },
                outputs: Outputs { id: id.clone(), arn, vpc_id: group.vpc_id().map(str::to_owned) },
                status: Status::Ready,
                tags,
                id,
            }))
        })
        .await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .rds
            .create_db_subnet_group()
            .db_subnet_group_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .db_subnet_group_description(&inputs.description)
            .set_subnet_ids(Some(inputs.subnet_ids.clone()))
            .set_tags(birth.list());
        let group = call.send().await.or_fault("rds:CreateDBSubnetGroup")?.db_subnet_group;
        Ok(group.and_then(|group| group.db_subnet_group_name))
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let call = region
            .rds
            .modify_db_subnet_group()
            .db_subnet_group_name(id)
            .db_subnet_group_description(&change.inputs.description)
            // It takes all of them each time.
            .set_subnet_ids(Some(change.inputs.subnet_ids.clone()));
        call.send().await.or_fault("rds:ModifyDBSubnetGroup").map(drop)
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let call = region.rds.delete_db_subnet_group().db_subnet_group_name(id);
        call.send().await.or_fault("rds:DeleteDBSubnetGroup").map(drop)
    }
}
