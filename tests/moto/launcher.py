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
70. The tagging API knows repositories (moto: does not), and scanning can be turned off by leaving the word out (moto:
    ignored).
71. S3: calls are logged, and fail as a test asks (moto: S3 goes a way of its own). GetBucketVersioning answers with a
    VersioningConfiguration. (moto: with another element, which the SDK refuses.)
72. CreateBucket takes tags. (moto: ignored.)
73. A new bucket refuses all public access and encrypts with AES256. (moto: neither.)
74. AWS's own parameters that name images: the EKS-optimised ones of Amazon Linux 2023, Windows Server 2022 with and
    without SQL Server (moto: Amazon Linux only). DescribeParameters gives as many a page as it is asked for. (moto: ten.)
75. CreateLaunchTemplate with a token seen before gives the first answer again. (moto: refused, since the name is taken.)
76. A launch template's own tags are as they are now, and are not among those for its instances. (moto: as they were when
    it was made, and they are.)
77. The user data of a further version of a launch template can be used by a group. (moto: fails.)
78. DescribeLaunchTemplates with an id that is not there fails. (moto: left out.)
79. CreateAutoScalingGroup with a name that is taken: AlreadyExists. (moto: takes the place of the other.)
80. Auto Scaling groups keep MaxInstanceLifetime and DefaultInstanceWarmup, and take DefaultCooldown, CapacityRebalance
    and TerminationPolicies in updates. (moto: ignored.)
81. The instances of a group: the version of the launch template each was made from (moto: the default one); `Pending`
    for as long as the delay `autoscaling_instance` says. (moto: in service at once.)
82. DeleteAutoScalingGroup without ForceDelete: ResourceInUse while there are instances, and for as long as the delay
    `autoscaling_ending` says. (moto: accepted.)
83. EnableMetricsCollection adds; DisableMetricsCollection. (moto: replaces; not there.)
84. StartInstanceRefresh and DescribeInstanceRefreshes: instances are replaced one after the other in the time that the
    delay `instance_refresh` says, then the group has the new launch template; a fault for the operation
    `InstanceRefresh` makes one fail, or roll back if asked to. (moto: not there.)
85. The network interfaces of an instance go with it. (moto: they stay, and so must the subnet.)

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
