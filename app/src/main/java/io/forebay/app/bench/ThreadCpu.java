package io.forebay.app.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Processor time of a Java process by what it was spent on, as Linux counts it for each thread (in
 * ticks of 10 ms, for Linux shows 100 of them a second to programs; source: proc(5)). A thread that
 * has ended counts as {@link Kind#OTHER}.
 */
final class ThreadCpu {
  private static final double TICKS_PER_SECOND = 100;

  /** What a thread is for. */
  enum Kind {
    /** In the kernel, whichever thread asked for it. */
    KERNEL,
    /** The JIT compilers. */
    COMPILER,
    /** Garbage collection. */
    COLLECTOR,
    /** Everything else in user space: the program itself. */
    PROGRAM,
    /** Threads that have ended. */
    OTHER
  }

  private ThreadCpu() {}

  /**
   * Seconds so far, by kind.
   *
   * @throws IOException the process is gone
   */
  static Map<Kind, Double> of(long pid) throws IOException {
    var sums = new EnumMap<Kind, Double>(Kind.class);
    for (Kind kind : Kind.values()) {
      sums.put(kind, 0.0);
    }
    Path process = Path.of("/proc", Long.toString(pid));
    List<Path> tasks;
    try (Stream<Path> all = Files.list(process.resolve("task"))) {
      tasks = all.toList();
    }
    for (Path task : tasks) {
      String stat;
      try {
        stat = Files.readString(task.resolve("stat"));
      } catch (NoSuchFileException ended) {
        continue;
      }
      sums.merge(kind(stat), user(stat), Double::sum);
      sums.merge(Kind.KERNEL, system(stat), Double::sum);
    }
    String stat = Files.readString(process.resolve("stat"));
    double living = sums.values().stream().mapToDouble(each -> each).sum();
    sums.put(Kind.OTHER, Math.max(0, seconds(stat) - living));
    return sums;
  }

  /** Seconds of the JIT compilers in user space, which is nearly all of theirs. */
  static double compilerSeconds(long pid) throws IOException {
    return of(pid).getOrDefault(Kind.COMPILER, 0.0);
  }

  /** How much of the seconds are the JIT compilers', in user space; 0 of none. */
  static double compilerShare(Map<Kind, Double> seconds) {
    double sum = seconds.values().stream().mapToDouble(each -> each).sum();
    return sum == 0 ? 0 : seconds.getOrDefault(Kind.COMPILER, 0.0) / sum;
  }

  /** Adds {@code sign} times the seconds of one to another. */
  static void add(Map<Kind, Double> sum, Map<Kind, Double> seconds, double sign) {
    seconds.forEach((kind, each) -> sum.merge(kind, sign * each, Double::sum));
  }

  /** What a line of a {@code stat} file of a process or thread says, user and system together. */
  static double seconds(String stat) {
    return user(stat) + system(stat);
  }

  private static Kind kind(String stat) {
    String name = stat.substring(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    if (name.startsWith("C1 Compiler") || name.startsWith("C2 Compiler")) {
      return Kind.COMPILER;
    }
    if (name.startsWith("GC Thread")
        || name.startsWith("G1 ")
        || name.startsWith("ZWorker")
        || name.startsWith("ZDirector")
        || name.startsWith("ZDriver")) {
      return Kind.COLLECTOR;
    }
    return Kind.PROGRAM;
  }

  private static double user(String stat) {
    return Long.parseLong(field(stat, 11)) / TICKS_PER_SECOND;
  }

  private static double system(String stat) {
    return Long.parseLong(field(stat, 12)) / TICKS_PER_SECOND;
  }

  // Counted behind the name, which may hold blanks.
  private static String field(String stat, int index) {
    return stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[index];
  }
}
