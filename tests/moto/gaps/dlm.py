"""Data Lifecycle Manager, which moto does not have at all."""

import copy
import datetime
import re
import secrets
import sys
import types

from moto import backend_index
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from wire import TAGGED, Refusal


class DlmBackend(BaseBackend):
    def __init__(self, region_name, account_id):
        super().__init__(region_name, account_id)
        self.policies = {}

    # In place of a module with URLs.
    url_bases = [r"https?://dlm\.(.+)\.amazonaws\.com"]

    @property
    def url_paths(self):
        paths = ("/policies", "/policies/(?P<policyId>[^/]+)", "/tags/(?P<resourceArn>.+)")
        return {path: DlmResponse.dispatch for path in paths}


class DlmResponse(BaseResponse):
    def __init__(self):
        super().__init__(service_name="dlm")
        self.automated_parameter_parsing = True

    @property
    def policies(self):
        return dlm_backends[self.current_account][self.region].policies

    def policy(self):
        id = self._get_param("PolicyId") or self._get_param("ResourceArn").rsplit("/", 1)[1]
        if id not in self.policies:
            raise Refusal("ResourceNotFoundException", f"Policy with id {id} does not exist", 404)
        return self.policies[id]

    def create_lifecycle_policy(self):
        id = "policy-" + secrets.token_hex(9)[:17]
        now = datetime.datetime.now(datetime.timezone.utc)
        self.policies[id] = {
            "PolicyId": id,
            "PolicyArn": f"arn:aws:dlm:{self.region}:{self.current_account}:policy/{id}",
            "Description": self._get_param("Description"),
            "ExecutionRoleArn": self._get_param("ExecutionRoleArn"),
            "State": self._get_param("State"),
            "StatusMessage": "",
            "PolicyDetails": filled_in(self._get_param("PolicyDetails")),
            "Tags": dict(self._get_param("Tags", {})),
            "DateCreated": now,
            "DateModified": now,
        }
        return ActionResult({"PolicyId": id})

    def get_lifecycle_policies(self):
        summary = ("PolicyId", "Description", "State", "Tags")
        summaries = [
            {name: policy[name] for name in summary} | {"PolicyType": policy["PolicyDetails"]["PolicyType"]}
            for policy in self.policies.values()
        ]
        return ActionResult({"Policies": summaries})

    def get_lifecycle_policy(self):
        return ActionResult({"Policy": self.policy()})

    def update_lifecycle_policy(self):
        policy = self.policy()
        for name in ("Description", "ExecutionRoleArn", "State"):
            if self._get_param(name) is not None:
                policy[name] = self._get_param(name)
        if self._get_param("PolicyDetails") is not None:
            policy["PolicyDetails"] = filled_in(self._get_param("PolicyDetails"))
        return EmptyResult()

    def delete_lifecycle_policy(self):
        del self.policies[self.policy()["PolicyId"]]
        return EmptyResult()

    def tag_resource(self):
        self.policy()["Tags"].update(self._get_param("Tags"))
        return EmptyResult()

    def untag_resource(self):
        for key in self._get_param("TagKeys"):
            self.policy()["Tags"].pop(key, None)
        return EmptyResult()

    def list_tags_for_resource(self):
        return ActionResult({"Tags": self.policy()["Tags"]})


def filled_in(details):
    """What AWS adds to what it is given."""
    details = copy.deepcopy(dict(details))
    details.setdefault("PolicyType", "EBS_SNAPSHOT_MANAGEMENT")
    details.setdefault("ResourceLocations", ["CLOUD"])
    details.setdefault("PolicyLanguage", "STANDARD")
    details.setdefault("Parameters", {"ExcludeBootVolume": False, "NoReboot": False})
    for schedule in details.get("Schedules", []):
        schedule.setdefault("CopyTags", False)
        rule = schedule.setdefault("CreateRule", {})
        rule.setdefault("Location", "CLOUD")
        if "Interval" in rule:
            rule.setdefault("IntervalUnit", "HOURS")
            rule.setdefault("Times", ["09:00"])
    return details


dlm_backends = BackendDict(DlmBackend, "dlm")

# Where moto looks for a service.
module = types.ModuleType("moto.dlm")
module.dlm_backends = dlm_backends
sys.modules["moto.dlm"] = module
backend_index.backend_url_patterns.append(("dlm", re.compile(DlmBackend.url_bases[0])))


def tagged(account, region):
    for policy in list(dlm_backends[account][region].policies.values()):
        yield policy["PolicyArn"], policy["Tags"], "dlm:policy"


TAGGED.append(tagged)
