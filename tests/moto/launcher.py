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
18. The tagging API (GetResources): what the files in gaps/ add to it. (moto: thirteen types.)

30. EKS clusters: accessConfig, upgradePolicy, deletionProtection, vpcId, the cluster's own security group, an issuer of
    their own, a certificate that can be read, serviceIpv4Cidr and ipFamily, no endpoint before they are active; two
    availability zones and a supported version are required. (moto: left out, or the same for all clusters.)
31. Delays: `eks_cluster`, `eks_node_group` and `eks_addon` are being created, `eks_update` is under way, a cluster is
    being deleted (`eks_delete`), and `eks_addon_without_nodes` is DEGRADED for so long. (moto: done at once.)
32. UpdateClusterConfig: one type of change, which is one; not while another update is in progress. Logging is merged.
    UpdateClusterVersion, DescribeUpdate, ListUpdates. (moto: replaces what is given, and has no updates or versions.)
33. DeleteCluster is refused with deletion protection and during an update; it, and creates in it, are refused with the
    codes that AWS gives. Client tokens of the creates. (moto: accepted, or with other codes; makes another one.)
34. Access entries and their policies. (moto: not implemented.)
35. Add-ons, with the conflict that makes a create fail. (moto: not implemented.)
36. Node groups: updateConfig, the cluster's version as default, a disk size that is a number, UpdateNodegroupVersion,
    sizes that fit, ListNodegroups of a cluster that is not there. (moto: left out, or an error 500.)
37. TagResource and UntagResource for all of EKS, with all the keys. (moto: of clusters, and only the first key.)
38. `eks:cluster`, `eks:access-entry`, `eks:addon` and `eks:nodegroup` in the tagging API. (moto: nothing of EKS.)

wire.py holds what is done around every request, gaps/ one file per part of AWS.
"""

import importlib
import os
import pathlib
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from wire import Front

for gap in sorted(pathlib.Path(__file__).parent.glob("gaps/[a-z]*.py")):
    importlib.import_module(f"gaps.{gap.stem}")


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
