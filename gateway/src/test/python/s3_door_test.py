"""The S3 door, seen by boto3 and by plain sockets.

The door's address and keys come in FOREBAY_S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import base64
import hashlib
import io
import os
import socket
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

ENDPOINT = os.environ["FOREBAY_S3_ENDPOINT"]
HOST, PORT = urllib.parse.urlparse(ENDPOINT).hostname, urllib.parse.urlparse(ENDPOINT).port
KEY_ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


def client(**kwargs):
    config = Config(
        signature_version="s3v4",  # else boto3 presigns by version 2
        retries={"max_attempts": 1},
        s3={"addressing_style": "path", **kwargs.pop("s3", {})},
        **kwargs.pop("config", {}),
    )
    arguments = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, **kwargs}
    return boto3.client("s3", endpoint_url=ENDPOINT, region_name=arguments.pop("region", "us-east-1"),
                        config=config, **arguments)


def signed(method, path, body=b"", headers=None):
    """Headers of a request signed by botocore, for sending over a socket of our own."""
    request = AWSRequest(method=method, url=ENDPOINT + path, data=body,
                         headers={"Host": f"{HOST}:{PORT}", **(headers or {})})
    request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    S3SigV4Auth(Credentials(KEY_ID, SECRET), "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def head_bytes(method, path, headers):
    lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_head(stream):
    lines = []
    while True:
        line = stream.readline()
        if line in (b"\r\n", b""):
            return lines
        lines.append(line.rstrip(b"\r\n").decode())


class DoorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = client()

    def setUp(self):
        self.bucket = "b-" + uuid.uuid4().hex
        self.s3.create_bucket(Bucket=self.bucket)

    def refused(self, code, status, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        response = caught.exception.response
        self.assertEqual(code, response["Error"]["Code"], response)
        self.assertEqual(status, response["ResponseMetadata"]["HTTPStatusCode"], response)
        return response

    def body(self, key, **arguments):
        return self.s3.get_object(Bucket=self.bucket, Key=key, **arguments)["Body"].read()

    def absent(self, key):
        self.refused("404", 404, self.s3.head_object, Bucket=self.bucket, Key=key)

    # --- buckets

    def test_buckets(self):
        self.assertIn(self.bucket, [b["Name"] for b in self.s3.list_buckets()["Buckets"]])
        self.s3.head_bucket(Bucket=self.bucket)
        self.assertIsNone(self.s3.get_bucket_location(Bucket=self.bucket)["LocationConstraint"])
        self.assertNotIn("Status", self.s3.get_bucket_versioning(Bucket=self.bucket))
        self.assertEqual("FULL_CONTROL", self.s3.get_bucket_acl(Bucket=self.bucket)["Grants"][0]["Permission"])
        self.refused("BucketAlreadyOwnedByYou", 409, self.s3.create_bucket, Bucket=self.bucket)
        self.s3.put_object(Bucket=self.bucket, Key="a", Body=b"x")
        self.refused("BucketNotEmpty", 409, self.s3.delete_bucket, Bucket=self.bucket)
        self.s3.delete_object(Bucket=self.bucket, Key="a")
        self.s3.delete_bucket(Bucket=self.bucket)
        self.refused("404", 404, self.s3.head_bucket, Bucket=self.bucket)
        self.refused("NoSuchBucket", 404, self.s3.list_objects_v2, Bucket=self.bucket)
        self.refused("NotImplemented", 501, self.s3.get_bucket_policy, Bucket=self.bucket)

    # --- objects

    def test_put_get_head_delete(self):
        made = self.s3.put_object(
            Bucket=self.bucket, Key="dir/a", Body=b"hello", ContentType="text/plain",
            CacheControl="no-store", ContentEncoding="gzip", Metadata={"Run": "7", "note": "a  b"})
        self.assertEqual('"5d41402abc4b2a76b9719d911017c592"', made["ETag"])
        for answer in (self.s3.head_object(Bucket=self.bucket, Key="dir/a"),
                       self.s3.get_object(Bucket=self.bucket, Key="dir/a")):
            self.assertEqual(5, answer["ContentLength"])
            self.assertEqual("text/plain", answer["ContentType"])
            self.assertEqual("no-store", answer["CacheControl"])
            self.assertEqual("gzip", answer["ContentEncoding"])
            self.assertEqual({"run": "7", "note": "a  b"}, answer["Metadata"])
            self.assertEqual(made["ETag"], answer["ETag"])
        over = self.s3.get_object(Bucket=self.bucket, Key="dir/a", ResponseContentType="x/y",
                                  ResponseContentDisposition='attachment; filename="ä€.txt"')
        self.assertEqual("x/y", over["ContentType"])
        self.s3.delete_object(Bucket=self.bucket, Key="dir/a")
        self.s3.delete_object(Bucket=self.bucket, Key="dir/a")
        self.refused("NoSuchKey", 404, self.s3.get_object, Bucket=self.bucket, Key="dir/a")

    def test_every_way_to_secure_a_body(self):
        large = os.urandom(3_000_003)
        ways = [
            {"config": {"request_checksum_calculation": "when_required"}},
            {"config": {"request_checksum_calculation": "when_supported"}},
            {"s3": {"payload_signing_enabled": True}},
            {"s3": {"payload_signing_enabled": False}},
        ]
        for i, way in enumerate(ways):
            for body in (b"", b"x", large):
                client(**way).put_object(Bucket=self.bucket, Key=f"k{i}", Body=io.BytesIO(body))
                self.assertEqual(body, self.body(f"k{i}"))
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            self.s3.put_object(Bucket=self.bucket, Key="c", Body=large, ChecksumAlgorithm=algorithm)
            self.assertEqual(large, self.body("c"))
        self.s3.put_object(Bucket=self.bucket, Key="m", Body=large,
                           ContentMD5=base64.b64encode(hashlib.md5(large).digest()).decode())

    def test_wrong_checksums_publish_nothing(self):
        self.refused("BadDigest", 400, self.s3.put_object, Bucket=self.bucket, Key="a", Body=b"x",
                     ContentMD5=base64.b64encode(hashlib.md5(b"y").digest()).decode())
        self.refused("BadDigest", 400, self.s3.put_object, Bucket=self.bucket, Key="a", Body=b"x",
                     ChecksumSHA256=base64.b64encode(hashlib.sha256(b"y").digest()).decode())
        self.refused("InvalidDigest", 400, self.s3.put_object, Bucket=self.bucket, Key="a", Body=b"x",
                     ContentMD5="bm8=")
        self.absent("a")

    def test_odd_keys(self):
        keys = ["a b", "a+b", "a%20b", "ä/€/😀", "x//y", "trailing/", "q?x=1&y", "a#b", "~-_.!*'()", "<&>\"", "a=b;c:d@e,f$g"]
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=key.encode())
        for key in keys:
            self.assertEqual(key.encode(), self.body(key))
            self.assertEqual(len(key.encode()), self.s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"])
        listed = [o["Key"] for o in self.s3.list_objects_v2(Bucket=self.bucket)["Contents"]]
        self.assertEqual(sorted(keys, key=lambda k: k.encode()), listed)
        for key in keys:
            self.s3.copy_object(Bucket=self.bucket, Key="copy of " + key, CopySource={"Bucket": self.bucket, "Key": key})
            self.assertEqual(key.encode(), self.body("copy of " + key))
            url = self.s3.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": key})
            self.assertEqual(key.encode(), urllib.request.urlopen(url).read())

    def test_illegal_keys_are_refused_by_name(self):
        for key in ("a/../b", "..", "a\0b"):
            self.refused("InvalidArgument", 400, self.s3.put_object, Bucket=self.bucket, Key=key, Body=b"x")
        # As urllib3 would take the leading slash away, this one is signed and sent by hand.
        self.refused("KeyTooLongError", 400, self.s3.put_object, Bucket=self.bucket, Key="k" * 1025, Body=b"x")
        self.s3.put_object(Bucket=self.bucket, Key="k" * 1024, Body=b"x")
        response = self.send("PUT", f"/{self.bucket}//lead", b"x")
        self.assertIn(b" 400 ", response)
        self.assertIn(b"must not begin with", response)

    def test_ranges(self):
        data = os.urandom(2_500_000)
        self.s3.put_object(Bucket=self.bucket, Key="r", Body=data)
        for text, first, last in (("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=2499990-", 2499990, None),
                                  ("bytes=-7", -7, None), ("bytes=1048575-1048577", 1048575, 1048578),
                                  ("bytes=2499999-9999999", 2499999, None), ("bytes=-9999999", 0, None)):
            answer = self.s3.get_object(Bucket=self.bucket, Key="r", Range=text)
            self.assertEqual(data[first:last], answer["Body"].read(), text)
            self.assertEqual(206, answer["ResponseMetadata"]["HTTPStatusCode"])
        self.assertEqual("bytes 10-19/2500000", self.s3.get_object(Bucket=self.bucket, Key="r", Range="bytes=10-19")["ContentRange"])
        self.refused("InvalidRange", 416, self.s3.get_object, Bucket=self.bucket, Key="r", Range="bytes=2500000-")

    def test_read_conditions(self):
        etag = self.s3.put_object(Bucket=self.bucket, Key="a", Body=b"x")["ETag"]
        modified = self.s3.head_object(Bucket=self.bucket, Key="a")["LastModified"]
        self.assertEqual(b"x", self.body("a", IfMatch=etag))
        self.assertEqual(b"x", self.body("a", IfMatch=etag.strip('"')))
        self.assertEqual(b"x", self.body("a", IfNoneMatch='"other"'))
        self.refused("PreconditionFailed", 412, self.s3.get_object, Bucket=self.bucket, Key="a", IfMatch='"other"')
        self.refused("304", 304, self.s3.get_object, Bucket=self.bucket, Key="a", IfNoneMatch=etag)
        self.refused("304", 304, self.s3.head_object, Bucket=self.bucket, Key="a", IfModifiedSince=modified)
        # If-Match that holds overrides If-Unmodified-Since that does not.
        self.assertEqual(b"x", self.body("a", IfMatch=etag, IfUnmodifiedSince="Mon, 01 Jan 2001 00:00:00 GMT"))
        self.refused("PreconditionFailed", 412, self.s3.get_object, Bucket=self.bucket, Key="a",
                     IfUnmodifiedSince="Mon, 01 Jan 2001 00:00:00 GMT")

    def test_write_conditions(self):
        etag = self.s3.put_object(Bucket=self.bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
        self.refused("PreconditionFailed", 412, self.s3.put_object, Bucket=self.bucket, Key="a", Body=b"2", IfNoneMatch="*")
        self.refused("PreconditionFailed", 412, self.s3.put_object, Bucket=self.bucket, Key="a", Body=b"2", IfMatch='"other"')
        self.refused("NoSuchKey", 404, self.s3.put_object, Bucket=self.bucket, Key="b", Body=b"2", IfMatch=etag)
        self.assertEqual(b"1", self.body("a"))
        self.s3.put_object(Bucket=self.bucket, Key="a", Body=b"2", IfMatch=etag)
        self.assertEqual(b"2", self.body("a"))
        self.refused("PreconditionFailed", 412, self.s3.delete_object, Bucket=self.bucket, Key="a", IfMatch=etag)

    def test_copy(self):
        etag = self.s3.put_object(Bucket=self.bucket, Key="a", Body=b"x", ContentType="t/a", Metadata={"k": "v"})["ETag"]
        source = {"Bucket": self.bucket, "Key": "a"}
        self.s3.copy_object(Bucket=self.bucket, Key="b", CopySource=source)
        self.assertEqual({"k": "v"}, self.s3.head_object(Bucket=self.bucket, Key="b")["Metadata"])
        self.s3.copy_object(Bucket=self.bucket, Key="b", CopySource=source, MetadataDirective="REPLACE",
                            Metadata={"new": "1"}, ContentType="t/b")
        answer = self.s3.head_object(Bucket=self.bucket, Key="b")
        self.assertEqual(({"new": "1"}, "t/b"), (answer["Metadata"], answer["ContentType"]))
        self.refused("InvalidRequest", 400, self.s3.copy_object, Bucket=self.bucket, Key="a", CopySource=source)
        self.refused("PreconditionFailed", 412, self.s3.copy_object, Bucket=self.bucket, Key="c", CopySource=source,
                     CopySourceIfNoneMatch=etag)
        self.refused("NoSuchKey", 404, self.s3.copy_object, Bucket=self.bucket, Key="c",
                     CopySource={"Bucket": self.bucket, "Key": "absent"})

    # --- lists

    def test_lists_of_2500_keys_and_deleting_them(self):
        keys = [f"d{i % 5}/k{i:05}" for i in range(2500)]
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"")
        for operation in ("list_objects_v2", "list_objects"):
            for size in (1000, 999, 333):
                pages = self.s3.get_paginator(operation).paginate(Bucket=self.bucket, PaginationConfig={"PageSize": size})
                self.assertEqual(sorted(keys), [o["Key"] for page in pages for o in page["Contents"]])
        page = self.s3.list_objects_v2(Bucket=self.bucket, Delimiter="/", MaxKeys=3)
        self.assertEqual(["d0/", "d1/", "d2/"], [p["Prefix"] for p in page["CommonPrefixes"]])
        page = self.s3.list_objects_v2(Bucket=self.bucket, Delimiter="/", ContinuationToken=page["NextContinuationToken"])
        self.assertEqual(["d3/", "d4/"], [p["Prefix"] for p in page["CommonPrefixes"]])
        self.assertFalse(page["IsTruncated"])
        page = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="d4/", StartAfter="d4/k02490")
        self.assertEqual(["d4/k02494", "d4/k02499"], [o["Key"] for o in page["Contents"]])
        self.assertEqual(0, self.s3.list_objects_v2(Bucket=self.bucket, MaxKeys=0)["KeyCount"])
        self.refused("InvalidArgument", 400, self.s3.list_objects_v2, Bucket=self.bucket, ContinuationToken="!")
        for begin in range(0, 2500, 1000):
            batch = [{"Key": key} for key in keys[begin:begin + 1000]]
            answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": batch, "Quiet": begin > 0})
            self.assertEqual(0 if begin > 0 else 1000, len(answer.get("Deleted", [])))
        self.assertNotIn("Contents", self.s3.list_objects_v2(Bucket=self.bucket))
        self.refused("MalformedXML", 400, self.s3.delete_objects, Bucket=self.bucket,
                     Delete={"Objects": [{"Key": str(i)} for i in range(1001)]})
        answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "../x"}, {"Key": "absent"}]})
        self.assertEqual("InvalidArgument", answer["Errors"][0]["Code"])

    # --- multipart

    def test_upload_and_download_of_20_mib(self):
        data = os.urandom(20 << 20)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "f")
            with open(path, "wb") as file:
                file.write(data)
            config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=6 << 20, max_concurrency=4)
            self.s3.upload_file(path, self.bucket, "big", Config=config, ExtraArgs={"Metadata": {"a": "b"}})
            head = self.s3.head_object(Bucket=self.bucket, Key="big")
            self.assertTrue(head["ETag"].endswith('-4"'), head["ETag"])
            self.assertEqual({"a": "b"}, head["Metadata"])
            self.s3.download_file(self.bucket, "big", path + "2", Config=config)
            with open(path + "2", "rb") as file:
                self.assertEqual(hashlib.sha256(data).digest(), hashlib.sha256(file.read()).digest())

    def test_multipart_step_by_step(self):
        one, two = os.urandom(5 << 20), b"tail"
        arguments = {"Bucket": self.bucket, "Key": "m"}
        self.s3.put_object(Bucket=self.bucket, Key="source", Body=b"0123456789")
        upload = self.s3.create_multipart_upload(**arguments)["UploadId"]
        first = self.s3.upload_part(**arguments, UploadId=upload, PartNumber=1, Body=one)["ETag"]
        second = self.s3.upload_part(**arguments, UploadId=upload, PartNumber=2, Body=two)["ETag"]
        third = self.s3.upload_part_copy(**arguments, UploadId=upload, PartNumber=3, CopySource=f"{self.bucket}/source",
                                         CopySourceRange="bytes=2-4")["CopyPartResult"]["ETag"]
        parts = self.s3.list_parts(**arguments, UploadId=upload)["Parts"]
        self.assertEqual([(1, 5 << 20), (2, 4), (3, 3)], [(p["PartNumber"], p["Size"]) for p in parts])
        self.assertEqual([upload], [u["UploadId"] for u in self.s3.list_multipart_uploads(Bucket=self.bucket)["Uploads"]])

        def complete(*named, **more):
            return self.s3.complete_multipart_upload(
                **arguments, UploadId=upload, **more,
                MultipartUpload={"Parts": [{"PartNumber": n, "ETag": e} for n, e in named]})

        for code, named in (("InvalidPartOrder", [(2, second), (1, first)]), ("InvalidPart", [(1, '"no"')]),
                            ("InvalidPart", [(9, first)]), ("EntityTooSmall", [(1, first), (2, second), (3, third)])):
            with self.assertRaises(ClientError) as caught:
                complete(*named)
            self.assertEqual(code, caught.exception.response["Error"]["Code"])
        self.absent("m")
        done = complete((1, first.strip('"')), (3, third))
        self.assertEqual(done["ETag"], complete((1, first), (3, third))["ETag"])
        self.assertEqual(one + b"234", self.body("m"))
        self.refused("NoSuchUpload", 404, self.s3.list_parts, **arguments, UploadId=upload)
        upload = self.s3.create_multipart_upload(**arguments)["UploadId"]
        self.s3.upload_part(**arguments, UploadId=upload, PartNumber=1, Body=b"x")
        self.s3.abort_multipart_upload(**arguments, UploadId=upload)
        self.refused("NoSuchUpload", 404, self.s3.upload_part, **arguments, UploadId=upload, PartNumber=1, Body=b"x")
        self.assertNotIn("Uploads", self.s3.list_multipart_uploads(Bucket=self.bucket))

    # --- signatures

    def test_presigned_urls(self):
        put = self.s3.generate_presigned_url("put_object", Params={"Bucket": self.bucket, "Key": "p q", "ContentType": "a/b"})
        request = urllib.request.Request(put, data=b"hello", method="PUT", headers={"Content-Type": "a/b"})
        self.assertEqual(200, urllib.request.urlopen(request).status)
        get = self.s3.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": "p q"})
        self.assertEqual(b"hello", urllib.request.urlopen(get).read())
        for broken, code in ((get[:-1] + ("0" if get[-1] != "0" else "1"), b"SignatureDoesNotMatch"),
                             (get.replace("X-Amz-Expires=3600", "X-Amz-Expires=999999"), b"AuthorizationQueryParametersError"),
                             (get.replace("p%20q", "other"), b"SignatureDoesNotMatch")):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(broken)
            self.assertIn(code, caught.exception.read())

    def test_expired_presigned_url(self):
        request = AWSRequest(method="GET", url=f"{ENDPOINT}/{self.bucket}/a")
        from botocore.auth import S3SigV4QueryAuth
        from unittest import mock
        import botocore.auth as auth
        import datetime
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)
        with mock.patch.object(auth, "get_current_datetime", lambda remove_tzinfo=True: past.replace(tzinfo=None)):
            S3SigV4QueryAuth(Credentials(KEY_ID, SECRET), "s3", "us-east-1", expires=60).add_auth(request)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request.url)
        self.assertEqual(403, caught.exception.code)
        self.assertIn(b"Request has expired", caught.exception.read())

    def test_wrong_credentials(self):
        self.refused("SignatureDoesNotMatch", 403, client(aws_secret_access_key="wrong").list_buckets)
        self.refused("InvalidAccessKeyId", 403, client(aws_access_key_id="AKIAWRONG").list_buckets)
        wrong = self.refused("AuthorizationHeaderMalformed", 400, client(region="eu-central-1").list_buckets)
        self.assertEqual("us-east-1", wrong["Error"]["Region"])
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{ENDPOINT}/{self.bucket}")
        self.assertEqual(403, caught.exception.code)

    # --- the wire

    def send(self, method, path, body, headers=None, sent=None):
        headers = headers or signed(method, path, body)
        headers = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
        with socket.create_connection((HOST, PORT), timeout=30) as sock:
            sock.sendall(head_bytes(method, path, headers) + (body if sent is None else sent))
            if sent is not None and len(sent) < len(body):
                sock.shutdown(socket.SHUT_WR)
            return sock.makefile("rb").read()

    def test_tampered_and_truncated_bodies_publish_nothing(self):
        path = f"/{self.bucket}/t"
        good = os.urandom(1_000_000)
        bad = bytes([good[0] ^ 1]) + good[1:]
        response = self.send("PUT", path, good, sent=bad)
        self.assertIn(b"XAmzContentSHA256Mismatch", response)
        self.absent("t")
        self.send("PUT", path, good, sent=good[:-1])
        self.absent("t")
        self.assertIn(b" 200 OK", self.send("PUT", path, good))
        self.assertEqual(good, self.body("t"))

    def test_expect_is_answered_only_after_authentication_and_precheck(self):
        path = f"/{self.bucket}/e"
        headers = {**signed("PUT", path, b"hello"), "Content-Length": "5", "Expect": "100-continue"}
        with socket.create_connection((HOST, PORT), timeout=30) as sock:
            stream = sock.makefile("rb")
            sock.sendall(head_bytes("PUT", path, headers))
            self.assertEqual(["HTTP/1.1 100 Continue"], [line for line in read_head(stream)])
            sock.sendall(b"hello")
            self.assertEqual("HTTP/1.1 200 OK", read_head(stream)[0])
        wrong = {**headers, "Authorization": headers["Authorization"][:-4] + "0000"}
        missing = f"/absent-bucket/e"
        absent = {**signed("PUT", missing, b"hello"), "Content-Length": "5", "Expect": "100-continue"}
        for target, given, status in ((path, wrong, "403"), (missing, absent, "404")):
            with socket.create_connection((HOST, PORT), timeout=30) as sock:
                sock.sendall(head_bytes("PUT", target, given))
                self.assertEqual(f"HTTP/1.1 {status}", read_head(sock.makefile("rb"))[0][:12])

    def test_pipelined_requests_are_answered_in_order(self):
        self.s3.put_object(Bucket=self.bucket, Key="p", Body=b"data")
        requests = b""
        for i in range(20):
            path = f"/{self.bucket}/n{i}"
            requests += head_bytes("PUT", path, {**signed("PUT", path, b"v%d" % i), "Content-Length": str(len(b"v%d" % i))}) + b"v%d" % i
            requests += head_bytes("GET", path, signed("GET", path))
        with socket.create_connection((HOST, PORT), timeout=30) as sock:
            sock.sendall(requests)
            stream = sock.makefile("rb")
            for i in range(20):
                for expected in (b"", b"v%d" % i):
                    lines = read_head(stream)
                    self.assertEqual("HTTP/1.1 200 OK", lines[0])
                    length = [int(l.split(":")[1]) for l in lines if l.lower().startswith("content-length")][0]
                    self.assertEqual(expected, stream.read(length))

    def test_headers_beyond_the_limit_and_rubbish(self):
        with socket.create_connection((HOST, PORT), timeout=30) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * (70 << 10) + b"\r\n\r\n")
            self.assertEqual("HTTP/1.1 431", read_head(sock.makefile("rb"))[0][:12])
        with socket.create_connection((HOST, PORT), timeout=30) as sock:
            sock.sendall(b"rubbish\r\n\r\n")
            self.assertEqual("HTTP/1.1 400", read_head(sock.makefile("rb"))[0][:12])

    def test_xml_bombs_are_refused(self):
        bomb = (b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
                b"<Delete><Object><Key>&b;</Key></Object></Delete>")
        for body in (bomb, b"<Delete>" + b"<Object>" * 1000, b"<Delete>" + b" " * (3 << 20) + b"</Delete>", b""):
            path = f"/{self.bucket}?delete="
            response = self.send("POST", path, body)
            self.assertIn(b"MalformedXML", response, body[:80])


if __name__ == "__main__":
    unittest.main()
