package io.forebay.control.raft;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.core.env.TestEnv;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.Ledger;
import io.forebay.core.log.LogService;
import io.forebay.core.log.LoggedMachine;
import io.forebay.core.log.Submitter;
import io.forebay.core.log.VoterEndpoint;
import io.forebay.core.log.VoterNetwork;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** When a snapshot is due by the bytes of its log, and what a stop in the middle of one leaves. */
class SnapshotTest {
  private static final NodeId NODE = new NodeId("n1");
  private static final long PATIENCE_NANOS = 20_000_000_000L;
  private static final RaftVoter.Retention BY_BYTES =
      new RaftVoter.Retention(16 << 10, 100_000, 256 << 10);

  @TempDir Path directory;
  private final String address = RaftContract.free(1).getFirst();

  @Test
  void aLogOfManyBytesIsPurgedAndAStopInTheMiddleOfADumpLosesNothing() throws IOException {
    int perRun = 700;
    Path left = directory;
    for (int run = 1; run <= 4; run++) {
      if (run == 4) {
        left = machineDirectory().resolve("snapshot.1_17.part");
        Files.writeString(left, "half a dump");
      }
      try (var env = new TestEnv(run);
          var voter =
              new RaftVoter(
                  env,
                  "c1",
                  NODE,
                  Map.of(NODE, address),
                  directory,
                  List.of(new RaftVoter.Log("log", new LoggedMachine(new Ledger()))),
                  BY_BYTES)) {
        Consensus log = voter.log("log");
        var network = new VoterNetwork(env);
        try (var service = new LogService(env, log, new Ledger())) {
          network.attach(NODE, new VoterEndpoint(Map.of("log", service)));
          var client = new Submitter(env, network, "log", List.of(NODE));
          byte[] command = new byte[1 << 10];
          for (int i = 0; i < perRun; i++) {
            byte[] text = ("r" + run + "-" + i).getBytes(UTF_8);
            System.arraycopy(text, 0, command, 0, text.length);
            assertThat(Ledger.number(client.submit(command.clone(), PATIENCE_NANOS)))
                .isEqualTo((run - 1L) * perRun + i + 1);
          }
        }
      }
    }
    assertThat(RaftLogFiles.firstIndex(directory)).isGreaterThan(perRun);
    assertThat(left).as("what a killed process left").doesNotExist();
  }

  private Path machineDirectory() throws IOException {
    try (Stream<Path> all = Files.walk(directory.resolve("raft"))) {
      return all.filter(path -> path.endsWith("sm")).findFirst().orElseThrow();
    }
  }
}
