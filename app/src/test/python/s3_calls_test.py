"""The S3 door's calls on a node, seen by boto3: s3_calls_test.py put | check | train | trained.

The node's address comes in FOREBAY_S3_ENDPOINT; its key pairs are all (which may do everything) and some
(which may read the bucket calls, and write own-...).
"""

import base64
import hashlib
import os
import random
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
import zlib

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["FOREBAY_S3_ENDPOINT"]
BUCKET = "calls"
MIB = 1 << 20
BIG = random.Random(1).randbytes(13 * MIB)


def client(key="all"):
    config = Config(signature_version="s3v4", retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=ENDPOINT, region_name="us-east-1", config=config,
                        aws_access_key_id=key, aws_secret_access_key=f"secret-of-{key}")


def refusal(call, **arguments):
    try:
        call(**arguments)
    except ClientError as refused:
        return refused.response["Error"]["Code"], refused.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("was not refused")


def b64(raw):
    return base64.b64encode(raw).decode()


def crc32(data):
    return b64(zlib.crc32(data).to_bytes(4, "big"))


def put(s3):
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="tagged", Body=b"hello", Tagging="team=ml&stage=a%20b", Metadata={"step": "7"})
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket=BUCKET, Key=f"sums/{algorithm}", Body=b"hello", ChecksumAlgorithm=algorithm)
    # boto3's own: an upload in parts, each with a CRC32 and a composite one for the object.
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)
    with tempfile.NamedTemporaryFile() as file:
        file.write(BIG)
        file.flush()
        s3.upload_file(file.name, BUCKET, "big", Config=config, ExtraArgs={"ChecksumAlgorithm": "CRC32"})
    # A checksum of the whole, which follows from those of the parts.
    begun = s3.create_multipart_upload(Bucket=BUCKET, Key="whole", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    arguments = {"Bucket": BUCKET, "Key": "whole", "UploadId": begun["UploadId"]}
    parts = []
    for number, at in enumerate(range(0, len(BIG), 6 * MIB), 1):
        piece = BIG[at:at + 6 * MIB]
        made = s3.upload_part(**arguments, PartNumber=number, Body=piece, ChecksumCRC32=crc32(piece))
        parts.append({"PartNumber": number, "ETag": made["ETag"], "ChecksumCRC32": made["ChecksumCRC32"]})
    assert refusal(s3.complete_multipart_upload, **arguments, MultipartUpload={"Parts": parts},
                   ChecksumCRC32=crc32(b"other")) == ("BadDigest", 400)
    done = s3.complete_multipart_upload(**arguments, MultipartUpload={"Parts": parts}, ChecksumCRC32=crc32(BIG),
                                        ChecksumType="FULL_OBJECT", MpuObjectSize=len(BIG))
    assert done["ChecksumCRC32"] == crc32(BIG), done
    form(s3)


def form(s3):
    """A browser's form under a policy that boto3 signs."""
    post = s3.generate_presigned_post(
        BUCKET, "form/${filename}", Fields={"success_action_status": "201", "Content-Type": "text/plain"},
        Conditions=[{"success_action_status": "201"}, {"Content-Type": "text/plain"}, ["content-length-range", 1, 100]])

    def send(file, **changed):
        boundary = uuid.uuid4().hex
        lines = []
        for name, value in {**post["fields"], **changed}.items():
            lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", value]
        lines += [f"--{boundary}", 'Content-Disposition: form-data; name="file"; filename="f.txt"', "", ""]
        body = "\r\n".join(lines).encode() + file + f"\r\n--{boundary}--\r\n".encode()
        request = urllib.request.Request(post["url"], data=body, method="POST", headers={
            "Content-Type": f"multipart/form-data; boundary={boundary}", "Origin": "https://page.example"})
        try:
            return urllib.request.urlopen(request)
        except urllib.error.HTTPError as refused:
            return refused

    answer = send(b"from a form")
    assert answer.status == 201, answer.read()
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example"
    assert b"<Key>form/f.txt</Key>" in answer.read()
    assert b"EntityTooLarge" in send(b"x" * 101).read()
    assert b"Policy Condition failed" in send(b"x", **{"Content-Type": "text/html"}).read()


def check(s3):
    tags = s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"]
    assert tags == [{"Key": "team", "Value": "ml"}, {"Key": "stage", "Value": "a b"}], tags
    head = s3.head_object(Bucket=BUCKET, Key="tagged")
    assert head["TagCount"] == 2 and head["Metadata"] == {"step": "7"}, head
    s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    after = s3.head_object(Bucket=BUCKET, Key="tagged")
    assert (after["ETag"], after["LastModified"], after["TagCount"]) == (head["ETag"], head["LastModified"], 1), after
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/tagged", TaggingDirective="REPLACE", Tagging="n=1")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="copy")["TagSet"] == [{"Key": "n", "Value": "1"}]
    s3.delete_object_tagging(Bucket=BUCKET, Key="copy")
    assert s3.get_object_tagging(Bucket=BUCKET, Key="copy")["TagSet"] == []

    for algorithm, value in (("CRC32", crc32(b"hello")), ("SHA1", b64(hashlib.sha1(b"hello").digest())),
                             ("SHA256", b64(hashlib.sha256(b"hello").digest()))):
        got = s3.get_object(Bucket=BUCKET, Key=f"sums/{algorithm}", ChecksumMode="ENABLED")
        assert got[f"Checksum{algorithm}"] == value and got["Body"].read() == b"hello", got

    told = s3.get_object_attributes(Bucket=BUCKET, Key="big", MaxParts=2,
                                    ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"])
    pieces = [BIG[at:at + 5 * MIB] for at in range(0, len(BIG), 5 * MIB)]
    composite = b64(zlib.crc32(b"".join(zlib.crc32(p).to_bytes(4, "big") for p in pieces)).to_bytes(4, "big")) + "-3"
    assert told["Checksum"]["ChecksumCRC32"] == composite and told["Checksum"]["ChecksumType"] == "COMPOSITE", told
    assert told["ObjectSize"] == len(BIG) and told["ObjectParts"]["TotalPartsCount"] == 3, told
    assert told["ObjectParts"]["IsTruncated"] and told["ObjectParts"]["NextPartNumberMarker"] == 2, told
    assert [p["ChecksumCRC32"] for p in told["ObjectParts"]["Parts"]] == [crc32(p) for p in pieces[:2]], told
    for number, piece in enumerate(pieces, 1):
        part = s3.get_object(Bucket=BUCKET, Key="big", PartNumber=number, ChecksumMode="ENABLED")
        assert part["Body"].read() == piece and part["PartsCount"] == 3 and part["ChecksumCRC32"] == crc32(piece), part
    assert refusal(s3.get_object, Bucket=BUCKET, Key="big", PartNumber=4) == ("InvalidPartNumber", 416)
    whole = s3.get_object(Bucket=BUCKET, Key="whole", ChecksumMode="ENABLED")
    assert whole["Body"].read() == BIG and whole["ChecksumCRC32"] == crc32(BIG), whole

    keys = ["big", "copy", "form/f.txt", "sums/CRC32", "sums/SHA1", "sums/SHA256", "tagged", "whole"]
    for size in (1, 3, 1000):
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size})
        versions = [version for page in pages for version in page["Versions"]]
        assert [version["Key"] for version in versions] == keys, versions
        assert all(version["VersionId"] == "null" and version["IsLatest"] for version in versions)
    assert s3.get_object(Bucket=BUCKET, Key="form/f.txt")["Body"].read() == b"from a form"
    assert s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"][0]["AllowedOrigins"] == ["https://page.example"]

    some = client("some")
    assert [bucket["Name"] for bucket in some.list_buckets()["Buckets"]] == [BUCKET]
    assert some.get_object(Bucket=BUCKET, Key="tagged")["Body"].read() == b"hello"
    denied = ("AccessDenied", 403)
    assert refusal(some.put_object, Bucket=BUCKET, Key="x", Body=b"") == denied
    assert refusal(some.delete_object, Bucket=BUCKET, Key="tagged") == denied
    assert refusal(some.create_bucket, Bucket="own-1") == denied
    s3.create_bucket(Bucket="own-1")
    some.copy_object(Bucket="own-1", Key="c", CopySource=f"{BUCKET}/tagged")
    assert refusal(some.delete_bucket, Bucket="own-1") == denied
    some.delete_object(Bucket="own-1", Key="c")
    assert refusal(s3.put_bucket_lifecycle_configuration, Bucket=BUCKET, LifecycleConfiguration={"Rules": [
        {"ID": "r", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]}) == ("NotImplemented", 501)


TRAINED = "checkpoints"


def train(s3):
    """Of 25 checkpoints two are whole; the policy is set when this is done."""
    s3.create_bucket(Bucket=TRAINED)
    for step in range(25):
        for rank in ("rank-0", "deep/rank-1"):
            s3.put_object(Bucket=TRAINED, Key=f"run/{step:02}/{rank}", Body=b"w%d" % step)
    for step in (7, 24):
        s3.put_object(Bucket=TRAINED, Key=f"run/{step:02}/_DONE", Body=b"")
    s3.put_object(Bucket=TRAINED, Key="run/latest", Body=b"24")
    s3.put_object(Bucket=TRAINED, Key="other/07/rank-0", Body=b"x")


def listed(s3, prefix="", delimiter=""):
    """The same by both calls and with pages of any size."""
    answers = []
    for call in ("list_objects_v2", "list_objects"):
        for size in (1, 2, 1000):
            found, pages = [], s3.get_paginator(call).paginate(
                Bucket=TRAINED, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size})
            for page in pages:
                shown = [each["Prefix"] for each in page.get("CommonPrefixes", [])]
                shown += [each["Key"] for each in page.get("Contents", [])]
                assert len(shown) <= size, page
                found += shown
            assert len(found) == len(set(found)), found
            answers.append(sorted(found))
    assert all(answer == answers[0] for answer in answers), answers
    return answers[0]


def whole(*steps):
    return [f"run/{step:02}/{file}" for step in steps for file in ("_DONE", "deep/rank-1", "rank-0")]


def trained(s3):
    beside = ["other/07/rank-0", "run/latest"]
    assert listed(s3) == sorted(whole(7, 24) + beside), listed(s3)
    assert listed(s3, "run/", "/") == ["run/07/", "run/24/", "run/latest"], listed(s3, "run/", "/")
    assert listed(s3, "", "/") == ["other/", "run/"]
    assert listed(s3, "run/0") == whole(7)
    assert listed(s3, "run/03") == []
    # Whoever writes it names it.
    assert listed(s3, "run/03/") == ["run/03/deep/rank-1", "run/03/rank-0"]
    assert listed(s3, "run/03/", "/") == ["run/03/deep/", "run/03/rank-0"]
    assert s3.head_object(Bucket=TRAINED, Key="run/03/rank-0")["ContentLength"] == 2
    assert s3.get_object(Bucket=TRAINED, Key="run/03/rank-0")["Body"].read() == b"w3"
    s3.put_object(Bucket=TRAINED, Key="run/03/_DONE", Body=b"")
    assert listed(s3) == sorted(whole(3, 7, 24) + beside), listed(s3)
    # Its marker first: so one is deleted.
    s3.delete_object(Bucket=TRAINED, Key="run/07/_DONE")
    assert listed(s3, "run/", "/") == ["run/03/", "run/24/", "run/latest"]
    left = [{"Key": key} for key in listed(s3, "run/07/")]
    assert len(left) == 2, left
    s3.delete_objects(Bucket=TRAINED, Delete={"Objects": left})
    assert listed(s3, "run/07/") == []
    # Without a marker left nothing is shown of what holds others only.
    for step in (3, 24):
        s3.delete_object(Bucket=TRAINED, Key=f"run/{step:02}/_DONE")
    s3.delete_object(Bucket=TRAINED, Key="run/latest")
    assert listed(s3, "", "/") == ["other/"], listed(s3, "", "/")
    assert listed(s3) == ["other/07/rank-0"]
    s3.delete_object(Bucket=TRAINED, Key="other/07/rank-0")
    assert listed(s3) == [], listed(s3)
    try:
        s3.delete_bucket(Bucket=TRAINED)
        raise AssertionError("a bucket with a begun checkpoint was deleted")
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "BucketNotEmpty", refused.response
        assert "'run/00/deep/rank-1', which is of a begun checkpoint" in str(refused), refused


if __name__ == "__main__":
    {"put": put, "check": check, "train": train, "trained": trained}[sys.argv[1]](client())
