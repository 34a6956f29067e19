//! `aws::key_pair`. Reads: one DescribeKeyPairs per region; the API gives all in one answer.

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::ResourceType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search};
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::resource::kind::Nature;
use crate::resource::schema::Mistake;
use crate::resource::{Fault, Map, Status, Value};

pub struct KeyPair;

/// The public half of a key, by which an instance knows who may log in. Its private half never leaves its owner.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// Name, unique in the region, by which instances name the key; left out, the logical name (ImportKeyPair).
    #[schemars(extend("immutable" = true))]
    pub key_name: Option<String>,
    /// Public key in the form of OpenSSH: `ssh-ed25519 AAAA… comment`. The comment does not count (ImportKeyPair).
    #[schemars(extend("immutable" = true))]
    pub public_key: String,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// Id of the key pair; an instance takes `key_name`.
    #[schemars(example = "key-0a1b2c3d4e5f60718")]
    id: String,
    /// ARN of the key pair.
    #[schemars(example = "arn:aws:ec2:eu-west-1:111122223333:key-pair/key-0a1b2c3d4e5f60718")]
    arn: String,
    /// Id of the key pair.
    #[schemars(example = "key-0a1b2c3d4e5f60718")]
    key_pair_id: String,
    /// Fingerprint of the public key: SHA-256 of an ED25519 key, MD5 of an RSA key.
    #[schemars(example = &"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    fingerprint: String,
    /// `ed25519` or `rsa`.
    #[schemars(example = &"ed25519")]
    key_type: String,
}

impl AwsKind for KeyPair {
    const NAME: &'static str = "aws::key_pair";
    const TYPE: Type = Type::Ec2(ResourceType::KeyPair);
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            natural_key: &["key_name"],
            named_by: Some("key_name"),
            normalise: |field, value| match (field, value.as_str()) {
                ("public_key", Some(key)) => without_comment(key).into(),
                _ => value.clone(),
            },
            check,
            id_prefix: "key-",
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let mut keys = vec![];
        for filters in search.listings("key-pair-id", Some("key-name")) {
            let call = region.ec2.describe_key_pairs().include_public_key(true).set_filters(Some(filters));
            keys.extend(call.send().await.or_fault("ec2:DescribeKeyPairs")?.key_pairs.unwrap_or_default());
        }
        let found = keys.into_iter().filter_map(|key| {
            let id = key.key_pair_id()?.to_owned();
            Some(Found {
                inputs: Inputs {
                    key_name: key.key_name().map(str::to_owned),
                    public_key: without_comment(key.public_key().unwrap_or_default()),
                    tags: tags::authored(&tags::of(key.tags())),
                },
                outputs: Outputs {
                    id: id.clone(),
                    arn: region.ec2_arn(None, &format!("key-pair/{id}")),
                    key_pair_id: id.clone(),
                    fingerprint: key.key_fingerprint().unwrap_or_default().to_owned(),
                    key_type: key.key_type().map_or("rsa", |of| of.as_str()).to_owned(),
                },
                tags: tags::of(key.tags()),
                status: Status::Ready,
                id,
            })
        });
        Ok(found.collect())
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .ec2
            .import_key_pair()
            .key_name(inputs.key_name.as_deref().unwrap_or(&birth.owner.address.name))
            .public_key_material(Blob::new(inputs.public_key.as_bytes()))
            .tag_specifications(birth.specification());
        Ok(call.send().await.or_fault("ec2:ImportKeyPair")?.key_pair_id)
    }

    async fn update(_: &Region, _: &str, _: Change<'_, Inputs>) -> Result<(), Fault> {
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        region.ec2.delete_key_pair().key_pair_id(id).send().await.or_fault("ec2:DeleteKeyPair").map(drop)
    }
}

/// `ssh-ed25519 AAAA…`: AWS puts the key's name where the comment was.
fn without_comment(key: &str) -> String {
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn check(inputs: &Map) -> Vec<Mistake> {
    let Some(key) = inputs.get("public_key").and_then(Value::as_str) else { return vec![] };
    let mistake = |what: &str, hint: &str| {
        vec![Mistake { path: "public_key".into(), what: what.into(), hint: Some(hint.into()) }]
    };
    match key.split_whitespace().next() {
        _ if key.contains("PRIVATE KEY") => {
            mistake("is a private key", "pass the public half: the file that ends in .pub")
        }
        Some("ssh-ed25519" | "ssh-rsa") => vec![],
        _ => {
            mistake("is not a key that EC2 takes", "pass an OpenSSH public key: `ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_checked_before_it_is_sent() {
        let told = |key: &str| {
            let inputs = Map::from([("public_key".to_owned(), Value::from(key))]);
            check(&inputs).into_iter().map(|mistake| mistake.what).collect::<Vec<_>>()
        };
        assert_eq!(told("ssh-ed25519 AAAA me@example.com"), [""; 0]);
        assert_eq!(told("-----BEGIN OPENSSH PRIVATE KEY-----"), ["is a private key"]);
        assert_eq!(told("ecdsa-sha2-nistp256 AAAA"), ["is not a key that EC2 takes"]);
    }
}
