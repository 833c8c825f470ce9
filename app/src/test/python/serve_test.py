"""A single node seen by boto3: serve_test.py forms | write LOG | check LOG | slow SECONDS | slow-check.

The node's address and keys come in FOREBAY_S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import http.client
import io
import os
import random
import sys
import time
import urllib.parse

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEYS = 12


def client():
    config = Config(
        signature_version="s3v4",
        retries={"max_attempts": 0},
        connect_timeout=10,
        read_timeout=30,
        s3={"addressing_style": "path"},
    )
    return boto3.client("s3", endpoint_url=os.environ["FOREBAY_S3_ENDPOINT"], region_name="us-east-1", config=config)


def content(key, version):
    rng = random.Random(f"{key}/{version}")
    length = rng.choice([rng.randrange(0, 3000), rng.randrange(3000, 200_000), rng.randrange(1 << 20, 5 << 20)])
    return rng.randbytes(length)


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as refusal:
        return refusal.response["Error"]["Code"], refusal.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("was not refused")


def forms():
    s3 = client()
    s3.create_bucket(Bucket="forms")
    etag = s3.put_object(Bucket="forms", Key="a/b", Body=b"first", Metadata={"step": "7"})["ETag"]
    got = s3.get_object(Bucket="forms", Key="a/b")
    assert got["Body"].read() == b"first" and got["Metadata"] == {"step": "7"} and got["ETag"] == etag
    assert s3.get_object(Bucket="forms", Key="a/b", Range="bytes=1-3")["Body"].read() == b"irs"

    assert code_of(s3.put_object, Bucket="forms", Key="a/b", Body=b"x", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert code_of(s3.put_object, Bucket="forms", Key="a/b", Body=b"x", IfMatch='"0"') == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket="forms", Key="a/b")["Body"].read() == b"first"
    second = s3.put_object(Bucket="forms", Key="a/b", Body=b"second", IfMatch=etag)["ETag"]
    assert second != etag
    assert code_of(s3.get_object, Bucket="forms", Key="a/b", IfNoneMatch=second)[1] == 304
    assert s3.get_object(Bucket="forms", Key="a/b", IfMatch=second)["Body"].read() == b"second"

    big = random.Random(3).randbytes((41 << 20) + 17)
    parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(big), "forms", "big", Config=parts)
    back = io.BytesIO()
    s3.download_fileobj("forms", "big", back, Config=parts)
    assert back.getvalue() == big
    assert s3.head_object(Bucket="forms", Key="big")["ETag"].endswith('-6"')

    for i in range(25):
        s3.put_object(Bucket="forms", Key=f"list/{i:02}/x", Body=b"%d" % i)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="forms", Prefix="list/", PaginationConfig={"PageSize": 10})
    assert [each["Key"] for page in pages for each in page["Contents"]] == [f"list/{i:02}/x" for i in range(25)]
    level = s3.list_objects_v2(Bucket="forms", Delimiter="/")
    assert [each["Prefix"] for each in level["CommonPrefixes"]] == ["a/", "list/"]
    assert [each["Key"] for each in level["Contents"]] == ["big"]
    s3.delete_object(Bucket="forms", Key="a/b")
    assert code_of(s3.get_object, Bucket="forms", Key="a/b") == ("NoSuchKey", 404)


def write(log):
    """Overwrites keys until the node is gone; a line of the log is on the disk once its PUT is acknowledged."""
    s3 = client()
    try:
        s3.create_bucket(Bucket="kept")
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass  # from the node's last life
    with open(log, "a", encoding="ascii") as acknowledged:
        version = 0
        while True:
            key = f"k{version % KEYS}"
            try:
                s3.put_object(Bucket="kept", Key=key, Body=content(key, version))
            except (BotoCoreError, ClientError) as failure:
                print("ended by", failure)
                return
            acknowledged.write(f"{key} {version}\n")
            acknowledged.flush()
            version += 1


def check(log):
    """Each key holds the version acknowledged last, or the one PUT that was never answered."""
    s3 = client()
    last, total = {}, 0
    with open(log, encoding="ascii") as acknowledged:
        for line in acknowledged:
            key, version = line.split()
            last[key] = int(version)
            total += 1
    unanswered = max(last.values()) + 1
    for key, version in last.items():
        body = s3.get_object(Bucket="kept", Key=key)["Body"].read()
        allowed = [content(key, version)]
        if key == f"k{unanswered % KEYS}":
            allowed.append(content(key, unanswered))
        assert body in allowed, f"{key}: {len(body)} bytes, of version {version} wanted: {len(allowed[0])}"
    listed = {each["Key"] for each in s3.list_objects_v2(Bucket="kept")["Contents"]}
    assert set(last) <= listed, f"lost from the list: {set(last) - listed}"
    print("checked", len(last), "keys,", total, "acknowledged PUTs")


SLOW_BODY = random.Random(9).randbytes(200_000)


def slow(seconds):
    """A PUT whose second half comes late."""
    s3 = client()
    s3.create_bucket(Bucket="slow")
    url = urllib.parse.urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": "slow", "Key": "k"}))
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(len(SLOW_BODY)))
    connection.endheaders(SLOW_BODY[:100_000])
    print("half", flush=True)
    time.sleep(float(seconds))
    connection.send(SLOW_BODY[100_000:])
    answer = connection.getresponse()
    assert answer.status == 200, (answer.status, answer.read())
    print("acknowledged")


def slow_check():
    assert client().get_object(Bucket="slow", Key="k")["Body"].read() == SLOW_BODY


if __name__ == "__main__":
    commands = {"forms": forms, "write": write, "check": check, "slow": slow, "slow-check": slow_check}
    commands[sys.argv[1]](*sys.argv[2:])
