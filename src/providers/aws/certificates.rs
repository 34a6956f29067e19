//! Certificates as ACM tells of them: read together with their tags, and what went wrong with them.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus};
use futures_util::future::join;

use super::client::Region;
use super::fault::OrFault;
use super::kind::if_there;
use super::tags::{self, Tags};
use crate::resource::Fault;

/// One certificate and all its tags.
pub async fn read(region: &Region, arn: &str) -> Result<Option<(CertificateDetail, Tags)>, Fault> {
    // Anything else would be refused as malformed; there is none of that name.
    if !arn.starts_with("arn:") {
        return Ok(None);
    }
    let detail = region.acm.describe_certificate().certificate_arn(arn).send();
    let tags = region.acm.list_tags_for_certificate().certificate_arn(arn).send();
    let (detail, tags) = join(detail, tags).await;
    let detail = if_there(detail.or_fault("acm:DescribeCertificate"))?.and_then(|answer| answer.certificate);
    let tags = if_there(tags.or_fault("acm:ListTagsForCertificate"))?;
    Ok(detail.zip(tags.map(|answer| tags::of(answer.tags()))))
}

/// Why it will never be of use, or not any more.
pub fn failure(detail: &CertificateDetail) -> Option<String> {
    use CertificateStatus::{Expired, Failed, Revoked, ValidationTimedOut};
    let status = detail.status().filter(|status| matches!(status, Expired | Failed | Revoked | ValidationTimedOut))?;
    let reason = detail.failure_reason().map(|reason| reason.as_str());
    match reason.or(detail.revocation_reason().map(|reason| reason.as_str())) {
        Some(reason) => Some(format!("{}: {reason}", status.as_str())),
        None => Some(status.as_str().to_owned()),
    }
}

/// Whether AWS still has to see that the names are ours.
pub fn is_pending(detail: &CertificateDetail) -> bool {
    detail.status() == Some(&CertificateStatus::PendingValidation)
}
