//! Refuses answers that end too early, and has reads asked again.

use std::fmt;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::client::{operation, reads};

/// Refuses an XML answer that does not end as it began: the parser takes half a list for a shorter one.
#[derive(Debug)]
pub struct WholeAnswer;

/// An answer that ends too early.
#[derive(Debug)]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer ended before it was complete")
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
        match context.response().body().bytes() {
            Some([]) if may_say_nothing(&operation(cfg)) => Ok(()),
            Some(body) if !is_whole(body) => Err(Truncated.into()),
            _ => Ok(()),
        }
    }
}

/// Whether an answer without a body is one: a write's, to services that do not wrap their answers.
fn may_say_nothing(operation: &str) -> bool {
    let (service, name) = operation.split_once(':').unwrap_or_default();
    let wraps = ["autoscaling", "ec2", "elasticloadbalancing", "iam", "rds", "sts"].contains(&service);
    name.starts_with("Head") || !wraps && !reads(name)
}

/// True unless it is XML that lacks the end of its root element.
fn is_whole(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let mut rest = text.trim();
    if rest.is_empty() {
        return false;
    }
    if !rest.starts_with('<') {
        return true;
    }
    while rest.starts_with("<?") || rest.starts_with("<!") {
        match rest.split_once('>') {
            Some((_, after)) => rest = after.trim_start(),
            None => return false,
        }
    }
    let name: &str = rest.trim_start_matches('<').split([' ', '>', '/', '\n', '\r', '\t']).next().unwrap_or_default();
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
}
