"""What an account holds, told without asking each service for it: see launcher.py."""

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.resourcegroupstaggingapi.models import resourcegroupstaggingapi_backends
from wire import OWN


def each(kept):
    """moto keeps some in a list, most by id."""
    return list(kept.values() if hasattr(kept, "values") else kept)


def inner(groups):
    return [one for group in each(groups) for one in each(group)]


def of_ec2(region):
    """(kind, thing) of all that is there, whoever made it."""
    for kind in ("vpcs", "internet_gateways", "addresses", "nat_gateways", "route_tables", "vpc_end_points", "enis",
                 "volumes", "key_pairs", "launch_templates", "network_acls", "dhcp_options_sets"):
        for one in each(getattr(region, kind)):
            yield kind, one
    for kind in ("subnets", "groups"):
        for one in inner(getattr(region, kind)):
            yield kind, one
    for reservation in each(region.reservations):
        for one in reservation.instances:
            yield "instances", one


def is_gone(one):
    state = getattr(one, "state", None) or getattr(getattr(one, "_state", None), "name", None)
    return state in ("deleted", "terminated")


def held(method, account, body):
    found = []
    for name, region in list(ec2_backends[account].items()):
        for kind, one in of_ec2(region):
            if not is_gone(one):
                id = getattr(one, "id", None) or getattr(one, "allocation_id", None)
                found.append({"kind": f"ec2 {kind}", "id": id, "region": name, "tags": dict(region.tags.get(id, {}))})
    return {"held": found}


def elsewhere(method, account, body):
    """Beyond EC2: what the tagging API knows, roles, and Auto Scaling groups."""
    found = []

    def add(region, arn, tags):
        service, what = arn.split(":")[2], arn.split(":", 5)[5].split("/")[0].split(":")[0]
        # The names of buckets and topics stand in that place.
        kind = service if service in ("s3", "sns", "sqs") else f"{service} {what}"
        if service != "ec2":
            found.append({"kind": kind, "id": arn, "region": region, "tags": dict(tags)})

    for region in ("eu-central-1", "us-east-1"):
        for one in resourcegroupstaggingapi_backends[account][region]._get_resources_generator():
            add(region, one.arn, one.tags)
        for group in list(autoscaling_backends[account][region].autoscaling_groups.values()):
            add(region, group.arn, {tag["Key"]: tag["Value"] for tag in group.tags})
    for role in list(iam_backends[account]["aws"].roles.values()):
        add("global", role.arn, {tag["Key"]: tag["Value"] for tag in role.tags})
    return {"held": list({one["id"]: one for one in found}.values())}


OWN["held"] = held
OWN["held_elsewhere"] = elsewhere
