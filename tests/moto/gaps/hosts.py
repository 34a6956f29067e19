"""Hosts: instances, their disks, keys and addresses, where moto's EC2 does otherwise than AWS."""

import time

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance, InstanceState, MetadataOptions, StateReason
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.monitoring import Monitoring
from moto.iam import iam_backends
from wire import BORN, DELAYS, LOCK, TAKES_TOKEN, Over, Refusal, after, before, is_young

TAKES_TOKEN.update({f"ec2:{name}": "ClientToken" for name in ("RunInstances", "CreateVolume")})


def backend(self):
    return ec2_backends[self.current_account][self.region]


def truth(value):
    return str(value).lower() == "true"


# 51. States take their time: what has just been told to start is pending, to stop is stopping, to go is shutting down.

ON_THE_WAY = {"running": ("pending", 0), "stopped": ("stopping", 64), "terminated": ("shutting-down", 32)}


def shown_state(self):
    name, code = self._state.name, self._state.code
    if name in ON_THE_WAY and is_young(self.ec2_backend.account_id, "instance", self.id):
        name, code = ON_THE_WAY[name]
    return InstanceState(name, code)


Instance.instance_state = property(shown_state)
Instance.state = property(lambda self: shown_state(self).name)
Instance.state_code = property(lambda self: shown_state(self).code)


@after("ec2:StopInstances", "ec2:StartInstances")
def moves(self, result):
    with LOCK:
        for id in self._get_param("InstanceIds", []):
            BORN[id] = time.time()


@before("ec2:StartInstances")
def start_instances(self):
    for id in self._get_param("InstanceIds", []):
        if backend(self).get_instance(id).state not in ("stopped", "running"):
            raise Refusal("IncorrectInstanceState", f"The instance '{id}' is not in a state from which it can be started.")


def show_volume(self, volume):
    young = volume.status == "available" and is_young(self.current_account, "volume", volume.id)
    laid = {"status": "creating"} if young else {}
    if is_modifying(self, volume):
        return Over(volume, **laid, **volume.before)
    if volume.volume_type == "gp3":
        laid.update(iops=volume.iops or 3000, throughput=volume.throughput or 125)
    return Over(volume, **laid)


def is_modifying(self, volume):
    return hasattr(volume, "before") and is_young(self.current_account, "volume_modification", f"{volume.id} modified")


@after("ec2:DescribeVolumes")
def describe_volumes(self, result):
    result["Volumes"] = [show_volume(self, volume) for volume in result["Volumes"]]


@after("ec2:DescribeVolumesModifications")
def describe_modifications(self, result):
    result["VolumesModifications"] = [
        Over(one, modification_state="modifying") if is_modifying(self, one.volume) else one
        for one in result["VolumesModifications"]
    ]


# 52 to 56. Instances.


def profile_or_refuse(self, name, arn):
    profiles = iam_backends[self.current_account][self.partition].instance_profiles.values()
    if (name or arn) and not any(profile.name == name or profile.arn == arn for profile in profiles):
        what, value = ("name", name) if name else ("arn", arn)
        raise Refusal(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{what} is invalid. Invalid IAM Instance Profile {what}",
        )


@before("ec2:RunInstances")
def run_instances(self):
    ec2 = backend(self)
    image, key = self._get_param("ImageId"), self._get_param("KeyName")
    if image and image not in ec2.amis:
        raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
    if key and key not in ec2.key_pairs:
        raise Refusal("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
    profile_or_refuse(self, self._get_param("IamInstanceProfile.Name"), self._get_param("IamInstanceProfile.Arn"))


InstanceResponse._validate_block_device_mapping = staticmethod(lambda mapping: None)
ORIGINAL_MAPPINGS = InstanceResponse._parse_block_device_mapping


def mappings(self):
    parsed = ORIGINAL_MAPPINGS(self)
    for mapping in parsed:
        if not mapping["Ebs"]["SnapshotId"]:
            # As large as the image, if nobody says how large.
            mapping["Ebs"]["VolumeSize"] = mapping["Ebs"]["VolumeSize"] or 8
    return parsed


InstanceResponse._parse_block_device_mapping = mappings


@after("ec2:RunInstances")
def show_new_instances(self, result):
    ec2 = backend(self)
    asked = {mapping.get("DeviceName"): mapping.get("Ebs", {}) for mapping in self._get_param("BlockDeviceMappings", [])}
    interfaces = self._get_param("NetworkInterfaces", [])
    for instance in result.instances:
        with LOCK:
            BORN[instance.id] = time.time()
        instance.disable_api_termination = truth(self._get_param("DisableApiTermination"))
        instance.monitoring_state = "enabled" if truth(self._get_param("Monitoring.Enabled")) else "disabled"
        instance.ebs_optimized = truth(self._get_param("EbsOptimized"))
        instance.placement.tenancy = self._get_param("Placement.Tenancy") or "default"
        instance.cpu_credits = self._get_param("CreditSpecification.CpuCredits")
        groups = interfaces[0].get("Groups") if interfaces else None
        if groups:
            instance.security_groups = [ec2.get_security_group_from_id(id) for id in groups]
        if not instance.security_groups:
            instance.security_groups = [ec2.get_default_security_group(instance.vpc_id)]
        only_of_instance(instance)
        devices = instance.block_device_mapping
        if "/dev/sda1" in devices and instance.root_device_name not in devices:
            devices[instance.root_device_name] = devices.pop("/dev/sda1")
        for device, block in devices.items():
            volume = ec2.volumes[block.volume_id]
            volume.attachment.device = device
            volume.iops = asked.get(device, {}).get("Iops") or volume.iops
            volume.throughput = asked.get(device, {}).get("Throughput")
        if DELAYS.get(self.current_account, {}).get("launch_failure"):
            ec2.terminate_instances([instance.id])
            remove_traces(ec2, [instance.id])
            instance.state_reason = StateReason("Client.InternalError: Client error on launch", "Client.InternalError")


def only_of_instance(instance):
    for interface in instance.nics.values():
        interface._group_set = []


@after("ec2:TerminateInstances")
def terminated(self, result):
    ec2 = backend(self)
    ids = self._get_param("InstanceIds", [])
    with LOCK:
        for id in ids:
            BORN[id] = time.time()
    remove_traces(ec2, ids)


def remove_traces(ec2, ids):
    for eni in [eni for eni in ec2.enis.values() if eni.instance and eni.instance.id in ids]:
        ec2.enis.pop(eni.id)
    for address in ec2.addresses:
        if address.instance and address.instance.id in ids:
            address.instance = address.eni = address.association_id = None


@before("ec2:ModifyInstanceAttribute")
def modify_instance(self):
    instance = backend(self).get_instance(self._get_param("InstanceId"))
    for attribute, name in (("instanceType", "InstanceType.Value"), ("ebsOptimized", "EbsOptimized.Value")):
        if self._get_param(name) is not None and instance.state != "stopped":
            raise Refusal("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")
    if self._get_param("Groups"):
        only_of_instance(instance)


ORIGINAL_VALUES = InstanceResponse._dot_value_instance_attribute_handler


def values(self):
    behavior = self._get_param("InstanceInitiatedShutdownBehavior.Value")
    if behavior is None:
        return ORIGINAL_VALUES(self)
    backend(self).get_instance(self._get_param("InstanceId")).instance_initiated_shutdown_behavior = behavior
    return True


InstanceResponse._dot_value_instance_attribute_handler = values


@before("ec2:ModifyInstanceMetadataOptions")
def keep_metadata_options(self):
    options = backend(self).get_instance(self._get_param("InstanceId")).metadata_options
    self.before_change = {
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "InstanceMetadataTags": options.instance_metadata_tags,
    }


@after("ec2:ModifyInstanceMetadataOptions")
def modify_metadata_options(self, result):
    given = {name: self._get_param(name) for name in self.before_change}
    options = MetadataOptions({**self.before_change, **{name: value for name, value in given.items() if value is not None}})
    backend(self).get_instance(self._get_param("InstanceId")).metadata_options = options
    result["InstanceMetadataOptions"] = options


def monitor(state):
    def respond(self):
        told = []
        for id in self._get_param("InstanceIds", []):
            backend(self).get_instance(id).monitoring_state = state
            told.append({"InstanceId": id, "Monitoring": {"State": state}})
        return ActionResult({"InstanceMonitorings": told})

    return respond


Monitoring.monitor_instances = monitor("enabled")
Monitoring.unmonitor_instances = monitor("disabled")


def credits_of(instance):
    if not instance.instance_type.startswith("t"):
        raise Refusal(
            "InvalidInstanceID.NotBurstable", f"The instance ID '{instance.id}' is not a burstable performance instance."
        )
    return getattr(instance, "cpu_credits", None) or ("standard" if instance.instance_type.startswith("t2.") else "unlimited")


def describe_credits(self):
    ids = self._get_param("InstanceIds", [])
    told = [{"InstanceId": id, "CpuCredits": credits_of(backend(self).get_instance(id))} for id in ids]
    return ActionResult({"InstanceCreditSpecifications": told})


def modify_credits(self):
    done, refused = [], []
    for one in self._get_param("InstanceCreditSpecifications", []):
        instance = backend(self).get_instance(one["InstanceId"])
        try:
            credits_of(instance)
            instance.cpu_credits = one["CpuCredits"]
            done.append({"InstanceId": instance.id})
        except Refusal as error:
            told = {"Code": "InstanceCreditSpecification.NotSupported", "Message": error.message}
            refused.append({"InstanceId": instance.id, "Error": told})
    return ActionResult(
        {"SuccessfulInstanceCreditSpecifications": done, "UnsuccessfulInstanceCreditSpecifications": refused}
    )


InstanceResponse.describe_instance_credit_specifications = describe_credits
InstanceResponse.modify_instance_credit_specification = modify_credits


@before("ec2:AssociateIamInstanceProfile")
def associate_profile(self):
    profile_or_refuse(self, self._get_param("IamInstanceProfile.Name"), self._get_param("IamInstanceProfile.Arn"))


@before("ec2:ReplaceIamInstanceProfileAssociation")
def replace_profile(self):
    associate_profile(self)


@after("ec2:ReplaceIamInstanceProfileAssociation")
def show_replaced_profile(self, result):
    one = result["IamInstanceProfileAssociation"]
    one.instance.iam_instance_profile = {"Arn": one.iam_instance_profile.arn, "Id": one.association_id}


# 58 to 60. Disks, keys and addresses.


@before("ec2:AttachVolume")
def attach_volume(self):
    ec2 = backend(self)
    volume, instance = ec2.get_volume(self._get_param("VolumeId")), ec2.get_instance(self._get_param("InstanceId"))
    device = self._get_param("Device")
    if volume.attachment:
        raise Refusal("VolumeInUse", f"{volume.id} is already attached to an instance")
    if show_volume(self, volume).status != "available":
        raise Refusal("IncorrectState", f"Volume {volume.id} is not 'available'.")
    if instance.state not in ("running", "stopped"):
        raise Refusal("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.availability_zone != instance.availability_zone:
        raise Refusal("InvalidVolume.ZoneMismatch", f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'")
    if device in instance.block_device_mapping:
        raise Refusal("InvalidParameterValue", f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use")


@before("ec2:ModifyVolume")
def modify_volume(self):
    size, volume = self._get_param("Size"), backend(self).get_volume(self._get_param("VolumeId"))
    if is_modifying(self, volume):
        raise Refusal("IncorrectModificationState", f"Volume {volume.id} is currently in modification state 'modifying'.")
    if size and int(size) < volume.size:
        raise Refusal("InvalidParameterValue", "New size cannot be smaller than existing size")
    shown = show_volume(self, volume)
    volume.before = {name: getattr(shown, name) for name in ("size", "volume_type", "iops", "throughput")}
    with LOCK:
        BORN[f"{volume.id} modified"] = time.time()


@before("ec2:DeleteKeyPair")
def delete_key_pair(self):
    pairs = backend(self).key_pairs
    for name in [name for name, pair in pairs.items() if pair.id == self._get_param("KeyPairId")]:
        del pairs[name]


@before("ec2:AssociateAddress")
def associate_address(self):
    id = self._get_param("InstanceId")
    if id and backend(self).get_instance(id).state not in ("running", "stopped"):
        raise Refusal("InvalidInstanceID", f"The pending instance '{id}' is not in a valid state for this operation.")
