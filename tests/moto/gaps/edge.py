"""Certificates and load balancers: what moto's ACM and ELB do otherwise than AWS."""

import hashlib
import json
import threading
import time
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from moto.acm.models import CertBundle, acm_backends
from moto.acm.responses import AWSCertificateManagerResponse
from moto.elbv2 import models as elb
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, elbv2_backends
from moto.utilities.utils import get_partition
from wire import BORN, LOCK, OWN, RESETS, TAGGED, Refusal, after, before, is_young

# 90 to 92. Certificates.

# What the certificates of an account come to: {"status": "ISSUED", "after": 0.5, "reason": …}, or whom they ask:
# {"resolver": "http://127.0.0.1:80"}.
OUTCOMES = {}
RESETS.append(OUTCOMES.clear)


def set_outcome(method, account, body):
    OUTCOMES[body.pop("account")] = body
    return {}


OWN["certificates"] = set_outcome


def validation_record(account, name):
    """One for each account and name, whichever certificate asks; a wildcard shares that of the name below it."""
    bare = name.removeprefix("*.")
    digest = hashlib.sha256(f"{account} {bare}".encode()).hexdigest()
    zone = hashlib.sha256(bare.encode()).hexdigest()[:10]
    value = f"_{digest[32:]}.{zone}.acm-validations.aws."
    return {"Name": f"_{digest[:32]}.{bare}.", "Type": "CNAME", "Value": value}


def is_proven(resolver, record):
    asked = urlencode({"name": record["Name"], "type": record["Type"]})
    try:
        # Whatever the environment says of proxies: this is near.
        with build_opener(ProxyHandler({})).open(f"{resolver}/resolve?{asked}", timeout=10) as answer:
            told = json.load(answer)
    except OSError:
        return False
    return record["Value"].rstrip(".").lower() in [one.rstrip(".").lower() for one in told]


def check(self):
    account = self.arn.split(":")[4]
    outcome = OUTCOMES.get(account)
    with LOCK:
        age = time.time() - BORN.setdefault(self.arn, time.time())
    if self.type != "AMAZON_ISSUED" or not outcome:
        return
    if "resolver" in outcome:
        # What was issued stays so when its record goes, as with AWS until it is to be renewed.
        if self.status == "PENDING_VALIDATION" and not is_young(account, "acm_certificate", self.arn):
            records = {name: validation_record(account, name) for name in {*self.sans, self.common_name}}
            self.proven = {name for name, record in records.items() if is_proven(outcome["resolver"], record)}
            self.status = "ISSUED" if len(self.proven) == len(records) else self.status
    elif age >= outcome.get("after", 0):
        self.status, self.reason = outcome["status"], outcome.get("reason")


ORIGINAL_DESCRIBE = CertBundle.describe


def describe(self):
    result = ORIGINAL_DESCRIBE(self)
    told = result["Certificate"]
    account, domain = self.arn.split(":")[4], told["DomainName"]
    if self.type != "AMAZON_ISSUED":
        return result
    told["KeyAlgorithm"] = getattr(self, "asked_algorithm", "RSA_2048").replace("_", "-", 1)
    told["SubjectAlternativeNames"] = [domain] + [name for name in sorted(self.sans) if name != domain]
    for option in told["DomainValidationOptions"]:
        option["ResourceRecord"] = validation_record(account, option["DomainName"])
        if option["DomainName"] in getattr(self, "proven", ()):
            option["ValidationStatus"] = "SUCCESS"
    if getattr(self, "reason", None):
        told["FailureReason"] = self.reason
    if self.status == "PENDING_VALIDATION":
        for key in ("NotBefore", "NotAfter", "Serial", "IssuedAt"):
            told.pop(key, None)
        if is_young(account, "acm_certificate", self.arn):
            for option in told["DomainValidationOptions"]:
                option.pop("ResourceRecord")
    return result


CertBundle.check, CertBundle.describe = check, describe


@after("acm:RequestCertificate")
def request_certificate(self, result):
    certificate = acm_backends[self.current_account][self.region]._certificates[result["CertificateArn"]]
    certificate.asked_algorithm = self._get_param("KeyAlgorithm") or "RSA_2048"


def listeners(account, region):
    for balancer in elbv2_backends[account][region].load_balancers.values():
        yield from balancer.listeners.values()


@before("acm:DeleteCertificate")
def delete_certificate(self):
    arn = self._get_param("CertificateArn")
    if any(arn in listener.certificates for listener in listeners(self.current_account, self.region)):
        raise Refusal("ResourceInUseException", f"Certificate {arn} is in use.")


# 93 to 99. Load balancers.

MAKING = threading.local()


def make_arn(account_id, lb_id, name, region_name):
    kind = "net" if getattr(MAKING, "type", None) == "network" else "app"
    return f"arn:{get_partition(region_name)}:elasticloadbalancing:{region_name}:{account_id}:loadbalancer/{kind}/{name}/{lb_id}"


elb.make_arn_for_load_balancer = make_arn
ORIGINAL_CREATE = ELBv2Backend.create_load_balancer


def create_load_balancer(self, *args, **kwargs):
    MAKING.type = kwargs.get("loadbalancer_type")
    asked = {key: value for key, value in kwargs.items()}
    for other in self.load_balancers.values():
        if other.name == kwargs["name"]:
            if other.asked == asked:
                return other
            raise elb.DuplicateLoadBalancerName()
    balancer = ORIGINAL_CREATE(self, *args, **kwargs)
    balancer.asked = asked
    balancer.mappings = {one["SubnetId"]: one for one in kwargs.get("subnet_mappings") or []}
    if balancer.type == "application":
        balancer.attrs.update({"load_balancing.cross_zone.enabled": "true", "idle_timeout.timeout_seconds": "60"})
    return balancer


ELBv2Backend.create_load_balancer = create_load_balancer


def zones(self):
    def shown(subnet):
        zone = elb.AvailabilityZone(subnet)
        mapping = getattr(self, "mappings", {}).get(subnet.id, {})
        address = {key: mapping[key] for key in ("AllocationId", "PrivateIPv4Address") if mapping.get(key)}
        zone.load_balancer_addresses = [address] if address else []
        return zone

    return [shown(subnet) for subnet in self.subnets]


def state(self):
    young = is_young(self.arn.split(":")[4], "lb", self.arn)
    return {"Code": "provisioning" if young else "active"}


FakeLoadBalancer.availability_zones = property(zones)
FakeLoadBalancer.load_balancer_state = property(state)


def set_subnets(self, arn, subnets, subnet_mappings):
    balancer = self.load_balancers.get(arn)
    if balancer is None:
        raise elb.LoadBalancerNotFoundError()
    wanted = [self.ec2_backend.get_subnet(id) for id in subnets + [one["SubnetId"] for one in subnet_mappings]]
    if len({subnet.availability_zone for subnet in wanted}) < len(wanted):
        raise Refusal("InvalidConfigurationRequest", "A load balancer cannot be attached to multiple subnets in the same Availability Zone")
    if balancer.type == "application" and len(wanted) < 2:
        raise Refusal("ValidationError", "At least two subnets in two different Availability Zones must be specified")
    balancer.subnets = wanted
    return balancer.availability_zones


ELBv2Backend.set_subnets = set_subnets


def elb_backend(self):
    return elbv2_backends[self.current_account][self.region]


@before("elbv2:SetSecurityGroups")
def set_security_groups(self):
    balancer = elb_backend(self).load_balancers.get(self._get_param("LoadBalancerArn"))
    if balancer and balancer.type == "network" and not balancer.security_groups:
        raise Refusal("InvalidConfigurationRequest", "You cannot set security groups on a load balancer that was created without any")


@before("elbv2:DeleteLoadBalancer")
def delete_load_balancer(self):
    arn = self._get_param("LoadBalancerArn")
    balancer = elb_backend(self).load_balancers.get(arn)
    if balancer and balancer.attrs["deletion_protection.enabled"] == "true":
        raise Refusal("OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")


def refuse_missing(wanted, there, code):
    if len(wanted) > 20:
        raise Refusal("ValidationError", "The maximum number of identifiers is 20")
    if not set(wanted) <= set(there):
        raise Refusal(code, f"One or more of '{wanted}' not found")


@before("elbv2:DescribeLoadBalancers")
def describe_load_balancers(self):
    there = elb_backend(self).load_balancers
    refuse_missing(self._get_param("LoadBalancerArns", []), there, "LoadBalancerNotFound")
    refuse_missing(self._get_param("Names", []), [one.name for one in there.values()], "LoadBalancerNotFound")


@before("elbv2:DescribeTargetGroups")
def describe_target_groups(self):
    there = elb_backend(self).target_groups
    refuse_missing(self._get_param("TargetGroupArns", []), there, "TargetGroupNotFound")
    refuse_missing(self._get_param("Names", []), [one.name for one in there.values()], "TargetGroupNotFound")


@before("elbv2:DescribeListeners")
def describe_listeners(self):
    there = [listener.arn for listener in listeners(self.current_account, self.region)]
    refuse_missing(self._get_param("ListenerArns", []), there, "ListenerNotFound")


@before("elbv2:DescribeTags")
def describe_tags(self):
    for arn in self._get_param("ResourceArns", []):
        elb_backend(self)._get_resource_by_arn(arn)


def refuse_certificates(self):
    for one in self._get_param("Certificates", []) or []:
        arn = one["CertificateArn"]
        certificate = acm_backends[self.current_account][self.region]._certificates.get(arn)
        if not certificate:
            raise Refusal("CertificateNotFound", f"Certificate '{arn}' not found")
        certificate.check()
        if certificate.status != "ISSUED":
            raise Refusal(
                "UnsupportedCertificate",
                f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a supported key size.",
            )


@before("elbv2:CreateListener")
def create_listener(self):
    balancer = elb_backend(self).load_balancers.get(self._get_param("LoadBalancerArn"))
    port = self._get_param("Port")
    if balancer and any(int(one.port) == int(port) for one in balancer.listeners.values()):
        raise Refusal("DuplicateListener", f"A listener already exists on this port for this load balancer '{balancer.arn}'")
    if self._get_param("Protocol") in ("TLS", "HTTPS") and not self._get_param("Certificates"):
        raise Refusal("ValidationError", "A certificate must be specified for TLS and HTTPS listeners")
    refuse_certificates(self)


@before("elbv2:ModifyListener")
def check_modified_listener(self):
    refuse_certificates(self)
    policy = self._get_param("AlpnPolicy")
    for listener in listeners(self.current_account, self.region):
        if policy and listener.arn == self._get_param("ListenerArn"):
            listener.alpn_policy = [] if policy == ["None"] else policy


def modify_listener(self, arn, port=None, protocol=None, ssl_policy=None, certificates=None, actions=None):
    listener = self.describe_listeners(load_balancer_arn=None, listener_arns=[arn])[0]
    balancer = self.load_balancers[listener.load_balancer_arn]
    if port is not None and any(one is not listener and int(one.port) == int(port) for one in balancer.listeners.values()):
        raise Refusal("DuplicateListener", "A listener already exists on this port for this load balancer")
    listener.port = port if port is not None else listener.port
    listener.protocol = protocol or listener.protocol
    if listener.protocol not in ("TLS", "HTTPS"):
        listener.certificate, listener.certificates = None, []
    elif certificates:
        listener.certificate = certificates[0]["CertificateArn"]
        listener.certificates = [one["CertificateArn"] for one in certificates]
    elif not listener.certificates:
        raise Refusal("ValidationError", "A certificate must be specified for TLS and HTTPS listeners")
    listener.ssl_policy = ssl_policy or listener.ssl_policy
    if actions:
        listener.default_actions = [elb.FakeAction(action) for action in actions]
        listener._default_rule[0].actions = listener.default_actions
    return listener


ELBv2Backend.modify_listener = modify_listener


@after("elbv2:CreateTargetGroup")
def create_target_group(self, result):
    for group in result["TargetGroups"]:
        if group.protocol in ("TCP", "TLS", "UDP", "TCP_UDP"):
            group.attributes.setdefault("proxy_protocol_v2.enabled", "false")
            group.attributes.setdefault("preserve_client_ip.enabled", str(group.target_type == "instance").lower())


@before("elbv2:ModifyTargetGroup")
def modify_target_group(self):
    group = elb_backend(self).target_groups.get(self._get_param("TargetGroupArn"))
    codes = (self._get_param("Matcher") or {}).get("HttpCode")
    if group and codes:
        group.matcher = {"HttpCode": codes}


def listener_tags(account, region):
    for listener in listeners(account, region):
        tags = elbv2_backends[account][region].tagging_service.get_tag_dict_for_resource(listener.arn)
        yield listener.arn, tags, "elasticloadbalancing:listener"


TAGGED.append(listener_tags)
