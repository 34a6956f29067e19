//! `aws::acm_certificate_validation`. Reads: one GetResources per region (100 a page), then one DescribeCertificate and
//! one ListTagsForCertificate for each certificate that the stack waits for.
//!
//! AWS knows no such thing. That a stack waits for a certificate is remembered in tags on the certificate, beside those
//! of the certificate's own owner, which may be another stack.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, DomainStatus, DomainValidation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::certificates::{self, failure, is_pending};
use super::client::Region;
use super::kind::{AwsKind, Birth, Change, Found, Search, each};
use super::tagging::{self, Type};
use super::tags;
use crate::resource::kind::Nature;
use crate::resource::{Class, Fault, Select, Status};

pub struct AcmCertificateValidation;

/// The wait until a certificate is issued. What needs an issued one (a listener) refers to `certificate_arn` of this
/// instead of the certificate's.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The certificate to wait for; one wait for each (DescribeCertificate).
    #[schemars(extend("immutable" = true))]
    pub certificate_arn: String,
    /// Names of the DNS records that AWS looks for: they are made before the wait begins.
    #[schemars(extend("write_only" = true))]
    pub validation_record_fqdns: Option<Vec<String>>,
}

#[derive(Serialize, JsonSchema)]
pub struct Outputs {
    /// ARN of the certificate.
    #[schemars(example = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")]
    id: String,
}

impl AwsKind for AcmCertificateValidation {
    const NAME: &'static str = "aws::acm_certificate_validation";
    const TYPE: Type = Type::CertificateValidation;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn nature() -> Nature {
        // AWS gives up after 72 hours; records that are right are seen within minutes.
        Nature { natural_key: &["certificate_arn"], timeout: 4500, ..Nature::default() }
    }

    async fn list(region: &Region, search: &Search<'_>) -> Result<Vec<Found<Self>>, Fault> {
        let arns = match search.select() {
            Select::Owned { stack } => tagging::awaited_arns(region, stack).await?,
            Select::Ids(arns) | Select::Named(arns) => arns.clone(),
        };
        each(arns, |arn| async move {
            let read = certificates::read(region, &arn).await?;
            Ok(read.and_then(|(detail, all)| {
                let tags = Self::TYPE.own_tags(&all);
                tags::owner(&tags)?;
                Some(Found {
                    inputs: Inputs { certificate_arn: arn.clone(), validation_record_fqdns: None },
                    outputs: Outputs { id: arn.clone() },
                    status: status(&detail),
                    tags,
                    id: arn,
                })
            }))
        })
        .await
    }

    async fn create(region: &Region, inputs: &Inputs, birth: &Birth) -> Result<Option<String>, Fault> {
        let arn = &inputs.certificate_arn;
        let Some((_, all)) = certificates::read(region, arn).await? else {
            return Err(Fault::new(Class::NotFound, format!("there is no certificate {arn}")));
        };
        let owner = tags::owner(&Self::TYPE.own_tags(&all));
        let is_other = |other: &crate::resource::Owner| {
            (&other.stack, &other.address) != (&birth.owner.stack, &birth.owner.address)
        };
        if let Some(other) = owner.filter(is_other) {
            let taken = format!("{arn} is waited for already, by {} of stack `{}`", other.address, other.stack);
            return Err(Fault::new(Class::Exists, taken).hint("one wait is enough: refer to the certificate itself"));
        }
        let ours = birth.tags.iter().filter(|(key, _)| key.starts_with(tags::OURS));
        let ours = ours.map(|(key, value)| (key.clone(), value.clone())).collect();
        tagging::write(region, &Self::TYPE, (arn, arn), &ours, &[]).await?;
        Ok(Some(arn.clone()))
    }

    async fn update(_: &Region, _: &str, _: Change<'_, Inputs>) -> Result<(), Fault> {
        Ok(())
    }

    async fn delete(region: &Region, id: &str, _: Inputs) -> Result<(), Fault> {
        let Some((_, all)) = certificates::read(region, id).await? else { return Ok(()) };
        let gone: Vec<String> = Self::TYPE.own_tags(&all).into_keys().collect();
        tagging::write(region, &Self::TYPE, (id, id), &tags::Tags::new(), &gone).await
    }
}

fn status(detail: &CertificateDetail) -> Status {
    match detail.status() {
        Some(CertificateStatus::Issued) => Status::Ready,
        _ if is_pending(detail) => {
            let names = detail.domain_validation_options().iter();
            let unseen = names.filter(|of_name| of_name.validation_status() != Some(&DomainStatus::Success));
            let record = |of_name: &DomainValidation| {
                let record = of_name.resource_record()?;
                let bare = |name: &str| name.trim_end_matches('.').to_owned();
                Some(format!("{} {} {}", bare(record.name()), record.r#type().as_str(), bare(record.value())))
            };
            let mut unseen: Vec<String> = unseen.filter_map(record).collect();
            unseen.sort_unstable();
            unseen.dedup();
            Status::Pending(match unseen.is_empty() {
                true => "PENDING_VALIDATION".into(),
                false => format!("PENDING_VALIDATION: waiting for the record {}", unseen.join(", ")),
            })
        }
        Some(other) => Status::Failed(failure(detail).unwrap_or_else(|| other.as_str().to_owned())),
        None => Status::Pending("no status yet".into()),
    }
}
