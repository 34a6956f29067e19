"""What happens around every request, whatever the service. See launcher.py for what each part is for."""

import hashlib
import json
import re
import threading
import time
from urllib.parse import parse_qs

from moto.core.exceptions import ServiceException
from moto.core.resource_tagging import TaggedResource, make_tag_matcher, match_resource_type
from moto.core.responses import ActionResult, BaseResponse
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

LOCK = threading.RLock()
TOKENS, CALLS, DELAYS, FAULTS, BORN = {}, {}, {}, {}, {}
# Called when everything is forgotten.
RESETS = []
# Operations that give their first answer again for a token seen before: "ec2:CreateNatGateway" -> name of the token.
TAKES_TOKEN = {}
# What is done before an operation and after it: "ec2:DeleteVpc" -> function(self) or function(self, result).
BEFORE, AFTER = {}, {}
# Requests of the tests' own, by the last part of their path: function(method, account, body).
OWN = {}
# More for the tagging API: function(account, region) that yields (arn, tags, type).
TAGGED = []


class Refusal(ServiceException):
    def __init__(self, code, message, status=400):
        super().__init__(code, message)
        self.status = status


def before(*operations):
    """Marks what is done before these operations; a Refusal raised there is the answer."""
    return lambda function: [BEFORE.setdefault(name, function) for name in operations] and function


def after(*operations):
    """Marks what is done to the result of these operations before it is sent."""
    return lambda function: [AFTER.setdefault(name, function) for name in operations] and function


def operation(self):
    return f"{self.service_name}:{self._get_action()}"


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
        calls[operation(self)] = calls.get(operation(self), 0) + 1
    try:
        refuse_as_told(account, action, served=False)
        if str(self._get_param("DryRun")).lower() == "true":
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        key, digest, earlier = seen(self, action, account)
        if earlier:
            return earlier
        first = BEFORE.get(operation(self))
        if first:
            first(self)
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
    token = self._get_param(TAKES_TOKEN[operation(self)]) if operation(self) in TAKES_TOKEN else None
    if not token:
        return None, None, None
    key = (account, self.region, operation(self), token)
    body = self.raw_body if isinstance(self.raw_body, bytes) else str(self.raw_body).encode()
    if body.startswith(b"{"):
        # The order of keys in a map of tags means nothing.
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    digest = hashlib.sha256(body).hexdigest()
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
        then = AFTER.get(operation(self))
        if then:
            then(self, result.result)
        if self._get_action().startswith("Describe") and isinstance(result.result, dict):
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


def is_young(account, kind, id):
    with LOCK:
        born = BORN.setdefault(id, time.time())
        return time.time() - born < DELAYS.get(account, {}).get(kind, 0)


# 18. More kinds in the tagging API.

ORIGINAL_RESOURCES = ResourceGroupsTaggingAPIBackend._get_resources_generator


def resources(self, tag_filters=None, resource_type_filters=None, resource_arn_list=None):
    # moto walks through stores that another request may be adding to: RuntimeError, which AWS does not have.
    for attempt in range(50):
        try:
            found = list(ORIGINAL_RESOURCES(self, tag_filters, resource_type_filters, resource_arn_list))
            break
        except RuntimeError:
            if attempt == 49:
                raise
    yield from found
    seen = {resource.arn for resource in found}
    matches = make_tag_matcher(tag_filters)
    for source in TAGGED:
        for arn, tags, of in source(self.account_id, self.region_name):
            wanted = match_resource_type(of, resource_type_filters) and (not resource_arn_list or arn in resource_arn_list)
            if arn not in seen and wanted and matches(tags):
                yield TaggedResource(arn, dict(tags), of)


ResourceGroupsTaggingAPIBackend._get_resources_generator = resources


# 10 to 12. Requests of the tests' own, in front of moto's.


class Front:
    def __init__(self, moto):
        self.moto = moto

    def __call__(self, environ, start_response):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/moto-api/reset":
            with LOCK:
                for store in (TOKENS, CALLS, DELAYS, FAULTS, BORN):
                    store.clear()
                for reset in RESETS:
                    reset()
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
        if what in OWN:
            return OWN[what](method, account, body)
        return {}
