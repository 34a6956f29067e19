//! `aws::acm_certificate`. Reads: one GetResources per region (100 a page), then one DescribeCertificate and one
//! ListTagsForCertificate for each certificate of the stack.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_acm::types::{CertificateDetail, CertificateType, KeyAlgorithm, ValidationMethod};
use aws_smithy_types::date_time::{DateTime, Format};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::certificates::{self, failure, is_pending};
use super::client::Region;
use super::fault::OrFault;
use super::kind::{AwsKind, Birth, Change, Found, Search, each};
use super::lower_case;
use super::tagging::Type;
use super::tags::{self, Tags};
use crate::providers::typed::value_of;
use crate::resource::kind::Nature;
use crate::resource::{Fault, Map, Status, Value};

pub struct AcmCertificate;

/// A certificate that AWS issues once DNS shows that its names are yours. It counts as made when AWS has said which DNS
/// records it wants to see; `aws::acm_certificate_validation` waits until it is issued.
///
/// The record of `*.example.com` is that of `example.com`, so one record for each name without its `*.` is enough:
///
/// ```rhai
/// let names = ["example.com", "*.example.com", "api.example.com"];
/// let certificate = aws::acm_certificate("main", #{ domain_name: names[0], subject_alternative_names: names });
/// let seen = [];
/// for name in names {
///     let bare = if name.starts_with("*.") { name.sub_string(2) } else { name };
///     if bare in seen { continue; }
///     seen.push(bare);
///     let record = certificate.domain_validation_options[name];
///     // one DNS record: record.resource_record_name, record.resource_record_type, record.resource_record_value
/// }
/// ```
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The name it is for; `*.example.com` is every name directly below (RequestCertificate).
    #[schemars(extend("immutable" = true))]
    pub domain_name: String,
    /// More names it is for; whether `domain_name` is repeated among them makes no difference (RequestCertificate).
    #[schemars(extend("uniqueItems" = true, "immutable" = true))]
    pub subject_alternative_names: Option<Vec<String>>,
    /// How AWS finds out that the names are yours: by records in DNS (RequestCertificate).
    #[serde(default = "dns")]
    #[schemars(extend("enum" = ["DNS"], "immutable" = true))]
    pub validation_method: String,
    /// Kind and size of the key, `RSA_2048` or `EC_prime256v1`; left out, `RSA_2048` (RequestCertificate).
    #[schemars(extend("immutable" = true))]
    pub key_algorithm: Option<String>,
    /// Tags; `Name` defaults to the logical name.
    pub tags: Option<Tags>,
}

fn dns() -> String {
    "DNS".into()
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the certificate.
    #[schemars(example = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    id: String,
    /// ARN of the certificate.
    #[schemars(example = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    arn: String,
    /// The DNS record that AWS wants to see for each name, under the name.
    #[schemars(example = example_records())]
    domain_validation_options: BTreeMap<String, Record>,
    /// `PENDING_VALIDATION` or `ISSUED`.
    #[schemars(example = &"PENDING_VALIDATION")]
    status: String,
    /// `AMAZON_ISSUED`, `IMPORTED` or `PRIVATE`.
    #[schemars(example = &"AMAZON_ISSUED")]
    r#type: String,
    /// From when on it is valid; known once it is issued.
    #[schemars(example = &"2026-01-01T00:00:00Z")]
    not_before: Option<String>,
    /// Until when it is valid; AWS renews it before that as long as the DNS records are there.
    #[schemars(example = &"2027-01-31T23:59:59Z")]
    not_after: Option<String>,
}

/// A DNS record.
#[derive(Serialize, JsonSchema)]
struct Record {
    /// Name of the record, with a dot at its end.
    resource_record_name: String,
    /// `CNAME`.
    resource_record_type: String,
    /// What the record says.
    resource_record_value: String,
}

fn example_records() -> BTreeMap<String, Record> {
    made_up_records(&["example.com"])
}

impl AwsKind for AcmCertificate {
    const NAME: &'static str = "aws::acm_certificate";
    const TYPE: Type = Type::Certificate;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        Nature {
            normalise: |field, value| match (field, value) {
                ("domain_name", Value::String(name)) => name.to_lowercase().into(),
                ("subject_alternative_names", Value::List(names)) => names.iter().map(lower_case).collect(),
                _ => value.clone(),
            },
            // Records are looked up by the names as they were written.
            check: |inputs| lower_case::check(inputs, &["domain_name", "subject_alternative_names"]),
            // AWS adds the first name to the others.
            fits: |field, wanted, live| {
                field == "subject_alternative_names" && others(wanted).is_some_and(|names| Some(names) == others(live))
            },
            made_up: |output, inputs| match (output, inputs.get("domain_name")) {
                ("domain_validation_options", Some(Value::String(first))) => {
                    let more = inputs.get("subject_alternative_names").and_then(Value::as_list).unwrap_or_default();
                    let names: Vec<&str> =
                        [first.as_str()].into_iter().chain(more.iter().filter_map(Value::as_str)).collect();
                    Some(value_of(&made_up_records(&names)))
                }
                _ => None,
            },
            id_prefix: "arn:aws:acm:eu-west-1:111122223333:certificate/",
            timeout: 300,
            ..Nature::default()
        }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let arns = search.ids(region, &Self::TYPE, |arn| Some(arn.to_owned())).await?;
        each(arns, |arn| async move {
            let Some((detail, tags)) = certificates::read(region, &arn).await? else { return Ok(None) };
            Ok(Some(Found {
                inputs: Inputs {
                    domain_name: detail.domain_name().unwrap_or_default().to_owned(),
                    subject_alternative_names: Some(detail.subject_alternative_names().to_vec()),
                    validation_method: validation_method(&detail),
                    // It is written otherwise than it was asked for: `RSA-2048`.
                    key_algorithm: detail.key_algorithm().map(|of| of.as_str().replace('-', "_")),
                    tags: tags::authored(&tags),
                },
                outputs: Outputs {
                    id: arn.clone(),
                    arn: arn.clone(),
                    domain_validation_options: records(&detail),
                    status: detail.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
                    r#type: detail.r#type().map(|of| of.as_str().to_owned()).unwrap_or_default(),
                    not_before: detail.not_before().and_then(moment),
                    not_after: detail.not_after().and_then(moment),
                },
                status: status(&detail),
                tags,
                id: arn,
            }))
        })
        .await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let call = region
            .acm
            .request_certificate()
            .domain_name(&inputs.domain_name)
            .set_subject_alternative_names(inputs.subject_alternative_names.clone().filter(|names| !names.is_empty()))
            .validation_method(ValidationMethod::from(inputs.validation_method.as_str()))
            .set_key_algorithm(inputs.key_algorithm.as_deref().map(KeyAlgorithm::from))
            // It takes up to 32 letters and digits.
            .idempotency_token(&hex(&birth.token)[..32])
            .set_tags(birth.list());
        Ok(call.send().await.or_fault("acm:RequestCertificate")?.certificate_arn)
    }

    async fn update(_: &Region, _: &str, _: Change<'_, Inputs>) -> Result<(), Fault> {
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        region.acm.delete_certificate().certificate_arn(id).send().await.or_fault("acm:DeleteCertificate").map(drop)
    }
}

/// A new one has no records for some seconds, and perhaps not even the list of its names.
fn status(detail: &CertificateDetail) -> Status {
    if let Some(why) = failure(detail) {
        return Status::Failed(why);
    }
    if !is_pending(detail) || validation_method(detail) != dns() {
        return Status::Ready;
    }
    let told = records(detail);
    let names = detail.subject_alternative_names().iter().map(String::as_str).chain(detail.domain_name());
    let missing: BTreeSet<&str> = names.filter(|name| !told.contains_key(*name)).collect();
    match missing.is_empty() {
        true => Status::Ready,
        false => Status::Pending(format!("no validation record yet for {}", Vec::from_iter(missing).join(", "))),
    }
}

fn validation_method(detail: &CertificateDetail) -> String {
    let told = detail.domain_validation_options().iter().find_map(|of_name| of_name.validation_method());
    match (told, detail.r#type()) {
        (Some(method), _) => method.as_str().to_owned(),
        (None, Some(CertificateType::AmazonIssued) | None) => dns(),
        // One that AWS did not issue was not validated at all.
        (None, Some(other)) => other.as_str().to_owned(),
    }
}

fn records(detail: &CertificateDetail) -> BTreeMap<String, Record> {
    let told = detail.domain_validation_options().iter().filter_map(|of_name| {
        let record = of_name.resource_record()?;
        let record = Record {
            resource_record_name: record.name().to_owned(),
            resource_record_type: record.r#type().as_str().to_owned(),
            resource_record_value: record.value().to_owned(),
        };
        Some((of_name.domain_name().to_owned(), record))
    });
    told.collect()
}

/// Records as AWS would want them: a name and all names directly below share one.
fn made_up_records(names: &[&str]) -> BTreeMap<String, Record> {
    let record = |name: &str| {
        let bare = name.strip_prefix("*.").unwrap_or(name);
        let digest = hex(bare);
        Record {
            resource_record_name: format!("_{}.{bare}.", &digest[..32]),
            resource_record_type: "CNAME".into(),
            resource_record_value: format!("_{}.acm-validations.aws.", &digest[32..]),
        }
    };
    names.iter().map(|name| ((*name).to_owned(), record(name))).collect()
}

/// The names besides the first one, however they are written.
fn others(inputs: &Map) -> Option<BTreeSet<String>> {
    let first = inputs.get("domain_name")?.as_str()?.to_lowercase();
    let names = inputs.get("subject_alternative_names")?.as_list()?;
    let names: Option<BTreeSet<String>> = names.iter().map(|name| Some(name.as_str()?.to_lowercase())).collect();
    names.map(|names| names.into_iter().filter(|name| *name != first).collect())
}

fn lower_case(name: &Value) -> Value {
    name.as_str().map_or_else(|| name.clone(), |name| name.to_lowercase().into())
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn moment(at: &DateTime) -> Option<String> {
    at.fmt(Format::DateTime).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: serde_json::Value) -> Map {
        match Value::from(json) {
            Value::Map(map) => map,
            other => panic!("{other} is no map"),
        }
    }

    #[test]
    fn a_name_and_all_below_it_share_a_record_in_the_sandbox_too() {
        let inputs = map(serde_json::json!({ "domain_name": "example.com",
                                             "subject_alternative_names": ["*.example.com", "api.example.com"] }));
        let made = (AcmCertificate::nature().made_up)("domain_validation_options", &inputs).unwrap();
        let made = made.as_map().unwrap();
        assert_eq!(made.len(), 3);
        assert_eq!(made["example.com"], made["*.example.com"]);
        assert_ne!(made["example.com"], made["api.example.com"]);
    }

    #[test]
    fn the_first_name_may_be_among_the_others() {
        let fits = AcmCertificate::nature().fits;
        let names = |names: &[&str]| {
            map(serde_json::json!({ "domain_name": "example.com", "subject_alternative_names": names }))
        };
        let live = names(&["example.com", "*.example.com"]);
        for wanted in [&["*.example.com"][..], &["*.Example.com", "example.com"]] {
            assert!(fits("subject_alternative_names", &names(wanted), &live), "{wanted:?}");
        }
        assert!(!fits("subject_alternative_names", &names(&[]), &live));
        assert!(!fits("domain_name", &live, &live));
    }
}
