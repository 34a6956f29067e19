"""moto's server, with the gaps filled that the AWS tests would fall into.

    python launcher.py           prints "port <n>" once it listens; ends when its standard input is closed

What it adds to moto 5.2, and why:

 1. An account per access key: a key that ends in twelve digits belongs to that account, so that tests sharing one
    server do not see each other. (moto: every unknown key belongs to one account.)
 2. Client tokens: CreateNatGateway, CreateVpcEndpoint and CreateRouteTable with a token seen before give the first
    answer again, or IdempotentParameterMismatch. (moto: makes another one.) Forgotten on /moto-api/reset.
 3. A clean error 400 for calls and filters that moto does not know. (moto: an HTML page with status 500, which the
    SDK retries.)
 4. Pages: MaxResults and NextToken of every Describe call. (moto: mostly ignored.)
 5. Tag filters of DescribeNatGateways. (moto: ignored.)
 6. DependencyViolation and the like: deleting a subnet or a security group in use, detaching an internet gateway
    below a NAT gateway, deleting a VPC with an internet gateway or with security groups of its own, releasing an
    address in use. (moto: accepted.)
    Deleting a NAT gateway frees its address. (moto: it stays associated.)
 7. A subnet cannot be associated with two route tables: Resource.AlreadyAssociated. (moto: silently keeps the first.)
 8. ModifyVpcEndpoint: ResetPolicy, PrivateDnsEnabled and IpAddressType (moto: ignored); the routes of a gateway
    endpoint come and go with its route tables (moto: only made along with it, so that deleting it fails), and the network
    interfaces of an interface endpoint with its subnets (moto: they stay, and the subnet cannot be deleted).
 9. CreateVpcEndpoint: IpAddressType is kept, and an interface endpoint without security groups gets the default one.
10. Delays: POST /moto-api/runner/delays {"account": "...", "nat_gateway": 0.5, "vpc_endpoint": 0.5} (seconds): newly
    made ones are `pending` for so long. (moto: available at once.)
11. A log: GET /moto-api/runner/calls?account=... gives {"ec2:CreateVpc": 1, ...}; DELETE forgets it.
12. Faults: POST /moto-api/runner/faults {"account": "...", "operation": "CreateVpc", "code": "RequestLimitExceeded",
    "status": 503, "times": 1}: that call fails so often before it is served; with "served": true, after.
13. DryRun is refused as AWS does. (moto: executes some calls.)
14. DescribeAddresses: PublicIpv4Pool and NetworkBorderGroup are told as AWS does. (moto: left out.)
15. DescribeTags: the resource types `natgateway` and `elastic-ip`. (moto: `nat-gateway`, `vpc-elastic-ip`.)
16. ModifySubnetAttribute: EnableDns64, EnableResourceNameDnsAAAARecordOnLaunch and PrivateDnsHostnameTypeOnLaunch.
    (moto: ignored.) DescribeSubnets: the state of an IPv6 block. (moto: unreadable.)
17. DescribeVpcEndpoints: the filter `vpc-endpoint-id`. (moto: not implemented.)
"""

import hashlib
import json
import os
import re
import sys
import threading
import time
from urllib.parse import parse_qs

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, random_private_ip
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

LOCK = threading.RLock()
TOKENS, CALLS, DELAYS, FAULTS, BORN = {}, {}, {}, {}, {}
TAKES_TOKEN = {"CreateNatGateway", "CreateVpcEndpoint", "CreateRouteTable"}


class Refusal(ServiceException):
    def __init__(self, code, message):
        super().__init__(code, message)


# 1. An account per access key.

ORIGINAL_ACCOUNT = BaseResponse.get_current_account


def get_current_account(self):
    digits = re.search(r"(\d{12})$", self.get_access_key() or "")
    return digits.group(1) if digits else ORIGINAL_ACCOUNT(self)


BaseResponse.get_current_account = get_current_account


# What happens around every call: the log, faults, tokens, clean errors.

ORIGINAL_CALL = BaseResponse.call_action


def call_action(self):
    action, account = self._get_action(), self.current_account
    with LOCK:
        calls = CALLS.setdefault(account, {})
        name = f"{self.service_name}:{action}"
        calls[name] = calls.get(name, 0) + 1
    try:
        refuse_as_told(account, action, served=False)
        if str(self._get_param("DryRun")).lower() == "true":
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        key, digest, earlier = seen(self, action, account)
        if earlier:
            return earlier
        before = BEFORE.get(action)
        if before:
            before(self, backend(self))
        answer = ORIGINAL_CALL(self)
        refuse_as_told(account, action, served=True)
    except ServiceException as error:
        return refused(self, error)
    except NotImplementedError as error:
        return refused(self, Refusal("InvalidAction", f"moto: {action}: {error}"))
    if key and int(answer[0]) < 300:
        with LOCK:
            TOKENS[key] = (digest, (answer[0], dict(answer[1]), answer[2]))
    return answer


def refused(self, error):
    _, headers, body = self.serialized(ActionResult(error))
    status = getattr(error, "status", 400)
    headers["status"] = str(status)
    headers, body = self._enrich_response(headers, body)
    return status, headers, body


def refuse_as_told(account, action, served):
    with LOCK:
        fault = FAULTS.get((account, action))
        if not fault or fault["times"] <= 0 or fault.get("served", False) != served:
            return
        fault["times"] -= 1
    error = Refusal(fault["code"], fault.get("message", "as the test asked"))
    error.status = fault.get("status", 400)
    raise error


def seen(self, action, account):
    token = self._get_param("ClientToken") if action in TAKES_TOKEN else None
    if not token:
        return None, None, None
    key = (account, self.region, action, token)
    digest = hashlib.sha256(self.raw_body if isinstance(self.raw_body, bytes) else str(self.raw_body).encode()).hexdigest()
    with LOCK:
        earlier = TOKENS.get(key)
    if not earlier:
        return key, digest, None
    if earlier[0] != digest:
        raise Refusal("IdempotentParameterMismatch", "The client token was used with other parameters before.")
    return key, digest, (earlier[1][0], dict(earlier[1][1]), earlier[1][2])


BaseResponse.call_action = call_action


# What happens to every answer: pages, filters, delays.

ORIGINAL_SERIALIZED = BaseResponse.serialized


def serialized(self, result):
    if not isinstance(result.result, Exception):
        action = self._get_action()
        after = AFTER.get(action)
        if after:
            after(self, result.result)
        if action.startswith("Describe") and isinstance(result.result, dict):
            page(self, result.result)
    return ORIGINAL_SERIALIZED(self, result)


def page(self, result):
    size = self._get_param("MaxResults")
    lists = [key for key, value in result.items() if isinstance(value, (list, tuple))]
    if not size or len(lists) != 1 or result.get("NextToken"):
        return
    items, size = list(result[lists[0]]), int(size)
    start = int(self._get_param("NextToken") or 0)
    result[lists[0]] = items[start : start + size]
    if start + size < len(items):
        result["NextToken"] = str(start + size)


BaseResponse.serialized = serialized


class Over:
    """An object with some attributes laid over it."""

    def __init__(self, of, **attributes):
        self.__dict__.update(attributes, _of=of)

    def __getattr__(self, name):
        return getattr(self._of, name)


def backend(self):
    return ec2_backends[self.current_account][self.region]


def is_young(account, kind, id):
    with LOCK:
        born = BORN.setdefault(id, time.time())
        return time.time() - born < DELAYS.get(account, {}).get(kind, 0)


def show_nat_gateways(self, result):
    def shown(gateway):
        young = gateway.state == "available" and is_young(self.current_account, "nat_gateway", gateway.id)
        return Over(gateway, state="pending") if young else gateway

    if "NatGateway" in result:
        result["NatGateway"] = shown(result["NatGateway"])
        return
    gateways = list(result["NatGateways"])
    for filter in self._get_param("Filter", []):
        if filter["Name"].startswith("tag:"):
            tagged = lambda gateway: {tag["key"]: tag["value"] for tag in gateway.get_tags()}.get(filter["Name"][4:])
            gateways = [gateway for gateway in gateways if tagged(gateway) in filter["Values"]]
    result["NatGateways"] = [shown(gateway) for gateway in gateways]


def show_endpoints(self, result):
    def shown(endpoint):
        laid = {"ip_address_type": getattr(endpoint, "ip_address_type", "ipv4")}
        if endpoint.state == "available" and is_young(self.current_account, "vpc_endpoint", endpoint.id):
            laid["state"] = "pending"
        return Over(endpoint, **laid)

    if "VpcEndpoint" in result:
        endpoint = result["VpcEndpoint"]
        if self._get_param("IpAddressType"):
            endpoint.ip_address_type = self._get_param("IpAddressType")
        if endpoint.vpc_endpoint_type == "Interface" and not endpoint.security_group_ids:
            default = backend(self).get_default_security_group(endpoint.vpc_id)
            endpoint.security_group_ids = [default.id] if default else []
        result["VpcEndpoint"] = shown(endpoint)
    else:
        result["VpcEndpoints"] = [shown(endpoint) for endpoint in result["VpcEndpoints"]]


def modify_endpoint(self, ec2):
    endpoint = ec2.vpc_end_points.get(self._get_param("VpcEndpointId"))
    if not endpoint:
        raise Refusal("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id does not exist")
    endpoint.subnet_ids = endpoint.subnet_ids or []
    if str(self._get_param("ResetPolicy")).lower() == "true":
        endpoint.policy_document = json.dumps(VPCEndPoint.DEFAULT_POLICY)
    private = self._get_param("PrivateDnsEnabled")
    if private is not None:
        endpoint.private_dns_enabled = str(private).lower() == "true"
    if self._get_param("IpAddressType"):
        endpoint.ip_address_type = self._get_param("IpAddressType")
    list = endpoint.destination_prefix_list_id
    for table in self._get_param("AddRouteTableIds", []):
        if list and table not in endpoint.route_table_ids:
            ec2.create_route(table, None, gateway_id=endpoint.id, destination_prefix_list_id=list)
    for table in self._get_param("RemoveRouteTableIds", []):
        if list and table in endpoint.route_table_ids:
            ec2.delete_route(table, list)
    if endpoint.vpc_endpoint_type.lower() == "interface":
        for subnet in self._get_param("AddSubnetIds", []):
            if subnet not in endpoint.subnet_ids:
                endpoint.network_interface_ids.append(ec2.create_network_interface(subnet, random_private_ip()).id)
        gone = self._get_param("RemoveSubnetIds", [])
        for id in [id for id in endpoint.network_interface_ids if ec2.enis[id].subnet.id in gone]:
            endpoint.network_interface_ids.remove(id)
            ec2.enis.pop(id)


def show_addresses(self, result):
    region = self.region
    result["Addresses"] = [
        Over(one, public_ipv4_pool=getattr(one, "public_ipv4_pool", None) or "amazon", network_border_group=region)
        for one in result["Addresses"]
    ]


AFTER = {
    "CreateNatGateway": show_nat_gateways,
    "DescribeNatGateways": show_nat_gateways,
    "CreateVpcEndpoint": show_endpoints,
    "DescribeVpcEndpoints": show_endpoints,
    "DescribeAddresses": show_addresses,
}


# 6, 7. What AWS refuses.


def violation(what):
    raise Refusal("DependencyViolation", f"{what} has dependencies and cannot be deleted.")


def nat_gateways(ec2):
    return [gateway for gateway in ec2.nat_gateways.values() if gateway.state != "deleted"]


def delete_subnet(self, ec2):
    id = self._get_param("SubnetId")
    gateways = {gateway._eni.id: gateway for gateway in ec2.nat_gateways.values()}
    for eni in ec2.enis.values():
        of_deleted = eni.id in gateways and gateways[eni.id].state == "deleted"
        if eni.subnet.id == id and not of_deleted:
            violation(f"The subnet '{id}'")


def delete_security_group(self, ec2):
    id = self._get_param("GroupId")
    if any(id in [group.id for group in eni.group_set] for eni in ec2.enis.values()):
        violation(f"resource {id}")
    if any(id in endpoint.security_group_ids for endpoint in ec2.vpc_end_points.values() if endpoint.state != "deleted"):
        violation(f"resource {id}")
    for groups in ec2.groups.values():
        for group in groups.values():
            rules = list(group.ingress_rules) + list(group.egress_rules)
            if group.id != id and any((rule.source_group or {}).get("GroupId") == id for rule in rules):
                violation(f"resource {id}")


def detach_internet_gateway(self, ec2):
    vpc = self._get_param("VpcId")
    if any(gateway.vpc_id == vpc and gateway.connectivity_type != "private" for gateway in nat_gateways(ec2)):
        raise Refusal(
            "DependencyViolation",
            f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )


def delete_vpc(self, ec2):
    id = self._get_param("VpcId")
    attached = any(gateway.vpc and gateway.vpc.id == id for gateway in ec2.internet_gateways.values())
    if attached or any(group.name != "default" for group in ec2.groups.get(id, {}).values()):
        violation(f"The vpc '{id}'")


def delete_nat_gateway(self, ec2):
    gateway = ec2.nat_gateways.get(self._get_param("NatGatewayId"))
    for address in gateway.address_set if gateway else []:
        id = address.get("allocationId") or address.get("AllocationId")
        if id:
            elastic = ec2.address_by_allocation([id])[0]
            elastic.eni = elastic.instance = elastic.association_id = None


def release_address(self, ec2):
    id = self._get_param("AllocationId")
    for gateway in nat_gateways(ec2):
        if any((address.get("allocationId") or address.get("AllocationId")) == id for address in gateway.address_set):
            raise Refusal("InvalidIPAddress.InUse", f"Address {id} is in use.")


def associate_route_table(self, ec2):
    subnet, table = self._get_param("SubnetId"), self._get_param("RouteTableId")
    for other in ec2.route_tables.values():
        if subnet and other.id != table and subnet in other._associations.values():
            raise Refusal("Resource.AlreadyAssociated", f"the specified association for route table {table} conflicts with an existing association")


# 15 to 17. Small things.

EC2_PREFIX_TO_RESOURCE.update({"nat": "natgateway", "eipalloc": "elastic-ip"})


def modify_subnet(self, ec2):
    subnet = ec2.get_subnet(self._get_param("SubnetId"))
    for name, option in (
        ("EnableResourceNameDnsARecordOnLaunch.Value", "EnableResourceNameDnsARecord"),
        ("EnableResourceNameDnsAAAARecordOnLaunch.Value", "EnableResourceNameDnsAAAARecord"),
        ("PrivateDnsHostnameTypeOnLaunch", "HostnameType"),
    ):
        if self._get_param(name) is not None:
            subnet.private_dns_name_options_on_launch[option] = self._get_param(name)
    if self._get_param("EnableDns64.Value") is not None:
        subnet.enable_dns64 = self._get_param("EnableDns64.Value")


def ipv6_of_subnet(subnet):
    return [
        {"Ipv6CidrBlock": one["ipv6CidrBlock"], "AssociationId": one["associationId"], "Ipv6CidrBlockState": one["ipv6CidrBlockState"]}
        for one in subnet.ipv6_cidr_block_associations.values()
        if one["ipv6CidrBlockState"]["State"] == "associated"
    ]


Subnet.ipv6_cidr_block_association_set = property(ipv6_of_subnet)

ORIGINAL_ENDPOINT_FILTER = VPCEndPoint.get_filter_value


def endpoint_filter(self, name, method=None):
    return self.id if name == "vpc-endpoint-id" else ORIGINAL_ENDPOINT_FILTER(self, name, method)


VPCEndPoint.get_filter_value = endpoint_filter

BEFORE = {
    "ModifySubnetAttribute": modify_subnet,
    "DeleteSubnet": delete_subnet,
    "DeleteSecurityGroup": delete_security_group,
    "DeleteVpc": delete_vpc,
    "DetachInternetGateway": detach_internet_gateway,
    "ReleaseAddress": release_address,
    "DeleteNatGateway": delete_nat_gateway,
    "AssociateRouteTable": associate_route_table,
    "ModifyVpcEndpoint": modify_endpoint,
}


# 10 to 12. The launcher's own requests, in front of moto's.


class Front:
    def __init__(self, moto):
        self.moto = moto

    def __call__(self, environ, start_response):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/moto-api/reset":
            with LOCK:
                for store in (TOKENS, CALLS, DELAYS, FAULTS, BORN):
                    store.clear()
        if not path.startswith("/moto-api/runner/"):
            return self.moto(environ, start_response)
        account = parse_qs(environ.get("QUERY_STRING", "")).get("account", [""])[0]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.loads(environ["wsgi.input"].read(length)) if length else {}
        with LOCK:
            answer = self.own(path.rsplit("/", 1)[1], method, account, body)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def own(self, what, method, account, body):
        if what == "calls" and method == "GET":
            return CALLS.get(account, {})
        if what == "calls" and method == "DELETE":
            return CALLS.pop(account, {})
        if what == "delays":
            DELAYS[body.pop("account")] = body
        if what == "faults":
            FAULTS[(body.pop("account"), body.pop("operation"))] = body
        return {}


class Quiet(WSGIRequestHandler):
    # One TCP connection for many requests, as AWS has it.
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def main():
    server = make_server("127.0.0.1", 0, Front(DomainDispatcherApplication(create_backend_app)), threaded=True, request_handler=Quiet)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print(f"port {server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
