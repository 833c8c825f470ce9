package io.forebay.control.raft;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The format of a voter's directory, a number in the file {@code voter.format}: a program that does
 * not know it does not start, before it reads anything else. Directories from before the file have
 * the first format.
 */
final class VoterFormat {
  static final String FILE = "voter.format";
  private static final int FORMAT = 1;

  private VoterFormat() {}

  /**
   * Checks the number, and writes it where there is none.
   *
   * @throws ForebayException WRONG_VERSION naming the file, the number, and what to do
   */
  static void require(Path directory) throws IOException {
    Path file = directory.resolve(FILE);
    if (!Files.exists(file)) {
      Fsync.write(file, FORMAT + "\n");
      return;
    }
    String found = Files.readString(file).strip();
    if (!found.equals(Integer.toString(FORMAT))) {
      throw new ForebayException(
          ErrorCode.WRONG_VERSION,
          file
              + " names the format '"
              + found
              + "', and this version knows "
              + FORMAT
              + "; run the version of Forebay that wrote it, or a newer one");
    }
  }
}
