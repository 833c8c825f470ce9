package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Json;
import io.forebay.app.hosts.PowerDisk;
import io.forebay.app.hosts.ShapedHosts;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * {@code ./forebay chaos} over as many seeds as there are kinds of faults, so that each is met:
 * docs/chaos.md. A failure prints the seed and what had happened; {@code ./forebay chaos --seed N}
 * runs one again.
 */
@Tag("e2e")
final class ChaosTest {
  private static final int SECONDS = 900;
  private static final String NO_POWER =
      "no power was cut, for that needs root, iproute2, /dev/fuse, loop devices, ext4 and python3";

  @TempDir private Path temp;

  private JsonNode run(String... words) throws Exception {
    Path result = temp.resolve("facts.json");
    var all = new ArrayList<>(List.of("chaos", "--dir", temp.toString(), "--json"));
    all.add(result.toString());
    all.addAll(List.of(words));
    CommandRun run = CommandRun.of(temp, List.of(), all, SECONDS);
    System.out.print(run.out());
    assertThat(run.code()).as("%s\n%s", run, stories()).isZero();
    JsonNode facts = Json.parse(Files.readString(result));
    assertThat(facts.path("violations").size()).isZero();
    assertThat(facts.path("acknowledged").asLong())
        .isPositive()
        .isLessThanOrEqualTo(facts.path("operations").asLong());
    assertThat(temp).isDirectoryNotContaining("glob:**/forebay-chaos-*");
    return facts;
  }

  /** Of clusters on which a seed failed; their directories go with the test's. */
  private String stories() throws Exception {
    var text = new StringBuilder();
    try (var files = Files.walk(temp)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        String name = file.getFileName().toString();
        if (name.equals("story") || name.endsWith(".log")) {
          String said = Files.readString(file);
          text.append("--- ").append(file).append('\n');
          text.append(said, Math.max(0, said.length() - 8_000), said.length());
        }
      }
    }
    return text.toString();
  }

  @Test
  void nothingAcknowledgedIsLostWhileNodesNetworkDisksAndStoreFail() throws Exception {
    JsonNode facts = run("--seed", "1", "--seeds", "8");
    assertThat(facts.path("seeds").asInt()).isEqualTo(8);
    assertThat(facts.path("faults").propertyNames())
        .contains("kill", "stop", "wipeDisk", "killAll", "killSeveral", "storeAway");
    assertThat(facts.path("longestStallMillis").propertyNames()).contains("kill", "stop");
    assertThat(facts.path("lossKnownMillis").path("p99").asLong()).isPositive();
    Assumptions.assumeTrue(
        ShapedHosts.possible(),
        "the rest passed; no node was cut off, for that needs root and iproute2 (ip netns)");
    assertThat(facts.path("faults").propertyNames()).contains("cutOff", "fullDisk");
  }

  @Test
  void whatIsSyncedSurvivesThatThePowerOfAllNodesIsCut() throws Exception {
    Assumptions.assumeTrue(PowerDisk.missing().isEmpty(), NO_POWER);
    // Of the nine kinds that there are then the eighth and the ninth.
    JsonNode facts = run("--power", "--seed", "7", "--seeds", "2");
    assertThat(facts.path("durability").asString()).isEqualTo("synced");
    assertThat(facts.path("faults").propertyNames()).contains("power", "powerAll");
    assertThat(facts.path("lost").asInt()).isZero();
  }

  @Test
  void whatIsReplicatedSurvivesThatThePowerOfOneNodeIsCutAndLossesAreNamed() throws Exception {
    Assumptions.assumeTrue(PowerDisk.missing().isEmpty(), NO_POWER);
    JsonNode facts =
        run(
            "--power",
            "--durability",
            "replicated",
            "--store",
            "none",
            "--seed",
            "6",
            "--seeds",
            "2");
    assertThat(facts.path("durability").asString()).isEqualTo("replicated");
    assertThat(facts.path("faults").propertyNames()).contains("power", "powerAll");
  }

  @Test
  void aSlowNodeHoldsUpNobodyForLong() throws Exception {
    Assumptions.assumeTrue(PowerDisk.missing().isEmpty(), NO_POWER);
    // Of the three kinds that there are then the first and the second.
    JsonNode facts = run("--slow", "--seed", "6", "--seeds", "2", "--store", "none");
    assertThat(facts.path("faults").propertyNames()).contains("slowNic", "slowDisk");
    assertThat(facts.path("steadyMegabytesPerSecond").propertyNames())
        .contains("none", "slowNic", "slowDisk");
  }

  @Test
  void everyKeyIsAnAtomicRegisterForAnOutsideClient() throws Exception {
    JsonNode facts = run("--seed", "2", "--seeds", "1", "--client", "boto3", "--store", "none");
    assertThat(facts.path("client").asString()).isEqualTo("boto3");
  }

  @Test
  void whatIsWrongIsToldWithWhatWouldBeRight() throws Exception {
    for (List<String> wrong :
        List.of(
            List.of("--nodes", "8", "3 to 7"),
            List.of("--store", "s3", "none, dir or azurite"),
            List.of("--seeds", "0", "at least 1"),
            List.of("--power", "--slow", "two runs"),
            List.of("--stall", "long", "500ms, 5s, 2m or 1h"))) {
      CommandRun.of(temp, List.of(), List.of("chaos", wrong.get(0), wrong.get(1)))
          .expectRefusal(wrong.get(0), wrong.get(2));
    }
  }
}
