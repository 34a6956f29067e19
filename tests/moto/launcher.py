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
20. OpenID Connect providers: AddClientIDToOpenIDConnectProvider and RemoveClientIDFromOpenIDConnectProvider (moto: not
    implemented); one made without thumbprints gets some (moto: none).
21. Managed policies: AWS's own are there (moto: only if all are loaded, for each account, at its start); a role takes ten;
    a name is taken in whatever path (moto: per ARN); DeletePolicy refuses one in use or with versions. (moto: accepted.)
22. Roles: CreateRole checks the trust policy (moto: only UpdateAssumeRolePolicy), both that roles of the account which it
    names are there (moto: not looked at): not before the delay `iam_role`, counted from the first time one is named.
    RemoveRoleFromInstanceProfile of a role that is not in it: NoSuchEntity. (moto: status 500.)
23. GetAccountAuthorizationDetails: pages, of ten at most, as IAM may give fewer than it is asked for (moto: all), with the
    names and ids of policies (moto: left out). Documents are percent-encoded there, in ListRoles and in GetPolicyVersion. (moto: plain.)
24. Data Lifecycle Manager. (moto: does not have it.)
90. Certificates wait for validation until a test says what they come to: POST /moto-api/runner/certificates
    {"account": "...", "status": "ISSUED", "after": 0.5} (seconds after the request; also "FAILED" with a "reason").
    (moto: issued after a minute.) Until then they have no dates; with the delay `acm_certificate` the records come late.
    Or {"account": "...", "resolver": "http://127.0.0.1:80"}: one is issued once that tells all its records, asked with
    /resolve?name=...&type=CNAME at each look. The records are an account's own for each name. (moto: one for all.)
91. DescribeCertificate: the key's algorithm as it was asked for, with a hyphen (`EC-prime256v1`), and the names with the
    first one first. (moto: always RSA_2048; any order.)
92. DeleteCertificate of one that a listener uses: ResourceInUseException. (moto: accepted.)
93. Two load balancers cannot share a name: DuplicateLoadBalancerName; the same request again gives the first one. (moto:
    makes another one, and pages of them never end.) The ARN of a network one says `net/`. (moto: `app/`.)
94. SetSubnets: a network load balancer may stand in one zone (moto: refused); addresses of CreateLoadBalancer's
    SubnetMappings are told (moto: forgotten). The attributes that an application load balancer always has. (moto: left out.)
95. OperationNotPermitted for a load balancer that is protected, and SetSecurityGroups of a network one that has none:
    InvalidConfigurationRequest. (moto: accepted.)
96. DescribeLoadBalancers, DescribeTargetGroups, DescribeListeners, DescribeTags: one that is missing fails the call, and
    so do more than 20. (moto: left out, or another one given.)
97. Listeners: DuplicateListener, CertificateNotFound, UnsupportedCertificate for one that is not issued. (moto: accepted.)
    ModifyListener: TLS, UDP and AlpnPolicy. (moto: refused; ignored.) Their tags in the tagging API. (moto: not listed.)
98. Target groups: the attributes that those for TCP and UDP always have (moto: left out); ModifyTargetGroup: the codes of
    a group that is not HTTP. (moto: ignored.)
99. A delay `lb`: load balancers are `provisioning` for so long. (moto: active at the second look.)
100. DB instances: each has an id of its own (moto: one for all), and its password can be asked for: GET
    /moto-api/runner/passwords?account=...
101. ModifyDBInstance without ApplyImmediately: what needs the maintenance window is told in PendingModifiedValues. (moto:
    done at once.) CreateDBInstance: a password, and a subnet group that is there, are needed. (moto: neither.)
102. DeleteDBInstance: a final snapshot is named or skipped, not both. (moto: not looked at.)
103. A delay `db_instance`: instances are `creating`, without an endpoint and refusing changes (InvalidDBInstanceState),
    for so long. (moto: available at once.)
104. DB subnet groups: DBSubnetGroupAlreadyExists, DBSubnetGroupDoesNotCoverEnoughAZs, and
    InvalidDBSubnetGroupStateFault while an instance uses it (moto: accepted); ModifyDBSubnetGroup keeps the group (moto:
    loses it); their tags in the tagging API. (moto: not listed.)
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
50. Client tokens of RunInstances and CreateVolume. (moto: makes another one.)
51. Delays `instance` and `volume`: instances are pending, stopping and shutting down for so long, new volumes are
    creating. (moto: at once.) What needs them further on is refused: IncorrectState, IncorrectInstanceState. With
    `launch_failure` above zero, new instances end at once as with a key that they may not use.
52. RunInstances: an unknown image, key pair or instance profile is refused; DisableApiTermination, Placement.Tenancy,
    CreditSpecification, and Iops and Throughput of disks are kept; the root volume is on the image's root device, and needs
    no size; the security groups are those of the first interface, or the default one. (moto: none of it.)
53. TerminateInstances: network interfaces go, and addresses are let go. (moto: they stay, so that the subnet cannot be
    deleted.)
54. ModifyInstanceAttribute: InstanceInitiatedShutdownBehavior (moto: not implemented); the type only of what is stopped
    (moto: always); a security group that is not used any more can be deleted (moto: stays in use).
55. ModifyInstanceMetadataOptions: what is left out stays. (moto: goes back to its default.)
56. MonitorInstances, UnmonitorInstances, ModifyInstanceCreditSpecification (moto: not implemented), and the credits of
    types that are not burstable (moto: "standard").
57. ReplaceIamInstanceProfileAssociation shows in DescribeInstances. (moto: the old one stays.)
58. AttachVolume: refused for what is attached, in another zone, or under a name in use. ModifyVolume: refused for less.
    gp3 has 3,000 IOPS and 125 MiB/s. (moto: none of it.)
59. DeleteKeyPair by KeyPairId. (moto: only by name.)
60. ReleaseAddress of what an instance has is refused. (moto: accepted.)
61. Delay `volume_modification`: DescribeVolumes tells the old size and speed for so long, and another ModifyVolume is
    IncorrectModificationState. (moto: at once.)
62. DetachInternetGateway of a VPC in which an instance has a public address: DependencyViolation. (moto: accepted.)
85. The network interfaces of an instance go with it. (moto: they stay, and so must the subnet.)

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

110. GET /moto-api/runner/held?account=... gives all that an account holds of EC2, whoever made it, with its tags;
     held_elsewhere?account=... what it holds of other services, as far as they can be tagged.
111. S3: a conditional write and the look before it are one. (moto: two writes at once may both be served.)
112. S3: requests for objects are logged, and fail as a test asks. (moto: S3 goes a way of its own.)
113. POST /moto-api/runner/age {"account": "...", "bucket": "...", "key": "...", "seconds": 61}: an object was written so
     long before it was.
114. GET /moto-api/runner/parameters?account=... gives {"writes": [[name, value], ...]}: every PutParameter, in order.

wire.py holds what is done around every request, gaps/ one file per part of AWS.
"""

import importlib
import os
import pathlib
import sys
import threading
import warnings

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from wire import Front

# moto warns of codes that botocore's models do not list; AWS sends such codes too.
warnings.simplefilter("ignore")

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
