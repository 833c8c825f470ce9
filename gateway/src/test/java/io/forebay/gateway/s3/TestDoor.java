package io.forebay.gateway.s3;

import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.cluster.KeyGrant;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.env.TestEnv;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.FileService;
import io.forebay.core.file.MemoryFileService;
import io.forebay.gateway.http.HttpServer;
import io.forebay.gateway.http.HttpServerConfig;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** A door on loopback over the in-memory service. */
final class TestDoor implements AutoCloseable {
  static final AccessKey KEY = new AccessKey("AKIDEXAMPLE", "secret/with+odd=chars");

  /** May read {@code shared}, write {@code own-...} and do everything in {@code mine}. */
  static final AccessKey RESTRICTED = new AccessKey("AKIDRESTRICTED", "another-secret");

  static final List<KeyGrant> GRANTS =
      List.of(
          new KeyGrant("shared", KeyRight.READ),
          new KeyGrant("own-*", KeyRight.WRITE),
          new KeyGrant("mine", KeyRight.ADMIN));

  static final CorsRule CORS =
      new CorsRule(
          List.of("https://*.example"),
          List.of("GET", "PUT"),
          List.of("x-amz-*", "content-type"),
          List.of("ETag"),
          600);

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
            List.of(CORS),
            name -> BucketSpec.of(name, new Family(1, 1, Durability.REPLICATED), ""));
    door = new S3Door(env, files, pool, config, new Keys());
    var listen = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    server = HttpServer.start(env, HttpServerConfig.of("s3", listen), door);
  }

  private static final class Keys implements AccessKeys {
    @Override
    public Optional<AccessKey> find(String id) {
      return Stream.of(KEY, RESTRICTED).filter(key -> key.accessKeyId().equals(id)).findFirst();
    }

    @Override
    public Optional<List<KeyGrant>> grants(String id) {
      return id.equals(RESTRICTED.accessKeyId()) ? Optional.of(GRANTS) : Optional.empty();
    }
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
