package io.forebay.sim.cluster;

import io.forebay.core.bytes.Bytes;
import io.forebay.core.bytes.Synthetic;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BodyWriter;
import io.forebay.core.file.CompletedPart;
import io.forebay.core.file.CopyOptions;
import io.forebay.core.file.FileService;
import io.forebay.core.file.ListPage;
import io.forebay.core.file.ListQuery;
import io.forebay.core.file.ObjectInfo;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.file.ObjectReader;
import io.forebay.core.file.PartInfo;
import io.forebay.core.file.ReadConditions;
import io.forebay.core.file.StoreConflict;
import io.forebay.core.file.WriteConditions;
import io.forebay.core.file.WriteOptions;
import io.forebay.core.id.UploadId;
import io.forebay.sim.world.SimEnv;
import io.forebay.sim.world.SimWorld;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.random.RandomGenerator;

/**
 * What a client does with a node's files, and what must come of it by the history of what was
 * acknowledged (C1). Each asks a node, from its own process or through another, and is counted;
 * what fails is told in the world's log.
 */
final class Operations {
  private static final long SECOND = 1_000_000_000L;
  // What a writer is told only when the log has nothing of it.
  private static final Set<ErrorCode> REFUSALS =
      EnumSet.of(ErrorCode.PRECONDITION_FAILED, ErrorCode.QUOTA_EXCEEDED);
  // What is told of changes only when there was none.
  private static final Set<ErrorCode> REFUSED =
      EnumSet.of(ErrorCode.NOT_FOUND, ErrorCode.PRECONDITION_FAILED);
  // What is never told of an upload whose parts were acknowledged.
  private static final Set<ErrorCode> OF_PARTS =
      EnumSet.of(
          ErrorCode.INVALID_PART,
          ErrorCode.INVALID_PART_ORDER,
          ErrorCode.PART_TOO_SMALL,
          ErrorCode.NO_SUCH_UPLOAD);
  // A writer gives up after 30 s, each of its commands after 15 s, and nobody is paused for longer
  // than 20 s.
  private static final long OPERATION_NANOS = 180 * SECOND;

  /** Something that a client does, in a process, with a node's files. */
  @FunctionalInterface
  interface Act {
    void run(SimEnv env, FileService files);
  }

  private final SimWorld world;
  private final SimEnv client;
  private final RandomGenerator random;
  private final Judge judge;
  private final Optional<SimStore> store;
  private final SimCluster cluster;
  private final KeySpace keys;
  private long nextVersion = 1;
  private final boolean inParts;
  private long asked;
  private long completedInParts;
  private long acknowledged;

  /**
   * @param client whose threads ask
   * @param store behind the buckets that have one
   * @param inParts whether some uploads have two parts, of which the first is of 5 MiB and more
   */
  Operations(
      SimWorld world,
      SimEnv client,
      RandomGenerator random,
      Judge judge,
      Optional<SimStore> store,
      SimCluster cluster,
      KeySpace keys,
      boolean inParts) {
    this.world = world;
    this.client = client;
    this.random = random;
    this.judge = judge;
    this.store = store;
    this.cluster = cluster;
    this.keys = keys;
    this.inParts = inParts;
  }

  /** How many were asked of nodes that ran. */
  long asked() {
    return asked;
  }

  /** Uploads of more than one part that were completed. */
  long completedInParts() {
    return completedInParts;
  }

  /** How many succeeded. */
  long acknowledged() {
    return acknowledged;
  }

  /** What is to be written next, of a length that chance gives. */
  History.Version version() {
    int kind = random.nextInt(100);
    long length =
        kind < 10
            ? random.nextLong(1, 2_048)
            : kind < 96 ? random.nextLong(2_050, 40_000) : random.nextLong(900_000, 2_300_000);
    return version(length);
  }

  /** What is to be written next. */
  History.Version version(long length) {
    while (true) {
      var version = new History.Version(nextVersion++, random.nextLong(), length);
      if (judge
          .history()
          .intend(version, new Synthetic(version.seed(), 0, (int) length).crc32c())) {
        return version;
      }
    }
  }

  private void pour(SimEnv env, History.Version version, BodyWriter<?> body, boolean maybeSlowly) {
    pour(env, version, 0, version.lengthBytes(), body, maybeSlowly);
  }

  /** Its bytes from one offset to another. */
  private void pour(
      SimEnv env,
      History.Version version,
      long from,
      long to,
      BodyWriter<?> body,
      boolean maybeSlowly) {
    // A slow writer's chunk is admitted under one epoch and finished under another; a very slow
    // one's session ends meanwhile.
    int kind = maybeSlowly ? random.nextInt(100) : 100;
    long pause =
        kind == 0 ? random.nextLong(15 * SECOND) : kind < 12 ? random.nextLong(1, 3 * SECOND) : 0;
    // The first slice is longer than what lies in a manifest, or is all: slabs of a process do not
    // come to lie on simulated disks that way.
    int slice = version.lengthBytes() > 100_000 ? 1 << 18 : random.nextInt(2_049, 20_000);
    for (long at = from; at < to; at += slice) {
      body.write(new Synthetic(version.seed(), at, (int) Math.min(slice, to - at)));
      if (pause > 0) {
        env.sleep(pause);
        pause /= 2;
      }
    }
  }

  /** With the length announced or not, and with an MD5 or without. */
  private WriteOptions options(long lengthBytes, WriteConditions conditions) {
    return new WriteOptions(
        ObjectMetadata.NONE,
        conditions,
        random.nextBoolean() ? OptionalLong.of(lengthBytes) : OptionalLong.empty(),
        random.nextBoolean());
  }

  /** Returns whether it was acknowledged. */
  boolean write(int index, Place place, String key) {
    return write(index, place, key, version());
  }

  /** Nothing is broken, so it has to be acknowledged. */
  void mustWrite(int index, Place place, String key, long length) {
    Optional<ForebayException> failure = write(index, place, key, version(length), false, false);
    if (failure.isPresent()) {
      judge.violation(
          key + " could not be written at n" + index + ", nothing is broken: " + failure.get());
    }
  }

  /** Returns whether it was acknowledged. */
  boolean write(int index, Place place, String key, History.Version version) {
    return write(index, place, key, version, random.nextInt(12) == 0, true).isEmpty();
  }

  private Optional<ForebayException> write(
      int index,
      Place place,
      String key,
      History.Version version,
      boolean absent,
      boolean maybeSlowly) {
    WriteOptions options =
        options(version.lengthBytes(), absent ? WriteConditions.ABSENT : WriteConditions.NONE);
    long began = world.nanoTime();
    Optional<ForebayException> failure =
        perform(
            index,
            place.bucket() + "/" + key + (absent ? " := if absent " : " := ") + version,
            (env, files) -> {
              ObjectInfo info;
              try (BodyWriter<ObjectInfo> body = files.create(place.bucket(), key, options)) {
                pour(env, version, body, maybeSlowly);
                info = body.publish(Optional.empty());
              }
              acknowledge(env, place, key, info, version, began);
              if (absent && judge.history().replaced(place.id(), key, info.generation())) {
                judge.violation("C1: " + key + " was written if absent, and there was one");
              }
            });
    if (failure.filter(each -> REFUSALS.contains(each.code())).isPresent()
        && judge.history().wrote(place.id(), key, version)) {
      judge.violation("C1: the log has " + version + " of " + key + "; refused: " + failure.get());
    }
    return failure;
  }

  private void acknowledge(
      SimEnv env, Place place, String key, ObjectInfo info, History.Version version, long began) {
    env.checkAlive();
    if (place.backed() && key.startsWith(KeySpace.THROUGH)) {
      store.orElseThrow().judge().through(place.id(), key, info.generation());
    }
    if (!judge
        .history()
        .took(place.id(), key, info.generation(), version, began, world.nanoTime())) {
      judge.violation(
          "C1: "
              + key
              + " was acknowledged as "
              + info.generation()
              + " of "
              + version
              + ", which the log does not have");
    }
  }

  void delete(int index, Place place, String key) {
    boolean together = random.nextInt(4) == 0;
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "/" + key + " deleted",
        Judge.deletion(place.id(), key),
        (env, files) -> {
          if (together) {
            Optional<ForebayException> refused =
                files.deleteMany(place.bucket(), List.of(key)).getFirst().failure();
            if (refused.isPresent()) {
              throw refused.get();
            }
          } else {
            files.delete(place.bucket(), key, WriteConditions.NONE);
          }
          env.checkAlive();
          if (!judge
              .history()
              .between(place.id(), key, began, world.nanoTime())
              .contains(Optional.<History.Version>empty())) {
            judge.violation("C1: the deletion of " + key + " was acknowledged and did not happen");
          }
        });
  }

  void copy(int index, Place place, String from, String to) {
    if (from.equals(to)) {
      return;
    }
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "/" + to + " := copy of " + from,
        Judge.copying(place.id(), from, place.id(), to),
        (env, files) -> {
          ObjectInfo made =
              files.copy(
                  place.bucket(),
                  from,
                  ReadConditions.NONE,
                  place.bucket(),
                  to,
                  CopyOptions.DEFAULT);
          env.checkAlive();
          List<Long> held = judge.history().generations(place.id(), to, began, world.nanoTime());
          if (!held.contains(made.generation().value())) {
            judge.violation(
                "C1: the copy to " + to + " was acknowledged as " + made + "; it held " + held);
          }
        });
  }

  /** A copy from another bucket, whose family, and perhaps store, is another one. */
  void cross(int index, Place from, String key, Place to) {
    String target = keys.crossed();
    long began = world.nanoTime();
    perform(
        index,
        to.bucket() + "/" + target + " := copy of " + from.bucket() + "/" + key,
        Judge.copying(from.id(), key, to.id(), target),
        (env, files) -> {
          ObjectInfo made =
              files.copy(
                  from.bucket(),
                  key,
                  ReadConditions.NONE,
                  to.bucket(),
                  target,
                  CopyOptions.DEFAULT);
          env.checkAlive();
          Optional<History.Version> copied = judge.history().of(made.generation().value());
          if (copied.isEmpty()
              || !judge
                  .history()
                  .between(from.id(), key, began, world.nanoTime())
                  .contains(copied)) {
            judge.violation("C1: " + target + " is " + copied + ", which " + key + " never held");
          }
        });
  }

  void rename(int index, Place place, String from, String to) {
    if (from.equals(to)) {
      return;
    }
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "/" + from + " renamed to " + to,
        Judge.renaming(place.id(), from, to),
        (env, files) -> {
          files.rename(place.bucket(), from, to);
          env.checkAlive();
          if (!from.endsWith("/")) {
            long now = world.nanoTime();
            List<Long> old = judge.history().generations(place.id(), from, began, now);
            List<Long> held = judge.history().generations(place.id(), to, began, now);
            if (old.size() < 2 || held.size() < 2 || !old.subList(1, old.size()).contains(0L)) {
              judge.violation(
                  "C1: that %s became %s was acknowledged; they held %s and %s"
                      .formatted(from, to, old, held));
            }
          }
        });
  }

  /** Returns whether it was acknowledged; no key twice. */
  boolean upload(int index, Place place, String key) {
    // Parts but the last are long, and small disks soon full of them.
    boolean two = inParts && random.nextInt(6) == 0;
    History.Version version =
        two ? version(PartInfo.MIN_BYTES + random.nextLong(1, PartInfo.MIN_BYTES / 4)) : version();
    long began = world.nanoTime();
    // Never what may refer to a store object: left open, it would keep that for a week (F6).
    boolean givesUp = !place.backed() && random.nextInt(4) == 0;
    judge.history().intendUpload(place.id(), key, version);
    return perform(
        index,
        place.bucket() + "/" + key + " uploaded as " + version,
        Judge.completion(place.id(), key),
        (env, files) -> {
          UploadId upload = files.createUpload(place.bucket(), key, ObjectMetadata.NONE);
          List<CompletedPart> parts = parts(env, files, place, key, upload, version);
          if (random.nextInt(3) == 0) {
            notThere(files, env, place, key);
          }
          if (givesUp) {
            giveUp(files, place, key, upload, parts.size());
            return;
          }
          ObjectInfo info = complete(env, files, place, key, upload, parts);
          acknowledge(env, place, key, info, version, began);
          completedInParts += parts.size() > 1 ? 1 : 0;
        });
  }

  /** Its parts are there as they were acknowledged, so that none of them may be refused. */
  private ObjectInfo complete(
      SimEnv env,
      FileService files,
      Place place,
      String key,
      UploadId upload,
      List<CompletedPart> parts) {
    try {
      return files.completeUpload(
          place.bucket(), key, upload, parts, WriteConditions.NONE, OptionalLong.empty());
    } catch (ForebayException refused) {
      env.checkAlive();
      if (OF_PARTS.contains(refused.code())) {
        judge.violation("C1: the upload of " + key + " is refused: " + refused);
      }
      throw refused;
    }
  }

  /** One or two, in any order; at times one is sent with other bytes before. */
  private List<CompletedPart> parts(
      SimEnv env,
      FileService files,
      Place place,
      String key,
      UploadId upload,
      History.Version version) {
    var ends = new TreeSet<Long>(List.of(version.lengthBytes()));
    if (version.lengthBytes() > PartInfo.MIN_BYTES) {
      ends.add(random.nextLong(PartInfo.MIN_BYTES, version.lengthBytes()));
    }
    var sent = new TreeMap<Integer, CompletedPart>();
    while (sent.size() < ends.size()) {
      int part = random.nextInt(1, ends.size() + 1);
      if (sent.containsKey(part)) {
        continue;
      }
      long to = List.copyOf(ends).get(part - 1);
      long from = Optional.ofNullable(ends.lower(to)).orElse(0L);
      if (random.nextInt(8) == 0) {
        History.Version other = version(random.nextLong(1, 40_000));
        send(env, files, place, key, upload, part, other, 0, other.lengthBytes());
      }
      PartInfo info = send(env, files, place, key, upload, part, version, from, to);
      sent.put(part, new CompletedPart(part, info.etag()));
    }
    return List.copyOf(sent.values());
  }

  private PartInfo send(
      SimEnv env,
      FileService files,
      Place place,
      String key,
      UploadId upload,
      int part,
      History.Version version,
      long from,
      long to) {
    WriteOptions options = options(to - from, WriteConditions.NONE);
    try (BodyWriter<PartInfo> body = files.createPart(place.bucket(), key, upload, part, options)) {
      pour(env, version, from, to, body, true);
      return body.publish(Optional.empty());
    }
  }

  /** Adds a copied part to an upload, looks at it, and drops it. */
  private void giveUp(FileService files, Place place, String key, UploadId upload, int sent) {
    files.copyPart(
        place.bucket(),
        key,
        upload,
        sent + 1,
        place.bucket(),
        keys.key(),
        ReadConditions.NONE,
        Optional.empty());
    int parts = files.listParts(place.bucket(), key, upload, 0, 1_000).parts().size();
    if (parts != sent + 1) {
      judge.violation(
          "C1: an upload of %s has %d parts and not %d".formatted(key, parts, sent + 1));
    }
    files.abortUpload(place.bucket(), key, upload);
  }

  /** Says keep or take about each conflict. */
  void decide(int index, Place place) {
    perform(
        index,
        place.bucket() + " is decided about",
        (env, files) -> {
          for (StoreConflict each : files.conflicts(place.bucket())) {
            files.resolveConflict(
                place.bucket(),
                each.key(),
                random.nextBoolean()
                    ? StoreConflict.Resolution.KEEP
                    : StoreConflict.Resolution.TAKE,
                each.generation(),
                each.storeEtag());
          }
        });
  }

  /** Listings and reports. */
  void look(int index, Place place, String key) {
    switch (random.nextInt(8)) {
      case 0 ->
          perform(
              index,
              place.bucket() + " is asked for uploads",
              (env, files) -> files.listUploads(place.bucket(), "", "", Optional.empty(), 1_000));
      case 1 ->
          perform(
              index,
              place.bucket() + "/" + key + " is asked for its places",
              (env, files) -> files.pathStatus(place.bucket(), key));
      case 2 ->
          perform(
              index,
              place.bucket() + " is asked for its flush",
              (env, files) -> files.flushStatus(place.bucket(), ""));
      case 3 ->
          perform(
              index,
              place.bucket() + "/" + key + " gets a header",
              (env, files) -> {
                ObjectInfo now =
                    files.changeHeaders(place.bucket(), key, Map.of("x-amz-tagging", "a=b"));
                files.partsOf(place.bucket(), key, now.generation(), 0, 1_000);
              });
      case 4 -> directories(index, place);
      default -> list(index, place);
    }
  }

  /** Directories are listed when something below them is there. */
  private void directories(int index, Place place) {
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + "'s directories are listed",
        (env, files) -> {
          var found = new TreeSet<String>();
          Optional<String> after = Optional.of("");
          while (after.isPresent()) {
            ListPage page =
                files.list(
                    place.bucket(), new ListQuery("", "/", after.get(), random.nextInt(1, 4)));
            found.addAll(page.commonPrefixes());
            after = page.next();
          }
          env.checkAlive();
          var always = new TreeSet<String>();
          var sometimes = new TreeSet<String>();
          for (String key : judge.history().keys(place.id())) {
            String directory = key.substring(0, key.indexOf('/') + 1);
            List<Long> held = judge.history().generations(place.id(), key, began, world.nanoTime());
            List<Long> markers = markers(place, key, began, held);
            if (!held.contains(0L) && !markers.contains(0L)) {
              always.add(directory);
            }
            if (!held.stream().allMatch(each -> each == 0)
                && !markers.stream().allMatch(each -> each == 0)) {
              sometimes.add(directory);
            }
          }
          if (!found.containsAll(always) || !sometimes.containsAll(found)) {
            judge.violation(
                "C1: "
                    + found
                    + " were listed; there were always "
                    + always
                    + ", and at times "
                    + sometimes);
          }
        });
  }

  /** What the marker of a key's checkpoint held since then; of another key what that held. */
  private List<Long> markers(Place place, String key, long began, List<Long> held) {
    return judge
        .policies()
        .marker(place.id(), key)
        .map(marker -> judge.history().generations(place.id(), marker, began, world.nanoTime()))
        .orElse(held);
  }

  /**
   * A listing shows what each key held at some moment of it; of a checkpoint nothing but while its
   * marker was there.
   */
  private void list(int index, Place place) {
    long began = world.nanoTime();
    perform(
        index,
        place.bucket() + " is listed",
        (env, files) -> {
          var found = new TreeMap<String, Long>();
          Optional<String> after = Optional.of("");
          while (after.isPresent()) {
            ListPage page =
                files.list(
                    place.bucket(), new ListQuery("", "", after.get(), random.nextInt(1, 40)));
            for (ObjectInfo each : page.objects()) {
              if (found.put(each.key(), each.generation().value()) != null) {
                judge.violation("C1: " + each.key() + " was listed twice");
              }
            }
            after = page.next();
          }
          env.checkAlive();
          var unknown = new TreeSet<>(found.keySet());
          judge.history().keys(place.id()).forEach(unknown::remove);
          if (!unknown.isEmpty()) {
            judge.violation("C1: " + unknown + " were listed, and were never there");
          }
          for (String key : judge.history().keys(place.id())) {
            long listed = found.getOrDefault(key, 0L);
            List<Long> held = judge.history().generations(place.id(), key, began, world.nanoTime());
            List<Long> markers = markers(place, key, began, held);
            boolean right =
                listed == 0
                    ? held.contains(0L) || markers.contains(0L)
                    : held.contains(listed) && !markers.stream().allMatch(each -> each == 0);
            if (!right) {
              judge.violation(
                  "C1: "
                      + key
                      + " was listed as "
                      + listed
                      + "; it held "
                      + held
                      + ", the marker "
                      + markers);
            }
          }
        });
  }

  /**
   * What is read is what the key held at some moment of the reading.
   *
   * @param mustWork nothing is broken
   */
  void read(int index, Place place, String key, boolean mustWork) {
    String what = place.bucket() + "/" + key + " read";
    Optional<ForebayException> failure =
        perform(index, what, (env, files) -> readOne(files, env, place, key));
    if (mustWork && failure.isPresent()) {
      judge.violation(
          what + " at n" + index + " failed while nothing was broken: " + failure.get());
    }
  }

  /** What is not published is not seen, by who can ask. */
  private void notThere(FileService files, SimEnv env, Place place, String key) {
    try {
      readOne(files, env, place, key);
    } catch (ForebayException unanswered) {
      env.checkAlive();
    }
  }

  private void readOne(FileService files, SimEnv env, Place place, String key) {
    long began = world.nanoTime();
    ObjectReader reader;
    try {
      reader = files.open(place.bucket(), key, ReadConditions.NONE);
    } catch (ForebayException failure) {
      env.checkAlive();
      if (failure.code() != ErrorCode.NOT_FOUND) {
        throw failure;
      }
      List<Optional<History.Version>> held =
          judge.history().between(place.id(), key, began, world.nanoTime());
      if (!held.contains(Optional.<History.Version>empty())) {
        judge.violation("C1: " + key + " was not found; it held " + held);
      }
      return;
    }
    try (reader) {
      env.checkAlive();
      List<Optional<History.Version>> held =
          judge.history().between(place.id(), key, began, world.nanoTime());
      long length = reader.info().lengthBytes();
      var matching = new ArrayList<History.Version>();
      for (Optional<History.Version> version : held) {
        version.filter(each -> each.lengthBytes() == length).ifPresent(matching::add);
      }
      for (long at = 0; at < length && judge.sound(); ) {
        Bytes bytes = reader.read(at, (int) Math.min(1 << 18, length - at));
        long from = at;
        int crc = bytes.crc32c();
        int count = bytes.length();
        matching.removeIf(version -> new Synthetic(version.seed(), from, count).crc32c() != crc);
        at += count;
        bytes.release();
      }
      if (matching.isEmpty()) {
        judge.violation("C1: " + key + " was read as " + reader.info() + "; it held " + held);
      }
    }
  }

  /**
   * Counts, tells and bounds one operation on a node's files, from its own process or from another;
   * empty when it succeeded.
   */
  Optional<ForebayException> perform(int index, String what, Act act) {
    asked++;
    int drawn = random.nextInt(3) == 0 ? random.nextInt(cluster.size()) : index;
    int process = cluster.runs(drawn) ? drawn : index;
    SimEnv env = cluster.env(process);
    FileService files = cluster.files(process, index);
    Optional<ForebayException> failure = in(process, () -> act.run(env, files));
    if (failure.isEmpty()) {
      acknowledged++;
    }
    world
        .log()
        .add(
            world.nanoTime(),
            "n"
                + index
                + (process == index ? " " : " through n" + process + " ")
                + what
                + failure.map(each -> ": " + each.getMessage()).orElse(""));
    return failure;
  }

  /** The same, of something that changes what keys hold. */
  private boolean perform(int index, String what, String change, Act act) {
    judge.want(change);
    Optional<ForebayException> failure = perform(index, what, act);
    judge.ended(change, failure.isEmpty() || REFUSED.contains(failure.get().code()));
    return failure.isEmpty();
  }

  /** Runs something in a node's process; empty when it was done, else why not (or not known). */
  Optional<ForebayException> in(int index, Runnable action) {
    return cluster.in(client, index, OPERATION_NANOS, action);
  }
}
