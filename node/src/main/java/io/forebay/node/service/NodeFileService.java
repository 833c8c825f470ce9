package io.forebay.node.service;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.cluster.FlushMode;
import io.forebay.core.cluster.Group;
import io.forebay.core.cluster.Member;
import io.forebay.core.cluster.MemberState;
import io.forebay.core.cluster.VolumeRecord;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.BucketName;
import io.forebay.core.file.BucketSpec;
import io.forebay.core.file.BucketUse;
import io.forebay.core.file.ByteRange;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.DeleteResult;
import io.forebay.core.file.DoorHeaders;
import io.forebay.core.file.EntityTag;
import io.forebay.core.file.FileService;
import io.forebay.core.file.FlushReport;
import io.forebay.core.file.FlushState;
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
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.NodeId;
import io.forebay.core.id.UploadId;
import io.forebay.core.id.VolumeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.ConflictEntry;
import io.forebay.core.namespace.Extent;
import io.forebay.core.namespace.FlushEntry;
import io.forebay.core.namespace.FlushPolicy;
import io.forebay.core.namespace.FlushRecord;
import io.forebay.core.namespace.Manifest;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import io.forebay.core.namespace.ObjectHead;
import io.forebay.core.namespace.Preconditions;
import io.forebay.core.namespace.StoreSight;
import io.forebay.node.read.ManifestReader;
import io.forebay.node.read.OpenGeneration;
import io.forebay.node.read.ReadAhead;
import io.forebay.node.read.ReadMemory;
import io.forebay.node.write.Body;
import io.forebay.node.write.ChunkSender;
import io.forebay.node.write.Session;
import io.forebay.node.write.WriteMemory;
import io.forebay.node.write.WrittenBody;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * The {@link FileService} of a node: names go to the namespace's log, bytes to groups of volumes.
 */
public final class NodeFileService implements FileService {
  private static final long UPLOAD_LIFETIME_MILLIS = 7L * 24 * 3_600_000;
  private static final long IMAGE_WAIT_NANOS = 5_000_000_000L;
  private static final long FLUSH_LOOK_NANOS = 100_000_000L;
  // Of a store that does not take it, a writer hears before common HTTP clients give up (60 s).
  private static final long THROUGH_NANOS = 30_000_000_000L;
  // Likewise for the deletions of a bucket's last objects.
  private static final long EMPTYING_NANOS = 20_000_000_000L;
  private static final int FLUSH_RECORDS = 5_000;
  private static final int TROUBLES = 1_000;
  private static final int LOOKED_AT = 10_000;
  private static final int COPY_TRIES = 20;

  private final Env env;
  private final ControlPlane plane;
  private final Contents contents;
  private final Session session;
  private final ChunkSender sender;
  private final ManifestReader reader;
  private final SlabPool pool;
  private final WriteMemory writeMemory;
  private final ReadMemory readMemory;
  private final StoreHeads storeHeads;
  private final Set<NodeId> voters;

  /** What has to be known about, and done at, stores themselves. */
  public interface StoreHeads {
    /** Makes what the store of a URL needs before its first use. */
    void make(String url);

    /** A HEAD of the key in the bucket's store; empty when there is none. */
    Optional<TheirObject> head(Bucket bucket, String key);

    /** Someone else's object. */
    record TheirObject(
        String etag, long lengthBytes, ObjectMetadata metadata, long modifiedMillis) {}
  }

  /**
   * @param pool buffers for bodies on their way in; more than {@code writeMemory}
   * @param writeMemory bytes that all bodies on their way may hold
   * @param readMemory what all readers may hold
   * @param voters of the control plane, who have copies of what its log keeps itself
   */
  public NodeFileService(
      Env env,
      ControlPlane plane,
      Session session,
      ChunkSender sender,
      ManifestReader reader,
      SlabPool pool,
      WriteMemory writeMemory,
      ReadMemory readMemory,
      StoreHeads storeHeads,
      Set<NodeId> voters) {
    this.voters = voters;
    this.env = env;
    this.plane = plane;
    this.contents = new Contents(plane);
    this.session = session;
    this.sender = sender;
    this.reader = reader;
    this.pool = pool;
    this.writeMemory = writeMemory;
    this.readMemory = readMemory;
    this.storeHeads = storeHeads;
  }

  @Override
  public List<Bucket> listBuckets() {
    return image().buckets().stream().sorted((a, b) -> a.name().compareTo(b.name())).toList();
  }

  /**
   * What this node knows of is there. What it does not may have been made at another node a moment
   * ago, or an hour ago where this one is cut off.
   */
  @Override
  public Optional<Bucket> bucket(String name) {
    return image().bucket(name).or(() -> plane.newest().bucket(name));
  }

  /** A node that has not heard of the cluster yet knows of no bucket: that is not absence. */
  private ClusterImage image() {
    ClusterImage image = plane.image();
    if (image.version() == ClusterImage.EMPTY.version()) {
      throw new ForebayException(
          ErrorCode.UNAVAILABLE, "this node has not reached its cluster yet; try again");
    }
    return image;
  }

  private Bucket require(String name) {
    return bucket(name)
        .orElseThrow(() ->
            new ForebayException(ErrorCode.NO_SUCH_BUCKET, "there is no bucket '" + name + "'"));
  }

  @Override
  public BucketUse use(String bucket) {
    NamespaceAnswer answer = plane.query(new NamespaceQuery.UseOf(require(bucket).id()));
    if (answer instanceof NamespaceAnswer.Use(var use)) {
      return use;
    }
    throw unexpected(answer);
  }

  @Override
  public void setQuota(String bucket, long quotaBytes) {
    done(plane.namespace(new NamespaceCommand.SetQuota(require(bucket).id(), quotaBytes)));
  }

  @Override
  public List<PrefixPolicy> policies(String bucket) {
    return contents.policies(require(bucket).id());
  }

  @Override
  public void setPolicies(String bucket, List<PrefixPolicy> seen, List<PrefixPolicy> policies) {
    done(
        plane.namespace(
            new NamespaceCommand.ReplacePolicies(require(bucket).id(), seen, policies)));
  }

  @Override
  public Bucket createBucket(BucketSpec spec) {
    BucketName.check(spec.name());
    // One that buckets have is there, or is not mounted here.
    if (!spec.storeUrl().isEmpty()
        && plane.newest().buckets().stream()
            .noneMatch(bucket -> bucket.storeUrl().equals(spec.storeUrl()))) {
      storeHeads.make(spec.storeUrl());
    }
    removeSealed(spec.name());
    cluster(
        new ClusterCommand.CreateBucket(
            new Bucket(
                new BucketId(0),
                spec.name(),
                spec.family(),
                spec.storeUrl(),
                spec.mode(),
                spec.prefixModes(),
                spec.chunkBytes(),
                spec.flushDelayMillis(),
                spec.readGraceMillis(),
                env.wallMillis())));
    return require(spec.name());
  }

  /** Ends a removal whose node died between its two logs, or was too old for the second one. */
  private void removeSealed(String name) {
    Optional<Bucket> found = plane.newest().bucket(name);
    if (found.isPresent() && isSealed(found.get())) {
      remove(found.get());
    }
  }

  private void remove(Bucket sealed) {
    try {
      cluster(new ClusterCommand.RemoveBucket(sealed.name(), sealed.id()));
    } catch (ForebayException failure) {
      if (failure.code() != ErrorCode.NO_SUCH_BUCKET) {
        throw failure;
      }
      // Somebody else ended the same removal.
    }
  }

  private boolean isSealed(Bucket bucket) {
    try {
      Optional<NamespaceAnswer.Found> _ = find(bucket, "any");
      return false;
    } catch (ForebayException failure) {
      if (failure.code() == ErrorCode.NO_SUCH_BUCKET) {
        return true;
      }
      throw failure;
    }
  }

  @Override
  public void deleteBucket(String name) {
    Bucket bucket = require(name);
    requireRemoving(name);
    long deadline = env.nanoTime() + EMPTYING_NANOS;
    while (!sealed(bucket)) {
      // It is empty, and its store does not know yet: a bucket of the same name and place would
      // meet its objects.
      FlushReport left =
          flush(name, "", Math.clamp(deadline - env.nanoTime(), 0, 10 * FLUSH_LOOK_NANOS));
      if (env.nanoTime() >= deadline) {
        throw stillEmptying(name, left);
      }
      if (left.ended()) {
        env.sleep(FLUSH_LOOK_NANOS); // nothing is to be sent, and something may still land
      }
    }
    remove(bucket);
  }

  /** A bucket is sealed for good, so that it can be removed is found out before. */
  private void requireRemoving(String name) {
    // No bucket has the id; below its level the log refuses the command.
    ClusterResult _ = plane.cluster(new ClusterCommand.RemoveBucket(name, new BucketId(0)));
  }

  private boolean sealed(Bucket bucket) {
    NamespaceResult result = plane.namespace(new NamespaceCommand.SealBucket(bucket.id()));
    if (result instanceof NamespaceResult.Refused refused) {
      if (refused.code() == ErrorCode.CONCURRENT_CHANGE) {
        return false;
      }
      if (refused.code() == ErrorCode.BUCKET_NOT_EMPTY) {
        throw contents.notEmpty(bucket, refused);
      }
    }
    done(result);
    return true;
  }

  private static ForebayException stillEmptying(String bucket, FlushReport left) {
    String why =
        left.waiting() > 0
            ? left.waiting()
                + " deletions are still on their way to its store"
                + left.troubled().stream()
                    .findFirst()
                    .map(first -> " (" + first.key() + ": " + first.reason() + ")")
                    .orElse("")
                + "; `forebay flush "
                + bucket
                + " --wait` waits for them, then delete it again"
            : "a request whose answer was lost may still reach its store; delete it again in "
                + "three minutes";
    return new ForebayException(
        ErrorCode.CONCURRENT_CHANGE, "deleting bucket '" + bucket + "': it is empty, but " + why);
  }

  private void cluster(ClusterCommand command) {
    switch (plane.cluster(command)) {
      case ClusterResult.Done(long version, var note) -> {
        if (!plane.awaitVersion(version, IMAGE_WAIT_NANOS)) {
          throw new ForebayException(
              ErrorCode.TIMEOUT, "it is logged, and this node has not heard of it yet");
        }
      }
      case ClusterResult.Refused(var code, var message) ->
          throw new ForebayException(code, message);
    }
  }

  @Override
  public Optional<ObjectInfo> stat(String bucket, String key) {
    return find(require(bucket), key).map(found -> found.object().info(bucket));
  }

  private Optional<NamespaceAnswer.Found> find(Bucket bucket, String key) {
    ObjectKey.check(key);
    return switch (plane.query(new NamespaceQuery.Stat(bucket.id(), key))) {
      case NamespaceAnswer.Found found -> Optional.of(found);
      case NamespaceAnswer.Absent _ -> Optional.empty();
      case NamespaceAnswer other -> throw unexpected(other);
    };
  }

  static ForebayException unexpected(NamespaceAnswer answer) {
    return answer instanceof NamespaceAnswer.Refused refused
        ? refused.exception()
        : new ForebayException(
            ErrorCode.INTERNAL, "the namespace answered with " + answer.getClass().getSimpleName());
  }

  private static ForebayException unexpected(NamespaceResult result) {
    return result instanceof NamespaceResult.Refused refused
        ? refused.exception()
        : new ForebayException(
            ErrorCode.INTERNAL, "the namespace answered with " + result.getClass().getSimpleName());
  }

  private static void done(NamespaceResult result) {
    if (!(result instanceof NamespaceResult.Done)) {
      throw unexpected(result);
    }
  }

  private static ForebayException absent(String bucket, String key) {
    return new ForebayException(ErrorCode.NOT_FOUND, "there is no object " + bucket + "/" + key);
  }

  @Override
  public ObjectReader open(String bucket, String key, ReadConditions conditions) {
    Bucket known = require(bucket);
    NamespaceAnswer.Found found = find(known, key).orElseThrow(() -> absent(bucket, key));
    ObjectInfo info = found.object().info(bucket);
    conditions.check(info);
    return new Reading(info, source(found));
  }

  /** The bytes of a generation; with its store object to fall back to where there is one. */
  private ManifestReader.Source source(NamespaceAnswer.Found found) {
    ObjectHead head = found.object();
    return reader.open(
        OpenGeneration.place(found, head.bucket(), head.key()),
        new OpenGeneration(env, plane, head.bucket(), head.key(), head.generation()));
  }

  private Optional<FlushRecord> record(BucketId bucket, String key) {
    NamespaceAnswer answer = plane.query(new NamespaceQuery.FlushOf(bucket, key));
    if (answer instanceof NamespaceAnswer.OfKey(var record)) {
      return record;
    }
    throw unexpected(answer);
  }

  private final class Reading implements ObjectReader {
    private final ObjectInfo info;
    private final ReadAhead ahead;

    Reading(ObjectInfo info, ManifestReader.Source source) {
      this.info = info;
      this.ahead = new ReadAhead(env, source, info.lengthBytes(), readMemory);
    }

    @Override
    public ObjectInfo info() {
      return info;
    }

    @Override
    public void willRead(ByteRange range) {
      ahead.expect(range.offset(), range.offset() + range.lengthBytes());
    }

    @Override
    public Bytes read(long offset, int maxLengthBytes) {
      if (offset < 0 || offset >= info.lengthBytes() || maxLengthBytes < 1) {
        throw new IllegalArgumentException(
            "read of " + maxLengthBytes + " at " + offset + " of " + info.lengthBytes() + " bytes");
      }
      return ahead.read(offset, maxLengthBytes);
    }

    @Override
    public void pause() {
      ahead.pause();
    }

    @Override
    public void close() {
      ahead.close();
    }
  }

  @Override
  public BodyWriter<ObjectInfo> create(String bucket, String key, WriteOptions options) {
    ObjectKey.check(key);
    Bucket known = require(bucket);
    if (!options.conditions().equals(WriteConditions.NONE)) {
      options.conditions().check(stat(bucket, key));
    }
    return new Writing<>(
        known,
        options,
        (ticket, body, etag, headers) -> {
          Logged logged =
              withinQuota(
                  known,
                  body.lengthBytes(),
                  now ->
                      new NamespaceCommand.Publish(
                          ticket.session(),
                          ticket.publishSequence(),
                          known.id(),
                          key,
                          body.lengthBytes(),
                          etag,
                          body.crc32c(),
                          options.metadata().with(headers),
                          body.manifest(),
                          Preconditions.of(options.conditions()),
                          FlushPolicy.of(now, key)));
          return through(logged.bucket(), key, published(ticket, logged.result())).info(bucket);
        });
  }

  /** What the log answered, and the bucket as it was when it was asked. */
  private record Logged(Bucket bucket, NamespaceResult result) {}

  /**
   * Logs what adds bytes to a bucket; waits where its quota is used up and flushing makes room. A
   * body may have taken hours, and so may that: each time what is said of the bucket then holds.
   */
  private Logged withinQuota(Bucket known, long bytes, Function<Bucket, NamespaceCommand> command) {
    while (true) {
      Bucket now = bucket(known.name()).filter(each -> each.id().equals(known.id())).orElse(known);
      NamespaceResult result = plane.namespace(command.apply(now));
      if (!overQuota(result)) {
        return new Logged(now, result);
      }
      sender.quotas().awaitRoom(now, bytes);
    }
  }

  private static boolean overQuota(NamespaceResult result) {
    return result instanceof NamespaceResult.Refused(var code, var message)
        && code == ErrorCode.QUOTA_EXCEEDED;
  }

  private static ObjectHead published(Session.Ticket ticket, NamespaceResult result) {
    return switch (result) {
      case NamespaceResult.Published(var object) -> object;
      case NamespaceResult.Refused refused -> {
        if (refused.code() == ErrorCode.SESSION_ENDED) {
          ticket.ended();
        }
        throw refused.exception();
      }
      case NamespaceResult other -> throw unexpected(other);
    };
  }

  private ObjectHead through(Bucket bucket, String key, ObjectHead published) {
    return bucket.modeOf(key) == FlushMode.THROUGH
        ? awaitFlushed(bucket, key, published)
        : published;
  }

  /**
   * Mode THROUGH: returns when the store has the generation, or something newer took its place.
   * When the store does not take it, the object stays published here, whole, and is tried on: the
   * failure says so.
   */
  private ObjectHead awaitFlushed(Bucket bucket, String key, ObjectHead published) {
    long taken = env.nanoTime() + THROUGH_NANOS;
    while (true) {
      Optional<FlushRecord> record = record(bucket.id(), key);
      if (record.isEmpty()
          || !record.get().generation().equals(Optional.of(published.generation()))) {
        return published;
      }
      FlushRecord now = record.get();
      if (now.conflict().isPresent()) {
        throw notThrough(
            bucket,
            key,
            ErrorCode.STORE_CONFLICT,
            now.conflict().get().reason()
                + "; `forebay conflict keep` or `take` decides, `forebay conflict list "
                + bucket.name()
                + "` shows what about");
      }
      if (now.target() instanceof FlushRecord.Target.Flushed) {
        return find(bucket, key)
            .map(NamespaceAnswer.Found::object)
            .filter(head -> head.generation().equals(published.generation()))
            .orElse(published);
      }
      if (now.failure().isPresent()) {
        FlushRecord.Failure failure = now.failure().get();
        if (failure.code() == ErrorCode.STORE_DENIED
            || failure.code() == ErrorCode.STORE_MISSING
            || failure.code() == ErrorCode.CONFIGURATION
            || env.nanoTime() >= taken) {
          throw notThrough(bucket, key, failure.code(), failure.message());
        }
      } else if (now.open().isPresent()) {
        taken = env.nanoTime() + THROUGH_NANOS; // it is being sent for the first time
      } else if (env.nanoTime() >= taken) {
        throw notThrough(bucket, key, ErrorCode.STORE_UNREACHABLE, "no node has taken it up yet");
      }
      env.sleep(FLUSH_LOOK_NANOS);
    }
  }

  private static ForebayException notThrough(
      Bucket bucket, String key, ErrorCode code, String reason) {
    return new ForebayException(
        code,
        bucket.name()
            + "/"
            + key
            + " is published and on its replicas, and is tried on, but the store does not have it: "
            + reason);
  }

  /** What is logged when a body is whole. */
  private interface Publication<T> {
    T log(
        Session.Ticket ticket,
        WrittenBody body,
        Optional<String> etag,
        Map<String, String> headers);
  }

  private final class Writing<T> implements BodyWriter<T> {
    private final Bucket bucket;
    private final WriteOptions options;
    private final Publication<T> publication;
    private final Session.Ticket ticket;
    private final Body body;
    private boolean admitted;
    private boolean closed;

    Writing(Bucket bucket, WriteOptions options, Publication<T> publication) {
      this.bucket = bucket;
      this.admitted = sender.quotas().admits(bucket, options.expectedLengthBytes().orElse(1));
      this.options = options;
      this.publication = publication;
      this.ticket = session.enter();
      this.body =
          new Body(
              env,
              sender,
              pool,
              writeMemory,
              ticket,
              bucket,
              options.expectedLengthBytes(),
              !options.md5FromCaller());
    }

    @Override
    public void awaitRoom(int lengthBytes) {
      awaitQuota();
      body.awaitRoom(lengthBytes);
    }

    /** Before the first byte: the body holds nothing yet. */
    private void awaitQuota() {
      if (!admitted) {
        sender.quotas().awaitRoom(bucket, options.expectedLengthBytes().orElse(1));
        admitted = true;
      }
    }

    @Override
    public void write(Bytes bytes) {
      OptionalLong expected = options.expectedLengthBytes();
      if (expected.isPresent() && body.lengthBytes() + bytes.length() > expected.getAsLong()) {
        throw incomplete(body.lengthBytes() + bytes.length(), expected.getAsLong());
      }
      awaitQuota();
      body.write(bytes);
    }

    private static ForebayException incomplete(long got, long expected) {
      return new ForebayException(
          ErrorCode.INCOMPLETE_BODY,
          "the body was announced with " + expected + " bytes and has " + got);
    }

    @Override
    public T publish(Optional<String> md5Hex, Map<String, String> headers) {
      OptionalLong expected = options.expectedLengthBytes();
      if (expected.isPresent() && body.lengthBytes() != expected.getAsLong()) {
        throw incomplete(body.lengthBytes(), expected.getAsLong());
      }
      WrittenBody written = body.finish();
      return publication.log(ticket, written, md5Hex.or(written::md5Hex), headers);
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        body.close();
        ticket.close();
      }
    }
  }

  @Override
  public boolean delete(String bucket, String key, WriteConditions conditions) {
    ObjectKey.check(key);
    Bucket known = require(bucket);
    NamespaceResult result =
        plane.namespace(
            new NamespaceCommand.Delete(
                known.id(), key, Preconditions.of(conditions), FlushPolicy.of(known, key)));
    if (result instanceof NamespaceResult.Deleted(boolean existed)) {
      return existed;
    }
    throw unexpected(result);
  }

  @Override
  public List<DeleteResult> deleteMany(String bucket, List<String> keys) {
    Bucket known = require(bucket);
    var results = new TreeMap<String, DeleteResult>();
    var legal = new ArrayList<String>();
    for (String key : keys) {
      try {
        legal.add(ObjectKey.check(key));
      } catch (ForebayException wrong) {
        results.put(key, new DeleteResult(key, Optional.of(wrong)));
      }
    }
    if (!legal.isEmpty()) {
      NamespaceResult result =
          plane.namespace(
              new NamespaceCommand.DeleteMany(known.id(), legal, FlushPolicy.of(known, "")));
      if (!(result instanceof NamespaceResult.DeletedMany(var deleted))) {
        throw unexpected(result);
      }
      for (NamespaceResult.DeletedMany.OneDeleted one : deleted) {
        results.put(
            one.key(),
            new DeleteResult(one.key(), one.refused().map(NamespaceResult.Refused::exception)));
      }
    }
    return keys.stream().map(results::get).toList();
  }

  @Override
  public ObjectInfo copy(
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      String bucket,
      String key,
      CopyOptions options) {
    ObjectKey.check(key);
    Bucket from = require(sourceBucket);
    Bucket to = require(bucket);
    return ofSource(
        from, sourceKey, sourceConditions, found -> copy(from, sourceKey, found, to, key, options));
  }

  /** Copies; again, where the source was overwritten just then. */
  private <T> T ofSource(
      Bucket from,
      String key,
      ReadConditions conditions,
      Function<NamespaceAnswer.Found, T> copying) {
    for (int tries = 1; ; tries++) {
      NamespaceAnswer.Found found = find(from, key).orElseThrow(() -> absent(from.name(), key));
      conditions.check(found.object().info(from.name()));
      try {
        return copying.apply(found);
      } catch (ForebayException refused) {
        if (refused.code() != ErrorCode.CONCURRENT_CHANGE
            || tries == COPY_TRIES
            || find(from, key)
                .filter(now -> now.object().generation().equals(found.object().generation()))
                .isPresent()) {
          throw refused;
        }
      }
    }
  }

  private ObjectInfo copy(
      Bucket from,
      String sourceKey,
      NamespaceAnswer.Found found,
      Bucket to,
      String key,
      CopyOptions options) {
    boolean byReference =
        from.family().equals(to.family()) && from.storeUrl().equals(to.storeUrl());
    if (byReference) {
      NamespaceResult result =
          plane.namespace(
              new NamespaceCommand.Copy(
                  from.id(),
                  sourceKey,
                  Optional.of(found.object().generation()),
                  to.id(),
                  key,
                  options.metadata(),
                  Preconditions.of(options.conditions()),
                  FlushPolicy.of(to, key)));
      if (result instanceof NamespaceResult.Published(var object)) {
        return through(to, key, object).info(to.name());
      }
      if (overQuota(result)) {
        throw sender.quotas().refusal(to, found.object().lengthBytes());
      }
      if (!(result instanceof NamespaceResult.Refused(var code, var message)
          && code == ErrorCode.NOT_IMPLEMENTED)) {
        throw unexpected(result);
      }
    }
    // Another family or another store: the bytes are copied.
    var write =
        new WriteOptions(
            options.metadata().orElse(found.object().metadata()),
            options.conditions(),
            OptionalLong.of(found.object().lengthBytes()),
            false);
    try (BodyWriter<ObjectInfo> writer = create(to.name(), key, write)) {
      pour(found, 0, found.object().lengthBytes(), writer);
      return writer.publish(Optional.empty());
    }
  }

  private void pour(NamespaceAnswer.Found found, long from, long length, BodyWriter<?> writer) {
    try (ReadAhead ahead =
        new ReadAhead(env, source(found), found.object().lengthBytes(), readMemory)) {
      ahead.expect(from, from + length);
      if (length > 0) {
        writer.awaitRoom(1); // for the bucket's quota, which may take long, with nothing in hand
        ahead.place();
      }
      for (long offset = from; offset < from + length; ) {
        int most = (int) Math.min(pool.slabBytes(), from + length - offset);
        writer.awaitRoom(most);
        Bytes bytes = copied(ahead, offset, most);
        try {
          writer.write(bytes);
          offset += bytes.length();
        } finally {
          bytes.release();
        }
      }
    }
  }

  /**
   * In a buffer for bodies, and all of one, as many as the memory for writing counts: buffers for
   * reading would be held until their chunk is acknowledged.
   */
  private Bytes copied(ReadAhead ahead, long offset, int lengthBytes) {
    Slab slab = pool.take();
    try {
      ByteBuffer buffer = slab.buffer();
      for (int done = 0; done < lengthBytes; ) {
        Bytes piece = ahead.read(offset + done, lengthBytes - done);
        try {
          if (piece instanceof Synthetic && piece.length() == lengthBytes) {
            return piece.retain(); // in no buffer
          }
          piece.copyTo(buffer);
          done += piece.length();
        } finally {
          piece.release();
        }
      }
      return slab.bytes(0, lengthBytes);
    } finally {
      slab.release();
    }
  }

  @Override
  public ObjectInfo changeHeaders(String bucket, String key, Map<String, String> headers) {
    ObjectKey.check(key);
    DoorHeaders.check(headers);
    NamespaceResult result =
        plane.namespace(new NamespaceCommand.ChangeHeaders(require(bucket).id(), key, headers));
    if (result instanceof NamespaceResult.Published(var object)) {
      return object.info(bucket);
    }
    throw unexpected(result);
  }

  @Override
  public ObjectParts partsOf(
      String bucket, String key, Generation generation, int afterPartNumber, int max) {
    ObjectKey.check(key);
    require(bucket);
    NamespaceAnswer answer =
        plane.query(new NamespaceQuery.PartsOf(generation, afterPartNumber, max));
    if (answer instanceof NamespaceAnswer.MadeParts(var parts, boolean more)) {
      return new ObjectParts(parts, more);
    }
    throw unexpected(answer);
  }

  @Override
  public void rename(String bucket, String from, String to) {
    if (from.endsWith("/") != to.endsWith("/")) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT, "both names end with '/' (a prefix), or none does");
    }
    ObjectKey.check(from);
    ObjectKey.check(to);
    Bucket known = require(bucket);
    if (to.endsWith("/")) {
      requireOneMode(known, to);
    }
    NamespaceResult result =
        plane.namespace(
            new NamespaceCommand.Rename(known.id(), from, to, FlushPolicy.of(known, to)));
    if (!(result instanceof NamespaceResult.Renamed)) {
      throw unexpected(result);
    }
    if (!to.endsWith("/")) {
      find(known, to).ifPresent(found -> through(known, to, found.object()));
    } else if (known.modeOf(to) == FlushMode.THROUGH) {
      pages(after -> {
        NamespaceAnswer.Listing listing =
            contents.page(known.id(), new ListQuery(to, "", after, ListQuery.MAX));
        listing.objects().forEach(moved -> through(known, moved.key(), moved));
        return listing.next();
      });
    }
  }

  /** A prefix is renamed with one flush mode for all below it. */
  private static void requireOneMode(Bucket bucket, String prefix) {
    for (Bucket.PrefixMode exception : bucket.prefixModes()) {
      if (exception.prefix().startsWith(prefix)
          && bucket.modeOf(exception.prefix()) != bucket.modeOf(prefix)) {
        throw new ForebayException(
            ErrorCode.NOT_IMPLEMENTED,
            "below '"
                + prefix
                + "' the prefix '"
                + exception.prefix()
                + "' has a flush mode of its own; rename what goes there by itself");
      }
    }
  }

  @Override
  public ListPage list(String bucket, ListQuery query) {
    NamespaceAnswer answer =
        plane.query(
            new NamespaceQuery.ListObjects(
                require(bucket).id(),
                query.prefix(),
                query.delimiter(),
                query.startAfter(),
                query.max()));
    if (answer instanceof NamespaceAnswer.Listing listing) {
      return page(bucket, listing);
    }
    throw unexpected(answer);
  }

  private static ListPage page(String bucket, NamespaceAnswer.Listing listing) {
    return new ListPage(
        listing.objects().stream().map(head -> head.info(bucket)).toList(),
        listing.commonPrefixes(),
        listing.next());
  }

  @Override
  public ListPage listAll(String bucket, ListQuery query) {
    return page(bucket, contents.page(require(bucket).id(), query));
  }

  @Override
  public UploadId createUpload(String bucket, String key, ObjectMetadata metadata) {
    ObjectKey.check(key);
    NamespaceResult result =
        plane.namespace(
            new NamespaceCommand.CreateUpload(
                require(bucket).id(), key, metadata, UPLOAD_LIFETIME_MILLIS));
    if (result instanceof NamespaceResult.UploadCreated(var upload)) {
      return upload;
    }
    throw unexpected(result);
  }

  @Override
  public BodyWriter<PartInfo> createPart(
      String bucket, String key, UploadId upload, int partNumber, WriteOptions options) {
    ObjectKey.check(key);
    if (partNumber < 1 || partNumber > PartInfo.MAX_NUMBER) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT,
          "part numbers are 1 to " + PartInfo.MAX_NUMBER + ", not " + partNumber);
    }
    Bucket known = require(bucket);
    // An upload that is not there is refused before its bytes are sent.
    listParts(bucket, key, upload, 0, 1);
    return new Writing<>(
        known,
        options,
        (ticket, body, md5, headers) -> {
          // The same for the same bytes, like an MD5: of two attempts at a part either may land
          // last, and the client names the ETag of the one that was answered.
          String etag =
              md5.orElseGet(() ->
                  EntityTag.opaque(
                      new Generation(upload.value()), body.lengthBytes(), body.crc32c(), 1));
          NamespaceResult result =
              withinQuota(
                      known,
                      body.lengthBytes(),
                      _ ->
                          new NamespaceCommand.PutPart(
                              ticket.session(),
                              ticket.publishSequence(),
                              known.id(),
                              key,
                              upload,
                              partNumber,
                              body.lengthBytes(),
                              Optional.of(etag),
                              body.crc32c(),
                              body.manifest(),
                              headers))
                  .result();
          if (result instanceof NamespaceResult.PartLogged(var part)) {
            return part;
          }
          if (result instanceof NamespaceResult.Refused refused
              && refused.code() == ErrorCode.SESSION_ENDED) {
            ticket.ended();
          }
          throw unexpected(result);
        });
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
    Bucket to = require(bucket);
    Bucket from = require(sourceBucket);
    return ofSource(
        from,
        sourceKey,
        sourceConditions,
        found -> copyPart(from, sourceKey, found, to, key, upload, partNumber, range));
  }

  private PartInfo copyPart(
      Bucket from,
      String sourceKey,
      NamespaceAnswer.Found found,
      Bucket to,
      String key,
      UploadId upload,
      int partNumber,
      Optional<ByteRange> range) {
    // What lies in the store only is no part of what never goes there: its bytes are copied.
    boolean byReference =
        from.family().equals(to.family())
            && from.storeUrl().equals(to.storeUrl())
            && (FlushPolicy.of(to, key).flushes()
                || found.object().flush() == FlushState.CACHE_ONLY);
    if (byReference) {
      NamespaceResult result =
          plane.namespace(
              new NamespaceCommand.PutPartCopy(
                  to.id(),
                  key,
                  upload,
                  partNumber,
                  from.id(),
                  sourceKey,
                  Optional.of(found.object().generation()),
                  range.map(ByteRange::offset).orElse(0L),
                  range.map(ByteRange::lengthBytes).orElse(-1L)));
      if (result instanceof NamespaceResult.PartLogged(var part)) {
        return part;
      }
      if (overQuota(result)) {
        throw sender
            .quotas()
            .refusal(to, range.map(ByteRange::lengthBytes).orElse(found.object().lengthBytes()));
      }
      if (!(result instanceof NamespaceResult.Refused(var code, var message)
          && code == ErrorCode.NOT_IMPLEMENTED)) {
        throw unexpected(result);
      }
    }
    long offset = range.map(ByteRange::offset).orElse(0L);
    long length = range.map(ByteRange::lengthBytes).orElse(found.object().lengthBytes() - offset);
    if (offset + length > found.object().lengthBytes()) {
      throw new ForebayException(
          ErrorCode.RANGE_NOT_SATISFIABLE,
          "the source has " + found.object().lengthBytes() + " bytes");
    }
    try (BodyWriter<PartInfo> writer =
        createPart(to.name(), key, upload, partNumber, WriteOptions.DEFAULT)) {
      pour(found, offset, length, writer);
      return writer.publish(Optional.empty());
    }
  }

  @Override
  public PartPage listParts(
      String bucket, String key, UploadId upload, int afterPartNumber, int max) {
    NamespaceAnswer answer =
        plane.query(
            new NamespaceQuery.ListParts(require(bucket).id(), key, upload, afterPartNumber, max));
    if (answer
        instanceof NamespaceAnswer.Parts(var parts, boolean more, var headers, var ofUpload)) {
      return new PartPage(parts, more, headers, ofUpload);
    }
    throw unexpected(answer);
  }

  @Override
  public UploadPage listUploads(
      String bucket, String prefix, String afterKey, Optional<UploadId> afterUpload, int max) {
    NamespaceAnswer answer =
        plane.query(
            new NamespaceQuery.ListUploads(
                require(bucket).id(), prefix, afterKey, afterUpload, max));
    if (answer instanceof NamespaceAnswer.Uploads(var uploads, boolean more)) {
      return new UploadPage(uploads, more);
    }
    throw unexpected(answer);
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
    Bucket known = require(bucket);
    FlushPolicy policy = FlushPolicy.of(known, key);
    NamespaceResult result =
        plane.namespace(
            new NamespaceCommand.CompleteUpload(
                known.id(),
                key,
                upload,
                parts,
                Preconditions.of(conditions),
                expectedLengthBytes.orElse(-1),
                policy,
                headers));
    if (!(result instanceof NamespaceResult.Published(var object))) {
      throw unexpected(result);
    }
    return through(known, key, object).info(bucket);
  }

  @Override
  public void abortUpload(String bucket, String key, UploadId upload) {
    done(plane.namespace(new NamespaceCommand.AbortUpload(require(bucket).id(), key, upload)));
  }

  @Override
  public FlushReport flush(String bucket, String prefix, long waitNanos) {
    Bucket known = require(bucket);
    pages(after -> {
      NamespaceResult result =
          plane.namespace(new NamespaceCommand.FlushNow(known.id(), prefix, after, FLUSH_RECORDS));
      if (result instanceof NamespaceResult.Hastened(int records, var next)) {
        return next;
      }
      throw unexpected(result);
    });
    long deadline = env.nanoTime() + waitNanos;
    while (true) {
      FlushReport report = report(known, prefix);
      if (report.ended() || env.nanoTime() >= deadline) {
        return report;
      }
      env.sleep(Math.min(FLUSH_LOOK_NANOS, Math.max(1, deadline - env.nanoTime())));
    }
  }

  @Override
  public FlushReport flushStatus(String bucket, String prefix) {
    return report(require(bucket), prefix);
  }

  private static void pages(Function<String, Optional<String>> page) {
    Optional<String> next = Optional.of("");
    while (next.isPresent()) {
      next = page.apply(next.get());
    }
  }

  private FlushReport report(Bucket bucket, String prefix) {
    long[] counts = new long[3];
    var troubles = new ArrayList<FlushReport.Trouble>();
    pages(after -> {
      NamespaceAnswer answer =
          plane.query(new NamespaceQuery.FlushStatus(bucket.id(), prefix, after, FLUSH_RECORDS));
      if (!(answer instanceof NamespaceAnswer.Status status)) {
        throw unexpected(answer);
      }
      counts[0] += status.flushed();
      counts[1] += status.waiting();
      counts[2] += status.waitingBytes();
      for (FlushEntry entry : status.troubled()) {
        if (troubles.size() < TROUBLES) {
          troubles.add(new FlushReport.Trouble(entry.key(), entry.state(), entry.reason()));
        }
      }
      return status.next();
    });
    return new FlushReport(counts[0], counts[1], counts[2], troubles);
  }

  @Override
  public List<StoreConflict> conflicts(String bucket) {
    Bucket known = require(bucket);
    NamespaceAnswer answer =
        plane.query(new NamespaceQuery.Conflicts(known.id(), "", NamespaceQuery.MAX_PAGE));
    if (!(answer instanceof NamespaceAnswer.Conflicting(var entries, var next))) {
      throw unexpected(answer);
    }
    var conflicts = new ArrayList<StoreConflict>();
    for (ConflictEntry entry : entries) {
      boolean present = entry.conflict().seen() instanceof StoreSight.Present;
      conflicts.add(
          new StoreConflict(
              bucket,
              entry.key(),
              entry.generation().orElse(new Generation(0)),
              entry.lengthBytes(),
              entry.conflict().seen() instanceof StoreSight.Present(var etag) ? etag : "",
              present ? OptionalLong.of(entry.conflict().lengthBytes()) : OptionalLong.empty(),
              entry.conflict().reason()));
    }
    return conflicts;
  }

  @Override
  public void resolveConflict(
      String bucket,
      String key,
      StoreConflict.Resolution resolution,
      Generation generation,
      String storeEtag) {
    Bucket known = require(bucket);
    Optional<Generation> ours =
        generation.value() == 0 ? Optional.empty() : Optional.of(generation);
    StoreSight seen =
        storeEtag.isEmpty() ? new StoreSight.Absent() : new StoreSight.Present(storeEtag);
    done(
        switch (resolution) {
          case KEEP ->
              plane.namespace(new NamespaceCommand.ConflictKeep(known.id(), key, ours, seen));
          case TAKE -> {
            Optional<StoreHeads.TheirObject> theirs = storeHeads.head(known, key);
            String etag = theirs.map(StoreHeads.TheirObject::etag).orElse("");
            if (!etag.equals(storeEtag)) {
              throw new ForebayException(
                  ErrorCode.STORE_CONFLICT,
                  "the store object has moved since it was seen; look at `forebay conflict list "
                      + bucket
                      + "` again");
            }
            yield plane.namespace(
                new NamespaceCommand.ConflictTake(
                    known.id(),
                    key,
                    ours,
                    seen,
                    theirs.map(StoreHeads.TheirObject::lengthBytes).orElse(0L),
                    theirs.map(StoreHeads.TheirObject::metadata).orElse(ObjectMetadata.NONE),
                    theirs.map(StoreHeads.TheirObject::modifiedMillis).orElse(0L),
                    FlushPolicy.of(known, key)));
          }
        });
  }

  /** The list itself may be evicted, as the chunks that it names, once the store has the object. */
  private List<Extent> extents(Manifest manifest, boolean inStore) {
    try {
      return reader.extents(manifest);
    } catch (ForebayException evicted) {
      if (inStore && evicted.code() == ErrorCode.CHUNK_ABSENT) {
        return List.of();
      }
      throw evicted;
    }
  }

  @Override
  public PathStatus pathStatus(String bucket, String key) {
    Bucket known = require(bucket);
    NamespaceAnswer.Found found = find(known, key).orElseThrow(() -> absent(bucket, key));
    ClusterImage image = plane.image();
    boolean inStore = found.object().flush() == FlushState.FLUSHED;
    var held = new TreeMap<VolumeId, int[]>();
    var bytes = new TreeMap<VolumeId, Long>();
    var states = new TreeMap<VolumeId, MemberState>();
    int fewest = Integer.MAX_VALUE;
    var nodes = new TreeSet<NodeId>();
    Map<NodeId, Long> lost = new TreeMap<>();
    Map<NodeId, Integer> left = new TreeMap<>();
    List<Extent> extents = extents(found.manifest(), inStore);
    for (Extent extent : extents) {
      for (Member member : members(image, extent)) {
        Optional<NodeId> node = image.volume(member.volume()).map(VolumeRecord::node);
        if (node.isEmpty()) {
          continue;
        }
        nodes.add(node.get());
        states.put(member.volume(), member.state());
        if (member.state() == MemberState.IN_SYNC) {
          held.computeIfAbsent(member.volume(), id -> new int[1])[0]++;
          bytes.merge(member.volume(), (long) extent.lengthBytes(), Long::sum);
        }
      }
    }
    long inLog = inlineBytes(found.manifest());
    boolean logged = found.manifest().lengthBytes() == 0 || inLog > 0;
    if (logged) {
      nodes.addAll(voters);
    }
    for (Extent extent : extents) { // each for all nodes, also those that are met later
      Set<NodeId> inSync = inSync(image, extent);
      fewest = Math.min(fewest, inSync.size());
      for (NodeId node : nodes) {
        int without = inSync.size() - (inSync.contains(node) ? 1 : 0);
        left.merge(node, without, Math::min);
        if (without == 0 && !inStore) {
          lost.merge(node, (long) extent.lengthBytes(), Long::sum);
        }
      }
    }
    var holders = new ArrayList<PathStatus.Holder>();
    states.forEach((volume, state) ->
        holders.add(
            new PathStatus.Holder(
                image.volume(volume).orElseThrow().node(),
                volume,
                state,
                held.getOrDefault(volume, new int[1])[0],
                bytes.getOrDefault(volume, 0L))));
    if (logged) {
      fewest = Math.min(fewest, inLogCopies());
      for (NodeId node : nodes) {
        left.merge(node, inLogCopies() - (voters.contains(node) ? 1 : 0), Math::min);
      }
      if (voters.size() == 1 && !inStore) {
        lost.merge(voters.iterator().next(), inLog, Long::sum);
      }
    }
    var losses = new ArrayList<PathStatus.NodeLoss>();
    for (NodeId node : nodes) {
      losses.add(
          new PathStatus.NodeLoss(node, lost.getOrDefault(node, 0L), left.getOrDefault(node, 0)));
    }
    return new PathStatus(
        found.object().info(bucket),
        known.family().replicas(),
        fewest == Integer.MAX_VALUE ? 0 : fewest,
        holders,
        losses,
        reason(known, key));
  }

  /** An acknowledged entry is on a majority at least. */
  private int inLogCopies() {
    return voters.size() / 2 + 1;
  }

  /** How many of an object's bytes the log keeps itself: small bodies, and small parts. */
  private static long inlineBytes(Manifest manifest) {
    return manifest.pieces(0, manifest.lengthBytes()).stream()
        .filter(piece -> piece instanceof Manifest.Piece.Body)
        .mapToLong(Manifest.Piece::lengthBytes)
        .sum();
  }

  private static List<Member> members(ClusterImage image, Extent extent) {
    return image.group(extent.group()).map(Group::members).orElse(List.of());
  }

  /** The nodes that have an extent's chunk for sure. */
  private static Set<NodeId> inSync(ClusterImage image, Extent extent) {
    var nodes = new TreeSet<NodeId>();
    for (Member member : members(image, extent)) {
      if (member.state() == MemberState.IN_SYNC) {
        image.volume(member.volume()).map(VolumeRecord::node).ifPresent(nodes::add);
      }
    }
    return nodes;
  }

  @Override
  public PrefixStatus prefixStatus(String bucket, String prefix) {
    Bucket known = require(bucket);
    var held = new Held(known, plane.image());
    pages(after -> {
      NamespaceAnswer.Listing listing =
          contents.page(known.id(), new ListQuery(prefix, "", after, ListQuery.MAX));
      listing.objects().forEach(held::add);
      return listing.next();
    });
    return held.status();
  }

  /** What was met of a prefix so far. */
  private final class Held {
    private final Bucket bucket;
    private final ClusterImage image;
    private final TreeMap<Integer, Long> bytesByCopies = new TreeMap<>();
    private long objects;
    private long bytes;
    private long heldObjects;
    private long heldBytes;
    private long neverFlushed;
    private long oldestMillis;
    private long inLogBytes;
    private long unknownBytes;

    Held(Bucket bucket, ClusterImage image) {
      this.bucket = bucket;
      this.image = image;
    }

    void add(ObjectHead object) {
      objects++;
      bytes += object.lengthBytes();
      if (object.flush() == FlushState.FLUSHED) {
        return;
      }
      oldestMillis =
          heldObjects == 0
              ? object.modifiedMillis()
              : Math.min(oldestMillis, object.modifiedMillis());
      heldObjects++;
      heldBytes += object.lengthBytes();
      if (object.flush() == FlushState.CACHE_ONLY) {
        neverFlushed++;
      }
      Optional<Manifest> manifest =
          heldObjects > LOOKED_AT
              ? Optional.empty()
              : find(bucket, object.key()).map(NamespaceAnswer.Found::manifest);
      if (manifest.isEmpty() || !addCopies(manifest.get())) {
        unknownBytes += object.lengthBytes();
      }
    }

    private boolean addCopies(Manifest manifest) {
      List<Extent> extents;
      try {
        extents = reader.extents(manifest);
      } catch (ForebayException unreadable) { // the chunk that holds the list of chunks
        if (unreadable.code() == ErrorCode.CANCELLED) {
          throw unreadable;
        }
        return false;
      }
      for (Extent extent : extents) {
        bytesByCopies.merge(inSync(image, extent).size(), (long) extent.lengthBytes(), Long::sum);
      }
      long inLog = inlineBytes(manifest);
      if (inLog > 0) {
        inLogBytes += inLog;
        bytesByCopies.merge(inLogCopies(), inLog, Long::sum);
      }
      return true;
    }

    PrefixStatus status() {
      return new PrefixStatus(
          objects,
          bytes,
          heldObjects,
          heldBytes,
          neverFlushed,
          oldestMillis,
          inLogBytes,
          bytesByCopies.entrySet().stream()
              .map(each -> new PrefixStatus.Copies(each.getKey(), each.getValue()))
              .toList(),
          unknownBytes);
    }
  }

  /** Why an object is not flushed; empty when nothing is wrong. */
  private String reason(Bucket bucket, String key) {
    NamespaceAnswer answer = plane.query(new NamespaceQuery.FlushStatus(bucket.id(), key, "", 1));
    if (answer instanceof NamespaceAnswer.Status status) {
      return status.troubled().stream()
          .filter(entry -> entry.key().equals(key))
          .map(FlushEntry::reason)
          .findFirst()
          .orElse("");
    }
    throw unexpected(answer);
  }
}
