"""IAM: what moto does otherwise than AWS."""

import json
from functools import cache

from moto.core.responses import EmptyResult
from moto.core.serialize import url_encode
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator
from moto.iam.responses import IamResponse
from wire import TAGGED, Over, Refusal, after, before, is_young

# So many a page: IAM may give fewer than it is asked for.
PAGE = 10
# Managed policies of one role.
ATTACHED = 10


def backend(self):
    return iam_backends[self.current_account][self.partition]


# 20. Client ids and thumbprints of OpenID Connect providers.


def add_client_id(self):
    clients = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn")).client_id_list
    if self._get_param("ClientID") not in clients:
        clients.append(self._get_param("ClientID"))
    return EmptyResult()


def remove_client_id(self):
    provider = self.backend.get_open_id_connect_provider(self._get_param("OpenIDConnectProviderArn"))
    provider.client_id_list = [client for client in provider.client_id_list if client != self._get_param("ClientID")]
    return EmptyResult()


IamResponse.add_client_id_to_open_id_connect_provider = add_client_id
IamResponse.remove_client_id_from_open_id_connect_provider = remove_client_id


@after("iam:CreateOpenIDConnectProvider")
def look_for_thumbprints(self, result):
    provider = backend(self).open_id_providers[result["OpenIDConnectProviderArn"]]
    provider.thumbprint_list = provider.thumbprint_list or ["0" * 40]


# 21. Managed policies.


@cache
def aws_policies():
    return json.loads(aws_managed_policies_data)


@before("iam:AttachRolePolicy")
def attach_role_policy(self):
    iam, arn = backend(self), self._get_param("PolicyArn")
    role = iam.get_role(self._get_param("RoleName"))
    if ":iam::aws:policy/" in arn and arn not in iam.managed_policies:
        name = arn.rsplit("/", 1)[1]
        if name in aws_policies():
            policy = AWSManagedPolicy.from_data(name, self.current_account, self.region, aws_policies()[name])
            if policy.arn == arn:
                iam.managed_policies[arn] = policy
                iam.aws_managed_policies.append(policy)
    if arn not in role.managed_policies and len(role.managed_policies) >= ATTACHED:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {ATTACHED}", 409)


@before("iam:CreatePolicy")
def create_policy(self):
    name = self._get_param("PolicyName")
    if any(policy.name == name for policy in backend(self).managed_policies.values() if ":iam::aws:" not in policy.arn):
        raise Refusal("EntityAlreadyExists", f"A policy called {name} already exists. Duplicate names are not allowed.", 409)


@before("iam:DeletePolicy")
def delete_policy(self):
    iam, arn = backend(self), self._get_param("PolicyArn")
    policy = iam.get_policy(arn)
    if any(arn in holder.managed_policies for holders in (iam.roles, iam.users, iam.groups) for holder in holders.values()):
        raise Refusal("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    if len(policy.versions) > 1:
        raise Refusal("DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.", 409)


# 22. Roles.


@before("iam:CreateRole")
def create_role(self):
    document = self._get_param("AssumeRolePolicyDocument")
    IAMTrustPolicyDocumentValidator(document).validate()
    check_principals(self, document)


@before("iam:UpdateAssumeRolePolicy")
def update_assume_role_policy(self):
    check_principals(self, self._get_param("PolicyDocument"))


def check_principals(self, document):
    iam = backend(self)
    statements = json.loads(document)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        for arn in [named] if isinstance(named, str) else named:
            if f":iam::{self.current_account}:role/" not in arn:
                continue
            there = any(role.arn == arn for role in iam.roles.values())
            if not there or is_young(self.current_account, "iam_role", arn):
                raise Refusal("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{arn}"')


@before("iam:RemoveRoleFromInstanceProfile")
def remove_role(self):
    name = self._get_param("RoleName")
    profile = backend(self).get_instance_profile(self._get_param("InstanceProfileName"))
    if all(role.name != name for role in profile.roles):
        raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found in the instance profile.", 404)


# 23. Listings.

IamResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.update(
    {
        path: url_encode
        for path in (
            "GetAccountAuthorizationDetailsResponse.RoleDetailList.RoleDetail.AssumeRolePolicyDocument",
            "GetPolicyVersionResponse.PolicyVersion.Document",
            "ListRolesResponse.Roles.Role.AssumeRolePolicyDocument",
        )
    }
)


@after("iam:GetAccountAuthorizationDetails")
def page_details(self, result):
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    result["Policies"] = [Over(policy, policy_name=policy.name, policy_id=policy.id, description=None) for policy in result["Policies"]]
    everything = [(name, one) for name in lists for one in sorted(result[name], key=lambda one: one.arn)]
    start = int(self._get_param("Marker") or 0)
    shown = everything[start : start + min(PAGE, int(self._get_param("MaxItems") or 100))]
    for name in lists:
        result[name] = [one for of, one in shown if of == name]
    if start + len(shown) < len(everything):
        result.update(IsTruncated=True, Marker=str(start + len(shown)))


# 18. What the tagging API tells of IAM, in the region that knows what has none.


def pairs(tags):
    return {tag["Key"]: tag["Value"] for tag in tags}


def tagged(account, region):
    if region != "us-east-1":
        return
    iam = iam_backends[account]["aws"]
    for policy in list(iam.managed_policies.values()):
        yield policy.arn, pairs(policy.get_tags()), "iam:policy"
    for profile in list(iam.instance_profiles.values()):
        yield profile.arn, pairs(profile.tags), "iam:instance-profile"
    for provider in list(iam.open_id_providers.values()):
        yield provider.arn, pairs(provider.get_tags()), "iam:oidc-provider"


TAGGED.append(tagged)
