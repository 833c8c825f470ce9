package io.forebay.app.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Processor time of processes, user and system together, as /proc tells it in ticks of 10 ms (see
 * proc(5); Linux shows 100 ticks a second to programs, whatever it counts in itself).
 */
final class ProcessCpu {
  private static final double TICKS_PER_SECOND = 100;

  private ProcessCpu() {}

  /** Seconds that a process has taken so far, in all its threads, those that have ended too. */
  static double seconds(long pid) throws IOException {
    return ofStat(Path.of("/proc/" + pid + "/stat"));
  }

  /** Seconds of a process and of everything that it has started and that still runs. */
  static double secondsWithChildren(ProcessHandle process) throws IOException {
    double sum = seconds(process.pid());
    for (ProcessHandle child : process.descendants().toList()) {
      sum += seconds(child.pid());
    }
    return sum;
  }

  /** Seconds of the threads that compile, in a JVM; of those that run now. */
  static double compilerSeconds(long pid) throws IOException {
    List<Path> tasks;
    try (Stream<Path> all = Files.list(Path.of("/proc/" + pid + "/task"))) {
      tasks = all.toList();
    }
    double sum = 0;
    for (Path task : tasks) {
      try {
        if (Files.readString(task.resolve("comm")).matches("C[12] Compiler.*\\s*")) {
          sum += ofStat(task.resolve("stat"));
        }
      } catch (NoSuchFileException ended) {
        // What it took is in the process' sum, which is what is reported.
      }
    }
    return sum;
  }

  private static double ofStat(Path file) throws IOException {
    String stat = Files.readString(file);
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / TICKS_PER_SECOND;
  }
}
