"""EKS: what exists within a cluster, and the tags of all of it."""

import time
import uuid

from gaps.eks import SUPPORTED, active, delay, find, in_use, invalid, not_found, now, operation, paged
from moto.core.responses import ActionResult, EmptyResult
from moto.eks import urls
from moto.eks.models import eks_backends
from moto.eks.responses import EKSResponse
from wire import TAGGED, TAKES_TOKEN, Refusal, is_young

TAKES_TOKEN.update({f"eks:Create{name}": "clientRequestToken" for name in ("Nodegroup", "Addon", "AccessEntry")})

CLUSTER = "{0}/clusters/(?P<name>[^/]+)"
for path in ("/access-entries", "/access-entries/(?P<rest>.+)", "/addons", "/addons/(?P<rest>.+)"):
    urls.url_paths[f"{CLUSTER}{path}$"] = urls.response.dispatch
urls.url_paths[f"{CLUSTER}/node-groups/(?P<nodegroupName>[^/]+)/update-version$"] = urls.response.dispatch

ADDONS = {
    "vpc-cni": "v1.19.5-eksbuild.1",
    "coredns": "v1.11.4-eksbuild.2",
    "kube-proxy": "v1.33.0-eksbuild.2",
    "aws-ebs-csi-driver": "v1.44.0-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.4-eksbuild.1",
}


# 34. Access entries.


@operation
def create_access_entry(self):
    cluster, principal = active(self), self._get_param("principalArn")
    if cluster.fields["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise Refusal("InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
    if principal in cluster.entries:
        in_use("The specified access entry resource is already in use on this cluster.")
    kind, (_, _, _, _, account, name) = self._get_param("type") or "STANDARD", principal.split(":", 5)
    groups = self._get_param("kubernetesGroups") or []
    if kind != "STANDARD" and groups:
        invalid("The kubernetesGroups can only be set for access entries of type STANDARD")
    identity, last = name.split("/", 1)[0], name.rsplit("/", 1)[-1]
    arn = f"arn:aws:eks:{self.region}:{self.current_account}:access-entry/{cluster.name}/{identity}/{account}/{last}/{uuid.uuid4()}"
    username = self._get_param("username") or (principal if kind == "STANDARD" else "system:node:{{EC2PrivateDNSName}}")
    cluster.entries[principal] = {
        "clusterName": cluster.name,
        "principalArn": principal,
        "kubernetesGroups": groups if kind == "STANDARD" else ["system:nodes"],
        "accessEntryArn": arn,
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": dict(self._get_param("tags") or {}),
        "username": username,
        "type": kind,
        "policies": {},
    }
    return ActionResult({"accessEntry": cluster.entries[principal]})


def entry(self):
    principal = self._get_param("principalArn")
    return find(self).entries.get(principal) or not_found(f"The specified principalArn could not be found: {principal}.")


@operation
def describe_access_entry(self):
    return ActionResult({"accessEntry": entry(self)})


@operation
def update_access_entry(self):
    one = entry(self)
    one["kubernetesGroups"] = self._get_param("kubernetesGroups", one["kubernetesGroups"])
    one["username"] = self._get_param("username") or one["username"]
    return ActionResult({"accessEntry": one})


@operation
def delete_access_entry(self):
    find(self).entries.pop(entry(self)["principalArn"])
    return EmptyResult()


@operation
def list_access_entries(self):
    return paged(self, "accessEntries", find(self).entries)


@operation
def associate_access_policy(self):
    one, policy = entry(self), self._get_param("policyArn")
    if one["type"] != "STANDARD":
        raise Refusal("InvalidRequestException", "The access policies can only be associated with access entries of type STANDARD")
    scope = self._get_param("accessScope")
    one["policies"][policy] = {"policyArn": policy, "accessScope": {"namespaces": [], **scope}, "associatedAt": now(), "modifiedAt": now()}
    return ActionResult({"clusterName": one["clusterName"], "principalArn": one["principalArn"], "associatedAccessPolicy": one["policies"][policy]})


@operation
def disassociate_access_policy(self):
    policy = self._get_param("policyArn")
    if not entry(self)["policies"].pop(policy, None):
        not_found(f"The specified policyArn could not be found: {policy}.")
    return EmptyResult()


@operation
def list_associated_access_policies(self):
    return paged(self, "associatedAccessPolicies", entry(self)["policies"].values())


# 35. Add-ons.


@operation
def create_addon(self):
    cluster, name = active(self), self._get_param("addonName")
    if name not in ADDONS:
        invalid(f"Addon {name} specified is not supported")
    if name in cluster.addons:
        in_use("Addon already exists.")
    conflict = cluster.bootstrapped and name in ("vpc-cni", "coredns", "kube-proxy") and self._get_param("resolveConflicts") == "NONE"
    cluster.addons[name] = {
        "addonName": name,
        "clusterName": cluster.name,
        "addonVersion": self._get_param("addonVersion") or ADDONS[name],
        "addonArn": f"arn:aws:eks:{self.region}:{self.current_account}:addon/{cluster.name}/{name}/{uuid.uuid4()}",
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": dict(self._get_param("tags") or {}),
        "configurationValues": self._get_param("configurationValues"),
        "serviceAccountRoleArn": self._get_param("serviceAccountRoleArn"),
        "conflict": conflict,
        "update": None,
    }
    return ActionResult({"addon": addon(self)})


def addon(self):
    name, account = self._get_param("addonName"), self.current_account
    one = find(self).addons.get(name) or not_found(f"No addon: {name} found in cluster: {self._get_param('name')}")
    if one["update"] and time.time() >= one["update"][0]:
        one.update({**one["update"][1], "update": None})
    issues = []
    if is_young(account, "eks_addon", one["addonArn"]):
        one["status"] = "CREATING"
    elif one["conflict"]:
        one["status"] = "CREATE_FAILED"
        issues = [{"code": "ConfigurationConflict", "message": "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode."}]
    elif is_young(account, "eks_addon_without_nodes", one["addonArn"]):
        one["status"] = "DEGRADED"
        issues = [{"code": "InsufficientNumberOfReplicas", "message": "The add-on is unhealthy because it doesn't have the desired number of replicas."}]
    else:
        one["status"] = "UPDATING" if one["update"] else "ACTIVE"
    one["health"] = {"issues": issues}
    return one


@operation
def describe_addon(self):
    return ActionResult({"addon": addon(self)})


@operation
def list_addons(self):
    return paged(self, "addons", find(self).addons)


@operation
def update_addon(self):
    one = addon(self)
    if one["status"] in ("CREATING", "UPDATING"):
        raise Refusal("InvalidRequestException", f"Addon {one['addonName']} cannot be updated as it is currently in {one['status']} state")
    new = {key: self._get_param(key) for key in ("addonVersion", "configurationValues", "serviceAccountRoleArn")}
    one["update"] = (time.time() + delay(self.current_account, "eks_update"), {key: value for key, value in new.items() if value is not None})
    addon(self)
    return ActionResult({"update": {"id": str(uuid.uuid4()), "status": "InProgress", "type": "AddonUpdate", "createdAt": now()}})


@operation
def delete_addon(self):
    one = addon(self)
    find(self).addons.pop(one["addonName"])
    return ActionResult({"addon": {**one, "status": "DELETING"}})


# 36. Managed node groups.


def node_group(self):
    name = self._get_param("nodegroupName")
    group = find(self).nodegroups.get(name) or not_found(f"No node group found for name: {name}.")
    if group.update and time.time() >= group.update[0]:
        group.update[1]()
        group.update = None
    young = is_young(self.current_account, "eks_node_group", group.arn)
    group.status = "CREATING" if young else "UPDATING" if group.update else "ACTIVE"
    return group


ORIGINAL_CREATE_GROUP = EKSResponse.create_nodegroup


@operation
def create_nodegroup(self):
    cluster = active(self)
    if self._get_param("nodegroupName") in cluster.nodegroups:
        in_use(f"NodeGroup already exists with name {self._get_param('nodegroupName')} and cluster name {cluster.name}")
    ORIGINAL_CREATE_GROUP(self)
    group = cluster.nodegroups[self._get_param("nodegroupName")]
    group.update = None
    group.version = self._get_param("version") or cluster.fields["version"]
    group.release_version = self._get_param("releaseVersion") or f"{group.version}.3-20250715"
    group.scaling_config = dict(group.scaling_config)
    group.update_config = self._get_param("updateConfig") or {"maxUnavailable": 1}
    group.remote_access = None
    if group.launch_template:
        group.disk_size, group.instance_types = None, self._get_param("instanceTypes")
        group.launch_template.setdefault("version", "1")
    else:
        group.disk_size = int(group.disk_size)
        group.ami_type = self._get_param("amiType") or "AL2023_x86_64_STANDARD"
    return ActionResult({"nodegroup": node_group(self)})


@operation
def describe_nodegroup(self):
    return ActionResult({"nodegroup": node_group(self)})


@operation
def list_nodegroups(self):
    return paged(self, "nodegroups", find(self).nodegroups)


def idle_group(self):
    group = node_group(self)
    if group.status != "ACTIVE":
        in_use("Nodegroup cannot be updated as it is currently not in Active State")
    return group


def begin_group(self, group, kind, apply):
    group.update = (time.time() + delay(self.current_account, "eks_update"), apply)
    node_group(self)
    return ActionResult({"update": {"id": str(uuid.uuid4()), "status": "InProgress", "type": kind, "createdAt": now()}})


@operation
def update_nodegroup_config(self):
    group = idle_group(self)
    names = {"labels": "labels", "taints": "taints", "scaling_config": "scalingConfig", "update_config": "updateConfig"}
    asked = {name: self._get_param(param) for name, param in names.items()}
    size = {**group.scaling_config, **(asked["scaling_config"] or {})}
    if not size["minSize"] <= size["desiredSize"] <= size["maxSize"]:
        invalid("desiredSize must be between minSize and maxSize")
    backend, cluster, name = self.eks_backend, self._get_param("name"), group.nodegroup_name
    return begin_group(self, group, "ConfigUpdate", lambda: backend.update_nodegroup_config(cluster, name, **asked))


@operation
def update_nodegroup_version(self):
    group = idle_group(self)
    template = self._get_param("launchTemplate")
    if template and (not group.launch_template or template.get("id", group.launch_template["id"]) != group.launch_template["id"]):
        invalid("You cannot specify a different launch template than the one that is used by the node group")
    version = self._get_param("version") or group.version
    if SUPPORTED.index(version) > SUPPORTED.index(find(self).fields["version"]):
        invalid(f"Nodegroup Kubernetes version {version} should be equal to or less than the cluster's")
    release = self._get_param("releaseVersion") or f"{version}.3-20250715"

    def apply():
        group.version, group.release_version = version, release
        if template:
            group.launch_template["version"] = template["version"]

    return begin_group(self, group, "VersionUpdate", apply)


# 37, 38. Tags of all of them.


def tagged(account, region):
    """(ARN, tags, type in the tagging API)."""
    for cluster in list(eks_backends[account][region].clusters.values()):
        yield cluster.arn, cluster.tags, "eks:cluster"
        for one in list(cluster.entries.values()):
            yield one["accessEntryArn"], one["tags"], "eks:access-entry"
        for one in list(cluster.addons.values()):
            yield one["addonArn"], one["tags"], "eks:addon"
        for one in list(cluster.nodegroups.values()):
            yield one.arn, one.tags, "eks:nodegroup"


TAGGED.append(tagged)


def tags_of(self):
    wanted = self._extract_arn_from_path()
    for arn, tags, _ in tagged(self.current_account, self.region):
        if arn == wanted:
            return tags
    raise Refusal("NotFoundException", f"Resource {wanted} was not found", 404)


@operation
def tag_resource(self):
    tags_of(self).update(self._get_param("tags"))
    return EmptyResult()


@operation
def untag_resource(self):
    tags = tags_of(self)
    for key in self.querystring.get("tagKeys", []):
        tags.pop(key, None)
    return EmptyResult()


@operation
def list_tags_for_resource(self):
    return ActionResult({"tags": tags_of(self)})
