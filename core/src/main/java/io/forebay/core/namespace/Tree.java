package io.forebay.core.namespace;

import io.forebay.core.id.BucketId;
import io.forebay.core.id.InodeId;
import io.forebay.core.namespace.Rows.BucketRow;
import io.forebay.core.namespace.Rows.Entry;
import io.forebay.core.sorted.SortedMap;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Optional;

/**
 * Reads directories. Entries of sub-directories are named with a trailing '/', so that a
 * depth-first walk is the order of the keys' bytes: an entry that differs from the bound before the
 * bound's end decides for everything below it.
 */
final class Tree {
  /**
   * Names that were seen in directories: guesses, which are looked at before they are believed, so
   * that nothing depends on what is in here. Used by one thread.
   */
  static final class Seen {
    private static final int MOST = 256;
    private final LinkedHashMap<Long, byte[]> keys = new LinkedHashMap<>();

    private void put(InodeId directory, byte[] key) {
      keys.putLast(directory.value(), key);
      if (keys.size() > MOST) {
        keys.pollFirstEntry();
      }
    }
  }

  private final SortedMap.View view;
  private final Seen seen;

  Tree(SortedMap.View view) {
    this(view, new Seen());
  }

  Tree(SortedMap.View view, Seen seen) {
    this.view = view;
    this.seen = seen;
  }

  Optional<InodeId> root(BucketId bucket) {
    return Rows.get(view, Keys.of(Keys.BUCKET, bucket.value()), BucketRow.class)
        .map(BucketRow::root);
  }

  /** The directory of a path that is empty or ends with '/'. */
  Optional<InodeId> directory(BucketId bucket, byte[] path) {
    return directory(root(bucket), path);
  }

  private Optional<InodeId> directory(Optional<InodeId> from, byte[] path) {
    Optional<InodeId> at = from;
    int begin = 0;
    while (at.isPresent() && begin < path.length) {
      int end = slash(path, begin);
      at =
          entry(at.get(), Arrays.copyOfRange(path, begin, end))
              .filter(Entry.Directory.class::isInstance)
              .map(found -> ((Entry.Directory) found).inode());
      begin = end;
    }
    return at;
  }

  Optional<Entry.File> file(BucketId bucket, String key) {
    return file(root(bucket), Keys.utf8(key));
  }

  /** The object of a path that begins in a directory. */
  Optional<Entry.File> file(InodeId directory, byte[] path) {
    return file(Optional.of(directory), path);
  }

  private Optional<Entry.File> file(Optional<InodeId> from, byte[] path) {
    int name = nameBegin(path);
    return directory(from, Arrays.copyOf(path, name))
        .flatMap(parent -> entry(parent, Arrays.copyOfRange(path, name, path.length)))
        .filter(Entry.File.class::isInstance)
        .map(Entry.File.class::cast);
  }

  Optional<Entry> entry(InodeId directory, byte[] name) {
    return Rows.get(view, Keys.entry(directory, name), Entry.class);
  }

  boolean isEmpty(InodeId directory) {
    return isEmpty(directory, Keys.NOTHING);
  }

  /**
   * The same, when a name was just removed. What is deleted goes in order, from either end, and to
   * pass over all that was removed before costs as much as if it were there: so looks at what it
   * saw the last time, and then behind the name first.
   */
  boolean isEmpty(InodeId directory, byte[] removed) {
    byte[] guess = seen.keys.get(directory.value());
    if (guess != null && view.get(guess).isPresent()) {
      return false;
    }
    byte[] prefix = Keys.of(Keys.ENTRY, directory.value());
    byte[] middle = Keys.entry(directory, removed);
    return isNothing(directory, middle, Keys.behind(prefix))
        && isNothing(directory, prefix, middle);
  }

  private boolean isNothing(InodeId directory, byte[] from, byte[] to) {
    var found = new boolean[1];
    if (Arrays.compareUnsigned(from, to) < 0) {
      view.scan(
          from,
          to,
          (key, value) -> {
            found[0] = true;
            seen.put(directory, key.clone());
            return false;
          });
    }
    return !found[0];
  }

  /** Begin of the last name of a path. */
  static int nameBegin(byte[] path) {
    for (int i = path.length; i > 0; i--) {
      if (path[i - 1] == '/') {
        return i;
      }
    }
    return 0;
  }

  /** The offset behind the next '/', or the end. */
  static int slash(byte[] path, int begin) {
    for (int i = begin; i < path.length; i++) {
      if (path[i] == '/') {
        return i + 1;
      }
    }
    return path.length;
  }

  /** Is told what a walk meets. */
  interface Visitor {
    /** An object; returns whether to go on. */
    boolean object(byte[] path, Entry.File file);

    /**
     * A directory that is about to be entered.
     *
     * @param fromBegin whether all of it lies in the walk, not only what is behind the bound
     */
    Step directory(byte[] path, InodeId inode, boolean fromBegin);
  }

  /** What to do about a directory. */
  enum Step {
    ENTER,
    SKIP,
    STOP
  }

  /** Walks everything at or behind the bound, in order; returns whether the visitor wants more. */
  boolean walk(BucketId bucket, byte[] bound, Visitor visitor) {
    Optional<InodeId> root = root(bucket);
    return root.isEmpty() || walk(root.get(), Keys.NOTHING, bound, visitor);
  }

  private boolean walk(InodeId directory, byte[] path, byte[] bound, Visitor visitor) {
    byte[] prefix = Keys.of(Keys.ENTRY, directory.value());
    // Either the bound lies in this directory, or the whole directory lies behind it.
    boolean inside = Keys.startsWith(bound, path);
    byte[] first =
        inside ? Arrays.copyOfRange(bound, path.length, slash(bound, path.length)) : Keys.NOTHING;
    var more = new boolean[] {true};
    view.scan(
        Keys.entry(directory, first),
        Keys.behind(prefix),
        (key, value) -> {
          byte[] name = Arrays.copyOfRange(key, prefix.length, key.length);
          byte[] full = Arrays.copyOf(path, path.length + name.length);
          System.arraycopy(name, 0, full, path.length, name.length);
          switch (io.forebay.core.codec.RecordCodec.of(Entry.class).decode(value)) {
            case Entry.File file -> more[0] = visitor.object(full, file);
            case Entry.Directory below -> {
              boolean fromBegin = !Keys.startsWith(bound, full) || bound.length == full.length;
              switch (visitor.directory(full, below.inode(), fromBegin)) {
                case ENTER -> more[0] = walk(below.inode(), full, bound, visitor);
                case SKIP -> {}
                case STOP -> more[0] = false;
              }
            }
          }
          return more[0];
        });
    return more[0];
  }
}
