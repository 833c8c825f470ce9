package io.forebay.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

final class MainTest {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int execute(String... args) {
    CommandLine commandLine = Main.commandLine();
    commandLine.setOut(new PrintWriter(out));
    commandLine.setErr(new PrintWriter(err));
    return commandLine.execute(args);
  }

  @Test
  void versionNamesTheBuild() {
    assertThat(execute("--version")).isZero();
    assertThat(out.toString().strip()).matches("forebay \\d+\\.\\d+\\.\\d+\\S*");
  }

  @Test
  void noCommandIsAWrongCommandLineAndShowsTheUsage() {
    assertThat(execute()).isEqualTo(2);
    assertThat(err.toString()).contains("a command is missing", "Usage: forebay");
  }

  @Test
  void anUnknownCommandIsNamed() {
    assertThat(execute("srve")).isEqualTo(2);
    assertThat(err.toString()).contains("srve");
  }
}
