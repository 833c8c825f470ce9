package io.forebay.client.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.TestEnv;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FileServiceContract;
import io.forebay.core.file.MemoryFileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.NodeId;
import io.forebay.core.net.FileMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import io.forebay.transport.tcp.TcpNetwork;
import io.forebay.transport.tcp.TcpSettings;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The contract of the file service, kept over a socket; and what only the wire has. */
final class RemoteFilesTest extends FileServiceContract {
  private static final byte[] SECRET =
      "a-secret-of-sixteen-bytes-or-more".getBytes(StandardCharsets.UTF_8);
  private static final int WRITERS = 2;

  private final TestEnv env = new TestEnv();
  private final SlabPool pool = new SlabPool(env, 64 << 10, 16);
  private TcpNetwork server;
  private TcpNetwork client;
  private FileEndpoint endpoint;
  private NodeId node;

  @Override
  protected FileService service() {
    server =
        TcpNetwork.start(
            env,
            new NodeId("server"),
            () -> "cluster",
            TcpSettings.defaults(Optional.of("127.0.0.1:0"), SECRET));
    endpoint =
        new FileEndpoint(
            env, new MemoryFileService(env, pool), () -> "{}", command -> command, WRITERS);
    server.serve(
        (from, message, payload) -> endpoint.handle((FileMessage) message, payload),
        (from, put) -> {
          throw new ForebayException(ErrorCode.UNAVAILABLE, "no chunks here");
        });
    client =
        TcpNetwork.start(
            env, new NodeId("client"), () -> "", TcpSettings.defaults(Optional.empty(), SECRET));
    node = client.learn("127.0.0.1:" + server.port(), 5_000_000_000L);
    return new RemoteFileService(env, client, node);
  }

  @AfterEach
  void end() {
    client.close();
    endpoint.close();
    server.close();
    assertThat(pool.available()).isEqualTo(pool.count());
    env.close();
  }

  private Message ask(FileMessage message, Optional<Bytes> payload) {
    Reply reply = client.call(node, message, payload, 5_000_000_000L).await();
    reply.release();
    return reply.message();
  }

  private long opened(FileMessage message) {
    return ((FileMessage.Writing) ask(message, Optional.empty())).handle();
  }

  private static FileMessage create(String key) {
    return new FileMessage.Create(BUCKET, key, WriteOptions.DEFAULT);
  }

  @Test
  void aWriterBeyondWhatThereIsMemoryForWaitsUntilAnotherIsDone() {
    var remote = new RemoteFileService(env, client, node);
    BodyWriter<ObjectInfo> first = remote.create(BUCKET, "first", WriteOptions.DEFAULT);
    BodyWriter<ObjectInfo> second = remote.create(BUCKET, "second", WriteOptions.DEFAULT);
    var third = new Outcome<ObjectInfo>(env);
    env.spawn(
        "third",
        () -> {
          try (var writer = remote.create(BUCKET, "third", WriteOptions.DEFAULT)) {
            third.complete(writer.publish(Optional.empty()));
          }
        });
    assertThat(third.awaitUntil(env.nanoTime() + 200_000_000L)).isFalse();
    first.publish(Optional.empty());
    assertThat(third.await().key()).isEqualTo("third");
    second.close();
    first.close();
    // An abandoned writer gives its place back, too.
    try (var a = remote.create(BUCKET, "a", WriteOptions.DEFAULT);
        var b = remote.create(BUCKET, "b", WriteOptions.DEFAULT)) {
      a.publish(Optional.empty());
      b.publish(Optional.empty());
    }
  }

  private static WriteOptions announced(long length) {
    return new WriteOptions(
        ObjectMetadata.NONE, WriteConditions.NONE, OptionalLong.of(length), false);
  }

  @Test
  void bodiesThatAreAnnouncedToBeShortTakeAQuarterOfALongOnesPlace() {
    FileService remote = new RemoteFileService(env, client, node);
    WriteOptions options = announced(2L * Network.MAX_PAYLOAD_BYTES);
    var open = new ArrayList<BodyWriter<ObjectInfo>>();
    open.add(remote.create(BUCKET, "long", WriteOptions.DEFAULT));
    for (int i = 0; i < 4; i++) {
      open.add(remote.create(BUCKET, "short" + i, options));
    }
    var next = new Outcome<String>(env);
    var _ =
        env.spawn(
            "next",
            () -> {
              try (var writer = remote.create(BUCKET, "next", announced(10))) {
                next.complete(write(writer, 10).key());
              }
            });
    assertThat(next.awaitUntil(env.nanoTime() + 200_000_000L)).isFalse();
    write(open.getLast(), 2 * Network.MAX_PAYLOAD_BYTES);
    assertThat(next.await()).isEqualTo("next");
    open.forEach(BodyWriter::close);
    try (var a = remote.create(BUCKET, "a", WriteOptions.DEFAULT);
        var b = remote.create(BUCKET, "b", WriteOptions.DEFAULT)) {
      a.publish(Optional.empty());
      b.publish(Optional.empty());
    }
  }

  private static ObjectInfo write(BodyWriter<ObjectInfo> writer, int length) {
    writer.write(new Synthetic(1, 0, length));
    return writer.publish(Optional.empty());
  }

  @Test
  void aShortBodyGoesInOneCallAndInPiecesAndByAnotherLengthAllTheSame() {
    FileService remote = new RemoteFileService(env, client, node);
    try (var writer = remote.create(BUCKET, "whole", announced(1000))) {
      assertThat(remote.stat(BUCKET, "whole")).isEmpty();
      assertThat(write(writer, 1000).lengthBytes()).isEqualTo(1000);
      assertThatThrownBy(() -> writer.publish(Optional.empty()))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> writer.write(new Synthetic(1, 0, 10)))
          .isInstanceOf(IllegalStateException.class);
    }
    try (var writer = remote.create(BUCKET, "empty", announced(0))) {
      assertThat(writer.publish(Optional.empty()).lengthBytes()).isZero();
    }
    try (var writer = remote.create(BUCKET, "pieces", announced(1000))) {
      writer.write(new Synthetic(1, 0, 400));
      writer.write(new Synthetic(1, 400, 600));
      assertThat(writer.publish(Optional.empty()).etag())
          .isEqualTo(remote.stat(BUCKET, "whole").orElseThrow().etag());
    }
    for (int length : new int[] {0, 10, 2000}) {
      try (var writer = remote.create(BUCKET, "other", announced(1000))) {
        assertThatThrownBy(() -> write(writer, length))
            .isInstanceOfSatisfying(
                ForebayException.class,
                failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INCOMPLETE_BODY));
      }
    }
    try (var writer = remote.create(BUCKET, "dropped", announced(1000))) {
      writer.write(new Synthetic(1, 0, 1000));
    }
    assertThat(remote.stat(BUCKET, "other")).isEmpty();
    assertThat(remote.stat(BUCKET, "dropped")).isEmpty();
    assertThatThrownBy(() -> write(remote.create("none", "a", announced(10)), 10))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.NO_SUCH_BUCKET));
  }

  @Test
  void aWholeBodyThatIsDamagedOrFindsNoRoomIsRefusedAndNothingIsVisible() {
    var body = new Synthetic(1, 0, 1000);
    refused(ErrorCode.CHECKSUM_MISMATCH, put(1), body);
    FileService remote = new RemoteFileService(env, client, node);
    var open = new ArrayList<BodyWriter<ObjectInfo>>();
    for (int i = 0; i < WRITERS; i++) {
      open.add(remote.create(BUCKET, "long" + i, WriteOptions.DEFAULT));
    }
    // At once, for it has a buffer already; its client then begins a writer, and waits.
    refused(ErrorCode.BUSY, put(body.crc32c()), body);
    var done = new Outcome<ObjectInfo>(env);
    var _ =
        env.spawn(
            "put",
            () -> {
              try (var writer = remote.create(BUCKET, "put", announced(1000))) {
                done.complete(write(writer, 1000));
              }
            });
    assertThat(done.awaitUntil(env.nanoTime() + 200_000_000L)).isFalse();
    assertThat(remote.stat(BUCKET, "put")).isEmpty();
    open.forEach(BodyWriter::close);
    assertThat(done.await().key()).isEqualTo("put");
  }

  private static FileMessage put(int crc32c) {
    return new FileMessage.Put(BUCKET, "put", announced(1000), crc32c, Optional.empty(), Map.of());
  }

  @Test
  void aSliceThatIsDamagedOrComesTwiceIsRefusedByName() {
    long handle = opened(create("a"));
    var slice = new Synthetic(1, 0, 1000);
    refused(ErrorCode.CHECKSUM_MISMATCH, new FileMessage.WriteBody(handle, 0, 1), slice);
    ask(new FileMessage.WriteBody(handle, 0, slice.crc32c()), Optional.of(slice));
    refused(
        ErrorCode.INVALID_ARGUMENT, new FileMessage.WriteBody(handle, 0, slice.crc32c()), slice);
    ask(new FileMessage.Publish(handle, Optional.empty(), Map.of()), Optional.empty());
    refused(
        ErrorCode.GENERATION_GONE, new FileMessage.WriteBody(handle, 1000, slice.crc32c()), slice);
  }

  @Test
  void anEndpointThatIsClosedRefusesWritersAndEndsThoseThatAreOpen() {
    long open = opened(create("open"));
    endpoint.close();
    for (int i = 0; i < 2 * WRITERS; i++) {
      assertThatThrownBy(() -> ask(create("late"), Optional.empty()))
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.BUSY));
    }
    var slice = new Synthetic(1, 0, 1000);
    refused(ErrorCode.GENERATION_GONE, new FileMessage.WriteBody(open, 0, slice.crc32c()), slice);
  }

  @Test
  void aHandleOfTheOtherKindOrOfNobodyIsRefusedByName() {
    long writer = opened(create("a"));
    assertThatThrownBy(() -> ask(new FileMessage.ReadBody(writer, 0, 10), Optional.empty()))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.INVALID_ARGUMENT));
    ask(new FileMessage.Publish(writer, Optional.empty(), Map.of()), Optional.empty());
    refused(
        ErrorCode.GENERATION_GONE,
        new FileMessage.WriteBody(writer + 1, 0, 0),
        new Synthetic(1, 0, Network.MAX_PAYLOAD_BYTES));
  }

  private void refused(ErrorCode code, FileMessage message, Bytes payload) {
    assertThatThrownBy(() -> ask(message, Optional.of(payload)))
        .isInstanceOfSatisfying(
            ForebayException.class, failure -> assertThat(failure.code()).isEqualTo(code));
  }
}
