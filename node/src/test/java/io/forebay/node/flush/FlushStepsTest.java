package io.forebay.node.flush;

import static io.forebay.node.flush.FlushWorld.SETTINGS;
import static io.forebay.node.flush.FlushWorld.body;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.file.FlushState;
import java.util.Map;
import java.util.function.BiConsumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Something happens at each step of an attempt, of each kind of attempt, in each kind of store. */
class FlushStepsTest {
  private static final int MOST_STEPS = 60;
  private static final byte[] THEIRS = body("theirs ", 100);

  /** What an attempt on the key "k" does. */
  enum Work {
    PUT {
      @Override
      void prepare(FlushWorld world) {
        world.publish("k", body("small ", 300));
      }
    },
    UPLOAD {
      @Override
      void prepare(FlushWorld world) {
        world.publish("k", body("big ", 2500));
      }
    },
    OVERWRITE {
      @Override
      void prepare(FlushWorld world) {
        world.publish("k", body("before ", 400));
        world.settle();
        world.publish("k", body("after ", 2000));
      }
    },
    COPY {
      @Override
      void prepare(FlushWorld world) {
        world.publish("from", body("moved ", 700));
        world.settle();
        world.evict();
        world.rename("from", "k");
      }
    },
    DELETE {
      @Override
      void prepare(FlushWorld world) {
        world.publish("k", body("short-lived ", 300));
        world.settle();
        world.delete("k");
      }
    };

    abstract void prepare(FlushWorld world);
  }

  private static void atEachStep(Work work, BiConsumer<FlushWorld, Steps.Actor> event) {
    for (Likeness likeness : Likeness.values()) {
      boolean more = true;
      for (int at = 0; more; at++) {
        assertThat(at).isLessThan(MOST_STEPS);
        var world = new FlushWorld(at, 2, likeness);
        work.prepare(world);
        Steps.Actor attempt = world.await(0);
        for (int i = 0; i < at && !attempt.ended(); i++) {
          world.step(attempt);
        }
        more = !attempt.ended();
        try {
          event.accept(world, attempt);
        } catch (AssertionError failure) {
          throw new AssertionError(
              work + ", " + likeness + ", step " + at + ": " + String.join("\n  ", world.story),
              failure);
        }
      }
    }
  }

  private static void end(FlushWorld world, Steps.Actor attempt) {
    while (!attempt.ended()) {
      world.step(attempt);
    }
    world.settle();
    world.evict();
    world.checkFlushed();
  }

  @ParameterizedTest
  @EnumSource
  void aCrashRepeatsWorkAndLosesNothing(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          world.restart(0);
          world.settle();
          world.evict();
          world.checkFlushed();
        });
  }

  @ParameterizedTest
  @EnumSource
  void aSenderThatStallsBeyondItsLeaseDoesNoHarm(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          world.advance(SETTINGS.leaseMillis() + 1);
          for (int i = 0; i < 3; i++) {
            world.look(1).forEach(Steps.Actor::finish);
            world.advance(1_000);
          }
          end(world, attempt);
        });
  }

  @ParameterizedTest
  @EnumSource
  void anOverwriteFollows(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          world.publish("k", body("newest ", 900));
          end(world, attempt);
          assertThat(world.storedBody("k")).contains(body("newest ", 900));
        });
  }

  @ParameterizedTest
  @EnumSource
  void aDeletionFollows(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          world.delete("k");
          end(world, attempt);
          assertThat(world.stored("k")).isEmpty();
        });
  }

  @ParameterizedTest
  @EnumSource
  void aReCreationFollows(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          world.delete("k");
          world.publish("k", body("again ", 300));
          end(world, attempt);
          assertThat(world.storedBody("k")).contains(body("again ", 300));
        });
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "DELETE")
  void aRenameFollows(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          byte[] body = world.contents("k").orElseThrow();
          assertThat(world.rename("k", "elsewhere")).isTrue();
          end(world, attempt);
          assertThat(world.stored("k")).isEmpty();
          assertThat(world.storedBody("elsewhere")).contains(body);
        });
  }

  @ParameterizedTest
  @EnumSource
  void whatSomebodyElseWritesStays(Work work) {
    atEachStep(
        work,
        (world, attempt) -> {
          world.foreignWrite("k", THEIRS, Map.of());
          while (!attempt.ended()) {
            world.step(attempt);
          }
          world.settle();
          assertThat(world.storedBody("k")).contains(THEIRS);
          if (world.stat("k").isPresent() && world.state("k") != FlushState.FLUSHED) {
            assertThat(world.state("k")).isEqualTo(FlushState.CONFLICT);
            assertThat(world.reason("k")).isNotEmpty();
            world.keep("k");
            world.settle();
            world.checkFlushed();
          }
        });
  }

  @ParameterizedTest
  @EnumSource
  void anUnclearRequestIsDecidedByAHead(Work work) {
    for (Fate fate : Fate.values()) {
      atEachStep(
          work,
          (world, attempt) -> {
            boolean[] done = {false};
            world.fates((kind, key) -> {
              boolean now = !done[0];
              done[0] = true;
              return now ? fate : Fate.ANSWERED;
            });
            end(world, attempt);
          });
    }
  }

  @ParameterizedTest
  @EnumSource
  void aLostCommandOrAnswerOfTheLogIsSurvived(Work work) {
    for (FlushWorld.LogFate fate : FlushWorld.LogFate.values()) {
      atEachStep(
          work,
          (world, attempt) -> {
            boolean[] done = {false};
            world.logFates(command -> {
              boolean now = !done[0];
              done[0] = true;
              return now ? fate : FlushWorld.LogFate.APPLIED;
            });
            end(world, attempt);
          });
    }
  }
}
