//! What AWS says went wrong, as a [`Fault`]: its class decides what the engine may do, its hint what a person can.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::request_id::RequestId;

use super::client::{Refused, Truncated};
use crate::resource::{Class, Fault};

/// Names the call (`ec2:CreateVpc`) and turns the SDK's error into a fault.
pub trait OrFault<T> {
    fn or_fault(self, operation: &'static str) -> Result<T, Fault>;
}

impl<T, E> OrFault<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn or_fault(self, operation: &'static str) -> Result<T, Fault> {
        self.map_err(|error| {
            let mut fault = match &error {
                SdkError::ServiceError(service) => answered(service.err().meta(), service.raw(), operation),
                _ => unanswered(&error),
            };
            fault.operation = Some(operation.to_owned());
            fault.request_id =
                fault.request_id.or_else(|| error.request_id().filter(|id| !id.is_empty()).map(str::to_owned));
            fault
        })
    }
}

/// What to make of a fault that comes after the resource itself was made: the same create must not be done again; what
/// is there is to be completed.
pub fn after<T>(id: &str, result: Result<T, Fault>) -> Result<T, Fault> {
    result.map_err(|mut fault| {
        fault.message = format!("{id} was created, but not all of it was set: {}", fault.message);
        fault.created = Some(id.to_owned());
        fault
    })
}

/// A removal of what is gone already is done.
pub fn gone_is_fine(result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if fault.class == Class::NotFound => Ok(()),
        other => other,
    }
}

/// AWS answered with an error.
fn answered(meta: &ErrorMetadata, raw: &HttpResponse, operation: &str) -> Fault {
    let code = meta.code().unwrap_or_default();
    let message = meta.message().unwrap_or_default().trim().trim_end_matches('.');
    let status = raw.status().as_u16();
    let mut fault = Fault::new(
        in_context(code, message, operation).unwrap_or_else(|| classify(code, status)),
        if message.is_empty() { format!("AWS answered with status {status}") } else { lower_first(message) },
    );
    fault.code = Some(code.to_owned()).filter(|code| !code.is_empty());
    fault.request_id = meta.request_id().filter(|id| !id.is_empty()).map(str::to_owned);
    fault.hint = hint(code, message, operation);
    fault
}

/// No answer, or none that can be read.
fn unanswered<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Fault {
    if let Some(refused) = find::<Refused, _>(error) {
        return Fault::new(Class::ReadOnly, refused.to_string());
    }
    if let Some(truncated) = find::<Truncated, _>(error) {
        return Fault::new(Class::Ambiguous, truncated.to_string());
    }
    if let Some(credentials) = find::<CredentialsError, _>(error) {
        return no_credentials(credentials);
    }
    match error {
        SdkError::TimeoutError(_) => Fault::new(Class::Ambiguous, "no answer came in time"),
        SdkError::DispatchFailure(failure) if never_sent(error) => {
            let verb = if failure.is_timeout() { "no connection in time" } else { "no connection" };
            Fault::new(Class::Other, format!("{verb}: {}", innermost(error)))
                .hint("check the network, the region's name, proxies (`HTTPS_PROXY`) and `AWS_ENDPOINT_URL`")
        }
        SdkError::DispatchFailure(_) => {
            Fault::new(Class::Ambiguous, format!("the connection broke: {}", innermost(error)))
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            Fault::new(Class::Ambiguous, format!("the answer (status {status}) cannot be read: {}", innermost(error)))
        }
        _ => Fault::new(Class::Other, chain(error)),
    }
}

fn no_credentials(error: &CredentialsError) -> Fault {
    let message = match error {
        CredentialsError::CredentialsNotLoaded(_) => "there are no AWS credentials".to_owned(),
        CredentialsError::ProviderTimedOut(_) => "the source of AWS credentials does not answer".to_owned(),
        other => format!("no AWS credentials could be had: {}", innermost(other)),
    };
    Fault::new(Class::Denied, message).hint(
        "log in (`aws sso login`), name a profile (`AWS_PROFILE`), or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
    )
}

/// What a code allows: by name where AWS has no rule, by pattern where it has, by status at last.
pub fn classify(code: &str, status: u16) -> Class {
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| code.ends_with(suffix));
    match code {
        "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "BandwidthLimitExceeded"
        | "EC2ThrottledException" => Class::Throttled,
        _ if code.starts_with("Throttling") || code.starts_with("Throttled") => Class::Throttled,
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "RequestExpired"
        | "Blocked"
        | "PendingVerification"
        | "MissingAuthenticationToken" => Class::Denied,
        "Gateway.NotAttached"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "InvalidState"
        | "InvalidNatGatewayID.State"
        | "DependencyViolation"
        | "ResourceInUse"
        | "OperationNotPermitted"
        | "Resource.AlreadyAssociated"
        | "ConcurrentModification"
        // Of a route table: another update moved the subnet meanwhile, which gave it another association.
        | "InvalidAssociationID.NotFound"
        | "InvalidRouteTableId.Busy" => Class::Busy,
        _ if ends(&[".InUse", "InUseException", ".AlreadyAssociated"]) => Class::Busy,
        "InvalidGroup.Duplicate" | "InvalidPermission.Duplicate" | "RouteAlreadyExists" => Class::Exists,
        _ if ends(&["AlreadyExists", "AlreadyExistsException", ".Duplicate", ".Conflict"]) => Class::Exists,
        _ if ends(&[".NotFound", "NotFoundException", "NotFound", ".Unknown"]) => Class::NotFound,
        "RequestTimeout" | "InternalError" | "InternalFailure" | "ServiceUnavailable" | "Unavailable" => {
            Class::Ambiguous
        }
        _ if status >= 500 => Class::Ambiguous,
        _ => Class::Invalid,
    }
}

/// What a code means where the operation, or the message, says more than the code does.
fn in_context(code: &str, message: &str, operation: &str) -> Option<Class> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match (operation.split_once(':')?, code) {
        (("eks", name), "ResourceInUseException") if name.starts_with("Create") => Some(Class::Exists),
        // Also for what is being made, or updated, at the moment.
        (("eks", _), "InvalidRequestException")
            if says(&["in progress", "not in ACTIVE status", "is currently in", "is currently not in"]) =>
        {
            Some(Class::Busy)
        }
        // A role that was just made is not known everywhere yet.
        (("eks", _), "InvalidParameterException")
            if says(&["does not exist", "could not be assumed", "Error in role params", "invalid principal"]) =>
        {
            Some(Class::NotFound)
        }
        _ => None,
    }
}

fn hint(code: &str, message: &str, operation: &str) -> Option<String> {
    let text = match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            format!("ask for permission {}", action_in(message).unwrap_or(operation))
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the credentials are out of date: log in again (`aws sso login`), and check the clock".into()
        }
        "AuthFailure" | "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch" => {
            "AWS does not know these credentials: check `AWS_PROFILE` and the access key".into()
        }
        "OptInRequired" => "enable the region or the service for this account first".into(),
        "InvalidSubnet.Conflict" => "choose a `cidr_block` that no other subnet of the VPC uses".into(),
        "InvalidSubnet.Range" => "choose a `cidr_block` inside the VPC's, between /16 and /28".into(),
        "InvalidVpc.Range" => "choose a `cidr_block` between /16 and /28".into(),
        "RouteTableLimitExceeded" | "RouteLimitExceeded" | "RulesPerSecurityGroupLimitExceeded" => {
            "raise the VPC quota in Service Quotas, or use fewer".into()
        }
        "UnsupportedAvailabilityZoneException" => {
            "EKS has no room in one of these availability zones: choose subnets in others, as the message says".into()
        }
        "InvalidRequestException" if message.contains("authentication mode must be set") => {
            "set `authentication_mode` in the cluster's `access_config` to API_AND_CONFIG_MAP or API".into()
        }
        _ if message.to_lowercase().contains("deletion protection") => {
            "set `deletion_protection` to false and apply that first".into()
        }
        _ if ["LimitExceeded", "QuotaExceeded", "LimitExceededException"].iter().any(|end| code.ends_with(end)) => {
            "the account's quota is used up: delete what is not needed, or raise it in Service Quotas".into()
        }
        _ => return None,
    };
    Some(text)
}

/// The action in "… is not authorized to perform: ec2:CreateVpc on resource …".
fn action_in(message: &str) -> Option<&str> {
    message.split("perform: ").nth(1)?.split_whitespace().next().filter(|action| action.contains(':'))
}

/// True if the connection was never made, so that nothing can have been done.
fn never_sent<E: Error + 'static>(error: &E) -> bool {
    let text = chain(error);
    text.contains("(Connect)") || text.contains("HTTP connect timeout") || text.contains("dns error")
}

fn find<T: Error + 'static, E: Error + 'static>(error: &E) -> Option<&T> {
    sources(error).into_iter().find_map(|source| source.downcast_ref())
}

/// The error and what caused it, outermost first.
fn sources<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = vec![];
    let mut next = Some(error);
    while let Some(error) = next {
        all.push(error);
        next = error.source();
    }
    all
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    sources(error).last().map(ToString::to_string).unwrap_or_default()
}

fn chain(error: &(dyn Error + 'static)) -> String {
    sources(error).iter().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Lower case at the start, unless the first word is a name or an abbreviation.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_class_that_says_what_may_be_done() {
        for (code, status, class) in [
            ("RequestLimitExceeded", 503, Class::Throttled),
            ("ThrottlingException", 400, Class::Throttled),
            ("InternalError", 500, Class::Ambiguous),
            ("", 502, Class::Ambiguous),
            ("InvalidVpcID.NotFound", 400, Class::NotFound),
            ("NatGatewayNotFound", 400, Class::NotFound),
            ("DependencyViolation", 400, Class::Busy),
            ("InvalidIPAddress.InUse", 400, Class::Busy),
            ("Gateway.NotAttached", 400, Class::Busy),
            ("InvalidGroup.Duplicate", 400, Class::Exists),
            ("RouteAlreadyExists", 400, Class::Exists),
            ("InvalidSubnet.Conflict", 400, Class::Exists),
            ("InvalidAssociationID.NotFound", 400, Class::Busy),
            ("UnauthorizedOperation", 403, Class::Denied),
            ("ExpiredToken", 400, Class::Denied),
            ("VpcLimitExceeded", 400, Class::Invalid),
            ("InvalidParameterValue", 400, Class::Invalid),
        ] {
            assert_eq!(classify(code, status), class, "{code}");
        }
    }

    #[test]
    fn a_code_of_eks_means_what_the_operation_says() {
        let of = |code, message, operation| in_context(code, message, operation);
        let taken = "Cluster already exists with name: prod";
        assert_eq!(of("ResourceInUseException", taken, "eks:CreateCluster"), Some(Class::Exists));
        assert_eq!(of("ResourceInUseException", "has nodegroups attached", "eks:DeleteCluster"), None);
        assert_eq!(classify("ResourceInUseException", 409), Class::Busy);
        let young = "Cluster 'prod' is not in ACTIVE status";
        assert_eq!(of("InvalidRequestException", young, "eks:CreateAddon"), Some(Class::Busy));
        assert_eq!(of("InvalidRequestException", "nothing to do", "eks:UpdateAddon"), None);
        let role = "Role with arn: x, could not be assumed because it does not exist";
        assert_eq!(of("InvalidParameterException", role, "eks:CreateCluster"), Some(Class::NotFound));
        assert!(hint("ResourceLimitExceededException", "", "eks:CreateCluster").unwrap().contains("Service Quotas"));
    }

    #[test]
    fn a_missing_permission_is_named() {
        let message = "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:user/ci is not \
                       authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:111122223333:vpc/*";
        assert_eq!(
            hint("UnauthorizedOperation", message, "ec2:CreateVpc").unwrap(),
            "ask for permission ec2:CreateTags"
        );
        assert_eq!(
            hint("UnauthorizedOperation", "You are not authorized", "ec2:CreateVpc").unwrap(),
            "ask for permission ec2:CreateVpc"
        );
        assert!(hint("VpcLimitExceeded", "", "ec2:CreateVpc").unwrap().contains("Service Quotas"));
    }

    #[test]
    fn a_message_begins_in_lower_case_unless_with_a_name() {
        assert_eq!(lower_first("The vpc ID"), "the vpc ID");
        assert_eq!(lower_first("VPC quota"), "VPC quota");
    }
}
