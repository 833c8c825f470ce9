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
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

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
 */
public final class DirStore implements ObjectStore {
  private static final StoreLimits LIMITS = new StoreLimits(50_000, 1, 1L << 32, 1L << 32);
  private static final long MAGIC = 0x464F524542415931L; // "FOREBAY1"
  private static final int TRAILER_BYTES = 12;
  private static final int LOCKS = 64;
  private static final int MAX_SEGMENT = 200;
  private static final int MOVES = 16;
  // Of the process, not of the store: file locks are the process's, and two stores of one directory
  // would be refused each other's.
  private static final List<ReentrantLock> PROCESS_LOCKS =
      Stream.generate(ReentrantLock::new).limit(LOCKS).toList();

  private final Path root;
  private final Path hidden;
  private final RequestCounter counter = new RequestCounter();
  private final SplittableRandom names = new SplittableRandom();
  private final ReentrantLock namesLock = new ReentrantLock();

  private record Properties(String etag, String contentType, Map<String, String> metadata) {}

  private record Stored(long bodyBytes, Properties properties, long modifiedMillis) {}

  /**
   * Opens or makes the directory.
   *
   * @throws ForebayException STORE_DENIED when it cannot be made or written
   */
  public DirStore(Path root) {
    this.root = root.toAbsolutePath().normalize();
    this.hidden = this.root.resolve(".forebay-store");
    try {
      Files.createDirectories(hidden.resolve("tmp"));
      Files.createDirectories(hidden.resolve("locks"));
      Files.createDirectories(hidden.resolve("uploads"));
    } catch (IOException failure) {
      throw fault("opening", "", failure);
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

  private ForebayException fault(String operation, String key, IOException failure) {
    String text = String.valueOf(failure);
    ErrorCode code =
        text.contains("No space left")
            ? ErrorCode.STORE_THROTTLED
            : failure instanceof AccessDeniedException
                ? ErrorCode.STORE_DENIED
                : ErrorCode.STORE_UNREACHABLE;
    return new ForebayException(
        code,
        operation
            + (key.isEmpty() ? "" : " '" + key + "'")
            + " in the store "
            + description()
            + " failed: "
            + text
            + "; check that the directory exists, has room, and may be written",
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
    ReentrantLock lock = PROCESS_LOCKS.get(place);
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
      throw fault(operation, key, failure);
    } finally {
      lock.unlock();
    }
  }

  private static Optional<Stored> inspect(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      return Optional.of(inspect(channel, Files.getLastModifiedTime(file).toMillis()));
    } catch (NoSuchFileException absent) {
      return Optional.empty();
    } catch (FileSystemException other) {
      if (Files.notExists(file) || Files.isDirectory(file)) {
        return Optional.empty();
      }
      throw other;
    }
  }

  private static Stored inspect(FileChannel channel, long modifiedMillis) throws IOException {
    long size = channel.size();
    if (size >= TRAILER_BYTES) {
      ByteBuffer trailer = readFully(channel, size - TRAILER_BYTES, TRAILER_BYTES);
      int length = trailer.getInt();
      if (trailer.getLong() == MAGIC && length >= 0 && length <= size - TRAILER_BYTES) {
        byte[] encoded = readFully(channel, size - TRAILER_BYTES - length, length).array();
        return new Stored(size - TRAILER_BYTES - length, decode(encoded), modifiedMillis);
      }
    }
    // Somebody else's file: its ETag is what changes when it does.
    return new Stored(
        size,
        new Properties(
            "f" + Long.toHexString(size) + "-" + Long.toHexString(modifiedMillis), "", Map.of()),
        modifiedMillis);
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

  private static byte[] encode(Properties properties) throws IOException {
    var bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      out.writeUTF(properties.etag());
      out.writeUTF(properties.contentType());
      out.writeInt(properties.metadata().size());
      for (Map.Entry<String, String> entry : properties.metadata().entrySet()) {
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
      return inspect(file(key))
          .map(stored ->
              new StoreObject(
                  key,
                  stored.bodyBytes(),
                  stored.properties().etag(),
                  stored.properties().contentType(),
                  stored.properties().metadata(),
                  stored.modifiedMillis()));
    } catch (IOException failure) {
      throw fault("looking at", key, failure);
    }
  }

  @Override
  public ReadResult read(
      String key, long offset, int length, Optional<String> ifMatchEtag, SlabPool pool) {
    counter.count(Kind.READ);
    try (FileChannel channel = FileChannel.open(file(key), StandardOpenOption.READ)) {
      // One open file is one generation, whatever is renamed over its name meanwhile.
      Stored stored = inspect(channel, Files.getLastModifiedTime(file(key)).toMillis());
      if (ifMatchEtag.isPresent() && !ifMatchEtag.get().equals(stored.properties().etag())) {
        return new ReadResult.Changed();
      }
      if (offset + length > stored.bodyBytes()) {
        throw new IOException("the object has " + stored.bodyBytes() + " bytes");
      }
      Slab slab = pool.take();
      try {
        ByteBuffer buffer = slab.buffer().limit(length);
        while (buffer.hasRemaining()) {
          if (channel.read(buffer, offset + buffer.position()) < 0) {
            throw new IOException("the file ends early");
          }
        }
        return new ReadResult.Data(slab.bytes(0, length));
      } finally {
        slab.release();
      }
    } catch (NoSuchFileException absent) {
      return new ReadResult.Missing();
    } catch (IOException failure) {
      throw fault("reading", key, failure);
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

  private static void append(FileChannel out, List<Bytes> body) throws IOException {
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
        while (copy.hasRemaining()) {
          out.write(copy);
        }
        done += count;
      }
    }
  }

  private interface Filling {
    void fill(FileChannel out) throws IOException;
  }

  private PutResult replace(String key, PutOptions options, Filling filling) {
    Path part = hidden.resolve("tmp").resolve(newName());
    String etag = newName();
    try {
      try (FileChannel out =
          FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
        filling.fill(out);
        byte[] properties = encode(new Properties(etag, options.contentType(), options.metadata()));
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
          "storing",
          key,
          () -> {
            Path file = file(key);
            if (!holds(options.condition(), inspect(file))) {
              return new PutResult.Refused();
            }
            move(part, file);
            return new PutResult.Stored(etag);
          });
    } catch (IOException failure) {
      throw fault("storing", key, failure);
    } finally {
      try {
        Files.deleteIfExists(part);
      } catch (IOException left) {
        // It lies in our own directory for temporary files, and harms nobody.
        part.toFile().deleteOnExit();
      }
    }
  }

  /** A deletion of a neighbour may take the directory away between its making and the move. */
  private void move(Path part, Path file) throws IOException {
    for (int attempt = 1; ; attempt++) {
      try {
        for (Path made : makeParents(file)) {
          sync(made);
        }
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        // What was answered survives a loss of power: the cache may drop its own copies then.
        sync(parent(file));
        return;
      } catch (NoSuchFileException gone) {
        if (attempt == MOVES) {
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
    return replace(key, options, out -> append(out, body));
  }

  @Override
  public String begin(String key, String stamp, PutOptions options) {
    String upload = stamp + "-" + newName();
    try {
      Files.createDirectories(hidden.resolve("uploads").resolve(upload));
      return upload;
    } catch (IOException failure) {
      throw fault("beginning an upload of", key, failure);
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
    String tag = String.format("%05d-%s", part, newName());
    try (FileChannel out =
        FileChannel.open(
            upload(key, upload).resolve(tag),
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.WRITE)) {
      append(out, body);
      return tag;
    } catch (IOException failure) {
      throw fault("sending a part of", key, failure);
    }
  }

  @Override
  public PutResult commit(String key, String upload, List<String> tags, PutOptions options) {
    counter.count(Kind.COMMIT);
    Path directory = upload(key, upload);
    for (String tag : tags) {
      if (tag.contains("/") || Files.notExists(directory.resolve(tag))) {
        throw new ForebayException(
            ErrorCode.NO_SUCH_UPLOAD,
            "committing '"
                + key
                + "' in the store "
                + description()
                + ": the part '"
                + tag
                + "' is not there; the upload begins anew");
      }
    }
    PutResult result =
        replace(
            key,
            options,
            out -> {
              for (String tag : tags) {
                try (FileChannel in =
                    FileChannel.open(directory.resolve(tag), StandardOpenOption.READ)) {
                  long size = in.size();
                  for (long done = 0; done < size; ) {
                    done += in.transferTo(done, size - done, out);
                  }
                }
              }
            });
    abort(key, upload);
    return result;
  }

  @Override
  public void abort(String key, String upload) {
    Path directory = upload(key, upload);
    if (Files.notExists(directory)) {
      return;
    }
    try {
      var files = new ArrayList<Path>();
      try (var listing = Files.list(directory)) {
        listing.forEach(files::add);
      }
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
      Files.deleteIfExists(directory);
    } catch (IOException failure) {
      throw fault("dropping an upload of", key, failure);
    }
  }

  @Override
  public PutResult copy(String sourceKey, String sourceEtag, String key, PutOptions options) {
    counter.count(Kind.COPY);
    try (FileChannel in = FileChannel.open(file(sourceKey), StandardOpenOption.READ)) {
      Stored source = inspect(in, Files.getLastModifiedTime(file(sourceKey)).toMillis());
      if (!source.properties().etag().equals(sourceEtag)) {
        return new PutResult.Refused();
      }
      return replace(
          key,
          options,
          out -> {
            for (long done = 0; done < source.bodyBytes(); ) {
              done += in.transferTo(done, source.bodyBytes() - done, out);
            }
          });
    } catch (NoSuchFileException absent) {
      return new PutResult.Refused();
    } catch (IOException failure) {
      throw fault("copying", sourceKey, failure);
    }
  }

  @Override
  public DeleteResult delete(String key, StoreCondition condition) {
    counter.count(Kind.DELETE);
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
          Files.deleteIfExists(file);
          for (Path parent = file.getParent();
              parent != null && !parent.equals(root);
              parent = parent.getParent()) {
            try {
              Files.delete(parent);
            } catch (DirectoryNotEmptyException | NoSuchFileException end) {
              break;
            }
          }
          return new DeleteResult.Deleted();
        });
  }

  @Override
  public StoreRequests requests() {
    return counter.requests();
  }

  @Override
  public void close() {}
}
