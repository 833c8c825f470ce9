package io.forebay.control.raft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.control.rocks.RocksSortedMap;
import io.forebay.core.env.Env;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.log.Machine;
import io.forebay.core.sorted.Batch;
import io.forebay.core.sorted.SortedMap;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.apache.ratis.proto.RaftProtos.RoleInfoProto;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What Ratis would answer by closing one log ends the node, and says why. */
class RaftMachineTest {
  @TempDir Path directory;

  /** Runs what is spawned at once, and keeps what escapes it: that ends a node. */
  private static final class Endings implements Env {
    final List<Throwable> escaped = new ArrayList<>();

    @Override
    public long nanoTime() {
      return 0;
    }

    @Override
    public long wallMillis() {
      return 0;
    }

    @Override
    public RandomGenerator random() {
      return new Random(1);
    }

    @Override
    public Thread spawn(String name, Runnable task) {
      try {
        task.run();
      } catch (RuntimeException thrown) {
        escaped.add(thrown);
      }
      return Thread.currentThread();
    }

    @Override
    public Timer schedule(long delayNanos, Runnable callback) {
      throw new UnsupportedOperationException();
    }
  }

  /** Of an older version, which a snapshot of a newer leader reaches. */
  private static final class Older implements Machine {
    @Override
    public byte[] apply(long term, long index, byte[] entry, SortedMap.View in, Batch out) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void load(SortedMap.View view) {
      throw new ForebayException(ErrorCode.WRONG_VERSION, "a newer version wrote it");
    }
  }

  @Test
  void aSnapshotThatCannotBeTakenUpEndsTheNode() throws Exception {
    var env = new Endings();
    try (var map = new RocksSortedMap(directory)) {
      var machine = new RaftMachine(env, map, new Older(), RaftVoter.Retention.NORMAL);
      assertThatThrownBy(machine::reinitialize).hasMessageContaining("a newer version wrote it");
      assertThat(env.escaped)
          .singleElement()
          .isInstanceOfSatisfying(
              ForebayException.class,
              failure -> assertThat(failure.code()).isEqualTo(ErrorCode.WRONG_VERSION));
    }
  }

  @Test
  void aLogThatClosesByItselfEndsTheNodeAndOneThatItClosesDoesNot() {
    var env = new Endings();
    try (var map = new RocksSortedMap(directory)) {
      var machine = new RaftMachine(env, map, new Older(), RaftVoter.Retention.NORMAL);
      machine.notifyServerShutdown(RoleInfoProto.getDefaultInstance(), true);
      assertThat(env.escaped).hasSize(1);
      assertThat(env.escaped.getFirst()).hasMessageContaining("stood for long");
      machine.notifyServerShutdown(RoleInfoProto.getDefaultInstance(), false);
      assertThat(env.escaped).hasSize(2);
      assertThat(env.escaped.getLast()).hasMessageContaining("do not count this node");
      machine.ends();
      machine.notifyServerShutdown(RoleInfoProto.getDefaultInstance(), true);
      machine.notifyServerShutdown(RoleInfoProto.getDefaultInstance(), false);
      assertThat(env.escaped).hasSize(2);
    }
  }
}
