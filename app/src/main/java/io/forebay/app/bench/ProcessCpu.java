package io.forebay.app.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Processor time of whole processes, user and system together; {@link ThreadCpu} says what on. */
final class ProcessCpu {
  private ProcessCpu() {}

  /** Seconds that a process has taken so far, in all its threads, those that have ended too. */
  static double seconds(long pid) throws IOException {
    return ThreadCpu.seconds(Files.readString(Path.of("/proc/" + pid + "/stat")));
  }

  /** Seconds of a process and of everything that it has started and that still runs. */
  static double secondsWithChildren(ProcessHandle process) throws IOException {
    double sum = seconds(process.pid());
    for (ProcessHandle child : process.descendants().toList()) {
      sum += seconds(child.pid());
    }
    return sum;
  }
}
