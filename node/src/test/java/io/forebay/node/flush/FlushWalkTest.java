package io.forebay.node.flush;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.file.FlushState;
import io.forebay.core.id.NodeId;
import io.forebay.core.namespace.NamespaceCommand;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random walks over real flushers: every step that a node, its store, its log, a user or somebody
 * else can take, in any order, with crashes, lost and late requests; the model of {@link
 * FlushWorld} judges after each. Replay one seed with {@code -Dforebay.flush.seed=N}; run more with
 * {@code -Dforebay.flush.seeds=N}.
 */
class FlushWalkTest {
  private static final int NODES = 3;
  private static final int STEPS = 400;
  private static final String[] KEYS = {"a", "b", "d/c", "d/e"};

  static LongStream seeds() {
    Long one = Long.getLong("forebay.flush.seed");
    return one != null
        ? LongStream.of(one)
        : LongStream.rangeClosed(1, Integer.getInteger("forebay.flush.seeds", 40));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void whateverHappensTheStoreEndsUpWithTheNewest(long seed) {
    for (Likeness likeness : Likeness.values()) {
      walk(seed, likeness, false);
    }
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void somebodyElsesObjectsAreNeverOverwrittenUnasked(long seed) {
    for (Likeness likeness : Likeness.values()) {
      walk(seed, likeness, true);
    }
  }

  private static void walk(long seed, Likeness likeness, boolean others) {
    var world = new FlushWorld(seed, NODES, likeness);
    try {
      walk(world, new SplittableRandom(seed), others);
    } catch (AssertionError | RuntimeException failure) {
      boolean replayed = Long.getLong("forebay.flush.seed") != null;
      List<String> last =
          replayed
              ? world.story
              : world.story.subList(Math.max(0, world.story.size() - 60), world.story.size());
      throw new AssertionError(
          "seed "
              + seed
              + ", "
              + likeness
              + (others ? ", with others" : "")
              + ": "
              + failure.getMessage()
              + "\n  "
              + String.join("\n  ", last)
              + "\n  "
              + String.join("\n  ", world.records()),
          failure);
    }
  }

  private static void walk(FlushWorld world, SplittableRandom random, boolean others) {
    int trouble = random.nextInt(4); // of ten requests, how many go wrong
    world.fates((kind, key) -> {
      if (random.nextInt(10) >= trouble) {
        return Fate.ANSWERED;
      }
      return switch (random.nextInt(9)) {
        case 0, 1, 2 -> Fate.LATE;
        case 3, 4 -> Fate.ANSWER_LOST;
        case 5, 6 -> Fate.UNREACHABLE;
        case 7 -> Fate.THROTTLED;
        default -> random.nextBoolean() ? Fate.DENIED : Fate.NO_CONTAINER;
      };
    });
    world.logFates(command ->
        random.nextInt(20) >= trouble
            ? FlushWorld.LogFate.APPLIED
            : random.nextBoolean() ? FlushWorld.LogFate.LOST : FlushWorld.LogFate.UNHEARD);
    world.callFates(() ->
        random.nextInt(10) >= trouble
            ? FlushWorld.LogFate.APPLIED
            : random.nextBoolean() ? FlushWorld.LogFate.LOST : FlushWorld.LogFate.UNHEARD);
    for (int i = 0; i < STEPS; i++) {
      String key = KEYS[random.nextInt(KEYS.length)];
      switch (random.nextInt(40)) {
        case 0, 1 -> {
          // Now and then the same bytes again, so that ETags recur where they can.
          boolean again = random.nextInt(3) == 0;
          int length = random.nextBoolean() ? 300 : 1500 + random.nextInt(1500);
          world.publish(
              key, FlushWorld.body(again ? "same" : "ours" + i + "-", again ? 500 : length));
        }
        case 2 -> world.delete(key);
        case 3 -> renameOrCopy(world, random, key);
        case 4 -> {
          if (others) {
            disturb(world, random, key, i);
          }
        }
        case 5 -> {
          if (others) {
            decide(world, random, key);
          }
        }
        case 6 -> {
          if (random.nextInt(3) == 0) {
            crash(world, random);
          }
        }
        case 7 -> world.evict();
        case 8 -> {
          if (world.late() > 0) {
            world.land(random.nextInt(world.late()));
          }
        }
        case 9 -> world.advance(random.nextInt(100_000));
        case 10, 11 -> world.advance(random.nextInt(2_000));
        case 12 -> world.apply(new NamespaceCommand.ExpireTick(100));
        case 13, 14, 15, 16, 17, 18 -> world.look(random.nextInt(NODES));
        default -> {
          List<Steps.Actor> actors = world.steps.actors();
          if (!actors.isEmpty()) {
            world.step(actors.get(random.nextInt(actors.size())));
          }
        }
      }
    }
    end(world, random, others);
  }

  private static void renameOrCopy(FlushWorld world, SplittableRandom random, String key) {
    // Only into the free: what overwrites may close a cycle of sources (F6), which is for fills.
    var free = new ArrayList<String>();
    for (String each : KEYS) {
      if (world.stat(each).isEmpty() && world.record(each).isEmpty()) {
        free.add(each);
      }
    }
    if (world.stat(key).isPresent() && !free.isEmpty()) {
      String to = free.get(random.nextInt(free.size()));
      if (random.nextInt(3) > 0) {
        world.rename(key, to);
      } else {
        world.copy(key, to);
      }
    }
  }

  private static void disturb(FlushWorld world, SplittableRandom random, String key, int i) {
    switch (random.nextInt(4)) {
      case 0 -> world.foreignDelete(key);
      case 1 -> {
        // A copy of one of our objects, its stamp included. Not onto itself with other bytes: then
        // it
        // carries the stamp of an attempt on this very key, and no HEAD can tell it from ours (F3).
        String from = KEYS[random.nextInt(KEYS.length)];
        world
            .stored(from)
            .filter(object -> !from.equals(key))
            .ifPresent(object ->
                world.foreignWrite(key, FlushWorld.body("copy" + i + "-", 77), object.metadata()));
      }
      default -> world.foreignWrite(key, FlushWorld.body("theirs" + i + "-", 100), Map.of());
    }
  }

  private static void decide(FlushWorld world, SplittableRandom random, String key) {
    if (world.record(key).flatMap(record -> record.conflict()).isPresent()) {
      if (random.nextBoolean()) {
        world.keep(key);
      } else {
        world.take(key);
      }
    }
  }

  private static void crash(FlushWorld world, SplittableRandom random) {
    int node = random.nextInt(NODES);
    world.restart(node);
    if (random.nextBoolean()) {
      world.apply(new NamespaceCommand.FlushAbandon(new NodeId("n" + node)));
    }
  }

  private static void end(FlushWorld world, SplittableRandom random, boolean others) {
    world.settle();
    if (!others) {
      world.evict();
      world.checkFlushed();
      return;
    }
    // Whatever is not flushed says why; said what to do, all of it ends.
    for (int i = 0; i < 20; i++) {
      boolean again = false;
      for (String key : world.keys()) {
        if (world.record(key).flatMap(record -> record.conflict()).isPresent()) {
          decide(world, random, key);
          again = true;
        }
      }
      if (!again) {
        break;
      }
      world.settle();
    }
    for (String key : world.keys()) {
      if (world.stat(key).isPresent()) {
        FlushState state = world.state(key);
        if (state != FlushState.FLUSHED) {
          assertThat(world.reason(key)).as("why '%s' is %s", key, state).isNotEmpty();
        }
      }
    }
  }
}
