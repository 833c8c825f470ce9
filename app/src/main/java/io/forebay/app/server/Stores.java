package io.forebay.app.server;

import io.forebay.app.config.ServerConfig;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.log.ControlPlane;
import io.forebay.node.Node;
import io.forebay.node.read.StoreReads;
import io.forebay.node.service.NodeFileService;
import java.util.Map;
import java.util.Optional;

/** PLACEHOLDER until the backing port lands: no store. */
final class Stores implements StoreReads, NodeFileService.StoreHeads, AutoCloseable {
  Stores(Env env, ServerConfig config) {}

  void bind(ControlPlane plane) {}

  void start(Node node) {}

  Map<String, Long> flushCounters() {
    return Map.of();
  }

  Map<String, Long> requests() {
    return Map.of();
  }

  @Override
  public Bytes read(BucketId bucket, String key, String etag, long offset, int length) {
    throw new ForebayException(ErrorCode.STORE_MISSING, "no store");
  }

  @Override
  public Optional<TheirObject> head(Bucket bucket, String key) {
    return Optional.empty();
  }

  @Override
  public void close() {}
}
