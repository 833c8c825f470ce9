package io.forebay.backing.dir;

import io.forebay.core.backing.ObjectStore;
import io.forebay.core.backing.PutOptions;
import io.forebay.core.backing.RequestCounter;
import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.backing.StoreCondition;
import io.forebay.core.backing.StoreLimits;
import io.forebay.core.backing.StoreObject;
import io.forebay.core.backing.StoreRequests;
import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Slab;
import io.forebay.core.bytes.SlabPool;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.FileLockInterruptionException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * An object store in a local directory: what a single node has without a cloud.
 *
 * <p>An object is one file, its body first, so that any program can read it: {@code PATH/KEY},
 * where a segment that a file system or another key could take for something else is written with
 * {@code %XX}. What a store knows beside the body is behind it: properties, their length (4 bytes)
 * and a magic (8 bytes).
 *
 * <p>Hence: the body is a prefix of the file, and the file is replaced by renaming: a crash leaves
 * the old object or the new one. Conditions are checked and changes made under a lock file for the
 * key, which other processes of this machine respect. On a network file system that is only as good
 * as its locks.
 *
 * <p>What a failure means follows from where it happens: until the renaming (or the deletion)
 * nothing was changed; from there on it was, and a failure only says that a loss of power may undo
 * it, so that it is reported as unclear, whatever it is. No renaming begins later than {@link
 * #LATE} after its call (rule F2).
 */
public final class DirStore implements ObjectStore {
  private static final StoreLimits LIMITS = new StoreLimits(50_000, 1, 1L << 32, 1L << 32);
  private static final long MAGIC = 0x464F524542415931L; // "FOREBAY1"
  private static final int TRAILER_BYTES = 12;
  private static final int LOCKS = 64;
  private static final int MAX_SEGMENT = 200;
  private static final int MOVES = 16;
  private static final String JOINED = "joined";
  private static final String JOINED_LIST = "joined.list";
  private static final Duration LATE = Duration.ofSeconds(80);
  // As long as Azure keeps blocks that nobody commits.
  private static final Duration ABANDONED = Duration.ofDays(7);
  // Of the process, not of the store: file locks are the process's, and two stores of one directory
  // would be refused each other's.
  private static final Map<Path, List<ReentrantLock>> PROCESS_LOCKS = new ConcurrentHashMap<>();

  /**
   * Where a file of ours says how long its body is, among the metadata. No user's key has a dot.
   */
  private static final String LENGTH = ".length";

  private final Path root;
  private final Path hidden;
  private final List<ReentrantLock> locks;
  private final DirectorySync sync;
  private final RequestCounter counter = new RequestCounter();
  private final SplittableRandom names = new SplittableRandom();
  private final ReentrantLock namesLock = new ReentrantLock();

  private record Properties(String etag, String contentType, Map<String, String> metadata) {}

  private record Stored(long bodyBytes, Properties properties, long modifiedMillis) {}

  /** Makes a directory's entries survive a loss of power. */
  interface DirectorySync {
    void sync(Path directory) throws IOException;
  }

  /**
   * When a change was asked for, by both clocks: the monotonic one stands while a machine sleeps.
   */
  private record Begun(long nanos, Instant at) {
    static Begun now() {
      return new Begun(System.nanoTime(), Instant.now());
    }

    boolean isLate() {
      return System.nanoTime() - nanos > LATE.toNanos()
          || Duration.between(at, Instant.now()).compareTo(LATE) > 0;
    }
  }

  /**
   * Makes a directory a store, if it is none.
   *
   * @throws ForebayException STORE_DENIED when it cannot be made or written
   */
  public static void make(Path root) {
    var store = new DirStore(root, DirStore::sync, true);
    store.close();
  }

  /**
   * Opens a store that was made. A directory that is none may be where one is not mounted.
   *
   * @throws ForebayException STORE_MISSING; STORE_DENIED when it cannot be written
   */
  public DirStore(Path root) {
    this(root, DirStore::sync);
  }

  DirStore(Path root, DirectorySync sync) {
    this(root, sync, false);
  }

  private DirStore(Path root, DirectorySync sync, boolean makes) {
    this.root = root.toAbsolutePath().normalize();
    this.hidden = this.root.resolve(".forebay-store");
    this.sync = sync;
    try {
      if (makes) {
        makeDurably(hidden);
      } else if (Files.notExists(hidden)) {
        throw new NoSuchFileException(hidden.toString());
      }
      for (String name : List.of("tmp", "locks", "uploads")) {
        Files.createDirectories(hidden.resolve(name));
      }
      // Whatever it is called: a file's lock is the file's.
      this.locks =
          PROCESS_LOCKS.computeIfAbsent(
              hidden.toRealPath(),
              any -> Stream.generate(ReentrantLock::new).limit(LOCKS).toList());
      Instant abandoned = Instant.now().minus(ABANDONED);
      removeOlder(hidden.resolve("tmp"), abandoned);
      removeOlder(hidden.resolve("uploads"), abandoned);
    } catch (IOException failure) {
      throw undone("opening", "", failure);
    }
  }

  /** The bucket that it is made for is logged, and survives a loss of power. */
  private static void makeDurably(Path directory) throws IOException {
    var made = new ArrayList<Path>();
    for (Path at = directory; Files.notExists(at); at = parent(at)) {
      made.add(at);
    }
    Files.createDirectories(directory);
    for (Path each : made) {
      sync(parent(each));
    }
  }

  /** What processes that died have left, and nobody has touched since. */
  private static void removeOlder(Path directory, Instant limit) throws IOException {
    for (Path entry : entries(directory)) {
      try {
        if (Files.getLastModifiedTime(entry).toInstant().isBefore(limit)) {
          if (Files.isDirectory(entry)) {
            for (Path part : entries(entry)) {
              Files.deleteIfExists(part);
            }
          }
          Files.deleteIfExists(entry);
        }
      } catch (IOException left) {
        // Another process removes, or uses, it too; or the store is only read. It harms nobody.
      }
    }
  }

  private static List<Path> entries(Path directory) throws IOException {
    try (Stream<Path> listing = Files.list(directory)) {
      return listing.toList();
    }
  }

  @Override
  public String description() {
    return "dir:" + root;
  }

  @Override
  public StoreLimits limits() {
    return LIMITS;
  }

  /** The fault of a failure that happened before anything was changed. */
  private ForebayException undone(String operation, String key, IOException failure) {
    String text = String.valueOf(failure);
    if (failure instanceof ClosedByInterruptException
        || failure instanceof FileLockInterruptionException) {
      Thread.currentThread().interrupt();
      return fault(ErrorCode.CANCELLED, operation, key, "was interrupted", failure);
    }
    if (failure instanceof NoSuchFileException && Files.notExists(hidden)) {
      return fault(
          ErrorCode.STORE_MISSING,
          operation,
          key,
          "failed: no store is there ("
              + text
              + "); mount it, or, where it is to begin empty, make the directory "
              + hidden,
          failure);
    }
    if (text.contains("No space left") || text.contains("quota exceeded")) {
      return fault(
          ErrorCode.STORE_THROTTLED,
          operation,
          key,
          "failed: no room is left (" + text + "); make some, it is tried again",
          failure);
    }
    if (failure instanceof AccessDeniedException
        || text.contains("Operation not permitted")
        || text.contains("Read-only file system")) {
      return fault(
          ErrorCode.STORE_DENIED,
          operation,
          key,
          "was refused (" + text + "); give this process the right to write there",
          failure);
    }
    return fault(
        ErrorCode.STORE_UNREACHABLE,
        operation,
        key,
        "failed (" + text + "); check the disk and its file system",
        failure);
  }

  /** The fault of a failure that happened after the change was made. */
  private ForebayException unclear(String operation, String key, IOException failure) {
    return fault(
        ErrorCode.STORE_UNREACHABLE,
        operation,
        key,
        "was carried out, but it is not known to survive a loss of power ("
            + failure
            + "); check the disk and its file system",
        failure);
  }

  private ForebayException fault(
      ErrorCode code, String operation, String key, String what, IOException failure) {
    return new ForebayException(
        code,
        operation
            + (key.isEmpty() ? "" : " '" + key + "'")
            + " in the store "
            + description()
            + " "
            + what,
        failure);
  }

  /** Where the object is: every segment of the key a name that no other key can have. */
  private Path file(String key) {
    Path path = root;
    String[] segments = key.split("/", -1);
    for (int i = 0; i < segments.length; i++) {
      boolean last = i == segments.length - 1;
      path = path.resolve(escape(segments[i]) + (last ? "" : ".d"));
    }
    return path;
  }

  /**
   * Directories end in {@code .d}, and a file name that would end so has its last letter escaped:
   * the keys {@code a}, {@code a/b} and {@code a.d} live side by side.
   */
  private static String escape(String segment) {
    var name = new StringBuilder();
    for (byte b : segment.getBytes(StandardCharsets.UTF_8)) {
      int c = b & 0xff;
      boolean plain =
          (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || c == '-'
              || c == '_'
              || (c == '.' && !name.isEmpty())
              || c == '='
              || c == '+'
              || c == ','
              || c == '@'
              || c == ' '
              || c >= 0x80;
      if (plain && c < 0x80) {
        name.append((char) c);
      } else {
        name.append('%').append(HexFormat.of().withUpperCase().toHexDigits((byte) c));
      }
    }
    if (name.isEmpty()) {
      return "%";
    }
    if (name.length() > 2 && name.substring(name.length() - 2).equals(".d")) {
      name.replace(name.length() - 1, name.length(), "%64");
    }
    if (name.length() > MAX_SEGMENT) {
      // A name that a file system does not take is cut, and told apart by a digest of all of it.
      return name.substring(0, MAX_SEGMENT - 70).replaceAll("%[0-9A-F]?$", "")
          + "%~"
          + digest(segment);
    }
    return name.toString();
  }

  private static String digest(String segment) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256")
                  .digest(segment.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException("every JDK has SHA-256", impossible);
    }
  }

  private interface Action<T> {
    T run() throws IOException;
  }

  /** Runs under the key's lock, of this process and of others on this machine. */
  private <T> T locked(String operation, String key, Action<T> action) {
    int place = Math.floorMod(key.hashCode(), LOCKS);
    ReentrantLock lock = locks.get(place);
    lock.lock();
    try (FileChannel channel =
            FileChannel.open(
                hidden.resolve("locks").resolve(Integer.toString(place)),
                StandardOpenOption.CREATE,
                StandardOpenOption.WRITE);
        FileLock held = channel.lock()) {
      if (!held.isValid()) {
        throw new IOException("the lock of the key was lost");
      }
      return action.run();
    } catch (IOException failure) {
      throw undone(operation, key, failure);
    } finally {
      lock.unlock();
    }
  }

  private Optional<Stored> inspect(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return Optional.of(inspect(channel, file));
    } catch (NoSuchFileException absent) {
      if (Files.notExists(hidden)) {
        throw absent; // the whole store is
      }
      return Optional.empty();
    } catch (FileSystemException other) {
      if (Files.notExists(file) || Files.isDirectory(file)) {
        return Optional.empty();
      }
      throw other;
    }
  }

  private static Stored inspect(FileChannel channel, Path file) throws IOException {
    long size = channel.size();
    long modifiedMillis = Files.getLastModifiedTime(file).toMillis();
    if (size >= TRAILER_BYTES) {
      ByteBuffer trailer = readFully(channel, size - TRAILER_BYTES, TRAILER_BYTES);
      int length = trailer.getInt();
      if (trailer.getLong() == MAGIC && length >= 0 && length <= size - TRAILER_BYTES) {
        Properties ours = decode(readFully(channel, size - TRAILER_BYTES - length, length).array());
        long bodyBytes = size - TRAILER_BYTES - length;
        var metadata = new TreeMap<>(ours.metadata());
        String said = metadata.remove(LENGTH);
        // Else somebody has edited it, and left what stands at its end.
        if (said == null || said.equals(Long.toString(bodyBytes))) {
          return new Stored(
              bodyBytes, new Properties(ours.etag(), ours.contentType(), metadata), modifiedMillis);
        }
      }
    }
    return new Stored(size, new Properties(foreignEtag(file), "", Map.of()), modifiedMillis);
  }

  /** Somebody else's file: its ETag is what changes when it does. */
  private static String foreignEtag(Path file) throws IOException {
    return "f"
        + Files.size(file)
        + "-"
        + Files.getLastModifiedTime(file).to(TimeUnit.NANOSECONDS)
        + "-"
        + Files.getAttribute(file, "unix:ino");
  }

  /** Whether the file under a name is still the one that was inspected; ours never change. */
  private static boolean unchanged(Stored inspected, Path file) throws IOException {
    String etag = inspected.properties().etag();
    boolean ours = etag.indexOf('-') < 0;
    return ours || etag.equals(foreignEtag(file));
  }

  private static ByteBuffer readFully(FileChannel channel, long position, int length)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, position + buffer.position()) < 0) {
        throw new IOException("the file ends early");
      }
    }
    return buffer.flip();
  }

  private static byte[] encode(Properties properties, long bodyBytes) throws IOException {
    var metadata = new TreeMap<>(properties.metadata());
    metadata.put(LENGTH, Long.toString(bodyBytes));
    var bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeUTF(properties.etag());
      out.writeUTF(properties.contentType());
      out.writeInt(metadata.size());
      for (Map.Entry<String, String> entry : metadata.entrySet()) {
        out.writeUTF(entry.getKey());
        out.writeUTF(entry.getValue());
      }
    }
    return bytes.toByteArray();
  }

  private static Properties decode(byte[] encoded) throws IOException {
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(encoded))) {
      String etag = in.readUTF();
      String contentType = in.readUTF();
      var metadata = new TreeMap<String, String>();
      for (int count = in.readInt(); count > 0; count--) {
        metadata.put(in.readUTF(), in.readUTF());
      }
      return new Properties(etag, contentType, metadata);
    }
  }

  private static boolean holds(StoreCondition condition, Optional<Stored> present) {
    return switch (condition) {
      case StoreCondition.Any _ -> true;
      case StoreCondition.IfAbsent _ -> present.isEmpty();
      case StoreCondition.IfMatch(var etag) ->
          present.isPresent() && present.get().properties().etag().equals(etag);
    };
  }

  @Override
  public Optional<StoreObject> head(String key) {
    counter.count(Kind.HEAD);
    try {
      Path file = file(key);
      Optional<Stored> found = inspect(file);
      // Who asks may settle by it what nobody was told: that has to survive a loss of power, too.
      syncAbove(file);
      return found.map(stored ->
          new StoreObject(
              key,
              stored.bodyBytes(),
              stored.properties().etag(),
              stored.properties().contentType(),
              stored.properties().metadata(),
              stored.modifiedMillis()));
    } catch (IOException failure) {
      throw undone("looking at", key, failure);
    }
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    counter.count(Kind.READ);
    Path file = file(key);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      // One open file is one generation, whatever is renamed over its name meanwhile.
      Stored stored = inspect(channel, file);
      if (ifMatchEtag.isPresent() && !ifMatchEtag.get().equals(stored.properties().etag())) {
        return new ReadResult.Changed();
      }
      if (offset + length > stored.bodyBytes()) {
        throw new ForebayException(
            ErrorCode.RANGE_NOT_SATISFIABLE,
            "reading "
                + length
                + " bytes at "
                + offset
                + " of '"
                + key
                + "' in the store "
                + description()
                + " is not possible: it has "
                + stored.bodyBytes()
                + " bytes; look at the object again");
      }
      Slab slab = pool.take();
      try {
        ByteBuffer buffer = slab.buffer().limit(length);
        while (buffer.hasRemaining()) {
          if (channel.read(buffer, offset + buffer.position()) < 0) {
            throw new IOException("the file ends early");
          }
        }
        return unchanged(stored, file)
            ? new ReadResult.Data(slab.bytes(0, length))
            : new ReadResult.Changed();
      } finally {
        slab.release();
      }
    } catch (NoSuchFileException absent) {
      if (Files.notExists(hidden)) {
        throw undone("reading", key, absent);
      }
      return new ReadResult.Missing();
    } catch (IOException failure) {
      throw undone("reading", key, failure);
    }
  }

  private String newName() {
    namesLock.lock();
    try {
      return HexFormat.of().toHexDigits(names.nextLong())
          + HexFormat.of().toHexDigits(names.nextLong());
    } finally {
      namesLock.unlock();
    }
  }

  /** Returns the CRC32C of the body. */
  private static int append(FileChannel out, List<Bytes> body) throws IOException {
    var crc = new CRC32C();
    ByteBuffer copy = ByteBuffer.allocateDirect(1 << 16);
    for (Bytes bytes : body) {
      int done = 0;
      while (done < bytes.length()) {
        int count = Math.min(copy.capacity(), bytes.length() - done);
        Bytes part = bytes.slice(done, count);
        copy.clear();
        part.copyTo(copy);
        part.release();
        copy.flip();
        crc.update(copy.duplicate());
        while (copy.hasRemaining()) {
          out.write(copy);
        }
        done += count;
      }
    }
    return (int) crc.getValue();
  }

  private interface Filling {
    void fill(FileChannel out) throws IOException;
  }

  private PutResult replace(
      Begun begun, String operation, String key, PutOptions options, Filling filling) {
    Path part = hidden.resolve("tmp").resolve(newName());
    return replace(begun, operation, key, options, part, filling);
  }

  /**
   * @param part becomes the object, or goes
   */
  private PutResult replace(
      Begun begun, String operation, String key, PutOptions options, Path part, Filling filling) {
    String etag = newName();
    try {
      try (FileChannel out =
          FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        filling.fill(out);
        byte[] properties =
            encode(new Properties(etag, options.contentType(), options.metadata()), out.position());
        ByteBuffer trailer =
            ByteBuffer.allocate(properties.length + TRAILER_BYTES)
                .put(properties)
                .putInt(properties.length)
                .putLong(MAGIC)
                .flip();
        while (trailer.hasRemaining()) {
          out.write(trailer);
        }
        out.force(true);
      }
      return locked(
          operation,
          key,
          () -> {
            Path file = file(key);
            if (!holds(options.condition(), inspect(file))) {
              return new PutResult.Refused();
            }
            move(part, file, () -> requireInTime(operation, key, begun));
            afterChange(operation, key, file);
            return new PutResult.Stored(etag);
          });
    } catch (IOException failure) {
      throw undone(operation, key, failure);
    } finally {
      // If it cannot be removed now, an opening of the store does so later.
      removeQuietly(part);
    }
  }

  private void requireInTime(String operation, String key, Begun begun) {
    if (begun.isLate()) {
      throw new ForebayException(
          ErrorCode.STORE_THROTTLED,
          operation
              + " '"
              + key
              + "' in the store "
              + description()
              + " took more than "
              + LATE.toSeconds()
              + " s and was given up; nothing was changed; the disk is too slow or too busy");
    }
  }

  private static void removeQuietly(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException left) {
      // It lies where only openings of the store look.
    }
  }

  /** A deletion of a neighbour may take the directory away between its making and the move. */
  private void move(Path part, Path file, Runnable requireInTime) throws IOException {
    for (int attempt = 1; ; attempt++) {
      try {
        for (Path made : makeParents(file)) {
          sync.sync(made);
        }
        requireInTime.run(); // for that may have taken long
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        return;
      } catch (NoSuchFileException gone) {
        if (attempt == MOVES) {
          throw gone;
        }
      }
    }
  }

  /**
   * What was answered survives a loss of power: the cache may drop its own copies then. Of a
   * directory that a neighbour's deletion took away meanwhile, the one above knows.
   */
  private void afterChange(String operation, String key, Path file) {
    try {
      syncAbove(file);
    } catch (IOException failure) {
      throw unclear(operation, key, failure);
    }
  }

  private void syncAbove(Path file) throws IOException {
    for (Path directory = parent(file); ; directory = parent(directory)) {
      try {
        sync.sync(directory);
        return;
      } catch (NoSuchFileException gone) {
        if (directory.equals(root)) {
          throw gone;
        }
      }
    }
  }

  /** Makes the directories above a file; returns those that got a new entry. */
  private List<Path> makeParents(Path file) throws IOException {
    var changed = new ArrayList<Path>();
    Path parent = parent(file);
    for (Path at = parent; !at.equals(root) && Files.notExists(at); at = parent(at)) {
      changed.add(parent(at));
    }
    Files.createDirectories(parent);
    return changed;
  }

  private static Path parent(Path path) throws IOException {
    Path parent = path.getParent();
    if (parent == null) {
      throw new IOException(path + " is in no directory");
    }
    return parent;
  }

  private static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  @Override
  public PutResult put(String key, List<Bytes> body, PutOptions options) {
    counter.count(Kind.PUT);
    return replace(Begun.now(), "storing", key, options, out -> append(out, body));
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    String upload = stamp + "-" + newName();
    try {
      Files.createDirectory(hidden.resolve("uploads").resolve(upload));
      return upload;
    } catch (IOException failure) {
      throw undone("beginning an upload of", key, failure);
    }
  }

  private Path upload(String key, String upload) {
    Path directory = hidden.resolve("uploads").resolve(upload).normalize();
    if (upload.isEmpty() || upload.contains("/") || !directory.startsWith(hidden)) {
      throw new ForebayException(
          ErrorCode.INVALID_ARGUMENT, "'" + upload + "' is no upload of '" + key + "'");
    }
    return directory;
  }

  @Override
  public String stage(String key, String upload, int part, List<Bytes> body) {
    counter.count(Kind.STAGE);
    Path directory = upload(key, upload);
    Path written = hidden.resolve("tmp").resolve(newName());
    String tag;
    try {
      try (FileChannel out =
          FileChannel.open(written, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        // The same for the same bytes: of one that is sent again there are no two.
        tag = String.format("%05d-%08x-%d", part, append(out, body), out.position());
      }
      if (Files.notExists(directory) && Files.exists(hidden)) {
        throw noSuchUpload("sending a part of", key, upload);
      }
      Files.move(written, directory.resolve(tag), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException failure) {
      throw undone("sending a part of", key, failure);
    } finally {
      removeQuietly(written);
    }
    locked("joining parts of", key, () -> join(directory));
    return tag;
  }

  /**
   * The parts that have come without a gap, one behind the other: what a commit must copy would
   * else be the whole object, and a long one could not be made in time ({@link #LATE}).
   *
   * @param ends where each part ends, by its tag
   */
  private record Joined(LinkedHashMap<String, Long> ends) {
    static Joined read(Path directory) throws IOException {
      var ends = new LinkedHashMap<String, Long>();
      Path list = directory.resolve(JOINED_LIST);
      if (Files.exists(list)) {
        for (String line : Files.readAllLines(list)) {
          String[] fields = line.split(" ", -1);
          ends.put(fields[0], Long.parseLong(fields[1]));
        }
      }
      return new Joined(ends);
    }

    long length() {
      return ends.isEmpty() ? 0 : ends.lastEntry().getValue();
    }

    long begin(String tag) {
      long begin = 0;
      for (Map.Entry<String, Long> each : ends.entrySet()) {
        if (each.getKey().equals(tag)) {
          return begin;
        }
        begin = each.getValue();
      }
      throw new IllegalArgumentException("the part " + tag + " is not joined");
    }

    long end(String tag) {
      return ends.getOrDefault(tag, -1L);
    }

    boolean isBeginningOf(List<String> tags) {
      return ends.size() <= tags.size()
          && List.copyOf(ends.keySet()).equals(tags.subList(0, ends.size()));
    }
  }

  /** Returns how many parts were joined; under the key's lock. */
  private static int join(Path directory) throws IOException {
    var ends = Joined.read(directory).ends();
    if (part(directory, ends.size() + 1).isEmpty()) {
      // A part that comes once more, late, must not touch what is being committed.
      return 0;
    }
    long length = new Joined(ends).length();
    List<Path> done = new ArrayList<>();
    try (FileChannel out =
        FileChannel.open(
            directory.resolve(JOINED), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      // What a crash left behind the last part that is listed goes.
      out.truncate(length).position(length);
      for (Optional<Path> part = part(directory, ends.size() + 1);
          part.isPresent();
          part = part(directory, ends.size() + 1)) {
        try (FileChannel in = FileChannel.open(part.get(), StandardOpenOption.READ)) {
          append(out, in, 0, in.size());
          length += in.size();
        }
        ends.put(String.valueOf(part.get().getFileName()), length);
        done.add(part.get());
      }
      if (done.isEmpty()) {
        return 0;
      }
      // By and by, so that the commit does not wait for all of it.
      out.force(false);
    }
    var list = new StringBuilder();
    ends.forEach((tag, end) -> list.append(tag).append(' ').append(end).append('\n'));
    Path next = directory.resolve(JOINED_LIST + ".next");
    Files.writeString(next, list);
    Files.move(next, directory.resolve(JOINED_LIST), StandardCopyOption.ATOMIC_MOVE);
    done.forEach(DirStore::removeQuietly);
    return done.size();
  }

  /**
   * The part of a number; empty when there is none, or more than one, of which a commit names one.
   */
  private static Optional<Path> part(Path directory, int number) throws IOException {
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(directory, String.format("%05d-*", number))) {
      files.forEach(found::add);
    }
    return found.size() == 1 ? Optional.of(found.getFirst()) : Optional.empty();
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    counter.count(Kind.COMMIT);
    Begun begun = Begun.now();
    Path directory = upload(key, upload);
    Joined joined;
    try {
      joined = Joined.read(directory);
    } catch (IOException failure) {
      throw undone("committing", key, failure);
    }
    for (String tag : tags) {
      if (!joined.ends().containsKey(tag)
          && (tag.contains("/") || Files.notExists(directory.resolve(tag)))) {
        throw noSuchUpload("committing", key, upload);
      }
    }
    Path joinedFile = directory.resolve(JOINED);
    PutResult result =
        joined.isBeginningOf(tags) && !joined.ends().isEmpty()
            ? replace(
                begun,
                "committing",
                key,
                options,
                joinedFile,
                out -> {
                  if (out.size() < joined.length()) {
                    throw noSuchUpload("committing", key, upload);
                  }
                  out.truncate(joined.length()).position(joined.length());
                  for (String tag : tags.subList(joined.ends().size(), tags.size())) {
                    append(out, directory.resolve(tag));
                  }
                })
            : replace(
                begun,
                "committing",
                key,
                options,
                out -> {
                  for (String tag : tags) {
                    if (!joined.ends().containsKey(tag)) {
                      append(out, directory.resolve(tag));
                      continue;
                    }
                    try (FileChannel in = FileChannel.open(joinedFile, StandardOpenOption.READ)) {
                      long begin = joined.begin(tag);
                      append(out, in, begin, joined.end(tag) - begin);
                    }
                  }
                });
    // What cannot be removed harms nobody, and says nothing about the object.
    try {
      entries(directory).forEach(DirStore::removeQuietly);
    } catch (IOException left) {
      return result;
    }
    removeQuietly(directory);
    return result;
  }

  private static void append(FileChannel out, Path part) throws IOException {
    try (FileChannel in = FileChannel.open(part, StandardOpenOption.READ)) {
      append(out, in, 0, in.size());
    }
  }

  private ForebayException noSuchUpload(String operation, String key, String upload) {
    return new ForebayException(
        ErrorCode.NO_SUCH_UPLOAD,
        operation
            + " '"
            + key
            + "' in the store "
            + description()
            + ": the upload '"
            + upload
            + "' or a part of it is not there; the upload begins anew");
  }

  private static void append(FileChannel out, FileChannel in, long from, long length)
      throws IOException {
    for (long done = 0; done < length; ) {
      long count = in.transferTo(from + done, length - done, out);
      if (count <= 0) {
        throw new IOException("the file ends early");
      }
      done += count;
    }
  }

  @Override
  public void abort(String key, String upload) {
    Path directory = upload(key, upload);
    if (Files.notExists(directory)) {
      return;
    }
    try {
      for (Path file : entries(directory)) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(directory);
    } catch (NoSuchFileException | DirectoryNotEmptyException other) {
      // Another call drops it, or still adds to it: an opening of the store removes the rest.
      return;
    } catch (IOException failure) {
      throw undone("dropping an upload of", key, failure);
    }
  }

  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    counter.count(Kind.COPY);
    Begun begun = Begun.now();
    Path file = file(sourceKey);
    try (FileChannel in = FileChannel.open(file, StandardOpenOption.READ)) {
      Stored source = inspect(in, file);
      if (!source.properties().etag().equals(sourceEtag)) {
        return new PutResult.Refused();
      }
      return replace(
          begun,
          "copying '" + sourceKey + "' to",
          key,
          options,
          out -> {
            append(out, in, 0, source.bodyBytes());
            if (!unchanged(source, file)) {
              throw new SourceChanged();
            }
          });
    } catch (SourceChanged changed) {
      return new PutResult.Refused();
    } catch (NoSuchFileException absent) {
      if (Files.notExists(hidden)) {
        throw undone("copying", sourceKey, absent);
      }
      return new PutResult.Refused();
    } catch (IOException failure) {
      throw undone("copying", sourceKey, failure);
    }
  }

  /** The source of a copy is no longer what was asked for. */
  private static final class SourceChanged extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    counter.count(Kind.DELETE);
    Begun begun = Begun.now();
    return locked(
        "deleting",
        key,
        () -> {
          Path file = file(key);
          Optional<Stored> present = inspect(file);
          if (present.isEmpty()) {
            return new DeleteResult.Missing();
          }
          if (!holds(condition, present)) {
            return new DeleteResult.Refused();
          }
          requireInTime("deleting", key, begun);
          Files.deleteIfExists(file);
          afterChange("deleting", key, file);
          removeEmptyParents(file);
          return new DeleteResult.Deleted();
        });
  }

  /** Empty directories are no objects: those that cannot be removed stay. */
  private void removeEmptyParents(Path file) {
    for (Path parent = file.getParent();
        parent != null && !parent.equals(root);
        parent = parent.getParent()) {
      try {
        Files.delete(parent);
      } catch (IOException end) {
        return;
      }
    }
  }

  @Override
  public StoreRequests requests() {
    return counter.requests();
  }

  @Override
  public void close() {}
}
