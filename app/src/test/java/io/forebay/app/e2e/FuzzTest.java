package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * The fuzzer over a real process: docs/fuzzing.md. A failure prints the command that repeats it.
 */
@Tag("e2e")
final class FuzzTest {
  @TempDir private Path temp;

  @ParameterizedTest
  @ValueSource(strings = {"", "--tls"})
  void theDoorsWithstandHalfAMinuteOfNonsense(String tls) throws Exception {
    Path result = temp.resolve("result.json");
    List<String> words =
        List.of(
            "fuzz",
            "--seed",
            tls.isEmpty() ? "1" : "1001",
            "--for",
            "25s",
            "--dir",
            temp.toString(),
            "--json",
            result.toString());
    CommandRun.of(
            temp,
            List.of(),
            Stream.concat(words.stream(), Stream.of(tls).filter(word -> !word.isEmpty())).toList())
        .expectSuccess();
    JsonNode told = Json.parse(Files.readString(result));
    assertThat(told.path("seeds").asInt()).isPositive();
    assertThat(told.path("talks").propertyNames())
        .contains("wire", "wire-stranger", "put-chunks", "pipelined", "xml");
    assertThat(temp).isDirectoryNotContaining("glob:**/forebay-fuzz-*");
  }

  @Test
  void whatIsWrongIsToldWithWhatWouldBeRight() throws Exception {
    CommandRun.of(temp, List.of(), List.of("fuzz", "--seeds", "0")).expectRefusal("--seeds");
    CommandRun.of(temp, List.of(), List.of("fuzz", "--for", "soon"))
        .expectRefusal("--for", "500ms, 5s, 2m or 1h");
  }
}
