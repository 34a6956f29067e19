"""EKS: what moto's clusters do otherwise than AWS's."""

import base64
import datetime
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.eks import urls
from moto.eks.models import eks_backends
from moto.eks.responses import EKSResponse
from wire import DELAYS, LOCK, TAKES_TOKEN, Refusal, is_young

TAKES_TOKEN["eks:CreateCluster"] = "clientRequestToken"

for path in ("/updates", "/updates/(?P<updateId>[^/]+)"):
    urls.url_paths["{0}/clusters/(?P<name>[^/]+)" + path + "$"] = urls.response.dispatch

SUPPORTED = ("1.30", "1.31", "1.32", "1.33")
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")


def operation(function):
    setattr(EKSResponse, function.__name__, function)
    return function


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def delay(account, kind):
    with LOCK:
        return DELAYS.get(account, {}).get(kind, 0)


def invalid(message):
    raise Refusal("InvalidParameterException", message)


def not_found(message):
    raise Refusal("ResourceNotFoundException", message, 404)


def in_use(message):
    raise Refusal("ResourceInUseException", message, 409)


def certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    start = datetime.datetime(2024, 1, 1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=3650)).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


CERTIFICATE = certificate()


# 30 to 33. Clusters: their fields, their states, one update at a time.


def find(self, name=None):
    """The cluster as it is by now."""
    name = name or self._get_param("name")
    backend = eks_backends[self.current_account][self.region]
    cluster = backend.clusters.get(name)
    if cluster and cluster.status == "DELETING" and time.time() >= cluster.until:
        remove(self, backend, cluster)
        cluster = None
    if not cluster:
        not_found(f"No cluster found for name: {name}.")
    if cluster.update and time.time() >= cluster.update["until"]:
        cluster.update["apply"]()
        cluster.updates[cluster.update["id"]]["status"] = "Successful"
        cluster.update = None
    if cluster.status != "DELETING":
        young = is_young(self.current_account, "eks_cluster", cluster.key)
        cluster.status = "CREATING" if young else "UPDATING" if cluster.update else "ACTIVE"
    return cluster


def active(self):
    cluster = find(self)
    if cluster.status != "ACTIVE":
        raise Refusal("InvalidRequestException", f"Cluster '{cluster.name}' is not in ACTIVE status")
    return cluster


def remove(self, backend, cluster):
    backend.clusters.pop(cluster.name, None)
    ec2 = ec2_backends[self.current_account][self.region]
    for groups in ec2.groups.values():
        groups.pop(cluster.security_group, None)


def shown(cluster):
    ready = cluster.status != "CREATING"
    return {
        **cluster.fields,
        "name": cluster.name,
        "arn": cluster.arn,
        "createdAt": cluster.created_at,
        "roleArn": cluster.role_arn,
        "status": cluster.status,
        "tags": cluster.tags,
        "platformVersion": "eks.4",
        "health": {"issues": []},
        "endpoint": cluster.endpoint if ready else None,
        "certificateAuthority": {"data": CERTIFICATE} if ready else {},
        "identity": {"oidc": {"issuer": cluster.issuer}} if ready else None,
    }


@operation
def create_cluster(self):
    name, vpc = self._get_param("name"), dict(self._get_param("resourcesVpcConfig") or {})
    try:
        find(self, name)
        in_use(f"Cluster already exists with name: {name}")
    except Refusal as refusal:
        if refusal.code != "ResourceNotFoundException":
            raise
    version = self._get_param("version") or "1.32"
    if version not in SUPPORTED:
        invalid(f"unsupported Kubernetes version {version}")
    ec2 = ec2_backends[self.current_account][self.region]
    subnets = [ec2.get_subnet(id) for id in vpc.get("subnetIds", [])]
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        invalid("Subnets specified must be in at least two different AZs")
    access = self._get_param("accessConfig") or {}
    network = self._get_param("kubernetesNetworkConfig") or {}
    ip = {"ipFamily": network.get("ipFamily", "ipv4")}
    ip.update({"serviceIpv6Cidr": "fd12:3456:789a::/108"} if ip["ipFamily"] == "ipv6" else {"serviceIpv4Cidr": network.get("serviceIpv4Cidr", "172.20.0.0/16")})
    backend = eks_backends[self.current_account][self.region]
    cluster = backend.create_cluster(
        name=name, role_arn=self._get_param("roleArn"), resources_vpc_config=vpc, version=version, tags=dict(self._get_param("tags") or {})
    )
    unique = uuid.uuid4().hex.upper()
    cluster.endpoint = f"https://{unique}.gr7.{self.region}.eks.amazonaws.com"
    cluster.issuer = f"https://oidc.eks.{self.region}.amazonaws.com/id/{unique}"
    cluster.update, cluster.updates, cluster.entries, cluster.addons = None, {}, {}, {}
    cluster.bootstrapped = self._get_param("bootstrapSelfManagedAddons") is not False
    cluster.key = f"{cluster.arn}/{unique}"
    cluster.security_group = ec2.create_security_group(f"eks-cluster-sg-{name}-{unique[:10].lower()}", "EKS created security group", subnets[0].vpc_id).id
    public = vpc.get("endpointPublicAccess", True)
    cluster.fields = {
        "version": version,
        "resourcesVpcConfig": {
            "subnetIds": vpc["subnetIds"],
            "securityGroupIds": vpc.get("securityGroupIds", []),
            "endpointPublicAccess": public,
            "endpointPrivateAccess": vpc.get("endpointPrivateAccess", False),
            "publicAccessCidrs": (vpc.get("publicAccessCidrs") or ["0.0.0.0/0"]) if public else [],
            "vpcId": subnets[0].vpc_id,
            "clusterSecurityGroupId": cluster.security_group,
        },
        # AWS says nothing of `bootstrapClusterCreatorAdminPermissions` afterwards.
        "accessConfig": {"authenticationMode": access.get("authenticationMode", "CONFIG_MAP")},
        "kubernetesNetworkConfig": ip,
        "logging": logging_of(self._get_param("logging"), set()),
        "encryptionConfig": self._get_param("encryptionConfig") or [],
        "upgradePolicy": self._get_param("upgradePolicy") or {"supportType": "EXTENDED"},
        "deletionProtection": bool(self._get_param("deletionProtection")),
    }
    return ActionResult({"cluster": shown(find(self, name))})


def enabled_logs(logging):
    return {one for setup in logging["clusterLogging"] if setup["enabled"] for one in setup["types"]}


def logging_of(asked, enabled):
    for setup in (asked or {}).get("clusterLogging", []):
        (enabled.update if setup.get("enabled") else enabled.difference_update)(setup["types"])
    setups = ((True, [one for one in LOGS if one in enabled]), (False, [one for one in LOGS if one not in enabled]))
    return {"clusterLogging": [{"types": types, "enabled": on} for on, types in setups if types]}


@operation
def describe_cluster(self):
    return ActionResult({"cluster": shown(find(self))})


@operation
def delete_cluster(self):
    cluster = find(self)
    refuse_second_update(cluster, "delete")
    if cluster.nodegroups:
        in_use("Cluster has nodegroups attached")
    if cluster.fields["deletionProtection"]:
        raise Refusal("InvalidRequestException", f"Cluster {cluster.name} has deletion protection enabled. Disable deletion protection to delete it.")
    cluster.status, cluster.until = "DELETING", time.time() + delay(self.current_account, "eks_delete")
    answer = shown(cluster)
    if time.time() >= cluster.until:
        remove(self, eks_backends[self.current_account][self.region], cluster)
    return ActionResult({"cluster": answer})


def refuse_second_update(cluster, what):
    if cluster.status == "DELETING":
        in_use(f"Cannot {what} because cluster {cluster.name} is being deleted")
    if cluster.update:
        in_use(f"Cannot {what} because cluster {cluster.name} currently has update {cluster.update['id']} in progress")


def begin(self, cluster, kind, apply):
    """Takes effect at the end of the update, as far as a reader sees."""
    update = {"id": str(uuid.uuid4()), "status": "InProgress", "type": kind, "params": [], "createdAt": now(), "errors": []}
    cluster.updates[update["id"]] = update
    cluster.update = {"id": update["id"], "until": time.time() + delay(self.current_account, "eks_update"), "apply": apply}
    find(self, cluster.name)
    return ActionResult({"update": update})


@operation
def update_cluster_config(self):
    cluster = find(self)
    vpc = self._get_param("resourcesVpcConfig") or {}
    fields = {
        "access": {key: vpc[key] for key in ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs") if key in vpc},
        "subnets": {key: vpc[key] for key in ("subnetIds",) if key in vpc},
        "groups": {key: vpc[key] for key in ("securityGroupIds",) if key in vpc},
        **{key: self._get_param(key) for key in ("logging", "accessConfig", "upgradePolicy", "deletionProtection")},
    }
    asked = [(key, value) for key, value in fields.items() if value not in (None, {})]
    if len(asked) != 1:
        invalid("Only one type of update can be made at a time")
    kind, value = asked[0]
    refuse_second_update(cluster, f"{kind} update")
    fields = cluster.fields
    if kind in ("access", "subnets", "groups"):
        current, new = fields["resourcesVpcConfig"], {**fields["resourcesVpcConfig"], **value}
        if not new["endpointPublicAccess"] and not new["endpointPrivateAccess"]:
            invalid("Private and public endpoint access cannot be false at the same time")
        new["publicAccessCidrs"] = (new["publicAccessCidrs"] or ["0.0.0.0/0"]) if new["endpointPublicAccess"] else []
        name = "resourcesVpcConfig"
    elif kind == "logging":
        name, current, new = kind, fields[kind], logging_of(value, enabled_logs(fields[kind]))
    elif kind == "accessConfig":
        name, current, new = kind, fields[kind], {"authenticationMode": value["authenticationMode"]}
        if MODES.index(new["authenticationMode"]) < MODES.index(current["authenticationMode"]):
            invalid(f"Unsupported authentication mode update from {current['authenticationMode']} to {new['authenticationMode']}")
    else:
        name, current, new = kind, fields[kind], value
    if new == current:
        invalid(f"Cluster is already at the desired configuration with {kind}")
    return begin(self, cluster, "ConfigUpdate", lambda: fields.update({name: new}))


@operation
def update_cluster_version(self):
    cluster, version = find(self), self._get_param("version")
    before = cluster.fields["version"]
    if version not in SUPPORTED or SUPPORTED.index(version) != SUPPORTED.index(before) + 1:
        invalid(f"Unsupported Kubernetes minor version update from {before} to {version}")
    refuse_second_update(cluster, "VersionUpdate")
    return begin(self, cluster, "VersionUpdate", lambda: cluster.fields.update(version=version))


@operation
def describe_update(self):
    cluster, id = find(self), self._get_param("updateId")
    return ActionResult({"update": cluster.updates.get(id) or not_found(f"No update found for ID: {id}")})


@operation
def list_updates(self):
    return paged(self, "updateIds", find(self).updates)


def paged(self, key, items):
    items, size, start = list(items), int(self._get_param("maxResults") or 100), int(self._get_param("nextToken") or 0)
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return ActionResult({key: items[start : start + size], **more})
