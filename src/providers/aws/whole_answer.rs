//! Refuses answers that end too early or come from somebody else, and has reads asked again.

use std::fmt;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::calls::{operation, reads};

/// Refuses an XML answer that does not end as it began: the parser takes half a list for a shorter one.
#[derive(Debug)]
pub struct WholeAnswer;

/// An answer that says nothing of what became of the call.
#[derive(Debug)]
pub enum Truncated {
    Early,
    Foreign,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Truncated::Early => "the answer ended before it was complete",
            Truncated::Foreign => "the answer is not one of AWS's: a proxy or a login page may stand before it",
        })
    }
}

impl std::error::Error for Truncated {}

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (operation, answer) = (operation(cfg), context.response());
        match answer.body().bytes() {
            Some([]) if may_say_nothing(&operation) => Ok(()),
            Some(body) if !is_whole(body) => Err(Truncated::Early.into()),
            Some(body) if answer.status().is_success() && !is_of(&operation, body) => Err(Truncated::Foreign.into()),
            _ => Ok(()),
        }
    }
}

/// Whether an answer without a body is one: a write's, to services that do not wrap their answers.
fn may_say_nothing(operation: &str) -> bool {
    let (service, name) = operation.split_once(':').unwrap_or_default();
    name.starts_with("Head") || !wraps(service) && !reads(name)
}

/// Whether a service names its answers: `DescribeVpcsResponse`.
fn wraps(service: &str) -> bool {
    ["autoscaling", "ec2", "elasticloadbalancing", "iam", "rds", "sts"].contains(&service)
}

/// Whether it may be the answer to such a call: a page that says that all is well is none.
fn is_of(operation: &str, body: &[u8]) -> bool {
    let service = operation.split(':').next().unwrap_or_default();
    match root_of(&String::from_utf8_lossy(body)) {
        Some((root, _)) => !root.eq_ignore_ascii_case("html") && (!wraps(service) || root.ends_with("Response")),
        None => !wraps(service),
    }
}

/// The name of an XML document's outermost element, with the document from there on.
fn root_of(text: &str) -> Option<(&str, &str)> {
    let mut rest = text.trim();
    while rest.starts_with("<?") || rest.starts_with("<!") {
        rest = rest.split_once('>')?.1.trim_start();
    }
    let name = rest.strip_prefix('<')?.split([' ', '>', '/', '\n', '\r', '\t']).next()?;
    Some((name, rest))
}

/// True unless it is XML that lacks the end of its root element.
fn is_whole(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if !text.starts_with('<') {
        return !text.is_empty();
    }
    let Some((name, rest)) = root_of(text) else { return false };
    let one_element = rest.ends_with("/>") && rest.matches('<').count() == 1;
    !name.is_empty() && (one_element || rest.ends_with(&format!("</{name}>")))
}

/// A read whose answer was cut is asked again, like one that got none.
#[derive(Debug)]
pub struct RetryTruncated;

impl ClassifyRetry for RetryTruncated {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = ctx.output_or_error() else { return RetryAction::NoActionIndicated };
        let error: &(dyn std::error::Error + 'static) = error;
        match std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<Truncated>()) {
            true => RetryAction::transient_error(),
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "RetryTruncated"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_if_it_ends_as_it_began() {
        let whole = br#"<?xml version="1.0"?><DescribeVpcsResponse xmlns="x"><vpcSet/></DescribeVpcsResponse>"#;
        assert!(is_whole(whole));
        for end in 1..whole.len() {
            assert!(!is_whole(&whole[..end]), "{}", String::from_utf8_lossy(&whole[..end]));
        }
        assert!(is_whole(b"{\"json\": true}"));
        assert!(is_whole(b"<Empty/>\n"));
        assert!(!is_whole(b"<Set><item/>"));
        assert!(!is_whole(b""));
    }

    #[test]
    fn a_page_is_no_answer() {
        let page = b"<!DOCTYPE html>\n<html><body>Log in</body></html>";
        for operation in ["ec2:ModifySubnetAttribute", "s3:PutBucketPolicy", "eks:CreateCluster", "tag:GetResources"] {
            assert!(is_whole(page) && !is_of(operation, page), "{operation}");
        }
        assert!(!is_of("ec2:AttachInternetGateway", b"ok") && is_of("eks:CreateCluster", b"{}"));
        assert!(is_of("ec2:AttachInternetGateway", b"<?xml version=\"1.0\"?>\n<AttachInternetGatewayResponse/>"));
        assert!(is_of("s3:ListBuckets", b"<ListAllMyBucketsResult></ListAllMyBucketsResult>"));
    }
}
