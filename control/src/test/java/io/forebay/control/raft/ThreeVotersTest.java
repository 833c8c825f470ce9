package io.forebay.control.raft;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.Scope;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Ledger;
import io.forebay.core.log.Submitter;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import org.junit.jupiter.api.Test;

class ThreeVotersTest extends RaftContract {
  ThreeVotersTest() {
    super(3, SHORT);
  }

  private void converged() {
    eventually(
        "all voters have the same",
        () -> voters.values().stream().map(v -> Ledger.texts(v.map())).distinct().count() == 1);
  }

  @Test
  void nothingAcknowledgedIsLostWhenTheLeaderStopsAmidWrites() {
    NodeId first = leader();
    Set<String> acknowledged = new ConcurrentSkipListSet<>();
    try (var scope = new Scope(env, "writers")) {
      for (int c = 0; c < 4; c++) {
        String writer = "w" + c;
        Submitter client = client(nodes());
        scope.fork(() -> {
          for (int i = 0; i < 60; i++) {
            String text = writer + "/" + i;
            client.submit(text.getBytes(UTF_8), PATIENCE_NANOS);
            acknowledged.add(text);
          }
          return true;
        });
      }
      eventually("writes are under way", () -> acknowledged.size() > 60);
      stop(first);
      scope.join();
    }
    assertThat(leader()).isNotEqualTo(first);
    assertThat(Ledger.number(client(nodes()).query(new byte[0], PATIENCE_NANOS))).isEqualTo(240);
    start(first);
    eventually("the old leader follows", () -> Ledger.texts(voters.get(first).map()).size() == 240);
    converged();
    List<String> texts = Ledger.texts(voters.get(first).map());
    assertThat(texts).doesNotHaveDuplicates().containsExactlyInAnyOrderElementsOf(acknowledged);
  }

  @Test
  void aLeaderHandsItsLogOver() {
    Submitter client = client(nodes());
    client.submit("before".getBytes(UTF_8), PATIENCE_NANOS);
    NodeId first = leader();
    handOver(first);
    assertThat(voters.get(first).leadership().self()).isFalse();
    assertThat(leader()).isNotEqualTo(first);
    assertThat(Ledger.number(client.submit("after".getBytes(UTF_8), PATIENCE_NANOS))).isEqualTo(2);
  }

  @Test
  void aVoterThatIsTooFarBehindGetsASnapshot() {
    NodeId behind =
        nodes().stream().filter(node -> !node.equals(leader())).findFirst().orElseThrow();
    Submitter client = client(nodes());
    client.submit("before".getBytes(UTF_8), PATIENCE_NANOS);
    stop(behind);
    byte[] command = new byte[1 << 10];
    for (int i = 0; i < 300; i++) {
      byte[] text = ("c" + i).getBytes(UTF_8);
      System.arraycopy(text, 0, command, 0, text.length);
      client.submit(command.clone(), PATIENCE_NANOS);
    }
    eventually(
        "what the voter lacks is in nobody's log any more",
        () -> {
          client.query(new byte[0], PATIENCE_NANOS); // an entry, after which a snapshot is noticed
          return RaftLogFiles.firstIndex(directory.resolve(leader().name())) > 100;
        });
    start(behind);
    eventually("it catches up", () -> Ledger.texts(voters.get(behind).map()).size() == 301);
    converged();
    // And it goes on from there, also as one of the two that are needed, and after a restart.
    stop(leader());
    assertThat(Ledger.number(client.submit("after".getBytes(UTF_8), PATIENCE_NANOS)))
        .isEqualTo(302);
    stop(behind);
    start(behind);
    assertThat(Ledger.number(client.query(new byte[0], PATIENCE_NANOS))).isEqualTo(302);
  }
}
