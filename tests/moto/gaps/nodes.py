"""Launch templates and Auto Scaling groups: what moto does otherwise than AWS."""

import datetime
import time
import uuid

from moto.autoscaling.models import InstanceState, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.utils import parse_user_data
from wire import DELAYS, RESETS, TAKES_TOKEN, Over, Refusal, after, before, is_young, refuse_as_told

# 75 to 78. Launch templates.

TAKES_TOKEN["ec2:CreateLaunchTemplate"] = "ClientToken"
LaunchTemplate.tags = property(lambda self: self.get_tags(), lambda self, tags: None)


def data_of(version):
    data = dict(version["LaunchTemplateData"])
    data["TagSpecifications"] = [tags for tags in data.get("TagSpecifications", []) if tags.get("ResourceType") != "launch-template"]
    return dict(version, LaunchTemplateData=data)


@after("ec2:DescribeLaunchTemplateVersions")
def show_versions(self, result):
    result["LaunchTemplateVersions"] = [data_of(version) for version in result["LaunchTemplateVersions"]]


@after("ec2:CreateLaunchTemplateVersion")
def keep_user_data(self, result):
    data = result["LaunchTemplateVersion"]["LaunchTemplateData"]
    data["UserData"] = parse_user_data(self._get_param("LaunchTemplateData.UserData"))


@before("ec2:DescribeLaunchTemplates")
def refuse_unknown_templates(self):
    known = ec2_backends[self.current_account][self.region].launch_templates
    for id in self._get_param("LaunchTemplateIds", []):
        if id not in known:
            raise Refusal("InvalidLaunchTemplateId.NotFound", f"The specified launch template, with template ID {id}, does not exist.")


# 85. Instances that end.

ORIGINAL_TERMINATE = Instance.terminate


def terminate(self, *arguments, **named):
    state = ORIGINAL_TERMINATE(self, *arguments, **named)
    for interface in self.nics.values():
        self.ec2_backend.enis.pop(interface.id, None)
    return state


Instance.terminate = terminate

# 79 to 83. Auto Scaling groups.

REFRESHES = {}
RESETS.append(REFRESHES.clear)


def group_of(self):
    groups = autoscaling_backends[self.current_account][self.region].autoscaling_groups
    name = self._get_param("AutoScalingGroupName")
    if name not in groups:
        raise Refusal("ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    return groups[name]


def version_of(group):
    template = group.ec2_launch_template
    if template is None:
        return None
    number = template.get_version(group.launch_template_version).number
    return {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "Version": str(number)}


ORIGINAL_STATE = InstanceState.__init__


def born_of(self, *arguments, **named):
    ORIGINAL_STATE(self, *arguments, **named)
    self.template = version_of(self.auto_scaling_group)


InstanceState.__init__ = born_of
InstanceState.launch_template = property(lambda self: self.template)


@before("autoscaling:CreateAutoScalingGroup")
def create_group(self):
    name = self._get_param("AutoScalingGroupName")
    if name in autoscaling_backends[self.current_account][self.region].autoscaling_groups:
        raise Refusal("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name already exists")


MORE = {"MaxInstanceLifetime": "max_instance_lifetime", "DefaultInstanceWarmup": "default_instance_warmup", "DefaultCooldown": "default_cooldown"}


@after("autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup")
def keep_more(self, result):
    group = group_of(self)
    for parameter, attribute in MORE.items():
        if self._get_param(parameter) is not None:
            number = self._get_int_param(parameter)
            setattr(group, attribute, number or None if parameter == "MaxInstanceLifetime" else number)
    if self._get_param("TerminationPolicies"):
        group.termination_policies = self._get_param("TerminationPolicies")
    if self._get_param("CapacityRebalance") is not None:
        group.capacity_rebalance = self._get_bool_param("CapacityRebalance")


@after("autoscaling:DescribeAutoScalingGroups")
def show_groups(self, result):
    def instance(state):
        young = is_young(self.current_account, "autoscaling_instance", state.instance_id)
        return Over(state, lifecycle_state="Pending") if young else state

    for group in result["AutoScalingGroups"]:
        advance(self, group)
    result["AutoScalingGroups"] = [
        Over(group, instances=[instance(state) for state in group.instance_states]) for group in result["AutoScalingGroups"]
    ]


@before("autoscaling:DeleteAutoScalingGroup")
def delete_group(self):
    group = group_of(self)
    if str(self._get_param("ForceDelete")).lower() == "true":
        return
    ending = is_young(self.current_account, "autoscaling_ending", f"{group.arn} ending")
    if group.instance_states or ending:
        raise Refusal(
            "ResourceInUse",
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
        )


def enable_metrics(self):
    group = group_of(self)
    group.metrics = sorted(set(group.metrics) | set(self._get_param("Metrics") or []))
    return EmptyResult()


def disable_metrics(self):
    group = group_of(self)
    gone = self._get_param("Metrics") or group.metrics
    group.metrics = [metric for metric in group.metrics if metric not in gone]
    return EmptyResult()


AutoScalingResponse.enable_metrics_collection = enable_metrics
AutoScalingResponse.disable_metrics_collection = disable_metrics

# 84. Instance refreshes.


def start_refresh(self):
    group = group_of(self)
    advance(self, group)
    refreshes = REFRESHES.setdefault(group.arn, [])
    if refreshes and refreshes[0]["Status"] in ("Pending", "InProgress"):
        raise Refusal("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
    preferences = self._get_param("Preferences", {})
    desired = self._get_param("DesiredConfiguration") or {}
    template = desired.get("LaunchTemplate")
    rolls_back = str(preferences.get("AutoRollback")).lower() == "true"
    if rolls_back and (not template or str(template.get("Version", "$Default")).startswith("$")):
        raise Refusal("ValidationError", "The AutoRollback parameter cannot be set to true without a numbered version of the launch template.")
    refreshes.insert(0, {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "Status": "Pending",
        "StartTime": datetime.datetime.now(datetime.timezone.utc),
        "PercentageComplete": 0,
        "InstancesToUpdate": len(group.instance_states),
        "Preferences": preferences,
        "DesiredConfiguration": desired,
        "since": time.time(),
        "old": list(group.instance_states),
        "total": len(group.instance_states),
    })
    advance(self, group)
    return ActionResult({"InstanceRefreshId": refreshes[0]["InstanceRefreshId"]})


def describe_refreshes(self):
    group = group_of(self)
    advance(self, group)
    shown = REFRESHES.get(group.arn, [])[: self._get_int_param("MaxRecords", 50)]
    hidden = ("since", "old", "total")
    return ActionResult({"InstanceRefreshes": [{key: value for key, value in one.items() if key not in hidden} for one in shown]})


def advance(self, group):
    """Replaces as many instances as are due by now; at the end the group has the new launch template."""
    refresh = next(iter(REFRESHES.get(group.arn, [])), None)
    if not refresh or refresh["Status"] not in ("Pending", "InProgress"):
        return
    delay = DELAYS.get(self.current_account, {}).get("instance_refresh", 0)
    done = min(1.0, (time.time() - refresh["since"]) / delay) if delay else 1.0
    due = int(done * refresh["total"]) - (refresh["total"] - len(refresh["old"]))
    before = (group.ec2_launch_template, group.launch_template_version, group.provided_launch_template_version)
    template = refresh["DesiredConfiguration"].get("LaunchTemplate")
    try:
        refuse_as_told(self.current_account, "InstanceRefresh", served=False)
    except Refusal as told:
        rolls_back = str(refresh["Preferences"].get("AutoRollback")).lower() == "true"
        end(refresh, "RollbackSuccessful" if rolls_back else "Failed", told.message)
        if rolls_back:
            replace(group, [state for state in group.instance_states if state not in refresh["old"]])
        return
    if template:
        group._set_launch_configuration(None, template, None)
    replace(group, [state for state in refresh["old"][:due] if state in group.instance_states])
    refresh["old"] = refresh["old"][due:]
    refresh.update(Status="InProgress", PercentageComplete=int(done * 100), InstancesToUpdate=len(refresh["old"]))
    if done == 1.0:
        end(refresh, "Successful", None)
    else:
        group.ec2_launch_template, group.launch_template_version, group.provided_launch_template_version = before


def replace(group, states):
    if not states:
        return
    group.autoscaling_backend.ec2_backend.terminate_instances([state.instance_id for state in states])
    group.instance_states = [state for state in group.instance_states if state not in states]
    group.replace_autoscaling_group_instances(len(states), group.get_propagated_tags())


def end(refresh, status, reason):
    refresh.update(Status=status, EndTime=datetime.datetime.now(datetime.timezone.utc))
    if reason:
        refresh["StatusReason"] = reason


AutoScalingResponse.start_instance_refresh = start_refresh
AutoScalingResponse.describe_instance_refreshes = describe_refreshes
