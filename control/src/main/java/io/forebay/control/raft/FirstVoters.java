package io.forebay.control.raft;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who the voters were when this one began, a name a line in the file {@code voters}. The logs hold
 * them too, and do not follow a change of the configuration: who is named there later would never
 * become a voter, and enough new names would elect a second control plane, which is empty.
 */
final class FirstVoters {
  static final String FILE = "voters";
  private static final Logger LOG = LoggerFactory.getLogger(FirstVoters.class);

  private FirstVoters() {}

  /**
   * Checks the names where they are known.
   *
   * @param names sorted
   * @throws ForebayException CONFIGURATION with both, and what to do
   */
  static void require(Path directory, List<String> names) throws IOException {
    Path file = directory.resolve(FILE);
    if (!Files.exists(file)) {
      return;
    }
    List<String> first = Files.readAllLines(file);
    if (!first.equals(names)) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "the voters of a cluster are set at its first start: here "
              + String.join(", ", first)
              + " ("
              + file
              + "), in the configuration "
              + String.join(", ", names)
              + "; put them back as they were; or, where this cluster never served, empty "
              + directory);
    }
  }

  /**
   * Writes the names where they are not known, as in a directory from before the file. Once the
   * voter has started: a first start that fails sets nothing.
   *
   * @param names those of the log, sorted
   * @param configured sorted
   */
  static void keep(Path directory, List<String> names, List<String> configured) throws IOException {
    Path file = directory.resolve(FILE);
    if (Files.exists(file)) {
      return;
    }
    if (!names.equals(configured)) {
      LOG.error(
          "the voters of this cluster are {}, as at its first start, and not {}: put them back as"
              + " they were; the next start is refused with others",
          String.join(", ", names),
          String.join(", ", configured));
    }
    Fsync.write(file, String.join("\n", names) + "\n");
  }
}
