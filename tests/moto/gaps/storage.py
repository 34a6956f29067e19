"""Repositories, buckets and parameters: what moto does otherwise than AWS."""

import time

import xmltodict
from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.s3.models import PublicAccessBlock
from moto.s3.responses import S3Response
from moto.core.responses import ActionResult
from moto.ssm import models as ssm
from moto.ssm.responses import SimpleSystemManagerResponse
from wire import CALLS, LOCK, TAGGED, after, refuse_as_told, refused

# 70. Repositories in the tagging API.


def tagged_repositories(account, region):
    backend = ecr_backends[account][region]
    for repository in list(backend.repositories.values()):
        yield repository.arn, backend.tagger.get_tag_dict_for_resource(repository.arn), "ecr:repository"


TAGGED.append(tagged_repositories)

@after("ecr:PutImageScanningConfiguration")
def scan_nothing(self, result):
    repository = ecr_backends[self.current_account][self.region].repositories[self._get_param("repositoryName")]
    wanted = self._get_param("imageScanningConfiguration") or {}
    repository.image_scanning_configuration = {"scanOnPush": bool(wanted.get("scanOnPush"))}


# 71 to 73. Buckets; requests for objects go another way and are left alone.

ORIGINAL_BUCKET = S3Response.bucket_response
ALL = {"block_public_acls": True, "ignore_public_acls": True, "block_public_policy": True, "restrict_public_buckets": True}


def bucket_response(self, request, full_url, headers):
    self.setup_class(request, full_url, headers)
    action, account = self._get_action(), self.current_account
    with LOCK:
        calls = CALLS.setdefault(account, {})
        calls[f"s3:{action}"] = calls.get(f"s3:{action}", 0) + 1
    try:
        refuse_as_told(account, action, served=False)
        is_new = action == "CreateBucket" and self.bucket_name not in self.backend.buckets
        answer = ORIGINAL_BUCKET(self, request, full_url, headers)
        if is_new and answer[0] < 300:
            complete_bucket(self)
        if action == "GetBucketVersioning":
            answer = (*answer[:2], answer[2].replace(b"GetBucketVersioningResponse", b"VersioningConfiguration"))
        refuse_as_told(account, action, served=True)
    except ServiceException as error:
        return refused(self, error)
    return answer


def complete_bucket(self):
    bucket = self.backend.buckets[self.bucket_name]
    bucket.public_access_block = PublicAccessBlock(**ALL)
    bucket.encryption = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}}
    wanted = xmltodict.parse(self.body)["CreateBucketConfiguration"] if self.body else None
    tags = ((wanted or {}).get("Tags") or {}).get("Tag") or []
    tags = tags if isinstance(tags, list) else [tags]
    if tags:
        self.backend.put_bucket_tagging(self.bucket_name, {tag["Key"]: tag.get("Value") or "" for tag in tags})


S3Response.bucket_response = bucket_response

# 74. AWS's own parameters that name images.

WINDOWS = "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-"
IMAGES = [WINDOWS + "Base", WINDOWS + "SQL_2022_Standard"] + [
    f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/{machine}/standard/recommended/image_id"
    for version in ("1.31", "1.32", "1.33", "1.34")
    for machine in ("x86_64", "arm64")
]
ORIGINAL_LOADING = ssm.ParameterDict._check_loading_status


def load_images(self, key):
    ORIGINAL_LOADING(self, key)
    if key not in IMAGES or dict.__contains__(self, key):
        return
    images = ec2_backends[self.account_id][self.region_name].amis.values()
    windows = "ami-windows" in key
    fitting = [image.id for image in images if ("windows" in (image.name or "").lower()) == windows]
    parameter = ssm.Parameter(self.account_id, key, fitting[0], "String", None, None, None, time.time(), 1, "aws:ec2:image")
    dict.__setitem__(self, key, [parameter])


ssm.ParameterDict._check_loading_status = load_images


def describe_parameters(self):
    found = self.ssm_backend.describe_parameters(self._get_param("Filters"), self._get_param("ParameterFilters"))
    return ActionResult({"Parameters": [one.describe_response_object(False) for one in found]})


SimpleSystemManagerResponse.describe_parameters = describe_parameters
