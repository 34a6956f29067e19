//! `aws::ecr_repository`. Reads: one GetResources per region, one DescribeRepositories per 100 repositories, and for each
//! repository one ListTagsForResource, one GetLifecyclePolicy and one GetRepositoryPolicy.

use std::collections::BTreeMap;

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability, Repository,
};
use futures_util::future::try_join3;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batches::in_batches;
use super::client::Region;
use super::document;
use super::fault::{OrFault, gone_is_fine};
use super::kind::{AwsKind, Birth, Change, Found, Search, each, if_there};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct EcrRepository;

/// A place for container images of one name.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the account and region, in lower case; `/` makes paths. Left out, the logical name
    /// (CreateRepository).
    #[schemars(extend("immutable" = true))]
    pub name: Option<String>,
    /// Whether a tag may be moved to another image (PutImageTagMutability).
    #[serde(default = "mutable")]
    #[schemars(extend("enum" = ["MUTABLE", "IMMUTABLE"]))]
    pub image_tag_mutability: String,
    /// Whether images are scanned for vulnerabilities (PutImageScanningConfiguration).
    pub image_scanning_configuration: Option<Scanning>,
    /// How images are encrypted; left out, with a key of S3 (CreateRepository).
    #[schemars(extend("immutable" = true))]
    pub encryption_configuration: Option<Encryption>,
    /// Which images are deleted when, as JSON; `""` for none (PutLifecyclePolicy).
    pub lifecycle_policy: Option<String>,
    /// What others may do with the repository, as JSON; `""` for none (SetRepositoryPolicy).
    pub policy: Option<String>,
    /// Whether deleting the repository also deletes its images.
    #[schemars(extend("remembered" = true))]
    pub force_delete: Option<bool>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

/// When images are scanned.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Scanning {
    /// Each image as soon as it is pushed.
    scan_on_push: bool,
}

/// How images are encrypted.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Encryption {
    /// With a key of S3 (`AES256`) or of KMS.
    #[serde(default = "aes256")]
    #[schemars(extend("enum" = ["AES256", "KMS", "KMS_DSSE"]))]
    encryption_type: String,
    /// KMS: ARN of the key.
    kms_key: Option<String>,
}

fn mutable() -> String {
    "MUTABLE".into()
}

fn aes256() -> String {
    "AES256".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Name of the repository.
    #[schemars(example = "team/app")]
    id: String,
    /// ARN of the repository.
    #[schemars(example = "arn:aws:ecr:eu-west-1:111122223333:repository/team/app")]
    arn: String,
    /// Account whose registry it is in.
    #[schemars(example = "111122223333")]
    registry_id: String,
    /// Where images are pushed to and pulled from, without a tag.
    #[schemars(example = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app")]
    repository_url: String,
}

impl AwsKind for EcrRepository {
    const NAME: &'static str = "aws::ecr_repository";
    const TYPE: Type = Type::Repository;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["name"],
            named_by: Some("name"),
            check,
            normalise: |field, value| match field {
                "lifecycle_policy" | "policy" => document::meaning(value),
                _ => value.clone(),
            },
            made_up,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let name = |arn: &str| arn.split_once(":repository/").map(|(_, name)| name.to_owned());
        let names: Vec<String> = search.ids(region, &Self::TYPE, name).await?.into_iter().collect();
        let repositories = in_batches(names, 100, |names| describe(region, names)).await?;
        let by_name: BTreeMap<String, Repository> =
            repositories.into_iter().filter_map(|one| Some((one.repository_name()?.to_owned(), one))).collect();
        each(by_name.keys().cloned(), |name| read(region, &by_name, name)).await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let encryption = inputs.encryption_configuration.as_ref().map(encryption);
        let call = region
            .ecr
            .create_repository()
            .repository_name(inputs.name.as_deref().unwrap_or(&birth.owner.address.name))
            .image_tag_mutability(ImageTagMutability::from(inputs.image_tag_mutability.as_str()))
            .set_image_scanning_configuration(inputs.image_scanning_configuration.as_ref().map(scanning))
            .set_encryption_configuration(encryption)
            .set_tags(birth.list());
        let made = call.send().await.or_fault("ecr:CreateRepository")?.repository;
        Ok(made.and_then(|repository| repository.repository_name))
    }

    async fn complete(region: &Region, id: &str, inputs: &Inputs) -> Result<(), Fault> {
        if document::given(&inputs.lifecycle_policy).is_some() {
            set_lifecycle_policy(region, id, inputs).await?;
        }
        if document::given(&inputs.policy).is_some() {
            set_policy(region, id, inputs).await?;
        }
        Ok(())
    }

    async fn update(region: &Region, id: &str, change: Change<'_, Inputs>) -> Result<(), Fault> {
        let wanted = change.inputs;
        if change.of("image_tag_mutability") {
            let mutability = ImageTagMutability::from(wanted.image_tag_mutability.as_str());
            let call = region.ecr.put_image_tag_mutability().repository_name(id).image_tag_mutability(mutability);
            call.send().await.or_fault("ecr:PutImageTagMutability")?;
        }
        if change.of("image_scanning_configuration") {
            let scans = wanted.image_scanning_configuration.as_ref().map(scanning);
            let scans = scans.unwrap_or_else(|| ImageScanningConfiguration::builder().build());
            let call = region.ecr.put_image_scanning_configuration().repository_name(id);
            let call = call.image_scanning_configuration(scans);
            call.send().await.or_fault("ecr:PutImageScanningConfiguration")?;
        }
        if change.of("lifecycle_policy") {
            set_lifecycle_policy(region, id, wanted).await?;
        }
        if change.of("policy") {
            set_policy(region, id, wanted).await?;
        }
        Ok(())
    }

    async fn delete(region: &Region, id: &str, live: Inputs) -> Result<(), Fault> {
        let call = region.ecr.delete_repository().repository_name(id).force(live.force_delete == Some(true));
        call.send().await.or_fault("ecr:DeleteRepository").map(drop)
    }
}

async fn describe(region: &Region, names: Vec<String>) -> Result<Vec<Repository>, Fault> {
    let call = region.ecr.describe_repositories().set_repository_names(Some(names));
    Ok(call.send().await.or_fault("ecr:DescribeRepositories")?.repositories.unwrap_or_default())
}

/// The rest of one repository, by calls that take only one.
async fn read(
    region: &Region,
    repositories: &BTreeMap<String, Repository>,
    name: String,
) -> Result<Option<Found<EcrRepository>>, Fault> {
    let Some(repository) = repositories.get(&name) else { return Ok(None) };
    let arn = repository.repository_arn().unwrap_or_default();
    let (tags, lifecycle_policy, policy) = try_join3(
        async {
            let call = region.ecr.list_tags_for_resource().resource_arn(arn);
            if_there(call.send().await.or_fault("ecr:ListTagsForResource"))
        },
        async {
            let call = region.ecr.get_lifecycle_policy().repository_name(&name);
            if_there(call.send().await.or_fault("ecr:GetLifecyclePolicy"))
        },
        async {
            let call = region.ecr.get_repository_policy().repository_name(&name);
            if_there(call.send().await.or_fault("ecr:GetRepositoryPolicy"))
        },
    )
    .await?;
    // Deleted in the meantime.
    let Some(tags) = tags.map(|answer| tags::of(answer.tags())) else { return Ok(None) };
    let encryption = repository.encryption_configuration().map(|one| Encryption {
        encryption_type: one.encryption_type().as_str().to_owned(),
        kms_key: one.kms_key().map(str::to_owned),
    });
    let scanning = repository.image_scanning_configuration();
    Ok(Some(Found {
        inputs: Inputs {
            name: Some(name.clone()),
            image_tag_mutability: repository.image_tag_mutability().map_or_else(mutable, |m| m.as_str().to_owned()),
            image_scanning_configuration: scanning.map(|one| Scanning { scan_on_push: one.scan_on_push() }),
            encryption_configuration: encryption,
            lifecycle_policy: lifecycle_policy.and_then(|answer| answer.lifecycle_policy_text),
            policy: policy.and_then(|answer| answer.policy_text),
            force_delete: None,
            tags: tags::authored(&tags),
        },
        outputs: Outputs {
            arn: arn.to_owned(),
            registry_id: repository.registry_id().unwrap_or(&region.account).to_owned(),
            repository_url: repository.repository_uri().unwrap_or_default().to_owned(),
            id: name.clone(),
        },
        tags,
        status: Status::Ready,
        id: name,
    }))
}

fn scanning(scanning: &Scanning) -> ImageScanningConfiguration {
    ImageScanningConfiguration::builder().scan_on_push(scanning.scan_on_push).build()
}

fn encryption(encryption: &Encryption) -> EncryptionConfiguration {
    EncryptionConfiguration::builder()
        .encryption_type(EncryptionType::from(encryption.encryption_type.as_str()))
        .set_kms_key(encryption.kms_key.clone())
        .build()
        .expect("the type is given")
}

async fn set_lifecycle_policy(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    match document::given(&inputs.lifecycle_policy) {
        Some(text) => {
            let call = region.ecr.put_lifecycle_policy().repository_name(name).lifecycle_policy_text(text);
            call.send().await.or_fault("ecr:PutLifecyclePolicy").map(drop)
        }
        None => {
            let call = region.ecr.delete_lifecycle_policy().repository_name(name);
            gone_is_fine(call.send().await.or_fault("ecr:DeleteLifecyclePolicy").map(drop))
        }
    }
}

async fn set_policy(region: &Region, name: &str, inputs: &Inputs) -> Result<(), Fault> {
    match document::given(&inputs.policy) {
        Some(text) => {
            let call = region.ecr.set_repository_policy().repository_name(name).policy_text(text);
            call.send().await.or_fault("ecr:SetRepositoryPolicy").map(drop)
        }
        None => {
            let call = region.ecr.delete_repository_policy().repository_name(name);
            gone_is_fine(call.send().await.or_fault("ecr:DeleteRepositoryPolicy").map(drop))
        }
    }
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let mut mistakes = document::check(inputs, &["lifecycle_policy", "policy"]);
    let encryption = inputs.get("encryption_configuration").and_then(Value::as_map);
    let part = |name: &str| encryption.and_then(|map| map.get(name)).filter(|value| !value.is_null());
    let kms = part("encryption_type").and_then(Value::as_str).is_some_and(|of| of != "AES256");
    if kms && part("kms_key").is_none() {
        // AWS would fill it in, and the repository would look different for ever.
        mistakes.push(Mistake {
            path: "encryption_configuration.kms_key".into(),
            what: "is required for encryption with KMS".into(),
            hint: Some("name the key by its ARN".into()),
        });
    }
    mistakes
}

fn made_up(output: &str, inputs: &Map) -> Option<Value> {
    let name = inputs.get("name")?.as_str()?;
    (output == "repository_url").then(|| format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/{name}").into())
}
