package io.forebay.gateway.s3;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.env.TestEnv;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FileService;
import io.forebay.core.file.MemoryFileService;
import io.forebay.gateway.http.HttpServer;
import io.forebay.gateway.http.HttpServerConfig;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Optional;

/** A door on loopback over the in-memory service. */
final class TestDoor implements AutoCloseable {
  static final AccessKey KEY = new AccessKey("AKIDEXAMPLE", "secret/with+odd=chars");

  final TestEnv env = new TestEnv();
  final SlabPool pool = new SlabPool(env, 1 << 20, 64);
  final FileService files = new MemoryFileService(env, pool);
  final S3Door door;
  final HttpServer server;

  TestDoor() {
    this(false);
  }

  TestDoor(boolean anonymous) {
    var config =
        new S3Config(
            S3Config.DEFAULT_REGION,
            Optional.of("s3.test"),
            anonymous,
            name -> BucketSpec.of(name, new Family(1, 1, Durability.REPLICATED), ""));
    door =
        new S3Door(
            env,
            files,
            pool,
            config,
            id -> id.equals(KEY.accessKeyId()) ? Optional.of(KEY) : Optional.empty());
    var listen = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    server = HttpServer.start(env, HttpServerConfig.of("s3", listen), door);
  }

  String endpoint() {
    return "http://127.0.0.1:" + server.address().getPort();
  }

  /** Closes; fails when a buffer is missing. */
  @Override
  public void close() {
    server.close();
    long available = pool.available();
    env.close();
    if (available != pool.count()) {
      throw new AssertionError("buffers did not come back: " + (pool.count() - available));
    }
  }
}
