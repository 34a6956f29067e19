//! What AWS's error codes mean: what the engine may do about each, and what a person can.

use crate::resource::{Class, Fault};

/// What was made in IAM is not known everywhere at once. Who does not know it yet says so with a code for wrong inputs;
/// it is the same class as if it were not there, so that it is tried again if it is fresh.
fn fresh(code: &str, message: &str) -> Option<Class> {
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let unknown = match code {
        "MalformedPolicyDocument" | "MalformedPolicyDocumentException" | "MalformedPolicy" => {
            says(&["Invalid principal in policy"])
        }
        // RunInstances and launch templates; Auto Scaling; RDS.
        "InvalidParameterValue" | "ValidationError" => {
            says(&["Invalid IAM Instance Profile", "Invalid IamInstanceProfile", "IAM role ARN value is invalid"])
        }
        // EKS, DLM and others that take on a role.
        "InvalidParameterException" | "InvalidRequestException" | "InvalidParameterValueException" => {
            says(&["could not be assumed", "cannot be assumed", "nable to assume", "EKS Managed Policies"])
                || says(&["role", "Role"]) && says(&["does not exist", "trusted entity is not correct"])
        }
        _ => false,
    };
    unknown.then_some(Class::NotFound)
}

/// What a code means where the operation, or the message, says more than the code does.
pub fn in_context(code: &str, message: &str, operation: &str) -> Option<Class> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match (operation.split_once(':').unwrap_or_default(), code) {
        (("eks", name), "ResourceInUseException") if name.starts_with("Create") => Some(Class::Exists),
        // Also for what is being made, or updated, at the moment.
        (("eks", _), "InvalidRequestException")
            if says(&["in progress", "not in ACTIVE status", "is currently in", "is currently not in"]) =>
        {
            Some(Class::Busy)
        }
        (("eks", _), "InvalidParameterException")
            if says(&["does not exist", "Error in role params", "invalid principal"]) =>
        {
            Some(Class::NotFound)
        }
        // Nothing that passes by itself.
        (_, "OperationNotPermitted") if says(&["deletion protection"]) => Some(Class::Invalid),
        (_, "ValidationError") if says(&["AutoScalingGroup name not found"]) => Some(Class::NotFound),
        _ => fresh(code, message),
    }
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
        | "RequestTimeTooSkewed"
        | "InvalidSignatureException"
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
        | "DeleteConflict"
        | "EntityTemporarilyUnmodifiable"
        | "Resource.AlreadyAssociated"
        | "ConcurrentModification"
        | "RequestInProgressException"
        | "InvalidDBInstanceState"
        | "InvalidDBInstanceStateFault"
        | "InvalidDBSubnetGroupStateFault"
        // Of a route table: another update moved the subnet meanwhile, which gave it another association.
        | "InvalidAssociationID.NotFound"
        | "InvalidRouteTableId.Busy"
        | "ScalingActivityInProgress"
        | "InstanceRefreshInProgress"
        | "ResourceContention"
        | "OperationAborted"
        | "TooManyUpdates" => Class::Busy,
        | "IncorrectModificationState"
        // Of an instance that is not far enough yet.
        | "InvalidInstanceID"
        | "VolumeInUse" => Class::Busy,
        "InsufficientInstanceCapacity" | "InsufficientHostCapacity" => Class::Invalid,
        // No plan makes images, so that none is yet to come.
        "InvalidAMIID.NotFound" | "InvalidAMIID.Malformed" => Class::Invalid,
        _ if ends(&[".InUse", "InUseException", ".AlreadyAssociated"]) => Class::Busy,
        "InvalidGroup.Duplicate" | "InvalidPermission.Duplicate" | "RouteAlreadyExists" => Class::Exists,
        "DuplicateLoadBalancerName" | "DuplicateTargetGroupName" | "DuplicateListener" => Class::Exists,
        "BucketAlreadyOwnedByYou" => Class::Exists,
        "InvalidResourceId" | "ServerSideEncryptionConfigurationNotFoundError" => Class::NotFound,
        // `NoSuchBucket`, and what a bucket does not have.
        _ if code.starts_with("NoSuch") => Class::NotFound,
        _ if ends(&["AlreadyExists", "AlreadyExistsException", ".Duplicate", ".Conflict"]) => Class::Exists,
        "NoSuchEntity" => Class::NotFound,
        _ if ends(&[".NotFound", "NotFoundException", "NotFoundFault", "NotFound", ".Unknown"]) => Class::NotFound,
        "RequestTimeout" | "InternalError" | "InternalFailure" | "ServiceUnavailable" | "Unavailable" => {
            Class::Ambiguous
        }
        _ if status >= 500 => Class::Ambiguous,
        _ => Class::Invalid,
    }
}

/// Whether the credentials were good once.
pub fn is_expired(fault: &Fault) -> bool {
    matches!(fault.code.as_deref(), Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired"))
}

/// Whether a clock that is wrong has such an answer.
pub fn is_about_the_time(code: &str) -> bool {
    matches!(
        code,
        "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "AuthFailure"
            | "RequestExpired"
    )
}

pub fn hint(code: &str, message: &str, operation: &str) -> Option<String> {
    let text = match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            let action = action_in(message).unwrap_or(operation);
            match message.split_once("explicit deny in ") {
                Some((_, policy)) => format!("{policy} forbids {action}, whatever else allows it"),
                None => format!("ask for permission {action}"),
            }
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the credentials are out of date: log in again (`aws sso login`), check the clock, and run again: what was \
             made is known by its tags"
                .into()
        }
        "AuthFailure" | "InvalidClientTokenId" | "UnrecognizedClientException" | "SignatureDoesNotMatch" => {
            "AWS does not know these credentials: check `AWS_PROFILE` and the access key".into()
        }
        "RequestTimeTooSkewed" | "InvalidSignatureException" => {
            "check this machine's clock (`timedatectl`), then the access key".into()
        }
        "OptInRequired" => "enable the region or the service for this account first".into(),
        "InvalidSubnet.Conflict" => "choose a `cidr_block` that no other subnet of the VPC uses".into(),
        "InvalidSubnet.Range" => "choose a `cidr_block` inside the VPC's, between /16 and /28".into(),
        "RepositoryNotEmptyException" => {
            "delete the images first, or apply `force_delete: true` to the repository before it is removed".into()
        }
        "BucketNotEmpty" => {
            "delete the objects first, all versions of them, or apply `force_destroy: true` to the bucket before it is \
             removed"
                .into()
        }
        "BucketAlreadyExists" => "names of buckets are unique in all of AWS: choose another `bucket`".into(),
        "InsufficientInstanceCapacity" => {
            "choose another `instance_type`, or a subnet in another zone, or run again later".into()
        }
        "Unsupported" => "choose an `instance_type` that this zone and this image know".into(),
        "InvalidKeyPair.NotFound" => "pass the `key_name` of a key pair of this region, not its id".into(),
        "InvalidKey.Format" => "pass an OpenSSH public key: `ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`".into(),
        "InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable" => {
            "find an image of this region with `aws::ami`; it must be shared with this account".into()
        }
        "VolumeModificationRateExceeded" => {
            "EBS takes the next change of a volume some hours after the last: run again then".into()
        }
        "InvalidVpc.Range" => "choose a `cidr_block` between /16 and /28".into(),
        "RouteTableLimitExceeded" | "RouteLimitExceeded" | "RulesPerSecurityGroupLimitExceeded" => {
            "raise the VPC quota in Service Quotas, or use fewer".into()
        }
        "MalformedPolicyDocument" | "MalformedPolicyDocumentException" if message.contains("principal") => {
            "check the ARNs under `Principal`: each must name what is there".into()
        }
        "MalformedPolicyDocument" | "MalformedPolicyDocumentException" => {
            "check the document's `Version`, `Effect`, `Action` and `Resource`; a trust policy has `Principal` instead of \
             `Resource`"
                .into()
        }
        "NoSuchEntity" => "check names and ARNs: IAM has no such thing in this account".into(),
        "DeleteConflict" => "something still uses it, which must let go of it first".into(),
        "UnmodifiableEntity" => "an AWS service made it and alone may change it".into(),
        "LimitExceeded" | "LimitExceededException" => {
            "a quota is used up: delete what is not needed, make a document shorter, or raise it in Service Quotas".into()
        }
        "UnsupportedAvailabilityZoneException" => {
            "EKS has no room in one of these availability zones: choose subnets in others, as the message says".into()
        }
        "InvalidRequestException" if message.contains("authentication mode must be set") => {
            "set `authentication_mode` in the cluster's `access_config` to API_AND_CONFIG_MAP or API".into()
        }
        "UnsupportedCertificate" => {
            "the certificate is not issued yet: refer to `certificate_arn` of an aws::acm_certificate_validation, which \
             waits for that"
                .into()
        }
        "OperationNotPermitted" if message.contains("deletion protection") => {
            "apply `enable_deletion_protection: false` first".into()
        }
        "InvalidParameterCombination" if message.contains("protected DB") => {
            "apply `deletion_protection: false` first".into()
        }
        "InvalidConfigurationRequest" if operation.ends_with(":SetSecurityGroups") => {
            "a network load balancer that was made without security groups can never have any: give it another `name`, \
             to make a new one"
                .into()
        }
        "InvalidVPCNetworkStateFault" if operation.ends_with(":ModifyDBInstance") => {
            "a database goes over to another subnet group only in another VPC: change `subnet_ids` of the group it has"
                .into()
        }
        "DBSnapshotAlreadyExists" => {
            "choose another `final_snapshot_identifier`, or delete the snapshot that has it".into()
        }
        _ if operation.starts_with("eks:") && message.to_lowercase().contains("deletion protection") => {
            "apply `deletion_protection: false` first".into()
        }
        _ if code.starts_with("TooMany") || code.ends_with("LimitExceededException") => {
            "the account's quota is used up: delete what is not needed, or raise it in Service Quotas".into()
        }
        _ if code.ends_with("LimitExceeded") || code.ends_with("QuotaExceeded") => {
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
            ("NoSuchEntity", 404, Class::NotFound),
            ("EntityAlreadyExists", 409, Class::Exists),
            ("DeleteConflict", 409, Class::Busy),
            ("ConcurrentModification", 409, Class::Busy),
            ("LimitExceeded", 409, Class::Invalid),
            ("InvalidDBInstanceState", 400, Class::Busy),
            ("DBSubnetGroupNotFoundFault", 404, Class::NotFound),
            ("DBInstanceAlreadyExists", 400, Class::Exists),
            ("DuplicateListener", 400, Class::Exists),
            ("UnsupportedCertificate", 400, Class::Invalid),
            ("CertificateNotFound", 400, Class::NotFound),
            ("BucketAlreadyOwnedByYou", 409, Class::Exists),
            ("BucketAlreadyExists", 409, Class::Exists),
            ("InvalidLaunchTemplateName.AlreadyExistsException", 400, Class::Exists),
            ("BucketNotEmpty", 409, Class::Invalid),
            ("RepositoryNotEmptyException", 400, Class::Invalid),
            ("OperationAborted", 409, Class::Busy),
            ("ScalingActivityInProgress", 400, Class::Busy),
            ("NoSuchBucket", 404, Class::NotFound),
            ("NoSuchLifecycleConfiguration", 404, Class::NotFound),
            ("ParameterNotFound", 400, Class::NotFound),
            ("InvalidLaunchTemplateId.NotFound", 400, Class::NotFound),
            ("UnauthorizedOperation", 403, Class::Denied),
            ("ExpiredToken", 400, Class::Denied),
            ("VolumeInUse", 400, Class::Busy),
            ("InvalidAMIID.NotFound", 400, Class::Invalid),
            ("IncorrectModificationState", 400, Class::Busy),
            ("VolumeModificationRateExceeded", 400, Class::Invalid),
            ("InsufficientInstanceCapacity", 500, Class::Invalid),
            ("VpcLimitExceeded", 400, Class::Invalid),
            ("InvalidParameterValue", 400, Class::Invalid),
        ] {
            assert_eq!(classify(code, status), class, "{code}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_not_found() {
        for (code, message, found) in [
            (
                "MalformedPolicyDocument",
                "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:role/a\"",
                false,
            ),
            ("MalformedPolicyDocument", "Syntax errors in policy.", true),
            (
                "InvalidParameterValue",
                "Value (app) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
                false,
            ),
            ("InvalidParameterValue", "Value (m9.large) for parameter instanceType is invalid", true),
            (
                "InvalidParameterException",
                "Role with arn: arn:aws:iam::111122223333:role/a, could not be assumed because it does not exist or the \
                 trusted entity is not correct",
                false,
            ),
            ("InvalidParameterException", "Subnets specified must be in at least two different AZs", true),
        ] {
            assert_eq!(fresh(code, message), (!found).then_some(Class::NotFound), "{code}: {message}");
        }
    }

    #[test]
    fn one_code_of_auto_scaling_is_told_apart_by_its_message() {
        let missing = "AutoScalingGroup name not found - null";
        assert_eq!(in_context("ValidationError", missing, ""), Some(Class::NotFound));
        assert_eq!(in_context("ValidationError", "At least one Availability Zone is required", ""), None);
    }

    #[test]
    fn what_is_protected_is_not_waited_for() {
        let message = "Load balancer 'x' cannot be deleted because deletion protection is enabled";
        assert_eq!(in_context("OperationNotPermitted", message, ""), Some(Class::Invalid));
        let attachments = "You are not allowed to manage 'ela-attach' attachments.";
        assert_eq!(in_context("OperationNotPermitted", attachments, ""), None);
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
        let message = "User: arn:aws:iam::111122223333:user/ci is not authorized to perform: iam:PassRole on resource: \
                       arn:aws:iam::111122223333:role/app with an explicit deny in a service control policy";
        assert_eq!(
            hint("AccessDenied", message, "ec2:RunInstances").unwrap(),
            "a service control policy forbids iam:PassRole, whatever else allows it"
        );
        assert!(hint("VpcLimitExceeded", "", "ec2:CreateVpc").unwrap().contains("Service Quotas"));
        let listeners = hint("TooManyListeners", "", "elasticloadbalancing:CreateListener");
        assert!(listeners.unwrap().contains("Service Quotas"));
    }
}
