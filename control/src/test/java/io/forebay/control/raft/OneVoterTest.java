package io.forebay.control.raft;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Ledger;
import io.forebay.core.log.Submitter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class OneVoterTest extends RaftContract {
  OneVoterTest() {
    super(1, RaftVoter.Retention.NORMAL);
  }

  @Test
  void hasEverythingAfterEachRestart() {
    NodeId node = nodes().getFirst();
    Submitter client = client();
    for (int i = 1; i <= 20; i++) {
      assertThat(Ledger.number(client.submit(("c" + i).getBytes(UTF_8), PATIENCE_NANOS)))
          .isEqualTo(i);
      if (i % 5 == 0) {
        stop(node);
        start(node);
        assertThat(Ledger.number(client.query(new byte[0], PATIENCE_NANOS))).isEqualTo(i);
      }
    }
    assertThat(Ledger.texts(voters.get(node).map())).hasSize(20);
  }

  @Test
  void refusesTheDirectoryOfAnotherCluster() {
    NodeId node = nodes().getFirst();
    client().submit("ours".getBytes(UTF_8), PATIENCE_NANOS);
    stop(node);
    assertThatThrownBy(() -> start(node, "another"))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION))
        .hasMessageContaining("another cluster");
    start(node);
    assertThat(Ledger.number(client().query(new byte[0], PATIENCE_NANOS))).isEqualTo(1);
  }

  @Test
  void refusesADirectoryThatANewerVersionWrote() throws IOException {
    NodeId node = nodes().getFirst();
    client().submit("ours".getBytes(UTF_8), PATIENCE_NANOS);
    stop(node);
    Path format = directory.resolve(node.name()).resolve(VoterFormat.FILE);
    assertThat(format).hasContent("1");
    Files.writeString(format, "2\n");
    assertThatThrownBy(() -> start(node))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.WRONG_VERSION))
        .hasMessageContaining(format.toString())
        .hasMessageContaining("names the format '2'");
    Files.delete(format); // as before there was such a file
    start(node);
    assertThat(Ledger.number(client().query(new byte[0], PATIENCE_NANOS))).isEqualTo(1);
    assertThat(format).hasContent("1");
  }

  @Test
  void refusesAStateWhoseLogIsGone() throws IOException {
    NodeId node = nodes().getFirst();
    client().submit("ours".getBytes(UTF_8), PATIENCE_NANOS);
    stop(node);
    Path log = directory.resolve(node.name()).resolve("raft");
    Files.move(log, directory.resolve("elsewhere"));
    assertThatThrownBy(() -> start(node))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION))
        .hasMessageContaining("is gone");
    Files.delete(log);
    Files.move(directory.resolve("elsewhere"), log);
    start(node);
    assertThat(Ledger.number(client().query(new byte[0], PATIENCE_NANOS))).isEqualTo(1);
  }
}
