package io.forebay.node.flush;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.backing.MemoryObjectStore.Fate;
import io.forebay.core.backing.MemoryObjectStore.Likeness;
import io.forebay.core.backing.RequestCounter.Kind;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.FlushState;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** That parts go to the store from the nodes that hold them, and what happens when those fail. */
class PartStagerTest {
  private static final String KEY = "a";

  private static FlushWorld flushed(FlushWorld.LogFate callFate) {
    var world = new FlushWorld(1, 3, Likeness.PLAIN);
    world.publish(KEY, FlushWorld.body("long", 3_000)); // five parts
    world.callFates(() -> callFate);
    world.await(0).finish();
    return world;
  }

  @Test
  void eachHolderStagesItsShare() {
    FlushWorld world = flushed(FlushWorld.LogFate.APPLIED);
    assertThat(world.stat(KEY).orElseThrow().flush()).isEqualTo(FlushState.FLUSHED);
    assertThat(world.storedBody(KEY)).hasValue(FlushWorld.body("long", 3_000));
    // Five parts go round among three holders, one of which is the node itself.
    assertThat(world.stagedElsewhere()).isBetween(3L, 4L);
  }

  /** Of thousands of parts one in a thousand fails; the others are not sent again for it. */
  @Test
  void aPartThatFailsOnceIsSentAgainAndTheOthersAreNot() {
    var world = new FlushWorld(1, 1, Likeness.PLAIN);
    world.publish(KEY, FlushWorld.body("long", 3_000)); // five parts
    var staged = new int[1];
    world.fates(
        (kind, key) -> kind == Kind.STAGE && ++staged[0] == 2 ? Fate.THROTTLED : Fate.ANSWERED);
    Steps.Actor attempt = world.await(0);
    attempt.finish();
    assertThat(world.stat(KEY).orElseThrow().flush()).isEqualTo(FlushState.FLUSHED);
    assertThat(world.storedBody(KEY)).hasValue(FlushWorld.body("long", 3_000));
    assertThat(staged[0]).isEqualTo(6);
  }

  /** Else it would wait for a buffer for ever, with all others in its hands. */
  @Test
  void aPartThatTakesAllBuffersIsRefusedByName() {
    var world = new FlushWorld(1, 1, Likeness.PLAIN);
    long buffers = 512 * 4096;
    assertThatThrownBy(() -> world.takeIntoMemory(buffers))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.ENTITY_TOO_LARGE))
        .hasMessageContaining(buffers + " bytes")
        .hasMessageContaining("`memory`");
  }

  @ParameterizedTest
  @EnumSource(names = {"LOST", "UNHEARD"})
  void aHolderThatDoesNotAnswerIsPassedBy(FlushWorld.LogFate fate) {
    FlushWorld world = flushed(fate);
    assertThat(world.stat(KEY).orElseThrow().flush()).isEqualTo(FlushState.FLUSHED);
    assertThat(world.storedBody(KEY)).hasValue(FlushWorld.body("long", 3_000));
    // Each of the two others was asked once; then both were left alone.
    assertThat(world.stagedElsewhere()).isEqualTo(fate == FlushWorld.LogFate.LOST ? 0 : 2);
  }
}
