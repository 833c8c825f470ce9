package io.forebay.app.runtime;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
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
}
