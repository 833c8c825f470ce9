package io.forebay.core.file;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Crc32cCombiner;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.cluster.Bucket;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.UploadId;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The whole {@link FileService} in the memory of one process: the model of what was published. For
 * developing doors, and for tests that compare a real service with it. It has no store: every
 * object is cache-only, nothing flushes or conflicts.
 *
 * <p>One lock guards the whole state; bodies are collected outside of it. Bodies lie on the heap,
 * without a bound of their own.
 */
public final class MemoryFileService implements FileService {
  private static final int MAX_READ_BYTES = 1 << 20;

  /** Completions that can be repeated; older ones are forgotten. */
  private static final int MAX_COMPLETED = 10_000;

  /** Not below the rest of any key: as many of the last code point as fit into one. */
  private static final String LAST_SUFFIX =
      Character.toString(0x10FFFF).repeat(ObjectKey.MAX_BYTES / 4);

  private final Env env;
  private final SlabPool pool;
  private final ReentrantLock lock = new ReentrantLock();
  // All guarded by lock.
  private final TreeMap<String, State> buckets = new TreeMap<>();
  private long lastId;

  /** One bucket's content. */
  private static final class State {
    final Bucket bucket;
    final TreeMap<String, Stored> objects = new TreeMap<>(ObjectKey.ORDER);
    final TreeMap<UploadId, Upload> uploads = new TreeMap<>();
    final TreeMap<UploadId, Stored> completed = new TreeMap<>();
    long quotaBytes;
    List<PrefixPolicy> policies = List.of();

    State(Bucket bucket) {
      this.bucket = bucket;
    }

    BucketUse use() {
      long held = objects.values().stream().mapToLong(object -> object.body.lengthBytes).sum();
      for (Upload upload : uploads.values()) {
        held += upload.parts.values().stream().mapToLong(part -> part.body.lengthBytes).sum();
      }
      return new BucketUse(held, quotaBytes);
    }

    /** Nothing is counted of what was overwritten: nobody reads that here. */
    void requireRoom(long bytes) {
      if (!use().takes(bytes)) {
        throw new ForebayException(
            ErrorCode.QUOTA_EXCEEDED,
            "bucket '" + bucket.name() + "' has no room for " + bytes + " bytes more: " + use());
      }
    }
  }

  private record Stored(ObjectInfo info, Body body, List<ObjectPart> parts) {}

  private record Upload(
      String key, ObjectMetadata metadata, long createdMillis, TreeMap<Integer, Part> parts) {}

  private record Part(PartInfo info, Body body, Map<String, String> headers) {}

  /** Immutable content in pieces, so that concatenating moves no byte. */
  private record Body(List<byte[]> pieces, long lengthBytes, int crc32c) {
    static final Body EMPTY = new Body(List.of(), 0, 0);

    Body plus(Body other) {
      var all = new ArrayList<byte[]>(pieces);
      all.addAll(other.pieces);
      return new Body(
          all,
          lengthBytes + other.lengthBytes,
          Crc32cCombiner.combine(crc32c, other.crc32c, other.lengthBytes));
    }

    /** Copies from an offset into the target's remaining space, up to the end of the body. */
    void copyTo(long offset, ByteBuffer target) {
      long begin = 0;
      for (byte[] piece : pieces) {
        if (!target.hasRemaining()) {
          return;
        }
        long from = Math.max(offset - begin, 0);
        if (from < piece.length) {
          int count = (int) Math.min(piece.length - from, target.remaining());
          target.put(piece, (int) from, count);
        }
        begin += piece.length;
      }
    }
  }

  /**
   * @param pool lends the memory that readers hand out; its slabs bound a read's length
   */
  public MemoryFileService(Env env, SlabPool pool) {
    this.env = env;
    this.pool = pool;
  }

  @Override
  public List<Bucket> listBuckets() {
    lock.lock();
    try {
      return buckets.values().stream().map(state -> state.bucket).toList();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public Bucket createBucket(BucketSpec spec) {
    BucketName.check(spec.name());
    lock.lock();
    try {
      if (buckets.containsKey(spec.name())) {
        throw new ForebayException(
            ErrorCode.BUCKET_EXISTS, "bucket '" + spec.name() + "' exists already");
      }
      var bucket =
          new Bucket(
              new BucketId(++lastId),
              spec.name(),
              spec.family(),
              spec.storeUrl(),
              spec.mode(),
              spec.prefixModes(),
              spec.chunkBytes(),
              spec.flushDelayMillis(),
              spec.readGraceMillis(),
              env.wallMillis());
      buckets.put(spec.name(), new State(bucket));
      return bucket;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void deleteBucket(String name) {
    lock.lock();
    try {
      NavigableMap<String, Stored> objects = state(name).objects;
      if (!objects.isEmpty()) {
        throw new ForebayException(
            ErrorCode.BUCKET_NOT_EMPTY,
            "bucket '" + name + "' holds '" + objects.firstKey() + "'; delete it first");
      }
      buckets.remove(name);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public Optional<Bucket> bucket(String name) {
    lock.lock();
    try {
      return Optional.ofNullable(buckets.get(name)).map(state -> state.bucket);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public BucketUse use(String bucket) {
    lock.lock();
    try {
      return state(bucket).use();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void setQuota(String bucket, long quotaBytes) {
    if (quotaBytes < 0) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT, "a quota is not negative: " + quotaBytes);
    }
    lock.lock();
    try {
      state(bucket).quotaBytes = quotaBytes;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public Optional<ObjectInfo> stat(String bucket, String key) {
    ObjectKey.check(key);
    lock.lock();
    try {
      return present(state(bucket), key);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public ObjectReader open(String bucket, String key, ReadConditions conditions) {
    ObjectKey.check(key);
    lock.lock();
    try {
      return new Reader(source(bucket, key, conditions), pool);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public BodyWriter<ObjectInfo> create(String bucket, String key, WriteOptions options) {
    ObjectKey.check(key);
    lock.lock();
    try {
      options.conditions().check(present(state(bucket), key));
    } finally {
      lock.unlock();
    }
    return new Writer<>(
        options,
        digested -> {
          lock.lock();
          try {
            State state = state(bucket);
            options.conditions().check(present(state, key));
            ObjectMetadata metadata = options.metadata().with(digested.headers);
            state.requireRoom(digested.body.lengthBytes);
            return put(state, key, digested.body, metadata, digested.md5Hex, List.of()).info;
          } finally {
            lock.unlock();
          }
        });
  }

  @Override
  public boolean delete(String bucket, String key, WriteConditions conditions) {
    ObjectKey.check(key);
    lock.lock();
    try {
      State state = state(bucket);
      conditions.check(present(state, key));
      return state.objects.remove(key) != null;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<DeleteResult> deleteMany(String bucket, List<String> keys) {
    var results = new ArrayList<DeleteResult>(keys.size());
    for (String key : keys) {
      Optional<ForebayException> failure = Optional.empty();
      try {
        delete(bucket, key, WriteConditions.NONE);
      } catch (ForebayException refused) {
        if (refused.code() == ErrorCode.NO_SUCH_BUCKET) {
          throw refused;
        }
        failure = Optional.of(refused);
      }
      results.add(new DeleteResult(key, failure));
    }
    return results;
  }

  @Override
  public ObjectInfo copy(
      String sourceBucket,
      String sourceKey,
      ReadConditions sourceConditions,
      String bucket,
      String key,
      CopyOptions options) {
    ObjectKey.check(sourceKey);
    ObjectKey.check(key);
    lock.lock();
    try {
      Stored source = source(sourceBucket, sourceKey, sourceConditions);
      State target = state(bucket);
      options.conditions().check(present(target, key));
      ObjectMetadata metadata = options.metadata().orElse(source.info.metadata());
      if (!bucket.equals(sourceBucket) || !key.equals(sourceKey)) {
        target.requireRoom(source.body.lengthBytes);
      }
      Optional<String> md5 =
          source.info.etag().contains("-") ? Optional.empty() : Optional.of(source.info.etag());
      return put(target, key, source.body, metadata, md5, List.of()).info;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public ObjectInfo changeHeaders(String bucket, String key, Map<String, String> headers) {
    ObjectKey.check(key);
    DoorHeaders.check(headers);
    lock.lock();
    try {
      State state = state(bucket);
      Stored stored = source(bucket, key, ReadConditions.NONE);
      ObjectInfo old = stored.info;
      var info =
          new ObjectInfo(
              old.bucket(),
              key,
              old.generation(),
              old.lengthBytes(),
              old.etag(),
              old.modifiedMillis(),
              old.metadata().with(headers),
              old.flush(),
              old.storeEtag());
      state.objects.put(key, new Stored(info, stored.body, stored.parts));
      return info;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public ObjectParts partsOf(
      String bucket, String key, Generation generation, int afterPartNumber, int max) {
    ObjectKey.check(key);
    lock.lock();
    try {
      Stored stored = state(bucket).objects.get(key);
      if (stored == null || !stored.info.generation().equals(generation)) {
        return new ObjectParts(List.of(), false);
      }
      List<ObjectPart> left =
          stored.parts.stream().filter(part -> part.number() > afterPartNumber).toList();
      return new ObjectParts(left.subList(0, Math.min(max, left.size())), left.size() > max);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void rename(String bucket, String from, String to) {
    ObjectKey.check(from);
    ObjectKey.check(to);
    if (from.endsWith("/") != to.endsWith("/")) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT, "rename takes two keys, or two prefixes that end with '/'");
    }
    lock.lock();
    try {
      State state = state(bucket);
      if (from.endsWith("/")) {
        renamePrefix(state, from, to);
      } else if (!from.equals(to)) {
        Stored moved = source(bucket, from, ReadConditions.NONE);
        state.objects.remove(from);
        state.objects.put(to, renamed(moved, to));
      } else {
        source(bucket, from, ReadConditions.NONE);
      }
    } finally {
      lock.unlock();
    }
  }

  private void renamePrefix(State state, String from, String to) {
    if (to.startsWith(from) || from.startsWith(to)) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT, "one of the two prefixes lies in the other");
    }
    if (!below(state, to).isEmpty()) {
      throw new ForebayException(
          ErrorCode.PRECONDITION_FAILED, "the target prefix of the rename is not empty");
    }
    var moving = new ArrayList<>(below(state, from).values());
    if (moving.isEmpty()) {
      throw new ForebayException(ErrorCode.NOT_FOUND, "there is nothing below the prefix");
    }
    for (Stored stored : moving) {
      ObjectKey.check(to + stored.info.key().substring(from.length()));
    }
    for (Stored stored : moving) {
      String key = to + stored.info.key().substring(from.length());
      state.objects.remove(stored.info.key());
      state.objects.put(key, renamed(stored, key));
    }
  }

  private static Stored renamed(Stored stored, String key) {
    ObjectInfo old = stored.info;
    return new Stored(
        new ObjectInfo(
            old.bucket(),
            key,
            old.generation(),
            old.lengthBytes(),
            old.etag(),
            old.modifiedMillis(),
            old.metadata(),
            old.flush(),
            old.storeEtag()),
        stored.body,
        List.of());
  }

  /** The objects whose keys begin with a prefix; a live view. */
  private static NavigableMap<String, Stored> below(State state, String prefix) {
    return state.objects.subMap(prefix, true, prefix + LAST_SUFFIX, true);
  }

  @Override
  public ListPage list(String bucket, ListQuery query) {
    return list(bucket, query, false);
  }

  @Override
  public ListPage listAll(String bucket, ListQuery query) {
    return list(bucket, query, true);
  }

  private ListPage list(String bucket, ListQuery query, boolean begun) {
    var objects = new ArrayList<ObjectInfo>();
    var prefixes = new ArrayList<String>();
    lock.lock();
    try {
      NavigableMap<String, Stored> left = below(state(bucket), query.prefix());
      String last = query.startAfter();
      String rolled = query.startAfter();
      if (ObjectKey.ORDER.compare(last, query.prefix()) >= 0) {
        if (!last.startsWith(query.prefix())) {
          return new ListPage(objects, prefixes, Optional.empty());
        }
        left = left.tailMap(last, query.prefix().isEmpty() && last.isEmpty());
      }
      for (Stored stored : left.values()) {
        String key = stored.info.key();
        int delimiterAt =
            query.delimiter().isEmpty()
                ? -1
                : key.indexOf(query.delimiter(), query.prefix().length());
        String prefix =
            delimiterAt < 0 ? "" : key.substring(0, delimiterAt + query.delimiter().length());
        if ((!prefix.isEmpty() && prefix.equals(rolled))
            || (!begun && isBegun(state(bucket), query, key))) {
          continue;
        }
        if (objects.size() + prefixes.size() == query.max()) {
          return new ListPage(objects, prefixes, Optional.of(last));
        }
        if (prefix.isEmpty()) {
          objects.add(stored.info);
          last = key;
        } else {
          prefixes.add(prefix);
          rolled = prefix;
          last = prefix;
        }
      }
      return new ListPage(objects, prefixes, Optional.empty());
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whether a key is of a checkpoint without its marker that the listing neither names nor begins
   * in.
   */
  private static boolean isBegun(State state, ListQuery query, String key) {
    return state.policies.stream()
        .anyMatch(policy ->
            policy
                .checkpointOf(key)
                .filter(directory -> !query.prefix().startsWith(directory))
                .filter(directory ->
                    !query.startAfter().startsWith(directory)
                        || query.startAfter().equals(directory))
                .filter(directory -> !state.objects.containsKey(directory + policy.marker()))
                .isPresent());
  }

  @Override
  public UploadId createUpload(String bucket, String key, ObjectMetadata metadata) {
    ObjectKey.check(key);
    lock.lock();
    try {
      var id = new UploadId(++lastId);
      state(bucket).uploads.put(id, new Upload(key, metadata, env.wallMillis(), new TreeMap<>()));
      return id;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public BodyWriter<PartInfo> createPart(
      String bucket, String key, UploadId upload, int partNumber, WriteOptions options) {
    checkPartNumber(partNumber);
    lock.lock();
    try {
      upload(state(bucket), key, upload);
    } finally {
      lock.unlock();
    }
    return new Writer<>(options, digested -> putPart(bucket, key, upload, partNumber, digested));
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
    checkPartNumber(partNumber);
    ObjectKey.check(sourceKey);
    Body body;
    lock.lock();
    try {
      upload(state(bucket), key, upload);
      Stored source = source(sourceBucket, sourceKey, sourceConditions);
      body = range.isEmpty() ? source.body : cut(source, range.get());
    } finally {
      lock.unlock();
    }
    return putPart(
        bucket,
        key,
        upload,
        partNumber,
        new Digested(body, Optional.empty(), Collections.emptyMap()));
  }

  private static Body cut(Stored source, ByteRange range) {
    if (range.offset() + range.lengthBytes() > source.body.lengthBytes) {
      throw new ForebayException(
          ErrorCode.RANGE_NOT_SATISFIABLE,
          "the source has " + source.body.lengthBytes + " bytes, the range ends beyond");
    }
    var copy = new byte[Math.toIntExact(range.lengthBytes())];
    source.body.copyTo(range.offset(), ByteBuffer.wrap(copy));
    var crc = new CRC32C();
    crc.update(copy);
    return new Body(List.of(copy), copy.length, (int) crc.getValue());
  }

  private PartInfo putPart(
      String bucket, String key, UploadId upload, int partNumber, Digested digested) {
    Body body = digested.body;
    lock.lock();
    try {
      State state = state(bucket);
      Upload open = upload(state, key, upload);
      state.requireRoom(body.lengthBytes);
      String etag =
          digested.md5Hex.orElseGet(() ->
              EntityTag.opaque(new Generation(upload.value()), body.lengthBytes, body.crc32c, 1));
      var info = new PartInfo(partNumber, body.lengthBytes, etag, env.wallMillis());
      open.parts.put(partNumber, new Part(info, body, digested.headers));
      return info;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public PartPage listParts(
      String bucket, String key, UploadId upload, int afterPartNumber, int max) {
    lock.lock();
    try {
      Upload open = upload(state(bucket), key, upload);
      List<Part> left = List.copyOf(open.parts.tailMap(afterPartNumber, false).values());
      List<Part> page = left.subList(0, Math.min(max, left.size()));
      return new PartPage(
          page.stream().map(Part::info).toList(),
          left.size() > max,
          page.stream().map(Part::headers).toList(),
          open.metadata.headers());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public UploadPage listUploads(
      String bucket, String prefix, String afterKey, Optional<UploadId> afterUpload, int max) {
    lock.lock();
    try {
      var found = new ArrayList<UploadInfo>();
      state(bucket)
          .uploads
          .forEach((id, upload) -> {
            int order = ObjectKey.ORDER.compare(upload.key, afterKey);
            boolean later =
                order > 0
                    || (order == 0
                        && afterUpload.isPresent()
                        && id.compareTo(afterUpload.get()) > 0);
            if (upload.key.startsWith(prefix) && later) {
              found.add(new UploadInfo(upload.key, id, upload.createdMillis));
            }
          });
      found.sort((a, b) -> {
        int order = ObjectKey.ORDER.compare(a.key(), b.key());
        return order != 0 ? order : a.id().compareTo(b.id());
      });
      return found.size() <= max
          ? new UploadPage(found, false)
          : new UploadPage(found.subList(0, max), true);
    } finally {
      lock.unlock();
    }
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
    ObjectKey.check(key);
    lock.lock();
    try {
      State state = state(bucket);
      Stored made = state.completed.get(upload);
      Stored present = state.objects.get(key);
      if (made != null
          && present != null
          && made.info.generation().equals(present.info.generation())) {
        return present.info;
      }
      Upload open = upload(state, key, upload);
      Body body = concatenation(open, parts);
      if (expectedLengthBytes.isPresent() && expectedLengthBytes.getAsLong() != body.lengthBytes) {
        throw new ForebayException(
            ErrorCode.INVALID_ARGUMENT,
            "the parts have "
                + body.lengthBytes
                + " bytes together, not "
                + expectedLengthBytes.getAsLong());
      }
      conditions.check(present(state, key));
      var madeOf = new ArrayList<ObjectPart>(parts.size());
      long offset = 0;
      for (CompletedPart named : parts) {
        Part part = open.parts.get(named.number());
        if (part != null) {
          long length = part.info.lengthBytes();
          madeOf.add(new ObjectPart(named.number(), offset, length, part.headers));
          offset += length;
        }
      }
      Stored stored = put(state, key, body, open.metadata.with(headers), Optional.empty(), madeOf);
      state.uploads.remove(upload);
      state.completed.put(upload, stored);
      if (state.completed.size() > MAX_COMPLETED) {
        state.completed.pollFirstEntry();
      }
      return stored.info;
    } finally {
      lock.unlock();
    }
  }

  private static Body concatenation(Upload upload, List<CompletedPart> parts) {
    if (parts.isEmpty()) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT, "an upload is completed with at least one part");
    }
    int last = 0;
    for (CompletedPart named : parts) {
      if (named.number() <= last) {
        throw new ForebayException(
            ErrorCode.INVALID_PART_ORDER,
            "part " + named.number() + " comes after part " + last + "; parts must ascend");
      }
      last = named.number();
    }
    var found = new ArrayList<Part>(parts.size());
    for (CompletedPart named : parts) {
      Part part = upload.parts.get(named.number());
      if (part == null || !part.info.etag().equals(named.etag())) {
        throw new ForebayException(
            ErrorCode.INVALID_PART,
            "part "
                + named.number()
                + (part == null ? " was not uploaded" : " has another ETag than the one named"));
      }
      found.add(part);
    }
    Body body = Body.EMPTY;
    for (int i = 0; i < parts.size(); i++) {
      CompletedPart named = parts.get(i);
      Part part = found.get(i);
      if (i < parts.size() - 1 && part.info.lengthBytes() < PartInfo.MIN_BYTES) {
        throw new ForebayException(
            ErrorCode.PART_TOO_SMALL,
            "part "
                + named.number()
                + " has "
                + part.info.lengthBytes()
                + " bytes; only the last may have less than "
                + PartInfo.MIN_BYTES);
      }
      body = body.plus(part.body);
    }
    return body;
  }

  @Override
  public void abortUpload(String bucket, String key, UploadId upload) {
    lock.lock();
    try {
      State state = state(bucket);
      upload(state, key, upload);
      state.uploads.remove(upload);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public FlushReport flushStatus(String bucket, String prefix) {
    return flush(bucket, prefix, 0);
  }

  @Override
  public FlushReport flush(String bucket, String prefix, long waitNanos) {
    lock.lock();
    try {
      state(bucket);
      return new FlushReport(0, 0, 0, List.of());
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<StoreConflict> conflicts(String bucket) {
    lock.lock();
    try {
      state(bucket);
      return List.of();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void resolveConflict(
      String bucket,
      String key,
      StoreConflict.Resolution resolution,
      Generation generation,
      String storeEtag) {
    lock.lock();
    try {
      state(bucket);
    } finally {
      lock.unlock();
    }
    throw new ForebayException(ErrorCode.NOT_FOUND, "the object is in no conflict");
  }

  @Override
  public PathStatus pathStatus(String bucket, String key) {
    ObjectKey.check(key);
    lock.lock();
    try {
      Stored stored = source(bucket, key, ReadConditions.NONE);
      return new PathStatus(
          stored.info, state(bucket).bucket.family().replicas(), 1, List.of(), List.of(), "");
    } finally {
      lock.unlock();
    }
  }

  @Override
  public PrefixStatus prefixStatus(String bucket, String prefix) {
    lock.lock();
    try {
      List<ObjectInfo> below =
          state(bucket).objects.values().stream()
              .map(Stored::info)
              .filter(info -> info.key().startsWith(prefix))
              .toList();
      long bytes = below.stream().mapToLong(ObjectInfo::lengthBytes).sum();
      long oldest = below.stream().mapToLong(ObjectInfo::modifiedMillis).min().orElse(0);
      return new PrefixStatus(
          below.size(), bytes, below.size(), bytes, below.size(), oldest, bytes, List.of(), 0);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<PrefixPolicy> policies(String bucket) {
    lock.lock();
    try {
      return state(bucket).policies;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void setPolicies(String bucket, List<PrefixPolicy> seen, List<PrefixPolicy> policies) {
    try {
      PrefixPolicy.check(policies);
    } catch (IllegalArgumentException wrong) {
      throw new ForebayException(ErrorCode.INVALID_ARGUMENT, String.valueOf(wrong.getMessage()));
    }
    lock.lock();
    try {
      if (!state(bucket).policies.equals(seen)) {
        throw new ForebayException(ErrorCode.CONCURRENT_CHANGE, "there are others by now");
      }
      state(bucket).policies = List.copyOf(policies);
    } finally {
      lock.unlock();
    }
  }

  private State state(String bucket) {
    State state = buckets.get(bucket);
    if (state == null) {
      throw new ForebayException(ErrorCode.NO_SUCH_BUCKET, "there is no bucket '" + bucket + "'");
    }
    return state;
  }

  private static Optional<ObjectInfo> present(State state, String key) {
    return Optional.ofNullable(state.objects.get(key)).map(Stored::info);
  }

  private Stored source(String bucket, String key, ReadConditions conditions) {
    Stored stored = state(bucket).objects.get(key);
    if (stored == null) {
      throw new ForebayException(ErrorCode.NOT_FOUND, "there is no such object");
    }
    conditions.check(stored.info);
    return stored;
  }

  private static Upload upload(State state, String key, UploadId id) {
    Upload upload = state.uploads.get(id);
    if (upload == null || !upload.key.equals(key)) {
      throw new ForebayException(
          ErrorCode.NO_SUCH_UPLOAD,
          "there is no upload " + id + " of that key; it was completed or aborted");
    }
    return upload;
  }

  private Stored put(
      State state,
      String key,
      Body body,
      ObjectMetadata metadata,
      Optional<String> md5Hex,
      List<ObjectPart> parts) {
    var generation = new Generation(++lastId);
    int count = Math.max(1, parts.size());
    var info =
        new ObjectInfo(
            state.bucket.name(),
            key,
            generation,
            body.lengthBytes,
            md5Hex.orElseGet(
                () -> EntityTag.opaque(generation, body.lengthBytes, body.crc32c, count)),
            env.wallMillis(),
            metadata,
            FlushState.CACHE_ONLY,
            Optional.empty());
    var stored = new Stored(info, body, List.copyOf(parts));
    state.objects.put(key, stored);
    return stored;
  }

  private static void checkPartNumber(int number) {
    if (number < 1 || number > PartInfo.MAX_NUMBER) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT,
          "a part number is 1 to " + PartInfo.MAX_NUMBER + ": " + number);
    }
  }

  private record Digested(Body body, Optional<String> md5Hex, Map<String, String> headers) {}

  /** Collects a body on the heap, then hands it to what publishes it. */
  private static final class Writer<T> implements BodyWriter<T> {
    @Override
    public void awaitRoom(int lengthBytes) {} // the heap's

    private final WriteOptions options;
    private final Function<Digested, T> publish;
    private final List<byte[]> pieces = new ArrayList<>();
    private @Nullable MessageDigest md5;
    private long lengthBytes;
    private int crc32c;
    private boolean closed;

    Writer(WriteOptions options, Function<Digested, T> publish) {
      this.options = options;
      this.publish = publish;
      try {
        this.md5 = options.md5FromCaller() ? null : MessageDigest.getInstance("MD5");
      } catch (NoSuchAlgorithmException absent) {
        throw new IllegalStateException("every JDK has MD5", absent);
      }
    }

    @Override
    public void write(Bytes bytes) {
      requireOpen();
      byte[] piece = bytes.toArray();
      crc32c = Crc32cCombiner.combine(crc32c, bytes.crc32c(), piece.length);
      lengthBytes += piece.length;
      pieces.add(piece);
      if (lengthBytes > EntityTag.MD5_MAX_BYTES) {
        md5 = null;
      }
      if (md5 != null) {
        md5.update(piece);
      }
    }

    @Override
    public T publish(Optional<String> md5Hex, Map<String, String> headers) {
      requireOpen();
      closed = true;
      OptionalLong expected = options.expectedLengthBytes();
      if (expected.isPresent() && expected.getAsLong() != lengthBytes) {
        throw new ForebayException(
            ErrorCode.INCOMPLETE_BODY,
            "the body has " + lengthBytes + " bytes, announced were " + expected.getAsLong());
      }
      Optional<String> etag =
          md5Hex.isEmpty() && md5 != null
              ? Optional.of(HexFormat.of().formatHex(md5.digest()))
              : md5Hex;
      return publish.apply(
          new Digested(new Body(List.copyOf(pieces), lengthBytes, crc32c), etag, headers));
    }

    @Override
    public void close() {
      closed = true;
      pieces.clear();
    }

    private void requireOpen() {
      if (closed) {
        throw new IllegalStateException("the writer is published or closed");
      }
    }
  }

  private static final class Reader implements ObjectReader {
    private final Stored stored;
    private final SlabPool pool;
    private boolean closed;

    Reader(Stored stored, SlabPool pool) {
      this.stored = stored;
      this.pool = pool;
    }

    @Override
    public ObjectInfo info() {
      return stored.info;
    }

    @Override
    public Bytes read(long offset, int maxLengthBytes) {
      if (closed) {
        throw new IllegalStateException("the reader is closed");
      }
      long left = stored.body.lengthBytes - offset;
      if (offset < 0 || left <= 0 || maxLengthBytes < 1) {
        throw new IllegalArgumentException(
            "read of " + maxLengthBytes + " at " + offset + " of " + stored.body.lengthBytes);
      }
      int most = Math.min(Math.min(maxLengthBytes, MAX_READ_BYTES), pool.slabBytes());
      int length = (int) Math.min(most, left);
      Slab slab = pool.take();
      try {
        stored.body.copyTo(offset, slab.buffer().limit(length));
        return slab.bytes(0, length);
      } finally {
        slab.release();
      }
    }

    @Override
    public void pause() {} // nothing is read ahead

    @Override
    public void close() {
      closed = true;
    }
  }
}
