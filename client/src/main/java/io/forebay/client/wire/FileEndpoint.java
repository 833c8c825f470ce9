package io.forebay.client.wire;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.env.Env;
import io.forebay.core.env.Outcome;
import io.forebay.core.env.Permits;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.PartPage;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.net.FileMessage;
import io.forebay.core.net.Message;
import io.forebay.core.net.Network;
import io.forebay.core.net.Reply;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The serving end of {@link RemoteFileService}: translates messages to a node's own FileService and
 * keeps the handles that it gave out, at most 4,096. A reader that is idle for two seconds gives
 * its memory back and may go on. A handle that is idle for ten minutes is closed; a writer after 15
 * seconds already while others wait to begin, since what it holds nobody else can have.
 */
public final class FileEndpoint {
  private static final int MAX_HANDLES = 4096;
  static final int WINDOW_CALLS = 8;
  private static final long SWEEP_NANOS = 1_000_000_000L;
  private static final long PAUSE_NANOS = 2_000_000_000L;
  private static final long IDLE_NANOS = 600_000_000_000L;
  private static final long IDLE_WRITER_NANOS = 15_000_000_000L;
  // A slice waits here for those before it; they were sent earlier by the same client.
  private static final long TURN_NANOS = 20_000_000_000L;

  private final Env env;
  private final FileService files;
  private final Supplier<String> report;
  private final Function<byte[], byte[]> operator;
  private final Permits slices;
  // Whoever has it takes slices next: short bodies, which need few, do not pass by a long one.
  private final Permits turn;
  private final ReentrantLock lock = new ReentrantLock();
  private final Map<Long, Handle> handles = new TreeMap<>(); // guarded by lock
  private boolean closed; // guarded by lock

  /**
   * @param report what the node says of its state, as JSON
   * @param operator logs an encoded ClusterCommand, returns the encoded result
   * @param writersAtOnce long bodies that may be on their way in at once, at least 1; further ones
   *     wait to begin. Each has up to 8 slices under way in buffers of the transport; one that is
   *     announced to be shorter counts as much less
   */
  public FileEndpoint(
      Env env,
      FileService files,
      Supplier<String> report,
      Function<byte[], byte[]> operator,
      int writersAtOnce) {
    this.env = env;
    this.files = files;
    this.report = report;
    this.operator = operator;
    this.slices = new Permits(env, (long) writersAtOnce * WINDOW_CALLS);
    this.turn = new Permits(env, 1);
    scheduleSweep();
  }

  /** Answers one message; blocks. Failures are the service's own. */
  public Reply handle(FileMessage message, Optional<Bytes> payload) {
    return switch (message) {
      case FileMessage.ListBuckets() -> Reply.of(new FileMessage.Buckets(files.listBuckets()));
      case FileMessage.CreateBucket(var spec) ->
          Reply.of(new FileMessage.Buckets(List.of(files.createBucket(spec))));
      case FileMessage.DeleteBucket(var name) -> done(() -> files.deleteBucket(name));
      case FileMessage.Stat(var bucket, var key) ->
          Reply.of(new FileMessage.Objects(files.stat(bucket, key).stream().toList()));
      case FileMessage.Open(var bucket, var key, var conditions) -> {
        ObjectReader reader = files.open(bucket, key, conditions);
        yield Reply.of(new FileMessage.Opened(add(new Reading(env, reader)), reader.info()));
      }
      case FileMessage.ReadBody(long handle, long offset, int length) ->
          use(
              find(handle, Reading.class),
              reading ->
                  new Reply(new FileMessage.Body(), Optional.of(reading.read(offset, length))));
      case FileMessage.CloseHandle(long handle) ->
          done(() -> remove(handle).ifPresent(Handle::close));
      case FileMessage.Create(var bucket, var key, var options) ->
          begin(
              options,
              () -> files.create(bucket, key, options),
              info -> new FileMessage.Objects(List.of(info)));
      case FileMessage.Put put -> put(put, payload);
      case FileMessage.CreatePart(var bucket, var key, var upload, int part, var options) ->
          begin(
              options,
              () -> files.createPart(bucket, key, upload, part, options),
              FileMessage.Part::new);
      case FileMessage.WriteBody(long handle, long offset, int crc) ->
          use(
              find(handle, Writing.class),
              writing -> done(() -> writing.write(offset, crc, payload.orElseThrow())));
      case FileMessage.Publish(long handle, var md5, var headers) -> {
        Writing<?> writing = find(handle, Writing.class);
        remove(handle);
        yield Reply.of(writing.publish(md5, headers));
      }
      case FileMessage.Delete(var bucket, var key, var conditions) ->
          Reply.of(new FileMessage.Deleted(files.delete(bucket, key, conditions)));
      case FileMessage.DeleteMany(var bucket, var keys) ->
          Reply.of(
              new FileMessage.DeletedMany(
                  files.deleteMany(bucket, keys).stream()
                      .map(result ->
                          new FileMessage.DeletedMany.KeyResult(
                              result.key(),
                              result.failure().map(failure -> failure.code().number()).orElse(0),
                              result
                                  .failure()
                                  .map(failure -> String.valueOf(failure.getMessage()))
                                  .orElse("")))
                      .toList()));
      case FileMessage.Copy copy ->
          Reply.of(
              new FileMessage.Objects(
                  List.of(
                      files.copy(
                          copy.sourceBucket(),
                          copy.sourceKey(),
                          copy.sourceConditions(),
                          copy.bucket(),
                          copy.key(),
                          copy.options()))));
      case FileMessage.Rename(var bucket, var from, var to) ->
          done(() -> files.rename(bucket, from, to));
      case FileMessage.ListKeys(var bucket, var query) ->
          Reply.of(new FileMessage.Keys(files.list(bucket, query)));
      case FileMessage.ListAllKeys(var bucket, var query) ->
          Reply.of(new FileMessage.Keys(files.listAll(bucket, query)));
      case FileMessage.CreateUpload(var bucket, var key, var metadata) ->
          Reply.of(new FileMessage.Upload(files.createUpload(bucket, key, metadata)));
      case FileMessage.CopyPart copy ->
          Reply.of(
              new FileMessage.Part(
                  files.copyPart(
                      copy.bucket(),
                      copy.key(),
                      copy.upload(),
                      copy.partNumber(),
                      copy.sourceBucket(),
                      copy.sourceKey(),
                      copy.sourceConditions(),
                      copy.range())));
      case FileMessage.ListParts(var bucket, var key, var upload, int after, int max) ->
          parts(files.listParts(bucket, key, upload, after, max));
      case FileMessage.ListUploads(
              var bucket,
              var prefix,
              var afterKey,
              var afterUpload,
              int max) ->
          Reply.of(
              new FileMessage.Uploads(
                  files.listUploads(bucket, prefix, afterKey, afterUpload, max)));
      case FileMessage.CompleteUpload complete ->
          Reply.of(
              new FileMessage.Objects(
                  List.of(
                      files.completeUpload(
                          complete.bucket(),
                          complete.key(),
                          complete.upload(),
                          complete.parts(),
                          complete.conditions(),
                          complete.expectedLengthBytes(),
                          complete.headers()))));
      case FileMessage.AbortUpload(var bucket, var key, var upload) ->
          done(() -> files.abortUpload(bucket, key, upload));
      case FileMessage.Flush(var bucket, var prefix, long waitNanos) ->
          Reply.of(new FileMessage.Flushed(files.flush(bucket, prefix, waitNanos)));
      case FileMessage.AskFlushStatus(var bucket, var prefix) ->
          Reply.of(new FileMessage.Flushed(files.flushStatus(bucket, prefix)));
      case FileMessage.ListConflicts(var bucket) ->
          Reply.of(new FileMessage.Conflicts(files.conflicts(bucket)));
      case FileMessage.Resolve(var bucket, var key, var resolution, var generation, var etag) ->
          done(() -> files.resolveConflict(bucket, key, resolution, generation, etag));
      case FileMessage.AskPathStatus(var bucket, var key) ->
          Reply.of(new FileMessage.PathStatusAnswer(files.pathStatus(bucket, key)));
      case FileMessage.AskPartsOf(var bucket, var key, var generation, int after, int max) ->
          Reply.of(new FileMessage.PartsOf(files.partsOf(bucket, key, generation, after, max)));
      case FileMessage.ChangeHeaders(var bucket, var key, var headers) ->
          Reply.of(new FileMessage.Objects(List.of(files.changeHeaders(bucket, key, headers))));
      case FileMessage.AskUse(var bucket) -> Reply.of(new FileMessage.Use(files.use(bucket)));
      case FileMessage.SetQuota(var bucket, long quotaBytes) ->
          done(() -> files.setQuota(bucket, quotaBytes));
      case FileMessage.AskPolicies(var bucket) ->
          Reply.of(new FileMessage.Policies(files.policies(bucket)));
      case FileMessage.SetPolicies(var bucket, var policies) ->
          done(() -> files.setPolicies(bucket, files.policies(bucket), policies));
      case FileMessage.ReplacePolicies(var bucket, var seen, var policies) ->
          done(() -> files.setPolicies(bucket, seen, policies));
      case FileMessage.AskPrefixStatus(var bucket, var prefix) ->
          Reply.of(new FileMessage.PrefixStatusAnswer(files.prefixStatus(bucket, prefix)));
      case FileMessage.AskReport() -> Reply.of(new FileMessage.Report(report.get()));
      case FileMessage.OperatorCommand(var command) ->
          Reply.of(new FileMessage.OperatorAnswer(operator.apply(command)));
      case FileMessage.Done _,
          FileMessage.Buckets _,
          FileMessage.Objects _,
          FileMessage.Opened _,
          FileMessage.Body _,
          FileMessage.Writing _,
          FileMessage.Part _,
          FileMessage.Deleted _,
          FileMessage.DeletedMany _,
          FileMessage.Keys _,
          FileMessage.Upload _,
          FileMessage.Parts _,
          FileMessage.PartsOf _,
          FileMessage.Uploads _,
          FileMessage.Flushed _,
          FileMessage.Conflicts _,
          FileMessage.PathStatusAnswer _,
          FileMessage.Use _,
          FileMessage.Policies _,
          FileMessage.PrefixStatusAnswer _,
          FileMessage.Report _,
          FileMessage.OperatorAnswer _ ->
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT,
              "an answer was sent as a request: " + message.getClass().getSimpleName());
    };
  }

  private void scheduleSweep() {
    Env.Timer _ = env.schedule(SWEEP_NANOS, () -> env.spawn("sweep-handles", this::sweep));
  }

  /** Takes the memory of those that stand still. */
  private void sweep() {
    var paused = new ArrayList<Handle>();
    var ended = new ArrayList<Handle>();
    lock.lock();
    try {
      if (closed) {
        return;
      }
      long now = env.nanoTime();
      boolean wanted = slices.available() < WINDOW_CALLS;
      handles
          .values()
          .removeIf(handle -> {
            long patience = wanted && handle instanceof Writing ? IDLE_WRITER_NANOS : IDLE_NANOS;
            return handle.idleNanos(now) > patience && ended.add(handle);
          });
      handles.values().stream()
          .filter(handle -> handle.idleNanos(now) > PAUSE_NANOS)
          .forEach(paused::add);
    } finally {
      lock.unlock();
    }
    paused.forEach(Handle::pause);
    ended.forEach(Handle::close);
    scheduleSweep();
  }

  /** Closes all handles. */
  public void close() {
    List<Handle> all;
    lock.lock();
    try {
      closed = true;
      all = List.copyOf(handles.values());
      handles.clear();
    } finally {
      lock.unlock();
    }
    all.forEach(Handle::close);
  }

  private static Reply parts(PartPage page) {
    return Reply.of(
        new FileMessage.Parts(page.parts(), page.more(), page.headers(), page.uploadHeaders()));
  }

  private static Reply done(Runnable action) {
    action.run();
    return Reply.of(new FileMessage.Done());
  }

  /** Slices of a body that its client has under way at most. */
  static int window(WriteOptions options) {
    if (options.expectedLengthBytes().isEmpty()) {
      return WINDOW_CALLS;
    }
    long length = options.expectedLengthBytes().getAsLong();
    return Math.clamp(Math.ceilDiv(length, Network.MAX_PAYLOAD_BYTES), 1, WINDOW_CALLS);
  }

  /**
   * Writes and publishes a body that came with its request. It does not wait for room, because it
   * has a buffer of those already that others who have room wait for: who is refused begins a
   * writer and sends its bytes when there is room for them.
   */
  private Reply put(FileMessage.Put put, Optional<Bytes> payload) {
    if (payload.isPresent()) {
      check(payload.get(), put.crc32c(), 0);
    }
    takeSlices(1, 0);
    try (BodyWriter<ObjectInfo> writer = files.create(put.bucket(), put.key(), put.options())) {
      payload.ifPresent(writer::write);
      return Reply.of(
          new FileMessage.Objects(List.of(writer.publish(put.md5Hex(), put.headers()))));
    } finally {
      slices.release(1);
    }
  }

  private static void check(Bytes slice, int crc32c, long at) {
    if (slice.crc32c() != crc32c) {
      throw new ForebayException(
          ErrorCode.CHECKSUM_MISMATCH, "the slice at " + at + " arrived with another CRC32C");
    }
  }

  /** Opens a writer once there is memory for one more. */
  private <T> Reply begin(
      WriteOptions options, Supplier<BodyWriter<T>> create, Function<T, Message> answer) {
    int window = window(options);
    takeSlices(window, TURN_NANOS);
    Optional<Writing<T>> writing = Optional.empty();
    try {
      writing =
          Optional.of(new Writing<T>(env, create.get(), answer, () -> slices.release(window)));
    } finally {
      if (writing.isEmpty()) {
        slices.release(window);
      }
    }
    return Reply.of(new FileMessage.Writing(add(writing.get()))); // it gives them back
  }

  private void takeSlices(int count, long patienceNanos) {
    long deadline = env.nanoTime() + patienceNanos;
    boolean taken = false;
    if (turn.acquire(1, deadline)) {
      try {
        taken = slices.acquire(count, deadline);
      } finally {
        turn.release(1);
      }
    }
    if (!taken) {
      throw new ForebayException(
          ErrorCode.BUSY, "as many bodies as there is memory for are being written; try again");
    }
  }

  private long add(Handle handle) {
    long number;
    lock.lock();
    try {
      if (closed || handles.size() >= MAX_HANDLES) {
        handle.close();
        throw new ForebayException(
            ErrorCode.BUSY,
            "this node has " + MAX_HANDLES + " open readers and writers; try again later");
      }
      // Random, so that a client of an earlier run of this process cannot hit somebody else's
      // handle.
      number = env.random().nextLong();
      handles.put(number, handle);
    } finally {
      lock.unlock();
    }
    return number;
  }

  private Optional<Handle> remove(long number) {
    lock.lock();
    try {
      return Optional.ofNullable(handles.remove(number));
    } finally {
      lock.unlock();
    }
  }

  /** The handle, which is not idle until {@link Handle#end}. */
  private <H extends Handle> H find(long number, Class<H> kind) {
    lock.lock();
    try {
      Handle handle = handles.get(number);
      if (handle == null) {
        throw new ForebayException(
            ErrorCode.GENERATION_GONE,
            "this node does not know the open reader or writer: it was restarted, or idle for too long");
      }
      if (!kind.isInstance(handle)) {
        throw new ForebayException(
            ErrorCode.INVALID_ARGUMENT, "a reader was asked to write, or a writer to read");
      }
      handle.begin();
      return kind.cast(handle);
    } finally {
      lock.unlock();
    }
  }

  /** Runs what was asked of a handle that was found; it is not idle meanwhile. */
  private static <H extends Handle> Reply use(H handle, Function<H, Reply> work) {
    try {
      return work.apply(handle);
    } finally {
      handle.end();
    }
  }

  private static ForebayException closedMeanwhile() {
    return new ForebayException(
        ErrorCode.GENERATION_GONE, "the open reader or writer was closed meanwhile");
  }

  /** An open reader or writer. */
  private abstract static sealed class Handle permits Reading, Writing {
    private final Env env;
    private final AtomicInteger running = new AtomicInteger();
    private volatile long usedNanos;

    Handle(Env env) {
      this.env = env;
      usedNanos = env.nanoTime();
    }

    final void begin() {
      running.incrementAndGet();
    }

    final void end() {
      usedNanos = env.nanoTime();
      running.decrementAndGet();
    }

    /** For how long nothing was asked of it. */
    final long idleNanos(long now) {
      return running.get() > 0 ? 0 : now - usedNanos;
    }

    /** Gives back the memory that it can do without. */
    abstract void pause();

    abstract void close();
  }

  private static final class Reading extends Handle {
    private final ReentrantLock turn = new ReentrantLock(true);
    private final ObjectReader reader; // guarded by turn
    private boolean closed; // guarded by turn

    Reading(Env env, ObjectReader reader) {
      super(env);
      this.reader = reader;
    }

    Bytes read(long offset, int length) {
      turn.lock();
      try {
        if (closed) {
          throw closedMeanwhile();
        }
        return reader.read(offset, length);
      } finally {
        turn.unlock();
      }
    }

    @Override
    void pause() {
      if (turn.tryLock()) {
        try {
          // Of a closed one there is nothing to take.
          reader.pause();
        } finally {
          turn.unlock();
        }
      }
    }

    @Override
    void close() {
      turn.lock();
      try {
        closed = true;
        reader.close();
      } finally {
        turn.unlock();
      }
    }
  }

  private static final class Writing<T> extends Handle {
    private final Env env;
    private final BodyWriter<T> writer;
    private final Function<T, Message> answer;
    private final ReentrantLock lock = new ReentrantLock();
    private final Map<Long, Outcome<Boolean>> waiting = new TreeMap<>(); // guarded by lock
    private long offset; // guarded by lock
    private final Runnable end;
    // One thread at a time uses the writer; whoever closes it does not wait for one that does.
    private final ReentrantLock using = new ReentrantLock();
    private volatile boolean over;
    private boolean left; // guarded by using

    /**
     * @param end called once, when this is over
     */
    Writing(Env env, BodyWriter<T> writer, Function<T, Message> answer, Runnable end) {
      super(env);
      this.end = end;
      this.env = env;
      this.writer = writer;
      this.answer = answer;
    }

    void write(long at, int crc32c, Bytes bytes) {
      check(bytes, crc32c, at);
      if (!awaitTurn(at)) {
        throw new ForebayException(
            ErrorCode.INCOMPLETE_BODY, "the slice at " + at + " came without those before it");
      }
      withWriter(() -> writer.write(bytes));
      lock.lock();
      try {
        offset = at + bytes.length();
        Outcome<Boolean> next = waiting.remove(offset);
        if (next != null) {
          next.complete(true);
        }
      } finally {
        lock.unlock();
      }
    }

    private boolean awaitTurn(long at) {
      Outcome<Boolean> turn;
      lock.lock();
      try {
        if (at == offset) {
          return true;
        }
        if (at < offset || waiting.containsKey(at)) {
          throw new ForebayException(
              ErrorCode.INVALID_ARGUMENT, "the slice at " + at + " was sent twice");
        }
        turn = new Outcome<>(env);
        waiting.put(at, turn);
      } finally {
        lock.unlock();
      }
      while (!turn.awaitUntil(env.nanoTime() + TURN_NANOS)) {
        // The one before may be waiting for room on full disks, which has a bound of its own.
        if (!using.isLocked()) {
          return false;
        }
      }
      return true;
    }

    Message publish(Optional<String> md5Hex, Map<String, String> headers) {
      var published = new ArrayList<T>();
      try {
        withWriter(() -> published.add(writer.publish(md5Hex, headers)));
        return answer.apply(published.getFirst());
      } finally {
        close();
      }
    }

    private void withWriter(Runnable work) {
      using.lock();
      try {
        if (over) {
          throw closedMeanwhile();
        }
        work.run();
      } finally {
        using.unlock();
        if (over) {
          close(); // asked for meanwhile
        }
      }
    }

    @Override
    void pause() {} // its bytes are nowhere else yet

    @Override
    void close() {
      over = true;
      if (using.tryLock()) {
        try {
          if (!left) {
            left = true;
            writer.close();
            end.run();
          }
        } finally {
          using.unlock();
        }
      }
    }
  }
}
