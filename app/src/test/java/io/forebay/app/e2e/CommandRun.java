package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.forebay.app.command.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/**
 * What a command of {@code ./forebay} did, run as a user runs it.
 *
 * @param code its exit code
 * @param out its standard output, byte for byte as ISO 8859-1
 * @param err its standard error
 */
record CommandRun(List<String> words, int code, String out, String err) {
  private static final int SECONDS = 120;

  /**
   * Runs a command to its end.
   *
   * @param prefix what stands before the command, such as {@code setpriv --reuid 65534}
   */
  static CommandRun of(Path temp, List<String> prefix, List<String> words)
      throws IOException, InterruptedException {
    return of(temp, prefix, words, SECONDS);
  }

  /** The same, of a command that may take longer. */
  static CommandRun of(Path temp, List<String> prefix, List<String> words, int seconds)
      throws IOException, InterruptedException {
    Path out = Files.createTempFile(temp, "command", ".out");
    Path err = Files.createTempFile(temp, "command", ".err");
    var command = new ArrayList<>(prefix);
    command.addAll(ServerProcess.forebay(words));
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    try {
      boolean ended = process.waitFor(seconds, TimeUnit.SECONDS);
      var run =
          new CommandRun(
              List.copyOf(words),
              ended ? process.exitValue() : -1,
              Files.readString(out, StandardCharsets.ISO_8859_1),
              Files.readString(err, StandardCharsets.UTF_8));
      assertThat(ended).as("ends within %d s: %s", seconds, run).isTrue();
      return run;
    } finally {
      process.destroyForcibly();
    }
  }

  CommandRun expectSuccess() {
    assertThat(code).as("%s", this).isZero();
    return this;
  }

  /** Refused in words: with a code that is not zero, and without a stack trace. */
  CommandRun expectRefusal(String... parts) {
    assertThat(code).as("%s", this).isNotZero();
    assertThat(err + out).contains(parts).doesNotContain("\tat ");
    return this;
  }

  JsonNode json() {
    return Json.parse(expectSuccess().out());
  }
}
