package io.forebay.core.namespace;

import static io.forebay.core.namespace.Shard.BACK;
import static io.forebay.core.namespace.Shard.BUCKET;
import static io.forebay.core.namespace.Shard.CACHE_ONLY;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.file.FlushState;
import io.forebay.core.file.ObjectKey;
import io.forebay.core.file.ObjectMetadata;
import io.forebay.core.id.ChunkId;
import io.forebay.core.id.SessionId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random walks against simple models; the seed is the parameter. */
final class NamespaceWalkTest {
  private static final String[] NAMES = {
    "a",
    "a/b",
    "a/b/c",
    "a!",
    "a/",
    "a//x",
    "b",
    "b/é",
    "b/z/1",
    "b/z/2",
    "b-1",
    "c/\uD83D\uDE00",
    "c/\uFFFD"
  };

  private record Owner(Set<ChunkId> chunks, long untilMillis) {}

  /** What a visible object is in the model. */
  private record Body(String etag, Set<ChunkId> chunks) {}

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void visibleObjectsListingsAndOwnershipFollowTheModel(long seed) {
    var random = new SplittableRandom(seed);
    var shard = new Shard();
    var twin = new Shard();
    var model = new TreeMap<String, Body>(ObjectKey.ORDER);
    var held = new ArrayList<Owner>();
    var sessions = new ArrayList<SessionId>();
    var next = new HashMap<SessionId, Long>();
    var open = new HashSet<SessionId>();
    for (int step = 0; step < 600; step++) {
      String key = NAMES[random.nextInt(NAMES.length)];
      String other = NAMES[random.nextInt(NAMES.length)];
      NamespaceCommand command;
      switch (random.nextInt(8)) {
        case 0 -> command = new NamespaceCommand.OpenSession(Shard.NODE);
        case 1 ->
            command =
                sessions.isEmpty()
                    ? new NamespaceCommand.ExpireTick(3)
                    : new NamespaceCommand.CloseSession(
                        sessions.get(random.nextInt(sessions.size())));
        case 2 -> command = new NamespaceCommand.ExpireTick(1000);
        case 3 ->
            command = new NamespaceCommand.Delete(BUCKET, key, Preconditions.NONE, CACHE_ONLY);
        case 4 -> {
          if (key.endsWith("/") || other.endsWith("/")) {
            continue;
          }
          command = new NamespaceCommand.Rename(BUCKET, key, other, CACHE_ONLY);
        }
        case 5 ->
            command =
                new NamespaceCommand.Copy(
                    BUCKET,
                    key,
                    Optional.empty(),
                    BUCKET,
                    other,
                    Optional.empty(),
                    random.nextBoolean() ? Preconditions.ABSENT : Preconditions.NONE,
                    CACHE_ONLY);
        default -> {
          if (open.isEmpty()) {
            continue;
          }
          SessionId session =
              sessions.stream().filter(open::contains).reduce((a, b) -> b).orElseThrow();
          long from = next.get(session);
          long to = from + 1 + random.nextInt(70);
          next.put(session, to);
          String present = model.containsKey(key) ? model.get(key).etag() : "none";
          Preconditions conditions =
              switch (random.nextInt(4)) {
                case 0 -> Preconditions.ABSENT;
                case 1 -> Preconditions.ifMatch(present);
                case 2 -> Preconditions.ifMatch("else");
                default -> Preconditions.NONE;
              };
          Manifest manifest = Shard.chunks(session, from, to);
          command =
              new NamespaceCommand.Publish(
                  session,
                  to,
                  BUCKET,
                  key,
                  manifest.lengthBytes(),
                  Optional.of("e" + step),
                  0,
                  ObjectMetadata.NONE,
                  manifest,
                  conditions,
                  CACHE_ONLY);
        }
      }
      NamespaceResult result = shard.apply(command);
      assertThat(twin.apply(command)).as("step " + step).isEqualTo(result);
      switch (command) {
        case NamespaceCommand.OpenSession c -> {
          SessionId session = ((NamespaceResult.SessionOpened) result).session();
          sessions.add(session);
          next.put(session, 1L);
          open.add(session);
        }
        case NamespaceCommand.CloseSession c -> open.remove(c.session());
        case NamespaceCommand.Delete c -> {
          assertThat(((NamespaceResult.Deleted) result).existed())
              .isEqualTo(model.containsKey(key));
          hold(held, model.remove(key), shard.now);
        }
        case NamespaceCommand.Rename c -> {
          assertThat(result instanceof NamespaceResult.Renamed).isEqualTo(model.containsKey(key));
          if (model.containsKey(key) && !key.equals(other)) {
            Body moved = model.remove(key);
            hold(held, moved, shard.now);
            hold(held, model.put(other, moved), shard.now);
          }
        }
        case NamespaceCommand.Copy c -> {
          boolean allowed =
              model.containsKey(key) && !(c.conditions().ifAbsent() && model.containsKey(other));
          assertThat(result instanceof NamespaceResult.Published).isEqualTo(allowed);
          if (allowed) {
            hold(held, model.put(other, model.get(key)), shard.now);
          }
        }
        case NamespaceCommand.Publish c -> {
          Body present = model.get(key);
          ErrorCode expected = null;
          if (c.conditions().ifAbsent() && present != null) {
            expected = ErrorCode.PRECONDITION_FAILED;
          } else if (c.conditions().ifMatch().isPresent() && present == null) {
            expected = ErrorCode.NOT_FOUND;
          } else if (c.conditions().ifMatch().isPresent()
              && !c.conditions().ifMatch().get().equals(present.etag())) {
            expected = ErrorCode.PRECONDITION_FAILED;
          }
          if (expected != null) {
            assertThat(((NamespaceResult.Refused) result).code()).isEqualTo(expected);
          } else {
            var chunks = new HashSet<ChunkId>();
            ((Manifest.Extents) c.manifest()).extents().forEach(e -> chunks.add(e.chunk()));
            hold(held, model.put(key, new Body("e" + step, chunks)), shard.now);
          }
        }
        default -> {}
      }
      if (command instanceof NamespaceCommand.ExpireTick) {
        shard.apply(new NamespaceCommand.ExpireTick(1000));
        twin.apply(new NamespaceCommand.ExpireTick(1000));
        held.removeIf(owner -> owner.untilMillis() <= shard.now);
      }
      shard.now += random.nextInt(200);
      twin.now = shard.now;
      assertThat(shard.use().heldBytes()).as("step " + step).isEqualTo(shard.heldByRows());
      if (step % 20 == 0) {
        checkOwnership(shard, model, held, sessions, next, open);
        checkListings(shard, model, random);
      }
    }
    assertThat(twin.bytes()).isEqualTo(shard.bytes());
    Shard reopened = new Shard(shard.map);
    for (Map.Entry<String, Body> entry : model.entrySet()) {
      assertThat(reopened.stat(entry.getKey()).orElseThrow().etag())
          .isEqualTo(entry.getValue().etag());
    }
  }

  private static void hold(List<Owner> held, Body body, long now) {
    if (body != null) {
      held.add(new Owner(body.chunks(), now + CACHE_ONLY.readGraceMillis()));
    }
  }

  private static void checkOwnership(
      Shard shard,
      Map<String, Body> model,
      List<Owner> held,
      List<SessionId> sessions,
      Map<SessionId, Long> next,
      Set<SessionId> open) {
    var named = new HashSet<ChunkId>();
    model.values().forEach(body -> named.addAll(body.chunks()));
    held.forEach(owner -> named.addAll(owner.chunks()));
    for (SessionId session : sessions) {
      for (long s = 1; s < next.get(session); s += 7) {
        ChunkState expected =
            open.contains(session)
                ? ChunkState.OPEN
                : named.contains(new ChunkId(session, s)) ? ChunkState.OWED : ChunkState.GARBAGE;
        assertThat(shard.state(session, s)).isEqualTo(expected);
      }
    }
  }

  private static void checkListings(Shard shard, Map<String, Body> model, SplittableRandom random) {
    String[] prefixes = {"", "a", "a/", "b/z", "b/z/", "c/", "zz"};
    String prefix = prefixes[random.nextInt(prefixes.length)];
    String[] delimiters = {"", "/", "-", "z"};
    String delimiter = delimiters[random.nextInt(delimiters.length)];
    String start = random.nextBoolean() ? "" : NAMES[random.nextInt(NAMES.length)];
    var expected = new ArrayList<String>();
    for (String key : model.keySet()) {
      if (key.startsWith(prefix) && ObjectKey.ORDER.compare(key, start) > 0) {
        int at = delimiter.isEmpty() ? -1 : key.indexOf(delimiter, prefix.length());
        String shown = at < 0 ? key : "P:" + key.substring(0, at + delimiter.length());
        if (!shown.equals("P:" + start) && !expected.contains(shown)) {
          expected.add(shown);
        }
      }
    }
    var listed = new HashSet<String>();
    var ordered = new ArrayList<String>();
    int max = 1 + random.nextInt(4);
    Optional<String> after = Optional.of(start);
    while (after.isPresent()) {
      var page =
          (NamespaceAnswer.Listing)
              shard.query(
                  new NamespaceQuery.ListObjects(BUCKET, prefix, delimiter, after.get(), max));
      page.objects().forEach(head -> ordered.add(head.key()));
      page.objects().forEach(head -> listed.add(head.key()));
      page.commonPrefixes().forEach(common -> listed.add("P:" + common));
      assertThat(page.objects().size() + page.commonPrefixes().size()).isLessThanOrEqualTo(max);
      after = page.next();
    }
    assertThat(listed)
        .as("prefix '%s' delimiter '%s' after '%s'", prefix, delimiter, start)
        .containsExactlyInAnyOrderElementsOf(expected);
    assertThat(ordered).isSortedAccordingTo(ObjectKey.ORDER).doesNotHaveDuplicates();
  }

  /** An object in the modelled store. */
  private record Stored(String etag, StoreHead.Stamp stamp, String content) {}

  /** A request whose answer was lost, and which may land until its time is over. */
  private record Late(FlushTask task, long untilMillis) {}

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
  void theStoreEndsUpWithTheNewestAndCleanIsFinal(long seed) {
    var random = new SplittableRandom(seed);
    var shard = new Shard();
    var store = new TreeMap<String, Stored>();
    var late = new ArrayList<Late>();
    var finals = new HashMap<ChunkId, ChunkState>();
    String[] keys = {"a", "b", "d/c", "d/e"};
    SessionId session = shard.session();
    var ended = new ArrayList<SessionId>();
    int[] serial = {1};
    for (int step = 0; step < 800; step++) {
      boolean quiet = step > 500;
      String key = keys[random.nextInt(keys.length)];
      String other = keys[random.nextInt(keys.length)];
      int dice = quiet ? 9 : random.nextInt(12);
      if (dice < 2) {
        var manifest = Shard.chunks(session, step * 4L + 1, step * 4L + 4);
        NamespaceCommand.Publish c = shard.publishing(session, key, manifest, BACK);
        shard.apply(
            new NamespaceCommand.Publish(
                c.session(),
                c.publishSequence(),
                BUCKET,
                key,
                c.lengthBytes(),
                Optional.of("content" + step),
                0,
                ObjectMetadata.NONE,
                manifest,
                Preconditions.NONE,
                BACK));
      } else if (dice == 2) {
        shard.delete(key);
      } else if (dice == 3) {
        // Overwriting a target by a rename may close a cycle of sources, which is a named refusal.
        if (shard.stat(other).isEmpty() && shard.recordOf(other).isEmpty()) {
          shard.apply(new NamespaceCommand.Rename(BUCKET, key, other, BACK));
        }
      } else if (dice == 4) {
        shard.close(session);
        ended.add(session);
        session = shard.session();
      } else {
        shard.tick();
        flushOne(shard, store, late, random, serial, quiet);
      }
      shard.now += random.nextInt(quiet ? 100 : 40);
      if (random.nextInt(4) == 0 || quiet) {
        late.removeIf(l -> {
          if (l.untilMillis() <= shard.now || random.nextInt(3) > 0) {
            return l.untilMillis() <= shard.now;
          }
          land(store, l.task(), serial);
          return true;
        });
      }
      checkClean(shard, keys, ended, step, finals);
      assertThat(shard.use().heldBytes()).as("step " + step).isEqualTo(shard.heldByRows());
    }
    shard.now += BACK.readGraceMillis();
    shard.tick();
    assertThat(shard.use().heldBytes()).as("all of it is flushed").isZero();
    for (String key : keys) {
      Optional<ObjectHead> head = shard.stat(key);
      assertThat(Optional.ofNullable(store.get(key)).map(Stored::content))
          .as("store object '%s', %s", key, shard.recordOf(key))
          .isEqualTo(head.map(ObjectHead::etag));
      head.ifPresent(h -> assertThat(h.flush()).isEqualTo(FlushState.FLUSHED));
    }
  }

  private static boolean land(Map<String, Stored> store, FlushTask task, int[] serial) {
    Stored present = store.get(task.key());
    boolean holds =
        switch (task.condition()) {
          case StoreSight.Absent absent -> present == null;
          case StoreSight.Present seen -> present != null && present.etag().equals(seen.etag());
        };
    if (!holds) {
      return false;
    }
    if (task.kind() == FlushKind.DELETE) {
      store.remove(task.key());
      return true;
    }
    if (task.kind() == FlushKind.COPY) {
      StoreRef ref = ((Manifest.Stored) task.manifest()).ref();
      Stored source = store.get(ref.key());
      if (source == null || !source.etag().equals(ref.etag())) {
        return false;
      }
      assertThat(source.content()).isEqualTo(task.etag());
    }
    store.put(
        task.key(),
        new Stored(
            "s" + serial[0]++,
            new StoreHead.Stamp(task.generation(), task.attempt()),
            task.etag()));
    return true;
  }

  private static void flushOne(
      Shard shard,
      Map<String, Stored> store,
      List<Late> late,
      SplittableRandom random,
      int[] serial,
      boolean quiet) {
    var work =
        (NamespaceAnswer.Work) shard.query(new NamespaceQuery.FlushWork(10, shard.now, List.of()));
    if (work.items().isEmpty()) {
      return;
    }
    FlushItem item = work.items().get(random.nextInt(work.items().size()));
    String key = item.key();
    Stored present = store.get(key);
    StoreHead head =
        present == null
            ? new StoreHead.Missing()
            : new StoreHead.Found(present.etag(), 30, Optional.of(present.stamp()));
    if (item.kind() == FlushKind.RESOLVE) {
      shard.resolve(key, head);
      return;
    }
    NamespaceResult begun =
        shard.apply(
            new NamespaceCommand.FlushBegin(
                BUCKET,
                key,
                Shard.NODE,
                item.record().version(),
                item.headNeeded() ? Optional.of(head) : Optional.empty(),
                Shard.LEASE,
                Shard.LANDING));
    assertThat(shard.recordOf(key).flatMap(FlushRecord::conflict))
        .as("nobody else writes: no conflict on '%s'", key)
        .isEmpty();
    if (!(begun instanceof NamespaceResult.FlushStarted started)) {
      return;
    }
    FlushTask task = started.task();
    switch (quiet ? 0 : random.nextInt(5)) {
      case 0, 1 -> {
        if (land(store, task, serial)) {
          Stored now = store.get(key);
          shard.end(key, task.attempt(), now == null ? "" : now.etag());
        } else {
          shard.apply(
              new NamespaceCommand.FlushFailed(
                  BUCKET, key, task.attempt(), ErrorCode.STORE_CONFLICT, "412", shard.now));
        }
      }
      case 2 -> { // landed, the answer is lost
        land(store, task, serial);
        shard.unresolved(key, task.attempt());
      }
      case 3 -> { // lands later or never
        late.add(new Late(task, shard.now + Shard.LEASE + Shard.LANDING));
        shard.unresolved(key, task.attempt());
      }
      default -> // the sender dies
          late.add(new Late(task, shard.now + Shard.LEASE + Shard.LANDING));
    }
  }

  private static void checkClean(
      Shard shard,
      String[] keys,
      List<SessionId> ended,
      int steps,
      Map<ChunkId, ChunkState> finals) {
    for (String key : keys) {
      if (shard.stat(key).isPresent()
          && shard.manifest(key) instanceof Manifest.Extents list
          && shard.stat(key).get().flush() != FlushState.FLUSHED) {
        for (Extent extent : list.extents()) {
          assertThat(shard.state(extent.chunk().session(), extent.chunk().sequence()))
              .isIn(ChunkState.OWED, ChunkState.OPEN);
        }
      }
    }
    if (steps % 10 != 0) {
      return;
    }
    for (SessionId session : ended) {
      for (long s = 1; s <= steps * 4L; s += 3) {
        var chunk = new ChunkId(session, s);
        ChunkState now = shard.state(session, s);
        ChunkState before = finals.get(chunk);
        if (before == ChunkState.GARBAGE) {
          assertThat(now).isEqualTo(ChunkState.GARBAGE);
        } else if (before == ChunkState.CLEAN) {
          assertThat(now).isIn(ChunkState.CLEAN, ChunkState.GARBAGE);
        }
        finals.put(chunk, now);
      }
    }
  }
}
