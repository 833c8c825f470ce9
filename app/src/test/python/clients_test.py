"""Outside clients, unchanged, against one node: clients_test.py boto3 | cli | crt | s3fs | pyarrow.

The node's address and keys come in FOREBAY_S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; over HTTPS
AWS_CA_BUNDLE names the certificate that is trusted. Every client writes, reads, lists, is refused, and removes what it made.
"""

import hashlib
import io
import os
import random
import subprocess
import sys
import tempfile
import urllib.parse

ENDPOINT = os.environ["FOREBAY_S3_ENDPOINT"]
KEY_ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ["AWS_DEFAULT_REGION"]
SECURE = ENDPOINT.startswith("https:")
CA_BUNDLE = os.environ.get("AWS_CA_BUNDLE")
BIG = random.Random(3).randbytes((20 << 20) + 17)
SMALL = b"some bytes"
SMALL_ETAG = hashlib.md5(SMALL).hexdigest()


def raised(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as failure:
        return failure
    raise AssertionError(f"{call} did not raise {kind}")


def with_boto3():
    import boto3
    from botocore.exceptions import ClientError, SSLError

    def client(**more):
        return boto3.client("s3", endpoint_url=ENDPOINT, **more)

    def refused(call, **arguments):
        response = raised(ClientError, call, **arguments).response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    s3, sent = client(), []
    s3.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(
        {name.lower(): value for name, value in request.headers.items()}))
    s3.create_bucket(Bucket="boto")
    assert s3.put_object(Bucket="boto", Key="a/small", Body=SMALL)["ETag"] == f'"{SMALL_ETAG}"'
    # What this suite is about: over TLS the body comes in chunks with its checksum behind it.
    form = sent[0]["x-amz-content-sha256"]
    form = form.decode() if isinstance(form, bytes) else form
    assert form == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" if SECURE else len(form) == 64, form
    got = s3.get_object(Bucket="boto", Key="a/small")
    assert got["Body"].read() == SMALL and got["ETag"] == f'"{SMALL_ETAG}"', got
    s3.upload_fileobj(io.BytesIO(BIG), "boto", "big")
    back = io.BytesIO()
    s3.download_fileobj("boto", "big", back)
    assert back.getvalue() == BIG
    assert s3.head_object(Bucket="boto", Key="big")["ETag"].endswith('-3"')
    part = s3.get_object(Bucket="boto", Key="big", Range="bytes=8388600-8388615")
    assert part["Body"].read() == BIG[8388600:8388616] and part["ContentRange"] == f"bytes 8388600-8388615/{len(BIG)}"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="boto")["Contents"]] == ["a/small", "big"]

    assert refused(s3.get_object, Bucket="boto", Key="missing") == ("NoSuchKey", 404)
    assert refused(s3.put_object, Bucket="boto", Key="big", Body=b"x", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refused(s3.get_object, Bucket="boto", Key="big", IfMatch='"0"') == ("PreconditionFailed", 412)
    stranger = client(aws_secret_access_key="wrong", aws_access_key_id=KEY_ID)
    assert refused(stranger.put_object, Bucket="boto", Key="c", Body=b"x") == ("SignatureDoesNotMatch", 403)
    if SECURE:
        os.environ.pop("AWS_CA_BUNDLE")
        raised(SSLError, client().list_buckets)
        link = s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "a/small"})
        assert link.startswith("https://"), link
        plain = boto3.client("s3", endpoint_url=ENDPOINT.replace("https:", "http:"))
        assert refused(plain.list_buckets) == ("InvalidRequest", 400)
    assert s3.list_multipart_uploads(Bucket="boto").get("Uploads", []) == []
    s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": "a/small"}, {"Key": "big"}]})
    s3.delete_bucket(Bucket="boto")


def with_cli():
    def aws(*words, fails=None):
        command = [sys.executable, os.path.join(os.path.dirname(sys.executable), "aws"), "--endpoint-url", ENDPOINT]
        done = subprocess.run(command + list(words), capture_output=True, text=True, check=False, timeout=120)
        said = done.stdout + done.stderr
        if fails is None:
            assert done.returncode == 0, said
        else:
            assert done.returncode != 0 and fails in said, (done.returncode, said)
        return said

    with tempfile.TemporaryDirectory() as home:
        tree = os.path.join(home, "tree")
        os.mkdir(tree)
        for name, content in (("big", BIG), ("small", SMALL)):
            with open(os.path.join(tree, name), "wb") as file:
                file.write(content)
        aws("s3", "mb", "s3://cli-bucket")
        aws("s3", "sync", "--only-show-errors", tree, "s3://cli-bucket/tree")
        listed = aws("s3", "ls", "--recursive", "s3://cli-bucket")
        assert f"{len(BIG)} tree/big\n" in listed and f"{len(SMALL)} tree/small\n" in listed, listed
        back = os.path.join(home, "back")
        aws("s3", "cp", "--only-show-errors", "s3://cli-bucket/tree/big", back)
        with open(back, "rb") as file:
            assert file.read() == BIG
        put = ("s3api", "put-object", "--bucket", "cli-bucket", "--key", "tree/small", "--body", back)
        aws(*put, "--if-none-match", "*", fails="PreconditionFailed")
        got = aws("s3api", "get-object", "--bucket", "cli-bucket", "--key", "tree/small", "--if-match", SMALL_ETAG,
                  "--range", "bytes=5-9", back)
        assert f"bytes 5-9/{len(SMALL)}" in got and SMALL_ETAG in got, got
        with open(back, "rb") as file:
            assert file.read() == SMALL[5:]
        aws("s3", "cp", "s3://cli-bucket/missing", back, fails="404")
        os.environ["AWS_SECRET_ACCESS_KEY"] = "wrong"
        aws("s3", "ls", "s3://cli-bucket", fails="SignatureDoesNotMatch")
        os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
        aws("s3", "rb", "--force", "s3://cli-bucket")
        aws("s3", "ls", "s3://cli-bucket", fails="NoSuchBucket")


def with_crt():
    from awscrt.auth import AwsCredentialsProvider
    from awscrt.http import HttpHeaders, HttpRequest
    from awscrt.io import ClientTlsContext, TlsContextOptions
    from awscrt.s3 import (S3ChecksumAlgorithm, S3ChecksumConfig, S3ChecksumLocation, S3Client, S3RequestTlsMode,
                           S3RequestType, S3ResponseError, create_default_s3_signing_config)

    def client(secret):
        tls = None
        if SECURE:
            options = TlsContextOptions()
            options.override_default_trust_store_from_path(None, CA_BUNDLE)
            tls = ClientTlsContext(options).new_connection_options()
        keys = AwsCredentialsProvider.new_static(KEY_ID, secret)
        return S3Client(region=REGION, tls_mode=S3RequestTlsMode.ENABLED if SECURE else S3RequestTlsMode.DISABLED,
                        signing_config=create_default_s3_signing_config(region=REGION, credential_provider=keys),
                        tls_connection_options=tls, part_size=5 << 20, throughput_target_gbps=1.0)

    def ask(to, kind, method, path, headers=(), body=None, name=None, **more):
        head = HttpHeaders([("host", urllib.parse.urlparse(ENDPOINT).netloc)] + list(headers))
        if body is not None:
            head.add("content-length", str(len(body)))
        request = HttpRequest(method, path, head, None if body is None else io.BytesIO(body))
        answer, pieces = {}, {}
        made = to.make_request(
            type=kind, request=request, operation_name=name, **more,
            on_headers=lambda status_code, headers, **_: answer.update(
                {key.lower(): value for key, value in headers}, status=status_code),
            on_body=lambda chunk, offset, **_: pieces.update({offset: bytes(chunk)}))
        made.finished_future.result(120)
        answer["body"] = b"".join(pieces[each] for each in sorted(pieces))
        return answer

    def refused(*arguments, **named):
        failure = raised(S3ResponseError, ask, *arguments, **named)
        return failure.status_code, failure.body

    def other(to, method, path, name):
        return ask(to, S3RequestType.DEFAULT, method, path, name=name)

    get, put = S3RequestType.GET_OBJECT, S3RequestType.PUT_OBJECT
    s3 = client(SECRET)
    other(s3, "PUT", "/crt", "CreateBucket")
    trailer = S3ChecksumConfig(S3ChecksumAlgorithm.CRC32C, S3ChecksumLocation.TRAILER, validate_response=True)
    for key, content in (("big", BIG), ("small", SMALL)):
        made = ask(s3, put, "PUT", f"/crt/{key}", body=content, checksum_config=trailer)
        etag = made["etag"]
        assert etag == f'"{SMALL_ETAG}"' if key == "small" else etag.endswith('-5"'), etag
        whole = ask(s3, get, "GET", f"/crt/{key}", checksum_config=trailer)
        assert whole["body"] == content and whole["etag"] == etag, (key, len(whole["body"]), whole["etag"])
    big = other(s3, "HEAD", "/crt/big", "HeadObject")["etag"]
    ranged = ask(s3, get, "GET", "/crt/big", [("range", "bytes=1000001-15000000"), ("if-match", big)])
    assert ranged["body"] == BIG[1000001:15000001] and ranged["status"] == 206, (len(ranged["body"]), ranged["status"])
    ask(s3, put, "PUT", "/crt/empty", body=b"")
    empty = ask(s3, get, "GET", "/crt/empty")  # without checksums to validate it begins with a range
    assert empty["body"] == b"", empty
    listed = other(s3, "GET", "/crt?list-type=2", "ListObjectsV2")["body"]
    assert listed.count(b"<Key>") == 3 and b"<Key>big</Key>" in listed and b"<Key>small</Key>" in listed, listed

    status, body = refused(s3, get, "GET", "/crt/missing")
    assert status == 404 and b"NoSuchKey" in (body or b"NoSuchKey"), (status, body)
    status, body = refused(s3, get, "GET", "/crt/big", [("if-match", '"0"')])
    assert status == 412 and b"PreconditionFailed" in (body or b"PreconditionFailed"), (status, body)
    status, body = refused(s3, put, "PUT", "/crt/small", [("if-none-match", "*")], b"x")
    assert status == 412 and b"PreconditionFailed" in body, (status, body)
    stranger = client("wrong")
    status, body = refused(stranger, put, "PUT", "/crt/c", body=b"x")
    assert status == 403 and b"SignatureDoesNotMatch" in body, (status, body)
    uploads = other(s3, "GET", "/crt?uploads", "ListMultipartUploads")["body"]
    assert b"<Upload>" not in uploads, uploads
    for key in ("big", "small", "empty"):
        other(s3, "DELETE", f"/crt/{key}", "DeleteObject")
    other(s3, "DELETE", "/crt", "DeleteBucket")


def with_s3fs():
    import s3fs

    def files(secret=SECRET):
        return s3fs.S3FileSystem(key=KEY_ID, secret=secret, endpoint_url=ENDPOINT, skip_instance_cache=True,
                                 client_kwargs={"region_name": REGION}, default_block_size=5 << 20)

    fs = files()
    fs.mkdir("s3fs")
    fs.pipe("s3fs/dir/small", SMALL)
    with fs.open("s3fs/dir/big", "wb") as file:  # parts of 5 MiB
        for at in range(0, len(BIG), 1 << 20):
            file.write(BIG[at:at + (1 << 20)])
    assert fs.cat("s3fs/dir/small") == SMALL
    assert fs.info("s3fs/dir/small")["ETag"] == f'"{SMALL_ETAG}"'
    assert fs.info("s3fs/dir/big")["ETag"].rstrip('"').partition("-")[2] in ("4", "5"), fs.info("s3fs/dir/big")
    with fs.open("s3fs/dir/big", "rb") as file:
        file.seek(7_000_000)
        assert file.read(6_000_000) == BIG[7_000_000:13_000_000]
        file.seek(-100, io.SEEK_END)
        assert file.read() == BIG[-100:]
    ranges = fs.cat_ranges(["s3fs/dir/big"] * 3, [0, 5 << 20, len(BIG) - 5], [10, (5 << 20) + 10, len(BIG)])
    assert ranges == [BIG[:10], BIG[5 << 20:(5 << 20) + 10], BIG[-5:]]
    fs.copy("s3fs/dir/small", "s3fs/copy")
    assert sorted(fs.find("s3fs")) == ["s3fs/copy", "s3fs/dir/big", "s3fs/dir/small"]
    assert sorted(fs.ls("s3fs", detail=False)) == ["s3fs/copy", "s3fs/dir"]

    raised(FileNotFoundError, fs.cat, "s3fs/missing")
    failure = raised(OSError, fs.pipe, "s3fs/dir/small", b"x", mode="create")
    assert "If-None-Match" in str(failure), failure
    raised(PermissionError, files("wrong").cat, "s3fs/dir/small")
    assert fs.cat("s3fs/dir/small") == SMALL
    fs.rm("s3fs/dir", recursive=True)
    assert fs.find("s3fs") == ["s3fs/copy"]
    fs.rm("s3fs", recursive=True)
    assert not fs.exists("s3fs")


def with_pyarrow():
    import pyarrow
    import pyarrow.fs
    import pyarrow.parquet

    def files(secret=SECRET):
        address = urllib.parse.urlparse(ENDPOINT)
        return pyarrow.fs.S3FileSystem(access_key=KEY_ID, secret_key=secret, region=REGION, scheme=address.scheme,
                                       endpoint_override=address.netloc, tls_ca_file_path=CA_BUNDLE,
                                       allow_bucket_creation=True, allow_bucket_deletion=True)

    fs = files()
    fs.create_dir("arrow")
    rows = 400_000
    rng = random.Random(5)
    columns = {"id": list(range(rows)), "text": [rng.randbytes(8).hex() for _ in range(rows)],
               "score": [rng.random() for _ in range(rows)]}
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, "arrow/t.parquet", filesystem=fs, row_group_size=100_000)
    length = fs.get_file_info("arrow/t.parquet").size
    assert length > 8 << 20, length  # in several parts
    # Columns and row groups are ranges of the file.
    with fs.open_input_file("arrow/t.parquet") as file:
        parquet = pyarrow.parquet.ParquetFile(file, pre_buffer=True)
        assert parquet.num_row_groups == 4 and parquet.metadata.num_rows == rows
        third = parquet.read_row_group(2, columns=["score"])
        assert third.column("score").to_pylist() == columns["score"][200_000:300_000]
    some = pyarrow.parquet.read_table("arrow/t.parquet", filesystem=fs, columns=["id", "text"],
                                      filters=[("id", ">=", 250_000), ("id", "<", 250_003)])
    assert some.to_pydict() == {"id": [250_000, 250_001, 250_002], "text": columns["text"][250_000:250_003]}
    assert pyarrow.parquet.read_table("arrow/t.parquet", filesystem=fs).equals(table)
    listed = fs.get_file_info(pyarrow.fs.FileSelector("arrow", recursive=True))
    assert [(each.path, each.size) for each in listed] == [("arrow/t.parquet", length)], listed

    raised(FileNotFoundError, fs.open_input_file, "arrow/missing")
    failure = raised(OSError, lambda: files("wrong").open_input_file("arrow/t.parquet").read())
    assert "403" in str(failure) or "ACCESS_DENIED" in str(failure), failure
    fs.delete_file("arrow/t.parquet")
    fs.delete_dir("arrow")
    assert fs.get_file_info("arrow").type == pyarrow.fs.FileType.NotFound


if __name__ == "__main__":
    {"boto3": with_boto3, "cli": with_cli, "crt": with_crt, "s3fs": with_s3fs, "pyarrow": with_pyarrow}[sys.argv[1]]()
    print(sys.argv[1], "over", ENDPOINT.partition(":")[0], "is content")
