package io.forebay.app;

import io.forebay.app.bench.BenchCommand;
import io.forebay.app.chaos.ChaosCommand;
import io.forebay.app.command.DataCommands;
import io.forebay.app.command.OperatorCommands;
import io.forebay.app.command.PolicyCommands;
import io.forebay.app.command.StandardOutput;
import io.forebay.app.demo.DemoCommand;
import io.forebay.app.fuzz.FuzzCommand;
import io.forebay.app.serve.ServeCommand;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.PicocliException;
import picocli.CommandLine.Spec;

/** The root of the command line. */
@Command(
    name = "forebay",
    description = "A distributed cache in front of cloud object storage, for AI clusters.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class)
public final class Main implements Runnable {

  private static final List<Class<?>> COMMANDS =
      List.of(
          ServeCommand.class,
          DemoCommand.class,
          BenchCommand.class,
          FuzzCommand.class,
          ChaosCommand.class,
          OperatorCommands.StatusCommand.class,
          OperatorCommands.BucketCommand.class,
          PolicyCommands.PolicyCommand.class,
          DataCommands.Ls.class,
          DataCommands.Cp.class,
          DataCommands.Cat.class,
          DataCommands.StatCommand.class,
          DataCommands.Rm.class,
          DataCommands.Mv.class,
          OperatorCommands.FlushCommand.class,
          OperatorCommands.ConflictCommand.class,
          OperatorCommands.NodeCommand.class);

  @Spec private CommandSpec spec = CommandSpec.create();

  private Main() {}

  /** Runs one command and ends the JVM with its exit code. */
  public static void main(String[] args) {
    StandardOutput out = StandardOutput.install();
    int code = commandLine(args.length == 0 ? "" : args[0]).execute(args);
    System.out.flush();
    Optional<IOException> failure = out.failure();
    if (code == 0 && failure.isPresent() && !StandardOutput.isEnough(failure.get())) {
      System.err.println(
          "forebay: the standard output could not be written ("
              + failure.get().getMessage()
              + "); it is not whole");
      code = 1;
    }
    System.exit(code);
  }

  /**
   * The command line.
   *
   * @param first the first word of what is asked; when it names a command, the others are left out,
   *     for to describe them all takes a third of a second, which is half of a start
   */
  static CommandLine commandLine(String first) {
    CommandLine line = new CommandLine(new Main());
    Optional<Class<?>> asked = COMMANDS.stream().filter(each -> name(each).equals(first)).findAny();
    asked.map(List::<Class<?>>of).orElse(COMMANDS).forEach(line::addSubcommand);
    return line.setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionExceptionHandler((failure, command, parsed) -> {
          if (failure instanceof ForebayException known) {
            System.err.println("forebay: " + known.code() + ": " + known.getMessage());
            return 1;
          }
          if (failure instanceof PicocliException wrong) {
            System.err.println("forebay: " + wrong.getMessage());
            System.err.println(
                "'" + command.getCommandSpec().qualifiedName() + " --help' shows how it is used");
            return 2;
          }
          if (failure instanceof IOException local) {
            System.err.println("forebay: " + told(local));
            return 1;
          }
          throw failure;
        });
  }

  private static String name(Class<?> command) {
    return command.getAnnotation(Command.class).name();
  }

  /** A failure with files of this machine, in words. */
  private static String told(IOException failure) {
    return switch (failure) {
      case NoSuchFileException absent -> "there is no file " + absent.getFile();
      case AccessDeniedException denied ->
          "no permission for " + denied.getFile() + "; check its owner and rights";
      default -> String.valueOf(failure.getMessage());
    };
  }

  /** Without a sub-command there is nothing to do: says so and shows the usage. */
  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }
}
