package io.forebay.app.hosts;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** A program of the operating system, run to its end. */
final class Program {
  private Program() {}

  /**
   * Runs a command.
   *
   * @param needs what it takes that this may fail for, for the message
   * @return what it wrote
   * @throws ForebayException CONFIGURATION when it is missing or fails; CANCELLED
   */
  static String run(String needs, String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            needs + "; '" + String.join(" ", command) + "' failed: " + output.strip());
      }
      return output;
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION, needs + "; " + command[0] + ": " + failure.getMessage());
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
      throw new ForebayException(ErrorCode.CANCELLED, "interrupted while running " + command[0]);
    }
  }
}
