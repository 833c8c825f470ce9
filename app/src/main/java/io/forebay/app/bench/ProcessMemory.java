package io.forebay.app.bench;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Memory of whole processes. */
final class ProcessMemory {
  private ProcessMemory() {}

  /** Bytes of a process that are in memory now (source: proc(5), VmRSS). */
  static long residentBytes(long pid) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
      }
    }
    throw new ForebayException(ErrorCode.INTERNAL, "the memory of process " + pid + " is not told");
  }
}
