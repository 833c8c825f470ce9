package io.forebay.control.raft;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.control.rocks.RocksSortedMap;
import io.forebay.core.env.TestEnv;
import io.forebay.core.log.Consensus;
import io.forebay.core.log.Ledger;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * kill -9 of a voter amid writes, again and again on the same directory: its map is where it was.
 * Every second time, what the map never synced loses its end too, as by a power cut: the Raft log
 * gives that again. The commands are large, so that RocksDB has put some of them on the disk of its
 * own accord and the map is ahead of the last snapshot.
 */
@Tag("e2e")
class KilledVoterTest {
  @TempDir Path directory;

  @Test
  @Timeout(value = 3, unit = TimeUnit.MINUTES)
  void hasWhatItAcknowledged() throws IOException, InterruptedException {
    var acknowledged = new TreeSet<String>();
    for (int seed = 1; seed <= 5; seed++) {
      int wanted = 300 + new Random(seed).nextInt(200);
      run(wanted, "s" + seed, acknowledged);
      if (seed % 2 == 0) {
        cutTheEnd(new Random(-seed));
      } else {
        assertThat(inTheMap()).doesNotHaveDuplicates().containsAll(acknowledged);
      }
      try (var env = new TestEnv();
          var voter = KilledVoter.open(env, RaftContract.free(1).getFirst(), directory)) {
        Consensus log = voter.log("log");
        while (!log.leadership().self()) {
          env.sleep(5_000_000L);
        }
        log.confirmRead(10_000_000_000L);
        assertThat(Ledger.texts(log.map()))
            .as("after the kill of seed %d", seed)
            .doesNotHaveDuplicates()
            .containsAll(acknowledged);
      }
    }
  }

  private List<String> inTheMap() {
    try (var map = new RocksSortedMap(directory.resolve("state-log"))) {
      return Ledger.texts(map);
    }
  }

  /** Takes from half to all of the map's newest write-ahead log. */
  private void cutTheEnd(Random random) throws IOException {
    Path newest;
    try (Stream<Path> files = Files.list(directory.resolve("state-log"))) {
      newest =
          files
              .filter(file -> file.getFileName().toString().matches("\\d+\\.log"))
              .max(Comparator.naturalOrder())
              .orElseThrow();
    }
    try (FileChannel log = FileChannel.open(newest, StandardOpenOption.WRITE)) {
      log.truncate((long) (log.size() * random.nextDouble() / 2));
    }
  }

  private void run(int wanted, String prefix, Set<String> acknowledged)
      throws IOException, InterruptedException {
    Process voter =
        new ProcessBuilder(
                List.of(
                    ProcessHandle.current().info().command().orElseThrow(),
                    "--enable-native-access=ALL-UNNAMED",
                    "--sun-misc-unsafe-memory-access=allow",
                    "-Xmx512m",
                    // RocksDB copies its library there, and a killed process leaves it behind.
                    "-Djava.io.tmpdir=" + directory,
                    "-cp",
                    System.getProperty("java.class.path"),
                    KilledVoter.class.getName(),
                    RaftContract.free(1).getFirst(),
                    directory.toString(),
                    prefix))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (BufferedReader lines = voter.inputReader(StandardCharsets.UTF_8)) {
      int seen = 0;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("ack ")) {
          acknowledged.add(line.substring(4));
          if (++seen == wanted) {
            voter
                .toHandle()
                .destroyForcibly(); // Process.destroyForcibly closes the stream that is read
          }
        }
      }
      assertThat(seen).as("acknowledgements of " + prefix).isGreaterThanOrEqualTo(wanted);
    } finally {
      voter.destroyForcibly().waitFor();
    }
  }
}
