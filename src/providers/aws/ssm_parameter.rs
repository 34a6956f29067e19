//! `aws::ssm_parameter`. Reads: one DescribeParameters per region, 50 a page, one GetParameters per ten parameters, and
//! one ListTagsForResource for each.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{
    Parameter, ParameterMetadata, ParameterStringFilter, ParameterTier, ParameterType, ResourceTypeForTagging,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::providers::typed::value_of;
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Class, Fault, Map, Select, Status, Value};

pub struct SsmParameter;

/// A value that is kept in Parameter Store under a name. Called with a name only, this reads one that is there already.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account and region: plain, or a path that begins with `/`; left out, the logical name
    /// (PutParameter).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// How it is kept: as plain text, as a list with commas, or encrypted (PutParameter).
    #[schemars(extend("enum" = ["String", "StringList", "SecureString"], "immutable" = true))]
    pub r#type: String,
    /// The value; up to 4 KB, 8 KB in tier Advanced (PutParameter).
    #[schemars(extend("sensitive" = true))]
    pub value: String,
    /// What it is for (PutParameter).
    pub description: Option<String>,
    /// What it costs and can hold; Advanced cannot become Standard again (PutParameter).
    #[schemars(extend("enum" = ["Standard", "Advanced"]))]
    pub tier: Option<String>,
    /// SecureString: key of KMS to encrypt it with; left out, `alias/aws/ssm` (PutParameter).
    pub key_id: Option<String>,
    /// What the value must be: any text, or the id of an image (PutParameter).
    #[schemars(extend("enum" = ["text", "aws:ec2:image", "aws:ssm:integration"], "immutable" = true))]
    pub data_type: Option<String>,
    /// Regular expression that values must match (PutParameter).
    pub allowed_pattern: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the parameter.
    #[schemars(example = "/app/prod/url")]
    id: String,
    /// ARN of the parameter.
    #[schemars(example = "arn:aws:ssm:eu-west-1:111122223333:parameter/app/prod/url")]
    arn: String,
    /// How often it was written.
    #[schemars(
        example = 1,
        extend("changes_with" = ["value", "description", "tier", "key_id", "allowed_pattern"])
    )]
    version: i64,
}

/// A parameter of Parameter Store as it is now, such as AWS's own, which name the newest images:
/// `/aws/service/eks/optimized-ami/1.33/amazon-linux-2023/x86_64/standard/recommended/image_id`. Values that are kept
/// encrypted are not read.
#[derive(Serialize, JsonSchema)]
pub struct StoredParameter {
    /// Its name.
    #[schemars(example = "/app/prod/url")]
    name: String,
    /// Its value.
    #[schemars(example = "ami-0a1b2c3d4e5f60718")]
    value: String,
    /// `String` or `StringList`.
    #[schemars(example = &"String")]
    r#type: String,
    /// How often it was written.
    #[schemars(example = 1)]
    version: i64,
    /// Its ARN.
    #[schemars(example = "arn:aws:ssm:eu-west-1:111122223333:parameter/app/prod/url")]
    arn: String,
}

impl AwsKind for SsmParameter {
    const NAME: &'static str = "aws::ssm_parameter";
    const TYPE: Type = Type::Parameter;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature { natural_key: &["name"], named_by: Some("name"), check, ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let filters = match search.select() {
            Select::Owned { stack } => vec![filter(&format!("tag:{}", tags::STACK), &[stack])],
            Select::Ids(names) | Select::Named(names) => {
                // As many as one filter takes.
                names.iter().collect::<Vec<_>>().chunks(50).map(|names| filter("Name", names)).collect()
            }
        };
        let mut told = BTreeMap::new();
        for filter in filters {
            let call = region.ssm.describe_parameters().parameter_filters(filter);
            let mut pages = call.into_paginator().page_size(50).send();
            while let Some(page) = pages.next().await {
                let page = page.or_fault("ssm:DescribeParameters")?.parameters.unwrap_or_default();
                told.extend(page.into_iter().filter_map(|one| Some((one.name()?.to_owned(), one))));
            }
        }
        let values = values(region, told.keys().cloned().collect()).await?;
        let (told, values) = (&told, &values);
        each(told.keys().cloned(), |name| async move {
            let (Some(about), Some(value)) = (told.get(&name), values.get(&name)) else { return Ok(None) };
            let call = region.ssm.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter);
            let tags = if_there(call.resource_id(&name).send().await.or_fault("ssm:ListTagsForResource"))?;
            Ok(tags.map(|tags| found(region, about, value, tags::of(tags.tag_list()), &name)))
        })
        .await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let name = inputs.name.as_deref().unwrap_or(&birth.owner.address.name);
        let call = region
            .ssm
            .put_parameter()
            .name(name)
            .r#type(ParameterType::from(inputs.r#type.as_str()))
            .value(&inputs.value)
            .set_description(inputs.description.clone())
            .set_tier(inputs.tier.as_deref().map(ParameterTier::from))
            .set_key_id(inputs.key_id.clone())
            .set_data_type(inputs.data_type.clone())
            .set_allowed_pattern(inputs.allowed_pattern.clone())
            .overwrite(false)
            .set_tags(birth.list());
        call.send().await.or_fault("ssm:PutParameter")?;
        Ok(Some(name.to_owned()))
    }

    /// One call sets all; tags must not be in it.
    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let wanted = change.inputs;
        let call = region
            .ssm
            .put_parameter()
            .name(id)
            .r#type(ParameterType::from(wanted.r#type.as_str()))
            .value(&wanted.value)
            .set_description(wanted.description.clone())
            .set_tier(wanted.tier.as_deref().map(ParameterTier::from))
            .set_key_id(wanted.key_id.clone())
            .set_data_type(wanted.data_type.clone())
            .set_allowed_pattern(wanted.allowed_pattern.clone())
            .overwrite(true);
        call.send().await.or_fault("ssm:PutParameter").map(drop)
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        region.ssm.delete_parameter().name(id).send().await.or_fault("ssm:DeleteParameter").map(drop)
    }
}

fn filter(key: &str, values: &[&String]) -> ParameterStringFilter {
    let values = values.iter().map(ToString::to_string).collect();
    let filter = ParameterStringFilter::builder().key(key).option("Equals").set_values(Some(values));
    filter.build().expect("the key is given")
}

/// The parameters themselves, by name; what is not there is left out.
async fn values(region: &Region, names: Vec<String>) -> Result<BTreeMap<String, Parameter>, Fault> {
    let mut values = BTreeMap::new();
    for names in names.chunks(10) {
        let call = region.ssm.get_parameters().set_names(Some(names.to_vec())).with_decryption(true);
        let found = call.send().await.or_fault("ssm:GetParameters")?.parameters.unwrap_or_default();
        values.extend(found.into_iter().filter_map(|one| Some((one.name()?.to_owned(), one))));
    }
    Ok(values)
}

fn found(
    region: &Region,
    about: &ParameterMetadata,
    parameter: &Parameter,
    tags: Tags,
    name: &str,
) -> Found<SsmParameter> {
    Found {
        inputs: Inputs {
            name: Some(name.to_owned()),
            r#type: parameter.r#type().map(|of| of.as_str().to_owned()).unwrap_or_default(),
            value: parameter.value().unwrap_or_default().to_owned(),
            description: about.description().map(str::to_owned),
            tier: about.tier().map(|tier| tier.as_str().to_owned()),
            key_id: about.key_id().map(str::to_owned),
            data_type: parameter.data_type().map(str::to_owned),
            allowed_pattern: about.allowed_pattern().map(str::to_owned),
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            id: name.to_owned(),
            arn: parameter.arn().map_or_else(|| arn(region, name), str::to_owned),
            version: parameter.version(),
        },
        tags,
        status: Status::Ready,
        id: name.to_owned(),
    }
}

fn arn(region: &Region, name: &str) -> String {
    region.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

/// `aws::ssm_parameter(name)`: one GetParameters.
pub async fn look_up(region: &Region, name: &str) -> Result<Value, Fault> {
    let call = region.ssm.get_parameters().names(name);
    let found = call.send().await.or_fault("ssm:GetParameters")?.parameters.unwrap_or_default();
    let Some(parameter) = found.into_iter().next() else {
        let fault = Fault::new(Class::NotFound, format!("there is no parameter `{name}` in {}", region.name));
        return Err(fault.hint("check the name and the region"));
    };
    if parameter.r#type() == Some(&ParameterType::SecureString) {
        let fault = Fault::new(Class::Invalid, format!("the parameter `{name}` is a SecureString"));
        return Err(fault.hint("a lookup's value is shown in plans: read what is secret through a source of secrets"));
    }
    Ok(value_of(&StoredParameter {
        name: name.to_owned(),
        value: parameter.value().unwrap_or_default().to_owned(),
        r#type: parameter.r#type().map(|of| of.as_str().to_owned()).unwrap_or_default(),
        version: parameter.version(),
        arn: parameter.arn().map_or_else(|| arn(region, name), str::to_owned),
    }))
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let text = |field: &str| inputs.get(field).and_then(Value::as_str);
    let mut mistakes = vec![];
    let mut wrong = |path: &str, what: &str, hint: &str| {
        mistakes.push(Mistake { path: path.into(), what: what.into(), hint: Some(hint.into()) });
    };
    if let Some(name) = text("name") {
        let lower = name.to_lowercase();
        let plain = lower.trim_start_matches('/');
        if name.contains('/') && !name.starts_with('/') {
            wrong("name", "is a path that does not begin with `/`", "put a `/` in front");
        }
        if plain.starts_with("aws") || plain.starts_with("ssm") {
            wrong("name", "begins with `aws` or `ssm`, which AWS keeps for itself", "choose another beginning");
        }
    }
    if text("value") == Some("") {
        wrong("value", "is empty, which AWS does not take", "leave the parameter out, or choose a word for `none`");
    }
    let secure = text("type").is_none_or(|of| of == "SecureString");
    if !secure && inputs.get("key_id").is_some_and(|key| !key.is_null()) {
        wrong("key_id", "is only for a SecureString", "leave it out, or set `type` to \"SecureString\"");
    }
    mistakes
}
