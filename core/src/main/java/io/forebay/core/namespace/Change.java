package io.forebay.core.namespace;

import static io.forebay.core.namespace.Rows.refuse;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import io.forebay.core.id.InodeId;
import io.forebay.core.id.SessionId;
import io.forebay.core.namespace.Rows.BucketRow;
import io.forebay.core.namespace.Rows.Entry;
import io.forebay.core.namespace.Rows.GenerationRow;
import io.forebay.core.namespace.Rows.SessionRow;
import io.forebay.core.rule.Level;
import io.forebay.core.sorted.Overlay;
import io.forebay.core.sorted.SortedMap;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * One command while it is applied: the rows that all commands share. Everything is written into an
 * overlay, which is dropped when the command is refused.
 */
final class Change {
  static final byte EXPIRES_GENERATION = 1;
  static final byte EXPIRES_UPLOAD = 2;
  static final byte EXPIRES_COMPLETED = 3;

  /** Most segments of a key. */
  static final int MAX_SEGMENTS = 256;

  /** Longest manifest that is made: an answer with it has to fit into a message of 4 MiB. */
  static final int MAX_MANIFEST_BYTES = (4 << 20) - (128 << 10);

  final Overlay out;
  final Tree tree;
  final Uses uses;
  final long now;
  private final int shard;
  private final long index;
  private final int level;

  Change(int shard, long index, long wallMillis, int level, Tree.Seen seen, Overlay out) {
    this.level = level;
    this.shard = shard;
    this.index = index;
    this.now = wallMillis;
    this.out = out;
    this.tree = new Tree(out, seen);
    this.uses = new Uses(out);
  }

  /**
   * The next id, of whatever kind: at least the log's index, and above all ids before, since an
   * entry holds many commands.
   */
  long nextId() {
    long next = Math.max(lastId(out, shard) & 0xffff_ffff_ffffL, index - 1) + 1;
    long id = (long) shard << 48 | next;
    putLastId(id, out);
    return id;
  }

  /**
   * The version of a flush record that is changed: greater than the present one, and no other
   * record of the key has had it or will. Before {@link Level#VERSIONS} it was the next number,
   * which a record that is made when this one is gone could begin with.
   */
  long versionAfter(long present) {
    return level >= Level.VERSIONS ? nextId() : present + 1;
  }

  /** Gives out none of the next ids. */
  static void skipIds(long count, Overlay out, int shard) {
    putLastId(lastId(out, shard) + count, out);
  }

  private static void putLastId(long id, Overlay out) {
    out.put(Keys.kind(Keys.COUNTER), ByteBuffer.allocate(Long.BYTES).putLong(id).array());
  }

  static long lastId(io.forebay.core.sorted.SortedMap.View view, int shard) {
    return view.get(Keys.kind(Keys.COUNTER))
        .map(bytes -> ByteBuffer.wrap(bytes).getLong())
        .orElse((long) shard << 48);
  }

  SessionRow session(SessionId session) {
    return Rows.get(out, Keys.of(Keys.SESSION, session.value()), SessionRow.class)
        .orElseThrow(() -> refuse(ErrorCode.SESSION_ENDED, "session " + session + " is not open"));
  }

  static void checkKey(String key) {
    try {
      ObjectKey.check(key);
    } catch (ForebayException illegal) {
      throw refuse(illegal.code(), String.valueOf(illegal.getMessage()));
    }
  }

  /** As {@link #checkKey}, of a key that is to be made: walks go down once for each segment. */
  void checkNewKey(String key) {
    checkKey(key);
    if (level >= Level.BOUNDED && key.chars().filter(c -> c == '/').count() >= MAX_SEGMENTS) {
      throw refuse(
          ErrorCode.INVALID_KEY, "a key has at most " + MAX_SEGMENTS + " segments between '/'");
    }
  }

  /** Whether the log is at a level; what a command does may depend on it. */
  boolean isAt(int wanted) {
    return level >= wanted;
  }

  /**
   * Refuses what could be read at the leader only.
   *
   * @param manifestBytes encoded
   */
  void checkFits(long manifestBytes) {
    if (level >= Level.BOUNDED && manifestBytes > MAX_MANIFEST_BYTES) {
      throw refuse(
          ErrorCode.ENTITY_TOO_LARGE,
          "the list of the object's chunks would have "
              + manifestBytes
              + " bytes, and "
              + MAX_MANIFEST_BYTES
              + " are the most: upload it in larger parts, to a bucket with larger chunks, or as"
              + " several objects");
    }
  }

  /** Who asks knows an older picture of the cluster: the bucket is gone, or is about to be. */
  static void requireOpen(BucketId bucket, BucketRow row) {
    if (row.sealed()) {
      throw refuse(ErrorCode.NO_SUCH_BUCKET, "bucket " + bucket + " is being deleted");
    }
  }

  /** The same of a bucket that may never have been written to. */
  static void requireOpen(SortedMap.View view, BucketId bucket) {
    Rows.get(view, Keys.of(Keys.BUCKET, bucket.value()), BucketRow.class)
        .ifPresent(row -> requireOpen(bucket, row));
  }

  /** The bucket's root, made when it is first written to. */
  BucketRow bucketForWriting(BucketId bucket) {
    byte[] key = Keys.of(Keys.BUCKET, bucket.value());
    Optional<BucketRow> known = Rows.get(out, key, BucketRow.class);
    if (known.isPresent()) {
      requireOpen(bucket, known.get());
      return known.get();
    }
    var row = new BucketRow(new InodeId(nextId()), false);
    out.put(key, Rows.bytes(BucketRow.class, row));
    return row;
  }

  /** Sets an entry, with the directories above it. */
  void putEntry(BucketId bucket, String key, Entry entry) {
    InodeId at = bucketForWriting(bucket).root();
    byte[] path = Keys.utf8(key);
    int begin = 0;
    // A moved directory's own name ends with '/'.
    int last =
        Tree.nameBegin(
            entry instanceof Entry.Directory ? Arrays.copyOf(path, path.length - 1) : path);
    while (begin < last) {
      int end = begin;
      while (path[end] != '/') {
        end++;
      }
      byte[] name = Arrays.copyOfRange(path, begin, end + 1);
      Optional<Entry> below = tree.entry(at, name);
      if (below.isPresent() && below.get() instanceof Entry.Directory directory) {
        at = directory.inode();
      } else {
        var made = new InodeId(nextId());
        out.put(Keys.entry(at, name), Rows.bytes(Entry.class, new Entry.Directory(made)));
        at = made;
      }
      begin = end + 1;
    }
    out.put(
        Keys.entry(at, Arrays.copyOfRange(path, last, path.length)),
        Rows.bytes(Entry.class, entry));
  }

  /** Removes an entry, and the directories above it that are empty then. */
  void removeEntry(BucketId bucket, String key) {
    byte[] path = Keys.utf8(key);
    var directories = new ArrayList<InodeId>();
    var names = new ArrayList<byte[]>();
    InodeId at = tree.root(bucket).orElseThrow();
    int begin = 0;
    for (int i = 0; i < path.length; i++) {
      if (path[i] == '/' || i == path.length - 1) {
        byte[] name = Arrays.copyOfRange(path, begin, i + 1);
        directories.add(at);
        names.add(name);
        begin = i + 1;
        if (path[i] == '/') {
          Optional<Entry> below = tree.entry(at, name);
          if (below.isPresent() && below.get() instanceof Entry.Directory directory) {
            at = directory.inode();
          }
        }
      }
    }
    // A key that ends with '/' is a file with the empty name in the directory of that path.
    if (path[path.length - 1] == '/' && tree.entry(at, Keys.NOTHING).isPresent()) {
      directories.add(at);
      names.add(Keys.NOTHING);
    }
    removeUpwards(directories, names);
  }

  /** Removes a directory's entry by its path, which ends with '/'; what is below it stays. */
  void removeDirectoryEntry(BucketId bucket, String path) {
    byte[] bytes = Keys.utf8(path);
    var directories = new ArrayList<InodeId>();
    var names = new ArrayList<byte[]>();
    InodeId at = tree.root(bucket).orElseThrow();
    int begin = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '/') {
        byte[] name = Arrays.copyOfRange(bytes, begin, i + 1);
        directories.add(at);
        names.add(name);
        at = ((Entry.Directory) tree.entry(at, name).orElseThrow()).inode();
        begin = i + 1;
      }
    }
    removeUpwards(directories, names);
  }

  private void removeUpwards(List<InodeId> directories, List<byte[]> names) {
    int last = names.size() - 1;
    out.remove(Keys.entry(directories.get(last), names.get(last)));
    for (int i = last; i > 0 && tree.isEmpty(directories.get(i), names.get(i)); i--) {
      out.remove(Keys.entry(directories.get(i - 1), names.get(i - 1)));
    }
  }

  GenerationRow generation(Generation generation) {
    return Rows.get(out, Keys.of(Keys.GENERATION, generation.value()), GenerationRow.class)
        .orElseThrow(() -> new IllegalStateException("no row of generation " + generation));
  }

  void putGeneration(Generation generation, GenerationRow row) {
    out.put(Keys.of(Keys.GENERATION, generation.value()), Rows.bytes(GenerationRow.class, row));
  }

  Manifest manifest(long owner) {
    return Rows.get(out, Keys.of(Keys.MANIFEST, owner), Manifest.class)
        .orElseThrow(() -> new IllegalStateException("no manifest of " + owner));
  }

  /** How long the encoding of a manifest is. */
  int manifestBytes(long owner) {
    return out.get(Keys.of(Keys.MANIFEST, owner)).orElseThrow().length;
  }

  void putManifest(long owner, Manifest manifest) {
    out.put(Keys.of(Keys.MANIFEST, owner), Rows.bytes(Manifest.class, manifest));
  }

  void expireAt(long millis, byte what, long id) {
    out.put(Keys.expiry(millis, what, id), Keys.NOTHING);
  }

  /** Its bucket counts the generation no more: it is clean, gone, or its bytes are another's. */
  void uncount(Generation generation) {
    GenerationRow row = generation(generation);
    if (row.heldBytes() != 0) {
      uses.add(row.bucket(), generation.value(), -row.heldBytes());
      putGeneration(generation, row.uncounted());
    }
  }

  /** The generation is no longer visible; it keeps its chunks until its readers had their time. */
  void supersede(Generation generation, FlushPolicy policy) {
    expireAt(now + policy.readGraceMillis(), EXPIRES_GENERATION, generation.value());
  }

  Optional<ObjectHead> head(BucketId bucket, String key) {
    return tree.file(bucket, key).map(file -> Queries.head(out, bucket, key, file));
  }

  void check(Preconditions conditions, Optional<ObjectHead> present) {
    if (conditions.ifAbsent() && present.isPresent()) {
      throw refuse(
          ErrorCode.PRECONDITION_FAILED, "If-None-Match: * does not hold: the object exists");
    }
    if (conditions.ifMatch().isPresent()) {
      ObjectHead head =
          present.orElseThrow(
              () -> refuse(ErrorCode.NOT_FOUND, "If-Match does not hold: there is no such object"));
      if (!head.matches(conditions.ifMatch().get())) {
        throw refuse(
            ErrorCode.PRECONDITION_FAILED,
            "If-Match does not hold: the object has ETag \"" + head.etag() + "\"");
      }
    }
    if (conditions.ifNoneMatch().isPresent()
        && present.filter(head -> head.matches(conditions.ifNoneMatch().get())).isPresent()) {
      throw refuse(
          ErrorCode.PRECONDITION_FAILED, "If-None-Match does not hold: the object has that ETag");
    }
  }
}
