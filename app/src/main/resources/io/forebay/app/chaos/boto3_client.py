"""Does with boto3, in its default settings, what it is told: boto3_client.py BUCKET ENDPOINT...

Reads a request a line from its standard input, and answers each by a line, in JSON:
  {"op": "put", "node": 0, "key": ..., "tag": ..., "length": ...}  ->  {"sent": how often} or {"failed": why}
  {"op": "get", "node": 0, "key": ...}  ->  {"tag": ...} (0: absent), {"wrong": how} or {"failed": why}
Contents are those of Tagged.java. Keys come from the environment.
"""

import hashlib
import io
import json
import struct
import sys

import boto3
import boto3.exceptions
from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError

BLOCK = 1 << 16
HEAD = 16


def content(tag, length):
    rest = b"".join(hashlib.sha256(struct.pack(">qq", tag, j)).digest() for j in range(BLOCK // 32))[8:]
    body = bytearray()
    for index in range(-(-length // BLOCK)):
        body += struct.pack(">q", index) + rest
    body[:HEAD] = struct.pack(">qq", tag, length)
    return bytes(body[:length])


def recognised(body):
    if len(body) < HEAD:
        return {"wrong": f"has {len(body)} bytes, and nobody wrote so few"}
    tag, length = struct.unpack(">qq", body[:HEAD])
    if length != len(body):
        return {"wrong": f"has {len(body)} bytes, and its head (value {tag}) says {length}"}
    wanted = content(tag, length)
    if body != wanted:
        differs = next(at for at in range(length) if body[at] != wanted[at])
        return {"wrong": f"begins as value {tag} and is not that from byte {differs} on"}
    return {"tag": tag}


def answer(s3, bucket, asked, sent):
    if asked["op"] == "put":
        sent.clear()
        s3.upload_fileobj(io.BytesIO(content(asked["tag"], asked["length"])), bucket, asked["key"])
        return {"sent": max(sent, default=1)}
    try:
        body = s3.get_object(Bucket=bucket, Key=asked["key"])["Body"].read()
    except s3.exceptions.NoSuchKey:
        return {"tag": 0}
    return recognised(body)


def main(bucket, *endpoints):
    clients = [boto3.client("s3", endpoint_url=endpoint) for endpoint in endpoints]
    # How often boto3 has sent a PUT by now. A completion that is sent again is answered as before,
    # and changes nothing.
    sent = []
    for client in clients:
        client.meta.events.register("needs-retry.s3.PutObject", lambda attempts, **_: sent.append(attempts))
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told = answer(clients[asked["node"]], bucket, asked, sent)
        except FlexibleChecksumError as failure:
            told = {"wrong": f"has another checksum than was said: {failure}"}
        except (BotoCoreError, ClientError, boto3.exceptions.Boto3Error, OSError) as failure:
            told = {"failed": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
