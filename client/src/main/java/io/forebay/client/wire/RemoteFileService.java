package io.forebay.client.wire;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.ByteRange;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.DeleteResult;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectParts;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.PartPage;
import io.forebay.core.file.PathStatus;
import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.file.PrefixStatus;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.StoreConflict;
import io.forebay.core.file.UploadPage;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.UploadId;
import io.forebay.core.net.FileMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Function;

/** A {@link FileService} that a node serves over the wire. */
public final class RemoteFileService implements FileService {
  private static final long CALL_TIMEOUT_NANOS = 30_000_000_000L;
  // A write may wait for room on full disks, 30 s where nothing else is configured, and for those
  // before it.
  private static final long WRITE_TIMEOUT_NANOS = 120_000_000_000L;
  // Several slices on their way hide the round trip; with a call of 1 MiB each, 8 fill 10 Gbit/s at
  // 6 ms.
  private static final int WINDOW_CALLS = FileEndpoint.WINDOW_CALLS;
  // How long a writer waits for others of its node to end.
  private static final long BEGIN_NANOS = 300_000_000_000L;
  private static final long BUSY_NANOS = 100_000_000L;

  private final Env env;
  private final Network network;
  private final NodeId server;
  private final long changeNanos;
  private final long writeNanos;

  /**
   * With bounds of 30 s and, for writes, 120 s.
   *
   * @param server the node that serves; its address must be in the network's address book
   */
  public RemoteFileService(Env env, Network network, NodeId server) {
    this(env, network, server, CALL_TIMEOUT_NANOS, WRITE_TIMEOUT_NANOS);
  }

  /**
   * With a bound for what may take long: a copy of many bytes, a flush that is waited for, a line
   * for room. Over a network that finds out by itself that a node is gone it may be very long: the
   * node says what went wrong, and goes on with what nobody waits for any more.
   */
  public RemoteFileService(Env env, Network network, NodeId server, long patienceNanos) {
    this(env, network, server, patienceNanos, patienceNanos);
  }

  private RemoteFileService(
      Env env, Network network, NodeId server, long changeNanos, long writeNanos) {
    this.env = env;
    this.network = network;
    this.server = server;
    this.changeNanos = changeNanos;
    this.writeNanos = writeNanos;
  }

  @Override
  public List<Bucket> listBuckets() {
    return ask(new FileMessage.ListBuckets(), FileMessage.Buckets.class).buckets();
  }

  @Override
  public Bucket createBucket(BucketSpec spec) {
    return ask(new FileMessage.CreateBucket(spec), FileMessage.Buckets.class).buckets().getFirst();
  }

  @Override
  public void deleteBucket(String name) {
    ask(new FileMessage.DeleteBucket(name), FileMessage.Done.class);
  }

  @Override
  public BucketUse use(String bucket) {
    return ask(new FileMessage.AskUse(bucket), FileMessage.Use.class).use();
  }

  @Override
  public void setQuota(String bucket, long quotaBytes) {
    ask(new FileMessage.SetQuota(bucket, quotaBytes), FileMessage.Done.class);
  }

  @Override
  public List<PrefixPolicy> policies(String bucket) {
    return ask(new FileMessage.AskPolicies(bucket), FileMessage.Policies.class).policies();
  }

  @Override
  public void setPolicies(String bucket, List<PrefixPolicy> seen, List<PrefixPolicy> policies) {
    ask(new FileMessage.ReplacePolicies(bucket, seen, policies), FileMessage.Done.class);
  }

  @Override
  public Optional<Bucket> bucket(String name) {
    return listBuckets().stream().filter(bucket -> bucket.name().equals(name)).findFirst();
  }

  @Override
  public Optional<ObjectInfo> stat(String bucket, String key) {
    return ask(new FileMessage.Stat(bucket, ObjectKey.check(key)), FileMessage.Objects.class)
        .objects()
        .stream()
        .findFirst();
  }

  @Override
  public ObjectReader open(String bucket, String key, ReadConditions conditions) {
    return new Reader(
        ask(
            new FileMessage.Open(bucket, ObjectKey.check(key), conditions),
            FileMessage.Opened.class));
  }

  @Override
  public BodyWriter<ObjectInfo> create(String bucket, String key, WriteOptions options) {
    ObjectKey.check(key);
    long length = options.expectedLengthBytes().orElse(Long.MAX_VALUE);
    return length < Network.MAX_PAYLOAD_BYTES
        ? new ShortWriter(bucket, key, options)
        : begin(bucket, key, options);
  }

  private Writer<ObjectInfo> begin(String bucket, String key, WriteOptions options) {
    return new Writer<>(
        begin(new FileMessage.Create(bucket, key, options)),
        FileEndpoint.window(options),
        reply -> expect(reply, FileMessage.Objects.class).objects().getFirst());
  }

  @Override
  public BodyWriter<PartInfo> createPart(
      String bucket, String key, UploadId upload, int partNumber, WriteOptions options) {
    var request =
        new FileMessage.CreatePart(bucket, ObjectKey.check(key), upload, partNumber, options);
    return new Writer<>(
        begin(request),
        FileEndpoint.window(options),
        reply -> expect(reply, FileMessage.Part.class).part());
  }

  @Override
  public boolean delete(String bucket, String key, WriteConditions conditions) {
    return ask(
            new FileMessage.Delete(bucket, ObjectKey.check(key), conditions),
            FileMessage.Deleted.class)
        .existed();
  }

  @Override
  public List<DeleteResult> deleteMany(String bucket, List<String> keys) {
    return ask(new FileMessage.DeleteMany(bucket, keys), FileMessage.DeletedMany.class)
        .results()
        .stream()
        .map(result ->
            new DeleteResult(
                result.key(),
                result.code() == 0
                    ? Optional.empty()
                    : Optional.of(
                        new ForebayException(ErrorCode.ofNumber(result.code()), result.message()))))
        .toList();
  }

  @Override
  public ObjectInfo copy(
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      String bucket,
      String key,
      CopyOptions options) {
    var request =
        new FileMessage.Copy(
            sourceBucket,
            ObjectKey.check(sourceKey),
            sourceConditions,
            bucket,
            ObjectKey.check(key),
            options);
    return ask(request, FileMessage.Objects.class, changeNanos).objects().getFirst();
  }

  @Override
  public ObjectInfo changeHeaders(String bucket, String key, Map<String, String> headers) {
    var request = new FileMessage.ChangeHeaders(bucket, ObjectKey.check(key), headers);
    return ask(request, FileMessage.Objects.class).objects().getFirst();
  }

  @Override
  public ObjectParts partsOf(
      String bucket, String key, Generation generation, int afterPartNumber, int max) {
    var request =
        new FileMessage.AskPartsOf(bucket, ObjectKey.check(key), generation, afterPartNumber, max);
    return ask(request, FileMessage.PartsOf.class).page();
  }

  @Override
  public void rename(String bucket, String from, String to) {
    ask(new FileMessage.Rename(bucket, from, to), FileMessage.Done.class, changeNanos);
  }

  @Override
  public ListPage list(String bucket, ListQuery query) {
    return ask(new FileMessage.ListKeys(bucket, query), FileMessage.Keys.class).page();
  }

  @Override
  public ListPage listAll(String bucket, ListQuery query) {
    return ask(new FileMessage.ListAllKeys(bucket, query), FileMessage.Keys.class).page();
  }

  @Override
  public UploadId createUpload(String bucket, String key, ObjectMetadata metadata) {
    return ask(
            new FileMessage.CreateUpload(bucket, ObjectKey.check(key), metadata),
            FileMessage.Upload.class)
        .id();
  }

  @Override
  public PartInfo copyPart(
      String bucket,
      String key,
      UploadId upload,
      int partNumber,
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      Optional<ByteRange> range) {
    var request =
        new FileMessage.CopyPart(
            bucket,
            ObjectKey.check(key),
            upload,
            partNumber,
            sourceBucket,
            sourceKey,
            sourceConditions,
            range);
    return ask(request, FileMessage.Part.class, changeNanos).part();
  }

  @Override
  public PartPage listParts(
      String bucket, String key, UploadId upload, int afterPartNumber, int max) {
    var request =
        new FileMessage.ListParts(bucket, ObjectKey.check(key), upload, afterPartNumber, max);
    FileMessage.Parts page = ask(request, FileMessage.Parts.class);
    return new PartPage(page.parts(), page.more(), page.headers(), page.uploadHeaders());
  }

  @Override
  public UploadPage listUploads(
      String bucket, String prefix, String afterKey, Optional<UploadId> afterUpload, int max) {
    var request = new FileMessage.ListUploads(bucket, prefix, afterKey, afterUpload, max);
    return ask(request, FileMessage.Uploads.class).page();
  }

  @Override
  public ObjectInfo completeUpload(
      String bucket,
      String key,
      UploadId upload,
      List<CompletedPart> parts,
      WriteConditions conditions,
      OptionalLong expectedLengthBytes,
      Map<String, String> headers) {
    var request =
        new FileMessage.CompleteUpload(
            bucket, ObjectKey.check(key), upload, parts, conditions, expectedLengthBytes, headers);
    return ask(request, FileMessage.Objects.class, changeNanos).objects().getFirst();
  }

  @Override
  public void abortUpload(String bucket, String key, UploadId upload) {
    ask(new FileMessage.AbortUpload(bucket, ObjectKey.check(key), upload), FileMessage.Done.class);
  }

  @Override
  public FlushReport flush(String bucket, String prefix, long waitNanos) {
    Reply reply =
        network
            .call(
                server,
                new FileMessage.Flush(bucket, prefix, waitNanos),
                Optional.empty(),
                waitNanos + CALL_TIMEOUT_NANOS)
            .await();
    return expect(reply, FileMessage.Flushed.class).report();
  }

  @Override
  public FlushReport flushStatus(String bucket, String prefix) {
    return ask(new FileMessage.AskFlushStatus(bucket, prefix), FileMessage.Flushed.class).report();
  }

  @Override
  public List<StoreConflict> conflicts(String bucket) {
    return ask(new FileMessage.ListConflicts(bucket), FileMessage.Conflicts.class).conflicts();
  }

  @Override
  public void resolveConflict(
      String bucket,
      String key,
      StoreConflict.Resolution resolution,
      Generation generation,
      String storeEtag) {
    ask(
        new FileMessage.Resolve(bucket, ObjectKey.check(key), resolution, generation, storeEtag),
        FileMessage.Done.class);
  }

  @Override
  public PathStatus pathStatus(String bucket, String key) {
    return ask(
            new FileMessage.AskPathStatus(bucket, ObjectKey.check(key)),
            FileMessage.PathStatusAnswer.class)
        .status();
  }

  @Override
  public PrefixStatus prefixStatus(String bucket, String prefix) {
    return ask(
            new FileMessage.AskPrefixStatus(bucket, prefix),
            FileMessage.PrefixStatusAnswer.class,
            changeNanos)
        .status();
  }

  /** What the serving node says of its state, as JSON. */
  public String report() {
    return ask(new FileMessage.AskReport(), FileMessage.Report.class).json();
  }

  /**
   * Has an operator's command logged.
   *
   * @param command an encoded ClusterCommand
   * @return the encoded ClusterResult
   */
  public byte[] operate(byte[] command) {
    return ask(new FileMessage.OperatorCommand(command), FileMessage.OperatorAnswer.class).result();
  }

  /** Opens a writer; waits while the node has no memory for one more. */
  private long begin(Message request) {
    long deadline = env.nanoTime() + BEGIN_NANOS;
    while (true) {
      try {
        return ask(request, FileMessage.Writing.class).handle();
      } catch (ForebayException refused) {
        if (refused.code() != ErrorCode.BUSY || env.nanoTime() >= deadline) {
          throw refused;
        }
        env.sleep(BUSY_NANOS);
      }
    }
  }

  private <T extends Message> T ask(Message request, Class<T> expected) {
    return ask(request, expected, CALL_TIMEOUT_NANOS);
  }

  private <T extends Message> T ask(Message request, Class<T> expected, long timeoutNanos) {
    Reply reply = network.call(server, request, Optional.empty(), timeoutNanos).await();
    return expect(reply, expected);
  }

  private static <T extends Message> T expect(Reply reply, Class<T> expected) {
    if (expected.isInstance(reply.message())) {
      return expected.cast(reply.message());
    }
    reply.release();
    throw new ForebayException(
        ErrorCode.WRONG_VERSION,
        "the node answered with "
            + reply.message().getClass().getSimpleName()
            + " where "
            + expected.getSimpleName()
            + " was expected");
  }

  /**
   * A body that is announced to fit into one call: it is kept until it is published, and goes with
   * that. One that comes in several pieces, or is longer, goes as all others do.
   */
  private final class ShortWriter implements BodyWriter<ObjectInfo> {
    private final String bucket;
    private final String key;
    private final WriteOptions options;
    private Optional<Bytes> body = Optional.empty();
    private Optional<Writer<ObjectInfo>> pieces = Optional.empty();
    private boolean ended;

    ShortWriter(String bucket, String key, WriteOptions options) {
      this.bucket = bucket;
      this.key = key;
      this.options = options;
    }

    @Override
    public void awaitRoom(int lengthBytes) {
      pieces.ifPresent(writer -> writer.awaitRoom(lengthBytes));
    }

    @Override
    public void write(Bytes bytes) {
      requireOpen();
      if (pieces.isEmpty() && body.isEmpty() && bytes.length() <= Network.MAX_PAYLOAD_BYTES) {
        bytes.retain();
        body = Optional.of(bytes);
        return;
      }
      begun().write(bytes);
    }

    private void requireOpen() {
      if (ended) {
        throw new IllegalStateException("a writer that was closed or published is used again");
      }
    }

    /** The ordinary way, with what has come so far. */
    private Writer<ObjectInfo> begun() {
      if (pieces.isEmpty()) {
        pieces = Optional.of(begin(bucket, key, options));
        body.ifPresent(pieces.get()::write);
        dropBody();
      }
      return pieces.get();
    }

    @Override
    public ObjectInfo publish(Optional<String> md5Hex, Map<String, String> headers) {
      requireOpen();
      ended = true;
      if (pieces.isEmpty()) {
        var request =
            new FileMessage.Put(
                bucket, key, options, body.map(Bytes::crc32c).orElse(0), md5Hex, headers);
        try {
          Reply reply = network.call(server, request, body, writeNanos).await();
          return expect(reply, FileMessage.Objects.class).objects().getFirst();
        } catch (ForebayException refused) {
          if (refused.code() != ErrorCode.BUSY) {
            throw refused;
          }
          // Nothing was done. A writer that is begun waits for room without holding any.
        }
      }
      return begun().publish(md5Hex, headers);
    }

    private void dropBody() {
      body.ifPresent(Bytes::release);
      body = Optional.empty();
    }

    @Override
    public void close() {
      ended = true;
      dropBody();
      pieces.ifPresent(Writer::close);
    }
  }

  /** A body on its way out: several slices under way, ordered by their offsets. */
  private final class Writer<T> implements BodyWriter<T> {
    private final long handle;
    private final int window;
    private final Function<Reply, T> answer;
    private final ArrayDeque<Outcome<Reply>> underWay = new ArrayDeque<>();
    private long offset;
    private boolean ended;

    /**
     * @param window calls that may be under way
     */
    Writer(long handle, int window, Function<Reply, T> answer) {
      this.handle = handle;
      this.window = window;
      this.answer = answer;
    }

    @Override
    public void awaitRoom(int lengthBytes) {
      // The node admits no more writers than it has memory for.
      while (underWay.size() >= window) {
        expect(underWay.remove().await(), FileMessage.Done.class);
      }
    }

    @Override
    public void write(Bytes bytes) {
      int done = 0;
      while (done < bytes.length()) {
        int length = Math.min(Network.MAX_PAYLOAD_BYTES, bytes.length() - done);
        awaitRoom(length);
        Bytes slice = bytes.slice(done, length);
        try {
          underWay.add(
              network.call(
                  server,
                  new FileMessage.WriteBody(handle, offset, slice.crc32c()),
                  Optional.of(slice),
                  writeNanos));
        } finally {
          slice.release();
        }
        offset += length;
        done += length;
      }
    }

    @Override
    public T publish(Optional<String> md5Hex, Map<String, String> headers) {
      while (!underWay.isEmpty()) {
        expect(underWay.remove().await(), FileMessage.Done.class);
      }
      ended = true;
      return answer.apply(
          network
              .call(
                  server,
                  new FileMessage.Publish(handle, md5Hex, headers),
                  Optional.empty(),
                  writeNanos)
              .await());
    }

    @Override
    public void close() {
      if (!ended) {
        ended = true;
        network.call(
            server, new FileMessage.CloseHandle(handle), Optional.empty(), CALL_TIMEOUT_NANOS);
      }
    }
  }

  /** A body on its way in, with read-ahead for as long as it is read in order. */
  private final class Reader implements ObjectReader {
    private record Ahead(long offset, int length, Outcome<Reply> outcome) {}

    private final long handle;
    private final ObjectInfo info;
    private final ArrayDeque<Ahead> ahead = new ArrayDeque<>();
    private Optional<Bytes> rest = Optional.empty();
    private long restOffset;
    private long expectedOffset;
    private long end; // of what is expected to be read
    private boolean closed;

    Reader(FileMessage.Opened opened) {
      this.handle = opened.handle();
      this.info = opened.info();
      this.end = info.lengthBytes();
    }

    @Override
    public ObjectInfo info() {
      return info;
    }

    @Override
    public Bytes read(long offset, int maxLengthBytes) {
      if (offset < 0 || offset >= info.lengthBytes() || maxLengthBytes < 1) {
        throw new IllegalArgumentException(
            "read of " + maxLengthBytes + " at " + offset + " of " + info.lengthBytes() + " bytes");
      }
      if (rest.isEmpty() || offset < restOffset || offset >= restOffset + rest.get().length()) {
        boolean inOrder = offset == expectedOffset;
        dropRest();
        if (!inOrder) {
          dropAhead();
        }
        fetch(offset, inOrder);
      }
      Bytes held = rest.orElseThrow();
      int from = (int) (offset - restOffset);
      Bytes part = held.slice(from, Math.min(maxLengthBytes, held.length() - from));
      expectedOffset = offset + part.length();
      if (expectedOffset == restOffset + held.length()) {
        dropRest();
      }
      return part;
    }

    private void fetch(long offset, boolean inOrder) {
      if (ahead.isEmpty()) {
        request(offset);
      }
      while (inOrder && ahead.size() < WINDOW_CALLS) {
        Ahead last = ahead.getLast();
        if (last.offset() + last.length() >= end) {
          break;
        }
        request(last.offset() + last.length());
      }
      Ahead first = ahead.remove();
      Reply reply;
      try {
        reply = first.outcome().await();
      } catch (ForebayException failure) {
        // Whoever tries again reads here, and what was asked for begins behind it.
        ahead.addFirst(first);
        dropAhead();
        throw failure;
      }
      expect(reply, FileMessage.Body.class);
      Bytes body =
          reply
              .payload()
              .orElseThrow(() ->
                  new ForebayException(ErrorCode.INTERNAL, "a read was answered without bytes"));
      if (body.length() != first.length()) {
        // The node may give less than was asked for: what was requested behind it is at the wrong
        // place.
        dropAhead();
      }
      rest = Optional.of(body);
      restOffset = offset;
    }

    @Override
    public void willRead(ByteRange range) {
      if (range.offset() != expectedOffset) {
        dropAhead();
      }
      expectedOffset = range.offset();
      end = Math.min(range.offset() + range.lengthBytes(), info.lengthBytes());
    }

    @Override
    public void pause() {
      dropRest();
      dropAhead();
    }

    private void request(long offset) {
      long until = offset < end ? end : info.lengthBytes();
      int length = (int) Math.min(Network.MAX_PAYLOAD_BYTES, until - offset);
      ahead.add(
          new Ahead(
              offset,
              length,
              network.call(
                  server,
                  new FileMessage.ReadBody(handle, offset, length),
                  Optional.empty(),
                  CALL_TIMEOUT_NANOS)));
    }

    private void dropRest() {
      rest.ifPresent(Bytes::release);
      rest = Optional.empty();
    }

    private void dropAhead() {
      for (Ahead each : ahead) {
        each.outcome()
            .whenDone(done -> {
              if (done.failure().isEmpty()) {
                done.get().release();
              }
            });
      }
      ahead.clear();
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        dropRest();
        dropAhead();
        network.call(
            server, new FileMessage.CloseHandle(handle), Optional.empty(), CALL_TIMEOUT_NANOS);
      }
    }
  }
}
