package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** {@code bench s3} at sizes that say nothing about speed: that all of it runs, and is told. */
@Tag("e2e")
final class S3BenchTest {
  private static final List<String> FIGURES =
      List.of(
          "opsPerSecond",
          "gbPerSecond",
          "p50Micros",
          "p99Micros",
          "cpuMicrosPerOp",
          "cpuSecondsPerGB");

  private static final List<String> OF_START =
      List.of("firstPutSeconds", "cpuSeconds", "idleMiB", "loadedMiB");

  @TempDir private Path temp;

  @Test
  void everyCaseRunsAndItsFiguresAreWritten() throws Exception {
    Path rows = temp.resolve("rows.json");
    CommandRun.of(
            temp,
            List.of(),
            List.of(
                "bench",
                "s3",
                "--no-nginx",
                "--shrink",
                "64",
                "--connections",
                "2",
                "--rounds",
                "1",
                "--seconds",
                "0.25",
                "--warm-up",
                "0",
                "--dir",
                temp.toString(),
                "--json",
                rows.toString()))
        .expectSuccess();
    JsonNode written = Json.parse(Files.readString(rows)).path("rows");
    assertThat(written.valueStream().map(row -> row.path("case").asString("")))
        .containsExactly(
            "head-present",
            "head-absent",
            "get-1k",
            "get-1k-unsigned",
            "get-1m",
            "get-8m",
            "get-64m",
            "range-128k",
            "put-1k",
            "put-8m",
            "put-64m",
            "multipart",
            "list",
            "start");
    for (JsonNode row : written) {
      List<String> figures = row.path("case").asString("").equals("start") ? OF_START : FIGURES;
      for (String figure : figures) {
        assertThat(row.path(figure).asDouble(-1)).as("%s of %s", figure, row).isPositive();
      }
      assertThat(row.has("nginxCpuMicrosPerOp")).as("without nginx: %s", row).isFalse();
    }
    assertThat(temp).isDirectoryNotContaining("glob:**/forebay-bench-*");
  }

  @Test
  void whatIsWrongIsToldWithWhatWouldBeRight() throws Exception {
    CommandRun.of(temp, List.of(), List.of("bench", "s3", "--no-nginx", "--cases", "get-2k"))
        .expectRefusal("get-2k", "get-1k", "range-128k");
    CommandRun.of(temp, List.of(), List.of("bench", "s3", "--no-nginx", "--seconds", "0"))
        .expectRefusal("--seconds");
  }
}
