//! `aws::launch_template`. Reads: one DescribeLaunchTemplates per region, 200 a page, and for each template one
//! DescribeLaunchTemplateVersions.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use aws_sdk_ec2::types::{LaunchTemplate as Sdk, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batches::in_batches;
use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::launch_template_data::{
    BlockDeviceMapping, InstanceProfile, MetadataOptions, Monitoring, NetworkInterface, TagSpecification, read, request,
};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Select, Status, Value};

pub struct LaunchTemplate;

/// What new instances are made from. Each change makes a new version, which becomes the default one; what is set in a
/// template by other means, and has no field here, is not carried over.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account and region; left out, the logical name (CreateLaunchTemplate).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// What the version is for (CreateLaunchTemplateVersion).
    pub description: Option<String>,
    /// Image to start from: `ami-…`, or `resolve:ssm:` and the name of a parameter (CreateLaunchTemplateVersion).
    pub image_id: Option<String>,
    /// Type of instance, such as `m7i.large` (CreateLaunchTemplateVersion).
    pub instance_type: Option<String>,
    /// Name of the key pair to log in with (CreateLaunchTemplateVersion).
    pub key_name: Option<String>,
    /// What an instance is given at its first start, as plain text; up to 16 KB (CreateLaunchTemplateVersion).
    #[schemars(extend("sensitive" = true))]
    pub user_data: Option<String>,
    /// Security groups of the instances; not together with `network_interfaces` (CreateLaunchTemplateVersion).
    #[schemars(extend("uniqueItems" = true))]
    pub vpc_security_group_ids: Option<Vec<String>>,
    /// Network interfaces, where more than the default one is to be said (CreateLaunchTemplateVersion).
    pub network_interfaces: Option<Vec<NetworkInterface>>,
    /// Role of the instances, by `name` or `arn` of its instance profile (CreateLaunchTemplateVersion).
    #[schemars(extend("names" = "aws::iam_instance_profile"))]
    pub iam_instance_profile: Option<InstanceProfile>,
    /// Volumes, besides those of the image or in their place (CreateLaunchTemplateVersion).
    #[schemars(extend("uniqueItems" = true))]
    pub block_device_mappings: Option<Vec<BlockDeviceMapping>>,
    /// How an instance asks about itself (CreateLaunchTemplateVersion).
    pub metadata_options: Option<MetadataOptions>,
    /// How closely instances are watched (CreateLaunchTemplateVersion).
    pub monitoring: Option<Monitoring>,
    /// Whether the way to volumes is apart from other traffic (CreateLaunchTemplateVersion).
    pub ebs_optimized: Option<bool>,
    /// Tags for what is made from the template, by type (CreateLaunchTemplateVersion).
    #[schemars(extend("uniqueItems" = true))]
    pub tag_specifications: Option<Vec<TagSpecification>>,
    /// Tags of the template itself; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// What makes a new version when it changes.
macro_rules! version_fields {
    () => {
        [
            "description",
            "image_id",
            "instance_type",
            "key_name",
            "user_data",
            "vpc_security_group_ids",
            "network_interfaces",
            "iam_instance_profile",
            "block_device_mappings",
            "metadata_options",
            "monitoring",
            "ebs_optimized",
            "tag_specifications",
        ]
    };
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the launch template.
    #[schemars(example = "lt-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the launch template.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:launch-template/lt-0a1b2c3d4e5f60718")]
    arn: String,
    /// Number of the version that is as the inputs say: the newest one made here, which is the default. A newer one
    /// that others made, and did not make the default, does not count.
    #[schemars(example = &"1", extend("changes_with" = version_fields!()))]
    latest_version: String,
    /// Number of the version that is used where none is named.
    #[schemars(example = &"1", extend("changes_with" = version_fields!()))]
    default_version: String,
}

impl AwsKind for LaunchTemplate {
    const NAME: &'static str = "aws::launch_template";
    const TYPE: Type = Type::Ec2(ResourceType::LaunchTemplate);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { natural_key: &["name"], named_by: Some("name"), check, made_up, id_prefix: "lt-", ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let templates = match search.select() {
            // No filter takes ids.
            Select::Ids(ids) => in_batches(ids.iter().cloned().collect(), 100, |ids| by_id(region, ids)).await?,
            _ => by_filter(region, search).await?,
        };
        let by_id: BTreeMap<String, Sdk> =
            templates.into_iter().filter_map(|one| Some((one.launch_template_id()?.to_owned(), one))).collect();
        each(by_id.keys().cloned(), |id| found(region, &by_id, id)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .create_launch_template()
            .launch_template_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .set_version_description(inputs.description.clone())
            .launch_template_data(request(inputs))
            .client_token(&birth.token)
            .tag_specifications(birth.specification());
        let made = call.send().await.or_fault("ec2:CreateLaunchTemplate")?.launch_template;
        Ok(made.and_then(|template| template.launch_template_id))
    }

    /// A whole new version, and then it is the default: as long as it is not, the old one is what is found. One made
    /// twice does no harm.
    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let call = region.ec2.create_launch_template_version().launch_template_id(id);
        let call = call.set_version_description(change.inputs.description.clone());
        let call = call.launch_template_data(request(change.inputs));
        let made = call.send().await.or_fault("ec2:CreateLaunchTemplateVersion")?.launch_template_version;
        let Some(number) = made.and_then(|version| version.version_number) else {
            return Err(Fault::new(crate::resource::Class::Ambiguous, "AWS does not say which version was made"));
        };
        let call = region.ec2.modify_launch_template().launch_template_id(id).default_version(number.to_string());
        call.send().await.or_fault("ec2:ModifyLaunchTemplate").map(drop)
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let call = region.ec2.delete_launch_template().launch_template_id(id);
        call.send().await.or_fault("ec2:DeleteLaunchTemplate").map(drop)
    }
}

async fn by_id(region: &Region, ids: Vec<String>) -> Result<Vec<Sdk>, Fault> {
    let pages = region.ec2.describe_launch_templates().set_launch_template_ids(Some(ids)).into_paginator();
    pages.items().send().collect::<Result<_, _>>().await.or_fault("ec2:DescribeLaunchTemplates")
}

async fn by_filter(region: &Region, search: &Search<'_>) -> Result<Vec<Sdk>, Fault> {
    let mut templates = vec![];
    for filters in search.listings("", Some("launch-template-name")) {
        let pages = region.ec2.describe_launch_templates().set_filters(Some(filters)).into_paginator().page_size(200);
        let found = pages.items().send().collect::<Result<Vec<_>, _>>().await;
        templates.extend(found.or_fault("ec2:DescribeLaunchTemplates")?);
    }
    Ok(templates)
}

async fn found(
    region: &Region,
    templates: &BTreeMap<String, Sdk>,
    id: String,
) -> Result<Option<Found<LaunchTemplate>>, Fault> {
    let Some(template) = templates.get(&id) else { return Ok(None) };
    let call = region.ec2.describe_launch_template_versions().launch_template_id(&id).versions("$Default");
    let answer = if_there(call.send().await.or_fault("ec2:DescribeLaunchTemplateVersions"))?;
    let versions = answer.and_then(|answer| answer.launch_template_versions).unwrap_or_default();
    // Deleted in the meantime.
    let Some(version) = versions.into_iter().next() else { return Ok(None) };
    let number = version.version_number().or(template.default_version_number()).unwrap_or_default().to_string();
    let tags = tags::of(template.tags());
    Ok(Some(Found {
        inputs: Inputs {
            name: template.launch_template_name().map(str::to_owned),
            description: version.version_description().map(str::to_owned),
            tags: tags::authored(&tags),
            ..read(version.launch_template_data())
        },
        outputs: Outputs {
            arn: region.ec2_arn(None, &format!("launch-template/{id}")),
            latest_version: number.clone(),
            default_version: number,
            id: id.clone(),
        },
        tags,
        status: Status::Ready,
        id,
    }))
}

/// AWS refuses these late: when the first instance starts.
fn check(inputs: &Map) -> Vec<Mistake> {
    let given = |field: &str| inputs.get(field).filter(|value| !value.is_empty());
    let mut mistakes = vec![];
    let mut wrong = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) });
    };
    if given("network_interfaces").is_some() && given("vpc_security_group_ids").is_some() {
        let hint = "give each network interface its `security_groups`";
        wrong("vpc_security_group_ids", "has no use together with `network_interfaces`", hint);
    }
    let profile = given("iam_instance_profile").and_then(Value::as_map);
    if profile.is_some_and(|profile| profile.contains_key("name") == profile.contains_key("arn")) {
        wrong("iam_instance_profile", "expects either `name` or `arn`", "name the instance profile one way");
    }
    if inputs.get("user_data").and_then(Value::as_str).is_some_and(|text| text.len() > 16 * 1024) {
        let hint = "let a short script fetch the rest, for example from S3";
        wrong("user_data", "is longer than the 16 KB that AWS takes", hint);
    }
    mistakes
}

/// Another number for other inputs.
fn made_up(output: &str, inputs: &Map) -> Option<Value> {
    let mut hasher = DefaultHasher::new();
    for field in version_fields!() {
        inputs.get(field).map(ToString::to_string).hash(&mut hasher);
    }
    let number = hasher.finish() % 999 + 1;
    output.ends_with("_version").then(|| number.to_string().into())
}
