package io.forebay.app.runtime;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The script {@code ./forebay} that started this process, for what starts more of its kind. */
public final class Launcher {
  /** Environment variable with more options for the JVM, separated by spaces. */
  public static final String JAVA_OPTIONS = "FOREBAY_JAVA_OPTS";

  private Launcher() {}

  /** The root of the tree that Forebay was started from. */
  public static Path root() {
    @Nullable String root = System.getProperty("forebay.root");
    if (root == null) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "this command starts further processes and needs to be started with ./forebay itself");
    }
    return Path.of(root);
  }

  /** The script's path; its process becomes the JVM, so that signals reach it. */
  public static String path() {
    return root().resolve("forebay").toString();
  }

  /**
   * A program that scripts/test-tools.sh brings, and fetches now when it is not there.
   *
   * @param from where it comes from, for the message
   * @param path in the tree
   */
  public static Path tool(String name, String from, String path) throws IOException {
    Path home = root();
    Path program = home.resolve(path);
    if (!Files.exists(program)) {
      System.out.println(name + " is fetched from " + from + " (once)...");
      try {
        int code =
            new ProcessBuilder(home.resolve("scripts/test-tools.sh").toString())
                .inheritIO()
                .start()
                .waitFor();
        if (code != 0) {
          throw new ForebayException(
              ErrorCode.CONFIGURATION,
              "scripts/test-tools.sh did not install " + name + "; it says why above");
        }
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
        throw new ForebayException(ErrorCode.CANCELLED, "interrupted");
      }
    }
    return program;
  }
}
