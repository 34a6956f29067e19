"""Networks: what moto's EC2 does otherwise than AWS."""

import json

from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, random_private_ip
from wire import TAKES_TOKEN, Over, Refusal, after, before, is_young

TAKES_TOKEN.update({f"ec2:{name}": "ClientToken" for name in ("CreateNatGateway", "CreateVpcEndpoint", "CreateRouteTable")})


def backend(self):
    return ec2_backends[self.current_account][self.region]


@after("ec2:CreateNatGateway", "ec2:DescribeNatGateways")
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


@after("ec2:CreateVpcEndpoint", "ec2:DescribeVpcEndpoints")
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


@before("ec2:ModifyVpcEndpoint")
def modify_endpoint(self):
    ec2 = backend(self)
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


@after("ec2:DescribeAddresses")
def show_addresses(self, result):
    region = self.region
    result["Addresses"] = [
        Over(one, public_ipv4_pool=getattr(one, "public_ipv4_pool", None) or "amazon", network_border_group=region)
        for one in result["Addresses"]
    ]


# 6, 7. What AWS refuses.


def violation(what):
    raise Refusal("DependencyViolation", f"{what} has dependencies and cannot be deleted.")


def nat_gateways(ec2):
    return [gateway for gateway in ec2.nat_gateways.values() if gateway.state != "deleted"]


@before("ec2:DeleteSubnet")
def delete_subnet(self):
    ec2 = backend(self)
    id = self._get_param("SubnetId")
    gateways = {gateway._eni.id: gateway for gateway in ec2.nat_gateways.values()}
    for eni in ec2.enis.values():
        of_deleted = eni.id in gateways and gateways[eni.id].state == "deleted"
        if eni.subnet.id == id and not of_deleted:
            violation(f"The subnet '{id}'")


@before("ec2:DeleteSecurityGroup")
def delete_security_group(self):
    ec2 = backend(self)
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


@before("ec2:DetachInternetGateway")
def detach_internet_gateway(self):
    ec2 = backend(self)
    vpc = self._get_param("VpcId")
    mapped = any(eni.instance and eni.public_ip and eni.vpc_id == vpc for eni in ec2.enis.values())
    if mapped or any(gateway.vpc_id == vpc and gateway.connectivity_type != "private" for gateway in nat_gateways(ec2)):
        raise Refusal(
            "DependencyViolation",
            f"Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )


@before("ec2:DeleteVpc")
def delete_vpc(self):
    ec2 = backend(self)
    id = self._get_param("VpcId")
    attached = any(gateway.vpc and gateway.vpc.id == id for gateway in ec2.internet_gateways.values())
    if attached or any(group.name != "default" for group in ec2.groups.get(id, {}).values()):
        violation(f"The vpc '{id}'")


@before("ec2:DeleteNatGateway")
def delete_nat_gateway(self):
    ec2 = backend(self)
    gateway = ec2.nat_gateways.get(self._get_param("NatGatewayId"))
    for address in gateway.address_set if gateway else []:
        id = address.get("allocationId") or address.get("AllocationId")
        if id:
            elastic = ec2.address_by_allocation([id])[0]
            elastic.eni = elastic.instance = elastic.association_id = None


@before("ec2:ReleaseAddress")
def release_address(self):
    ec2 = backend(self)
    id = self._get_param("AllocationId")
    if any(address.allocation_id == id and address.instance for address in ec2.addresses):
        raise Refusal("InvalidIPAddress.InUse", f"Address {id} is in use.")
    for gateway in nat_gateways(ec2):
        if any((address.get("allocationId") or address.get("AllocationId")) == id for address in gateway.address_set):
            raise Refusal("InvalidIPAddress.InUse", f"Address {id} is in use.")


@before("ec2:AssociateRouteTable")
def associate_route_table(self):
    ec2 = backend(self)
    subnet, table = self._get_param("SubnetId"), self._get_param("RouteTableId")
    for other in ec2.route_tables.values():
        if subnet and other.id != table and subnet in other._associations.values():
            raise Refusal("Resource.AlreadyAssociated", f"the specified association for route table {table} conflicts with an existing association")


# 15 to 17. Small things.

EC2_PREFIX_TO_RESOURCE.update({"nat": "natgateway", "eipalloc": "elastic-ip"})


@before("ec2:ModifySubnetAttribute")
def modify_subnet(self):
    ec2 = backend(self)
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
