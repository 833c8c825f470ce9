package io.forebay.store.disk;

import java.nio.file.OpenOption;
import java.util.Arrays;
import java.util.Optional;

/**
 * Direct I/O as an option of opening a file. The JDK has it as {@code
 * com.sun.nio.file.ExtendedOpenOption} of module jdk.unsupported, whose every mention in source is
 * a warning that cannot be suppressed; so it is looked up by name, here.
 */
final class DirectIo {
  private static final Optional<OpenOption> OPTION = lookUp();

  private DirectIo() {}

  /** The option; empty in a runtime without it. */
  static Optional<OpenOption> option() {
    return OPTION;
  }

  private static Optional<OpenOption> lookUp() {
    try {
      Object[] constants = Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants();
      return Arrays.stream(constants)
          .filter(constant -> constant.toString().equals("DIRECT"))
          .map(OpenOption.class::cast)
          .findFirst();
    } catch (ClassNotFoundException absent) {
      return Optional.empty();
    }
  }
}
