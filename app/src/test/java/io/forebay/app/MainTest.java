package io.forebay.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

final class MainTest {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int execute(String... args) {
    CommandLine commandLine = Main.commandLine(args.length == 0 ? "" : args[0]);
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

  /** A help that teaches: what it does, and an example that the parser takes. */
  @Test
  void everyCommandHasAnExampleThatIsALegalCommandLine() {
    int[] examples = {0};
    everyCommand(
        Main.commandLine(""),
        command -> {
          CommandSpec spec = command.getCommandSpec();
          assertThat(spec.usageMessage().description()).as(spec.qualifiedName()).isNotEmpty();
          assertThat(spec.usageMessage().footer()).as(spec.qualifiedName()).isNotEmpty();
          for (String line : spec.usageMessage().footer()) {
            assertThat(line.strip() + " ").contains(" " + spec.name() + " ");
            List<String> words = List.of(line.strip().split(" "));
            Main.commandLine(words.get(1))
                .parseArgs(words.subList(1, words.size()).toArray(String[]::new));
            examples[0]++;
          }
        });
    assertThat(examples[0]).isGreaterThan(20);
  }

  private static void everyCommand(CommandLine command, Consumer<CommandLine> each) {
    for (CommandLine child : command.getSubcommands().values()) {
      each.accept(child);
      everyCommand(child, each);
    }
  }

  @Test
  void ofACommandThatIsNamedNoOtherIsDescribed() {
    assertThat(Main.commandLine("serve").getSubcommands()).containsOnlyKeys("serve");
    assertThat(Main.commandLine("--help").getSubcommands()).containsKeys("serve", "bench", "ls");
  }

  @Test
  void anUnknownCommandIsNamed() {
    assertThat(execute("srve")).isEqualTo(2);
    assertThat(err.toString()).contains("srve");
  }
}
