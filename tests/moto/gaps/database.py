"""Databases: what moto's RDS does otherwise than AWS."""

import uuid

from moto.rds.models import DBInstance, RDSBackend, rds_backends
from wire import LOCK, OWN, RESETS, TAGGED, Over, Refusal, after, before, is_young

# What an instance shall be from its next maintenance on: (account, identifier) -> {parameter: value}.
PENDING = {}
RESETS.append(PENDING.clear)
# Parameters of ModifyDBInstance that wait for the maintenance window unless told otherwise, and moto's names for them.
WAIT = {
    "AllocatedStorage": "allocated_storage",
    "DBInstanceClass": "db_instance_class",
    "EngineVersion": "engine_version",
    "Iops": "iops",
    "MultiAZ": "multi_az",
    "StorageType": "storage_type",
    "DBPortNumber": "port",
}


def backend(self):
    return rds_backends[self.current_account][self.region]


def passwords(method, account, body):
    """The passwords of an account's instances: {"main": …}."""
    told = {}
    for region in rds_backends[account].values():
        told.update({one.db_instance_identifier: one._master_user_password for one in region.databases.values() if hasattr(one, "_master_user_password")})
    return told


OWN["passwords"] = passwords

ORIGINAL_INIT = DBInstance.__init__


def init(self, *args, **kwargs):
    ORIGINAL_INIT(self, *args, **kwargs)
    self.dbi_resource_id = "db-" + uuid.uuid4().hex[:26].upper()


DBInstance.__init__ = init


def shown(self, instance):
    laid = {"pending_modified_values": dict(PENDING.get((self.current_account, instance.db_instance_identifier), {}))}
    if instance.status == "available" and is_young(self.current_account, "db_instance", instance.dbi_resource_id):
        laid.update(db_instance_status="creating", status="creating", endpoint=None)
    return Over(instance, **laid)


@after("rds:DescribeDBInstances", "rds:CreateDBInstance", "rds:ModifyDBInstance")
def show_instances(self, result):
    if "DBInstance" in result:
        result["DBInstance"] = shown(self, result["DBInstance"])
    else:
        result["DBInstances"] = [shown(self, one) for one in result["DBInstances"]]


def instance_named(self):
    return backend(self).databases.get(self._get_param("DBInstanceIdentifier"))


@before("rds:CreateDBInstance")
def create_instance(self):
    name = self._get_param("DBInstanceIdentifier")
    group = self._get_param("DBSubnetGroupName")
    if group and group not in backend(self).subnet_groups:
        raise Refusal("DBSubnetGroupNotFoundFault", f"DB subnet group '{group}' does not exist.", 404)
    if not self._get_param("MasterUserPassword") and not self._get_param("ManageMasterUserPassword"):
        raise Refusal("InvalidParameterValue", "The parameter MasterUserPassword must be provided and must not be blank.")
    if name not in backend(self).databases:
        PENDING.pop((self.current_account, name), None)


def refuse_young(self, instance):
    if is_young(self.current_account, "db_instance", instance.dbi_resource_id):
        raise Refusal("InvalidDBInstanceState", f"Database instance {instance.db_instance_identifier} is not in available state.")


@before("rds:ModifyDBInstance")
def modify_instance(self):
    instance = instance_named(self)
    if not instance:
        return
    refuse_young(self, instance)
    at_once = str(self._get_param("ApplyImmediately")).lower() == "true"
    pending = PENDING.setdefault((self.current_account, instance.db_instance_identifier), {})
    if at_once and "DBPortNumber" in self.params:
        self.params["port"] = self.params["DBPortNumber"]
    for name in [name for name in WAIT if name in self.params]:
        pending.pop("Port" if name == "DBPortNumber" else name, None)
        if not at_once and getattr(instance, WAIT[name], None) != self.params[name]:
            pending["Port" if name == "DBPortNumber" else name] = self.params[name]
        if not at_once:
            del self.params[name]


@before("rds:DeleteDBInstance")
def delete_instance(self):
    instance = instance_named(self)
    if not instance:
        return
    refuse_young(self, instance)
    skipped = str(self._get_param("SkipFinalSnapshot")).lower() == "true"
    if not skipped and not self._get_param("FinalDBSnapshotIdentifier"):
        raise Refusal("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if skipped and self._get_param("FinalDBSnapshotIdentifier"):
        raise Refusal("InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when deleting a DB instance with SkipFinalSnapshot")


# Subnet groups.


@before("rds:CreateDBSubnetGroup")
def create_subnet_group(self):
    name = self._get_param("DBSubnetGroupName")
    if name in backend(self).subnet_groups:
        raise Refusal("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
    subnets = [s for id in self._get_param("SubnetIds", []) for s in [self_subnet(self, id)]]
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        raise Refusal("DBSubnetGroupDoesNotCoverEnoughAZs", "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement.")


def self_subnet(self, id):
    from moto.ec2.models import ec2_backends

    return ec2_backends[self.current_account][self.region].get_subnet(id)


@before("rds:DeleteDBSubnetGroup")
def delete_subnet_group(self):
    name = self._get_param("DBSubnetGroupName")
    for one in backend(self).databases.values():
        if getattr(one, "_db_subnet_group_name", None) == name:
            raise Refusal(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{name}' because at least one database instance: {one.db_instance_identifier} is still using it.",
            )


def modify_subnet_group(self, subnet_name, description, subnets):
    group = self.subnet_groups.get(subnet_name)
    if not group:
        raise Refusal("DBSubnetGroupNotFoundFault", f"DB subnet group '{subnet_name}' does not exist.", 404)
    group.subnets = subnets
    if description is not None:
        group.description = description
    return group


RDSBackend.modify_db_subnet_group = modify_subnet_group


def subnet_group_tags(account, region):
    for group in rds_backends[account][region].subnet_groups.values():
        yield group.arn, {tag["Key"]: tag["Value"] for tag in group.get_tags()}, "rds:subgrp"


TAGGED.append(subnet_group_tags)
