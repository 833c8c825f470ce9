"""A checkpoint saved and loaded with boto3: state_dict_test.py save PROGRESS | load [--torch].

The node's address and keys come in FOREBAY_S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. The state dict is
that of a small transformer with its optimiser's moments, one shard for each layer; its numbers follow from the names.
With --torch the shards are written by torch.save and read by torch.load, else by safetensors.
"""

import io
import os
import sys
import zlib

import boto3
import numpy
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

BUCKET = "checkpoints"
LAYERS = 8
WIDTH = 384
PARTS = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=2)
TORCH = "--torch" in sys.argv


def client():
    # The retries are those that a training job would have: a node that dies costs some requests.
    config = Config(
        signature_version="s3v4",
        retries={"max_attempts": 8, "mode": "standard"},
        connect_timeout=10,
        read_timeout=60,
        s3={"addressing_style": "path"},
    )
    return boto3.client("s3", endpoint_url=os.environ["FOREBAY_S3_ENDPOINT"], region_name="us-east-1", config=config)


def tensor(name, shape, kind):
    rng = numpy.random.default_rng(zlib.crc32(name.encode()))
    if kind == numpy.int64:
        return rng.integers(0, 1 << 40, shape, dtype=kind)
    return rng.standard_normal(shape, dtype=numpy.float32).astype(kind)


def shard(layer):
    weights = {
        f"layers.{layer}.attention.qkv.weight": (3 * WIDTH, WIDTH),
        f"layers.{layer}.attention.out.weight": (WIDTH, WIDTH),
        f"layers.{layer}.mlp.up.weight": (4 * WIDTH, WIDTH),
        f"layers.{layer}.mlp.down.weight": (WIDTH, 4 * WIDTH),
        f"layers.{layer}.norm.weight": (WIDTH,),
    }
    tensors = {name: tensor(name, shape, numpy.float16) for name, shape in weights.items()}
    for name, shape in list(weights.items()):
        tensors[f"optimizer.exp_avg.{name}"] = tensor(f"optimizer.exp_avg.{name}", shape, numpy.float32)
    tensors[f"optimizer.step.{layer}"] = tensor(f"optimizer.step.{layer}", (1,), numpy.int64)
    return tensors


def packed(tensors):
    if TORCH:
        import torch

        buffer = io.BytesIO()
        torch.save({name: torch.from_numpy(value) for name, value in tensors.items()}, buffer)
        return buffer.getvalue()
    import safetensors.numpy

    return safetensors.numpy.save(tensors)


def unpacked(body):
    if TORCH:
        import torch

        return {name: value.numpy() for name, value in torch.load(io.BytesIO(body)).items()}
    import safetensors.numpy

    return safetensors.numpy.load(body)


def key(layer):
    return f"step-100/model-{layer:05}-of-{LAYERS:05}"


def save(progress):
    s3 = client()
    s3.create_bucket(Bucket=BUCKET)
    with open(progress, "a", encoding="ascii") as done:
        for layer in range(LAYERS):
            s3.upload_fileobj(io.BytesIO(packed(shard(layer))), BUCKET, key(layer), Config=PARTS)
            done.write(f"{layer}\n")
            done.flush()


def load():
    s3 = client()
    tensors = total = 0
    for layer in range(LAYERS):
        body = io.BytesIO()
        s3.download_fileobj(BUCKET, key(layer), body, Config=PARTS)
        total += len(body.getvalue())
        got, wanted = unpacked(body.getvalue()), shard(layer)
        assert got.keys() == wanted.keys(), f"shard {layer}: {got.keys() ^ wanted.keys()}"
        for name, value in wanted.items():
            assert got[name].dtype == value.dtype and numpy.array_equal(got[name], value), name
            tensors += 1
    print(f"loaded {LAYERS} shards, {tensors} tensors, {total} bytes; all tensors are equal")


if __name__ == "__main__":
    {"save": save, "load": load}[sys.argv[1]](*[each for each in sys.argv[2:] if each != "--torch"])
