"""Conditional writes of objects: what moto's S3 does otherwise than AWS."""

import datetime

from moto.core.exceptions import ServiceException
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response
from wire import CALLS, LOCK, OWN, RESETS, before, refuse_as_told, refused

# 110. Between the look at what is there and the write over it nobody else writes. (moto: nothing keeps them apart.)
# 111. Requests for objects are logged, and fail as a test asks. (moto: S3 goes a way of its own.)

ORIGINAL_KEY = S3Response.key_response


def key_response(self, request, full_url, headers):
    self.setup_class(request, full_url, headers)
    action = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}.get(request.method)
    with LOCK:
        try:
            calls = CALLS.setdefault(self.current_account, {})
            calls[f"s3:{action}"] = calls.get(f"s3:{action}", 0) + 1
            refuse_as_told(self.current_account, action, served=False)
            answer = ORIGINAL_KEY(self, request, full_url, headers)
            refuse_as_told(self.current_account, action, served=True)
        except ServiceException as error:
            return refused(self, error)
    return answer


S3Response.key_response = key_response

# 112. POST /moto-api/runner/age {"account": "...", "bucket": "...", "key": "...", "seconds": 61}: an object was written so
#      long before it was.


def age(method, account, body):
    key = s3_backends[body["account"]]["aws"].get_object(body["bucket"], body["key"])
    key.last_modified -= datetime.timedelta(seconds=body["seconds"])
    return {}


OWN["age"] = age

# 113. GET /moto-api/runner/parameters?account=...: every PutParameter in the order of their arrival.

WRITES = {}
RESETS.append(WRITES.clear)


@before("ssm:PutParameter")
def log_parameter(self):
    with LOCK:
        WRITES.setdefault(self.current_account, []).append([self._get_param("Name"), self._get_param("Value")])


OWN["parameters"] = lambda method, account, body: {"writes": WRITES.get(account, [])}
