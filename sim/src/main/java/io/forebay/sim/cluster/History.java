package io.forebay.sim.cluster;

import io.forebay.core.id.BucketId;
import io.forebay.core.id.Generation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What each key held, and since when: the order in which the log made it so. A write takes effect
 * at its commit, so a read is right when what it saw was current at some moment between its begin
 * and its end; nothing has to be searched.
 */
final class History {
  /**
   * Content that a writer made up.
   *
   * @param seed of the synthetic bytes
   */
  record Version(long number, long seed, long lengthBytes) {}

  private record Change(long atNanos, long generation, Optional<Version> version) {}

  private record Content(long lengthBytes, int crc32c) implements Comparable<Content> {
    @Override
    public int compareTo(Content other) {
      int order = Long.compare(lengthBytes, other.lengthBytes);
      return order != 0 ? order : Integer.compare(crc32c, other.crc32c);
    }
  }

  /** Keys that hold copies from other buckets: content that is published again. */
  static final String CROSSED = "x/";

  private static final Change NEVER = new Change(Long.MIN_VALUE, 0, Optional.empty());

  private final Map<Content, Version> written = new TreeMap<>();
  private final Map<String, List<Change>> keys = new TreeMap<>();
  private final Map<Long, Version> generations = new TreeMap<>();

  private static String key(BucketId bucket, String key) {
    return bucket.value() + "/" + key;
  }

  /** Somebody is going to write this; false when other content of that length and CRC was. */
  boolean intend(Version version, int crc32c) {
    return written.putIfAbsent(new Content(version.lengthBytes(), crc32c), version) == null;
  }

  /** What somebody wrote of that length and CRC. */
  Optional<Version> written(long lengthBytes, int crc32c) {
    return Optional.ofNullable(written.get(new Content(lengthBytes, crc32c)));
  }

  /** What is wrong with a publish: content that nobody wrote, or for the second time. */
  Optional<String> published(
      long now, BucketId bucket, String key, Generation generation, long lengthBytes, int crc32c) {
    Optional<Version> version = written(lengthBytes, crc32c);
    change(now, bucket, key, generation, version);
    if (version.isEmpty()) {
      return Optional.of("content that nobody wrote");
    }
    if (key.startsWith(CROSSED)) {
      return Optional.empty();
    }
    return published.add(version.get().number())
        ? Optional.empty()
        : Optional.of(version.get() + " for the second time");
  }

  private final TreeSet<Long> published = new TreeSet<>();
  private final Map<String, Version> parts = new TreeMap<>();

  /** An upload of one part is going to be completed with this. */
  void intendUpload(BucketId bucket, String key, Version version) {
    parts.put(key(bucket, key), version);
  }

  void completed(long now, BucketId bucket, String key, Generation generation) {
    change(now, bucket, key, generation, Optional.ofNullable(parts.get(key(bucket, key))));
  }

  void copied(
      long now, BucketId from, String source, BucketId to, String target, Generation generation) {
    change(now, to, target, generation, last(from, source).version());
  }

  /** What somebody else wrote in the store became the object. */
  void taken(long now, BucketId bucket, String key, Generation generation, Version version) {
    change(now, bucket, key, generation, Optional.of(version));
  }

  void deleted(long now, BucketId bucket, String key) {
    change(now, bucket, key, new Generation(0), Optional.empty());
  }

  private void change(
      long now, BucketId bucket, String key, Generation generation, Optional<Version> version) {
    keys.computeIfAbsent(key(bucket, key), any -> new ArrayList<>())
        .add(new Change(now, generation.value(), version));
    version.ifPresent(content -> generations.put(generation.value(), content));
  }

  private Change last(BucketId bucket, String key) {
    List<Change> changes = keys.get(key(bucket, key));
    return changes == null ? NEVER : changes.getLast();
  }

  /** Every key of a bucket that ever held something. */
  List<String> keys(BucketId bucket) {
    String prefix = bucket.value() + "/";
    return keys.keySet().stream()
        .filter(key -> key.startsWith(prefix))
        .map(key -> key.substring(prefix.length()))
        .toList();
  }

  /** What the key holds now. */
  Optional<Version> current(BucketId bucket, String key) {
    return last(bucket, key).version();
  }

  /** The generation of what the key holds now; 0 stands for "no object". */
  long generation(BucketId bucket, String key) {
    return last(bucket, key).generation();
  }

  /** What was published as a generation. */
  Optional<Version> of(long generation) {
    return Optional.ofNullable(generations.get(generation));
  }

  /** What the key held at some moment of a span; an empty one stands for "no object". */
  List<Optional<Version>> between(BucketId bucket, String key, long fromNanos, long toNanos) {
    var held = new ArrayList<Optional<Version>>();
    Change before = NEVER;
    for (Change change : keys.getOrDefault(key(bucket, key), List.of())) {
      if (change.atNanos() < fromNanos) {
        before = change;
      } else if (change.atNanos() <= toNanos) {
        held.add(change.version());
      }
    }
    held.addFirst(before.version());
    return held;
  }

  /** The generations that the key had at some moment of a span; 0 stands for "no object". */
  List<Long> generations(BucketId bucket, String key, long fromNanos, long toNanos) {
    var held = new ArrayList<Long>();
    long before = NEVER.generation();
    for (Change change : keys.getOrDefault(key(bucket, key), List.of())) {
      if (change.atNanos() < fromNanos) {
        before = change.generation();
      } else if (change.atNanos() <= toNanos) {
        held.add(change.generation());
      }
    }
    held.addFirst(before);
    return held;
  }

  /** Whether the key ever held a version. */
  boolean wrote(BucketId bucket, String key, Version version) {
    return keys.getOrDefault(key(bucket, key), List.of()).stream()
        .anyMatch(change -> change.version().equals(Optional.of(version)));
  }

  /** Whether the key held something when a generation took its place. */
  boolean replaced(BucketId bucket, String key, Generation generation) {
    Change before = NEVER;
    for (Change change : keys.getOrDefault(key(bucket, key), List.of())) {
      if (change.generation() == generation.value()) {
        break;
      }
      before = change;
    }
    return before.version().isPresent();
  }

  /** Whether a version became current under a generation within a span. */
  boolean took(
      BucketId bucket,
      String key,
      Generation generation,
      Version version,
      long fromNanos,
      long toNanos) {
    return keys.getOrDefault(key(bucket, key), List.of()).stream()
        .anyMatch(change ->
            change.generation() == generation.value()
                && change.version().equals(Optional.of(version))
                && change.atNanos() >= fromNanos
                && change.atNanos() <= toNanos);
  }
}
