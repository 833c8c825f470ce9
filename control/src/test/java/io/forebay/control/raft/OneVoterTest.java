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
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
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
  void refusesOtherVotersThanItBeganWith() throws IOException {
    NodeId node = nodes().getFirst();
    client().submit("ours".getBytes(UTF_8), PATIENCE_NANOS);
    stop(node);
    List<String> free = RaftContract.free(3);
    Map<NodeId, String> more =
        Map.of(node, free.get(0), new NodeId("n2"), free.get(1), new NodeId("n3"), free.get(2));
    Path names = directory.resolve(node.name()).resolve(FirstVoters.FILE);
    assertThat(names).hasContent("n1");
    assertThatThrownBy(() -> start(node, "c1", more))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION))
        .hasMessageContaining("here n1 (")
        .hasMessageContaining("in the configuration n1, n2, n3");
    Files.delete(names); // as before there was such a file
    start(node, "c1", more);
    assertThat(names).as("what its log has").hasContent("n1");
    stop(node);
    start(node);
    assertThat(Ledger.number(client().query(new byte[0], PATIENCE_NANOS))).isEqualTo(1);
    assertThat(names).hasContent("n1");
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
  void startsWithoutEntriesThatAPowerCutHasTorn() throws IOException {
    NodeId node = nodes().getFirst();
    for (int seed = 1; seed <= 10; seed++) {
      assertThat(Ledger.number(client().submit(("c" + seed).getBytes(UTF_8), PATIENCE_NANOS)))
          .isEqualTo(seed);
      stop(node);
      var random = new Random(seed);
      long end = Files.size(RaftLogFiles.written(directory.resolve(node.name())));
      byte[] entry = entry(random);
      // Sectors of the file, not of the entry.
      int lost = (int) (512 - end % 512) + 512 * random.nextInt(4);
      Arrays.fill(entry, lost, lost + 512, (byte) 0);
      append(node, entry);
      start(node);
      assertThat(Ledger.number(client().query(new byte[0], PATIENCE_NANOS))).isEqualTo(seed);
    }
  }

  @Test
  void startsWithoutAnEntryWhoseBeginningIsLost() throws IOException {
    NodeId node = nodes().getFirst();
    client().submit("kept".getBytes(UTF_8), PATIENCE_NANOS);
    stop(node);
    long end = Files.size(RaftLogFiles.written(directory.resolve(node.name())));
    byte[] entry = entry(new Random(7));
    Arrays.fill(entry, 0, (int) (512 - end % 512), (byte) 0);
    append(node, entry);
    start(node);
    assertThat(Ledger.number(client().query(new byte[0], PATIENCE_NANOS))).isEqualTo(1);
  }

  @Test
  void refusesADamagedEntryThatMayHaveBeenAcknowledged() throws IOException {
    NodeId node = nodes().getFirst();
    client().submit("kept".getBytes(UTF_8), PATIENCE_NANOS);
    stop(node);
    Path log = RaftLogFiles.written(directory.resolve(node.name()));
    append(node, entry(new Random(7)));
    byte[] damaged = Files.readAllBytes(log);
    assertThatThrownBy(() -> start(node))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CONFIGURATION))
        .hasMessageContaining("corrupted");
    assertThat(Files.readAllBytes(log)).isEqualTo(damaged);
  }

  /** The bytes of an entry of 3,000, but for its checksum; none of them is zero. */
  private static byte[] entry(Random random) {
    byte[] entry = new byte[2 + 3_000 + 4];
    for (int i = 0; i < entry.length; i++) {
      entry[i] = (byte) random.nextInt(1, 128);
    }
    entry[0] = (byte) (3_000 | 0x80);
    entry[1] = (byte) (3_000 >> 7);
    return entry;
  }

  private void append(NodeId node, byte[] bytes) throws IOException {
    Files.write(
        RaftLogFiles.written(directory.resolve(node.name())), bytes, StandardOpenOption.APPEND);
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
